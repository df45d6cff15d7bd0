//! `report JOURNAL` gives the very document and exit code that `apply -o json` gave, however that
//! ended, and says so where no end is recorded.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::binary::{Binary, Finished, Folder};
use crate::support::dev_server;
use crate::support::fake_frontend::{FakeFrontend, frontend, started};
use crate::support::report::{Report, text};
use crate::support::{SERVED, poll_until, unique_id};
use crate::waiting::{completed, history};

/// A folder with a manifest and, in time, a journal.
struct Place(Folder);

impl Place {
    /// For the starts `w-0`, `w-1`, ...
    fn new(count: usize) -> Self {
        let folder = Folder::new();
        folder.starts(
            (0..count)
                .map(|n| json!({"workflowId": format!("w-{n}"), "type": "T", "taskQueue": "q"})),
        );
        Place(folder)
    }

    fn journal(&self) -> PathBuf {
        self.0.path().join("apply.journal")
    }

    /// An apply, one start after the other, that keeps the journal or goes on with it.
    fn apply(&self, address: &str, more: &[&str]) -> Binary {
        self.apply_as("json", address, more)
    }

    fn apply_as(&self, form: &str, address: &str, more: &[&str]) -> Binary {
        let keeps = match self.journal().exists() {
            true => "--resume",
            false => "--journal",
        };
        let flags = ["-o", form, "--parallelism", "1", keeps, "apply.journal"];
        Binary::apply("manifest.json", address, &flags)
            .args(more)
            .current_dir(self.0.path())
    }

    fn report(&self, form: &str) -> Finished {
        Binary::new(["report", "apply.journal", "-o", form])
            .current_dir(self.0.path())
            .run()
    }

    /// Renders the report again and holds all of it against the apply's own.
    #[track_caller]
    fn expect_same(&self, applied: Finished, code: i32) -> Value {
        let applied = applied.expect_code(code);
        let again = self.report("json").expect_code(code);
        assert_eq!(again.stdout, applied.stdout);
        Report::of(&again).document().clone()
    }
}

/// Makes starts before the one with an ID, and holds that for ever.
fn holding(id: &'static str) -> FakeFrontend {
    FakeFrontend::builder()
        .remembering()
        .on_start(move |request, _| async move {
            if request.workflow_id == id {
                std::future::pending::<()>().await;
            }
            Ok(started())
        })
        .start()
}

/// Takes every start, and never tells how a Workflow ends.
fn endless() -> FakeFrontend {
    FakeFrontend::builder()
        .remembering()
        .on_history(|_, _| std::future::pending())
        .start()
}

#[test]
fn one_that_went_well_or_failed() {
    let place = Place::new(5);
    let fake = frontend(&["w-1", "w-3"], &[]);
    let document = place.expect_same(place.apply(&fake.address(), &[]).run(), 4);
    assert_eq!(document["summary"]["failed"], 2);
    assert!(document["service"]["serverVersion"].is_string());
    assert!(document["starts"][0]["at"].is_string());

    let place = Place::new(5);
    let fake = frontend(&[], &[]);
    let document = place.expect_same(place.apply(&fake.address(), &[]).run(), 0);
    assert_eq!(document["summary"]["started"], 5);
    assert!(document["summary"]["startsPerSecond"].as_f64() > Some(0.0));
}

#[test]
fn one_that_stopped_early() {
    // Silence.
    let place = Place::new(4);
    let fake = frontend(&["w-0"], &["w-2"]);
    let flags = ["--retry-for", "300ms"];
    let document = place.expect_same(place.apply(&fake.address(), &flags).run(), 6);
    assert_eq!(document["stopped"]["by"], "silence");
    // Too many failures.
    let place = Place::new(4);
    let flags = ["--max-failures", "0"];
    let document = place.expect_same(place.apply(&fake.address(), &flags).run(), 4);
    assert_eq!(document["stopped"]["by"], "failures");
    // A signal, one after the other.
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let place = Place::new(4);
        let fake = holding("w-2");
        let running = place.apply(&fake.address(), &[]).spawn();
        fake.wait_for_starts(3);
        running.signal(signal);
        let document = place.expect_same(running.finish(), code);
        assert_eq!(document["stopped"]["signal"], code - 128);
        assert_eq!(document["summary"]["started"], 2);
    }
    // Nobody answers.
    let place = Place::new(4);
    let flags = ["--client-connect-timeout", "500ms"];
    let document = place.expect_same(place.apply("127.0.0.1:1", &flags).run(), 5);
    assert_eq!(document["stopped"]["by"], "noConnection");
    assert_eq!(document["summary"]["skipped"], 4);
}

