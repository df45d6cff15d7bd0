//! Arguments, memo values and headers with expressions in them.

use std::sync::Arc;

use super::compiler::Compiler;
use super::folder::Folder;
use super::node_template::{NodeTemplate, finding};
use super::payload::{self, Payload};
use super::scope::Scope;
use super::template::Template;
use crate::manifest::diagnostic::Code;
use crate::manifest::finding::{Finding, Rewrite};
use crate::manifest::locate::Step;
use crate::manifest::node::{Node, Value};

/// A value that becomes a payload.
#[derive(Debug)]
pub(super) enum PayloadTemplate {
    /// The same for every row.
    Constant(Payload),
    /// A text with expressions, which may come to `null`.
    Text { template: Template, path: Vec<Step> },
    /// A value that becomes JSON.
    Json(NodeTemplate),
    /// A payload that is given byte for byte.
    Given {
        given: NodeTemplate,
        path: Vec<Step>,
    },
}

impl PayloadTemplate {
    /// Compiles the value at `path`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn compile(
        node: &Node,
        path: &[Step],
        compiler: Compiler<'_>,
        folder: Folder<'_>,
    ) -> Result<Self, Vec<Finding>> {
        let below = |findings| below(path, findings);
        if !node.holds_expression() {
            let payload = payload::encode(node, folder).map_err(below)?;
            return Ok(PayloadTemplate::Constant(payload));
        }
        if let Some(text) = node.as_str() {
            return Ok(PayloadTemplate::Text {
                template: compiler.text(text, path)?,
                path: path.to_vec(),
            });
        }
        if payload::is_given(node) {
            return Ok(PayloadTemplate::Given {
                given: compiler.node(node, &mut path.to_vec())?,
                path: path.to_vec(),
            });
        }
        let value = payload::json_value(node).map_err(below)?;
        Ok(PayloadTemplate::Json(
            compiler.node(&value, &mut path.to_vec())?,
        ))
    }

    pub(super) fn names_invocation(&self) -> bool {
        match self {
            PayloadTemplate::Constant(_) => false,
            PayloadTemplate::Text { template, .. } => template.names_invocation(),
            PayloadTemplate::Json(value) => value.names_invocation(),
            PayloadTemplate::Given { given, .. } => given.names_invocation(),
        }
    }

    /// The payload for a row.
    ///
    /// # Errors
    /// An expression fails, or what it comes to gives no payload.
    pub(super) fn evaluate(
        &self,
        scope: &Scope<'_>,
        folder: Folder<'_>,
    ) -> Result<Payload, Vec<Finding>> {
        match self {
            PayloadTemplate::Constant(payload) => Ok(payload.clone()),
            PayloadTemplate::Text { template, path } => {
                let outcome = template.evaluate(scope);
                let outcome = outcome.map_err(|problem| vec![finding(problem, path)])?;
                Ok(payload::encode_data(&outcome.into_node()))
            }
            PayloadTemplate::Json(value) => {
                let json = value.to_json(scope).map_err(|it| vec![it])?;
                Ok(Payload::new("json/plain", json))
            }
            PayloadTemplate::Given { given, path } => {
                let node = given.evaluate(scope).map_err(|it| vec![it])?;
                payload::encode(&node, folder).map_err(|findings| below(path, findings))
            }
        }
    }
}

/// Moves findings about a part of a value below the path of the value.
pub(super) fn below(path: &[Step], findings: Vec<Finding>) -> Vec<Finding> {
    let moved = findings.into_iter().map(|mut finding| {
        finding.path.splice(0..0, path.iter().cloned());
        finding
    });
    moved.collect()
}

/// A list of payloads.
#[derive(Debug)]
pub(super) enum ListTemplate {
    Items(Vec<PayloadTemplate>),
    /// One expression that comes to a list.
    Whole {
        template: Template,
        path: Vec<Step>,
    },
}

/// Payloads by name.
#[derive(Debug)]
pub(super) enum MapTemplate {
    Entries(Vec<(Arc<str>, PayloadTemplate)>),
    /// One expression that comes to a map.
    Whole {
        template: Template,
        path: Vec<Step>,
    },
}

/// Payloads by name, in the order written.
pub(super) type Named = Vec<(Arc<str>, Payload)>;

impl ListTemplate {
    pub(super) fn compile(
        field: &str,
        node: Option<&Node>,
        compiler: Compiler<'_>,
        folder: Folder<'_>,
        findings: &mut Vec<Finding>,
    ) -> Self {
        if let Some((template, path)) = whole_field(field, node, compiler, findings) {
            return ListTemplate::Whole { template, path };
        }
        let items = node.map_or(&[][..], Node::items).iter().enumerate();
        let items = items.filter_map(|(index, item)| {
            let path = [field.into(), index.into()];
            keep(
                PayloadTemplate::compile(item, &path, compiler, folder),
                findings,
            )
        });
        ListTemplate::Items(items.collect())
    }

