//! A frontend with nothing behind it, to measure clients with.
//!
//! It answers every start at once, or after `--latency`, or refuses it as the service does when a
//! namespace is over its limit. The limit is a token bucket that is full at first. Its first line
//! on standard output is the address it listens on. A line of counts follows for each line on
//! standard input. With `--distinct N`, the Workflow IDs that end in a number below N are counted
//! once each, whatever is before the number. With `--seconds`, it prints `began` at the first start, and a line of counts so
//! much later, which is when counting stops. It ends with its standard input.

use std::error::Error;
use std::io::{BufRead, Write};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::time::Duration;

use prost::{Message, Name};
use temporal_manifest::client::api::google::rpc;
use temporal_manifest::client::api::temporal::api::enums::v1::{
    NamespaceState, ResourceExhaustedCause, ResourceExhaustedScope, WorkflowExecutionStatus,
};
use temporal_manifest::client::api::temporal::api::errordetails::v1::ResourceExhaustedFailure;
use temporal_manifest::client::api::temporal::api::namespace::v1::NamespaceInfo;
use temporal_manifest::client::api::temporal::api::workflowservice::v1::{
    DescribeNamespaceRequest, DescribeNamespaceResponse, DescribeTaskQueueRequest,
    DescribeTaskQueueResponse, DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse,
    GetSystemInfoRequest, GetSystemInfoResponse, GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse, StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse, TerminateWorkflowExecutionRequest,
    TerminateWorkflowExecutionResponse, get_system_info_response::Capabilities,
};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tonic::codec::CompressionEncoding;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};

use generated::workflow_service_server::{WorkflowService, WorkflowServiceServer};

mod generated {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        clippy::pedantic,
        reason = "generated code keeps none of our style rules"
    )]
    include!(concat!(
        env!("OUT_DIR"),
        "/server/temporal.api.workflowservice.v1.rs"
    ));
}

/// Starts whose Workflow ID begins so are counted as another client's.
const RIVAL: &str = "rival-";

const USAGE: &str = "usage: null_frontend [--latency MILLISECONDS] [--seconds S] [--distinct N]
                     [--limit R[,R...] [--burst SECONDS] [--change-every SECONDS]]
                     [--refuse SHARE | --closed-every SECONDS]";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut settings = Settings::default();
    while let Some(flag) = arguments.next() {
        // What `cargo bench` says to every benchmark. This one is only a part of others.
        if flag == "--bench" {
            return Ok(writeln!(std::io::stdout(), "{USAGE}")?);
        }
        let value = arguments.next().ok_or(USAGE)?;
        settings.set(&flag, &value)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(settings))
}

/// What was asked for on the command line. Times are in seconds.
#[derive(Clone, Debug)]
struct Settings {
    latency: Duration,
    seconds: Option<f64>,
    limits: Vec<f64>,
    burst: f64,
    change_every: f64,
    /// Share of all calls that is refused at random, whatever the rate.
    refuse: f64,
    /// Every other stretch of so many seconds everything is refused.
    closed_every: Option<f64>,
    /// Workflow IDs that end in a number below this one are told apart.
    distinct: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            latency: Duration::ZERO,
            seconds: None,
            limits: Vec::new(),
            burst: 1.0,
            change_every: 10.0,
            refuse: 0.0,
            closed_every: None,
            distinct: 0,
        }
    }
}

impl Settings {
    fn set(&mut self, flag: &str, value: &str) -> Result<(), Box<dyn Error>> {
        match flag {
            "--latency" => self.latency = Duration::from_secs_f64(value.parse::<f64>()? / 1_000.0),
            "--seconds" => self.seconds = Some(value.parse()?),
            "--limit" => {
                self.limits = value.split(',').map(str::parse).collect::<Result<_, _>>()?;
            }
            "--burst" => self.burst = value.parse()?,
            "--change-every" => self.change_every = value.parse()?,
            "--refuse" => self.refuse = value.parse()?,
            "--closed-every" => self.closed_every = Some(value.parse()?),
            "--distinct" => self.distinct = value.parse()?,
            _ => return Err(USAGE.into()),
        }
        Ok(())
    }

