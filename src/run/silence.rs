//! Whether the service answers: what is under way, when something was heard last, and who is told.
//!
//! One call without an answer is no news; a service that answers nobody is. It is told after a few
//! seconds and again while it lasts, and it is bounded: then nothing is waited for any longer.

use std::convert::Infallible;
use std::future::Future;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::event::{AnswersMissed, AnswersResumed, ErrorRecord, Event};
use super::service::{
    Description, ErrorClass, Lookups, PollKind, RunClose, ServiceError, StartAnswer, StartRequest,
    Starter,
};
use crate::expand::start::Start;

/// How long nothing is heard before it is told, and time until it is told again.
const TOLD_AFTER: Duration = Duration::from_secs(5);
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// How often somebody looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// When a long poll is late; the service gives an empty answer after about 20 s.
const LONG_POLL_IS_LATE: Duration = Duration::from_secs(25);

/// What is known of the service's answers to all calls of an apply.
pub(super) struct Silence {
    state: Mutex<Answers>,
    bound: Duration,
    gave_up: CancellationToken,
}

struct Answers {
    /// Calls under way; long polls are none until they are late.
    calls: u32,
    /// When something was heard last.
    heard: Option<Instant>,
    /// Since when there is no answer: when something was heard last or, if nothing was asked then,
    /// when the first call was made.
    since: Instant,
    /// Whether a call has come to nothing since then, and how.
    missed: bool,
    error: Option<ErrorRecord>,
}

impl Silence {
    /// `bound` is how long nothing may be heard.
    pub(super) fn new(bound: Duration) -> Self {
        Silence {
            state: Mutex::new(Answers {
                calls: 0,
                heard: None,
                since: Instant::now(),
                missed: false,
                error: None,
            }),
            bound,
            gave_up: CancellationToken::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, Answers> {
        let state = self.state.lock();
        state.expect("nothing panics while it holds this lock")
    }

    fn begin(&self, since: Instant) -> PendingCall<'_> {
        let mut state = self.state();
        if state.calls == 0 && !state.missed {
            state.since = state.heard.map_or(since, |heard| heard.max(since));
        }
        state.calls += 1;
        PendingCall {
            silence: self,
            heard: false,
        }
    }

    /// For how long nothing was heard although something was asked.
    pub(super) fn lasts(&self) -> Option<Duration> {
        let state = self.state();
        (state.calls > 0 || state.missed).then(|| state.since.elapsed())
    }

    /// Whether it has lasted long enough to be told.
    pub(super) fn is_told(&self) -> bool {
        self.lasts().is_some_and(|silent| silent >= TOLD_AFTER)
    }

    /// How the last call came to nothing, if it is known.
    pub(super) fn error(&self) -> Option<ErrorRecord> {
        self.state().error.clone()
    }

    /// Cancelled when nothing was heard for as long as it may last.
    pub(super) fn gave_up(&self) -> &CancellationToken {
        &self.gave_up
    }

    /// Tells when the service falls silent, while it is, and when it answers again.
    pub(super) async fn watch(&self, events: &mpsc::Sender<Event>) -> Infallible {
        let mut told: Option<(Instant, Duration)> = None;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let lasts = self.lasts();
            let event = match (lasts, told) {
                (None, None) => continue,
                (None, Some((at, silent))) => {
                    told = None;
                    Event::AnswersResumed(AnswersResumed {
                        at: Timestamp::now(),
                        silent_ms: milliseconds(silent + at.elapsed()),
                    })
                }
                (Some(silent), _) => {
                    if silent >= self.bound {
                        self.gave_up.cancel();
                    }
                    if !told.map_or(silent >= TOLD_AFTER, |(at, _)| at.elapsed() >= TOLD_EVERY) {
                        continue;
                    }
                    told = Some((Instant::now(), silent));
                    Event::AnswersMissed(AnswersMissed {
                        at: Timestamp::now(),
                        silent_ms: milliseconds(silent),
                        error: self.error(),
                    })
                }
            };
            // A listener that is gone has stopped the apply by itself.
            let _ = events.send(event).await;
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A call under way. One that is dropped has come to nothing.
struct PendingCall<'a> {
    silence: &'a Silence,
    heard: bool,
}

impl PendingCall<'_> {
    fn end<T>(mut self, result: &Result<T, ServiceError>) {
        let mut state = self.silence.state();
        match result {
            Err(error) if matches!(error.class, ErrorClass::Unanswered | ErrorClass::Transient) => {
                state.error = Some(ErrorRecord::from(error));
            }
            _ => {
                self.heard = true;
                state.since = Instant::now();
                state.heard = Some(state.since);
                state.missed = false;
                state.error = None;
            }
        }
    }
}

impl Drop for PendingCall<'_> {
    fn drop(&mut self) {
        let mut state = self.silence.state();
        state.calls -= 1;
        state.missed |= !self.heard;
    }
}

