//! The node tree: a YAML document with every scalar resolved and every place remembered.
//!
//! JSON's data model plus bytes (`!!binary`). Keys keep their order, integers stay exact.

use std::sync::Arc;

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq};
use serde_json::Number;

use super::source::Span;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Where it stands; for a list or a map its first line.
    pub span: Span,
}

/// A resolved YAML value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer from -2^63 to 2^64-1, or a finite double.
    Number(Number),
    /// Text.
    String(Box<str>),
    /// `!!binary`.
    Binary(Box<[u8]>),
    /// A list. Shared, so that what an alias repeats is there once.
    List(Arc<[Node]>),
    /// A map with unique keys, in the order written.
    Map(Arc<[(Key, Node)]>),
}

/// A map's key and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// The key itself.
    pub text: Box<str>,
    /// Where it stands.
    pub span: Span,
}

impl Node {
    /// The value under `key`, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, node)| node)
    }

    /// Key and value under `key`, if this is a map that has it.
    pub fn entry(&self, key: &str) -> Option<&(Key, Node)> {
        self.entries().iter().find(|(name, _)| &*name.text == key)
    }

    /// The map's entries; empty for anything but a map.
    pub fn entries(&self) -> &[(Key, Node)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The list's items; empty for anything but a list.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// Values in it, itself included, and bytes of text.
    pub fn size(&self) -> usize {
        match &self.value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 1,
            Value::String(text) => 1 + text.len(),
            Value::Binary(bytes) => 1 + bytes.len(),
            Value::List(items) => 1 + items.iter().map(Node::size).sum::<usize>(),
            Value::Map(entries) => {
                let sizes = entries.iter().map(|(key, it)| key.text.len() + it.size());
                1 + sizes.sum::<usize>()
            }
        }
    }

    /// Whether there are bytes in it, however deep.
    pub fn holds_bytes(&self) -> bool {
        matches!(self.value, Value::Binary(_))
            || self.items().iter().any(Node::holds_bytes)
            || self.entries().iter().any(|(_, value)| value.holds_bytes())
    }

    /// Whether a text in it, however deep, holds an expression: `${{ … }}`.
    pub fn holds_expression(&self) -> bool {
        match &self.value {
            Value::String(text) => holds_expression(text),
            Value::List(items) => items.iter().any(Node::holds_expression),
            Value::Map(entries) => entries
                .iter()
                .any(|(key, value)| holds_expression(&key.text) || value.holds_expression()),
            _ => false,
        }
    }

    /// What a person calls this kind of value.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(number) if number.is_f64() => "a fraction",
            Value::Number(_) => "an integer",
            Value::String(_) => "a string",
            Value::Binary(_) => "bytes",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// Whether a text holds an expression.
pub fn holds_expression(text: &str) -> bool {
    text.contains("${{")
}

/// Writes a node as data: bytes become Base64 text, so callers that must tell them apart look
/// before they serialise.
impl Serialize for Node {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Number(number) => number.serialize(serializer),
            Value::String(text) => serializer.serialize_str(text),
            Value::Binary(bytes) => {
                use base64::Engine;
                let text = base64::engine::general_purpose::STANDARD.encode(bytes);
                serializer.serialize_str(&text)
            }
            Value::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in &**items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Value::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in &**entries {
                    map.serialize_entry(&*key.text, value)?;
                }
                map.end()
            }
        }
    }
}
