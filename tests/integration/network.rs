//! Bad networks and services that throttle: every start begins once, and the report is true.
#![expect(
    clippy::disallowed_methods,
    reason = "real processes run on real time, an outage is a stretch of it, and scripts/test --full sets a variable"
)]

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use temporal_manifest::client::api::temporal::api::enums::v1::{
    ResourceExhaustedCause, ResourceExhaustedScope, WorkflowExecutionStatus,
    WorkflowIdConflictPolicy, WorkflowIdReusePolicy,
};
use temporal_manifest::client::api::temporal::api::errordetails::v1::ResourceExhaustedFailure;
use temporal_manifest::client::api::temporal::api::workflowservice::v1::{
    StartWorkflowExecutionRequest, StartWorkflowExecutionResponse,
};
use tonic::{Code, Status};

use crate::support::UNSERVED;
use crate::support::binary::{Binary, Finished, Folder};
use crate::support::dev_server::DevServer;
use crate::support::fake_frontend::{
    self, Answer, Builder, FakeFrontend, already_started, refusal,
};
use crate::support::report::{Report, text};

/// Whether the long versions of these tests are wanted.
fn is_full() -> bool {
    std::env::var("TEMPORAL_MANIFEST_TEST_FULL").is_ok_and(|value| value == "1")
}

/// Starts of one apply.
fn starts() -> usize {
    if is_full() { 1_000 } else { 300 }
}

/// Starts `w-0`, `w-1`, ... under policies with which a careless repeat begins a second run.
fn manifest(folder: &Folder, count: usize) -> OsString {
    folder.starts((0..count).map(|number| {
        json!({"workflowId": format!("w-{number}"), "type": "T", "taskQueue": UNSERVED,
               "idReusePolicy": "AllowDuplicate", "idConflictPolicy": "TerminateExisting"})
    }))
}

/// A number that looks random and is the same for the same `seed`.
fn dice(seed: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    hasher.finish()
}

/// What happens to one call.
#[derive(Clone)]
enum Fault {
    None,
    /// It is carried out, and then fails like this all the same.
    Lost(Status),
    /// It is not carried out.
    Refused(Status),
}

/// Decides by Workflow ID and number of the call among those for it, from 0.
type Faults = fn(&str, usize) -> Fault;

/// What the service knows of a Workflow ID.
struct Chain {
    /// Request that began it.
    request_id: String,
    first_run: String,
    current_run: String,
    /// Identity of the client that began it.
    identity: String,
}

impl Chain {
    /// Whether the run that began it still is the current one.
    fn is_first(&self) -> bool {
        self.first_run == self.current_run
    }
}

/// A service in memory that keeps the rules of request IDs and ID policies. Every other Workflow
/// continues as new at once, so that its current run does not know its request any more.
#[derive(Default)]
struct Model {
    chains: HashMap<String, Chain>,
    /// Runs that start requests began, by Workflow ID.
    begun: HashMap<String, usize>,
    /// Request IDs that arrived, by Workflow ID.
    request_ids: HashMap<String, HashSet<String>>,
    calls: HashMap<String, usize>,
}

impl Model {
    fn carry_out(
        &mut self,
        request: &StartWorkflowExecutionRequest,
    ) -> Answer<StartWorkflowExecutionResponse> {
        let id = &request.workflow_id;
        if let Some(chain) = self.chains.get(id) {
            let is_repeat = chain.request_id == request.request_id && chain.is_first();
            if is_repeat {
                return Ok(started(chain));
            }
            let probes = request.workflow_id_reuse_policy()
                == WorkflowIdReusePolicy::RejectDuplicate
                && request.workflow_id_conflict_policy() == WorkflowIdConflictPolicy::Fail;
            if probes {
                let owner = if chain.is_first() {
                    chain.request_id.as_str()
                } else {
                    "the service's own"
                };
                return Err(already_started(owner, &chain.current_run, &chain.first_run));
            }
        }
        *self.begun.entry(id.clone()).or_default() += 1;
        let continues = dice(id).is_multiple_of(2);
        let chain = Chain {
            request_id: request.request_id.clone(),
            first_run: format!("{id}-first"),
            current_run: format!("{id}-{}", if continues { "second" } else { "first" }),
            identity: request.identity.clone(),
        };
        let answer = started(&chain);
        self.chains.insert(id.clone(), chain);
        Ok(answer)
    }

