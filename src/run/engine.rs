//! The bounded loop: takes a start while a slot is free, settles it, tells what happened.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::StreamExt;
use futures::future::Either;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::attempt::{ApplyContext, Settled, Settling};
use super::event::{ErrorRecord, Event, Outcome, StartFinished, Stopped};
use super::outcome::{abandoned, skipped};
use super::pace::Pace;
use super::service::{ErrorClass, ServiceError, Starter};
use super::wait::Waiting;
use super::{Limits, sleep_until};
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
    starter: &S,
    mut work: mpsc::Receiver<Work>,
    context: &ApplyContext,
    limits: Limits,
    stop: &CancellationToken,
    events: &mpsc::Sender<Event>,
    waits: Option<&mpsc::Sender<Waiting>>,
) -> Option<Stopped> {
    // Cancelled by the caller's stop, and by what the service says.
    let halt = stop.child_token();
    let pace = Pace::new(limits.starts_per_second);
    let mut judge = Judge::new(limits.max_failures);
    let unsettled = Mutex::new(BTreeMap::new());
    // These futures do all the sending themselves. If this loop sent anything, it would wait for
    // room that the channel has promised to a future which nobody polls meanwhile.
    let mut in_flight = FuturesUnordered::new();
    // Last in the list is first in the order. Taken in one go, so that whoever produces work on
    // another thread is woken once for many starts.
    let mut taken = Vec::with_capacity(AT_ONCE);
    let mut exhausted = false;
    let mut settle_until = None;
    loop {
        let halted = halt.is_cancelled();
        if in_flight.is_empty() && (exhausted || halted) {
            break;
        }
        if halted && settle_until.is_none() {
            settle_until = Some(Instant::now() + SETTLE_FOR);
        }
        let has_slot = !halted && in_flight.len() < limits.parallelism;
        if has_slot && let Some(next) = taken.pop() {
            in_flight.push(match next {
                Work::Earlier(finished) => Either::Left(async move {
                    wait_for(waits, Waiting::for_start(&finished)).await;
                    None
                }),
                Work::Start(start) => {
                    lock(&unsettled).insert(start.index, Arc::clone(&start));
                    let (halt, pace, unsettled) = (&halt, &pace, &unsettled);
                    Either::Right(async move {
                        let settling = Settling::new(starter, context, halt, pace, &start);
                        let report = async |event| emit(events, event).await;
                        let Settled {
                            finished,
                            error,
                            began,
                        } = settling.settle(report).await;
                        let failed =
                            finished.outcome != Outcome::Unknown && finished.error.is_some();
                        let waiting = waits.and_then(|_| Waiting::for_start(&finished));
                        emit(events, Event::StartFinished(finished)).await;
                        lock(unsettled).remove(&start.index);
                        wait_for(waits, waiting).await;
                        Some(Heard {
                            error,
                            began,
                            failed,
                        })
                    })
                }
            });
            continue;
        }
        tokio::select! {
            biased;
            Some(heard) = in_flight.next(), if !in_flight.is_empty() => {
                if let Some(heard) = heard {
                    judge.hear(&heard, &halt);
                }
            }
            () = halt.cancelled(), if !halted => {}
            () = sleep_until(settle_until), if halted => break,
            count = work.recv_many(&mut taken, AT_ONCE), if has_slot && !exhausted => {
                taken.reverse();
                exhausted = count == 0;
            }
        }
    }
    drop(in_flight);
    let abandoned_starts = std::mem::take(&mut *lock(&unsettled));
    for start in abandoned_starts.into_values() {
        emit(events, Event::StartFinished(abandoned(context, &start))).await;
    }
    while let Some(next) = taken.pop() {
        skip_one(next, context, events).await;
    }
    // The producer is blocked on a full channel or done; what it has left was never tried.
    skip(work, context, events).await;
    judge.stopped
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
    if let Work::Start(start) = work {
        emit(events, Event::StartFinished(skipped(context, &start))).await;
    }
}

/// What a start in flight has come to.
struct Heard {
    error: Option<ServiceError>,
    began: Instant,
    failed: bool,
}

/// Decides when no further start is to be made.
struct Judge {
    stopped: Option<Stopped>,
    last_answer: Instant,
    failures: u64,
    max_failures: Option<u64>,
}

impl Judge {
    fn new(max_failures: Option<u64>) -> Self {
        Judge {
            stopped: None,
            last_answer: Instant::now(),
            failures: 0,
            max_failures,
        }
    }

    fn hear(&mut self, heard: &Heard, halt: &CancellationToken) {
        self.failures += u64::from(heard.failed);
        let verdict = match &heard.error {
            Some(error) if error.class == ErrorClass::Fatal => Some(Stopped::Refusal {
                error: ErrorRecord::from(error),
            }),
            // A busy Workflow is an answer about itself; any other throttling is none.
            Some(error) if error.is_retryable() && !error.is_only_this_workflow() => {
                // Nothing was heard in the later half of the time that this start was tried.
                let silent = self.last_answer.elapsed() * 2 >= heard.began.elapsed();
                silent.then(|| Stopped::Silence {
                    error: ErrorRecord::from(error),
                })
            }
            _ => {
                self.last_answer = Instant::now();
                None
            }
        };
        let too_many = self.max_failures.is_some_and(|most| self.failures > most);
        let verdict = verdict.or(too_many.then_some(Stopped::Failures {
            count: self.failures,
        }));
        // What comes after a stop, the user's included, did not cause it.
        if verdict.is_some() && !halt.is_cancelled() {
            self.stopped = verdict;
            halt.cancel();
        }
    }
}

async fn wait_for(waits: Option<&mpsc::Sender<Waiting>>, waiting: Option<Waiting>) {
    if let (Some(waits), Some(waiting)) = (waits, waiting) {
        // A waiter that is gone has nothing to wait for.
        let _ = waits.send(waiting).await;
    }
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
