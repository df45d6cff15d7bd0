//! One start until its outcome: call, classify, wait, call again with the same request ID.
//!
//! The service answers a repeated request ID with the same run only while that run is the current
//! one under its Workflow ID. Therefore whatever may be a repeat is first sent as a probe, which
//! can begin a run only where none is; see [`Policies::Probe`].

use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::event::{
    AttemptFailed, ErrorRecord, Event, ExistingState, Outcome, PaceChanged, StartFinished,
};
use super::pace::Pace;
use super::starter::{
    Answer, Class, Existing, Found, Origin, Patience, Policies, StartError, Starter,
};
use crate::expand::identity::IdempotencyKey;
use crate::expand::start::Start;

/// What all starts of an apply share.
#[derive(Clone, Debug)]
pub struct Context {
    /// The key that request IDs are derived from.
    pub key: IdempotencyKey,
    /// Namespace of the starts.
    pub namespace: String,
    /// ID of this invocation; the identity of the client ends in it, unless the user gave one.
    pub invocation_id: String,
    /// When this invocation began, on this machine's clock.
    pub started_at: Timestamp,
    /// Whether an existing Workflow makes a start fail, whatever the manifest says.
    pub fail_existing: bool,
    /// Longest time from a start's first call to the end of its last. Waiting for the first call's
    /// turn is not counted. Default: 5 min.
    pub retry_for: Duration,
}

/// What our default identity begins with; it ends in the ID of the invocation.
pub const IDENTITY_PREFIX: &str = "temporal-manifest:";

/// How far apart this machine's clock and the service's may be, for telling runs of this
/// invocation from older ones.
const CLOCK_TOLERANCE: jiff::SignedDuration = jiff::SignedDuration::from_secs(60);

/// Most attempts that an `INTERNAL` error is answered with; the service may have a bug.
const MAX_INTERNAL_ATTEMPTS: u32 = 5;

/// Least time that a call is given for its answer, so that a short `retry_for` still lets a healthy
/// service answer.
const SHORTEST_CALL: Duration = Duration::from_secs(1);

/// The way from the first attempt of a start to its outcome.
pub(super) struct Attempt<'a, S> {
    pub(super) starter: &'a S,
    pub(super) context: &'a Context,
    pub(super) stop: &'a CancellationToken,
    pub(super) start: &'a Start,
    pub(super) pace: &'a Pace,
    request_id: Uuid,
    /// When the first call was made.
    called: OnceLock<Instant>,
}

/// What a start came to, and what it says about the service.
pub(super) struct Settled {
    pub(super) finished: StartFinished,
    /// The error that ended it, if one did.
    pub(super) error: Option<StartError>,
    /// When the first attempt was made.
    pub(super) began: Instant,
}

/// What one attempt came to.
struct Step {
    outcome: Outcome,
    run_id: String,
    first_run_id: String,
    state: Option<ExistingState>,
}

/// Why an attempt came to nothing.
enum Trouble {
    /// A call failed.
    Failed(StartError),
    /// The apply was stopped before the first call was made.
    Withheld,
}

impl<'a, S: Starter> Attempt<'a, S> {
    pub(super) fn new(
        starter: &'a S,
        context: &'a Context,
        stop: &'a CancellationToken,
        pace: &'a Pace,
        start: &'a Start,
    ) -> Self {
        let request_id = request_id(context, start);
        Attempt {
            starter,
            context,
            stop,
            start,
            pace,
            request_id,
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
        let (mut attempts, mut throttled) = (0, 0);
        let error = loop {
            let error = match self.once(attempts + 1).await {
                Ok(step) => {
                    let finished = self.done(step, attempts + 1, throttled, began);
                    return Settled {
                        finished,
                        error: None,
                        began,
                    };
                }
                Err(Trouble::Failed(error)) => error,
                Err(Trouble::Withheld) => {
                    let finished = blank(self.start, self.request_id, Outcome::Skipped);
                    return Settled {
                        finished,
                        error: None,
                        began,
                    };
                }
            };
            attempts += 1;
            if error.class == Class::Throttled {
                throttled += 1;
                Box::pin(self.tell_pace(&error, &mut report)).await;
            }
            let pause = backoff(attempts, &error);
            if !self.tries_again(&error, attempts, self.tried_for() + pause) {
                break error;
            }
            let failed = AttemptFailed {
                index: self.start.index,
                workflow_id: self.start.workflow_id.clone(),
                attempt: attempts,
                error: ErrorRecord::from(&error),
                retry_in_ms: pause.as_millis() as u64,
            };
            Box::pin(report(Event::AttemptFailed(failed))).await;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => break error,
            }
        };
        let outcome = if error.is_retryable() {
            Outcome::Unknown
        } else {
            Outcome::Failed
        };
        let mut finished = self.finished(outcome, attempts, throttled, began);
        finished.error = Some(ErrorRecord::from(&error));
        Settled {
            finished,
            error: Some(error),
            began,
        }
    }

