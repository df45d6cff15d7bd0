//! A frontend that answers as a test tells it to.
//!
//! It speaks gRPC on a loopback port, so that the program under test cannot tell it from a
//! Temporal Service, but nothing is behind it: every call is recorded and handed to a closure.
//! It runs on a thread of its own, so that a test may block while the program talks to it.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use prost::{Message, Name};
use temporal_manifest::client::api::google::rpc;
use temporal_manifest::client::api::temporal::api::enums::v1::{
    EventType, NamespaceState, WorkflowExecutionStatus,
};
use temporal_manifest::client::api::temporal::api::errordetails::v1::WorkflowExecutionAlreadyStartedFailure;
use temporal_manifest::client::api::temporal::api::history::v1::history_event::Attributes;
use temporal_manifest::client::api::temporal::api::history::v1::{
    History, HistoryEvent, WorkflowExecutionStartedEventAttributes,
};
use temporal_manifest::client::api::temporal::api::namespace::v1::NamespaceInfo;
use temporal_manifest::client::api::temporal::api::taskqueue::v1::PollerInfo;
use temporal_manifest::client::api::temporal::api::workflow::v1::{
    RequestIdInfo, WorkflowExecutionExtendedInfo, WorkflowExecutionInfo,
};
use temporal_manifest::client::api::temporal::api::workflowservice::v1::{
    DescribeNamespaceRequest, DescribeNamespaceResponse, DescribeTaskQueueRequest,
    DescribeTaskQueueResponse, DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse,
    GetSystemInfoRequest, GetSystemInfoResponse, GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse, StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse, TerminateWorkflowExecutionRequest,
    TerminateWorkflowExecutionResponse, get_system_info_response::Capabilities,
};
use tokio::sync::oneshot;
use tonic::metadata::MetadataMap;
use tonic::transport::ServerTlsConfig;
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

/// Longest time a test waits for calls to arrive before it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a call is answered with.
pub type Answer<A> = Result<A, Status>;

/// Gets the request and its number among calls of its kind, counted from 0.
type Handler<Q, A> =
    Arc<dyn Fn(Q, usize) -> Pin<Box<dyn Future<Output = Answer<A>> + Send>> + Send + Sync>;

/// One recorded call.
#[derive(Debug, Clone)]
pub struct Received<Q> {
    pub message: Q,
    /// What came with it: the namespace, client name, version, authorization.
    pub metadata: MetadataMap,
}

