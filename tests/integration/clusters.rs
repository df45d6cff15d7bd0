//! A journal against another cluster, or one that has lost its state: what it says is finished was
//! finished elsewhere.

use serde_json::{Value, json};

use crate::support::UNSERVED;
use crate::support::binary::{Binary, Finished, Folder};
use crate::support::dev_server::DevServer;
use crate::support::report::Report;

const STARTS: usize = 15;

/// A folder with a manifest of starts.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.starts(
        (0..STARTS)
            .map(|n| json!({"workflowId": format!("w-{n}"), "type": "T", "taskQueue": UNSERVED})),
    );
    folder
}

fn apply(folder: &Folder, address: &str, flags: &[&str]) -> Finished {
    Binary::apply("manifest.json", address, &["-o", "json"])
        .args(flags)
        .current_dir(folder.path())
        .run()
}

#[test]
fn a_resume_and_a_merge_take_another_cluster_for_the_first() {
    let (Some(mut first), Some(second)) = (DevServer::start(&[]), DevServer::start(&[])) else {
        return;
    };
    let folder = folder();
    apply(&folder, &first.address, &["--journal", "a"]).expect_code(0);
    let elsewhere = apply(&folder, &second.address, &["--resume", "a"]).expect_code(0);
    assert_eq!(Report::of(&elsewhere).count("started"), STARTS as u64);
    assert_eq!(second.temporal_stdout(&["workflow", "list"]), "");
    // The same address, and nothing is there any more.
    first.restart();
    let emptied = apply(&folder, &first.address, &["--resume", "a"]).expect_code(0);
    assert_eq!(Report::of(&emptied).count("started"), STARTS as u64);
    assert_eq!(first.temporal_stdout(&["workflow", "list"]), "");

    let flags = [
        "--idempotency-key",
        "k",
        "--shard",
        "1/2",
        "--journal",
        "one",
    ];
    apply(&folder, &first.address, &flags).expect_code(0);
    let flags = [
        "--idempotency-key",
        "k",
        "--shard",
        "2/2",
        "--journal",
        "two",
    ];
    apply(&folder, &second.address, &flags).expect_code(0);
    let merged = Binary::new(["report", "--merge", "one", "two", "-o", "json"])
        .current_dir(folder.path())
        .run()
        .expect_code(0);
    let merged: Value = serde_json::from_str(&merged.stdout).expect("JSON");
    assert_eq!(merged["summary"]["total"], STARTS);
}
