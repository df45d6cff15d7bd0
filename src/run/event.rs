//! What happens during an apply: the whole interface between the engine and everybody who listens.
//!
//! Events are owned, serialisable and free of display options. What a report shows can be rebuilt
//! from them alone.

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::service::ServiceError;
pub use super::service::{GrpcCode, Reason, ThrottleCause, ThrottleScope, WorkflowFailure};
use crate::expand::start::SourceLine;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The apply begins. Always the first event.
    ApplyStarted(ApplyStarted),
    /// An attempt to start a Workflow failed and is followed by another one.
    AttemptFailed(AttemptFailed),
    /// The service throttles, and all starts slow down together.
    PaceChanged(PaceChanged),
    /// The service does not answer. Again every 10 s while it lasts.
    AnswersMissed(AnswersMissed),
    /// The service answers again.
    AnswersResumed(AnswersResumed),
    /// With `--wait`: nobody polls a Task Queue in which Workflows wait. Once for each.
    QueueUnserved(QueueUnserved),
    /// A start has its outcome. Exactly one for each start.
    StartFinished(StartFinished),
    /// With `--wait`: a Workflow has ended.
    WorkflowEnded(WorkflowEnded),
    /// With `--wait`: a Workflow is not waited for any longer, and was not seen to end.
    WorkflowOpen(WorkflowOpen),
    /// The apply is over. Always the last event.
    ApplyFinished(ApplyFinished),
}

/// The apply begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplyStarted {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub invocation: Invocation,
    /// Where to.
    pub service: Service,
    /// From which files.
    pub inputs: Vec<Input>,
    /// How many starts, if it is known before the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Which part of all starts, unless it is all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<Selected>,
}

/// A part of all starts of some manifests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Selected {
    /// Patterns of names and Workflow IDs; none if any will do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub select: Vec<String>,
    /// The shard, such as `2/3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// Number of all starts.
    pub of: u64,
}

impl ApplyStarted {
    /// One past the highest index that a start can have.
    pub fn indices(&self) -> u64 {
        let of = self.selection.as_ref().map(|selection| selection.of);
        of.or(self.total).unwrap_or(u64::MAX)
    }
}

/// One run of this program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invocation {
    /// ID of this run of the program; a part of the default identity.
    pub id: String,
    /// The key that makes the apply repeatable.
    pub idempotency_key: String,
    /// The command, such as `apply`.
    pub command: String,
    /// When it began, on this machine's clock.
    pub started_at: Timestamp,
    /// Version of this program.
    pub version: String,
}

/// A Temporal Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Host and port of its frontend.
    pub address: String,
    /// Namespace of the starts.
    pub namespace: String,
    /// Its version, if it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_version: Option<String>,
}

/// A manifest file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// Path as the user typed it, or `<stdin>`.
    pub path: String,
    /// SHA-256 of its text.
    pub sha256: String,
}

/// An attempt failed and is followed by another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptFailed {
    /// Position of the start in the apply, from 0.
    pub index: u64,
    /// Its Workflow ID.
    pub workflow_id: String,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Why it failed.
    pub error: ErrorRecord,
    /// Milliseconds until the next attempt.
    pub retry_in_ms: u64,
}

/// The service throttles, and all starts slow down together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaceChanged {
    /// When.
    pub at: Timestamp,
    /// Calls per second from now on; without further throttling the pace grows by itself.
    pub starts_per_second: f64,
    /// What the service said.
    pub error: ErrorRecord,
}

/// The service does not answer; it is asked again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnswersMissed {
    /// When.
    pub at: Timestamp,
    /// Milliseconds since something was heard, or since the first question.
    pub silent_ms: u64,
    /// How the last call failed, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorRecord>,
}

/// The service answers again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnswersResumed {
    /// When.
    pub at: Timestamp,
    /// Milliseconds for which nothing was heard.
    pub silent_ms: u64,
}

/// Nobody polls a Task Queue, as far as the service tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueUnserved {
    /// When.
    pub at: Timestamp,
    /// Its name.
    pub task_queue: String,
    /// Workflows of this apply that wait in it.
    pub workflows: u64,
}

/// A start has its outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StartFinished {
    /// Position of the start in the apply, from 0.
    pub index: u64,
    /// When its outcome was known, on this machine's clock.
    pub at: Timestamp,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it comes from.
    pub source: SourceLine,
    /// Its Workflow ID.
    pub workflow_id: String,
    /// The run that has the Workflow ID as far as this start knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// The first run of that run's chain, if it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_run_id: Option<String>,
    /// Workflow type name.
    #[serde(rename = "type")]
    pub workflow_type: String,
    /// Task Queue name.
    pub task_queue: String,
    /// Request ID of every attempt.
    pub request_id: String,
    /// What came of it.
    pub outcome: Outcome,
    /// For `existing`: whether that run was running or closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing_state: Option<ExistingState>,
    /// Attempts that were made; each one is one or more calls.
    pub attempts: u32,
    /// How many of them the service throttled.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub throttled: u32,
    /// Milliseconds from the first attempt to the outcome.
    pub latency_ms: f64,
    /// Why it counts as failed. Absent for a start that is in the wanted state, and for `skipped`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorRecord>,
    /// Whether a cron schedule begins the Workflow again and again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cron: bool,
}

