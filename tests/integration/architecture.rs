//! Holds the modules to the table of who may know whom, in ARCHITECTURE.md.

mod circles;
mod sizes;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What each module of the library may name of the others. `cli` belongs to the binary and may
/// know all. `manifest` is the first stage and knows nothing.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("disk", &[]),
    ("visible", &[]),
    ("manifest", &["disk", "visible"]),
    ("expand", &["disk", "manifest", "visible"]),
    ("run", &["expand::start", "expand::identity"]),
    (
        "client",
        &["expand::start", "expand::payload", "run::service"],
    ),
    // Where a start comes from is part of every event.
    (
        "journal",
        &["run::event", "expand::start::SourceLine", "disk"],
    ),
    (
        "report",
        &[
            "run::event",
            "journal",
            "expand::start::SourceLine",
            "manifest::diagnostic::DiagnosticRecord",
            "manifest::schema",
            "disk",
            "visible",
        ],
    ),
    // It joins the others.
    (
        "apply",
        &[
            "disk", "manifest", "expand", "run", "client", "journal", "report", "visible",
        ],
    ),
];

/// Paths in `text` that begin with `crate::`, each cut after its last module or item: one for
/// every name in braces. Comments and what follows `#[cfg(test)]` are left out.
fn crate_paths(text: &str) -> Vec<String> {
    let text = text
        .split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap_or_default();
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect();
    let mut paths = Vec::new();
    for piece in code.split("crate::").skip(1) {
        expand("", piece, &mut paths);
    }
    paths
}

/// Reads a path at the start of `text` below `prefix`; returns how far it reaches.
fn expand(prefix: &str, text: &str, paths: &mut Vec<String>) -> usize {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let length = text.find(|c| !is_path(c)).unwrap_or(text.len());
    let path = format!("{prefix}{}", &text[..length]);
    if !text[length..].starts_with('{') {
        paths.push(path.trim_end_matches(':').to_owned());
        return length;
    }
    let mut at = length + 1;
    while at < text.len() && !text[at..].starts_with('}') {
        if text[at..].starts_with(is_path) {
            at += expand(&path, &text[at..], paths);
        } else {
            at += 1;
        }
    }
    at + 1
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .map(|entry| entry.expect("the folder can be read").into_path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

fn is_allowed(module: &str, path: &str) -> bool {
    let within = |allowed: &str| path == allowed || path.starts_with(&format!("{allowed}::"));
    within(module)
        || MAY_KNOW
            .iter()
            .filter(|(name, _)| *name == module)
            .any(|(_, known)| known.iter().any(|allowed| within(allowed)))
}

/// The last cell of a module's row in ARCHITECTURE.md.
fn may_know_in_words(module: &str, known: &[&str]) -> String {
    let others = MAY_KNOW.iter().map(|(name, _)| *name);
    let all: BTreeSet<&str> = others.filter(|name| *name != module).collect();
    if all == known.iter().copied().collect() {
        return "all but `cli`".to_owned();
    }
    let names: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// `| a | b | c |` as its cells.
fn cells(row: &str) -> Vec<&str> {
    let row = row.trim().trim_start_matches('|').trim_end_matches('|');
    row.split('|').map(str::trim).collect()
}

#[test]
fn the_table_of_who_may_know_whom_is_this_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let text = std::fs::read_to_string(path).expect("it is there");
    let table = text.split("| module | what it does | may know |\n");
    let table = table.last().expect("there is a last part");
    let rows = table.lines().skip(1).take_while(|row| row.starts_with('|'));
    let written: Vec<_> = rows
        .map(|row| match cells(row)[..] {
            [module, _, known] => (module.to_owned(), known.to_owned()),
            _ => panic!("{row} has three cells"),
        })
        .collect();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut enforced: Vec<_> = MAY_KNOW
        .iter()
        .map(|(module, known)| {
            let is_file = src.join(format!("{module}.rs")).is_file();
            let end = if is_file { ".rs" } else { "/" };
            let known = may_know_in_words(module, known);
            (format!("`{module}{end}`"), known)
        })
        .collect();
    enforced.push(("`cli/`".to_owned(), "all".to_owned()));
    assert_eq!(written, enforced);
}

#[test]
fn modules_know_only_what_they_may() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = BTreeSet::new();
    let mut seen = 0;
    for file in rust_files(&src) {
        let relative = file.strip_prefix(&src).expect("it lies in src").to_owned();
        let first = relative
            .iter()
            .next()
            .expect("a path has parts")
            .to_string_lossy();
        let module = first.trim_end_matches(".rs");
        if ["cli", "lib", "main"].contains(&module) {
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("source is text");
        for path in crate_paths(&text) {
            seen += 1;
            if !is_allowed(module, &path) {
                wrong.insert(format!("{} names {path}", relative.display()));
            }
        }
    }
    assert!(seen > 20, "only {seen} paths were found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Nobody reaches around the table through `super::super`, and the library never names the
/// crates that belong to the person's side or, outside of `client`, to the network's.
#[test]
fn crates_stay_in_their_modules() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let only_in: &[(&str, &[&str])] = &[
        ("clap::", &["cli"]),
        ("indicatif::", &["report"]),
        ("miette::", &["manifest"]),
        ("prost::", &["client"]),
        ("prost_types::", &["client"]),
        ("tonic::", &["client"]),
        ("super::super::", &["cli"]),
    ];
    let mut wrong = Vec::new();
    for file in rust_files(&src) {
        let relative = file.strip_prefix(&src).expect("it lies in src").to_owned();
        let first = relative
            .iter()
            .next()
            .expect("a path has parts")
            .to_string_lossy();
        let text = std::fs::read_to_string(&file).expect("source is text");
        for (name, modules) in only_in {
            let named = text
                .match_indices(name)
                .any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
            if named && !modules.contains(&&*first) {
                wrong.push(format!("{} names {name}", relative.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn paths_are_found_in_braces_and_inline() {
    let text = "use crate::a::{b, c::{D, E}};\n// crate::x\nfn f() { crate::g::h(); }\n";
    assert_eq!(crate_paths(text), ["a::b", "a::c::D", "a::c::E", "g::h"]);
}
