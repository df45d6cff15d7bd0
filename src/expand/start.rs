//! A Workflow start: all that a start request needs, in our own types.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::payload::Payload;
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

/// One Workflow start.
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
    /// Everything else. The starts of one entry mostly share it.
    pub settings: Arc<Settings>,
}

/// What a start carries beside names and payloads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// What happens when a closed Workflow has the ID; `None` is the service's default.
    pub id_reuse_policy: Option<IdReusePolicy>,
    /// What happens when a running Workflow has the ID; `None` is the service's default.
    pub id_conflict_policy: Option<IdConflictPolicy>,
    /// Most time for the whole Workflow; `None` is no limit.
    pub execution_timeout: Option<Duration>,
    /// Most time for a run; `None` is the execution timeout.
    pub run_timeout: Option<Duration>,
    /// Most time for a Workflow Task; `None` is the service's default of 10 s.
    pub task_timeout: Option<Duration>,
    /// Time before the first Workflow Task.
    pub start_delay: Option<Duration>,
    /// Cron schedule.
    pub cron_schedule: Option<String>,
    /// How the service tries a failed run again.
    pub retry_policy: Option<RetryPolicy>,
    /// Priority and fairness.
    pub priority: Option<Priority>,
    /// The Worker Deployment Version that runs the Workflow.
    pub versioning_override: Option<VersioningOverride>,
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

impl Start {
    /// SHA-256 over everything that the start carries except its Workflow ID and its place. The
    /// same start has the same digest in every version of this program.
    pub fn content_digest(&self) -> [u8; 32] {
        let mut content = Content(Sha256::new());
        content.text("name", self.name.as_deref());
        content.text("type", Some(&self.workflow_type));
        content.text("taskQueue", Some(&self.task_queue));
        content.payloads("args", self.args.iter().map(|payload| ("", payload)));
        content.text(
            "idReusePolicy",
            self.settings.id_reuse_policy.map(IdReusePolicy::as_str),
        );
        content.text(
            "idConflictPolicy",
            self.settings
                .id_conflict_policy
                .map(IdConflictPolicy::as_str),
        );
        content.duration("executionTimeout", self.settings.execution_timeout);
        content.duration("runTimeout", self.settings.run_timeout);
        content.duration("taskTimeout", self.settings.task_timeout);
        content.duration("startDelay", self.settings.start_delay);
        content.text("cronSchedule", self.settings.cron_schedule.as_deref());
        if let Some(retry) = &self.settings.retry_policy {
            content.duration("retryPolicy.initialInterval", retry.initial_interval);
            let coefficient = retry.backoff_coefficient.map(|value| value.to_string());
            content.text("retryPolicy.backoffCoefficient", coefficient.as_deref());
            content.duration("retryPolicy.maximumInterval", retry.maximum_interval);
            content.text(
                "retryPolicy.maximumAttempts",
                Some(&retry.maximum_attempts.to_string()),
            );
            for error_type in &retry.non_retryable_error_types {
                content.text("retryPolicy.nonRetryableErrorTypes", Some(error_type));
            }
        }
        for (field, values) in [
            ("memo", &self.memo),
            ("searchAttributes", &self.search_attributes),
            ("headers", &self.headers),
        ] {
            let mut sorted: Vec<&(Arc<str>, Payload)> = values.iter().collect();
            sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
            content.payloads(
                field,
                sorted.iter().map(|(name, payload)| (&**name, payload)),
            );
        }
        if let Some(priority) = &self.settings.priority {
            content.text("priority.key", Some(&priority.key.to_string()));
            content.text("priority.fairnessKey", Some(&priority.fairness_key));
            content.text(
                "priority.fairnessWeight",
                Some(&priority.fairness_weight.to_string()),
            );
        }
        content.text("staticSummary", self.static_summary.as_deref());
        content.text("staticDetails", self.static_details.as_deref());
        match &self.settings.versioning_override {
            Some(VersioningOverride::Pinned {
                deployment_name,
                build_id,
            }) => {
                content.text("versioningOverride.deploymentName", Some(deployment_name));
                content.text("versioningOverride.buildId", Some(build_id));
            }
            Some(VersioningOverride::AutoUpgrade) => {
                content.text("versioningOverride.autoUpgrade", Some("true"))
            }
            None => {}
        }
        for callback in &self.settings.completion_callbacks {
            content.text("completionCallbacks.url", Some(&callback.url));
            for (name, value) in &callback.headers {
                content.text(name, Some(value));
            }
        }
        for link in &self.settings.links {
            content.text("links", Some(&format!("{link:?}")));
        }
        content.text(
            "onConflict",
            self.settings
                .on_conflict
                .map(|it| format!("{it:?}"))
                .as_deref(),
        );
        content.text(
            "failExisting",
            self.settings.fail_existing.then_some("true"),
        );
        content.0.finalize().into()
    }
}

/// Feeds a hash so that different contents cannot look the same: each part has its length.
struct Content(Sha256);

impl Content {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn text(&mut self, field: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.bytes(field.as_bytes());
            self.bytes(value.as_bytes());
        }
    }

    fn duration(&mut self, field: &str, value: Option<Duration>) {
        self.text(
            field,
            value.map(|value| value.as_nanos().to_string()).as_deref(),
        );
    }

    fn payloads<'p>(
        &mut self,
        field: &str,
        payloads: impl Iterator<Item = (&'p str, &'p Payload)>,
    ) {
        for (name, payload) in payloads {
            self.bytes(field.as_bytes());
            self.bytes(name.as_bytes());
            self.0.update((payload.metadata.len() as u64).to_le_bytes());
            for (key, value) in payload.metadata.iter() {
                self.bytes(key.as_bytes());
                self.bytes(value);
            }
            self.bytes(&payload.data);
        }
    }
}
