//! Parts of a batch: selected by name or Workflow ID, or split into shards and reported as one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::binary::{Binary, Finished, Folder};
use crate::support::fake_frontend::FakeFrontend;
use crate::support::report::{Report, text};
use crate::waiting::{completed, history};

const ROWS: usize = 300;

/// A folder with a batch of rows, of which every third start has a generated Workflow ID.
fn batch(rows: usize) -> Folder {
    let folder = Folder::new();
    let lines = (0..rows).map(|number| format!("{{\"id\": \"c{number}\"}}\n"));
    folder.write("rows.jsonl", lines.collect::<String>());
    folder.write(
        "batch.yaml",
        "apiVersion: temporal-manifest/v1
kind: Starts
metadata: {name: batch}
defaults: {type: T, taskQueue: q}
starts:
  - forEach: {jsonl: rows.jsonl}
    name: named-${{ row.id }}
    workflowId: id-${{ row.id }}
    args: [\"${{ row.id }}\"]
  - forEach: {jsonl: rows.jsonl}
    type: Generated
    args: [\"${{ row.id }}\"]
  - forEach: {jsonl: rows.jsonl}
    type: Same
",
    );
    folder
}

fn apply(folder: &Folder, frontend: &FakeFrontend, more: &[&str]) -> Finished {
    let key = ["--idempotency-key", "shards", "-o", "json"];
    Binary::apply("batch.yaml", &frontend.address(), &key)
        .args(more)
        .current_dir(folder.path())
        .run()
}

fn ids(report: &Report) -> BTreeSet<String> {
    let ids = report
        .starts()
        .iter()
        .map(|start| text(start, "workflowId"));
    ids.map(str::to_owned).collect()
}

/// A frontend that takes each start, and knows no history of it: under a given key it may be an
/// earlier invocation's, so it counts as deduplicated.
fn frontend() -> FakeFrontend {
    FakeFrontend::healthy()
}

/// What must be the same in two reports of the same batch.
fn essence(report: &Value) -> Value {
    let mut report = report.clone();
    for start in report["starts"].as_array_mut().expect("there are starts") {
        for name in ["at", "runId", "firstRunId", "latencyMs"] {
            start
                .as_object_mut()
                .expect("a start is an object")
                .remove(name);
        }
    }
    let keep = |value: &Value, names: &[&str]| -> BTreeMap<String, Value> {
        names
            .iter()
            .map(|name| ((*name).to_owned(), value[name].clone()))
            .collect()
    };
    serde_json::json!({
        "head": keep(&report, &["apiVersion", "kind", "inputs", "selection"]),
        "invocation": keep(&report["invocation"], &["idempotencyKey", "command", "version"]),
        "summary": keep(
            &report["summary"],
            &["total", "started", "deduplicated", "existing", "failed", "unknown", "skipped", "attempts"],
        ),
        "starts": report["starts"],
    })
}

#[test]
fn shards_are_disjoint_and_complete_and_make_one_report() {
    let folder = batch(ROWS);
    let frontend = frontend();
    let whole = Report::of(&apply(&folder, &frontend, &[]).expect_code(0));
    let all = ids(&whole);
    assert_eq!(
        all.len(),
        3 * ROWS,
        "equal contents get Workflow IDs of their own"
    );
    let mut seen = BTreeSet::new();
    let mut journals = Vec::new();
    for shard in ["1/3", "2/3", "3/3"] {
        let journal = format!("journal-{}", &shard[..1]);
        let flags = ["--shard", shard, "--journal", &journal];
        let report = Report::of(&apply(&folder, &frontend, &flags).expect_code(0));
        let selection = &report.document()["selection"];
        assert_eq!(selection["shard"], shard);
        assert_eq!(selection["of"], 3 * ROWS);
        let own = ids(&report);
        assert_eq!(report.count("total") as usize, own.len());
        assert!(
            own.len() > ROWS / 2,
            "{shard} has only {} starts",
            own.len()
        );
        assert!(seen.is_disjoint(&own), "{shard} repeats a start");
        seen.extend(own);
        journals.push(journal);
    }
    assert_eq!(seen, all);
    assert_eq!(frontend.start_count(), 6 * ROWS);
    let merged = Binary::new(["report", "--merge", "-o", "json"])
        // In any order.
        .args(journals.iter().rev())
        .current_dir(folder.path())
        .run()
        .expect_code(0);
    let merged = Report::of(&merged);
    assert_eq!(essence(merged.document()), essence(whole.document()));
}

#[test]
fn a_row_stays_in_its_shard_when_rows_are_added() {
    let frontend = frontend();
    let shard_of = |rows: usize| {
        let folder = batch(rows);
        let report = Report::of(&apply(&folder, &frontend, &["--shard", "2/4"]).expect_code(0));
        ids(&report)
    };
    let (few, many) = (shard_of(100), shard_of(200));
    assert!(few.is_subset(&many) && few.len() < many.len());
}

#[test]
fn shards_that_do_not_belong_together_are_not_merged() {
    let folder = batch(30);
    let frontend = frontend();
    let make = |key: &str, shard: &str, journal: &str| {
        let flags = [
            "--idempotency-key",
            key,
            "--shard",
            shard,
            "--journal",
            journal,
            "-o",
            "none",
        ];
        Binary::apply("batch.yaml", &frontend.address(), &flags)
            .current_dir(folder.path())
            .run()
            .expect_code(0);
    };
    make("k", "1/2", "one");
    make("k", "2/2", "two");
    make("other", "2/2", "other");
    let merge = |journals: &[&str]| {
        Binary::new(["report", "--merge", "-o", "json"])
            .args(journals)
            .current_dir(folder.path())
            .run()
    };
    let finished = merge(&["one", "other"]).expect_code(2);
    assert!(
        finished.stderr.contains("differ in the idempotency key"),
        "{}",
        finished.stderr
    );
    folder.write(
        "copy",
        std::fs::read(folder.path().join("one")).expect("it is there"),
    );
    for (journals, words) in [
        (
            ["one", "one"],
            "the journals `one` and `one` are the same file",
        ),
        (
            ["one", "./one"],
            "the journals `one` and `./one` are the same file",
        ),
        (
            ["one", "copy"],
            "the journals `one` and `copy` both have start ",
        ),
    ] {
        let finished = merge(&journals).expect_code(2);
        let document: Value = serde_json::from_str(&finished.stdout).expect("JSON");
        let message = document["error"]["message"].as_str().unwrap_or_default();
        assert!(message.starts_with(words), "{message}");
        assert_eq!(document["error"]["exitCode"], 2);
        assert!(finished.stderr.contains(words), "{}", finished.stderr);
    }
    // One document has room for one report.
    let finished = Binary::new(["report", "one", "two", "-o", "json"])
        .current_dir(folder.path())
        .run()
        .expect_code(2);
    let document: Value = serde_json::from_str(&finished.stdout).expect("one document");
    let message = document["error"]["message"].as_str().unwrap_or_default();
    assert!(message.ends_with("`one`, `two`"), "{message}");
    // A shard that is missing is not passed over: its starts were not made.
    let report = Report::of(&merge(&["one"]).expect_code(6));
    assert_eq!(report.count("total"), 90);
    let made = report.count("deduplicated") + report.count("started");
    assert_eq!(made + report.count("skipped"), 90);
    assert!((1..90).contains(&made), "{made}");
    folder.write("rows.jsonl", "{\"id\": \"another\"}\n");
    make("k", "2/2", "changed");
    let finished = merge(&["one", "changed"]).expect_code(2);
    assert!(
        finished.stderr.contains("differ in the starts"),
        "{}",
        finished.stderr
    );
    // Without --merge each journal has its own report.
    let both = Binary::new(["report", "one", "two"])
        .current_dir(folder.path())
        .run()
        .expect_code(0);
    assert_eq!(
        both.stdout.matches(" starts: ").count(),
        2,
        "{}",
        both.stdout
    );
}

#[test]
fn an_indexed_jobs_pod_takes_its_shard_from_its_index() {
    let folder = batch(30);
    let frontend = frontend();
    let with_index = |index: Option<&str>, shard: &str| {
        let flags = ["--idempotency-key", "job", "-o", "json", "--shard", shard];
        let binary = Binary::apply("batch.yaml", &frontend.address(), &flags);
        let binary = match index {
            Some(index) => binary.env("JOB_COMPLETION_INDEX", index),
            None => binary,
        };
        binary.current_dir(folder.path()).run()
    };
    let first = ids(&Report::of(&with_index(None, "1/3").expect_code(0)));
    let zero = ids(&Report::of(&with_index(Some("0"), "auto/3").expect_code(0)));
    assert_eq!(first, zero);
    for (index, shard, words) in [
        (Some("3"), "auto/3", "takes 0 to 2"),
        (Some("x"), "auto/3", "is `x`"),
        (None, "auto/3", "is not set"),
        (None, "0/3", "shards count from 1"),
        (None, "4/3", "I from 1 to N"),
        (None, "auto/0", "write auto/N"),
    ] {
        let finished = with_index(index, shard).expect_code(2);
        assert!(
            finished.stderr.contains(words),
            "{shard}: {}",
            finished.stderr
        );
    }
}

#[test]
fn shards_need_a_key_where_workflow_ids_are_generated() {
    let folder = batch(3);
    let frontend = frontend();
    let flags = ["--shard", "1/2"];
    let finished = Binary::apply("batch.yaml", &frontend.address(), &flags)
        .current_dir(folder.path())
        .run()
        .expect_code(2);
    assert!(
        finished.stderr.contains("without a key"),
        "{}",
        finished.stderr
    );
    assert_eq!(frontend.start_count(), 0);
}

#[test]
fn starts_are_selected_by_name_or_workflow_id() {
    let folder = batch(30);
    let frontend = frontend();
    let selected = |patterns: &[&str]| {
        let flags: Vec<&str> = patterns.iter().flat_map(|it| ["--select", it]).collect();
        ids(&Report::of(
            &apply(&folder, &frontend, &flags).expect_code(0),
        ))
    };
    let set = |ids: &[&str]| {
        ids.iter()
            .map(|id| (*id).to_owned())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(selected(&["named-c7"]), set(&["id-c7"]));
    assert_eq!(selected(&["id-c1?"]).len(), 10);
    assert_eq!(
        selected(&["id-c{1,2}", "named-c29"]),
        set(&["id-c1", "id-c2", "id-c29"])
    );
    assert_eq!(selected(&["batch-Generated-*"]).len(), 30);
    let before = frontend.start_count();
    // A pattern that nothing matches is a mistake, and must not look like success.
    let finished = apply(&folder, &frontend, &["--select", "id-d*"]).expect_code(2);
    assert!(
        finished.stderr.contains("matches none of 90 starts"),
        "{}",
        finished.stderr
    );
    let finished = apply(&folder, &frontend, &["--select", "id-[c"]).expect_code(2);
    assert!(finished.stderr.contains("--select"), "{}", finished.stderr);
    assert_eq!(frontend.start_count(), before);
    let rendered = Binary::new([
        "render",
        "batch.yaml",
        "-o",
        "jsonl",
        "--select",
        "named-c3",
    ])
    .current_dir(folder.path())
    .run()
    .expect_code(0);
    assert_eq!(rendered.stdout.lines().count(), 1, "{}", rendered.stdout);
}

#[test]
fn a_resume_is_about_the_same_part() {
    let folder = batch(30);
    let frontend = FakeFrontend::builder().remembering().start();
    let part = ["--shard", "1/2", "--select", "id-*"];
    let first = apply(
        &folder,
        &frontend,
        &[&part[..], &["--journal", "j"]].concat(),
    );
    let first = Report::of(&first.expect_code(0));
    let before = frontend.start_count();
    for other in [
        ["--shard", "2/2"].as_slice(),
        &["--select", "id-c1*"],
        &["--shard", "1/2", "--select", "named-*"],
    ] {
        let finished = apply(&folder, &frontend, &[other, &["--resume", "j"]].concat());
        let stderr = finished.expect_code(2).stderr;
        assert!(stderr.contains("another part of the starts"), "{stderr}");
    }
    // What is not given is the journal's.
    for same in [&[][..], &part[..2], &part[2..], &part] {
        let again = apply(&folder, &frontend, &[same, &["--resume", "j"]].concat());
        let again = Report::of(&again.expect_code(0));
        assert_eq!(ids(&again), ids(&first), "{same:?}");
        assert_eq!(again.document()["selection"], first.document()["selection"]);
    }
    assert_eq!(frontend.start_count(), before, "everything was finished");
}

/// Shards of six starts that were killed while they waited for their Workflows, of which `w-0` had
/// ended. Returns their folder; the journals are `journal-1` and `journal-2`.
fn killed_while_waiting() -> Folder {
    let folder = Folder::new();
    folder.starts(
        (0..6).map(
            |number| json!({"workflowId": format!("w-{number}"), "type": "T", "taskQueue": "q"}),
        ),
    );
    for (shard, lines) in [("1/2", 3 + 1), ("2/2", 3)] {
        let frontend = FakeFrontend::builder()
            .remembering()
            .on_history(|request, _| async move {
                let execution = request.execution.expect("a run is named");
                if execution.workflow_id == "w-0" {
                    return Ok(history(vec![completed("1")]));
                }
                std::future::pending().await
            })
            .start();
        let journal = format!("journal-{}", &shard[..1]);
        let key = ["--idempotency-key", "shards", "--wait", "--shard", shard];
        let mut running = Binary::apply("manifest.json", &frontend.address(), &key)
            .args(["--journal", &journal])
            .current_dir(folder.path())
            .spawn();
        let path = folder.path().join(&journal);
        let written = || {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            text.matches('\n').count()
        };
        // Its header, and a line each for a start and the end of a Workflow.
        while written() < 1 + lines {
            assert!(running.is_running(), "the apply waits");
            std::thread::yield_now();
        }
        running.kill();
    }
    folder
}

fn report_of(folder: &Folder, arguments: &[&str]) -> Finished {
    Binary::new(["report"])
        .args(arguments)
        .current_dir(folder.path())
        .run()
}

/// Nobody saw five of six Workflows end, and no report says that all is well.
#[test]
fn a_killed_wait_leaves_workflows_that_were_not_seen_to_end() {
    let folder = killed_while_waiting();
    let both = ["--merge", "journal-1", "journal-2"];
    let table = [
        (&both[1..2], 3, [1, 2]),
        (&both[2..], 3, [0, 3]),
        (&both[..], 6, [1, 5]),
    ];
    for (journals, starts, [completed, unseen]) in table {
        let shown = report_of(&folder, journals).expect_code(9).stdout;
        let line = format!("workflows: {completed} completed, {unseen} not seen to end\n");
        assert!(shown.contains(&line), "{shown}");
        let json = [journals, &["-o", "json"]].concat();
        let report = Report::of(&report_of(&folder, &json).expect_code(9));
        assert_eq!(report.count("started"), starts);
        assert_eq!(report.workflows("completed"), completed);
        assert_eq!(report.workflows("running"), unseen);
        for start in report.starts() {
            let is_first = text(start, "workflowId") == "w-0";
            let status = if is_first { "completed" } else { "running" };
            assert_eq!(start["workflow"]["status"], status);
        }
        let events = [journals, &["-o", "jsonl"]].concat();
        let events = report_of(&folder, &events).expect_code(9).stdout;
        let open = events.matches("\"event\":\"workflowOpen\"").count();
        assert_eq!(open as u64, unseen);
    }
}
