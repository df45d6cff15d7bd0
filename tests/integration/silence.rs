//! A service that stops answering, and Task Queues that nobody polls: told, bounded, and unknown.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use temporal_manifest::client::api::temporal::api::history::v1::HistoryEvent;
use temporal_manifest::client::api::temporal::api::history::v1::WorkflowExecutionContinuedAsNewEventAttributes;
use temporal_manifest::client::api::temporal::api::history::v1::history_event::Attributes;

use crate::faults::ON_A_TERMINAL;
use crate::support::binary::{Binary, Folder};
use crate::support::dev_server;
use crate::support::fake_frontend::{self, FakeFrontend};
use crate::support::{UNSERVED, unique_id};
use crate::waiting::{completed, history};

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
fn a_service_that_dies_while_it_is_waited_for_is_told_and_given_up() {
    let fake = endless();
    let folder = Folder::new();
    let manifest =
        folder.starts((0..60).map(
            |number| json!({"workflowId": format!("w-{number}"), "type": "T", "taskQueue": "q"}),
        ));
    let flags = ["-o", "jsonl", "--wait", "--retry-for", "7s"];
    let mut running = Binary::apply(&manifest, &fake.address(), &flags).spawn();
    for number in 0..60 {
        running.wait_for_line(&["startFinished", &format!("w-{number}\"")]);
    }
    drop(fake);
    let finished = running
        .finish_within(Duration::from_secs(30))
        .expect_code(6);
    let told = " s, trying again: UNAVAILABLE: 127.0.0.1:";
    assert!(finished.stderr.contains(told), "{}", finished.stderr);
    let events = events(&finished.stdout);
    let missed = events.iter().find(|it| it["event"] == "answersMissed");
    let error = &missed.expect("an event says so")["error"];
    assert_eq!(error["reason"], "connectionLost");
    let open: Vec<_> = (events.iter())
        .filter(|it| it["event"] == "workflowOpen")
        .collect();
    assert_eq!(open.len(), 60);
    for open in open {
        assert_eq!(open["workflow"]["status"], "unknown");
        assert_eq!(open["workflow"]["failure"]["type"], "UNAVAILABLE");
    }
    let last = events.last().expect("there are events");
    assert_eq!(last["summary"]["workflows"]["unknown"], 60);
}

/// It is unknown, whatever ends the waiting.
#[test]
fn what_nobody_could_be_asked_about_is_unknown() {
    for (flag, code) in [
        ("--wait-timeout", 6),
        ("--command-timeout", 6),
        ("INT", 130),
    ] {
        let fake = endless();
        let folder = Folder::new();
        let manifest = folder.starts([json!({"workflowId": "w", "type": "T", "taskQueue": "q"})]);
        let mut flags = vec!["-o", "jsonl", "--wait"];
        if flag.starts_with("--") {
            flags.extend([flag, "12s"]);
        }
        let mut running = Binary::apply(&manifest, &fake.address(), &flags).spawn();
        running.wait_for_line(&["startFinished"]);
        drop(fake);
        running.wait_for_line(&["answersMissed"]);
        if code == 130 {
            running.signal(flag);
        }
        let finished = running.finish().expect_code(code);
        let events = events(&finished.stdout);
        let open = events.iter().find(|it| it["event"] == "workflowOpen");
        let status = &open.expect("it has not ended")["workflow"]["status"];
        assert_eq!(status, "unknown", "{flag}");
    }
}

#[test]
fn a_service_that_comes_back_is_told() {
    let fake = endless();
    let folder = Folder::new();
    let manifest = folder.starts([json!({"workflowId": "w", "type": "T", "taskQueue": "q"})]);
    let flags = ["-o", "jsonl", "--wait"];
    let mut running = Binary::apply(&manifest, &fake.address(), &flags).spawn();
    running.wait_for_line(&["startFinished"]);
    let port = fake.port();
    drop(fake);
    running.wait_for_line(&["answersMissed"]);
    let _back = FakeFrontend::builder()
        .port(port)
        .on_describe(|_, _| async { Ok(fake_frontend::running()) })
        .on_history(|_, number| async move {
            match number {
                0 => std::future::pending().await,
                _ => Ok(history(vec![completed("1")])),
            }
        })
        .start();
    running.wait_for_line(&["answersResumed"]);
    running.signal("INT");
    let finished = running.finish().expect_code(130);
    let again = "the service answers again, after ";
    assert!(finished.stderr.contains(again), "{}", finished.stderr);
    assert!(
        finished.stdout.contains("\"status\":\"running\""),
        "{}",
        finished.stdout
    );
}

/// A service that answers no start.
fn silent() -> FakeFrontend {
    FakeFrontend::builder()
        .on_start(|_, _| std::future::pending())
        .start()
}

