//! What an apply leaves on disk, and how another one goes on from it.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use temporal_manifest::journal::JournalError;
use temporal_manifest::journal::resume::resume;
use temporal_manifest::report::schema;
use tonic::Status;

use crate::support::binary::{Binary, Finished, Folder};
use crate::support::dev_server;
use crate::support::fake_frontend::{FakeFrontend, already_started, frontend, started};
use crate::support::report::{Report, text};
use crate::support::{SERVED, UNSERVED, unique_id};

/// Starts `w-0`, `w-1`, ...
fn starts(count: usize) -> impl Iterator<Item = Value> {
    (0..count).map(|n| json!({"workflowId": format!("w-{n}"), "type": "T", "taskQueue": UNSERVED}))
}

/// The Workflow IDs that a fake was asked to start, each once.
fn called(fake: &FakeFrontend) -> BTreeSet<String> {
    let calls = fake.starts();
    calls
        .into_iter()
        .map(|call| call.message.workflow_id)
        .collect()
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("the journal can be read");
    assert!(text.ends_with('\n'));
    let parse = |line| serde_json::from_str(line).expect("every line is JSON");
    text.lines().map(parse).collect()
}

#[track_caller]
fn expect_valid(lines: &[Value]) {
    let schema: Value = serde_json::from_str(schema::JOURNAL).expect("a schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is one");
    for line in lines {
        let errors: Vec<String> = validator
            .iter_errors(line)
            .map(|it| it.to_string())
            .collect();
        assert!(errors.is_empty(), "{line}: {errors:?}");
    }
}

/// A folder with a manifest, and the path of its journal.
struct Place {
    folder: Folder,
    journal: PathBuf,
}

impl Place {
    fn new(starts: impl IntoIterator<Item = Value>) -> Self {
        let folder = Folder::new();
        folder.starts(starts);
        let journal = folder.path().join("apply.journal");
        Place { folder, journal }
    }

    /// An apply with flags, in the folder.
    fn apply(&self, fake: &FakeFrontend, flags: &[&str]) -> Binary {
        Binary::apply("manifest.json", &fake.address(), flags).current_dir(self.folder.path())
    }

    /// One that keeps the journal.
    fn first(&self, fake: &FakeFrontend, flags: &[&str]) -> Binary {
        self.apply(fake, flags).args(["--journal", "apply.journal"])
    }

    /// One that goes on with it, and reports as JSON.
    fn resume(&self, fake: &FakeFrontend, flags: &[&str]) -> Binary {
        self.apply(fake, flags)
            .args(["-o", "json", "--resume", "apply.journal"])
    }

    fn report(&self, flags: &[&str]) -> Finished {
        Binary::new(["report", "apply.journal"])
            .args(flags)
            .current_dir(self.folder.path())
            .run()
    }
}

#[test]
fn a_journal_is_private_follows_its_schema_and_holds_no_secrets() {
    const SECRETS: [&str; 5] = [
        "secret-argument",
        "secret-memo",
        "secret-header",
        "secret-tenant",
        "secret-detail",
    ];
    let place = Place::new([
        json!({"workflowId": "w-0", "type": "T", "taskQueue": UNSERVED,
            "args": [{"key": SECRETS[0]}], "memo": {"note": SECRETS[1]},
            "headers": {"auth": SECRETS[2]}, "staticDetails": SECRETS[4]}),
        json!({"workflowId": "w-1", "type": "T", "taskQueue": UNSERVED}),
    ]);
    let fake = frontend(&["w-1"], &[]);
    let meta = format!("x-tenant={}", SECRETS[3]);
    let flags = ["--idempotency-key", "k-1", "--grpc-meta", &meta];
    place.first(&fake, &flags).run().expect_code(4);
    let metadata = std::fs::metadata(&place.journal).expect("there is a journal");
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
    let lines = lines(&place.journal);
    expect_valid(&lines);
    let kinds: Vec<&str> = lines.iter().map(|line| text(line, "line")).collect();
    assert_eq!(kinds, ["header", "start", "start", "finished"]);
    assert_eq!(lines[0]["apply"]["invocation"]["idempotencyKey"], "k-1");
    let journal = std::fs::read_to_string(&place.journal).expect("it is text");
    for secret in SECRETS {
        assert!(!journal.contains(secret), "{secret} in {journal}");
    }
}