/// A running fake. Stops, and drops every connection, when it goes out of scope.
pub struct FakeFrontend {
    address: SocketAddr,
    log: Arc<Log>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How a fake will answer. Without further words it is a healthy server without Workflows.
pub struct Builder {
    port: u16,
    tls: Option<ServerTlsConfig>,
    keeps_starts: bool,
    start_latency: Option<Duration>,
    max_connection_age: Option<Duration>,
    start: Handler<StartWorkflowExecutionRequest, StartWorkflowExecutionResponse>,
    describe: Handler<DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse>,
    terminate: Handler<TerminateWorkflowExecutionRequest, TerminateWorkflowExecutionResponse>,
    history: Handler<GetWorkflowExecutionHistoryRequest, GetWorkflowExecutionHistoryResponse>,
    system_info: Handler<GetSystemInfoRequest, GetSystemInfoResponse>,
    namespace: Handler<DescribeNamespaceRequest, DescribeNamespaceResponse>,
    is_served: bool,
}

/// Declares the method of [`Builder`] that replaces one handler.
macro_rules! replaces_handler {
    ($(#[$doc:meta])* $method:ident, $field:ident, $request:ty, $response:ty) => {
        $(#[$doc])*
        pub fn $method<H, F>(mut self, handler: H) -> Self
        where
            H: Fn($request, usize) -> F + Send + Sync + 'static,
            F: Future<Output = Answer<$response>> + Send + 'static,
        {
            self.$field = boxed(handler);
            self
        }
    };
}

impl Builder {
    replaces_handler! {
        /// Answers starts.
        on_start, start, StartWorkflowExecutionRequest, StartWorkflowExecutionResponse
    }
    replaces_handler! {
        /// Answers descriptions of Workflows.
        on_describe, describe, DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse
    }
    replaces_handler! {
        /// Answers terminations of Workflows.
        on_terminate, terminate, TerminateWorkflowExecutionRequest, TerminateWorkflowExecutionResponse
    }
    replaces_handler! {
        /// Answers requests for history.
        on_history, history, GetWorkflowExecutionHistoryRequest, GetWorkflowExecutionHistoryResponse
    }
    replaces_handler! {
        /// Answers questions about the server.
        on_system_info, system_info, GetSystemInfoRequest, GetSystemInfoResponse
    }
    replaces_handler! {
        /// Answers descriptions of the namespace.
        on_namespace, namespace, DescribeNamespaceRequest, DescribeNamespaceResponse
    }

    /// Says of every run it is asked about that it is there, as a service does that a journal is
    /// gone on with.
    pub fn remembering(self) -> Self {
        self.on_describe(|_, _| async { Ok(running()) })
    }

    /// Has no Worker on any Task Queue.
    pub fn unserved(mut self) -> Self {
        self.is_served = false;
        self
    }

    /// Holds back every start this long before its handler sees it.
    pub fn start_latency(mut self, latency: Duration) -> Self {
        self.start_latency = Some(latency);
        self
    }

    /// Sends connections of this age away with a GOAWAY, after what they have asked is answered.
    pub fn max_connection_age(mut self, age: Duration) -> Self {
        self.max_connection_age = Some(age);
        self
    }

    /// Hands starts to their handler and keeps none of them, for tests with very many.
    pub fn forgetful(mut self) -> Self {
        self.keeps_starts = false;
        self
    }

    /// Speaks TLS, and only TLS.
    pub fn tls(mut self, config: ServerTlsConfig) -> Self {
        self.tls = Some(config);
        self
    }

    /// Listens on this port instead of a free one, to play a server that comes back.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Begins to answer. Connections are accepted when this returns.
    pub fn start(self) -> FakeFrontend {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port))
            .expect("the loopback interface has a free port");
        listener
            .set_nonblocking(true)
            .expect("a socket can be made non-blocking");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let log = Arc::new(Log::default());
        let service = Service {
            answers: self,
            log: Arc::clone(&log),
        };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || serve(listener, service, stopped));
        FakeFrontend {
            address,
            log,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl FakeFrontend {
    /// A fake to be told how to answer.
    pub fn builder() -> Builder {
        Builder {
            port: 0,
            tls: None,
            keeps_starts: true,
            is_served: true,
            start_latency: None,
            max_connection_age: None,
            start: boxed(|_, _| async { Ok(started()) }),
            describe: boxed(|_, _| async { Err(Status::not_found("workflow not found")) }),
            terminate: boxed(|_, _| async { Err(Status::not_found("workflow not found")) }),
            history: boxed(|_, _| async { Err(Status::not_found("workflow not found")) }),
            system_info: boxed(|_, _| async { Ok(system_info()) }),
            namespace: boxed(|request: DescribeNamespaceRequest, _| async {
                Ok(registered(request.namespace))
            }),
        }
    }

    /// A fake that answers like a healthy server.
    pub fn healthy() -> Self {
        Self::builder().start()
    }

    /// `host:port`, as the flag `--address` takes it.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Where it listens, to start another one there later.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// All starts so far, in the order they arrived.
    pub fn starts(&self) -> Vec<Received<StartWorkflowExecutionRequest>> {
        self.log.state().starts.clone()
    }

    /// All descriptions of Workflows asked for so far.
    pub fn describes(&self) -> Vec<Received<DescribeWorkflowExecutionRequest>> {
        self.log.state().describes.clone()
    }

    /// All terminations of Workflows asked for so far.
    pub fn terminations(&self) -> Vec<Received<TerminateWorkflowExecutionRequest>> {
        self.log.state().terminations.clone()
    }

    /// All histories asked for so far.
    pub fn histories(&self) -> Vec<Received<GetWorkflowExecutionHistoryRequest>> {
        self.log.state().histories.clone()
    }

    /// All questions about the server so far.
    pub fn system_infos(&self) -> Vec<Received<GetSystemInfoRequest>> {
        self.log.state().system_infos.clone()
    }

    /// All descriptions of namespaces asked for so far.
    pub fn namespaces(&self) -> Vec<Received<DescribeNamespaceRequest>> {
        self.log.state().namespaces.clone()
    }

    /// Number of starts so far; cheaper than [`Self::starts`].
    pub fn start_count(&self) -> usize {
        self.log.state().starts.len()
    }

    /// Starts that wait for their answer now.
    pub fn in_flight(&self) -> usize {
        self.log.state().in_flight
    }

    /// Most starts that ever waited at the same time.
    pub fn max_in_flight(&self) -> usize {
        self.log.state().max_in_flight
    }

    /// Waits until `count` starts have arrived, answered or not.
    #[track_caller]
    pub fn wait_for_starts(&self, count: usize) {
        self.wait_for("starts", count, |state| state.starts.len());
    }

    /// Waits until `count` descriptions of Workflows have been asked for, answered or not.
    #[track_caller]
    pub fn wait_for_describes(&self, count: usize) {
        self.wait_for("describes", count, |state| state.describes.len());
    }

    #[track_caller]
    fn wait_for(&self, what: &str, count: usize, arrived: fn(&State) -> usize) {
        let (state, timeout) = self
            .log
            .changed
            .wait_timeout_while(self.log.state(), PATIENCE, |state| arrived(state) < count)
            .expect("no holder of the lock panics");
        let arrived = arrived(&state);
        drop(state);
        assert!(
            !timeout.timed_out(),
            "{arrived} of {count} {what} arrived in {PATIENCE:?}"
        );
    }
}

impl Drop for FakeFrontend {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The receiver is gone only if the thread has ended already.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// A frontend that refuses some Workflow IDs for good, and is never ready for others.
pub fn frontend(refused: &'static [&str], unready: &'static [&str]) -> FakeFrontend {
    FakeFrontend::builder()
        .remembering()
        .on_start(move |request, _| async move {
            let id = request.workflow_id.as_str();
            if refused.contains(&id) {
                Err(Status::invalid_argument("no"))
            } else if unready.contains(&id) {
                Err(Status::new(Code::Unavailable, "not now"))
            } else {
                Ok(started())
            }
        })
        .start()
}

/// The answer to a start that began a fresh run.
pub fn started() -> StartWorkflowExecutionResponse {
    let run_id = uuid::Uuid::new_v4().to_string();
    StartWorkflowExecutionResponse {
        first_execution_run_id: run_id.clone(),
        run_id,
        started: true,
        status: WorkflowExecutionStatus::Running.into(),
        link: None,
    }
}

/// The history of a run that a client with this identity has begun just now: its first event.
pub fn began_by(identity: &str) -> GetWorkflowExecutionHistoryResponse {
    let started = WorkflowExecutionStartedEventAttributes {
        identity: identity.to_owned(),
        ..WorkflowExecutionStartedEventAttributes::default()
    };
    let event = HistoryEvent {
        event_id: 1,
        event_time: Some(SystemTime::now().into()),
        event_type: EventType::WorkflowExecutionStarted.into(),
        attributes: Some(Attributes::WorkflowExecutionStartedEventAttributes(started)),
        ..HistoryEvent::default()
    };
    GetWorkflowExecutionHistoryResponse {
        history: Some(History {
            events: vec![event],
        }),
        next_page_token: Vec::new(),
    }
}

/// The description of a run that has not ended.
pub fn running() -> DescribeWorkflowExecutionResponse {
    DescribeWorkflowExecutionResponse {
        workflow_execution_info: Some(WorkflowExecutionInfo {
            status: WorkflowExecutionStatus::Running.into(),
            ..WorkflowExecutionInfo::default()
        }),
        ..DescribeWorkflowExecutionResponse::default()
    }
}

/// The description of a run that a request began and that has not ended.
pub fn begun_by_request(request_id: &str) -> DescribeWorkflowExecutionResponse {
    let info = RequestIdInfo {
        event_type: EventType::WorkflowExecutionStarted.into(),
        event_id: 1,
        buffered: false,
    };
    DescribeWorkflowExecutionResponse {
        workflow_extended_info: Some(WorkflowExecutionExtendedInfo {
            request_id_infos: [(request_id.to_owned(), info)].into(),
            ..WorkflowExecutionExtendedInfo::default()
        }),
        ..running()
    }
}

/// What a current server says about itself.
pub fn system_info() -> GetSystemInfoResponse {
    GetSystemInfoResponse {
        server_version: "1.32.0".to_owned(),
        capabilities: Some(Capabilities {
            internal_error_differentiation: true,
            encoded_failure_attributes: true,
            sdk_metadata: true,
            nexus: true,
        }),
    }
}

/// The description of a namespace that takes starts.
pub fn registered(name: String) -> DescribeNamespaceResponse {
    DescribeNamespaceResponse {
        namespace_info: Some(NamespaceInfo {
            name,
            state: NamespaceState::Registered.into(),
            ..NamespaceInfo::default()
        }),
    }
}

/// A refusal with a typed detail, packed as the service packs it.
pub fn refusal<D: Message + Name>(code: Code, message: &str, detail: &D) -> Status {
    let status = rpc::Status {
        code: code.into(),
        message: message.to_owned(),
        details: vec![prost_types::Any {
            type_url: D::type_url(),
            value: detail.encode_to_vec(),
        }],
    };
    Status::with_details(code, message, status.encode_to_vec().into())
}

/// The request ID that reports show for one on the wire, which may name the invocation too.
pub fn reported(request_id: &str) -> String {
    let key = request_id.split('/').next().unwrap_or_default();
    let key = uuid::Uuid::parse_str(key).expect("a request ID begins with a UUID");
    key.to_string()
}

/// The refusal of a start whose Workflow ID is taken by the run of another request.
pub fn already_started(start_request_id: &str, run_id: &str, first_run_id: &str) -> Status {
    refusal(
        Code::AlreadyExists,
        "Workflow execution is already running.",
        &WorkflowExecutionAlreadyStartedFailure {
            start_request_id: start_request_id.to_owned(),
            run_id: run_id.to_owned(),
            first_execution_run_id: first_run_id.to_owned(),
        },
    )
}

fn boxed<Q, A, H, F>(handler: H) -> Handler<Q, A>
where
    H: Fn(Q, usize) -> F + Send + Sync + 'static,
    F: Future<Output = Answer<A>> + Send + 'static,
{
    Arc::new(move |request, number| Box::pin(handler(request, number)))
}

/// Answers calls until told to stop.
fn serve(listener: TcpListener, service: Service, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a small runtime can be built");
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener)
            .expect("the listener is a non-blocking socket");
        let mut server = tonic::transport::Server::builder();
        if let Some(config) = service.answers.tls.clone() {
            server = server
                .tls_config(config)
                .expect("the test's certificates are right");
        }
        if let Some(age) = service.answers.max_connection_age {
            server = server.max_connection_age(age);
        }
        let server = server
            // The real server does not limit them either.
            .max_concurrent_streams(u32::MAX)
            .add_service(WorkflowServiceServer::new(service))
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
        tokio::select! {
            result = server => result.expect("a loopback server does not fail"),
            _ = stopped => {}
        }
    });
    // Calls without an answer end here, with their connections: this is how a server dies.
    runtime.shutdown_background();
}

/// Everything received, shared between the server's thread and the test's.
#[derive(Default)]
struct Log {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    starts: Vec<Received<StartWorkflowExecutionRequest>>,
    describes: Vec<Received<DescribeWorkflowExecutionRequest>>,
    terminations: Vec<Received<TerminateWorkflowExecutionRequest>>,
    histories: Vec<Received<GetWorkflowExecutionHistoryRequest>>,
    system_infos: Vec<Received<GetSystemInfoRequest>>,
    namespaces: Vec<Received<DescribeNamespaceRequest>>,
    in_flight: usize,
    max_in_flight: usize,
}

impl Log {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of the lock panics")
    }

