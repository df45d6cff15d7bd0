//! `kind: Starts`: Workflow starts, for `apply`.

use std::sync::{Arc, OnceLock};

use jsonschema::Validator;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value as JsonValue, json};

use super::definition::{Definition, Kind, OtherKeys};
use super::envelope::{Envelope, OfKind};
use crate::manifest::document::check;
use crate::manifest::document::fields::Fields;
use crate::manifest::document::other_names::{OTHER_NAMES, REFUSED};
use crate::manifest::document::{AnyMap, StartFields};
use crate::manifest::findings::diagnostic::{Code, Diagnostic};
use crate::manifest::findings::finding::Finding;
use crate::manifest::findings::locate::Step;
use crate::manifest::schema::committed::Schema;
use crate::manifest::schema::explain::explain;
use crate::manifest::schema::instance::{Tree, TreeNode};
use crate::manifest::text::node::{Key, Node};
use crate::manifest::text::source::Source;

/// The committed `schemas/manifest.schema.json`, which `temporal-manifest schema` prints and which
/// every document of starts is validated against.
pub const TEXT: &str = include_str!("../../../schemas/manifest.schema.json");

static SCHEMA: Schema = Schema::new(TEXT);

/// Fields that a start has and `defaults` has not.
const NOT_DEFAULTS: [&str; 3] = ["name", "workflowId", "forEach"];

pub(super) static DEFINITION: Definition = Definition {
    schema: &SCHEMA,
    entries: "starts",
    shared: &["defaults", "vars", "argSchemas"],
    marks: &["starts", "argschemas", "arg_schemas"],
    entry_keys: &["type", "taskQueue", "workflowId", "forEach", "workflowType"],
    other_keys,
};

fn other_keys(path: &[Step]) -> Option<&'static OtherKeys> {
    static OF_A_START: OtherKeys = OtherKeys {
        names: OTHER_NAMES,
        refused: REFUSED,
        elsewhere: (
            &NOT_DEFAULTS,
            "is a single start's own and cannot be a default",
        ),
    };
    let is_start = match path {
        [Step::Key(key)] => key == "defaults",
        [Step::Key(key), Step::Index(_)] => key == "starts",
        _ => false,
    };
    is_start.then_some(&OF_A_START)
}

/// A manifest: a list of Workflow starts for `temporal-manifest apply`.
#[derive(Debug, JsonSchema)]
#[schemars(
    rename_all = "camelCase",
    deny_unknown_fields,
    title = "temporal-manifest",
    extend("$id" = "urn:temporal-manifest:manifest:v1")
)]
pub struct StartsDocument {
    /// What every document begins with.
    #[schemars(flatten)]
    pub envelope: Envelope<Self>,
    /// Values for expressions, as `${{ vars.NAME }}`. What stands here is the default; `--var` and
    /// `--var-file` override it and keep its type.
    #[schemars(title = "Variables", example = json!({"month": "2026-11"}))]
    pub vars: Option<AnyMap>,
    /// For Workflow types, the JSON Schema of their list of arguments: a schema, or the path of a
    /// file with one, relative to the manifest. Every start of the type is checked.
    #[schemars(
        title = "Argument schemas",
        example = json!({"BillCustomer": "schemas/bill-customer.json"}),
        extend("additionalProperties" = {"type": ["object", "boolean", "string"]})
    )]
    pub arg_schemas: Option<AnyMap>,
    /// Fields that every start has unless it sets them itself. A start's field replaces the
    /// default as a whole; `null` in a start unsets it. Any field of a start may stand here except
    /// `workflowId`, `name` and `forEach`.
    #[schemars(
        title = "Defaults",
        default,
        example = json!({"taskQueue": "billing"}),
        schema_with = "defaults"
    )]
    pub defaults: Option<StartFields>,
    /// The Workflow starts.
    #[schemars(
        title = "Starts",
        length(min = 1),
        example = json!([{"type": "BillCustomer", "taskQueue": "billing"}])
    )]
    pub starts: Vec<StartFields>,
}

