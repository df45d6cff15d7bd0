//! Events as lines of a log, for those who look into a long or a strange apply.
//!
//! Says which call came to what and never what was sent: no arguments, results or metadata.

use std::io;

use tracing::{debug, info, warn};

use super::ending::Ending;
use super::replay::Replay;
use super::reporter::Reporter;
use crate::run::event::{Event, Outcome, ThrottleCause, ThrottleScope};

/// Writes events to the log.
#[derive(Clone, Copy, Debug)]
pub struct Log;

impl Reporter for Log {
    fn name(&self) -> String {
        "the log".to_owned()
    }

    fn hear(&mut self, event: &Event) -> io::Result<()> {
        log(event);
        Ok(())
    }

    fn finish(&mut self, _: &Ending, _: &mut Replay) -> io::Result<()> {
        Ok(())
    }
}

/// Logs an event: failures as warnings, the apply itself as information, all else for debugging.
fn log(event: &Event) {
    match event {
        Event::ApplyStarted(started) => {
            let service = &started.service;
            info!(
                invocation = started.invocation.id,
                address = service.address,
                namespace = service.namespace,
                server_version = service.server_version.as_deref().unwrap_or("unknown"),
                total = started.total,
                "apply started"
            );
        }
        Event::AttemptFailed(failed) => warn!(
            index = failed.index,
            workflow_id = failed.workflow_id,
            attempt = failed.attempt,
            code = failed.error.code.as_str(),
            reason = failed.error.reason.as_str(),
            error = failed.error.message,
            retry_in_ms = failed.retry_in_ms,
            "attempt failed"
        ),
        Event::PaceChanged(changed) => info!(
            starts_per_second = changed.starts_per_second,
            cause = changed.error.cause.map(ThrottleCause::as_str),
            scope = changed.error.scope.map(ThrottleScope::as_str),
            "slowed down"
        ),
        Event::AnswersMissed(missed) => warn!(
            silent_ms = missed.silent_ms,
            code = missed.error.as_ref().map(|error| error.code.as_str()),
            reason = missed.error.as_ref().map(|error| error.reason.as_str()),
            "no answer"
        ),
        Event::AnswersResumed(resumed) => {
            info!(silent_ms = resumed.silent_ms, "the service answers again");
        }
        Event::QueueUnserved(unserved) => warn!(
            task_queue = unserved.task_queue,
            workflows = unserved.workflows,
            "nobody polls a task queue"
        ),
        Event::StartFinished(finished) => {
            let (index, workflow_id) = (finished.index, &finished.workflow_id);
            let outcome = finished.outcome.as_str();
            match &finished.error {
                Some(error) => warn!(
                    index,
                    workflow_id,
                    outcome,
                    attempts = finished.attempts,
                    code = error.code.as_str(),
                    reason = error.reason.as_str(),
                    error = error.message,
                    "start finished"
                ),
                None if finished.outcome == Outcome::Skipped => {
                    debug!(index, workflow_id, outcome, "start finished");
                }
                None => debug!(
                    index,
                    workflow_id,
                    outcome,
                    run_id = finished.run_id,
                    attempts = finished.attempts,
                    latency_ms = finished.latency_ms,
                    "start finished"
                ),
            }
        }
        Event::WorkflowEnded(ended) => debug!(
            index = ended.index,
            workflow_id = &*ended.workflow_id,
            run_id = ended.run_id,
            status = ended.workflow.status.as_str(),
            "workflow ended"
        ),
        Event::WorkflowOpen(open) => debug!(
            index = open.index,
            workflow_id = &*open.workflow_id,
            run_id = open.run_id,
            status = open.workflow.status.as_str(),
            "workflow open"
        ),
        Event::ApplyFinished(finished) => {
            info!(early = finished.stopped.is_some(), "apply finished");
        }
    }
}
