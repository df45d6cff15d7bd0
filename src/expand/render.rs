//! A start as a manifest would say it.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::payload::{Payload, may_be_escaped};
use super::start::{Link, Start, VersioningOverride};
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
    let settings = &*start.settings;
    let mut fields = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    let text = |text: Option<&str>| text.map(Value::from);
    let time = |time: Option<std::time::Duration>| time.map(|time| duration::format(time).into());
    set("name", text(start.name.as_deref()));
    set(
        "workflowId",
        Some(&start.workflow_id)
            .filter(|id| !id.is_empty())
            .map(|id| json!(id)),
    );
    set("type", Some(json!(*start.workflow_type)));
    set("taskQueue", Some(json!(*start.task_queue)));
    set("args", list(&start.args, payload_value));
    set(
        "idReusePolicy",
        settings
            .id_reuse_policy
            .map(|policy| policy.as_str().into()),
    );
    set(
        "idConflictPolicy",
        settings
            .id_conflict_policy
            .map(|policy| policy.as_str().into()),
    );
    set("executionTimeout", time(settings.execution_timeout));
    set("runTimeout", time(settings.run_timeout));
    set("taskTimeout", time(settings.task_timeout));
    set("startDelay", time(settings.start_delay));
    set("cronSchedule", text(settings.cron_schedule.as_deref()));
    set(
        "retryPolicy",
        settings.retry_policy.as_ref().map(|retry| {
            object([
                ("initialInterval", time(retry.initial_interval)),
                (
                    "backoffCoefficient",
                    retry.backoff_coefficient.map(Value::from),
                ),
                ("maximumInterval", time(retry.maximum_interval)),
                (
                    "maximumAttempts",
                    Some(retry.maximum_attempts)
                        .filter(|count| *count > 0)
                        .map(Value::from),
                ),
                (
                    "nonRetryableErrorTypes",
                    list(&retry.non_retryable_error_types, |error_type| {
                        json!(error_type)
                    }),
                ),
            ])
        }),
    );
    set("memo", named(&start.memo));
    set("searchAttributes", named(&start.search_attributes));
    set("headers", named(&start.headers));
    set(
        "priority",
        settings.priority.as_ref().map(|priority| {
            object([
                (
                    "key",
                    Some(priority.key).filter(|key| *key != 0).map(Value::from),
                ),
                (
                    "fairnessKey",
                    Some(&priority.fairness_key)
                        .filter(|key| !key.is_empty())
                        .map(|key| json!(key)),
                ),
                (
                    "fairnessWeight",
                    Some(priority.fairness_weight)
                        .filter(|weight| *weight != 0.0)
                        .map(short_float),
                ),
            ])
        }),
    );
    set("staticSummary", text(start.static_summary.as_deref()));
    set("staticDetails", text(start.static_details.as_deref()));
    set(
        "versioningOverride",
        settings
            .versioning_override
            .as_ref()
            .map(|version| match version {
                VersioningOverride::Pinned {
                    deployment_name,
                    build_id,
                } => {
                    json!({"pinned": {"deploymentName": deployment_name, "buildId": build_id}})
                }
                VersioningOverride::AutoUpgrade => json!({"autoUpgrade": true}),
            }),
    );
    set(
        "completionCallbacks",
        list(&settings.completion_callbacks, |callback| {
            let headers = callback
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), json!(value)));
            object([
                ("url", Some(json!(callback.url))),
                (
                    "headers",
                    Some(headers.collect::<Map<_, _>>())
                        .filter(|map| !map.is_empty())
                        .map(Value::Object),
                ),
            ])
        }),
    );
    set("links", list(&settings.links, link_value));
    set(
        "onConflict",
        settings.on_conflict.map(|options| {
            json!({
                "attachRequestId": options.attach_request_id,
                "attachCompletionCallbacks": options.attach_completion_callbacks,
                "attachLinks": options.attach_links,
            })
        }),
    );
    set(
        "failExisting",
        settings.fail_existing.then_some(Value::Bool(true)),
    );
    literal(Value::Object(fields))
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
