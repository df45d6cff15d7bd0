//! A value with expressions somewhere in it.

use std::cell::Cell;

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq};

use super::compiler::Compiler;
use super::expression::TextOrNode;
use super::scope::Scope;
use super::template::{Template, TemplateProblem};
use crate::manifest::diagnostic::Code;
use crate::manifest::finding::{Finding, keep};
use crate::manifest::locate::Step;
use crate::manifest::node::{Key, Node, Value, holds_expression};

/// A value that is compiled once and evaluated per row.
#[derive(Debug)]
pub(in crate::expand) enum NodeTemplate {
    /// Nothing in it is an expression.
    Constant(Node),
    /// A text that holds one.
    Text {
        template: Template,
        path: Vec<Step>,
    },
    List(Vec<NodeTemplate>),
    Map(Vec<(Key, NodeTemplate)>),
}

impl Compiler<'_> {
    /// Compiles the value at `path`.
    ///
    /// # Errors
    /// Everything that is wrong with the expressions in it.
    pub(in crate::expand) fn node(
        &self,
        node: &Node,
        path: &mut Vec<Step>,
    ) -> Result<NodeTemplate, Vec<Finding>> {
        if !node.holds_expression() {
            return Ok(NodeTemplate::Constant(node.clone()));
        }
        let mut findings = Vec::new();
        let template = match &node.value {
            Value::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    path.push(index.into());
                    list.extend(keep(self.node(item, path), &mut findings));
                    path.pop();
                }
                NodeTemplate::List(list)
            }
            Value::Map(entries) => {
                let mut map = Vec::with_capacity(entries.len());
                for (key, value) in &**entries {
                    path.push(Step::Key(key.text.to_string()));
                    if holds_expression(&key.text) {
                        findings.push(
                            Finding::new(
                                Code::InvalidExpression,
                                path.clone(),
                                "a key cannot hold an expression",
                            )
                            .at_key()
                            .with_help(
                                "make the whole map an expression: `${{ {row.name: row.value} }}`",
                            ),
                        );
                    }
                    let template = keep(self.node(value, path), &mut findings);
                    map.extend(template.map(|template| (key.clone(), template)));
                    path.pop();
                }
                NodeTemplate::Map(map)
            }
            _ => {
                let text = node.as_str().unwrap_or_default();
                let template = Template::compile(text, *self).map_err(|problems| {
                    let problems = problems.into_iter();
                    let findings = problems.map(|problem| finding(problem, path));
                    findings.collect::<Vec<_>>()
                })?;
                NodeTemplate::Text {
                    template,
                    path: path.clone(),
                }
            }
        };
        if findings.is_empty() {
            Ok(template)
        } else {
            Err(findings)
        }
    }
}

/// A template's problem as a finding about the value at `path`.
fn finding(problem: TemplateProblem, path: &[Step]) -> Finding {
    let TemplateProblem { problem, written } = problem;
    Finding {
        help: problem.help,
        part: Some(written),
        cell: problem.cell,
        ..Finding::new(problem.code, path.to_vec(), problem.message)
    }
}

/// The cell that the expressions in a text read, if they read exactly one.
pub(in crate::expand) fn cell_in(text: &str) -> Option<String> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut cells = text.match_indices("row.").filter_map(|(at, name)| {
        let begins = !text[..at].ends_with(|c| is_name(c) || c == '.');
        let rest = &text[at + name.len()..];
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        (begins && end > 0).then(|| &rest[..end])
    });
    let cell = cells.next()?.to_owned();
    cells.all(|other| other == cell).then_some(cell)
}

impl NodeTemplate {
    /// What it comes to.
    ///
    /// # Errors
    /// The first expression that fails.
    pub(in crate::expand) fn evaluate(&self, scope: &Scope<'_>) -> Result<Node, Finding> {
        Ok(match self {
            NodeTemplate::Constant(node) => node.clone(),
            NodeTemplate::Text { template, path } => template
                .evaluate(scope)
                .map_err(|problem| finding(problem, path))?
                .into_node(),
            NodeTemplate::List(items) => {
                let items = items.iter().map(|item| item.evaluate(scope));
                self.node(Value::List(items.collect::<Result<_, _>>()?))
            }
            NodeTemplate::Map(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), value.evaluate(scope)?)));
                self.node(Value::Map(entries.collect::<Result<_, _>>()?))
            }
        })
    }

    fn node(&self, value: Value) -> Node {
        Node {
            value,
            span: Default::default(),
        }
    }

    /// What it comes to, as JSON.
    ///
    /// # Errors
    /// The first expression that fails.
    pub(in crate::expand) fn to_json(&self, scope: &Scope<'_>) -> Result<Vec<u8>, Finding> {
        let failed = Cell::new(None);
        let evaluated = Writing {
            template: self,
            scope,
            failed: &failed,
        };
        let json = serde_json::to_vec(&evaluated);
        match (failed.take(), json) {
            (Some(finding), _) => Err(finding),
            (None, json) => Ok(json.expect("values can be written as JSON")),
        }
    }
}

/// A template that is evaluated while it is written, so that no value is made only to be written.
struct Writing<'t> {
    template: &'t NodeTemplate,
    scope: &'t Scope<'t>,
    failed: &'t Cell<Option<Finding>>,
}

impl Writing<'_> {
    fn part<'t>(&'t self, template: &'t NodeTemplate) -> Writing<'t> {
        Writing {
            template,
            scope: self.scope,
            failed: self.failed,
        }
    }
}

impl Serialize for Writing<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.template {
            NodeTemplate::Constant(node) => node.serialize(serializer),
            NodeTemplate::Text { template, path } => match template.evaluate(self.scope) {
                Ok(TextOrNode::Text(text)) => serializer.serialize_str(text),
                Ok(TextOrNode::Node(node)) => node.serialize(serializer),
                Err(problem) => {
                    self.failed.set(Some(finding(problem, path)));
                    Err(serde::ser::Error::custom("an expression failed"))
                }
            },
            NodeTemplate::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&self.part(item))?;
                }
                list.end()
            }
            NodeTemplate::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(&*key.text, &self.part(value))?;
                }
                map.end()
            }
        }
    }
}
