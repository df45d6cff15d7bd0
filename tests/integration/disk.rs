//! Full and failing disks: no new starts, those in flight are settled, and the file is named.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::binary::{Binary, Finished, Folder};
use crate::support::fake_frontend::{self, FakeFrontend};
use crate::support::report::Report;
use crate::support::{UNSERVED, say_skipped};

const STARTS: usize = 600;

/// A folder with a manifest of many starts.
fn many() -> Folder {
    let folder = Folder::new();
    folder.starts(
        (0..STARTS)
            .map(|n| json!({"workflowId": format!("w-{n}"), "type": "T", "taskQueue": UNSERVED})),
    );
    folder
}

/// A frontend that takes its time, so that some starts are in flight at any moment.
fn frontend() -> FakeFrontend {
    FakeFrontend::builder()
        .remembering()
        .start_latency(Duration::from_millis(2))
        .start()
}

fn apply(folder: &Folder, fake: &FakeFrontend, flags: &[&str]) -> Binary {
    Binary::apply("manifest.json", &fake.address(), flags).current_dir(folder.path())
}

/// It ended in good order: some starts were made, not all, none is left in flight, and the summary
/// counts exactly those that were made.
#[track_caller]
fn expect_stopped(finished: Finished, fake: &FakeFrontend, name: &str) -> Finished {
    let finished = finished.expect_code(8);
    assert!(finished.stderr.contains("error: cannot write to "));
    assert!(finished.stderr.contains(name), "{}", finished.stderr);
    let said = format!("{}{}", finished.stdout, finished.stderr);
    assert!(!said.contains("interrupt"), "nobody did: {said}");
    let made = fake.start_count();
    assert!((1..STARTS).contains(&made), "{made}");
    assert_eq!(fake.in_flight(), 0);
    finished
}

/// After the disk has room again, a resume makes each missing start.
#[track_caller]
fn expect_resumable(folder: &Folder, first: &FakeFrontend, journal: &Path) {
    let fake = frontend();
    let resumed = apply(folder, &fake, &["-o", "json", "--resume"])
        .arg(journal)
        .run()
        .expect_code(0);
    let report = Report::of(&resumed);
    assert_eq!(report.count("total"), STARTS as u64);
    let mut requests = std::collections::HashMap::new();
    for call in first.starts().into_iter().chain(fake.starts()) {
        let message = call.message;
        let request_id = fake_frontend::reported(&message.request_id);
        let known = requests
            .entry(message.workflow_id)
            .or_insert(request_id.clone());
        assert_eq!(*known, request_id, "one request ID per start");
    }
    assert_eq!(requests.len(), STARTS);
}

/// The limit of a file's size fails as a full disk does, but with a signal that ends programs
/// which do not expect it.
#[test]
fn a_journal_beyond_the_size_limit_stops_the_apply() {
    for size in ["9000", "30001", "60000"] {
        let folder = many();
        let fake = frontend();
        let finished = apply(&folder, &fake, &["--journal", "apply.journal"])
            .under(&["prlimit", &format!("--fsize={size}")])
            .run();
        let finished = expect_stopped(finished, &fake, "the journal `apply.journal`");
        let counted = format!("{STARTS} starts: {} started, ", fake.start_count());
        assert!(finished.stdout.contains(&counted), "{}", finished.stdout);
        expect_resumable(&folder, &fake, &folder.path().join("apply.journal"));
    }
}

#[test]
fn a_header_that_finds_no_room_stops_it_before_anything_is_sent() {
    let folder = many();
    let fake = frontend();
    let refused = apply(&folder, &fake, &["--journal", "apply.journal"])
        .under(&["prlimit", "--fsize=100"])
        .run()
        .expect_code(8);
    assert!(
        refused.stderr.contains("the journal `apply.journal`"),
        "{}",
        refused.stderr
    );
    assert_eq!(fake.start_count(), 0);
    let entries = std::fs::read_dir(folder.path()).expect("it can be read");
    assert_eq!(entries.count(), 1, "nothing is left beside the manifest");
}

