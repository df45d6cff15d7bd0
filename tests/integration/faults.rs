//! What goes wrong around an apply: no service, the wrong one, a dying one, impatient people.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use temporal_manifest::client::api::temporal::api::enums::v1::{
    EventType, WorkflowIdConflictPolicy, WorkflowIdReusePolicy,
};
use temporal_manifest::client::api::temporal::api::errordetails::v1::NamespaceNotFoundFailure;
use temporal_manifest::client::api::temporal::api::workflow::v1::{
    RequestIdInfo, WorkflowExecutionExtendedInfo,
};
use temporal_manifest::client::api::temporal::api::workflowservice::v1::{
    DescribeWorkflowExecutionResponse, StartWorkflowExecutionRequest,
    TerminateWorkflowExecutionResponse,
};
use tonic::{Code, Status};

use crate::support::binary::{Binary, Finished, Folder, Running};
use crate::support::dev_server::{self, DevServer};
use crate::support::fake_frontend::{self, FakeFrontend, already_started, refusal};
use crate::support::report::{Report, text};
use crate::support::{UNSERVED, unique_id};

/// A manifest of starts `w-0`, `w-1`, ...
fn manifest(folder: &Folder, count: usize) -> OsString {
    folder.starts(
        (0..count)
            .map(|n| json!({"workflowId": format!("w-{n}"), "type": "T", "taskQueue": UNSERVED})),
    )
}

/// Every start of the manifest is in the report, in order, with an outcome that the summary counts.
#[track_caller]
fn expect_complete(report: &Report, count: usize) {
    let mut outcomes: HashMap<&str, u64> = HashMap::new();
    for (number, start) in report.starts().iter().enumerate() {
        assert_eq!(start["workflowId"], format!("w-{number}"));
        *outcomes.entry(text(start, "outcome")).or_default() += 1;
    }
    assert_eq!(report.starts().len(), count);
    assert_eq!(report.count("total"), count as u64);
    for outcome in [
        "started",
        "deduplicated",
        "existing",
        "failed",
        "unknown",
        "skipped",
    ] {
        let counted = outcomes.remove(outcome).unwrap_or_default();
        assert_eq!(report.count(outcome), counted, "{outcome}");
    }
    assert_eq!(outcomes, HashMap::new());
}

/// These words are on standard error, and nobody says them twice.
#[track_caller]
fn expect_once(finished: &Finished, words: &str) {
    let said = finished.stderr.matches(words).count();
    assert_eq!(said, 1, "{words:?} in:\n{}", finished.stderr);
}

#[test]
fn a_server_that_dies_leaves_a_complete_report() {
    const STARTS: usize = 3000;
    let Some(mut server) = DevServer::start(&[]) else {
        return;
    };
    let folder = Folder::new();
    let flags = ["-o", "json", "--retry-for", "2s"];
    let running = Binary::apply(manifest(&folder, STARTS), &server.address, &flags).spawn();
    server.wait_for_workflow("w-20");
    server.kill();
    let finished = running.finish().expect_code(6);
    let report = Report::of(&finished);
    expect_complete(&report, STARTS);
    assert!(report.count("started") > 0);
    assert!(report.count("unknown") > 0);
    assert!(report.count("skipped") > 0);
    assert_eq!(report.document()["stopped"]["by"], "silence");
    expect_once(&finished, "the service stopped answering");
    expect_once(&finished, &server.address);
    let unknown = report.starts().iter().find(|it| it["outcome"] == "unknown");
    let error = &unknown.expect("there is one")["error"];
    assert_eq!(error["reason"], "connectionLost");
    assert_eq!(error["retryable"], true);
    assert!(
        text(error, "message").starts_with(&server.address),
        "{error}"
    );
}

#[test]
fn a_server_that_comes_back_gets_every_start() {
    const STARTS: usize = 200;
    let fake = FakeFrontend::builder()
        .start_latency(Duration::from_millis(5))
        .start();
    let folder = Folder::new();
    let running =
        Binary::apply(manifest(&folder, STARTS), &fake.address(), &["-o", "json"]).spawn();
    fake.wait_for_starts(STARTS / 2);
    let port = fake.port();
    drop(fake);
    let again = FakeFrontend::builder().port(port).start();
    let report = Report::of(&running.finish().expect_code(0));
    expect_complete(&report, STARTS);
    assert_eq!(report.count("started"), STARTS as u64);
    assert!(report.count("attempts") > STARTS as u64);
    assert!(again.start_count() >= STARTS / 2);
}

