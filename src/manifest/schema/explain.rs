//! Says in a person's words where a document differs from its JSON Schema.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::paths::LocationSegment;
use jsonschema::{JsonType, JsonTypeSet, ValidationError};
use serde_json::Value as JsonValue;

use crate::manifest::document::check;
use crate::manifest::document::templated;
use crate::manifest::findings::diagnostic::Code;
use crate::manifest::findings::finding::{Finding, Rewrite};
use crate::manifest::findings::locate::Step;
use crate::manifest::findings::spelling::{fold, nearest, same_word};
use crate::manifest::findings::words::{
    flow, flow_node, invalid_duration, kind_word, list, name_of,
};
use crate::manifest::kinds::Definition;
use crate::manifest::text::duration;
use crate::manifest::text::node::{Node, Value};

/// Most keys that are told of one map as unknown.
const MAX_UNKNOWN_KEYS: usize = 100;

/// The path to the value that an error is about.
pub(crate) fn path_to(error: &ValidationError<'_>) -> impl Iterator<Item = Step> {
    error
        .instance_path()
        .segments()
        .map(|segment| match segment {
            LocationSegment::Property(name) => Step::Key(name.into_owned()),
            LocationSegment::Index(index) => Step::Index(index),
        })
}

/// The value at `path`.
pub(in crate::manifest) fn walk<'n>(root: &'n Node, path: &[Step]) -> Option<&'n Node> {
    path.iter().try_fold(root, |node, step| match step {
        Step::Key(key) => node.get(key),
        Step::Index(index) => node.items().get(*index),
    })
}

/// Says an error about a value below `root` in a person's words. `above` leads from the root of
/// the schema to `root`, and is a part of the findings' paths.
pub(in crate::manifest) fn explain(
    definition: &'static Definition,
    error: &ValidationError<'_>,
    root: &Node,
    above: &[Step],
) -> Vec<Finding> {
    let path: Vec<Step> = above.iter().cloned().chain(path_to(error)).collect();
    let found = walk(root, &path[above.len()..]);
    let explainer = Explainer { definition };
    match error.kind() {
        // A constraint, or an expression in its place: what was meant is the constraint.
        ValidationErrorKind::AnyOf { context } => {
            let meant = context.first().and_then(|errors| errors.first());
            // The error of a branch knows the branch's own paths only.
            meant.map_or_else(Vec::new, |meant| explainer.error(meant, path, found))
        }
        _ => explainer.error(error, path, found),
    }
}

/// Looks names, examples and help texts up in the schema of a kind.
pub(in crate::manifest) struct Explainer {
    pub(in crate::manifest) definition: &'static Definition,
}

