//! Reads the last event of a run.

use jiff::Timestamp;

use super::api::temporal::api::enums::v1::{
    ContinueAsNewInitiator, RetryState, TimeoutType, WorkflowExecutionStatus,
};
use super::api::temporal::api::failure::v1::Failure as WireFailure;
use super::api::temporal::api::failure::v1::failure::FailureInfo;
use super::api::temporal::api::history::v1::HistoryEvent;
use super::api::temporal::api::history::v1::history_event::Attributes;
use super::api::temporal::api::workflow::v1::WorkflowExecutionInfo;
use super::payload::{result_value, too_large};
use crate::run::service::{CloseKind, RunClose, WorkflowFailure};

/// What stands for a failure whose event is larger than we read.
const FAILURE_TOO_LARGE: &str = "(more than 4 MiB, not shown)";

/// How a run ended whose last event is larger than we read; `None` if it has not ended.
pub(super) fn close_without_event(info: &WorkflowExecutionInfo) -> Option<RunClose> {
    use WorkflowExecutionStatus as Status;
    let how = match info.status() {
        Status::Completed => CloseKind::Completed(Some(too_large())),
        Status::Failed => CloseKind::Failed(WorkflowFailure {
            message: FAILURE_TOO_LARGE.to_owned(),
            kind: None,
            cause: None,
        }),
        Status::Canceled => CloseKind::Canceled,
        Status::Terminated => CloseKind::Terminated(FAILURE_TOO_LARGE.to_owned()),
        Status::ContinuedAsNew => CloseKind::ContinuedAsNew,
        Status::TimedOut => CloseKind::TimedOut,
        Status::Unspecified | Status::Running | Status::Paused => return None,
    };
    Some(RunClose {
        how,
        at: timestamp(info.close_time.unwrap_or_default()),
        next_run_id: None,
    })
}

/// How a run ended, if `event` is a run's last one. Its result is decoded only if that is wanted.
pub(super) fn close(event: HistoryEvent, with_result: bool) -> Option<RunClose> {
    let at = timestamp(event.event_time.unwrap_or_default());
    let (how, next_run_id) = match event.attributes? {
        // A completed run has a next one only by its cron schedule.
        Attributes::WorkflowExecutionCompletedEventAttributes(completed) => {
            let result = completed.result.filter(|_| with_result);
            (CloseKind::Completed(result_value(result)), None)
        }
        Attributes::WorkflowExecutionFailedEventAttributes(failed) => {
            let next = retry(failed.retry_state(), failed.new_execution_run_id);
            (
                CloseKind::Failed(failed.failure.map(failure).unwrap_or_else(nameless)),
                next,
            )
        }
        Attributes::WorkflowExecutionTimedOutEventAttributes(timed_out) => {
            let next = retry(timed_out.retry_state(), timed_out.new_execution_run_id);
            (CloseKind::TimedOut, next)
        }
        Attributes::WorkflowExecutionCanceledEventAttributes(_) => (CloseKind::Canceled, None),
        Attributes::WorkflowExecutionTerminatedEventAttributes(terminated) => {
            (CloseKind::Terminated(terminated.reason), None)
        }
        Attributes::WorkflowExecutionContinuedAsNewEventAttributes(continued) => {
            let by_cron = continued.initiator() == ContinueAsNewInitiator::CronSchedule;
            (
                CloseKind::ContinuedAsNew,
                Some(continued.new_execution_run_id).filter(|_| !by_cron),
            )
        }
        Attributes::WorkflowExecutionStartedEventAttributes(_)
        | Attributes::WorkflowExecutionSignaledEventAttributes(_) => return None,
    };
    Some(RunClose {
        how,
        at,
        next_run_id,
    })
}

/// The next run after a failure: a retry is one of the same Workflow, a cron schedule's is not.
fn retry(state: RetryState, next_run_id: String) -> Option<String> {
    (state == RetryState::InProgress && !next_run_id.is_empty()).then_some(next_run_id)
}

fn timestamp(time: prost_types::Timestamp) -> Timestamp {
    Timestamp::new(time.seconds, time.nanos).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn nameless() -> WorkflowFailure {
    WorkflowFailure {
        message: "the Workflow failed without a failure".to_owned(),
        kind: None,
        cause: None,
    }
}

fn failure(wire: WireFailure) -> WorkflowFailure {
    let kind = wire.failure_info.map(|info| match info {
        FailureInfo::ApplicationFailureInfo(info) if !info.r#type.is_empty() => info.r#type,
        FailureInfo::ApplicationFailureInfo(_) => "ApplicationFailure".to_owned(),
        FailureInfo::TimeoutFailureInfo(info) => match info.timeout_type() {
            TimeoutType::Unspecified => "TimeoutFailure".to_owned(),
            kind => format!(
                "TimeoutFailure ({})",
                kind.as_str_name().trim_start_matches("TIMEOUT_TYPE_")
            ),
        },
        FailureInfo::CanceledFailureInfo(_) => "CanceledFailure".to_owned(),
        FailureInfo::TerminatedFailureInfo(_) => "TerminatedFailure".to_owned(),
        FailureInfo::ServerFailureInfo(_) => "ServerFailure".to_owned(),
        FailureInfo::ResetWorkflowFailureInfo(_) => "ResetWorkflowFailure".to_owned(),
        FailureInfo::ActivityFailureInfo(info) => {
            format!(
                "ActivityFailure ({})",
                info.activity_type.unwrap_or_default().name
            )
        }
        FailureInfo::ChildWorkflowExecutionFailureInfo(info) => {
            format!(
                "ChildWorkflowFailure ({})",
                info.workflow_type.unwrap_or_default().name
            )
        }
        FailureInfo::NexusOperationExecutionFailureInfo(info) => {
            format!("NexusOperationFailure ({})", info.operation)
        }
        FailureInfo::NexusHandlerFailureInfo(info) => {
            format!("NexusHandlerFailure ({})", info.r#type)
        }
    });
    WorkflowFailure {
        message: wire.message,
        kind,
        cause: wire.cause.map(|cause| Box::new(failure(*cause))),
    }
}
