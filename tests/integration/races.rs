//! Several applies under one key at the same time, on a real server and a slow network: each
//! Workflow ID gets one chain under the key, nobody ends it, and every report tells the truth.

use std::time::Duration;

use serde_json::{Value, json};
use temporal_manifest::client::api::temporal::api::enums::v1::WorkflowExecutionStatus;

use crate::support::binary::{Binary, Folder};
use crate::support::dev_server::{self, DevServer, SharedServer};
use crate::support::report::{Report, text};
use crate::support::slow_proxy::SlowProxy;
use crate::support::{SERVED, block_on, dice, unique_id};

/// Workflow IDs of a round.
const STARTS: usize = 60;

/// What the network adds to a round trip.
const ROUND_TRIP: Duration = Duration::from_millis(30);

/// What has a Workflow ID before, of somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Foreign {
    Nothing,
    Running,
    RunningChain,
    Completed,
    CompletedChain,
    Failed,
}

impl Foreign {
    const ALL: [Foreign; 6] = [
        Foreign::Nothing,
        Foreign::Running,
        Foreign::RunningChain,
        Foreign::Completed,
        Foreign::CompletedChain,
        Foreign::Failed,
    ];

    fn workflow(self) -> Option<(&'static str, Value)> {
        match self {
            Foreign::Nothing => None,
            Foreign::Running => Some(("Hold", Value::Null)),
            Foreign::RunningChain => Some(("ContinueAsNew", json!({"times": 1, "hold": true}))),
            Foreign::Completed => Some(("Echo", Value::Null)),
            Foreign::CompletedChain => Some(("ContinueAsNew", json!({"times": 1}))),
            Foreign::Failed => Some(("Fail", Value::Null)),
        }
    }

    fn is_closed(self) -> bool {
        use Foreign::{Completed, CompletedChain, Failed};
        matches!(self, Completed | CompletedChain | Failed)
    }

    fn has_completed(self) -> bool {
        matches!(self, Foreign::Completed | Foreign::CompletedChain)
    }
}

