//! One entry, compiled: everything about its starts that is known before the rows are.

use std::sync::Arc;

use super::build::{self, Body, Payloads};
use super::for_each::{self, Surroundings};
use crate::expand::expressions::compiler::{Compiler, Shared};
use crate::expand::expressions::computed::Computed;
use crate::expand::expressions::node_template::NodeTemplate;
use crate::expand::expressions::scope::{Constants, Scope};
use crate::expand::folder::Folder;
use crate::expand::payloads::payload_template::{
    NamedPayloads, PayloadsTemplate, in_order, wrong_type,
};
use crate::expand::rows::{Row, Rows};
use crate::expand::start::{SourceLine, Start};
use crate::manifest::check;
use crate::manifest::diagnostic::Code;
use crate::manifest::document::StartFields;
use crate::manifest::fields::Fields;
use crate::manifest::finding::{Finding, keep};
use crate::manifest::locate::Step;
use crate::manifest::node::{Node, Value, holds_expression};

/// Fields that are no settings: each has a form of its own.
const NO_SETTINGS: [&str; 5] = [
    "args",
    "memo",
    "headers",
    build::SEARCH_ATTRIBUTES,
    "forEach",
];

/// How starts are made of an entry.
#[derive(Debug)]
pub(in crate::expand) enum Recipe<'m> {
    /// The entry is a start as it stands.
    Written(Fields<'m>),
    /// It holds expressions, or stands for many starts.
    Evaluated(Box<Evaluated<'m>>),
}

/// An entry with expressions or rows.
#[derive(Debug)]
pub(in crate::expand) struct Evaluated<'m> {
    pub(in crate::expand) fields: Fields<'m>,
    pub(in crate::expand) rows: Option<Rows>,
    /// Whether a start may have other content in another invocation.
    pub(in crate::expand) names_invocation: bool,
    /// What is worth a hint, for all rows alike.
    pub(in crate::expand) advice: Vec<Finding>,
    constants: Arc<Constants>,
    /// Names and settings: only texts depend on the row, or anything may.
    body: Computed<Box<Texts>>,
    args: PayloadsTemplate<()>,
    memo: PayloadsTemplate<Arc<str>>,
    headers: PayloadsTemplate<Arc<str>>,
    search_attributes: Computed<NamedPayloads>,
}

/// The fields that are plain texts, and what all starts share.
#[derive(Debug)]
struct Texts {
    name: Text,
    workflow_id: Text,
    workflow_type: Text,
    task_queue: Text,
    static_summary: Text,
    static_details: Text,
    options: build::Options,
}

/// A text, if there is one.
type Text = Computed<Option<Arc<str>>>;

const WORKFLOW_ID: &str = "workflowId";

const TEXTS: [&str; 6] = [
    "name",
    WORKFLOW_ID,
    "type",
    "taskQueue",
    "staticSummary",
    "staticDetails",
];

impl<'m> Recipe<'m> {
    /// Compiles an entry.
    ///
    /// # Errors
    /// Everything that is wrong with it for every row.
    pub(in crate::expand) fn compile(
        fields: Fields<'m>,
        around: Surroundings<'_>,
    ) -> Result<Self, Vec<Finding>> {
        if !fields.depend_on_rows() {
            return Ok(Recipe::Written(fields));
        }
        let mut findings = Vec::new();
        let rows = fields.get("forEach");
        let shared = Shared::default();
        let compiler = Compiler {
            constants: around.constants,
            has_row: rows.is_some(),
            shared: &shared,
        };
        let folder = around.folder;
        let args = fields.get("args");
        let args = PayloadsTemplate::compile("args", args, compiler, folder, &mut findings);
        let mut map = |field: &'static str| {
            let node = fields.get(field);
            PayloadsTemplate::compile(field, node, compiler, folder, &mut findings)
        };
        let (memo, headers) = (map("memo"), map("headers"));
        let search_attributes = search_attributes(&fields, compiler, &mut findings);
        let body = body(&fields, compiler, &mut findings);
        // Rows may be read from standard input, which is not to be begun for nothing.
        if findings.iter().any(|finding| finding.code != Code::Advice) {
            return Err(findings);
        }
        let rows = rows.map(|node| for_each::rows(node, around)).transpose()?;
        let (Some(body), Some(search_attributes)) = (body, search_attributes) else {
            return Err(findings);
        };
        Ok(Recipe::Evaluated(Box::new(Evaluated {
            fields,
            rows,
            names_invocation: shared.names_invocation(),
            advice: findings,
            constants: Arc::clone(around.constants),
            body,
            args,
            memo,
            headers,
            search_attributes,
        })))
    }
}

