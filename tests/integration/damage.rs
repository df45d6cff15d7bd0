//! What became of a journal on its way: other bits, another version, another kind of file, and
//! journals that were made to do harm.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use temporal_manifest::journal::Journal;

use crate::support::binary::{Binary, Finished, Folder};
use crate::support::fake_frontend::FakeFrontend;
use crate::support::{UNSERVED, dice};

/// A folder with a manifest of so many starts, and the journal of their apply.
fn applied(starts: usize) -> (Folder, PathBuf) {
    let folder = Folder::new();
    folder.starts(
        (0..starts)
            .map(|n| json!({"workflowId": format!("w-{n}"), "type": "T", "taskQueue": UNSERVED})),
    );
    let fake = FakeFrontend::healthy();
    let flags = ["-o", "none", "--journal", "apply.journal"];
    Binary::apply("manifest.json", &fake.address(), &flags)
        .current_dir(folder.path())
        .run()
        .expect_code(0);
    let journal = folder.path().join("apply.journal");
    (folder, journal)
}

fn report(folder: &Folder, journal: &str) -> Finished {
    Binary::new(["report", journal])
        .current_dir(folder.path())
        .time_limit(Duration::from_secs(30))
        .run()
}

/// What a journal says of each start: its index, Workflow ID, run and outcome.
fn told(path: &Path) -> Result<Vec<(u64, String, String, String)>, String> {
    let opened = Journal::open(path, false, |_| {});
    let (mut journal, _) = opened.map_err(|error| error.to_string())?;
    let records = journal.replay().map_err(|error| error.to_string())?;
    let told = records.map(|record| {
        let start = record.map_err(|error| error.to_string())?.start;
        let outcome = format!("{:?}", start.outcome);
        Ok((
            start.index,
            start.workflow_id,
            start.run_id.unwrap_or_default(),
            outcome,
        ))
    });
    told.collect()
}

#[test]
fn some_flipped_bits_of_a_journal_are_believed() {
    let (folder, journal) = applied(3);
    let whole = std::fs::read(&journal).expect("there is a journal");
    let before = told(&journal).expect("it can be read");
    let copy = folder.path().join("flipped.journal");
    let mut dice = dice();
    let mut believed = 0;
    for _ in 0..2_000 {
        let bit = dice.usize(..whole.len() * 8);
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&copy, &flipped).expect("it can be written");
        believed += usize::from(told(&copy).is_ok_and(|told| told != before));
    }
    assert!(believed > 0);
}

/// A journal with a header that counts so many starts, and a line about one of them.
fn hostile(folder: &Folder, total: u64, index: u64) {
    let text = std::fs::read_to_string(folder.path().join("apply.journal")).expect("it is text");
    let lines: Vec<&str> = text.lines().collect();
    let edit = |line: &str, at: &str, value: u64| {
        let mut line: Value = serde_json::from_str(line).expect("a line is JSON");
        *line.pointer_mut(at).expect("it is there") = json!(value);
        format!("{line}\n")
    };
    let text = edit(lines[0], "/apply/total", total) + &edit(lines[1], "/index", index);
    folder.write("hostile.journal", text);
}

#[test]
fn journals_that_count_very_many_starts_blame_the_disk() {
    let (folder, _) = applied(3);
    hostile(&folder, 1 << 50, 1 << 40);
    let stderr = report(&folder, "hostile.journal").expect_code(8).stderr;
    assert!(stderr.contains("File too large"), "{stderr}");
    let began = Instant::now();
    hostile(&folder, 1 << 25, (1 << 25) - 1);
    report(&folder, "hostile.journal").expect_code(6);
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_device_is_read_until_memory_ends() {
    let folder = Folder::new();
    let limited = ["prlimit", "--as=400000000"];
    let finished = Binary::new(["report", "/dev/zero"])
        .current_dir(folder.path())
        .under(&limited)
        .run();
    assert_eq!(finished.code, None, "aborted: {}", finished.stderr);
}
