//! What became of a journal on its way: other bits, another version, another kind of file, and
//! journals that were made to do harm.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use temporal_manifest::journal::read;

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
    let content = read(path).map_err(|error| error.to_string())?;
    let mut journal = content.journal;
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

/// Every bit of a short journal, and random ones of a longer one. The program is asked now and then,
/// the library always.
#[test]
fn a_flipped_bit_anywhere_is_refused_with_its_line() {
    let mut dice = dice();
    for starts in [1, 200] {
        let (folder, journal) = applied(starts);
        let whole = std::fs::read(&journal).expect("there is a journal");
        told(&journal).expect("it can be read");
        let bits: Vec<usize> = match starts {
            1 => (0..whole.len() * 8).collect(),
            _ => (0..1_000).map(|_| dice.usize(..whole.len() * 8)).collect(),
        };
        let copy = folder.path().join("flipped.journal");
        for (position, bit) in bits.into_iter().enumerate() {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&copy, &flipped).expect("it can be written");
            let line = 1 + whole[..bit / 8].iter().filter(|it| **it == b'\n').count();
            let named = format!(": line {line}: ");
            let refused = told(&copy).expect_err("it is not believed");
            assert!(refused.contains(&named), "bit {bit}: {refused}");
            if position % 1_000 == 0 {
                let refused = report(&folder, "flipped.journal").expect_code(8);
                assert!(refused.stderr.contains(&named), "{}", refused.stderr);
                assert_eq!(refused.stdout, "");
            }
        }
    }
}

#[test]
fn a_journal_of_another_version_is_refused_in_words_that_name_both() {
    let (folder, journal) = applied(3);
    let text = std::fs::read_to_string(&journal).expect("it is text");
    // The first version had no check sums.
    let first: String = text
        .lines()
        .map(|line| {
            let (line, _) = line.split_once(",\"xxh3\"").expect("it has a sum");
            line.replace("\"version\":3,", "\"version\":1,") + "}\n"
        })
        .collect();
    folder.write("first.journal", first);
    // Others are sealed; a later one as far as we can know.
    let header = text.lines().next().expect("there is a header");
    for (name, version) in [("second.journal", 2), ("later.journal", 4)] {
        let header = header.replace("\"version\":3,", &format!("\"version\":{version},"));
        folder.write(name, sealed(&header));
    }
    let fake = FakeFrontend::healthy();
    for (name, version) in [
        ("first.journal", 1),
        ("second.journal", 2),
        ("later.journal", 4),
    ] {
        let words = format!("line 1: it has version {version}, and this program reads version 3");
        let refused = report(&folder, name).expect_code(8);
        assert!(refused.stderr.contains(&words), "{}", refused.stderr);
        let flags = ["--resume", name, "-o", "json"];
        let refused = Binary::apply("manifest.json", &fake.address(), &flags)
            .current_dir(folder.path())
            .run()
            .expect_code(8);
        assert!(refused.stdout.contains(&words), "{}", refused.stdout);
    }
    assert_eq!(fake.start_count(), 0);
}