/// A small file system in memory, gone when it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, with a loud word, if we may not mount.
    fn mount(folder: &Path, options: &str) -> Option<Self> {
        std::fs::create_dir_all(folder).expect("folders can be made in a temporary folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(folder)
            .output();
        if mounted.is_ok_and(|it| it.status.success()) {
            return Some(Self(folder.to_owned()));
        }
        say_skipped("only root may mount a small disk");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

#[test]
fn a_journal_on_a_full_disk_stops_the_apply() {
    let folder = many();
    let disk = folder.path().join("disk");
    let Some(_mounted) = SmallDisk::mount(&disk, "size=64k") else {
        return;
    };
    let fake = frontend();
    let flags = ["--journal", "disk/apply.journal", "-o", "jsonl"];
    let finished = apply(&folder, &fake, &flags).run();
    let finished = expect_stopped(finished, &fake, "the journal `disk/apply.journal`");
    assert!(finished.stderr.contains("No space left on device"));
    let events = finished.stdout.lines().map(|line| {
        let event: Value = serde_json::from_str(line).expect("every line is JSON");
        event
    });
    let started = events.filter(|it| it["outcome"] == "started").count();
    assert_eq!(started, fake.start_count(), "each one is told");
    // More room, as an administrator would make it.
    let grown = Command::new("mount")
        .args(["-o", "remount,size=4m"])
        .arg(&disk)
        .status();
    assert!(grown.expect("mount is there").success());
    expect_resumable(&folder, &fake, &disk.join("apply.journal"));
}

#[test]
fn files_that_cannot_be_made_stop_it_before_anything_is_sent() {
    let folder = many();
    let disk = folder.path().join("readonly");
    let mounted = SmallDisk::mount(&disk, "ro");
    let folders = ["missing"]
        .into_iter()
        .chain(mounted.as_ref().map(|_| "readonly"));
    for place in folders {
        let journal = format!("{place}/apply.journal");
        let report = format!("json={place}/report.json");
        for (flags, name) in [
            (["--journal", &journal], journal.as_str()),
            (["--report", &report], &report["json=".len()..]),
        ] {
            let fake = frontend();
            let refused = apply(&folder, &fake, &flags).run().expect_code(8);
            let said = refused.stderr;
            let named = format!("`{name}`: ");
            let at = said.find(&named).unwrap_or_else(|| panic!("{said}"));
            assert!(said[at..].contains("(os error "), "{said}");
            assert!(!said.contains("at path"), "{said}");
            assert_eq!(fake.start_count(), 0, "{flags:?}");
        }
    }
}

#[test]
fn a_missing_folder_for_temporary_files_is_told_before_anything_is_sent() {
    let folder = many();
    for flags in [
        ["-o", "json"],
        ["--report", "json=report.json"],
        ["--journal", "apply.journal"],
    ] {
        let fake = frontend();
        let refused = apply(&folder, &fake, &flags)
            .env("TMPDIR", "missing")
            .run()
            .expect_code(8);
        assert!(
            refused.stderr.contains("cannot write a temporary file: "),
            "{}",
            refused.stderr
        );
        assert_eq!(fake.start_count(), 0, "{flags:?}");
        assert!(!folder.path().join("apply.journal").exists());
    }
}

#[test]
fn events_that_cannot_be_written_stop_the_apply() {
    let folder = many();
    let fake = frontend();
    let full = ["sh", "-c", "exec \"$@\" >/dev/full", "sh"];
    let finished = apply(
        &folder,
        &fake,
        &["-o", "jsonl", "--journal", "kept.journal"],
    )
    .under(&full)
    .run();
    expect_stopped(finished, &fake, "standard output");
    // The journal was none the worse for it.
    expect_resumable(&folder, &fake, &folder.path().join("kept.journal"));
}

#[test]
fn a_report_that_cannot_be_written_is_told_after_all_starts() {
    let folder = many();
    let full = ["sh", "-c", "exec \"$@\" >/dev/full", "sh"];
    for format in ["json", "text"] {
        let fake = frontend();
        let finished = apply(&folder, &fake, &["-o", format])
            .under(&full)
            .run()
            .expect_code(8);
        assert!(finished.stderr.contains("cannot write to standard output"));
        assert_eq!(fake.start_count(), STARTS);
    }
    let fake = frontend();
    let finished = apply(&folder, &fake, &["--report", "json=/dev/full"])
        .run()
        .expect_code(8);
    assert!(
        finished
            .stderr
            .contains("cannot write the report `/dev/full`"),
        "{}",
        finished.stderr
    );
    assert_eq!(fake.start_count(), STARTS);
    let there = std::fs::metadata("/dev/full").expect("it is there");
    assert!(!there.is_file(), "a device is not replaced by a report");
}

#[test]
fn a_report_goes_through_links_and_into_pipes() {
    let folder = Folder::new();
    folder.starts([json!({"workflowId": "w", "type": "T", "taskQueue": UNSERVED})]);
    let fake = frontend();
    let real = folder.write("real/report.json", "old");
    let link = folder.path().join("link.json");
    std::os::unix::fs::symlink("real/report.json", &link).expect("links can be made");
    apply(&folder, &fake, &["--report", "json=link.json"])
        .run()
        .expect_code(0);
    assert!(link.is_symlink());
    let report = std::fs::read(real).expect("it is there");
    let report: Value = serde_json::from_slice(&report).expect("JSON");
    assert_eq!(report["summary"]["started"], 1);

    let flags = ["-o", "none", "--report", "json=/dev/stdout"];
    let finished = apply(&folder, &fake, &flags).run().expect_code(0);
    assert_eq!(Report::of(&finished).count("started"), 1);
}
