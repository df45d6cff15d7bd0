//! Holds a document against the JSON Schema and says in a person's words where it differs.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::paths::LocationSegment;
use jsonschema::{JsonType, JsonTypeSet, ValidationError};
use serde_json::Value as JsonValue;

use super::check;
use super::diagnostic::{Code, nearest};
use super::document::Kind;
use super::duration;
use super::finding::{Finding, Rewrite};
use super::instance::TreeNode;
use super::locate::Step;
use super::node::{Node, Value};
use super::other_names::{OTHER_NAMES, REFUSED};
use super::schema;

/// Most problems that are told of one document's shape.
const MAX_PROBLEMS: usize = 1_000;

/// Most keys that are told of one map as unknown.
const MAX_UNKNOWN_KEYS: usize = 100;

/// Checks the shape of one document.
pub(super) fn check(document: &Node) -> Vec<Finding> {
    if let Some(foreign) = foreign(document) {
        return vec![foreign];
    }
    let mut findings = Vec::new();
    if document.holds_bytes() {
        misplaced_bytes(document, &mut Vec::new(), &mut findings);
    }
    let validator = schema::validator();
    if validator.is_valid(TreeNode::Node(document)) {
        return findings;
    }
    let errors = validator.iter_errors(TreeNode::Node(document));
    let found = errors.flat_map(|error| explain(&error, document, &[]));
    for finding in found.take(MAX_PROBLEMS) {
        let is_bytes = walk(document, &finding.path)
            .is_some_and(|node| matches!(node.value, Value::Binary(_)));
        if !is_bytes {
            findings.push(finding);
        }
    }
    findings
}

/// Checks the shape of one start whose expressions have been evaluated.
pub(crate) fn check_start(start: &Node) -> Vec<Finding> {
    let validator = schema::start_validator();
    if validator.is_valid(TreeNode::Node(start)) {
        return Vec::new();
    }
    // Names, examples and help texts are looked up from the root of the schema.
    let above = [Step::Key("starts".to_owned()), Step::Index(0)];
    let errors = validator.iter_errors(TreeNode::Node(start));
    let findings = errors.flat_map(|error| explain(&error, start, &above));
    findings
        .map(|mut finding| {
            finding.path.drain(..above.len());
            finding
        })
        .collect()
}

/// Finds `!!binary` where the schema wants a value of some type. To the validator bytes look like
/// a string, because JSON has none; only arguments, memo values and headers can hold them.
fn misplaced_bytes(node: &Node, path: &mut Vec<Step>, findings: &mut Vec<Finding>) {
    let children: Vec<(Step, &Node)> = match &node.value {
        Value::Binary(_) => {
            if let Some(kind) = schema::at(path).and_then(|schema| schema.get("type")) {
                let wanted = kind.as_str().or_else(|| kind[0].as_str());
                let wanted = wanted
                    .unwrap_or("string")
                    .parse()
                    .unwrap_or(JsonType::String);
                let name = name_of(path);
                let kind = TypeKind::Single(wanted);
                findings.push(wrong_type(path.clone(), &name, &kind, Some(node)));
            }
            return;
        }
        Value::List(items) => items
            .iter()
            .enumerate()
            .map(|(at, it)| (at.into(), it))
            .collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|(key, it)| ((&*key.text).into(), it))
            .collect(),
        _ => return,
    };
    for (step, child) in children {
        path.push(step);
        if schema::at(path).is_some() {
            misplaced_bytes(child, path, findings);
        }
        path.pop();
    }
}

/// Whether a document says of itself that it is a JSON Schema.
pub(super) fn is_json_schema(document: &Node) -> bool {
    let dialect = document.get("$schema").and_then(Node::as_str);
    dialect.is_some_and(|dialect| dialect.contains("json-schema.org/"))
}

/// A document that is not ours at all gets one finding, not one for each of its keys.
fn foreign(document: &Node) -> Option<Finding> {
    let Value::Map(_) = document.value else {
        return Some(
            Finding::new(
                Code::WrongType,
                Vec::new(),
                format!("a manifest is a map, and this is {}", document.kind()),
            )
            .with_help("`temporal-manifest init` prints a manifest to start from"),
        );
    };
    let version = document.get("apiVersion")?.as_str()?;
    let kind = document
        .get("kind")
        .and_then(Node::as_str)
        .unwrap_or_default();
    if version != "temporal-manifest/v1" {
        return Some(
            Finding::new(
                Code::UnknownValue,
                vec!["apiVersion".into()],
                format!(
                    "`{}` is not an API version of temporal-manifest",
                    super::scalar::shorten(version)
                ),
            )
            .with_help("write `apiVersion: temporal-manifest/v1`"),
        );
    }
    if document
        .get("kind")
        .is_some_and(|node| node.as_str().is_some())
        && !Kind::ALL.iter().any(|known| known.as_str() == kind)
    {
        return Some(
            Finding::new(
                Code::UnknownValue,
                vec!["kind".into()],
                format!(
                    "`{}` is not a kind of temporal-manifest/v1",
                    super::scalar::shorten(kind)
                ),
            )
            .with_help("write `kind: Starts`"),
        );
    }
    None
}

