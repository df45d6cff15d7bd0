//! A Worker that does what a test says, run by run: calls of the service that the program never
//! makes, with messages of our own for the few fields that matter.

use std::time::Duration;

use prost::Message;
use temporal_manifest::client::api::temporal::api::common::v1::{
    Payloads, WorkflowExecution, WorkflowType,
};
use temporal_manifest::client::api::temporal::api::failure::v1::failure::FailureInfo;
use temporal_manifest::client::api::temporal::api::failure::v1::{ApplicationFailureInfo, Failure};
use temporal_manifest::client::api::temporal::api::taskqueue::v1::TaskQueue;
use temporal_manifest::client::api::temporal::api::workflowservice::v1::{
    DescribeWorkflowExecutionResponse, GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::support::workflows::describe_request;

const NAMESPACE: &str = "default";

/// Longest wait for an answer; polls are held for as long.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a Workflow does in its next Workflow Task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// It completes.
    Complete,
    /// It fails in a way that a retry policy tries again.
    Fail,
    /// It fails for good.
    FailForGood,
    /// It continues as new.
    ContinueAsNew,
}

#[derive(Clone, PartialEq, Message)]
struct PollWorkflowTaskQueueRequest {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(message, optional, tag = "2")]
    task_queue: Option<TaskQueue>,
    #[prost(string, tag = "3")]
    identity: String,
}

#[derive(Clone, PartialEq, Message)]
struct PollWorkflowTaskQueueResponse {
    #[prost(bytes = "vec", tag = "1")]
    task_token: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    workflow_execution: Option<WorkflowExecution>,
}

#[derive(Clone, PartialEq, Message)]
struct RespondWorkflowTaskCompletedRequest {
    #[prost(bytes = "vec", tag = "1")]
    task_token: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    commands: Vec<CommandMessage>,
    #[prost(string, tag = "3")]
    identity: String,
    #[prost(string, tag = "9")]
    namespace: String,
}

#[derive(Clone, PartialEq, Message)]
struct CommandMessage {
    #[prost(int32, tag = "1")]
    command_type: i32,
    #[prost(message, optional, tag = "4")]
    complete: Option<CompleteAttributes>,
    #[prost(message, optional, tag = "5")]
    fail: Option<FailAttributes>,
    #[prost(message, optional, tag = "11")]
    continue_as_new: Option<ContinueAsNewAttributes>,
}

#[derive(Clone, PartialEq, Message)]
struct CompleteAttributes {
    #[prost(message, optional, tag = "1")]
    result: Option<Payloads>,
}

#[derive(Clone, PartialEq, Message)]
struct FailAttributes {
    #[prost(message, optional, tag = "1")]
    failure: Option<Failure>,
}

#[derive(Clone, PartialEq, Message)]
struct ContinueAsNewAttributes {
    #[prost(message, optional, tag = "1")]
    workflow_type: Option<WorkflowType>,
    #[prost(message, optional, tag = "2")]
    task_queue: Option<TaskQueue>,
}

#[derive(Clone, PartialEq, Message)]
struct ResetWorkflowExecutionRequest {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(message, optional, tag = "2")]
    workflow_execution: Option<WorkflowExecution>,
    #[prost(string, tag = "3")]
    reason: String,
    #[prost(int64, tag = "4")]
    workflow_task_finish_event_id: i64,
    #[prost(string, tag = "5")]
    request_id: String,
}

#[derive(Clone, PartialEq, Message)]
struct ResetWorkflowExecutionResponse {
    #[prost(string, tag = "1")]
    run_id: String,
}

#[derive(Clone, PartialEq, Message)]
struct DeleteWorkflowExecutionRequest {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(message, optional, tag = "2")]
    workflow_execution: Option<WorkflowExecution>,
}

#[derive(Clone, PartialEq, Message)]
struct Nothing {}

/// The Worker of one Task Queue of its own.
#[derive(Clone, Debug)]
pub struct Hand {
    channel: Channel,
    task_queue: String,
}

impl Hand {
    /// A Worker that has not polled yet.
    pub fn new(channel: Channel, task_queue: &str) -> Self {
        Hand {
            channel,
            task_queue: task_queue.to_owned(),
        }
    }

    /// Lets an open run do something. It is done when this returns.
    ///
    /// # Errors
    /// The run does not come to a Workflow Task, or not to this end.
    pub async fn command(&self, run_id: &str, command: Command) -> Result<(), Status> {
        let token = self.task_of(run_id).await?;
        let request = RespondWorkflowTaskCompletedRequest {
            task_token: token,
            commands: vec![self.message(command)],
            identity: "by hand".to_owned(),
            namespace: NAMESPACE.to_owned(),
        };
        let Nothing {} = self.call("RespondWorkflowTaskCompleted", request).await?;
        Ok(())
    }

