//! The lines of a journal.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::run::event::{
    ApplyStarted, Event, PaceChanged, StartFinished, WorkflowEnd, WorkflowEnded,
};

/// The version of the line format that this program writes, and the only one it reads.
pub const VERSION: u32 = 1;

/// One line of a journal. Never an argument, memo, header or secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "line", rename_all = "camelCase")]
#[schemars(title = "temporal-manifest journal line", extend("$id" = "urn:temporal-manifest:journal:v1"))]
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
}

/// What a journal is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// Version of the line format.
    pub version: u32,
    /// SHA-256 over all starts, in order: a changed manifest has another one.
    pub digest: String,
    /// The invocation that began the journal, its service and its inputs.
    pub apply: ApplyStarted,
}

/// An invocation goes on with a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resumed {
    /// When.
    pub at: Timestamp,
    /// ID of the invocation.
    pub invocation_id: String,
}

impl Line {
    /// Whether a line about a start is about one of those that the header counts.
    pub(super) fn fits(&self, header: &Header) -> bool {
        let indices = header.apply.indices();
        match self {
            Line::Start(finished) => finished.index < indices,
            Line::Workflow(ended) => ended.index < indices,
            Line::Header(_) | Line::Resumed(_) | Line::Pace(_) => true,
        }
    }

    /// The line for an event, if the event belongs into a journal.
    pub fn of(event: &Event) -> Option<Line> {
        match event {
            Event::StartFinished(finished) => Some(Line::Start(Box::new(finished.clone()))),
            Event::WorkflowEnded(ended) => Some(Line::Workflow(ended.clone())),
            Event::PaceChanged(changed) => Some(Line::Pace(changed.clone())),
            Event::ApplyStarted(_) | Event::AttemptFailed(_) | Event::ApplyFinished(_) => None,
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
