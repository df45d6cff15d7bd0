//! What a start looks like in a manifest: the serde and schemars types, one to one with the schema.
//!
//! A start of these types has the right shape and may still be wrong; [`super::check`] finds what
//! the service would refuse.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

/// Declares an enum whose values are spelled in manifests as its variants are, with a flat
/// `enum` in the schema, so that an error can list what is possible.
macro_rules! spelled_enum {
    ($(#[doc = $doc:literal])* $name:ident { $($(#[doc = $variant_doc:literal])* $variant:ident,)* }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[doc = $variant_doc])* $variant,)* }

        impl $name {
            /// Every value.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The value as manifests spell it.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => stringify!($variant),)* }
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "enum": [$(stringify!($variant),)*] })
            }
        }
    };
}

spelled_enum! {
    /// What happens when a closed Workflow has the ID. Default: `AllowDuplicate`.
    /// Source: temporal/api/enums/v1 `WorkflowIdReusePolicy`.
    IdReusePolicy {
        /// Start a new run.
        AllowDuplicate,
        /// Start a new run unless the closed one is Completed.
        AllowDuplicateFailedOnly,
        /// Never start a second run.
        RejectDuplicate,
        /// Deprecated by Temporal: `AllowDuplicate` with `TerminateExisting`.
        TerminateIfRunning,
    }
}

spelled_enum! {
    /// What happens when a running Workflow has the ID. Default: `Fail`.
    /// Source: temporal/api/enums/v1 `WorkflowIdConflictPolicy`.
    IdConflictPolicy {
        /// Leave the running one and start nothing.
        Fail,
        /// Leave the running one and use it.
        UseExisting,
        /// Terminate the running one and start a new run.
        TerminateExisting,
    }
}

spelled_enum! {
    /// History events that a link can point at.
    /// Source: temporal/api/enums/v1 `EventType`.
    LinkEventType {
        /// The first event of a run.
        WorkflowExecutionStarted,
        /// A signal's arrival.
        WorkflowExecutionSignaled,
        /// A change of options, such as an attached callback.
        WorkflowExecutionOptionsUpdated,
        /// A Nexus operation's scheduling.
        NexusOperationScheduled,
    }
}

/// A duration as written, such as `1h30m`; [`super::duration::parse`] reads it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct DurationText(pub String);

impl JsonSchema for DurationText {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": super::duration::PATTERN })
    }
}

/// Any value. It stays in the node tree, which keeps bytes, key order and places; this type only
/// stands for it in the document and the schema.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anything;

impl<'de> Deserialize<'de> for Anything {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Anything)
    }
}

impl JsonSchema for Anything {
    fn schema_name() -> Cow<'static, str> {
        "Anything".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!(true)
    }
}

/// A map of names to any values; see [`Anything`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Named;

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Named)
    }
}

impl JsonSchema for Named {
    fn schema_name() -> Cow<'static, str> {
        "Named".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": true })
    }
}

