//! What an answer about a Workflow means: its end, or another question.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::waiting::{Trouble, Waiting};
use crate::run::event::{WorkflowEnd, WorkflowStatus};
use crate::run::service::{
    CloseKind, ErrorClass, PollKind, RunClose, ServiceError, WorkflowFailure,
};

/// Shortest and longest time between two quick questions about the same Workflow.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// What to do after an answer.
pub(super) enum NextStep {
    /// Nothing more will be asked.
    Over(WorkflowEnd),
    /// Ask again: after a pause that has to be kept, or whenever there is room for a long poll.
    AskAgain {
        /// The pause.
        after: Duration,
        /// Whether it has to be kept.
        kept: bool,
    },
}

/// Reads an answer that took so long, and follows a chain of runs by one step.
pub(super) fn next_step(
    waiting: &mut Waiting,
    close: Result<Option<RunClose>, ServiceError>,
    poll: PollKind,
    took: Duration,
    retry_for: Duration,
) -> NextStep {
    let close = match close {
        Ok(close) => close,
        Err(error) => return after_error(waiting, error, retry_for),
    };
    waiting.trouble = None;
    let Some(close) = close else {
        return still_open(waiting, poll, took);
    };
    let RunClose {
        how,
        at,
        next_run_id,
    } = close;
    if let Some(next) = next_run_id {
        return match waiting.chain.follow(next) {
            Ok(after) => NextStep::AskAgain {
                after,
                kept: !after.is_zero(),
            },
            Err(endless) => NextStep::Over(unknown(endless.words().to_owned(), None)),
        };
    }
    NextStep::Over(ended(how, at))
}

/// How a Workflow ended that no other run goes on for.
fn ended(how: CloseKind, at: Timestamp) -> WorkflowEnd {
    let mut ended = end(WorkflowStatus::Completed);
    ended.close_time = Some(at);
    match how {
        CloseKind::Completed(result) => ended.result = result,
        CloseKind::Failed(failure) => {
            ended.status = WorkflowStatus::Failed;
            ended.failure = Some(failure);
        }
        CloseKind::Canceled => ended.status = WorkflowStatus::Canceled,
        CloseKind::Terminated(reason) => {
            ended.status = WorkflowStatus::Terminated;
            ended.failure = Some(WorkflowFailure {
                message: reason,
                kind: None,
                cause: None,
            })
            .filter(|failure| !failure.message.is_empty());
        }
        CloseKind::TimedOut => ended.status = WorkflowStatus::TimedOut,
        // A run of a cron schedule ends like this on old servers.
        CloseKind::ContinuedAsNew => {}
    }
    ended
}

fn still_open(waiting: &Waiting, poll: PollKind, took: Duration) -> NextStep {
    match poll {
        PollKind::Quick => NextStep::AskAgain {
            after: (waiting.since.elapsed() / 4).clamp(SHORTEST_PAUSE, LONGEST_PAUSE),
            kept: false,
        },
        // A service that does not hold long polls is not asked all the time.
        PollKind::Long => NextStep::AskAgain {
            after: SHORTEST_PAUSE.saturating_sub(took),
            kept: true,
        },
    }
}

fn after_error(waiting: &mut Waiting, error: ServiceError, retry_for: Duration) -> NextStep {
    let since = waiting.trouble.as_ref().map(|trouble| trouble.since);
    let since = since.unwrap_or_else(Instant::now);
    let left = retry_for.saturating_sub(since.elapsed());
    let hopeless = matches!(
        error.class,
        ErrorClass::Refused | ErrorClass::Fatal | ErrorClass::Existing(_)
    );
    if hopeless || left.is_zero() {
        return NextStep::Over(untold(&error));
    }
    let after = (since.elapsed() / 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
    let after = after.min(left);
    waiting.trouble = Some(Box::new(Trouble { since, error }));
    NextStep::AskAgain { after, kept: true }
}

/// What is known of a Workflow when it is not waited for any longer: that it runs, unless nobody
/// could be asked.
pub(super) fn open(waiting: &Waiting) -> WorkflowEnd {
    match &waiting.trouble {
        Some(trouble) => untold(&trouble.error),
        None => end(WorkflowStatus::Running),
    }
}

/// The service could not tell.
fn untold(error: &ServiceError) -> WorkflowEnd {
    unknown(error.message.clone(), Some(error.code.as_str().to_owned()))
}

/// Nobody knows how a Workflow ended, or whether.
pub(super) fn unknown(message: String, kind: Option<String>) -> WorkflowEnd {
    WorkflowEnd {
        failure: Some(WorkflowFailure {
            message,
            kind,
            cause: None,
        }),
        ..end(WorkflowStatus::Unknown)
    }
}

fn end(status: WorkflowStatus) -> WorkflowEnd {
    WorkflowEnd {
        status,
        at: None,
        result: None,
        failure: None,
        close_time: None,
    }
}
