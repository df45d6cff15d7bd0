//! One start until its outcome: asks what the protocol says, classifies the answers, waits, tries
//! again.

use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::event::{
    AttemptFailed, ErrorRecord, Event, ExistingState, Outcome, PaceChanged, StartFinished,
};
use super::outcome::{
    blank, contended, existing_error, no_answer, record, request_id, skipped, unanswered,
};
use super::pace::Pace;
use super::protocol::{self, Call, End, Failing, How, Next, Protocol, Rules, Taken};
use super::request_ids::RequestIds;
use super::retry::backoff;
use super::service::{ErrorClass, Reason, ServiceError, StartAnswer, StartRequest, Starter};
use crate::expand::identity::IdempotencyKey;
use crate::expand::start::Start;

/// What all starts of an apply share.
#[derive(Clone, Debug)]
pub struct ApplyContext {
    /// The key that request IDs are derived from.
    pub key: IdempotencyKey,
    /// Namespace of the starts.
    pub namespace: String,
    /// ID of this invocation, another one for each; request IDs carry a part of it.
    pub invocation_id: String,
    /// Whether an existing Workflow makes a start fail, whatever the manifest says.
    pub fail_existing: bool,
    /// Longest time from a start's first call to the end of its last. Waiting for the first call's
    /// turn is not counted. Default: 5 min.
    pub retry_for: Duration,
}

/// Most attempts that an `INTERNAL` error is answered with; the service may have a bug.
const MAX_INTERNAL_ATTEMPTS: u32 = 5;

/// Least time that a call is given for its answer, so that a short `retry_for` still lets a healthy
/// service answer.
const SHORTEST_CALL: Duration = Duration::from_secs(1);

/// The way from the first attempt of a start to its outcome.
pub(super) struct Settling<'a, S> {
    starter: &'a S,
    context: &'a ApplyContext,
    stop: &'a CancellationToken,
    start: &'a Start,
    pace: &'a Pace,
    ids: RequestIds,
    /// When the first call was made.
    called: OnceLock<Instant>,
}

/// What a start came to, and what it says about the service.
pub(super) struct Settled {
    pub(super) finished: StartFinished,
    /// The error that ended it, if one did that tells something about starts.
    pub(super) error: Option<ServiceError>,
    /// When the first attempt was made.
    pub(super) began: Instant,
}

/// What one attempt came to.
enum Attempted {
    /// There is an outcome.
    Ended(End<String>),
    /// The service refuses it.
    GivenUp(Failing<String>, ServiceError),
    /// Another attempt is due, at once or after a pause.
    Again { at_once: bool, error: ServiceError },
}

/// Attempts so far.
#[derive(Clone, Copy, Default)]
struct Attempts {
    made: u32,
    throttled: u32,
}

impl<'a, S: Starter> Settling<'a, S> {
    pub(super) fn new(
        starter: &'a S,
        context: &'a ApplyContext,
        stop: &'a CancellationToken,
        pace: &'a Pace,
        start: &'a Start,
    ) -> Self {
        let ids = RequestIds::new(request_id(context, start), &context.invocation_id);
        Settling {
            starter,
            context,
            stop,
            start,
            pace,
            ids,
            called: OnceLock::new(),
        }
    }

    /// Time since the first call was made.
    fn tried_for(&self) -> Duration {
        self.called.get().map_or(Duration::ZERO, Instant::elapsed)
    }