    fn called(&mut self, id: &str) -> usize {
        let calls = self.calls.entry(id.to_owned()).or_default();
        *calls += 1;
        *calls - 1
    }
}

fn started(chain: &Chain) -> StartWorkflowExecutionResponse {
    StartWorkflowExecutionResponse {
        run_id: chain.first_run.clone(),
        first_execution_run_id: chain.first_run.clone(),
        started: true,
        status: WorkflowExecutionStatus::Running.into(),
        link: None,
    }
}

/// The model behind a fake frontend.
struct Service {
    model: Arc<Mutex<Model>>,
    fake: FakeFrontend,
}

impl Service {
    /// Faults hit every kind of call for a Workflow.
    fn new(faults: Faults) -> Self {
        Self::built(faults, |builder| builder)
    }

    fn built(faults: Faults, more: impl FnOnce(Builder) -> Builder) -> Self {
        let model = Arc::new(Mutex::new(Model::default()));
        let (starts, describes, histories) = (model.clone(), model.clone(), model.clone());
        let builder = FakeFrontend::builder()
            .on_start(move |request, _| {
                let mut model = lock(&starts);
                let id = request.workflow_id.clone();
                let request_ids = model.request_ids.entry(id.clone()).or_default();
                request_ids.insert(fake_frontend::reported(&request.request_id));
                let number = model.called(&id);
                let answer = match faults(&id, number) {
                    Fault::None => model.carry_out(&request),
                    Fault::Lost(status) => model.carry_out(&request).and(Err(status)),
                    Fault::Refused(status) => Err(status),
                };
                async { answer }
            })
            .on_describe(move |request, _| {
                let id = request.execution.unwrap_or_default().workflow_id;
                let mut model = lock(&describes);
                let number = model.called(&id);
                let answer = match (faults(&id, number), model.chains.get(&id)) {
                    (Fault::None, Some(chain)) => {
                        Ok(fake_frontend::begun_by_request(&chain.request_id))
                    }
                    (Fault::None, None) => Err(Status::not_found("workflow not found")),
                    (Fault::Lost(status) | Fault::Refused(status), _) => Err(status),
                };
                async { answer }
            })
            .on_history(move |request, _| {
                let id = request.execution.unwrap_or_default().workflow_id;
                let mut model = lock(&histories);
                let number = model.called(&id);
                let answer = match (faults(&id, number), model.chains.get(&id)) {
                    (Fault::None, Some(chain)) => Ok(fake_frontend::began_by(&chain.identity)),
                    (Fault::None, None) => Err(Status::not_found("workflow not found")),
                    (Fault::Lost(status) | Fault::Refused(status), _) => Err(status),
                };
                async { answer }
            });
        let fake = more(builder).start();
        Service { model, fake }
    }

    /// Applies `count` starts to what listens at `address`, and expects all of them to be there.
    #[track_caller]
    fn expect_all_begun(&self, address: &str, count: usize, flags: &[&str]) -> Report {
        let folder = Folder::new();
        let flags = [&["-o", "json"], flags].concat();
        let finished = Binary::apply(manifest(&folder, count), address, &flags).run();
        self.expect_truth(&finished.expect_code(0), count)
    }

