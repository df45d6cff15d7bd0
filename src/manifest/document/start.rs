//! One start: its fields, and where its rows come from.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::parts::{
    CompletionCallbackFields, LinkFields, OnConflictFields, PriorityFields, RetryPolicyFields,
    VersioningOverrideFields,
};
use super::templated::Templated;
use super::values::{AnyMap, Anything, DurationText, IdConflictPolicy, IdReusePolicy, List, Text};

/// One Workflow start. `type` and `taskQueue` are required, here or in `defaults`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(title = "Start")]
pub struct StartFields {
    /// A name for this start in reports and generated Workflow IDs. Default: none; the Workflow
    /// type stands in generated IDs.
    #[schemars(title = "Name", length(min = 1), example = &"acme")]
    pub name: Templated<Option<Text<200>>>,
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
    pub args: Templated<Option<Vec<Anything>>>,
    /// What happens when a closed Workflow has the ID. Default: `AllowDuplicate`.
    #[schemars(title = "ID reuse policy", example = &"RejectDuplicate")]
    pub id_reuse_policy: Templated<Option<IdReusePolicy>>,
    /// What happens when a running Workflow has the ID. Default: `Fail`, which leaves it alone.
    #[schemars(title = "ID conflict policy", example = &"UseExisting")]
    pub id_conflict_policy: Templated<Option<IdConflictPolicy>>,
    /// Most time for the whole Workflow, retries and continue-as-new included. Default: no limit.
    #[schemars(title = "Execution timeout", example = &"2d")]
    pub execution_timeout: Templated<Option<DurationText>>,
    /// Most time for a single run. Default: the execution timeout.
    #[schemars(title = "Run timeout", example = &"1h30m")]
    pub run_timeout: Templated<Option<DurationText>>,
    /// Most time for one Workflow Task. Default: 10s; the service lowers it to 120s.
    #[schemars(title = "Task timeout", example = &"10s")]
    pub task_timeout: Templated<Option<DurationText>>,
    /// Time before the first Workflow Task is given out. Not together with `cronSchedule`.
    #[schemars(title = "Start delay", example = &"30s")]
    pub start_delay: Templated<Option<DurationText>>,
    /// Runs the Workflow again and again: five fields or an `@` form. Temporal recommends
    /// Schedules instead.
    #[schemars(title = "Cron schedule", length(min = 1), example = &"0 12 * * MON-FRI")]
    pub cron_schedule: Option<String>,
    /// How a failed run is tried again by the service. Default: not at all.
    #[schemars(title = "Retry policy", example = json!({"maximumAttempts": 3}))]
    pub retry_policy: Templated<Option<RetryPolicyFields>>,
    /// Notes that are shown with the Workflow, not indexed.
    #[schemars(title = "Memo", example = json!({"requestedBy": "billing-team"}))]
    pub memo: Templated<Option<AnyMap>>,
    /// Indexed values, by registered search attribute.
    #[schemars(title = "Search attributes", example = json!({"CustomerId": "acme"}))]
    pub search_attributes: Templated<Option<AnyMap>>,
    /// Workflow headers for context propagation and tracing. They are not gRPC metadata.
    #[schemars(title = "Headers", example = json!({"tenant": "acme"}))]
    pub headers: Templated<Option<AnyMap>>,
    /// Priority and fairness of the Workflow's tasks.
    #[schemars(title = "Priority", example = json!({"key": 2}))]
    pub priority: Templated<Option<PriorityFields>>,
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
    pub versioning_override: Templated<Option<VersioningOverrideFields>>,
    /// Nexus callbacks to call when the Workflow closes; at most 32, and only to URLs that the
    /// service allows.
    #[schemars(
        title = "Completion callbacks",
        example = json!([{"url": "https://example.com/done"}])
    )]
    pub completion_callbacks: Templated<Option<List<Templated<CompletionCallbackFields>, 32>>>,
    /// What caused this start, shown in the Web UI; at most 10.
    #[schemars(
        title = "Links",
        example = json!([{"batchJob": {"jobId": "import-7"}}])
    )]
    pub links: Templated<Option<List<Templated<LinkFields>, 10>>>,
    /// What is attached to the running Workflow that `idConflictPolicy: UseExisting` finds.
    #[schemars(title = "On conflict", example = json!({"attachRequestId": true}))]
    pub on_conflict: Templated<Option<OnConflictFields>>,
    /// Whether a Workflow that exists already makes this start fail. Default: false.
    #[schemars(title = "Fail existing", example = true)]
    pub fail_existing: Templated<Option<bool>>,
    /// Makes this entry stand for many starts, one for each row. Expressions such as
    /// `${{ row.id }}` read the row.
    #[schemars(title = "For each", example = json!({"csv": "customers.csv"}))]
    pub for_each: Option<ForEachFields>,
}

/// Where rows come from: exactly one of `items`, `csv`, `jsonl` and `matrix`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(inline)]
pub struct ForEachFields {
    /// Rows written out. An item that is no map is `row.value`.
    #[schemars(title = "Items", example = json!([{"id": "acme"}, {"id": "globex"}]))]
    pub items: Templated<Option<Vec<Anything>>>,
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
        example = json!({"region": ["eu", "us"], "day": [1, 2, 3]})
    )]
    pub matrix: Templated<Option<BTreeMap<String, Templated<Vec<Anything>>>>>,
}
