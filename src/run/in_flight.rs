//! One start in flight: attempts, and pauses between them, until there is an outcome.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::attempt::{AttemptEnd, StartCalls};
use super::context::ApplyContext;
use super::event::{
    AttemptFailed, ErrorRecord, Event, ExistingState, Outcome, PaceChanged, StartFinished,
};
use super::outcome::{blank, existing_error, record, request_id, skipped};
use super::pace::Pace;
use super::protocol::{End, Failing, How, Protocol, Rules};
use super::retry::backoff;
use super::service::{ErrorClass, Reason, ServiceError, Starter};
use crate::expand::start::Start;

/// Most attempts that an `INTERNAL` error is answered with; the service may have a bug.
const MAX_INTERNAL_ATTEMPTS: u32 = 5;

/// A start on its way from the first attempt to its outcome.
pub(super) struct StartInFlight<'a, S> {
    calls: StartCalls<'a, S>,
    context: &'a ApplyContext,
    stop: &'a CancellationToken,
    pace: &'a Pace,
    start: &'a Start,
}

/// What a start came to, and what it says about the service.
pub(super) struct StartResult {
    pub(super) finished: StartFinished,
    /// The error that ended it, if one did that tells something about starts.
    pub(super) error: Option<ServiceError>,
    /// When the first attempt was made.
    pub(super) began: Instant,
}

/// Attempts so far, and how many of them the service throttled.
#[derive(Clone, Copy, Default)]
struct AttemptCounts {
    made: u32,
    throttled: u32,
}

impl<'a, S: Starter> StartInFlight<'a, S> {
    pub(super) fn new(
        service: &'a S,
        context: &'a ApplyContext,
        stop: &'a CancellationToken,
        pace: &'a Pace,
        start: &'a Start,
    ) -> Self {
        StartInFlight {
            calls: StartCalls::new(service, context, pace, start),
            context,
            stop,
            pace,
            start,
        }
    }

