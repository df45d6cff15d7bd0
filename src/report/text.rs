//! The result of an apply for people: what deserves a look, and a line that hides nothing.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use console::Style;

use super::summary::Summary;
use crate::run::event::{
    ErrorRecord, Event, ExistingState, Outcome, StartFinished, Stopped, WorkflowEnd, WorkflowEnded,
    WorkflowOpen, WorkflowStatus,
};

/// Up to this many starts, every one is shown; beyond, only what is not plain success.
const SHOW_ALL_UP_TO: u64 = 25;

/// Most rows that are shown.
const MAX_ROWS: usize = 50;

/// Longest result and message in a row, in characters.
const MAX_TEXT: usize = 300;

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
                    row.workflow_id = workflow_id.to_string();
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

    /// The table and the summary as text, for a terminal of so many columns if there is one.
    pub fn render(
        &self,
        summary: &Summary,
        took: Duration,
        color: bool,
        columns: Option<usize>,
    ) -> String {
        let mut text = String::new();
        let widths = self
            .rows
            .values()
            .map(|row| console::measure_text_width(&row.workflow_id));
        let width = widths.max().unwrap_or(0).min(MAX_ID_WIDTH);
        for row in self.rows.values() {
            row.render(&mut text, width, color, columns);
        }
        if self.hidden > 0 {
            line(
                &mut text,
                format_args!("… and {} more; `-o json` lists all of them", self.hidden),
            );
        }
        if !self.rows.is_empty() {
            text.push('\n');
        }
        let starts = if summary.total == 1 {
            "start"
        } else {
            "starts"
        };
        let words = summary.starts_in_words();
        line(
            &mut text,
            format_args!("{} {starts}: {words} in {}", summary.total, seconds(took)),
        );
        if let Some(workflows) = &summary.workflows {
            line(
                &mut text,
                format_args!("workflows: {}", workflows.in_words()),
            );
        }
        if summary.existing_failed > 0 {
            line(
                &mut text,
                format_args!(
                    "{} existing count as failed, as failExisting says",
                    summary.existing_failed
                ),
            );
        }
        text
    }
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    writeln!(text, "{arguments}").expect("writing to a string cannot fail");
}

impl Row {
    fn fill(&mut self, finished: &StartFinished) {
        self.outcome = Some(finished.outcome);
        self.workflow_id.clone_from(&finished.workflow_id);
        self.place = format!("{}:{}", finished.source.file, finished.source.line);
        self.detail = match (finished.existing_state, &finished.run_id) {
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
            self.detail.push_str(&shorten(&result.to_string()));
        }
        for failure in end.failure.iter().flat_map(|failure| failure.chain()) {
            let kind = failure
                .kind
                .as_ref()
                .map(|kind| format!("{kind}: "))
                .unwrap_or_default();
            self.notes
                .push(format!("{kind}{}", shorten(&failure.message)));
        }
    }

    fn render(&self, text: &mut String, width: usize, color: bool, columns: Option<usize>) {
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
        let outcome = style
            .force_styling(color)
            .apply_to(format!("{outcome:<13}"));
        let padding = width.saturating_sub(console::measure_text_width(&self.workflow_id));
        let row = format!("{outcome} {}{:padding$}", self.workflow_id, "");
        let place = if good { "" } else { &self.place };
        let rest = [self.detail.as_str(), place].into_iter();
        let rest: Vec<&str> = rest.filter(|part| !part.is_empty()).collect();
        let whole = format!("{row}  {}", rest.join("  "));
        if columns.is_none_or(|columns| console::measure_text_width(&whole) <= columns) {
            line(text, format_args!("{}", whole.trim_end()));
        } else {
            // A terminal would break the line in the middle of a run ID.
            line(text, format_args!("{}", row.trim_end()));
            for part in rest {
                line(text, format_args!("{:14}{part}", ""));
            }
        }
        for note in &self.notes {
            line(text, format_args!("{:14}{note}", ""));
        }
    }
}

/// An error on one line.
fn error_line(error: &ErrorRecord) -> String {
    let cause = error
        .cause
        .as_ref()
        .map(|cause| format!(" ({cause})"))
        .unwrap_or_default();
    format!("{}{cause}: {}", error.code, shorten(&error.message))
}

/// Why an apply ended early, as a sentence.
pub fn reason(stopped: &Stopped) -> String {
    match stopped {
        Stopped::Interrupt { signal: 15 } => "terminated: no further starts were made".to_owned(),
        Stopped::Interrupt { .. } => "interrupted: no further starts were made".to_owned(),
        Stopped::Failures { count } => {
            format!("no further starts were made, because {count} had failed (--max-failures)")
        }
        Stopped::Timeout => "the command timeout passed: no further starts were made".to_owned(),
        Stopped::NoConnection { message } => format!("no starts were made: {message}"),
        Stopped::Refusal { error } => {
            format!(
                "no further starts were made, because each would be refused: {}",
                error_line(error)
            )
        }
        Stopped::Silence { error } => {
            format!(
                "no further starts were made, because the service stopped answering: {}",
                error_line(error)
            )
        }
        Stopped::NotWritten { message } => {
            format!("no further starts were made: cannot write to {message}")
        }
        Stopped::Input { message } => format!("no further starts were made: {message}"),
    }
}

fn shorten(text: &str) -> String {
    // A message must not move the cursor or recolour the terminal.
    let text: String = text
        .chars()
        .map(|character| match character {
            '\n' => '⏎',
            other if other.is_control() => '\u{fffd}',
            other => other,
        })
        .collect();
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A duration as people read it.
pub fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        total => format!("{} min {} s", total / 60, total % 60),
    }
}