#[test]
fn one_that_was_gone_on_with() {
    let place = Place::new(6);
    let fake = frontend(&["w-0"], &["w-2"]);
    let flags = ["--retry-for", "300ms"];
    let first = place.expect_same(place.apply(&fake.address(), &flags).run(), 6);

    // What was not finished is interrupted again.
    let fake = holding("w-4");
    let running = place.apply(&fake.address(), &[]).spawn();
    fake.wait_for_starts(4);
    running.signal("INT");
    let second = place.expect_same(running.finish(), 130);
    assert_ne!(second["invocation"]["id"], first["invocation"]["id"]);
    assert_eq!(second["summary"]["started"], 4);
    assert_eq!(second["starts"][1], first["starts"][1]);

    let fake = frontend(&["w-5"], &[]);
    let third = place.expect_same(place.apply(&fake.address(), &[]).run(), 4);
    assert_eq!(third["summary"]["failed"], 1);
    let fake = frontend(&[], &[]);
    let fourth = place.expect_same(place.apply(&fake.address(), &[]).run(), 0);
    assert_eq!(fourth["summary"]["started"], 6);
    // Nothing is left to do.
    let fifth = place.expect_same(place.apply(&fake.address(), &[]).run(), 0);
    assert_eq!(fifth["starts"], fourth["starts"]);
    assert_eq!(fifth["summary"]["startsPerSecond"], 0.0);

    // Each invocation has said how it ended.
    let journal = std::fs::read_to_string(place.journal()).expect("it is text");
    let lines = journal.lines().map(|line| {
        let line: Value = serde_json::from_str(line).expect("a line is JSON");
        line
    });
    let ends: Vec<Value> = lines.filter(|line| line["line"] == "finished").collect();
    let ended: Vec<&str> = ends.iter().map(|it| text(it, "invocationId")).collect();
    let told = [&first, &second, &third, &fourth, &fifth].map(|it| text(&it["invocation"], "id"));
    assert_eq!(ended, told);
    assert_eq!(ends[1]["stopped"], second["stopped"]);
}

#[test]
fn one_that_waited() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    for (types, flags, code) in [
        (["Echo", "Echo"], &["--wait"][..], 0),
        (["Echo", "Fail"], &["--wait"], 7),
        (["Echo", "Echo"], &["--wait", "--hide-results"], 0),
    ] {
        let place = Place(Folder::new());
        place.0.starts(types.map(|kind| {
            json!({"workflowId": unique_id("replay"), "type": kind, "taskQueue": SERVED, "args": [1]})
        }));
        let applied = place.apply(&server.address, flags).run();
        let document = place.expect_same(applied, code);
        let workflow = &document["starts"][0]["workflow"];
        assert_eq!(workflow["status"], "completed");
        assert_eq!(workflow.get("result").is_some(), flags.len() == 1);
        for time in ["at", "closeTime"] {
            assert!(workflow[time].is_string(), "{workflow}");
        }
    }
}

/// However the waiting ends, and whether or not it had begun again.
#[test]
fn one_that_waited_for_what_did_not_end() {
    let place = Place::new(3);
    let fake = endless();
    let flags = ["--wait", "--wait-timeout", "1ms"];
    let document = place.expect_same(place.apply(&fake.address(), &flags).run(), 9);
    assert_eq!(document["summary"]["workflows"]["running"], 3);

    let polls = fake.histories().len();
    let running = place
        .apply(&fake.address(), &["--wait-timeout", "1h"])
        .spawn();
    poll_until("it waits", || {
        (fake.histories().len() > polls).then_some(())
    });
    running.signal("INT");
    let document = place.expect_same(running.finish(), 130);
    assert_eq!(document["summary"]["workflows"]["running"], 3);

    // Nobody is asked about them.
    let flags = ["--client-connect-timeout", "500ms"];
    let document = place.expect_same(place.apply("127.0.0.1:1", &flags).run(), 5);
    assert_eq!(document["summary"]["workflows"]["running"], 3);
    assert_eq!(
        document["starts"][2]["workflow"],
        json!({"status": "running"})
    );

    let fake = FakeFrontend::builder()
        .remembering()
        .on_history(|_, _| async { Ok(history(vec![completed("42")])) })
        .start();
    let document = place.expect_same(place.apply(&fake.address(), &[]).run(), 0);
    assert_eq!(document["summary"]["workflows"]["completed"], 3);
    assert_eq!(document["starts"][2]["workflow"]["result"], 42);
}

/// The events are the same too, where nothing comes between.
#[test]
fn the_events_of_one_start_after_the_other() {
    let place = Place::new(4);
    let fake = frontend(&["w-1"], &[]);
    let applied = place
        .apply_as("jsonl", &fake.address(), &[])
        .run()
        .expect_code(4);
    let again = place.report("jsonl").expect_code(4);
    assert_eq!(again.stdout, applied.stdout);
}