/// The steps to the value that an error is about.
pub(crate) fn steps(error: &ValidationError<'_>) -> impl Iterator<Item = Step> {
    error
        .instance_path()
        .segments()
        .map(|segment| match segment {
            LocationSegment::Property(name) => Step::Key(name.into_owned()),
            LocationSegment::Index(index) => Step::Index(index),
        })
}

/// Says an error about a value below `root` in a person's words. `above` leads from the root of
/// the schema to `root`, and is a part of the findings' paths.
fn explain(error: &ValidationError<'_>, root: &Node, above: &[Step]) -> Vec<Finding> {
    let path: Vec<Step> = above.iter().cloned().chain(steps(error)).collect();
    let name = name_of(&path);
    let found = walk(root, &path[above.len()..]);
    match error.kind() {
        // A constraint, or an expression in its place: what was meant is the constraint.
        ValidationErrorKind::AnyOf { context } => {
            let meant = context.first().and_then(|errors| errors.first());
            // The error of a branch knows the branch's own paths only.
            meant.map_or_else(Vec::new, |meant| explain_kind(meant, path, &name, found))
        }
        _ => explain_kind(error, path, &name, found),
    }
}

fn explain_kind(
    error: &ValidationError<'_>,
    path: Vec<Step>,
    name: &str,
    found: Option<&Node>,
) -> Vec<Finding> {
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => unexpected
            .iter()
            .take(MAX_UNKNOWN_KEYS)
            .map(|key| unknown_key(&path, key))
            .collect(),
        ValidationErrorKind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            vec![missing_key(&path, key)]
        }
        ValidationErrorKind::Type { kind } => vec![wrong_type(path, name, kind, found)],
        ValidationErrorKind::Enum { options } => vec![unknown_value(path, name, options, found)],
        ValidationErrorKind::Constant { expected_value } => vec![
            Finding::new(
                Code::UnknownValue,
                path,
                format!("{name} can only be `{expected_value}`"),
            )
            .with_help("remove the key to leave it out"),
        ],
        ValidationErrorKind::Pattern { pattern } if pattern == schema::DURATION_OR_EXPRESSION => {
            let text = found.and_then(Node::as_str).unwrap_or_default();
            vec![invalid_duration(path, name, text)]
        }
        // A text where only another type or an expression can stand.
        ValidationErrorKind::Pattern { pattern } if pattern == schema::WHOLE_EXPRESSION => {
            let types = schema::at(&path).map(|schema| &schema["type"]);
            let types = types.and_then(JsonValue::as_array).into_iter().flatten();
            let types = types.filter_map(|kind| kind.as_str()?.parse::<JsonType>().ok());
            let types = types.fold(JsonTypeSet::empty(), JsonTypeSet::insert);
            let kind = TypeKind::Multiple(types);
            vec![wrong_type(path, name, &kind, found)]
        }
        // A schema counts characters, and the service bytes.
        ValidationErrorKind::MaxLength { .. } if path.last() == Some(&"fairnessKey".into()) => {
            let text = found.and_then(Node::as_str).unwrap_or_default();
            vec![check::long_fairness_key(path, text)]
        }
        ValidationErrorKind::Pattern { .. } => {
            let text = found.and_then(Node::as_str).unwrap_or_default();
            let shown = super::scalar::shorten(text);
            let help = description(&path).unwrap_or_default();
            vec![
                Finding::new(
                    Code::InvalidFormat,
                    path,
                    format!("{name} cannot be `{shown}`"),
                )
                .with_help(help),
            ]
        }
        ValidationErrorKind::MinProperties { .. } | ValidationErrorKind::MaxProperties { .. } => {
            let options = keys_at(&path)
                .map(|key| format!("`{key}`"))
                .collect::<Vec<_>>();
            let finding = Finding::new(
                Code::ConflictingFields,
                path.clone(),
                format!("{name} needs exactly one of {}", options.join(", ")),
            );
            let several = found.is_some_and(|node| node.entries().len() > 1);
            let help = if several {
                Some("remove all but one".to_owned())
            } else {
                example(&path).or_else(|| item_example(&path))
            };
            vec![match help {
                Some(help) => finding.with_help(help),
                None => finding,
            }]
        }
        other => {
            let message = limit(other).map_or_else(
                || format!("{name}: {error}"),
                |limit| format!("{name} {limit}"),
            );
            let finding = Finding::new(Code::OutOfRange, path.clone(), message);
            let help = match other {
                ValidationErrorKind::MinItems { .. } => example(&path),
                _ => description(&path),
            };
            vec![match help {
                Some(description) => finding.with_help(description),
                None => finding,
            }]
        }
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

