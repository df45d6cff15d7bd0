//! What a start comes to when answers are lost, denied, empty or late: today, false outcomes.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use temporal_manifest::client::api::temporal::api::enums::v1::EventType;
use temporal_manifest::client::api::temporal::api::errordetails::v1::{
    NamespaceNotActiveFailure, NamespaceNotFoundFailure,
};
use temporal_manifest::client::api::temporal::api::workflow::v1::{
    RequestIdInfo, WorkflowExecutionExtendedInfo,
};
use temporal_manifest::client::api::temporal::api::workflowservice::v1::{
    DescribeWorkflowExecutionResponse, StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
};
use tonic::{Code, Status};

use crate::support::binary::{Binary, Finished, Folder};
use crate::support::fake_frontend::{self, FakeFrontend, already_started, refusal};
use crate::support::report::Report;

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
        (Status::not_found("not here"), 4),
        (Status::invalid_argument("no such attribute"), 4),
        (Status::failed_precondition("no such version"), 4),
        (refusal(Code::NotFound, "gone", &not_found), 5),
        (refusal(Code::FailedPrecondition, "moved", &not_active), 5),
    ]
}

#[test]
fn a_refusal_after_a_lost_answer_counts_as_a_failure() {
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
            assert_eq!(report.outcome("w"), "failed", "{status}");
            let error = error(&report, "w");
            assert_eq!(error["retryable"], false, "{status}");
            assert_eq!(error["message"], status.message());
        }
    }
}

/// Only describing is denied, and yet no further start is made.
#[test]
fn a_run_that_may_not_be_looked_at_stops_the_apply() {
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
    let finished = apply(&fake, &["chain", "a", "b"], &flags).expect_code(5);
    let report = Report::of(&finished);
    assert_eq!(report.outcome("chain"), "failed");
    assert_eq!(report.count("skipped"), 2);
    assert_eq!(report.document()["stopped"]["by"], "refusal");
    let error = error(&report, "chain");
    assert_eq!(error["reason"], "permissionDenied");
}

/// An answer that names no run, and another message's, count as runs.
#[test]
fn an_answer_without_a_run_counts_as_one() {
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
    for (answer, outcome) in [
        (empty, "existing"),
        (nameless, "started"),
        (other, "existing"),
    ] {
        let fake = FakeFrontend::builder()
            .on_start(move |_, _| {
                let answer = answer.clone();
                async { Ok(answer) }
            })
            .start();
        let finished = apply(&fake, &["w"], &[]).expect_code(0);
        assert_eq!(Report::of(&finished).outcome("w"), outcome);
    }
}

/// A service whose clock is another one by any amount.
#[test]
fn clocks_decide_outcomes() {
    for (hours_off, first, second) in [
        (-24, "deduplicated", "deduplicated"),
        (1, "started", "started"),
    ] {
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
        for outcome in [first, second] {
            let report = Report::of(&apply(&fake, &["w"], &flags).expect_code(0));
            assert_eq!(report.outcome("w"), outcome, "{hours_off} h off");
        }
    }
}

/// Two applies under one key over the run of somebody else. While the second one waits for its
/// turn or its answer, the first one's run begins and continues as new.
#[test]
fn a_chain_that_began_meanwhile_is_ended() {
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
                if run != "ours-1" {
                    return Err(Status::not_found("workflow not found"));
                }
                Ok(begun_by_request(&first.request_id))
            }
        })
        .start();
    let report = Report::of(&apply(&fake, &["w"], &["--idempotency-key", "k"]).expect_code(0));
    assert_eq!(report.outcome("w"), "started");
}

/// The description of a run that a request began and that has not ended.
fn begun_by_request(request_id: &str) -> DescribeWorkflowExecutionResponse {
    let info = RequestIdInfo {
        event_type: EventType::WorkflowExecutionStarted.into(),
        event_id: 1,
        buffered: false,
    };
    DescribeWorkflowExecutionResponse {
        workflow_extended_info: Some(WorkflowExecutionExtendedInfo {
            request_id_infos: [(request_id.to_owned(), info)].into(),
        }),
        ..fake_frontend::running()
    }
}
