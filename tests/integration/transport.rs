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
    Binary::apply(manifest, address, &[&["-o", "json"], flags].concat()).run()
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
fn a_first_answer_that_never_ends_is_waited_for() {
    side_by_side(&["GetSystemInfo", "DescribeNamespace"], |endless_one| {
        for reply in endless() {
            let server = RawServer::start(move |method, _| {
                if method == endless_one {
                    reply.clone()
                } else {
                    healthy(method)
                }
            });
            let flags = ["--client-connect-timeout", "1s", "--command-timeout", "5s"];
            let finished = apply(3, &server.address(), &flags).expect_code(6);
            assert_eq!(Report::of(&finished).count("skipped"), 3);
        }
    });
}

#[test]
fn a_start_whose_answer_never_ends_is_not_sent_again() {
    let server = RawServer::for_starts(|number| match number {
        0..2 => endless()[number].clone(),
        _ => healthy("StartWorkflowExecution"),
    });
    let finished = apply(3, &server.address(), &["--retry-for", "15s"]).expect_code(6);
    let report = Report::of(&finished);
    assert_eq!(report.count("started"), 1);
    assert_eq!(report.count("unknown"), 2);
    assert_eq!(server.calls("StartWorkflowExecution"), 3);
}

/// A long poll may take a minute.
#[test]
fn a_history_that_never_ends_is_not_asked_for_again() {
    let server = RawServer::start(|method, number| match (method, number) {
        ("GetWorkflowExecutionHistory", 0..2) => endless()[number].clone(),
        ("GetWorkflowExecutionHistory", _) => {
            Reply::Message(history(vec![completed("1")]).encode_to_vec())
        }
        (other, _) => healthy(other),
    });
    let flags = ["--wait", "--command-timeout", "80s"];
    apply(2, &server.address(), &flags).expect_code(6);
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
fn an_error_page_of_a_proxy_ends_the_apply() {
    let cases = [200, 301, 400, 401, 403, 404, 429, 500, 502, 503, 504];
    side_by_side(&cases, |status| {
        let page = Reply::Http(status, "text/html");
        let server = for_a_while(page, Duration::from_secs(3));
        let finished = apply(3, &server.address(), &[]).expect_code(6);
        assert_eq!(Report::of(&finished).count("unknown"), 3, "{status}");
    });
}

#[test]
fn connections_that_are_sent_away_at_once_end_the_apply() {
    let server = RawServer::for_starts(|number| match number {
        0 => Reply::GoAway(Duration::from_secs(3)),
        _ => healthy("StartWorkflowExecution"),
    });
    let finished = apply(3, &server.address(), &[]).expect_code(6);
    assert_eq!(Report::of(&finished).count("started"), 0);
}

/// Every code of HTTP/2 and one that there is not, with what one start comes to whose first calls
/// are all reset like this.
const CODES: [(u32, i32); 15] = [
    (0, 6),
    (1, 6),
    (2, 6),
    (3, 6),
    (4, 6),
    (5, 0),
    (6, 6),
    (7, 0),
    (8, 0),
    (9, 6),
    (10, 6),
    (11, 0),
    (12, 5),
    (13, 0),
    (99, 0),
];

/// Calls of one start that come to nothing; more than an `INTERNAL` of the service is repeated.
const TIMES: usize = 7;

#[test]
fn a_stream_that_is_reset_may_end_the_apply() {
    side_by_side(&CODES, |(code, exit)| {
        let server = RawServer::for_starts(move |number| match number {
            0..TIMES if number % 2 == 1 => Reply::ResetLate(Reason::from(code)),
            0..TIMES => Reply::Reset(Reason::from(code)),
            _ => healthy("StartWorkflowExecution"),
        });
        apply(1, &server.address(), &[]).expect_code(exit);
    });
}

#[test]
fn an_answer_that_is_cut_off_may_end_the_apply() {
    let whole = fake_frontend::started().encode_to_vec();
    for (reply, exit) in [
        (Reply::CutOff(whole.clone()), 6),
        (Reply::NoStatus(whole), 0),
    ] {
        let server = RawServer::for_starts(move |number| match number {
            0..TIMES => reply.clone(),
            _ => healthy("StartWorkflowExecution"),
        });
        apply(1, &server.address(), &[]).expect_code(exit);
    }
}
