//! The model against a real server: the same random calls and events, and every answer compared.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use temporal_manifest::client::Client;
use temporal_manifest::client::connect::{self, Connection};
use temporal_manifest::expand::start::{
    IdConflictPolicy, IdReusePolicy, OnConflict, RetryPolicy, SourceLine, Start, StartOptions,
    WorkflowOptions, WorkflowSpec,
};
use temporal_manifest::run::service::{self, ErrorClass, GrpcCode, Lookups, Reason, Starter};
use tokio::time::Instant;

use super::by_hand::{Command, Hand};
use super::model::{Described, RequestId, Run, Runs, StartRequest, Started, Status, Terminated};
use crate::support::{dev_server, dice, full_length_is_wanted, unique_id};

/// How many sequences run at a time.
const AT_A_TIME: usize = 16;

/// Longest wait for a deletion.
const PATIENCE: Duration = Duration::from_secs(5);

/// Request IDs that a sequence uses.
const REQUESTS: u8 = 5;

/// What makes a run go on, beside continue-as-new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    /// With a retry policy.
    Retried,
    /// On a schedule.
    Scheduled,
}

/// One Workflow ID of the server, and the model of it.
struct Pair {
    client: Client,
    hand: Hand,
    workflow_id: String,
    task_queue: String,
    model: Runs,
    /// The server's runs in the order of the model's.
    runs: Vec<(String, Kind)>,
    /// What was done, for people.
    log: String,
    compared: usize,
    /// Where the two have differed.
    difference: Option<String>,
    /// Whether nothing more can be compared.
    is_over: bool,
}

#[test]
fn the_model_answers_as_a_real_server_does() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    let sequences = if full_length_is_wanted() { 3_000 } else { 200 };
    let mut dice = dice();
    let seeds: Vec<u64> = (0..sequences).map(|_| dice.u64(..)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a small runtime can be built");
    let (compared, difference) = runtime.block_on(async {
        let channel = server.channel().await;
        let client = client(&server.address).await;
        stream::iter(seeds)
            .map(|seed| {
                let (client, channel) = (client.clone(), channel.clone());
                async move {
                    let mut pair = Pair::new(client, channel);
                    pair.play(&mut fastrand::Rng::with_seed(seed)).await;
                    (pair.compared, pair.difference)
                }
            })
            .buffer_unordered(AT_A_TIME)
            .fold(
                (0, None),
                |(sum, shortest), (compared, difference)| async move {
                    let both = [shortest, difference].into_iter().flatten();
                    (sum + compared, both.min_by_key(String::len))
                },
            )
            .await
    });
    assert!(difference.is_none(), "{}", difference.unwrap_or_default());
    assert!(compared >= sequences * 4, "only {compared} answers");
}

async fn client(address: &str) -> Client {
    let connection = Connection {
        address: address.to_owned(),
        namespace: "default".to_owned(),
        identity: "simulation".to_owned(),
        tls: None,
        api_key: None,
        grpc_meta: Vec::new(),
        connect_timeout: Duration::from_secs(10),
    };
    let prepared = connect::prepare(connection).expect("the address is plain");
    connect::connect(prepared)
        .await
        .expect("the server answers")
}

impl Pair {
    fn new(client: Client, channel: tonic::transport::Channel) -> Self {
        let workflow_id = unique_id("simulation");
        Pair {
            client,
            hand: Hand::new(channel, &workflow_id),
            task_queue: workflow_id.clone(),
            workflow_id,
            model: Runs::default(),
            runs: Vec::new(),
            log: String::new(),
            compared: 0,
            difference: None,
            is_over: false,
        }
    }

    async fn play(&mut self, dice: &mut fastrand::Rng) {
        for _ in 0..dice.usize(4..12) {
            if self.is_over || self.difference.is_some() {
                break;
            }
            match dice.u8(0..20) {
                0..9 => self.start(dice).await,
                9..11 => self.describe(dice).await,
                11..13 => self.terminate(dice).await,
                13..16 => self.go_on(dice).await,
                16 | 17 => self.end(dice).await,
                18 => self.reset(dice).await,
                _ => self.delete(dice).await,
            }
        }
    }

