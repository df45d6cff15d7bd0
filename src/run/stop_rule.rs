//! When no further start is made: too many have failed, or the service refuses everybody or falls
//! silent.

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::event::{ErrorRecord, Stopped};
use super::service::{ErrorClass, ServiceError};

/// What a start has come to, as far as it bears on further ones.
pub(super) struct StartVerdict {
    /// The error that ended it, if it tells something about starts.
    pub(super) error: Option<ServiceError>,
    /// When its first attempt was made.
    pub(super) began: Instant,
    /// Whether it counts as failed.
    pub(super) failed: bool,
}

/// Decides when no further start is to be made.
pub(super) struct StopRule {
    /// Why no further start is made, once that is so.
    pub(super) stopped: Option<Stopped>,
    last_answer: Instant,
    failures: u64,
    max_failures: Option<u64>,
}

impl StopRule {
    /// A rule for starts of which so many may fail; `None` is all of them.
    pub(super) fn new(max_failures: Option<u64>) -> Self {
        StopRule {
            stopped: None,
            last_answer: Instant::now(),
            failures: 0,
            max_failures,
        }
    }

    /// Takes in what a start came to, and cancels `halt` if it was the last straw.
    pub(super) fn hear(&mut self, heard: &StartVerdict, halt: &CancellationToken) {
        self.failures += u64::from(heard.failed);
        let stopped = match &heard.error {
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
        let stopped = stopped.or(too_many.then_some(Stopped::Failures {
            count: self.failures,
        }));
        // What comes after a stop, the user's included, did not cause it.
        if stopped.is_some() && !halt.is_cancelled() {
            self.stopped = stopped;
            halt.cancel();
        }
    }
}
