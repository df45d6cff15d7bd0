//! What a start comes to when answers are lost, denied, empty or late: never a false outcome.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use temporal_manifest::client::api::temporal::api::errordetails::v1::{
    NamespaceNotActiveFailure, NamespaceNotFoundFailure,
};
use temporal_manifest::client::api::temporal::api::workflowservice::v1::{
    StartWorkflowExecutionRequest, StartWorkflowExecutionResponse,
    TerminateWorkflowExecutionResponse,
};
use tonic::{Code, Status};

use crate::support::binary::{Binary, Finished, Folder};
use crate::support::fake_frontend::{self, FakeFrontend, already_started, refusal};
use crate::support::report::{Report, text};

/// Applies starts with these Workflow IDs, which replace what runs.
fn apply(fake: &FakeFrontend, ids: &[&str], flags: &[&str]) -> Finished {
    let folder = Folder::new();
    let manifest = folder.starts(ids.iter().map(|id| {
        json!({"workflowId": id, "type": "T", "taskQueue": "q",
               "idConflictPolicy": "TerminateExisting"})
    }));
    let flags = [&["-o", "json"], flags].concat();
    Binary::apply(manifest, &fake.address(), &flags).run()
}

fn error(report: &Report, id: &str) -> Value {
    report.start(id)["error"].clone()
}

/// Every way in which a second attempt can be refused for good, and the exit code it ends with.
fn refusals() -> Vec<(Status, i32)> {
    let not_found = NamespaceNotFoundFailure {
        namespace: "default".to_owned(),
    };
    let not_active = NamespaceNotActiveFailure {
        namespace: "default".to_owned(),
        current_cluster: "a".to_owned(),
        active_cluster: "b".to_owned(),
    };
    vec![
        (Status::permission_denied("Request unauthorized."), 5),
        (Status::unauthenticated("the token has expired"), 5),
        (Status::not_found("not here"), 6),
        (Status::invalid_argument("no such attribute"), 6),
        (Status::failed_precondition("no such version"), 6),
        (refusal(Code::NotFound, "gone", &not_found), 5),
        (refusal(Code::FailedPrecondition, "moved", &not_active), 5),
    ]
}

#[test]
fn a_refusal_after_a_lost_answer_is_no_failure() {
    for (status, code) in refusals() {
        for flags in [&[][..], &["--idempotency-key", "k"]] {
            let status_again = status.clone();
            let fake = FakeFrontend::builder()
                .on_start(move |_, number| {
                    let answer = match number {
                        // It was carried out, and the answer did not come through.
                        0 => Status::unavailable("the answer is lost"),
                        _ => status_again.clone(),
                    };
                    async { Err(answer) }
                })
                .start();
            let finished = apply(&fake, &["w"], flags).expect_code(code);
            let report = Report::of(&finished);
            assert_eq!(report.outcome("w"), "unknown", "{status}");
            let error = error(&report, "w");
            assert_eq!(error["retryable"], true, "{status}");
            let message = text(&error, "message");
            assert!(message.contains("repeat with the same key"), "{message}");
            assert!(message.contains(status.message()), "{message}");
        }
    }
}

#[test]
fn a_refusal_without_an_earlier_attempt_is_a_failure() {
    let fake = FakeFrontend::builder()
        .on_start(|_, number| async move {
            match number {
                // Nothing was carried out.
                0 => Err(Status::resource_exhausted("too fast")),
                _ => Err(Status::invalid_argument("no such attribute")),
            }
        })
        .start();
    let report = Report::of(&apply(&fake, &["w"], &[]).expect_code(4));
    assert_eq!(report.outcome("w"), "failed");
    assert_eq!(error(&report, "w")["retryable"], false);
}

/// Only describing is denied: what cannot be told is unknown, and the other starts are made.
#[test]
fn a_run_that_may_not_be_looked_at_stops_nothing() {
    let fake = FakeFrontend::builder()
        .on_start(|request, _| async move {
            match request.workflow_id.as_str() {
                "chain" => Err(already_started("the service's own", "third", "first")),
                _ => Ok(fake_frontend::started()),
            }
        })
        .on_describe(|_, _| async { Err(Status::permission_denied("Request unauthorized.")) })
        .start();
    let flags = ["--idempotency-key", "k", "--parallelism", "1"];
    let finished = apply(&fake, &["chain", "a", "b"], &flags).expect_code(6);
    let report = Report::of(&finished);
    assert_eq!(report.outcome("chain"), "unknown");
    assert_eq!(report.count("started"), 2);
    assert!(report.document()["stopped"].is_null());
    let error = error(&report, "chain");
    assert_eq!(error["reason"], "permissionDenied");
    assert!(text(&error, "message").contains("cannot tell whether the run third"));
}

