//! What `-o jsonl` prints: one line for each event, each as its schema says, and a last one that
//! sums up.

use serde_json::Value;

use crate::support::binary::{Binary, Finished, Folder};
use crate::support::fake_frontend::{self, FakeFrontend};

const HEAD: &str = "apiVersion: temporal-manifest/v1\nkind: Starts\nmetadata: {name: lines}\n\
                    defaults: {type: T, taskQueue: q}\nstarts:\n";

fn lines(finished: &Finished) -> Vec<Value> {
    finished
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    let all = events.iter();
    all.filter(|event| event["event"] == kind).collect()
}

#[test]
fn what_is_invalid_is_a_document_of_many_lines() {
    let folder = Folder::new();
    let bad = folder.write("bad.yaml", format!("{HEAD}- {{typ: T}}\n"));
    for command in ["validate", "render", "apply"] {
        let finished = Binary::new([command, "-o", "jsonl"]).arg(&bad).run();
        let finished = finished.expect_code(3);
        assert!(finished.stdout.lines().count() > 1, "{}", finished.stdout);
    }
}

/// A service whose Workflows never end.
fn endless() -> FakeFrontend {
    FakeFrontend::builder()
        .on_describe(|_, _| async { Ok(fake_frontend::running()) })
        .on_history(|_, _| std::future::pending())
        .start()
}

#[test]
fn a_workflow_that_still_runs_is_said_to_have_ended() {
    let fake = endless();
    let folder = Folder::new();
    let manifest = folder.manifest(&format!("{HEAD}- {{workflowId: a}}\n"));
    let flags = ["--wait", "--wait-timeout", "1s", "-o", "jsonl"];
    let finished = Binary::apply(&manifest, &fake.address(), &flags).run();
    let events = lines(&finished.expect_code(9));
    let ended = of_kind(&events, "workflowEnded");
    assert_eq!(ended[0]["workflow"]["status"], "running");
}

#[test]
fn the_last_line_says_nothing_but_when() {
    let fake = FakeFrontend::healthy();
    let folder = Folder::new();
    let manifest = folder.manifest(&format!("{HEAD}- {{workflowId: a}}\n"));
    let finished = Binary::apply(&manifest, &fake.address(), &["-o", "jsonl"]).run();
    let events = lines(&finished.expect_code(0));
    let last = events.last().expect("there are lines");
    assert_eq!(last["event"], "applyFinished");
    assert_eq!(last.as_object().map(|it| it.len()), Some(2), "{last}");
}

#[test]
fn some_of_what_programs_read_has_no_schema() {
    for name in ["validation", "error", "render"] {
        let told = Binary::new(["schema", name]).run().expect_code(2);
        assert!(told.stderr.contains(name), "{}", told.stderr);
    }
}