#[test]
fn results_are_in_a_journal_unless_hidden() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    for (flag, is_shown) in [(None, true), (Some("--hide-results"), false)] {
        let folder = Folder::new();
        let manifest = folder.starts([json!({"workflowId": unique_id("echo"), "type": "Echo",
            "taskQueue": SERVED, "args": ["secret-result"]})]);
        let journal = folder.path().join("apply.journal");
        let applied = Binary::apply(manifest, &server.address, &["--wait", "-o", "json"])
            .args(flag)
            .arg("--journal")
            .arg(&journal)
            .run()
            .expect_code(0);
        let lines = lines(&journal);
        expect_valid(&lines);
        assert_eq!(lines[2]["line"], "workflow");
        assert_eq!(lines[2]["workflow"]["status"], "completed");
        let text = std::fs::read_to_string(&journal).expect("it is text");
        assert_eq!(text.contains("secret-result"), is_shown);
        assert_eq!(applied.stdout.contains("secret-result"), is_shown);
        for (flag, is_shown) in [(None, is_shown), (Some("--hide-results"), false)] {
            let report = Binary::new(["report", "-o", "json"])
                .arg(&journal)
                .args(flag)
                .run()
                .expect_code(0);
            assert_eq!(report.stdout.contains("secret-result"), is_shown);
        }
    }
}

#[test]
fn a_resume_tries_what_is_not_finished_and_nothing_else() {
    let place = Place::new(starts(6));
    // One at a time: refused, started, then silence, which skips the rest.
    let flags = ["--parallelism", "1", "--retry-for", "300ms"];
    let fake = frontend(&["w-0"], &["w-2"]);
    let first = place
        .first(&fake, &flags)
        .args(["-o", "json"])
        .run()
        .expect_code(6);
    let first = Report::of(&first);
    let outcomes: Vec<&str> = first
        .starts()
        .iter()
        .map(|it| text(it, "outcome"))
        .collect();
    assert_eq!(
        outcomes,
        [
            "failed", "started", "unknown", "skipped", "skipped", "skipped"
        ]
    );
    let before = lines(&place.journal);

    let fake = frontend(&[], &[]);
    let again = place.resume(&fake, &[]).run().expect_code(0);
    let key = text(&before[0]["apply"]["invocation"], "idempotencyKey");
    let said = format!("idempotency key: {key}\n");
    assert!(again.stderr.contains(&said), "{}", again.stderr);
    let again = Report::of(&again);
    let missing = ["w-0", "w-2", "w-3", "w-4", "w-5"].map(str::to_owned);
    assert_eq!(called(&fake), BTreeSet::from(missing));
    assert_eq!(again.count("total"), 6);
    assert_eq!(again.count("failed") + again.count("unknown"), 0);
    assert_eq!(again.start("w-1"), first.start("w-1"));
    for (earlier, later) in first.starts().iter().zip(again.starts()) {
        assert_eq!(text(earlier, "requestId"), text(later, "requestId"));
    }
    let after = lines(&place.journal);
    assert_eq!(after[..before.len()], before, "a resume only appends");
    assert_eq!(after[before.len()]["line"], "resumed");
    assert_eq!(after.len(), before.len() + 1 + 5 + 1);
    expect_valid(&after);

    // Nothing is left to do.
    let fake = frontend(&[], &[]);
    let third = place.resume(&fake, &[]).run().expect_code(0);
    assert_eq!(fake.start_count(), 0);
    assert_eq!(Report::of(&third).starts(), again.starts());
}

