//! The same apply again: nothing starts twice, whatever became of the Workflows in between.

use serde_json::{Value, json};
use temporal_manifest::client::api::temporal::api::enums::v1::WorkflowExecutionStatus as Status;
use temporal_manifest::client::api::temporal::api::workflowservice::v1::StartWorkflowExecutionResponse;

use crate::support::binary::{Binary, Folder};
use crate::support::dev_server::{self, SharedServer};
use crate::support::fake_frontend::{self, FakeFrontend};
use crate::support::report::{Report, text};
use crate::support::{SERVED, UNSERVED, unique_id};

const KEY_VARIABLE: &str = "TEMPORAL_MANIFEST_IDEMPOTENCY_KEY";

/// A Workflow that is started more than once, and its way to the run that is repeated on.
#[derive(Clone, Copy)]
struct Case {
    workflow_type: &'static str,
    argument: &'static str,
    /// How often the run is continued as new or retried.
    hops: usize,
    closed: bool,
    conflict: Option<&'static str>,
}

/// A plain run, a continue-as-new chain and a retried Workflow, each running and closed.
const CHAINS: [(&str, &str, usize, bool); 6] = [
    ("Hold", "null", 0, false),
    ("Echo", "null", 0, true),
    ("ContinueAsNew", r#"{"times": 2, "hold": true}"#, 2, false),
    ("ContinueAsNew", r#"{"times": 2}"#, 2, true),
    ("FailOnce", r#"{"hold": true}"#, 1, false),
    ("FailOnce", "{}", 1, true),
];

/// Each chain under policies that would let a second one begin.
fn cases() -> Vec<Case> {
    let policies = [None, Some("TerminateExisting")];
    CHAINS
        .iter()
        .flat_map(|&(workflow_type, argument, hops, closed)| {
            policies.map(|conflict| Case {
                workflow_type,
                argument,
                hops,
                closed,
                conflict,
            })
        })
        .collect()
}

/// The cases on a server, after their first apply.
struct Applied {
    server: SharedServer,
    folder: Folder,
    cases: Vec<(Case, String)>,
    /// First and current run of each.
    runs: Vec<(String, String)>,
}

impl Applied {
    /// Applies every case, and waits until each has reached the run it is to be repeated on.
    fn new(server: SharedServer, first: impl FnOnce(Binary) -> Binary) -> Self {
        let prefix = unique_id("repeat");
        let cases: Vec<(Case, String)> = (cases().into_iter().enumerate())
            .map(|(number, case)| (case, format!("{prefix}-{number}")))
            .collect();
        let mut applied = Applied {
            server,
            folder: Folder::new(),
            cases,
            runs: Vec::new(),
        };
        let report = applied.apply(first);
        assert_eq!(report.count("started"), applied.cases.len() as u64);
        for (case, id) in &applied.cases {
            let first = report.run_id(id);
            let current = applied.server.follow(id, &first, case.hops);
            if case.closed {
                applied.server.close_event(id, &current);
            }
            applied.runs.push((first, current));
        }
        applied
    }

    fn apply(&self, more: impl FnOnce(Binary) -> Binary) -> Report {
        let manifest = self.folder.starts(self.cases.iter().map(|(case, id)| {
            let argument: Value = serde_json::from_str(case.argument).expect("JSON");
            json!({"workflowId": id, "type": case.workflow_type, "taskQueue": SERVED,
                   "args": [argument], "idReusePolicy": "AllowDuplicate",
                   "idConflictPolicy": case.conflict,
                   "retryPolicy": {"initialInterval": "100ms", "maximumAttempts": 3}})
        }));
        let binary = Binary::apply(manifest, &self.server.address, &["-o", "json"]);
        Report::of(&more(binary).run().expect_code(0))
    }

    /// A repeat has found all of its own, and has changed nothing.
    fn expect_deduplicated(&self, report: &Report) {
        assert_eq!(report.count("deduplicated"), self.cases.len() as u64);
        assert_eq!(report.count("started"), 0);
        self.expect_one_chain_each(report);
    }

    /// Every report names the chain that the first apply began, and it is still the only one: a
    /// later one would have the Workflow ID now.
    fn expect_one_chain_each(&self, report: &Report) {
        for ((case, id), (first, current)) in self.cases.iter().zip(&self.runs) {
            let row = format!(
                "{}, closed: {}, {:?}",
                case.workflow_type, case.closed, case.conflict
            );
            let start = report.start(id);
            // The first run is told only where it is another one.
            let reported = start["firstRunId"].as_str().unwrap_or(text(start, "runId"));
            assert_eq!(reported, first, "{row}");
            let (now, first_now) = self.server.current_run(id);
            assert_eq!((&now, &first_now), (current, first), "{row}");
            let status = if case.closed {
                Status::Completed
            } else {
                Status::Running
            };
            assert_eq!(self.server.status(id, current), status, "{row}");
        }
    }
}

#[test]
fn a_repeat_with_the_same_key_starts_and_ends_nothing() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    let key = unique_id("key");
    let by_flag = |binary: Binary| binary.arg("--idempotency-key").arg(&key);
    let applied = Applied::new(server, by_flag);
    applied.expect_deduplicated(&applied.apply(by_flag));
    // The variable means the same, and a third time changes nothing either.
    applied.expect_deduplicated(&applied.apply(|binary| binary.env(KEY_VARIABLE, &key)));
}

/// Nothing rests on the identity that the default client has.
#[test]
fn a_repeat_under_an_identity_of_the_users_is_recognised_too() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    let key = unique_id("key");
    let with_identity = |binary: Binary| {
        binary
            .env(KEY_VARIABLE, &key)
            .arg("--identity")
            .arg("nightly@ci")
    };
    let applied = Applied::new(server, with_identity);
    applied.expect_deduplicated(&applied.apply(with_identity));
}

#[test]
fn another_key_starts_anew() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    let key = |binary: Binary| binary.env(KEY_VARIABLE, unique_id("key"));
    let applied = Applied::new(server, key);
    let report = applied.apply(key);
    assert_eq!(report.count("deduplicated"), 0);
    for ((case, id), (first, current)) in applied.cases.iter().zip(&applied.runs) {
        let row = format!(
            "{}, closed: {}, {:?}",
            case.workflow_type, case.closed, case.conflict
        );
        let (now, first_now) = applied.server.current_run(id);
        if !case.closed && case.conflict.is_none() {
            assert_eq!(report.outcome(id), "existing", "{row}");
            assert_eq!((&now, &first_now), (current, first), "{row}");
            continue;
        }
        assert_eq!(report.outcome(id), "started", "{row}");
        assert_eq!(first_now, report.run_id(id), "{row}");
        assert_ne!(first_now, *first, "{row}");
        let old = if case.closed {
            Status::Completed
        } else {
            Status::Terminated
        };
        assert_eq!(applied.server.status(id, current), old, "{row}");
    }
}

