//! The real engine on a paused clock: some invocations at random moments, kills, interrupts and
//! repeats, against a service that is asked over a bad network. The same seed, the same events.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use temporal_manifest::expand::identity::IdempotencyKey;
use temporal_manifest::expand::start::{
    IdConflictPolicy, IdReusePolicy, OnConflict, SourceLine, Start, StartOptions, WorkflowSpec,
};
use temporal_manifest::run::ApplyContext;
use temporal_manifest::run::engine::Work;
use temporal_manifest::run::event::{Event, Outcome};
use temporal_manifest::run::{self, Limits};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::flaky::{Line, RunIds, Service};
use crate::support::{SEED, asked_seed, full_length_is_wanted};

/// Seeds that are played twice, to see that they are the same.
const TWICE: u64 = 50;

/// What came of a seed.
#[derive(Debug, PartialEq, Eq)]
struct Played {
    log: Vec<String>,
    wrong: Vec<String>,
    begun: usize,
}

#[test]
fn no_seed_begins_twice_or_says_what_is_not_so() {
    if let Some(seed) = asked_seed() {
        let played = play(seed);
        assert!(played.wrong.is_empty(), "{}", told(seed, &played));
        return;
    }
    let seeds = if full_length_is_wanted() {
        1_000_000
    } else {
        10_000
    };
    let begun = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        break;
                    }
                    let played = play(seed as u64);
                    assert!(played.wrong.is_empty(), "{}", told(seed as u64, &played));
                    begun.fetch_add(played.begun, Ordering::Relaxed);
                }
            });
        }
    });
    let begun = begun.into_inner();
    assert!(begun > seeds, "only {begun} runs were begun");
}

#[test]
fn a_seed_plays_the_same_again() {
    for seed in 0..TWICE {
        assert_eq!(play(seed), play(seed), "seed {seed}");
    }
}

fn told(seed: u64, played: &Played) -> String {
    let Played { log, wrong, .. } = played;
    format!("{SEED}={seed}\n{}\n{}", log.join("\n"), wrong.join("\n"))
}

fn play(seed: u64) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime starts");
    // The engine's own dice: pauses between attempts.
    fastrand::seed(seed);
    let mut dice = fastrand::Rng::with_seed(seed);
    runtime.block_on(async {
        let ids = [RunIds::V4, RunIds::V7, RunIds::Jumping][dice.usize(0..3)];
        let service = Service::new(dice.u64(..), ids);
        let starts: Vec<Arc<Start>> = (0..dice.u64(1..4))
            .map(|index| Arc::new(start(index, &mut dice)))
            .collect();
        let workflow_ids: Vec<String> = starts
            .iter()
            .map(|start| start.workflow_id.clone())
            .collect();
        let mut invocations = Vec::new();
        for number in 0..dice.usize(2..4) {
            let plan = Plan::new(number, &mut dice);
            invocations.push(invoke(&service, plan, &starts));
        }
        // What others do has a beginning of its own, so that there is something in the way.
        for _ in 0..dice.usize(0..8) {
            service.happen(&workflow_ids);
        }
        let pauses = dice.u64(20..400);
        let all = futures::future::join_all(invocations);
        let others = async {
            loop {
                tokio::time::sleep(Duration::from_millis(dice.u64(1..pauses))).await;
                service.happen(&workflow_ids);
            }
        };
        tokio::select! {
            biased;
            _ = all => {}
            () = others => {}
        }
        // Whatever is late may still do harm.
        tokio::time::sleep(Duration::from_secs(10)).await;
        let (log, wrong) = service.verdict();
        Played {
            log,
            wrong,
            begun: service.begun(),
        }
    })
}

/// How one invocation goes.
struct Plan {
    number: usize,
    key: u8,
    may_describe: bool,
    begins_after: Duration,
    killed_after: Option<Duration>,
    stopped_after: Option<Duration>,
    starts_per_second: Option<f64>,
    parallelism: usize,
}

