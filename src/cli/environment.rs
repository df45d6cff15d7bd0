//! The process's surroundings, captured once, so that nothing else asks for them.

use std::collections::BTreeMap;
use std::io::IsTerminal;

/// Variables and terminal facts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) stdout_is_terminal: bool,
    pub(crate) stderr_is_terminal: bool,
    /// Width of the terminal behind standard error, in columns.
    pub(crate) width: Option<usize>,
}

impl Environment {
    pub(crate) fn capture() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that captures the environment"
        )]
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Environment {
            variables,
            stdout_is_terminal: std::io::stdout().is_terminal(),
            stderr_is_terminal: std::io::stderr().is_terminal(),
            width: console::Term::stderr()
                .size_checked()
                .map(|(_, columns)| usize::from(columns)),
        }
    }

    /// A variable's value; an empty one counts as unset.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }
}
