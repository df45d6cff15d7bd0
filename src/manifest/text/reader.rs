//! YAML text in, node trees out: one per document, with every problem of the text on the way.
//!
//! Built on saphyr-parser's events, because serde_yaml loses what a manifest needs: tags, spans,
//! duplicate keys, exact integers and NaN. Time and memory are bounded whatever the text holds.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};

use super::frames::{Content, Frame, MapContent, Pending, Size, merged_levels};
use super::node::{Key, Node, Value};
use super::position::{Cursor, first_line, long_flow, max_flow_marks, trim};
use super::reader_problems::{self as problems, MAX_DEPTH, MAX_NODES};
use super::scalar;
use super::source::{Source, Span};
use crate::manifest::findings::diagnostic::{Code, Diagnostic};

/// Most values that all aliases of one file may add, beside 10 for each value that is written out
/// and never more than [`MAX_NODES`]. An alias bomb passes this at once; no manifest made for
/// people comes near. What an alias repeats is in memory once, but looked at as often as it is
/// repeated.
const FREE_ALIAS_NODES: usize = 1_000_000;

/// Most problems collected in one file. Past it the rest of the file is not read.
const MAX_PROBLEMS: usize = 1_000;

/// Reads every document of `source`. Documents with problems are returned as far as they could
/// be read, so that later checks can report on the rest of them.
pub fn read(source: &Arc<Source>, problems: &mut Vec<Diagnostic>) -> Vec<Node> {
    if let Some(start) = long_flow(source.text()) {
        let most = max_flow_marks(source.text());
        let message = format!(
            "this list or map in brackets holds more than {most} commas, colons and brackets"
        );
        let problem = Diagnostic::new(Code::TooLarge, message)
            .with_help("write a block list, one `- ` for each item, or split the manifest")
            .at(
                source,
                Span {
                    start,
                    end: start + 1,
                },
            );
        problems.push(problem);
        return Vec::new();
    }
    let mut reader = Reader::new(source);
    let outcome = reader.run();
    let mut own = reader.problems;
    if let Err(error) = outcome {
        own.push(error);
    }
    if reader.documents.is_empty() && own.is_empty() {
        own.push(
            Diagnostic::new(
                Code::EmptyFile,
                format!("`{}` holds no manifest", source.name()),
            )
            .with_help("`temporal-manifest init` prints one to start from"),
        );
    }
    problems.append(&mut own);
    reader.documents
}

struct Reader<'s> {
    source: &'s Arc<Source>,
    parser: Parser<'s, saphyr_parser::StrInput<'s>>,
    cursor: Cursor<'s>,
    stack: Vec<Frame>,
    anchors: HashMap<usize, (Node, Size)>,
    written_nodes: usize,
    alias_nodes: usize,
    documents: Vec<Node>,
    problems: Vec<Diagnostic>,
}