    fn tries_again(&self, error: &StartError, attempts: u32, until: Duration) -> bool {
        let gives_up = error.reason == "internal" && attempts >= MAX_INTERNAL_ATTEMPTS;
        let in_time = until <= self.context.retry_for;
        error.is_retryable() && in_time && !gives_up && !self.stop.is_cancelled()
    }

    /// Tells that all starts slow down together, unless only this Workflow ID is busy.
    async fn tell_pace(&self, error: &StartError, report: &mut impl AsyncFnMut(Event)) {
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

    fn done(&self, step: Step, attempts: u32, throttled: u32, began: Instant) -> StartFinished {
        let mut finished = self.finished(step.outcome, attempts, throttled, began);
        let first = Some(step.first_run_id);
        finished.first_run_id = first.filter(|first| *first != step.run_id && !first.is_empty());
        finished.run_id = Some(step.run_id);
        finished.existing_state = step.state;
        let fails = self.context.fail_existing || self.start.settings.fail_existing;
        if step.outcome == Outcome::Existing && fails {
            finished.error = Some(existing_error());
        }
        finished
    }

    /// One attempt. The first one under a fresh key cannot be a repeat and costs a single call.
    async fn once(&self, attempt: u32) -> Result<Step, Trouble> {
        if (attempt > 1 || self.context.key.is_given())
            && let Some(step) = Box::pin(self.probe()).await?
        {
            return Ok(step);
        }
        let (outcome, state, answer) = match self.send(Policies::AsAsked).await? {
            Ok(answer) if answer.began => (Outcome::Started, None, answer),
            Ok(answer) => (Outcome::Existing, Some(ExistingState::Running), answer),
            Err(existing) => return Box::pin(self.existing(existing)).await,
        };
        Ok(Step {
            outcome,
            run_id: answer.run_id,
            first_run_id: answer.first_run_id,
            state,
        })
    }

    /// Finds out whether an earlier attempt or invocation began the run, and begins it if the
    /// Workflow ID is free. `None`: somebody else's run has the ID, so the real request is due.
    async fn probe(&self) -> Result<Option<Step>, Trouble> {
        let existing = match self.send(Policies::Probe).await? {
            Ok(answer) if answer.began => {
                let ours = self.ours(answer.run_id, answer.first_run_id).await?;
                return Ok(Some(ours));
            }
            // An earlier attempt was attached to somebody else's run.
            Ok(answer) => {
                let existing = Existing {
                    request_id: String::new(),
                    run_id: answer.run_id,
                    first_run_id: answer.first_run_id,
                    closed: None,
                };
                return Ok(Some(self.existing(existing).await?));
            }
            Err(existing) => existing,
        };
        if existing.request_id == self.request_id.to_string() {
            let ours = self.ours(existing.run_id, existing.first_run_id).await?;
            return Ok(Some(ours));
        }
        let first = existing.first_run().to_owned();
        let find = self
            .starter
            .find_request(&self.start.workflow_id, &first, self.request_id);
        match self.paced(find).await? {
            Found::Began => Ok(Some(self.ours(existing.run_id, first).await?)),
            Found::Attached => Ok(Some(self.existing(existing).await?)),
            Found::No => Ok(None),
        }
    }

    /// Sends the start request: the answer, or the run that is in the way.
    async fn send(&self, policies: Policies) -> Result<Result<Answer, Existing>, Trouble> {
        let call = self.starter.start(self.start, self.request_id, policies);
        match self.paced(call).await {
            Ok(answer) => Ok(Ok(answer)),
            Err(Trouble::Failed(StartError {
                class: Class::Existing(existing),
                ..
            })) => Ok(Err(*existing)),
            Err(trouble) => Err(trouble),
        }
    }

    /// Makes a call when its turn comes. It is not waited for longer than the start may be tried.
    async fn paced<T>(
        &self,
        call: impl Future<Output = Result<T, StartError>>,
    ) -> Result<T, Trouble> {
        // What follows a call belongs to it: it settles what the call has begun, at once.
        if !self.stop.is_cancelled() && !self.pace.is_unbound() {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {}
                () = self.pace.permit() => {}
            }
        }
        if self.stop.is_cancelled() && self.called.get().is_none() {
            return Err(Trouble::Withheld);
        }
        let sent = Instant::now();
        self.called.get_or_init(|| sent);
        let left = self.context.retry_for.saturating_sub(self.tried_for());
        let result = tokio::time::timeout(left.max(SHORTEST_CALL), call)
            .await
            .unwrap_or_else(|_| Err(out_of_time()));
        match &result {
            // One Workflow that is busy is nothing that others have to slow down for.
            Err(error) if error.class == Class::Throttled && !error.is_only_this_workflow() => {
                self.pace.throttled(sent);
            }
            Err(error) if matches!(error.class, Class::Transient | Class::Unanswered) => {}
            Ok(_) | Err(_) => self.pace.accepted(sent),
        }
        result.map_err(Trouble::Failed)
    }