    /// Records a request and returns its message and its number.
    fn record<Q: Clone>(
        &self,
        request: Request<Q>,
        kind: fn(&mut State) -> &mut Vec<Received<Q>>,
    ) -> (Q, usize) {
        let (metadata, _, message) = request.into_parts();
        let mut state = self.state();
        let calls = kind(&mut state);
        let number = calls.len();
        calls.push(Received {
            message: message.clone(),
            metadata,
        });
        drop(state);
        self.changed.notify_all();
        (message, number)
    }
}

/// Counts a start as in flight; also stops counting when the client gives up on it.
struct InFlight<'a>(&'a Log);

impl<'a> InFlight<'a> {
    fn enter(log: &'a Log) -> Self {
        let mut state = log.state();
        state.in_flight += 1;
        state.max_in_flight = state.max_in_flight.max(state.in_flight);
        Self(log)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.state().in_flight -= 1;
    }
}

struct Service {
    answers: Builder,
    log: Arc<Log>,
}

#[tonic::async_trait]
impl WorkflowService for Service {
    async fn start_workflow_execution(
        &self,
        request: Request<StartWorkflowExecutionRequest>,
    ) -> Answer<Response<StartWorkflowExecutionResponse>> {
        let _in_flight = InFlight::enter(&self.log);
        if !self.answers.keeps_starts {
            return (self.answers.start)(request.into_inner(), 0)
                .await
                .map(Response::new);
        }
        let (message, number) = self.log.record(request, |state| &mut state.starts);
        if let Some(latency) = self.answers.start_latency {
            tokio::time::sleep(latency).await;
        }
        (self.answers.start)(message, number)
            .await
            .map(Response::new)
    }

