//! Another YAML reader agrees with ours, and ours agrees with what `render` writes.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use temporal_manifest::manifest::diagnostic::Diagnostic;
use temporal_manifest::manifest::node::Node;
use temporal_manifest::manifest::reader;
use temporal_manifest::manifest::source::Source;
use temporal_manifest::visible;

use crate::examples::manifest_files;
use crate::support::binary::{Binary, Folder};

/// Every document of a text as our reader sees it.
fn ours(text: &str) -> Result<Vec<Value>, Vec<Diagnostic>> {
    let source = Arc::new(Source::new("sample.yaml", ".", text.to_owned()));
    let mut problems = Vec::new();
    let documents = reader::read(&source, &mut problems);
    let value = |node: &Node| serde_json::to_value(node).expect("a node tree is JSON's model");
    if problems.is_empty() {
        Ok(documents.iter().map(value).collect())
    } else {
        Err(problems)
    }
}

/// Every document of a text as serde_yaml sees it. It leaves `<<` in the map until it is asked to
/// merge, and counts a document of nothing as null.
fn theirs(text: &str) -> Result<Vec<Value>, serde_yaml::Error> {
    let mut documents = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let mut value = serde_yaml::Value::deserialize(document)?;
        value.apply_merge()?;
        if !value.is_null() {
            documents.push(serde_json::to_value(value).expect("the sample is JSON's model"));
        }
    }
    Ok(documents)
}

/// Where both agree.
const SAMPLES: &[&str] = &[
    "a: 1\nb: [x, 'y', \"z\"]\n",
    "{a: {b: {c: []}}, d: {}}",
    "[1, -1, +1, 0, 0x1F, 0o17, 9007199254740993, 18446744073709551615, -9223372036854775808]",
    "[1.5, -0.25, 1e3, 1E-3, .5, 1., 0.1, 1e300]",
    "[true, True, TRUE, false, null, Null, NULL, ~, ]",
    "[yes, no, on, off, y, n, Yes, OFF]",
    "[2026-11-01, 12:30:45, 1_000, 1.2.3, 2026-11-01T00:00:00Z]",
    "['1', \"true\", 'null', \"\", '~', '017', '1e3', '.nan']",
    "literal: |\n  one\n   two\n\n  three\nkept: |+\n  a\n\nstripped: |-\n  b\n",
    "folded: >\n  one\n  two\n\n  three\n    more\nstripped: >-\n  a\n  b\n",
    "plain: one\n  two\n  three\nquoted: \"one\n  two\\n\\\n  three\"\n",
    "escapes: \"\\0\\a\\b\\t\\n\\v\\f\\r\\e\\\"\\/\\\\\\N\\_\\L\\P\\x41\\u00e9\\U0001F600\"",
    "single: 'it''s'",
    "ünï: 世界 🎉\n",
    "&a a: &b [1, 2]\nc: *b\n",
    "base: &base {a: 1, b: 2}\nmore: {<<: *base, b: 3}\nlist: {<<: [*base, {c: 4}]}\n",
    "- a\n-\n  - b\n- - c\n  - d\n-\n",
    "? a\n: 1\n? b\n: [2]\n",
    "--- a\n--- [b]\n--- {c: d}\n...\n",
    "%YAML 1.2\n---\na: b # comment\n# comment\n",
    "a: 'x # y'\nb: x#y\nc: http://example.com:80/?q=1\nd: -x\ne: [a:b, -c]\n",
    "!!str 12\n",
    "[!!str true, !!int 12, !!float 1.5, !!bool true]",
    "\"quoted key\": 1\n'017': 2\n",
    "{\"json\": [1, 2.5, \"\\u00fc\", null, true, {\"a\": {}}]}",
    "a:   \n  - 1\nb:\nc: ''\n",
    "\u{FEFF}a: 1\n",
    "a: 1\r\nb: |\r\n  x\r\n  y\r\n",
];