#[test]
fn a_journal_is_rendered_again_as_its_apply_reported() {
    let place = Place::new(starts(8));
    let fake = frontend(&["w-3", "w-5"], &[]);
    let applied = place
        .first(&fake, &["-o", "json"])
        .args(["--report", "json=report.json"])
        .run()
        .expect_code(4);
    let applied = Report::of(&applied);
    let again = Report::of(&place.report(&["-o", "json"]).expect_code(4));
    assert_eq!(again.starts(), applied.starts());
    for count in ["total", "started", "failed", "skipped", "attempts"] {
        assert_eq!(again.count(count), applied.count(count), "{count}");
    }
    let document = std::fs::read(place.folder.path().join("report.json")).expect("it was written");
    let document: Value = serde_json::from_slice(&document).expect("it is JSON");
    assert_eq!(document, *applied.document());
    let text = place.report(&[]).expect_code(4).stdout;
    assert!(text.contains("8 starts: 6 started, 2 failed in "), "{text}");
    assert!(text.contains("w-3"), "{text}");
    let events = place.report(&["-o", "jsonl"]).expect_code(4).stdout;
    let events: Vec<Value> = events
        .lines()
        .map(|line| serde_json::from_str(line).expect("every line is JSON"))
        .collect();
    assert_eq!(events.len(), 8 + 2);
    assert_eq!(events[0]["event"], "applyStarted");
    assert_eq!(events[1]["runId"], applied.starts()[0]["runId"]);
    assert_eq!(events[9]["event"], "applyFinished");
    let none = place.report(&["-o", "none"]).expect_code(4);
    assert_eq!(none.stdout, "");
}

#[test]
fn a_journal_that_does_not_fit_is_refused_with_a_way_to_go_on() {
    let place = Place::new(starts(3));
    let fake = frontend(&["w-0"], &[]);
    let flags = ["--idempotency-key", "k-1"];
    place.first(&fake, &flags).run().expect_code(4);
    let before = lines(&place.journal);
    let refused = |binary: Binary, words: &[&str]| {
        let refused = binary.run().expect_code(2);
        for words in words {
            assert!(
                refused.stderr.contains(words),
                "{words}: {}",
                refused.stderr
            );
        }
        let document: Value = serde_json::from_str(&refused.stdout).expect("JSON");
        assert_eq!(document["error"]["exitCode"], 2);
        assert_eq!(lines(&place.journal), before);
    };
    let untouched = frontend(&[], &[]);
    refused(
        place.resume(&untouched, &["--idempotency-key", "k-2"]),
        &[
            "another idempotency key, `k-1`",
            "leave --idempotency-key out",
        ],
    );
    refused(
        place
            .resume(&untouched, &[])
            .env("TEMPORAL_MANIFEST_IDEMPOTENCY_KEY", "k-2"),
        &["another idempotency key, `k-1`"],
    );
    refused(
        place.resume(&untouched, &["-n", "other"]),
        &["namespace `default`", "`other`", "--idempotency-key k-1"],
    );
    refused(
        place.first(&untouched, &["-o", "json"]),
        &["exists already", "--resume apply.journal"],
    );
    place.folder.starts(starts(4));
    refused(
        place.resume(&untouched, &[]),
        &["a manifest has changed", "--idempotency-key k-1"],
    );
    assert_eq!(untouched.start_count(), 0);
    // The same key beside the journal is none too many.
    place.folder.starts(starts(3));
    place.resume(&untouched, &flags).run().expect_code(0);
}

#[test]
fn a_journal_has_one_writer_at_a_time() {
    let holding = FakeFrontend::builder()
        .on_start(|_, _| std::future::pending())
        .start();
    let place = Place::new(starts(3));
    let running = place.first(&holding, &[]).spawn();
    holding.wait_for_starts(3);
    let fake = frontend(&[], &[]);
    let refused = place.resume(&fake, &[]).run().expect_code(2);
    assert!(refused.stderr.contains("in use by another process"));
    assert_eq!(fake.start_count(), 0);
    // Reading it is no matter.
    let report = Report::of(&place.report(&["-o", "json"]).expect_code(6));
    assert_eq!(report.count("total"), 3);
    assert_eq!(report.count("skipped"), 3);
    running.kill();
    place.resume(&fake, &[]).run().expect_code(0);
    assert_eq!(fake.start_count(), 3);
}