/// An answer that names no run, and another message's, say nothing.
#[test]
fn an_answer_without_a_run_is_no_answer() {
    let empty = StartWorkflowExecutionResponse::default();
    let nameless = StartWorkflowExecutionResponse {
        started: true,
        ..empty.clone()
    };
    // The answer to another call: its first field is a text too.
    let other = StartWorkflowExecutionResponse {
        run_id: "1.32.0".to_owned(),
        ..empty.clone()
    };
    for answer in [empty, nameless, other] {
        let fake = FakeFrontend::builder()
            .on_start(move |_, _| {
                let answer = answer.clone();
                async { Ok(answer) }
            })
            .start();
        let finished = apply(&fake, &["w"], &["--retry-for", "1s"]).expect_code(6);
        assert_eq!(Report::of(&finished).outcome("w"), "unknown");
    }
}

/// Before 1.25 the service did not say whether a request began the run.
#[test]
fn an_old_service_is_known_by_its_version() {
    for (version, code, outcome) in [("1.24.3", 0, "started"), ("1.25.0", 6, "unknown")] {
        let fake = FakeFrontend::builder()
            .on_system_info(move |_, _| async move {
                let mut info = fake_frontend::system_info();
                info.server_version = version.to_owned();
                Ok(info)
            })
            .on_start(|_, _| async {
                Ok(StartWorkflowExecutionResponse {
                    started: false,
                    ..fake_frontend::started()
                })
            })
            .start();
        let finished = apply(&fake, &["w"], &["--retry-for", "1s"]).expect_code(code);
        assert_eq!(Report::of(&finished).outcome("w"), outcome, "{version}");
    }
}

/// A service whose clock is another one by any amount.
#[test]
fn no_clock_decides_an_outcome() {
    for hours_off in [-24, -1, 0, 1, 24] {
        let owner: Arc<Mutex<Option<String>>> = Arc::default();
        let owners = Arc::clone(&owner);
        let fake = FakeFrontend::builder()
            .on_start(move |request, _| {
                let mut owner = owners.lock().expect("no holder of the lock panics");
                let answer = match &*owner {
                    Some(owner) if *owner != request.request_id => {
                        Err(already_started(owner, "run", "run"))
                    }
                    _ => Ok(fake_frontend::started()),
                };
                owner.get_or_insert(request.request_id);
                async { answer }
            })
            .on_history(move |_, _| async move {
                let mut history = fake_frontend::began_by("nightly@ci");
                let event = history
                    .history
                    .as_mut()
                    .and_then(|it| it.events.first_mut());
                let time = event.and_then(|event| event.event_time.as_mut());
                time.expect("the first event has a time").seconds += hours_off * 3_600;
                Ok(history)
            })
            .start();
        let flags = ["--idempotency-key", "k", "--identity", "nightly@ci"];
        for outcome in ["started", "deduplicated", "deduplicated"] {
            let report = Report::of(&apply(&fake, &["w"], &flags).expect_code(0));
            assert_eq!(report.outcome("w"), outcome, "{hours_off} h off");
        }
    }
}