impl Explainer {
    fn error(
        &self,
        error: &ValidationError<'_>,
        path: Vec<Step>,
        found: Option<&Node>,
    ) -> Vec<Finding> {
        let name = name_of(&path);
        vec![match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                let unknown = unexpected.iter().take(MAX_UNKNOWN_KEYS);
                return unknown.map(|key| self.unknown_key(&path, key)).collect();
            }
            ValidationErrorKind::Required { property } => {
                self.missing_key(&path, property.as_str().unwrap_or_default())
            }
            ValidationErrorKind::Type { kind } => self.wrong_type(path, &name, kind, found),
            ValidationErrorKind::Enum { options } => unknown_value(path, &name, options, found),
            ValidationErrorKind::Constant { expected_value } => {
                let message = format!("{name} can only be `{expected_value}`");
                Finding::new(Code::UnknownValue, path, message)
                    .with_help("remove the key to leave it out")
            }
            ValidationErrorKind::Pattern { pattern } => {
                self.wrong_form(path, &name, pattern, found)
            }
            // A schema counts characters, and the service bytes.
            ValidationErrorKind::MaxLength { .. } if path.last() == Some(&"fairnessKey".into()) => {
                let text = found.and_then(Node::as_str).unwrap_or_default();
                check::long_fairness_key(path, text)
            }
            ValidationErrorKind::MinProperties { .. }
            | ValidationErrorKind::MaxProperties { .. } => self.not_exactly_one(path, &name, found),
            other => self.out_of_range(error, other, path, &name),
        }]
    }

    /// The finding for a text that has not the form of its value, or that stands where only another
    /// type or an expression can.
    fn wrong_form(
        &self,
        path: Vec<Step>,
        name: &str,
        pattern: &str,
        found: Option<&Node>,
    ) -> Finding {
        let text = found.and_then(Node::as_str).unwrap_or_default();
        if templated::meant(pattern) == duration::PATTERN {
            return invalid_duration(path, name, text);
        }
        if templated::is_for_no_text(pattern) {
            let types = self.definition.schema.at(&path).map(templated::types);
            let types = types.unwrap_or_else(JsonTypeSet::empty);
            return self.wrong_type(path, name, &TypeKind::Multiple(types), found);
        }
        let message = format!(
            "{name} cannot be `{}`",
            crate::manifest::text::scalar::shorten(text)
        );
        let help = self.definition.schema.description(&path);
        Finding::new(Code::InvalidFormat, path, message).with_help(help.unwrap_or_default())
    }

    fn not_exactly_one(&self, path: Vec<Step>, name: &str, found: Option<&Node>) -> Finding {
        let keys = self.definition.schema.keys_at(&path);
        let keys: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
        let message = format!("{name} needs exactly one of {}", keys.join(", "));
        let several = found.is_some_and(|node| node.entries().len() > 1);
        let help = if several {
            Some("remove all but one".to_owned())
        } else {
            self.example(&path)
        };
        Finding {
            help,
            ..Finding::new(Code::ConflictingFields, path, message)
        }
    }

    fn out_of_range(
        &self,
        error: &ValidationError<'_>,
        kind: &ValidationErrorKind,
        path: Vec<Step>,
        name: &str,
    ) -> Finding {
        let message = limit(kind).map_or_else(
            || format!("{name}: {error}"),
            |limit| format!("{name} {limit}"),
        );
        let help = match kind {
            ValidationErrorKind::MinItems { .. } => self.own_example(&path),
            _ => self.definition.schema.description(&path),
        };
        Finding {
            help,
            ..Finding::new(Code::OutOfRange, path, message)
        }
    }

    fn unknown_key(&self, path: &[Step], key: &str) -> Finding {
        let mut at = path.to_vec();
        at.push(key.into());
        let place = match path.last() {
            Some(_) => format!("in {}", name_of(path)),
            None => "at the top of a manifest".to_owned(),
        };
        let shown = crate::manifest::text::scalar::shorten(key);
        let message = format!("there is no key `{shown}` {place}");
        let finding = Finding::new(Code::UnknownKey, at, message).at_key();
        // A key that nothing but the lines of `render -o jsonl` has.
        if path.is_empty() && key == "index" {
            return finding.with_help(
                "this is a line of `render -o jsonl`; only what `render` prints as text is a manifest",
            );
        }
        let meant = |table: &[(&'static str, &'static str)]| {
            let mut table = table.iter();
            let found = table.find(|(other, _)| same_word(other, key));
            found.map(|(_, meaning)| *meaning)
        };
        let others = (self.definition.other_keys)(path);
        if let Some((keys, why)) = others.map(|it| it.elsewhere)
            && keys.contains(&key)
        {
            return finding.with_help(format!("`{key}` {why}"));
        }
        if let Some(why) = others.and_then(|it| meant(it.refused)) {
            return finding.with_help(why);
        }
        let known = self.definition.schema.keys_at(path);
        let near = others.and_then(|it| meant(it.names));
        match near.or_else(|| nearest(key, known.iter().copied())) {
            Some(near) => finding.with_help(format!("did you mean `{near}`?")),
            None => finding.with_help(format!("possible keys: {}", list(known))),
        }
    }

    fn missing_key(&self, path: &[Step], key: &str) -> Finding {
        let place = match path.last() {
            Some(_) => format!("{} has no `{key}`", name_of(path)),
            None => format!("the manifest has no `{key}`"),
        };
        let mut at = path.to_vec();
        at.push(key.into());
        Finding {
            help: self.own_example(&at),
            ..Finding::new(Code::MissingKey, path.to_vec(), place)
        }
    }

    /// The finding for a value of another type than is wanted.
    pub(in crate::manifest) fn wrong_type(
        &self,
        path: Vec<Step>,
        name: &str,
        kind: &TypeKind,
        found: Option<&Node>,
    ) -> Finding {
        let schema = self.definition.schema.at(&path);
        // Where a value is no text, a string is only another way to write an expression.
        let is_no_text = schema.is_some_and(templated::is_no_text);
        let is_meant = |kind: &JsonType| !(is_no_text && *kind == JsonType::String);
        let wanted: Vec<JsonType> = match kind {
            TypeKind::Single(single) => vec![*single],
            TypeKind::Multiple(set) => set.iter().filter(|kind| *kind != JsonType::Null).collect(),
        };
        let wanted: Vec<JsonType> = wanted.into_iter().filter(is_meant).collect();
        let pattern = schema.and_then(|it| it.get("pattern")?.as_str());
        let is_duration = pattern.is_some_and(|it| templated::meant(it) == duration::PATTERN);
        let words: Vec<&str> = if is_duration {
            vec!["a duration"]
        } else {
            wanted.iter().map(|kind| kind_word(*kind)).collect()
        };
        let given = found.map_or("missing", Node::kind);
        let (help, rewrite) = match (wanted.first(), found) {
            (Some(wanted), Some(found)) => rewritten(*wanted, found, is_duration),
            _ => (None, None),
        };
        let message = format!("{name} must be {}, and this is {given}", words.join(" or "));
        Finding {
            help: help.or_else(|| self.example(&path)),
            rewrite,
            ..Finding::new(Code::WrongType, path, message)
        }
    }

    /// An example of a value, or of one item from its list's.
    fn example(&self, path: &[Step]) -> Option<String> {
        if let [list @ .., Step::Index(_)] = path {
            let example = self.definition.schema.example(list)?.get(0)?;
            return Some(format!("for example `{}`", flow(example)));
        }
        self.own_example(path)
    }

    /// An example of a value that has a key.
    fn own_example(&self, path: &[Step]) -> Option<String> {
        let [.., Step::Key(key)] = path else {
            return None;
        };
        let example = self.definition.schema.example(path)?;
        Some(format!("for example `{key}: {}`", flow(example)))
    }
}