/// A request ID that was attached to somebody else's run did not begin it.
#[test]
fn a_start_that_was_attached_stays_existing() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    let id = unique_id("attached");
    let key = unique_id("key");
    let folder = Folder::new();
    let apply = |start: Value, key: &str| {
        let flags = ["-o", "json", "--idempotency-key", key];
        let finished = Binary::apply(folder.starts([start]), &server.address, &flags).run();
        Report::of(&finished.expect_code(0))
    };
    let foreign = json!({"workflowId": id, "type": "Any", "taskQueue": UNSERVED});
    let run_id = apply(foreign, &unique_id("key")).run_id(&id);

    let attaching = json!({"workflowId": id, "type": "Any", "taskQueue": UNSERVED,
                           "idConflictPolicy": "UseExisting",
                           "onConflict": {"attachRequestId": true}});
    for _ in 0..2 {
        let report = apply(attaching.clone(), &key);
        assert_eq!(report.outcome(&id), "existing");
        assert_eq!(report.start(&id)["existingState"], "running");
        assert_eq!(report.run_id(&id), run_id);
    }
    // Otherwise the repeats would not have been put to the test.
    let attached = server.describe(&id, &run_id).workflow_extended_info;
    assert_eq!(attached.unwrap_or_default().request_id_infos.len(), 2);

    // When that run is closed, the repeat does not begin another one in its place.
    server.terminate(std::slice::from_ref(&id));
    let report = apply(attaching, &key);
    assert_eq!(report.outcome(&id), "existing");
    assert_eq!(report.start(&id)["existingState"], "closed");
    assert_eq!(report.run_id(&id), run_id);
    assert_eq!(server.current_run(&id).0, run_id);
}

