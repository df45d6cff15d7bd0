//! What HTTP/2 servers and proxies do that no gRPC server does: answers that do not end, error
//! pages, connections that are sent away, streams that are reset.
#![expect(
    clippy::disallowed_methods,
    reason = "real processes run on real time, and an outage is a stretch of it"
)]

use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use h2::Reason;
use prost::Message;
use serde_json::json;

use crate::support::UNSERVED;
use crate::support::binary::{Binary, Finished, Folder};
use crate::support::fake_frontend;
use crate::support::raw_server::{RawServer, Reply, healthy};
use crate::support::report::Report;
use crate::waiting::{completed, history};

/// Applies starts `w-0`, `w-1`, ...
fn apply(count: usize, address: &str, flags: &[&str]) -> Finished {
    let folder = Folder::new();
    let manifest = folder.starts(
        (0..count)
            .map(|n| json!({"workflowId": format!("w-{n}"), "type": "T", "taskQueue": UNSERVED})),
    );
    let format = ["-o", "json"];
    let format = if flags.contains(&"-o") {
        &[][..]
    } else {
        &format
    };
    Binary::apply(manifest, address, &[format, flags].concat()).run()
}

/// Runs every case on a thread of its own, as most of their time is waiting.
fn side_by_side<C: Copy + Send>(cases: &[C], run: impl Fn(C) + Sync) {
    let run = &run;
    thread::scope(|scope| {
        for case in cases.iter().copied() {
            scope.spawn(move || run(case));
        }
    });
}

/// What never comes to an end.
fn endless() -> [Reply; 2] {
    [Reply::Silence, Reply::Trickle(Duration::from_secs(2))]
}

#[test]
fn a_first_answer_that_never_ends_is_given_up() {
    side_by_side(&["GetSystemInfo", "DescribeNamespace"], |endless_one| {
        for reply in endless() {
            let server = RawServer::start(move |method, _| {
                if method == endless_one {
                    reply.clone()
                } else {
                    healthy(method)
                }
            });
            let flags = ["--client-connect-timeout", "1s"];
            let finished = apply(3, &server.address(), &flags).expect_code(5);
            assert_eq!(Report::of(&finished).count("skipped"), 3);
            assert!(
                finished.stderr.contains("did not answer in time"),
                "{}",
                finished.stderr
            );
        }
    });
}

#[test]
fn a_start_whose_answer_never_ends_is_sent_again() {
    let server = RawServer::for_starts(|number| match number {
        0..2 => endless()[number].clone(),
        _ => healthy("StartWorkflowExecution"),
    });
    let finished = apply(3, &server.address(), &["--retry-for", "30s"]).expect_code(0);
    let report = Report::of(&finished);
    assert_eq!(report.count("started"), 3);
    assert_eq!(server.calls("StartWorkflowExecution"), 5);
    let longest = report
        .starts()
        .iter()
        .filter_map(|it| it["latencyMs"].as_f64());
    // Ten seconds for the first answer, and a little for the second.
    assert!(
        longest.fold(0.0, f64::max) < 20_000.0,
        "{}",
        finished.stdout
    );
}

/// A long poll may take a minute.
#[test]
fn a_history_that_never_ends_is_asked_for_again() {
    let server = RawServer::start(|method, number| match (method, number) {
        ("GetWorkflowExecutionHistory", 0..2) => endless()[number].clone(),
        ("GetWorkflowExecutionHistory", _) => {
            Reply::Message(history(vec![completed("1")]).encode_to_vec())
        }
        (other, _) => healthy(other),
    });
    let finished = apply(2, &server.address(), &["--wait"]).expect_code(0);
    assert_eq!(Report::of(&finished).workflows("completed"), 2);
    assert_eq!(server.calls("GetWorkflowExecutionHistory"), 4);
}

/// Answers starts like this for so long from the first one on.
fn for_a_while(reply: Reply, while_it_lasts: Duration) -> RawServer {
    let first = OnceLock::new();
    RawServer::for_starts(move |_| {
        if first.get_or_init(Instant::now).elapsed() < while_it_lasts {
            reply.clone()
        } else {
            healthy("StartWorkflowExecution")
        }
    })
}

