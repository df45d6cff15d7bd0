//! The names that expressions know: `row`, `index`, `vars`, `env`, `invocation`.

use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use minijinja::value::{Enumerator, Object, Value as Jinja};
use minijinja::{Error, ErrorKind};

use super::jinja_values::to_jinja;
use super::problem::Problem;
use crate::expand::budget::Budget;
use crate::expand::payloads::payload::MAX_REQUEST_BYTES;
use crate::expand::rows::{Cell as RowCell, Row};
use crate::manifest::node::{Key, Node, Value};
use crate::manifest::source::Span;
use crate::manifest::spelling::nearest;

/// Most values and bytes that the expressions of one start may come to: what fits into a start,
/// with room for what is looked up twice.
const MAX_SIZE: usize = 4 * MAX_REQUEST_BYTES;

/// Steps that it takes to hand a value to minijinja, for each value and 16 bytes in it.
const STEPS_PER_VALUE: u64 = 10;

/// A name that expressions know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::expand) enum Name {
    /// The row of a `forEach`.
    Row,
    /// Position of the start in the apply, from 0.
    Index,
    /// The manifest's variables.
    Vars,
    /// Variables of the environment that were allowed by name.
    Env,
    /// This run of the program.
    Invocation,
}

impl Name {
    pub(in crate::expand) const ALL: [(&'static str, Name); 5] = [
        ("row", Name::Row),
        ("index", Name::Index),
        ("vars", Name::Vars),
        ("env", Name::Env),
        ("invocation", Name::Invocation),
    ];

    pub(in crate::expand) fn parse(text: &str) -> Option<Name> {
        let (_, name) = Name::ALL.iter().find(|(known, _)| *known == text)?;
        Some(*name)
    }
}

/// The run of this program, as expressions see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// Its ID.
    pub id: String,
    /// When it began.
    pub started_at: Timestamp,
}

impl Invocation {
    /// Stands for every invocation alike where a value must not differ between them.
    pub(in crate::expand) fn any() -> Self {
        Invocation {
            id: "invocation".to_owned(),
            started_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn node(&self) -> Node {
        let text = |text: String| Node {
            value: Value::String(text.into()),
            span: Span::default(),
        };
        map([
            ("id", text(self.id.clone())),
            ("startedAt", text(self.started_at.to_string())),
        ])
    }
}

fn map<'k>(entries: impl IntoIterator<Item = (&'k str, Node)>) -> Node {
    let span = Span::default();
    let entries = entries.into_iter().map(|(text, node)| {
        let text = text.into();
        (Key { text, span }, node)
    });
    Node {
        value: Value::Map(entries.collect()),
        span,
    }
}

/// Variables of the environment that expressions may read, each with its value if it is set.
pub type AllowedEnv = BTreeMap<String, Option<String>>;

/// What all starts of a manifest see alike. Values may be secrets.
pub(in crate::expand) struct Constants {
    budget: Arc<Budget>,
    vars: Node,
    env: AllowedEnv,
    invocation: Node,
    jinja: Lookups,
}

impl fmt::Debug for Constants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Constants").finish_non_exhaustive()
    }
}

/// The same for minijinja.
struct Lookups {
    vars: Jinja,
    env: Jinja,
    invocation: Jinja,
}

impl Constants {
    pub(in crate::expand) fn new(
        vars: Node,
        env: &AllowedEnv,
        invocation: &Invocation,
        budget: &Arc<Budget>,
    ) -> Self {
        let invocation = invocation.node();
        let jinja = Lookups {
            vars: to_jinja(&vars),
            env: Jinja::from_object(Env(env.clone())),
            invocation: to_jinja(&invocation),
        };
        Constants {
            budget: Arc::clone(budget),
            vars,
            env: env.clone(),
            invocation,
            jinja,
        }
    }

    /// The budget of the command.
    pub(in crate::expand) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The keys that a name has; `None` for a name whose keys are known only with a row.
    pub(in crate::expand) fn keys(&self, name: Name) -> Option<Vec<&str>> {
        fn keys_of(node: &Node) -> Vec<&str> {
            node.entries().iter().map(|(key, _)| &*key.text).collect()
        }
        match name {
            Name::Row | Name::Index => None,
            Name::Vars => Some(keys_of(&self.vars)),
            Name::Env => Some(self.env.keys().map(String::as_str).collect()),
            Name::Invocation => Some(keys_of(&self.invocation)),
        }
    }
}

/// What an expression of one start sees.
#[derive(Debug)]
pub(in crate::expand) struct Scope<'r> {
    constants: &'r Arc<Constants>,
    row: Option<&'r Arc<Row>>,
    index: u64,
    jinja: OnceCell<Jinja>,
    /// Values and bytes that expressions have come to so far.
    size: Cell<usize>,
}