    async fn describe_workflow_execution(
        &self,
        request: Request<DescribeWorkflowExecutionRequest>,
    ) -> Answer<Response<DescribeWorkflowExecutionResponse>> {
        let (message, number) = self.log.record(request, |state| &mut state.describes);
        (self.answers.describe)(message, number)
            .await
            .map(Response::new)
    }

    async fn terminate_workflow_execution(
        &self,
        request: Request<TerminateWorkflowExecutionRequest>,
    ) -> Answer<Response<TerminateWorkflowExecutionResponse>> {
        let (message, number) = self.log.record(request, |state| &mut state.terminations);
        (self.answers.terminate)(message, number)
            .await
            .map(Response::new)
    }

    async fn get_workflow_execution_history(
        &self,
        request: Request<GetWorkflowExecutionHistoryRequest>,
    ) -> Answer<Response<GetWorkflowExecutionHistoryResponse>> {
        let (message, number) = self.log.record(request, |state| &mut state.histories);
        (self.answers.history)(message, number)
            .await
            .map(Response::new)
    }

    async fn describe_task_queue(
        &self,
        _: Request<DescribeTaskQueueRequest>,
    ) -> Answer<Response<DescribeTaskQueueResponse>> {
        let worker = PollerInfo {
            identity: "a Worker".to_owned(),
        };
        let pollers = self.answers.is_served.then_some(worker);
        Ok(Response::new(DescribeTaskQueueResponse {
            pollers: pollers.into_iter().collect(),
        }))
    }

