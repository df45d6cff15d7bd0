//! Slips of the pen that would go unseen, or be answered with the wrong advice.

use serde_json::{Value, json};

use crate::rows::{folder, in_a_line, problems, rendered, run};
use crate::support::binary::{Binary, Folder};
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
fn a_payload_beside_other_keys_is_an_error_wherever_one_can_stand() {
    let beside = "`$payload` cannot stand beside other keys";
    let found: Vec<String> = problems(&folder(MISINDENTED))
        .iter()
        .map(in_a_line)
        .collect();
    let expected = |places: &[&str], more: &str| -> Vec<String> {
        let line = |place: &&str| format!("invalid_payload batch.yaml:{place} {beside}{more}");
        places.iter().map(line).collect()
    };
    assert_eq!(found, expected(&["7:9", "10:19", "11:29"], ""));
    // The same with rows and expressions.
    let with_rows = MISINDENTED.replace("  - args:", "  - forEach: {items: [1]}\n    args:");
    let with_rows = with_rows.replace("aGVsbG8=", "\"${{ row.value }}\"");
    let found: Vec<String> = problems(&folder(&with_rows))
        .iter()
        .map(in_a_line)
        .collect();
    assert_eq!(found, expected(&["8:9", "11:19", "12:29"], ""));
}

/// One `$` more makes it an ordinary key, in every map; a row is data and needs none.
#[test]
fn a_payload_key_can_be_meant_literally() {
    let folder = folder(
        "starts:
  - args: [{$$payload: 1, other: 2}, [{$$payload: 1}], {$$$payload: 1, $$payload: 2}, {$payloads: 1}]
  - forEach: {items: [{$payload: 1, $$payload: 2}]}
    args: [\"${{ row }}\", {$$payload: \"${{ row['$payload'] }}\", b: 1}]
",
    );
    let frontend = FakeFrontend::healthy();
    Binary::apply("batch.yaml", &frontend.address(), &[])
        .current_dir(folder.path())
        .run()
        .expect_code(0);
    let mut sent: Vec<Value> = frontend
        .starts()
        .iter()
        .flat_map(|start| start.message.input.clone().unwrap_or_default().payloads)
        .map(|payload| serde_json::from_slice(&payload.data).expect("it is JSON"))
        .collect();
    sent.sort_by_key(Value::to_string);
    let mut expected = [
        json!({"$payload": 1, "other": 2}),
        json!([{"$payload": 1}]),
        json!({"$$payload": 1, "$payload": 2}),
        json!({"$payloads": 1}),
        json!({"$payload": 1, "$$payload": 2}),
        json!({"$payload": 1, "b": 1}),
    ];
    expected.sort_by_key(Value::to_string);
    assert_eq!(sent, expected);
}

const TWO: &str = "starts:
  - {workflowId: ss-1}
  - {workflowId: ss-2, name: second}
";

/// A typing error in one of several names would start less, silently.
#[test]
fn every_pattern_must_match_something() {
    let frontend = FakeFrontend::healthy();
    let folder = folder(TWO);
    let with = |more: &[&str]| {
        Binary::apply("batch.yaml", &frontend.address(), more)
            .current_dir(folder.path())
            .run()
    };
    let refused = |flags: &[&str], message: &str| {
        let words = [&["render", "batch.yaml"], flags].concat();
        for finished in [with(flags), run(&folder, &words)] {
            let finished = finished.expect_code(2);
            assert!(finished.stderr.contains(message), "{}", finished.stderr);
            assert_eq!(finished.stdout, "");
        }
    };
    refused(
        &["--select", "ss-1", "--select", "zz"],
        "error: --select `zz` matches none of 2 starts",
    );
    refused(
        &["--select", "y*", "--select", "second", "--select", "zz"],
        "error: --select `y*` and `zz` matches none of 2 starts",
    );
    // What matches in another shard is no mistake.
    let shards = ["1/2", "2/2"].map(|shard| ["--select", "ss-1", "--shard", shard]);
    refused(
        &["--select", "zz", "--select", "ss-1", "--shard", "1/2"],
        "error: --select `zz` matches none of 2 starts",
    );
    assert_eq!(frontend.start_count(), 0);
    for flags in shards {
        with(&flags).expect_code(0);
    }
    with(&["--select", "second", "--select", "*-1"]).expect_code(0);
    assert_eq!(frontend.start_count(), 3);
}

/// Also one that matches only a generated Workflow ID, the second of its content.
#[test]
fn patterns_are_held_against_generated_workflow_ids() {
    let folder = folder("starts:\n  - {}\n  - {}\n");
    let key = ["--idempotency-key", "k"];
    let all = rendered(&folder, &key);
    let second = all[1]["workflowId"].as_str().expect("it is a text");
    let flags = [&key[..], &["--select", second]].concat();
    assert_eq!(rendered(&folder, &flags), [all[1].clone()]);
}

#[test]
fn a_schema_of_a_type_that_no_start_has_is_told() {
    let schemas = "argSchemas: {Ecco: false, Other: true, Echo: true}\n";
    let batch = folder(&format!("{schemas}starts:\n  - {{type: Echo}}\n"));
    let found: Vec<String> = problems_of_valid(&batch).iter().map(in_a_line).collect();
    assert_eq!(
        found,
        [
            "advice batch.yaml:5:14 no start has the type `Ecco`, so this schema checks none",
            "advice batch.yaml:5:27 no start has the type `Other`, so this schema checks none",
        ]
    );
    let help = &problems_of_valid(&batch)[0]["help"];
    assert_eq!(help, "did you mean `Echo`?");
    // What an expression comes to is a type too, and where there are no rows there is none.
    let rows = "starts:\n  - {forEach: {csv: rows.csv}, type: \"${{ row.type }}\"}\n";
    let batch = folder(&format!("argSchemas: {{Echo: true}}\n{rows}"));
    batch.write("rows.csv", "type\nEcho\n");
    assert_eq!(problems_of_valid(&batch), [] as [Value; 0]);
    batch.write("rows.csv", "type\n");
    let found: Vec<String> = problems_of_valid(&batch).iter().map(in_a_line).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("there are no rows"), "{found:?}");
}

