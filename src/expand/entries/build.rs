//! Makes a [`Start`] of one entry's fields.

use std::sync::Arc;

use crate::expand::folder::Folder;
use crate::expand::payloads::payload::{MAX_REQUEST_BYTES, Payload};
use crate::expand::payloads::payload_template::{NamedPayloads, encode_all, in_order};
use crate::expand::start::{
    CompletionCallback, Link, OnConflict, Priority, RetryPolicy, SourceLine, Start, StartOptions,
    VersioningOverride, WorkflowOptions, WorkflowSpec,
};
use crate::manifest::diagnostic::Code;
use crate::manifest::document::{
    DurationText, LinkFields, RetryPolicyFields, StartFields, Templated, VersioningOverrideFields,
};
use crate::manifest::duration;
use crate::manifest::fields::Fields;
use crate::manifest::finding::Finding;
use crate::manifest::locate::Step;
use crate::manifest::node::{Node, Value};

/// Search attributes that the service sets itself and refuses from a client.
/// Source: temporal `common/searchattribute/sadefs`.
const SYSTEM_SEARCH_ATTRIBUTES: [&str; 16] = [
    "CloseTime",
    "ExecutionDuration",
    "ExecutionStatus",
    "ExecutionTime",
    "HistoryLength",
    "HistorySizeBytes",
    "ParentRunId",
    "ParentWorkflowId",
    "RootRunId",
    "RootWorkflowId",
    "RunId",
    "StartTime",
    "StateTransitionCount",
    "TaskQueue",
    "WorkflowId",
    "WorkflowType",
];

/// Most search attributes of one start, and most bytes of one value.
/// Source: temporal dynamic config `limit.searchAttributes*`.
const MAX_SEARCH_ATTRIBUTES: usize = 100;
const MAX_SEARCH_ATTRIBUTE_BYTES: usize = 2 * 1024;

/// Makes the start of an entry without expressions; `workflow_id` stays empty if the manifest
/// gives none.
///
/// # Errors
/// Everything that is wrong with the values that become payloads.
pub(in crate::expand) fn start(
    fields: &Fields<'_>,
    folder: Folder<'_>,
    index: u64,
    source: SourceLine,
) -> Result<Start, Vec<Finding>> {
    let read = read(fields)?;
    let mut findings = Vec::new();
    let payloads = Payloads {
        args: in_order(encode_all(
            "args",
            fields.get("args"),
            folder,
            &mut findings,
        )),
        memo: encode_all("memo", fields.get("memo"), folder, &mut findings),
        headers: encode_all("headers", fields.get("headers"), folder, &mut findings),
        search_attributes: encode_search_attributes(fields.get(SEARCH_ATTRIBUTES), &mut findings),
    };
    assemble(index, source, Body::of(read), payloads, findings)
}

/// What a start carries beside its payloads.
pub(in crate::expand) struct Body {
    pub(in crate::expand) name: Option<String>,
    pub(in crate::expand) workflow_id: Option<String>,
    pub(in crate::expand) workflow_type: Arc<str>,
    pub(in crate::expand) task_queue: Arc<str>,
    pub(in crate::expand) static_summary: Option<Arc<str>>,
    pub(in crate::expand) static_details: Option<Arc<str>>,
    pub(in crate::expand) options: Options,
}

impl Body {
    pub(in crate::expand) fn of(read: StartFields) -> Self {
        Body {
            name: read.name.as_deref().map(str::to_owned),
            workflow_id: read.workflow_id.clone(),
            workflow_type: read.workflow_type.as_deref().unwrap_or_default().into(),
            task_queue: read.task_queue.as_deref().unwrap_or_default().into(),
            static_summary: read.static_summary.as_deref().map(Arc::from),
            static_details: read.static_details.as_deref().map(Arc::from),
            options: options(read),
        }
    }
}

/// A start's payloads.
pub(in crate::expand) struct Payloads {
    pub(in crate::expand) args: Vec<Payload>,
    pub(in crate::expand) memo: NamedPayloads,
    pub(in crate::expand) headers: NamedPayloads,
    pub(in crate::expand) search_attributes: NamedPayloads,
}

