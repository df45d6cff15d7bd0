//! The engine against a scripted service, on a paused clock.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use temporal_manifest::expand::identity::IdempotencyKey;
use temporal_manifest::expand::start::{
    IdConflictPolicy, IdReusePolicy, SourceLine, Start, StartOptions, WorkflowSpec,
};
use temporal_manifest::run::ApplyContext;
use temporal_manifest::run::engine::Work;
use temporal_manifest::run::event::{Event, Outcome, StartFinished, Stopped};
use temporal_manifest::run::service::{
    Description, ErrorClass, ExistingRun, GrpcCode, Lookups, PollKind, Reason, RunClose,
    ServiceError, StartAnswer, StartRequest, Starter,
};
use temporal_manifest::run::{self, Limits};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What the scripted service does with one call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    /// Carries it out and answers.
    Answer,
    /// Carries it out, and the answer is lost.
    LostAnswer,
    /// Does not carry it out, and says so in a way that may pass.
    Unavailable,
    /// Does not carry it out, because too much is asked.
    Throttle,
    /// Never carries it out.
    Refuse,
    /// Refuses everybody.
    Deny,
}

/// A service that keeps to the rules of request IDs and ID policies, and to its script.
pub(crate) struct Service {
    script: Vec<Reply>,
    latency: Duration,
    pub(crate) calls: AtomicUsize,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
    /// Workflow ID to the request ID that began its run. Runs stay open.
    runs: Mutex<HashMap<String, String>>,
    /// How many runs were begun for each Workflow ID.
    begun: Mutex<HashMap<String, usize>>,
}

impl Service {
    pub(crate) fn new(script: Vec<Reply>, latency: Duration) -> Self {
        Service {
            script,
            latency,
            calls: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
            runs: Mutex::new(HashMap::new()),
            begun: Mutex::new(HashMap::new()),
        }
    }

    /// Request ID of the start that began a Workflow's run.
    pub(crate) fn request_of(&self, workflow_id: &str) -> Option<String> {
        let runs = self.runs.lock().expect("no test panics here");
        runs.get(workflow_id).cloned()
    }

    fn begin(&self, start: &Start, request: &StartRequest) -> Result<StartAnswer, ServiceError> {
        let mut runs = self.runs.lock().expect("no test panics here");
        let run_id = format!("run-{}", start.workflow_id);
        let owner = runs.get(&start.workflow_id).cloned();
        let terminates = request.id_conflict_policy == IdConflictPolicy::TerminateExisting;
        match owner {
            Some(owner) if owner == request.request_id && !terminates => {}
            Some(owner) if !terminates => {
                let existing = ExistingRun {
                    request_id: owner,
                    run_id: run_id.clone(),
                    first_run_id: run_id,
                    closed: Some(false),
                };
                return Err(error(
                    ErrorClass::Existing(Box::new(existing)),
                    GrpcCode::AlreadyExists,
                ));
            }
            _ => {
                runs.insert(start.workflow_id.clone(), request.request_id.clone());
                let mut begun = self.begun.lock().expect("no test panics here");
                *begun.entry(start.workflow_id.clone()).or_default() += 1;
            }
        }
        Ok(StartAnswer {
            run_id: run_id.clone(),
            first_run_id: run_id,
            began: true,
        })
    }
}

fn error(class: ErrorClass, code: GrpcCode) -> ServiceError {
    ServiceError {
        class,
        code,
        reason: Reason::Unknown,
        message: String::new(),
        cause: None,
        scope: None,
    }
}

