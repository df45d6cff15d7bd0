//! Of Workflows that are waited for.

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::run::service::WorkflowFailure;

/// Nobody polls a Task Queue, as far as the service tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueUnserved {
    /// Time of the event, on this machine's clock.
    pub at: Timestamp,
    /// Name of the Task Queue.
    pub task_queue: String,
    /// Workflows of this apply that wait in it.
    pub workflows: u64,
}

/// A Workflow has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowEnded {
    /// Position of the start in the apply, from 0.
    pub index: u64,
    /// Its Workflow ID.
    pub workflow_id: Arc<str>,
    /// The run that ended.
    pub run_id: String,
    /// How it ended, and with what.
    pub workflow: WorkflowEnd,
}

/// A Workflow is not waited for any longer, and was not seen to end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowOpen {
    /// Position of the start in the apply, from 0.
    pub index: u64,
    /// Its Workflow ID.
    pub workflow_id: Arc<str>,
    /// The run that was waited for last.
    pub run_id: String,
    /// What is known of it: it is `running`, or `unknown`, and then `failure` says why.
    pub workflow: WorkflowEnd,
}

/// What came of a Workflow that was waited for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowEnd {
    /// Its state when it was looked at last.
    pub status: WorkflowStatus,
    /// When that was known, on this machine's clock; absent if nobody asked about it any more, or the
    /// apply was killed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// For `completed`: its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// For `failed`, `terminated` and `unknown`: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<WorkflowFailure>,
    /// When it ended, on the service's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close_time: Option<Timestamp>,
}

impl WorkflowEnd {
    /// Nobody saw it end, and nobody asked about it when the waiting ended.
    pub fn unseen() -> Self {
        WorkflowEnd {
            status: WorkflowStatus::Running,
            at: None,
            result: None,
            failure: None,
            close_time: None,
        }
    }
}

/// State of a Workflow that was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum WorkflowStatus {
    /// It returned.
    Completed,
    /// It failed.
    Failed,
    /// It was canceled.
    Canceled,
    /// It was terminated.
    Terminated,
    /// One of its timeouts passed.
    TimedOut,
    /// It had not ended when the waiting did.
    Running,
    /// The service could not tell.
    Unknown,
}

impl WorkflowStatus {
    /// Whether a Workflow in this state has ended for certain.
    pub fn is_end(self) -> bool {
        !matches!(self, WorkflowStatus::Running | WorkflowStatus::Unknown)
    }

    /// The status as Temporal's users know it.
    pub fn as_str(self) -> &'static str {
        match self {
            WorkflowStatus::Completed => "Completed",
            WorkflowStatus::Failed => "Failed",
            WorkflowStatus::Canceled => "Canceled",
            WorkflowStatus::Terminated => "Terminated",
            WorkflowStatus::TimedOut => "TimedOut",
            WorkflowStatus::Running => "Running",
            WorkflowStatus::Unknown => "Unknown",
        }
    }
}