    async fn get_system_info(
        &self,
        request: Request<GetSystemInfoRequest>,
    ) -> Answer<Response<GetSystemInfoResponse>> {
        let (message, number) = self.log.record(request, |state| &mut state.system_infos);
        (self.answers.system_info)(message, number)
            .await
            .map(Response::new)
    }

    async fn describe_namespace(
        &self,
        request: Request<DescribeNamespaceRequest>,
    ) -> Answer<Response<DescribeNamespaceResponse>> {
        let (message, number) = self.log.record(request, |state| &mut state.namespaces);
        (self.answers.namespace)(message, number)
            .await
            .map(Response::new)
    }
}

#[cfg(test)]
mod tests {
    use temporal_manifest::client::api::temporal::api::workflowservice::v1::workflow_service_client::WorkflowServiceClient;

    use super::*;

    async fn client(fake: &FakeFrontend) -> WorkflowServiceClient<tonic::transport::Channel> {
        WorkflowServiceClient::connect(format!("http://{}", fake.address()))
            .await
            .expect("the fake accepts connections as soon as it exists")
    }

    fn start(workflow_id: &str) -> StartWorkflowExecutionRequest {
        StartWorkflowExecutionRequest {
            workflow_id: workflow_id.to_owned(),
            ..StartWorkflowExecutionRequest::default()
        }
    }

