//! Between our payloads and those on the wire, and from payloads back to values.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::api::temporal::api::common::v1 as wire;
use crate::expand::payload::Payload;

/// A payload as it goes over the wire. The bytes are shared, not copied.
pub(super) fn to_wire(payload: &Payload) -> wire::Payload {
    wire::Payload {
        metadata: payload.metadata.iter().cloned().collect(),
        data: payload.data.clone(),
    }
}

/// A list of payloads; `None` if it is empty.
pub(super) fn list_to_wire(payloads: &[Payload]) -> Option<wire::Payloads> {
    if payloads.is_empty() {
        return None;
    }
    Some(wire::Payloads {
        payloads: payloads.iter().map(to_wire).collect(),
    })
}

/// A Workflow's result as a value: nothing, one value, or a list of several.
pub(super) fn result_value(payloads: Option<wire::Payloads>) -> Option<Value> {
    let mut payloads = payloads?.payloads;
    match payloads.len() {
        0 => None,
        1 => payloads.pop().map(|payload| value(&payload)),
        _ => Some(payloads.iter().map(value).collect()),
    }
}

/// What stands for a result that is larger than we read.
pub(super) fn too_large() -> Value {
    json!({"$tooLarge": "more than 4 MiB, not shown"})
}

/// A payload as a value. What is not JSON comes in the form that manifests write it in.
fn value(payload: &wire::Payload) -> Value {
    let encoding = payload
        .metadata
        .get("encoding")
        .map(|bytes| String::from_utf8_lossy(bytes));
    match encoding.as_deref() {
        Some("binary/null") => return Value::Null,
        Some("json/plain" | "json/protobuf") => {
            if let Ok(value) = serde_json::from_slice(&payload.data) {
                return value;
            }
        }
        _ => {}
    }
    let base64 = STANDARD.encode(&payload.data);
    json!({"$payload": {"encoding": encoding.unwrap_or_default(), "base64": base64}})
}
