//! What a check says: code, path and words, without a place in the text.

use std::sync::Arc;

use super::diagnostic::{Code, Diagnostic};
use super::locate::{Step, Target, locate};
use super::node::Node;
use super::source::{Source, Span};

/// One thing that is wrong, at a path below some value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of problem it is.
    pub code: Code,
    /// Where, as steps from the checked value.
    pub path: Vec<Step>,
    /// Whether the key or the value at the path is meant.
    pub target: Target,
    /// The part of the value's text that is meant, if not all of it.
    pub part: Option<Box<str>>,
    /// The cell of a row that it is about, if it is about one.
    pub cell: Option<String>,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Finding {
    /// A finding about the value at `path`.
    pub fn new(code: Code, path: Vec<Step>, message: impl Into<String>) -> Self {
        Finding {
            code,
            path,
            target: Target::Value,
            part: None,
            cell: None,
            message: message.into(),
            help: None,
        }
    }

    /// Says what to write instead.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Means the key, not the value.
    #[must_use]
    pub fn at_key(mut self) -> Self {
        self.target = Target::Key;
        self
    }

    /// Gives the finding its place below `root`.
    pub fn locate(self, source: &Arc<Source>, root: &Node) -> Diagnostic {
        let span = locate(root, &self.path, self.target);
        self.at(source, span)
    }

    /// Gives the finding a place that is known, or the part of it that is meant.
    pub fn at(self, source: &Arc<Source>, span: Span) -> Diagnostic {
        let span = self.part.map_or(span, |part| narrow(source, span, &part));
        let mut diagnostic = Diagnostic::new(self.code, self.message).at(source, span);
        diagnostic.help = self.help;
        diagnostic
    }
}

/// The place of `part` within a span, if it stands there once as it is.
fn narrow(source: &Source, span: Span, part: &str) -> Span {
    let text = source.text().get(span.start as usize..span.end as usize);
    let mut found = text.unwrap_or_default().match_indices(part);
    match (found.next(), found.next()) {
        (Some((at, _)), None) => {
            let start = span.start + at as u32;
            Span {
                start,
                end: start + part.len() as u32,
            }
        }
        _ => span,
    }
}
