//! `--wait`: the Workflows' own ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use temporal_manifest::client::api::temporal::api::common::v1::{Payload, Payloads};
use temporal_manifest::client::api::temporal::api::enums::v1::{
    EventType, HistoryEventFilterType, WorkflowExecutionStatus,
};
use temporal_manifest::client::api::temporal::api::history::v1::history_event::Attributes;
use temporal_manifest::client::api::temporal::api::history::v1::{
    History, HistoryEvent, WorkflowExecutionCompletedEventAttributes,
};
use temporal_manifest::client::api::temporal::api::workflowservice::v1::GetWorkflowExecutionHistoryResponse;

use crate::support::binary::{Binary, Folder};
use crate::support::dev_server;
use crate::support::fake_frontend::{self, FakeFrontend};
use crate::support::report::{Report, text};
use crate::support::{SERVED, UNSERVED, poll_until, unique_id};

#[test]
fn every_kind_of_end_is_told() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    let prefix = unique_id("ends");
    let id = |name: &str| format!("{prefix}-{name}");
    let start = |name: &str, workflow_type: &str, more: Value| {
        let mut start = json!({"workflowId": id(name), "type": workflow_type, "taskQueue": SERVED});
        let fields = more.as_object().expect("more fields").clone();
        start.as_object_mut().expect("a start").extend(fields);
        start
    };
    let folder = Folder::new();
    let exact = json!([9007199254740993i64, 18446744073709551615u64, {"b": 1, "a": null}, "ü"]);
    let manifest = folder.starts([
        start("completed", "Echo", json!({"args": exact})),
        start("released", "Hold", json!({})),
        start("failed", "Fail", json!({})),
        start("canceled", "Hold", json!({})),
        start("terminated", "Hold", json!({})),
        start("timed-out", "TimesOut", json!({"runTimeout": "1s"})),
        start(
            "continued",
            "ContinueAsNew",
            json!({"args": [{"times": 3}]}),
        ),
        start(
            "retried",
            "FailOnce",
            json!({"retryPolicy": {"initialInterval": "100ms"}}),
        ),
    ]);
    let flags = ["-o", "jsonl", "--wait"];
    let running = Binary::apply(manifest, &server.address, &flags).spawn();
    for name in ["released", "canceled", "terminated"] {
        server.wait_for_workflow(&id(name));
    }
    server.release(&id("released"), r#"{"paid": 12.50}"#);
    server.temporal_stdout(&["workflow", "cancel", "-w", &id("canceled")]);
    server.terminate(&[id("terminated")]);
    let finished = running.finish().expect_code(7);

    let events = events(&finished.stdout);
    let end = |name: &str| {
        let mut ends = of_kind(&events, "workflowEnded").filter(|it| it["workflowId"] == id(name));
        let end = ends.next().unwrap_or_else(|| panic!("no end of {name}"));
        assert!(ends.next().is_none(), "{name} ends once");
        assert!(
            end["workflow"]["closeTime"].is_string(),
            "{name} ended at some time"
        );
        end
    };
    let run_of = |name: &str| {
        let mut starts = of_kind(&events, "startFinished");
        let start = starts.find(|it| it["workflowId"] == id(name));
        text(start.expect("it was started"), "runId").to_owned()
    };
    let ended = |name: &str| {
        let mut workflow = end(name)["workflow"].clone();
        let fields = workflow.as_object_mut().expect("an object");
        fields.remove("closeTime");
        assert!(fields.remove("at").is_some_and(|at| at.is_string()));
        workflow
    };
    assert_eq!(
        ended("completed"),
        json!({"status": "completed", "result": exact})
    );
    // Key order counts as well.
    assert_eq!(ended("completed")["result"].to_string(), exact.to_string());
    assert_eq!(
        ended("released"),
        json!({"status": "completed", "result": {"paid": 12.5}})
    );
    assert_eq!(
        ended("failed"),
        json!({"status": "failed", "failure": {
            "message": "the card was declined", "type": "CardDeclined", "cause": {
                "message": "the bank did not answer", "type": "BankSilent", "cause": {
                    "message": "connection reset by the bank", "type": "BankOffline"}}}})
    );
    assert_eq!(ended("canceled"), json!({"status": "canceled"}));
    assert_eq!(
        ended("terminated"),
        json!({"status": "terminated", "failure": {"message": "a test says so"}})
    );
    assert_eq!(ended("timed-out"), json!({"status": "timedOut"}));
    assert_eq!(
        ended("continued"),
        json!({"status": "completed", "result": "done"})
    );
    assert_eq!(
        ended("retried"),
        json!({"status": "completed", "result": {"attempt": 2}})
    );
    for (name, hops) in [("completed", 0), ("continued", 3), ("retried", 1)] {
        let last = server.follow(&id(name), &run_of(name), hops);
        assert_eq!(
            end(name)["runId"],
            last,
            "{name} is followed to its last run"
        );
    }
}

