//! A journal against another cluster, or one that has lost its state: what it says is finished was
//! finished elsewhere.

use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::support::UNSERVED;
use crate::support::binary::{Binary, Finished, Folder};
use crate::support::dev_server::DevServer;
use crate::support::fake_frontend::{FakeFrontend, running};
use crate::support::report::{Report, text};

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

/// Refused before anything is sent, with the command that starts what is missing here.
#[track_caller]
fn expect_refused(finished: Finished, words: &[&str]) -> String {
    let finished = finished.expect_code(2);
    let document: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    let error = &document["error"];
    assert_eq!(error["code"], "journal");
    for words in words {
        assert!(text(error, "message").contains(words), "{words}: {error}");
    }
    let help = text(error, "help");
    let command = help.split('`').nth(1).expect("a command is named");
    assert!(command.starts_with("temporal-manifest apply "), "{command}");
    assert!(finished.stderr.contains(command), "{}", finished.stderr);
    command.to_owned()
}

/// Runs the command that a refusal has named.
fn run_named(folder: &Folder, command: &str) -> Finished {
    Binary::new(command.split_whitespace().skip(1))
        .current_dir(folder.path())
        .run()
}

#[test]
fn a_journal_of_another_cluster_is_refused() {
    let (Some(first), Some(second)) = (DevServer::start(&[]), DevServer::start(&[])) else {
        return;
    };
    let folder = folder();
    apply(&folder, &first.address, &["--journal", "a"]).expect_code(0);
    let journal = std::fs::read_to_string(folder.path().join("a")).expect("it is text");
    let header: Value =
        serde_json::from_str(journal.lines().next().unwrap_or_default()).expect("JSON");
    let elsewhere = apply(&folder, &second.address, &["--resume", "a"]);
    let command = expect_refused(
        elsewhere,
        &["`default` of another cluster", text(&header, "namespaceId")],
    );
    assert_eq!(second.temporal_stdout(&["workflow", "list"]), "");
    let after = std::fs::read_to_string(folder.path().join("a")).expect("it is text");
    assert_eq!(after, journal, "a refused journal is not written to");
    let started = Report::of(&run_named(&folder, &command).expect_code(0));
    assert_eq!(started.count("started"), STARTS as u64);
    // The first one is as it was.
    let again = apply(&folder, &first.address, &["--resume", "a"]).expect_code(0);
    assert_eq!(Report::of(&again).count("started"), STARTS as u64);

    for (server, shard, journal) in [(&first, "1/2", "one"), (&second, "2/2", "two")] {
        let flags = [
            "--idempotency-key",
            "k",
            "--shard",
            shard,
            "--journal",
            journal,
        ];
        apply(&folder, &server.address, &flags);
    }
    let merged = Binary::new(["report", "--merge", "one", "two", "-o", "json"])
        .current_dir(folder.path())
        .run()
        .expect_code(2);
    let words = "the journals `one` and `two` differ in the cluster";
    assert!(merged.stdout.contains(words), "{}", merged.stdout);
}

#[test]
fn a_cluster_that_has_lost_its_state_is_not_believed_to_have_finished_anything() {
    let Some(mut server) = DevServer::start(&[]) else {
        return;
    };
    let folder = folder();
    apply(&folder, &server.address, &["--journal", "a"]).expect_code(0);
    server.restart();
    let emptied = apply(&folder, &server.address, &["--resume", "a"]);
    let command = expect_refused(emptied, &[]);
    assert_eq!(server.temporal_stdout(&["workflow", "list"]), "");
    let started = Report::of(&run_named(&folder, &command).expect_code(0));
    assert_eq!(started.count("started"), STARTS as u64);
}

/// Of a service whose namespace may not be described, or keeps its ID in a backup.
#[test]
fn finished_starts_are_believed_after_a_look_at_some_of_them() {
    let folder = folder();
    let denied = || Status::new(Code::PermissionDenied, "no");
    let first = FakeFrontend::healthy();
    apply(&folder, &first.address(), &["--journal", "a"]).expect_code(0);
    let resume = |frontend: &FakeFrontend| apply(&folder, &frontend.address(), &["--resume", "a"]);
    let forgetful = FakeFrontend::healthy();
    let words = [
        "knows none of 12 finished",
        "lost its state",
        "retention has passed",
    ];
    expect_refused(resume(&forgetful), &words);
    assert_eq!(forgetful.start_count(), 0);
    let asked: Vec<String> = forgetful
        .describes()
        .into_iter()
        .filter_map(|it| it.message.execution)
        .map(|it| it.workflow_id)
        .collect();
    for id in ["w-0", "w-14"] {
        assert!(asked.iter().any(|it| it == id), "{id} in {asked:?}");
    }
    // One that is known is enough.
    let remembers_one = FakeFrontend::builder()
        .on_describe(|request, _| async move {
            let asked = request.execution.unwrap_or_default();
            if asked.workflow_id == "w-14" && !asked.run_id.is_empty() {
                Ok(running())
            } else {
                Err(Status::not_found("workflow not found"))
            }
        })
        .start();
    resume(&remembers_one).expect_code(0);
    // What may not be asked is believed, with a word.
    let secretive = FakeFrontend::builder()
        .on_describe(move |_, _| async move { Err(denied()) })
        .on_namespace(move |_, _| async move { Err(denied()) })
        .start();
    let resumed = resume(&secretive).expect_code(0);
    for words in [
        "note: describing the namespace is denied",
        "believed without a look",
    ] {
        assert!(resumed.stderr.contains(words), "{}", resumed.stderr);
    }
    // A service that does not answer is asked again, and never believed.
    let late = FakeFrontend::builder()
        .on_describe(|_, number| async move {
            if number < 20 {
                Err(Status::unavailable("not now"))
            } else {
                Ok(running())
            }
        })
        .start();
    resume(&late).expect_code(0);
    let silent = FakeFrontend::builder()
        .on_describe(|_, _| async { Err(Status::unavailable("not now")) })
        .start();
    let refused = resume(&silent).expect_code(5);
    assert!(
        refused.stderr.contains("does not say"),
        "{}",
        refused.stderr
    );
}
