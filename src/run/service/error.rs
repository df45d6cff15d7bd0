//! How a call to the service fails, and what that means for the start it was made for.

use super::words::{GrpcCode, Reason, ThrottleCause, ThrottleScope};

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