fn unknown_key(path: &[Step], key: &str) -> Finding {
    let mut at = path.to_vec();
    at.push(key.into());
    let place = match path.last() {
        Some(_) => format!("in {}", name_of(path)),
        None => "at the top of a manifest".to_owned(),
    };
    let finding = Finding::new(
        Code::UnknownKey,
        at,
        format!("there is no key `{}` {place}", super::scalar::shorten(key)),
    )
    .at_key();
    // A key that nothing but the lines of `render -o jsonl` has.
    if path.is_empty() && key == "index" {
        return finding.with_help(
            "this is a line of `render -o jsonl`; only what `render` prints as text is a manifest",
        );
    }
    let known: Vec<&str> = keys_at(path).collect();
    let is_start = known.contains(&"taskQueue");
    if is_start && schema::NOT_DEFAULTS.contains(&key) {
        return finding.with_help(format!(
            "`{key}` is a single start's own and cannot be a default"
        ));
    }
    let refused = REFUSED
        .iter()
        .find(|(other, _)| is_start && same_word(other, key));
    if let Some((_, why)) = refused {
        return finding.with_help(*why);
    }
    let other_name = OTHER_NAMES
        .iter()
        .find(|(other, _)| is_start && same_word(other, key));
    let help = match other_name {
        Some((_, ours)) => format!("did you mean `{ours}`?"),
        None => match nearest(key, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("possible keys: {}", list(known.iter().copied())),
        },
    };
    finding.with_help(help)
}

fn missing_key(path: &[Step], key: &str) -> Finding {
    let place = match path.last() {
        Some(_) => format!("{} has no `{key}`", name_of(path)),
        None => format!("the manifest has no `{key}`"),
    };
    let mut at = path.to_vec();
    at.push(key.into());
    let example = schema::at(&at).and_then(|schema| schema["examples"].get(0));
    let finding = Finding::new(Code::MissingKey, path.to_vec(), place);
    match example {
        Some(example) => finding.with_help(format!("for example `{key}: {}`", flow(example))),
        None => finding,
    }
}

fn wrong_type(path: Vec<Step>, name: &str, kind: &TypeKind, found: Option<&Node>) -> Finding {
    let wanted: Vec<JsonType> = match kind {
        TypeKind::Single(single) => vec![*single],
        TypeKind::Multiple(set) => set.iter().filter(|kind| *kind != JsonType::Null).collect(),
    };
    // Where a value is no text, a string is only another way to write an expression.
    let takes_expressions = schema::at(&path).is_some_and(|schema| {
        schema
            .get("pattern")
            .is_some_and(|it| it == schema::WHOLE_EXPRESSION)
    });
    let wanted: Vec<JsonType> = wanted
        .into_iter()
        .filter(|kind| !(takes_expressions && *kind == JsonType::String))
        .collect();
    let words: Vec<&str> = if schema::at(&path).is_some_and(is_duration) {
        vec!["a duration"]
    } else {
        wanted.iter().map(|kind| kind_word(*kind)).collect()
    };
    let given = found.map_or("missing", Node::kind);
    let mut rewrite = None;
    let help = match (wanted.first(), found.map(|node| &node.value)) {
        (Some(JsonType::String), Some(Value::Number(_) | Value::Bool(_))) => {
            let text = found.map(flow_node).unwrap_or_default();
            let takes_duration = schema::at(&path).is_some_and(is_duration);
            rewrite = Some(if takes_duration {
                Rewrite::Unit
            } else {
                Rewrite::Quote
            });
            Some(if takes_duration {
                format!("write a unit: `{text}s`, `{text}m` or `{text}h`")
            } else {
                format!("quote it: `\"{text}\"`")
            })
        }
        (Some(JsonType::Array), Some(value)) if !matches!(value, Value::Map(_)) => {
            let is_text = matches!(value, Value::String(text) if !text.contains('\n'));
            let is_scalar = is_text || matches!(value, Value::Number(_) | Value::Bool(_));
            rewrite = is_scalar.then_some(Rewrite::List);
            found.map(|node| format!("write a list: `[{}]`", flow_node(node)))
        }
        (Some(JsonType::Array), Some(_)) => {
            Some("write a list: one `- ` in front of each item".to_owned())
        }
        (Some(JsonType::Boolean), Some(Value::String(_))) => {
            Some("write `true` or `false`".to_owned())
        }
        _ => example(&path).or_else(|| item_example(&path)),
    };
    let message = format!("{name} must be {}, and this is {given}", words.join(" or "));
    Finding {
        help,
        rewrite,
        ..Finding::new(Code::WrongType, path, message)
    }
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
        return Finding::new(
            Code::WrongType,
            path,
            format!("{name} must be a string, and this is {kind}"),
        )
        .with_help(format!("possible values: {}", list(known)));
    };
    let message = format!(
        "`{}` is not a value of {name}",
        super::scalar::shorten(text)
    );
    let folded: String = text
        .chars()
        .filter(|c| c.is_alphanumeric())
        .collect::<String>()
        .to_lowercase();
    // The API's names end in ours: WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE.
    let by_suffix = known
        .iter()
        .copied()
        .filter(|known| folded.ends_with(&known.to_lowercase()));
    let near = by_suffix
        .max_by_key(|known| known.len())
        .or_else(|| nearest(text, known.iter().copied()));
    let help = match near {
        Some(near) => format!(
            "did you mean `{near}`? Possible values: {}",
            list(known.iter().copied())
        ),
        None => format!("possible values: {}", list(known.iter().copied())),
    };
    Finding::new(Code::UnknownValue, path, message).with_help(help)
}

