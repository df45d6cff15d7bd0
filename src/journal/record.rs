//! The lines of a journal.
//!
//! They are meant to last. A line says what it is in `line`. Who reads a journal of a version that he
//! knows passes over fields that he does not know, and over lines that he does not know if they say
//! `"optional": true`; without it such a line may hold what he must know, and he reads no further. What
//! changes the meaning of what there is has another version.

use std::borrow::Cow;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::table::Column;
use crate::run::event::{
    ApplyFinished, ApplyStarted, Event, PaceChanged, StartFinished, WorkflowEnd, WorkflowEnded,
    WorkflowOpen,
};

/// The version of the line format that this program writes, and the only one it reads.
pub const VERSION: u32 = 3;

/// What a line is in a file: the line itself and, as its last field, its check sum.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "temporal-manifest journal line", extend("$id" = "urn:temporal-manifest:journal:v3"))]
pub struct Sealed {
    /// What the line says.
    #[serde(flatten)]
    line: JournalLine<'static>,
    /// XXH3 (64 bits, no seed) of the line's bytes before `,"xxh3":`, in 16 hexadecimal digits.
    #[schemars(regex(pattern = "^[0-9a-f]{16}$"))]
    xxh3: String,
}

/// One line of a journal. Never an argument, memo, header or secret.
///
/// A reader passes over fields that it does not know, and over lines that it does not know if they say
/// `"optional": true`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "line", rename_all = "camelCase")]
pub enum JournalLine<'e> {
    /// The first line: what the journal is about, and how the first invocation begins. Synced to disk
    /// before the first call.
    Header(Cow<'e, JournalHeader>),
    /// Another invocation goes on with the journal. Synced to disk before its first call.
    Resumed(Cow<'e, Resumed>),
    /// A start has its outcome. Of several lines for one start the last one counts.
    Start(Cow<'e, StartFinished>),
    /// The service throttled, and all starts slowed down.
    Pace(Cow<'e, PaceChanged>),
    /// A Workflow that was waited for has ended.
    Workflow(Cow<'e, WorkflowEnded>),
    /// A Workflow is not waited for any longer, and was not seen to end. A later line says more.
    Open(Cow<'e, WorkflowOpen>),
    /// An invocation has ended, and its reports are written. The last line of each; absent if it was
    /// killed or goes on still.
    Finished(Cow<'e, InvocationEnd>),
    /// A line of a later program.
    #[serde(other, skip_serializing)]
    #[schemars(skip)]
    Other,
}

/// What a journal is about, and how the invocation began that it was last written by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JournalHeader {
    /// Version of the line format.
    pub version: u32,
    /// SHA-256 over all starts, in order: a changed manifest has another one.
    pub digest: String,
    /// ID of the namespace, which no other cluster's has; absent if the service did not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_id: Option<String>,
    /// What gives the outcomes their meaning.
    pub settings: OutcomeSettings,
    /// The invocation, its service and its inputs.
    pub apply: ApplyStarted,
}

impl JournalHeader {
    /// What holds from where an invocation has gone on.
    pub(super) fn go_on(&mut self, resumed: Resumed) {
        let Resumed {
            namespace_id,
            settings,
            apply,
        } = resumed;
        self.namespace_id = self.namespace_id.take().or(namespace_id);
        self.settings = settings;
        self.apply = apply;
    }
}

/// What gives the outcomes of an apply their meaning, beside its starts. Who goes on with its journal
/// keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutcomeSettings {
    /// Whether every start whose Workflow exists already counts as failed. Default: no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fail_existing: bool,
    /// Most starts that may fail before no further one is made. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_failures: Option<u64>,
    /// Whether Workflows are waited for. Default: no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wait: bool,
    /// Longest time to wait after the last start, in milliseconds. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_timeout_ms: Option<u64>,
    /// Whether results are left out. Default: no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hide_results: bool,
}

/// An invocation goes on with a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resumed {
    /// ID of the namespace, if the service told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_id: Option<String>,
    /// What gives the outcomes from here on their meaning.
    pub settings: OutcomeSettings,
    /// The invocation, its service and its inputs.
    pub apply: ApplyStarted,
}

impl From<JournalHeader> for Resumed {
    fn from(header: JournalHeader) -> Self {
        let JournalHeader {
            // What the journal is about stays.
            version: _,
            digest: _,
            namespace_id,
            settings,
            apply,
        } = header;
        Resumed {
            namespace_id,
            settings,
            apply,
        }
    }
}

/// An invocation has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvocationEnd {
    /// ID of the invocation.
    pub invocation_id: String,
    /// When and why.
    #[serde(flatten)]
    pub apply: ApplyFinished,
}

impl<'e> JournalLine<'e> {
    /// The line for an event, if the event belongs into a journal. Copies nothing.
    pub(super) fn of(event: &'e Event) -> Option<Self> {
        match event {
            Event::StartFinished(finished) => Some(JournalLine::Start(Cow::Borrowed(finished))),
            Event::WorkflowEnded(ended) => Some(JournalLine::Workflow(Cow::Borrowed(ended))),
            Event::WorkflowOpen(open) => Some(JournalLine::Open(Cow::Borrowed(open))),
            Event::PaceChanged(changed) => Some(JournalLine::Pace(Cow::Borrowed(changed))),
            // The first and the last event are written by who knows more.
            Event::ApplyStarted(_)
            | Event::AttemptFailed(_)
            | Event::AnswersMissed(_)
            | Event::AnswersResumed(_)
            | Event::QueueUnserved(_)
            | Event::ApplyFinished(_) => None,
        }
    }

    /// The start that it is about.
    pub(super) fn index(&self) -> Option<u64> {
        self.place().map(|(index, _)| index)
    }

    /// Where the table notes it, if it is about a start.
    pub(super) fn place(&self) -> Option<(u64, Column)> {
        match self {
            JournalLine::Start(finished) => Some((finished.index, Column::Outcome)),
            JournalLine::Workflow(ended) => Some((ended.index, Column::End)),
            JournalLine::Open(open) => Some((open.index, Column::End)),
            JournalLine::Header(_)
            | JournalLine::Resumed(_)
            | JournalLine::Pace(_)
            | JournalLine::Finished(_)
            | JournalLine::Other => None,
        }
    }

    /// When it was written, as far as it says so.
    pub(super) fn at(&self) -> Option<Timestamp> {
        match self {
            JournalLine::Header(header) => Some(header.apply.at),
            JournalLine::Resumed(resumed) => Some(resumed.apply.at),
            JournalLine::Start(finished) => Some(finished.at),
            JournalLine::Pace(changed) => Some(changed.at),
            JournalLine::Workflow(ended) => ended.workflow.at,
            JournalLine::Open(open) => open.workflow.at,
            JournalLine::Finished(finished) => Some(finished.apply.at),
            JournalLine::Other => None,
        }
    }
}

/// What a journal says of a start.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Its outcome.
    pub start: StartFinished,
    /// What is known of its Workflow, if that was waited for.
    pub end: Option<RecordedEnd>,
}

/// What a journal says of a Workflow that was waited for.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedEnd {
    /// The run that was waited for last.
    pub run_id: String,
    /// What came of it.
    pub workflow: WorkflowEnd,
}