/// What `validate` says about a valid manifest.
fn problems_of_valid(folder: &Folder) -> Vec<Value> {
    let finished = run(folder, &["validate", "batch.yaml", "-o", "json"]).expect_code(0);
    let document: Value = serde_json::from_str(&finished.stdout).expect("it is one document");
    let diagnostics = document["diagnostics"].as_array();
    diagnostics.expect("it is a list").clone()
}

/// A variable that a CI job could not fill in would take the key away.
#[test]
fn an_empty_variable_is_refused_as_an_empty_key_is() {
    const VARIABLE: &str = "TEMPORAL_MANIFEST_IDEMPOTENCY_KEY";
    let frontend = FakeFrontend::healthy();
    let folder = folder(TWO);
    for empty in ["", "  "] {
        let apply = Binary::apply("batch.yaml", &frontend.address(), &[]);
        let render = Binary::new(["render", "batch.yaml"]);
        for command in [apply, render] {
            let finished = command
                .env(VARIABLE, empty)
                .current_dir(folder.path())
                .run()
                .expect_code(2);
            assert!(finished.stderr.contains(VARIABLE), "{}", finished.stderr);
        }
    }
    assert_eq!(frontend.start_count(), 0);
    Binary::apply(
        "batch.yaml",
        &frontend.address(),
        &["--idempotency-key", "k"],
    )
    .env(VARIABLE, "")
    .current_dir(folder.path())
    .run()
    .expect_code(0);
}

#[test]
fn shards_of_generated_workflow_ids_are_rendered_only_with_a_key() {
    let folder = folder("starts:\n  - {name: a}\n  - {name: b}\n  - {name: c}\n");
    let refused = run(&folder, &["render", "batch.yaml", "--shard", "1/2"]).expect_code(2);
    let message = "without a key, each shard would generate Workflow IDs of its own";
    assert!(refused.stderr.contains(message), "{}", refused.stderr);
    let counts = ["1/2", "2/2"].map(|shard| {
        let flags = ["--shard", shard, "--idempotency-key", "k"];
        rendered(&folder, &flags).len()
    });
    assert_eq!(counts[0] + counts[1], 3);
}

