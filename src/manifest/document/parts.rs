//! What the fields of a start consist of.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::templated::Templated;
use super::values::{DurationText, LinkEventType, Text, True};

/// How a failed run is tried again by the service.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(inline)]
pub struct RetryPolicyFields {
    /// Time before the first retry. Default: 1s.
    #[schemars(title = "Initial interval", example = &"1s")]
    pub initial_interval: Templated<Option<DurationText>>,
    /// Factor from one interval to the next, at least 1. Default: 2.
    #[schemars(title = "Backoff coefficient", range(min = 1.0), example = 2.0)]
    pub backoff_coefficient: Templated<Option<f64>>,
    /// Longest interval, not below the initial one. Default: 100 times the initial one.
    #[schemars(title = "Maximum interval", example = &"100s")]
    pub maximum_interval: Templated<Option<DurationText>>,
    /// Most runs; 0 is unlimited, 1 is no retry. Default: 0.
    #[schemars(
        title = "Maximum attempts",
        range(min = 0, max = 2_147_483_647),
        example = 3
    )]
    pub maximum_attempts: Templated<Option<i32>>,
    /// Error types that are not retried.
    #[schemars(title = "Non-retryable error types", example = json!(["CardDeclined"]))]
    pub non_retryable_error_types: Templated<Option<Vec<String>>>,
}

/// Priority and fairness of a Workflow's tasks.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(inline)]
pub struct PriorityFields {
    /// 1 (first) to 5 (last). Default: 3.
    #[schemars(title = "Key", range(min = 1, max = 5), example = 2)]
    pub key: Templated<Option<i32>>,
    /// Tasks of different keys share a queue fairly; at most 64 bytes.
    #[schemars(title = "Fairness key", example = &"tenant-7")]
    pub fairness_key: Templated<Option<Text<64>>>,
    /// Share of the fairness key, 0.001 to 1000. Default: 1.
    #[schemars(
        title = "Fairness weight",
        range(min = 0.001, max = 1000.0),
        example = 1.5
    )]
    pub fairness_weight: Templated<Option<f32>>,
}

/// Exactly one of `pinned` and `autoUpgrade`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(inline, extend("minProperties" = 1, "maxProperties" = 1))]
pub struct VersioningOverrideFields {
    /// Runs the Workflow on this version only.
    #[schemars(title = "Pinned", example = json!({"deploymentName": "billing", "buildId": "v42"}))]
    pub pinned: Templated<Option<PinnedFields>>,
    /// Runs the Workflow on the current version, whatever its code says. Only `true` is possible.
    #[schemars(title = "Auto-upgrade", example = true)]
    pub auto_upgrade: Templated<True>,
}

/// A Worker Deployment Version.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct PinnedFields {
    /// Name of the Worker Deployment.
    #[schemars(title = "Deployment name", length(min = 1), example = &"billing")]
    pub deployment_name: String,
    /// Build ID of the version.
    #[schemars(title = "Build ID", length(min = 1), example = &"v42")]
    pub build_id: String,
}

/// A Nexus callback.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct CompletionCallbackFields {
    /// Where to call; the service must allow it.
    #[schemars(title = "URL", length(min = 1), example = &"https://example.com/done")]
    pub url: Templated<Text<1000>>,
    /// Headers of the call.
    #[serde(default)]
    #[schemars(title = "Headers", extend("default" = {}), example = json!({"token": "abc"}))]
    pub headers: Templated<BTreeMap<String, String>>,
}

/// Exactly one kind of link.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(inline, extend("minProperties" = 1, "maxProperties" = 1))]
pub struct LinkFields {
    /// An event in a Workflow's history.
    #[schemars(
        title = "Workflow event",
        example = json!({"namespace": "default", "workflowId": "import-7", "runId": "0190…", "eventId": 1})
    )]
    pub workflow_event: Templated<Option<WorkflowEventFields>>,
    /// A batch job.
    #[schemars(title = "Batch job", example = json!({"jobId": "import-7"}))]
    pub batch_job: Templated<Option<BatchJobFields>>,
}

/// An event in a Workflow's history.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct WorkflowEventFields {
    /// Namespace of the Workflow.
    #[schemars(title = "Namespace", length(min = 1), example = &"default")]
    pub namespace: String,
    /// ID of the Workflow.
    #[schemars(title = "Workflow ID", length(min = 1), example = &"import-7")]
    pub workflow_id: String,
    /// Run ID of the Workflow.
    #[schemars(title = "Run ID", length(min = 1), example = &"01902f6e-7d1c-7000-8000-000000000001")]
    pub run_id: String,
    /// Number of the event, from 1. Default: no event is named.
    #[schemars(title = "Event ID", range(min = 1), example = 1)]
    #[serde(default)]
    pub event_id: Templated<Option<i64>>,
    /// Type of the event.
    #[schemars(title = "Event type", example = &"WorkflowExecutionStarted")]
    #[serde(default)]
    pub event_type: Templated<Option<LinkEventType>>,
}

/// A batch job.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct BatchJobFields {
    /// ID of the job.
    #[schemars(title = "Job ID", length(min = 1), example = &"import-7")]
    pub job_id: String,
}

/// What is attached to the running Workflow that `UseExisting` finds.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(inline)]
pub struct OnConflictFields {
    /// Attaches this start's request ID, which makes a repeat recognisable. Default: false.
    #[schemars(title = "Attach request ID", extend("default" = false), example = true)]
    pub attach_request_id: Templated<bool>,
    /// Attaches `completionCallbacks`; needs `attachRequestId`. Default: false.
    #[schemars(title = "Attach completion callbacks", extend("default" = false), example = true)]
    pub attach_completion_callbacks: Templated<bool>,
    /// Attaches `links`. Default: false.
    #[schemars(title = "Attach links", extend("default" = false), example = true)]
    pub attach_links: Templated<bool>,
}