    async fn start(&mut self, dice: &mut fastrand::Rng) {
        let kind = match dice.u8(0..6) {
            0 => Kind::Retried,
            1 => Kind::Scheduled,
            _ => Kind::Plain,
        };
        let running = [
            IdConflictPolicy::Fail,
            IdConflictPolicy::UseExisting,
            IdConflictPolicy::TerminateExisting,
        ][dice.usize(0..3)];
        let closed = match dice.u8(0..12) {
            0 => IdReusePolicy::TerminateIfRunning,
            1..4 => IdReusePolicy::RejectDuplicate,
            4..8 => IdReusePolicy::AllowDuplicateFailedOnly,
            _ => IdReusePolicy::AllowDuplicate,
        };
        let asked = StartRequest {
            request: RequestId(dice.u8(1..=REQUESTS)),
            closed,
            running,
            attaches: running == IdConflictPolicy::UseExisting && dice.bool(),
        };
        let before = self.model.count();
        let expected = self.model.start(asked);
        let _ = writeln!(self.log, "{asked:?} {kind:?}: {expected:?}");
        let request = service::StartRequest {
            request_id: self.request_id(asked.request),
            id_reuse_policy: asked.closed,
            id_conflict_policy: asked.running,
            attaches: asked.attaches,
        };
        let start = self.message(kind);
        let answer = self.client.start(&start, &request).await;
        // What the model does not expect is a difference below.
        if let (true, Ok(answer)) = (self.model.count() > before, &answer) {
            self.runs.push((answer.run_id.clone(), kind));
        }
        let answered = match answer {
            Ok(answer) => Started::Accepted {
                run: self.number(&answer.run_id),
                began: answer.began,
            },
            Err(error) => match error.class {
                ErrorClass::Existing(existing) => Started::Taken {
                    request: self.request(&existing.request_id),
                    run: self.number(&existing.run_id),
                    first: self.number(&existing.first_run_id),
                    closed: existing.closed.expect("the server's words tell"),
                },
                ErrorClass::Refused if error.code == GrpcCode::InvalidArgument => Started::Invalid,
                _ => panic!("{error:?}\n{}", self.log),
            },
        };
        self.compare(&expected, &answered);
    }

    async fn describe(&mut self, dice: &mut fastrand::Rng) {
        let Some(run) = self.any_run(dice) else {
            return;
        };
        let expected = self.model.describe(run);
        let _ = writeln!(self.log, "describe {run}: {expected:?}");
        let run_id = self.runs[usize::from(run)].0.clone();
        let answered = match self.client.describe(&self.workflow_id, &run_id).await {
            Ok(described) => Some(Described {
                open: described.open,
                first: self.number(&described.first_run_id.expect("the server says")),
                request: self.request(&described.request_id.expect("the server says")),
            }),
            Err(error) if error.reason == Reason::NotFound => None,
            Err(error) => panic!("{error:?}\n{}", self.log),
        };
        self.compare(&expected, &answered);
    }

    async fn terminate(&mut self, dice: &mut fastrand::Rng) {
        let Some(run) = self.any_run(dice) else {
            return;
        };
        let expected = self.model.terminate(run);
        let _ = writeln!(self.log, "terminate {run}: {expected:?}");
        let run_id = self.runs[usize::from(run)].0.clone();
        let answered = match self.client.terminate(&self.workflow_id, &run_id).await {
            Ok(()) => Terminated::Done,
            Err(error) if error.reason != Reason::NotFound => panic!("{error:?}\n{}", self.log),
            Err(error) if error.message.contains("already completed") => Terminated::Completed,
            Err(_) => Terminated::NotFound,
        };
        self.compare(&expected, &answered);
    }

    async fn go_on(&mut self, dice: &mut fastrand::Rng) {
        let Some(run) = self.model.running() else {
            return;
        };
        let (run_id, kind) = self.runs[usize::from(run)].clone();
        let (command, next) = match kind {
            Kind::Retried if dice.bool() => (Command::Fail, kind),
            Kind::Scheduled if dice.bool() => (Command::Complete, kind),
            Kind::Scheduled if dice.bool() => (Command::FailForGood, kind),
            _ => (Command::ContinueAsNew, Kind::Plain),
        };
        let _ = writeln!(self.log, "{run} goes on: {command:?}");
        if let Err(status) = self.hand.command(&run_id, command).await {
            panic!("{status:?}\n{}", self.log);
        }
        self.model.go_on();
        let current = self.current().await;
        self.runs.push((current, next));
        self.compare_current().await;
    }

    async fn end(&mut self, dice: &mut fastrand::Rng) {
        let Some(run) = self.model.running() else {
            return;
        };
        let (run_id, kind) = self.runs[usize::from(run)].clone();
        // The next one of a schedule follows however this one ends.
        if kind == Kind::Scheduled {
            return;
        }
        let (command, status) = if dice.bool() {
            (Command::Complete, Status::Completed)
        } else {
            (Command::FailForGood, Status::Failed)
        };
        let _ = writeln!(self.log, "{run} ends: {command:?}");
        if let Err(status) = self.hand.command(&run_id, command).await {
            panic!("{status:?}\n{}", self.log);
        }
        self.model.end(status);
        self.compare_current().await;
    }

