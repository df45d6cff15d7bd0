//! What the documents say is so: links lead somewhere, examples validate, flags exist, and no field
//! is left out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use temporal_manifest::run::event::{Reason, ThrottleCause};

use crate::support::binary::{Binary, Folder};

/// Flags of other programs that the documents name.
const FLAGS_OF_OTHERS: &[&str] = &["--path", "--codec-endpoint"];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every document with its text.
fn documents() -> Vec<(PathBuf, String)> {
    let mut paths = vec![
        repository().join("README.md"),
        repository().join("ARCHITECTURE.md"),
        repository().join("CHANGELOG.md"),
    ];
    let docs = std::fs::read_dir(repository().join("docs")).expect("there are docs");
    let docs = docs.map(|entry| entry.expect("the folder can be read").path());
    paths.extend(docs.filter(|path| path.extension().is_some_and(|it| it == "md")));
    paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("the document is committed");
            (path, text)
        })
        .collect()
}

/// The fenced blocks of a document, with their language.
fn blocks(text: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some((language.trim().to_owned(), String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some((_, block))) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

#[test]
fn relative_links_lead_somewhere() {
    for (path, text) in documents() {
        for target in text.split("](").skip(1) {
            let target = target.split(')').next().unwrap_or_default();
            if target.starts_with("http") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = path.parent().expect("a file is in a folder");
            let leads_to = if file.is_empty() {
                path.clone()
            } else {
                folder.join(file)
            };
            assert!(leads_to.exists(), "{}: {target}", path.display());
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(leads_to).expect("documents are text");
                let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
                let mut anchors = headings.map(|heading| {
                    let words = heading.trim_start_matches('#').trim().to_lowercase();
                    let kept = words
                        .chars()
                        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
                    kept.collect::<String>().replace(' ', "-")
                });
                assert!(
                    anchors.any(|it| it == anchor),
                    "{}: {target}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn example_manifests_validate() {
    let mut count = 0;
    // The files that examples name.
    let folder = Folder::new();
    folder.write("customers.csv", "id,cents\nacme,1999\n");
    folder.write("bill-customer.json", r#"{"type": "array", "minItems": 1}"#);
    for (path, text) in documents() {
        for (language, block) in blocks(&text) {
            if language == "yaml" && block.starts_with("apiVersion: temporal-manifest/v1\n") {
                let valid = Binary::new(["validate", "-"])
                    .current_dir(folder.path())
                    .stdin(block.clone())
                    .run();
                assert_eq!(
                    valid.code,
                    Some(0),
                    "{}:\n{block}\n{}",
                    path.display(),
                    valid.stderr
                );
                count += 1;
            }
        }
    }
    assert!(count >= 4, "only {count} examples were found");
}

/// The `--flags` in a text.
fn flags(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.match_indices("--")
        .filter(|(start, _)| {
            let before = text[..*start].chars().next_back();
            before.is_none_or(|c| !is_part(c) && !c.is_alphanumeric())
        })
        .map(|(start, _)| {
            let rest = &text[start..];
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            rest[..end].to_owned()
        })
        .filter(|flag| flag[2..].starts_with(|c: char| c.is_ascii_lowercase()))
        .collect()
}

#[test]
fn flags_in_the_documents_exist() {
    let mut known = BTreeSet::new();
    for command in [
        "validate",
        "render",
        "apply",
        "report",
        "schema",
        "init",
        "completion",
    ] {
        known.extend(flags(&Binary::new([command, "--help-all"]).run().stdout));
    }
    assert!(known.contains("--parallelism"));
    for (path, text) in documents() {
        for flag in flags(&text) {
            assert!(
                known.contains(&flag) || FLAGS_OF_OTHERS.contains(&flag.as_str()),
                "{}: no command has {flag}",
                path.display()
            );
        }
    }
}

/// Names of all properties anywhere in a schema.
fn properties(schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::Object(found)) = map.get("properties") {
                names.extend(found.keys().cloned());
            }
            map.values().for_each(|value| properties(value, names));
        }
        Value::Array(items) => items.iter().for_each(|item| properties(item, names)),
        _ => {}
    }
}

#[test]
fn the_manifest_reference_names_every_field() {
    let schema = serde_json::from_str(temporal_manifest::manifest::schema::TEXT);
    let mut names = BTreeSet::new();
    properties(&schema.expect("a schema is JSON"), &mut names);
    assert!(names.contains("workflowId") && names.contains("attachLinks"));
    let path = repository().join("docs/manifest.md");
    let text = std::fs::read_to_string(path).expect("the reference is committed");
    for name in names {
        let named = [format!("`{name}`"), format!("`{name}: ")];
        assert!(
            named.iter().any(|name| text.contains(name)),
            "docs/manifest.md does not name `{name}`"
        );
    }
}

#[test]
fn every_exit_code_and_error_is_documented() {
    let read = |path: &str| {
        std::fs::read_to_string(repository().join(path)).expect("the file is committed")
    };
    let codes = read("docs/exit-codes.md");
    for code in 0..=9 {
        assert!(codes.contains(&format!("\n| {code} |")), "exit code {code}");
    }
    let table = read("docs/errors.md");
    let reasons: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(reasons, last_cells(&table, 4), "docs/errors.md, by reason");
    for cause in ThrottleCause::ALL {
        let cause = format!("`{}`", cause.as_str());
        assert!(table.contains(&cause), "docs/errors.md lacks {cause}");
    }
}

/// The words in the last cells of the tables with so many columns.
fn last_cells(text: &str, columns: usize) -> BTreeSet<&str> {
    let cells = text.lines().filter_map(|line| {
        let row = line.strip_prefix('|')?.strip_suffix('|')?;
        let mut cells = row.split('|');
        let last = cells.nth(columns - 1)?;
        cells.next().is_none().then_some(last.trim())
    });
    cells
        .filter_map(|cell| cell.strip_prefix('`')?.strip_suffix('`'))
        .collect()
}
