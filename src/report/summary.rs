//! Counts outcomes.

use schemars::JsonSchema;
use serde::Serialize;

use crate::run::event::{Event, Outcome, WorkflowEnded, WorkflowOpen, WorkflowStatus};

/// What an apply came to, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// All starts.
    pub total: u64,
    /// This invocation began a new run.
    pub started: u64,
    /// An earlier invocation with the same key had begun it.
    pub deduplicated: u64,
    /// A run was there and was left alone.
    pub existing: u64,
    /// Refused.
    pub failed: u64,
    /// No answer in time.
    pub unknown: u64,
    /// Not tried.
    pub skipped: u64,
    /// Attempts of all starts.
    pub attempts: u64,
    /// Attempts that the service throttled.
    pub throttled: u64,
    /// Starts that were tried, over the time of the apply.
    pub starts_per_second: f64,
    /// With `--wait`: how the Workflows ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflows: Option<WorkflowCounts>,
    /// The pace that the service's throttling last came to, in calls per second.
    #[serde(skip)]
    pub pace: Option<f64>,
    /// Existing ones that count as failed.
    #[serde(skip)]
    pub existing_failed: u64,
}

/// How Workflows ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowCounts {
    /// Returned.
    pub completed: u64,
    /// Failed.
    pub failed: u64,
    /// Canceled.
    pub canceled: u64,
    /// Terminated.
    pub terminated: u64,
    /// Timed out.
    pub timed_out: u64,
    /// Still running when the waiting ended, or not seen to end as the apply was killed.
    pub running: u64,
    /// Those of `running` that nobody saw end, because the apply was killed while it waited.
    #[serde(skip)]
    pub unseen: u64,
    /// The service could not tell.
    pub unknown: u64,
}

impl Summary {
    /// Counts an event.
    pub fn count(&mut self, event: &Event) {
        match event {
            Event::StartFinished(finished) => {
                self.total += 1;
                self.attempts += u64::from(finished.attempts);
                self.throttled += u64::from(finished.throttled);
                *match finished.outcome {
                    Outcome::Started => &mut self.started,
                    Outcome::Deduplicated => &mut self.deduplicated,
                    Outcome::Existing => &mut self.existing,
                    Outcome::Failed => &mut self.failed,
                    Outcome::Unknown => &mut self.unknown,
                    Outcome::Skipped => &mut self.skipped,
                } += 1;
                if finished.outcome == Outcome::Existing && finished.error.is_some() {
                    self.existing_failed += 1;
                }
            }
            Event::WorkflowEnded(WorkflowEnded { workflow, .. })
            | Event::WorkflowOpen(WorkflowOpen { workflow, .. }) => {
                let counts = self.workflows.get_or_insert_default();
                *match workflow.status {
                    WorkflowStatus::Completed => &mut counts.completed,
                    WorkflowStatus::Failed => &mut counts.failed,
                    WorkflowStatus::Canceled => &mut counts.canceled,
                    WorkflowStatus::Terminated => &mut counts.terminated,
                    WorkflowStatus::TimedOut => &mut counts.timed_out,
                    WorkflowStatus::Running => &mut counts.running,
                    WorkflowStatus::Unknown => &mut counts.unknown,
                } += 1;
                counts.unseen += u64::from(workflow.at.is_none());
            }
            Event::PaceChanged(changed) => self.pace = Some(changed.starts_per_second),
            Event::ApplyStarted(_)
            | Event::ApplyFinished(_)
            | Event::AttemptFailed(_)
            | Event::AnswersMissed(_)
            | Event::AnswersResumed(_)
            | Event::QueueUnserved(_) => {}
        }
    }

    /// `998 started, 2 failed`; what is zero is left out, but never what was started.
    pub fn starts_in_words(&self) -> String {
        let counts = [
            (self.started, "started"),
            (self.deduplicated, "deduplicated"),
            (self.existing, "existing"),
            (self.failed, "failed"),
            (self.unknown, "unknown"),
            (self.skipped, "skipped"),
        ];
        in_words(counts, "started")
    }
}

impl WorkflowCounts {
    /// Workflows that ended, but not Completed.
    pub fn ended_otherwise(&self) -> u64 {
        self.failed + self.canceled + self.terminated + self.timed_out
    }

    /// `3 completed, 1 failed`; what is zero is left out, but never what was completed.
    pub fn in_words(&self) -> String {
        let counts = [
            (self.completed, "completed"),
            (self.failed, "failed"),
            (self.canceled, "canceled"),
            (self.terminated, "terminated"),
            (self.timed_out, "timed out"),
            (self.running.saturating_sub(self.unseen), "still running"),
            (self.unseen, "not seen to end"),
            (self.unknown, "unknown"),
        ];
        in_words(counts, "completed")
    }
}

fn in_words<const N: usize>(counts: [(u64, &str); N], always: &str) -> String {
    let shown = counts
        .into_iter()
        .filter(|(count, word)| *count > 0 || *word == always);
    shown
        .map(|(count, word)| format!("{count} {word}"))
        .collect::<Vec<_>>()
        .join(", ")
}
