//! What a real server says about its Workflows, asked without our own client.

use std::time::{Duration, Instant};

use temporal_manifest::client::api::temporal::api::common::v1::WorkflowExecution;
use temporal_manifest::client::api::temporal::api::enums::v1::{
    HistoryEventFilterType, WorkflowExecutionStatus,
};
use temporal_manifest::client::api::temporal::api::history::v1::HistoryEvent;
use temporal_manifest::client::api::temporal::api::history::v1::history_event::Attributes;
use temporal_manifest::client::api::temporal::api::workflow::v1::WorkflowExecutionInfo;
use temporal_manifest::client::api::temporal::api::workflowservice::v1::{
    DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryRequest,
};

use super::dev_server::SharedServer;
use super::{POLL_PAUSE, block_on};

/// Longest time for something the server does in its own time.
const PATIENCE: Duration = Duration::from_secs(60);

/// A run of a Workflow as requests name it; an empty run ID means the current one.
pub fn execution(workflow_id: &str, run_id: &str) -> Option<WorkflowExecution> {
    Some(WorkflowExecution {
        workflow_id: workflow_id.to_owned(),
        run_id: run_id.to_owned(),
    })
}

/// A question about one run.
pub fn describe_request(workflow_id: &str, run_id: &str) -> DescribeWorkflowExecutionRequest {
    DescribeWorkflowExecutionRequest {
        namespace: "default".to_owned(),
        execution: execution(workflow_id, run_id),
    }
}

impl SharedServer {
    /// What the server knows of a run; an empty run ID means the current one.
    #[track_caller]
    pub fn describe(&self, workflow_id: &str, run_id: &str) -> DescribeWorkflowExecutionResponse {
        let described = block_on(async {
            self.client()
                .await
                .describe_workflow_execution(describe_request(workflow_id, run_id))
                .await
        });
        described.expect("the server knows the run").into_inner()
    }

    /// The core of [`Self::describe`].
    #[track_caller]
    pub fn info(&self, workflow_id: &str, run_id: &str) -> WorkflowExecutionInfo {
        self.describe(workflow_id, run_id)
            .workflow_execution_info
            .expect("a description has its core")
    }

    /// The state of a run.
    #[track_caller]
    pub fn status(&self, workflow_id: &str, run_id: &str) -> WorkflowExecutionStatus {
        self.info(workflow_id, run_id).status()
    }

    /// The run that has a Workflow ID now, and the first one of its chain.
    #[track_caller]
    pub fn current_run(&self, workflow_id: &str) -> (String, String) {
        let info = self.info(workflow_id, "");
        let run = info.execution.expect("a description names its run").run_id;
        (run, info.first_run_id)
    }

    /// The first event of a run.
    #[track_caller]
    pub fn first_event(&self, workflow_id: &str, run_id: &str) -> HistoryEvent {
        self.event(workflow_id, run_id, false)
            .expect("every run has a first event")
    }

    /// Waits for the end of a run, and returns its last event.
    #[track_caller]
    pub fn close_event(&self, workflow_id: &str, run_id: &str) -> HistoryEvent {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(event) = self.event(workflow_id, run_id, true) {
                return event;
            }
            assert!(
                Instant::now() < deadline,
                "{workflow_id} did not end within {PATIENCE:?}"
            );
        }
    }

    /// Waits until a run has been continued or retried this many times, and returns the run that
    /// goes on in its place.
    #[track_caller]
    pub fn follow(&self, workflow_id: &str, run_id: &str, times: usize) -> String {
        let mut run_id = run_id.to_owned();
        for _ in 0..times {
            run_id = match self.close_event(workflow_id, &run_id).attributes {
                Some(Attributes::WorkflowExecutionContinuedAsNewEventAttributes(event)) => {
                    event.new_execution_run_id
                }
                Some(Attributes::WorkflowExecutionFailedEventAttributes(event)) => {
                    event.new_execution_run_id
                }
                other => panic!("{workflow_id} did not go on: {other:?}"),
            };
            assert!(!run_id.is_empty(), "{workflow_id} ended");
        }
        run_id
    }

    fn event(&self, workflow_id: &str, run_id: &str, close: bool) -> Option<HistoryEvent> {
        let which = if close {
            HistoryEventFilterType::CloseEvent
        } else {
            HistoryEventFilterType::AllEvent
        };
        let request = GetWorkflowExecutionHistoryRequest {
            namespace: "default".to_owned(),
            execution: execution(workflow_id, run_id),
            maximum_page_size: 1,
            wait_new_event: close,
            history_event_filter_type: which.into(),
            ..Default::default()
        };
        let answer = block_on(async {
            self.client()
                .await
                .get_workflow_execution_history(request)
                .await
        });
        let history = answer.expect("the server knows the run").into_inner();
        history
            .history
            .unwrap_or_default()
            .events
            .into_iter()
            .next()
    }

    /// Waits until the server's list counts this many Workflows; the list lags behind.
    #[track_caller]
    pub fn wait_for_count(&self, query: &str, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let printed = self.temporal_stdout(&["workflow", "count", "--query", query]);
            if printed.trim() == format!("Total: {count}") {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "after {PATIENCE:?} the server counts {printed:?} instead of {count}"
            );
            std::thread::sleep(POLL_PAUSE);
        }
    }

    /// Waits until a Workflow ID is taken.
    #[track_caller]
    pub fn wait_for_workflow(&self, workflow_id: &str) {
        let deadline = Instant::now() + PATIENCE;
        let known = || {
            block_on(async {
                let request = describe_request(workflow_id, "");
                let mut client = self.client().await;
                client.describe_workflow_execution(request).await.is_ok()
            })
        };
        while !known() {
            assert!(
                Instant::now() < deadline,
                "{workflow_id} did not appear within {PATIENCE:?}"
            );
            std::thread::sleep(POLL_PAUSE);
        }
    }

    /// Ends runs the way an operator would.
    #[track_caller]
    pub fn terminate(&self, workflow_ids: &[String]) {
        // Each call is a process of its own; a few at a time are enough for two cores.
        for some in workflow_ids.chunks(8) {
            std::thread::scope(|scope| {
                for id in some {
                    scope.spawn(move || {
                        self.temporal_stdout(&[
                            "workflow",
                            "terminate",
                            "-w",
                            id,
                            "--reason",
                            "a test says so",
                        ])
                    });
                }
            });
        }
    }

    /// Lets a holding Workflow go on; it returns `value`, which is JSON.
    #[track_caller]
    pub fn release(&self, workflow_id: &str, value: &str) {
        self.temporal_stdout(&[
            "workflow",
            "signal",
            "-w",
            workflow_id,
            "--name",
            "release",
            "--input",
            value,
        ]);
    }
}