/// What is started: a type and its argument, whether its chain completes and whether it fails
/// after its first run.
const OURS: [(&str, &str, bool, bool); 7] = [
    ("Hold", "null", false, false),
    ("Echo", "null", false, false),
    ("Fail", "null", false, false),
    (
        "ContinueAsNew",
        r#"{"times": 3, "hold": true}"#,
        false,
        false,
    ),
    ("ContinueAsNew", r#"{"times": 2}"#, true, false),
    (
        "ContinueAsNew",
        r#"{"times": 1, "fail": true}"#,
        false,
        true,
    ),
    ("FailOnce", r#"{"hold": true}"#, false, false),
];

const POLICIES: [(&str, Option<&str>); 9] = [
    ("AllowDuplicate", Some("Fail")),
    ("AllowDuplicate", Some("UseExisting")),
    ("AllowDuplicate", Some("TerminateExisting")),
    ("AllowDuplicateFailedOnly", Some("Fail")),
    ("AllowDuplicateFailedOnly", Some("UseExisting")),
    ("AllowDuplicateFailedOnly", Some("TerminateExisting")),
    ("RejectDuplicate", Some("Fail")),
    ("RejectDuplicate", Some("UseExisting")),
    ("TerminateIfRunning", None),
];

/// One Workflow ID of a round.
#[derive(Debug)]
struct Case {
    id: String,
    foreign: Foreign,
    ours: usize,
    policies: usize,
}

impl Case {
    /// Whether a start begins a run.
    fn begins(&self) -> bool {
        let (reuse, conflict) = POLICIES[self.policies];
        match self.foreign {
            Foreign::Nothing => true,
            foreign if !foreign.is_closed() => {
                conflict == Some("TerminateExisting") || reuse == "TerminateIfRunning"
            }
            Foreign::Failed => reuse != "RejectDuplicate",
            _ => reuse == "AllowDuplicate" || reuse == "TerminateIfRunning",
        }
    }

    /// docs/guarantees.md leaves out chains that begin, go on and end within one round trip, over
    /// the run of somebody else.
    fn is_promised(&self) -> bool {
        let (_, _, completes, fails) = OURS[self.ours];
        let over_foreign = self.foreign != Foreign::Nothing && self.begins();
        !over_foreign || !(fails || completes && self.foreign.has_completed())
    }

    fn start(&self) -> Value {
        let (workflow_type, argument, ..) = OURS[self.ours];
        let (reuse, conflict) = POLICIES[self.policies];
        let argument: Value = serde_json::from_str(argument).expect("it is JSON");
        json!({"workflowId": self.id, "type": workflow_type, "taskQueue": SERVED,
               "args": [argument], "idReusePolicy": reuse, "idConflictPolicy": conflict,
               "retryPolicy": {"initialInterval": "50ms", "maximumAttempts": 2,
                               "nonRetryableErrorTypes": ["CardDeclined"]}})
    }
}

fn cases(random: &mut fastrand::Rng) -> Vec<Case> {
    let prefix = unique_id("race");
    let any = std::iter::repeat_with(|| Case {
        id: String::new(),
        foreign: Foreign::ALL[random.usize(..Foreign::ALL.len())],
        ours: random.usize(..OURS.len()),
        policies: random.usize(..POLICIES.len()),
    });
    let promised = any.filter(Case::is_promised).take(STARTS).enumerate();
    promised
        .map(|(number, case)| Case {
            id: format!("{prefix}-{number}"),
            ..case
        })
        .collect()
}

/// Begins what has the Workflow IDs before. Returns the chains, by case.
fn begin_foreign(server: &SharedServer, cases: &[Case]) -> Vec<Option<String>> {
    let folder = Folder::new();
    let mut reports = Vec::new();
    for closed in [false, true] {
        let wanted = cases.iter().filter_map(|case| {
            let (workflow_type, argument) = case.foreign.workflow()?;
            (case.foreign.is_closed() == closed).then(|| {
                json!({"workflowId": case.id, "type": workflow_type, "taskQueue": SERVED,
                       "args": [argument]})
            })
        });
        let flags: &[&str] = if closed {
            &["-o", "json", "--wait"]
        } else {
            &["-o", "json"]
        };
        let finished = Binary::apply(folder.starts(wanted), &server.address, flags).run();
        assert!(
            [Some(0), Some(7)].contains(&finished.code),
            "{}",
            finished.stderr
        );
        reports.push(Report::of(&finished));
    }
    let begun = |case: &Case| {
        let report = &reports[usize::from(case.foreign.is_closed())];
        case.foreign.workflow().map(|_| report.run_id(&case.id))
    };
    cases.iter().map(begun).collect()
}

/// One round: several applies under one key, at random distances. `flags` are each apply's own.
fn round(server: &SharedServer, random: &mut fastrand::Rng, flags: &[&[&str]]) {
    let cases = cases(random);
    let foreign = begin_foreign(server, &cases);
    let proxy = SlowProxy::start(&server.address, ROUND_TRIP);
    let folder = Folder::new();
    let manifest = folder.starts(cases.iter().map(Case::start));
    let key = unique_id("key");
    let applies: Vec<_> = (0..random.usize(2..=4))
        .map(|number| {
            let flags = flags[number % flags.len()];
            let flags = [&["-o", "json", "--idempotency-key", &key], flags].concat();
            let running = Binary::apply(&manifest, &proxy.address(), &flags).spawn();
            // The distance is what is tried here.
            let distance = Duration::from_millis(random.u64(0..2_000));
            block_on(async { tokio::time::sleep(distance).await });
            running
        })
        .collect();
    let reports: Vec<Report> = applies
        .into_iter()
        .map(|running| Report::of(&running.finish().expect_code(0)))
        .collect();
    for (case, foreign) in cases.iter().zip(&foreign) {
        expect_one_chain(server, case, foreign.as_deref(), &reports);
    }
}

fn expect_one_chain(server: &SharedServer, case: &Case, foreign: Option<&str>, reports: &[Report]) {
    let told: Vec<(&str, &str)> = reports
        .iter()
        .map(|report| {
            let start = report.start(&case.id);
            let chain = start["firstRunId"].as_str().unwrap_or(text(start, "runId"));
            (text(start, "outcome"), chain)
        })
        .collect();
    let seen = format!(
        "{case:?}, {:?}, foreign {foreign:?}: {told:?}",
        OURS[case.ours]
    );
    if !case.begins() {
        let left = ("existing", foreign.expect("something is in the way"));
        assert!(told.iter().all(|told| *told == left), "{seen}");
        return;
    }
    let chain = told[0].1;
    assert_ne!(Some(chain), foreign, "{seen}");
    assert!(told.iter().all(|(_, told)| *told == chain), "{seen}");
    let started = told.iter().filter(|(outcome, _)| *outcome == "started");
    let started = started.count();
    let others = told
        .iter()
        .filter(|(outcome, _)| *outcome == "deduplicated");
    assert_eq!(started + others.count(), told.len(), "{seen}");
    match foreign {
        None => assert_eq!(started, 1, "{seen}"),
        Some(_) => assert!(started >= 1, "{seen}"),
    }
    // A second chain would have the Workflow ID now, and one that was ended would show it.
    let (current, first) = server.current_run(&case.id);
    assert_eq!(first, chain, "{seen}");
    let status = server.status(&case.id, &current);
    assert_ne!(status, WorkflowExecutionStatus::Terminated, "{seen}");
}

#[test]
fn applies_under_one_key_at_a_time_begin_one_chain_each() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    let mut random = dice();
    for number in 0..14 {
        let rates: &[&[&str]] = match number % 3 {
            0 => &[&[]],
            1 => &[&["--rate", "20"], &[]],
            _ => &[
                &["--rate", "40", "--parallelism", "4"],
                &["--parallelism", "60"],
            ],
        };
        round(&server, &mut random, rates);
    }
}

#[test]
fn applies_under_one_key_that_are_throttled_begin_one_chain_each() {
    let Some(server) = DevServer::start(&[
        "--dynamic-config-value=frontend.namespaceRPS=200",
        "--dynamic-config-value=frontend.namespaceBurstRatio=1.0",
    ]) else {
        return;
    };
    let Some(_worker) = server.start_worker() else {
        return;
    };
    let mut random = dice();
    for _ in 0..6 {
        round(&server, &mut random, &[&[], &["--rate", "50"]]);
    }
}
