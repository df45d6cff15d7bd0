//! YAML text in, node trees out: one per document, with every problem of the text on the way.
//!
//! Built on saphyr-parser's events, because serde_yaml loses what a manifest needs: tags, spans,
//! duplicate keys, exact integers and NaN. Time and memory are bounded whatever the text holds.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};

use super::diagnostic::{Code, Diagnostic};
use super::node::{Key, Node, Value};
use super::position::{
    Cursor, first_line, long_flow, max_flow_marks, tab_near, tag_span, trim, word_span,
};
use super::scalar::{self, ScalarProblem};
use super::source::{Source, Span};

/// Deepest nesting of lists and maps. The SDKs' own JSON readers stop between 128 and 10,000.
pub const MAX_DEPTH: usize = 128;

/// What to do about too deep a nesting.
const DEEP_HELP: &str = "write the inner part as a JSON string, or give the bytes with `$payload`";

/// Most values that all aliases of one file may add, beside 10 for each value that is written out
/// and never more than [`MAX_NODES`]. An alias bomb passes this at once; no manifest made for
/// people comes near. What an alias repeats is in memory once, but looked at as often as it is
/// repeated.
const FREE_ALIAS_NODES: usize = 1_000_000;

/// Bytes of text that count as one more value where an alias repeats them.
const BYTES_PER_NODE: usize = 16;

/// Most values in one file, as each takes some 32 bytes of memory.
const MAX_NODES: usize = 10_000_000;

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

/// A collection that is not complete yet.
struct Frame {
    anchor: usize,
    /// Of what it holds so far.
    size: Size,
    start: u32,
    end: u32,
    content: Content,
}

/// What an alias adds that repeats a value.
#[derive(Clone, Copy)]
struct Size {
    /// Values, and bytes of text as far as they count as such.
    nodes: usize,
    /// Levels of lists and maps.
    depth: usize,
}

impl Size {
    fn of_scalar(value: &Value) -> Self {
        let bytes = match value {
            Value::String(text) => text.len(),
            Value::Binary(bytes) => bytes.len(),
            _ => 0,
        };
        Size {
            nodes: 1 + bytes / BYTES_PER_NODE,
            depth: 0,
        }
    }

    fn add(&mut self, part: Size) {
        self.nodes = self.nodes.saturating_add(part.nodes);
        self.depth = self.depth.max(part.depth + 1);
    }
}

enum Content {
    List(Vec<Node>),
    Map(MapContent),
}

struct MapContent {
    entries: Vec<(Key, Node)>,
    /// The key whose value comes next.
    pending: Pending,
    /// Keys taken from `<<`, which written keys override.
    merged: Vec<(Key, Node)>,
    merge_seen: bool,
    /// Keys of a large map; small maps are searched in place.
    index: Option<HashSet<Box<str>>>,
}

enum Pending {
    Key,
    Value(Key),
    /// A value that belongs to no usable key: read and dropped.
    Dropped,
    Merge(Span),
}