impl Starter for Service {
    async fn start(
        &self,
        start: &Start,
        request: &StartRequest,
    ) -> Result<StartAnswer, ServiceError> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let in_flight = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_in_flight.fetch_max(in_flight, Ordering::SeqCst);
        tokio::time::sleep(self.latency).await;
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        // Past its end the script answers, so that every start can come to an end.
        match self.script.get(call).copied().unwrap_or(Reply::Answer) {
            Reply::Answer => self.begin(start, request),
            Reply::LostAnswer => {
                let _ = self.begin(start, request);
                Err(error(ErrorClass::Unanswered, GrpcCode::DeadlineExceeded))
            }
            Reply::Unavailable => Err(error(ErrorClass::Transient, GrpcCode::Unavailable)),
            Reply::Throttle => Err(error(ErrorClass::Throttled, GrpcCode::ResourceExhausted)),
            Reply::Refuse => Err(error(ErrorClass::Refused, GrpcCode::InvalidArgument)),
            Reply::Deny => Err(error(ErrorClass::Fatal, GrpcCode::PermissionDenied)),
        }
    }

    async fn terminate(&self, workflow_id: &str, _: &str) -> Result<(), ServiceError> {
        tokio::time::sleep(self.latency).await;
        let mut runs = self.runs.lock().expect("no test panics here");
        runs.remove(workflow_id);
        Ok(())
    }
}

impl Lookups for Service {
    async fn describe(&self, _: &str, _: &str) -> Result<Description, ServiceError> {
        unreachable!("every run is the first of its chain")
    }

    async fn close(&self, _: &str, _: &str, _: PollKind) -> Result<Option<RunClose>, ServiceError> {
        Ok(None)
    }
}

fn start(index: u64, conflict: Option<IdConflictPolicy>) -> Start {
    Start {
        index,
        source: SourceLine {
            file: "scripted.yaml".into(),
            line: 1,
            row: None,
        },
        name: None,
        workflow_id: format!("workflow-{index}"),
        workflow: WorkflowSpec {
            workflow_type: "Scripted".into(),
            task_queue: "scripted".into(),
            ..WorkflowSpec::default()
        },
        options: Arc::new(StartOptions {
            id_reuse_policy: Some(IdReusePolicy::AllowDuplicate),
            id_conflict_policy: conflict,
            ..StartOptions::default()
        }),
    }
}

/// How the engine is driven.
#[derive(Clone, Debug)]
struct Drive {
    starts: u64,
    parallelism: usize,
    script: Vec<Reply>,
    latency_ms: u64,
    stop_after_ms: Option<u64>,
    terminate_existing: bool,
    key_given: bool,
    /// Whether runs of somebody else have the Workflow IDs.
    foreign: bool,
    starts_per_second: Option<f64>,
}

/// How long a start is tried.
const RETRY_FOR: Duration = Duration::from_secs(60);

struct Driven {
    service: Service,
    took: Duration,
    finished: Vec<StartFinished>,
    stopped: Option<Stopped>,
}

fn drive(drive: &Drive) -> Driven {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        let service = Service::new(
            drive.script.clone(),
            Duration::from_millis(drive.latency_ms),
        );
        if drive.foreign {
            let mut runs = service.runs.lock().expect("no test panics here");
            let ids = (0..drive.starts).map(|index| format!("workflow-{index}"));
            runs.extend(ids.map(|id| (id, "somebody else's".to_owned())));
        }
        let context = ApplyContext {
            key: if drive.key_given {
                IdempotencyKey::given("key")
            } else {
                IdempotencyKey::random()
            },
            namespace: "default".to_owned(),
            invocation_id: "scripted".to_owned(),
            fail_existing: false,
            retry_for: RETRY_FOR,
        };
        let limits = Limits {
            parallelism: drive.parallelism,
            starts_per_second: drive.starts_per_second,
            max_failures: None,
            wait: None,
        };
        let began = tokio::time::Instant::now();
        let stop = CancellationToken::new();
        let (sender, starts) = mpsc::channel(4);
        let (events, mut receiver) = mpsc::channel(4);
        let conflict = drive
            .terminate_existing
            .then_some(IdConflictPolicy::TerminateExisting);
        let feed = async {
            for index in 0..drive.starts {
                sender
                    .send(Work::Start(start(index, conflict).into()))
                    .await
                    .expect("the engine takes every start");
            }
            drop(sender);
        };
        let stopping = async {
            if let Some(after) = drive.stop_after_ms {
                tokio::time::sleep(Duration::from_millis(after)).await;
                stop.cancel();
            }
        };
        let listen = async {
            let mut finished = Vec::new();
            while let Some(event) = receiver.recv().await {
                if let Event::StartFinished(start) = event {
                    finished.push(start);
                }
            }
            finished
        };
        let running = run::run(&service, starts, &context, limits, &stop, events);
        let (stopped, (), (), finished) = futures::join!(running, feed, stopping, listen);
        Driven {
            service,
            took: began.elapsed(),
            finished,
            stopped,
        }
    })
}

fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        6 => Just(Reply::Answer),
        3 => Just(Reply::LostAnswer),
        2 => Just(Reply::Unavailable),
        2 => Just(Reply::Throttle),
        1 => Just(Reply::Refuse),
    ]
}

fn any_drive() -> impl Strategy<Value = Drive> {
    (
        0u64..40,
        1usize..9,
        prop::collection::vec(reply(), 0..120),
        0u64..50,
        prop::option::of(0u64..2_000),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(
                starts,
                parallelism,
                script,
                latency_ms,
                stop_after_ms,
                terminate_existing,
                key_given,
            )| Drive {
                starts,
                parallelism,
                script,
                latency_ms,
                stop_after_ms,
                terminate_existing,
                key_given,
                foreign: false,
                starts_per_second: None,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_start_ends_once_and_nothing_is_made_up(plan in any_drive()) {
        let driven = drive(&plan);
        let mut indices: Vec<u64> = driven.finished.iter().map(|start| start.index).collect();
        indices.sort_unstable();
        prop_assert_eq!(indices, (0..plan.starts).collect::<Vec<_>>());
        let most = driven.service.most_in_flight.load(Ordering::SeqCst);
        prop_assert!(most <= plan.parallelism, "{} in flight", most);
        let begun = driven.service.begun.lock().expect("no test panics here");
        for start in &driven.finished {
            let runs = begun.get(&start.workflow_id).copied().unwrap_or(0);
            prop_assert!(runs <= 1, "{} was begun {} times", start.workflow_id, runs);
            match start.outcome {
                Outcome::Started => prop_assert_eq!(runs, 1),
                Outcome::Skipped => prop_assert_eq!(runs, 0),
                Outcome::Failed => prop_assert!(start.error.is_some()),
                Outcome::Unknown => prop_assert!(start.error.as_ref().is_some_and(|error| error.retryable)),
                Outcome::Deduplicated | Outcome::Existing => {
                    prop_assert!(false, "nobody else uses this service: {:?}", start);
                }
            }
        }
        if plan.stop_after_ms.is_none() && driven.stopped.is_none() {
            let open = driven.finished.iter().filter(|start| start.outcome == Outcome::Skipped).count();
            prop_assert_eq!(open, 0);
        }
    }
}

fn plan(starts: u64, parallelism: usize, script: Vec<Reply>) -> Drive {
    Drive {
        starts,
        parallelism,
        script,
        latency_ms: 10,
        stop_after_ms: None,
        terminate_existing: false,
        key_given: false,
        foreign: false,
        starts_per_second: None,
    }
}

fn outcomes(driven: &Driven, outcome: Outcome) -> usize {
    driven
        .finished
        .iter()
        .filter(|start| start.outcome == outcome)
        .count()
}

#[test]
fn every_slot_is_used_and_none_more() {
    for parallelism in [1, 2, 32] {
        let driven = drive(&plan(200, parallelism, Vec::new()));
        assert_eq!(
            driven.service.most_in_flight.load(Ordering::SeqCst),
            parallelism
        );
        assert_eq!(outcomes(&driven, Outcome::Started), 200);
    }
}

#[test]
fn lost_answers_begin_nothing_twice() {
    let mut plan = plan(20, 4, vec![Reply::LostAnswer; 20]);
    plan.terminate_existing = true;
    let driven = drive(&plan);
    assert_eq!(outcomes(&driven, Outcome::Started), 20);
    let begun = driven.service.begun.lock().expect("no test panics here");
    assert!(begun.values().all(|count| *count == 1), "{begun:?}");
}

#[test]
fn a_refusal_of_everything_stops_the_apply() {
    let driven = drive(&plan(100, 4, vec![Reply::Deny; 4]));
    assert_eq!(outcomes(&driven, Outcome::Failed), 4);
    assert_eq!(outcomes(&driven, Outcome::Skipped), 96);
    assert!(
        matches!(driven.stopped, Some(Stopped::Refusal { .. })),
        "{:?}",
        driven.stopped
    );
}

#[test]
fn throttling_for_ever_stops_the_apply_as_soon_as_a_start_gives_up() {
    let mut script = vec![Reply::Answer; 10];
    script.extend(vec![Reply::Throttle; 100_000]);
    let driven = drive(&plan(1_000, 4, script));
    assert_eq!(outcomes(&driven, Outcome::Started), 10);
    assert_eq!(outcomes(&driven, Outcome::Unknown), 4);
    assert_eq!(outcomes(&driven, Outcome::Skipped), 986);
    assert!(
        matches!(driven.stopped, Some(Stopped::Silence { .. })),
        "{:?}",
        driven.stopped
    );
    // The slowest pace is one call in two seconds.
    assert!(
        driven.took <= RETRY_FOR + Duration::from_secs(3),
        "{:?}",
        driven.took
    );
    let calls = driven.service.calls.load(Ordering::SeqCst);
    assert!(calls < 500, "{calls} calls");
}

#[test]
fn silence_stops_the_apply_as_soon_as_a_start_gives_up() {
    let mut script = vec![Reply::Answer; 10];
    script.extend(vec![Reply::Unavailable; 10_000]);
    let driven = drive(&plan(1_000, 4, script));
    assert_eq!(outcomes(&driven, Outcome::Started), 10);
    assert_eq!(outcomes(&driven, Outcome::Unknown), 4);
    assert_eq!(outcomes(&driven, Outcome::Skipped), 986);
    assert!(
        matches!(driven.stopped, Some(Stopped::Silence { .. })),
        "{:?}",
        driven.stopped
    );
}

#[test]
fn a_service_that_never_answers_does_not_hold_an_interrupted_apply() {
    let driven = drive(&Drive {
        latency_ms: 3_600_000,
        stop_after_ms: Some(100),
        ..plan(10, 4, Vec::new())
    });
    assert_eq!(outcomes(&driven, Outcome::Unknown), 4);
    assert_eq!(outcomes(&driven, Outcome::Skipped), 6);
}

#[test]
fn a_call_gets_no_more_time_than_its_start_has_left() {
    let driven = drive(&Drive {
        latency_ms: 3_600_000,
        ..plan(10, 4, Vec::new())
    });
    assert_eq!(outcomes(&driven, Outcome::Unknown), 4);
    assert_eq!(outcomes(&driven, Outcome::Skipped), 6);
    assert!(driven.took <= RETRY_FOR + Duration::from_secs(1));
    assert!(matches!(driven.stopped, Some(Stopped::Silence { .. })));
}

#[test]
fn waiting_for_the_first_turn_costs_a_start_none_of_its_time() {
    let mut script = vec![Reply::Answer; 7];
    script.push(Reply::Unavailable);
    // The eighth start has its turn only after longer than it may be tried.
    let driven = drive(&Drive {
        starts_per_second: Some(0.1),
        ..plan(8, 8, script)
    });
    assert!(driven.took > RETRY_FOR);
    assert_eq!(outcomes(&driven, Outcome::Started), 8);
}

#[test]
fn an_interrupt_between_the_calls_of_an_attempt_hides_no_run() {
    // The probe takes 10 ms and finds a foreign run, which is ended until 20 ms.
    let driven = drive(&Drive {
        key_given: true,
        terminate_existing: true,
        foreign: true,
        stop_after_ms: Some(15),
        ..plan(10, 4, Vec::new())
    });
    assert_eq!(outcomes(&driven, Outcome::Started), 4);
    assert_eq!(outcomes(&driven, Outcome::Skipped), 6);
}
