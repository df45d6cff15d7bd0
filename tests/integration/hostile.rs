//! Files that nobody should write and somebody will: each is a clear error or what the manual
//! says, within a time limit and a memory ceiling, and never a panic.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use temporal_manifest::manifest;
use temporal_manifest::manifest::source::Source;

use crate::diagnostics::make_pipe;
use crate::support::binary::{Binary, Finished, Folder};

/// Longest time for one file. Unoptimised builds on busy machines meet it too.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// Longest time for a file of 100 MB. Each MB takes 0.15 s without optimisation.
const LONG_TIME_LIMIT: Duration = Duration::from_secs(200);

/// Most address space for one file, in MiB, that is itself small.
pub(crate) const SMALL_MIB: u64 = 512;

/// The same for a file with 100,000 starts, and for one of 100 MB.
const MANY_MIB: u64 = 1_024;
const LARGE_MIB: u64 = 2_048;

pub(crate) const HEAD: &str = "apiVersion: temporal-manifest/v1
kind: Starts
metadata: {name: hostile}
defaults: {type: BillCustomer, taskQueue: billing}
starts:
";

/// Runs `validate` within the limits. The memory ceiling needs `prlimit`, which Linux has.
pub(crate) fn validate(path: &Path, mebibytes: u64) -> Finished {
    let finished = limited(&["validate".as_ref(), path.as_os_str()], mebibytes);
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    assert!(
        finished.stderr.len() < 200_000,
        "{} bytes of words",
        finished.stderr.len()
    );
    assert!(
        finished.stderr.lines().all(|line| line.len() < 4_000),
        "a line of {:?} bytes",
        finished.stderr.lines().map(str::len).max()
    );
    finished
}

fn limited(arguments: &[&std::ffi::OsStr], mebibytes: u64) -> Finished {
    let limiter = Command::new("prlimit").arg("--version").output();
    let limit = if mebibytes == LARGE_MIB {
        LONG_TIME_LIMIT
    } else {
        TIME_LIMIT
    };
    let binary = Binary::new(arguments).time_limit(limit);
    if cfg!(target_os = "linux") && limiter.is_ok_and(|output| output.status.success()) {
        binary
            .under(&["prlimit", &format!("--as={}", mebibytes << 20)])
            .run()
    } else {
        binary.run()
    }
}

/// Validates a text and expects it to be wrong with this code.
#[track_caller]
fn expect_problem(text: impl AsRef<[u8]>, code: &str) -> String {
    let folder = Folder::new();
    let path = folder.write("hostile.yaml", text);
    let finished = validate(&path, SMALL_MIB).expect_code(3);
    let code = format!("temporal_manifest::manifest::{code}\n");
    assert!(
        finished.stderr.contains(&code),
        "no {code}in {}",
        finished.stderr
    );
    finished.stderr
}

/// Renders a text's starts as JSON.
#[track_caller]
fn render(text: impl AsRef<[u8]>) -> Vec<serde_json::Value> {
    let folder = Folder::new();
    let path = folder.write("manifest.yaml", text);
    let arguments = [
        "render".as_ref(),
        path.as_os_str(),
        "-o".as_ref(),
        "jsonl".as_ref(),
    ];
    let finished = limited(&arguments, SMALL_MIB).expect_code(0);
    let lines = finished.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect()
}

/// The one argument of a manifest's only start, written as YAML at an indent of 8.
#[track_caller]
fn argument(yaml: &str) -> serde_json::Value {
    let mut starts = render(format!("{HEAD}  - args:\n      - {yaml}\n"));
    assert_eq!(starts.len(), 1);
    starts[0]["start"]["args"][0].take()
}

#[test]
fn aliases_that_explode_are_refused() {
    let mut text =
        format!("{HEAD}  - args:\n      - &x0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..30 {
        let alias = format!("*x{}", level - 1);
        let aliases = vec![alias; 9].join(", ");
        writeln!(text, "      - &x{level} [{aliases}]").expect("strings take everything");
    }
    expect_problem(text, "alias_expansion");
}

#[test]
fn aliases_that_explode_over_defaults_and_entries_are_refused() {
    let mut text = String::from(
        "apiVersion: temporal-manifest/v1\nkind: Starts\nmetadata: {name: hostile}\n\
         defaults:\n  type: T\n  taskQueue: q\n  memo:\n    a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n",
    );
    for (name, before) in [("b", "a"), ("c", "b"), ("d", "c"), ("e", "d")] {
        let aliases = vec![format!("*{before}"); 10].join(", ");
        writeln!(text, "    {name}: &{name} [{aliases}]").expect("strings take everything");
    }
    text.push_str("starts:\n");
    for _ in 0..10_000 {
        text.push_str("  - args: [*e]\n");
    }
    expect_problem(text, "alias_expansion");
}

