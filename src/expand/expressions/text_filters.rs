//! Filters that make text: in it a value is what it is in plain text of a manifest.
//!
//! minijinja's write Python's `None` and `True`, and lists and maps as Python shows them. Here
//! booleans are `true` and `false`, numbers are JSON's, and nothing else becomes text.

use std::fmt;
use std::sync::OnceLock;

use minijinja::value::{Kwargs, Rest, Value as Jinja, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior};

use super::jinja_values::{FUEL, number};

/// Filters with the number of arguments that are to be texts, from the first one on, and how many
/// more may be.
const FILTERS: [(&str, usize, usize); 9] = [
    ("upper", 1, 0),
    ("lower", 1, 0),
    ("title", 1, 0),
    ("capitalize", 1, 0),
    ("trim", 1, 1),
    ("replace", 3, 0),
    ("split", 1, 1),
    ("lines", 1, 0),
    ("indent", 1, 0),
];

/// What to do about a value that cannot stand in a text.
pub(in crate::expand) const HELP: &str =
    "make the expression the whole value, or give a default: `${{ … | default('none', true) }}`";

/// Replaces the filters that make text.
pub(in crate::expand) fn install(environment: &mut Environment<'static>) {
    environment.add_filter("string", |value: &Jinja| text(value));
    environment.add_filter("join", join);
    environment.add_filter("format", format);
    for (name, needed, more) in FILTERS {
        let filter = move |state: &State<'_, '_>, args: Rest<ValueOrKwargs>| {
            let mut args = args.into_values();
            for (position, arg) in args.iter_mut().enumerate().take(needed + more) {
                let is_absent = position >= needed && arg.is_none();
                if !arg.is_kwargs() && !is_absent {
                    *arg = text(arg)?;
                }
            }
            built_in(state, name, &args)
        };
        environment.add_filter(name, filter);
    }
}

/// What to do about an error of these filters, if it is one.
pub(in crate::expand) fn help(error: &Error) -> Option<&'static str> {
    let cause = std::error::Error::source(error)?;
    cause.is::<NoText>().then_some(HELP)
}

/// A value that cannot stand in a text.
#[derive(Debug)]
struct NoText;

impl fmt::Display for NoText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it has no form as text")
    }
}

impl std::error::Error for NoText {}

/// The message that a value of a kind cannot stand in a text.
pub(in crate::expand) fn refusal(kind: &str) -> String {
    format!("{kind} cannot stand inside of a text")
}

/// A value as text.
fn text(value: &Jinja) -> Result<Jinja, Error> {
    let kind = match value.kind() {
        ValueKind::String => return Ok(value.clone()),
        ValueKind::Bool => return Ok(Jinja::from(if value.is_true() { "true" } else { "false" })),
        ValueKind::Number => {
            let failed = |message| Error::new(ErrorKind::InvalidOperation, message);
            let number = number(value).map_err(|problem| failed(problem.message))?;
            return Ok(Jinja::from(number.to_string()));
        }
        ValueKind::Undefined => return Err(ErrorKind::UndefinedError.into()),
        ValueKind::None => "null".to_owned(),
        ValueKind::Seq | ValueKind::Iterable => "a list".to_owned(),
        ValueKind::Map => "a map".to_owned(),
        kind => kind.to_string(),
    };
    Err(Error::new(ErrorKind::InvalidOperation, refusal(&kind)).with_source(NoText))
}

/// Applies one of minijinja's own filters, at the expense of the fuel of `state`.
fn built_in(state: &State<'_, '_>, name: &str, args: &[Jinja]) -> Result<Jinja, Error> {
    static BUILT_IN: OnceLock<Environment<'static>> = OnceLock::new();
    let environment = BUILT_IN.get_or_init(|| {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment
    });
    let mut inner = environment.empty_state();
    let result = inner.apply_filter(name, args);
    let used = inner.fuel_levels().map_or(0, |(used, _)| used);
    state.consume_fuel(used)?;
    result
}

/// `join(joiner, attribute)`.
fn join(state: &State<'_, '_>, args: Rest<ValueOrKwargs>) -> Result<Jinja, Error> {
    let args = args.into_values();
    let (list, joiner, attribute, kwargs): (Jinja, Option<Jinja>, Option<Jinja>, Kwargs) =
        minijinja::value::from_args(&args)?;
    let joiner = match joiner {
        Some(joiner) => Some(joiner),
        None => kwargs.get::<Option<Jinja>>("d")?,
    };
    let attribute = match attribute {
        Some(attribute) => Some(attribute),
        None => kwargs.get::<Option<Jinja>>("attribute")?,
    };
    kwargs.assert_all_used()?;
    let list = match attribute {
        Some(attribute) => {
            let attribute = Kwargs::from_iter([("attribute", attribute)]);
            built_in(state, "map", &[list, Jinja::from(attribute)])?
        }
        None => list,
    };
    let joiner = joiner.as_ref().map(text).transpose()?;
    let joiner = joiner.unwrap_or_else(|| Jinja::from(""));
    if list.is_undefined() {
        return Err(ErrorKind::UndefinedError.into());
    }
    if list.kind() == ValueKind::String {
        return built_in(state, "join", &[list, joiner]);
    }
    let mut texts = Vec::new();
    for item in list.try_iter()? {
        state.consume_fuel(1)?;
        texts.push(text(&item)?);
    }
    built_in(state, "join", &[Jinja::from(texts), joiner])
}

/// `format(…)`: printf's way. Numbers stay numbers, for `%d` and its like.
fn format(state: &State<'_, '_>, args: Rest<ValueOrKwargs>) -> Result<Jinja, Error> {
    let mut args = args.into_values();
    let form = args.first().cloned().unwrap_or_default();
    let names = names(form.as_str().unwrap_or_default())?;
    for arg in args.iter_mut().skip(1) {
        *arg = if !names.is_empty() && arg.kind() == ValueKind::Map {
            formatted_members(arg, &names)?
        } else {
            formatted(arg)?
        };
    }
    built_in(state, "format", &args)
}

/// The names of a form that takes its values by name, `%(name)s`, and not one after the other.
///
/// # Errors
/// It does both: then a whole map would be one of the values.
fn names(form: &str) -> Result<Vec<&str>, Error> {
    let (mut names, mut in_order) = (Vec::new(), false);
    let mut rest = form;
    while let Some((_, conversion)) = rest.split_once('%') {
        rest = conversion;
        if let Some(escaped) = rest.strip_prefix('%') {
            rest = escaped;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|it| it.split_once(')'))
        {
            names.push(name);
            rest = after;
        } else {
            in_order = true;
        }
    }
    if !names.is_empty() && in_order {
        let message = "`format` takes all values by name, `%(name)s`, or none";
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    Ok(names)
}

fn formatted(value: &Jinja) -> Result<Jinja, Error> {
    match value.kind() {
        ValueKind::Number => Ok(value.clone()),
        _ => text(value),
    }
}

/// The members of a map that are asked for; minijinja says which of them are not there.
fn formatted_members(map: &Jinja, names: &[&str]) -> Result<Jinja, Error> {
    let mut members = Vec::new();
    for name in names {
        let member = map.get_attr(name)?;
        if !member.is_undefined() {
            members.push((*name, formatted(&member)?));
        }
    }
    Ok(Jinja::from_pairs(members))
}
