//! Arguments, memo values and headers with expressions in them.

use std::sync::Arc;

use super::encoding;
use super::payload::Payload;
use crate::expand::expressions::compiler::Compiler;
use crate::expand::expressions::computed::Computed;
use crate::expand::expressions::node_template::NodeTemplate;
use crate::expand::expressions::scope::Scope;
use crate::expand::folder::Folder;
use crate::manifest::diagnostic::Code;
use crate::manifest::finding::{Finding, Rewrite, keep};
use crate::manifest::locate::Step;
use crate::manifest::node::{Node, Value};

/// A value that becomes a payload.
#[derive(Debug)]
pub(in crate::expand) enum PayloadTemplate {
    /// The same for every row.
    Constant(Payload),
    /// A text with expressions, which may come to `null`.
    Data(NodeTemplate),
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
    fn compile(
        node: &Node,
        path: &[Step],
        compiler: Compiler<'_>,
        folder: Folder<'_>,
    ) -> Result<Self, Vec<Finding>> {
        if !node.holds_expression() {
            return encode(node, path, folder).map(PayloadTemplate::Constant);
        }
        let compile = |node: &Node| compiler.node(node, &mut path.to_vec());
        if node.as_str().is_some() {
            return compile(node).map(PayloadTemplate::Data);
        }
        if encoding::is_given(node) {
            return Ok(PayloadTemplate::Given {
                given: compile(node)?,
                path: path.to_vec(),
            });
        }
        let value = encoding::json_value(node).map_err(|findings| below(path, findings))?;
        compile(&value).map(PayloadTemplate::Json)
    }

    /// The payload for a row.
    ///
    /// # Errors
    /// An expression fails, or what it comes to gives no payload.
    fn evaluate(&self, scope: &Scope<'_>, folder: Folder<'_>) -> Result<Payload, Vec<Finding>> {
        let one = |finding| vec![finding];
        match self {
            PayloadTemplate::Constant(payload) => Ok(payload.clone()),
            PayloadTemplate::Data(template) => {
                let node = template.evaluate(scope).map_err(one)?;
                Ok(encoding::encode_data(&node))
            }
            PayloadTemplate::Json(value) => {
                let json = value.to_json(scope).map_err(one)?;
                Ok(Payload::new("json/plain", json))
            }
            PayloadTemplate::Given { given, path } => {
                let node = given.evaluate(scope).map_err(one)?;
                encode(&node, path, folder)
            }
        }
    }
}

/// The payload of the value at `path`.
fn encode(node: &Node, path: &[Step], folder: Folder<'_>) -> Result<Payload, Vec<Finding>> {
    encoding::encode(node, folder).map_err(|findings| below(path, findings))
}

/// Moves findings about a part of a value below the path of the value.
fn below(path: &[Step], findings: Vec<Finding>) -> Vec<Finding> {
    let moved = findings.into_iter().map(|mut finding| {
        finding.path.splice(0..0, path.iter().cloned());
        finding
    });
    moved.collect()
}

/// What the payloads of a field are told apart by: nothing but their order, or names.
pub(in crate::expand) trait Key: Clone {
    /// What a person calls a value that holds them.
    const HOLDER: &'static str;

    /// The values that a value holds, unless it is something else.
    fn values(node: &Node) -> Option<Vec<(Self, &Node)>>;

    /// The step to a value from what holds it.
    fn step(&self, position: usize) -> Step;
}

impl Key for () {
    const HOLDER: &'static str = "a list";

    fn values(node: &Node) -> Option<Vec<(Self, &Node)>> {
        let is_list = matches!(node.value, Value::List(_));
        is_list.then(|| node.items().iter().map(|item| ((), item)).collect())
    }

    fn step(&self, position: usize) -> Step {
        position.into()
    }
}

impl Key for Arc<str> {
    const HOLDER: &'static str = "a map";