    /// Everything was begun exactly once, by one request ID each, and the report says by whom.
    #[track_caller]
    fn expect_truth(&self, finished: &Finished, count: usize) -> Report {
        let report = Report::of(finished);
        let model = lock(&self.model);
        assert_eq!(report.count("total"), count as u64);
        assert_eq!(report.starts().len(), count);
        assert_eq!(model.begun.len(), count, "Workflows that were begun");
        let invocation = text(&report.document()["invocation"], "id");
        let mut request_ids = HashSet::new();
        for (number, start) in report.starts().iter().enumerate() {
            let id = text(start, "workflowId");
            assert_eq!(id, format!("w-{number}"));
            assert_eq!(model.begun[id], 1, "{id} was begun more than once");
            assert_eq!(model.request_ids[id].len(), 1, "{id} has one request ID");
            let chain = &model.chains[id];
            let request_id = fake_frontend::reported(&chain.request_id);
            assert_eq!(text(start, "requestId"), request_id, "{id}");
            request_ids.insert(request_id);
            let runs = [&chain.first_run, &chain.current_run];
            let run_id = text(start, "runId");
            assert!(runs.iter().any(|run| *run == run_id), "{id}: {run_id}");
            let outcome = if chain.identity.ends_with(invocation) {
                "started"
            } else {
                "deduplicated"
            };
            assert_eq!(text(start, "outcome"), outcome, "{id}");
        }
        assert_eq!(request_ids.len(), count, "distinct request IDs");
        report
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder of the lock panics")
}

/// A proxy in front of a fake, which does to connections what networks do to them.
struct Proxy {
    address: SocketAddr,
    state: Arc<ProxyState>,
}

#[derive(Default)]
struct ProxyState {
    connections: AtomicUsize,
    holds: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

/// Bytes of answers that a connection carries before it is cut, by the number of the connection.
type Budget = fn(usize) -> usize;

impl Proxy {
    /// Its threads end with their connections, or with the tests.
    fn new(behind: u16, budget: Budget) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(ProxyState::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let number = shared.connections.fetch_add(1, Ordering::SeqCst);
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, behind)) else {
                    continue;
                };
                for stream in [&client, &server] {
                    stream.set_nodelay(true).expect("TCP has this option");
                    let copy = stream.try_clone().expect("a socket can be shared");
                    lock(&shared.open).push(copy);
                }
                let clone = |stream: &TcpStream| stream.try_clone().expect("it can be shared");
                carry(clone(&client), clone(&server), usize::MAX, &shared);
                carry(server, client, budget(number), &shared);
            }
        });
        Proxy { address, state }
    }

    fn address(&self) -> String {
        self.address.to_string()
    }

    fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Swallows everything from now on, without a sign, until [`Self::release`].
    fn hold(&self) {
        self.state.holds.store(true, Ordering::SeqCst);
    }

    /// Carries again, first of all what was held back.
    fn release(&self) {
        self.state.holds.store(false, Ordering::SeqCst);
    }

    /// Cuts every connection.
    fn cut(&self) {
        for stream in lock(&self.state.open).drain(..) {
            // It may have been closed long ago.
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

/// Carries bytes until one side closes or `budget` is used up, on a thread of its own.
fn carry(mut from: TcpStream, mut to: TcpStream, mut budget: usize, state: &Arc<ProxyState>) {
    let state = Arc::clone(state);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            while state.holds.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(10));
            }
            let length = length.min(budget);
            budget -= length;
            if to.write_all(&buffer[..length]).is_err() || budget == 0 {
                break;
            }
        }
        drop(from.shutdown(Shutdown::Both));
        drop(to.shutdown(Shutdown::Both));
    });
}

#[test]
fn every_first_answer_is_lost() {
    let count = starts();
    for flags in [&[][..], &["--idempotency-key", "lost"]] {
        let service = Service::new(|id, number| match (number, dice(id) % 4) {
            (1.., _) => Fault::None,
            (0, 0) => Fault::Lost(Status::unavailable("the connection is draining")),
            (0, 1) => Fault::Lost(Status::deadline_exceeded("context deadline exceeded")),
            (0, 2) => Fault::Lost(Status::cancelled("stream reset")),
            (0, _) => Fault::Lost(Status::unknown("stream terminated by RST_STREAM")),
        });
        let report = service.expect_all_begun(&service.fake.address(), count, flags);
        assert_eq!(report.count("started"), count as u64);
        assert!(report.count("attempts") >= 2 * count as u64);
    }
}

