//! A start as a manifest would say it.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::payloads::encoding::may_be_escaped;
use super::payloads::payload::Payload;
use super::start::{
    CompletionCallback, IdConflictPolicy, IdReusePolicy, Link, OnConflict, Priority, RetryPolicy,
    Start, StartOptions, VersioningOverride, WorkflowOptions, WorkflowSpec,
};
use crate::manifest::duration;
use crate::manifest::node::holds_expression;
use crate::manifest::{API_VERSION, Kind};

/// The head of a manifest document: everything but its starts.
pub fn document_head(name: &str) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": Kind::Starts.as_str(),
        "metadata": {"name": name},
    })
}

/// The fields of a start, in the order of the manual. What is not set is left out; a manifest of
/// these fields expands to the same start.
pub fn start_value(start: &Start) -> Value {
    let Start {
        index: _,
        source: _,
        name,
        workflow_id,
        workflow,
        options,
    } = start;
    let WorkflowSpec {
        workflow_type,
        task_queue,
        args,
        memo,
        search_attributes,
        headers,
        static_summary,
        static_details,
        options: workflow_options,
    } = workflow;
    let WorkflowOptions {
        execution_timeout,
        run_timeout,
        task_timeout,
        retry_policy,
        priority,
        versioning_override,
    } = &**workflow_options;
    let StartOptions {
        id_reuse_policy,
        id_conflict_policy,
        start_delay,
        cron_schedule,
        completion_callbacks,
        links,
        on_conflict,
        fail_existing,
    } = &**options;
    literal(object([
        ("name", text(name.as_deref())),
        (
            "workflowId",
            text(Some(&**workflow_id).filter(|id| !id.is_empty())),
        ),
        ("type", text(Some(&**workflow_type))),
        ("taskQueue", text(Some(&**task_queue))),
        ("args", list(args, payload_value)),
        (
            "idReusePolicy",
            text(id_reuse_policy.map(IdReusePolicy::as_str)),
        ),
        (
            "idConflictPolicy",
            text(id_conflict_policy.map(IdConflictPolicy::as_str)),
        ),
        ("executionTimeout", time(*execution_timeout)),
        ("runTimeout", time(*run_timeout)),
        ("taskTimeout", time(*task_timeout)),
        ("startDelay", time(*start_delay)),
        ("cronSchedule", text(cron_schedule.as_deref())),
        ("retryPolicy", retry_policy.as_ref().map(retry_policy_value)),
        ("memo", named(memo)),
        ("searchAttributes", named(search_attributes)),
        ("headers", named(headers)),
        ("priority", priority.as_ref().map(priority_value)),
        ("staticSummary", text(static_summary.as_deref())),
        ("staticDetails", text(static_details.as_deref())),
        (
            "versioningOverride",
            versioning_override.as_ref().map(version_value),
        ),
        (
            "completionCallbacks",
            list(completion_callbacks, callback_value),
        ),
        ("links", list(links, link_value)),
        ("onConflict", on_conflict.map(on_conflict_value)),
        ("failExisting", fail_existing.then_some(Value::Bool(true))),
    ]))
}

fn text(text: Option<&str>) -> Option<Value> {
    text.map(Value::from)
}

fn time(time: Option<Duration>) -> Option<Value> {
    time.map(|time| duration::format(time).into())
}

fn retry_policy_value(policy: &RetryPolicy) -> Value {
    let RetryPolicy {
        initial_interval,
        backoff_coefficient,
        maximum_interval,
        maximum_attempts,
        non_retryable_error_types,
    } = policy;
    let attempts = Some(*maximum_attempts).filter(|count| *count > 0);
    object([
        ("initialInterval", time(*initial_interval)),
        ("backoffCoefficient", backoff_coefficient.map(Value::from)),
        ("maximumInterval", time(*maximum_interval)),
        ("maximumAttempts", attempts.map(Value::from)),
        (
            "nonRetryableErrorTypes",
            list(non_retryable_error_types, |error_type| json!(error_type)),
        ),
    ])
}

fn priority_value(priority: &Priority) -> Value {
    let Priority {
        key,
        fairness_key,
        fairness_weight,
    } = priority;
    let weight = Some(*fairness_weight).filter(|weight| *weight != 0.0);
    object([
        ("key", Some(*key).filter(|key| *key != 0).map(Value::from)),
        (
            "fairnessKey",
            text(Some(&**fairness_key).filter(|key| !key.is_empty())),
        ),
        ("fairnessWeight", weight.map(short_float)),
    ])
}

fn version_value(version: &VersioningOverride) -> Value {
    match version {
        VersioningOverride::Pinned {
            deployment_name,
            build_id,
        } => json!({"pinned": {"deploymentName": deployment_name, "buildId": build_id}}),
        VersioningOverride::AutoUpgrade => json!({"autoUpgrade": true}),
    }
}

