//! A Workflow start: all that a start request needs, in our own types.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::payloads::payload::Payload;
pub use crate::manifest::document::{IdConflictPolicy, IdReusePolicy, LinkEventType};

/// Where a start comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceLine {
    /// The manifest file as the user typed it.
    pub file: Arc<str>,
    /// Line of the entry, from 1.
    pub line: u32,
    /// Row of the entry, from 1, if it stands for several starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
}

/// One Workflow start: what runs, and how it is begun.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// Position in the apply, from 0, in file order.
    pub index: u64,
    /// Where it comes from.
    pub source: SourceLine,
    /// Name for reports.
    pub name: Option<String>,
    /// Workflow ID.
    pub workflow_id: String,
    /// What runs.
    pub workflow: WorkflowSpec,
    /// How it is begun. The starts of one entry mostly share it.
    pub options: Arc<StartOptions>,
}

/// What runs, however it is begun.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkflowSpec {
    /// Workflow type name.
    pub workflow_type: Arc<str>,
    /// Task Queue name.
    pub task_queue: Arc<str>,
    /// Arguments in order.
    pub args: Vec<Payload>,
    /// Memo values by name.
    pub memo: Vec<(Arc<str>, Payload)>,
    /// Search attribute values by name.
    pub search_attributes: Vec<(Arc<str>, Payload)>,
    /// Workflow headers by name.
    pub headers: Vec<(Arc<str>, Payload)>,
    /// One line for the Web UI.
    pub static_summary: Option<Arc<str>>,
    /// Text for the Web UI.
    pub static_details: Option<Arc<str>>,
    /// Everything else. The Workflows of one entry mostly share it.
    pub options: Arc<WorkflowOptions>,
}

/// What a Workflow runs under, beside names and payloads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkflowOptions {
    /// Most time for the whole Workflow; `None` is no limit.
    pub execution_timeout: Option<Duration>,
    /// Most time for a run; `None` is the execution timeout.
    pub run_timeout: Option<Duration>,
    /// Most time for a Workflow Task; `None` is the service's default of 10 s.
    pub task_timeout: Option<Duration>,
    /// How the service tries a failed run again.
    pub retry_policy: Option<RetryPolicy>,
    /// Priority and fairness.
    pub priority: Option<Priority>,
    /// The Worker Deployment Version that runs the Workflow.
    pub versioning_override: Option<VersioningOverride>,
}

/// How a Workflow is begun.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StartOptions {
    /// What happens when a closed Workflow has the ID; `None` is the service's default.
    pub id_reuse_policy: Option<IdReusePolicy>,
    /// What happens when a running Workflow has the ID; `None` is the service's default.
    pub id_conflict_policy: Option<IdConflictPolicy>,
    /// Time before the first Workflow Task.
    pub start_delay: Option<Duration>,
    /// Cron schedule: it is begun again and again.
    pub cron_schedule: Option<String>,
    /// Nexus callbacks.
    pub completion_callbacks: Vec<CompletionCallback>,
    /// What caused the start.
    pub links: Vec<Link>,
    /// What is attached to a running Workflow.
    pub on_conflict: Option<OnConflict>,
    /// Whether an existing Workflow makes the start fail.
    pub fail_existing: bool,
}

/// How the service tries a failed run again; `None` and zero are the service's defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Time before the first retry.
    pub initial_interval: Option<Duration>,
    /// Factor between intervals.
    pub backoff_coefficient: Option<f64>,
    /// Longest interval.
    pub maximum_interval: Option<Duration>,
    /// Most runs.
    pub maximum_attempts: i32,
    /// Error types that are not retried.
    pub non_retryable_error_types: Vec<String>,
}

/// Priority and fairness of a Workflow's tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct Priority {
    /// 1 to 5; 0 is the service's default.
    pub key: i32,
    /// Fairness key; empty is none.
    pub fairness_key: String,
    /// Fairness weight; 0 is the service's default.
    pub fairness_weight: f32,
}

/// The Worker Deployment Version that runs a Workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersioningOverride {
    /// This version only.
    Pinned {
        /// Name of the Worker Deployment.
        deployment_name: String,
        /// Build ID of the version.
        build_id: String,
    },
    /// The current version.
    AutoUpgrade,
}

/// A Nexus callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletionCallback {
    /// Where to call.
    pub url: String,
    /// Headers of the call.
    pub headers: Vec<(String, String)>,
}

/// What caused a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// An event in a Workflow's history.
    WorkflowEvent {
        /// Namespace of the Workflow.
        namespace: String,
        /// ID of the Workflow.
        workflow_id: String,
        /// Run ID of the Workflow.
        run_id: String,
        /// Number of the event.
        event_id: Option<i64>,
        /// Type of the event.
        event_type: Option<LinkEventType>,
    },
    /// A batch job.
    BatchJob {
        /// ID of the job.
        job_id: String,
    },
}

/// What is attached to a running Workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnConflict {
    /// The request ID.
    pub attach_request_id: bool,
    /// The completion callbacks.
    pub attach_completion_callbacks: bool,
    /// The links.
    pub attach_links: bool,
}
