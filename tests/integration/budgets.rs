//! Small files that would keep a job busy or take all of its memory, and machines that give no
//! thread: each ends with an answer and an exit code of the manual.

use std::process::Command;

use proptest::prelude::*;

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
fn nested_anchors_keep_one_copy_of_what_they_mark() {
    let folder = Folder::new();
    let path = folder.write("anchors.yaml", nested_anchors(100, 500_000));
    validate(&path, SMALL_MIB).expect_code(0);
}

#[test]
fn expressions_are_counted() {
    let folder = Folder::new();
    let path = folder.write("expressions.yaml", many_expressions(200_000));
    let finished = validate(&path, SMALL_MIB).expect_code(3);
    assert!(
        finished.stderr.contains("100000 expressions"),
        "{}",
        finished.stderr
    );
    // Equal ones are compiled once.
    let path = folder.write("fewer.yaml", many_expressions(99_000));
    validate(&path, 256).expect_code(0);
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
fn without_a_thread_apply_says_so() {
    let Some(words) = without_threads() else {
        return;
    };
    let manifest = format!("{HEAD}  - workflowId: a\n");
    let finished = Binary::new(["apply", "-", "--address", "localhost:1"])
        .env("TEMPORAL_CONFIG_FILE", "/dev/null")
        .under(words)
        .stdin(manifest)
        .run();
    assert_eq!(finished.code, Some(8), "{}", finished.stderr);
    assert!(finished.stderr.contains("no thread"), "{}", finished.stderr);
}

/// A manifest with one start, whose only argument is held against a schema.
fn with_schema(schema: &str, argument: &str) -> String {
    format!(
        "apiVersion: temporal-manifest/v1\nkind: Starts\nmetadata: {{name: hostile}}\n\
         argSchemas:\n  T: {schema}\nstarts:\n  - {{type: T, taskQueue: q, args: [{argument}]}}\n"
    )
}

#[test]
fn an_argument_schema_ends_however_it_branches() {
    let levels = |keyword: &str, leaf: &str| {
        let level = |n: usize| {
            let next = format!("{{$ref: '#/$defs/d{}'}}", n + 1);
            format!("d{n}: {{{keyword}: [{next}, {next}]}}, ")
        };
        let levels: String = (0..40).map(level).collect();
        format!("{{$defs: {{{levels} d40: {leaf}}}, $ref: '#/$defs/d0'}}")
    };
    let folder = Folder::new();
    for schema in [levels("allOf", "{}"), levels("anyOf", "false")] {
        let path = folder.write("levels.yaml", with_schema(&schema, "1"));
        let finished = validate(&path, SMALL_MIB).expect_code(3);
        assert!(
            finished.stderr.contains("too_much_work"),
            "{}",
            finished.stderr
        );
    }
}

/// A schema of so many levels, each of which leads to the next one more than once.
fn leveled(family: usize, levels: usize, leaf: &str) -> String {
    let level = |n: usize| {
        let next = format!("{{$ref: '#/$defs/d{}'}}", n + 1);
        let body = match family {
            0 => format!("allOf: [{next}, {next}]"),
            1 => format!("anyOf: [{next}, {next}]"),
            2 => format!("oneOf: [{next}, {next}]"),
            3 => format!("not: {{allOf: [{next}, {next}]}}"),
            4 => format!("if: {next}, then: {next}, else: {next}"),
            5 => format!("dependentSchemas: {{a: {next}, b: {next}}}"),
            _ => format!("allOf: [{{anyOf: [{next}, {{not: {next}}}]}}, {next}]"),
        };
        format!("d{n}: {{{body}}}, ")
    };
    let defs: String = (0..levels).map(level).collect();
    format!("{{$defs: {{{defs} d{levels}: {leaf}}}, items: {{$ref: '#/$defs/d0'}}}}")
}

fn leaves() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "true",
        "false",
        "{}",
        "{type: array}",
        "{required: [z]}",
        "{properties: {a: false}}",
        "{not: {}}",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Every answer comes, with an exit code of the manual, in little memory.
    #[test]
    fn argument_schemas_end(
        family in 0..7_usize,
        levels in prop::sample::select(vec![1, 4, 40, 100]),
        leaf in leaves(),
        argument in prop::sample::select(vec!["1", "[]", "{a: 1, b: 2}", "null", "x"]),
    ) {
        let folder = Folder::new();
        let schema = leveled(family, levels, leaf);
        let path = folder.write("leveled.yaml", with_schema(&schema, argument));
        let finished = validate(&path, SMALL_MIB);
        let code = finished.code;
        prop_assert!(matches!(code, Some(0 | 3)), "{code:?}: {}", finished.stderr);
    }
}

#[test]
fn a_pattern_ends_however_it_goes_back() {
    let folder = Folder::new();
    let text = "a".repeat(100_000);
    let path = folder.write(
        "ahead.yaml",
        with_schema("{items: {pattern: '(?=a*c)b'}}", &text),
    );
    let finished = validate(&path, SMALL_MIB).expect_code(3);
    assert!(
        finished.stderr.contains("too_much_work"),
        "{}",
        finished.stderr
    );
    let pattern = "(?=a*)".repeat(10) + "a*$";
    let schema = format!("{{items: {{pattern: '{pattern}'}}}}");
    let path = folder.write("often.yaml", with_schema(&schema, &text));
    validate(&path, SMALL_MIB).expect_code(0);
}
