//! Events as lines, for programs that read along.

use std::fmt;
use std::io::{self, BufWriter, Write};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::report::ending::Ending;
use crate::report::replay::Replay;
use crate::report::reporter::Reporter;
use crate::report::summary::Summary;
use crate::run::event::{
    AnswersMissed, AnswersResumed, ApplyFinished, ApplyStarted, AttemptFailed, Event, PaceChanged,
    QueueUnserved, StartFinished, Stopped, WorkflowEnded, WorkflowOpen,
};
use crate::visible;

/// Bytes of lines that may wait.
const BUFFER: usize = 64 * 1024;

/// A line: an event, and for the last one what it all came to.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "camelCase")]
#[schemars(title = "temporal-manifest event", extend("$id" = "urn:temporal-manifest:event:v1"))]
pub enum EventLine<'e> {
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
    ApplyFinished(ApplyEnd<'e>),
}

/// The apply is over.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplyEnd<'e> {
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

/// Writes each event as a line, as it happens.
pub struct JsonLinesReport {
    out: BufWriter<Box<dyn Write + Send>>,
    /// What the program ends with.
    exit_code: fn(&Ending) -> u8,
}

impl fmt::Debug for JsonLinesReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLinesReport").finish_non_exhaustive()
    }
}

impl JsonLinesReport {
    /// Lines for standard output. The last one names the exit code that the program ends with.
    pub fn new(out: Box<dyn Write + Send>, exit_code: fn(&Ending) -> u8) -> Self {
        JsonLinesReport {
            out: BufWriter::with_capacity(BUFFER, out),
            exit_code,
        }
    }

    fn write(&mut self, line: EventLine<'_>) -> io::Result<()> {
        let line = serde_json::to_string(&line)?;
        self.out.write_all(visible::json(&line).as_bytes())?;
        self.out.write_all(b"\n")
    }
}

impl Reporter for JsonLinesReport {
    fn name(&self) -> String {
        "standard output".to_owned()
    }

    fn is_vital(&self) -> bool {
        true
    }

    fn hear(&mut self, event: &Event) -> io::Result<()> {
        self.write(match event {
            Event::ApplyStarted(started) => EventLine::ApplyStarted(started),
            Event::AttemptFailed(failed) => EventLine::AttemptFailed(failed),
            Event::PaceChanged(changed) => EventLine::PaceChanged(changed),
            Event::AnswersMissed(missed) => EventLine::AnswersMissed(missed),
            Event::AnswersResumed(resumed) => EventLine::AnswersResumed(resumed),
            Event::QueueUnserved(unserved) => EventLine::QueueUnserved(unserved),
            Event::StartFinished(finished) => EventLine::StartFinished(finished),
            Event::WorkflowEnded(ended) => EventLine::WorkflowEnded(ended),
            Event::WorkflowOpen(open) => EventLine::WorkflowOpen(open),
            // The last line says what the program ends with, which is not known yet.
            Event::ApplyFinished(_) => return Ok(()),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self, ending: &Ending, _: &mut Replay) -> io::Result<()> {
        let ApplyFinished { at, stopped } = &ending.finished;
        self.write(EventLine::ApplyFinished(ApplyEnd {
            at: *at,
            stopped: stopped.as_ref(),
            summary: &ending.summary,
            exit_code: (self.exit_code)(ending),
        }))?;
        self.out.flush()
    }
}
