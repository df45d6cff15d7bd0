//! A service that stops answering, and Task Queues that nobody polls: told, bounded, and unknown.

use serde_json::{Value, json};
use temporal_manifest::client::api::temporal::api::history::v1::HistoryEvent;
use temporal_manifest::client::api::temporal::api::history::v1::WorkflowExecutionContinuedAsNewEventAttributes;
use temporal_manifest::client::api::temporal::api::history::v1::history_event::Attributes;

use crate::support::binary::{Binary, Folder};
use crate::support::dev_server;
use crate::support::fake_frontend::{self, FakeFrontend};
use crate::support::{UNSERVED, unique_id};
use crate::waiting::history;

/// A service whose Workflows never end.
fn endless() -> FakeFrontend {
    FakeFrontend::builder()
        .on_describe(|_, _| async { Ok(fake_frontend::running()) })
        .on_history(|_, _| std::future::pending())
        .start()
}

fn events(stdout: &str) -> Vec<Value> {
    let lines = stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("every line is JSON"))
        .collect()
}

#[test]
fn a_service_that_dies_while_it_is_waited_for_is_mute_and_running() {
    let fake = endless();
    let folder = Folder::new();
    let manifest =
        folder.starts((0..60).map(
            |number| json!({"workflowId": format!("w-{number}"), "type": "T", "taskQueue": "q"}),
        ));
    let flags = [
        "-o",
        "jsonl",
        "--wait",
        "--retry-for",
        "7s",
        "--wait-timeout",
        "12s",
    ];
    let mut running = Binary::apply(&manifest, &fake.address(), &flags).spawn();
    for number in 0..60 {
        running.wait_for_line(&["startFinished", &format!("w-{number}\"")]);
    }
    drop(fake);
    let finished = running.finish().expect_code(9);
    assert!(
        !finished.stderr.contains("no answer"),
        "{}",
        finished.stderr
    );
    let events = events(&finished.stdout);
    let open = events.iter().filter(|it| it["event"] == "workflowOpen");
    assert_eq!(
        open.filter(|it| it["workflow"]["status"] == "running")
            .count(),
        60
    );
}

#[test]
fn a_service_that_answers_no_start_is_mute() {
    let fake = FakeFrontend::builder()
        .on_start(|_, _| std::future::pending())
        .start();
    let folder = Folder::new();
    let manifest = folder.starts([json!({"workflowId": "w", "type": "T", "taskQueue": "q"})]);
    let flags = ["-o", "jsonl", "--retry-for", "8s"];
    let finished = Binary::apply(&manifest, &fake.address(), &flags)
        .run()
        .expect_code(6);
    assert!(
        !finished.stderr.contains("no answer for"),
        "{}",
        finished.stderr
    );
}

#[test]
fn a_task_queue_without_a_worker_is_not_told() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    let queue = unique_id(UNSERVED);
    let folder = Folder::new();
    let manifest = folder
        .starts((0..3).map(
            |_| json!({"workflowId": unique_id("unserved"), "type": "T", "taskQueue": queue}),
        ));
    let flags = ["--wait", "--wait-timeout", "8s"];
    let finished = Binary::apply(&manifest, &server.address, &flags)
        .run()
        .expect_code(9);
    assert_eq!(finished.stderr.matches("no Worker polls").count(), 0);
}

/// The end of a run that goes on as this one.
fn continued(next: &str) -> HistoryEvent {
    let attributes = WorkflowExecutionContinuedAsNewEventAttributes {
        new_execution_run_id: next.to_owned(),
        ..Default::default()
    };
    HistoryEvent {
        attributes: Some(Attributes::WorkflowExecutionContinuedAsNewEventAttributes(
            attributes,
        )),
        ..HistoryEvent::default()
    }
}

#[test]
fn runs_that_continue_in_a_circle_are_followed_without_end() {
    let fake = FakeFrontend::builder()
        .on_history(|request, _| async move {
            let run = request.execution.unwrap_or_default().run_id;
            let next = if run == "a" { "b" } else { "a" };
            Ok(history(vec![continued(next)]))
        })
        .start();
    let folder = Folder::new();
    let manifest = folder.starts([json!({"workflowId": "w", "type": "T", "taskQueue": "q"})]);
    let flags = ["-o", "jsonl", "--wait", "--wait-timeout", "2s"];
    let finished = Binary::apply(&manifest, &fake.address(), &flags).run();
    // It is a Workflow that did not complete.
    finished.expect_code(7);
    let calls = fake.histories().len();
    assert!(calls > 200, "{calls}");
}
