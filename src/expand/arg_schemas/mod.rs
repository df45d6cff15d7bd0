//! Argument schemas: the JSON Schema of a Workflow type's list of arguments, held against every
//! start of the type.
//!
//! `$ref` leads into the schema itself and to files below the manifest's folder, never to the
//! network.

mod files;
mod patterns;
mod prepare;
mod ways;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{Registry, ValidationError, Validator};
use serde_json::Value as JsonValue;

use super::budget::Budget;
use super::folder::Folder;
use super::payload::Payload;
use super::start::Start;
use crate::manifest::diagnostic::{Code, Diagnostic};
use crate::manifest::finding::Finding;
use crate::manifest::locate::Step;
use crate::manifest::node::{Key, Node, Value};
use crate::manifest::source::Source;
use crate::manifest::{
    NameCost, StartsManifest, Tree, TreeNode, json, path_to, shorten, shorten_to, within,
};
use files::{Files, read, uri};
use patterns::{PatternKeyword, Patterns, StepKeyword};
use prepare::{MAX_IDS, MAX_VALUES, STEP, prepare};

/// Most problems that are told of one start's arguments.
const MAX_PROBLEMS: usize = 10;

/// Most steps for finding everything that is wrong with one start's arguments, and again for the
/// first problem alone, and what is told past both. Problems within `anyOf` and the like are kept
/// until all are known: these steps fill some 100 MiB.
const STEPS_FOR_PROBLEMS: u64 = 3_000_000;

/// Bytes of an argument that are read in a step.
const BYTES_PER_STEP: u64 = 2;

/// Longest message of the validator's own, in characters.
const MAX_MESSAGE: usize = 200;

/// The argument schemas of a manifest.
#[derive(Debug, Default)]
pub(super) struct ArgSchemas(Vec<ArgSchema>);

#[derive(Debug)]
struct ArgSchema {
    workflow_type: Box<str>,
    /// How its place is called: a path, or the manifest's key.
    name: String,
    validator: Validator<Tree>,
    /// What a look at a name of a property costs.
    name_cost: NameCost,
}

/// What the schemas of one command share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    patterns: Patterns,
    /// Values in all schemas so far.
    values: AtomicUsize,
    /// Schemas with an `$id`, and dynamic references, so far.
    ids: AtomicUsize,
    is_dynamic: AtomicBool,
    ways: Mutex<ways::Left>,
}

impl ArgSchemas {
    /// Reads and compiles the schemas of a manifest.
    pub(super) fn compile(
        manifest: &StartsManifest,
        folder: Folder<'_>,
        shared: &Arc<Shared>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut schemas = Vec::new();
        for (key, node) in manifest.arg_schemas() {
            // What is no schema at all is found with the manifest's shape.
            if !matches!(
                node.value,
                Value::String(_) | Value::Map(_) | Value::Bool(_)
            ) {
                continue;
            }
            match compile(key, node, manifest.source(), folder, shared) {
                Ok(schema) => schemas.push(schema),
                Err(message) => diagnostics.push(
                    Diagnostic::new(Code::InvalidArgSchema, message)
                        .with_help("write a JSON Schema of the list of arguments, such as `{type: array, prefixItems: [{type: string}]}`, or the path of a file with one")
                        .at(manifest.source(), if node.as_str().is_some() { node.span } else { key.span }),
                ),
            }
        }
        ArgSchemas(schemas)
    }

    /// Holds a start's arguments against the schema of its type, if there is one.
    ///
    /// # Errors
    /// It takes more steps than the budget has.
    pub(super) fn check(&self, start: &Start, budget: &Budget) -> Result<Vec<Finding>, Spent> {
        let schema = self
            .0
            .iter()
            .find(|schema| *schema.workflow_type == *start.workflow.workflow_type);
        schema.map_or_else(
            || Ok(Vec::new()),
            |schema| schema.check(&start.workflow.args, budget),
        )
    }
}