impl<'s> Reader<'s> {
    fn new(source: &'s Arc<Source>) -> Self {
        Reader {
            source,
            parser: Parser::new_from_str(source.text()),
            cursor: Cursor::new(source.text()),
            stack: Vec::new(),
            anchors: HashMap::new(),
            written_nodes: 0,
            alias_nodes: 0,
            documents: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn run(&mut self) -> Result<(), Diagnostic> {
        while let Some(next) = self.parser.next_event() {
            let (event, span) = next.map_err(|error| self.syntax(&error))?;
            let start = self.cursor.byte_at(span.start);
            let end = self.cursor.byte_at(span.end).max(start);
            if self.written_nodes > MAX_NODES {
                return Err(problems::too_many_values(self.source, start));
            }
            match event {
                Event::Alias(anchor) => self.alias(anchor, Span { start, end })?,
                Event::Scalar(text, style, anchor, tag) => {
                    let span = trim(self.source.text(), Span { start, end });
                    self.scalar(&text, style, anchor, tag.as_deref(), span)?;
                }
                Event::SequenceStart(anchor, tag) => {
                    self.collection_tag(tag.as_deref(), "seq", Span { start, end });
                    self.open(anchor, start, end, Content::List(Vec::new()))?;
                }
                Event::MappingStart(anchor, tag) => {
                    self.collection_tag(tag.as_deref(), "map", Span { start, end });
                    let map = Content::Map(MapContent::default());
                    self.open(anchor, start, end, map)?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.close(end)?,
                Event::DocumentEnd => self.anchors.clear(),
                _ => {}
            }
            if self.problems.len() > MAX_PROBLEMS {
                break;
            }
        }
        Ok(())
    }

    fn syntax(&mut self, error: &ScanError) -> Diagnostic {
        let at = self.cursor.byte_at(*error.marker());
        let open = self.stack.iter().rev().map(|frame| frame.start);
        problems::syntax(self.source, error.info(), at, open)
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<(), Diagnostic> {
        self.written_nodes += 1;
        let plain = style == ScalarStyle::Plain;
        if let Some(Frame {
            content: Content::Map(map),
            ..
        }) = self.stack.last_mut()
            && matches!(map.pending, Pending::Key)
            && plain
            && tag.is_none()
            && text == "<<"
        {
            let again = std::mem::replace(&mut map.merge_seen, true);
            map.pending = Pending::Merge(span);
            if again {
                let problem = problems::duplicate(self.source, "<<", span, None);
                self.problems.push(problem);
            }
            return Ok(());
        }
        let resolved = match tag {
            None if plain => Some(scalar::resolve_plain(text)),
            Some(tag) if !is_non_specific(tag) => {
                let is_known = tag.is_yaml_core_schema();
                let resolved = is_known.then(|| scalar::resolve_tagged(&tag.suffix, text));
                let resolved = resolved.flatten();
                if resolved.is_none() {
                    self.unsupported_tag(tag, span);
                }
                resolved
            }
            _ => None,
        };
        let resolved = resolved.unwrap_or_else(|| Ok(Value::String(text.into())));
        let value = match resolved {
            Ok(value) => value,
            Err(problem) => {
                self.problems
                    .push(problems::scalar(self.source, problem, span));
                Value::Null
            }
        };
        let size = Size::of_scalar(&value);
        self.complete(Node { value, span }, anchor, size)
    }

    fn unsupported_tag(&mut self, tag: &Tag, span: Span) {
        let problem = problems::unsupported_tag(self.source, tag, span);
        self.problems.push(problem);
    }

    fn collection_tag(&mut self, tag: Option<&Tag>, own: &str, span: Span) {
        if let Some(tag) = tag {
            let fits = is_non_specific(tag) || (tag.is_yaml_core_schema() && tag.suffix == own);
            if !fits {
                self.unsupported_tag(tag, span);
            }
        }
    }

    fn open(
        &mut self,
        anchor: usize,
        start: u32,
        end: u32,
        content: Content,
    ) -> Result<(), Diagnostic> {
        self.written_nodes += 1;
        if self.stack.len() >= MAX_DEPTH {
            let span = problems::char_span(self.source, start);
            return Err(problems::too_deep(self.source, span));
        }
        self.stack.push(Frame {
            anchor,
            size: Size { nodes: 1, depth: 1 },
            start,
            end,
            content,
        });
        Ok(())
    }

    fn close(&mut self, end: u32) -> Result<(), Diagnostic> {
        let frame = self
            .stack
            .pop()
            .expect("the parser closes only what it opened");
        let (value, last) = match frame.content {
            Content::List(items) => {
                let last = items.last().map(|item| item.span.end);
                (Value::List(items.into()), last)
            }
            Content::Map(mut map) => {
                let merged = std::mem::take(&mut map.merged);
                for (key, value) in merged {
                    if !map.contains(&key.text) {
                        map.push(key, value);
                    }
                }
                let last = map.entries.last().map(|(_, value)| value.span.end);
                (Value::Map(map.entries.into()), last)
            }
        };
        // A block collection has no closing mark; its end event stands at the next token.
        let flow = self.source.text()[frame.start as usize..].starts_with(['[', '{']);
        let end = if flow { end } else { last.unwrap_or(frame.end) };
        let span = first_line(
            self.source.text(),
            Span {
                start: frame.start,
                end: end.max(frame.start),
            },
        );
        self.complete(Node { value, span }, frame.anchor, frame.size)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Diagnostic> {
        let Some((node, size)) = self.anchors.get(&anchor) else {
            // The parser itself keeps anchors from one document to the next.
            if !self.stack.iter().any(|frame| frame.anchor == anchor) {
                return Err(problems::unknown_anchor(self.source, span));
            }
            return Err(Diagnostic::new(
                Code::AliasExpansion,
                "this alias is inside of what it stands for",
            )
            .with_help("write the value out; a manifest cannot contain itself")
            .at(self.source, span));
        };
        let (node, size) = (node.clone(), *size);
        self.written_nodes += 1;
        self.alias_nodes = self.alias_nodes.saturating_add(size.nodes);
        let limit = (FREE_ALIAS_NODES + 10 * self.written_nodes).min(MAX_NODES);
        if self.alias_nodes > limit {
            return Err(Diagnostic::new(
                Code::AliasExpansion,
                format!("the aliases of this file expand to more than {limit} values"),
            )
            .with_help("write the values out, or generate the starts from rows")
            .at(self.source, span));
        }
        let deep = self.stack.len() + size.depth > MAX_DEPTH;
        if deep {
            return Err(problems::too_deep(self.source, span));
        }
        self.complete(node, 0, size)
    }

    /// Hands a finished node to whatever it belongs to.
    fn complete(&mut self, node: Node, anchor: usize, size: Size) -> Result<(), Diagnostic> {
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(frame) = self.stack.last_mut() else {
            if !node.is_null() {
                self.documents.push(node);
            }
            return Ok(());
        };
        let levels = match &frame.content {
            Content::Map(map) if matches!(map.pending, Pending::Merge(_)) => merged_levels(&node),
            _ => 0,
        };
        frame.size.add(Size {
            depth: size.depth.saturating_sub(levels),
            ..size
        });
        let map = match &mut frame.content {
            Content::List(items) => {
                items.push(node);
                return Ok(());
            }
            Content::Map(map) => map,
        };
        match std::mem::replace(&mut map.pending, Pending::Key) {
            Pending::Key => match node.value {
                Value::String(text) => {
                    map.pending = Pending::Value(Key {
                        text,
                        span: node.span,
                    })
                }
                _ => {
                    map.pending = Pending::Dropped;
                    self.problems.push(problems::no_key(self.source, &node));
                }
            },
            Pending::Dropped => {}
            Pending::Value(key) => {
                if map.contains(&key.text) {
                    let first = map.key(&key.text).map(|first| first.span);
                    let problem = problems::duplicate(self.source, &key.text, key.span, first);
                    self.problems.push(problem);
                } else {
                    map.push(key, node);
                }
            }
            Pending::Merge(span) => match &node.value {
                Value::Map(_) => map.merge(vec![node]),
                Value::List(items) if items.iter().all(is_map) => map.merge(items.to_vec()),
                _ => {
                    let problem = problems::invalid_merge(self.source, &node, span);
                    self.problems.push(problem);
                }
            },
        }
        Ok(())
    }
}

fn is_map(node: &Node) -> bool {
    matches!(node.value, Value::Map(_))
}

/// Whether a tag is a lone `!`, which makes a plain scalar a string and says nothing else.
fn is_non_specific(tag: &Tag) -> bool {
    matches!((&*tag.handle, &*tag.suffix), ("!", "") | ("", "!"))
}