/// Where ours is another one on purpose: the sample, what ours says (`None`: a problem), and why.
const EXCEPTIONS: &[(&str, Option<&str>, &str)] = &[
    ("{1: a}", None, "JSON has only strings as keys"),
    ("[.nan]", None, "JSON has no NaN; serde_yaml's becomes null"),
    (
        "[.inf]",
        None,
        "JSON has no infinity; serde_yaml's becomes null",
    ),
    (
        "[0b11]",
        Some(r#"[["0b11"]]"#),
        "binary integers are YAML 1.1; serde_yaml reads them still",
    ),
    (
        "[!!binary aGVsbG8]",
        None,
        "bytes that are not Base64 are a problem; to serde_yaml the tag means nothing",
    ),
    (
        "[! 12]",
        Some(r#"[["12"]]"#),
        "a lone `!` makes a string; to serde_yaml it is a tag as any other",
    ),
    ("[!Ref a]", None, "a tag without a meaning is a problem"),
];

#[test]
fn both_readers_agree_on_every_example() {
    for file in manifest_files() {
        let text = std::fs::read_to_string(&file).expect("an example can be read");
        let ours = ours(&text).unwrap_or_else(|problems| panic!("{problems:?}"));
        let theirs = theirs(&text).expect("an example is YAML");
        // Written as text, so that the order of keys counts and an integer is no fraction. Bytes
        // are Base64 text in both.
        assert_eq!(
            json!(ours).to_string(),
            json!(theirs).to_string(),
            "{}",
            file.display()
        );
    }
}

#[test]
fn both_readers_agree_on_every_sample() {
    for sample in SAMPLES {
        let ours = ours(sample).unwrap_or_else(|problems| panic!("{sample:?}: {problems:?}"));
        let theirs = theirs(sample).unwrap_or_else(|error| panic!("{sample:?}: {error}"));
        // Merged keys have no order in YAML.
        if sample.contains("<<") {
            assert_eq!(ours, theirs, "{sample:?}");
        } else {
            assert_eq!(
                json!(ours).to_string(),
                json!(theirs).to_string(),
                "{sample:?}"
            );
        }
    }
}

#[test]
fn exceptions_are_exceptions() {
    let mut same = Vec::new();
    for (sample, expected, reason) in EXCEPTIONS {
        let expected = expected.map(|text| text.to_owned());
        let found = ours(sample)
            .ok()
            .map(|documents| json!(documents).to_string());
        assert_eq!(found, expected, "{sample}: {reason}");
        let other = theirs(sample)
            .ok()
            .map(|documents| json!(documents).to_string());
        same.extend((other == expected).then_some(*sample));
    }
    assert!(same.is_empty(), "no exceptions any more: {same:?}");
}

/// Strings that a careless writer would turn into something else.
const STRINGS: &[&str] = &[
    "",
    " ",
    "1",
    "-1",
    "+1",
    "017",
    "0o17",
    "0x1F",
    "1e3",
    "1.5",
    ".5",
    "1_000",
    "true",
    "True",
    "false",
    "null",
    "Null",
    "~",
    "yes",
    "no",
    "on",
    "off",
    "y",
    "n",
    "2026-11-01",
    "12:30:45",
    ".nan",
    ".inf",
    "-.inf",
    "<<",
    "=",
    "a: b",
    "a:",
    "- a",
    "-",
    "# a",
    "a # b",
    "!a",
    "&a",
    "*a",
    "%a",
    "@a",
    "`a",
    "|",
    ">",
    "?",
    "? a",
    "[a]",
    "{a}",
    "[",
    "{",
    "]",
    "}",
    ",",
    "'",
    "\"",
    "\\",
    "---",
    "...",
    "--- a",
    " leading",
    "trailing ",
    "one\ntwo",
    "one\ntwo\n",
    "one\n\n",
    "\none",
    "\n",
    " one\n two\n",
    "one \n two",
    "tab\there",
    "\ttab",
    "\r",
    "one\r\ntwo",
    "\0",
    "\u{7}",
    "\u{1b}[31m",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "\u{2029}a\u{2028}",
    "\u{FEFF}",
    "\u{FFFD}",
    "ü",
    "世界",
    "🎉",
    "$payload",
    "$$payload",
    "{{ helm }}",
];

fn render(text: &str, more: &[&str]) -> String {
    let finished = Binary::new(["render", "-"]).args(more).stdin(text).run();
    let finished = finished.expect_code(0);
    assert_eq!(finished.stderr, "", "{text}");
    finished.stdout
}

/// The starts as JSON lines, without the lines of the file that they come from.
fn starts(text: &str) -> Vec<Value> {
    let lines = render(
        text,
        &["-o", "jsonl", "--idempotency-key", "second-opinion"],
    );
    let starts = lines.lines().map(|line| {
        let mut line: Value = serde_json::from_str(line).expect("each line is JSON");
        line.as_object_mut()
            .expect("each line is an object")
            .remove("source");
        line
    });
    starts.collect()
}

#[track_caller]
fn survives_rendering(text: &str) -> String {
    let rendered = render(text, &[]);
    assert_eq!(
        render(&rendered, &[]),
        rendered,
        "rendering again changes it"
    );
    let original = starts(text);
    assert!(
        original
            .iter()
            .all(|start| start["start"]["workflowId"].is_string())
    );
    assert_eq!(starts(&rendered), original, "{rendered}");
    rendered
}

/// Whether an example reads other files, which it cannot from standard input.
fn reads_other_files(file: &std::path::Path) -> bool {
    let text = std::fs::read_to_string(file).expect("an example can be read");
    ["csv:", "jsonl:", ".json"]
        .iter()
        .any(|name| text.contains(name))
}

/// A manifest in JSON, which both readers take, of one start with these fields.
fn manifest(mut fields: Value) -> String {
    fields["type"] = json!("T");
    fields["taskQueue"] = json!("q");
    json!({
        "apiVersion": "temporal-manifest/v1",
        "kind": "Starts",
        "metadata": {"name": "second-opinion"},
        "starts": [fields],
    })
    .to_string()
}

#[test]
fn examples_survive_rendering() {
    for file in manifest_files() {
        // Rows and schemas are beside the file; what is rendered needs none.
        let rendered = Binary::new(["render"]).arg(&file).run().expect_code(0);
        survives_rendering(&rendered.stdout);
        if !reads_other_files(&file) {
            survives_rendering(&std::fs::read_to_string(file).expect("an example can be read"));
        }
    }
}

#[test]
fn strings_survive_rendering() {
    // As a key, `$payload` is written with one `$` more.
    let key = |text: &&str| match text.trim_start_matches('$') {
        "payload" => format!("${text}"),
        _ => (*text).to_owned(),
    };
    let keys: serde_json::Map<String, Value> = STRINGS
        .iter()
        .map(|text| (key(text), json!(text)))
        .collect();
    let mut payload_key = keys.clone();
    payload_key.insert("nested".to_owned(), json!([keys.clone()]));
    for args in [json!(STRINGS), json!([payload_key])] {
        let rendered = survives_rendering(&manifest(json!({"args": args})));
        assert_eq!(starts(&rendered)[0]["start"]["args"], args);
    }
    for text in STRINGS.iter().filter(|text| !text.is_empty()) {
        let text = text.replace('\0', "0");
        // A name has no blanks around it, and nothing that nobody sees.
        let seen = |c| if visible::acts(c) { '?' } else { c };
        let name: String = text.trim().chars().map(seen).collect();
        let name = if name.is_empty() { "blank" } else { &name };
        let fields = json!({"workflowId": name, "name": name, "memo": {text.clone(): text}, "staticDetails": text});
        let rendered = survives_rendering(&manifest(fields));
        let start = &starts(&rendered)[0]["start"];
        assert_eq!(start["workflowId"], json!(name));
        assert_eq!(start["staticDetails"], json!(text));
    }
}

/// An expression may come to the marks of an expression. They are not meant as such: what is
/// rendered is a manifest that comes to the same text.
#[test]
fn literal_marks_survive_rendering() {
    let marks = "${{ '${{' }} vars.month }}";
    let nested = json!([{"text": marks, "list": [marks]}]);
    let fields = json!({"workflowId": marks, "memo": {"note": marks}, "args": nested});
    let rendered = survives_rendering(&manifest(fields));
    assert_eq!(starts(&rendered)[0]["start"]["args"], nested);
    assert_eq!(starts(&rendered)[0]["start"]["workflowId"], json!(marks));
    let keyed = json!({"args": ["${{ {'${{ a': 1} }}"]});
    let rendered = survives_rendering(&manifest(keyed));
    let given = &starts(&rendered)[0]["start"]["args"][0]["$payload"];
    assert_eq!(given["encoding"], "json/plain");
    assert_eq!(given["base64"], "eyIke3sgYSI6MX0=");
}

#[test]
fn numbers_survive_rendering() {
    let args = "[0, -1, 9007199254740993, 18446744073709551615, -9223372036854775808, 1.0, -0.0, \
                0.1, 1e300, 1.7976931348623157e308, 5e-324, 2.2250738585072014e-308, 1e16, \
                123456789.123456789, 0.30000000000000004, 1e21, 1e-7]";
    let yaml = format!(
        "apiVersion: temporal-manifest/v1\nkind: Starts\nmetadata: {{name: n}}\n\
         starts:\n- {{type: T, taskQueue: q, args: [{args}, 18446744073709551615, 1.0]}}\n"
    );
    let rendered = survives_rendering(&yaml);
    assert!(rendered.contains("- 18446744073709551615\n"), "{rendered}");
    assert!(rendered.contains("- 9007199254740993\n"), "{rendered}");
    assert!(!rendered.contains("$payload"), "{rendered}");
}

#[test]
fn payloads_survive_rendering() {
    let folder = Folder::new();
    folder.write("data.bin", [0, 1, 255]);
    let yaml = "apiVersion: temporal-manifest/v1
kind: Starts
metadata: {name: payloads}
defaults: {type: T, taskQueue: q}
starts:
- args:
  - null
  - !!binary AAH/
  - !!binary ''
  - $payload: {encoding: binary/plain, file: data.bin}
  - $payload: {encoding: json/plain, data: '{ \"spaced\": 1 }'}
  - $payload: {encoding: json/plain, data: 'null'}
  - $payload: {encoding: json/plain, data: {a: 1}}
  - $payload: {encoding: json/plain, data: not JSON}
  - $payload: {encoding: json/plain, data: '{\"$payload\":{\"encoding\":\"x\"}}'}
  - $payload: {encoding: json/protobuf, data: '{}', metadata: {messageType: a.B, other: ''}}
  - $payload: {metadata: {k: v}, encoding: binary/null}
  - {$$payload: literal}
  - [{$$payload: {$$payload: [1]}}]
  - {$payload2: a, $payload3: b}
  - {$$payload: 1, other: 2}
  - {$$$payload: 1, $$payload: 2}
  - {$$$$payload: 1}
  memo: {none: null, bytes: !!binary AAH/, '$payload': text}
  headers: {h: {$payload: {encoding: custom/x, base64: AAH/}}}
  startDelay: 0.0005s
  executionTimeout: 1.5h
  taskTimeout: 1m0.25s
  retryPolicy: {}
  priority: {fairnessWeight: 0.1}
  onConflict: {}
  idConflictPolicy: UseExisting
  staticSummary: ''
";
    let path = folder.write("payloads.yaml", yaml);
    let finished = Binary::new(["render"]).arg(path).run().expect_code(0);
    let rendered = finished.stdout;
    assert_eq!(survives_rendering(&rendered), rendered);
    let by_file = Binary::new([
        "render",
        "payloads.yaml",
        "-o",
        "jsonl",
        "--idempotency-key",
        "second-opinion",
    ])
    .current_dir(folder.path())
    .run()
    .expect_code(0);
    let mut original: Value = serde_json::from_str(&by_file.stdout).expect("one line of JSON");
    original
        .as_object_mut()
        .expect("an object")
        .remove("source");
    assert_eq!(starts(&rendered), [original]);
}