/// One Workflow start. `type` and `taskQueue` are required, here or in `defaults`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(title = "Start")]
pub struct StartFields {
    /// A name for this start in reports and generated Workflow IDs. Default: none; the Workflow
    /// type stands in generated IDs.
    #[schemars(title = "Name", length(min = 1, max = 200), example = &"acme")]
    pub name: Option<String>,
    /// The Workflow ID, at most 1000 bytes. Default: generated from the manifest's name, the
    /// start's name or type, its content and the idempotency key.
    #[schemars(title = "Workflow ID", length(min = 1), example = &"bill-acme-2026-11")]
    pub workflow_id: Option<String>,
    /// The Workflow type name that a Worker has registered, at most 1000 bytes.
    #[serde(rename = "type")]
    #[schemars(title = "Workflow type", length(min = 1), example = &"BillCustomer")]
    pub workflow_type: Option<String>,
    /// The Task Queue that the Worker polls, at most 1000 bytes.
    #[schemars(title = "Task Queue", length(min = 1), example = &"billing")]
    pub task_queue: Option<String>,
    /// The Workflow's arguments, in order. JSON values become `json/plain`, null `binary/null` and
    /// `!!binary` `binary/plain`; a map with the one key `$payload` (`encoding`, one of `data`,
    /// `base64` or `file`, and `metadata`) gives a payload byte for byte. Default: no arguments.
    #[schemars(title = "Arguments", example = json!([{"customer": "acme", "cents": 1999}]))]
    pub args: Option<Vec<Anything>>,
    /// What happens when a closed Workflow has the ID. Default: `AllowDuplicate`.
    #[schemars(title = "ID reuse policy", example = &"RejectDuplicate")]
    pub id_reuse_policy: Option<IdReusePolicy>,
    /// What happens when a running Workflow has the ID. Default: `Fail`, which leaves it alone.
    #[schemars(title = "ID conflict policy", example = &"UseExisting")]
    pub id_conflict_policy: Option<IdConflictPolicy>,
    /// Most time for the whole Workflow, retries and continue-as-new included. Default: no limit.
    #[schemars(title = "Execution timeout", example = &"2d")]
    pub execution_timeout: Option<DurationText>,
    /// Most time for a single run. Default: the execution timeout.
    #[schemars(title = "Run timeout", example = &"1h30m")]
    pub run_timeout: Option<DurationText>,
    /// Most time for one Workflow Task. Default: 10s; the service lowers it to 120s.
    #[schemars(title = "Task timeout", example = &"10s")]
    pub task_timeout: Option<DurationText>,
    /// Time before the first Workflow Task is given out. Not together with `cronSchedule`.
    #[schemars(title = "Start delay", example = &"30s")]
    pub start_delay: Option<DurationText>,
    /// Runs the Workflow again and again: five fields or an `@` form. Temporal recommends
    /// Schedules instead.
    #[schemars(title = "Cron schedule", length(min = 1), example = &"0 12 * * MON-FRI")]
    pub cron_schedule: Option<String>,
    /// How a failed run is tried again by the service. Default: not at all.
    #[schemars(title = "Retry policy", example = json!({"maximumAttempts": 3}))]
    pub retry_policy: Option<RetryPolicyFields>,
    /// Notes that are shown with the Workflow, not indexed.
    #[schemars(title = "Memo", example = json!({"requestedBy": "billing-team"}))]
    pub memo: Option<Named>,
    /// Indexed values, by registered search attribute.
    #[schemars(title = "Search attributes", example = json!({"CustomerId": "acme"}))]
    pub search_attributes: Option<Named>,
    /// Workflow headers for context propagation and tracing. They are not gRPC metadata.
    #[schemars(title = "Headers", example = json!({"tenant": "acme"}))]
    pub headers: Option<Named>,
    /// Priority and fairness of the Workflow's tasks.
    #[schemars(title = "Priority", example = json!({"key": 2}))]
    pub priority: Option<PriorityFields>,
    /// One line for the Web UI's list, in Markdown; best at most 400 bytes.
    #[schemars(title = "Static summary", example = &"Bills **acme** for November")]
    pub static_summary: Option<String>,
    /// Text for the Web UI's page of the Workflow, in Markdown; best at most 20,000 bytes.
    #[schemars(title = "Static details", example = &"Started by the nightly batch.")]
    pub static_details: Option<String>,
    /// The Worker Deployment Version that runs the Workflow.
    #[schemars(
        title = "Versioning override",
        example = json!({"pinned": {"deploymentName": "billing", "buildId": "v42"}})
    )]
    pub versioning_override: Option<VersioningOverrideFields>,
    /// Nexus callbacks to call when the Workflow closes; at most 32, and only to URLs that the
    /// service allows.
    #[schemars(
        title = "Completion callbacks",
        length(max = 32),
        example = json!([{"url": "https://example.com/done"}])
    )]
    pub completion_callbacks: Option<Vec<CompletionCallbackFields>>,
    /// What caused this start, shown in the Web UI; at most 10.
    #[schemars(
        title = "Links",
        length(max = 10),
        example = json!([{"batchJob": {"jobId": "import-7"}}])
    )]
    pub links: Option<Vec<LinkFields>>,
    /// What is attached to the running Workflow that `idConflictPolicy: UseExisting` finds.
    #[schemars(title = "On conflict", example = json!({"attachRequestId": true}))]
    pub on_conflict: Option<OnConflictFields>,
    /// Whether a Workflow that exists already makes this start fail. Default: false.
    #[schemars(title = "Fail existing", example = true)]
    pub fail_existing: Option<bool>,
    /// Makes this entry stand for many starts, one for each row. Expressions such as
    /// `${{ row.id }}` read the row.
    #[schemars(title = "For each", example = json!({"csv": "customers.csv"}))]
    pub for_each: Option<ForEachFields>,
}