/// Two applies under one key over the run of somebody else. While the second one waits for its
/// turn or its answer, the first one's run begins and continues as new.
#[test]
fn a_chain_that_began_meanwhile_is_left_alone() {
    let requests: Arc<Mutex<Vec<StartWorkflowExecutionRequest>>> = Arc::default();
    let seen = Arc::clone(&requests);
    let fake = FakeFrontend::builder()
        .on_start(move |request, _| {
            let mut seen = seen.lock().expect("no holder of the lock panics");
            seen.push(request.clone());
            let answer = match seen.len() {
                1 => Err(already_started("somebody else", "foreign", "foreign")),
                // The other apply's chain has the Workflow ID by now; its current run has a request
                // ID of the service's own. A request that replaces what runs would end it.
                _ if request
                    .workflow_id_conflict_policy()
                    .as_str_name()
                    .ends_with("_FAIL") =>
                {
                    Err(already_started("the service's own", "ours-2", "ours-1"))
                }
                _ => Ok(fake_frontend::started()),
            };
            async { answer }
        })
        .on_describe(move |request, _| {
            let run = request.execution.unwrap_or_default().run_id;
            let first = requests.lock().expect("no holder of the lock panics")[0].clone();
            async move {
                assert_eq!(run, "ours-1");
                let key = first.request_id.split('/').next().unwrap_or_default();
                Ok(fake_frontend::begun_by_request(key))
            }
        })
        // The foreign chain is not the one that has the Workflow ID.
        .on_terminate(|_, _| async { Err(Status::not_found("workflow execution not found")) })
        .start();
    let report = Report::of(&apply(&fake, &["w"], &["--idempotency-key", "k"]).expect_code(0));
    assert_eq!(report.outcome("w"), "deduplicated");
    assert_eq!(report.run_id("w"), "ours-2");
    let terminated: Vec<_> = (fake.terminations().into_iter())
        .map(|call| call.message.first_execution_run_id)
        .collect();
    assert_eq!(terminated, ["foreign"]);
}

/// Replacing a run is two calls, and the first one may be denied: then one request does both.
#[test]
fn a_run_is_replaced_where_terminating_is_denied() {
    for (denied, calls) in [(false, 2), (true, 3)] {
        let fake = FakeFrontend::builder()
            .on_start(move |request, _| async move {
                let ends = request.workflow_id_conflict_policy().as_str_name();
                let may_begin = request.request_id.len() == 32
                    && (!denied || ends.ends_with("TERMINATE_EXISTING"));
                match may_begin {
                    true => Ok(fake_frontend::started()),
                    false => Err(already_started("somebody else", "foreign", "foreign")),
                }
            })
            .on_terminate(move |_, _| async move {
                match denied {
                    true => Err(Status::permission_denied("Request unauthorized.")),
                    false => Ok(TerminateWorkflowExecutionResponse {}),
                }
            })
            .start();
        let report = Report::of(&apply(&fake, &["w"], &[]).expect_code(0));
        assert_eq!(report.outcome("w"), "started", "{denied}");
        assert_eq!(fake.start_count(), calls, "{denied}");
        assert_eq!(fake.terminations().len(), 1, "{denied}");
    }
}

/// A run was ended for a start that is then refused: not a word of `failed`.
#[test]
fn a_run_that_was_ended_in_vain_is_told() {
    let fake = FakeFrontend::builder()
        .on_start(|request, _| async move {
            match request.request_id.len() {
                32 => Err(Status::permission_denied("the token has expired")),
                _ => Err(already_started("somebody else", "foreign", "foreign")),
            }
        })
        .on_terminate(|_, _| async { Ok(TerminateWorkflowExecutionResponse {}) })
        .start();
    let report = Report::of(&apply(&fake, &["w"], &[]).expect_code(5));
    assert_eq!(report.outcome("w"), "unknown");
    let error = error(&report, "w");
    let message = text(&error, "message");
    assert!(
        message.contains("the run foreign was told to end"),
        "{message}"
    );
}

/// Other clients begin and end runs all the time. That is no silence of the service.
#[test]
fn a_contended_workflow_id_stops_no_other_start() {
    let fake = FakeFrontend::builder()
        .on_start(|request, number| async move {
            let run = format!("run-{number}");
            match request.workflow_id.as_str() {
                "contended" => Err(already_started("somebody else", &run, &run)),
                _ => Ok(fake_frontend::started()),
            }
        })
        .on_terminate(|_, _| async { Err(Status::not_found("workflow execution not found")) })
        .start();
    let flags = ["--retry-for", "1s", "--parallelism", "1"];
    let finished = apply(&fake, &["contended", "a"], &flags).expect_code(6);
    let report = Report::of(&finished);
    assert_eq!(report.outcome("contended"), "unknown");
    assert_eq!(error(&report, "contended")["reason"], "contended");
    assert_eq!(report.outcome("a"), "started");
    assert!(report.document()["stopped"].is_null());
}