/// Wherever in the last three lines the writing stopped, exactly the starts without a whole line are
/// tried again.
#[test]
fn a_torn_line_is_cut_off_and_its_start_tried_again() {
    const STARTS: usize = 3;
    let place = Place::new(starts(STARTS));
    let flags = ["--parallelism", "1", "--idempotency-key", "k-1"];
    place
        .first(&frontend(&[], &[]), &flags)
        .run()
        .expect_code(0);
    let whole = std::fs::read(&place.journal).expect("there is a journal");
    let ends: Vec<usize> = (0..whole.len())
        .filter(|at| whole[*at] == b'\n')
        .map(|at| at + 1)
        .collect();
    assert_eq!(ends.len(), 1 + STARTS + 1);
    let last_three = ends[ends.len() - 4];
    // The library for every byte, the program around each change and here and there. They have a
    // file each: a program that another test is just starting may hold our lock for a moment.
    let copy = place.folder.path().join("copy.journal");
    for length in last_three..=whole.len() {
        std::fs::write(&copy, &whole[..length]).expect("it can be written");
        let complete = ends.iter().filter(|end| **end <= length).count();
        let expected: BTreeSet<usize> = ((complete - 1).min(STARTS)..STARTS).collect();
        let unfinished = loop {
            match resume(&copy) {
                Err(JournalError::Locked { .. }) => std::thread::yield_now(),
                resumed => break resumed.expect("a torn line is no damage"),
            }
        };
        let missing = (0..STARTS).filter(|index| !unfinished.finished.contains(*index as u64));
        assert_eq!(missing.collect::<BTreeSet<_>>(), expected, "{length}");
        drop(unfinished);
        let cut = std::fs::metadata(&copy).expect("it is there").len();
        assert_eq!(cut as usize, ends[complete - 1]);
        let is_near = ends.iter().any(|end| end.abs_diff(length) <= 1);
        if is_near || length % 61 == 0 {
            std::fs::write(&place.journal, &whole[..length]).expect("it can be written");
            let fake = frontend(&[], &[]);
            let report = Report::of(&place.resume(&fake, &[]).run().expect_code(0));
            let expected: BTreeSet<String> = expected.iter().map(|n| format!("w-{n}")).collect();
            assert_eq!(called(&fake), expected, "{length}");
            assert_eq!(report.count("total"), STARTS as u64);
            expect_valid(&lines(&place.journal));
        }
    }
}

#[test]
fn what_is_no_journal_is_told_with_the_line() {
    let place = Place::new(starts(3));
    let fake = frontend(&[], &[]);
    place.first(&fake, &[]).run().expect_code(0);
    let whole = std::fs::read_to_string(&place.journal).expect("it is text");
    let all: Vec<&str> = whole.split_inclusive('\n').collect();
    let garbage = "{\"line\": \"start\", \"ind\u{0}\n";
    let foreign = all[1].replace("\"index\":", "\"index\":70");
    let cases = [
        ([all[0], all[1], garbage, all[3]].concat(), "line 3: "),
        ([all[0], &foreign, all[2]].concat(), "line 2: its check sum"),
        ([all[0], all[0]].concat(), "line 2: the header must be"),
        ([all[1], all[2]].concat(), "line 1: "),
        ("starts: []\n".to_owned(), "line 1: this is no journal"),
        (String::new(), "line 1: this is no journal"),
        (all[0].trim_end().to_owned(), "line 1: this is no journal"),
    ];
    let fake = frontend(&[], &[]);
    for (content, words) in cases {
        std::fs::write(&place.journal, &content).expect("it can be written");
        let resumed = place.resume(&fake, &[]).run().expect_code(8);
        let reported = place.report(&[]).expect_code(8);
        for stderr in [resumed.stderr, reported.stderr] {
            assert!(stderr.contains("`apply.journal`: "), "{stderr}");
            assert!(stderr.contains(words), "{words}: {stderr}");
        }
        let untouched = std::fs::read_to_string(&place.journal).expect("it is text");
        assert_eq!(untouched, content, "what is no journal is not written to");
    }
    assert_eq!(fake.start_count(), 0);
}

