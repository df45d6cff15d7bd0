//! What the service answers.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The service's answer to a start that it accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartAnswer {
    /// The run that now has the Workflow ID.
    pub run_id: String,
    /// The first run of its chain; empty if the service does not say.
    pub first_run_id: String,
    /// Whether the request began the run, now or when it was sent before.
    pub began: bool,
}

/// What the service knows of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Whether it has not ended; a paused one has not.
    pub open: bool,
    /// The first run of its chain; `None` if the service does not say.
    pub first_run_id: Option<String>,
    /// Request ID of the start that began it; `None` if the service does not say. One that was only
    /// attached is none.
    pub request_id: Option<String>,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunClose {
    /// How it ended.
    pub how: CloseKind,
    /// Time on the service's clock.
    pub at: Timestamp,
    /// The run that goes on in its place: after a continue-as-new, for a retry, or after a reset.
    /// The next run of a cron schedule is none.
    pub next_run_id: Option<String>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum CloseKind {
    /// Completed, with its result: one value, or a list if the Workflow returned several.
    Completed(Option<Value>),
    /// Failed, with the failure and its causes.
    Failed(WorkflowFailure),
    /// Canceled.
    Canceled,
    /// Terminated, with the reason that was given.
    Terminated(String),
    /// A timeout of the run or the execution passed.
    TimedOut,
    /// Went on as a new run.
    ContinuedAsNew,
}

/// A failure with its chain of causes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowFailure {
    /// What the failure says.
    pub message: String,
    /// What kind of failure it is: an application error's own type, or Temporal's word for it.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Box<WorkflowFailure>>,
}

impl WorkflowFailure {
    /// The failure and its causes, the innermost last.
    pub fn chain(&self) -> impl Iterator<Item = &WorkflowFailure> {
        std::iter::successors(Some(self), |failure| failure.cause.as_deref())
    }
}