    #[tokio::test]
    async fn calls_are_recorded_with_their_metadata() {
        let fake = FakeFrontend::healthy();
        let mut request = Request::new(start("one"));
        request
            .metadata_mut()
            .insert("client-name", "test".parse().expect("it is ASCII"));
        let answer = client(&fake).await.start_workflow_execution(request).await;
        assert!(
            answer
                .expect("a healthy fake starts everything")
                .into_inner()
                .started
        );
        let starts = fake.starts();
        assert_eq!(starts.len(), 1);
        assert_eq!(starts[0].message.workflow_id, "one");
        assert_eq!(
            starts[0].metadata.get("client-name").expect("it was sent"),
            "test"
        );
    }

    #[tokio::test]
    async fn refusals_carry_their_typed_detail() {
        let fake = FakeFrontend::builder()
            .on_start(|_, number| async move {
                match number {
                    0 => Err(already_started("other", "run", "first")),
                    _ => Ok(started()),
                }
            })
            .start();
        let mut client = client(&fake).await;
        let refused = client
            .start_workflow_execution(start("one"))
            .await
            .expect_err("the first");
        let status = rpc::Status::decode(refused.details()).expect("details are a status");
        let detail: WorkflowExecutionAlreadyStartedFailure = status.details[0]
            .to_msg()
            .expect("the type URL names the message");
        assert_eq!(detail.start_request_id, "other");
        client
            .start_workflow_execution(start("one"))
            .await
            .expect("the second is let through");
    }

    #[tokio::test]
    async fn starts_in_flight_are_counted_until_the_client_gives_up() {
        let fake = FakeFrontend::builder()
            .on_start(|_, _| std::future::pending())
            .start();
        let calls: Vec<_> = (0..3)
            .map(|_| {
                let address = format!("http://{}", fake.address());
                tokio::spawn(async move {
                    let mut client = WorkflowServiceClient::connect(address).await?;
                    client.start_workflow_execution(start("held")).await?;
                    Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
                })
            })
            .collect();
        let watched = tokio::task::spawn_blocking(move || {
            fake.wait_for_starts(3);
            let counts = (fake.in_flight(), fake.max_in_flight());
            // The fake dies with its calls unanswered.
            drop(fake);
            counts
        });
        assert_eq!(watched.await.expect("the watcher does not panic"), (3, 3));
        for call in calls {
            call.await
                .expect("the call does not panic")
                .expect_err("nobody answers");
        }
    }
}
