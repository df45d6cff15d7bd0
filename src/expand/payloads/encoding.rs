//! Values as payloads.

use std::borrow::Cow;

use super::given;
use super::payload::Payload;
use crate::expand::folder::Folder;
use crate::manifest::diagnostic::Code;
use crate::manifest::finding::Finding;
use crate::manifest::locate::Step;
use crate::manifest::node::{Node, Value};

/// The key that gives a payload byte for byte. To be meant literally it is written with one `$`
/// more, and so is a key that is written like that.
const PAYLOAD_KEY: &str = "$payload";

/// Encodes one value; problems are at paths below it.
///
/// # Errors
/// Everything that is wrong with the value.
pub(in crate::expand) fn encode(node: &Node, folder: Folder<'_>) -> Result<Payload, Vec<Finding>> {
    match &node.value {
        Value::Null => return Ok(Payload::new("binary/null", Vec::new())),
        Value::Binary(bytes) => return Ok(Payload::new("binary/plain", bytes.to_vec())),
        Value::Map(entries) if is_sole_key(node, PAYLOAD_KEY) => {
            return given::encode(&entries[0].1, folder, PAYLOAD_KEY.into());
        }
        _ => {}
    }
    Ok(json(&*json_value(node)?))
}

/// Encodes what an expression came to. It is data from end to end: `$payload` has no meaning in it.
pub(in crate::expand) fn encode_data(node: &Node) -> Payload {
    match &node.value {
        Value::Null => Payload::new("binary/null", Vec::new()),
        _ => json(node),
    }
}

/// A value in JSON, as it is.
fn json(node: &Node) -> Payload {
    let data = serde_json::to_vec(node).expect("a node tree can be written as JSON");
    Payload::new("json/plain", data)
}

/// Whether a value gives its payload byte for byte.
pub(in crate::expand) fn is_given(node: &Node) -> bool {
    is_sole_key(node, PAYLOAD_KEY)
}

/// A value that becomes JSON, with what is escaped in it unescaped.
///
/// # Errors
/// What has no place inside of a JSON value.
pub(in crate::expand) fn json_value(node: &Node) -> Result<Cow<'_, Node>, Vec<Finding>> {
    let mut findings = Vec::new();
    let mut escaped = false;
    look_inside(node, &mut Vec::new(), &mut findings, &mut escaped);
    match (findings.is_empty(), escaped) {
        (false, _) => Err(findings),
        (true, true) => Ok(Cow::Owned(unescape(node))),
        (true, false) => Ok(Cow::Borrowed(node)),
    }
}

fn is_sole_key(node: &Node, key: &str) -> bool {
    matches!(node.entries(), [(only, _)] if &*only.text == key)
}

/// Finds what has no place inside of a JSON value, and whether a key is escaped.
fn look_inside(node: &Node, path: &mut Vec<Step>, findings: &mut Vec<Finding>, escaped: &mut bool) {
    match &node.value {
        Value::Binary(_) => findings.push(
            Finding::new(
                Code::InvalidPayload,
                path.clone(),
                "`!!binary` is a payload of its own and cannot stand inside of a JSON value",
            )
            .with_help("make it a whole argument, or write Base64 text without the tag"),
        ),
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(index.into());
                look_inside(item, path, findings, escaped);
                path.pop();
            }
        }
        Value::Map(entries) => {
            if node.get(PAYLOAD_KEY).is_some() {
                path.push(PAYLOAD_KEY.into());
                findings.push(misplaced(path, entries.len() > 1));
                path.pop();
                return;
            }
            for (key, value) in &**entries {
                *escaped |= unescaped(&key.text).is_some();
                path.push(Step::Key(key.text.to_string()));
                look_inside(value, path, findings, escaped);
                path.pop();
            }
        }
        _ => {}
    }
}

/// The finding that `$payload` is not the only key of a whole value.
fn misplaced(path: &[Step], has_siblings: bool) -> Finding {
    let (message, help) = if has_siblings {
        (
            "`$payload` cannot stand beside other keys",
            "indent what belongs to it further; the key itself is written `$$payload`",
        )
    } else {
        (
            "`$payload` stands for a whole value and cannot stand inside of one",
            "to mean the key literally, write `$$payload`",
        )
    };
    Finding::new(Code::InvalidPayload, path.to_vec(), message)
        .at_key()
        .with_help(help)
}

/// The key that an escaped one stands for: `$payload` for `$$payload`, and so on.
fn unescaped(key: &str) -> Option<&str> {
    let literal = key.strip_prefix('$')?;
    may_be_escaped(literal).then_some(literal)
}

/// Whether a key would be taken for another one if it were not written with one `$` more.
pub(in crate::expand) fn may_be_escaped(key: &str) -> bool {
    key.starts_with('$') && key.trim_start_matches('$') == "payload"
}

fn unescape(node: &Node) -> Node {
    let value = match &node.value {
        Value::List(items) => Value::List(items.iter().map(unescape).collect()),
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| {
                let mut key = key.clone();
                if let Some(literal) = unescaped(&key.text) {
                    key.text = literal.into();
                }
                (key, unescape(value))
            });
            Value::Map(entries.collect())
        }
        other => other.clone(),
    };
    Node {
        value,
        span: node.span,
    }
}