fn callback_value(callback: &CompletionCallback) -> Value {
    let CompletionCallback { url, headers } = callback;
    let headers = headers
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)));
    let headers = Some(headers.collect::<Map<_, _>>()).filter(|map| !map.is_empty());
    object([
        ("url", text(Some(url))),
        ("headers", headers.map(Value::Object)),
    ])
}

fn on_conflict_value(options: OnConflict) -> Value {
    let OnConflict {
        attach_request_id,
        attach_completion_callbacks,
        attach_links,
    } = options;
    json!({
        "attachRequestId": attach_request_id,
        "attachCompletionCallbacks": attach_completion_callbacks,
        "attachLinks": attach_links,
    })
}

/// The same value for a manifest, in which an expression's marks are not meant as such.
fn literal(value: Value) -> Value {
    match value {
        Value::String(text) if holds_expression(&text) => {
            Value::String(text.replace("${{", "${{ '${{' }}"))
        }
        Value::Array(items) => items.into_iter().map(literal).collect(),
        Value::Object(entries) => {
            let entries = entries
                .into_iter()
                .map(|(key, value)| (key, literal(value)));
            Value::Object(entries.collect())
        }
        other => other,
    }
}

/// Whether a key in a value holds an expression's marks, which no manifest can write in a key.
fn has_marked_key(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_marked_key),
        Value::Object(entries) => entries
            .iter()
            .any(|(key, value)| holds_expression(key) || has_marked_key(value)),
        _ => false,
    }
}

fn object<const N: usize>(entries: [(&str, Option<Value>); N]) -> Value {
    let entries = entries
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(entries.collect())
}

fn list<T>(items: &[T], value: impl FnMut(&T) -> Value) -> Option<Value> {
    (!items.is_empty()).then(|| items.iter().map(value).collect())
}

fn named(values: &[(Arc<str>, Payload)]) -> Option<Value> {
    let entries = values
        .iter()
        .map(|(name, payload)| (name.to_string(), payload_value(payload)));
    (!values.is_empty()).then(|| Value::Object(entries.collect()))
}

/// The shortest decimal that reads as the same `f32`.
fn short_float(value: f32) -> Value {
    value
        .to_string()
        .parse::<f64>()
        .map_or(Value::Null, Value::from)
}

fn link_value(link: &Link) -> Value {
    match link {
        Link::WorkflowEvent {
            namespace,
            workflow_id,
            run_id,
            event_id,
            event_type,
        } => {
            let event = object([
                ("namespace", Some(json!(namespace))),
                ("workflowId", Some(json!(workflow_id))),
                ("runId", Some(json!(run_id))),
                ("eventId", event_id.map(Value::from)),
                (
                    "eventType",
                    event_type.map(|event_type| event_type.as_str().into()),
                ),
            ]);
            json!({"workflowEvent": event})
        }
        Link::BatchJob { job_id } => json!({"batchJob": {"jobId": job_id}}),
    }
}

/// A payload as manifests write it: JSON as it is, anything else with `$payload`.
fn payload_value(payload: &Payload) -> Value {
    if let [(key, encoding)] = &*payload.metadata
        && key == "encoding"
    {
        match encoding.as_slice() {
            b"binary/null" if payload.data.is_empty() => return Value::Null,
            b"json/plain" => {
                // Bytes that were given as they are may be no JSON, or JSON in another form.
                if let Ok(value) = serde_json::from_slice::<Value>(&payload.data)
                    && serde_json::to_vec(&value).is_ok_and(|again| again == payload.data)
                    && !value.is_null()
                    && !has_marked_key(&value)
                {
                    return escape(value);
                }
            }
            _ => {}
        }
    }
    let mut given = Map::new();
    let mut metadata = Map::new();
    for (key, value) in payload.metadata.iter() {
        let text = String::from_utf8_lossy(value).into_owned().into();
        if key == "encoding" {
            given.insert(key.clone(), text);
        } else {
            metadata.insert(key.clone(), text);
        }
    }
    given.insert("base64".to_owned(), STANDARD.encode(&payload.data).into());
    if !metadata.is_empty() {
        given.insert("metadata".to_owned(), Value::Object(metadata));
    }
    json!({"$payload": given})
}

/// Writes the key `$payload` so that it is not taken for ours, and one that is written like that
/// so that it stays what it is.
fn escape(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(escape).collect(),
        Value::Object(entries) => {
            let entries = entries.into_iter().map(|(key, value)| {
                let key = match may_be_escaped(&key) {
                    true => format!("${key}"),
                    false => key,
                };
                (key, escape(value))
            });
            Value::Object(entries.collect())
        }
        other => other,
    }
}
