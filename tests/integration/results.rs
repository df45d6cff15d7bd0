//! Results of Workflows that are larger than anybody reads, and many large ones at once.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use temporal_manifest::client::api::temporal::api::enums::v1::WorkflowExecutionStatus;
use temporal_manifest::client::api::temporal::api::workflow::v1::WorkflowExecutionInfo;
use temporal_manifest::client::api::temporal::api::workflowservice::v1::DescribeWorkflowExecutionResponse;

use crate::hostile::SMALL_MIB;
use crate::support::binary::{Binary, Folder};
use crate::support::fake_frontend::FakeFrontend;
use crate::waiting::{completed, history};

/// The program under a memory ceiling, where `prlimit` is there to set one.
fn limited(binary: Binary) -> Binary {
    let limiter = Command::new("prlimit").arg("--version").output();
    if cfg!(target_os = "linux") && limiter.is_ok_and(|output| output.status.success()) {
        binary.under(&["prlimit", &format!("--as={}", SMALL_MIB << 20)])
    } else {
        binary
    }
}

/// A service whose runs have ended like this, with this result.
fn ended(status: WorkflowExecutionStatus, result: String) -> FakeFrontend {
    FakeFrontend::builder()
        .on_history(move |_, _| {
            let answer = history(vec![completed(&result)]);
            async move { Ok(answer) }
        })
        .on_describe(move |_, _| async move {
            Ok(DescribeWorkflowExecutionResponse {
                workflow_execution_info: Some(WorkflowExecutionInfo {
                    status: status.into(),
                    ..WorkflowExecutionInfo::default()
                }),
                ..DescribeWorkflowExecutionResponse::default()
            })
        })
        .start()
}

/// A result of so many bytes that is one text.
fn text(bytes: usize) -> String {
    format!("\"{}\"", "a".repeat(bytes))
}

/// A result of so many bytes that takes many times as many as values.
fn list(bytes: usize) -> String {
    format!("[{}0]", "0,".repeat(bytes / 2))
}

/// A result of so many bytes that takes still more.
fn maps(bytes: usize) -> String {
    format!("[{}0]", r#"{"":0},"#.repeat(bytes / 7))
}

fn starts(folder: &Folder, count: usize) -> std::ffi::OsString {
    let start =
        |number| json!({"workflowId": format!("w-{number}"), "type": "T", "taskQueue": "q"});
    folder.starts((0..count).map(start))
}

#[test]
fn a_result_that_is_too_large_is_told_with_the_end() {
    use WorkflowExecutionStatus as Status;
    let folder = Folder::new();
    let manifest = starts(&folder, 1);
    let not_shown = json!({"$tooLarge": "more than 4 MiB, not shown"});
    let failure = json!({"message": "(more than 4 MiB, not shown)"});
    for (status, bytes, code, end) in [
        (
            Status::Completed,
            100_000_000,
            0,
            json!({"status": "completed", "result": not_shown}),
        ),
        (
            Status::Failed,
            5_000_000,
            7,
            json!({"status": "failed", "failure": failure}),
        ),
        (
            Status::Canceled,
            5_000_000,
            7,
            json!({"status": "canceled"}),
        ),
        (
            Status::Terminated,
            5_000_000,
            7,
            json!({"status": "terminated", "failure": failure}),
        ),
        (
            Status::TimedOut,
            5_000_000,
            7,
            json!({"status": "timedOut"}),
        ),
    ] {
        let fake = ended(status, list(bytes));
        for hidden in [false, true] {
            let flags: &[&str] = if hidden { &["--hide-results"] } else { &[] };
            let apply = Binary::apply(&manifest, &fake.address(), &["--wait", "-o", "json"]);
            let finished = limited(apply.args(flags)).run().expect_code(code);
            let report: Value = serde_json::from_str(&finished.stdout).expect("a report is JSON");
            let mut told = report["starts"][0]["workflow"].clone();
            let fields = told.as_object_mut().expect("it was waited for");
            fields.remove("closeTime");
            assert!(fields.remove("at").is_some_and(|at| at.is_string()));
            let mut end = end.clone();
            if hidden {
                end.as_object_mut().expect("an object").remove("result");
            }
            assert_eq!(told, end);
        }
    }
}

#[test]
fn a_result_at_the_limit_of_the_service_is_shown() {
    const BYTES: usize = 2 * 1024 * 1024;
    let fake = ended(WorkflowExecutionStatus::Completed, text(BYTES));
    let folder = Folder::new();
    let apply = Binary::apply(
        starts(&folder, 1),
        &fake.address(),
        &["--wait", "-o", "json"],
    );
    let finished = limited(apply).run().expect_code(0);
    let report: Value = serde_json::from_str(&finished.stdout).expect("a report is JSON");
    let result = report["starts"][0]["workflow"]["result"].as_str();
    assert_eq!(result.map(str::len), Some(BYTES));
}

#[test]
fn many_large_results_are_taken_in_turn() {
    let fake = ended(WorkflowExecutionStatus::Completed, maps(2_000_000));
    let folder = Folder::new();
    let manifest = starts(&folder, 16);
    for flags in [&["--wait"][..], &["--wait", "--hide-results"]] {
        let apply = Binary::apply(&manifest, &fake.address(), flags)
            .args(["-o", "jsonl"])
            .stdout_to(Path::new("/dev/null"));
        limited(apply).run().expect_code(0);
    }
}