    pub(super) fn names_invocation(&self) -> bool {
        match self {
            ListTemplate::Items(items) => items.iter().any(PayloadTemplate::names_invocation),
            ListTemplate::Whole { template, .. } => template.names_invocation(),
        }
    }

    pub(super) fn evaluate(
        &self,
        scope: &Scope<'_>,
        folder: Folder<'_>,
        findings: &mut Vec<Finding>,
    ) -> Vec<Payload> {
        match self {
            ListTemplate::Items(items) => items
                .iter()
                .filter_map(|item| keep(item.evaluate(scope, folder), findings))
                .collect(),
            ListTemplate::Whole { template, path } => {
                let Some(node) = whole(template, scope, path, findings) else {
                    return Vec::new();
                };
                match &node.value {
                    Value::Null => Vec::new(),
                    Value::List(items) => items.iter().map(payload::encode_data).collect(),
                    _ => {
                        findings.push(wrong_type(path, "a list", &node));
                        Vec::new()
                    }
                }
            }
        }
    }
}

impl MapTemplate {
    pub(super) fn compile(
        field: &str,
        node: Option<&Node>,
        compiler: Compiler<'_>,
        folder: Folder<'_>,
        findings: &mut Vec<Finding>,
    ) -> Self {
        if let Some((template, path)) = whole_field(field, node, compiler, findings) {
            return MapTemplate::Whole { template, path };
        }
        let entries = node.map_or(&[][..], Node::entries).iter();
        let entries = entries.filter_map(|(key, value)| {
            let path = [field.into(), Step::Key(key.text.to_string())];
            let payload = PayloadTemplate::compile(value, &path, compiler, folder);
            Some((Arc::from(&*key.text), keep(payload, findings)?))
        });
        MapTemplate::Entries(entries.collect())
    }

    pub(super) fn names_invocation(&self) -> bool {
        match self {
            MapTemplate::Entries(entries) => entries.iter().any(|(_, it)| it.names_invocation()),
            MapTemplate::Whole { template, .. } => template.names_invocation(),
        }
    }

    pub(super) fn evaluate(
        &self,
        scope: &Scope<'_>,
        folder: Folder<'_>,
        findings: &mut Vec<Finding>,
    ) -> Named {
        match self {
            MapTemplate::Entries(entries) => entries
                .iter()
                .filter_map(|(name, value)| {
                    let payload = keep(value.evaluate(scope, folder), findings)?;
                    Some((Arc::clone(name), payload))
                })
                .collect(),
            MapTemplate::Whole { template, path } => {
                let Some(node) = whole(template, scope, path, findings) else {
                    return Vec::new();
                };
                match &node.value {
                    Value::Null => Vec::new(),
                    Value::Map(entries) => entries
                        .iter()
                        .map(|(key, value)| (Arc::from(&*key.text), payload::encode_data(value)))
                        .collect(),
                    _ => {
                        findings.push(wrong_type(path, "a map", &node));
                        Vec::new()
                    }
                }
            }
        }
    }
}

/// The template of a field that is one whole expression, and the path of the field.
fn whole_field(
    field: &str,
    node: Option<&Node>,
    compiler: Compiler<'_>,
    findings: &mut Vec<Finding>,
) -> Option<(Template, Vec<Step>)> {
    let path = vec![field.into()];
    let template = keep(compiler.text(node?.as_str()?, &path), findings)?;
    Some((template, path))
}

/// What a field comes to that is one whole expression.
pub(super) fn whole(
    template: &Template,
    scope: &Scope<'_>,
    path: &[Step],
    findings: &mut Vec<Finding>,
) -> Option<Node> {
    match template.evaluate(scope) {
        Ok(outcome) => Some(outcome.into_node()),
        Err(problem) => {
            findings.push(finding(problem, path));
            None
        }
    }
}

/// The finding that a field's expression comes to something else than the field takes.
pub(super) fn wrong_type(path: &[Step], wanted: &str, found: &Node) -> Finding {
    let name = path.first().map_or("", |step| match step {
        Step::Key(key) => key,
        Step::Index(_) => "",
    });
    let message = format!(
        "`{name}` must be {wanted}, and this comes to {}",
        found.kind()
    );
    let finding = Finding::new(Code::WrongType, path.to_vec(), message);
    match (&found.value, wanted) {
        (Value::Number(_) | Value::Bool(_), "a string") => finding.with_rewrite(Rewrite::Quote),
        _ => finding,
    }
}

fn keep<T>(result: Result<T, Vec<Finding>>, findings: &mut Vec<Finding>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(mut more) => {
            findings.append(&mut more);
            None
        }
    }
}
