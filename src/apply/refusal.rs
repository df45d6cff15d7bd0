//! Why a command does not do what it was asked for, as a value: shown once, by whoever asked.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::note::Note;
use crate::expand::Preflight;
use crate::journal::JournalError;
use crate::manifest::diagnostic::{self, Diagnostic, Severity};
use crate::manifest::source::Source;
use crate::report::replay::{NotParts, UnreadJournal};
use crate::report::validation::Validation;

/// Nothing was sent, and why.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What it is about.
    pub code: Code,
    /// How bad it is.
    pub kind: Kind,
    /// What happened.
    pub message: String,
    /// What to do, if that is known.
    pub help: Option<String>,
    /// What was found in manifests: for [`Code::Manifest`] what is wrong, and else advice.
    pub findings: Option<Box<Findings>>,
    /// What is to be told beside.
    pub notes: Vec<Note>,
}

/// What a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The flags, or settings that stand for them.
    Usage,
    /// The manifests, or what they use.
    Manifest,
    /// A journal.
    Journal,
    /// A report.
    Report,
    /// The threads that an apply needs.
    Threads,
    /// The file that `init` writes.
    Init,
    /// A signal that came before anything was sent.
    Interrupted,
    /// The command timeout, if it passed before anything was sent.
    Timeout,
}

impl Code {
    /// The code as documents spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::Usage => "usage",
            Code::Manifest => "manifest",
            Code::Journal => "journal",
            Code::Report => "report",
            Code::Threads => "threads",
            Code::Init => "init",
            Code::Interrupted => "interrupted",
            Code::Timeout => "timeout",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What kind of refusal it is. Each has an exit code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What was asked for makes no sense.
    Usage,
    /// The manifests are invalid.
    Invalid,
    /// A file could not be read or written, or the system lacks something else.
    NotWritten,
    /// The service does not answer.
    NoConnection,
    /// A signal came.
    Interrupted {
        /// Its number.
        signal: i32,
    },
    /// The command may take no longer.
    Timeout,
}

impl Refusal {
    /// A refusal with neither help nor findings.
    pub fn new(code: Code, kind: Kind, message: impl Into<String>) -> Self {
        Refusal {
            code,
            kind,
            message: message.into(),
            help: None,
            findings: None,
            notes: Vec::new(),
        }
    }

    /// What was asked for makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Refusal::new(Code::Usage, Kind::Usage, message)
    }

    /// The manifests cannot be used.
    pub fn invalid(findings: Findings) -> Self {
        let on_disk = |it: &Diagnostic| it.code == diagnostic::Code::TemporaryFile;
        let kind = if findings.diagnostics.iter().any(on_disk) {
            Kind::NotWritten
        } else {
            Kind::Invalid
        };
        let message = counted(findings.problems(), "problem");
        Refusal {
            findings: Some(Box::new(findings)),
            ..Refusal::new(Code::Manifest, kind, message)
        }
    }

    /// The system gives no thread.
    pub fn no_thread(error: &io::Error) -> Self {
        let message = format!("the system gives this program no thread: {error}; nothing was sent");
        let help =
            "raise the limit of processes, such as `ulimit -u` or the container's pids limit";
        Refusal::new(Code::Threads, Kind::NotWritten, message).with_help(help)
    }

    /// Says what to do.
    #[must_use]
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Refusal {
            help: Some(help.into()),
            ..self
        }
    }
}

impl From<JournalError> for Refusal {
    fn from(error: JournalError) -> Self {
        let (kind, help) = match &error {
            JournalError::Exists { path } => {
                let path = path.display();
                let help = format!("go on with it with `--resume {path}`, or name another file");
                (Kind::Usage, Some(help))
            }
            JournalError::Locked { .. } => (
                Kind::Usage,
                Some("wait for the other apply to end".to_owned()),
            ),
            JournalError::NotAFile { .. } => (
                Kind::NotWritten,
                Some("name a file that `--journal` has written".to_owned()),
            ),
            JournalError::Damaged { .. } => (
                Kind::NotWritten,
                Some(
                    "repeat the apply with its idempotency key instead: it needs no journal"
                        .to_owned(),
                ),
            ),
            JournalError::Io { .. } | JournalError::Temporary { .. } => (Kind::NotWritten, None),
        };
        Refusal {
            help,
            ..Refusal::new(Code::Journal, kind, error.to_string())
        }
    }
}

impl From<UnreadJournal> for Refusal {
    fn from(error: UnreadJournal) -> Self {
        Refusal::new(Code::Journal, Kind::NotWritten, error.to_string())
    }
}

impl From<NotParts> for Refusal {
    fn from(error: NotParts) -> Self {
        let help = match error {
            NotParts::Unread(unread) => return unread.into(),
            NotParts::SameFile { .. } => "name each journal once",
            NotParts::SameStart { .. } => {
                "of journals that were written one after the other for one shard, merge the last"
            }
            NotParts::Differ { .. } | NotParts::None => {
                "merge the journals that all shards of one apply have written"
            }
        };
        Refusal::new(Code::Journal, Kind::Usage, error.to_string()).with_help(help)
    }
}

/// What was found in manifests: problems and advice.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Number of files with manifests.
    pub files: u64,
    /// Number of selected starts; `None` if nothing is known of them.
    pub starts: Option<u64>,
    /// What is wrong, and advice, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
    /// Number of further problems, which are only counted.
    pub hidden: u64,
}

impl Findings {
    /// What is wrong in some sources.
    pub fn of(sources: &[Arc<Source>], mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostic::sort(&mut diagnostics);
        Findings {
            files: sources.len() as u64,
            starts: None,
            diagnostics,
            hidden: 0,
        }
    }

    /// Adds what a dry run shows.
    pub(super) fn with(mut self, preflight: &mut Preflight) -> Self {
        self.diagnostics.append(&mut preflight.diagnostics);
        diagnostic::sort(&mut self.diagnostics);
        Findings {
            starts: Some(preflight.total),
            hidden: preflight.hidden,
            ..self
        }
    }

    /// Whether nothing is wrong; there may be advice.
    pub fn are_sound(&self) -> bool {
        let is_error = |it: &Diagnostic| it.severity == Severity::Error;
        !self.diagnostics.iter().any(is_error)
    }

    /// Number of everything that was found, also of what is not kept.
    pub fn problems(&self) -> u64 {
        self.diagnostics.len() as u64 + self.hidden
    }

    /// Leaves out advice.
    pub fn leave_out_advice(&mut self) {
        self.diagnostics.retain(|it| it.severity == Severity::Error);
    }

    /// What was found, as data.
    pub fn to_document(&self) -> Validation {
        let records = self.diagnostics.iter().map(Diagnostic::to_record);
        Validation::new(
            self.are_sound(),
            self.files,
            self.starts.unwrap_or(0),
            records.collect(),
            self.hidden,
        )
    }
}

/// `1 file`, `2 files`.
pub fn counted(count: u64, word: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {word}{plural}")
}
