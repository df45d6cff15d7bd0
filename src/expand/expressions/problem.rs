//! What is wrong with an expression, or with what it comes to.

use crate::manifest::diagnostic::Code;
use crate::manifest::node::{Node, Value};
use crate::manifest::source::Span;

/// What is wrong with an expression, or with what it comes to.
#[derive(Debug)]
pub(in crate::expand) struct Problem {
    pub(in crate::expand) code: Code,
    pub(in crate::expand) message: String,
    pub(in crate::expand) help: Option<String>,
    /// The row's cell that it is about, if it is about one.
    pub(in crate::expand) cell: Option<String>,
    /// Whether it is of no use to look for more.
    pub(in crate::expand) ends: bool,
}

impl Problem {
    pub(in crate::expand) fn new(code: Code, message: impl Into<String>) -> Self {
        Problem {
            code,
            message: message.into(),
            help: None,
            cell: None,
            ends: false,
        }
    }

    pub(in crate::expand) fn failed(message: impl Into<String>) -> Self {
        Problem::new(Code::ExpressionFailed, message)
    }

    pub(in crate::expand) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A value that stands nowhere.
pub(in crate::expand) fn node_of(value: Value) -> Node {
    Node {
        value,
        span: Span::default(),
    }
}