#[test]
fn one_call_in_twenty_is_unavailable() {
    let count = starts();
    for flags in [&[][..], &["--idempotency-key", "unavailable"]] {
        let service = Service::new(|id, number| match dice((id, number)) % 20 {
            0 => Fault::Refused(Status::unavailable("shard is moving")),
            _ => Fault::None,
        });
        let report = service.expect_all_begun(&service.fake.address(), count, flags);
        assert_eq!(report.count("started"), count as u64);
        assert!(report.count("attempts") > count as u64);
    }
}

#[test]
fn one_call_in_five_passes_its_deadline() {
    let count = starts();
    for flags in [&[][..], &["--idempotency-key", "deadline"]] {
        let service = Service::new(|id, number| {
            let late = Status::deadline_exceeded("context deadline exceeded");
            match dice((id, number)) % 10 {
                0 => Fault::Refused(late),
                1 => Fault::Lost(late),
                _ => Fault::None,
            }
        });
        let report = service.expect_all_begun(&service.fake.address(), count, flags);
        assert_eq!(report.count("started"), count as u64);
        assert!(report.count("attempts") > count as u64);
    }
}

#[test]
fn connections_are_cut_in_the_middle_of_an_answer() {
    let count = starts();
    let service = Service::new(|_, _| Fault::None);
    // The first one lives long enough for the first questions to be answered.
    let proxy = Proxy::new(service.fake.port(), |number| {
        1_000 + (dice(number) % 3_000) as usize
    });
    let report = service.expect_all_begun(&proxy.address(), count, &[]);
    assert_eq!(report.count("started"), count as u64);
    assert!(
        proxy.connections() > 3,
        "{} connections",
        proxy.connections()
    );
}

#[test]
fn connections_are_sent_away() {
    let count = starts();
    let service = Service::built(
        |_, _| Fault::None,
        |builder| {
            builder
                .start_latency(Duration::from_millis(5))
                .max_connection_age(Duration::from_millis(100))
        },
    );
    let proxy = Proxy::new(service.fake.port(), |_| usize::MAX);
    let report = service.expect_all_begun(&proxy.address(), count, &["--parallelism", "4"]);
    assert_eq!(report.count("started"), count as u64);
    assert!(
        proxy.connections() > 2,
        "{} connections",
        proxy.connections()
    );
}

#[test]
fn a_network_that_swallows_everything_for_a_while_loses_nothing() {
    let count = starts();
    let service = Service::built(
        |_, _| Fault::None,
        |builder| builder.start_latency(Duration::from_millis(5)),
    );
    let proxy = Proxy::new(service.fake.port(), |_| usize::MAX);
    let folder = Folder::new();
    let running =
        Binary::apply(manifest(&folder, count), &proxy.address(), &["-o", "json"]).spawn();
    service.fake.wait_for_starts(count / 3);
    proxy.hold();
    if is_full() {
        // Calls pass their deadline, and what they sent arrives after their repeats.
        thread::sleep(Duration::from_secs(30));
        proxy.release();
    } else {
        thread::sleep(Duration::from_secs(3));
        proxy.cut();
        proxy.release();
    }
    let report = service.expect_truth(&running.finish().expect_code(0), count);
    assert_eq!(report.count("started"), count as u64);
    assert!(report.count("attempts") > count as u64);
}

#[test]
fn everything_at_once_and_killed_in_between() {
    const KILLS: usize = 5;
    let count = starts();
    let service = Service::built(
        |id, number| match dice((id, number)) % 20 {
            0 => Fault::Lost(Status::unavailable("the connection is draining")),
            1 => Fault::Refused(Status::unavailable("shard is moving")),
            2 => Fault::Lost(Status::deadline_exceeded("context deadline exceeded")),
            3 => Fault::Refused(Status::deadline_exceeded("context deadline exceeded")),
            _ => Fault::None,
        },
        |builder| {
            builder
                .start_latency(Duration::from_millis(2))
                .max_connection_age(Duration::from_millis(500))
        },
    );
    let proxy = Proxy::new(service.fake.port(), |number| {
        3_000 + (dice(number) % 10_000) as usize
    });
    let folder = Folder::new();
    let manifest = manifest(&folder, count);
    let apply = || {
        let flags = ["-o", "json", "--idempotency-key", "mixed"];
        Binary::apply(&manifest, &proxy.address(), &flags)
    };
    for kill in 0..KILLS {
        let running = apply().spawn();
        let some = 1 + dice(kill) as usize % (count / 2);
        service
            .fake
            .wait_for_starts(service.fake.start_count() + some);
        assert_eq!(running.kill().code, None);
    }
    let report = service.expect_truth(&apply().run().expect_code(0), count);
    assert!(report.count("deduplicated") > 0);
    assert_eq!(
        report.count("started") + report.count("deduplicated"),
        count as u64
    );
}

