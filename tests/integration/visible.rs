//! Text that others write, wherever it comes from, does nothing to a terminal or a CI log.

use serde_json::json;
use temporal_manifest::client::api::temporal::api::enums::v1::{EventType, HistoryEventFilterType};
use temporal_manifest::client::api::temporal::api::failure::v1::failure::FailureInfo;
use temporal_manifest::client::api::temporal::api::failure::v1::{ApplicationFailureInfo, Failure};
use temporal_manifest::client::api::temporal::api::history::v1::history_event::Attributes;
use temporal_manifest::client::api::temporal::api::history::v1::{
    History, HistoryEvent, WorkflowExecutionFailedEventAttributes,
};
use temporal_manifest::client::api::temporal::api::workflowservice::v1::{
    GetWorkflowExecutionHistoryResponse, StartWorkflowExecutionResponse,
};
use tonic::Status;

use crate::support::binary::{Binary, Finished, Folder};
use crate::support::fake_frontend::{FakeFrontend, began_by, started};

/// A title, a bell, a cleared screen, C1, a turn of direction, nothing at all, two commands to
/// GitHub's runner and one to another.
const HOSTILE: &str = "x\u{1b}]0;t\u{7}\u{1b}[2J\u{9b}5m\u{202e}\u{200b}\u{2028}\u{e0041}\
                       \n::error file=a::b\n##[add-mask]e ##vso[task.x]\r";

const FORMATS: [&[&str]; 5] = [
    &["-o", "text", "--color", "never"],
    &["-o", "text", "--color", "always"],
    &["-o", "github"],
    &["-o", "json"],
    &["-o", "jsonl"],
];

/// Where a text acts on what reads it: hidden characters that are not our own, and commands.
fn breaches(text: &str, color: bool) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.split('\n') {
        let mut rest = line.to_owned();
        while let Some(at) = rest.find("\u{1b}[").filter(|_| color) {
            let code = &rest[at + 2..];
            let length = code.find(|c: char| !c.is_ascii_digit() && c != ';');
            let length = length.unwrap_or(code.len());
            if !code[length..].starts_with('m') {
                break;
            }
            rest.replace_range(at..at + 2 + length + 1, "");
        }
        let ours = rest.contains("title=temporal_manifest%3A%3Amanifest%3A%3A");
        let own_annotation =
            ours && (rest.starts_with("::error ") || rest.starts_with("::notice "));
        let acts = |c: char| {
            c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                    | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
        };
        if rest.contains(acts)
            || (rest.trim_start().starts_with("::") && !own_annotation)
            || ["##[", "##vso["].iter().any(|it| rest.contains(it))
        {
            found.push(line.to_owned());
        }
    }
    found
}

/// The breaches of a run in every format.
fn in_every_format(run: impl Fn(&[&str]) -> Finished) -> Vec<String> {
    let mut found = Vec::new();
    for flags in FORMATS {
        let finished = run(flags);
        let color = flags.contains(&"always");
        found.extend(breaches(&finished.stdout, color));
        found.extend(breaches(&finished.stderr, color));
        // Documents hold whole texts; people need not read megabytes.
        let for_people = match flags.contains(&"json") || flags.contains(&"jsonl") {
            true => finished.stderr.clone(),
            false => finished.stdout.clone() + &finished.stderr,
        };
        let lines = for_people.lines().filter(|line| line.len() > 10_000);
        found.extend(lines.map(str::to_owned));
    }
    found
}

fn failed_close() -> HistoryEvent {
    let failure = Failure {
        message: HOSTILE.to_owned(),
        failure_info: Some(FailureInfo::ApplicationFailureInfo(
            ApplicationFailureInfo {
                r#type: HOSTILE.repeat(300),
                ..Default::default()
            },
        )),
        ..Default::default()
    };
    HistoryEvent {
        event_id: 5,
        event_type: EventType::WorkflowExecutionFailed.into(),
        attributes: Some(Attributes::WorkflowExecutionFailedEventAttributes(
            WorkflowExecutionFailedEventAttributes {
                failure: Some(failure),
                ..Default::default()
            },
        )),
        ..HistoryEvent::default()
    }
}