/// The run that the journal names has ended, and another client has the Workflow ID now.
#[test]
fn a_resume_waits_for_the_runs_that_were_started() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    let ids = [unique_id("closed"), unique_id("open")];
    let folder = Folder::new();
    let manifest = folder.starts([
        json!({"workflowId": ids[0], "type": "Echo", "taskQueue": SERVED, "args": ["mine"]}),
        json!({"workflowId": ids[1], "type": "Hold", "taskQueue": SERVED}),
    ]);
    let journal = folder.path().join("apply.journal");
    let first = Binary::apply(&manifest, &server.address, &["-o", "json", "--journal"])
        .arg(&journal)
        .run()
        .expect_code(0);
    let first = Report::of(&first);
    server.close_event(&ids[0], &first.run_id(&ids[0]));
    server.temporal_stdout(&[
        "workflow", "start", "-w", &ids[0], "--type", "Hold", "-t", SERVED,
    ]);
    let flags = ["-o", "json", "--wait", "--resume"];
    let resumed = Binary::apply(&manifest, &server.address, &flags)
        .arg(&journal)
        .spawn();
    server.release(&ids[1], "\"released\"");
    let report = Report::of(&resumed.finish().expect_code(0));
    assert_eq!(report.workflows("completed"), 2);
    assert_eq!(report.count("started"), 2);
    for (id, result) in ids.iter().zip([json!(["mine"]), json!("released")]) {
        assert_eq!(report.run_id(id), first.run_id(id));
        assert_eq!(report.start(id)["workflow"]["result"], result);
    }
    server.terminate(&ids[..1]);
}

#[test]
fn a_report_file_is_replaced_whole_or_not_at_all() {
    let holding = FakeFrontend::builder()
        .on_start(|_, _| std::future::pending())
        .start();
    let place = Place::new(starts(3));
    let path = place.folder.write("report.json", "old");
    let files = |place: &Place| {
        let entries = std::fs::read_dir(place.folder.path()).expect("it can be read");
        let names = entries.map(|it| it.expect("it can be read").file_name());
        names.collect::<BTreeSet<_>>()
    };
    let before = files(&place);
    let flags = ["--report", "json=report.json"];
    let running = place.apply(&holding, &flags).spawn();
    holding.wait_for_starts(3);
    running.kill();
    assert_eq!(std::fs::read(&path).expect("it is there"), b"old");
    assert_eq!(files(&place), before);

    place
        .apply(&frontend(&[], &[]), &flags)
        .run()
        .expect_code(0);
    let document = std::fs::read(&path).expect("it is there");
    let document: Value = serde_json::from_slice(&document).expect("JSON");
    assert_eq!(document["summary"]["started"], 3);
    assert_eq!(files(&place), before, "no temporary file is left");
}

#[test]
fn too_many_failures_skip_the_rest() {
    const STARTS: u64 = 40;
    for (most, failed) in [("0", 1), ("2", 3), ("5%", 3)] {
        let place = Place::new(starts(STARTS as usize));
        let fake = FakeFrontend::builder()
            .on_start(|request, _| async move {
                // Every second one.
                if request.workflow_id.ends_with(['1', '3', '5', '7', '9']) {
                    Err(Status::invalid_argument("no"))
                } else {
                    Ok(started())
                }
            })
            .start();
        let flags = ["-o", "json", "--parallelism", "1", "--max-failures", most];
        let report = Report::of(&place.apply(&fake, &flags).run().expect_code(4));
        assert_eq!(report.count("failed"), failed, "{most}");
        assert_eq!(report.count("started"), failed, "{most}");
        assert_eq!(report.count("skipped"), STARTS - 2 * failed, "{most}");
        assert_eq!(fake.start_count() as u64, 2 * failed, "{most}");
        assert_eq!(report.document()["stopped"]["by"], "failures");
    }
    // As many as are allowed are no reason to stop.
    let place = Place::new(starts(3));
    let flags = ["-o", "json", "--parallelism", "1", "--max-failures", "1"];
    let applied = place.apply(&frontend(&["w-0"], &[]), &flags).run();
    let report = Report::of(&applied.expect_code(4));
    assert_eq!((report.count("started"), report.count("skipped")), (2, 0));
}