impl Plan {
    fn new(number: usize, dice: &mut fastrand::Rng) -> Self {
        let sometimes = |dice: &mut fastrand::Rng| {
            let after = Duration::from_millis(dice.u64(1..3_000));
            (dice.u8(0..4) == 0).then_some(after)
        };
        Plan {
            number,
            key: u8::from(dice.u8(0..6) == 0),
            may_describe: dice.u8(0..20) > 0,
            begins_after: Duration::from_millis(dice.u64(0..2_000)),
            killed_after: sometimes(dice),
            stopped_after: sometimes(dice),
            starts_per_second: (dice.u8(0..4) == 0).then(|| dice.f64() * 10.0 + 0.2),
            parallelism: dice.usize(1..4),
        }
    }
}

/// One invocation, until its end or until it is killed.
async fn invoke(service: &Arc<Service>, plan: Plan, starts: &[Arc<Start>]) {
    tokio::time::sleep(plan.begins_after).await;
    let line = service.line(plan.number, plan.key, plan.may_describe);
    let killed = async {
        match plan.killed_after {
            Some(after) => tokio::time::sleep(after).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = killed => {}
        () = apply(service, &line, &plan, starts) => {}
    }
}

async fn apply(service: &Service, line: &Line, plan: &Plan, starts: &[Arc<Start>]) {
    let context = ApplyContext {
        key: IdempotencyKey::given(format!("key-{}", plan.key)),
        namespace: "default".to_owned(),
        invocation_id: Uuid::from_u128((1 + plan.number as u128) << 96).to_string(),
        fail_existing: false,
        retry_for: Duration::from_secs(20),
    };
    let limits = Limits {
        parallelism: plan.parallelism,
        starts_per_second: plan.starts_per_second,
        max_failures: None,
        wait: None,
    };
    let stop = CancellationToken::new();
    let (sender, work) = mpsc::channel(starts.len());
    for start in starts {
        let start = Work::Start(Arc::clone(start));
        sender
            .try_send(start)
            .expect("the channel has room for all");
    }
    drop(sender);
    let (events, mut heard) = mpsc::channel(4);
    let stopping = async {
        if let Some(after) = plan.stopped_after {
            tokio::time::sleep(after).await;
            stop.cancel();
        }
        std::future::pending::<()>().await;
    };
    let listen = async {
        let mut finished: Vec<(u64, Outcome)> = Vec::new();
        while let Some(event) = heard.recv().await {
            if let Event::StartFinished(start) = event {
                service.check(line, &start);
                finished.push((start.index, start.outcome));
            }
        }
        finished
    };
    let running = run::run(line, work, &context, limits, &stop, events);
    let mut finished = tokio::select! {
        biased;
        (_, finished) = async { futures::join!(running, listen) } => finished,
        () = stopping => return,
    };
    finished.sort_unstable_by_key(|(index, _)| *index);
    let indices = finished.iter().map(|(index, _)| *index);
    let each_once = indices.eq(0..starts.len() as u64);
    if !each_once {
        service.accuse(format!(
            "{}: not each start once: {finished:?}",
            plan.number
        ));
    }
}

fn start(index: u64, dice: &mut fastrand::Rng) -> Start {
    use IdConflictPolicy::{Fail, TerminateExisting, UseExisting};
    use IdReusePolicy::{AllowDuplicate, AllowDuplicateFailedOnly, RejectDuplicate};
    let closed = [AllowDuplicate, AllowDuplicateFailedOnly, RejectDuplicate][dice.usize(0..3)];
    let running = match closed {
        RejectDuplicate => [Fail, UseExisting][dice.usize(0..2)],
        _ => [Fail, UseExisting, TerminateExisting, TerminateExisting][dice.usize(0..4)],
    };
    let options = StartOptions {
        id_reuse_policy: Some(closed),
        id_conflict_policy: Some(running),
        on_conflict: dice.bool().then_some(OnConflict {
            attach_request_id: true,
            attach_completion_callbacks: false,
            attach_links: false,
        }),
        ..StartOptions::default()
    };
    Start {
        index,
        source: SourceLine {
            file: "simulation.yaml".into(),
            line: 1,
            row: None,
        },
        name: None,
        workflow_id: format!("w{index}"),
        workflow: WorkflowSpec {
            workflow_type: "Simulated".into(),
            task_queue: "simulated".into(),
            ..WorkflowSpec::default()
        },
        options: Arc::new(options),
    }
}
