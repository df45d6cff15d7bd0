//! What `-o jsonl` prints: one line for each event, each as its schema says, and a last one that
//! sums up.

use serde_json::{Value, json};

use crate::support::binary::{Binary, Finished, Folder};
use crate::support::fake_frontend::{self, FakeFrontend};

const HEAD: &str = "apiVersion: temporal-manifest/v1\nkind: Starts\nmetadata: {name: lines}\n\
                    defaults: {type: T, taskQueue: q}\nstarts:\n";

fn lines(finished: &Finished) -> Vec<Value> {
    finished
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    let all = events.iter();
    all.filter(|event| event["event"] == kind).collect()
}

/// Holds a document against a committed schema.
#[track_caller]
pub(crate) fn follows(schema: &str, document: &Value) {
    let path = format!(
        "{}/schemas/{schema}.schema.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(path).expect("the schema is committed");
    let schema: Value = serde_json::from_str(&text).expect("a schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema compiles");
    if let Err(error) = validator.validate(document) {
        panic!("{error} at {} of {document}", error.instance_path());
    }
}

#[test]
fn what_is_invalid_is_one_line_and_follows_its_schema() {
    let folder = Folder::new();
    let rows = "forEach: {items: [{a: 1}]}, workflowId: \"${{ row.b }}\"";
    let bad = folder.write("bad.yaml", format!("{HEAD}- {{typ: T}}\n- {{{rows}}}\n"));
    for command in ["validate", "render", "apply"] {
        let run = |words: &[&str]| Binary::new([command]).args(words).arg(&bad).run();
        let finished = run(&["-o", "jsonl"]).expect_code(3);
        let found = lines(&finished);
        assert_eq!(found.len(), 1, "{}", finished.stdout);
        assert_eq!(found[0]["kind"], "Validation");
        follows("validation", &found[0]);
        let pretty = run(&["-o", "json"]).expect_code(3).stdout;
        let pretty: Value = serde_json::from_str(&pretty).expect("it is one document");
        assert_eq!(pretty, found[0]);
        // A variable that nothing declares may be declared where nothing can be read.
        let finished = run(&["-o", "jsonl", "--var", "a=1"]).expect_code(3);
        assert_eq!(lines(&finished).len(), 1, "{}", finished.stdout);
        follows("validation", &lines(&finished)[0]);
    }
    let good = folder.write("good.yaml", format!("{HEAD}- {{workflowId: a}}\n"));
    let valid = Binary::new(["validate", "-o", "jsonl"]).arg(&good).run();
    let valid = lines(&valid.expect_code(0));
    assert_eq!(valid.len(), 1);
    follows("validation", &valid[0]);
}

#[test]
fn refusals_are_one_line_and_follow_their_schema() {
    let folder = Folder::new();
    let good = folder.write("good.yaml", format!("{HEAD}- {{workflowId: a}}\n"));
    let report = "--report=json=/nonexistent/r.json";
    let cases: &[(&[&str], i32)] = &[
        (&["--nosuch"], 2),
        (&["--address", "nowhere"], 2),
        (&["--select", "b"], 2),
        (&["--resume", "nosuch.journal"], 8),
        (&[report], 8),
    ];
    for (words, code) in cases {
        let finished = Binary::new(["apply", "-o", "jsonl"])
            .args(*words)
            .arg(&good);
        let told = lines(&finished.run().expect_code(*code));
        assert_eq!(told.len(), 1, "{words:?}: {told:?}");
        follows("error", &told[0]);
        assert_eq!(told[0]["error"]["exitCode"], *code);
    }
}

/// A service whose Workflows never end.
fn endless() -> FakeFrontend {
    FakeFrontend::builder()
        .on_describe(|_, _| async { Ok(fake_frontend::running()) })
        .on_history(|_, _| std::future::pending())
        .start()
}

#[test]
fn a_workflow_that_still_runs_is_open() {
    let fake = endless();
    let folder = Folder::new();
    let manifest = folder.manifest(&format!("{HEAD}- {{workflowId: a}}\n"));
    let journal = folder.path().join("j");
    let flags = ["--wait", "--wait-timeout", "1s", "-o", "jsonl", "--journal"];
    let finished = Binary::apply(&manifest, &fake.address(), &flags).arg(&journal);
    let events = lines(&finished.run().expect_code(9));
    let report = |form: &str| Binary::new(["report", "-o", form]).arg(&journal).run();
    let again = lines(&report("jsonl").expect_code(9));
    for events in [&events, &again] {
        events.iter().for_each(|event| follows("event", event));
        assert!(of_kind(events, "workflowEnded").is_empty());
        let open = of_kind(events, "workflowOpen");
        assert_eq!(open.len(), 1);
        assert_eq!(open[0]["workflowId"], "a");
        let workflow = &open[0]["workflow"];
        assert!(workflow["at"].is_string(), "{workflow}");
        assert_eq!(
            *workflow,
            json!({"status": "running", "at": workflow["at"]})
        );
    }
    let kept = std::fs::read_to_string(&journal).expect("there is a journal");
    for line in kept.lines() {
        follows(
            "journal",
            &serde_json::from_str(line).expect("each line is JSON"),
        );
    }
    assert!(kept.contains(r#"{"line":"open","#), "{kept}");
    let document: Value = serde_json::from_str(&report("json").expect_code(9).stdout)
        .expect("the report is one document");
    follows("report", &document);
    assert_eq!(document["starts"][0]["workflow"]["status"], "running");
    assert_eq!(document["summary"]["workflows"]["running"], 1);
}

#[test]
fn the_last_line_says_what_it_all_came_to() {
    let refusing = FakeFrontend::builder()
        .on_start(|_, number| async move {
            match number {
                0 => Ok(fake_frontend::started()),
                _ => Err(tonic::Status::invalid_argument("no such thing")),
            }
        })
        .start();
    let unreachable = "127.0.0.1:1".to_owned();
    for (address, code, count) in [
        (refusing.address(), 4, "failed"),
        (unreachable, 5, "skipped"),
    ] {
        let folder = Folder::new();
        let manifest =
            folder.manifest(&format!("{HEAD}- {{workflowId: a}}\n- {{workflowId: b}}\n"));
        let flags = [
            "-o",
            "jsonl",
            "--parallelism",
            "1",
            "--client-connect-timeout",
            "1s",
        ];
        let finished = Binary::apply(&manifest, &address, &flags).run();
        let events = lines(&finished.expect_code(code));
        events.iter().for_each(|event| follows("event", event));
        let last = events.last().expect("there are lines");
        assert_eq!(last["event"], "applyFinished");
        assert_eq!(last["exitCode"], code);
        assert_eq!(last["summary"]["total"], 2);
        assert!(last["summary"][count].as_u64() > Some(0), "{last}");
        assert_eq!(last["stopped"].is_object(), code == 5, "{last}");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_in_the_last_line() {
    let folder = Folder::new();
    let manifest = folder.manifest(&format!("{HEAD}- {{workflowId: a}}\n"));
    let reports = folder.path().join("reports");
    std::fs::create_dir(&reports).expect("folders can be made");
    let removed = reports.clone();
    let gone = FakeFrontend::builder()
        .on_start(move |_, _| {
            // The folder was there when the apply began.
            let _ = std::fs::remove_dir(&removed);
            async { Ok(fake_frontend::started()) }
        })
        .start();
    let report = format!("json={}", reports.join("r.json").display());
    let flags = ["-o", "jsonl", "--report", &report];
    let finished = Binary::apply(&manifest, &gone.address(), &flags).run();
    let events = lines(&finished.expect_code(8));
    let last = events.last().expect("there are lines");
    assert_eq!(
        (&last["exitCode"], &last["summary"]["started"]),
        (&json!(8), &json!(1))
    );
}

#[test]
fn rendered_starts_follow_their_schema() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
    let finished = Binary::new(["render", "-o", "jsonl"]).arg(&examples).run();
    let starts = lines(&finished.expect_code(0));
    assert!(starts.len() > 5, "{} starts", starts.len());
    starts.iter().for_each(|start| follows("render", start));
}
