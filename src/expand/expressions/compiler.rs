//! What expressions are compiled with, and what those of one entry share.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use super::jinja::Compiled;
use super::jinja_values::words;
use super::problem::Problem;
use super::scope::Constants;
use crate::manifest::diagnostic::Code;

/// Most expressions of one entry. Each takes some 150 bytes.
const MAX_EXPRESSIONS: usize = 100_000;

/// Most different ones among them that minijinja has to compile. Each takes some 5 KiB.
const MAX_COMPILED: usize = 10_000;

/// What the expressions of one entry share.
#[derive(Debug, Default)]
pub(in crate::expand) struct Shared {
    compiled: RefCell<HashMap<Box<str>, Arc<Compiled>>>,
    count: Cell<usize>,
    names_invocation: Cell<bool>,
}

impl Shared {
    /// Whether what one of them comes to may differ from one invocation to the next.
    pub(in crate::expand) fn names_invocation(&self) -> bool {
        self.names_invocation.get()
    }
}

/// What values are compiled with.
#[derive(Clone, Copy, Debug)]
pub(in crate::expand) struct Compiler<'c> {
    pub(in crate::expand) constants: &'c Constants,
    /// Whether there are rows.
    pub(in crate::expand) has_row: bool,
    pub(in crate::expand) shared: &'c Shared,
}

impl Compiler<'_> {
    /// Counts one more expression of the entry.
    ///
    /// # Errors
    /// There are too many.
    pub(in crate::expand) fn count(&self) -> Result<(), Problem> {
        let count = self.shared.count.get() + 1;
        self.shared.count.set(count);
        if count > MAX_EXPRESSIONS {
            return Err(too_many(format!(
                "an entry has at most {MAX_EXPRESSIONS} expressions"
            )));
        }
        Ok(())
    }

    /// Notes whether an expression that is compiled names the invocation.
    pub(in crate::expand) fn note_invocation(&self, is_named: bool) {
        let noted = &self.shared.names_invocation;
        noted.set(noted.get() || is_named);
    }

    /// Compiles something, and tells whether an expression in it names the invocation.
    pub(in crate::expand) fn watch_invocation<T>(&self, compile: impl FnOnce() -> T) -> (T, bool) {
        let before = self.shared.names_invocation.replace(false);
        let compiled = compile();
        let is_named = self.shared.names_invocation();
        self.note_invocation(before);
        (compiled, is_named)
    }

    /// Compiles an expression, unless an equal one has been.
    ///
    /// # Errors
    /// It cannot be read, or there are too many different ones.
    pub(in crate::expand) fn jinja(&self, text: &str) -> Result<Arc<Compiled>, Problem> {
        let mut known = self.shared.compiled.borrow_mut();
        if let Some(compiled) = known.get(text) {
            return Ok(Arc::clone(compiled));
        }
        if known.len() == MAX_COMPILED {
            return Err(too_many(format!(
                "an entry has at most {MAX_COMPILED} different expressions that are more than names"
            )));
        }
        let compiled = Compiled::new(text).map_err(|error| {
            Problem::new(
                Code::InvalidExpression,
                format!("this expression cannot be read: {}", words(&error)),
            )
            .with_help("an expression is a value such as `${{ row.id }}`, with operators and filters; to mean `${{` literally, write `${{ '${{' }}`")
        })?;
        let compiled = Arc::new(compiled);
        known.insert(text.into(), Arc::clone(&compiled));
        Ok(compiled)
    }
}

fn too_many(message: String) -> Problem {
    Problem {
        ends: true,
        ..Problem::new(Code::InvalidExpression, message)
    }
    .with_help("put the values into rows or `vars`, or split the entry")
}
