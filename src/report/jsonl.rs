//! Events as lines, for programs that read along.

use std::io::{self, Write};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::summary::Summary;
use crate::run::event::{
    AnswersMissed, AnswersResumed, ApplyFinished, ApplyStarted, AttemptFailed, Event, PaceChanged,
    QueueUnserved, StartFinished, Stopped, WorkflowEnded, WorkflowOpen,
};
use crate::visible;

/// A line: an event, and for the last one what it all came to.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "camelCase")]
#[schemars(title = "temporal-manifest event", extend("$id" = "urn:temporal-manifest:event:v1"))]
pub enum Line<'e> {
    /// The apply begins. Always the first line.
    ApplyStarted(&'e ApplyStarted),
    /// An attempt to start a Workflow failed and is followed by another one.
    AttemptFailed(&'e AttemptFailed),
    /// The service throttles, and all starts slow down together.
    PaceChanged(&'e PaceChanged),
    /// The service does not answer. Again every 10 s while it lasts.
    AnswersMissed(&'e AnswersMissed),
    /// The service answers again.
    AnswersResumed(&'e AnswersResumed),
    /// With `--wait`: nobody polls a Task Queue in which Workflows wait. Once for each.
    QueueUnserved(&'e QueueUnserved),
    /// A start has its outcome. Exactly one for each start.
    StartFinished(&'e StartFinished),
    /// With `--wait`: a Workflow has ended.
    WorkflowEnded(&'e WorkflowEnded),
    /// With `--wait`: a Workflow is not waited for any longer, and was not seen to end.
    WorkflowOpen(&'e WorkflowOpen),
    /// The apply is over. Always the last line.
    ApplyFinished(Finished<'e>),
}

/// The apply is over.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finished<'e> {
    /// When.
    at: Timestamp,
    /// Why it ended before all starts were made, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<&'e Stopped>,
    /// What came of it, in numbers.
    summary: &'e Summary,
    /// The exit code that the program ends with.
    exit_code: u8,
}

/// Writes one event as one line. The last event is left to [`finish`].
///
/// # Errors
/// Writing fails, for example because the reader is gone.
pub fn write(out: impl Write, event: &Event) -> io::Result<()> {
    line(
        out,
        match event {
            Event::ApplyStarted(started) => Line::ApplyStarted(started),
            Event::AttemptFailed(failed) => Line::AttemptFailed(failed),
            Event::PaceChanged(changed) => Line::PaceChanged(changed),
            Event::AnswersMissed(missed) => Line::AnswersMissed(missed),
            Event::AnswersResumed(resumed) => Line::AnswersResumed(resumed),
            Event::QueueUnserved(unserved) => Line::QueueUnserved(unserved),
            Event::StartFinished(finished) => Line::StartFinished(finished),
            Event::WorkflowEnded(ended) => Line::WorkflowEnded(ended),
            Event::WorkflowOpen(open) => Line::WorkflowOpen(open),
            Event::ApplyFinished(_) => return Ok(()),
        },
    )
}

/// Writes the last line, when it is known what the program ends with.
///
/// # Errors
/// Writing fails, for example because the reader is gone.
pub fn finish(
    out: impl Write,
    finished: &ApplyFinished,
    summary: &Summary,
    exit_code: u8,
) -> io::Result<()> {
    let finished = Finished {
        at: finished.at,
        stopped: finished.stopped.as_ref(),
        summary,
        exit_code,
    };
    line(out, Line::ApplyFinished(finished))
}

fn line(mut out: impl Write, line: Line<'_>) -> io::Result<()> {
    let line = serde_json::to_string(&line)?;
    out.write_all(visible::json(&line).as_bytes())?;
    out.write_all(b"\n")
}
