//! The process's surroundings, captured once, so that nothing else asks for them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal;

use jiff::Timestamp;
use temporal_manifest::manifest::inputs::FilesRead;
use uuid::Uuid;

/// Variables, terminal facts, and what is this run's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) stdout_is_terminal: bool,
    pub(crate) stderr_is_terminal: bool,
    /// Width of the terminal behind standard error, in columns.
    pub(crate) width: Option<usize>,
    /// Whether people's output is drawn in ASCII, because the locale has nothing else.
    pub(crate) ascii: bool,
    /// The words of the command line after the program's own name.
    pub(crate) arguments: Vec<OsString>,
    /// Name of this machine, if it has one.
    pub(crate) host_name: Option<String>,
    /// A new random ID, of this run of the program.
    pub(crate) invocation_id: String,
    /// When it began.
    pub(crate) started_at: Timestamp,
    /// Which files were read so far; a list that all share who open one.
    pub(crate) files_read: FilesRead,
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
        let mut environment = Environment {
            variables,
            stdout_is_terminal: std::io::stdout().is_terminal(),
            stderr_is_terminal: std::io::stderr().is_terminal(),
            width: console::Term::stderr()
                .size_checked()
                .map(|(_, columns)| usize::from(columns)),
            ascii: false,
            arguments: std::env::args_os().skip(1).collect(),
            host_name: gethostname::gethostname()
                .into_string()
                .ok()
                .filter(|name| !name.is_empty()),
            invocation_id: Uuid::new_v4().to_string(),
            started_at: Timestamp::now(),
            files_read: FilesRead::default(),
        };
        environment.ascii = environment.is_ascii();
        environment
    }

    /// A variable's value, also an empty one.
    pub(crate) fn variable_or_empty(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Whether the locale has no more than ASCII. The first variable that is set decides, as in
    /// POSIX, "8.2 Internationalization Variables". Without any, which is how containers and
    /// services are started, today's terminals are meant.
    fn is_ascii(&self) -> bool {
        let mut names = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter();
        let Some(locale) = names.find_map(|name| self.variable(name)) else {
            return false;
        };
        if matches!(locale, "C" | "POSIX") {
            return true;
        }
        let codeset = locale.split('@').next().and_then(|it| it.split_once('.'));
        codeset.is_some_and(|(_, codeset)| {
            !codeset.eq_ignore_ascii_case("UTF-8") && !codeset.eq_ignore_ascii_case("UTF8")
        })
    }

    /// A variable's value; an empty one counts as unset.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_is_the_first_variable_that_is_set() {
        let table: &[(&[(&str, &str)], bool)] = &[
            (&[], false),
            (&[("LANG", "C")], true),
            (&[("LANG", "POSIX")], true),
            (&[("LANG", "C.UTF-8")], false),
            (&[("LANG", "de_DE.utf8@euro")], false),
            (&[("LANG", "de_DE.ISO-8859-1")], true),
            (&[("LANG", "en_US")], false),
            (&[("LANG", "en_US.UTF-8"), ("LC_CTYPE", "C")], true),
            (&[("LC_ALL", "en_US.UTF-8"), ("LC_CTYPE", "C")], false),
            (&[("LC_ALL", ""), ("LC_CTYPE", "C")], true),
            (&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")], true),
        ];
        for (variables, ascii) in table {
            let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let environment = Environment {
                variables: variables.iter().map(own).collect(),
                ..Environment::default()
            };
            assert_eq!(environment.is_ascii(), *ascii, "{variables:?}");
        }
    }
}