#[test]
fn merges_that_explode_are_refused() {
    let mut text = format!("{HEAD}  - args:\n      - &m0 {{k0: 1}}\n");
    for level in 1..3_000 {
        writeln!(
            text,
            "      - &m{level} {{<<: *m{}, k{level}: 1}}",
            level - 1
        )
        .expect("strings take everything");
    }
    expect_problem(text, "alias_expansion");
}

#[test]
fn an_alias_inside_of_what_it_stands_for_is_refused() {
    expect_problem(format!("{HEAD}  - args: &a [1, *a]\n"), "alias_expansion");
    expect_problem(
        format!("{HEAD}  - args: [&a {{<<: *a}}]\n"),
        "alias_expansion",
    );
    expect_problem("&a\napiVersion: *a\n", "alias_expansion");
    expect_problem(format!("{HEAD}  - args: [*nowhere]\n"), "syntax");
    // An anchor ends with its document.
    expect_problem(
        format!("{HEAD}  - args: [&a 1]\n---\n{HEAD}  - args: [*a]\n"),
        "syntax",
    );
}

#[test]
fn nesting_of_10_000_levels_is_refused() {
    let flow = "[".repeat(10_000) + &"]".repeat(10_000);
    expect_problem(format!("{HEAD}  - args: {flow}\n"), "too_deep");
    expect_problem("[".repeat(10_000), "too_deep");
    expect_problem("{a: ".repeat(10_000), "too_deep");
    expect_problem("- ".repeat(10_000), "too_deep");
    let mut block = String::new();
    for level in 0..10_000 {
        writeln!(block, "{}a:", " ".repeat(level)).expect("strings take everything");
    }
    expect_problem(block, "too_deep");
    expect_problem("? ".repeat(10_000), "too_deep");
    expect_problem("!!str &a ".repeat(10_000), "syntax");
}

#[test]
fn nesting_by_aliases_is_counted() {
    let mut text = format!("{HEAD}  - args:\n      - &x0 [1]\n");
    for level in 1..300 {
        writeln!(text, "      - &x{level} [*x{}]", level - 1).expect("strings take everything");
    }
    expect_problem(text, "too_deep");
}

#[test]
fn lines_of_100_mb_are_too_large_for_a_start() {
    let folder = Folder::new();
    let item = "x".repeat(98);
    let values = [
        "x".repeat(100_000_000),
        format!("{item}, ").repeat(1_000_000),
    ];
    for (number, values) in values.into_iter().enumerate() {
        let text = format!("{HEAD}  - args: [[{values}]]\n");
        let path = folder.write(&format!("line-{number}.yaml"), text);
        let finished = validate(&path, LARGE_MIB).expect_code(3);
        assert!(
            finished.stderr.contains("start_too_large"),
            "{}",
            finished.stderr
        );
    }
}

#[test]
fn values_by_the_million_are_too_many() {
    let folder = Folder::new();
    // The parser reads a flow list to its end before it says a word.
    for values in [
        "1,".repeat(50_000_000),
        "[".repeat(100_000_000),
        "{a: ".repeat(25_000_000),
    ] {
        let path = folder.write("values.yaml", format!("{HEAD}  - args: [[{values}]]\n"));
        let finished = validate(&path, MANY_MIB).expect_code(3);
        assert!(finished.stderr.contains("too_large"), "{}", finished.stderr);
    }
    #[expect(clippy::disallowed_methods, reason = "a switch of scripts/test")]
    let full = std::env::var_os("TEMPORAL_MANIFEST_TEST_FULL").is_some();
    if full {
        let values = "  - 1\n".repeat(12_000_000);
        let path = folder.write("values.yaml", format!("{HEAD}- args:\n{values}"));
        let finished = validate(&path, LARGE_MIB).expect_code(3);
        assert!(finished.stderr.contains("too_large"), "{}", finished.stderr);
    }
}