    /// Whether a call at a time after the first start gets as far as the limit.
    fn is_open(&self, at: f64) -> bool {
        let is_closed = |every: f64| (at / every) as u64 % 2 == 1;
        !self.closed_every.is_some_and(is_closed) && fastrand::f64() >= self.refuse
    }

    /// The limit at a time after the first start. The limits take turns.
    fn limit(&self, at: f64) -> f64 {
        self.limits[(at / self.change_every) as usize % self.limits.len()]
    }
}

async fn serve(settings: Settings) -> Result<(), Box<dyn Error>> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    let (held_back, to_let_go) = mpsc::channel();
    std::thread::spawn(move || let_go(&to_let_go));
    let frontend = Arc::new(Frontend {
        tally: Mutex::new(Tally::new(&settings)),
        settings,
        held_back,
    });
    let (end, ended) = oneshot::channel();
    std::thread::spawn({
        let frontend = Arc::clone(&frontend);
        move || {
            for _ in std::io::stdin().lock().lines().map_while(Result::ok) {
                frontend.print_counts();
            }
            // The receiver is gone only if serving has failed already.
            let _ = end.send(());
        }
    });
    // The service reads compressed calls, and the SDKs and the CLI compress theirs.
    let service =
        WorkflowServiceServer::new(Service(frontend)).accept_compressed(CompressionEncoding::Gzip);
    let server = tonic::transport::Server::builder()
        .max_concurrent_streams(u32::MAX)
        .add_service(service)
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
    tokio::select! {
        result = server => Ok(result?),
        _ = ended => Ok(()),
    }
}

struct Frontend {
    settings: Settings,
    tally: Mutex<Tally>,
    held_back: mpsc::Sender<(Instant, oneshot::Sender<()>)>,
}

/// Lets go what is held back, each at its time. The runtime's timer counts whole milliseconds and
/// would be up to two of them late. The latency is the same for all, so they come in order.
#[expect(clippy::disallowed_methods, reason = "a latency is a time to wait")]
fn let_go(held_back: &mpsc::Receiver<(Instant, oneshot::Sender<()>)>) {
    for (time, go) in held_back {
        std::thread::sleep(time.saturating_duration_since(Instant::now()));
        // The client may have gone, and its call with it.
        let _ = go.send(());
    }
}

/// Counts, and what is in the bucket.
struct Tally {
    began: Option<Instant>,
    closed: bool,
    tokens: f64,
    filled_until: f64,
    /// What the bucket has let through or would have.
    available: f64,
    ours: Calls,
    rival: Calls,
    number: u64,
    in_flight: u64,
    max_in_flight: u64,
    last_answer: f64,
    held: Duration,
    seen: Seen,
}

/// Numbers below a limit, with one bit for each.
struct Seen {
    bits: Vec<u64>,
    limit: usize,
    distinct: u64,
}

impl Seen {
    fn new(limit: usize) -> Self {
        Seen {
            bits: vec![0; limit.div_ceil(64)],
            limit,
            distinct: 0,
        }
    }