#[test]
fn a_request_id_depends_on_key_namespace_and_workflow_id_alone() {
    let fake = FakeFrontend::healthy();
    let folder = Folder::new();
    let request_ids = |ids: &[&str], workflow_type: &str, key: Option<&str>, namespace: &str| {
        let manifest = folder.starts(
            ids.iter()
                .map(|id| json!({"workflowId": id, "type": workflow_type, "taskQueue": "q"})),
        );
        let mut binary = Binary::apply(manifest, &fake.address(), &["-o", "json", "-n", namespace]);
        if let Some(key) = key {
            binary = binary.arg("--idempotency-key").arg(key);
        }
        let report = Report::of(&binary.run().expect_code(0));
        ids.iter()
            .map(|id| text(report.start(id), "requestId").to_owned())
            .collect::<Vec<_>>()
    };
    let all = request_ids(&["a", "b"], "T", Some("k"), "default");
    assert_eq!(request_ids(&["b", "a"], "U", Some("k"), "default"), {
        let mut swapped = all.clone();
        swapped.reverse();
        swapped
    });
    let different = [
        all.clone(),
        request_ids(&["a", "b"], "T", Some("l"), "default"),
        request_ids(&["a", "b"], "T", Some("k"), "other"),
        request_ids(&["a", "b"], "T", None, "default"),
        request_ids(&["a", "b"], "T", None, "default"),
    ];
    let distinct: std::collections::HashSet<String> = different.into_iter().flatten().collect();
    assert_eq!(distinct.len(), 10);
    // All of them are UUIDs, version 5.
    for id in distinct {
        let uuid = uuid::Uuid::parse_str(&id).expect("a request ID is a UUID");
        assert_eq!(uuid.get_version_num(), 5);
    }
}

/// One apply under a key, on a fake that answers the probe like this. `K` stands for the part of a
/// request ID that depends on the key.
fn apply_once(answer: fn(&str) -> Result<bool, String>) -> (Report, FakeFrontend) {
    let fake = FakeFrontend::builder()
        .on_start(move |request, _| async move {
            let key = request.request_id.split('/').next().unwrap_or_default();
            match answer(key) {
                Ok(began) => Ok(StartWorkflowExecutionResponse {
                    started: began,
                    ..fake_frontend::started()
                }),
                Err(owner) => Err(fake_frontend::already_started(&owner, "run", "run")),
            }
        })
        .start();
    let folder = Folder::new();
    let manifest = folder.starts([json!({"workflowId": "w", "type": "T", "taskQueue": "q"})]);
    let flags = ["-o", "json", "--idempotency-key", "k"];
    let finished = Binary::apply(manifest, &fake.address(), &flags).run();
    (Report::of(&finished.expect_code(0)), fake)
}

/// No clock, no identity and no history is asked, and a start is one call.
#[test]
fn the_request_id_tells_whose_run_it_is() {
    type Case = (fn(&str) -> Result<bool, String>, &'static str);
    let cases: [Case; 5] = [
        (|_| Ok(true), "started"),
        (
            |key| Err(format!("{key}/000000000000000000000000")),
            "deduplicated",
        ),
        (|key| Err(key.to_owned()), "deduplicated"),
        // Earlier versions wrote it like this.
        (|key| Err(fake_frontend::reported(key)), "deduplicated"),
        (|_| Err("somebody else".to_owned()), "existing"),
    ];
    for (answer, outcome) in cases {
        let (report, fake) = apply_once(answer);
        assert_eq!(report.outcome("w"), outcome);
        assert_eq!(fake.start_count(), 1, "{outcome}");
        assert!(fake.histories().is_empty() && fake.describes().is_empty());
    }
}
