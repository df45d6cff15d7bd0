//! Calls that only ask: what a run is, how it ended, who polls a Task Queue.

use std::time::Duration;

use super::api::temporal::api::enums::v1::{
    EventType, HistoryEventFilterType, TaskQueueType, WorkflowExecutionStatus,
};
use super::api::temporal::api::history::v1::HistoryEvent;
use super::api::temporal::api::workflow::v1::{RequestIdInfo, WorkflowExecutionInfo};
use super::api::temporal::api::workflowservice::v1::{
    DescribeTaskQueueRequest, DescribeTaskQueueResponse, DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse, GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
};
use super::call::{RPC_TIMEOUT, is_too_large, method};
use super::{Client, history, request, status};
use crate::run::service::{CloseKind, Description, Lookups, PollKind, RunClose, ServiceError};

/// Longest wait for the answer to a long poll; the service gives an empty one after about 20 s.
/// Source: temporal dynamic config `history.longPollExpirationInterval`.
const LONG_POLL_TIMEOUT: Duration = Duration::from_secs(60);

impl Lookups for Client {
    async fn describe(&self, workflow_id: &str, run_id: &str) -> Result<Description, ServiceError> {
        let answer = self.description(workflow_id, run_id).await?;
        let info = answer
            .workflow_execution_info
            .ok_or_else(status::empty_answer)?;
        let requests = answer.workflow_extended_info.unwrap_or_default();
        let began = |info: &RequestIdInfo| info.event_type() == EventType::WorkflowExecutionStarted;
        let began = requests
            .request_id_infos
            .into_iter()
            .find(|(_, info)| began(info));
        Ok(Description {
            open: is_open(info.status()),
            first_run_id: Some(info.first_run_id).filter(|first| !first.is_empty()),
            request_id: began.map(|(request_id, _)| request_id),
        })
    }

    async fn close(
        &self,
        workflow_id: &str,
        run_id: &str,
        poll: PollKind,
    ) -> Result<Option<RunClose>, ServiceError> {
        // Whether it is told to wait or not, the service keeps a question for the last event of an
        // open run until the run ends, or for about 20 s.
        if poll == PollKind::Quick {
            let info = self.description(workflow_id, run_id).await?;
            let info = info.workflow_execution_info;
            if info.is_some_and(|info| is_open(info.status())) {
                return Ok(None);
            }
        }
        let close = match self.last_event(workflow_id, run_id, poll).await? {
            LastEvent::Missing => None,
            LastEvent::Read(event) => history::close(*event, self.with_results),
            LastEvent::TooLarge(error) => {
                let close = self.close_by_description(workflow_id, run_id, *error);
                Some(Box::pin(close).await?)
            }
        };
        let Some(mut close) = close else {
            return Ok(None);
        };
        let may_go_on = !matches!(
            close.how,
            CloseKind::Completed(_) | CloseKind::ContinuedAsNew
        );
        if close.next_run_id.is_none() && may_go_on {
            close.next_run_id = Box::pin(self.reset_of(workflow_id, run_id)).await?;
        }
        Ok(Some(close))
    }

    async fn has_pollers(&self, task_queue: &str) -> Result<bool, ServiceError> {
        let message = DescribeTaskQueueRequest {
            namespace: self.connection.namespace.clone(),
            task_queue: Some(request::task_queue_of(task_queue)),
            task_queue_type: TaskQueueType::Workflow.into(),
        };
        let answer: DescribeTaskQueueResponse = self
            .caller
            .call(method!("DescribeTaskQueue"), message, RPC_TIMEOUT)
            .await
            .map_err(|status| self.error(&status))?;
        Ok(!answer.pollers.is_empty())
    }
}

impl Client {
    /// What the service says of a run.
    async fn description(
        &self,
        workflow_id: &str,
        run_id: &str,
    ) -> Result<DescribeWorkflowExecutionResponse, ServiceError> {
        let message = DescribeWorkflowExecutionRequest {
            namespace: self.connection.namespace.clone(),
            execution: Some(request::execution(workflow_id, run_id)),
        };
        self.caller
            .call(method!("DescribeWorkflowExecution"), message, RPC_TIMEOUT)
            .await
            .map_err(|status| self.error(&status))
    }

