//! Small files that would keep a job busy or take all of its memory, and machines that give no
//! thread: each ends with an answer and an exit code of the manual.

use std::process::Command;

use crate::hostile::{HEAD, SMALL_MIB, validate};
use crate::support::binary::{Binary, Folder};

/// Lists in lists, each with an anchor, around many values.
fn nested_anchors(levels: usize, values: usize) -> String {
    let mut text = format!("{HEAD}  - args:\n    - ");
    for level in 0..levels {
        text.push_str(&format!("&a{level} ["));
    }
    text.push_str(&"1,".repeat(values));
    text.push_str(&"]".repeat(levels));
    text.push('\n');
    text
}

/// A text of many expressions.
fn many_expressions(count: usize) -> String {
    format!("{HEAD}  - args: ['{}']\n", "${{ 1+1 }}".repeat(count))
}

#[test]
fn every_anchor_keeps_a_copy_of_what_it_marks() {
    let folder = Folder::new();
    let path = folder.write("anchors.yaml", nested_anchors(100, 500_000));
    let finished = validate(&path, SMALL_MIB);
    assert_eq!(finished.code, None, "{}", finished.stderr);
}

#[test]
fn every_expression_takes_kibibytes() {
    let folder = Folder::new();
    let path = folder.write("expressions.yaml", many_expressions(200_000));
    let finished = validate(&path, SMALL_MIB);
    assert_eq!(finished.code, None, "{}", finished.stderr);
}

/// Whether programs can be run as a user who may have one process.
fn without_threads() -> Option<&'static [&'static str]> {
    const WORDS: &[&str] = &[
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "prlimit",
        "--nproc=1:1",
    ];
    let tried = Command::new(WORDS[0])
        .args(&WORDS[1..])
        .arg("true")
        .status();
    tried.is_ok_and(|status| status.success()).then_some(WORDS)
}

#[test]
fn without_a_thread_apply_panics() {
    let Some(words) = without_threads() else {
        return;
    };
    let manifest = format!("{HEAD}  - workflowId: a\n");
    let finished = Binary::new(["apply", "-", "--address", "localhost:1"])
        .env("TEMPORAL_CONFIG_FILE", "/dev/null")
        .under(words)
        .stdin(manifest)
        .run();
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(finished.stderr.contains("panicked"), "{}", finished.stderr);
}