#[test]
fn a_service_that_never_answers_is_not_waited_for_longer_than_asked() {
    let fake = FakeFrontend::builder()
        .on_start(|_, _| std::future::pending())
        .start();
    let folder = Folder::new();
    let began = Instant::now();
    let flags = ["-o", "json", "--retry-for", "2s"];
    let finished = Binary::apply(manifest(&folder, 100), &fake.address(), &flags)
        .run()
        .expect_code(6);
    // A single call could take ten.
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    let report = Report::of(&finished);
    assert_eq!(report.count("unknown"), fake.start_count() as u64);
    assert_eq!(report.count("unknown") + report.count("skipped"), 100);
    let unknown = report.starts().iter().find(|it| it["outcome"] == "unknown");
    let error = &unknown.expect("there is one")["error"];
    assert_eq!(error["reason"], "deadlineExceeded");
    assert_eq!(error["retryable"], true);
}

fn exhausted(cause: ResourceExhaustedCause) -> Status {
    let detail = ResourceExhaustedFailure {
        cause: cause.into(),
        scope: ResourceExhaustedScope::Namespace.into(),
    };
    refusal(
        Code::ResourceExhausted,
        "namespace rate limit exceeded",
        &detail,
    )
}

fn events(finished: &Finished) -> Vec<Value> {
    (finished.stdout.lines())
        .map(|line| serde_json::from_str(line).expect("every line is JSON"))
        .collect()
}

fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events
        .iter()
        .filter(|event| event["event"] == kind)
        .collect()
}

#[test]
fn a_service_that_throttles_gets_what_it_can_take() {
    const COUNT: usize = 1_000;
    const PER_SECOND: f64 = 200.0;
    let bucket = Mutex::new((PER_SECOND, Instant::now()));
    let refused = Arc::new(AtomicUsize::new(0));
    let refusals = Arc::clone(&refused);
    let fake = FakeFrontend::builder()
        .on_start(move |_, _| {
            let mut bucket = lock(&bucket);
            let (tokens, filled_at) = &mut *bucket;
            let now = Instant::now();
            let poured = now.duration_since(*filled_at).as_secs_f64() * PER_SECOND;
            (*tokens, *filled_at) = ((*tokens + poured).min(PER_SECOND), now);
            let answer = if *tokens >= 1.0 {
                *tokens -= 1.0;
                Ok(fake_frontend::started())
            } else {
                refusals.fetch_add(1, Ordering::SeqCst);
                Err(exhausted(ResourceExhaustedCause::RpsLimit))
            };
            async { answer }
        })
        .start();
    let folder = Folder::new();
    let flags = ["-o", "jsonl"];
    let finished = Binary::apply(manifest(&folder, COUNT), &fake.address(), &flags)
        .run()
        .expect_code(0);
    let events = events(&finished);
    let ended = of_kind(&events, "startFinished");
    assert_eq!(ended.len(), COUNT);
    assert!(ended.iter().all(|start| start["outcome"] == "started"));
    let sum = |name: &str| -> u64 { ended.iter().filter_map(|start| start[name].as_u64()).sum() };
    let refused = refused.load(Ordering::SeqCst);
    assert_eq!(sum("throttled"), refused as u64);
    assert_eq!(sum("attempts"), (COUNT + refused) as u64);
    assert!(refused > 0);
    let share = refused as f64 / (COUNT + refused) as f64;
    assert!(share < 0.15, "{share:.3} of the calls were refused");
    let changes = of_kind(&events, "paceChanged");
    let told = changes.first().expect("the change of pace is told");
    assert_eq!(told["error"]["cause"], "RPS_LIMIT");
    assert_eq!(told["error"]["scope"], "NAMESPACE");
}