#[test]
fn starts_by_the_100_000_on_one_line() {
    let folder = Folder::new();
    let line = |count: usize, queue: &str| {
        let start = |n| format!(r#"{{"type":"T","{queue}":"q","workflowId":"w{n}"}}"#);
        let starts: Vec<String> = (0..count).map(start).collect();
        format!(
            r#"{{"apiVersion":"temporal-manifest/v1","kind":"Starts","metadata":{{"name":"j"}},"starts":[{}]}}"#,
            starts.join(",")
        )
    };
    let path = folder.write("line.json", line(100_000, "taskQueue"));
    let finished = validate(&path, MANY_MIB).expect_code(0);
    assert_eq!(finished.stdout, "valid: 100000 starts in 1 file\n");
    let path = folder.write("wrong.json", line(20_000, "task_queue"));
    let arguments = [
        "validate".as_ref(),
        path.as_os_str(),
        "-o".as_ref(),
        "github".as_ref(),
    ];
    let finished = limited(&arguments, MANY_MIB).expect_code(3);
    assert!(finished.stdout.lines().count() >= 20_000);
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let mut text = HEAD.as_bytes().to_vec();
    text.extend(b"  - workflowId: \xFF\xFE\n");
    let words = expect_problem(&text, "not_utf8");
    assert!(words.contains("byte 0xFF at line 6, column 17"), "{words}");
    for utf16 in [u16::to_le_bytes, u16::to_be_bytes] {
        let units = "\u{FEFF}apiVersion: ü\n".encode_utf16();
        let bytes: Vec<u8> = units.flat_map(utf16).collect();
        assert!(expect_problem(bytes, "not_utf8").contains("iconv -f UTF-16"));
    }
}

#[test]
fn a_byte_order_mark_and_crlf_change_no_place() {
    let text = format!("{HEAD}  - workflowID: a\n    args: [ü, {{x: .nan}}]\n");
    let places = |text: String| -> Vec<String> {
        let words = expect_problem(text, "non_finite_number");
        let lines = words
            .lines()
            .filter(|line| line.contains("─[") || line.contains("·  "));
        lines
            .map(|line| {
                line.split("hostile.yaml")
                    .last()
                    .expect("one at least")
                    .to_owned()
            })
            .collect()
    };
    let plain = places(text.clone());
    let expected = [":7:19]", "   ·                   ────"].map(str::to_owned);
    assert!(plain.windows(2).any(|pair| pair == expected), "{plain:?}");
    assert_eq!(places(format!("\u{FEFF}{text}")), plain);
    assert_eq!(places(text.replace('\n', "\r\n")), plain);
    assert_eq!(
        places(format!("\u{FEFF}{}", text.replace('\n', "\r\n"))),
        plain
    );
}

#[test]
fn crlf_and_a_byte_order_mark_are_read() {
    let text = format!(
        "\u{FEFF}{HEAD}  - workflowId: a\n    args:\n      - |\n        one\n        two\n"
    );
    let starts = render(text.replace('\n', "\r\n"));
    assert_eq!(starts[0]["start"]["workflowId"], "a");
    assert_eq!(starts[0]["start"]["args"][0], "one\ntwo\n");
}

#[test]
fn tabs_do_not_indent() {
    let words = expect_problem(format!("{HEAD}\t- workflowId: a\n"), "syntax");
    assert!(words.contains("spaces, not tabs"), "{words}");
    let words = expect_problem(format!("{HEAD}  - workflowId: a\n\t  args: []\n"), "syntax");
    assert!(words.contains("hostile.yaml:7:1]"), "{words}");
    // Elsewhere a tab is white space.
    assert_eq!(argument("[1,\t2]\t# three"), serde_json::json!([1, 2]));
}

#[test]
fn a_file_without_a_document_is_an_error() {
    for text in [
        "",
        "# nothing\n",
        "---\n",
        "---\n---\n...\n",
        "\u{FEFF}",
        "\n\n  \n",
        "null\n",
        "%YAML 1.2\n---\n",
    ] {
        expect_problem(text, "empty_file");
    }
}

#[test]
fn folders_are_searched_and_odd_ones_told() {
    let folder = Folder::new();
    folder.write("none/readme.md", "no manifest");
    folder.write("none/.hidden.yaml", "not: a manifest");
    folder.write("none/.git/config.yaml", "not: a manifest");
    let finished = validate(&folder.path().join("none"), SMALL_MIB).expect_code(3);
    assert!(
        finished.stderr.contains("no_manifests"),
        "{}",
        finished.stderr
    );

    folder.write("some/b.yml", format!("{HEAD}  - workflowId: b\n"));
    folder.write("some/deep/a.JSON", r#"{"apiVersion":"temporal-manifest/v1","kind":"Starts","metadata":{"name":"j"},"starts":[{"type":"T","taskQueue":"q"}]}"#);
    folder.write("some/.hidden.yaml", "not: a manifest");
    folder.write("some/x.yaml/c.yaml", format!("{HEAD}  - workflowId: c\n"));
    let finished = validate(&folder.path().join("some"), SMALL_MIB).expect_code(0);
    assert_eq!(finished.stdout, "valid: 3 starts in 3 files\n");

    let folder_as_file = folder.path().join("some/x.yaml");
    let finished = validate(&folder_as_file, SMALL_MIB).expect_code(0);
    assert_eq!(finished.stdout, "valid: 1 start in 1 file\n");

    std::os::unix::fs::symlink("..", folder.path().join("some/deep/up"))
        .expect("links can be made");
    let finished = validate(&folder.path().join("some"), SMALL_MIB).expect_code(3);
    assert!(
        finished.stderr.contains("a folder that it is in"),
        "{}",
        finished.stderr
    );
}

#[test]
fn what_is_not_a_file_is_told_at_once() {
    let folder = Folder::new();
    let pipe = folder.path().join("pipe.yaml");
    make_pipe(&pipe);
    let finished = validate(&pipe, SMALL_MIB).expect_code(3);
    assert!(
        finished.stderr.contains("not_a_file"),
        "{}",
        finished.stderr
    );
    // In a folder a pipe is no manifest, so it is passed over.
    folder.write("a.yaml", format!("{HEAD}  - workflowId: a\n"));
    validate(folder.path(), SMALL_MIB).expect_code(0);
    for device in ["/dev/null", "/dev/zero"] {
        let finished = validate(Path::new(device), SMALL_MIB).expect_code(3);
        assert!(
            finished.stderr.contains("not_a_file"),
            "{}",
            finished.stderr
        );
    }
}

#[test]
fn duplicate_keys_are_refused_everywhere() {
    let words = expect_problem(
        format!("{HEAD}  - workflowId: a\n    workflowId: b\n"),
        "duplicate_key",
    );
    assert!(words.contains("first given here"), "{words}");
    expect_problem(
        format!("{HEAD}  - args: [{{a: {{b: 1, \"b\": 2}}}}]\n"),
        "duplicate_key",
    );
    expect_problem(
        format!("{HEAD}  - args: [{{<<: {{a: 1}}, <<: {{b: 1}}}}]\n"),
        "duplicate_key",
    );
    expect_problem(
        format!("kind: Starts\n{HEAD}  - workflowId: a\n"),
        "duplicate_key",
    );
    let many: String = (0..40).map(|n| format!("k{n}: 1, ")).collect();
    expect_problem(
        format!("{HEAD}  - args: [{{{many}k7: 2}}]\n"),
        "duplicate_key",
    );
}

#[test]
fn what_json_cannot_hold_is_refused() {
    for text in [".nan", ".NaN", ".inf", "-.inf", "+.INF", "!!float .inf"] {
        expect_problem(format!("{HEAD}  - args: [{text}]\n"), "non_finite_number");
    }
    for text in [
        "1e999",
        "18446744073709551616",
        "0xFFFFFFFFFFFFFFFFF",
        "-9223372036854775809",
    ] {
        expect_problem(format!("{HEAD}  - args: [{text}]\n"), "number_out_of_range");
    }
    for text in [
        "? [a, b]\n        : c",
        "? {a: b}\n        : c",
        "1: c",
        "true: c",
        "1.5: c",
        "~: c",
        "? \n        : c",
        ": c",
    ] {
        expect_problem(
            format!("{HEAD}  - args:\n      - {text}\n"),
            "non_string_key",
        );
    }
    for text in [
        "!Ref a",
        "!!set {a}",
        "!!omap [a: 1]",
        "!!python/object a",
        "!<x> a",
        "!!timestamp 2026-11-01",
    ] {
        expect_problem(
            format!("{HEAD}  - args:\n      - {text}\n"),
            "unsupported_tag",
        );
    }
}

#[test]
fn words_that_other_readers_convert_stay_strings() {
    for text in [
        "yes",
        "no",
        "on",
        "off",
        "y",
        "N",
        "017",
        "0778",
        "2026-11-01",
        "2026-11-01T00:00:00Z",
        "12:30",
        "1_000",
        "0b101",
        "1.2.3",
        "+",
        ".",
        "0x",
        "0o8",
        "nULL",
        "tRUE",
        "infinity",
        "NaN",
        "=",
        "1e",
        "1,5",
    ] {
        assert_eq!(argument(text), serde_json::json!(text), "{text}");
    }
    for (text, value) in [("0o17", 15), ("0x1F", 31), ("+5", 5), ("-0", 0)] {
        assert_eq!(argument(text), serde_json::json!(value), "{text}");
    }
    for (text, value) in [("True", true), ("FALSE", false)] {
        assert_eq!(argument(text), serde_json::json!(value), "{text}");
    }
    for text in ["null", "~", "NULL", "!!null ''", "# nothing"] {
        assert_eq!(argument(text), serde_json::json!(null), "{text}");
    }
    assert_eq!(argument("! 12"), serde_json::json!("12"));
    assert_eq!(argument("!!str 12"), serde_json::json!("12"));
}

#[test]
fn merge_keys_follow_yaml() {
    let table = [
        // A written key wins over a merged one, wherever it stands.
        ("{<<: {a: 1, b: 1}, a: 2}", r#"{"a":2,"b":1}"#),
        ("{a: 2, <<: {a: 1, b: 1}}", r#"{"a":2,"b":1}"#),
        // Of several maps the earlier one wins.
        ("{<<: [{a: 1}, {a: 2, b: 2}]}", r#"{"a":1,"b":2}"#),
        ("{<<: []}", "{}"),
        // A merged map that merges.
        (
            "{<<: {<<: {a: 1, b: 1}, a: 2}, c: 3}",
            r#"{"c":3,"a":2,"b":1}"#,
        ),
        // Quoted or tagged, it is a key as any other.
        (r#"{"<<": {a: 1}}"#, r#"{"<<":{"a":1}}"#),
        ("{!!str <<: {a: 1}}", r#"{"<<":{"a":1}}"#),
        // As a value, it is a string.
        ("[<<]", r#"["<<"]"#),
    ];
    for (yaml, json) in table {
        assert_eq!(argument(yaml).to_string(), json, "{yaml}");
    }
    for yaml in ["{<<: a}", "{<<: }", "{<<: [{a: 1}, b]}"] {
        expect_problem(format!("{HEAD}  - args: [{yaml}]\n"), "invalid_merge");
    }
}

#[test]
fn directives_and_several_documents() {
    let document = format!("{HEAD}  - workflowId: a\n");
    let second = document.replace("workflowId: a", "workflowId: b");
    assert_eq!(
        render(format!(
            "%YAML 1.2\n---\n{document}...\n# end\n---\n{second}"
        ))
        .len(),
        2
    );
    assert_eq!(
        render(format!(
            "---\n---\n{document}---\n# nothing\n---\n{second}...\n"
        ))
        .len(),
        2
    );
    assert_eq!(render(format!("%YAML 1.1\n---\n{document}")).len(), 1);
    let tag = format!("%TAG !x! tag:yaml.org,2002:\n---\n{document}")
        .replace("workflowId: a", "workflowId: !x!str 12");
    assert_eq!(render(tag)[0]["start"]["workflowId"], "12");
    expect_problem(format!("%YAML 9.9\n%YAML 9.9\n---\n{document}"), "syntax");
    expect_problem(format!("%TAG\n---\n{document}"), "syntax");
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    for text in [
        format!("{HEAD}  - workflowId: a\0b\n    colour: red\n"),
        format!("{HEAD}  - workflowId: a\x1b[2Jb\n    colour: red\n"),
        format!("{HEAD}  - \"\\e[2J\\0\\u202e\": red\n"),
        "\0".repeat(10_000),
        "\x1b]0;title\x07: [".to_owned(),
    ] {
        let folder = Folder::new();
        let path = folder.write("hostile.yaml", &text);
        let finished = validate(&path, SMALL_MIB).expect_code(3);
        let hidden = |c: char| c.is_control() && c != '\n';
        assert!(!finished.stderr.contains(hidden), "{:?}", finished.stderr);
    }
}

#[test]
fn extremely_long_keys_are_shown_shortened() {
    let key = "k".repeat(2_000_000);
    // YAML wants `key: ` within 1024 characters, but `? key` may be longer.
    expect_problem(format!("{HEAD}  - {key}: 1\n"), "syntax");
    expect_problem(format!("{HEAD}  - ? {key}\n    : 1\n"), "unknown_key");
    expect_problem(
        format!("{HEAD}  - args: [{{? {key} : 1, ? {key} : 2}}]\n"),
        "duplicate_key",
    );
    expect_problem(format!("{HEAD}  - workflowId: \"{key}\"\n"), "out_of_range");
    expect_problem(
        format!("{HEAD}  - searchAttributes: {{? {key} : null}}\n"),
        "invalid_search_attribute",
    );
    expect_problem(format!("{HEAD}  - args: [!{key} x]\n"), "unsupported_tag");
    expect_problem(format!("{HEAD}  - idReusePolicy: {key}\n"), "unknown_value");
    expect_problem(format!("{HEAD}  - runTimeout: {key}\n"), "invalid_duration");
    expect_problem(format!("{HEAD}  - args: [*{key}]\n"), "syntax");
}

#[test]
fn documents_by_the_100_000() {
    let folder = Folder::new();
    let document = "apiVersion: temporal-manifest/v1\nkind: Starts\nmetadata: {name: d}\nstarts: [{type: T, taskQueue: q}]\n---\n";
    let path = folder.write("many.yaml", document.repeat(100_000));
    let finished = validate(&path, MANY_MIB).expect_code(0);
    assert_eq!(finished.stdout, "valid: 100000 starts in 1 file\n");
}

#[test]
fn duplicate_workflow_ids_by_the_100_000() {
    let folder = Folder::new();
    let path = folder.write(
        "many.yaml",
        format!("{HEAD}{}", "  - workflowId: a\n".repeat(100_000)),
    );
    let finished = validate(&path, MANY_MIB).expect_code(3);
    assert!(
        finished
            .stderr
            .contains("and 98999 more; the first 3 are shown"),
        "{}",
        finished.stderr
    );
}

#[test]
fn errors_by_the_100_000() {
    let folder = Folder::new();
    for (name, entry) in [
        ("shape", "  - {colour: red}\n"),
        ("meaning", "  - {cronSchedule: '@daily', startDelay: 1s}\n"),
        ("text", "  - {workflowId: .nan}\n"),
        ("payload", "  - {args: [$payload: 1]}\n"),
    ] {
        let path = folder.write(
            &format!("{name}.yaml"),
            format!("{HEAD}{}", entry.repeat(100_000)),
        );
        let finished = validate(&path, MANY_MIB).expect_code(3);
        // What is alike is one group, also where every problem was kept.
        let is_cut = |words| finished.stderr.contains(words);
        assert!(
            is_cut(" more like it: ") || is_cut("more; the first "),
            "{name}"
        );
        assert!(finished.stderr.lines().count() < 1_000, "{name}");
    }
}

/// Valid manifests that are cut, doubled and stirred.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let texts = [
        include_str!("../../manifests/every-field.yaml"),
        include_str!("../../manifests/demo/billing.yaml"),
        include_str!("../../manifests/starter.yaml"),
    ];
    let pieces = prop::sample::select(vec![
        "[",
        "]",
        "{",
        "}",
        ": ",
        "- ",
        "\n",
        "\t",
        "&a ",
        "*a",
        "!!binary ",
        "!",
        "<<: ",
        "? ",
        "|\n",
        ">-\n",
        "\"",
        "'",
        "#",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "\r",
        "\u{FEFF}",
        "\u{85}",
        "世",
        "\0",
        "null",
        ".nan",
        "1e999",
        "$payload: ",
        "~",
    ]);
    let edit = (any::<prop::sample::Index>(), 0..40usize, pieces);
    (
        prop::sample::select(texts.to_vec()),
        prop::collection::vec(edit, 1..12),
    )
        .prop_map(|(text, edits)| {
            let mut bytes = text.as_bytes().to_vec();
            for (at, length, piece) in edits {
                let at = at.index(bytes.len() + 1);
                let end = (at + length).min(bytes.len());
                bytes.splice(at..end, piece.bytes());
            }
            bytes
        })
}

fn load(text: &str) {
    let source = Arc::new(Source::new("fuzz.yaml", ".", text.to_owned()));
    let loaded = manifest::load_source(&source);
    let style = manifest::drawing::Style {
        ascii: false,
        color: false,
        width: 80,
    };
    let drawn = manifest::drawing::render(&loaded.diagnostics, 0, style);
    assert_eq!(drawn.is_empty(), loaded.diagnostics.is_empty());
    for diagnostic in &loaded.diagnostics {
        diagnostic.to_record();
        diagnostic.to_github_annotation();
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        load(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_text_of_yaml_marks_makes_it_panic(text in "[-?:,\\[\\]{}#&*!|>'\"%@`~<a0 .\\n\\t\\r\u{FEFF}é]{0,80}") {
        load(&text);
    }

    #[test]
    fn no_mutation_of_a_manifest_makes_it_panic(bytes in mutated()) {
        load(&String::from_utf8_lossy(&bytes));
    }
}
