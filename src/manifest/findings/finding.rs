//! What a check says: code, path and words, without a place in the text.

use std::sync::Arc;

use super::diagnostic::{Code, Diagnostic};
use super::locate::{Step, Target, locate};
use crate::manifest::text::node::Node;
use crate::manifest::text::scalar::shorten;
use crate::manifest::text::source::{Source, Span};

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
    /// What to make of the value as it is written, for a help that shows it.
    pub rewrite: Option<Rewrite>,
}

/// What to make of a value so that it has the type that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// A string.
    Quote,
    /// A list.
    List,
    /// A duration.
    Unit,
}

impl Rewrite {
    /// The help for a value that is written like this, if what is written is worth showing.
    fn help(self, written: &str) -> Option<String> {
        let bare = written.trim_matches(['"', '\'']);
        let inner = bare
            .strip_prefix("${{")
            .and_then(|it| it.strip_suffix("}}"));
        let Some(inner) = inner.filter(|inner| !inner.contains("${{")) else {
            let shown = shorten(written);
            return match self {
                Rewrite::Quote => Some(format!("quote it: `\"{shown}\"`")),
                Rewrite::List => Some(format!("write a list: `[{shown}]`")),
                // `0x1F` takes no unit.
                Rewrite::Unit => None,
            };
        };
        let inner = inner.trim();
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
        let shown = shorten(inner);
        Some(match self {
            Rewrite::Quote if inner.chars().all(is_name) => {
                format!("make it text: `${{{{ {shown} | string }}}}`")
            }
            Rewrite::Quote => format!("make it text: `${{{{ ({shown}) | string }}}}`"),
            Rewrite::List => format!("make it a list: `${{{{ [{shown}] }}}}`"),
            Rewrite::Unit => {
                let text = format!("${{{{ {shown} }}}}");
                format!("write a unit: `{text}s`, `{text}m` or `{text}h`")
            }
        })
    }
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
            rewrite: None,
        }
    }

    /// Says what to make of the value as it is written.
    #[must_use]
    pub fn with_rewrite(mut self, rewrite: Rewrite) -> Self {
        self.rewrite = Some(rewrite);
        self
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
        let written = source.text().get(span.start as usize..span.end as usize);
        // A tag or quotes of its own would stand inside of the quotes.
        let written = written.filter(|it| !it.is_empty() && !it.starts_with('!'));
        let rewritten = self.rewrite.zip(written);
        let mut diagnostic = Diagnostic::new(self.code, self.message).at(source, span);
        diagnostic.help = rewritten
            .and_then(|(it, written)| it.help(written))
            .or(self.help);
        diagnostic
    }
}

/// What a result holds; what is wrong with it is added to `findings`.
pub(crate) fn keep<T>(result: Result<T, Vec<Finding>>, findings: &mut Vec<Finding>) -> Option<T> {
    result.map_err(|mut more| findings.append(&mut more)).ok()
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