/// Where rows come from: exactly one of `items`, `csv`, `jsonl` and `matrix`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct ForEachFields {
    /// Rows written out. An item that is no map is `row.value`.
    #[schemars(title = "Items", example = json!([{"id": "acme"}, {"id": "globex"}]))]
    pub items: Option<Vec<Anything>>,
    /// A CSV file with a header, relative to the manifest, or `-` for standard input. Cells are
    /// strings.
    #[schemars(title = "CSV", length(min = 1), example = &"customers.csv")]
    pub csv: Option<String>,
    /// The one character between the cells of `csv`. Default: `,`.
    #[schemars(title = "Delimiter", length(min = 1), example = &";")]
    pub delimiter: Option<String>,
    /// A file with one JSON value on each line, relative to the manifest, or `-` for standard
    /// input.
    #[schemars(title = "JSONL", length(min = 1), example = &"customers.jsonl")]
    pub jsonl: Option<String>,
    /// Lists by name: a row for each combination, the last name fastest.
    #[schemars(
        title = "Matrix",
        extend("additionalProperties" = {"type": "array"}),
        example = json!({"region": ["eu", "us"], "day": [1, 2, 3]})
    )]
    pub matrix: Option<Named>,
}

/// How a failed run is tried again by the service.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct RetryPolicyFields {
    /// Time before the first retry. Default: 1s.
    #[schemars(title = "Initial interval", example = &"1s")]
    pub initial_interval: Option<DurationText>,
    /// Factor from one interval to the next, at least 1. Default: 2.
    #[schemars(title = "Backoff coefficient", range(min = 1.0), example = 2.0)]
    pub backoff_coefficient: Option<f64>,
    /// Longest interval, not below the initial one. Default: 100 times the initial one.
    #[schemars(title = "Maximum interval", example = &"100s")]
    pub maximum_interval: Option<DurationText>,
    /// Most runs; 0 is unlimited, 1 is no retry. Default: 0.
    #[schemars(
        title = "Maximum attempts",
        range(min = 0, max = 2_147_483_647),
        example = 3
    )]
    pub maximum_attempts: Option<i32>,
    /// Error types that are not retried.
    #[schemars(title = "Non-retryable error types", example = json!(["CardDeclined"]))]
    pub non_retryable_error_types: Option<Vec<String>>,
}

/// Priority and fairness of a Workflow's tasks.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct PriorityFields {
    /// 1 (first) to 5 (last). Default: 3.
    #[schemars(title = "Key", range(min = 1, max = 5), example = 2)]
    pub key: Option<i32>,
    /// Tasks of different keys share a queue fairly; at most 64 bytes.
    #[schemars(title = "Fairness key", length(max = 64), example = &"tenant-7")]
    pub fairness_key: Option<String>,
    /// Share of the fairness key, 0.001 to 1000. Default: 1.
    #[schemars(
        title = "Fairness weight",
        range(min = 0.001, max = 1000.0),
        example = 1.5
    )]
    pub fairness_weight: Option<f32>,
}

/// Exactly one of `pinned` and `autoUpgrade`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline, extend("minProperties" = 1, "maxProperties" = 1))]
pub struct VersioningOverrideFields {
    /// Runs the Workflow on this version only.
    #[schemars(title = "Pinned", example = json!({"deploymentName": "billing", "buildId": "v42"}))]
    pub pinned: Option<PinnedFields>,
    /// Runs the Workflow on the current version, whatever its code says. Only `true` is possible.
    #[schemars(title = "Auto-upgrade", extend("const" = true), example = true)]
    pub auto_upgrade: Option<bool>,
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
    #[schemars(title = "URL", length(min = 1, max = 1000), example = &"https://example.com/done")]
    pub url: String,
    /// Headers of the call.
    #[serde(default)]
    #[schemars(title = "Headers", example = json!({"token": "abc"}))]
    pub headers: BTreeMap<String, String>,
}

/// Exactly one kind of link.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline, extend("minProperties" = 1, "maxProperties" = 1))]
pub struct LinkFields {
    /// An event in a Workflow's history.
    #[schemars(
        title = "Workflow event",
        example = json!({"namespace": "default", "workflowId": "import-7", "runId": "0190…", "eventId": 1})
    )]
    pub workflow_event: Option<WorkflowEventFields>,
    /// A batch job.
    #[schemars(title = "Batch job", example = json!({"jobId": "import-7"}))]
    pub batch_job: Option<BatchJobFields>,
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
    pub event_id: Option<i64>,
    /// Type of the event.
    #[schemars(title = "Event type", example = &"WorkflowExecutionStarted")]
    pub event_type: Option<LinkEventType>,
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
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct OnConflictFields {
    /// Attaches this start's request ID, which makes a repeat recognisable. Default: false.
    #[serde(default)]
    #[schemars(title = "Attach request ID", example = true)]
    pub attach_request_id: bool,
    /// Attaches `completionCallbacks`; needs `attachRequestId`. Default: false.
    #[serde(default)]
    #[schemars(title = "Attach completion callbacks", example = true)]
    pub attach_completion_callbacks: bool,
    /// Attaches `links`. Default: false.
    #[serde(default)]
    #[schemars(title = "Attach links", example = true)]
    pub attach_links: bool,
}