    /// The run that goes on in place of one that has ended, because somebody has reset it. A reset
    /// of an earlier run of its chain ends it too, and then only the chain's current run tells.
    async fn reset_of(
        &self,
        workflow_id: &str,
        run_id: &str,
    ) -> Result<Option<String>, ServiceError> {
        let ended = match self.description(workflow_id, run_id).await {
            Ok(described) => described,
            // How it ended is known, and whoever may read that need not be allowed to ask this.
            Err(error) if !error.is_retryable() => return Ok(None),
            Err(error) => return Err(error),
        };
        let reset = ended.workflow_extended_info.unwrap_or_default();
        if !reset.reset_run_id.is_empty() {
            return Ok(Some(reset.reset_run_id));
        }
        let info = ended.workflow_execution_info.unwrap_or_default();
        if info.status() != WorkflowExecutionStatus::Terminated || info.first_run_id.is_empty() {
            return Ok(None);
        }
        self.current_of_chain(workflow_id, run_id, &info).await
    }

    /// The current run of a run's chain, if that is another one.
    async fn current_of_chain(
        &self,
        workflow_id: &str,
        run_id: &str,
        info: &WorkflowExecutionInfo,
    ) -> Result<Option<String>, ServiceError> {
        let current = match self.description(workflow_id, "").await {
            Ok(described) => described.workflow_execution_info.unwrap_or_default(),
            Err(error) if !error.is_retryable() => return Ok(None),
            Err(error) => return Err(error),
        };
        let is_ours = current.first_run_id == info.first_run_id;
        let current = current.execution.unwrap_or_default().run_id;
        Ok(Some(current).filter(|current| is_ours && current != run_id && !current.is_empty()))
    }

    /// The last event of a run's history, once it is there.
    async fn last_event(
        &self,
        workflow_id: &str,
        run_id: &str,
        poll: PollKind,
    ) -> Result<LastEvent, ServiceError> {
        let message = GetWorkflowExecutionHistoryRequest {
            namespace: self.connection.namespace.clone(),
            execution: Some(request::execution(workflow_id, run_id)),
            maximum_page_size: 1,
            wait_new_event: poll == PollKind::Long,
            history_event_filter_type: HistoryEventFilterType::CloseEvent.into(),
            skip_archival: true,
            ..Default::default()
        };
        let timeout = match poll {
            PollKind::Quick => RPC_TIMEOUT,
            PollKind::Long => LONG_POLL_TIMEOUT,
        };
        let answer: GetWorkflowExecutionHistoryResponse = match self
            .caller
            .call(method!("GetWorkflowExecutionHistory"), message, timeout)
            .await
        {
            Ok(answer) => answer,
            Err(status) if is_too_large(&status) => {
                return Ok(LastEvent::TooLarge(Box::new(self.error(&status))));
            }
            Err(status) => return Err(self.error(&status)),
        };
        let events = answer.history.map(|history| history.events);
        let event = events.and_then(|events| events.into_iter().next());
        Ok(event.map_or(LastEvent::Missing, |event| LastEvent::Read(Box::new(event))))
    }

    /// How a run ended whose last event is larger than we read, or else `error`.
    async fn close_by_description(
        &self,
        workflow_id: &str,
        run_id: &str,
        error: ServiceError,
    ) -> Result<RunClose, ServiceError> {
        let ended = self.description(workflow_id, run_id).await?;
        let info = ended
            .workflow_execution_info
            .ok_or_else(status::empty_answer)?;
        let mut close = history::close_without_event(&info).ok_or_else(|| error.clone())?;
        if matches!(close.how, CloseKind::ContinuedAsNew) {
            let current = self.current_of_chain(workflow_id, run_id, &info).await?;
            close.next_run_id = Some(current.ok_or(error)?);
        }
        Ok(close)
    }
}

/// What was learnt of a run's last event. Boxed, as every call carries the room for it.
enum LastEvent {
    /// It is not there yet.
    Missing,
    Read(Box<HistoryEvent>),
    /// What the call came to.
    TooLarge(Box<ServiceError>),
}

/// Whether a run has not ended.
fn is_open(status: WorkflowExecutionStatus) -> bool {
    use WorkflowExecutionStatus::{Paused, Running};
    matches!(status, Running | Paused)
}
