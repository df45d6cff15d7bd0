//! What `forEach` says, as a source of rows.

use std::sync::Arc;

use crate::expand::expressions::compiler::{Compiler, Shared};
use crate::expand::expressions::node_template::NodeTemplate;
use crate::expand::expressions::scope::{Constants, Scope};
use crate::expand::folder::Folder;
use crate::expand::rows::{Matrix, RowFiles, Rows};
use crate::manifest::diagnostic::Code;
use crate::manifest::finding::Finding;
use crate::manifest::locate::Step;
use crate::manifest::node::{Key, Node, Value};

/// What entries are compiled with, beside what they say.
#[derive(Clone, Copy, Debug)]
pub(in crate::expand) struct Surroundings<'k> {
    pub(in crate::expand) constants: &'k Arc<Constants>,
    pub(in crate::expand) folder: Folder<'k>,
    pub(in crate::expand) files: &'k RowFiles,
}

/// Where the rows of a `forEach` come from.
///
/// # Errors
/// It names no source or several, or one that cannot be used.
pub(in crate::expand) fn rows(node: &Node, around: Surroundings<'_>) -> Result<Rows, Vec<Finding>> {
    let path = |key: &str| vec!["forEach".into(), Step::Key(key.to_owned())];
    let compiler = Compiler {
        constants: around.constants,
        has_row: false,
        shared: &Shared::default(),
    };
    let one = |finding: Finding| vec![finding];
    let source = source(node).map_err(one)?;
    let value = |key: &str| {
        let written = node.get(key).expect("the key is there");
        let template = compiler.node(written, &mut path(key))?;
        // Rows that are written out keep their places, so that problems can name them.
        if let NodeTemplate::Constant(_) = template {
            return Ok(written.clone());
        }
        let scope = Scope::new(around.constants, None, 0);
        template.evaluate(&scope).map_err(one)
    };
    let found = value(source)?;
    match (source, &found.value) {
        ("items", Value::List(items)) => Ok(Rows::Items(items.to_vec().into())),
        ("matrix", Value::Map(lists)) => matrix(lists),
        ("csv" | "jsonl", Value::String(file)) => {
            let opened = around.files.open(file, around.folder).map_err(|problem| {
                one(Finding {
                    help: problem.help,
                    ..Finding::new(problem.code, path(source), problem.message)
                })
            })?;
            if source == "jsonl" {
                return Ok(Rows::Jsonl(opened));
            }
            let delimiter = match is_set(node, "delimiter") {
                true => delimiter(&value("delimiter")?)?,
                false => b',',
            };
            Ok(Rows::Csv {
                file: opened,
                delimiter,
            })
        }
        (_, _) => {
            let wanted = match source {
                "items" => "a list",
                "matrix" => "a map of lists",
                _ => "a string",
            };
            let message = format!(
                "`{source}` must be {wanted}, and this comes to {}",
                found.kind()
            );
            Err(one(Finding::new(Code::WrongType, path(source), message)))
        }
    }
}

/// The key that says where the rows are.
fn source(node: &Node) -> Result<&'static str, Finding> {
    let sources = ["items", "csv", "jsonl", "matrix"].into_iter();
    let sources: Vec<&str> = sources.filter(|key| is_set(node, key)).collect();
    let &[source] = sources.as_slice() else {
        let message = "`forEach` needs exactly one of `items`, `csv`, `jsonl`, `matrix`";
        let path = vec!["forEach".into()];
        return Err(Finding::new(Code::ConflictingFields, path, message)
            .with_help("for example `forEach: {csv: customers.csv}`"));
    };
    if is_set(node, "delimiter") && source != "csv" {
        let message = "`delimiter` stands only beside `csv`";
        let path = vec!["forEach".into(), "delimiter".into()];
        return Err(Finding::new(Code::ConflictingFields, path, message)
            .at_key()
            .with_help("remove it"));
    }
    Ok(source)
}

fn is_set(node: &Node, key: &str) -> bool {
    node.get(key).is_some_and(|value| !value.is_null())
}

fn delimiter(node: &Node) -> Result<u8, Vec<Finding>> {
    match node.as_str().map(str::as_bytes) {
        Some(&[byte]) if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(byte),
        _ => {
            let path = vec!["forEach".into(), "delimiter".into()];
            let message =
                "`delimiter` must be one ASCII character, other than a quote or a line break";
            let finding = Finding::new(Code::InvalidFormat, path, message);
            Err(vec![
                finding.with_help(r#"write `";"`, or `"\t"` for a tab"#),
            ])
        }
    }
}

fn matrix(lists: &[(Key, Node)]) -> Result<Rows, Vec<Finding>> {
    let at = |key: Option<&Key>| {
        let key = key.map(|key| Step::Key(key.text.to_string()));
        [Step::from("forEach"), "matrix".into()]
            .into_iter()
            .chain(key)
            .collect()
    };
    let mut read = Vec::new();
    for (key, list) in lists {
        let Value::List(items) = &list.value else {
            let message = format!("`{}` must be a list, and this is {}", key.text, list.kind());
            return Err(vec![Finding::new(Code::WrongType, at(Some(key)), message)]);
        };
        read.push((key.clone(), items.clone()));
    }
    if read.is_empty() {
        let finding = Finding::new(Code::OutOfRange, at(None), "`matrix` has no lists");
        return Err(vec![finding.with_help(
            "for example `matrix: {region: [eu, us], day: [1, 2]}`",
        )]);
    }
    Matrix::new(read)
        .map(|matrix| Rows::Matrix(Arc::new(matrix)))
        .ok_or_else(|| {
            let finding = Finding::new(
                Code::OutOfRange,
                at(None),
                "this matrix has more than 100 million combinations",
            );
            vec![finding.with_help("split it, or write the rows that are meant into a file")]
        })
}