/// Map size from which keys are looked up by hash.
const INDEXED_FROM: usize = 16;

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
                return Err(self.too_many_values(start));
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
                    let map = MapContent {
                        entries: Vec::new(),
                        pending: Pending::Key,
                        merged: Vec::new(),
                        merge_seen: false,
                        index: None,
                    };
                    self.open(anchor, start, end, Content::Map(map))?;
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
        let text = self.source.text();
        let mut at = self.cursor.byte_at(*error.marker());
        let info = error.info();
        if info.contains("recursion limit") {
            return Diagnostic::new(Code::TooDeep, "lists and maps are nested too deeply")
                .with_help(DEEP_HELP)
                .at(self.source, self.char_span(at));
        }
        if info.contains("unknown anchor") {
            return self.unknown_anchor(word_span(text, at));
        }
        let tab = tab_near(text, at);
        at = tab.unwrap_or(at);
        let mut problem = Diagnostic::new(Code::Syntax, format!("this is not YAML: {info}"))
            .at(self.source, self.char_span(at));
        if tab.is_some() {
            return problem.with_help("indent with spaces, not tabs");
        }
        let open = self.stack.iter().rev().map(|frame| frame.start);
        let open = open
            .into_iter()
            .find(|start| text[*start as usize..].starts_with(['[', '{']));
        if let Some(start) = open {
            let bracket = &text[start as usize..start as usize + 1];
            let place = super::diagnostic::Place {
                source: Arc::clone(self.source),
                span: self.char_span(start),
            };
            problem
                .related
                .push((format!("this `{bracket}` is still open"), place));
            return problem.with_help("close what was opened, or quote the text");
        }
        let unclosed = info.contains("end of stream") || info.contains("invalid indentation");
        if info.contains("quoted scalar") && unclosed {
            return problem.with_help("the quote that begins here is never closed");
        }
        if info.contains("mapping values are not allowed") {
            return problem
                .with_help("quote a text that holds `: `; otherwise look at the indentation");
        }
        problem
    }

    fn too_many_values(&self, at: u32) -> Diagnostic {
        let message = format!(
            "`{}` holds more than {MAX_NODES} values",
            self.source.name()
        );
        Diagnostic::new(Code::TooLarge, message)
            .with_help("split the manifest into several files")
            .at(self.source, self.char_span(at))
    }

    fn unknown_anchor(&self, span: Span) -> Diagnostic {
        let written = &self.source.text()[span.start as usize..span.end as usize];
        let name = scalar::shorten(written.trim_start_matches('*'));
        let message = format!("nothing before this alias is marked with `&{name}`");
        let help = format!("write `&{name}` in front of the value to repeat, in the same document");
        Diagnostic::new(Code::Syntax, message)
            .with_help(help)
            .at(self.source, span)
    }

    /// The one character at `at`.
    fn char_span(&self, at: u32) -> Span {
        let width = self.source.text()[at as usize..]
            .chars()
            .next()
            .map_or(0, char::len_utf8);
        Span {
            start: at,
            end: at + width as u32,
        }
    }

    fn problem(&mut self, problem: ScalarProblem, span: Span) {
        let diagnostic = Diagnostic::new(problem.code, problem.message).with_help(problem.help);
        self.problems.push(diagnostic.at(self.source, span));
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
                self.duplicate("<<", span, None);
            }
            return Ok(());
        }
        let resolved = match tag {
            None if plain => scalar::resolve_plain(text),
            None => Ok(Value::String(text.into())),
            Some(tag) if is_non_specific(tag) => Ok(Value::String(text.into())),
            Some(tag) if tag.is_yaml_core_schema() => {
                match scalar::resolve_tagged(&tag.suffix, text) {
                    Some(resolved) => resolved,
                    None => {
                        self.unsupported_tag(tag, span);
                        Ok(Value::String(text.into()))
                    }
                }
            }
            Some(tag) => {
                self.unsupported_tag(tag, span);
                Ok(Value::String(text.into()))
            }
        };
        let value = match resolved {
            Ok(value) => value,
            Err(problem) => {
                self.problem(problem, span);
                Value::Null
            }
        };
        let size = Size::of_scalar(&value);
        self.complete(Node { value, span }, anchor, size)
    }

    fn unsupported_tag(&mut self, tag: &Tag, span: Span) {
        let shown = if tag.is_yaml_core_schema() {
            format!("!!{}", tag.suffix)
        } else if tag.handle.is_empty() {
            format!("!<{}>", tag.suffix)
        } else {
            tag.to_string()
        };
        let message = format!("the tag `{}` has no meaning here", scalar::shorten(&shown));
        let problem = Diagnostic::new(Code::UnsupportedTag, message).with_help(
            "remove it; only YAML's core tags are known: str, int, float, bool, null, binary, seq and map, each after `!!`",
        );
        let span = tag_span(self.source.text(), span);
        self.problems.push(problem.at(self.source, span));
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
            return Err(Diagnostic::new(
                Code::TooDeep,
                format!("lists and maps are nested more than {MAX_DEPTH} levels deep"),
            )
            .with_help(DEEP_HELP)
            .at(self.source, self.char_span(start)));
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
                return Err(self.unknown_anchor(span));
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
            return Err(Diagnostic::new(
                Code::TooDeep,
                format!("lists and maps are nested more than {MAX_DEPTH} levels deep"),
            )
            .with_help(DEEP_HELP)
            .at(self.source, span));
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
                    let kind = node.kind();
                    let written =
                        &self.source.text()[node.span.start as usize..node.span.end as usize];
                    let help = match &node.value {
                        Value::List(_) | Value::Map(_) => {
                            "JSON has no such keys; write a list of pairs".to_owned()
                        }
                        _ if written.is_empty() => "write the key before the `:`".to_owned(),
                        _ => format!("quote it: `\"{}\"`", scalar::shorten(written)),
                    };
                    let problem = Diagnostic::new(
                        Code::NonStringKey,
                        format!("a key must be a string, and this is {kind}"),
                    )
                    .with_help(help);
                    self.problems.push(problem.at(self.source, node.span));
                }
            },
            Pending::Dropped => {}
            Pending::Value(key) => {
                if map.contains(&key.text) {
                    let first = map.entries.iter().find(|(other, _)| other.text == key.text);
                    let first = first.map(|(other, _)| other.span);
                    self.duplicate(&key.text, key.span, first);
                } else {
                    map.push(key, node);
                }
            }
            Pending::Merge(span) => self.merge(node, span),
        }
        Ok(())
    }

    fn duplicate(&mut self, key: &str, span: Span, first: Option<Span>) {
        let mut problem = Diagnostic::new(
            Code::DuplicateKey,
            format!("the key `{}` is given twice", scalar::shorten(key)),
        )
        .with_help("remove one of the two")
        .at(self.source, span);
        if let Some(first) = first {
            let place = super::diagnostic::Place {
                source: Arc::clone(self.source),
                span: first,
            };
            problem.related.push(("first given here".to_owned(), place));
        }
        self.problems.push(problem);
    }

    fn merge(&mut self, node: Node, span: Span) {
        let sources = match &node.value {
            Value::Map(_) => vec![node],
            Value::List(items) if items.iter().all(|item| matches!(item.value, Value::Map(_))) => {
                items.to_vec()
            }
            _ => {
                let problem = Diagnostic::new(
                    Code::InvalidMerge,
                    format!(
                        "`<<` merges a map or a list of maps, and this is {}",
                        node.kind()
                    ),
                )
                .with_help("quote the key to mean it literally: `\"<<\"`");
                self.problems.push(problem.at(self.source, span));
                return;
            }
        };
        let Some(Frame {
            content: Content::Map(map),
            ..
        }) = self.stack.last_mut()
        else {
            return;
        };
        let mut known: HashSet<Box<str>> = HashSet::new();
        for source in sources {
            let Value::Map(entries) = source.value else {
                continue;
            };
            for (key, value) in &*entries {
                // Of several maps in a list the earlier one wins.
                if known.insert(key.text.clone()) {
                    map.merged.push((key.clone(), value.clone()));
                }
            }
        }
    }
}

impl MapContent {
    fn contains(&self, key: &str) -> bool {
        match &self.index {
            Some(index) => index.contains(key),
            None => self.entries.iter().any(|(other, _)| &*other.text == key),
        }
    }

    fn push(&mut self, key: Key, value: Node) {
        if let Some(index) = &mut self.index {
            index.insert(key.text.clone());
        }
        self.entries.push((key, value));
        if self.index.is_none() && self.entries.len() > INDEXED_FROM {
            self.index = Some(
                self.entries
                    .iter()
                    .map(|(key, _)| key.text.clone())
                    .collect(),
            );
        }
    }
}

/// Levels of a value that are gone when its entries have been merged into a map.
fn merged_levels(node: &Node) -> usize {
    match node.value {
        Value::List(_) => 2,
        _ => 1,
    }
}

/// Whether a tag is a lone `!`, which makes a plain scalar a string and says nothing else.
fn is_non_specific(tag: &Tag) -> bool {
    matches!((&*tag.handle, &*tag.suffix), ("!", "") | ("", "!"))
}
