//! An apply that is killed at a random moment and repeated: nothing twice, nothing lost, and a true
//! report.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde_json::{Value, json};
use temporal_manifest::client::api::temporal::api::enums::v1::WorkflowExecutionStatus as Status;

use crate::support::binary::{Binary, Finished, Folder};
use crate::support::dev_server::{self, SharedServer};
use crate::support::report::{Report, text};
use crate::support::{SERVED, UNSERVED, dice, full_length_is_wanted, unique_id};

const STARTS: usize = 300;

/// When the program is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// After this many lines of standard output.
    Events(usize),
    /// After this many bytes of journal.
    Bytes(u64),
}

/// Runs an apply until its moment has come, and returns what it had said.
fn crash(apply: Binary, journal: &Path, moment: Moment) -> Finished {
    let mut running = apply.spawn();
    match moment {
        Moment::Events(count) => running.wait_for_lines(count),
        Moment::Bytes(count) => {
            let length = || std::fs::metadata(journal).map_or(0, |it| it.len());
            while length() < count && running.is_running() {
                std::thread::yield_now();
            }
        }
    }
    running.kill()
}

/// Every Workflow whose ID has this prefix, as (Workflow ID, run ID), asked from the server's list.
fn runs(server: &SharedServer, prefix: &str) -> HashSet<(String, String)> {
    let query = format!("WorkflowId STARTS_WITH '{prefix}-'");
    let list = ["workflow", "list", "-o", "json", "--limit", "2000"];
    let printed = server.temporal_stdout(&[&list[..], &["--query", &query]].concat());
    let list: Value = serde_json::from_str(&printed).expect("the CLI prints JSON");
    let list = list.as_array().expect("a list");
    let run = |it: &Value| {
        let execution = &it["execution"];
        (
            text(execution, "workflowId").to_owned(),
            text(execution, "runId").to_owned(),
        )
    };
    list.iter().map(run).collect()
}

/// One apply, killed, and repeated with its key.
struct Round<'a> {
    server: &'a SharedServer,
    folder: Folder,
    prefix: String,
    with_journal: bool,
}

impl Round<'_> {
    fn apply(&self, output: &str) -> Binary {
        let manifest = self.folder.starts((0..STARTS).map(|n| {
            json!({"workflowId": format!("{}-{n}", self.prefix), "type": "T",
                   "taskQueue": UNSERVED, "idReusePolicy": "AllowDuplicate"})
        }));
        Binary::apply(manifest, &self.server.address, &["-o", output])
    }

    fn play(&self, moment: Moment) {
        let journal = self.folder.path().join("apply.journal");
        let key = ["--idempotency-key", &self.prefix];
        let mut first = self.apply("jsonl").args(key);
        if self.with_journal {
            first = first.arg("--journal").arg(&journal);
        }
        let first = crash(first, &journal, moment);
        let mut again = self.apply("json");
        // Without a journal nothing was sent yet.
        if self.with_journal && journal.exists() {
            again = again.arg("--resume").arg(&journal);
        } else {
            again = again.args(key);
        }
        let report = Report::of(&again.run().expect_code(0));
        self.expect_true(&report, &first);
    }

    fn expect_true(&self, report: &Report, first: &Finished) {
        let ok = report.count("started") + report.count("deduplicated");
        assert_eq!(ok, STARTS as u64, "nothing lost, nobody else's");
        assert_eq!(report.starts().len(), STARTS);
        let query = format!("WorkflowId STARTS_WITH '{}-'", self.prefix);
        self.server.wait_for_count(&query, STARTS);
        let reported: HashSet<(String, String)> = report
            .starts()
            .iter()
            .map(|it| (text(it, "workflowId").into(), text(it, "runId").into()))
            .collect();
        assert_eq!(runs(self.server, &self.prefix), reported, "one run each");

        // What the killed apply had said was true, and the repeat agrees.
        let mut told: HashMap<String, (String, String)> = HashMap::new();
        let mut invocation = None;
        for line in first.stdout.lines() {
            // The last one may be torn.
            let Ok(event) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            match text(&event, "event") {
                "applyStarted" => {
                    invocation = Some(text(&event["invocation"], "id").to_owned());
                }
                "startFinished" => {
                    assert_eq!(text(&event, "outcome"), "started");
                    let run = text(&event, "runId").to_owned();
                    let request = text(&event, "requestId").to_owned();
                    told.insert(text(&event, "workflowId").to_owned(), (run, request));
                }
                _ => {}
            }
        }
        for (id, (run, request)) in &told {
            let start = report.start(id);
            assert_eq!(text(start, "runId"), run);
            assert_eq!(text(start, "requestId"), request);
            if !self.with_journal {
                assert_eq!(text(start, "outcome"), "deduplicated", "{id}");
            }
        }
        // Who began a run is in its first event. A journal's report speaks for all invocations.
        let Some(invocation) = invocation.filter(|_| !self.with_journal) else {
            return;
        };
        for start in report.starts().iter().step_by(23) {
            let (id, run) = (text(start, "workflowId"), text(start, "runId"));
            let event = format!("{:?}", self.server.first_event(id, run));
            let outcome = text(start, "outcome");
            let is_earlier = event.contains(&invocation);
            assert_eq!(is_earlier, outcome == "deduplicated", "{id}: {outcome}");
        }
    }
}