impl OfKind for StartsDocument {
    const KIND: Kind = Kind::Starts;
}

/// The schema of `defaults`: a start's without what is a single start's own.
fn defaults(generator: &mut SchemaGenerator) -> schemars::Schema {
    let mut schema = StartFields::json_schema(generator);
    let properties = schema
        .get_mut("properties")
        .and_then(JsonValue::as_object_mut);
    if let Some(properties) = properties {
        for name in NOT_DEFAULTS {
            properties.shift_remove(name);
        }
    }
    schema.insert("type".to_owned(), json!(["object", "null"]));
    schema.remove("title");
    schema.remove("description");
    schema
}

/// A document of starts, with every entry that has the right shape.
#[derive(Clone, Debug)]
pub struct StartsManifest {
    source: Arc<Source>,
    name: String,
    vars: Option<Node>,
    arg_schemas: Option<Node>,
    defaults: Option<Node>,
    entries: Arc<[Node]>,
}

impl StartsManifest {
    /// The document at `root`, without the entries that `findings` name; without any if they name
    /// what all depend on.
    pub(super) fn new(source: &Arc<Source>, root: &Node, findings: &[Finding]) -> Self {
        let name = root.get("metadata").and_then(|it| it.get("name")?.as_str());
        let part = |key: &str| root.get(key).cloned();
        StartsManifest {
            source: Arc::clone(source),
            name: name.unwrap_or_default().to_owned(),
            vars: part("vars"),
            arg_schemas: part("argSchemas"),
            defaults: part("defaults"),
            entries: DEFINITION.sound_entries(root, findings),
        }
    }

    /// The file it stands in.
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The entries of `starts` that have the right shape.
    pub fn entries(&self) -> &[Node] {
        &self.entries
    }

    /// The variables that the document declares.
    pub fn vars(&self) -> &[(Key, Node)] {
        self.vars.as_ref().map_or(&[], Node::entries)
    }

    /// The argument schemas by Workflow type.
    pub fn arg_schemas(&self) -> &[(Key, Node)] {
        self.arg_schemas.as_ref().map_or(&[], Node::entries)
    }

    /// An entry's fields over the defaults.
    pub fn fields<'m>(&'m self, entry: &'m Node) -> Fields<'m> {
        Fields::new(self.defaults.as_ref(), entry)
    }

    /// Looks at the meaning of the entries that are starts as they stand; what an expression comes
    /// to is looked at when it is evaluated.
    pub(super) fn check_meaning(&self) -> Vec<Diagnostic> {
        let mut diagnostics = Vec::new();
        for entry in self.entries() {
            let fields = self.fields(entry);
            if fields.depend_on_rows() {
                continue;
            }
            match fields.read() {
                Ok(start) => diagnostics.extend(check::check(&start).into_iter().map(|finding| {
                    let span = fields.locate(&finding.path, finding.target);
                    finding.at(&self.source, span)
                })),
                Err(mismatch) => {
                    let problem = Diagnostic::new(Code::WrongType, mismatch.to_string());
                    diagnostics.push(problem.at(&self.source, entry.span));
                }
            }
        }
        diagnostics
    }
}

/// Checks the shape of one start whose expressions have been evaluated.
pub(crate) fn check_start(start: &Node) -> Vec<Finding> {
    static VALIDATOR: OnceLock<Validator<Tree>> = OnceLock::new();
    let validator = VALIDATOR.get_or_init(|| SCHEMA.validator_of("/$defs/StartFields"));
    if validator.is_valid(TreeNode::Node(start)) {
        return Vec::new();
    }
    // Names, examples and help texts are looked up from the root of the schema.
    let above = [Step::Key(DEFINITION.entries.to_owned()), Step::Index(0)];
    let errors = validator.iter_errors(TreeNode::Node(start));
    let findings = errors.flat_map(|error| explain(&DEFINITION, &error, start, &above));
    findings
        .map(|mut finding| {
            finding.path.drain(..above.len());
            finding
        })
        .collect()
}
