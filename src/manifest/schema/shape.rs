//! Holds a document against the JSON Schema of its kind.

use jsonschema::JsonType;
use jsonschema::error::TypeKind;

use super::explain::{Explainer, explain, walk};
use super::instance::TreeNode;
use crate::manifest::findings::finding::Finding;
use crate::manifest::findings::locate::Step;
use crate::manifest::findings::words::name_of;
use crate::manifest::kinds::Definition;
use crate::manifest::text::node::{Node, Value};

/// Most problems that are told of one document's shape.
const MAX_PROBLEMS: usize = 1_000;

/// Checks the shape of one document.
pub(in crate::manifest) fn check(definition: &'static Definition, document: &Node) -> Vec<Finding> {
    let mut findings = Vec::new();
    if document.holds_bytes() {
        misplaced_bytes(definition, document, &mut Vec::new(), &mut findings);
    }
    let validator = definition.schema.validator();
    if validator.is_valid(TreeNode::Node(document)) {
        return findings;
    }
    let errors = validator.iter_errors(TreeNode::Node(document));
    let found = errors.flat_map(|error| explain(definition, &error, document, &[]));
    for finding in found.take(MAX_PROBLEMS) {
        let is_bytes = walk(document, &finding.path)
            .is_some_and(|node| matches!(node.value, Value::Binary(_)));
        if !is_bytes {
            findings.push(finding);
        }
    }
    findings
}

/// Finds `!!binary` where the schema wants a value of some type. To the validator bytes look like
/// a string, because JSON has none; only arguments, memo values and headers can hold them.
fn misplaced_bytes(
    definition: &'static Definition,
    node: &Node,
    path: &mut Vec<Step>,
    findings: &mut Vec<Finding>,
) {
    let children: Vec<(Step, &Node)> = match &node.value {
        Value::Binary(_) => {
            if let Some(kind) = definition
                .schema
                .at(path)
                .and_then(|schema| schema.get("type"))
            {
                let wanted = kind.as_str().or_else(|| kind[0].as_str());
                let wanted = wanted
                    .unwrap_or("string")
                    .parse()
                    .unwrap_or(JsonType::String);
                let name = name_of(path);
                let kind = TypeKind::Single(wanted);
                let explainer = Explainer { definition };
                findings.push(explainer.wrong_type(path.clone(), &name, &kind, Some(node)));
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
        if definition.schema.at(path).is_some() {
            misplaced_bytes(definition, child, path, findings);
        }
        path.pop();
    }
}