    /// Tries until there is an outcome. `report` hears of every attempt that is followed by
    /// another one.
    ///
    /// What a start seldom comes to is boxed here and below: the engine moves this future several
    /// times, and would move the room for all of it.
    pub(super) async fn settle(self, mut report: impl AsyncFnMut(Event)) -> Settled {
        let began = Instant::now();
        let rules = Rules::of(&self.start.options);
        let mut protocol = Protocol::new(rules);
        let mut attempts = Attempts::default();
        let mut last_error = None;
        loop {
            if !self.is_due().await {
                return match last_error {
                    None => self.withheld(began),
                    Some(error) => self.out_of_time(&protocol, error, attempts, began),
                };
            }
            attempts.made += 1;
            let (at_once, error) = match self.attempt(&mut protocol).await {
                Attempted::Ended(end) => return self.ended(end, attempts, began),
                Attempted::GivenUp(failing, error) => {
                    return self.given_up(failing, error, attempts, began);
                }
                Attempted::Again { at_once, error } => (at_once, error),
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
            if !self.tries_again(&error, attempts.made, self.tried_for() + pause) {
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

    /// One attempt: the probe, and what follows from its answer. It is not stopped half-way, as it
    /// settles what it has begun.
    async fn attempt(&self, protocol: &mut Protocol<String>) -> Attempted {
        let mut call = protocol.begin();
        let mut further_calls = 0;
        let attempted = loop {
            let answer = match &call {
                Call::Start(request) => {
                    let request = self.ids.start_request(request);
                    let answer = self.timed(self.starter.start(self.start, &request)).await;
                    answer.and_then(|answer| accepted(answer, &request))
                }
                Call::Describe(run) => Box::pin(self.describe(run)).await,
                Call::Terminate(first) => Box::pin(self.terminate(first)).await,
            };
            let (answer, error) = match answer {
                Ok(answer) => (answer, None),
                Err(error) => (self.answer(&error, &call), Some(error)),
            };
            match protocol.next(answer) {
                Next::Call(next) => call = next,
                Next::Done(end) => break Attempted::Ended(end),
                Next::Again { at_once } => {
                    let error = error.filter(|error| error.is_retryable());
                    let error = error.unwrap_or_else(contended);
                    break Attempted::Again { at_once, error };
                }
                Next::GiveUp(failing) => {
                    let error = error.expect("only a refusal gives a start up");
                    break Attempted::GivenUp(failing, error);
                }
            }
            further_calls += 1;
        };
        if further_calls > 0 {
            self.pace.charge(further_calls);
        }
        attempted
    }

    async fn describe(&self, run: &str) -> Result<protocol::Answer<String>, ServiceError> {
        let call = self.starter.describe(&self.start.workflow_id, run);
        let described = self.timed(call).await?;
        let request_id = described.request_id.as_deref();
        Ok(protocol::Answer::Described {
            open: described.open,
            claim: self.ids.claim(request_id.unwrap_or_default()),
            first: described.first_run_id,
        })
    }

    async fn terminate(&self, first: &str) -> Result<protocol::Answer<String>, ServiceError> {
        let call = self.starter.terminate(&self.start.workflow_id, first);
        self.timed(call).await?;
        Ok(protocol::Answer::Terminated)
    }

    /// What an error means to the protocol.
    fn answer(&self, error: &ServiceError, call: &Call<String>) -> protocol::Answer<String> {
        let is_start = matches!(call, Call::Start(_));
        match &error.class {
            ErrorClass::Existing(existing) => protocol::Answer::Taken(Taken {
                claim: self.ids.claim(&existing.request_id),
                run: existing.run_id.clone(),
                first: Some(existing.first_run_id.clone()).filter(|first| !first.is_empty()),
                closed: existing.closed,
            }),
            ErrorClass::Throttled => protocol::Answer::NotNow,
            ErrorClass::Transient | ErrorClass::Unanswered => protocol::Answer::Unknown,
            ErrorClass::Refused if error.reason == Reason::NotFound && !is_start => {
                protocol::Answer::Absent
            }
            ErrorClass::Refused | ErrorClass::Fatal => protocol::Answer::Refused,
        }
    }

    /// Makes a call. It is not waited for longer than the start may be tried.
    async fn timed<T>(
        &self,
        call: impl Future<Output = Result<T, ServiceError>>,
    ) -> Result<T, ServiceError> {
        let sent = Instant::now();
        self.called.get_or_init(|| sent);
        let left = self.context.retry_for.saturating_sub(self.tried_for());
        let result = tokio::time::timeout(left.max(SHORTEST_CALL), call)
            .await
            .unwrap_or_else(|_| Err(unanswered()));
        match &result {
            // One Workflow that is busy is nothing that others have to slow down for.
            Err(error)
                if error.class == ErrorClass::Throttled && !error.is_only_this_workflow() =>
            {
                self.pace.throttled(sent);
            }
            Err(error) if matches!(error.class, ErrorClass::Transient | ErrorClass::Unanswered) => {
            }
            _ => self.pace.accepted(sent),
        }
        result
    }

    fn ended(&self, end: End<String>, attempts: Attempts, began: Instant) -> Settled {
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
        Settled {
            finished,
            error: None,
            began,
        }
    }

    /// The apply was stopped before the first call was made.
    fn withheld(&self, began: Instant) -> Settled {
        Settled {
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
        attempts: Attempts,
        began: Instant,
    ) -> Settled {
        let outcome = match failing {
            Failing::NothingBegun => Outcome::Failed,
            _ => Outcome::Unknown,
        };
        let mut finished = self.finished(outcome, attempts, began);
        finished.error = Some(record(&error, &failing));
        // That a run may not be looked at says nothing about starts.
        let tells = !matches!(failing, Failing::CannotTell(_));
        Settled {
            finished,
            error: Some(error).filter(|_| tells),
            began,
        }
    }

    fn out_of_time(
        &self,
        protocol: &Protocol<String>,
        error: ServiceError,
        attempts: Attempts,
        began: Instant,
    ) -> Settled {
        let mut finished = self.finished(Outcome::Unknown, attempts, began);
        finished.error = Some(match protocol.failing() {
            ended @ Failing::Ended(_) => record(&error, &ended),
            _ => ErrorRecord::from(&error),
        });
        // Other clients are in the way; the service answers.
        let tells = error.reason != Reason::Contended;
        Settled {
            finished,
            error: Some(error).filter(|_| tells),
            began,
        }
    }

    fn finished(&self, outcome: Outcome, attempts: Attempts, began: Instant) -> StartFinished {
        let latency_ms = began.elapsed().as_secs_f64() * 1000.0;
        StartFinished {
            attempts: attempts.made,
            throttled: attempts.throttled,
            latency_ms: (latency_ms * 1000.0).round() / 1000.0,
            ..blank(self.start, request_id(self.context, self.start), outcome)
        }
    }
}

/// What an answer means to the protocol.
fn accepted(
    answer: StartAnswer,
    request: &StartRequest,
) -> Result<protocol::Answer<String>, ServiceError> {
    if answer.run_id.is_empty() || (request.leaves_all_runs() && !answer.began) {
        return Err(no_answer());
    }
    Ok(protocol::Answer::Accepted {
        first: Some(answer.first_run_id).filter(|first| !first.is_empty()),
        run: answer.run_id,
        began: answer.began,
    })
}
