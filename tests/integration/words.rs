//! Words that are typed first by those who know other programs, and which help shows which options.

use crate::support::binary::{Binary, Folder};

/// The tip of a usage error.
#[track_caller]
fn tip(words: &[&str]) -> String {
    let told = Binary::new(words).run().expect_code(2).stderr;
    let tip = told.split("tip: ").nth(1).unwrap_or_default();
    tip.lines().next().unwrap_or_default().to_owned()
}

/// What is typed after `apply`, and what the tip names.
const MEANT: &[(&str, &str)] = &[
    ("--dry-run", "`validate`"),
    ("--dry-run=server", "`render`"),
    ("--server-dry-run", "`render`"),
    ("--timeout", "`--command-timeout`"),
    ("--timeout=30s", "`--retry-for`"),
    ("--concurrency", "`--parallelism N`"),
    ("--max-concurrency", "`--parallelism N`"),
    ("--workers", "`--parallelism N`"),
    ("-j8", "`--parallelism N`"),
    ("-w", "`--wait`"),
    ("--watch", "`--wait`"),
    ("--follow", "`--wait`"),
    ("--vars-file", "`--var-file FILE`"),
    ("--var_file", "`--var-file`"),
    ("--varfile", "`--var-file`"),
    ("-var-file=a.yaml", "`--var-file`"),
    ("-var=a=b", "`--var`"),
    ("--yes", "leave it out"),
    ("-y", "leave it out"),
    ("--auto-approve", "leave it out"),
    ("-auto-approve", "leave it out"),
    ("--force", "`idConflictPolicy`"),
    ("--workflow-id", "`workflowId`"),
    ("--task-queue", "`taskQueue`"),
    ("--search-attribute", "`searchAttributes`"),
    ("--filename", "`--file PATH`"),
    ("--recursive", "leave it out"),
    ("--verbose", "`--log-level info`"),
    ("-v", "`--log-level info`"),
    ("--json", "`-o json`"),
    ("--quiet", "`-o none`"),
    ("--retries", "`--retry-for DURATION`"),
    ("--rps", "`--rate R`"),
    ("--adress", "`--address`"),
    ("--codec-endpoint", "not supported"),
    ("--merge", "`report`"),
];

#[test]
fn words_of_other_programs_name_what_is_meant() {
    for (word, meant) in MEANT {
        for words in [
            &["apply", "x", word][..],
            &["apply", word, "x"],
            &[word, "apply"],
        ] {
            let tip = tip(words);
            assert!(tip.contains(meant), "{words:?}: {tip}");
            assert!(!tip.contains("as a value"), "{words:?}: {tip}");
        }
    }
    for (words, meant) in [
        (&["validate", "x", "--wait"][..], "an option of `apply`"),
        (&["plan", "x"], "`render`"),
        (&["start", "x"], "`apply`"),
        (&["validte", "x"], "`validate`"),
    ] {
        assert!(tip(words).contains(meant), "{words:?}: {}", tip(words));
    }
}

#[test]
fn nothing_is_offered_where_nothing_is_near() {
    // The hidden option that does nothing is not worth a try.
    for word in [
        "--time-forma",
        "--nosuch",
        "--no-json-shorthand-payload",
        "-x",
    ] {
        let told = Binary::new(["apply", "x", word]).run().expect_code(2);
        assert!(!told.stderr.contains("tip"), "{word}: {}", told.stderr);
    }
}

/// The options that help tells about, by the names that begin its lines.
fn options(help: &str) -> Vec<&str> {
    let begins = |line: &&str| {
        let option = line.trim_start();
        option.starts_with('-') && line.len() - option.len() <= 6
    };
    let lines = help.lines().filter(begins);
    lines
        .filter_map(|line| {
            let name = &line[line.find("--")? + 2..];
            name.split(|c: char| !c.is_ascii_lowercase() && c != '-')
                .next()
        })
        .collect()
}

#[test]
fn help_shows_a_commands_own_options_and_help_all_the_rest() {
    let help = |words: &[&str]| Binary::new(words).run().expect_code(0).stdout;
    let commands = [
        "validate",
        "render",
        "apply",
        "report",
        "schema",
        "init",
        "completion",
    ];
    for command in commands {
        for flag in ["-h", "--help"] {
            let own = help(&[command, flag]);
            let own = options(&own);
            for hidden in ["address", "profile", "log-level", "client-connect-timeout"] {
                assert!(!own.contains(&hidden), "{command} {flag} shows {hidden}");
            }
            assert!(own.contains(&"help-all") && own.contains(&"output"));
        }
        let all = help(&[command, "--help-all"]);
        assert_eq!(help(&["--help-all", command]), all);
        let is_network = command == "apply";
        for (option, shown) in [
            ("log-level", true),
            ("command-timeout", true),
            ("client-connect-timeout", is_network),
            ("profile", is_network),
            ("address", is_network),
        ] {
            let found = options(&all).contains(&option);
            assert_eq!(found, shown, "{command}: {option}");
        }
        assert!(!options(&all).contains(&"time-format"), "{all}");
    }
    assert!(help(&["apply", "-h"]).lines().count() < 50);
}

#[test]
fn init_writes_a_new_file_and_never_over_another() {
    let folder = Folder::new();
    let printed = Binary::new(["init"]).run().expect_code(0).stdout;
    let file = folder.path().join("new.yaml");
    let init = || Binary::new(["init"]).arg(&file).run();
    let wrote = init().expect_code(0);
    assert!(wrote.stdout.is_empty(), "{}", wrote.stdout);
    assert!(
        wrote.stderr.contains("temporal-manifest validate"),
        "{}",
        wrote.stderr
    );
    let read = || std::fs::read_to_string(&file).expect("it was written");
    assert_eq!(read(), printed);
    std::fs::write(&file, "mine").expect("files can be written");
    let told = init().expect_code(2);
    assert!(told.stderr.contains("exists already"), "{}", told.stderr);
    assert_eq!(read(), "mine");
    // A link is somebody's too, wherever it leads.
    let link = folder.path().join("link.yaml");
    let target = folder.path().join("target.yaml");
    std::os::unix::fs::symlink(&target, &link).expect("links can be made");
    Binary::new(["init"]).arg(&link).run().expect_code(2);
    assert!(!target.exists());
    let lost = Binary::new(["init", "/nonexistent/a.yaml"])
        .run()
        .expect_code(8);
    assert!(
        lost.stderr.contains("/nonexistent/a.yaml"),
        "{}",
        lost.stderr
    );
}
