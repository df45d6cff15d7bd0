//! One attempt: asks what the protocol says, and classifies the answers.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;

use super::context::ApplyContext;
use super::outcome::{contended, no_answer, request_id, unanswered};
use super::pace::Pace;
use super::protocol::{self, Call, End, Failing, Next, Protocol, Taken};
use super::request_ids::RequestIds;
use super::service::{ErrorClass, Reason, ServiceError, StartAnswer, StartRequest, Starter};
use crate::expand::start::Start;

/// Least time that a call is given for its answer, so that a short `retry_for` still lets a healthy
/// service answer.
const SHORTEST_CALL: Duration = Duration::from_secs(1);

/// The calls of one start, in all of its attempts.
pub(super) struct StartCalls<'a, S> {
    service: &'a S,
    pace: &'a Pace,
    start: &'a Start,
    ids: RequestIds,
    retry_for: Duration,
    /// When the first call was made.
    called: OnceLock<Instant>,
}

/// What one attempt came to.
pub(super) enum AttemptEnd {
    /// There is an outcome.
    Ended(End<String>),
    /// The service refuses it.
    GivenUp(Failing<String>, ServiceError),
    /// Another attempt is due, at once or after a pause.
    Again { at_once: bool, error: ServiceError },
}

impl<'a, S: Starter> StartCalls<'a, S> {
    pub(super) fn new(
        service: &'a S,
        context: &ApplyContext,
        pace: &'a Pace,
        start: &'a Start,
    ) -> Self {
        StartCalls {
            service,
            pace,
            start,
            ids: RequestIds::new(request_id(context, start), &context.invocation_id),
            retry_for: context.retry_for,
            called: OnceLock::new(),
        }
    }

    /// Time since the first call was made.
    pub(super) fn tried_for(&self) -> Duration {
        self.called.get().map_or(Duration::ZERO, Instant::elapsed)
    }

    /// One attempt: the probe, and what follows from its answer. It is not stopped half-way, as it
    /// settles what it has begun.
    pub(super) async fn attempt(&self, protocol: &mut Protocol<String>) -> AttemptEnd {
        let mut call = protocol.begin();
        let mut further_calls = 0;
        let attempted = loop {
            let answer = match &call {
                Call::Start(request) => {
                    let request = self.ids.start_request(request);
                    let answer = self.timed(self.service.start(self.start, &request)).await;
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
                Next::Done(end) => break AttemptEnd::Ended(end),
                Next::Again { at_once } => {
                    let error = error.filter(|error| error.is_retryable());
                    let error = error.unwrap_or_else(contended);
                    break AttemptEnd::Again { at_once, error };
                }
                Next::GiveUp(failing) => {
                    let error = error.expect("only a refusal gives a start up");
                    break AttemptEnd::GivenUp(failing, error);
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
        let call = self.service.describe(&self.start.workflow_id, run);
        let described = self.timed(call).await?;
        let request_id = described.request_id.as_deref();
        Ok(protocol::Answer::Described {
            open: described.open,
            claim: self.ids.claim(request_id.unwrap_or_default()),
            first: described.first_run_id,
        })
    }

    async fn terminate(&self, first: &str) -> Result<protocol::Answer<String>, ServiceError> {
        let call = self.service.terminate(&self.start.workflow_id, first);
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
        let left = self.retry_for.saturating_sub(self.tried_for());
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
