//! What is wrong with a text that is no YAML, or not a manifest's.

use std::sync::Arc;

use saphyr_parser::Tag;

use super::node::{Node, Value};
use super::position::{tab_near, tag_span, word_span};
use super::scalar::{ScalarProblem, shorten};
use super::source::{Source, Span};
use crate::manifest::findings::diagnostic::{Code, Diagnostic, Place};

/// Deepest nesting of lists and maps. The SDKs' own JSON readers stop between 128 and 10,000.
pub(in crate::manifest) const MAX_DEPTH: usize = 128;

/// What to do about too deep a nesting.
const DEEP_HELP: &str = "write the inner part as a JSON string, or give the bytes with `$payload`";

/// Most values in one file, as each takes some 32 bytes of memory.
pub(in crate::manifest) const MAX_NODES: usize = 10_000_000;

/// The text is not YAML: `info` is the parser's word for it, and `open` where what is still open
/// begins, the innermost first.
pub(in crate::manifest) fn syntax(
    source: &Arc<Source>,
    info: &str,
    at: u32,
    mut open: impl Iterator<Item = u32>,
) -> Diagnostic {
    let text = source.text();
    if info.contains("recursion limit") {
        return Diagnostic::new(Code::TooDeep, "lists and maps are nested too deeply")
            .with_help(DEEP_HELP)
            .at(source, char_span(source, at));
    }
    if info.contains("unknown anchor") {
        return unknown_anchor(source, word_span(text, at));
    }
    let tab = tab_near(text, at);
    let span = char_span(source, tab.unwrap_or(at));
    let mut problem =
        Diagnostic::new(Code::Syntax, format!("this is not YAML: {info}")).at(source, span);
    if tab.is_some() {
        return problem.with_help("indent with spaces, not tabs");
    }
    if let Some(start) = open.find(|start| text[*start as usize..].starts_with(['[', '{'])) {
        let bracket = &text[start as usize..start as usize + 1];
        let place = Place {
            source: Arc::clone(source),
            span: char_span(source, start),
        };
        let still_open = (format!("this `{bracket}` is still open"), place);
        problem.related.push(still_open);
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

/// A list or map is nested too deeply.
pub(in crate::manifest) fn too_deep(source: &Arc<Source>, span: Span) -> Diagnostic {
    let message = format!("lists and maps are nested more than {MAX_DEPTH} levels deep");
    Diagnostic::new(Code::TooDeep, message)
        .with_help(DEEP_HELP)
        .at(source, span)
}

/// The file holds more than [`MAX_NODES`].
pub(in crate::manifest) fn too_many_values(source: &Arc<Source>, at: u32) -> Diagnostic {
    let message = format!("`{}` holds more than {MAX_NODES} values", source.name());
    Diagnostic::new(Code::TooLarge, message)
        .with_help("split the manifest into several files")
        .at(source, char_span(source, at))
}

/// An alias stands for nothing.
pub(in crate::manifest) fn unknown_anchor(source: &Arc<Source>, span: Span) -> Diagnostic {
    let written = &source.text()[span.start as usize..span.end as usize];
    let name = shorten(written.trim_start_matches('*'));
    let message = format!("nothing before this alias is marked with `&{name}`");
    let help = format!("write `&{name}` in front of the value to repeat, in the same document");
    Diagnostic::new(Code::Syntax, message)
        .with_help(help)
        .at(source, span)
}

/// The one character at `at`.
pub(in crate::manifest) fn char_span(source: &Source, at: u32) -> Span {
    let first = source.text()[at as usize..].chars().next();
    let width = first.map_or(0, char::len_utf8);
    Span {
        start: at,
        end: at + width as u32,
    }
}

/// A scalar cannot be read.
pub(in crate::manifest) fn scalar(
    source: &Arc<Source>,
    problem: ScalarProblem,
    span: Span,
) -> Diagnostic {
    Diagnostic::new(problem.code, problem.message)
        .with_help(problem.help)
        .at(source, span)
}

/// A tag says nothing here.
pub(in crate::manifest) fn unsupported_tag(
    source: &Arc<Source>,
    tag: &Tag,
    span: Span,
) -> Diagnostic {
    let shown = if tag.is_yaml_core_schema() {
        format!("!!{}", tag.suffix)
    } else if tag.handle.is_empty() {
        format!("!<{}>", tag.suffix)
    } else {
        tag.to_string()
    };
    let message = format!("the tag `{}` has no meaning here", shorten(&shown));
    let help = "remove it; only YAML's core tags are known: str, int, float, bool, null, binary, seq and map, each after `!!`";
    Diagnostic::new(Code::UnsupportedTag, message)
        .with_help(help)
        .at(source, tag_span(source.text(), span))
}

/// A key is given twice; `first` is where it was given before, if that can be told.
pub(in crate::manifest) fn duplicate(
    source: &Arc<Source>,
    key: &str,
    span: Span,
    first: Option<Span>,
) -> Diagnostic {
    let message = format!("the key `{}` is given twice", shorten(key));
    let mut problem = Diagnostic::new(Code::DuplicateKey, message)
        .with_help("remove one of the two")
        .at(source, span);
    if let Some(span) = first {
        let source = Arc::clone(source);
        let place = Place { source, span };
        problem.related.push(("first given here".to_owned(), place));
    }
    problem
}

/// A key is no string.
pub(in crate::manifest) fn no_key(source: &Arc<Source>, key: &Node) -> Diagnostic {
    let written = &source.text()[key.span.start as usize..key.span.end as usize];
    let help = match &key.value {
        Value::List(_) | Value::Map(_) => "JSON has no such keys; write a list of pairs".to_owned(),
        _ if written.is_empty() => "write the key before the `:`".to_owned(),
        _ => format!("quote it: `\"{}\"`", shorten(written)),
    };
    let message = format!("a key must be a string, and this is {}", key.kind());
    Diagnostic::new(Code::NonStringKey, message)
        .with_help(help)
        .at(source, key.span)
}

/// What `<<` merges is neither a map nor a list of maps.
pub(in crate::manifest) fn invalid_merge(
    source: &Arc<Source>,
    value: &Node,
    span: Span,
) -> Diagnostic {
    let message = format!(
        "`<<` merges a map or a list of maps, and this is {}",
        value.kind()
    );
    Diagnostic::new(Code::InvalidMerge, message)
        .with_help("quote the key to mean it literally: `\"<<\"`")
        .at(source, span)
}