fn search_attributes(
    fields: &Fields<'_>,
    compiler: Compiler<'_>,
    findings: &mut Vec<Finding>,
) -> Option<Computed<NamedPayloads>> {
    let attributes = fields.get(build::SEARCH_ATTRIBUTES);
    if attributes.is_none_or(|node| !node.holds_expression()) {
        let encoded = build::encode_search_attributes(attributes, findings);
        return Some(Computed::Fixed(encoded));
    }
    let path = &mut vec![build::SEARCH_ATTRIBUTES.into()];
    keep(compiler.node(attributes?, path), findings).map(Computed::Template)
}

fn body(
    fields: &Fields<'_>,
    compiler: Compiler<'_>,
    findings: &mut Vec<Finding>,
) -> Option<Computed<Box<Texts>>> {
    let settings = fields.without(&NO_SETTINGS);
    let others = settings
        .set()
        .any(|(key, value)| !TEXTS.contains(&&*key.text) && value.holds_expression());
    let before = findings.len();
    if others {
        let mut entries = Vec::new();
        for (key, value) in settings.set() {
            let template = field(&key.text, value, compiler, findings);
            entries.extend(template.map(|template| (key.clone(), template)));
        }
        let map = NodeTemplate::Map(entries);
        return (findings.len() == before).then_some(Computed::Template(map));
    }
    let read = keep(build::read(&settings), findings)?;
    findings.extend(check::check(&read));
    let mut text = |name: &str, value: Option<&str>| {
        let written = settings
            .get(name)
            .filter(|_| value.is_some_and(holds_expression));
        match written {
            Some(node) => field(name, node, compiler, findings).map(Computed::Template),
            None => Some(Computed::Fixed(value.map(Arc::from))),
        }
    };
    // All of them before the first that is missing, so that all that is wrong is told.
    let (name, workflow_id) = (
        text("name", read.name.as_deref()),
        text(WORKFLOW_ID, read.workflow_id.as_deref()),
    );
    let (workflow_type, task_queue) = (
        text("type", read.workflow_type.as_deref()),
        text("taskQueue", read.task_queue.as_deref()),
    );
    let (static_summary, static_details) = (
        text("staticSummary", read.static_summary.as_deref()),
        text("staticDetails", read.static_details.as_deref()),
    );
    let texts = Texts {
        name: name?,
        workflow_id: workflow_id?,
        workflow_type: workflow_type?,
        task_queue: task_queue?,
        static_summary: static_summary?,
        static_details: static_details?,
        options: build::options(read),
    };
    Some(Computed::Fixed(Box::new(texts)))
}

/// Compiles a field that is no payload. A Workflow ID cannot be another one each time.
fn field(
    name: &str,
    node: &Node,
    compiler: Compiler<'_>,
    findings: &mut Vec<Finding>,
) -> Option<NodeTemplate> {
    let compile = || compiler.node(node, &mut vec![name.into()]);
    let (template, is_named) = compiler.watch_invocation(compile);
    if name == WORKFLOW_ID && is_named && template.is_ok() {
        findings.push(names_invocation());
    }
    keep(template, findings)
}

/// The finding that a Workflow ID would differ each time.
fn names_invocation() -> Finding {
    let message = "`invocation` differs each time, so it cannot be part of a Workflow ID";
    Finding::new(Code::InvalidExpression, vec![WORKFLOW_ID.into()], message)
        .with_help("with another Workflow ID each time, a repeat would start it again; use `vars`")
}

impl Evaluated<'_> {
    /// The start for a row, or the only one of an entry without rows; `workflow_id` stays empty if
    /// the manifest gives none.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(in crate::expand) fn start(
        &self,
        constants: Option<&Arc<Constants>>,
        row: Option<&Arc<Row>>,
        index: u64,
        source: SourceLine,
        folder: Folder<'_>,
    ) -> Result<Start, Vec<Finding>> {
        let scope = Scope::new(constants.unwrap_or(&self.constants), row, index);
        let mut findings = Vec::new();
        let body = match &self.body {
            Computed::Fixed(texts) => texts.evaluate(&scope, &mut findings),
            Computed::Template(template) => read_fields(template, &scope, &mut findings),
        };
        let payloads = Payloads {
            args: in_order(self.args.evaluate(&scope, folder, &mut findings)),
            memo: self.memo.evaluate(&scope, folder, &mut findings),
            headers: self.headers.evaluate(&scope, folder, &mut findings),
            search_attributes: evaluate_search_attributes(
                &self.search_attributes,
                &scope,
                &mut findings,
            ),
        };
        match body {
            Some(body) => build::assemble(index, source, body, payloads, findings),
            None => Err(findings),
        }
    }
}

