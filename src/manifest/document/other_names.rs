//! What people write for the fields of a start, beside what they are called here.

/// What people write for a field of a start, and what it is called here. Flags of the `temporal`
/// CLI and field names of the API.
pub(in crate::manifest) const OTHER_NAMES: &[(&str, &str)] = &[
    ("argument", "args"),
    ("arguments", "args"),
    ("id", "workflowId"),
    ("input", "args"),
    ("inputs", "args"),
    (
        "inputFile",
        "args: [{$payload: {encoding: json/plain, file: ...}}]",
    ),
    ("cron", "cronSchedule"),
    ("callbacks", "completionCallbacks"),
    ("fairnessKey", "priority: {fairnessKey: ...}"),
    ("fairnessWeight", "priority: {fairnessWeight: ...}"),
    ("header", "headers"),
    ("onConflictOptions", "onConflict"),
    ("priorityKey", "priority: {key: ...}"),
    ("queue", "taskQueue"),
    ("retry", "retryPolicy"),
    ("searchAttribute", "searchAttributes"),
    ("summary", "staticSummary"),
    ("details", "staticDetails"),
    ("timeout", "executionTimeout"),
    ("workflow", "type"),
    ("workflowExecutionTimeout", "executionTimeout"),
    ("workflowIdConflictPolicy", "idConflictPolicy"),
    ("workflowIdReusePolicy", "idReusePolicy"),
    ("workflowRunTimeout", "runTimeout"),
    ("workflowStartDelay", "startDelay"),
    ("workflowTaskTimeout", "taskTimeout"),
    ("workflowType", "type"),
];

/// What people write that has no counterpart here, and why.
pub(in crate::manifest) const REFUSED: &[(&str, &str)] = &[
    ("eagerStart", "remove it: it needs a Worker in this process"),
    (
        "enableEagerStart",
        "remove it: it needs a Worker in this process",
    ),
    ("identity", "pass it to the command: `--identity`"),
    ("namespace", "pass it to the command: `--namespace`"),
    (
        "requestEagerExecution",
        "remove it: it needs a Worker in this process",
    ),
    (
        "requestId",
        "remove it: it is made of the key, `--idempotency-key`, and the Workflow ID",
    ),
    ("signal", "signal-with-start is not supported yet"),
    ("signalInput", "signal-with-start is not supported yet"),
    ("signalName", "signal-with-start is not supported yet"),
    ("update", "update-with-start is not supported yet"),
    ("updateName", "update-with-start is not supported yet"),
];