/// A server that answers whatever it hears with these bytes; without any it closes the connection.
/// Its threads end with the tests.
fn answering(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut heard = [0; 1024];
                let hears = matches!(stream.read(&mut heard), Ok(1..));
                if hears && !bytes.is_empty() && stream.write_all(bytes).is_ok() {
                    while matches!(stream.read(&mut heard), Ok(1..)) {}
                }
            });
        }
    });
    address
}

/// A port where nothing listens.
fn closed_port() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("it is bound").to_string()
}

#[test]
fn an_address_without_a_temporal_service_is_named_with_what_is_there() {
    let plain = FakeFrontend::healthy();
    let cases: [(_, &[&str], _, _); 5] = [
        (
            closed_port(),
            &[],
            "nothing listens there (connection refused)",
            "temporal server start-dev",
        ),
        // The alert that a TLS server answers to plain text: unexpected message.
        (
            answering(b"\x15\x03\x01\x00\x02\x02\x46"),
            &[],
            "the server expects TLS",
            "--tls",
        ),
        (
            answering(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
            &[],
            "an HTTP/1 server answers, not a Temporal frontend",
            "7233",
        ),
        // This is how a gRPC server with TLS answers to plain text.
        (
            answering(b""),
            &[],
            "the server closes the connection at once",
            "--tls",
        ),
        (
            plain.address(),
            &["--tls"],
            "the server does not speak TLS",
            "--tls=false",
        ),
    ];
    let folder = Folder::new();
    let manifest = manifest(&folder, 40);
    for (address, flags, words, help) in cases {
        let apply = |more: &[&str]| Binary::apply(&manifest, &address, &[flags, more].concat());
        let finished = apply(&["-o", "json"]).run().expect_code(5);
        expect_once(&finished, &format!("{address}: {words}"));
        expect_once(&finished, help);
        let report = Report::of(&finished);
        expect_complete(&report, 40);
        assert_eq!(report.count("skipped"), 40);
        assert_eq!(report.document()["stopped"]["by"], "noConnection");

        let finished = apply(&[]).run().expect_code(5);
        let said = finished.stdout + &finished.stderr;
        assert!(said.contains(&format!("{address}: {words}")), "{said}");
        assert!(said.contains("40 starts: 0 started, 40 skipped"), "{said}");
    }
}

#[test]
fn an_unknown_namespace_is_told_once() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    let namespace = unique_id("nowhere");
    let fake = FakeFrontend::builder()
        .on_namespace(|request, _| async move {
            let message = format!("Namespace {} is not found.", request.namespace);
            let detail = NamespaceNotFoundFailure {
                namespace: request.namespace,
            };
            Err(refusal(Code::NotFound, &message, &detail))
        })
        .start();
    let folder = Folder::new();
    let manifest = manifest(&folder, 40);
    for address in [server.address, fake.address()] {
        let flags = ["-o", "json", "-n", &namespace];
        let finished = Binary::apply(&manifest, &address, &flags)
            .run()
            .expect_code(5);
        expect_once(&finished, &format!("no namespace `{namespace}`"));
        expect_once(&finished, &address);
        let report = Report::of(&finished);
        expect_complete(&report, 40);
        assert_eq!(report.count("skipped"), 40);
    }
    assert_eq!(fake.start_count(), 0);
}

#[test]
fn an_error_that_would_hit_every_start_stops_the_apply() {
    let fake = FakeFrontend::builder()
        .on_start(|_, _| async { Err(Status::permission_denied("Request unauthorized.")) })
        .start();
    let folder = Folder::new();
    let flags = ["-o", "json", "--parallelism", "4"];
    let finished = Binary::apply(manifest(&folder, 100), &fake.address(), &flags)
        .run()
        .expect_code(5);
    expect_once(&finished, "PERMISSION_DENIED: Request unauthorized.");
    let report = Report::of(&finished);
    expect_complete(&report, 100);
    let tried = fake.start_count() as u64;
    assert!((1..=4).contains(&tried), "{tried}");
    assert_eq!(report.count("failed"), tried);
    assert_eq!(report.count("skipped"), 100 - tried);
    assert_eq!(report.document()["stopped"]["by"], "refusal");
}

