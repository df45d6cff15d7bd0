//! The seam in front of the network: what is asked of a Temporal Service, and how it fails.
//!
//! [`Starter`] writes and [`Lookups`] reads; who only looks needs no more than the second. Every call
//! is tried once: whoever makes it decides about another attempt.

mod answers;
mod error;
mod words;

use std::future::Future;

use crate::expand::start::{IdConflictPolicy, IdReusePolicy, Start};
pub use answers::{CloseKind, Description, RunClose, StartAnswer, WorkflowFailure};
pub use error::{ErrorClass, ExistingRun, ServiceError};
pub use words::{GrpcCode, Reason, ThrottleCause, ThrottleScope};

/// A service that starts Workflows, and ends those that a start replaces.
pub trait Starter: Lookups {
    /// Sends a start request.
    ///
    /// # Errors
    /// The request was refused, or had no answer; then the Workflow may have been started.
    fn start(
        &self,
        start: &Start,
        request: &StartRequest,
    ) -> impl Future<Output = Result<StartAnswer, ServiceError>> + Send;

    /// Ends the open run of the chain that `first_run_id` began. If another chain has the Workflow
    /// ID, or the run is closed, nothing happens.
    ///
    /// # Errors
    /// As of any call; [`Reason::NotFound`] if nothing happens.
    fn terminate(
        &self,
        workflow_id: &str,
        first_run_id: &str,
    ) -> impl Future<Output = Result<(), ServiceError>> + Send;
}

/// A service that is asked and not changed.
pub trait Lookups: Send + Sync {
    /// What the service knows of a run. An empty run ID stands for the Workflow ID's current one.
    ///
    /// # Errors
    /// As of any call; [`Reason::NotFound`] if there is no such run.
    fn describe(
        &self,
        workflow_id: &str,
        run_id: &str,
    ) -> impl Future<Output = Result<Description, ServiceError>> + Send;

    /// How a run ended; `None` while it is open. With [`PollKind::Long`] the answer may take as
    /// long as the service holds a long poll, about 20 s.
    ///
    /// # Errors
    /// As of any call.
    fn close(
        &self,
        workflow_id: &str,
        run_id: &str,
        poll: PollKind,
    ) -> impl Future<Output = Result<Option<RunClose>, ServiceError>> + Send;

    /// Whether Workers poll a Task Queue for Workflows, as far as the service tells.
    ///
    /// # Errors
    /// As of any call; asking may be denied where starting is not.
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

impl StartRequest {
    /// Whether the request leaves an open run alone: what it is accepted for is then its own run,
    /// or one that a request of the same ID has begun.
    pub fn leaves_open_runs(&self) -> bool {
        self.id_conflict_policy == IdConflictPolicy::Fail
    }

    /// Whether it leaves closed ones alone too, so that it is accepted for its own run only.
    pub fn leaves_all_runs(&self) -> bool {
        self.leaves_open_runs() && self.id_reuse_policy == IdReusePolicy::RejectDuplicate
    }
}

/// How long an answer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PollKind {
    /// StartAnswer at once.
    Quick,
    /// StartAnswer when something happens.
    Long,
}