#[test]
fn an_error_page_of_a_proxy_is_no_answer_of_the_service() {
    let cases = [200, 301, 400, 429, 500, 502, 503, 504];
    side_by_side(&cases, |status| {
        let page = Reply::Http(status, "text/html");
        let server = for_a_while(page, Duration::from_secs(3));
        let finished = apply(3, &server.address(), &[]).expect_code(0);
        assert_eq!(Report::of(&finished).count("started"), 3, "{status}");
    });
}

#[test]
fn an_error_page_that_would_hit_every_start_stops_the_apply() {
    let cases = [
        (401, "UNAUTHENTICATED: HTTP 401 Unauthorized"),
        (403, "PERMISSION_DENIED: HTTP 403 Forbidden"),
        (404, "HTTP 404 Not Found"),
    ];
    side_by_side(&cases, |(status, words)| {
        let server = RawServer::for_starts(move |_| Reply::Http(status, "text/html"));
        let finished = apply(3, &server.address(), &["--parallelism", "1"]).expect_code(5);
        assert_eq!(server.calls("StartWorkflowExecution"), 1);
        assert_eq!(Report::of(&finished).document()["stopped"]["by"], "refusal");
        assert!(finished.stderr.contains(words), "{}", finished.stderr);
    });
}

#[test]
fn an_error_page_for_the_first_question_is_told() {
    side_by_side(&[404, 503], |status| {
        let server = RawServer::start(move |_, _| Reply::Http(status, "text/html"));
        let finished = apply(3, &server.address(), &[]).expect_code(5);
        let words = format!("{}: HTTP {status} ", server.address());
        assert!(finished.stderr.contains(&words), "{}", finished.stderr);
        assert!(finished.stderr.contains("instead of a gRPC answer"));
    });
}

#[test]
fn connections_that_are_sent_away_at_once_are_made_again() {
    let server = RawServer::for_starts(|number| match number {
        0 => Reply::GoAway(Duration::from_secs(3)),
        _ => healthy("StartWorkflowExecution"),
    });
    let finished = apply(3, &server.address(), &[]).expect_code(0);
    assert_eq!(Report::of(&finished).count("started"), 3);
}

/// Every code of HTTP/2 and one that there is not.
const CODES: [u32; 15] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 99];

/// Calls of one start that come to nothing; more than an `INTERNAL` of the service is repeated.
const TIMES: usize = 7;

#[test]
fn a_stream_that_is_reset_is_no_answer() {
    side_by_side(&CODES, |code| {
        let server = RawServer::for_starts(move |number| match number {
            0..TIMES if number % 2 == 1 => Reply::ResetLate(Reason::from(code)),
            0..TIMES => Reply::Reset(Reason::from(code)),
            _ => healthy("StartWorkflowExecution"),
        });
        let finished = apply(1, &server.address(), &[]).expect_code(0);
        let report = Report::of(&finished);
        assert_eq!(report.start("w-0")["attempts"], TIMES + 1, "{code}");
        assert_eq!(report.count("throttled"), 0, "{code}");
    });
}

#[test]
fn an_answer_that_is_cut_off_is_no_answer() {
    let whole = fake_frontend::started().encode_to_vec();
    for reply in [Reply::CutOff(whole.clone()), Reply::NoStatus(whole)] {
        let server = RawServer::for_starts(move |number| match number {
            0..TIMES => reply.clone(),
            _ => healthy("StartWorkflowExecution"),
        });
        let finished = apply(1, &server.address(), &["-o", "jsonl"]).expect_code(0);
        // Longer pauses also tell how long no answer has come.
        let lost = finished.stdout.lines().filter(|line| {
            line.contains(r#""event":"attemptFailed""#) && line.contains("connectionLost")
        });
        assert_eq!(lost.count(), TIMES, "{}", finished.stdout);
    }
}

#[test]
fn details_that_cannot_be_read_are_none() {
    let server = RawServer::for_starts(|number| match number {
        0 => Reply::BadDetails,
        _ => healthy("StartWorkflowExecution"),
    });
    let finished = apply(1, &server.address(), &[]).expect_code(0);
    assert_eq!(Report::of(&finished).start("w-0")["attempts"], 2);
}