/// Puts a start together, unless something is wrong with it.
pub(in crate::expand) fn assemble(
    index: u64,
    source: SourceLine,
    body: Body,
    payloads: Payloads,
    mut findings: Vec<Finding>,
) -> Result<Start, Vec<Finding>> {
    let start = Start {
        index,
        source,
        name: body.name,
        workflow_id: body.workflow_id.unwrap_or_default(),
        workflow: WorkflowSpec {
            workflow_type: body.workflow_type,
            task_queue: body.task_queue,
            args: payloads.args,
            memo: payloads.memo,
            search_attributes: payloads.search_attributes,
            headers: payloads.headers,
            static_summary: body.static_summary,
            static_details: body.static_details,
            options: body.options.workflow,
        },
        options: body.options.start,
    };
    findings.extend(too_large(&start));
    if findings.is_empty() {
        Ok(start)
    } else {
        Err(findings)
    }
}

/// A start's fields as document types.
///
/// # Errors
/// A shape that the JSON Schema refuses.
pub(in crate::expand) fn read(fields: &Fields<'_>) -> Result<StartFields, Vec<Finding>> {
    fields.read().map_err(|mismatch| {
        vec![Finding::new(
            Code::WrongType,
            Vec::new(),
            mismatch.to_string(),
        )]
    })
}

/// The finding that a start is larger than the service takes.
fn too_large(start: &Start) -> Option<Finding> {
    let size = request_size(start);
    (size > MAX_REQUEST_BYTES).then(|| {
        Finding::new(
            Code::StartTooLarge,
            vec!["args".into()],
            format!("this start has {size} bytes, and the service takes at most {MAX_REQUEST_BYTES} in one request"),
        )
        .with_help("store the data elsewhere and pass a reference to it")
    })
}

/// What a start carries beside names and payloads; shared by the starts of an entry.
#[derive(Clone, Debug)]
pub(in crate::expand) struct Options {
    workflow: Arc<WorkflowOptions>,
    start: Arc<StartOptions>,
}

/// What a start carries beside names and payloads.
pub(in crate::expand) fn options(read: StartFields) -> Options {
    let workflow = WorkflowOptions {
        execution_timeout: read_duration(&read.execution_timeout),
        run_timeout: read_duration(&read.run_timeout),
        task_timeout: read_duration(&read.task_timeout),
        retry_policy: read.retry_policy.0.map(retry_policy),
        priority: read.priority.0.map(|priority| Priority {
            key: priority.key.unwrap_or(0),
            fairness_key: priority.fairness_key.0.unwrap_or_default().0,
            fairness_weight: priority.fairness_weight.unwrap_or(0.0),
        }),
        versioning_override: read.versioning_override.0.and_then(versioning_override),
    };
    let callbacks = read.completion_callbacks.0.into_iter().flatten();
    let links = read.links.0.into_iter().flatten();
    let start = StartOptions {
        id_reuse_policy: *read.id_reuse_policy,
        id_conflict_policy: *read.id_conflict_policy,
        start_delay: read_duration(&read.start_delay),
        cron_schedule: read.cron_schedule,
        completion_callbacks: callbacks
            .map(|Templated(callback)| CompletionCallback {
                url: callback.url.0.0,
                headers: callback.headers.0.into_iter().collect(),
            })
            .collect(),
        links: links.filter_map(|Templated(it)| link(it)).collect(),
        on_conflict: read.on_conflict.0.map(|it| OnConflict {
            attach_request_id: *it.attach_request_id,
            attach_completion_callbacks: *it.attach_completion_callbacks,
            attach_links: *it.attach_links,
        }),
        fail_existing: read.fail_existing.unwrap_or(false),
    };
    Options {
        workflow: Arc::new(workflow),
        start: Arc::new(start),
    }
}

/// A duration that `manifest::check` has read before.
fn read_duration(text: &Option<DurationText>) -> Option<std::time::Duration> {
    text.as_ref().and_then(|text| duration::parse(&text.0).ok())
}

fn retry_policy(fields: RetryPolicyFields) -> RetryPolicy {
    RetryPolicy {
        initial_interval: read_duration(&fields.initial_interval),
        backoff_coefficient: *fields.backoff_coefficient,
        maximum_interval: read_duration(&fields.maximum_interval),
        maximum_attempts: fields.maximum_attempts.unwrap_or(0),
        non_retryable_error_types: fields.non_retryable_error_types.0.unwrap_or_default(),
    }
}

