//! One expression: compiled once, evaluated per row.
//!
//! minijinja evaluates; an expression that only looks something up, perhaps with a cast, is read
//! here, because rows are many and most expressions are that. Both give the same results, which a
//! test holds.

use std::borrow::Cow;
use std::sync::Arc;

use minijinja::ErrorKind;

use super::casts::Cast;
use super::compiler::Compiler;
use super::jinja::{Compiled, environment};
use super::jinja_values::{from_jinja, words};
use super::problem::{Problem, node_of};
use super::scope::{Constants, Found, Name, Scope, not_allowed};
use super::text_filters;
use crate::manifest::diagnostic::Code;
use crate::manifest::node::{Node, Value};
use crate::manifest::shorten;
use crate::manifest::spelling::nearest;

/// Longest expression, in bytes. Longer ones can be nested more deeply than a thread's stack is.
const MAX_BYTES: usize = 2_000;

/// Steps that an evaluation takes at least.
const LOOKUP_STEPS: u64 = 20;

/// An expression.
#[derive(Debug)]
pub(in crate::expand) enum Expression {
    /// Names joined by dots, and a cast.
    Lookup {
        name: Name,
        keys: Vec<Box<str>>,
        cast: Option<Cast>,
    },
    /// Anything else.
    Jinja(Arc<Compiled>),
}

/// What an expression comes to.
#[derive(Debug)]
pub(in crate::expand) enum TextOrNode<'s> {
    Text(&'s str),
    Node(Cow<'s, Node>),
}

impl TextOrNode<'_> {
    pub(in crate::expand) fn into_node(self) -> Node {
        match self {
            TextOrNode::Text(text) => string(text),
            TextOrNode::Node(node) => node.into_owned(),
        }
    }
}

