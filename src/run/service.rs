//! The seam in front of the network: what the engine asks a Temporal Service, and how it fails.

mod words;

use std::future::Future;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::expand::start::{IdConflictPolicy, IdReusePolicy, Start};
pub use words::{GrpcCode, Reason, ThrottleCause, ThrottleScope};

/// Asks a Temporal Service. Every call is tried once; the engine decides about another attempt.
pub trait Starter: Send + Sync {
    /// Sends a start request.
    fn start(
        &self,
        start: &Start,
        request: &StartRequest,
    ) -> impl Future<Output = Result<StartAnswer, ServiceError>> + Send;

    /// What the service knows of a run.
    fn describe(
        &self,
        workflow_id: &str,
        run_id: &str,
    ) -> impl Future<Output = Result<Description, ServiceError>> + Send;

    /// Ends the open run of the chain that `first_run_id` began. If another chain has the Workflow
    /// ID, or the run is closed, nothing happens, and the error's reason is `notFound`.
    fn terminate(
        &self,
        workflow_id: &str,
        first_run_id: &str,
    ) -> impl Future<Output = Result<(), ServiceError>> + Send;

    /// How a run ended; `None` while it is open. With [`PollKind::Long`] the answer may take as
    /// long as the service holds a long poll, about 20 s.
    fn close(
        &self,
        workflow_id: &str,
        run_id: &str,
        poll: PollKind,
    ) -> impl Future<Output = Result<Option<RunClose>, ServiceError>> + Send;

    /// Whether Workers poll a Task Queue for Workflows, as far as the service tells.
    fn has_pollers(
        &self,
        _task_queue: &str,
    ) -> impl Future<Output = Result<bool, ServiceError>> + Send {
        async { Ok(true) }
    }
}

/// How a start request is sent; see [`super::protocol`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartRequest {
    /// Its request ID, at most 64 bytes.
    pub request_id: String,
    /// The ID reuse policy, whatever the start's own is.
    pub id_reuse_policy: IdReusePolicy,
    /// The ID conflict policy, whatever the start's own is.
    pub id_conflict_policy: IdConflictPolicy,
    /// Whether the start's `onConflict` is sent.
    pub attaches: bool,
}

/// How long an answer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PollKind {
    /// StartAnswer at once.
    Quick,
    /// StartAnswer when something happens.
    Long,
}

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
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

/// The service refused a call, or did not answer it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ServiceError {
    /// What it means for the start.
    pub class: ErrorClass,
    /// The gRPC status code.
    pub code: GrpcCode,
    /// Why, in a word of ours.
    pub reason: Reason,
    /// The service's own words.
    pub message: String,
    /// For throttling: what ran out.
    pub cause: Option<ThrottleCause>,
    /// For throttling: whose it is.
    pub scope: Option<ThrottleScope>,
}

/// What an error means for the start it answers.
/// Source: temporal-manifest's own reading of the service's errors; see `docs/errors.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The Workflow ID is taken, and the policies say to leave it.
    Existing(Box<ExistingRun>),
    /// Too much is asked of the service. Nothing was started.
    Throttled,
    /// The service could not do it just now. It may have started.
    Transient,
    /// No answer came. It may have started.
    Unanswered,
    /// This start is refused, and will be refused again.
    Refused,
    /// Every start of this apply will be refused.
    Fatal,
}

/// The run that has a Workflow ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExistingRun {
    /// Request ID of the start that began it.
    pub request_id: String,
    /// Its run ID.
    pub run_id: String,
    /// The first run of its chain; empty if the service does not say.
    pub first_run_id: String,
    /// Whether it is closed; `None` if the service's words do not tell.
    pub closed: Option<bool>,
}

impl ServiceError {
    /// Whether the service throttles only this Workflow ID, and nobody else has to slow down.
    pub fn is_only_this_workflow(&self) -> bool {
        self.class == ErrorClass::Throttled && self.cause == Some(ThrottleCause::BusyWorkflow)
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.class,
            ErrorClass::Throttled | ErrorClass::Transient | ErrorClass::Unanswered
        )
    }
}