#[test]
fn shards_as_one() {
    let fake = frontend(&["w-1", "w-2"], &[]);
    let place = Place::new(12);
    let mut documents = Vec::new();
    let mut began = Vec::new();
    for shard in ["1/2", "2/2"] {
        let journal = format!("{}.journal", &shard[..1]);
        let flags = ["-o", "json", "--idempotency-key", "k", "--shard", shard];
        let applied = Binary::apply("manifest.json", &fake.address(), &flags)
            .args(["--journal", &journal])
            .current_dir(place.0.path())
            .run();
        documents.push(Report::of(&applied).document().clone());
        let text = std::fs::read_to_string(place.0.path().join(journal)).expect("it is text");
        let header: Value = serde_json::from_str(text.lines().next().expect("there is a header"))
            .expect("a line is JSON");
        began.push(time(&header["apply"]["at"]));
    }
    let merged = Binary::new(["report", "--merge", "-o", "json", "1.journal", "2.journal"])
        .current_dir(place.0.path())
        .run()
        .expect_code(4);
    let merged = Report::of(&merged).document().clone();

    let mut expected = documents[0].clone();
    let of = |name: &str| {
        let times = documents.iter().map(|it| time(&it["invocation"][name]));
        times.collect::<Vec<_>>()
    };
    let (from, to) = (of("startedAt"), of("finishedAt"));
    let (from, to) = (from.into_iter().min(), to.into_iter().max());
    let (from, to) = from.zip(to).expect("there are shards");
    expected["invocation"]["startedAt"] = json!(from);
    expected["invocation"]["finishedAt"] = json!(to);
    expected["invocation"]["durationMs"] = json!(to.duration_since(from).as_millis());
    let head = expected.as_object_mut().expect("it is an object");
    head.remove("selection");
    let mut starts: Vec<Value> = documents
        .iter()
        .flat_map(|it| it["starts"].as_array().expect("it is a list").clone())
        .collect();
    starts.sort_by_key(|start| start["index"].as_u64());
    let last = starts.iter().map(|start| time(&start["at"])).max();
    let began = began.into_iter().min();
    let (began, last) = began.zip(last).expect("there are starts");
    let rate = 12.0 / last.duration_since(began).as_secs_f64();
    let counts = expected["summary"].as_object_mut().expect("it is one");
    for (name, count) in counts {
        let count_of = |document: &Value| document["summary"][name].as_u64();
        *count = json!(documents.iter().filter_map(count_of).sum::<u64>());
    }
    expected["summary"]["startsPerSecond"] = json!((rate * 10.0).round() / 10.0);
    expected["starts"] = json!(starts);
    assert_eq!(merged, expected);
}

fn time(value: &Value) -> Timestamp {
    let text = value.as_str().expect("a time is text");
    text.parse().expect("it is a time")
}

#[test]
fn after_a_crash_no_end_is_recorded() {
    let place = Place::new(4);
    let fake = holding("w-2");
    let running = place.apply(&fake.address(), &[]).spawn();
    let written = |words: &str| {
        let journal = std::fs::read_to_string(place.journal()).unwrap_or_default();
        journal.matches(words).count()
    };
    let header_and_two = || (written("\n") == 3).then_some(());
    poll_until("two outcomes are written", header_and_two);
    let still = place.report("json").expect_code(6);
    running.kill();
    let crashed = place.report("json").expect_code(6);
    // It cannot be known which of both it is.
    assert_eq!(crashed.stdout, still.stdout);
    for stderr in [&still.stderr, &crashed.stderr] {
        let words = "note: no end is recorded: the apply was killed, or goes on still\n";
        assert_eq!(stderr, words);
    }
    let document = Report::of(&crashed).document().clone();
    assert_eq!(document["stopped"], json!({"by": "unrecorded"}));
    assert_eq!(document["summary"]["skipped"], 2);
    let starts = document["starts"].as_array().expect("it is a list");
    assert_eq!(starts.len(), 2);
    assert_eq!(document["invocation"]["finishedAt"], starts[1]["at"]);

    // The end of an earlier invocation is none of a later one that was killed.
    let fake = frontend(&["w-3"], &[]);
    place.expect_same(place.apply(&fake.address(), &[]).run(), 4);
    let fake = holding("w-3");
    let running = place.apply(&fake.address(), &[]).spawn();
    fake.wait_for_starts(1);
    running.kill();
    assert_eq!(written("\"line\":\"finished\""), 1);
    let crashed = Report::of(&place.report("json").expect_code(4));
    assert_eq!(crashed.document()["stopped"], json!({"by": "unrecorded"}));
    assert_eq!(crashed.count("failed"), 1);
    let fake = frontend(&[], &[]);
    place.expect_same(place.apply(&fake.address(), &[]).run(), 0);
}