    /// Tries until there is an outcome. `report` hears of every attempt that is followed by
    /// another one.
    ///
    /// What a start seldom comes to is boxed here and below: the engine moves this future several
    /// times, and would move the room for all of it.
    pub(super) async fn settle(self, mut report: impl AsyncFnMut(Event)) -> StartResult {
        let began = Instant::now();
        let rules = Rules::of(&self.start.options);
        let mut protocol = Protocol::new(rules);
        let mut attempts = AttemptCounts::default();
        let mut last_error = None;
        loop {
            if !self.is_due().await {
                return match last_error {
                    None => self.withheld(began),
                    Some(error) => self.out_of_time(&protocol, error, attempts, began),
                };
            }
            attempts.made += 1;
            let (at_once, error) = match self.calls.attempt(&mut protocol).await {
                AttemptEnd::Ended(end) => return self.ended(end, attempts, began),
                AttemptEnd::GivenUp(failing, error) => {
                    return self.given_up(failing, error, attempts, began);
                }
                AttemptEnd::Again { at_once, error } => (at_once, error),
            };
            if error.class == ErrorClass::Throttled {
                attempts.throttled += 1;
                Box::pin(self.tell_pace(&error, &mut report)).await;
            }
            let pause = if at_once {
                Duration::ZERO
            } else {
                backoff(attempts.made, &error)
            };
            if !self.tries_again(&error, attempts.made, self.calls.tried_for() + pause) {
                return self.out_of_time(&protocol, error, attempts, began);
            }
            let failed = AttemptFailed {
                index: self.start.index,
                workflow_id: self.start.workflow_id.clone(),
                attempt: attempts.made,
                error: ErrorRecord::from(&error),
                retry_in_ms: pause.as_millis() as u64,
            };
            Box::pin(report(Event::AttemptFailed(failed))).await;
            if !pause.is_zero() {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = self.stop.cancelled() => {}
                }
            }
            last_error = Some(error);
        }
    }

    /// Waits for the attempt's turn: the only wait in it, so that nothing that an answer has shown
    /// grows old. `false`: the apply was stopped.
    async fn is_due(&self) -> bool {
        if !self.stop.is_cancelled() && !self.pace.is_unbound() {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {}
                () = self.pace.permit() => {}
            }
        }
        !self.stop.is_cancelled()
    }

    fn tries_again(&self, error: &ServiceError, attempts: u32, until: Duration) -> bool {
        let gives_up = error.reason == Reason::Internal && attempts >= MAX_INTERNAL_ATTEMPTS;
        let in_time = until <= self.context.retry_for;
        in_time && !gives_up && !self.stop.is_cancelled()
    }

    /// Tells that all starts slow down together, unless only this Workflow ID is busy.
    async fn tell_pace(&self, error: &ServiceError, report: &mut impl AsyncFnMut(Event)) {
        if error.is_only_this_workflow() {
            return;
        }
        if let Some(starts_per_second) = self.pace.news() {
            report(Event::PaceChanged(PaceChanged {
                at: Timestamp::now(),
                starts_per_second,
                error: ErrorRecord::from(error),
            }))
            .await;
        }
    }

    fn ended(&self, end: End<String>, attempts: AttemptCounts, began: Instant) -> StartResult {
        let (outcome, closed) = match end.how {
            How::Started => (Outcome::Started, None),
            How::Deduplicated => (Outcome::Deduplicated, None),
            How::Existing { closed } => (Outcome::Existing, closed),
        };
        let mut finished = self.finished(outcome, attempts, began);
        finished.first_run_id = end.first.filter(|first| *first != end.run);
        finished.run_id = Some(end.run);
        finished.existing_state = closed.map(|closed| match closed {
            true => ExistingState::Closed,
            false => ExistingState::Running,
        });
        let fails = self.context.fail_existing || self.start.options.fail_existing;
        if outcome == Outcome::Existing && fails {
            finished.error = Some(existing_error());
        }
        StartResult {
            finished,
            error: None,
            began,
        }
    }

    /// The apply was stopped before the first call was made.
    fn withheld(&self, began: Instant) -> StartResult {
        StartResult {
            finished: skipped(self.context, self.start),
            error: None,
            began,
        }
    }

    /// The service refuses the last call for good.
    fn given_up(
        &self,
        failing: Failing<String>,
        error: ServiceError,
        attempts: AttemptCounts,
        began: Instant,
    ) -> StartResult {
        let outcome = match failing {
            Failing::NothingBegun => Outcome::Failed,
            _ => Outcome::Unknown,
        };
        let mut finished = self.finished(outcome, attempts, began);
        finished.error = Some(record(&error, &failing));
        // That a run may not be looked at says nothing about starts.
        let tells = !matches!(failing, Failing::CannotTell(_));
        StartResult {
            finished,
            error: Some(error).filter(|_| tells),
            began,
        }
    }

    fn out_of_time(
        &self,
        protocol: &Protocol<String>,
        error: ServiceError,
        attempts: AttemptCounts,
        began: Instant,
    ) -> StartResult {
        let mut finished = self.finished(Outcome::Unknown, attempts, began);
        finished.error = Some(match protocol.failing() {
            ended @ Failing::Ended(_) => record(&error, &ended),
            _ => ErrorRecord::from(&error),
        });
        // Other clients are in the way; the service answers.
        let tells = error.reason != Reason::Contended;
        StartResult {
            finished,
            error: Some(error).filter(|_| tells),
            began,
        }
    }

    fn finished(&self, outcome: Outcome, attempts: AttemptCounts, began: Instant) -> StartFinished {
        let latency_ms = began.elapsed().as_secs_f64() * 1000.0;
        StartFinished {
            attempts: attempts.made,
            throttled: attempts.throttled,
            latency_ms: (latency_ms * 1000.0).round() / 1000.0,
            ..blank(self.start, request_id(self.context, self.start), outcome)
        }
    }
}
