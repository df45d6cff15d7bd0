//! Reads the last event of a run.

use jiff::Timestamp;

use super::api::temporal::api::enums::v1::{ContinueAsNewInitiator, RetryState, TimeoutType};
use super::api::temporal::api::failure::v1::Failure as WireFailure;
use super::api::temporal::api::failure::v1::failure::FailureInfo;
use super::api::temporal::api::history::v1::HistoryEvent;
use super::api::temporal::api::history::v1::history_event::Attributes;
use super::payload::result_value;
use crate::run::starter::{Close, Closed, Failure};

/// How a run ended, if `event` is a run's last one.
pub(super) fn close(event: HistoryEvent) -> Option<Close> {
    let at = timestamp(event.event_time.unwrap_or_default());
    let (how, next_run_id) = match event.attributes? {
        // A completed run has a next one only by its cron schedule.
        Attributes::WorkflowExecutionCompletedEventAttributes(completed) => {
            (Closed::Completed(result_value(completed.result)), None)
        }
        Attributes::WorkflowExecutionFailedEventAttributes(failed) => {
            let next = retry(failed.retry_state(), failed.new_execution_run_id);
            (
                Closed::Failed(failed.failure.map(failure).unwrap_or_else(nameless)),
                next,
            )
        }
        Attributes::WorkflowExecutionTimedOutEventAttributes(timed_out) => {
            let next = retry(timed_out.retry_state(), timed_out.new_execution_run_id);
            (Closed::TimedOut, next)
        }
        Attributes::WorkflowExecutionCanceledEventAttributes(_) => (Closed::Canceled, None),
        Attributes::WorkflowExecutionTerminatedEventAttributes(terminated) => {
            (Closed::Terminated(terminated.reason), None)
        }
        Attributes::WorkflowExecutionContinuedAsNewEventAttributes(continued) => {
            let by_cron = continued.initiator() == ContinueAsNewInitiator::CronSchedule;
            (
                Closed::ContinuedAsNew,
                Some(continued.new_execution_run_id).filter(|_| !by_cron),
            )
        }
        Attributes::WorkflowExecutionStartedEventAttributes(_)
        | Attributes::WorkflowExecutionSignaledEventAttributes(_) => return None,
    };
    Some(Close {
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

fn nameless() -> Failure {
    Failure {
        message: "the Workflow failed without a failure".to_owned(),
        kind: None,
        cause: None,
    }
}

fn failure(wire: WireFailure) -> Failure {
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
    Failure {
        message: wire.message,
        kind,
        cause: wire.cause.map(|cause| Box::new(failure(*cause))),
    }
}