fn versioning_override(fields: VersioningOverrideFields) -> Option<VersioningOverride> {
    match fields.pinned.0 {
        Some(pinned) => Some(VersioningOverride::Pinned {
            deployment_name: pinned.deployment_name,
            build_id: pinned.build_id,
        }),
        None => fields
            .auto_upgrade
            .0
            .0
            .then_some(VersioningOverride::AutoUpgrade),
    }
}

fn link(fields: LinkFields) -> Option<Link> {
    match (fields.workflow_event.0, fields.batch_job.0) {
        (Some(event), _) => Some(Link::WorkflowEvent {
            namespace: event.namespace,
            workflow_id: event.workflow_id,
            run_id: event.run_id,
            event_id: *event.event_id,
            event_type: *event.event_type,
        }),
        (None, job) => job.map(|job| Link::BatchJob { job_id: job.job_id }),
    }
}

/// The field of a start that search attributes are in.
pub(in crate::expand) const SEARCH_ATTRIBUTES: &str = "searchAttributes";

/// Search attributes are indexed by the service, so they are always JSON, never `$payload`, and
/// no codec touches them.
pub(in crate::expand) fn encode_search_attributes(
    attributes: Option<&Node>,
    findings: &mut Vec<Finding>,
) -> NamedPayloads {
    let entries = attributes.map_or(&[][..], Node::entries);
    if entries.len() > MAX_SEARCH_ATTRIBUTES {
        findings.push(Finding::new(
            Code::InvalidSearchAttribute,
            vec![SEARCH_ATTRIBUTES.into()],
            format!(
                "a start has at most {MAX_SEARCH_ATTRIBUTES} search attributes, and this has {}",
                entries.len()
            ),
        ));
    }
    let encoded =
        entries.iter().filter_map(
            |(key, value)| match encode_search_attribute(&key.text, value) {
                Ok(payload) => Some((Arc::from(&*key.text), payload)),
                Err(finding) => {
                    findings.push(finding);
                    None
                }
            },
        );
    encoded.collect()
}

fn encode_search_attribute(name: &str, value: &Node) -> Result<Payload, Finding> {
    let text = |node: &Node| matches!(node.value, Value::String(_));
    let indexable = match &value.value {
        Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        Value::List(items) => items.iter().all(text),
        Value::Null | Value::Binary(_) | Value::Map(_) => false,
    };
    let data = serde_json::to_vec(value).expect("a node tree can be written as JSON");
    let (message, help) = if SYSTEM_SEARCH_ATTRIBUTES.contains(&name) {
        (
            format!("the search attribute `{name}` is set by the service itself"),
            "remove it, or register a search attribute of your own",
        )
    } else if !indexable {
        let kind = match &value.value {
            Value::List(_) => "a list of anything but strings",
            _ => value.kind(),
        };
        (
            format!("a search attribute cannot be {kind}"),
            "write a string, a number, a boolean or a list of strings; a time is a string such as `2026-11-01T00:00:00Z`",
        )
    } else if data.len() > MAX_SEARCH_ATTRIBUTE_BYTES {
        (
            format!(
                "this search attribute has {} bytes, and the service takes at most {MAX_SEARCH_ATTRIBUTE_BYTES}",
                data.len()
            ),
            "longer texts belong into `memo`",
        )
    } else {
        return Ok(Payload::new("json/plain", data));
    };
    let path = vec![SEARCH_ATTRIBUTES.into(), Step::Key(name.to_owned())];
    let code = Code::InvalidSearchAttribute;
    Err(Finding::new(code, path, message).with_help(help).at_key())
}

/// Bytes that a start takes in a request, without protobuf's own few.
pub(in crate::expand) fn request_size(start: &Start) -> usize {
    let WorkflowSpec {
        workflow_type,
        task_queue,
        args,
        memo,
        search_attributes,
        headers,
        static_summary,
        static_details,
        options: _,
    } = &start.workflow;
    let named = [memo, search_attributes, headers].into_iter().flatten();
    let named = named.map(|(name, payload)| name.len() + payload.size());
    let texts = [
        Some(&*start.workflow_id),
        Some(&**workflow_type),
        Some(&**task_queue),
        static_summary.as_deref(),
        static_details.as_deref(),
    ];
    args.iter().map(Payload::size).sum::<usize>()
        + named.sum::<usize>()
        + texts.into_iter().flatten().map(str::len).sum::<usize>()
}