/// Holds every start until it is told to let go.
fn holding() -> (FakeFrontend, tokio::sync::watch::Sender<bool>) {
    let (release, released) = tokio::sync::watch::channel(false);
    let fake = FakeFrontend::builder()
        .on_start(move |_, _| {
            let mut released = released.clone();
            async move {
                match released.wait_for(|released| *released).await {
                    Ok(_) => Ok(fake_frontend::started()),
                    Err(_) => Err(Status::cancelled("the test is over")),
                }
            }
        })
        .start();
    (fake, release)
}

/// An apply of 100 starts with 4 of them in flight, and a signal that it has heard.
fn interrupted(fake: &FakeFrontend, folder: &Folder, signal: &str) -> Running {
    let flags = ["-o", "json", "--parallelism", "4"];
    let mut running = Binary::apply(manifest(folder, 100), &fake.address(), &flags).spawn();
    fake.wait_for_starts(4);
    running.signal(signal);
    running.wait_for_stderr("settling what is in flight");
    running
}

#[test]
fn the_first_signal_settles_what_is_in_flight() {
    for (signal, code, word) in [
        ("INT", 130, "interrupted"),
        ("TERM", 143, "terminated"),
        ("HUP", 129, "hung up"),
    ] {
        let (fake, release) = holding();
        let folder = Folder::new();
        let running = interrupted(&fake, &folder, signal);
        release.send(true).expect("the fake is there");
        let finished = running.finish().expect_code(code);
        expect_once(&finished, &format!("{word}: no further starts were made"));
        let report = Report::of(&finished);
        expect_complete(&report, 100);
        assert_eq!(report.count("started"), 4);
        assert_eq!(report.count("skipped"), 96);
        assert_eq!(fake.start_count(), 4);
    }
}

#[test]
fn the_second_signal_leaves_at_once() {
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let (fake, release) = holding();
        let folder = Folder::new();
        let running = interrupted(&fake, &folder, signal);
        // The first half second belongs to the first signal, which may arrive twice.
        let finished = running.signal_until_it_ends(signal).expect_code(code);
        assert_eq!(finished.stdout, "", "no report is written");
        assert_eq!(fake.start_count(), 4);
        // Nothing was answered until the program had left.
        drop(release);
    }
}

/// Lines wait for more lines, but not while nothing else happens.
#[test]
fn an_outcome_is_told_while_the_others_are_waited_for() {
    let (release, released) = tokio::sync::watch::channel(false);
    let fake = FakeFrontend::builder()
        .on_start(move |request, _| {
            let mut released = released.clone();
            async move {
                if request.workflow_id != "w-0" {
                    let waited = released.wait_for(|released| *released).await;
                    waited.map_err(|_| Status::cancelled("the test is over"))?;
                }
                Ok(fake_frontend::started())
            }
        })
        .start();
    let folder = Folder::new();
    let journal = folder.path().join("apply.journal");
    let flags = ["-o", "jsonl", "--journal", "apply.journal"];
    let mut running = Binary::apply(manifest(&folder, 3), &fake.address(), &flags)
        .current_dir(folder.path())
        .spawn();
    running.wait_for_line(&["startFinished", "w-0"]);
    let journal = std::fs::read_to_string(journal).expect("the journal is there");
    assert!(journal.contains("\"workflowId\":\"w-0\""), "{journal}");
    release.send(true).expect("the fake is there");
    running.finish().expect_code(0);
}

#[test]
fn a_reader_that_goes_away_ends_the_apply_quietly() {
    let (fake, release) = holding();
    let folder = Folder::new();
    let mut child = Command::new(env!("CARGO_BIN_EXE_temporal-manifest"))
        .args(["apply", "-o", "jsonl", "--parallelism", "4", "--address"])
        .arg(fake.address())
        .arg(manifest(&folder, 1000))
        .env_clear()
        .env("HOME", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program under test was built");
    fake.wait_for_starts(4);
    drop(child.stdout.take());
    release.send(true).expect("the fake is there");
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8(output.stderr).expect("standard error is UTF-8");
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    let lines: Vec<&str> = stderr
        .lines()
        .filter(|line| !line.starts_with("idempotency key: ") && !line.starts_with("note: "))
        .collect();
    assert_eq!(lines, [""; 0]);
    assert!(fake.start_count() < 1000, "the rest is not started");
}

/// Runs a program with a terminal as its standard error and a file as its standard output, and
/// prints what the terminal shows.
pub(crate) const ON_A_TERMINAL: &str = r"
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.dup2(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT), 1)
    os.execv(sys.argv[2], sys.argv[2:])
