//! Words that are typed first by those who know other programs, and which help shows which options.

use crate::support::binary::{Binary, Folder};

/// The tip of a usage error.
#[track_caller]
fn tip(words: &[&str]) -> String {
    let told = Binary::new(words).run().expect_code(2).stderr;
    let tip = told.split("tip: ").nth(1).unwrap_or_default();
    tip.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn words_of_other_programs_are_offered_as_values() {
    for word in ["--dry-run", "--concurrency", "-w"] {
        let tip = tip(&["apply", "x", word]);
        assert_eq!(tip, format!("to pass '{word}' as a value, use '-- {word}'"));
    }
    let tip = tip(&["apply", "x", "--timeout", "30s"]);
    assert_eq!(tip, "a similar argument exists: '--time-format'");
}

#[test]
fn every_help_shows_the_options_of_all() {
    let help = Binary::new(["schema", "--help"])
        .run()
        .expect_code(0)
        .stdout;
    assert!(help.contains("--client-connect-timeout"));
}

#[test]
fn init_takes_no_file() {
    let folder = Folder::new();
    let file = folder.path().join("new.yaml");
    Binary::new(["init"]).arg(&file).run().expect_code(2);
    assert!(!file.exists());
}
