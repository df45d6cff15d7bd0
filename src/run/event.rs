//! What happens during an apply: the whole interface between the engine and everybody who listens.
//!
//! Events are owned, serialisable and free of display options. What a report shows can be rebuilt
//! from them alone.

mod apply;
mod error_record;
mod start;
mod workflow;

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::service::{GrpcCode, Reason, ThrottleCause, ThrottleScope, WorkflowFailure};
pub use apply::{ApplyFinished, ApplyStarted, Input, Invocation, Selected, Service, Stopped};
pub use error_record::ErrorRecord;
pub use start::{AttemptFailed, ExistingState, Outcome, StartFinished};
pub use workflow::{QueueUnserved, WorkflowEnd, WorkflowEnded, WorkflowOpen, WorkflowStatus};

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

/// The service throttles, and all starts slow down together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaceChanged {
    /// Time of the event, on this machine's clock.
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
    /// Time of the event, on this machine's clock.
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
    /// Time of the event, on this machine's clock.
    pub at: Timestamp,
    /// Milliseconds for which nothing was heard.
    pub silent_ms: u64,
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
