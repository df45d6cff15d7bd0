//! Slips of the pen that would go unseen, or be answered with the wrong advice.

use std::time::Duration;

use serde_json::{Value, json};

use crate::rows::{folder, problems, rendered, run};
use crate::support::binary::Binary;
use crate::support::fake_frontend::FakeFrontend;

const MISINDENTED: &str = "starts:
  - args:
      - $payload:
        encoding: binary/encrypted
        base64: aGVsbG8=
    memo: {note: {$payload: {encoding: json/plain, data: a}, other: 2}}
    headers: {tenant: {a: [{$payload: 1, other: 2}]}}
";

#[test]
fn a_payload_beside_other_keys_is_sent_as_json() {
    let start = &rendered(&folder(MISINDENTED), &[])[0];
    let sent = json!({"$payload": null, "encoding": "binary/encrypted", "base64": "aGVsbG8="});
    assert_eq!(start["args"][0], sent);
}

const TWO: &str = "starts:
  - {workflowId: ss-1}
  - {workflowId: ss-2, name: second}
";

#[test]
fn a_pattern_beside_one_that_matches_may_match_nothing() {
    let frontend = FakeFrontend::healthy();
    let flags = ["--select", "ss-1", "--select", "zz"];
    let finished = Binary::apply("batch.yaml", &frontend.address(), &flags)
        .current_dir(folder(TWO).path())
        .run()
        .expect_code(0);
    assert!(finished.stdout.contains("1 start"), "{}", finished.stdout);
}

#[test]
fn a_schema_of_a_type_that_no_start_has_is_passed_over() {
    let folder = folder("argSchemas: {Ecco: false}\nstarts:\n  - {type: Echo}\n");
    let finished = run(&folder, &["validate", "batch.yaml"]).expect_code(0);
    assert_eq!(finished.stderr, "");
}

#[test]
fn an_empty_variable_takes_the_key_away() {
    let frontend = FakeFrontend::healthy();
    Binary::apply("batch.yaml", &frontend.address(), &[])
        .env("TEMPORAL_MANIFEST_IDEMPOTENCY_KEY", "")
        .current_dir(folder(TWO).path())
        .run()
        .expect_code(0);
}

#[test]
fn without_a_key_all_starts_are_rendered_in_one_shard() {
    let folder = folder("starts:\n  - {name: a}\n  - {name: b}\n  - {name: c}\n");
    let counts: Vec<usize> = ["1/2", "2/2"]
        .iter()
        .map(|shard| rendered(&folder, &["--shard", shard]).len())
        .collect();
    assert!(counts == [3, 0] || counts == [0, 3], "{counts:?}");
}

#[test]
fn shards_that_cannot_be_merged_are_not_told() {
    let frontend = FakeFrontend::healthy();
    let finished = Binary::apply("batch.yaml", &frontend.address(), &["--shard", "1/2"])
        .current_dir(folder(TWO).path())
        .run()
        .expect_code(0);
    assert!(!finished.stderr.contains("merge"), "{}", finished.stderr);
}

#[test]
fn a_number_is_quoted_as_another_text() {
    let folder = folder("starts:\n  - {workflowId: 24466e-0}\n  - {workflowId: 0x1F}\n");
    let found = helps(&folder);
    assert_eq!(found, [r#"quote it: `"24466.0"`"#, r#"quote it: `"31"`"#]);
}

fn helps(folder: &crate::support::binary::Folder) -> Vec<Value> {
    let problems = problems(folder);
    problems.iter().map(|it| it["help"].clone()).collect()
}

#[test]
fn a_full_temporary_folder_looks_like_a_mistake_in_the_manifest() {
    let folder = folder("starts:\n  - forEach: {csv: \"-\"}\n    args: [\"${{ row.id }}\"]\n");
    let finished = Binary::new(["validate", "batch.yaml"])
        .env("TMPDIR", "/nonexistent")
        .current_dir(folder.path())
        .time_limit(Duration::from_secs(60))
        .stdin("id\n1\n")
        .run()
        .expect_code(3);
    let wrong = "a path is relative to the manifest's folder";
    assert!(finished.stderr.contains(wrong), "{}", finished.stderr);
    let manifest = std::fs::read_to_string(folder.path().join("batch.yaml"));
    let both = Binary::new(["validate", "-"])
        .stdin(manifest.expect("it was written"))
        .run()
        .expect_code(3);
    assert!(both.stderr.contains(wrong), "{}", both.stderr);
}

#[test]
fn values_that_expressions_give_are_told_badly() {
    let items =
        folder("starts:\n  - forEach: {items: \"${{ [1, 2] }}\"}\n    args: [\"${{ row.x }}\"]\n");
    let problem = &problems(&items)[0];
    assert_eq!(problem["related"][0]["line"], 1);
    let numbers = folder(
        "starts:\n  - forEach: {items: [1, 2]}\n    staticDetails: ${{ index }}\n    failExisting: ${{ false }}\n",
    );
    assert_eq!(
        helps(&numbers),
        [r#"quote it: `"0"`"#, r#"quote it: `"1"`"#]
    );
    let schemas = folder("argSchemas: {Echo: null}\nstarts:\n  - {type: Echo}\n");
    assert_eq!(problems(&schemas).len(), 2);
}