#[test]
fn an_apply_killed_at_any_moment_is_repeated_without_a_second_run() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    let rounds = if full_length_is_wanted() { 100 } else { 10 };
    let mut dice = dice();
    for number in 0..rounds {
        let with_journal = number % 2 == 0;
        let moment = if with_journal && dice.bool() {
            // A line is a little over 300 bytes.
            Moment::Bytes(dice.u64(0..300 * STARTS as u64))
        } else {
            Moment::Events(dice.usize(0..=STARTS))
        };
        let round = Round {
            server: &server,
            folder: Folder::new(),
            prefix: unique_id("crash"),
            with_journal,
        };
        // Shown if the round fails.
        println!("round {number}: {moment:?}, journal: {with_journal}");
        round.play(moment);
    }
}

/// Repeats of Workflows whose first run has been replaced, under policies that would let a repeat
/// begin a second chain, or end the first one.
#[test]
fn a_killed_apply_of_workflows_that_go_on_is_repeated_without_a_second_chain() {
    const EACH: usize = 20;
    let Some(server) = dev_server::shared() else {
        return;
    };
    let mut dice = dice();
    for with_journal in [true, false] {
        let prefix = unique_id("chain");
        let folder = Folder::new();
        let manifest = folder.starts((0..2 * EACH).map(|n| {
            let (workflow_type, argument) = if n % 2 == 0 {
                ("ContinueAsNew", json!({"times": 2}))
            } else {
                ("FailOnce", json!({}))
            };
            json!({"workflowId": format!("{prefix}-{n}"), "type": workflow_type,
                   "taskQueue": SERVED, "args": [argument],
                   "idReusePolicy": "AllowDuplicate", "idConflictPolicy": "TerminateExisting",
                   "retryPolicy": {"initialInterval": "100ms", "maximumAttempts": 3}})
        }));
        let journal = folder.path().join("apply.journal");
        let key = ["--idempotency-key", &prefix];
        let apply = |output: &str| Binary::apply(&manifest, &server.address, &["-o", output]);
        let mut first = apply("jsonl").args(key);
        if with_journal {
            first = first.arg("--journal").arg(&journal);
        }
        let moment = Moment::Events(dice.usize(1..=2 * EACH));
        let told = crash(first, &journal, moment);
        // The chains that were begun go on while nobody looks.
        for line in told.stdout.lines() {
            let event: Value = serde_json::from_str(line).unwrap_or_default();
            if let (Some(id), Some(run)) = (event["workflowId"].as_str(), event["runId"].as_str()) {
                server.close_event(id, run);
            }
        }
        let mut again = apply("json").arg("--wait");
        if with_journal {
            again = again.arg("--resume").arg(&journal);
        } else {
            again = again.args(key);
        }
        let report = Report::of(&again.run().expect_code(0));
        let ok = report.count("started") + report.count("deduplicated");
        assert_eq!(ok, 2 * EACH as u64);
        assert_eq!(report.workflows("completed"), 2 * EACH as u64);
        // Three runs where one continued as new twice, two where it was retried once.
        let query = format!("WorkflowId STARTS_WITH '{prefix}-'");
        server.wait_for_count(&query, (3 + 2) * EACH);
        for start in report.starts() {
            let id = text(start, "workflowId");
            let (run, first) = server.current_run(id);
            let reported = start["firstRunId"].as_str().unwrap_or(text(start, "runId"));
            assert_eq!(first, reported, "{id}");
            assert_eq!(server.status(id, &run), Status::Completed, "{id}");
        }
    }
}
