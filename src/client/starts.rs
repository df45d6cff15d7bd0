//! Calls that change something: starting a Workflow, and ending one that a start replaces.

use super::api::temporal::api::workflowservice::v1::{
    StartWorkflowExecutionResponse, TerminateWorkflowExecutionRequest,
    TerminateWorkflowExecutionResponse,
};
use super::call::{RPC_TIMEOUT, method};
use super::connection::Connection;
use super::{Client, request};
use crate::expand::start::Start;
use crate::run::service::{ServiceError, StartAnswer, StartRequest, Starter};

/// What the history of a run says that was ended for a start.
const TERMINATION_REASON: &str = "replaced by a start with idConflictPolicy TerminateExisting";

impl Starter for Client {
    async fn start(
        &self,
        start: &Start,
        request: &StartRequest,
    ) -> Result<StartAnswer, ServiceError> {
        let Connection {
            namespace,
            identity,
            ..
        } = &self.connection;
        let message = request::start_request(start, namespace, identity, request);
        let answer: StartWorkflowExecutionResponse = self
            .caller
            .call(method!("StartWorkflowExecution"), message, RPC_TIMEOUT)
            .await
            .map_err(|status| self.error(&status))?;
        Ok(StartAnswer {
            run_id: answer.run_id,
            first_run_id: answer.first_execution_run_id,
            began: answer.started || (request.leaves_open_runs() && !self.tells_who_began),
        })
    }

    async fn terminate(&self, workflow_id: &str, first_run_id: &str) -> Result<(), ServiceError> {
        let message = TerminateWorkflowExecutionRequest {
            namespace: self.connection.namespace.clone(),
            workflow_execution: Some(request::execution(workflow_id, "")),
            reason: TERMINATION_REASON.to_owned(),
            identity: self.connection.identity.clone(),
            first_execution_run_id: first_run_id.to_owned(),
        };
        let _: TerminateWorkflowExecutionResponse = self
            .caller
            .call(method!("TerminateWorkflowExecution"), message, RPC_TIMEOUT)
            .await
            .map_err(|status| self.error(&status))?;
        Ok(())
    }
}
