//! The edge to minijinja: its environment, and expressions that it has compiled.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::OnceLock;

use minijinja::value::Value as Jinja;
use minijinja::{Environment, Error, ErrorKind, Expression, State, UndefinedBehavior};

use super::casts::Cast;
use super::concatenation;
use super::jinja_values::{FUEL, from_jinja, to_jinja};
use super::problem::node_of;
use super::text_filters;

/// minijinja's environment: its filters, tests and `range`, with our casts, and nothing that
/// reaches out of the expression.
pub(in crate::expand) fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| with_fuel(FUEL))
}

/// The same with little fuel, to find out whether an evaluation that failed had done much before.
fn frugal() -> &'static Environment<'static> {
    static FRUGAL: OnceLock<Environment<'static>> = OnceLock::new();
    FRUGAL.get_or_init(|| with_fuel(FAILED_FUEL))
}

fn with_fuel(fuel: u64) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(fuel));
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
}

/// The filter that ends every expression and tells what it has consumed.
const SPENT: &str = "__spent";

thread_local! {
    /// Fuel that the expression which was evaluated last has consumed.
    static CONSUMED: Cell<u64> = const { Cell::new(0) };
}

/// Steps of the command's budget that one unit of fuel takes.
const STEPS_PER_FUEL: u64 = 3;

/// Fuel that an evaluation counts as which failed with no more than that.
const FAILED_FUEL: u64 = 1_000;

/// An expression of minijinja.
#[derive(Debug)]
pub(in crate::expand) struct Compiled {
    expression: Expression<'static, 'static>,
    /// What it was compiled from.
    text: Box<str>,
}

impl Compiled {
    /// Compiles an expression.
    ///
    /// # Errors
    /// It cannot be read.
    pub(in crate::expand) fn new(text: &str) -> Result<Self, Error> {
        // What stands around it must not make sense of what makes none by itself.
        environment().compile_expression(text)?;
        let with_texts = concatenation::with_texts(text);
        let text = with_texts.as_deref().unwrap_or(text);
        let told = format!("({text}\n)|{SPENT}");
        Ok(Compiled {
            text: told.as_str().into(),
            expression: environment().compile_expression_owned(told)?,
        })
    }

    /// What it looks up: names, or names joined by dots.
    pub(in crate::expand) fn names(&self, nested: bool) -> HashSet<String> {
        self.expression.undeclared_variables(nested)
    }

    /// Evaluates it, and tells the steps that it took.
    pub(in crate::expand) fn evaluate(&self, names: Jinja) -> (Result<Jinja, Error>, u64) {
        let outcome = self.expression.eval(names.clone());
        let fuel = match &outcome {
            Ok(_) => CONSUMED.get(),
            Err(error) if error.kind() == ErrorKind::OutOfFuel => FUEL,
            // What fails does not tell what it has consumed.
            Err(_) if self.needs_more_than_little(names) => FUEL,
            Err(_) => FAILED_FUEL,
        };
        (outcome, fuel * STEPS_PER_FUEL)
    }

    fn needs_more_than_little(&self, names: Jinja) -> bool {
        let again = frugal().compile_expression(&self.text);
        again
            .and_then(|expression| expression.eval(names))
            .is_err_and(|error| error.kind() == ErrorKind::OutOfFuel)
    }
}