    /// The Workflow Task of a run.
    async fn task_of(&self, run_id: &str) -> Result<Vec<u8>, Status> {
        let mut timeouts = 0;
        loop {
            let request = PollWorkflowTaskQueueRequest {
                namespace: NAMESPACE.to_owned(),
                task_queue: Some(self.task_queue()),
                identity: "by hand".to_owned(),
            };
            let answer = self.call("PollWorkflowTaskQueue", request).await;
            let task: PollWorkflowTaskQueueResponse = match answer {
                // A poll is held for longer than a connection of tests waits.
                Err(status) if status.code() == Code::Cancelled && timeouts < 2 => {
                    timeouts += 1;
                    continue;
                }
                answer => answer?,
            };
            // Tasks of runs that were ended from outside are dropped.
            if task
                .workflow_execution
                .is_some_and(|it| it.run_id == run_id)
            {
                return Ok(task.task_token);
            }
        }
    }

    fn task_queue(&self) -> TaskQueue {
        TaskQueue {
            name: self.task_queue.clone(),
            ..TaskQueue::default()
        }
    }

    fn message(&self, command: Command) -> CommandMessage {
        let failure = |non_retryable| FailAttributes {
            failure: Some(Failure {
                message: "as the test says".to_owned(),
                failure_info: Some(FailureInfo::ApplicationFailureInfo(
                    ApplicationFailureInfo {
                        r#type: "Said".to_owned(),
                        non_retryable,
                        ..ApplicationFailureInfo::default()
                    },
                )),
                ..Failure::default()
            }),
        };
        let blank = CommandMessage::default();
        match command {
            Command::Complete => CommandMessage {
                command_type: 4,
                complete: Some(CompleteAttributes { result: None }),
                ..blank
            },
            Command::Fail | Command::FailForGood => CommandMessage {
                command_type: 5,
                fail: Some(failure(command == Command::FailForGood)),
                ..blank
            },
            Command::ContinueAsNew => CommandMessage {
                command_type: 10,
                continue_as_new: Some(ContinueAsNewAttributes {
                    workflow_type: Some(WorkflowType {
                        name: "ByHand".to_owned(),
                    }),
                    task_queue: Some(self.task_queue()),
                }),
                ..blank
            },
        }
    }

    /// Resets a run to its first Workflow Task, and returns the run that is begun for it; `None` if
    /// it has come to none.
    pub async fn reset(&self, workflow_id: &str, run_id: &str) -> Option<String> {
        let event = self.first_completed_task(workflow_id, run_id).await?;
        let request = ResetWorkflowExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            workflow_execution: Some(execution(workflow_id, run_id)),
            reason: "the test says so".to_owned(),
            workflow_task_finish_event_id: event,
            request_id: uuid::Uuid::new_v4().to_string(),
        };
        let answer: ResetWorkflowExecutionResponse = self
            .call("ResetWorkflowExecution", request)
            .await
            .expect("a run that has come to a Workflow Task can be reset");
        Some(answer.run_id)
    }

    async fn first_completed_task(&self, workflow_id: &str, run_id: &str) -> Option<i64> {
        const WORKFLOW_TASK_COMPLETED: i32 = 7;
        let request = GetWorkflowExecutionHistoryRequest {
            namespace: NAMESPACE.to_owned(),
            execution: Some(execution(workflow_id, run_id)),
            maximum_page_size: 100,
            ..Default::default()
        };
        let answer: GetWorkflowExecutionHistoryResponse = self
            .call("GetWorkflowExecutionHistory", request)
            .await
            .expect("the run has a history");
        let events = answer.history.unwrap_or_default().events;
        events
            .iter()
            .find(|event| event.event_type == WORKFLOW_TASK_COMPLETED)
            .map(|event| event.event_id)
    }

    /// The run that has a Workflow ID.
    pub async fn current(&self, workflow_id: &str) -> String {
        let answer: DescribeWorkflowExecutionResponse = self
            .call(
                "DescribeWorkflowExecution",
                describe_request(workflow_id, ""),
            )
            .await
            .expect("a run has the Workflow ID");
        let info = answer.workflow_execution_info;
        info.and_then(|info| info.execution)
            .expect("a description names its run")
            .run_id
    }

    /// Deletes a closed run. The service does it in its own time.
    pub async fn delete(&self, workflow_id: &str, run_id: &str) {
        let request = DeleteWorkflowExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            workflow_execution: Some(execution(workflow_id, run_id)),
        };
        let answer: Result<Nothing, Status> = self.call("DeleteWorkflowExecution", request).await;
        answer.expect("a closed run can be deleted");
    }

    async fn call<A, B>(&self, method: &'static str, message: A) -> Result<B, Status>
    where
        A: Message + 'static,
        B: Message + Default + 'static,
    {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready()
            .await
            .map_err(|error| Status::new(Code::Unavailable, error.to_string()))?;
        let path = format!("/temporal.api.workflowservice.v1.WorkflowService/{method}");
        let path = PathAndQuery::try_from(path).expect("method names are plain");
        let mut request = Request::new(message);
        request.set_timeout(PATIENCE);
        let codec = ProstCodec::<A, B>::default();
        grpc.unary(request, path, codec)
            .await
            .map(tonic::Response::into_inner)
    }
}

fn execution(workflow_id: &str, run_id: &str) -> WorkflowExecution {
    WorkflowExecution {
        workflow_id: workflow_id.to_owned(),
        run_id: run_id.to_owned(),
    }
}