/// A service whose every answer is hostile, at the question that `at` names.
fn service(at: &'static str) -> FakeFrontend {
    let hostile = move |place: &str| at == place;
    FakeFrontend::builder()
        .on_system_info(move |_, _| async move {
            match hostile("connect") {
                true => Err(Status::permission_denied(HOSTILE.repeat(100))),
                false => {
                    let mut info = crate::support::fake_frontend::system_info();
                    if hostile("version") {
                        info.server_version = HOSTILE.to_owned();
                    }
                    Ok(info)
                }
            }
        })
        .on_start(move |_, _| async move {
            match at {
                "refusal" => Err(Status::invalid_argument(HOSTILE)),
                "run ID" => Ok(StartWorkflowExecutionResponse {
                    run_id: HOSTILE.to_owned(),
                    first_execution_run_id: HOSTILE.to_owned(),
                    ..started()
                }),
                _ => Ok(started()),
            }
        })
        .on_history(move |request, _| async move {
            let close = request.history_event_filter_type() == HistoryEventFilterType::CloseEvent;
            if !close {
                return Ok(began_by("somebody"));
            }
            Ok(GetWorkflowExecutionHistoryResponse {
                history: Some(History {
                    events: vec![failed_close()],
                }),
                next_page_token: Vec::new(),
            })
        })
        .start()
}

const START: &str = "apiVersion: temporal-manifest/v1\nkind: Starts\nmetadata: {name: m}\n\
                     starts: [{type: T, taskQueue: q, workflowId: w}]\n";

#[test]
fn what_a_service_answers_acts_on_nothing() {
    for at in ["connect", "version", "refusal", "run ID", "failure"] {
        let service = service(at);
        let folder = Folder::new();
        let manifest = folder.manifest(START);
        let wait: &[&str] = if at == "failure" { &["--wait"] } else { &[] };
        let run = |flags: &[&str]| {
            Binary::apply(&manifest, &service.address(), flags)
                .args(wait)
                .run()
        };
        let found = in_every_format(run);
        assert!(found.is_empty(), "{at}: {found:#?}");
    }
}

#[test]
fn no_line_of_the_log_is_forged() {
    let service = service("refusal");
    let folder = Folder::new();
    let manifest = folder.manifest(START);
    for format in ["text", "json"] {
        let flags = ["--log-level", "debug", "--log-format", format, "-o", "none"];
        let log = Binary::apply(&manifest, &service.address(), &flags)
            .run()
            .stderr;
        assert_eq!(breaches(&log, false), [""; 0], "{log}");
        assert!(log.contains("INVALID_ARGUMENT"), "{log}");
        for line in log.lines().filter(|line| line.starts_with('{')) {
            serde_json::from_str::<serde_json::Value>(line).expect("an entry is JSON");
            assert_eq!(line.matches("\"message\":").count(), 1, "{line}");
        }
    }
}

