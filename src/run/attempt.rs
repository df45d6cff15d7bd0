//! One start until its outcome: call, classify, wait, call again with the same request ID.
//!
//! The service answers a repeated request ID with the same run only while that run is the current
//! one under its Workflow ID. Therefore whatever may be a repeat is first sent as a probe, which
//! can begin a run only where none is; see [`Policies::Probe`].

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::event::{AttemptFailed, ErrorRecord, Event, ExistingState, Outcome, StartFinished};
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
    /// Longest time from a start's first attempt to its last. Default: 5 min.
    pub retry_for: Duration,
}

/// What our default identity begins with; it ends in the ID of the invocation.
pub const IDENTITY_PREFIX: &str = "temporal-manifest:";

/// How far apart this machine's clock and the service's may be, for telling runs of this
/// invocation from older ones.
const CLOCK_TOLERANCE: jiff::SignedDuration = jiff::SignedDuration::from_secs(60);

/// Most attempts that an `INTERNAL` error is answered with; the service may have a bug.
const MAX_INTERNAL_ATTEMPTS: u32 = 5;

/// The way from the first attempt of a start to its outcome.
pub(super) struct Attempt<'a, S> {
    pub(super) starter: &'a S,
    pub(super) context: &'a Context,
    pub(super) stop: &'a CancellationToken,
    pub(super) start: &'a Start,
    request_id: Uuid,
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
enum Step {
    Done {
        outcome: Outcome,
        run_id: String,
        first_run_id: String,
        state: Option<ExistingState>,
    },
    Failed(StartError),
}

impl<'a, S: Starter> Attempt<'a, S> {
    pub(super) fn new(
        starter: &'a S,
        context: &'a Context,
        stop: &'a CancellationToken,
        start: &'a Start,
    ) -> Self {
        let request_id = context
            .key
            .request_id(&context.namespace, &start.workflow_id);
        Attempt {
            starter,
            context,
            stop,
            start,
            request_id,
        }
    }

    /// Tries until there is an outcome. `report` hears of every attempt that is followed by
    /// another one.
    pub(super) async fn settle(self, mut report: impl AsyncFnMut(Event)) -> Settled {
        let began = Instant::now();
        let mut attempts = 0;
        let mut throttled = 0;
        loop {
            attempts += 1;
            let error = match self.once(attempts).await {
                Step::Done {
                    outcome,
                    run_id,
                    first_run_id,
                    state,
                } => {
                    let mut finished = self.finished(outcome, attempts, throttled, began);
                    finished.first_run_id =
                        Some(first_run_id).filter(|first| *first != run_id && !first.is_empty());
                    finished.run_id = Some(run_id);
                    finished.existing_state = state;
                    if outcome == Outcome::Existing
                        && (self.context.fail_existing || self.start.fail_existing)
                    {
                        finished.error = Some(existing_error());
                    }
                    return Settled {
                        finished,
                        error: None,
                        began,
                    };
                }
                Step::Failed(error) => error,
            };
            throttled += u32::from(error.class == Class::Throttled);
            let pause = backoff(attempts, &error);
            let gives_up = error.code == "INTERNAL" && attempts >= MAX_INTERNAL_ATTEMPTS;
            let in_time = began.elapsed() + pause <= self.context.retry_for;
            if error.is_retryable() && in_time && !gives_up && !self.stop.is_cancelled() {
                report(Event::AttemptFailed(AttemptFailed {
                    index: self.start.index,
                    workflow_id: self.start.workflow_id.clone(),
                    attempt: attempts,
                    error: ErrorRecord::from(&error),
                    retry_in_ms: pause.as_millis() as u64,
                }))
                .await;
                tokio::select! {
                    () = tokio::time::sleep(pause) => continue,
                    () = self.stop.cancelled() => {}
                }
            }
            let outcome = if error.is_retryable() {
                Outcome::Unknown
            } else {
                Outcome::Failed
            };
            let mut finished = self.finished(outcome, attempts, throttled, began);
            finished.error = Some(ErrorRecord::from(&error));
            return Settled {
                finished,
                error: Some(error),
                began,
            };
        }
    }

