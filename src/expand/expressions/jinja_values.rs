//! The edge to minijinja: values and errors on the way in and out, and the work one may take.

use minijinja::Error;
use minijinja::value::{Serde, Value as Jinja, ValueKind};
use serde_json::Number;

use super::problem::{Problem, node_of};
use crate::manifest::node::{Key, Node, Value};
use crate::manifest::shorten;
use crate::manifest::source::Span;

/// Work that one evaluation may take: an instruction, or 64 bytes. Enough for any text that fits
/// into a start; the most that it allows takes some 10 ms.
pub(in crate::expand) const FUEL: u64 = 400_000;

/// Most values in what one expression comes to.
const MAX_VALUES: usize = 100_000;

/// Deepest nesting of what one expression comes to.
const MAX_DEPTH: usize = 100;

/// minijinja's words for an error, without the place, which is shown in another way.
pub(in crate::expand) fn words(error: &Error) -> String {
    match error.detail() {
        Some(detail) => detail.to_owned(),
        None => error.kind().to_string(),
    }
}

/// A node as minijinja's value.
pub(in crate::expand) fn to_jinja(node: &Node) -> Jinja {
    match &node.value {
        Value::String(text) => Jinja::from(&**text),
        _ => Jinja::from(Serde(node)),
    }
}

/// What minijinja came to, as a value that JSON can hold.
///
/// # Errors
/// It has no JSON form, or is too large.
pub(in crate::expand) fn from_jinja(value: &Jinja) -> Result<Node, Problem> {
    bounded(value, 0, &mut 0)
}

fn bounded(value: &Jinja, depth: usize, values: &mut usize) -> Result<Node, Problem> {
    *values += 1;
    if depth > MAX_DEPTH || *values > MAX_VALUES {
        return Err(Problem::failed(format!(
            "this expression comes to more than {MAX_VALUES} values, or to lists and maps nested more than {MAX_DEPTH} levels deep"
        )));
    }
    Ok(node_of(match value.kind() {
        ValueKind::None => Value::Null,
        ValueKind::Bool => Value::Bool(value.is_true()),
        ValueKind::Number => Value::Number(number(value)?),
        ValueKind::String => Value::String(value.as_str().unwrap_or_default().into()),
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value
                .try_iter()
                .map_err(|error| Problem::failed(words(&error)))?;
            let items = items.map(|item| bounded(&item, depth + 1, values));
            Value::List(items.collect::<Result<_, _>>()?)
        }
        ValueKind::Map => {
            let keys = value
                .try_iter()
                .map_err(|error| Problem::failed(words(&error)))?;
            let entries = keys.map(|key| {
                let Some(text) = key.as_str() else {
                    return Err(Problem::failed("a key must be a string")
                        .with_help("write the key in quotes"));
                };
                let member = value
                    .get_item(&key)
                    .map_err(|it| Problem::failed(words(&it)))?;
                let key = Key {
                    text: text.into(),
                    span: Span::default(),
                };
                Ok((key, bounded(&member, depth + 1, values)?))
            });
            Value::Map(entries.collect::<Result<_, _>>()?)
        }
        kind => {
            return Err(Problem::failed(format!(
                "this expression comes to {kind}, which no argument can carry"
            )));
        }
    }))
}

/// A number as JSON has it.
///
/// # Errors
/// JSON has none for it.
pub(in crate::expand) fn number(value: &Jinja) -> Result<Number, Problem> {
    if value.is_integer() {
        let signed = i64::try_from(value.clone()).map(Number::from);
        let number = signed.or_else(|_| u64::try_from(value.clone()).map(Number::from));
        return number.map_err(|_| {
            Problem::failed(format!(
                "the integer {} is outside of -2^63 to 2^64-1",
                shorten(&value.to_string())
            ))
        });
    }
    let float = f64::try_from(value.clone()).ok().and_then(Number::from_f64);
    float.ok_or_else(|| {
        Problem::failed(format!(
            "{value} has no JSON form, so no argument can carry it"
        ))
    })
}