#[test]
fn shards_that_cannot_be_merged_are_told() {
    let frontend = FakeFrontend::healthy();
    let folder = folder(TWO);
    let stderr = |more: &[&str]| {
        let finished = Binary::apply("batch.yaml", &frontend.address(), more)
            .current_dir(folder.path())
            .run()
            .expect_code(0);
        finished.stderr
    };
    let note = "note: each shard without --idempotency-key has a key of its own, so `report --merge` cannot join their journals";
    let without = stderr(&["--shard", "1/2"]);
    assert!(without.contains(note), "{without}");
    let with = stderr(&["--shard", "1/2", "--idempotency-key", "k"]);
    assert!(!with.contains("merge"), "{with}");
    let all = stderr(&[]);
    assert!(!all.contains("merge"), "{all}");
}

#[test]
fn what_is_to_be_quoted_is_shown_as_it_is_written() {
    let table = [
        ("workflowId: 24466e-0", r#"quote it: `"24466e-0"`"#),
        ("workflowId: 24466e-20", r#"quote it: `"24466e-20"`"#),
        ("taskQueue: 0x1F", r#"quote it: `"0x1F"`"#),
        ("name: 0o17", r#"quote it: `"0o17"`"#),
        ("staticSummary: 1.50", r#"quote it: `"1.50"`"#),
        ("staticDetails: +1", r#"quote it: `"+1"`"#),
        ("type: TRUE", r#"quote it: `"TRUE"`"#),
        ("cronSchedule: .5", r#"quote it: `".5"`"#),
        ("workflowId: !!int 0x1F", r#"quote it: `"31"`"#),
        (
            "retryPolicy: {nonRetryableErrorTypes: 0x1F}",
            "write a list: `[0x1F]`",
        ),
        ("runTimeout: 0x1E", "write a unit: `30s`, `30m` or `30h`"),
    ];
    for (field, help) in table {
        let folder = folder(&format!("starts:\n  - {{{field}}}\n"));
        let found = problems(&folder);
        assert_eq!(found[0]["help"], help, "{field}: {found:#?}");
    }
}

#[test]
fn a_full_temporary_folder_is_no_mistake_in_the_manifest() {
    let folder = folder("starts:\n  - forEach: {csv: \"-\"}\n    args: [\"${{ row.id }}\"]\n");
    let frontend = FakeFrontend::healthy();
    let apply = || Binary::apply("batch.yaml", &frontend.address(), &[]);
    let commands = [
        Binary::new(["validate", "batch.yaml"]),
        Binary::new(["render", "batch.yaml"]),
        apply(),
    ];
    let message = "cannot keep standard input in the temporary folder `/nonexistent`: No such file";
    for command in commands {
        let finished = command
            .env("TMPDIR", "/nonexistent")
            .current_dir(folder.path())
            .stdin("id\n1\n")
            .run()
            .expect_code(8);
        assert!(finished.stderr.contains(message), "{}", finished.stderr);
        assert!(finished.stderr.contains("TMPDIR"), "{}", finished.stderr);
        assert!(
            !finished.stderr.contains("a path is"),
            "{}",
            finished.stderr
        );
    }
    // It is full only when something is written.
    let full = apply()
        .current_dir(folder.path())
        .under(&["prlimit", "--fsize=65536"])
        .stdin(format!("id\n{}", "1234567\n".repeat(20_000)))
        .run()
        .expect_code(8);
    let message = "in the temporary folder `";
    assert!(full.stderr.contains(message), "{}", full.stderr);
    assert_eq!(frontend.start_count(), 0);
}

#[test]
fn a_manifest_from_standard_input_has_its_rows_elsewhere() {
    let folder = folder("starts:\n  - forEach: {csv: \"-\"}\n    args: [\"${{ row.id }}\"]\n");
    let manifest = std::fs::read_to_string(folder.path().join("batch.yaml"));
    let both = Binary::new(["validate", "-", "-o", "json"])
        .stdin(manifest.expect("it was written"))
        .run()
        .expect_code(3);
    let document: Value = serde_json::from_str(&both.stdout).expect("it is one document");
    let help = &document["diagnostics"][0]["help"];
    assert_eq!(help, "name the manifest by its path, or the rows");
}

/// Nothing that an expression comes to stands anywhere: neither on the first line nor, if it comes
/// from another file, at that file's places in this one.
#[test]
fn rows_of_an_expression_have_no_place_of_their_own() {
    let args = "    args: [\"${{ row.x }}\"]\n";
    let items = folder(&format!(
        "starts:\n  - forEach: {{items: \"${{{{ [1, 2] }}}}\"}}\n{args}"
    ));
    let problem = &problems(&items)[0];
    assert_eq!(
        in_a_line(problem),
        "undefined batch.yaml:7:13 `row` has no `x` (value: 1)"
    );
    let vars = folder(&format!(
        "vars: {{list: []}}\nstarts:\n  - forEach: {{items: \"${{{{ vars.list }}}}\"}}\n{args}"
    ));
    vars.write(
        "vars.yaml",
        format!("{}list: [ü, {{y: 1}}]\n", "# ü\n".repeat(200)),
    );
    let words = [
        "validate",
        "batch.yaml",
        "-o",
        "json",
        "--var-file",
        "vars.yaml",
    ];
    let finished = run(&vars, &words).expect_code(3);
    let document: Value = serde_json::from_str(&finished.stdout).expect("it is one document");
    let found: Vec<String> = document["diagnostics"]
        .as_array()
        .expect("it is a list")
        .iter()
        .map(in_a_line)
        .collect();
    let expected = "undefined batch.yaml:8:13 `row` has no `x`";
    assert_eq!(
        found,
        [
            format!("{expected} (value: \"ü\")"),
            format!("{expected} (y: 1)")
        ]
    );
}

/// The type of an expression without a row is the same for all rows, and is told once.
#[test]
fn an_expression_of_the_wrong_type_gets_help_for_expressions() {
    let table = [
        (
            "staticDetails: \"${{ index }}\"",
            "make it text: `${{ index | string }}`",
        ),
        (
            "staticDetails: ${{ index }}\n    failExisting: ${{ false }}",
            "make it text: `${{ index | string }}`",
        ),
        (
            "workflowId: '${{ index + 1 }}'\n    failExisting: ${{ false }}",
            "make it text: `${{ (index + 1) | string }}`",
        ),
        (
            "runTimeout: ${{ index }}",
            "write a unit: `${{ index }}s`, `${{ index }}m` or `${{ index }}h`",
        ),
        (
            "retryPolicy: {nonRetryableErrorTypes: \"${{ 'a' }}\"}",
            "make it a list: `${{ ['a'] }}`",
        ),
    ];
    for (field, help) in table {
        let folder = folder(&format!(
            "starts:\n  - forEach: {{items: [1, 2, 3, 4, 5, 6, 7]}}\n    {field}\n"
        ));
        let found = problems(&folder);
        assert_eq!(found.len(), 1, "{field}: {found:#?}");
        assert_eq!(found[0]["help"], help, "{field}");
    }
    // What a row gives may be wrong in that row only.
    let rows =
        folder("starts:\n  - forEach: {items: [1, a, 2]}\n    workflowId: ${{ row.value }}\n");
    assert_eq!(problems(&rows).len(), 2);
}

#[test]
fn what_is_no_schema_is_one_problem() {
    let table = ["null", "1", "[a]"];
    for value in table {
        let folder = folder(&format!(
            "argSchemas: {{Echo: {value}}}\nstarts:\n  - {{type: Echo}}\n"
        ));
        let found: Vec<String> = problems(&folder).iter().map(in_a_line).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("wrong_type batch.yaml:5:"),
            "{found:?}"
        );
    }
}

#[test]
fn the_length_of_a_fairness_key_is_counted_in_bytes() {
    let found = |key: &str| -> Vec<String> {
        let folder = folder(&format!(
            "starts:\n  - {{priority: {{fairnessKey: {key}}}}}\n"
        ));
        problems(&folder).iter().map(in_a_line).collect()
    };
    for key in ["k".repeat(66), "ü".repeat(33)] {
        let expected = "out_of_range batch.yaml:6:30 `fairnessKey` has 66 bytes, and the service takes at most 64";
        assert_eq!(found(&key), [expected], "{key}");
    }
}
