//! JSON text in, a node out: a row, or an argument that is looked at again.
//!
//! Stricter than JSON libraries are by default: a key that is given twice and an integer that a
//! JSON number cannot hold exactly are errors, as they are in a manifest.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::node::{Key, Node, Value};
use super::source::Span;

/// Why a text is no value.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// It is not JSON, or has a key twice.
    #[error("{}", words(.0))]
    Syntax(serde_json::Error),
    /// An integer outside of -2^63 to 2^64-1.
    #[error(
        "the integer `{}` is outside of -2^63 to 2^64-1 and would lose digits",
        crate::manifest::shorten(text)
    )]
    NumberOutOfRange {
        /// The integer.
        text: String,
        /// Its first byte.
        at: usize,
    },
}

impl JsonError {
    /// The byte of a one-line text that the error is about.
    pub fn offset(&self) -> usize {
        match self {
            JsonError::Syntax(error) => error.column().saturating_sub(1),
            JsonError::NumberOutOfRange { at, .. } => *at,
        }
    }
}

/// The library's words without the place, which is shown in another way.
fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// Reads one JSON value. Nodes have no place.
///
/// # Errors
/// [`JsonError`].
pub fn parse(text: &[u8]) -> Result<Node, JsonError> {
    let large = Cell::new(false);
    let mut reader = serde_json::Deserializer::from_slice(text);
    let node = NodeSeed { large: &large }
        .deserialize(&mut reader)
        .and_then(|node| reader.end().map(|()| node))
        .map_err(JsonError::Syntax)?;
    if large.get()
        && let Some((at, integer)) = large_integer(text)
    {
        return Err(JsonError::NumberOutOfRange { text: integer, at });
    }
    Ok(node)
}

/// The first integer that does not fit, and where it begins. What is in quotes is none.
fn large_integer(text: &[u8]) -> Option<(usize, String)> {
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'"' => {
                at += 1;
                while at < text.len() && text[at] != b'"' {
                    at += if text[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                let is_part = |b: &u8| matches!(b, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let rest = &text[at..];
                let length = rest.iter().position(|b| !is_part(b)).unwrap_or(rest.len());
                let number = String::from_utf8_lossy(&rest[..length]);
                let is_integer = !number.contains(['.', 'e', 'E']);
                if is_integer && number.parse::<i64>().is_err() && number.parse::<u64>().is_err() {
                    return Some((at, number.into_owned()));
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    None
}

/// Map size from which keys are looked up by hash.
const INDEXED_FROM: usize = 16;

#[derive(Clone, Copy)]
struct NodeSeed<'l> {
    /// Whether there is a number that may be an integer with digits lost.
    large: &'l Cell<bool>,
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_> {
    type Value = Node;

    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<Node, D::Error> {
        let value = reader.deserialize_any(self)?;
        Ok(Node {
            value,
            span: Span::default(),
        })
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        if value.abs() >= i64::MAX as f64 {
            self.large.set(true);
        }
        let number = Number::from_f64(value).ok_or_else(|| E::custom("number out of range"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::List(list.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut index: Option<HashSet<Box<str>>> = None;
        while let Some(text) = members.next_key::<Box<str>>()? {
            let known = match &mut index {
                Some(index) => !index.insert(text.clone()),
                None => entries.iter().any(|(key, _)| key.text == text),
            };
            if known {
                let key = crate::manifest::shorten(&text);
                return Err(de::Error::custom(format_args!(
                    "the key `{key}` is given twice"
                )));
            }
            let span = Span::default();
            let value = members.next_value_seed(self)?;
            entries.push((Key { text, span }, value));
            if index.is_none() && entries.len() > INDEXED_FROM {
                index = Some(entries.iter().map(|(key, _)| key.text.clone()).collect());
            }
        }
        Ok(Value::Map(entries.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_exactly() {
        let text =
            r#"{"b":[18446744073709551615,-9223372036854775808,1.5,1e20,null,true],"a":"x"}"#;
        let node = parse(text.as_bytes()).expect("this is JSON");
        let again = serde_json::to_string(&node).expect("a node can be written");
        assert_eq!(again, text.replace("1e20", "1e+20"));
    }

    #[test]
    fn what_would_be_lost_is_an_error() {
        for (text, offset) in [
            (
                r#"{"a":"99999999999999999999","b":18446744073709551616}"#,
                32,
            ),
            (r#"[-9223372036854775809]"#, 1),
            (r#"{"a":1,"a":2}"#, 9),
            (r#"{"a":1e999}"#, 9),
            (r#"{"a":1} x"#, 8),
        ] {
            let error = parse(text.as_bytes()).expect_err(text);
            assert_eq!(error.offset(), offset, "{text}: {error}");
        }
    }
}
