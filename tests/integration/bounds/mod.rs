//! Any text has an answer, valid or an error with its place, with an exit code of the manual and
//! within 512 MiB. The time limit only tells what never ends: an optimised build has 10 s, which
//! `scripts/bench bounds` measures with the same texts.

mod texts;

use std::time::Duration;

use crate::support::binary::{Binary, Finished, Folder};
use crate::support::{asked_seed, full_length_is_wanted};
use texts::{FAMILIES, LARGEST, Numbers, Text};

/// Most address space, which is more than what is resident.
const MOST_BYTES: u64 = 512 << 20;

/// Unoptimised builds on busy machines take some ten times as long as they may.
const NEVER: Duration = Duration::from_secs(400);

/// Texts of each family.
fn rounds() -> usize {
    if full_length_is_wanted() { 12 } else { 1 }
}

/// About how many bytes a text has: in the quick tests few, as every byte grants work.
fn size(numbers: &mut Numbers) -> usize {
    if full_length_is_wanted() {
        (LARGEST - 100_000) >> numbers.below(12)
    } else {
        30_000 >> numbers.below(6)
    }
}

fn run(text: &Text) -> Finished {
    let folder = Folder::new();
    for (name, bytes) in &text.files {
        folder.write(name, bytes);
    }
    let binary = Binary::new(&text.arguments)
        .current_dir(folder.path())
        .time_limit(NEVER);
    if cfg!(target_os = "linux") {
        let limit = format!("--as={MOST_BYTES}");
        binary.under(&["prlimit", &limit]).run()
    } else {
        binary.run()
    }
}

/// Whether an answer is one of those in the manual, and an error names a file and a line in it.
fn is_answer(text: &Text, finished: &Finished) -> bool {
    let words = &finished.stderr;
    let mut files = text.files.iter();
    let is_placed = files.any(|(file, _)| {
        words.contains(&format!("{file}:")) || words.contains(&format!("`{file}`"))
    });
    let is_told = match (text.arguments[0], finished.code) {
        ("validate", Some(0)) => true,
        ("validate", Some(3)) => words.contains("temporal_manifest::manifest::") && is_placed,
        // A file of variables is a setting, and what is wrong with it is told by its names.
        ("validate", Some(2)) => text.arguments.contains(&"--var-file"),
        ("report", Some(2 | 8)) => is_placed,
        _ => false,
    };
    is_told && !words.contains("panicked") && words.len() < 200_000
}

/// Checks every fourth family, from one on.
fn check(part: usize) {
    let seed = asked_seed().unwrap_or(1);
    let mut numbers = Numbers(seed + part as u64);
    for round in 0..rounds() {
        for (family, make) in FAMILIES.iter().skip(part).step_by(PARTS) {
            let size = size(&mut numbers);
            let text = make(&mut numbers, size);
            let bytes: usize = text.files.iter().map(|(_, bytes)| bytes.len()).sum();
            assert!(
                bytes <= LARGEST,
                "{family}: {} has {bytes} bytes",
                text.name
            );
            let finished = run(&text);
            assert!(
                is_answer(&text, &finished),
                "{family}: {} of {bytes} bytes, seed {seed}, round {round}: {:?}\n{}",
                text.name,
                finished.code,
                finished.stderr
            );
        }
    }
}

/// The families are checked side by side.
const PARTS: usize = 4;

#[test]
fn any_text_has_an_answer_1() {
    check(0);
}

#[test]
fn any_text_has_an_answer_2() {
    check(1);
}

#[test]
fn any_text_has_an_answer_3() {
    check(2);
}

#[test]
fn any_text_has_an_answer_4() {
    check(3);
}