/// What to make of a value so that it has the type that is wanted.
fn rewritten(
    wanted: JsonType,
    found: &Node,
    is_duration: bool,
) -> (Option<String>, Option<Rewrite>) {
    let help = |text: &str| Some(text.to_owned());
    match (wanted, &found.value) {
        (JsonType::String, Value::Number(_) | Value::Bool(_)) => {
            let text = flow_node(found);
            if is_duration {
                let units = format!("write a unit: `{text}s`, `{text}m` or `{text}h`");
                (Some(units), Some(Rewrite::Unit))
            } else {
                (
                    Some(format!("quote it: `\"{text}\"`")),
                    Some(Rewrite::Quote),
                )
            }
        }
        (JsonType::Array, Value::Map(_)) => {
            (help("write a list: one `- ` in front of each item"), None)
        }
        (JsonType::Array, value) => {
            let is_text = matches!(value, Value::String(text) if !text.contains('\n'));
            let is_scalar = is_text || matches!(value, Value::Number(_) | Value::Bool(_));
            let list = format!("write a list: `[{}]`", flow_node(found));
            (Some(list), is_scalar.then_some(Rewrite::List))
        }
        (JsonType::Boolean, Value::String(_)) => (help("write `true` or `false`"), None),
        _ => (None, None),
    }
}

fn limit(kind: &ValidationErrorKind) -> Option<String> {
    Some(match kind {
        ValidationErrorKind::Minimum { limit } => format!("must be at least {}", short(limit)),
        ValidationErrorKind::Maximum { limit } => format!("must be at most {}", short(limit)),
        ValidationErrorKind::MinLength { limit: 1 } => "must not be empty".to_owned(),
        ValidationErrorKind::MinLength { limit } => {
            format!("must have at least {limit} characters")
        }
        ValidationErrorKind::MaxLength { limit } => format!("must have at most {limit} characters"),
        ValidationErrorKind::MinItems { limit: 1 } => "must not be empty".to_owned(),
        ValidationErrorKind::MinItems { limit } => format!("must have at least {limit} items"),
        ValidationErrorKind::MaxItems { limit } => format!("must have at most {limit} items"),
        _ => return None,
    })
}

/// A number without the `.0` that marks it as a fraction.
fn short(limit: &impl ToString) -> String {
    let text = limit.to_string();
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

fn unknown_value(
    path: Vec<Step>,
    name: &str,
    options: &JsonValue,
    found: Option<&Node>,
) -> Finding {
    let known: Vec<&str> = options
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(JsonValue::as_str)
        .collect();
    let Some(text) = found.and_then(Node::as_str) else {
        let kind = found.map_or("missing", Node::kind);
        let message = format!("{name} must be a string, and this is {kind}");
        return Finding::new(Code::WrongType, path, message)
            .with_help(format!("possible values: {}", list(known)));
    };
    let shown = crate::manifest::text::scalar::shorten(text);
    let message = format!("`{shown}` is not a value of {name}");
    let folded = fold(text);
    // The API's names end in ours: WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE.
    let by_suffix = known
        .iter()
        .copied()
        .filter(|known| folded.ends_with(&known.to_lowercase()));
    let near = by_suffix
        .max_by_key(|known| known.len())
        .or_else(|| nearest(text, known.iter().copied()));
    let values = list(known.iter().copied());
    let help = match near {
        Some(near) => format!("did you mean `{near}`? Possible values: {values}"),
        None => format!("possible values: {values}"),
    };
    Finding::new(Code::UnknownValue, path, message).with_help(help)
}
