//! ID policies on a real server: every pair that is allowed, on every state of an old run.

use serde_json::{Value, json};
use temporal_manifest::client::api::temporal::api::enums::v1::WorkflowExecutionStatus as Status;

use crate::support::binary::{Binary, Folder};
use crate::support::dev_server::{self, SharedServer};
use crate::support::report::Report;
use crate::support::{SERVED, UNSERVED, unique_id};

/// What becomes of an old run and a start with its Workflow ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// The old run is left as it is, and nothing starts.
    Left,
    /// A new run starts beside the closed one.
    New,
    /// The old run is terminated, and a new one starts.
    Replaced,
}

use Expected::{Left, New, Replaced};

/// `idReusePolicy`, `idConflictPolicy`, and what they mean for a running, completed, failed and
/// terminated run. Pairs that the service always refuses are not here; `validate` refuses them.
const TABLE: [(Option<&str>, Option<&str>, [Expected; 4]); 16] = [
    (None, None, [Left, New, New, New]),
    (None, Some("Fail"), [Left, New, New, New]),
    (None, Some("UseExisting"), [Left, New, New, New]),
    (None, Some("TerminateExisting"), [Replaced, New, New, New]),
    (Some("AllowDuplicate"), None, [Left, New, New, New]),
    (Some("AllowDuplicate"), Some("Fail"), [Left, New, New, New]),
    (
        Some("AllowDuplicate"),
        Some("UseExisting"),
        [Left, New, New, New],
    ),
    (
        Some("AllowDuplicate"),
        Some("TerminateExisting"),
        [Replaced, New, New, New],
    ),
    (
        Some("AllowDuplicateFailedOnly"),
        None,
        [Left, Left, New, New],
    ),
    (
        Some("AllowDuplicateFailedOnly"),
        Some("Fail"),
        [Left, Left, New, New],
    ),
    (
        Some("AllowDuplicateFailedOnly"),
        Some("UseExisting"),
        [Left, Left, New, New],
    ),
    (
        Some("AllowDuplicateFailedOnly"),
        Some("TerminateExisting"),
        [Replaced, Left, New, New],
    ),
    (Some("RejectDuplicate"), None, [Left; 4]),
    (Some("RejectDuplicate"), Some("Fail"), [Left; 4]),
    (Some("RejectDuplicate"), Some("UseExisting"), [Left; 4]),
    (Some("TerminateIfRunning"), None, [Replaced, New, New, New]),
];

#[test]
fn policies_on_a_running_run() {
    check(0, Status::Running);
}

#[test]
fn policies_on_a_completed_run() {
    check(1, Status::Completed);
}

#[test]
fn policies_on_a_failed_run() {
    check(2, Status::Failed);
}

#[test]
fn policies_on_a_terminated_run() {
    check(3, Status::Terminated);
}

/// Every row of the table on old runs in one state, once plainly and once with `--fail-existing`.
fn check(column: usize, state: Status) {
    let Some(server) = dev_server::shared() else {
        return;
    };
    for strict in [false, true] {
        let prefix = unique_id("policy");
        let ids: Vec<String> = (0..TABLE.len())
            .map(|row| format!("{prefix}-{row}"))
            .collect();
        let old = old_runs(&server, &ids, state);
        let folder = Folder::new();
        let manifest = folder.starts(TABLE.iter().zip(&ids).map(|((reuse, conflict, _), id)| {
            // The policies that are unset are `null`, which unsets a field.
            json!({"workflowId": id, "type": "Any", "taskQueue": UNSERVED,
                   "idReusePolicy": reuse, "idConflictPolicy": conflict})
        }));
        let flags: &[&str] = if strict {
            &["-o", "json", "--fail-existing"]
        } else {
            &["-o", "json"]
        };
        let finished = Binary::apply(manifest, &server.address, flags)
            .run()
            .expect_code(if strict { 4 } else { 0 });
        let report = Report::of(&finished);
        let left = TABLE
            .iter()
            .filter(|(.., expected)| expected[column] == Left);
        let left = left.count() as u64;
        assert_eq!(report.count("existing"), left);
        assert_eq!(report.count("started"), TABLE.len() as u64 - left);
        for ((reuse, conflict, expected), id) in TABLE.iter().zip(&ids) {
            let expected = expected[column];
            let row = format!("{reuse:?} {conflict:?} on {state:?}, strict: {strict}");
            let start = report.start(id);
            let old_run = old.run_id(id);
            let new_run = report.run_id(id);
            if expected == Left {
                assert_eq!(start["outcome"], "existing", "{row}");
                let existing = if state == Status::Running {
                    "running"
                } else {
                    "closed"
                };
                assert_eq!(start["existingState"], existing, "{row}");
                assert_eq!(new_run, old_run, "{row}");
                let reason = if strict {
                    json!("workflowExists")
                } else {
                    Value::Null
                };
                assert_eq!(start["error"]["reason"], reason, "{row}");
            } else {
                assert_eq!(start["outcome"], "started", "{row}");
                assert_eq!(start["existingState"], Value::Null, "{row}");
                assert_eq!(start["error"], Value::Null, "{row}");
                assert_ne!(new_run, old_run, "{row}");
                assert_eq!(server.status(id, &new_run), Status::Running, "{row}");
            }
            assert_eq!(server.current_run(id).0, new_run, "{row}");
            let old_state = if expected == Replaced {
                Status::Terminated
            } else {
                state
            };
            assert_eq!(server.status(id, &old_run), old_state, "{row}");
        }
    }
}