#[test]
fn a_service_that_throttles_everything_ends_the_apply() {
    const COUNT: usize = 200;
    let fake = FakeFrontend::builder()
        .on_start(|_, _| async { Err(exhausted(ResourceExhaustedCause::RpsLimit)) })
        .start();
    let folder = Folder::new();
    let flags = ["-o", "json", "--retry-for", "2s"];
    let finished = Binary::apply(manifest(&folder, COUNT), &fake.address(), &flags)
        .run()
        .expect_code(6);
    let report = Report::of(&finished);
    assert!((1..=32).contains(&report.count("unknown")), "{report:?}");
    assert_eq!(
        report.count("unknown") + report.count("skipped"),
        COUNT as u64
    );
    let calls = fake.start_count();
    assert!(calls < 400, "{calls} calls");
}

#[test]
fn refusals_at_random_do_not_starve_the_apply() {
    const COUNT: usize = 1_000;
    let calls = AtomicUsize::new(0);
    let fake = FakeFrontend::builder()
        .on_start(move |_, _| {
            let is_refused = dice(calls.fetch_add(1, Ordering::SeqCst)).is_multiple_of(2);
            async move {
                match is_refused {
                    true => Err(exhausted(ResourceExhaustedCause::SystemOverloaded)),
                    false => Ok(fake_frontend::started()),
                }
            }
        })
        .start();
    let folder = Folder::new();
    let began = Instant::now();
    let finished = Binary::apply(manifest(&folder, COUNT), &fake.address(), &["-o", "json"])
        .run()
        .expect_code(0);
    assert_eq!(Report::of(&finished).count("started"), COUNT as u64);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(60), "{took:?}");
}

#[test]
fn starts_that_alone_are_throttled_keep_no_others_waiting() {
    // Fewer than there are slots.
    const THROTTLED: usize = 30;
    let others = AtomicUsize::new(0);
    let fake = FakeFrontend::builder()
        .on_start(move |request, _| {
            let number: usize = request.workflow_id["w-".len()..].parse().unwrap_or(0);
            let is_other = number.is_multiple_of(2);
            let done = others.fetch_add(usize::from(is_other), Ordering::SeqCst);
            async move {
                match is_other || done >= THROTTLED {
                    false => Err(exhausted(ResourceExhaustedCause::RpsLimit)),
                    true => Ok(fake_frontend::started()),
                }
            }
        })
        .start();
    let folder = Folder::new();
    let began = Instant::now();
    let count = 2 * THROTTLED;
    let finished = Binary::apply(manifest(&folder, count), &fake.address(), &["-o", "json"])
        .run()
        .expect_code(0);
    assert_eq!(Report::of(&finished).count("started"), count as u64);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn a_busy_workflow_keeps_nobody_else_waiting() {
    let fake = FakeFrontend::builder()
        .on_start({
            let refused = AtomicUsize::new(0);
            move |request, _| {
                let busy =
                    request.workflow_id == "w-0" && refused.fetch_add(1, Ordering::SeqCst) < 2;
                async move {
                    match busy {
                        true => Err(exhausted(ResourceExhaustedCause::BusyWorkflow)),
                        false => Ok(fake_frontend::started()),
                    }
                }
            }
        })
        .start();
    let folder = Folder::new();
    let count = starts();
    let finished = Binary::apply(manifest(&folder, count), &fake.address(), &["-o", "jsonl"])
        .run()
        .expect_code(0);
    let events = events(&finished);
    assert_eq!(of_kind(&events, "paceChanged"), [&Value::Null; 0]);
    let ended = of_kind(&events, "startFinished");
    assert_eq!(ended.len(), count);
    for start in ended {
        let throttled = if start["workflowId"] == "w-0" { 2 } else { 0 };
        assert_eq!(start["outcome"], "started");
        assert_eq!(start["throttled"].as_u64().unwrap_or(0), throttled);
        assert_eq!(start["attempts"], throttled + 1);
    }
}

#[test]
fn a_message_that_is_too_large_is_not_sent_again() {
    let fake = FakeFrontend::builder()
        .on_start(|_, _| async {
            let words = "grpc: received message larger than max (5000000 vs. 4194304)";
            Err(Status::resource_exhausted(words))
        })
        .start();
    let folder = Folder::new();
    let finished = Binary::apply(manifest(&folder, 2), &fake.address(), &["-o", "json"])
        .run()
        .expect_code(4);
    let report = Report::of(&finished);
    assert_eq!(report.count("failed"), 2);
    assert_eq!(report.count("throttled"), 0);
    assert_eq!(report.start("w-0")["error"]["reason"], "messageTooLarge");
    assert_eq!(fake.start_count(), 2);
}

#[test]
fn the_users_rate_is_kept() {
    const COUNT: usize = 150;
    let arrivals = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&arrivals);
    let fake = FakeFrontend::builder()
        .on_start(move |_, _| {
            lock(&seen).push(Instant::now());
            async { Ok(fake_frontend::started()) }
        })
        .start();
    let folder = Folder::new();
    Binary::apply(manifest(&folder, COUNT), &fake.address(), &["--rate", "50"])
        .run()
        .expect_code(0);
    let arrivals = lock(&arrivals);
    assert_eq!(arrivals.len(), COUNT);
    // A busy machine makes calls late, and then two come closer together than they left.
    let took = arrivals[COUNT - 1].duration_since(arrivals[0]);
    assert!(took > Duration::from_millis(2_400), "{took:?}");
}