/// What gives outcomes their meaning is the journal's, and need not be given again.
#[test]
fn a_resume_keeps_the_settings_that_give_outcomes_their_meaning() {
    let place = Place::new(starts(3));
    let taken = || {
        FakeFrontend::builder()
            .remembering()
            .on_start(|request, _| async move {
                if request.workflow_id == "w-1" {
                    Err(already_started("another", "run", "run"))
                } else {
                    Ok(started())
                }
            })
            .start()
    };
    let flags = ["--fail-existing", "--max-failures", "2"];
    place.first(&taken(), &flags).run().expect_code(4);
    let again = place.resume(&taken(), &[]).run().expect_code(4);
    let again = Report::of(&again);
    assert_eq!(again.outcome("w-1"), "existing");
    assert!(again.start("w-1")["error"].is_object());
    place.resume(&taken(), &flags[..1]).run().expect_code(4);
    let lines = lines(&place.journal);
    let settings: Vec<&Value> = lines.iter().map(|line| &line["settings"]).collect();
    let settings: Vec<_> = settings.into_iter().filter(|it| !it.is_null()).collect();
    assert_eq!(settings.len(), 3, "of the header and two resumes");
    for settings in settings {
        assert_eq!(*settings, json!({"failExisting": true, "maxFailures": 2}));
    }

    // What counted as well must not count as failed from here on.
    let place = Place::new(starts(3));
    place.first(&taken(), &[]).run().expect_code(0);
    let refused = place.resume(&taken(), &flags).run().expect_code(2);
    assert!(
        refused.stderr.contains("made without --fail-existing"),
        "{}",
        refused.stderr
    );
}

/// Whether Workflows are waited for is the journal's, and need not be said again beside a timeout.
#[test]
fn a_resume_takes_a_timeout_alone_if_its_journal_waits() {
    let fake = FakeFrontend::builder()
        .remembering()
        .on_history(|_, _| std::future::pending())
        .start();
    let place = Place::new(starts(1));
    let flags = ["--wait", "--wait-timeout", "1ms"];
    place.first(&fake, &flags).run().expect_code(9);
    let again = place.resume(&fake, &["--wait-timeout", "2ms"]).run();
    let report = Report::of(&again.expect_code(9));
    assert_eq!(report.workflows("running"), 1);
    let lines = lines(&place.journal);
    let resumed = lines.iter().find(|line| line["line"] == "resumed");
    let resumed = resumed.expect("the journal was gone on with");
    assert_eq!(
        resumed["settings"],
        json!({"wait": true, "waitTimeoutMs": 2})
    );

    let place = Place::new(starts(1));
    place.first(&fake, &[]).run().expect_code(0);
    let refused = place.resume(&fake, &["--wait-timeout", "1ms"]).run();
    let refused = refused.expect_code(2).stdout;
    assert!(
        refused.contains("--wait-timeout without --wait"),
        "{refused}"
    );
    place.resume(&fake, &flags).run().expect_code(9);
}

#[test]
fn a_resumes_text_names_what_failed_before() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    let folder = Folder::new();
    let (bad, good) = (unique_id("bad"), unique_id("good"));
    let manifest = folder.starts([
        json!({"workflowId": bad, "type": "Fail", "taskQueue": SERVED}),
        json!({"workflowId": good, "type": "Echo", "taskQueue": SERVED}),
    ]);
    let journal = folder.path().join("apply.journal");
    let apply = |flag: &str, wait: &[&str]| {
        Binary::apply(&manifest, &server.address, wait)
            .arg(flag)
            .arg(&journal)
            .run()
            .expect_code(7)
    };
    let first = apply("--journal", &["--wait"]);
    assert!(first.stdout.contains(&bad), "{}", first.stdout);
    // It waits again, as the journal's apply did.
    let again = apply("--resume", &[]);
    let rows = |text: &str| {
        let (rows, _) = text.split_once("\n\n").expect("a table, then the summary");
        rows.to_owned()
    };
    assert_eq!(rows(&again.stdout), rows(&first.stdout));
}
