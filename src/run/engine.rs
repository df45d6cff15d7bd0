//! The bounded loop: takes a start while a slot is free, settles it, tells what happened.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::StreamExt;
use futures::future::Either;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::context::ApplyContext;
use super::deadline::sleep_until;
use super::event::{Event, Outcome, StartFinished, Stopped, WorkflowEnd};
use super::in_flight::{StartInFlight, StartResult};
use super::limits::Limits;
use super::outcome::{abandoned, skipped};
use super::pace::Pace;
use super::service::Starter;
use super::stop_rule::{StartVerdict, StopRule};
use super::wait::Waiting;
use crate::expand::start::Start;

/// Longest time that starts in flight are given to settle after a stop.
pub const SETTLE_FOR: Duration = Duration::from_secs(15);

/// Most starts that are taken from the producer in one go.
const AT_ONCE: usize = 64;

/// What the engine is given.
#[derive(Clone, Debug)]
pub enum Work {
    /// A start to be made.
    Start(Arc<Start>),
    /// A start that an earlier invocation has finished, and whose Workflow is to be waited for.
    Earlier(Box<StartFinished>),
}

/// Starts everything that comes out of `work`, at most `limits.parallelism` at a time and not
/// faster than `limits.starts_per_second`.
///
/// Each start ends in exactly one [`Event::StartFinished`]. When `stop` is cancelled, the service
/// refuses everything or falls silent, or too many starts have failed, no new start is made: those
/// in flight are settled without another attempt, and the rest ends as `skipped`. Returns why it
/// stopped, if it did.
pub async fn run<S: Starter>(
    service: &S,
    work: mpsc::Receiver<Work>,
    context: &ApplyContext,
    limits: Limits,
    stop: &CancellationToken,
    events: &mpsc::Sender<Event>,
    waits: Option<&mpsc::Sender<Waiting>>,
) -> Option<Stopped> {
    let slots = Slots {
        service,
        context,
        events,
        waits,
        // Cancelled by the caller's stop, and by what the service says.
        halt: stop.child_token(),
        pace: Pace::new(limits.starts_per_second),
        unsettled: Mutex::new(BTreeMap::new()),
    };
    let mut rule = StopRule::new(limits.max_failures);
    let mut backlog = Backlog::of(work);
    // These futures do all the sending themselves. If this loop sent anything, it would wait for
    // room that the channel has promised to a future which nobody polls meanwhile.
    let mut in_flight = FuturesUnordered::new();
    let mut settle_until = None;
    loop {
        let halted = slots.halt.is_cancelled();
        if in_flight.is_empty() && (backlog.is_exhausted || halted) {
            break;
        }
        if halted && settle_until.is_none() {
            settle_until = Some(Instant::now() + SETTLE_FOR);
        }
        let has_slot = !halted && in_flight.len() < limits.parallelism;
        if has_slot && let Some(next) = backlog.taken.pop() {
            in_flight.push(slots.fill(next));
            continue;
        }
        tokio::select! {
            biased;
            Some(heard) = in_flight.next(), if !in_flight.is_empty() => {
                if let Some(heard) = heard {
                    rule.hear(&heard, &slots.halt);
                }
            }
            () = slots.halt.cancelled(), if !halted => {}
            () = sleep_until(settle_until), if halted => break,
            () = backlog.refill(), if has_slot && !backlog.is_exhausted => {}
        }
    }
    drop(in_flight);
    slots.abandon().await;
    backlog.skip(context, events).await;
    rule.stopped
}

/// What comes from the producer. Taken in one go, so that whoever produces work on another thread is
/// woken once for many starts.
struct Backlog {
    work: mpsc::Receiver<Work>,
    /// Last in the list is first in the order.
    taken: Vec<Work>,
    is_exhausted: bool,
}

impl Backlog {
    fn of(work: mpsc::Receiver<Work>) -> Self {
        Backlog {
            work,
            taken: Vec::with_capacity(AT_ONCE),
            is_exhausted: false,
        }
    }

    /// Takes more work, if none is left. Nothing is lost if it is dropped meanwhile.
    async fn refill(&mut self) {
        let count = self.work.recv_many(&mut self.taken, AT_ONCE).await;
        self.taken.reverse();
        self.is_exhausted = count == 0;
    }