#[test]
fn a_service_that_answers_no_start_is_told() {
    let fake = silent();
    let folder = Folder::new();
    let manifest = folder.starts([json!({"workflowId": "w", "type": "T", "taskQueue": "q"})]);
    let flags = ["-o", "jsonl", "--retry-for", "8s"];
    let finished = Binary::apply(&manifest, &fake.address(), &flags)
        .run()
        .expect_code(6);
    let told = finished.stderr.matches("no answer for ").count();
    assert_eq!(told, 1, "{}", finished.stderr);
}

#[test]
fn a_silent_service_is_told_on_a_terminal() {
    let Some(python) = dev_server::python() else {
        return;
    };
    let fake = silent();
    let folder = Folder::new();
    let manifest = folder.starts([json!({"workflowId": "w", "type": "T", "taskQueue": "q"})]);
    let output = Command::new(python)
        .arg("-c")
        .arg(ON_A_TERMINAL)
        .arg(folder.path().join("out"))
        .arg(env!("CARGO_BIN_EXE_temporal-manifest"))
        .args(["apply", "--retry-for", "9s", "--address"])
        .arg(fake.address())
        .arg(manifest)
        .env_clear()
        .env("HOME", folder.path())
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .output()
        .expect("Python can be run");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains(" s, trying again; 0/1 starts"), "{shown:?}");
}

/// One call in flight answers nothing, and all others do: nobody is told of a silence.
#[test]
fn a_service_that_answers_others_is_not_silent() {
    let fake = FakeFrontend::builder()
        .on_start(|request, _| async move {
            if request.workflow_id == "w-0" {
                return std::future::pending().await;
            }
            Ok(fake_frontend::started())
        })
        .start();
    let folder = Folder::new();
    let manifest =
        folder.starts((0..40).map(
            |number| json!({"workflowId": format!("w-{number}"), "type": "T", "taskQueue": "q"}),
        ));
    let flags = ["-o", "jsonl", "--retry-for", "8s", "--rate", "5"];
    let finished = Binary::apply(&manifest, &fake.address(), &flags)
        .run()
        .expect_code(6);
    assert!(
        !finished.stdout.contains("answersMissed"),
        "{}",
        finished.stdout
    );
}

#[test]
fn a_task_queue_without_a_worker_is_told_once() {
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
    let told = format!("no Worker polls the Task Queue `{queue}`, in which 3 Workflows wait");
    assert_eq!(
        finished.stderr.matches(&told).count(),
        1,
        "{}",
        finished.stderr
    );
    assert!(
        finished.stderr.contains("help: start a Worker"),
        "{}",
        finished.stderr
    );
}

#[test]
fn every_task_queue_without_a_worker_is_an_event() {
    let fake = FakeFrontend::builder()
        .unserved()
        .on_describe(|_, _| async { Ok(fake_frontend::running()) })
        .on_history(|_, _| std::future::pending())
        .start();
    let folder = Folder::new();
    let manifest = folder.starts((0..4).map(
        |number| json!({"workflowId": format!("w-{number}"), "type": "T", "taskQueue": format!("q-{}", number % 2)}),
    ));
    let flags = ["-o", "jsonl", "--wait"];
    let mut running = Binary::apply(&manifest, &fake.address(), &flags).spawn();
    running.wait_for_line(&["queueUnserved", "\"q-0\"", "\"workflows\":2"]);
    running.wait_for_line(&["queueUnserved", "\"q-1\"", "\"workflows\":2"]);
    running.signal("TERM");
    let finished = running.finish().expect_code(143);
    assert_eq!(finished.stdout.matches("queueUnserved").count(), 2);
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
fn runs_that_continue_in_a_circle_are_followed_once() {
    let fake = FakeFrontend::builder()
        .on_history(|request, _| async move {
            let run = request.execution.unwrap_or_default().run_id;
            let next = if run == "a" { "b" } else { "a" };
            Ok(history(vec![continued(next)]))
        })
        .start();
    let folder = Folder::new();
    let manifest = folder.starts([json!({"workflowId": "w", "type": "T", "taskQueue": "q"})]);
    let flags = ["-o", "jsonl", "--wait"];
    let finished = Binary::apply(&manifest, &fake.address(), &flags)
        .run()
        .expect_code(6);
    let calls = fake.histories().len();
    assert!(calls < 10, "{calls}");
    assert!(
        finished.stdout.contains("continue in a circle"),
        "{}",
        finished.stdout
    );
}

/// A long poll that is answered at once with nothing is not asked again all the time.
#[test]
fn long_polls_that_are_not_held_are_paced() {
    let fake = FakeFrontend::builder()
        .on_describe(|_, _| async { Ok(fake_frontend::running()) })
        .on_history(|_, _| async { Ok(history(Vec::new())) })
        .start();
    let folder = Folder::new();
    let manifest = folder.starts([json!({"workflowId": "w", "type": "T", "taskQueue": "q"})]);
    let flags = ["--wait", "--wait-timeout", "3s"];
    Binary::apply(&manifest, &fake.address(), &flags)
        .run()
        .expect_code(9);
    let calls = fake.histories().len();
    assert!(calls < 20, "{calls}");
}