/// A service whose every answer is noted.
pub(super) struct WatchedService<'a, S> {
    pub(super) service: &'a S,
    pub(super) silence: &'a Silence,
}

impl<S: Starter> Starter for WatchedService<'_, S> {
    async fn start(
        &self,
        start: &Start,
        request: &StartRequest,
    ) -> Result<StartAnswer, ServiceError> {
        // A call is not handed to a function as a future: each would have room for it twice.
        let call = self.silence.begin(Instant::now());
        let result = self.service.start(start, request).await;
        call.end(&result);
        result
    }

    async fn terminate(&self, workflow_id: &str, first_run_id: &str) -> Result<(), ServiceError> {
        let call = self.silence.begin(Instant::now());
        let result = self.service.terminate(workflow_id, first_run_id).await;
        call.end(&result);
        result
    }
}

impl<S: Lookups> Lookups for WatchedService<'_, S> {
    async fn describe(&self, workflow_id: &str, run_id: &str) -> Result<Description, ServiceError> {
        let call = self.silence.begin(Instant::now());
        let result = self.service.describe(workflow_id, run_id).await;
        call.end(&result);
        result
    }

    async fn close(
        &self,
        workflow_id: &str,
        run_id: &str,
        poll: PollKind,
    ) -> Result<Option<RunClose>, ServiceError> {
        let answer = self.service.close(workflow_id, run_id, poll);
        match poll {
            PollKind::Quick => {
                let call = self.silence.begin(Instant::now());
                let result = answer.await;
                call.end(&result);
                result
            }
            PollKind::Long => self.long_poll(answer).await,
        }
    }

    async fn has_pollers(&self, task_queue: &str) -> Result<bool, ServiceError> {
        let call = self.silence.begin(Instant::now());
        let result = self.service.has_pollers(task_queue).await;
        call.end(&result);
        result
    }
}

impl<S> WatchedService<'_, S> {
    /// A call that may rightly be unanswered for a while.
    async fn long_poll<T>(
        &self,
        answer: impl Future<Output = Result<T, ServiceError>>,
    ) -> Result<T, ServiceError> {
        let began = Instant::now();
        let mut answer = std::pin::pin!(answer);
        let in_time = tokio::time::timeout(LONG_POLL_IS_LATE, answer.as_mut()).await;
        let call = self.silence.begin(began);
        let result = match in_time {
            Ok(result) => result,
            Err(_) => answer.await,
        };
        call.end(&result);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::service::{GrpcCode, Reason};

    fn lost() -> Result<(), ServiceError> {
        Err(ServiceError {
            class: ErrorClass::Unanswered,
            code: GrpcCode::Unavailable,
            reason: Reason::ConnectionLost,
            message: "gone".to_owned(),
            cause: None,
            scope: None,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn silence_begins_with_a_question_and_ends_with_an_answer() {
        let silence = Silence::new(Duration::from_secs(60));
        let second = Duration::from_secs(1);
        tokio::time::advance(second * 9).await;
        assert_eq!(silence.lasts(), None, "nothing was asked");
        let first = silence.begin(Instant::now());
        tokio::time::advance(second).await;
        let second_call = silence.begin(Instant::now());
        tokio::time::advance(second).await;
        assert_eq!(silence.lasts(), Some(second * 2));
        first.end(&Ok(()));
        assert_eq!(silence.lasts(), Some(Duration::ZERO), "one is under way");
        second_call.end(&lost());
        tokio::time::advance(second * 3).await;
        assert_eq!(silence.lasts(), Some(second * 3), "none is, and it failed");
        assert_eq!(
            silence.error().map(|it| it.message),
            Some("gone".to_owned())
        );
        drop(silence.begin(Instant::now()));
        assert_eq!(
            silence.lasts(),
            Some(second * 3),
            "a dropped call is no answer"
        );
        silence.begin(Instant::now()).end(&Ok(()));
        assert_eq!(silence.lasts(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_told_again_and_given_up() {
        let silence = Silence::new(Duration::from_secs(30));
        let (sender, mut receiver) = mpsc::channel(8);
        let call = silence.begin(Instant::now());
        let mut told = Vec::new();
        let listening = async {
            while told.len() < 3 {
                if let Some(Event::AnswersMissed(missed)) = receiver.recv().await {
                    told.push(missed.silent_ms / 1000);
                }
            }
            assert!(!silence.gave_up().is_cancelled());
            silence.gave_up().cancelled().await;
            call.end(&Ok(()));
            receiver.recv().await
        };
        let resumed = tokio::select! {
            never = silence.watch(&sender) => match never {},
            resumed = listening => resumed,
        };
        assert!(
            matches!(resumed, Some(Event::AnswersResumed(_))),
            "{resumed:?}"
        );
        assert_eq!(told, [5, 15, 25]);
    }
}
