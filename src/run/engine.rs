//! The bounded loop: takes a start while a slot is free, settles it, tells what happened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::attempt::{Attempt, Context, Settled, abandoned, skipped};
use super::event::{ErrorRecord, Event, Stopped};
use super::starter::{Class, Starter};
use super::wait::Waiting;
use crate::expand::start::Start;

/// Longest time that starts in flight are given to settle after a stop.
pub const SETTLE_FOR: Duration = Duration::from_secs(15);

/// Starts everything that comes out of `starts`, at most `parallelism` at a time.
///
/// Each start ends in exactly one [`Event::StartFinished`]. When `stop` is cancelled, or the
/// service refuses everything or falls silent, no new start is made: those in flight are settled
/// without another attempt, and the rest ends as `skipped`. Returns why it stopped, if it did.
pub async fn run<S: Starter>(
    starter: &S,
    mut starts: mpsc::Receiver<Start>,
    context: &Context,
    parallelism: usize,
    stop: &CancellationToken,
    events: &mpsc::Sender<Event>,
    waits: Option<&mpsc::Sender<Waiting>>,
) -> Option<Stopped> {
    // Cancelled by the caller's stop, and by what the service says.
    let halt = stop.child_token();
    let mut stopped = None;
    let mut last_answer = Instant::now();
    let mut in_flight = FuturesUnordered::new();
    let mut unsettled = BTreeMap::new();
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
            Some(settled) = in_flight.next(), if !in_flight.is_empty() => {
                let Settled { finished, error, began }: Settled = settled;
                unsettled.remove(&finished.index);
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
                if let Some(waits) = waits && let Some(waiting) = Waiting::for_start(&finished) {
                    // A waiter that is gone has nothing to wait for.
                    let _ = waits.send(waiting).await;
                }
                emit(events, Event::StartFinished(finished)).await;
            }
            () = halt.cancelled(), if !halted => {}
            () = sleep_until(settle_until), if halted => break,
            next = starts.recv(), if !halted && !exhausted && in_flight.len() < parallelism => {
                let Some(start) = next else {
                    exhausted = true;
                    continue;
                };
                let start = Arc::new(start);
                unsettled.insert(start.index, Arc::clone(&start));
                let halt = &halt;
                in_flight.push(async move {
                    let attempt = Attempt::new(starter, context, halt, &start);
                    attempt.settle(async |event| emit(events, event).await).await
                });
            }
        }
    }
    drop(in_flight);
    for start in unsettled.into_values() {
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