/// The events that were printed.
fn events(stdout: &str) -> Vec<Value> {
    stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("every line is JSON"))
        .collect()
}

fn of_kind<'a>(events: &'a [Value], kind: &str) -> impl Iterator<Item = &'a Value> {
    events.iter().filter(move |event| event["event"] == kind)
}

#[test]
fn existing_and_deduplicated_workflows_are_waited_for() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    let prefix = unique_id("wait");
    let (existing, deduplicated) = (format!("{prefix}-existing"), format!("{prefix}-ours"));
    let key = unique_id("key");
    let folder = Folder::new();
    let apply = |id: &str, key: &str, flags: &[&str]| {
        let manifest = folder.starts([json!({"workflowId": id, "type": "Hold",
            "taskQueue": SERVED, "idReusePolicy": "RejectDuplicate"})]);
        Binary::apply(manifest, &server.address, flags)
            .arg("--idempotency-key")
            .arg(key)
            .spawn()
    };
    apply(&existing, &unique_id("key"), &[])
        .finish()
        .expect_code(0);
    apply(&deduplicated, &key, &[]).finish().expect_code(0);
    for (id, key, outcome) in [
        (&existing, &unique_id("key"), "existing"),
        (&deduplicated, &key, "deduplicated"),
    ] {
        // First while the Workflow runs, then when it is closed.
        let mut running = apply(id, key, &["--wait", "-o", "jsonl"]);
        running.wait_for_line(&["startFinished", outcome]);
        server.release(id, r#""released""#);
        let finished = running.finish().expect_code(0);
        let events = events(&finished.stdout);
        let end = of_kind(&events, "workflowEnded").next();
        assert_eq!(
            end.expect("it was waited for")["workflow"]["result"],
            "released"
        );

        let finished = apply(id, key, &["--wait", "-o", "json"])
            .finish()
            .expect_code(0);
        let report = Report::of(&finished);
        assert_eq!(report.outcome(id), outcome);
        assert_eq!(report.start(id)["workflow"]["result"], "released");
        assert_eq!(report.workflows("completed"), 1);
    }
}

#[test]
fn hidden_results_are_in_no_output() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    let folder = Folder::new();
    for format in ["json", "jsonl", "text"] {
        let manifest = folder.starts([json!({"workflowId": unique_id("hidden"), "type": "Echo",
            "taskQueue": SERVED, "args": ["top-secret"]})]);
        let apply = |flags: &[&str]| {
            Binary::apply(&manifest, &server.address, flags)
                .run()
                .expect_code(0)
        };
        let shown = apply(&["--wait", "-o", format]);
        assert!(shown.stdout.contains("top-secret"), "{}", shown.stdout);
        let hidden = apply(&["--wait", "--hide-results", "-o", format]);
        let done = hidden.stdout.to_lowercase().contains("completed");
        assert!(done, "{}", hidden.stdout);
        let all = hidden.stdout + &hidden.stderr;
        assert!(!all.contains("top-secret"), "{all}");
    }
}

