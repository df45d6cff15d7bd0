//! One entry, compiled: everything about its starts that is known before the rows are.

use std::sync::Arc;

use super::build::{self, Body, Payloads};
use super::compiler::{Compiler, Shared};
use super::folder::Folder;
use super::for_each;
use super::node_template::NodeTemplate;
use super::payload_template::{ListTemplate, MapTemplate, Named, whole, wrong_type};
use super::rows::{Row, RowFiles, Rows};
use super::scope::{Constants, Scope};
use super::start::{Settings, SourceLine, Start};
use super::template::Template;
use crate::manifest::check;
use crate::manifest::diagnostic::Code;
use crate::manifest::document::StartFields;
use crate::manifest::fields::Fields;
use crate::manifest::finding::Finding;
use crate::manifest::locate::Step;
use crate::manifest::node::Value;

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
pub(super) enum Recipe<'m> {
    /// The entry is a start as it stands.
    Written(Fields<'m>),
    /// It holds expressions, or stands for many starts.
    Evaluated(Box<Evaluated<'m>>),
}

/// An entry with expressions or rows.
#[derive(Debug)]
pub(super) struct Evaluated<'m> {
    pub(super) fields: Fields<'m>,
    pub(super) rows: Option<Rows>,
    /// Whether a start may have other content in another invocation.
    pub(super) names_invocation: bool,
    /// What is worth a hint, for all rows alike.
    pub(super) advice: Vec<Finding>,
    constants: Arc<Constants>,
    body: BodyTemplate,
    args: ListTemplate,
    memo: MapTemplate,
    headers: MapTemplate,
    search_attributes: SearchAttributes,
}

/// Names and settings.
#[derive(Debug)]
enum BodyTemplate {
    /// Only texts depend on the row.
    Texts(Box<Texts>),
    /// Anything may.
    Fields(NodeTemplate),
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
    settings: Arc<Settings>,
}

#[derive(Debug)]
enum Text {
    Absent,
    Constant(Arc<str>),
    Template(Template),
}

const WORKFLOW_ID: &str = "workflowId";

const TEXTS: [&str; 6] = [
    "name",
    WORKFLOW_ID,
    "type",
    "taskQueue",
    "staticSummary",
    "staticDetails",
];

#[derive(Debug)]
enum SearchAttributes {
    Constant(Named),
    Evaluated(NodeTemplate),
}

/// What entries are compiled with, beside what they say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings<'k> {
    pub(super) constants: &'k Arc<Constants>,
    pub(super) folder: Folder<'k>,
    pub(super) files: &'k RowFiles,
}

