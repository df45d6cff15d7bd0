//! What is common to the words of findings: names of values, types, durations, flow YAML.

use jsonschema::JsonType;
use serde_json::Value as JsonValue;

use super::diagnostic::Code;
use super::finding::Finding;
use super::locate::Step;
use crate::manifest::text::duration;
use crate::manifest::text::node::Node;

/// How a value is called in a message: its key, or its place in a list.
pub(in crate::manifest) fn name_of(path: &[Step]) -> String {
    match path {
        [] => "the manifest".to_owned(),
        [.., Step::Key(key)] => format!("`{}`", crate::manifest::text::scalar::shorten(key)),
        [.., Step::Key(list), Step::Index(index)] => format!("`{list}[{index}]`"),
        [.., Step::Index(index)] => format!("item {index}"),
    }
}

/// The finding for a text that is no duration.
pub(in crate::manifest) fn invalid_duration(path: Vec<Step>, name: &str, text: &str) -> Finding {
    let shown = crate::manifest::text::scalar::shorten(text);
    let reason = match duration::parse(text) {
        Err(error) => error.to_string(),
        Ok(_) => "it has another form".to_owned(),
    };
    let message = format!("{name} cannot be `{shown}`: {reason}");
    Finding::new(Code::InvalidDuration, path, message)
        .with_help("write for example `30s`, `1h30m` or `2d`")
}

pub(in crate::manifest) fn kind_word(kind: JsonType) -> &'static str {
    match kind {
        JsonType::Array => "a list",
        JsonType::Boolean => "a boolean",
        JsonType::Integer => "an integer",
        JsonType::Null => "null",
        JsonType::Number => "a number",
        JsonType::Object => "a map",
        JsonType::String => "a string",
    }
}

pub(in crate::manifest) fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().collect::<Vec<_>>().join(", ")
}

/// A value as flow YAML, as short as a person would write it.
pub(in crate::manifest) fn flow(value: &JsonValue) -> String {
    match value {
        JsonValue::String(text) => text.clone(),
        JsonValue::Array(items) => {
            format!(
                "[{}]",
                items.iter().map(flow).collect::<Vec<_>>().join(", ")
            )
        }
        JsonValue::Object(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| format!("{key}: {}", flow(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

pub(in crate::manifest) fn flow_node(node: &Node) -> String {
    let text = flow(&serde_json::to_value(node).unwrap_or_default());
    crate::manifest::text::scalar::shorten(&text)
}
