//! The manifests that users copy are valid, and the explained one is complete.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value as JsonValue;
use temporal_manifest::manifest;
use temporal_manifest::manifest::node::{Node, Value};
use temporal_manifest::manifest::source::Source;

use crate::support::binary::Binary;

/// Every manifest below `manifests/`.
pub(crate) fn manifest_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
    let files: Vec<PathBuf> = walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .map(|entry| entry.expect("the folder can be read").into_path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    assert!(files.len() >= 6, "only {files:?}");
    files
}

#[test]
fn every_example_is_valid_without_a_word() {
    for file in manifest_files() {
        let finished = Binary::new(["validate"]).arg(&file).run().expect_code(0);
        assert_eq!(finished.stderr, "", "{}", file.display());
        assert!(
            finished.stdout.starts_with("valid: "),
            "{}",
            finished.stdout
        );
    }
}

#[test]
fn the_examples_can_be_applied_together() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
    let finished = Binary::new(["validate"]).arg(folder).run().expect_code(0);
    assert_eq!(finished.stderr, "");
}

#[test]
fn every_property_of_the_schema_occurs_in_the_explained_example() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/every-field.yaml");
    let text = std::fs::read_to_string(path).expect("an example can be read");
    let source = Arc::new(Source::new("every-field.yaml", ".", text));
    let mut given = Vec::new();
    for document in manifest::reader::read(&source, &mut Vec::new()) {
        collect_given(&document, "", &mut given);
    }
    let schema = manifest::schema::generate();
    let mut known = Vec::new();
    collect_known(&schema, &schema, "", &mut known);
    assert!(known.len() > 50, "only {known:?}");
    // Any field may be a default; the example need not show each of them twice.
    let missing: Vec<&String> = known
        .iter()
        .filter(|path| !path.starts_with("/defaults/") && !given.contains(path))
        .collect();
    assert!(
        missing.is_empty(),
        "every-field.yaml does not show {missing:#?}"
    );
}

/// Paths of all keys in a document, without positions in lists: `/starts/priority/key`.
fn collect_given(node: &Node, path: &str, given: &mut Vec<String>) {
    match &node.value {
        Value::List(items) => items
            .iter()
            .for_each(|item| collect_given(item, path, given)),
        Value::Map(entries) => {
            for (key, value) in &**entries {
                let path = format!("{path}/{}", key.text);
                collect_given(value, &path, given);
                given.push(path);
            }
        }
        _ => {}
    }
}

/// Paths of all properties in the schema, in the same form.
fn collect_known(root: &JsonValue, schema: &JsonValue, path: &str, known: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.strip_prefix('#').expect("references are local");
        let target = root.pointer(pointer).expect("references lead somewhere");
        collect_known(root, target, path, known);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}/{name}");
        collect_known(root, property, &path, known);
        known.push(path);
    }
    if let Some(items) = schema.get("items") {
        collect_known(root, items, path, known);
    }
    for option in schema["anyOf"].as_array().into_iter().flatten() {
        collect_known(root, option, path, known);
    }
}
