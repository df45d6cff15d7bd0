//! How an apply's end is told in words.

use std::time::Duration;

use super::summary::Summary;
use crate::run::event::{ErrorRecord, GrpcCode, Stopped};
use crate::visible::visible_to;

/// Longest result and message in a row, in characters.
pub(super) const MAX_TEXT: usize = 300;

/// Longest name in a row that somebody else gives, such as a run ID or the type of a failure.
pub(super) const MAX_NAME: usize = 200;

/// An error on one line.
pub(super) fn error_line(error: &ErrorRecord) -> String {
    let cause = error
        .cause
        .map(|cause| format!(" ({})", cause.as_str()))
        .unwrap_or_default();
    let code = error.code.as_str();
    format!("{code}{cause}: {}", visible_to(&error.message, MAX_TEXT))
}

/// Why an apply with this summary ended early, as a sentence.
pub fn reason(stopped: &Stopped, summary: &Summary) -> String {
    match stopped {
        Stopped::Interrupt { signal: 1 } => cut_short("hung up", summary),
        Stopped::Interrupt { signal: 15 } => cut_short("terminated", summary),
        Stopped::Interrupt { .. } => cut_short("interrupted", summary),
        Stopped::Failures { count } => {
            format!("no further starts were made, because {count} had failed (--max-failures)")
        }
        Stopped::Timeout => cut_short("the command timeout passed", summary),
        Stopped::NoConnection { message, .. } => format!("no starts were made: {message}"),
        Stopped::Refusal { error } => {
            format!(
                "no further starts were made, because each would be refused: {}",
                error_line(error)
            )
        }
        Stopped::Silence { error } => {
            format!(
                "no further starts were made, because the service {}: {}",
                if error.code == GrpcCode::ResourceExhausted {
                    "refused everything for as long as a start is tried (--retry-for)"
                } else {
                    "stopped answering"
                },
                error_line(error)
            )
        }
        Stopped::NotWritten { message } => {
            format!("no further starts were made: cannot write to {message}")
        }
        Stopped::Unrecorded => {
            "no end is recorded: the apply was killed, or goes on still".to_owned()
        }
        Stopped::Input { message } => format!("no further starts were made: {message}"),
    }
}

/// What was left undone by something that has nothing to do with the starts.
fn cut_short(by: &str, summary: &Summary) -> String {
    let undone = if summary.skipped > 0 || summary.unknown > 0 {
        "no further starts were made"
    } else if summary.workflows.is_some() {
        "every start was made, and their Workflows are not waited for any longer"
    } else {
        "every start was made"
    };
    format!("{by}: {undone}")
}

/// What to do about an apply that ended early, if that is known.
pub fn help(stopped: &Stopped) -> Option<&str> {
    match stopped {
        Stopped::NoConnection { help, .. } => help.as_deref(),
        _ => None,
    }
}

/// A duration as people read it.
pub fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        total => format!("{} min {} s", total / 60, total % 60),
    }
}
