//! The result of an apply for people: what deserves a look, and a line that hides nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use console::Style;

use super::summary::Summary;
use crate::run::event::{
    ErrorRecord, Event, ExistingState, Outcome, StartFinished, Stopped, WorkflowEnd, WorkflowEnded,
    WorkflowOpen, WorkflowStatus,
};
use crate::visible::{Page, visible, visible_to};

/// Up to this many starts, every one is shown; beyond, only what is not plain success.
const SHOW_ALL_UP_TO: u64 = 25;

/// Most rows that are shown.
const MAX_ROWS: usize = 50;

/// Longest result and message in a row, in characters.
const MAX_TEXT: usize = 300;

/// Longest name in a row that somebody else gives, such as a run ID or the type of a failure.
pub(super) const MAX_NAME: usize = 200;

/// Widest column of Workflow IDs, in columns; longer IDs push the rest of their row to the right.
const MAX_ID_WIDTH: usize = 44;

/// Collects what the final table shows.
#[derive(Debug)]
pub struct Table {
    rows: BTreeMap<u64, Row>,
    hidden: u64,
    show_all: bool,
}

#[derive(Debug, Default)]
struct Row {
    outcome: Option<Outcome>,
    workflow_id: String,
    detail: String,
    place: String,
    notes: Vec<String>,
    status: Option<WorkflowStatus>,
}

impl Table {
    /// An empty table for an apply of `total` starts.
    pub fn new(total: Option<u64>) -> Self {
        let show_all = total.is_some_and(|total| total <= SHOW_ALL_UP_TO);
        Table {
            rows: BTreeMap::new(),
            hidden: 0,
            show_all,
        }
    }

    /// Takes an event in.
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::StartFinished(finished) => {
                // What was skipped has one reason, which the last line gives.
                let tried = finished.outcome != Outcome::Skipped;
                let shown = tried && (self.show_all || finished.error.is_some());
                if shown && let Some(row) = self.row(finished.index) {
                    row.fill(finished);
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
                let bad = workflow.status != WorkflowStatus::Completed;
                let shown = self.show_all || bad || self.rows.contains_key(index);
                if shown && let Some(row) = self.row(*index) {
                    row.workflow_id = visible(workflow_id).into_owned();
                    row.end(workflow);
                }
            }
            _ => {}
        }
    }

    fn row(&mut self, index: u64) -> Option<&mut Row> {
        if self.rows.len() >= MAX_ROWS && !self.rows.contains_key(&index) {
            self.hidden += 1;
            return None;
        }
        Some(self.rows.entry(index).or_default())
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
        let widths = self
            .rows
            .values()
            .map(|row| console::measure_text_width(&row.workflow_id));
        let width = widths.max().unwrap_or(0).min(MAX_ID_WIDTH);
        for row in self.rows.values() {
            row.render(&mut page, width, columns);
        }
        if self.hidden > 0 {
            page.line(&format!(
                "… and {} more; `-o json` lists all of them",
                self.hidden
            ));
        }
        if !self.rows.is_empty() {
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

impl Row {
    fn fill(&mut self, finished: &StartFinished) {
        self.outcome = Some(finished.outcome);
        // Widths are those of what is shown.
        self.workflow_id = visible(&finished.workflow_id).into_owned();
        let file = visible_to(&finished.source.file, MAX_TEXT);
        self.place = format!("{file}:{}", finished.source.line);
        let run_id = finished.run_id.as_deref();
        let run_id = run_id.map(|run_id| visible_to(run_id, MAX_NAME));
        self.detail = match (finished.existing_state, run_id) {
            (Some(ExistingState::Running), Some(run_id)) => format!("running run {run_id}"),
            (Some(ExistingState::Closed), Some(run_id)) => format!("closed run {run_id}"),
            (None, Some(run_id)) => format!("run {run_id}"),
            (_, None) => String::new(),
        };
        self.notes.extend(finished.error.as_ref().map(error_line));
    }

    fn end(&mut self, end: &WorkflowEnd) {
        self.status = Some(end.status);
        self.detail = end.status.as_str().to_owned();
        if let Some(result) = &end.result {
            self.detail.push_str("  ");
            self.detail
                .push_str(&visible_to(&result.to_string(), MAX_TEXT));
        }
        for failure in end.failure.iter().flat_map(|failure| failure.chain()) {
            let kind = failure
                .kind
                .as_ref()
                .map(|kind| format!("{}: ", visible_to(kind, MAX_NAME)))
                .unwrap_or_default();
            self.notes
                .push(format!("{kind}{}", visible_to(&failure.message, MAX_TEXT)));
        }
    }

    fn render(&self, page: &mut Page, width: usize, columns: Option<usize>) {
        let outcome = self.outcome.map_or("", Outcome::as_str);
        let ended_well = self
            .status
            .is_none_or(|status| status == WorkflowStatus::Completed);
        let good = self.notes.is_empty() && ended_well;
        let style = if good {
            Style::new().green()
        } else {
            Style::new().red()
        };
        let outcome = format!("{outcome:<13}");
        let padding = width.saturating_sub(console::measure_text_width(&self.workflow_id));
        let row = format!(" {}{:padding$}", self.workflow_id, "");
        let place = if good { "" } else { &self.place };
        let rest = [self.detail.as_str(), place].into_iter();
        let rest: Vec<&str> = rest.filter(|part| !part.is_empty()).collect();
        let whole = format!("{row}  {}", rest.join("  "));
        let length = outcome.len() + console::measure_text_width(&whole);
        if columns.is_none_or(|columns| length <= columns) {
            page.styled(style, &outcome, whole.trim_end());
        } else {
            // A terminal would break the line in the middle of a run ID.
            page.styled(style, &outcome, row.trim_end());
            for part in rest {
                page.line(&format!("{:14}{part}", ""));
            }
        }
        for note in &self.notes {
            page.line(&format!("{:14}{note}", ""));
        }
    }
}

/// An error on one line.
pub(super) fn error_line(error: &ErrorRecord) -> String {
    let cause = error
        .cause
        .as_ref()
        .map(|cause| format!(" ({})", visible_to(cause, MAX_NAME)))
        .unwrap_or_default();
    let code = visible_to(&error.code, MAX_NAME);
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
                if error.code == "RESOURCE_EXHAUSTED" {
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