#[test]
fn a_cron_schedule_is_waited_for_its_first_run_only() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    let id = unique_id("cron");
    let folder = Folder::new();
    let manifest = folder.starts([
        json!({"workflowId": id, "type": "Echo", "taskQueue": SERVED,
        "args": [1], "cronSchedule": "@every 1s"}),
    ]);
    let flags = ["--wait", "-o", "json"];
    let finished = Binary::apply(&manifest, &server.address, &flags)
        .run()
        .expect_code(0);
    let report = Report::of(&finished);
    assert_eq!(report.outcome(&id), "started");
    assert_eq!(report.start(&id)["workflow"]["status"], "completed");
    assert_eq!(report.start(&id)["workflow"]["result"], json!([1]));
    // The schedule goes on without us.
    let first = report.run_id(&id);
    let (current, first_now) = server.current_run(&id);
    assert_ne!(current, first);
    assert_eq!(first_now, first);
    assert_eq!(
        server.status(&id, &first),
        WorkflowExecutionStatus::Completed
    );
    server.terminate(&[id]);
}

#[test]
fn a_wait_that_takes_too_long_says_what_still_runs() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    let prefix = unique_id("late");
    let folder = Folder::new();
    let manifest = folder.starts([
        json!({"workflowId": format!("{prefix}-late"), "type": "Any", "taskQueue": UNSERVED}),
        json!({"workflowId": format!("{prefix}-failed"), "type": "Fail", "taskQueue": SERVED}),
    ]);
    let flags = ["--wait", "--wait-timeout", "2s", "-o", "json"];
    let finished = Binary::apply(&manifest, &server.address, &flags)
        // Asking a last time must not take as long as a long poll.
        .time_limit(Duration::from_secs(9))
        .run()
        .expect_code(9);
    let report = Report::of(&finished);
    assert_eq!(report.count("started"), 2);
    assert_eq!(report.workflows("running"), 1);
    let late = &report.start(&format!("{prefix}-late"))["workflow"];
    assert!(late["at"].is_string(), "it was asked about a last time");
    assert_eq!(*late, json!({"status": "running", "at": late["at"]}));
}

/// Workflows that end are noticed although more than there are long polls never do.
#[test]
fn more_workflows_than_long_polls_are_waited_for() {
    const HELD: usize = 100;
    const QUICK: usize = 40;
    let Some(server) = dev_server::shared() else {
        return;
    };
    let prefix = unique_id("many");
    let folder = Folder::new();
    let held = (0..HELD).map(
        |number| json!({"workflowId": format!("{prefix}-held-{number}"), "type": "Any", "taskQueue": UNSERVED}),
    );
    let quick = (0..QUICK).map(
        |number| json!({"workflowId": format!("{prefix}-quick-{number}"), "type": "Sleep", "taskQueue": SERVED, "args": [1]}),
    );
    let manifest = folder.starts(held.chain(quick));
    let flags = ["--wait", "-o", "jsonl"];
    let mut running = Binary::apply(&manifest, &server.address, &flags).spawn();
    for number in 0..QUICK {
        running.wait_for_line(&["workflowEnded", &format!("{prefix}-quick-{number}\"")]);
    }
    running.signal("TERM");
    let finished = running.finish().expect_code(143);
    let events = events(&finished.stdout);
    let came_to = |kind: &str, status: &str| {
        of_kind(&events, kind)
            .filter(|event| event["workflow"]["status"] == status)
            .count()
    };
    assert_eq!(came_to("workflowEnded", "completed"), QUICK);
    assert_eq!(came_to("workflowOpen", "running"), HELD);
}

/// A result, as the last event of a run.
pub(crate) fn completed(result: &str) -> HistoryEvent {
    let payload = Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: result.to_owned().into(),
    };
    HistoryEvent {
        event_id: 5,
        event_type: EventType::WorkflowExecutionCompleted.into(),
        attributes: Some(Attributes::WorkflowExecutionCompletedEventAttributes(
            WorkflowExecutionCompletedEventAttributes {
                result: Some(Payloads {
                    payloads: vec![payload],
                }),
                ..Default::default()
            },
        )),
        ..HistoryEvent::default()
    }
}

pub(crate) fn history(events: Vec<HistoryEvent>) -> GetWorkflowExecutionHistoryResponse {
    GetWorkflowExecutionHistoryResponse {
        history: Some(History { events }),
        next_page_token: b"more".to_vec(),
    }
}