    /// Ends what is left as `skipped`: it was never tried. The producer is blocked on a full channel
    /// or done.
    async fn skip(mut self, context: &ApplyContext, events: &mpsc::Sender<Event>) {
        while let Some(next) = self.taken.pop() {
            skip_one(next, context, events).await;
        }
        skip(self.work, context, events).await;
    }
}

/// What the starts in flight share.
struct Slots<'a, S> {
    service: &'a S,
    context: &'a ApplyContext,
    events: &'a mpsc::Sender<Event>,
    /// Where Workflows are handed over that are to be waited for.
    waits: Option<&'a mpsc::Sender<Waiting>>,
    /// Cancelled when no further start is to be made.
    halt: CancellationToken,
    pace: Pace,
    /// Starts whose outcome was not told yet, by their index.
    unsettled: Mutex<BTreeMap<u64, Arc<Start>>>,
}

impl<S: Starter> Slots<'_, S> {
    /// Begins what came from the producer. Gives what a start came to, for the rule.
    fn fill(&self, next: Work) -> impl Future<Output = Option<StartVerdict>> {
        match next {
            Work::Earlier(finished) => Either::Left(async move {
                self.wait_for(Waiting::for_start(&finished)).await;
                None
            }),
            Work::Start(start) => {
                lock(&self.unsettled).insert(start.index, Arc::clone(&start));
                Either::Right(self.settle(start))
            }
        }
    }

    /// Makes one start and tells its outcome.
    async fn settle(&self, start: Arc<Start>) -> Option<StartVerdict> {
        let (halt, pace) = (&self.halt, &self.pace);
        let in_flight = StartInFlight::new(self.service, self.context, halt, pace, &start);
        let report = async |event| emit(self.events, event).await;
        let StartResult {
            finished,
            error,
            began,
        } = in_flight.settle(report).await;
        let failed = finished.outcome != Outcome::Unknown && finished.error.is_some();
        let waiting = self.waits.and_then(|_| Waiting::for_start(&finished));
        emit(self.events, Event::StartFinished(finished)).await;
        lock(&self.unsettled).remove(&start.index);
        self.wait_for(waiting).await;
        Some(StartVerdict {
            error,
            began,
            failed,
        })
    }

    async fn wait_for(&self, waiting: Option<Waiting>) {
        if let (Some(waits), Some(waiting)) = (self.waits, waiting) {
            // A waiter that is gone has nothing to wait for.
            let _ = waits.send(waiting).await;
        }
    }

    /// Tells of the starts whose answers are not waited for any longer.
    async fn abandon(&self) {
        let left = std::mem::take(&mut *lock(&self.unsettled));
        for start in left.into_values() {
            emit(
                self.events,
                Event::StartFinished(abandoned(self.context, &start)),
            )
            .await;
        }
    }
}

/// Ends everything that comes out of `work` as `skipped`.
pub async fn skip(
    mut work: mpsc::Receiver<Work>,
    context: &ApplyContext,
    events: &mpsc::Sender<Event>,
) {
    while let Some(next) = work.recv().await {
        skip_one(next, context, events).await;
    }
}

async fn skip_one(work: Work, context: &ApplyContext, events: &mpsc::Sender<Event>) {
    let event = match work {
        Work::Start(start) => Event::StartFinished(skipped(context, &start)),
        Work::Earlier(finished) => match finished.run_to_wait_for() {
            Some(run_id) => {
                let workflow_id = finished.workflow_id.as_str().into();
                let run_id = run_id.to_owned();
                Event::of_workflow(finished.index, workflow_id, run_id, WorkflowEnd::unseen())
            }
            None => return,
        },
    };
    emit(events, event).await;
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("nothing panics while it holds this lock")
}

/// A listener that is gone has stopped the apply by itself.
async fn emit(events: &mpsc::Sender<Event>, event: Event) {
    // There mostly is room, and then nothing is carried along while it is waited for.
    if let Err(TrySendError::Full(event)) = events.try_send(event) {
        let _ = Box::pin(events.send(event)).await;
    }
}