impl Recorded {
    /// For a start whose Workflow was to be waited for: if no line tells what became of it, it was
    /// not seen to end, because the program was killed before.
    pub fn end_unseen(&mut self) {
        if let (None, Some(run_id)) = (&self.end, self.start.run_to_wait_for()) {
            self.end = Some(RecordedEnd {
                run_id: run_id.to_owned(),
                workflow: WorkflowEnd::unseen(),
            });
        }
    }

    /// The events that it was made of.
    pub fn into_events(self) -> impl Iterator<Item = Event> {
        let Recorded { start, end } = self;
        let ended = end.map(|RecordedEnd { run_id, workflow }| {
            let workflow_id = start.workflow_id.as_str().into();
            Event::of_workflow(start.index, workflow_id, run_id, workflow)
        });
        std::iter::once(Event::StartFinished(start)).chain(ended)
    }
}

impl RecordedEnd {
    /// What a line says of the Workflow of a start; `None` if it is about something else.
    pub(super) fn of(line: JournalLine<'_>, start: u64) -> Option<Self> {
        let (index, run_id, workflow) = match line {
            JournalLine::Workflow(ended) => {
                let WorkflowEnded {
                    index,
                    // The start has it.
                    workflow_id: _,
                    run_id,
                    workflow,
                } = ended.into_owned();
                (index, run_id, workflow)
            }
            JournalLine::Open(open) => {
                let WorkflowOpen {
                    index,
                    workflow_id: _,
                    run_id,
                    workflow,
                } = open.into_owned();
                (index, run_id, workflow)
            }
            _ => return None,
        };
        (index == start).then_some(RecordedEnd { run_id, workflow })
    }
}

/// One start in a report and, if it was waited for, its Workflow's end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StartRecord {
    /// The start.
    #[serde(flatten)]
    pub start: StartFinished,
    /// The Workflow's end, with `--wait`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<WorkflowEnd>,
}

impl From<Recorded> for StartRecord {
    fn from(recorded: Recorded) -> Self {
        let Recorded { start, end } = recorded;
        let workflow = end.map(|end| {
            let RecordedEnd {
                // A report names the run that was begun.
                run_id: _,
                workflow,
            } = end;
            workflow
        });
        StartRecord { start, workflow }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::event::WorkflowStatus;
    use serde_json::json;

    /// What is written of an event is what is read, whatever it holds.
    #[test]
    fn an_event_is_read_as_it_was_written() {
        let start = json!({
            "index": 7, "at": "1970-01-01T00:00:00Z", "name": "nämé \"\u{1f600}",
            "source": {"file": "a.yaml", "line": 3}, "workflowId": "one", "runId": "run",
            "firstRunId": "first", "type": "T", "taskQueue": "q", "requestId": "r",
            "outcome": "failed", "attempts": 1, "throttled": 2, "latencyMs": 0.25, "cron": true,
            "error": {"code": "INTERNAL", "reason": "internal", "message": "a\nb", "retryable": true}
        });
        let start: StartFinished = serde_json::from_value(start).expect("it is an outcome");
        let end = |status, result| WorkflowEnd {
            status,
            result,
            at: Some(Timestamp::UNIX_EPOCH),
            failure: None,
            close_time: Some(Timestamp::UNIX_EPOCH),
        };
        let changed = PaceChanged {
            at: Timestamp::UNIX_EPOCH,
            starts_per_second: 12.5,
            error: start.error.clone().expect("it has one"),
        };
        let of = |end| Event::of_workflow(7, "one".into(), "run".to_owned(), end);
        let result = Some(json!({"b": [1, null], "a": "x"}));
        for event in [
            Event::StartFinished(start),
            Event::PaceChanged(changed),
            of(end(WorkflowStatus::Completed, result)),
            of(end(WorkflowStatus::Running, None)),
            of(WorkflowEnd::unseen()),
        ] {
            let line = JournalLine::of(&event).expect("the event belongs into a journal");
            let text = serde_json::to_string(&line).expect("a line can be written");
            let read: JournalLine<'_> = serde_json::from_str(&text).expect("a line can be read");
            assert_eq!(read, line);
        }
    }
}