    fn note(&mut self, workflow_id: &str) {
        let before = workflow_id.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = &workflow_id[before.len()..];
        if let Ok(number) = digits.parse::<usize>()
            && number < self.limit
        {
            let (word, bit) = (&mut self.bits[number / 64], 1 << (number % 64));
            self.distinct += u64::from(*word & bit == 0);
            *word |= bit;
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Calls {
    accepted: u64,
    refused: u64,
}

impl Tally {
    fn new(settings: &Settings) -> Self {
        let full = settings
            .limits
            .first()
            .map_or(0.0, |limit| limit * settings.burst);
        Tally {
            began: None,
            closed: false,
            tokens: full,
            filled_until: 0.0,
            available: full,
            ours: Calls::default(),
            rival: Calls::default(),
            number: 0,
            in_flight: 0,
            max_in_flight: 0,
            last_answer: 0.0,
            held: Duration::ZERO,
            seen: Seen::new(settings.distinct),
        }
    }

    /// Lets what has come in since the last time into the bucket.
    fn fill(&mut self, settings: &Settings, until: f64) {
        while self.filled_until < until {
            let limit = settings.limit(self.filled_until);
            // The limit changes between here and there: fill up to that point first. The half
            // keeps a rounding error from stopping the clock.
            let turn = (self.filled_until / settings.change_every).floor() + 1.0;
            let to = until.min((turn * settings.change_every).max(self.filled_until + 1e-6));
            let gained = limit * (to - self.filled_until);
            self.tokens = (self.tokens + gained).min(limit * settings.burst);
            self.available += gained;
            self.filled_until = to;
        }
    }

    fn take(&mut self) -> bool {
        let passes = self.tokens >= 1.0;
        if passes {
            self.tokens -= 1.0;
        }
        passes
    }
}

impl Frontend {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().expect("no holder of the lock panics")
    }

    /// Prints the counts so far on one line.
    fn print_counts(&self) {
        let tally = self.tally();
        let counts = serde_json::json!({
            "accepted": tally.ours.accepted,
            "refused": tally.ours.refused,
            "rivalAccepted": tally.rival.accepted,
            "rivalRefused": tally.rival.refused,
            "available": tally.available,
            "maxInFlight": tally.max_in_flight,
            "seconds": tally.last_answer,
            "distinct": tally.seen.distinct,
            "heldMs": tally.held.as_secs_f64() * 1_000.0 / (tally.ours.accepted.max(1) as f64),
        });
        drop(tally);
        // Who does not read it has gone, and our standard input will end too.
        let _ = writeln!(std::io::stdout(), "{counts}");
    }

    /// Begins the time that `--seconds` bounds, and returns how long ago that was.
    fn elapsed(self: &Arc<Self>, tally: &mut Tally) -> f64 {
        if let Some(began) = tally.began {
            return began.elapsed().as_secs_f64();
        }
        tally.began = Some(Instant::now());
        if let Some(seconds) = self.settings.seconds {
            // As for the counts: who does not read it has gone.
            let _ = writeln!(std::io::stdout(), "began");
            let this = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
                let mut tally = this.tally();
                tally.closed = true;
                if !this.settings.limits.is_empty() {
                    tally.fill(&this.settings, seconds);
                }
                drop(tally);
                this.print_counts();
            });
        }
        0.0
    }

    /// Counts a start in. Returns whether the limit lets it through, and its number.
    fn arrive(self: &Arc<Self>, workflow_id: &str) -> (bool, u64) {
        let mut tally = self.tally();
        let now = self.elapsed(&mut tally);
        let passes = self.settings.is_open(now)
            && (self.settings.limits.is_empty() || {
                tally.fill(&self.settings, now);
                tally.take()
            });
        tally.number += 1;
        if !tally.closed {
            let calls = if workflow_id.starts_with(RIVAL) {
                &mut tally.rival
            } else {
                &mut tally.ours
            };
            calls.accepted += u64::from(passes);
            calls.refused += u64::from(!passes);
            if passes {
                tally.seen.note(workflow_id);
            }
        }
        (passes, tally.number)
    }
}

/// Counts a call as in flight until it is answered, or its client has gone.
struct InFlight<'a> {
    frontend: &'a Frontend,
    since: Instant,
}

impl<'a> InFlight<'a> {
    fn enter(frontend: &'a Frontend) -> Self {
        let mut tally = frontend.tally();
        tally.in_flight += 1;
        tally.max_in_flight = tally.max_in_flight.max(tally.in_flight);
        drop(tally);
        let since = Instant::now();
        InFlight { frontend, since }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut tally = self.frontend.tally();
        tally.in_flight -= 1;
        if !tally.closed {
            tally.held += self.since.elapsed();
            let began = tally.began;
            tally.last_answer = began.map_or(0.0, |began| began.elapsed().as_secs_f64());
        }
    }
}

