//! Of one start: its attempts, and what came of it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error_record::ErrorRecord;
use crate::expand::start::SourceLine;

/// An attempt failed and is followed by another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptFailed {
    /// Position of the start in the apply, from 0.
    pub index: u64,
    /// Its Workflow ID.
    pub workflow_id: String,
    /// Number of the attempt, from 1: each is one try, of one or more calls.
    pub attempt: u32,
    /// Why it failed.
    pub error: ErrorRecord,
    /// Milliseconds until the next attempt.
    pub retry_in_ms: u64,
}

/// A start has its outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StartFinished {
    /// Position of the start in the apply, from 0.
    pub index: u64,
    /// When its outcome was known, on this machine's clock.
    pub at: Timestamp,
    /// The name that the manifest gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The line of the manifest, and the row, that it comes from.
    pub source: SourceLine,
    /// Its Workflow ID.
    pub workflow_id: String,
    /// The run that has the Workflow ID as far as this start knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// The first run of that run's chain, if it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_run_id: Option<String>,
    /// Workflow type name.
    #[serde(rename = "type")]
    pub workflow_type: String,
    /// Task Queue name.
    pub task_queue: String,
    /// Request ID of every attempt.
    pub request_id: String,
    /// What came of it.
    pub outcome: Outcome,
    /// For `existing`: whether that run was running or closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing_state: Option<ExistingState>,
    /// Attempts that were made; each one is one or more calls.
    pub attempts: u32,
    /// How many of them the service throttled.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub throttled: u32,
    /// Milliseconds from the first attempt to the outcome.
    pub latency_ms: f64,
    /// Why it counts as failed. Absent for a start that is in the wanted state, and for `skipped`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorRecord>,
    /// Whether a cron schedule begins the Workflow again and again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cron: bool,
}

impl StartFinished {
    /// The run that `--wait` waits for; `None` if there is none.
    pub fn run_to_wait_for(&self) -> Option<&str> {
        let has_run = matches!(
            self.outcome,
            Outcome::Started | Outcome::Deduplicated | Outcome::Existing
        );
        self.run_id.as_deref().filter(|_| has_run)
    }
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// What came of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// This invocation began a new run.
    Started,
    /// An earlier invocation with this key had begun it.
    Deduplicated,
    /// A run was there, and the policies said to leave it.
    Existing,
    /// Refused, and will be refused again.
    Failed,
    /// No answer in time; it may have started.
    Unknown,
    /// Not tried.
    Skipped,
}

impl Outcome {
    /// The outcome as reports spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Started => "started",
            Outcome::Deduplicated => "deduplicated",
            Outcome::Existing => "existing",
            Outcome::Failed => "failed",
            Outcome::Unknown => "unknown",
            Outcome::Skipped => "skipped",
        }
    }
}

/// State of a run that was there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ExistingState {
    /// It was open.
    Running,
    /// It had ended.
    Closed,
}
