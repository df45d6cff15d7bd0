//! What is wrong with an expression, or with what it comes to.

use crate::manifest::diagnostic::Code;
use crate::manifest::node::{Node, Value};
use crate::manifest::source::Span;

/// What is wrong with an expression, or with what it comes to.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) help: Option<String>,
    /// The row's cell that it is about, if it is about one.
    pub(super) cell: Option<String>,
    /// Whether it is of no use to look for more.
    pub(super) ends: bool,
}

impl Problem {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Problem {
            code,
            message: message.into(),
            help: None,
            cell: None,
            ends: false,
        }
    }

    pub(super) fn failed(message: impl Into<String>) -> Self {
        Problem::new(Code::ExpressionFailed, message)
    }

    pub(super) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A value that stands nowhere.
pub(super) fn node_of(value: Value) -> Node {
    Node {
        value,
        span: Span::default(),
    }
}