fn string(text: &str) -> Node {
    node_of(Value::String(text.into()))
}

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    /// It cannot be read, or names something that no start can have.
    pub(in crate::expand) fn compile(text: &str, compiler: Compiler<'_>) -> Result<Self, Problem> {
        compiler.count()?;
        if text.len() > MAX_BYTES {
            let message = format!("an expression has at most {MAX_BYTES} bytes");
            return Err(Problem::new(Code::InvalidExpression, message)
                .with_help("compute the value elsewhere and put it into the row or `vars`"));
        }
        let expression = match lookup(text) {
            Some(lookup) => lookup,
            None => Expression::Jinja(compiler.jinja(text)?),
        };
        for path in expression.paths() {
            check_path(&path, compiler.constants, compiler.has_row)?;
        }
        compiler.note_invocation(expression.names_invocation());
        Ok(expression)
    }

    /// Everything that it looks up, as names joined by dots, as far as that can be told.
    fn paths(&self) -> Vec<String> {
        match self {
            Expression::Lookup { name, keys, .. } => {
                let (name, _) = Name::ALL
                    .iter()
                    .find(|(_, known)| known == name)
                    .expect("every name is among all");
                let names = std::iter::once(*name).chain(keys.iter().map(|key| &**key));
                vec![names.collect::<Vec<_>>().join(".")]
            }
            Expression::Jinja(compiled) => {
                let mut paths: Vec<String> = compiled.names(true).into_iter().collect();
                paths.sort_unstable();
                paths
            }
        }
    }

    /// Whether what it comes to may differ from one invocation to the next.
    fn names_invocation(&self) -> bool {
        match self {
            Expression::Lookup { name, .. } => *name == Name::Invocation,
            Expression::Jinja(compiled) => compiled.names(false).contains("invocation"),
        }
    }

    /// Evaluates it.
    ///
    /// # Errors
    /// It comes to nothing, or to nothing that JSON can hold.
    pub(in crate::expand) fn evaluate<'r>(
        &self,
        scope: &Scope<'r>,
    ) -> Result<TextOrNode<'r>, Problem> {
        let (name, keys, cast) = match self {
            Expression::Lookup { name, keys, cast } => (*name, keys, *cast),
            Expression::Jinja(compiled) => return self.evaluate_jinja(compiled, scope),
        };
        scope.spend(LOOKUP_STEPS);
        let path = keys.iter().map(|key| &**key);
        let found = match scope.find(name, path) {
            Some(found) => found,
            // A record as a whole is seldom asked for: minijinja gathers its cells.
            None if name == Name::Row && keys.is_empty() && scope.row().is_some() => {
                let row = scope.jinja().get_attr("row").unwrap_or_default();
                return Ok(TextOrNode::Node(Cow::Owned(from_jinja(&row)?)));
            }
            None => return Err(self.undefined(scope)),
        };
        let cast_failed = |message: String| Problem {
            cell: keys
                .first()
                .filter(|_| name == Name::Row)
                .map(|key| key.to_string()),
            ..Problem::failed(message)
        };
        Ok(match (found, cast) {
            (Found::Text(text), None) => TextOrNode::Text(text),
            (Found::Text(text), Some(cast)) => {
                TextOrNode::Node(Cow::Owned(node_of(cast.text(text).map_err(cast_failed)?)))
            }
            (Found::Node(node), None) => TextOrNode::Node(Cow::Borrowed(node)),
            (Found::Node(found), Some(cast)) => {
                TextOrNode::Node(Cow::Owned(node_of(cast.node(found).map_err(cast_failed)?)))
            }
            (Found::Index(index), cast) => {
                let index = node_of(Value::Number(index.into()));
                let index = match cast {
                    Some(cast) => node_of(cast.node(&index).map_err(cast_failed)?),
                    None => index,
                };
                TextOrNode::Node(Cow::Owned(index))
            }
        })
    }

    fn evaluate_jinja<'r>(
        &self,
        compiled: &Compiled,
        scope: &Scope<'r>,
    ) -> Result<TextOrNode<'r>, Problem> {
        let (value, steps) = compiled.evaluate(scope.jinja());
        scope.spend(steps + LOOKUP_STEPS);
        let value = value.map_err(|error| match error.kind() {
            ErrorKind::UndefinedError => self.undefined(scope),
            ErrorKind::UnknownFilter
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownFunction
            | ErrorKind::UnknownMethod => Problem::new(Code::InvalidExpression, words(&error))
                .with_help("the filters and tests are minijinja's; docs/manifest.md names them"),
            ErrorKind::OutOfFuel => Problem::failed("this expression takes too much work")
                .with_help("compute the value elsewhere and put it into the row"),
            _ => Problem {
                cell: self.only_cell(),
                help: text_filters::help(&error).map(str::to_owned),
                ..Problem::failed(words(&error))
            },
        })?;
        if value.is_undefined() {
            return Err(self.undefined(scope));
        }
        let node = from_jinja(&value)?;
        scope.add(&node)?;
        Ok(TextOrNode::Node(Cow::Owned(node)))
    }

    /// The cell that it reads, if it reads exactly one.
    fn only_cell(&self) -> Option<String> {
        let paths = self.paths();
        let mut cells = paths.iter().filter_map(|path| path.strip_prefix("row."));
        let cell = cells.next()?.split('.').next()?.to_owned();
        cells.next().is_none().then_some(cell)
    }

    /// The problem that something it names is not there.
    fn undefined(&self, scope: &Scope<'_>) -> Problem {
        let missing = self.paths().into_iter().find(|path| {
            let mut parts = path.split('.');
            let name = parts.next().and_then(Name::parse);
            name.is_some_and(|name| {
                // A row as a whole is there, also where it is a record.
                let is_row = name == Name::Row && !path.contains('.');
                !is_row && scope.find(name, parts).is_none()
            })
        });
        let Some(missing) = missing else {
            return Problem::new(Code::Undefined, "this expression comes to nothing")
                .with_help("give a default: `${{ … | default('none') }}`");
        };
        let (owner, key) = missing.rsplit_once('.').unwrap_or(("", &missing));
        let shown = shorten(key);
        let message = match owner {
            "env" => format!("the environment variable `{shown}` is not set"),
            _ => format!("`{owner}` has no `{shown}`"),
        };
        let problem = Problem::new(Code::Undefined, message);
        let default = format!("`{missing} | default('none')` gives a default");
        match scope.row() {
            Some(row) if owner == "row" => {
                let names = row.names();
                scope.spend(names.len() as u64);
                if let Some(delimiter) = other_delimiter(&names) {
                    let help = format!(
                        "if `{delimiter}` stands between the cells, add `delimiter: \"{delimiter}\"` beside `csv`"
                    );
                    return problem.with_help(help);
                }
                problem.with_help(match scope.nearest(key, &names) {
                    Some(near) => format!("did you mean `row.{near}`?"),
                    None => format!("it has {}; {default}", listed(&names)),
                })
            }
            _ => problem.with_help(default),
        }
    }
}

/// What seems to stand between the cells of a file whose header was read as a single name.
fn other_delimiter(names: &[&str]) -> Option<&'static str> {
    let &[header] = names else {
        return None;
    };
    let known = [(";", ";"), ("\t", "\\t"), ("|", "|"), (",", ",")];
    let (_, shown) = known
        .iter()
        .find(|(delimiter, _)| header.contains(delimiter))?;
    Some(shown)
}

/// Up to ten names, for a help text.
fn listed(names: &[&str]) -> String {
    const MOST: usize = 10;
    if names.is_empty() {
        return "nothing".to_owned();
    }
    let shown = names
        .iter()
        .take(MOST)
        .map(|name| format!("`{}`", shorten(name)));
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if names.len() > MOST {
        text.push_str(&format!(" and {} more", names.len() - MOST));
    }
    text
}