fn started(id: u64) -> StartWorkflowExecutionResponse {
    let run_id = format!("00000000-0000-4000-8000-{id:012x}");
    StartWorkflowExecutionResponse {
        first_execution_run_id: run_id.clone(),
        run_id,
        started: true,
        status: WorkflowExecutionStatus::Running.into(),
        link: None,
    }
}

/// What the service says to a call over the namespace's limit.
fn over_limit() -> Status {
    const MESSAGE: &str = "namespace rate limit exceeded";
    let detail = ResourceExhaustedFailure {
        cause: ResourceExhaustedCause::RpsLimit.into(),
        scope: ResourceExhaustedScope::Namespace.into(),
    };
    let status = rpc::Status {
        code: Code::ResourceExhausted.into(),
        message: MESSAGE.to_owned(),
        details: vec![prost_types::Any {
            type_url: ResourceExhaustedFailure::type_url(),
            value: detail.encode_to_vec(),
        }],
    };
    Status::with_details(
        Code::ResourceExhausted,
        MESSAGE,
        status.encode_to_vec().into(),
    )
}

struct Service(Arc<Frontend>);

#[tonic::async_trait]
impl WorkflowService for Service {
    async fn start_workflow_execution(
        &self,
        request: Request<StartWorkflowExecutionRequest>,
    ) -> Result<Response<StartWorkflowExecutionResponse>, Status> {
        let in_flight = InFlight::enter(&self.0);
        let (passes, number) = self.0.arrive(&request.get_ref().workflow_id);
        if !self.0.settings.latency.is_zero() {
            let (go, gone) = oneshot::channel();
            let time = in_flight.since + self.0.settings.latency;
            // Both ends live as long as the process.
            let _ = self.0.held_back.send((time, go));
            let _ = gone.await;
        }
        if passes {
            Ok(Response::new(started(number)))
        } else {
            Err(over_limit())
        }
    }

    async fn describe_workflow_execution(
        &self,
        _: Request<DescribeWorkflowExecutionRequest>,
    ) -> Result<Response<DescribeWorkflowExecutionResponse>, Status> {
        Err(Status::not_found("workflow not found"))
    }

    async fn terminate_workflow_execution(
        &self,
        _: Request<TerminateWorkflowExecutionRequest>,
    ) -> Result<Response<TerminateWorkflowExecutionResponse>, Status> {
        Err(Status::not_found("workflow not found"))
    }

    async fn get_workflow_execution_history(
        &self,
        _: Request<GetWorkflowExecutionHistoryRequest>,
    ) -> Result<Response<GetWorkflowExecutionHistoryResponse>, Status> {
        Err(Status::not_found("workflow not found"))
    }

    async fn describe_task_queue(
        &self,
        _: Request<DescribeTaskQueueRequest>,
    ) -> Result<Response<DescribeTaskQueueResponse>, Status> {
        Ok(Response::new(DescribeTaskQueueResponse::default()))
    }

    async fn get_system_info(
        &self,
        _: Request<GetSystemInfoRequest>,
    ) -> Result<Response<GetSystemInfoResponse>, Status> {
        Ok(Response::new(GetSystemInfoResponse {
            server_version: "1.32.0".to_owned(),
            capabilities: Some(Capabilities {
                internal_error_differentiation: true,
                encoded_failure_attributes: true,
                sdk_metadata: true,
                nexus: true,
            }),
        }))
    }

    async fn describe_namespace(
        &self,
        request: Request<DescribeNamespaceRequest>,
    ) -> Result<Response<DescribeNamespaceResponse>, Status> {
        Ok(Response::new(DescribeNamespaceResponse {
            namespace_info: Some(NamespaceInfo {
                name: request.into_inner().namespace,
                state: NamespaceState::Registered.into(),
                ..NamespaceInfo::default()
            }),
        }))
    }
}