while True:
    try:
        piece = os.read(terminal, 4096)
    except OSError:
        break
    if not piece:
        break
    sys.stdout.buffer.write(piece)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

#[test]
fn progress_on_a_terminal_stays_out_of_the_data() {
    const STARTS: usize = 50;
    let Some(python) = dev_server::python() else {
        return;
    };
    let fake = FakeFrontend::builder()
        .start_latency(Duration::from_millis(5))
        .start();
    let folder = Folder::new();
    let data = folder.path().join("report.json");
    let output = Command::new(python)
        .arg("-c")
        .arg(ON_A_TERMINAL)
        .arg(&data)
        .arg(env!("CARGO_BIN_EXE_temporal-manifest"))
        .args(["apply", "-o", "json", "--parallelism", "1", "--address"])
        .arg(fake.address())
        .arg(manifest(&folder, STARTS))
        .env_clear()
        .env("HOME", folder.path())
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .output()
        .expect("Python can be run");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}");
    assert!(shown.contains("/50 starts, "), "{shown:?}");
    assert!(shown.contains("idempotency key: "), "{shown:?}");
    let report: Value = serde_json::from_slice(&std::fs::read(data).expect("it was written"))
        .expect("standard output is one JSON document");
    assert_eq!(report["summary"]["started"], STARTS);
}

/// A start with policies that a probe must not have.
fn replacing(folder: &Folder, count: usize) -> OsString {
    folder.starts((0..count).map(|number| {
        json!({"workflowId": format!("w-{number}"), "type": "T", "taskQueue": "q",
               "idReusePolicy": "AllowDuplicate", "idConflictPolicy": "TerminateExisting"})
    }))
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Sent {
    Probe,
    OverClosed,
}

/// With which policies a request was sent.
#[track_caller]
fn sent(request: &StartWorkflowExecutionRequest) -> Sent {
    match (
        request.workflow_id_reuse_policy(),
        request.workflow_id_conflict_policy(),
    ) {
        (WorkflowIdReusePolicy::AllowDuplicateFailedOnly, WorkflowIdConflictPolicy::Fail) => {
            Sent::OverClosed
        }
        (WorkflowIdReusePolicy::RejectDuplicate, WorkflowIdConflictPolicy::Fail) => Sent::Probe,
        other => panic!("policies that nobody asked for: {other:?}"),
    }
}

#[test]
fn a_second_attempt_sends_the_same_probe() {
    const STARTS: usize = 50;
    let seen = Mutex::new(HashMap::new());
    let fake = FakeFrontend::builder()
        .on_start(move |request, _| {
            let mut seen = seen.lock().expect("no holder of the lock panics");
            let times = seen.entry(request.workflow_id).or_insert(0);
            *times += 1;
            let answer = match *times {
                1 => Err(Status::unavailable("shard is moving")),
                _ => Ok(fake_frontend::started()),
            };
            async { answer }
        })
        .start();
    let folder = Folder::new();
    let finished = Binary::apply(
        replacing(&folder, STARTS),
        &fake.address(),
        &["-o", "jsonl"],
    )
    .run()
    .expect_code(0);
    let mut calls: HashMap<String, Vec<StartWorkflowExecutionRequest>> = HashMap::new();
    for call in fake.starts() {
        let id = call.message.workflow_id.clone();
        calls.entry(id).or_default().push(call.message);
    }
    assert_eq!(calls.len(), STARTS);
    for calls in calls.values() {
        let policies: Vec<Sent> = calls.iter().map(sent).collect();
        assert_eq!(policies, [Sent::Probe, Sent::Probe]);
        assert_eq!(calls[0], calls[1]);
    }
    let events: Vec<Value> = (finished.stdout.lines())
        .map(|line| serde_json::from_str(line).expect("every line is JSON"))
        .collect();
    let of_kind = |kind: &'static str| events.iter().filter(move |it| it["event"] == kind);
    assert_eq!(of_kind("attemptFailed").count(), STARTS);
    for failed in of_kind("attemptFailed") {
        assert_eq!(failed["attempt"], 1);
        assert_eq!(failed["error"]["code"], "UNAVAILABLE");
        assert_eq!(failed["error"]["message"], "shard is moving");
    }
    assert_eq!(of_kind("startFinished").count(), STARTS);
    for finished in of_kind("startFinished") {
        assert_eq!(finished["outcome"], "started");
        assert_eq!(finished["attempts"], 2);
    }
}

/// One start whose first attempt is lost, on a fake that answers the second one like this.
struct Lost {
    fake: FakeFrontend,
    report: Report,
}

impl Lost {
    /// `known` are the request IDs that the first run lists; `ours` stands for the request's own.
    fn new(known: &'static [(&'static str, EventType)], by_others: bool) -> Self {
        let request_id = std::sync::Arc::new(Mutex::new(String::new()));
        let sent = std::sync::Arc::clone(&request_id);
        let fake = FakeFrontend::builder()
            .on_start(move |request, number| {
                sent.lock()
                    .expect("no holder of the lock panics")
                    .clone_from(&request.request_id);
                async move {
                    match number {
                        0 => Err(Status::unavailable("the answer is lost")),
                        1 if by_others => {
                            Err(already_started("another", "current-run", "first-run"))
                        }
                        1 => {
                            let ours = &request.request_id;
                            Err(already_started(ours, "current-run", "current-run"))
                        }
                        _ => Ok(fake_frontend::started()),
                    }
                }
            })
            .on_describe(move |_, _| {
                let ours = request_id.lock().expect("no holder of the lock panics");
                let infos = known.iter().map(|(name, event_type)| {
                    let info = RequestIdInfo {
                        event_type: (*event_type).into(),
                        event_id: 1,
                        buffered: false,
                    };
                    (name.replace("ours", &ours), info)
                });
                let answer = DescribeWorkflowExecutionResponse {
                    workflow_extended_info: Some(WorkflowExecutionExtendedInfo {
                        request_id_infos: infos.collect(),
                        ..WorkflowExecutionExtendedInfo::default()
                    }),
                    ..fake_frontend::running()
                };
                async { Ok(answer) }
            })
            .on_terminate(|_, _| async { Ok(TerminateWorkflowExecutionResponse {}) })
            .start();
        let folder = Folder::new();
        let finished = Binary::apply(replacing(&folder, 1), &fake.address(), &["-o", "json"])
            .run()
            .expect_code(0);
        let report = Report::of(&finished);
        Self { fake, report }
    }

    fn sent(&self) -> Vec<Sent> {
        let calls = self.fake.starts();
        calls.iter().map(|call| sent(&call.message)).collect()
    }

    fn described_runs(&self) -> Vec<String> {
        let describes = self.fake.describes().into_iter();
        describes
            .map(|call| call.message.execution.unwrap_or_default().run_id)
            .collect()
    }
}