    async fn reset(&mut self, dice: &mut fastrand::Rng) {
        let Some(run) = self.any_run(dice) else {
            return;
        };
        if self.model.record(run).deleted || self.model.current().is_none() {
            return;
        }
        let (run_id, kind) = self.runs[usize::from(run)].clone();
        let Some(new) = self.hand.reset(&self.workflow_id, &run_id).await else {
            return;
        };
        let _ = writeln!(self.log, "{run} is reset");
        self.model.reset(run);
        self.runs.push((new, kind));
        self.compare_current().await;
    }

    async fn delete(&mut self, dice: &mut fastrand::Rng) {
        let Some(run) = self.any_run(dice) else {
            return;
        };
        let record = self.model.record(run);
        if record.deleted || record.status == Status::Running {
            return;
        }
        let run_id = self.runs[usize::from(run)].0.clone();
        let _ = writeln!(self.log, "{run} is deleted");
        self.hand.delete(&self.workflow_id, &run_id).await;
        self.model.delete(run);
        let deadline = Instant::now() + PATIENCE;
        while self
            .client
            .describe(&self.workflow_id, &run_id)
            .await
            .is_ok()
        {
            if Instant::now() > deadline {
                // It comes when the service has nothing else to do. What follows would depend on it.
                self.is_over = true;
                return;
            }
        }
    }

    /// Both must have the same current run.
    async fn compare_current(&mut self) {
        let expected = self
            .model
            .current()
            .expect("something has just happened to it");
        let current = self.current().await;
        let answered = self.number(&current);
        self.compare(&expected, &answered);
        let expected = self.model.describe(expected).expect("it is not deleted");
        let described = self.client.describe(&self.workflow_id, &current).await;
        assert_eq!(
            described.map(|it| it.open),
            Ok(expected.open),
            "{}",
            self.log
        );
    }

    async fn current(&self) -> String {
        self.hand.current(&self.workflow_id).await
    }

    fn compare<T: std::fmt::Debug + PartialEq>(&mut self, expected: &T, answered: &T) {
        self.compared += 1;
        if expected != answered {
            let log = &self.log;
            let text = format!("{log}model:  {expected:?}\nserver: {answered:?}\n");
            self.difference.get_or_insert(text);
        }
    }

    fn any_run(&self, dice: &mut fastrand::Rng) -> Option<Run> {
        let count = self.model.count();
        (count > 0).then(|| dice.u8(0..count))
    }

    /// Runs that the model has not begun are beyond all.
    fn number(&self, run_id: &str) -> Run {
        let place = self.runs.iter().position(|(id, _)| id == run_id);
        place.map_or(Run::MAX, |place| place as Run)
    }

    fn request_id(&self, RequestId(number): RequestId) -> String {
        format!("{}/{number}", self.workflow_id)
    }

    fn request(&self, request_id: &str) -> RequestId {
        assert!(!request_id.is_empty(), "{}", self.log);
        (1..=REQUESTS)
            .map(RequestId)
            .find(|number| self.request_id(*number) == request_id)
            .unwrap_or(RequestId::OF_THE_SERVICE)
    }

    fn message(&self, kind: Kind) -> Start {
        let workflow_options = WorkflowOptions {
            retry_policy: (kind == Kind::Retried).then(|| RetryPolicy {
                initial_interval: Some(Duration::from_millis(1)),
                backoff_coefficient: None,
                maximum_interval: None,
                maximum_attempts: 0,
                non_retryable_error_types: Vec::new(),
            }),
            ..WorkflowOptions::default()
        };
        let options = StartOptions {
            cron_schedule: (kind == Kind::Scheduled).then(|| "@every 1s".to_owned()),
            on_conflict: Some(OnConflict {
                attach_request_id: true,
                attach_completion_callbacks: false,
                attach_links: false,
            }),
            ..StartOptions::default()
        };
        Start {
            index: 0,
            source: SourceLine {
                file: "simulation.yaml".into(),
                line: 1,
                row: None,
            },
            name: None,
            workflow_id: self.workflow_id.clone(),
            workflow: WorkflowSpec {
                workflow_type: "ByHand".into(),
                task_queue: self.task_queue.as_str().into(),
                options: Arc::new(workflow_options),
                ..WorkflowSpec::default()
            },
            options: Arc::new(options),
        }
    }
}