/// Finds out before any row is read that a path leads nowhere.
fn check_path(path: &str, constants: &Constants, has_row: bool) -> Result<(), Problem> {
    let mut parts = path.split('.');
    let first = parts.next().unwrap_or_default();
    let Some(name) = Name::parse(first) else {
        // A function such as `range`.
        if environment().globals().any(|(global, _)| global == first) {
            return Ok(());
        }
        let known = Name::ALL.map(|(known, _)| known);
        let problem = Problem::new(
            Code::Undefined,
            format!("`{}` is not defined", shorten(first)),
        );
        return Err(problem.with_help(match nearest(first, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("expressions know {}; texts stand in quotes", listed(&known)),
        }));
    };
    if name == Name::Row && !has_row {
        let problem = Problem::new(Code::Undefined, "`row` is not defined here");
        return Err(problem.with_help("add `forEach` to the entry, or write the value out"));
    }
    let (Some(key), Some(keys)) = (parts.next(), constants.keys(name)) else {
        return Ok(());
    };
    constants.budget().spend(keys.len() as u64 / 2);
    if keys.contains(&key) {
        return Ok(());
    }
    let shown = shorten(key);
    Err(match name {
        Name::Env => Problem::new(Code::Undefined, not_allowed(key))
            .with_help(format!("add `--allow-env {shown}` to the command")),
        _ => Problem::new(Code::Undefined, format!("`{first}` has no `{shown}`")).with_help(
            match (constants.budget().may_compare(keys.len()))
                .then(|| nearest(key, keys.iter().copied()))
                .flatten()
            {
                Some(near) => format!("did you mean `{first}.{near}`?"),
                None if name == Name::Vars => {
                    format!("declare it: `vars: {{{shown}: …}}` at the top of the manifest")
                }
                None => format!("it has {}", listed(&keys)),
            },
        ),
    })
}

/// Reads names joined by dots, perhaps with a cast; `None` for anything else.
fn lookup(text: &str) -> Option<Expression> {
    let (path, cast) = match text.split_once('|') {
        Some((path, cast)) => (path, Some(Cast::parse(cast.trim())?)),
        None => (text, None),
    };
    let mut parts = path.trim().split('.');
    let name = Name::parse(parts.next()?)?;
    let is_name = |part: &str| {
        let mut bytes = part.bytes();
        let begins = bytes
            .next()
            .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        begins && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let keys: Option<Vec<Box<str>>> = parts
        .map(|part| is_name(part).then(|| part.into()))
        .collect();
    Some(Expression::Lookup {
        name,
        keys: keys?,
        cast,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::budget::Budget;
    use crate::expand::expressions::compiler::Shared;
    use crate::expand::expressions::scope::{AllowedEnv, Invocation};
    use crate::expand::rows::Row;
    use crate::manifest::json;

    fn read(text: &str) -> Node {
        json::parse(text.as_bytes()).expect("this is JSON")
    }

    /// What an expression comes to as JSON, or the code and words of its problem.
    fn outcome(expression: &Expression, scope: &Scope<'_>) -> Result<String, (Code, String)> {
        match expression.evaluate(scope) {
            Ok(outcome) => Ok(serde_json::to_string(&outcome.into_node()).expect("it is JSON")),
            Err(problem) => Err((problem.code, problem.message)),
        }
    }

    #[test]
    fn what_is_only_looked_up_comes_to_what_minijinja_says() {
        let vars = read(r#"{"month": "2026-11", "cents": 7, "deep": {"a": {"b": [1, null]}}}"#);
        let env = AllowedEnv::from([
            ("SET".to_owned(), Some("12".to_owned())),
            ("UNSET".to_owned(), None),
        ]);
        let budget = Arc::new(Budget::new());
        let constants = Constants::new(vars, &env, &Invocation::any(), &budget);
        let constants = Arc::new(constants);
        let compiler = Compiler {
            constants: &constants,
            has_row: true,
            shared: &Shared::default(),
        };
        let rows = [
            r#"{"id": "acme", "n": 9007199254740993, "f": 1.0, "t": "12", "b": true, "none": null,
                "list": [1], "map": {"id": 2}, "x": "12x", "empty": "", "items": 3, "big": 18446744073709551615}"#,
            r#"["a", 1]"#,
            "7",
        ];
        let lookups = [
            "row.id",
            "row.n",
            "row.f",
            "row.t",
            "row.b",
            "row.none",
            "row.list",
            "row.map",
            "row.map.id",
            "row.id.id",
            "row.missing",
            "row.value",
            "row.items",
            "row.big",
            "row",
            "index",
            "index.x",
            "vars.month",
            "vars.cents",
            "vars.deep.a.b",
            "vars.deep.a.c",
            "env.SET",
            "env.UNSET",
            "env.SET.x",
            "invocation.id",
            "invocation.startedAt",
            "vars",
        ];
        let casts = ["", " | int", "|float", " |bool", "| int "];
        let mut compared = 0;
        for row in rows {
            let row = Arc::new(Row::of(read(row)));
            let scope = Scope::new(&constants, Some(&row), 3);
            for text in lookups {
                for cast in casts {
                    let text = format!("{text}{cast}");
                    let own = Expression::compile(&text, compiler).expect(&text);
                    assert!(matches!(own, Expression::Lookup { .. }), "{text}");
                    let theirs = Expression::compile(&format!("({text})"), compiler);
                    let theirs = theirs.expect(&text);
                    assert!(matches!(theirs, Expression::Jinja(_)), "{text}");
                    assert_eq!(outcome(&own, &scope), outcome(&theirs, &scope), "{text}");
                    compared += 1;
                }
            }
        }
        assert_eq!(compared, rows.len() * lookups.len() * casts.len());
    }
}
