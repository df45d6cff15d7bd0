//! The result of an apply for people: what deserves a look, and a line that hides nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::rows::{Failures, Group, Row};
use super::summary::Summary;
use crate::run::event::{
    ErrorRecord, Event, GrpcCode, Outcome, Stopped, WorkflowEnded, WorkflowOpen, WorkflowStatus,
};
use crate::visible::{Page, visible, visible_to};

/// Up to this many starts, every one is shown; beyond, only what is not plain success.
const SHOW_ALL_UP_TO: u64 = 25;

/// Longest result and message in a row, in characters.
pub(super) const MAX_TEXT: usize = 300;

/// Longest name in a row that somebody else gives, such as a run ID or the type of a failure.
pub(super) const MAX_NAME: usize = 200;

/// Widest column of Workflow IDs, in columns; longer IDs push the rest of their row to the right.
const MAX_ID_WIDTH: usize = 44;

/// Collects what the final table shows.
#[derive(Debug)]
pub struct Table {
    /// What came to a good end, if every start is shown.
    rows: BTreeMap<u64, Row>,
    failures: Failures,
    /// Starts whose Workflows may still fail: their rows, until then.
    pending: BTreeMap<u64, Row>,
    most_pending: usize,
    show_all: bool,
}

impl Table {
    /// An empty table for an apply of `total` starts. `waits` says whether Workflows end long after
    /// their starts; otherwise a Workflow's end follows its start at once, if at all.
    pub fn new(total: Option<u64>, waits: bool) -> Self {
        let show_all = total.is_some_and(|total| total <= SHOW_ALL_UP_TO);
        Table {
            rows: BTreeMap::new(),
            failures: Failures::default(),
            pending: BTreeMap::new(),
            most_pending: if waits { usize::MAX } else { 1 },
            show_all,
        }
    }

    /// Takes an event in.
    pub fn take(&mut self, event: &Event) {
        match event {
            // What was skipped has one reason, which the last line gives.
            Event::StartFinished(finished) if finished.outcome == Outcome::Skipped => {}
            Event::StartFinished(finished) => {
                let row = Row::of(finished);
                if finished.error.is_some() {
                    self.failures.add(finished.index, row);
                } else if self.show_all {
                    self.rows.insert(finished.index, row);
                } else {
                    self.pending.insert(finished.index, row);
                    if self.pending.len() > self.most_pending {
                        self.pending.pop_first();
                    }
                }
            }
            Event::WorkflowEnded(WorkflowEnded {
                index,
                workflow_id,
                workflow,
                ..
            })
            | Event::WorkflowOpen(WorkflowOpen {
                index,
                workflow_id,
                workflow,
                ..
            }) => {
                let row = self.rows.remove(index);
                let mut row = row
                    .or_else(|| self.pending.remove(index))
                    .unwrap_or_default();
                row.workflow_id = visible(workflow_id).into_owned();
                row.end(workflow);
                if workflow.status != WorkflowStatus::Completed {
                    self.failures.add(*index, row);
                } else if self.show_all {
                    self.rows.insert(*index, row);
                }
            }
            _ => {}
        }
    }

    /// The table and the summary, for a terminal of so many columns if there is one.
    pub fn render(
        &self,
        summary: &Summary,
        took: Duration,
        color: bool,
        columns: Option<usize>,
    ) -> Page {
        let mut page = Page::new(color);
        let mut parts: BTreeMap<u64, Vec<&Row>> = BTreeMap::new();
        parts.extend(self.rows.iter().map(|(index, row)| (*index, vec![row])));
        parts.extend(self.failures.few());
        let width = parts
            .values()
            .flatten()
            .map(|row| console::measure_text_width(&row.workflow_id))
            .max()
            .unwrap_or(0)
            .min(MAX_ID_WIDTH);
        let groups: BTreeMap<u64, &Group> = self.failures.many().collect();
        let mut order: Vec<u64> = parts.keys().chain(groups.keys()).copied().collect();
        order.sort_unstable();
        for index in order {
            for row in parts.get(&index).into_iter().flatten() {
                row.render(&mut page, width, columns);
            }
            if let Some(group) = groups.get(&index) {
                group.render(&mut page);
            }
        }
        if self.failures.hidden > 0 {
            page.line(&format!(
                "… and {} more; `-o json` lists all of them",
                self.failures.hidden
            ));
        }
        if !page.is_empty() {
            page.line("");
        }
        let starts = if summary.total == 1 {
            "start"
        } else {
            "starts"
        };
        let words = summary.starts_in_words();
        let took = seconds(took);
        page.line(&format!("{} {starts}: {words} in {took}", summary.total));
        if let Some(workflows) = &summary.workflows {
            page.line(&format!("workflows: {}", workflows.in_words()));
        }
        if summary.existing_failed > 0 {
            page.line(&format!(
                "{} existing count as failed, as failExisting says",
                summary.existing_failed
            ));
        }
        page
    }
}

/// An error on one line.
pub(super) fn error_line(error: &ErrorRecord) -> String {
    let cause = error
        .cause
        .map(|cause| format!(" ({})", cause.as_str()))
        .unwrap_or_default();
    let code = error.code.as_str();
    format!("{code}{cause}: {}", visible_to(&error.message, MAX_TEXT))
}

/// Why an apply with this summary ended early, as a sentence.
pub fn reason(stopped: &Stopped, summary: &Summary) -> String {
    match stopped {
        Stopped::Interrupt { signal: 1 } => cut_short("hung up", summary),
        Stopped::Interrupt { signal: 15 } => cut_short("terminated", summary),
        Stopped::Interrupt { .. } => cut_short("interrupted", summary),
        Stopped::Failures { count } => {
            format!("no further starts were made, because {count} had failed (--max-failures)")
        }
        Stopped::Timeout => cut_short("the command timeout passed", summary),
        Stopped::NoConnection { message, .. } => format!("no starts were made: {message}"),
        Stopped::Refusal { error } => {
            format!(
                "no further starts were made, because each would be refused: {}",
                error_line(error)
            )
        }
        Stopped::Silence { error } => {
            format!(
                "no further starts were made, because the service {}: {}",
                if error.code == GrpcCode::ResourceExhausted {
                    "refused everything for as long as a start is tried (--retry-for)"
                } else {
                    "stopped answering"
                },
                error_line(error)
            )
        }
        Stopped::NotWritten { message } => {
            format!("no further starts were made: cannot write to {message}")
        }
        Stopped::Input { message } => format!("no further starts were made: {message}"),
    }
}

/// What was left undone by something that has nothing to do with the starts.
fn cut_short(by: &str, summary: &Summary) -> String {
    let undone = if summary.skipped > 0 || summary.unknown > 0 {
        "no further starts were made"
    } else if summary.workflows.is_some() {
        "every start was made, and their Workflows are not waited for any longer"
    } else {
        "every start was made"
    };
    format!("{by}: {undone}")
}

/// What to do about an apply that ended early, if that is known.
pub fn help(stopped: &Stopped) -> Option<&str> {
    match stopped {
        Stopped::NoConnection { help, .. } => help.as_deref(),
        _ => None,
    }
}

/// A duration as people read it.
pub fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        total => format!("{} min {} s", total / 60, total % 60),
    }
}