/// What a name and its keys lead to.
#[derive(Clone, Copy, Debug)]
pub(in crate::expand) enum Found<'s> {
    Text(&'s str),
    Node(&'s Node),
    Index(u64),
}

impl<'r> Scope<'r> {
    pub(in crate::expand) fn new(
        constants: &'r Arc<Constants>,
        row: Option<&'r Arc<Row>>,
        index: u64,
    ) -> Self {
        Scope {
            constants,
            row,
            index,
            jinja: OnceCell::new(),
            size: Cell::new(0),
        }
    }

    /// Takes steps from the command's budget. Whether it is spent is looked at for each start.
    pub(in crate::expand) fn spend(&self, steps: u64) {
        self.constants.budget.spend(steps);
    }

    /// The name that was meant by a mistyped one, unless too many have been looked for already.
    pub(in crate::expand) fn nearest<'n>(&self, word: &str, names: &[&'n str]) -> Option<&'n str> {
        let budget = &self.constants.budget;
        (budget.may_compare(names.len())).then(|| nearest(word, names.iter().copied()))?
    }

    /// Counts what an expression came to, which the start will hold.
    ///
    /// # Errors
    /// It is more than the start can hold.
    pub(in crate::expand) fn add(&self, node: &Node) -> Result<(), Problem> {
        let size = node.size();
        self.spend(size as u64);
        let sum = self.size.get().saturating_add(size);
        self.size.set(sum);
        if sum > MAX_SIZE {
            let message = format!(
                "the expressions of this start come to more than {MAX_SIZE} values and bytes"
            );
            return Err(Problem::failed(message)
                .with_help("store the data elsewhere and pass a reference to it"));
        }
        Ok(())
    }

    pub(in crate::expand) fn row(&self) -> Option<&'r Arc<Row>> {
        self.row
    }

    /// What a name and its keys lead to, if anything.
    pub(in crate::expand) fn find<'k>(
        &self,
        name: Name,
        mut keys: impl Iterator<Item = &'k str>,
    ) -> Option<Found<'r>> {
        let constants = self.constants;
        // Cells of a map are looked through one by one.
        let look = |node: &Node| self.spend(node.entries().len() as u64 / 4);
        let node = match name {
            Name::Index => {
                return keys.next().is_none().then_some(Found::Index(self.index));
            }
            Name::Row => match keys.next() {
                None => self.row?.node()?,
                Some(key) => match self
                    .row
                    .inspect(|row| row.node().map_or((), look))?
                    .get(key)?
                {
                    RowCell::Text(text) => {
                        return keys.next().is_none().then_some(Found::Text(text));
                    }
                    RowCell::Node(node) => node,
                },
            },
            Name::Env => {
                let value = constants.env.get(keys.next()?)?.as_deref()?;
                return keys.next().is_none().then_some(Found::Text(value));
            }
            Name::Vars => &constants.vars,
            Name::Invocation => &constants.invocation,
        };
        let found = keys.try_fold(node, |node, key| {
            look(node);
            node.get(key)
        })?;
        Some(Found::Node(found))
    }

    /// The names as minijinja looks them up.
    pub(in crate::expand) fn jinja(&self) -> Jinja {
        let make = || {
            Jinja::from_object(Names {
                constants: Arc::clone(self.constants),
                row: self.row.map(Arc::clone),
                index: self.index,
            })
        };
        self.jinja.get_or_init(make).clone()
    }
}

/// The root of what an expression sees.
#[derive(Debug)]
struct Names {
    constants: Arc<Constants>,
    row: Option<Arc<Row>>,
    index: u64,
}

impl Object for Names {
    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Jinja> {
        let lookups = &self.constants.jinja;
        Some(match Name::parse(key)? {
            Name::Row => Jinja::from_object(Cells {
                row: Arc::clone(self.row.as_ref()?),
                constants: Arc::clone(&self.constants),
            }),
            Name::Index => Jinja::from(self.index),
            Name::Vars => lookups.vars.clone(),
            Name::Env => lookups.env.clone(),
            Name::Invocation => lookups.invocation.clone(),
        })
    }
}

/// The row as minijinja looks into it.
#[derive(Debug)]
struct Cells {
    row: Arc<Row>,
    constants: Arc<Constants>,
}

impl Object for Cells {
    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Jinja> {
        Some(match self.row.get(key)? {
            RowCell::Text(text) => Jinja::from(text),
            // All of it is copied, however little of it is wanted.
            RowCell::Node(node) => {
                let steps = STEPS_PER_VALUE * (node.size() as u64 / 16 + 1);
                if !self.constants.budget.spend(steps) {
                    return Some(Jinja::from(Error::from(ErrorKind::OutOfFuel)));
                }
                to_jinja(node)
            }
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.row.names().into_iter().map(Jinja::from).collect())
    }
}

/// Variables of the environment. One that was not allowed is an error even where a default stands
/// ready, because it would silently be taken.
struct Env(AllowedEnv);

/// Values may be secrets.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Object for Env {
    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Jinja> {
        match self.0.get(key) {
            Some(value) => value.as_deref().map(Jinja::from),
            None => Some(Jinja::from(Error::new(
                ErrorKind::InvalidOperation,
                not_allowed(key),
            ))),
        }
    }
}

/// The message about a variable of the environment that was not allowed.
pub(in crate::expand) fn not_allowed(name: &str) -> String {
    format!(
        "the environment variable `{}` is not allowed here",
        crate::manifest::shorten(name)
    )
}
