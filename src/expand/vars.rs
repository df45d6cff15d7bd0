//! A manifest's variables: the defaults it declares, and what the command overrides.

use std::sync::Arc;

use super::expressions::casts::Cast;
use crate::manifest::diagnostic::{Code, Diagnostic};
use crate::manifest::node::{Key, Node, Value};
use crate::manifest::source::Span;
use crate::manifest::spelling::nearest;
use crate::manifest::{StartsManifest, json, shorten};

/// What a command says about variables.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Values from files, which have a type. Later ones win.
    pub typed: Vec<(String, Node)>,
    /// Values as typed on the command line. They win over files; later ones win.
    pub texts: Vec<(String, String)>,
}

/// An override that fits no declaration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum VarError {
    /// No manifest declares the variable.
    #[error("no manifest declares the variable `{name}`")]
    Undeclared {
        /// The variable.
        name: String,
        /// A declared one with nearly its name.
        near: Option<String>,
    },
    /// The value does not have the type of the declared default.
    #[error("the variable `{name}` is declared as {wanted}: {problem}")]
    Type {
        /// The variable.
        name: String,
        /// What the declared default is.
        wanted: &'static str,
        /// What is wrong with the value.
        problem: String,
    },
}

impl VarError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            VarError::Undeclared { near, name } => Some(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("declare it at the top of the manifest: `vars: {{{name}: …}}`"),
            }),
            VarError::Type { .. } => None,
        }
    }
}

/// Makes sure that every override is about a declared variable.
pub(super) fn check_names(
    manifests: &[StartsManifest],
    overrides: &Overrides,
) -> Result<(), VarError> {
    let declared: Vec<&str> = manifests
        .iter()
        .flat_map(|manifest| manifest.vars().iter().map(|(key, _)| &*key.text))
        .collect();
    let typed = overrides.typed.iter().map(|(name, _)| name);
    let mut names = typed.chain(overrides.texts.iter().map(|(name, _)| name));
    match names.find(|name| !declared.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(VarError::Undeclared {
            name: name.clone(),
            near: nearest(name, declared).map(str::to_owned),
        }),
    }
}

/// The variables of a manifest as a map.
pub(super) fn resolve(declared: &[(Key, Node)], overrides: &Overrides) -> Result<Node, VarError> {
    let mut entries: Vec<(Key, Node)> = declared.to_vec();
    for (key, value) in &mut entries {
        let is_own = |name: &String| **name == *key.text;
        let text = overrides.texts.iter().rev().find(|(name, _)| is_own(name));
        let typed = overrides.typed.iter().rev().find(|(name, _)| is_own(name));
        let given = match (text, typed) {
            (Some((_, text)), _) => read_as(value, text),
            (None, Some((_, node))) => fits(value, node),
            (None, None) => continue,
        };
        value.value = given.map_err(|problem| VarError::Type {
            name: key.text.to_string(),
            wanted: value.kind(),
            problem,
        })?;
        forget_places(&mut value.value);
    }
    Ok(Node {
        value: Value::Map(entries.into()),
        span: Span::default(),
    })
}

/// What was given stands in another file than the manifest, or in none.
fn forget_places(value: &mut Value) {
    match value {
        Value::List(items) => {
            for item in Arc::make_mut(items) {
                item.span = Span::default();
                forget_places(&mut item.value);
            }
        }
        Value::Map(entries) => {
            for (key, value) in Arc::make_mut(entries) {
                (key.span, value.span) = (Span::default(), Span::default());
                forget_places(&mut value.value);
            }
        }
        _ => {}
    }
}

/// Reads a text as a value of the declared one's type.
fn read_as(declared: &Node, text: &str) -> Result<Value, String> {
    match &declared.value {
        Value::String(_) | Value::Null | Value::Binary(_) => Ok(Value::String(text.into())),
        Value::Bool(_) => Cast::Bool.text(text),
        Value::Number(number) if number.is_f64() => Cast::Float.text(text),
        Value::Number(_) => Cast::Int.text(text),
        Value::List(_) | Value::Map(_) => {
            let node = json::parse(text.as_bytes())
                .map_err(|error| format!("`{}` is not JSON: {error}", shorten(text)))?;
            fits(declared, &node)
        }
    }
}

/// A value that has a type of its own, if it is the declared one's.
fn fits(declared: &Node, given: &Node) -> Result<Value, String> {
    use Value::{Bool, List, Map, Null, Number, String};
    match (&declared.value, &given.value) {
        (Null, value) => Ok(value.clone()),
        (Number(wanted), Number(_)) if wanted.is_f64() => Cast::Float.node(given),
        (Number(_), Number(_)) => Cast::Int.node(given),
        (String(_), String(_)) | (Bool(_), Bool(_)) | (List(_), List(_)) | (Map(_), Map(_)) => {
            Ok(given.value.clone())
        }
        _ => Err(format!("{} was given", given.kind())),
    }
}

/// Finds what cannot be a variable's value.
pub(super) fn check_values(manifest: &StartsManifest) -> Vec<Diagnostic> {
    let problems = manifest.vars().iter().filter_map(|(key, value)| {
        let (code, message, help) = if value.holds_expression() {
            (
                Code::InvalidExpression,
                "a variable holds a plain value and no expression",
                "write the expression where the value is used",
            )
        } else if value.holds_bytes() {
            (
                Code::WrongType,
                "a variable cannot hold `!!binary`",
                "write Base64 text without the tag",
            )
        } else {
            return None;
        };
        let problem = Diagnostic::new(code, message).with_help(help);
        Some(problem.at(manifest.source(), key.span))
    });
    problems.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_override_keeps_the_declared_type() {
        let table = [
            (r#""2026-11""#, "2026-12", Some(r#""2026-12""#)),
            (r#""7""#, "8", Some(r#""8""#)),
            ("7", "8", Some("8")),
            ("7", "8.5", None),
            ("7", "eight", None),
            ("7.5", "8", Some("8.0")),
            ("true", "false", Some("false")),
            ("true", "no", None),
            ("null", "x", Some(r#""x""#)),
            ("[1]", "[2,3]", Some("[2,3]")),
            ("[1]", "2", None),
            (r#"{"a":1}"#, r#"{"b":2}"#, Some(r#"{"b":2}"#)),
        ];
        for (declared, text, expected) in table {
            let declared = json::parse(declared.as_bytes()).expect("this is JSON");
            let value = read_as(&declared, text).ok();
            let value = value.map(|value| {
                let span = Span::default();
                serde_json::to_string(&Node { value, span }).expect("a node can be written")
            });
            assert_eq!(value.as_deref(), expected, "{text}");
        }
    }
}
