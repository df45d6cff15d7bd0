//! Every exit code, and which one a summary comes to.

use temporal_manifest::report::ending::Ending;
use temporal_manifest::report::summary::Summary;
use temporal_manifest::run::event::Stopped;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Every start is in the wanted state.
    Success,
    /// A mistake in this program, such as a panic.
    Internal,
    /// The flags make no sense.
    Usage,
    /// The manifest is invalid; nothing was sent.
    Invalid,
    /// Some starts failed for good.
    Failed,
    /// No connection, or everything is refused.
    NoConnection,
    /// Starts are unknown, or skipped by an interruption of the service; or nobody could tell how a
    /// Workflow ended.
    Unknown,
    /// A Workflow ended, but not Completed.
    NotCompleted,
    /// A report could not be written.
    NotWritten,
    /// Workflows were still running when the waiting ended.
    StillRunning,
    /// A signal, or a closed standard output.
    Interrupted {
        /// The signal's number.
        signal: i32,
    },
}

impl Exit {
    /// The code for the shell.
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Internal => 1,
            Exit::Usage => 2,
            Exit::Invalid => 3,
            Exit::Failed => 4,
            Exit::NoConnection => 5,
            Exit::Unknown => 6,
            Exit::NotCompleted => 7,
            Exit::NotWritten => 8,
            Exit::StillRunning => 9,
            Exit::Interrupted { signal } => 128 + signal as u8,
        }
    }

    /// Of two codes the one that a caller must know first.
    pub(crate) fn first(self, other: Exit) -> Exit {
        let rank = |exit: Exit| match exit {
            Exit::NotWritten => 0,
            Exit::Interrupted { .. } => 1,
            Exit::NoConnection => 2,
            Exit::Unknown => 3,
            Exit::Failed => 4,
            Exit::StillRunning => 5,
            Exit::NotCompleted => 6,
            Exit::Internal | Exit::Usage | Exit::Invalid => 7,
            Exit::Success => 8,
        };
        if rank(other) < rank(self) {
            other
        } else {
            self
        }
    }

    /// What an apply comes to. When several codes apply, the one that a caller must know first.
    pub(crate) fn of(ending: &Ending) -> Self {
        if ending.unwritten {
            Exit::NotWritten
        } else {
            Exit::of_starts(&ending.summary, ending.stopped())
        }
    }

    /// What an apply comes to that could be told.
    fn of_starts(summary: &Summary, stopped: Option<&Stopped>) -> Self {
        match stopped {
            Some(Stopped::NotWritten { .. }) => Exit::NotWritten,
            Some(Stopped::Interrupt { signal }) => Exit::Interrupted { signal: *signal },
            Some(Stopped::NoConnection { .. } | Stopped::Refusal { .. }) => Exit::NoConnection,
            Some(Stopped::Input { .. }) => Exit::Invalid,
            Some(Stopped::Silence { .. }) => Exit::Unknown,
            // What was skipped was skipped because too many had failed.
            Some(Stopped::Failures { .. }) if summary.unknown == 0 => Exit::Failed,
            Some(Stopped::Failures { .. }) => Exit::Unknown,
            // Once every start was made, the timeout has ended the waiting and nothing else.
            // Of an apply without a recorded end only its starts tell.
            None | Some(Stopped::Timeout | Stopped::Unrecorded) => Exit::of_all(summary),
        }
    }

    /// What an apply comes to whose starts have all been tried.
    fn of_all(summary: &Summary) -> Self {
        let workflows = summary.workflows.unwrap_or_default();
        if summary.unknown > 0 || summary.skipped > 0 || workflows.unknown > 0 {
            Exit::Unknown
        } else if summary.failed > 0 || summary.existing_failed > 0 {
            Exit::Failed
        } else if workflows.running > 0 {
            Exit::StillRunning
        } else if workflows.ended_otherwise() > 0 {
            Exit::NotCompleted
        } else {
            Exit::Success
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use temporal_manifest::report::summary::WorkflowCounts;

    fn summary(change: impl FnOnce(&mut Summary)) -> (Summary, Option<Stopped>) {
        stopped(None, change)
    }

    fn stopped(
        stopped: impl Into<Option<Stopped>>,
        change: impl FnOnce(&mut Summary),
    ) -> (Summary, Option<Stopped>) {
        let mut summary = Summary::default();
        change(&mut summary);
        (summary, stopped.into())
    }

    #[test]
    fn the_code_that_matters_most_wins() {
        let workflows = |running, failed| {
            Some(WorkflowCounts {
                running,
                failed,
                ..WorkflowCounts::default()
            })
        };
        let signal = |signal| Stopped::Interrupt { signal };
        let unwritten = Stopped::NotWritten {
            message: String::new(),
        };
        let unconnected = Stopped::NoConnection {
            message: String::new(),
            help: None,
        };
        let table = [
            (summary(|_| {}), 0),
            (summary(|s| s.existing = 3), 0),
            (summary(|s| (s.existing, s.existing_failed) = (3, 3)), 4),
            (summary(|s| s.failed = 1), 4),
            (summary(|s| (s.failed, s.unknown) = (1, 1)), 6),
            (
                summary(|s| (s.failed, s.workflows) = (1, workflows(1, 1))),
                4,
            ),
            (stopped(unwritten, |s| s.unknown = 1), 8),
            (summary(|s| s.workflows = workflows(1, 1)), 9),
            (
                stopped(Stopped::Timeout, |s| s.workflows = workflows(1, 0)),
                9,
            ),
            (stopped(Stopped::Timeout, |s| s.skipped = 1), 6),
            (stopped(signal(1), |s| s.skipped = 1), 129),
            (summary(|s| s.workflows = workflows(0, 1)), 7),
            (stopped(signal(15), |s| s.unknown = 1), 143),
            (stopped(unconnected, |_| {}), 5),
        ];
        for ((summary, stopped), code) in table {
            let exit = Exit::of_starts(&summary, stopped.as_ref());
            assert_eq!(exit.code(), code, "{summary:?} {stopped:?}");
        }
    }
}