    /// One attempt. The first one under a fresh key cannot be a repeat and costs a single call.
    async fn once(&self, attempt: u32) -> Step {
        if attempt > 1 || self.context.key.is_given() {
            match self.probe().await {
                Ok(Some(step)) => return step,
                Ok(None) => {}
                Err(error) => return Step::Failed(error),
            }
        }
        match self
            .starter
            .start(self.start, self.request_id, Policies::AsAsked)
            .await
        {
            Ok(Answer {
                run_id,
                first_run_id,
                began: true,
            }) => Step::Done {
                outcome: Outcome::Started,
                run_id,
                first_run_id,
                state: None,
            },
            Ok(Answer {
                run_id,
                first_run_id,
                began: false,
            }) => Step::Done {
                outcome: Outcome::Existing,
                run_id,
                first_run_id,
                state: Some(ExistingState::Running),
            },
            Err(StartError {
                class: Class::Existing(existing),
                ..
            }) => self.existing(*existing).await,
            Err(error) => Step::Failed(error),
        }
    }

    /// Finds out whether an earlier attempt or invocation began the run, and begins it if the
    /// Workflow ID is free. `None`: somebody else's run has the ID, so the real request is due.
    async fn probe(&self) -> Result<Option<Step>, StartError> {
        let existing = match self
            .starter
            .start(self.start, self.request_id, Policies::Probe)
            .await
        {
            Ok(answer) => {
                return self
                    .ours(answer.run_id, answer.first_run_id)
                    .await
                    .map(Some);
            }
            Err(StartError {
                class: Class::Existing(existing),
                ..
            }) => *existing,
            Err(error) => return Err(error),
        };
        if existing.request_id == self.request_id.to_string() {
            return self
                .ours(existing.run_id, existing.first_run_id)
                .await
                .map(Some);
        }
        let first = existing.first_run();
        match self
            .starter
            .find_request(&self.start.workflow_id, first, self.request_id)
            .await?
        {
            Found::Began => {
                let first = first.to_owned();
                self.ours(existing.run_id, first).await.map(Some)
            }
            Found::Attached => Ok(Some(self.existing(existing).await)),
            Found::No => Ok(None),
        }
    }

    /// The run is ours; tells this invocation's from an earlier one's.
    async fn ours(&self, run_id: String, first_run_id: String) -> Result<Step, StartError> {
        let mut outcome = Outcome::Started;
        if self.context.key.is_given() {
            let first = if first_run_id.is_empty() {
                &run_id
            } else {
                &first_run_id
            };
            let older = match self.starter.origin(&self.start.workflow_id, first).await {
                Ok(origin) => is_older(&origin, self.context),
                // The first run has left retention, so it is not from just now.
                Err(error) if error.reason == "notFound" => true,
                Err(error) => return Err(error),
            };
            if older {
                outcome = Outcome::Deduplicated;
            }
        }
        Ok(Step::Done {
            outcome,
            run_id,
            first_run_id,
            state: None,
        })
    }

    /// Somebody else's run has the Workflow ID, and the policies say to leave it.
    async fn existing(&self, existing: Existing) -> Step {
        let closed = match existing.closed {
            Some(closed) => Ok(closed),
            None => {
                let patience = Patience::Now;
                let close = self
                    .starter
                    .close(&self.start.workflow_id, &existing.run_id, patience)
                    .await;
                close.map(|close| close.is_some())
            }
        };
        match closed {
            Ok(closed) => Step::Done {
                outcome: Outcome::Existing,
                run_id: existing.run_id,
                first_run_id: existing.first_run_id,
                state: Some(if closed {
                    ExistingState::Closed
                } else {
                    ExistingState::Running
                }),
            },
            Err(error) => Step::Failed(error),
        }
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
            ..blank(self.context, self.start, outcome)
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
    blank(context, start, Outcome::Skipped)
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
        ..blank(context, start, Outcome::Unknown)
    }
}

fn blank(context: &Context, start: &Start, outcome: Outcome) -> StartFinished {
    StartFinished {
        index: start.index,
        name: start.name.clone(),
        source: start.source.clone(),
        workflow_id: start.workflow_id.clone(),
        run_id: None,
        first_run_id: None,
        workflow_type: start.workflow_type.clone(),
        task_queue: start.task_queue.clone(),
        request_id: context
            .key
            .request_id(&context.namespace, &start.workflow_id)
            .to_string(),
        outcome,
        existing_state: None,
        attempts: 0,
        throttled: 0,
        latency_ms: 0.0,
        error: None,
        cron: start.cron_schedule.is_some(),
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

/// Pause before the next attempt: exponential with full jitter. 100 ms doubling up to 10 s, from
/// 1 s if the service throttles.
fn backoff(attempts: u32, error: &StartError) -> Duration {
    let base: u64 = if error.class == Class::Throttled {
        1_000
    } else {
        100
    };
    let ceiling = base
        .saturating_mul(1 << attempts.min(10).saturating_sub(1))
        .min(10_000);
    Duration::from_millis(fastrand::u64(ceiling / 10..=ceiling))
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
