//! Results of Workflows that are larger than anybody reads, and many large ones at once.

use std::path::Path;
use std::process::Command;

use serde_json::json;
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
fn a_result_of_100_mb_aborts() {
    let fake = ended(WorkflowExecutionStatus::Completed, list(100_000_000));
    let folder = Folder::new();
    let manifest = starts(&folder, 1);
    for flags in [&["--wait"][..], &["--wait", "--hide-results"]] {
        let apply = Binary::apply(&manifest, &fake.address(), flags);
        let finished = limited(apply).run();
        assert_eq!(finished.code, None, "{}", finished.stderr);
    }
}

#[test]
fn forty_results_of_2_mb_abort() {
    let fake = ended(WorkflowExecutionStatus::Completed, maps(2_000_000));
    let folder = Folder::new();
    let manifest = starts(&folder, 40);
    for flags in [&["--wait"][..], &["--wait", "--hide-results"]] {
        let apply = Binary::apply(&manifest, &fake.address(), flags)
            .args(["-o", "jsonl"])
            .stdout_to(Path::new("/dev/null"));
        let finished = limited(apply).run();
        assert_eq!(finished.code, None, "{}", finished.stderr);
    }
}
