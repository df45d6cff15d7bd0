//! The bounded loop: takes a start while a slot is free, settles it, tells what happened.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Limits;
use super::attempt::{Attempt, Context, Settled, abandoned, skipped};
use super::event::{ErrorRecord, Event, Stopped};
use super::pace::Pace;
use super::starter::{Class, StartError, Starter};
use super::wait::Waiting;
use crate::expand::start::Start;

/// Longest time that starts in flight are given to settle after a stop.
pub const SETTLE_FOR: Duration = Duration::from_secs(15);

/// Starts everything that comes out of `starts`, at most `limits.parallelism` at a
/// time and not faster than `limits.starts_per_second`.
///
/// Each start ends in exactly one [`Event::StartFinished`]. When `stop` is cancelled, or the
/// service refuses everything or falls silent, no new start is made: those in flight are settled
/// without another attempt, and the rest ends as `skipped`. Returns why it stopped, if it did.
pub async fn run<S: Starter>(
    starter: &S,
    mut starts: mpsc::Receiver<Start>,
    context: &Context,
    limits: Limits,
    stop: &CancellationToken,
    events: &mpsc::Sender<Event>,
    waits: Option<&mpsc::Sender<Waiting>>,
) -> Option<Stopped> {
    // Cancelled by the caller's stop, and by what the service says.
    let halt = stop.child_token();
    let pace = Pace::new(limits.starts_per_second);
    let mut stopped = None;
    let mut last_answer = Instant::now();
    let unsettled = Mutex::new(BTreeMap::new());
    // These futures do all the sending themselves. If this loop sent anything, it would wait for room
    // that the channel has promised to a future which nobody polls meanwhile.
    let mut in_flight = FuturesUnordered::new();
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
        tokio::select! {
            biased;
            Some((error, began)) = in_flight.next(), if !in_flight.is_empty() => {
                let (error, began): (Option<StartError>, Instant) = (error, began);
                match &error {
                    Some(error) if error.class == Class::Fatal => {
                        stopped.get_or_insert(Stopped::Refusal { error: ErrorRecord::from(error) });
                        halt.cancel();
                    }
                    Some(error) if matches!(error.class, Class::Unanswered | Class::Transient) => {
                        // Nothing was heard in the later half of the time this start was tried.
                        if last_answer.elapsed() * 2 >= began.elapsed() && !halted {
                            stopped = Some(Stopped::Silence { error: ErrorRecord::from(error) });
                            halt.cancel();
                        }
                    }
                    _ => last_answer = Instant::now(),
                }
            }
            () = halt.cancelled(), if !halted => {}
            () = sleep_until(settle_until), if halted => break,
            next = starts.recv(), if !halted && !exhausted && in_flight.len() < limits.parallelism => {
                let Some(start) = next else {
                    exhausted = true;
                    continue;
                };
                let start = Arc::new(start);
                lock(&unsettled).insert(start.index, Arc::clone(&start));
                let (halt, pace, unsettled) = (&halt, &pace, &unsettled);
                in_flight.push(async move {
                    let attempt = Attempt::new(starter, context, halt, pace, &start);
                    let report = async |event| emit(events, event).await;
                    let Settled { finished, error, began } = attempt.settle(report).await;
                    let waiting = waits.and_then(|_| Waiting::for_start(&finished));
                    emit(events, Event::StartFinished(finished)).await;
                    lock(unsettled).remove(&start.index);
                    if let (Some(waits), Some(waiting)) = (waits, waiting) {
                        // A waiter that is gone has nothing to wait for.
                        let _ = waits.send(waiting).await;
                    }
                    (error, began)
                });
            }
        }
    }
    drop(in_flight);
    let abandoned_starts = std::mem::take(&mut *lock(&unsettled));
    for start in abandoned_starts.into_values() {
        emit(events, Event::StartFinished(abandoned(context, &start))).await;
    }
    // The producer is blocked on a full channel or done; what it has left was never tried.
    skip(starts, context, events).await;
    stopped
}

/// Ends everything that comes out of `starts` as `skipped`.
pub async fn skip(
    mut starts: mpsc::Receiver<Start>,
    context: &Context,
    events: &mpsc::Sender<Event>,
) {
    while let Some(start) = starts.recv().await {
        emit(events, Event::StartFinished(skipped(context, &start))).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("nothing panics while it holds this lock")
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// A listener that is gone has stopped the apply by itself.
async fn emit(events: &mpsc::Sender<Event>, event: Event) {
    let _ = events.send(event).await;
}
