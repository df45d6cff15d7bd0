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
fn documents_with_problems_by_the_million_are_not_all_kept() {
    let folder = Folder::new();
    for document in ["--- {}\n", "--- a\n"] {
        let path = folder.write(
            "documents.yaml",
            document.repeat(9_000_000 / document.len()),
        );
        let finished = validate(&path, SMALL_MIB).expect_code(3);
        assert!(
            finished.stderr.contains("documents.yaml:1"),
            "{}",
            finished.stderr
        );
    }
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

#[test]
fn what_is_left_over_in_too_many_ways_is_refused() {
    let folder = Folder::new();
    for keyword in ["unevaluatedProperties", "unevaluatedItems"] {
        let schema = leveled(0, 40, "{}")
            .replace("items: {$ref", &format!("items: {{{keyword}: false, $ref"));
        let path = folder.write("over.yaml", with_schema(&schema, "{a: 1}"));
        let finished = validate(&path, SMALL_MIB).expect_code(3);
        let words = finished
            .stderr
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert!(words.contains("invalid_arg_schema"), "{words}");
        assert!(words.contains("over.yaml:"), "{words}");
        assert!(
            words.contains("at `/items` more than 20000 ways"),
            "{words}"
        );
    }
}

#[test]
fn schemas_that_go_on_for_long_do_not_end_the_stack() {
    let level = |n: usize| {
        let next = format!("{{$ref: '#/$defs/d{}'}}", n + 1);
        format!("d{n}: {{unevaluatedProperties: false, allOf: [{next}]}}, ")
    };
    let levels: String = (0..3_000).map(level).collect();
    let schema = format!("{{$defs: {{{levels} d3000: {{}}}}, items: {{$ref: '#/$defs/d0'}}}}");
    let folder = Folder::new();
    let path = folder.write("long.yaml", with_schema(&schema, "{a: 1}"));
    let finished = validate(&path, SMALL_MIB).expect_code(3);
    assert!(
        finished.stderr.contains("invalid_arg_schema"),
        "{}",
        finished.stderr
    );
}

#[test]
fn schemas_as_others_write_them_are_taken() {
    let folder = Folder::new();
    let tree = "{$id: 'https://example.com/strict', $dynamicAnchor: node, $ref: tree, unevaluatedProperties: false, \
                $defs: {tree: {$id: tree, $dynamicAnchor: node, type: object, properties: {data: true, children: {type: array, items: {$dynamicRef: '#node'}}}}}}";
    let crd = "{$defs: {meta: {type: object, properties: {name: {type: string, pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'}, labels: {type: object, additionalProperties: {type: string}}}}, \
               port: {anyOf: [{type: integer}, {type: string}]}, \
               spec: {type: object, required: [ports], properties: {ports: {type: array, items: {$ref: '#/$defs/port'}}, template: {$ref: '#/$defs/any'}}}, \
               any: {type: object, properties: {metadata: {$ref: '#/$defs/meta'}, spec: {$ref: '#/$defs/spec'}}, oneOf: [{required: [spec]}, {required: [metadata]}]}}, \
               $ref: '#/$defs/any'}";
    let base = (0..30)
        .map(|n| format!("p{n}: {{type: string}}, "))
        .collect::<String>();
    let models = (0..60).map(|n| format!("m{n}: {{allOf: [{{$ref: '#/$defs/base'}}], properties: {{q{n}: {{$ref: '#/$defs/m{}'}}}}, unevaluatedProperties: false}}, ", (n + 1) % 60)).collect::<String>();
    let openapi =
        format!("{{$defs: {{{models} base: {{properties: {{{base}}}}}}}, $ref: '#/$defs/m0'}}");
    let meta =
        "{$ref: 'https://json-schema.org/draft/2020-12/schema', unevaluatedProperties: false}";
    for (schema, argument) in [
        (tree, "{data: 1, children: [{children: []}]}"),
        (
            crd,
            "{spec: {ports: [80, http], template: {metadata: {name: a}}}}",
        ),
        (&openapi, "{p0: a, q0: {p1: b, q1: {p2: c}}}"),
        (
            meta,
            "{type: object, properties: {a: {allOf: [{minLength: 1}]}}}",
        ),
    ] {
        // Where a schema has no `$id`, its references begin at the top.
        let schema = match schema.starts_with("{$id") {
            true => schema.to_owned(),
            false => schema.replace("#/$defs/", "#/items/$defs/"),
        };
        let schema = format!("{{items: {schema}}}");
        let path = folder.write("real.yaml", with_schema(&schema, argument));
        validate(&path, SMALL_MIB).expect_code(0);
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