impl<'m> Recipe<'m> {
    /// Compiles an entry.
    ///
    /// # Errors
    /// Everything that is wrong with it for every row.
    pub(super) fn compile(
        fields: Fields<'m>,
        around: Surroundings<'_>,
    ) -> Result<Self, Vec<Finding>> {
        if !fields.depend_on_rows() {
            return Ok(Recipe::Written(fields));
        }
        let mut findings = Vec::new();
        let rows = fields.get("forEach");
        let compiler = Compiler {
            constants: around.constants,
            has_row: rows.is_some(),
            shared: &Shared::default(),
        };
        let folder = around.folder;
        let args =
            ListTemplate::compile("args", fields.get("args"), compiler, folder, &mut findings);
        let mut map = |field: &str| {
            MapTemplate::compile(field, fields.get(field), compiler, folder, &mut findings)
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
        let names_invocation = args.names_invocation()
            || memo.names_invocation()
            || headers.names_invocation()
            || search_attributes.names_invocation()
            || body.names_invocation();
        Ok(Recipe::Evaluated(Box::new(Evaluated {
            fields,
            rows,
            names_invocation,
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
) -> Option<SearchAttributes> {
    let attributes = fields.get(build::SEARCH_ATTRIBUTES);
    if attributes.is_none_or(|node| !node.holds_expression()) {
        let encoded = build::encode_search_attributes(attributes, findings);
        return Some(SearchAttributes::Constant(encoded));
    }
    let path = &mut vec![build::SEARCH_ATTRIBUTES.into()];
    match compiler.node(attributes?, path) {
        Ok(template) => Some(SearchAttributes::Evaluated(template)),
        Err(mut more) => {
            findings.append(&mut more);
            None
        }
    }
}

fn body(
    fields: &Fields<'_>,
    compiler: Compiler<'_>,
    findings: &mut Vec<Finding>,
) -> Option<BodyTemplate> {
    let settings = fields.without(&NO_SETTINGS);
    let others = settings
        .set()
        .any(|(key, value)| !TEXTS.contains(&&*key.text) && value.holds_expression());
    let before = findings.len();
    if others {
        let mut entries = Vec::new();
        for (key, value) in settings.set() {
            match compiler.node(value, &mut vec![Step::Key(key.text.to_string())]) {
                Ok(template) => {
                    if &*key.text == WORKFLOW_ID && template.names_invocation() {
                        findings.push(names_invocation());
                    }
                    entries.push((key.clone(), template));
                }
                Err(mut more) => findings.append(&mut more),
            }
        }
        let map = NodeTemplate::Map(entries);
        return (findings.len() == before).then_some(BodyTemplate::Fields(map));
    }
    let read = match build::read(&settings) {
        Ok(read) => read,
        Err(mut more) => {
            findings.append(&mut more);
            return None;
        }
    };
    findings.extend(check::check(&read));
    let mut text = |field: &str, value: Option<&str>| match value {
        None => Text::Absent,
        Some(value) if !crate::manifest::node::holds_expression(value) => {
            Text::Constant(value.into())
        }
        Some(value) => match compiler.text(value, &[field.into()]) {
            Ok(template) => {
                if field == WORKFLOW_ID && template.names_invocation() {
                    findings.push(names_invocation());
                }
                Text::Template(template)
            }
            Err(mut more) => {
                findings.append(&mut more);
                Text::Absent
            }
        },
    };
    let texts = Texts {
        name: text("name", read.name.as_deref()),
        workflow_id: text(WORKFLOW_ID, read.workflow_id.as_deref()),
        workflow_type: text("type", read.workflow_type.as_deref()),
        task_queue: text("taskQueue", read.task_queue.as_deref()),
        static_summary: text("staticSummary", read.static_summary.as_deref()),
        static_details: text("staticDetails", read.static_details.as_deref()),
        settings: Arc::new(build::settings(read)),
    };
    Some(BodyTemplate::Texts(Box::new(texts)))
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
    pub(super) fn start(
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
            BodyTemplate::Texts(texts) => texts.evaluate(&scope, &mut findings),
            BodyTemplate::Fields(template) => read_fields(template, &scope, &mut findings),
        };
        let payloads = Payloads {
            args: self.args.evaluate(&scope, folder, &mut findings),
            memo: self.memo.evaluate(&scope, folder, &mut findings),
            headers: self.headers.evaluate(&scope, folder, &mut findings),
            search_attributes: self.search_attributes.evaluate(&scope, &mut findings),
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
            settings: Arc::clone(&self.settings),
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
            Text::Absent => return None,
            Text::Constant(text) => return Some(Arc::clone(text)),
            Text::Template(template) => template,
        };
        let path = [Step::from(field)];
        let node = whole(template, scope, &path, findings)?;
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

impl SearchAttributes {
    fn names_invocation(&self) -> bool {
        match self {
            SearchAttributes::Constant(_) => false,
            SearchAttributes::Evaluated(template) => template.names_invocation(),
        }
    }

    fn evaluate(&self, scope: &Scope<'_>, findings: &mut Vec<Finding>) -> Named {
        let template = match self {
            SearchAttributes::Constant(named) => return named.clone(),
            SearchAttributes::Evaluated(template) => template,
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
}

impl BodyTemplate {
    fn names_invocation(&self) -> bool {
        match self {
            BodyTemplate::Fields(template) => template.names_invocation(),
            BodyTemplate::Texts(texts) => {
                let texts = [
                    &texts.name,
                    &texts.workflow_type,
                    &texts.task_queue,
                    &texts.static_summary,
                    &texts.static_details,
                ];
                texts.into_iter().any(|text| match text {
                    Text::Template(template) => template.names_invocation(),
                    Text::Absent | Text::Constant(_) => false,
                })
            }
        }
    }
}