/// Makes runs in a state.
fn old_runs(server: &SharedServer, ids: &[String], state: Status) -> Report {
    let (workflow_type, task_queue, flags, code): (_, _, &[&str], _) = match state {
        Status::Completed => ("Echo", SERVED, &["-o", "json", "--wait"], 0),
        Status::Failed => ("Fail", SERVED, &["-o", "json", "--wait"], 7),
        _ => ("Any", UNSERVED, &["-o", "json"], 0),
    };
    let folder = Folder::new();
    let manifest = folder.starts(
        ids.iter()
            .map(|id| json!({"workflowId": id, "type": workflow_type, "taskQueue": task_queue})),
    );
    let finished = Binary::apply(manifest, &server.address, flags)
        .run()
        .expect_code(code);
    if state == Status::Terminated {
        server.terminate(ids);
    }
    let report = Report::of(&finished);
    assert_eq!(report.count("started"), ids.len() as u64);
    report
}

#[test]
fn a_second_apply_of_rejected_duplicates_is_fine_unless_it_must_not_be() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    let id = unique_id("twice");
    let folder = Folder::new();
    let manifest = |more: Value| {
        let mut start = json!({"workflowId": id, "type": "Any", "taskQueue": UNSERVED,
                               "idReusePolicy": "RejectDuplicate"});
        let fields = more.as_object().expect("more fields").clone();
        start.as_object_mut().expect("a start").extend(fields);
        folder.starts([start])
    };
    let apply = |more: Value, flags: &[&str], code: i32| {
        Binary::apply(manifest(more), &server.address, flags)
            .run()
            .expect_code(code)
    };
    let first = Report::of(&apply(json!({}), &["-o", "json"], 0));
    assert_eq!(first.outcome(&id), "started");
    let run_id = first.run_id(&id);

    let second = Report::of(&apply(json!({}), &["-o", "json"], 0));
    assert_eq!(second.outcome(&id), "existing");
    assert_eq!(second.run_id(&id), run_id);
    let second = apply(json!({}), &[], 0);
    assert!(
        second.stdout.contains("1 start: 0 started, 1 existing"),
        "{}",
        second.stdout
    );

    for (more, flags) in [
        (json!({}), &["-o", "json", "--fail-existing"][..]),
        (json!({"failExisting": true}), &["-o", "json"][..]),
    ] {
        let strict = Report::of(&apply(more, flags, 4));
        assert_eq!(strict.outcome(&id), "existing");
        assert_eq!(strict.run_id(&id), run_id);
        assert_eq!(strict.start(&id)["error"]["code"], "ALREADY_EXISTS");
    }
    let allowed = json!({"failExisting": false, "idConflictPolicy": "UseExisting"});
    let used = Report::of(&apply(allowed, &["-o", "json"], 0));
    assert_eq!(used.outcome(&id), "existing");
    assert_eq!(used.start(&id)["existingState"], "running");
    assert_eq!(used.run_id(&id), run_id);

    let replacing =
        json!({"idReusePolicy": "AllowDuplicate", "idConflictPolicy": "TerminateExisting"});
    let replaced = Report::of(&apply(replacing, &["-o", "json"], 0));
    assert_eq!(replaced.outcome(&id), "started");
    assert_ne!(replaced.run_id(&id), run_id);
    assert_eq!(server.status(&id, &run_id), Status::Terminated);
}