    /// The run is ours; tells this invocation's from an earlier one's.
    async fn ours(&self, run_id: String, first_run_id: String) -> Result<Step, Trouble> {
        let mut outcome = Outcome::Started;
        if self.context.key.is_given() {
            let first = if first_run_id.is_empty() {
                &run_id
            } else {
                &first_run_id
            };
            let origin = self.starter.origin(&self.start.workflow_id, first);
            let older = match self.paced(origin).await {
                Ok(origin) => is_older(&origin, self.context),
                // The first run has left retention, so it is not from just now.
                Err(Trouble::Failed(error)) if error.reason == "notFound" => true,
                // The start is accepted, so what keeps us from reading about its run is no failure
                // of the start. Nobody can tell whose invocation began it: `started` would claim
                // a new run that there may not be, `deduplicated` only that it is there, once.
                Err(Trouble::Failed(error)) if !error.is_retryable() => true,
                Err(trouble) => return Err(trouble),
            };
            if older {
                outcome = Outcome::Deduplicated;
            }
        }
        Ok(Step {
            outcome,
            run_id,
            first_run_id,
            state: None,
        })
    }

    /// Somebody else's run has the Workflow ID, and the policies say to leave it.
    async fn existing(&self, existing: Existing) -> Result<Step, Trouble> {
        let closed = match existing.closed {
            Some(closed) => Some(closed),
            None => {
                let id = &self.start.workflow_id;
                let close = self.starter.close(id, &existing.run_id, Patience::Now);
                match self.paced(close).await {
                    Ok(close) => Some(close.is_some()),
                    // Whoever may start Workflows need not be allowed to read them.
                    Err(Trouble::Failed(error)) if !error.is_retryable() => None,
                    Err(trouble) => return Err(trouble),
                }
            }
        };
        let state = closed.map(|closed| {
            if closed {
                ExistingState::Closed
            } else {
                ExistingState::Running
            }
        });
        Ok(Step {
            outcome: Outcome::Existing,
            run_id: existing.run_id,
            first_run_id: existing.first_run_id,
            state,
        })
    }

    fn finished(
        &self,
        outcome: Outcome,
        attempts: u32,
        throttled: u32,
        began: Instant,
    ) -> StartFinished {
        let latency_ms = began.elapsed().as_secs_f64() * 1000.0;
        StartFinished {
            attempts,
            throttled,
            latency_ms: (latency_ms * 1000.0).round() / 1000.0,
            ..blank(self.start, self.request_id, outcome)
        }
    }
}

impl Existing {
    fn first_run(&self) -> &str {
        if self.first_run_id.is_empty() {
            &self.run_id
        } else {
            &self.first_run_id
        }
    }
}