fn compile(
    key: &Key,
    node: &Node,
    source: &Arc<Source>,
    folder: Folder<'_>,
    shared: &Arc<Shared>,
) -> Result<ArgSchema, String> {
    let root = folder
        .path
        .canonicalize()
        .map_err(|error| format!("cannot read `{}`: {error}", folder.path.display()))?;
    let name_patterns = Arc::new(Mutex::new(Vec::new()));
    let (known, all) = (Arc::clone(&name_patterns), Arc::clone(shared));
    let retriever = Files::new(root.clone(), folder, move |schema| {
        let patterns = all.prepare(schema)?;
        let mut known = known.lock().expect("nothing panics with this lock");
        known.extend(patterns);
        Ok(())
    });
    let (mut schema, base, name) = match &node.value {
        Value::String(file) => {
            let opened = folder.open(file)?;
            let name = folder.join(file).display().to_string();
            (read(opened.file, &name)?, opened.real, name)
        }
        _ => {
            let schema = serde_json::to_value(node).map_err(|error| error.to_string())?;
            let name = format!("{}, argSchemas", source.name());
            (schema, root.join("manifest"), name)
        }
    };
    let named = |message: String| cannot_be_used(&key.text, "", &message);
    let own = shared.prepare(&mut schema).map_err(named)?;
    let base = uri(&base);
    let validator = build(&schema, &base, retriever, shared)
        .map_err(|(place, message)| cannot_be_used(&key.text, &place, &message))?;
    let mut name_patterns = name_patterns
        .lock()
        .map(|mut it| std::mem::take(&mut *it))
        .unwrap_or_default();
    name_patterns.extend(own);
    let mut name_cost = (0, 0);
    for patterns in &name_patterns {
        let cost = shared.patterns.name_cost(patterns).map_err(named)?;
        name_cost = (name_cost.0.max(cost.0), name_cost.1.max(cost.1));
    }
    Ok(ArgSchema {
        workflow_type: key.text.clone(),
        name,
        validator,
        name_cost,
    })
}

fn cannot_be_used(workflow_type: &str, place: &str, message: &str) -> String {
    let what = shorten(workflow_type);
    format!("the argument schema of `{what}` cannot be used{place}: {message}")
}

/// Compiles a schema, and all that it refers to. An error is a place in the schema and a message.
fn build(
    schema: &JsonValue,
    base: &str,
    files: Files,
    shared: &Arc<Shared>,
) -> Result<Validator<Tree>, (String, String)> {
    let registry = Registry::new().retriever(files.clone());
    let registry = registry.add(base, schema).and_then(|it| it.prepare());
    let mut options = jsonschema::options_for::<Tree>();
    if let (Ok(registry), Ok(base)) = (&registry, jsonschema::uri::from_str(base)) {
        let mut left = shared.ways.lock().expect("nothing panics with this lock");
        ways::check(schema, registry.resolver(base), &mut left)
            .map_err(|message| (String::new(), message))?;
        options = options.with_registry(registry);
    }
    let keywords = Arc::clone(shared);
    let built = options
        .with_keyword(STEP, |_, _, _| Ok(Box::new(StepKeyword)))
        .with_keyword("pattern", move |_, value, _| {
            let pattern = value.as_str().ok_or("a pattern is a string".to_owned());
            let pattern = pattern.and_then(|pattern| keywords.patterns.get(pattern));
            let pattern = pattern.map_err(ValidationError::custom)?;
            Ok(Box::new(PatternKeyword(pattern)))
        })
        .with_retriever(files)
        .with_base_uri(base)
        .should_validate_formats(true)
        .build(schema);
    let (place, message) = match (built, &registry) {
        (Ok(validator), Ok(_)) => return Ok(validator),
        (Ok(_), Err(error)) => (String::new(), error.to_string()),
        (Err(error), _) => (error.instance_path().to_string(), error.to_string()),
    };
    let place = if place.is_empty() {
        place
    } else {
        format!(" at `{place}`")
    };
    // What the library says before it hands on our own words.
    let own = message.rsplit_once("retrieving it failed: ");
    Err((place, cut(own.map_or(&message, |(_, own)| own))))
}

impl Shared {
    /// Makes a schema countable, and returns its patterns of property names.
    fn prepare(&self, schema: &mut JsonValue) -> Result<Vec<Vec<String>>, String> {
        let found = prepare(schema)?;
        let values = self.values.fetch_add(found.values, Ordering::Relaxed) + found.values;
        if values > MAX_VALUES {
            return Err(format!(
                "argument schemas have at most {MAX_VALUES} values in all"
            ));
        }
        let ids = self.ids.fetch_add(found.ids, Ordering::Relaxed) + found.ids;
        let was_dynamic = self
            .is_dynamic
            .fetch_or(found.is_dynamic, Ordering::Relaxed);
        if (was_dynamic || found.is_dynamic) && ids > MAX_IDS {
            return Err(format!(
                "beside `$dynamicRef`, argument schemas have at most {MAX_IDS} `$id` in all"
            ));
        }
        Ok(found.name_patterns)
    }
}

/// The budget was spent.
pub(super) struct Spent;