impl Texts {
    fn evaluate(&self, scope: &Scope<'_>, findings: &mut Vec<Finding>) -> Option<Body> {
        let before = findings.len();
        let name = self.name.evaluate("name", scope, findings);
        let workflow_id = self.workflow_id.evaluate(WORKFLOW_ID, scope, findings);
        let workflow_type = self.workflow_type.evaluate("type", scope, findings);
        let task_queue = self.task_queue.evaluate("taskQueue", scope, findings);
        let static_summary = self
            .static_summary
            .evaluate("staticSummary", scope, findings);
        let static_details = self
            .static_details
            .evaluate("staticDetails", scope, findings);
        if findings.len() > before {
            return None;
        }
        let required = |field: &str, text: Option<Arc<str>>, findings: &mut Vec<Finding>| {
            if text.is_none() {
                let message = format!("`{field}` is required, and this comes to null");
                findings.push(Finding::new(Code::MissingKey, vec![field.into()], message));
            }
            text
        };
        let workflow_type = required("type", workflow_type, findings);
        let task_queue = required("taskQueue", task_queue, findings);
        Some(Body {
            name: name.map(|name| name.to_string()),
            workflow_id: workflow_id.map(|id| id.to_string()),
            workflow_type: workflow_type?,
            task_queue: task_queue?,
            static_summary,
            static_details,
            options: self.options.clone(),
        })
    }
}

impl Text {
    fn evaluate(
        &self,
        field: &str,
        scope: &Scope<'_>,
        findings: &mut Vec<Finding>,
    ) -> Option<Arc<str>> {
        let template = match self {
            Text::Fixed(text) => return text.clone(),
            Text::Template(template) => template,
        };
        let path = [Step::from(field)];
        let node = template.evaluate(scope).map_err(|finding| vec![finding]);
        let node = keep(node, findings)?;
        match &node.value {
            Value::Null => None,
            Value::String(text) => {
                findings.extend(check::text_field(field, text));
                Some(Arc::from(&**text))
            }
            _ => {
                findings.push(wrong_type(&path, "a string", &node));
                None
            }
        }
    }
}

/// Evaluates all fields, and checks them as those of an entry without expressions are checked.
fn read_fields(
    template: &NodeTemplate,
    scope: &Scope<'_>,
    findings: &mut Vec<Finding>,
) -> Option<Body> {
    let node = match template.evaluate(scope) {
        Ok(node) => node,
        Err(finding) => {
            findings.push(finding);
            return None;
        }
    };
    let before = findings.len();
    findings.append(&mut crate::manifest::check_start(&node));
    if findings.len() > before {
        return None;
    }
    let read: StartFields = match build::read(&Fields::new(None, &node)) {
        Ok(read) => read,
        Err(mut more) => {
            findings.append(&mut more);
            return None;
        }
    };
    // Advice is given once, not for every row.
    let wrong = check::check(&read).into_iter();
    findings.extend(wrong.filter(|finding| finding.code != Code::Advice));
    if findings.len() > before {
        return None;
    }
    Some(Body::of(read))
}

fn evaluate_search_attributes(
    attributes: &Computed<NamedPayloads>,
    scope: &Scope<'_>,
    findings: &mut Vec<Finding>,
) -> NamedPayloads {
    let template = match attributes {
        Computed::Fixed(named) => return named.clone(),
        Computed::Template(template) => template,
    };
    match template.evaluate(scope) {
        Ok(node) if matches!(node.value, Value::Map(_) | Value::Null) => {
            build::encode_search_attributes(Some(&node), findings)
        }
        Ok(node) => {
            let path = [build::SEARCH_ATTRIBUTES.into()];
            findings.push(wrong_type(&path, "a map", &node));
            Vec::new()
        }
        Err(finding) => {
            findings.push(finding);
            Vec::new()
        }
    }
}
