//! Rows and expressions: what they come to, on the wire and in a real server's histories, and what
//! is wrong with them.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use temporal_manifest::client::api::temporal::api::common::v1::Payload;
use temporal_manifest::client::api::temporal::api::enums::v1::{
    WorkflowIdConflictPolicy, WorkflowIdReusePolicy,
};
use temporal_manifest::client::api::temporal::api::history::v1::history_event::Attributes;
use temporal_manifest::client::api::temporal::api::workflowservice::v1::{
    StartWorkflowExecutionRequest, StartWorkflowExecutionResponse,
};

use crate::support::binary::{Binary, Finished, Folder};
use crate::support::dev_server;
use crate::support::fake_frontend::{self, FakeFrontend};
use crate::support::report::Report;
use crate::support::{UNSERVED, unique_id};

const HEAD: &str = "apiVersion: temporal-manifest/v1
kind: Starts
metadata: {name: rows}
defaults: {type: T, taskQueue: q}
";

/// A folder with `batch.yaml`: the head, and what is given.
pub(crate) fn folder(rest: &str) -> Folder {
    let folder = Folder::new();
    folder.write("batch.yaml", format!("{HEAD}{rest}"));
    folder
}

pub(crate) fn run(folder: &Folder, words: &[&str]) -> Finished {
    Binary::new(words).current_dir(folder.path()).run()
}

/// The starts that a manifest comes to, as `render` shows them.
#[track_caller]
pub(crate) fn rendered(folder: &Folder, more: &[&str]) -> Vec<Value> {
    let words = [&["render", "batch.yaml", "-o", "jsonl"], more].concat();
    let finished = run(folder, &words).expect_code(0);
    let starts = finished.stdout.lines().map(|line| {
        let line: Value = serde_json::from_str(line).expect("each line is JSON");
        line["start"].clone()
    });
    starts.collect()
}

/// What `validate` says about a folder's manifest, as data.
#[track_caller]
pub(crate) fn problems(folder: &Folder) -> Vec<Value> {
    let finished = run(folder, &["validate", "batch.yaml", "-o", "json"]).expect_code(3);
    let document: Value = serde_json::from_str(&finished.stdout).expect("it is one document");
    document["diagnostics"]
        .as_array()
        .expect("it is a list")
        .clone()
}

/// `code file:line:column message`, and where each related place is.
pub(crate) fn in_a_line(problem: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let place = |value: &Value| {
        format!(
            "{}:{}:{}",
            text(&value["file"]),
            value["line"],
            value["column"]
        )
    };
    let code = text(&problem["code"]).replace("temporal_manifest::manifest::", "");
    let mut line = format!("{code} {} {}", place(problem), text(&problem["message"]));
    for related in problem["related"].as_array().into_iter().flatten() {
        line.push_str(&format!(" <- {}", place(related)));
    }
    line
}

#[test]
fn five_thousand_rows_start_with_exact_types() {
    const ROWS: usize = 5000;
    let Some(server) = dev_server::shared() else {
        return;
    };
    let prefix = unique_id("typed");
    let row = |number: usize| {
        json!({
            "id": format!("{number:05}"), "integer": 9_007_199_254_740_993u64 + number as u64,
            "float": number as f64 + 0.5, "flag": number.is_multiple_of(2), "none": null,
            "digits": format!("00{number}"), "list": [number, "x", null],
        })
    };
    let lines: Vec<String> = (0..ROWS)
        .map(|number| format!("{}\n", row(number)))
        .collect();
    let folder = folder(&format!(
        "starts:
  - forEach: {{jsonl: rows.jsonl}}
    taskQueue: {UNSERVED}
    workflowId: {prefix}-${{{{ row.id }}}}
    args: [\"${{{{ row }}}}\", \"${{{{ row.none }}}}\", {{n: \"${{{{ row.integer + 1 }}}}\", t: \"${{{{ row.flag }}}} ${{{{ row.float }}}}\"}}]
"
    ));
    folder.write("rows.jsonl", lines.concat());
    let flags = ["--parallelism", "32", "-o", "json"];
    let finished = Binary::apply("batch.yaml", &server.address, &flags)
        .current_dir(folder.path())
        .time_limit(Duration::from_secs(600))
        .run()
        .expect_code(0);
    let report = Report::of(&finished);
    assert_eq!(report.count("started"), ROWS as u64);
    assert_eq!(report.document()["inputs"][1]["path"], "rows.jsonl");
    for number in (0..ROWS).step_by(ROWS / 20) {
        let start = &report.starts()[number];
        assert_eq!(start["source"]["row"], number + 1);
        let workflow_id = format!("{prefix}-{number:05}");
        assert_eq!(start["workflowId"], workflow_id);
        let event = server.first_event(&workflow_id, "");
        let Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) = event.attributes
        else {
            panic!("{workflow_id} has another first event");
        };
        let payloads = started.input.expect("it has arguments").payloads;
        let row = row(number);
        let sum = 9_007_199_254_740_994u64 + number as u64;
        let text = format!("{} {}.5", number.is_multiple_of(2), number);
        let expected = [
            ("json/plain", row.to_string()),
            ("binary/null", String::new()),
            ("json/plain", json!({"n": sum, "t": text}).to_string()),
        ];
        assert_eq!(payloads.len(), expected.len());
        for (payload, (encoding, data)) in payloads.iter().zip(expected) {
            assert_eq!(payload.metadata["encoding"], encoding.as_bytes());
            assert_eq!(String::from_utf8_lossy(&payload.data), data);
        }
    }
    server.wait_for_count(&format!("WorkflowId STARTS_WITH '{prefix}-'"), ROWS);
}