/// The finding for a text that is no duration.
pub(super) fn invalid_duration(path: Vec<Step>, name: &str, text: &str) -> Finding {
    let shown = super::scalar::shorten(text);
    let reason = match duration::parse(text) {
        Err(error) => error.to_string(),
        Ok(_) => "it has another form".to_owned(),
    };
    let message = format!("{name} cannot be `{shown}`: {reason}");
    Finding::new(Code::InvalidDuration, path, message)
        .with_help("write for example `30s`, `1h30m` or `2d`")
}

/// How a value is called in a message: its key, or its place in a list.
pub(super) fn name_of(path: &[Step]) -> String {
    match path {
        [] => "the manifest".to_owned(),
        [.., Step::Key(key)] => format!("`{}`", super::scalar::shorten(key)),
        [.., Step::Key(list), Step::Index(index)] => format!("`{list}[{index}]`"),
        [.., Step::Index(index)] => format!("item {index}"),
    }
}

fn walk<'n>(root: &'n Node, path: &[Step]) -> Option<&'n Node> {
    path.iter().try_fold(root, |node, step| match step {
        Step::Key(key) => node.get(key),
        Step::Index(index) => node.items().get(*index),
    })
}

fn keys_at(path: &[Step]) -> impl Iterator<Item = &'static str> {
    let properties = schema::at(path).and_then(|schema| schema.get("properties")?.as_object());
    properties
        .into_iter()
        .flat_map(|map| map.keys().map(String::as_str))
}

fn description(path: &[Step]) -> Option<String> {
    let text = schema::at(path)?.get("description")?.as_str()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn example(path: &[Step]) -> Option<String> {
    let [.., Step::Key(key)] = path else {
        return None;
    };
    let example = schema::at(path)?.get("examples")?.get(0)?;
    Some(format!("for example `{key}: {}`", flow(example)))
}

/// An example of one item, from its list's.
fn item_example(path: &[Step]) -> Option<String> {
    let [list @ .., Step::Index(_)] = path else {
        return None;
    };
    let example = schema::at(list)?.get("examples")?.get(0)?.get(0)?;
    Some(format!("for example `{}`", flow(example)))
}

fn is_duration(schema: &JsonValue) -> bool {
    schema.get("pattern").and_then(JsonValue::as_str) == Some(schema::DURATION_OR_EXPRESSION)
}

fn same_word(a: &str, b: &str) -> bool {
    let fold = |text: &str| {
        text.chars()
            .filter(|c| c.is_alphanumeric())
            .collect::<String>()
            .to_lowercase()
    };
    fold(a) == fold(b)
}

fn kind_word(kind: JsonType) -> &'static str {
    match kind {
        JsonType::Array => "a list",
        JsonType::Boolean => "a boolean",
        JsonType::Integer => "an integer",
        JsonType::Null => "null",
        JsonType::Number => "a number",
        JsonType::Object => "a map",
        JsonType::String => "a string",
    }
}

fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().collect::<Vec<_>>().join(", ")
}

/// A value as flow YAML, as short as a person would write it.
fn flow(value: &JsonValue) -> String {
    match value {
        JsonValue::String(text) => text.clone(),
        JsonValue::Array(items) => {
            format!(
                "[{}]",
                items.iter().map(flow).collect::<Vec<_>>().join(", ")
            )
        }
        JsonValue::Object(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| format!("{key}: {}", flow(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn flow_node(node: &Node) -> String {
    let text = flow(&serde_json::to_value(node).unwrap_or_default());
    super::scalar::shorten(&text)
}
