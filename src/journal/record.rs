//! The lines of a journal.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::table::Column;
use crate::run::event::{
    ApplyStarted, Event, PaceChanged, StartFinished, WorkflowEnd, WorkflowEnded, WorkflowOpen,
    WorkflowStatus,
};

/// The version of the line format that this program writes, and the only one it reads.
pub const VERSION: u32 = 3;

/// What a line is in a file: the line itself and, as its last field, its check sum.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "temporal-manifest journal line", extend("$id" = "urn:temporal-manifest:journal:v3"))]
pub struct Sealed {
    /// What the line says.
    #[serde(flatten)]
    line: Line,
    /// XXH3 (64 bits, no seed) of the line's bytes before `,"xxh3":`, in 16 hexadecimal digits.
    #[schemars(regex(pattern = "^[0-9a-f]{16}$"))]
    xxh3: String,
}

/// One line of a journal. Never an argument, memo, header or secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "line", rename_all = "camelCase")]
pub enum Line {
    /// The first line: what the journal is about. Synced to disk before the first call.
    Header(Box<Header>),
    /// An invocation goes on with the journal.
    Resumed(Resumed),
    /// A start has its outcome. Of several lines for one start the last one counts.
    Start(Box<StartFinished>),
    /// The service throttled, and all starts slowed down.
    Pace(PaceChanged),
    /// A Workflow that was waited for has ended.
    Workflow(WorkflowEnded),
    /// A Workflow is not waited for any longer, and was not seen to end. A later line says more.
    Open(WorkflowOpen),
}

/// What a journal is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// Version of the line format.
    pub version: u32,
    /// SHA-256 over all starts, in order: a changed manifest has another one.
    pub digest: String,
    /// ID of the namespace, which no other cluster's has; absent if the service did not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_id: Option<String>,
    /// What gives the outcomes their meaning.
    pub settings: Settings,
    /// The invocation that began the journal, its service and its inputs.
    pub apply: ApplyStarted,
}

impl Header {
    /// What holds from where an invocation has gone on.
    pub(super) fn go_on(&mut self, resumed: &Resumed) {
        self.settings.clone_from(&resumed.settings);
        if self.namespace_id.is_none() {
            self.namespace_id.clone_from(&resumed.namespace_id);
        }
    }
}

/// What gives the outcomes of an apply their meaning, beside its starts. Who goes on with its journal
/// keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
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
    /// When.
    pub at: Timestamp,
    /// ID of the invocation.
    pub invocation_id: String,
    /// ID of the namespace, if the service told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_id: Option<String>,
    /// What gives the outcomes from here on their meaning.
    pub settings: Settings,
}

impl Line {
    /// The start that it is about.
    pub(super) fn index(&self) -> Option<u64> {
        self.place().map(|(index, _)| index)
    }

    /// Where the table notes it, if it is about a start.
    pub(super) fn place(&self) -> Option<(u64, Column)> {
        match self {
            Line::Start(finished) => Some((finished.index, Column::Outcome)),
            Line::Workflow(ended) => Some((ended.index, Column::End)),
            Line::Open(open) => Some((open.index, Column::End)),
            Line::Header(_) | Line::Resumed(_) | Line::Pace(_) => None,
        }
    }
}

