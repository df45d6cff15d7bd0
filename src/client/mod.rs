//! The edge to the network: implements [`Starter`] over gRPC. The only place that sees tonic,
//! prost or generated code.

pub mod api;
mod call;
pub mod config;
pub mod connect;
pub mod diagnose;
mod grpc_only;
mod history;
mod metadata;
mod payload;
mod request;
mod status;
mod unverified;

use std::time::Duration;

use tonic::Status;
use uuid::Uuid;

use crate::expand::start::Start;
use crate::run::starter::{Answer, Close, Found, Origin, Patience, Policies, StartError, Starter};
use api::temporal::api::common::v1::WorkflowExecution;
use api::temporal::api::enums::v1::{EventType, HistoryEventFilterType, WorkflowExecutionStatus};
use api::temporal::api::history::v1::HistoryEvent;
use api::temporal::api::workflowservice::v1::{
    DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryRequest, GetWorkflowExecutionHistoryResponse,
    StartWorkflowExecutionResponse,
};
use call::{Caller, method};
use connect::Connection;
use status::start_error;

/// Longest wait for the answer to one call. On expiry the outcome is unknown, and the call is
/// repeated with the same request ID. Source: sdk-go `internal_utils.go`, the default RPC timeout.
pub const RPC_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait for the answer to a long poll; the service gives an empty one after about 20 s.
/// Source: temporal dynamic config `history.longPollExpirationInterval`.
const LONG_POLL_TIMEOUT: Duration = Duration::from_secs(60);

/// A connection to a Temporal Service that has answered.
#[derive(Clone, Debug)]
pub struct Client {
    caller: Caller,
    connection: Connection,
    server_version: String,
}

impl Client {
    fn new(caller: Caller, connection: Connection, server_version: String) -> Self {
        Client {
            caller,
            connection,
            server_version,
        }
    }

    /// The service's version.
    pub fn server_version(&self) -> &str {
        &self.server_version
    }

    /// What a failed call means. A lost connection says where to.
    fn error(&self, status: &Status) -> StartError {
        let mut error = start_error(status);
        if matches!(error.reason, "connectionLost" | "notGrpc") {
            error.message = format!("{}: {}", self.connection.address, error.message);
        }
        error
    }

    /// What the service knows of a run.
    async fn describe(
        &self,
        workflow_id: &str,
        run_id: &str,
    ) -> Result<DescribeWorkflowExecutionResponse, StartError> {
        let message = DescribeWorkflowExecutionRequest {
            namespace: self.connection.namespace.clone(),
            execution: Some(execution(workflow_id, run_id)),
        };
        self.caller
            .call(method!("DescribeWorkflowExecution"), message, RPC_TIMEOUT)
            .await
            .map_err(|status| self.error(&status))
    }

    /// Whether a run has not ended.
    async fn is_open(&self, workflow_id: &str, run_id: &str) -> Result<bool, StartError> {
        let info = (self.describe(workflow_id, run_id).await?).workflow_execution_info;
        let status = info.unwrap_or_default().status();
        Ok(matches!(
            status,
            WorkflowExecutionStatus::Running | WorkflowExecutionStatus::Paused
        ))
    }

    /// The last or the first event of a run's history. Boxed, as starts carry the room for it.
    async fn event(
        &self,
        workflow_id: &str,
        run_id: &str,
        which: HistoryEventFilterType,
        patience: Patience,
    ) -> Result<Option<Box<HistoryEvent>>, StartError> {
        let message = GetWorkflowExecutionHistoryRequest {
            namespace: self.connection.namespace.clone(),
            execution: Some(execution(workflow_id, run_id)),
            maximum_page_size: 1,
            wait_new_event: patience == Patience::LongPoll,
            history_event_filter_type: which.into(),
            skip_archival: true,
            ..Default::default()
        };
        let timeout = match patience {
            Patience::Now => RPC_TIMEOUT,
            Patience::LongPoll => LONG_POLL_TIMEOUT,
        };
        let answer: GetWorkflowExecutionHistoryResponse = self
            .caller
            .call(method!("GetWorkflowExecutionHistory"), message, timeout)
            .await
            .map_err(|status| self.error(&status))?;
        Ok(answer
            .history
            .and_then(|history| history.events.into_iter().next())
            .map(Box::new))
    }
}

impl Starter for Client {
    async fn start(
        &self,
        start: &Start,
        request_id: Uuid,
        policies: Policies,
    ) -> Result<Answer, StartError> {
        let Connection {
            namespace,
            identity,
            ..
        } = &self.connection;
        let message = request::start_request(start, namespace, identity, request_id, policies);
        let answer: StartWorkflowExecutionResponse = self
            .caller
            .call(method!("StartWorkflowExecution"), message, RPC_TIMEOUT)
            .await
            .map_err(|status| self.error(&status))?;
        Ok(Answer {
            run_id: answer.run_id,
            first_run_id: answer.first_execution_run_id,
            began: answer.started,
        })
    }

    async fn find_request(
        &self,
        workflow_id: &str,
        run_id: &str,
        request_id: Uuid,
    ) -> Result<Found, StartError> {
        let info = match self.describe(workflow_id, run_id).await {
            Ok(described) => described.workflow_extended_info,
            // The first run has left retention, and with it the trace of the request.
            Err(error) if error.reason == "notFound" => return Ok(Found::No),
            Err(error) => return Err(error),
        };
        let requests = info.unwrap_or_default().request_id_infos;
        Ok(match requests.get(&request_id.to_string()) {
            Some(request) if request.event_type() == EventType::WorkflowExecutionStarted => {
                Found::Began
            }
            Some(_) => Found::Attached,
            None => Found::No,
        })
    }

    async fn origin(&self, workflow_id: &str, run_id: &str) -> Result<Origin, StartError> {
        let which = HistoryEventFilterType::AllEvent;
        let event = match self.event(workflow_id, run_id, which, Patience::Now).await {
            Ok(event) => event,
            // Reading histories may be forbidden where describing is not: the clock still tells.
            Err(error) if !error.is_retryable() && error.reason != "notFound" => {
                let described = self.describe(workflow_id, run_id).await?;
                let info = described.workflow_execution_info.unwrap_or_default();
                return history::origin_by_time(info.start_time).ok_or(error);
            }
            Err(error) => return Err(error),
        };
        event
            .as_deref()
            .and_then(history::origin)
            .ok_or_else(|| start_error(&Status::not_found("the run's history has no first event")))
    }

    async fn close(
        &self,
        workflow_id: &str,
        run_id: &str,
        patience: Patience,
    ) -> Result<Option<Close>, StartError> {
        // Whether it is told to wait or not, the service keeps a question for the last event of an
        // open run until the run ends, or for about 20 s.
        if patience == Patience::Now && self.is_open(workflow_id, run_id).await? {
            return Ok(None);
        }
        let which = HistoryEventFilterType::CloseEvent;
        Ok(self
            .event(workflow_id, run_id, which, patience)
            .await?
            .and_then(|event| history::close(*event)))
    }
}

fn execution(workflow_id: &str, run_id: &str) -> WorkflowExecution {
    WorkflowExecution {
        workflow_id: workflow_id.to_owned(),
        run_id: run_id.to_owned(),
    }
}