#[test]
fn three_bad_rows_of_five_thousand_are_three_located_errors_and_nothing_is_sent() {
    let frontend = FakeFrontend::healthy();
    let folder = folder(
        "starts:
  - forEach: {jsonl: rows.jsonl}
    workflowId: typed-${{ row.id }}
    args: [\"${{ row.cents | int }}\"]
",
    );
    let mut lines: Vec<String> = (0..5000)
        .map(|number| format!("{{\"id\": {number}, \"cents\": \"{number}\"}}\n"))
        .collect();
    lines[99] = "{\"id\": 99, \"cents\": \"12x\"}\n".to_owned();
    lines[2499] = "{\"id\": 2499, \"cents\": }\n".to_owned();
    lines[4999] = "{\"id\": 4999}\n".to_owned();
    folder.write("rows.jsonl", lines.concat());
    let finished = Binary::apply("batch.yaml", &frontend.address(), &["-o", "json"])
        .current_dir(folder.path())
        .run()
        .expect_code(3);
    assert!(
        finished.stderr.contains("3 problems; nothing was sent"),
        "{}",
        finished.stderr
    );
    let document: Value = serde_json::from_str(&finished.stdout).expect("it is one document");
    let found: Vec<String> = document["diagnostics"]
        .as_array()
        .expect("it is a list")
        .iter()
        .map(in_a_line)
        .collect();
    assert_eq!(
        found,
        [
            "expression_failed batch.yaml:8:13 `12x` is not an integer (rows.jsonl:100) <- rows.jsonl:100:1",
            "undefined batch.yaml:8:13 `row` has no `cents` (rows.jsonl:5000) <- rows.jsonl:5000:1",
            "invalid_row rows.jsonl:2500:23 this is not JSON: expected value <- batch.yaml:6:22",
        ]
    );
    assert_eq!(frontend.start_count(), 0);
    assert_eq!(frontend.namespaces().len(), 0);
}

/// A batch that happens to be empty is no failure, and does not look like work done either.
#[test]
fn no_rows_are_told() {
    let frontend = FakeFrontend::healthy();
    let folder = folder("starts:\n  - forEach: {csv: rows.csv}\n    workflowId: a-${{ row.id }}\n");
    folder.write("rows.csv", "id\n");
    let finished = Binary::apply("batch.yaml", &frontend.address(), &[])
        .current_dir(folder.path())
        .run()
        .expect_code(0);
    assert!(
        finished.stderr.contains("there is nothing to start"),
        "{}",
        finished.stderr
    );
    assert!(
        finished.stdout.starts_with("0 starts: 0 started"),
        "{}",
        finished.stdout
    );
    let checked = run(&folder, &["validate", "batch.yaml"]).expect_code(0);
    assert!(
        checked.stderr.contains("there are no rows"),
        "{}",
        checked.stderr
    );
}

/// Every row is wrong: the problems that are kept are bounded, and none is passed over.
#[test]
fn very_many_problems_are_counted() {
    let folder = folder(
        "starts:
  - forEach: {csv: rows.csv}
    workflowId: a-${{ row.missing }}
",
    );
    let rows: String = (0..5000).map(|number| format!("{number}\n")).collect();
    folder.write("rows.csv", format!("id\n{rows}"));
    let finished = run(&folder, &["validate", "batch.yaml"]).expect_code(3);
    assert!(
        finished
            .stderr
            .contains("… and 4000 more; the first 3 are shown")
    );
    assert!(finished.stderr.ends_with("5000 problems\n"));
    let finished = run(&folder, &["validate", "batch.yaml", "-o", "json"]).expect_code(3);
    let document: Value = serde_json::from_str(&finished.stdout).expect("it is one document");
    let kept = document["diagnostics"]
        .as_array()
        .expect("it is a list")
        .len();
    assert_eq!((kept, &document["hidden"]), (1000, &json!(4000)));
}

#[test]
fn csv_is_read_with_all_its_quirks() {
    let folder = folder(
        "starts:
  - forEach: {csv: quirks.csv}
    workflowId: quirks-${{ row.id }}
    args: [\"${{ row }}\"]
  - forEach: {csv: tabs.tsv, delimiter: \"\\t\"}
    workflowId: tabs-${{ row['the id'] }}
    args: [\"${{ row }}\"]
  - forEach: {csv: semicolons.csv, delimiter: ';'}
    workflowId: semicolons-${{ row.id }}
    args: [\"${{ row }}\"]
",
    );
    folder.write(
        "quirks.csv",
        "\u{FEFF}id,note\r\n1,\"a, \"\"quoted\"\"\r\nline\"\r\n\r\n2,  spaces \r\n\"3\",\"\"\r\n4,Ünï\r\n5,\"${{ row.id }}\"",
    );
    folder.write("tabs.tsv", "the id\tx\n1\t2,3\n");
    folder.write("semicolons.csv", "id;x\n1;a,b\n");
    let args: Vec<Value> = rendered(&folder, &[])
        .iter()
        .map(|start| start["args"][0].clone())
        .collect();
    assert_eq!(
        args,
        [
            json!({"id": "1", "note": "a, \"quoted\"\r\nline"}),
            json!({"id": "2", "note": "  spaces "}),
            json!({"id": "3", "note": ""}),
            json!({"id": "4", "note": "Ünï"}),
            // What a row holds is data, and `render` writes it so that it stays data.
            json!({"id": "5", "note": "${{ '${{' }} row.id }}"}),
            json!({"the id": "1", "x": "2,3"}),
            json!({"id": "1", "x": "a,b"}),
        ]
    );
}

#[test]
fn rows_come_in_order_from_every_source() {
    let folder = folder(
        "vars: {regions: [eu, us], file: rows.jsonl}
starts:
  - forEach: {items: [1, two, {value: 3}, [4], null]}
    args: [\"${{ row.value }}\", \"${{ index }}\"]
  - forEach: {items: \"${{ vars.regions }}\"}
    args: [\"${{ row.value }}\", \"${{ index }}\"]
  - forEach: {matrix: {region: \"${{ vars.regions }}\", day: [1, 2]}}
    args: [\"${{ row.region }}${{ row.day }}\", \"${{ index }}\"]
  - forEach: {jsonl: \"${{ vars.file }}\"}
    args: [\"${{ row }}\", \"${{ index }}\"]
  - args: [\"${{ index }}\"]
",
    );
    folder.write(
        "rows.jsonl",
        "\u{FEFF}{\"b\": 1, \"a\": 2}\n\n  \n[1]\r\n\"x\"",
    );
    let args: Vec<Value> = rendered(&folder, &[])
        .iter()
        .map(|start| start["args"].clone())
        .collect();
    assert_eq!(
        args,
        [
            json!([1, 0]),
            json!(["two", 1]),
            json!([3, 2]),
            json!([[4], 3]),
            json!([null, 4]),
            json!(["eu", 5]),
            json!(["us", 6]),
            json!(["eu1", 7]),
            json!(["eu2", 8]),
            json!(["us1", 9]),
            json!(["us2", 10]),
            json!([{"b": 1, "a": 2}, 11]),
            json!([{"value": [1]}, 12]),
            json!([{"value": "x"}, 13]),
            json!([14]),
        ]
    );
}

#[test]
fn rows_come_through_standard_input_and_are_all_checked_first() {
    let frontend = FakeFrontend::healthy();
    let folder = folder(
        "starts:
  - forEach: {csv: \"-\"}
    workflowId: piped-${{ row.id }}
    args: [\"${{ row.cents | int }}\"]
",
    );
    let apply = |text: &str| {
        Binary::apply("batch.yaml", &frontend.address(), &["-o", "json"])
            .current_dir(folder.path())
            .stdin(text)
            .run()
    };
    let finished = apply("id,cents\na,1\nb,x\n").expect_code(3);
    assert!(finished.stdout.contains("<stdin>:3"), "{}", finished.stdout);
    assert_eq!(frontend.start_count(), 0);
    let report = Report::of(&apply("id,cents\na,1\nb,2\n").expect_code(0));
    assert_eq!(report.count("started"), 2);
    assert_eq!(report.document()["inputs"][1]["path"], "<stdin>");
    let nowhere = Binary::new(["validate", "batch.yaml"])
        .env("TMPDIR", "/nonexistent")
        .current_dir(folder.path())
        .stdin("id,cents\na,1\n")
        .run()
        .expect_code(8);
    let words = "cannot keep standard input in the temporary folder `/nonexistent`";
    assert!(nowhere.stderr.contains(words), "{}", nowhere.stderr);
    let manifest = std::fs::read_to_string(folder.path().join("batch.yaml"));
    let both = Binary::new(["validate", "-"])
        .stdin(manifest.expect("it was written"))
        .run()
        .expect_code(3);
    assert!(
        both.stderr.contains("cannot be its rows too"),
        "{}",
        both.stderr
    );
}

/// Every kind of field can be an expression, and is on the wire what it comes to.
#[test]
fn every_kind_of_field_takes_an_expression() {
    // Only over a running Workflow of somebody else are all of them sent.
    let frontend = FakeFrontend::builder()
        .on_start(|_, number| async move {
            match number {
                0 => Err(fake_frontend::already_started("another", "run", "run")),
                _ => Ok(StartWorkflowExecutionResponse {
                    run_id: "run".to_owned(),
                    first_execution_run_id: "run".to_owned(),
                    ..Default::default()
                }),
            }
        })
        .start();
    let folder = folder(
        "starts:
  - forEach:
      items:
        - {id: a, minutes: 90, policy: RejectDuplicate, tries: 3, factor: 1.5, fail: true, callback: 'http://localhost/done',
           errors: [CardDeclined], priority: {key: 2, fairnessKey: acme, fairnessWeight: 1.5}, memo: {m: 1}, args: [1, null], tags: [x, y]}
    name: name-${{ row.id }}
    workflowId: ${{ row.id }}
    type: ${{ row.id | upper }}
    taskQueue: queue-${{ row.id }}
    args: ${{ row.args }}
    idReusePolicy: ${{ row.policy }}
    idConflictPolicy: ${{ 'Use' ~ 'Existing' }}
    executionTimeout: ${{ row.minutes }}m
    runTimeout: ${{ '45s' }}
    retryPolicy:
      maximumAttempts: ${{ row.tries }}
      backoffCoefficient: ${{ row.factor }}
      nonRetryableErrorTypes: ${{ row.errors }}
    memo: ${{ row.memo }}
    headers: {tenant: \"${{ row.id }}\"}
    searchAttributes: {Tags: \"${{ row.tags }}\", Count: \"${{ row.tries }}\"}
    priority: ${{ row.priority }}
    staticSummary: Bills ${{ row.id }}
    versioningOverride: {pinned: {deploymentName: \"${{ row.id }}\", buildId: v1}}
    completionCallbacks: [{url: \"${{ row.callback }}\", headers: {id: \"${{ row.id }}\"}}]
    links: [{batchJob: {jobId: \"${{ row.id }}\"}}]
    onConflict: {attachRequestId: \"${{ row.fail }}\"}
",
    );
    Binary::apply("batch.yaml", &frontend.address(), &["-o", "json"])
        .current_dir(folder.path())
        .run()
        .expect_code(0);
    let sent: StartWorkflowExecutionRequest = frontend.starts()[1].message.clone();
    assert_eq!(sent.workflow_id, "a");
    assert_eq!(sent.workflow_type.as_ref().map(|it| &*it.name), Some("A"));
    assert_eq!(
        sent.task_queue.as_ref().map(|it| &*it.name),
        Some("queue-a")
    );
    assert_eq!(
        sent.workflow_id_reuse_policy(),
        WorkflowIdReusePolicy::RejectDuplicate
    );
    assert_eq!(
        sent.workflow_id_conflict_policy(),
        WorkflowIdConflictPolicy::UseExisting
    );
    let seconds = |time: &Option<prost_types::Duration>| time.as_ref().map(|time| time.seconds);
    assert_eq!(seconds(&sent.workflow_execution_timeout), Some(5400));
    assert_eq!(seconds(&sent.workflow_run_timeout), Some(45));
    let retry = sent.retry_policy.as_ref().expect("it has a retry policy");
    assert_eq!(
        (retry.maximum_attempts, retry.backoff_coefficient),
        (3, 1.5)
    );
    assert_eq!(retry.non_retryable_error_types, ["CardDeclined"]);
    let data = |payload: &Payload| String::from_utf8_lossy(&payload.data).into_owned();
    let input = &sent.input.as_ref().expect("it has arguments").payloads;
    assert_eq!(input.iter().map(data).collect::<Vec<_>>(), ["1", ""]);
    assert_eq!(
        data(&sent.memo.as_ref().expect("it has a memo").fields["m"]),
        "1"
    );
    assert_eq!(
        data(&sent.header.as_ref().expect("it has headers").fields["tenant"]),
        "\"a\""
    );
    let attributes = &sent
        .search_attributes
        .as_ref()
        .expect("it has some")
        .indexed_fields;
    assert_eq!(data(&attributes["Tags"]), r#"["x","y"]"#);
    assert_eq!(data(&attributes["Count"]), "3");
    let priority = sent.priority.as_ref().expect("it has a priority");
    assert_eq!(
        (priority.priority_key, &*priority.fairness_key),
        (2, "acme")
    );
    assert!(sent.versioning_override.is_some() && sent.user_metadata.is_some());
    assert_eq!((sent.completion_callbacks.len(), sent.links.len()), (1, 1));
    assert!(
        sent.on_conflict_options
            .expect("it has some")
            .attach_request_id
    );
}

/// What a row holds is data: neither an expression nor `$payload` has a meaning in it.
#[test]
fn rows_are_data_from_end_to_end() {
    let frontend = FakeFrontend::healthy();
    let folder = folder(
        "starts:
  - forEach: {jsonl: rows.jsonl}
    workflowId: ${{ row.id }}
    args: [\"${{ row.value }}\", {inner: \"${{ row.value }}\"}]
    memo: \"${{ {'m': row.value} }}\"
",
    );
    folder.write("secret.txt", "secret");
    let value = json!({"$payload": {"encoding": "json/plain", "file": "secret.txt"}});
    let row = json!({"id": "${{ env.HOME }}", "value": value});
    folder.write("rows.jsonl", row.to_string());
    Binary::apply("batch.yaml", &frontend.address(), &["-o", "none"])
        .current_dir(folder.path())
        .run()
        .expect_code(0);
    let sent = frontend.starts()[0].message.clone();
    assert_eq!(sent.workflow_id, "${{ env.HOME }}");
    let data = |payload: &Payload| serde_json::from_slice::<Value>(&payload.data).ok();
    let input = &sent.input.expect("it has arguments").payloads;
    assert_eq!(data(&input[0]), Some(value.clone()));
    assert_eq!(data(&input[1]), Some(json!({"inner": value.clone()})));
    assert_eq!(
        data(&sent.memo.expect("it has a memo").fields["m"]),
        Some(value)
    );
}

#[test]
fn variables_are_overridden_in_their_type() {
    let folder = folder(
        "vars: {month: 2026-11, cents: 7, share: 0.5, paid: false, tags: [a], note: null}
starts:
  - args: [\"${{ vars }}\"]
",
    );
    let vars = |more: &[&str]| rendered(&folder, more)[0]["args"][0].clone();
    let declared = json!({"month": "2026-11", "cents": 7, "share": 0.5, "paid": false, "tags": ["a"], "note": null});
    assert_eq!(vars(&[]), declared);
    folder.write(
        "vars.yaml",
        "month: 2026-12\ncents: 8\nshare: 1\nnote: {a: 1}\n",
    );
    assert_eq!(
        vars(&[
            "--var-file",
            "vars.yaml",
            "--var",
            "cents=9",
            "--var",
            "cents=10",
            "--var",
            "paid=true",
            "--var",
            "tags=[1]"
        ]),
        json!({"month": "2026-12", "cents": 10, "share": 1.0, "paid": true, "tags": [1], "note": {"a": 1}})
    );
    for (flags, words) in [
        (
            &["--var", "cents=12x"][..],
            "`cents` is declared as an integer: `12x` is not an integer",
        ),
        (&["--var", "paid=yes"], "`paid` is declared as a boolean"),
        (&["--var", "mnth=1"], "did you mean `month`?"),
        (&["--var", "month"], "write KEY=VALUE"),
    ] {
        let words_of = [&["validate", "batch.yaml"], flags].concat();
        let finished = run(&folder, &words_of).expect_code(2);
        assert!(
            finished.stderr.contains(words),
            "{flags:?}: {}",
            finished.stderr
        );
    }
    folder.write("wrong.yaml", "month: 7\n");
    let finished = run(
        &folder,
        &["validate", "batch.yaml", "--var-file", "wrong.yaml"],
    )
    .expect_code(2);
    assert!(
        finished
            .stderr
            .contains("declared as a string: an integer was given"),
        "{}",
        finished.stderr
    );
    folder.write("twice.yaml", "month: a\nmonth: b\n");
    let finished = run(
        &folder,
        &["validate", "batch.yaml", "--var-file", "twice.yaml"],
    )
    .expect_code(3);
    assert!(
        finished.stderr.contains("twice.yaml:2:1"),
        "{}",
        finished.stderr
    );
    let finished = run(
        &folder,
        &["validate", "batch.yaml", "--var-file", "missing.yaml"],
    )
    .expect_code(3);
    assert!(
        finished.stderr.contains("missing.yaml"),
        "{}",
        finished.stderr
    );
}

#[test]
fn only_allowed_variables_of_the_environment_are_read() {
    let folder = folder(
        "starts:
  - args: [\"${{ env.ZONE }}\", \"${{ env.UNSET | default('none') }}\"]
",
    );
    let render = |allowed: &[&str]| {
        let flags = allowed.iter().flat_map(|name| ["--allow-env", *name]);
        Binary::new(["render", "batch.yaml", "-o", "jsonl"])
            .args(flags)
            .env("ZONE", "secret-zone")
            .current_dir(folder.path())
            .run()
    };
    let finished = render(&["ZONE", "UNSET"]).expect_code(0);
    assert!(
        finished.stdout.contains(r#""args":["secret-zone","none"]"#),
        "{}",
        finished.stdout
    );
    let finished = render(&["ZONE"]).expect_code(3);
    assert!(
        finished.stdout.contains("add `--allow-env UNSET`"),
        "{}",
        finished.stdout
    );
    assert!(
        !finished.stdout.contains("secret-zone"),
        "{}",
        finished.stdout
    );
}

/// The same key gives the same Workflow IDs, also where a start's content names the invocation, and
/// whatever stands before it.
#[test]
fn generated_workflow_ids_are_repeatable() {
    let folder = folder(
        "starts:
  - forEach: {csv: rows.csv}
    args: [\"${{ row.id }}\", \"${{ invocation.startedAt }}\"]
",
    );
    let ids = |rows: &str| -> Vec<String> {
        folder.write("rows.csv", rows);
        let starts = rendered(&folder, &["--idempotency-key", "k"]);
        starts
            .iter()
            .map(|start| start["workflowId"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let first = ids("id\na\nb\na\na\n");
    assert_eq!(first, ids("id\na\nb\na\na\n"));
    let distinct: std::collections::BTreeSet<&String> = first.iter().collect();
    assert_eq!(distinct.len(), 4);
    let inserted = ids("id\nnew\na\nb\na\na\n");
    assert_eq!(first, inserted[1..]);
    let reordered = ids("id\nb\na\na\na\n");
    assert_eq!(
        [&first[1], &first[0], &first[2], &first[3]],
        [&reordered[0], &reordered[1], &reordered[2], &reordered[3]]
    );
}

/// A `workflowId` that comes to null is none: equal starts get IDs by their number, and under another
/// key others.
#[test]
fn a_workflow_id_that_comes_to_null_is_generated() {
    let folder = folder(
        "starts:
  - forEach: {jsonl: rows.jsonl}
    workflowId: ${{ row.id }}
    idReusePolicy: RejectDuplicate
",
    );
    folder.write(
        "rows.jsonl",
        "{\"id\": null}\n{\"id\": null}\n{\"id\": \"own\"}\n",
    );
    let starts = rendered(&folder, &["--idempotency-key", "k"]);
    let ids: std::collections::BTreeSet<&str> = starts
        .iter()
        .filter_map(|start| start["workflowId"].as_str())
        .collect();
    assert_eq!(ids.len(), 3, "{ids:?}");
    let frontend = FakeFrontend::healthy();
    let finished = Binary::apply("batch.yaml", &frontend.address(), &["--shard", "1/1"])
        .current_dir(folder.path())
        .run()
        .expect_code(2);
    assert!(
        finished.stderr.contains("without a key"),
        "{}",
        finished.stderr
    );
    let finished = Binary::apply("batch.yaml", &frontend.address(), &[])
        .current_dir(folder.path())
        .run()
        .expect_code(0);
    assert!(
        finished.stderr.contains("applied again, this begins new"),
        "{}",
        finished.stderr
    );
}

#[test]
fn files_stay_in_the_manifests_folder_unless_allowed_out() {
    let outer = Folder::new();
    outer.write("outside/rows.csv", "id\na\n");
    outer.write("outside/rows.jsonl", "{\"id\": \"b\"}\n");
    outer.write("outside/schema.json", "{\"type\": \"array\"}");
    let absolute = outer.path().join("outside");
    std::fs::create_dir(outer.path().join("in")).expect("folders can be made");
    std::os::unix::fs::symlink("../outside", outer.path().join("in/link"))
        .expect("links can be made");
    let absolute = absolute.display();
    for (entry, code) in [
        (
            "  - forEach: {csv: ../outside/rows.csv}\n    workflowId: \"${{ row.id }}\"\n"
                .to_owned(),
            "rows_file",
        ),
        (
            format!(
                "  - forEach: {{csv: {absolute}/rows.csv}}\n    workflowId: \"${{{{ row.id }}}}\"\n"
            ),
            "rows_file",
        ),
        (
            "  - forEach: {jsonl: link/rows.jsonl}\n    workflowId: \"${{ row.id }}\"\n".to_owned(),
            "rows_file",
        ),
        (
            "  - {}\nargSchemas: {T: ../outside/schema.json}\n".to_owned(),
            "invalid_arg_schema",
        ),
        (
            format!("  - {{}}\nargSchemas: {{T: {absolute}/schema.json}}\n"),
            "invalid_arg_schema",
        ),
        (
            "  - {}\nargSchemas: {T: link/schema.json}\n".to_owned(),
            "invalid_arg_schema",
        ),
        (
            "  - {}\nargSchemas: {T: {$ref: ../outside/schema.json}}\n".to_owned(),
            "invalid_arg_schema",
        ),
        (
            format!("  - {{}}\nargSchemas: {{T: {{$ref: \"file://{absolute}/schema.json\"}}}}\n"),
            "invalid_arg_schema",
        ),
        (
            "  - {}\nargSchemas: {T: {$ref: link/schema.json}}\n".to_owned(),
            "invalid_arg_schema",
        ),
        (
            "  - args: [{$payload: {encoding: a, file: \"${{ '../outside/rows.csv' }}\"}}]\n"
                .to_owned(),
            "payload_file",
        ),
    ] {
        let manifest = outer.write("in/batch.yaml", format!("{HEAD}starts:\n{entry}"));
        let refused = Binary::new(["validate".as_ref(), manifest.as_os_str()])
            .run()
            .expect_code(3);
        assert!(
            refused.stderr.contains(&format!("manifest::{code}\n")),
            "{entry}{}",
            refused.stderr
        );
        assert!(
            refused.stderr.contains("1 problem\n"),
            "{entry}{}",
            refused.stderr
        );
        Binary::new(["validate".as_ref(), manifest.as_os_str()])
            .arg("--allow-outside")
            .run()
            .expect_code(0);
    }
}

/// Runs `validate` under a ceiling of memory and time.
#[track_caller]
fn validate_within_limits(folder: &Folder) -> Finished {
    let binary = Binary::new(["validate", "batch.yaml"])
        .current_dir(folder.path())
        .time_limit(Duration::from_secs(60));
    let limiter = Command::new("prlimit").arg("--version").output();
    let binary = if limiter.is_ok() {
        binary.under(&["prlimit", &format!("--as={}", 512 << 20)])
    } else {
        binary
    };
    binary.run().expect_code(3)
}

#[test]
fn a_line_of_a_gigabyte_is_one_located_error() {
    for (kind, begin) in [("csv", "id\n\"a"), ("jsonl", "{\"id\": 1}\n\"a")] {
        let folder = folder(&format!(
            "starts:\n  - forEach: {{{kind}: rows.{kind}}}\n    args: [\"${{{{ row.id }}}}\"]\n"
        ));
        let path = folder.write(&format!("rows.{kind}"), begin);
        let file = std::fs::File::options().write(true).open(path);
        let file = file.expect("the file was just made");
        file.set_len(1 << 30).expect("a sparse file takes no room");
        let finished = validate_within_limits(&folder);
        assert!(
            finished.stderr.contains("a row is longer than 8 MiB"),
            "{}",
            finished.stderr
        );
        assert!(
            finished.stderr.contains(&format!("rows.{kind}:2:1")),
            "{}",
            finished.stderr
        );
        assert!(
            finished.stderr.ends_with("1 problem\n"),
            "{}",
            finished.stderr
        );
    }
}

#[test]
fn rows_in_another_encoding_are_located() {
    let folder = folder(
        "starts:
  - forEach: {csv: latin1.csv}
    workflowId: ${{ row.id }}
  - forEach: {jsonl: latin1.jsonl}
    workflowId: ${{ row.id }}
  - forEach: {csv: header.csv}
    workflowId: ${{ row.id }}
",
    );
    folder.write(
        "latin1.csv",
        b"id,name\na,Ada\nb,M\xFCller\nc,Carl\nd,\xE9\n",
    );
    folder.write("latin1.jsonl", b"{\"id\": \"e\"}\n{\"id\": \"\xFC\"}\n");
    folder.write("header.csv", b"id,stra\xDFe\nx,y\n");
    let found: Vec<String> = problems(&folder).iter().map(in_a_line).collect();
    assert_eq!(
        found,
        [
            "not_utf8 header.csv:1:1 `header.csv` is not UTF-8: byte 0xDF <- batch.yaml:10:20",
            "not_utf8 latin1.csv:3:1 `latin1.csv` is not UTF-8: byte 0xFC <- batch.yaml:6:20",
            "not_utf8 latin1.csv:5:1 `latin1.csv` is not UTF-8: byte 0xE9 <- batch.yaml:6:20",
            "not_utf8 latin1.jsonl:2:9 `latin1.jsonl` is not UTF-8: byte 0xFC <- batch.yaml:8:22",
        ]
    );
}

/// There are no loops in expressions; what comes nearest is bounded in work, size and depth.
#[test]
fn no_expression_takes_long_or_comes_to_much() {
    for expression in [
        "[range(99999) | list] * 1000",
        "range(100000) | groupby('x') | list",
        "'x' * 10000000",
        "('x' * 1000000) | replace('x', 'yyyyyyyyyy') | replace('y', 'zzzzzzzzzz')",
        "range(1000000000)",
        "range(99999) | batch(1) | map('list') | list",
        "2 ** 100000000",
        "'%1000000000d' | format(1)",
        "(range(99999) | list) | sort | map('string') | join(',') | split(',') | sort | reverse | unique | list",
        "{% for i in range(10) %}{% endfor %}",
        "[[[[[[[[[[1]]]]]]]]]] | tojson",
    ] {
        let folder = folder(&format!(
            "starts:\n  - args: [{}]\n",
            json!(format!("${{{{ {expression} }}}}"))
        ));
        let finished = validate_within_limits(&folder);
        assert!(
            finished.stderr.ends_with("1 problem\n"),
            "{expression}: {}",
            finished.stderr
        );
        assert!(
            finished.stderr.contains("batch.yaml:6:"),
            "{expression}: {}",
            finished.stderr
        );
        assert!(
            finished.stderr.len() < 4000,
            "{expression}: {}",
            finished.stderr
        );
    }
}

#[test]
fn deeply_nested_expressions_are_refused() {
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("-", ""),
        ("not ", ""),
        ("{'a':", "}"),
    ] {
        let expression = format!(
            "${{{{ {}1{} }}}}",
            open.repeat(50_000),
            close.repeat(50_000)
        );
        let folder = folder(&format!("starts:\n  - args: [{}]\n", json!(expression)));
        let finished = validate_within_limits(&folder);
        assert!(
            finished.stderr.ends_with("1 problem\n"),
            "{open}: {}",
            finished.stderr
        );
    }
}

#[test]
fn rows_that_change_after_the_check_end_the_apply() {
    use temporal_manifest::expand::{Expansion, Invocation, Options};
    use temporal_manifest::manifest;
    let folder =
        folder("starts:\n  - forEach: {jsonl: rows.jsonl}\n    workflowId: w-${{ row.id }}\n");
    let rows = folder.write("rows.jsonl", "{\"id\": 1}\n{\"id\": 2}\n");
    let loaded = manifest::load(
        &[folder.path().join("batch.yaml")],
        &Default::default(),
        &Default::default(),
    );
    assert!(loaded.diagnostics.is_empty());
    let options = Options {
        key: None,
        digest: false,
        allow_outside: false,
        files_read: Default::default(),
        env: Default::default(),
        vars: Default::default(),
        selection: Default::default(),
        invocation: Invocation {
            id: "test".to_owned(),
            started_at: jiff::Timestamp::UNIX_EPOCH,
        },
    };
    let expansion = Expansion::new(loaded.manifests, options).expect("there are no variables");
    let (preflight, batch) = expansion.preflight();
    let batch = batch.expect("it is sound");
    assert_eq!(preflight.total, 2);
    assert_eq!(batch.starts().filter(Result::is_ok).count(), 2);
    let append = |path: &Path| {
        use std::io::Write;
        let file = std::fs::File::options().append(true).open(path);
        file.expect("it is there")
            .write_all(b"{\"id\": 3}\n")
            .expect("it can be written");
    };
    let mut starts = batch.starts();
    assert!(starts.next().is_some_and(|start| start.is_ok()));
    append(&rows);
    let rest: Vec<_> = starts.collect();
    let problem = rest
        .into_iter()
        .find_map(Result::err)
        .expect("the change is noticed");
    assert!(
        problem[0]
            .message
            .contains("has changed since it was checked"),
        "{problem:?}"
    );
}

#[test]
fn an_argument_schema_holds_for_every_row_and_points_at_both_places() {
    let frontend = FakeFrontend::healthy();
    let folder = folder(
        "argSchemas: {T: schemas/t.json}
starts:
  - forEach: {csv: rows.csv}
    workflowId: ${{ row.id }}
    args:
      - customer: ${{ row.id }}
        cents: ${{ row.cents | int }}
",
    );
    folder.write(
        "schemas/t.json",
        r#"{"prefixItems": [{"properties": {"cents": {"$ref": "money.yaml#/$defs/cents"}}}], "minItems": 1}"#,
    );
    folder.write(
        "schemas/money.yaml",
        "$defs:\n  cents: {type: integer, minimum: 1}\n",
    );
    folder.write("rows.csv", "id,cents\na,5\nb,0\nc,-1\nd,9007199254740993\n");
    let found: Vec<String> = problems(&folder).iter().map(in_a_line).collect();
    assert_eq!(
        found,
        [
            "argument_mismatch batch.yaml:11:16 `cents` in argument 1 of `T`: 0 is less than the minimum of 1 (rows.csv:3) <- rows.csv:3:3",
            "argument_mismatch batch.yaml:11:16 `cents` in argument 1 of `T`: -1 is less than the minimum of 1 (rows.csv:4) <- rows.csv:4:3",
        ]
    );
    folder.write("rows.csv", "id,cents\na,5\nd,9007199254740993\n");
    let finished = Binary::apply("batch.yaml", &frontend.address(), &["-o", "json"])
        .current_dir(folder.path())
        .run()
        .expect_code(0);
    assert_eq!(Report::of(&finished).count("started"), 2);
}

/// A folder is read with the schemas that lie in it.
#[test]
fn schemas_beside_manifests_are_no_manifests() {
    let folder = folder("argSchemas: {T: t.json}\nstarts:\n  - args: [1]\n");
    let schema =
        json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "array"});
    folder.write("t.json", schema.to_string());
    run(&folder, &["validate", "."]).expect_code(0);
    // Named by itself it is meant as a manifest.
    run(&folder, &["validate", "t.json"]).expect_code(3);
    folder.write("other.json", "{}");
    let finished = run(&folder, &["validate", "."]).expect_code(0);
    assert!(!finished.stderr.contains("t.json"), "{}", finished.stderr);
    assert!(
        finished.stderr.contains("other.json` is left out"),
        "{}",
        finished.stderr
    );
}