/// An event as the line that it is written as. Reads as the [`Line`] of the same name, and copies
/// nothing of the event.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "line", rename_all = "camelCase")]
pub(super) enum Written<'e> {
    Start(&'e StartFinished),
    Pace(&'e PaceChanged),
    Workflow(&'e WorkflowEnded),
    Open(&'e WorkflowOpen),
}

impl<'e> Written<'e> {
    /// The line for an event, if the event belongs into a journal.
    pub(super) fn of(event: &'e Event) -> Option<Self> {
        match event {
            Event::StartFinished(finished) => Some(Written::Start(finished)),
            Event::WorkflowEnded(ended) => Some(Written::Workflow(ended)),
            Event::WorkflowOpen(open) => Some(Written::Open(open)),
            Event::PaceChanged(changed) => Some(Written::Pace(changed)),
            Event::ApplyStarted(_)
            | Event::AttemptFailed(_)
            | Event::AnswersMissed(_)
            | Event::AnswersResumed(_)
            | Event::QueueUnserved(_)
            | Event::ApplyFinished(_) => None,
        }
    }

    /// Where the table notes it, if it is about a start.
    pub(super) fn place(&self) -> Option<(u64, Column)> {
        match self {
            Written::Start(finished) => Some((finished.index, Column::Outcome)),
            Written::Workflow(ended) => Some((ended.index, Column::End)),
            Written::Open(open) => Some((open.index, Column::End)),
            Written::Pace(_) => None,
        }
    }
}

/// One start and, if it was waited for, its Workflow's end.
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

impl StartRecord {
    /// For a start whose Workflow was to be waited for: if no line tells what became of it, it was
    /// not seen to end, because the program was killed before.
    pub fn end_unseen(&mut self) {
        if self.workflow.is_none() && self.start.run_to_wait_for().is_some() {
            self.workflow = Some(WorkflowEnd {
                status: WorkflowStatus::Running,
                at: None,
                result: None,
                failure: None,
                close_time: None,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::event::{ErrorRecord, GrpcCode, Outcome, Reason, ThrottleCause};
    use serde_json::json;

    fn start(value: serde_json::Value) -> StartFinished {
        serde_json::from_value(value).expect("it is a start's outcome")
    }

    #[test]
    fn what_is_written_is_the_line_that_is_read_byte_for_byte() {
        let plain = start(json!({
            "index": 7, "at": "1970-01-01T00:00:00Z", "source": {"file": "a.yaml", "line": 3}, "workflowId": "one",
            "type": "T", "taskQueue": "q", "requestId": "r", "outcome": "started",
            "attempts": 1, "latencyMs": 0.25
        }));
        let full = StartFinished {
            name: Some("nämé \"\u{1f600}".to_owned()),
            run_id: Some("run".to_owned()),
            first_run_id: Some("first".to_owned()),
            outcome: Outcome::Failed,
            throttled: 2,
            error: Some(ErrorRecord {
                code: GrpcCode::Internal,
                reason: Reason::Internal,
                message: "a\nb".to_owned(),
                cause: Some(ThrottleCause::RpsLimit),
                scope: None,
                retryable: true,
            }),
            cron: true,
            ..plain.clone()
        };
        let changed = PaceChanged {
            at: Timestamp::UNIX_EPOCH,
            starts_per_second: 12.5,
            error: full.error.clone().expect("it was just given one"),
        };
        let ended = WorkflowEnded {
            index: 7,
            workflow_id: "one".into(),
            run_id: "run".to_owned(),
            workflow: WorkflowEnd {
                status: WorkflowStatus::Completed,
                at: Some(Timestamp::UNIX_EPOCH),
                result: Some(json!({"b": [1, null], "a": "x"})),
                failure: None,
                close_time: Some(Timestamp::UNIX_EPOCH),
            },
        };
        let open = WorkflowOpen {
            index: 8,
            workflow_id: "two".into(),
            run_id: "run".to_owned(),
            workflow: WorkflowEnd {
                status: WorkflowStatus::Running,
                at: None,
                result: None,
                failure: None,
                close_time: None,
            },
        };
        let table = [
            (
                Event::StartFinished(plain.clone()),
                Line::Start(Box::new(plain)),
            ),
            (
                Event::StartFinished(full.clone()),
                Line::Start(Box::new(full)),
            ),
            (Event::PaceChanged(changed.clone()), Line::Pace(changed)),
            (Event::WorkflowEnded(ended.clone()), Line::Workflow(ended)),
            (Event::WorkflowOpen(open.clone()), Line::Open(open)),
        ];
        for (event, line) in table {
            let written = Written::of(&event).expect("the event belongs into a journal");
            let text = serde_json::to_string(&written).expect("a line can be written");
            let same = serde_json::to_string(&line).expect("a line can be written");
            assert_eq!(text, same);
            let read: Line = serde_json::from_str(&text).expect("a line can be read");
            assert_eq!(read, line);
        }
    }
}