impl StartFinished {
    /// The run that `--wait` waits for; `None` if there is none.
    pub fn run_to_wait_for(&self) -> Option<&str> {
        let has_run = matches!(
            self.outcome,
            Outcome::Started | Outcome::Deduplicated | Outcome::Existing
        );
        self.run_id.as_deref().filter(|_| has_run)
    }
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// What came of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// This invocation began a new run.
    Started,
    /// An earlier invocation with this key had begun it.
    Deduplicated,
    /// A run was there, and the policies said to leave it.
    Existing,
    /// Refused, and will be refused again.
    Failed,
    /// No answer in time; it may have started.
    Unknown,
    /// Not tried.
    Skipped,
}

impl Outcome {
    /// The outcome as reports spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Started => "started",
            Outcome::Deduplicated => "deduplicated",
            Outcome::Existing => "existing",
            Outcome::Failed => "failed",
            Outcome::Unknown => "unknown",
            Outcome::Skipped => "skipped",
        }
    }
}

/// State of a run that was there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ExistingState {
    /// It was open.
    Running,
    /// It had ended.
    Closed,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorRecord {
    /// The gRPC status code's name.
    pub code: GrpcCode,
    /// Our stable word for the reason.
    pub reason: Reason,
    /// The service's own words.
    pub message: String,
    /// For throttling: what ran out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<ThrottleCause>,
    /// For throttling: whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ThrottleScope>,
    /// Whether the same start may succeed when it is sent again.
    pub retryable: bool,
}

impl From<&ServiceError> for ErrorRecord {
    fn from(error: &ServiceError) -> Self {
        ErrorRecord {
            code: error.code,
            reason: error.reason,
            message: error.message.clone(),
            cause: error.cause,
            scope: error.scope,
            retryable: error.is_retryable(),
        }
    }
}

impl Event {
    /// What is known of a Workflow when it is not waited for any longer.
    pub fn of_workflow(
        index: u64,
        workflow_id: Arc<str>,
        run_id: String,
        workflow: WorkflowEnd,
    ) -> Self {
        if workflow.status.is_end() {
            Event::WorkflowEnded(WorkflowEnded {
                index,
                workflow_id,
                run_id,
                workflow,
            })
        } else {
            Event::WorkflowOpen(WorkflowOpen {
                index,
                workflow_id,
                run_id,
                workflow,
            })
        }
    }
}

/// A Workflow has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowEnded {
    /// Position of the start in the apply, from 0.
    pub index: u64,
    /// Its Workflow ID.
    pub workflow_id: Arc<str>,
    /// The run that ended.
    pub run_id: String,
    /// How.
    pub workflow: WorkflowEnd,
}

/// A Workflow is not waited for any longer, and was not seen to end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowOpen {
    /// Position of the start in the apply, from 0.
    pub index: u64,
    /// Its Workflow ID.
    pub workflow_id: Arc<str>,
    /// The run that was waited for last.
    pub run_id: String,
    /// What is known of it: it is `running`, or `unknown`, and then `failure` says why.
    pub workflow: WorkflowEnd,
}

/// What came of a Workflow that was waited for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowEnd {
    /// In which state.
    pub status: WorkflowStatus,
    /// When that was known, on this machine's clock; absent if the apply was killed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// For `completed`: its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// For `failed`, `terminated` and `unknown`: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<WorkflowFailure>,
    /// When it ended, on the service's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close_time: Option<Timestamp>,
}

/// State of a Workflow that was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum WorkflowStatus {
    /// It returned.
    Completed,
    /// It failed.
    Failed,
    /// It was canceled.
    Canceled,
    /// It was terminated.
    Terminated,
    /// One of its timeouts passed.
    TimedOut,
    /// It had not ended when the waiting did.
    Running,
    /// The service could not tell.
    Unknown,
}

impl WorkflowStatus {
    /// Whether a Workflow in this state has ended for certain.
    pub fn is_end(self) -> bool {
        !matches!(self, WorkflowStatus::Running | WorkflowStatus::Unknown)
    }

    /// The status as Temporal's users know it.
    pub fn as_str(self) -> &'static str {
        match self {
            WorkflowStatus::Completed => "Completed",
            WorkflowStatus::Failed => "Failed",
            WorkflowStatus::Canceled => "Canceled",
            WorkflowStatus::Terminated => "Terminated",
            WorkflowStatus::TimedOut => "TimedOut",
            WorkflowStatus::Running => "Running",
            WorkflowStatus::Unknown => "Unknown",
        }
    }
}

/// The apply is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplyFinished {
    /// When.
    pub at: Timestamp,
    /// Why it ended before all starts were made, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
}

/// Why an apply ended before all starts were made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "camelCase")]
pub enum Stopped {
    /// A signal, or a closed standard output.
    Interrupt {
        /// Number of the signal: 1 (hangup), 2 (interrupt, also a closed standard output) or 15
        /// (termination).
        signal: i32,
    },
    /// More starts failed than `--max-failures` allows.
    Failures {
        /// How many.
        count: u64,
    },
    /// The command timeout passed.
    Timeout,
    /// The service could not be reached, or refused the first question.
    NoConnection {
        /// What happened.
        message: String,
        /// What to do about it, if that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        help: Option<String>,
    },
    /// The service refuses every start.
    Refusal {
        /// What it says.
        error: ErrorRecord,
    },
    /// The service stopped answering, or throttled everything, for as long as a start is tried.
    Silence {
        /// The last thing that was heard.
        error: ErrorRecord,
    },
    /// Something that was checked before has changed, such as a payload file.
    Input {
        /// What happened.
        message: String,
    },
    /// A journal, or the output that another program reads, could not be written.
    NotWritten {
        /// Which one, and what the system says.
        message: String,
    },
}