    fn values(node: &Node) -> Option<Vec<(Self, &Node)>> {
        let is_map = matches!(node.value, Value::Map(_));
        let entries = node.entries().iter();
        is_map.then(|| {
            entries
                .map(|(key, it)| (Arc::from(&*key.text), it))
                .collect()
        })
    }

    fn step(&self, _: usize) -> Step {
        Step::Key(self.to_string())
    }
}

/// Payloads by name, in the order written.
pub(in crate::expand) type NamedPayloads = Vec<(Arc<str>, Payload)>;

/// A field that holds payloads.
#[derive(Debug)]
pub(in crate::expand) struct PayloadsTemplate<K> {
    field: &'static str,
    /// Each is written out, or one expression comes to all of them.
    payloads: Computed<Vec<(K, PayloadTemplate)>>,
}

impl<K: Key> PayloadsTemplate<K> {
    /// Compiles a field.
    pub(in crate::expand) fn compile(
        field: &'static str,
        node: Option<&Node>,
        compiler: Compiler<'_>,
        folder: Folder<'_>,
        findings: &mut Vec<Finding>,
    ) -> Self {
        let whole = node.filter(|node| node.as_str().is_some());
        let whole = whole.map(|node| compiler.node(node, &mut vec![field.into()]));
        let payloads = match whole.and_then(|whole| keep(whole, findings)) {
            Some(template) => Computed::Template(template),
            None => Computed::Fixed(each(field, node, findings, |node, path| {
                PayloadTemplate::compile(node, path, compiler, folder)
            })),
        };
        PayloadsTemplate { field, payloads }
    }

    /// The payloads for a row, as far as there is nothing wrong with them.
    pub(in crate::expand) fn evaluate(
        &self,
        scope: &Scope<'_>,
        folder: Folder<'_>,
        findings: &mut Vec<Finding>,
    ) -> Vec<(K, Payload)> {
        let template = match &self.payloads {
            Computed::Template(template) => template,
            Computed::Fixed(payloads) => {
                let evaluated = payloads.iter().filter_map(|(key, payload)| {
                    let payload = keep(payload.evaluate(scope, folder), findings)?;
                    Some((key.clone(), payload))
                });
                return evaluated.collect();
            }
        };
        let evaluated = template.evaluate(scope).map_err(|finding| vec![finding]);
        let Some(node) = keep(evaluated, findings) else {
            return Vec::new();
        };
        match K::values(&node) {
            Some(values) => {
                let values = values.into_iter();
                let encoded = values.map(|(key, value)| (key, encoding::encode_data(value)));
                encoded.collect()
            }
            None if node.is_null() => Vec::new(),
            None => {
                findings.push(wrong_type(&[self.field.into()], K::HOLDER, &node));
                Vec::new()
            }
        }
    }
}

/// The payloads of a field without expressions.
pub(in crate::expand) fn encode_all<K: Key>(
    field: &str,
    node: Option<&Node>,
    folder: Folder<'_>,
    findings: &mut Vec<Finding>,
) -> Vec<(K, Payload)> {
    each(field, node, findings, |node, path| {
        encode(node, path, folder)
    })
}

/// What is made of each value of a field and its path.
fn each<K: Key, T>(
    field: &str,
    node: Option<&Node>,
    findings: &mut Vec<Finding>,
    make: impl Fn(&Node, &[Step]) -> Result<T, Vec<Finding>>,
) -> Vec<(K, T)> {
    let values = node.and_then(K::values).unwrap_or_default();
    let values = values.into_iter().enumerate();
    let made = values.filter_map(|(position, (key, value))| {
        let path = [field.into(), key.step(position)];
        let made = keep(make(value, &path), findings)?;
        Some((key, made))
    });
    made.collect()
}

/// Payloads without what only their order tells apart.
pub(in crate::expand) fn in_order(payloads: Vec<((), Payload)>) -> Vec<Payload> {
    payloads.into_iter().map(|((), payload)| payload).collect()
}

/// The finding that a field's expression comes to something else than the field takes.
pub(in crate::expand) fn wrong_type(path: &[Step], wanted: &str, found: &Node) -> Finding {
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