#[test]
fn a_lost_answer_is_found_again_in_the_refusal() {
    let lost = Lost::new(&[], false);
    assert_eq!(lost.report.outcome("w-0"), "started");
    assert_eq!(lost.report.run_id("w-0"), "current-run");
    assert_eq!(lost.report.start("w-0")["attempts"], 2);
    assert_eq!(lost.sent(), [Sent::Probe, Sent::Probe]);
    assert_eq!(lost.described_runs(), [""; 0]);
}

#[test]
fn a_lost_answer_is_found_again_in_the_first_run() {
    const KNOWN: [(&str, EventType); 2] = [
        ("another", EventType::WorkflowExecutionOptionsUpdated),
        ("ours", EventType::WorkflowExecutionStarted),
    ];
    let lost = Lost::new(&KNOWN, true);
    assert_eq!(lost.report.outcome("w-0"), "started");
    assert_eq!(lost.report.run_id("w-0"), "current-run");
    assert_eq!(lost.report.start("w-0")["firstRunId"], "first-run");
    assert_eq!(lost.sent(), [Sent::Probe, Sent::Probe]);
    assert_eq!(lost.described_runs(), ["first-run"]);
}

#[test]
fn a_run_of_somebody_else_gets_the_policies_that_were_asked_for() {
    const KNOWN: [(&str, EventType); 1] = [("another", EventType::WorkflowExecutionStarted)];
    let lost = Lost::new(&KNOWN, true);
    assert_eq!(lost.report.outcome("w-0"), "started");
    assert_ne!(lost.report.run_id("w-0"), "current-run");
    assert_eq!(lost.sent(), [Sent::Probe, Sent::Probe, Sent::OverClosed]);
    assert_eq!(lost.described_runs(), ["first-run"]);
    let ended: Vec<_> = (lost.fake.terminations().into_iter())
        .map(|call| call.message.first_execution_run_id)
        .collect();
    assert_eq!(ended, ["first-run"]);
}
