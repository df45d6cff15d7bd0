//! The edge to minijinja: its environment, and values on the way in and out.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::OnceLock;

use minijinja::value::{Serde, Value as Jinja, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Expression, State, UndefinedBehavior};
use serde_json::Number;

use super::casts::Cast;
use super::concatenation;
use super::expression::{Problem, node_of};
use super::text_filters;
use crate::manifest::node::{Key, Node, Value};
use crate::manifest::shorten;
use crate::manifest::source::Span;

/// Work that one evaluation may take: an instruction, or 64 bytes. Enough for any text that fits
/// into a start; the most that it allows takes some 10 ms.
pub(super) const FUEL: u64 = 400_000;

/// Most values in what one expression comes to.
const MAX_VALUES: usize = 100_000;

/// Deepest nesting of what one expression comes to.
const MAX_DEPTH: usize = 100;

/// minijinja's environment: its filters, tests and `range`, with our casts, and nothing that
/// reaches out of the expression.
pub(super) fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        for (name, cast) in Cast::ALL {
            environment.add_filter(name, move |value: Jinja| -> Result<Jinja, Error> {
                let failed = |message| Error::new(ErrorKind::InvalidOperation, message);
                if value.is_undefined() {
                    return Err(ErrorKind::UndefinedError.into());
                }
                let node = from_jinja(&value).map_err(|it| failed(it.message))?;
                let cast = cast.node(&node).map_err(failed)?;
                Ok(to_jinja(&node_of(cast)))
            });
        }
        environment.add_filter(SPENT, |state: &State, value: Jinja| {
            let (consumed, _) = state.fuel_levels().unwrap_or_default();
            CONSUMED.set(consumed);
            value
        });
        for name in ["debug", "namespace", "dict"] {
            environment.remove_global(name);
        }
        for name in ["safe", "escape", "e", "pprint"] {
            environment.remove_filter(name);
        }
        text_filters::install(&mut environment);
        environment
    })
}

/// The filter that ends every expression and tells what it has consumed.
const SPENT: &str = "__spent";

thread_local! {
    /// Fuel that the expression which was evaluated last has consumed.
    static CONSUMED: Cell<u64> = const { Cell::new(0) };
}

/// Steps of the command's budget that one unit of fuel takes.
const STEPS_PER_FUEL: u64 = 3;

/// Fuel that an evaluation counts as which failed before it could tell.
const FAILED_FUEL: u64 = 1_000;

/// An expression of minijinja.
#[derive(Debug)]
pub(super) struct Compiled(Expression<'static, 'static>);

impl Compiled {
    /// Compiles an expression.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn new(text: &str) -> Result<Self, Error> {
        // What stands around it must not make sense of what makes none by itself.
        environment().compile_expression(text)?;
        let with_texts = concatenation::with_texts(text);
        let text = with_texts.as_deref().unwrap_or(text);
        let told = format!("({text}\n)|{SPENT}");
        Ok(Compiled(environment().compile_expression_owned(told)?))
    }

    /// What it looks up: names, or names joined by dots.
    pub(super) fn names(&self, nested: bool) -> HashSet<String> {
        self.0.undeclared_variables(nested)
    }

    /// Evaluates it, and tells the steps that it took.
    pub(super) fn evaluate(&self, names: Jinja) -> (Result<Jinja, Error>, u64) {
        CONSUMED.set(FAILED_FUEL);
        let outcome = self.0.eval(names);
        let fuel = match &outcome {
            Err(error) if error.kind() == ErrorKind::OutOfFuel => FUEL,
            _ => CONSUMED.get(),
        };
        (outcome, fuel * STEPS_PER_FUEL)
    }
}

/// minijinja's words for an error, without the place, which is shown in another way.
pub(super) fn words(error: &Error) -> String {
    match error.detail() {
        Some(detail) => detail.to_owned(),
        None => error.kind().to_string(),
    }
}

/// A node as minijinja's value.
pub(super) fn to_jinja(node: &Node) -> Jinja {
    match &node.value {
        Value::String(text) => Jinja::from(&**text),
        _ => Jinja::from(Serde(node)),
    }
}

/// What minijinja came to, as a value that JSON can hold.
///
/// # Errors
/// It has no JSON form, or is too large.
pub(super) fn from_jinja(value: &Jinja) -> Result<Node, Problem> {
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
pub(super) fn number(value: &Jinja) -> Result<Number, Problem> {
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