#[test]
fn a_server_that_limits_its_namespace_gets_every_start() {
    const COUNT: usize = 200;
    let limits = [
        "--dynamic-config-value",
        "frontend.namespaceRPS=20",
        "--dynamic-config-value",
        "frontend.namespaceBurstRatio=1.0",
    ];
    let Some(server) = DevServer::start(&limits) else {
        return;
    };
    let folder = Folder::new();
    let finished = Binary::apply(manifest(&folder, COUNT), &server.address, &["-o", "json"])
        .run()
        .expect_code(0);
    let report = Report::of(&finished);
    assert_eq!(report.count("started"), COUNT as u64);
    assert!(report.count("throttled") > 0);
    assert!(report.count("attempts") >= COUNT as u64 + report.count("throttled"));
    // What it reaches of the limit is measured by the benchmarks: here other programs may be at work.
    let rate = report.document()["summary"]["startsPerSecond"].as_f64();
    let rate = rate.expect("the summary has a rate");
    assert!(rate < 45.0, "{rate} starts per second");
    let refused = report.count("throttled") as f64 / report.count("attempts") as f64;
    assert!(refused < 0.25, "{refused} of the calls were refused");
}

#[test]
fn a_server_that_is_restarted_gets_every_start() {
    const COUNT: usize = 300;
    let folder = Folder::new();
    let database = folder.path().join("server.db");
    let database = database
        .to_str()
        .expect("temporary folders have plain names");
    let Some(mut server) = DevServer::start(&["--db-filename", database]) else {
        return;
    };
    // Slow enough that the server is stopped in the middle.
    let flags = ["-o", "json", "--rate", "100"];
    let running = Binary::apply(manifest(&folder, COUNT), &server.address, &flags).spawn();
    server.wait_for_workflow("w-50");
    server.stop();
    thread::sleep(Duration::from_secs(10));
    server.restart();
    let report = Report::of(&running.finish().expect_code(0));
    assert_eq!(report.count("total"), COUNT as u64);
    assert_eq!(report.count("started"), COUNT as u64);
    assert!(report.count("attempts") > COUNT as u64);
    server.wait_for_count("WorkflowType = 'T'", COUNT);
}