/// Whether a run under our key was begun by an earlier invocation. Clocks decide where they may;
/// closer together than they can be trusted, the identity of the client that began it does, as it
/// ends in the ID of its invocation.
fn is_older(origin: &Origin, context: &Context) -> bool {
    let age = context.started_at.duration_since(origin.started_at);
    let tells_invocations = origin.identity.starts_with(IDENTITY_PREFIX);
    if age.abs() <= CLOCK_TOLERANCE && tells_invocations {
        return !origin.identity.ends_with(&context.invocation_id);
    }
    age.is_positive()
}

/// The outcome of a start that was not tried.
pub(super) fn skipped(context: &Context, start: &Start) -> StartFinished {
    blank(start, request_id(context, start), Outcome::Skipped)
}

/// The outcome of a start whose answer was not waited for any longer.
pub(super) fn abandoned(context: &Context, start: &Start) -> StartFinished {
    let error = ErrorRecord {
        code: "CANCELLED".to_owned(),
        reason: "interrupted".to_owned(),
        message: "the answer did not come before the interrupted apply ended".to_owned(),
        cause: None,
        scope: None,
        retryable: true,
    };
    StartFinished {
        attempts: 1,
        error: Some(error),
        ..blank(start, request_id(context, start), Outcome::Unknown)
    }
}

fn request_id(context: &Context, start: &Start) -> Uuid {
    let key = &context.key;
    key.request_id(&context.namespace, &start.workflow_id)
}

fn blank(start: &Start, request_id: Uuid, outcome: Outcome) -> StartFinished {
    StartFinished {
        index: start.index,
        name: start.name.clone(),
        source: start.source.clone(),
        workflow_id: start.workflow_id.clone(),
        run_id: None,
        first_run_id: None,
        workflow_type: start.workflow_type.to_string(),
        task_queue: start.task_queue.to_string(),
        request_id: request_id.to_string(),
        outcome,
        existing_state: None,
        attempts: 0,
        throttled: 0,
        latency_ms: 0.0,
        error: None,
        cron: start.settings.cron_schedule.is_some(),
    }
}

fn existing_error() -> ErrorRecord {
    ErrorRecord {
        code: "ALREADY_EXISTS".to_owned(),
        reason: "workflowExists".to_owned(),
        message: "a Workflow with this ID exists, and failExisting is set".to_owned(),
        cause: None,
        scope: None,
        retryable: false,
    }
}

/// There is no time left to wait for an answer.
fn out_of_time() -> StartError {
    StartError {
        class: Class::Unanswered,
        code: "DEADLINE_EXCEEDED",
        reason: "deadlineExceeded",
        message: "the service did not answer in time".to_owned(),
        cause: None,
        scope: None,
    }
}

/// Pause before the next attempt: exponential with full jitter, from 100 ms doubling up to 10 s.
/// After throttling the common pace decides when the next call is made; only a Workflow ID that
/// is busy by itself waits for itself, from 1 s.
fn backoff(attempts: u32, error: &StartError) -> Duration {
    if error.class == Class::Throttled && !error.is_only_this_workflow() {
        return Duration::from_millis(fastrand::u64(0..=50));
    }
    let base: u64 = if error.class == Class::Throttled {
        1_000
    } else {
        100
    };
    let doubled = base.saturating_mul(1 << attempts.min(10).saturating_sub(1));
    Duration::from_millis(fastrand::u64(0..=doubled.min(10_000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_this_invocation_are_told_from_older_ones() {
        let context = Context {
            key: IdempotencyKey::given("key"),
            namespace: "default".to_owned(),
            invocation_id: "me".to_owned(),
            started_at: Timestamp::from_second(1_000_000).expect("a valid time"),
            fail_existing: false,
            retry_for: Duration::ZERO,
        };
        let table = [
            // Seconds after the invocation began, identity, is older.
            (-61, "temporal-manifest:u@h:me", true),
            (-61, "someone", true),
            (-59, "temporal-manifest:u@h:me", false),
            (-59, "temporal-manifest:u@h:other", true),
            (-1, "someone", true),
            (1, "someone", false),
            (1, "temporal-manifest:u@h:me", false),
            (1, "temporal-manifest:u@h:other", true),
            (61, "temporal-manifest:u@h:other", false),
            (61, "someone", false),
        ];
        for (seconds, identity, older) in table {
            let origin = Origin {
                identity: identity.to_owned(),
                started_at: context.started_at + jiff::SignedDuration::from_secs(seconds),
            };
            assert_eq!(is_older(&origin, &context), older, "{seconds} {identity}");
        }
    }
}
