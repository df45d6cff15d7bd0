//! What is said of a start: its outcome as an event, and the errors that are our own words.

use jiff::Timestamp;
use uuid::Uuid;

use super::context::ApplyContext;
use super::event::{ErrorRecord, GrpcCode, Outcome, Reason, StartFinished};
use super::protocol::Failing;
use super::service::{ErrorClass, ServiceError};
use crate::expand::start::Start;

/// An error with what it leaves open.
pub(super) fn record(error: &ServiceError, failing: &Failing<String>) -> ErrorRecord {
    let mut record = ErrorRecord::from(error);
    let open = match failing {
        Failing::NothingBegun => return record,
        Failing::MayHaveBegun => {
            "an earlier request had no answer and may have started the Workflow".to_owned()
        }
        Failing::Ended(first) => {
            format!("the run {first} was told to end for this start")
        }
        Failing::CannotTell(run) => {
            format!("cannot tell whether the run {run} was begun under this key")
        }
    };
    record.message = format!("{open}: repeat with the same key: {}", record.message);
    record.retryable = true;
    record
}

/// The outcome of a start that was not tried.
pub(super) fn skipped(context: &ApplyContext, start: &Start) -> StartFinished {
    blank(start, request_id(context, start), Outcome::Skipped)
}

/// The outcome of a start whose answer was not waited for any longer.
pub(super) fn abandoned(context: &ApplyContext, start: &Start) -> StartFinished {
    let error = ErrorRecord {
        code: GrpcCode::Cancelled,
        reason: Reason::Interrupted,
        message: "the answer did not come before the interrupted apply ended".to_owned(),
        cause: None,
        scope: None,
        retryable: true,
    };
    StartFinished {
        attempts: 1,
        error: Some(error),
        ..blank(start, request_id(context, start), Outcome::Unknown)
    }
}

/// The part of a start's request IDs that every invocation under the key has, as reports show it.
pub(super) fn request_id(context: &ApplyContext, start: &Start) -> Uuid {
    let key = &context.key;
    key.request_id(&context.namespace, &start.workflow_id)
}

/// An outcome of which nothing more is known yet.
pub(super) fn blank(start: &Start, request_id: Uuid, outcome: Outcome) -> StartFinished {
    StartFinished {
        index: start.index,
        at: Timestamp::now(),
        name: start.name.clone(),
        source: start.source.clone(),
        workflow_id: start.workflow_id.clone(),
        run_id: None,
        first_run_id: None,
        workflow_type: start.workflow.workflow_type.to_string(),
        task_queue: start.workflow.task_queue.to_string(),
        request_id: request_id.to_string(),
        outcome,
        existing_state: None,
        attempts: 0,
        throttled: 0,
        latency_ms: 0.0,
        error: None,
        cron: start.options.cron_schedule.is_some(),
    }
}

/// Why a start counts as failed under `failExisting`.
pub(super) fn existing_error() -> ErrorRecord {
    ErrorRecord {
        code: GrpcCode::AlreadyExists,
        reason: Reason::WorkflowExists,
        message: "a Workflow with this ID exists, and failExisting is set".to_owned(),
        cause: None,
        scope: None,
        retryable: false,
    }
}

/// An answer that names no run, or is one to another call.
pub(super) fn no_answer() -> ServiceError {
    ServiceError {
        class: ErrorClass::Unanswered,
        code: GrpcCode::Ok,
        reason: Reason::EmptyAnswer,
        message: "the service's answer is none to a start".to_owned(),
        cause: None,
        scope: None,
    }
}

/// What has the Workflow ID has changed while it was looked at.
pub(super) fn contended() -> ServiceError {
    ServiceError {
        class: ErrorClass::Transient,
        code: GrpcCode::Aborted,
        reason: Reason::Contended,
        message: "other clients begin and end runs under this Workflow ID".to_owned(),
        cause: None,
        scope: None,
    }
}

/// There is no time left to wait for an answer.
pub(super) fn unanswered() -> ServiceError {
    ServiceError {
        class: ErrorClass::Unanswered,
        code: GrpcCode::DeadlineExceeded,
        reason: Reason::DeadlineExceeded,
        message: "the service did not answer in time".to_owned(),
        cause: None,
        scope: None,
    }
}