impl ArgSchema {
    fn check(&self, args: &[Payload], budget: &Budget) -> Result<Vec<Finding>, Spent> {
        let bytes: usize = args.iter().map(|payload| payload.data.len()).sum();
        budget.spend(bytes as u64 / BYTES_PER_STEP);
        let (mut items, mut opaque) = (Vec::new(), Vec::new());
        for (index, payload) in args.iter().enumerate() {
            let value = match payload.encoding() {
                b"json/plain" => json::parse(&payload.data).ok(),
                _ => None,
            };
            // What is not JSON cannot be held against a schema, but counts as an argument.
            if value.is_none() && payload.encoding() != b"binary/null" {
                opaque.push(index);
            }
            items.push(value.unwrap_or_else(null));
        }
        let list = Node {
            value: Value::List(items.into()),
            ..null()
        };
        let list = TreeNode::Node(&list);
        if self
            .within(budget, u64::MAX, || self.validator.is_valid(list))
            .ok_or(Spent)?
        {
            return Ok(Vec::new());
        }
        let told = |error: &ValidationError<'_>| {
            let path: Vec<Step> = path_to(error).collect();
            let is_opaque = matches!(path.first(), Some(Step::Index(it)) if opaque.contains(it));
            (!is_opaque).then(|| self.finding(error, &path))
        };
        let all = self.within(budget, STEPS_FOR_PROBLEMS, || {
            let errors = self.validator.iter_errors(list);
            let findings = errors.filter_map(|error| told(&error));
            findings.take(MAX_PROBLEMS).collect()
        });
        if let Some(findings) = all {
            return Ok(findings);
        }
        let first = self.within(budget, STEPS_FOR_PROBLEMS, || {
            self.validator.validate(list).err()
        });
        match first {
            Some(first) => Ok(first.iter().filter_map(told).collect()),
            None if budget.left() == 0 => Err(Spent),
            None => Ok(vec![self.misfit()]),
        }
    }

    /// What is told where it takes too many steps to find out what is wrong.
    fn misfit(&self) -> Finding {
        let what = shorten(&self.workflow_type);
        let message = format!(
            "the arguments of `{what}` do not fit, and there are too many ways in which they might"
        );
        let at = vec!["args".into()];
        Finding::new(Code::ArgumentMismatch, at, message)
            .with_help(format!("the schema is in {}", self.name))
    }

    /// Does some work within what is left of the budget, and within a number of steps.
    fn within<T>(&self, budget: &Budget, steps: u64, work: impl FnOnce() -> T) -> Option<T> {
        let (outcome, taken) = within(budget.left().min(steps), self.name_cost, work);
        budget.spend(taken);
        outcome
    }

    fn finding(&self, error: &ValidationError<'_>, path: &[Step]) -> Finding {
        let what = shorten(&self.workflow_type);
        let subject = match path {
            [] => format!("the arguments of `{what}`"),
            [Step::Index(index)] => format!("argument {} of `{what}`", index + 1),
            [Step::Index(index), rest @ ..] => {
                format!("`{}` in argument {} of `{what}`", dotted(rest), index + 1)
            }
            _ => format!("`{}` in the arguments of `{what}`", dotted(path)),
        };
        let message = match error.kind() {
            ValidationErrorKind::Required { property } => {
                format!(
                    "{subject}: `{}` is missing",
                    property.as_str().unwrap_or_default()
                )
            }
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                let unexpected = unexpected.iter().map(|key| format!("`{}`", shorten(key)));
                let unexpected = unexpected.collect::<Vec<_>>().join(", ");
                format!("{subject}: there is no key {unexpected}")
            }
            ValidationErrorKind::Type { kind } => {
                let wanted = match kind {
                    TypeKind::Single(single) => single.to_string(),
                    TypeKind::Multiple(set) => {
                        let wanted = set.iter().map(|kind| kind.to_string());
                        wanted.collect::<Vec<_>>().join(" or ")
                    }
                };
                let given = cut(&error.instance().to_string());
                format!("{subject} must be of type {wanted}, and this is {given}")
            }
            ValidationErrorKind::MinItems { limit } if path.is_empty() => {
                let arguments = arguments(*limit);
                format!("`{what}` takes at least {arguments}, and this start has fewer")
            }
            ValidationErrorKind::MaxItems { limit } if path.is_empty() => {
                let arguments = arguments(*limit);
                format!("`{what}` takes at most {arguments}, and this start has more")
            }
            ValidationErrorKind::AdditionalItems { limit } if path.is_empty() => {
                let arguments = arguments(*limit as u64);
                format!("`{what}` takes {arguments}, and this start has more")
            }
            ValidationErrorKind::FalseSchema => format!("{subject} must not be there"),
            _ => format!("{subject}: {}", cut(&error.to_string())),
        };
        let args: Step = "args".into();
        let at = [&[args], path].concat();
        let help = format!("the schema is in {}: {}", self.name, error.schema_path());
        Finding::new(Code::ArgumentMismatch, at, message).with_help(help)
    }
}

fn null() -> Node {
    Node {
        value: Value::Null,
        span: Default::default(),
    }
}

fn arguments(count: u64) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} argument{plural}")
}

/// Steps as people write them: `lines[0].cents`.
fn dotted(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text.push_str(&format!(".{key}")),
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

/// A message of the validator's own, which may hold a whole argument.
fn cut(text: &str) -> String {
    shorten_to(text, MAX_MESSAGE)
}
