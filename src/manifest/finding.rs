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

    /// Gives the finding a place that is known.
    pub fn at(self, source: &Arc<Source>, span: Span) -> Diagnostic {
        let mut diagnostic = Diagnostic::new(self.code, self.message).at(source, span);
        diagnostic.help = self.help;
        diagnostic
    }
}