/// What a later program adds is passed over, unless it may change what the rest means.
#[test]
fn what_a_later_program_adds_is_passed_over_if_it_may_be() {
    let (folder, journal) = applied(2);
    let text = std::fs::read_to_string(&journal).expect("it is text");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let more = lines[1].replace("\"index\":", "\"invented\":{\"a\":[1]},\"index\":");
    let more = sealed(more.trim_end());
    let update =
        |optional: &str| sealed(&format!("{{\"line\":\"invented\",\"index\":7{optional}}}"));
    let added = |optional: &str| [lines[0], &more, &update(optional), lines[2], lines[3]].concat();
    folder.write("later.journal", added(",\"optional\":true"));
    let plain = report(&folder, "apply.journal").expect_code(0);
    let later = report(&folder, "later.journal").expect_code(0);
    assert_eq!(later.stdout, plain.stdout);
    for optional in ["", ",\"optional\":false"] {
        folder.write("later.journal", added(optional));
        let refused = report(&folder, "later.journal").expect_code(8);
        let words = "line 3: it is a line of another kind than this program knows";
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
}

/// A line with its check sum, as another program would write it.
fn sealed(line: &str) -> String {
    let line = match line.split_once(",\"xxh3\"") {
        Some((line, _)) => line,
        None => line.strip_suffix('}').expect("a line is an object"),
    };
    let sum = xxhash_rust::xxh3::xxh3_64(line.as_bytes());
    format!("{line},\"xxh3\":\"{sum:016x}\"}}\n")
}

/// A journal with a header that counts so many starts, and lines about these.
fn hostile(folder: &Folder, total: u64, indices: impl IntoIterator<Item = u64>) {
    let text = std::fs::read_to_string(folder.path().join("apply.journal")).expect("it is text");
    let lines: Vec<&str> = text.lines().collect();
    let edit = |line: &str, at: &str, value: u64| {
        let mut line: Value = serde_json::from_str(line).expect("a line is JSON");
        line.as_object_mut().expect("it is one").remove("xxh3");
        *line.pointer_mut(at).expect("it is there") = json!(value);
        sealed(&line.to_string())
    };
    let mut text = edit(lines[0], "/apply/total", total);
    text.extend(indices.into_iter().map(|it| edit(lines[1], "/index", it)));
    folder.write("hostile.journal", text);
}

#[test]
fn journals_that_count_more_starts_than_there_can_be_are_refused_with_the_line() {
    let (folder, _) = applied(3);
    let limited = ["prlimit", "--as=400000000"];
    for (total, index, words) in [
        (
            1 << 50,
            1 << 40,
            "line 1: it is about 1125899906842624 starts",
        ),
        (1_000_000_000, 7, "line 1: it is about 1000000000 starts"),
        (u64::MAX, u64::MAX, "line 1: it is about "),
        (
            1 << 20,
            1 << 40,
            "line 2: it is about start 1099511627776, ",
        ),
        (3, 3, "line 2: it is about start 3, and the header counts 3"),
    ] {
        hostile(&folder, total, [index]);
        for command in [
            ["report", "hostile.journal", "-o", "json"].as_slice(),
            &[
                "apply",
                "manifest.json",
                "--resume",
                "hostile.journal",
                "-o",
                "json",
            ],
        ] {
            let refused = Binary::new(command)
                .current_dir(folder.path())
                .under(&limited)
                .time_limit(Duration::from_secs(30))
                .run()
                .expect_code(8);
            let document: Value = serde_json::from_str(&refused.stdout).expect("JSON");
            assert_eq!(document["error"]["code"], "journal");
            assert!(refused.stderr.contains(words), "{}", refused.stderr);
        }
    }
}

/// As many starts as there can be, and lines about a few of them, far apart.
#[test]
fn a_journal_costs_what_its_lines_are_worth() {
    const MOST: u64 = 100_000_000;
    let (folder, _) = applied(3);
    let apart = (0..50).flat_map(|n| [n * 4096 * 7, MOST - 1 - n * 4096 * 5]);
    hostile(&folder, MOST, apart);
    let finished = Binary::new(["report", "hostile.journal"])
        .current_dir(folder.path())
        .under(&["prlimit", "--as=400000000"])
        .time_limit(Duration::from_secs(20))
        .run()
        .expect_code(6);
    let counted = "100000000 starts: 100 started, 99999900 skipped";
    assert!(finished.stdout.contains(counted), "{}", finished.stdout);
}

/// Neither is waited for, nor read to its end: it has none.
#[test]
fn only_a_regular_file_is_a_journal() {
    let (folder, _) = applied(1);
    let made = std::process::Command::new("mkfifo")
        .arg(folder.path().join("pipe"))
        .status();
    assert!(made.expect("mkfifo is on PATH").success());
    let endless = folder.path().join("endless");
    let beginning = br#"{"line":"header","version":3,"#;
    std::fs::write(&endless, beginning).expect("it can be written");
    let file = std::fs::OpenOptions::new().write(true).open(&endless);
    let grown = file.and_then(|file| file.set_len(100 << 30));
    grown.expect("a file may have a hole");
    let fake = FakeFrontend::healthy();
    for (path, words) in [
        ("pipe", "is not a regular file"),
        ("/dev/zero", "is not a regular file"),
        ("/dev/null", "is not a regular file"),
        (".", "the journal `.`"),
        ("endless", "line 1: it is longer than 256 MiB"),
    ] {
        let reported = Binary::new(["report", path]).current_dir(folder.path());
        let flags = ["--resume", path];
        let resumed =
            Binary::apply("manifest.json", &fake.address(), &flags).current_dir(folder.path());
        for binary in [reported, resumed] {
            let refused = binary
                .under(&["prlimit", "--as=1000000000"])
                .time_limit(Duration::from_secs(30))
                .run()
                .expect_code(8);
            assert!(refused.stderr.contains(words), "{path}: {}", refused.stderr);
        }
    }
    assert_eq!(fake.start_count(), 0);
}