#[test]
fn a_long_poll_that_expires_is_repeated() {
    let fake = FakeFrontend::builder()
        .on_history(|_, number| async move {
            Ok(history(match number {
                0..3 => Vec::new(),
                _ => vec![completed("42")],
            }))
        })
        .start();
    let folder = Folder::new();
    let manifest = folder.starts([json!({"workflowId": "w", "type": "T", "taskQueue": "q"})]);
    let flags = ["--wait", "-o", "json"];
    let finished = Binary::apply(&manifest, &fake.address(), &flags)
        .run()
        .expect_code(0);
    let report = Report::of(&finished);
    assert_eq!(report.start("w")["workflow"]["result"], 42);
    let polls = fake.histories();
    assert_eq!(polls.len(), 4);
    for poll in &polls {
        let poll = &poll.message;
        assert!(poll.wait_new_event);
        assert_eq!(
            poll.history_event_filter_type(),
            HistoryEventFilterType::CloseEvent
        );
        let execution = poll.execution.as_ref().expect("a run is named");
        assert_eq!(execution.run_id, report.run_id("w"));
    }
}

#[test]
fn long_polls_are_bounded_in_number() {
    const STARTS: usize = 80;
    const LONG_POLLS: usize = 32;
    let polling = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (release, released) = tokio::sync::watch::channel(false);
    let (in_handler, most_in_handler) = (Arc::clone(&polling), Arc::clone(&most));
    let fake = FakeFrontend::builder()
        .on_describe(|_, _| async { Ok(fake_frontend::running()) })
        .on_history(move |_, _| {
            let (polling, most) = (Arc::clone(&in_handler), Arc::clone(&most_in_handler));
            let mut released = released.clone();
            async move {
                let now = polling.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                released
                    .wait_for(|released| *released)
                    .await
                    .expect("the test releases what it holds");
                polling.fetch_sub(1, Ordering::SeqCst);
                Ok(history(vec![completed("1")]))
            }
        })
        .start();
    let folder = Folder::new();
    let manifest =
        folder.starts((0..STARTS).map(
            |number| json!({"workflowId": format!("w-{number}"), "type": "T", "taskQueue": "q"}),
        ));
    let flags = ["--wait", "-o", "jsonl"];
    let mut running = Binary::apply(&manifest, &fake.address(), &flags).spawn();
    for number in 0..STARTS {
        running.wait_for_line(&["startFinished", &format!("w-{number}\"")]);
    }
    // Everything beyond the bound is asked about without a long poll meanwhile.
    fake.wait_for_describes(STARTS - LONG_POLLS);
    release.send(true).expect("the fake is there");
    let finished = running.finish().expect_code(0);
    let events = events(&finished.stdout);
    assert_eq!(of_kind(&events, "workflowEnded").count(), STARTS);
    assert_eq!(most.load(Ordering::SeqCst), LONG_POLLS);
}

/// Runs of a Workflow that holds: the first, and those that a reset of the current one or of the
/// first one makes of it.
#[test]
fn a_reset_is_followed_to_the_run_that_goes_on() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    for resets in [
        &["current"][..],
        &["current", "current"],
        &["first", "first"],
    ] {
        let id = unique_id("reset");
        let folder = Folder::new();
        let manifest =
            folder.starts([json!({"workflowId": id, "type": "Hold", "taskQueue": SERVED})]);
        let flags = ["--wait", "-o", "jsonl"];
        let running = Binary::apply(&manifest, &server.address, &flags).spawn();
        server.wait_for_workflow(&id);
        let (first, _) = server.current_run(&id);
        for reset in resets {
            let (current, _) = server.current_run(&id);
            let run = if *reset == "first" { &first } else { &current };
            poll_until("the first Workflow Task is done", || {
                let reset = server.temporal(&[
                    "workflow",
                    "reset",
                    "-w",
                    &id,
                    "-r",
                    run,
                    "-t",
                    "FirstWorkflowTask",
                    "--reason",
                    "a test says so",
                ]);
                reset.status.success().then_some(())
            });
        }
        server.release(&id, r#""released""#);
        let finished = running.finish().expect_code(0);
        let events = events(&finished.stdout);
        let end = of_kind(&events, "workflowEnded").next();
        let end = end.expect("it was waited for");
        assert_eq!(end["workflow"]["result"], "released", "{resets:?}");
        assert_eq!(end["runId"], server.current_run(&id).0, "{resets:?}");
    }
}