#[test]
fn a_replayed_journal_acts_on_nothing() {
    let service = service("run ID");
    let folder = Folder::new();
    let manifest = folder.write(&format!("{}.yaml", HOSTILE.replace('/', "")), START);
    let journal = folder.path().join("journal");
    let flags = ["-o", "none", "--journal"];
    Binary::apply(&manifest, &service.address(), &flags)
        .arg(&journal)
        .run();
    let run = |flags: &[&str]| Binary::new(["report"]).arg(&journal).args(flags).run();
    let found = in_every_format(run);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn names_of_files_act_on_nothing() {
    let name = HOSTILE.replace('/', "");
    let wrong = START.replace("type: T", "type: 7");
    let missing = format!("{HOSTILE}.yaml");
    type Case<'c> = (&'c str, fn(&Folder, &str, &str));
    let cases: [Case<'_>; 3] = [
        ("a manifest that is wrong", |folder, name, wrong| {
            drop(folder.write(&format!("m/{name}.yaml"), wrong));
        }),
        ("rows that are wrong", |folder, name, _| {
            folder.write(&format!("m/{name}.csv"), "id\n1,2\n");
            let rows = serde_json::to_string(&format!("{name}.csv")).expect("a text is JSON");
            let manifest = START.replace("workflowId: w", &format!("forEach: {{csv: {rows}}}"));
            folder.write("m/m.yaml", manifest);
        }),
        ("a payload that is not there", |folder, name, _| {
            let file = serde_json::to_string(name).expect("a text is JSON");
            let payload = format!("args: [{{$payload: {{encoding: binary/plain, file: {file}}}}}]");
            folder.write("m/m.yaml", START.replace("workflowId: w", &payload));
        }),
    ];
    for (what, make) in cases {
        let folder = Folder::new();
        make(&folder, &name, &wrong);
        let run = |flags: &[&str]| {
            Binary::new(["validate", "m"])
                .current_dir(folder.path())
                .args(flags)
                .run()
                .expect_code(3)
        };
        let found = in_every_format(run);
        assert!(found.is_empty(), "{what}: {found:#?}");
    }
    let run = |flags: &[&str]| {
        Binary::new(["validate", &missing])
            .args(flags)
            .run()
            .expect_code(3)
    };
    let found = in_every_format(run);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn words_of_the_command_line_act_on_nothing() {
    let folder = Folder::new();
    let manifest = folder.manifest(START);
    let words: [&[&str]; 5] = [
        &["--var", &format!("{HOSTILE}=1")],
        &["--select", &format!("{HOSTILE}[")],
        &["--address", HOSTILE],
        &["--parallelism", HOSTILE],
        &[&format!("--{HOSTILE}")],
    ];
    for words in words {
        let run = |flags: &[&str]| {
            let apply = Binary::new(["apply"])
                .arg(&manifest)
                .args(words)
                .args(flags);
            apply.run().expect_code(2)
        };
        let found = in_every_format(run);
        assert!(found.is_empty(), "{words:?}: {found:#?}");
    }
}

#[test]
fn annotations_name_files_as_the_runner_reads_them() {
    let folder = Folder::new();
    let name = "a%b,c:d\ne.yaml";
    folder.write(name, START.replace("type: T", "type: 7"));
    let finished = Binary::new(["validate", name, "-o", "github"])
        .current_dir(folder.path())
        .run()
        .expect_code(3);
    let start = "::error file=a%25b%2Cc%3Ad%0Ae.yaml,line=4,";
    assert!(finished.stdout.starts_with(start), "{}", finished.stdout);
    assert_eq!(finished.stdout.lines().count(), 1, "{}", finished.stdout);
}

#[test]
fn names_with_characters_that_act_are_refused() {
    let folder = Folder::new();
    for (field, text) in [
        ("workflowId", "a\u{1b}[31m"),
        ("workflowId", "a\n::error::b"),
        ("workflowId", "\u{202e}a"),
        ("workflowId", " a"),
        ("workflowId", "a "),
        ("workflowId", "\u{a0}a"),
        ("type", "a\u{200b}b"),
        ("taskQueue", "a\u{feff}"),
        ("name", "a\tb"),
    ] {
        let mut start = json!({"type": "T", "taskQueue": "q", "workflowId": "w"});
        start[field] = text.into();
        let manifest = folder.starts([start]);
        let finished = Binary::new(["validate"]).arg(&manifest).run();
        let finished = finished.expect_code(3);
        let code = "temporal_manifest::manifest::invisible_character";
        assert!(finished.stderr.contains(code), "{field}: {text:?}");
    }
}

#[test]
fn rendered_manifests_act_on_nothing() {
    let folder = Folder::new();
    let args = [
        HOSTILE,
        "one\n::error::two",
        "one\n   ::error::two\n",
        "::error::one",
        "a ##[add-mask]b",
        "\u{202e}turned",
        "\u{e0041}\u{85}\u{9b}",
        "\u{1f600} ünï",
        &format!("{}::error::far", "x ".repeat(200)),
    ];
    let start = json!({"type": "T", "taskQueue": "q", "workflowId": "w", "args": args});
    let manifest = folder.starts([start]);
    let rendered = Binary::new(["render"])
        .arg(&manifest)
        .run()
        .expect_code(0)
        .stdout;
    assert_eq!(breaches(&rendered, false), [""; 0], "{rendered}");
    // It is the same manifest.
    let again = folder.write("again.yaml", &rendered);
    let lines = Binary::new(["render", "-o", "jsonl"])
        .arg(&again)
        .run()
        .expect_code(0);
    let line: serde_json::Value = serde_json::from_str(&lines.stdout).expect("it is JSON");
    assert_eq!(line["start"]["args"], json!(args));
}
