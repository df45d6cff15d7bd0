//! The rows of the final table, and what failed alike in one piece.

use std::collections::BTreeMap;

use console::Style;

use super::words::{MAX_NAME, MAX_TEXT, error_line};
use crate::run::event::{
    ErrorRecord, ExistingState, Outcome, StartFinished, WorkflowEnd, WorkflowStatus,
};
use crate::visible::{Page, visible, visible_to};

/// Most different failures that are shown.
const MAX_GROUPS: usize = 50;

/// Failures of one kind that are shown one by one; of more, these are the first that are named.
const FEW: usize = 3;

/// Width of the first column.
const FIRST: usize = 13;

/// One start and its Workflow.
#[derive(Debug, Default)]
pub(super) struct StartRow {
    outcome: Option<Outcome>,
    pub(super) workflow_id: String,
    /// The run, or the result.
    detail: String,
    /// Where the start comes from.
    place: String,
    /// What went wrong.
    notes: Vec<String>,
    /// What to do about it.
    help: Option<String>,
    status: Option<WorkflowStatus>,
}

impl StartRow {
    /// The row of a start without its Workflow's end.
    pub(super) fn of(finished: &StartFinished) -> Self {
        let file = visible_to(&finished.source.file, MAX_TEXT);
        let row = finished.source.row.map(|row| format!(", row {row}"));
        let run_id = finished.run_id.as_deref();
        let run_id = run_id.map(|run_id| visible_to(run_id, MAX_NAME));
        StartRow {
            outcome: Some(finished.outcome),
            // Widths are those of what is shown.
            workflow_id: visible(&finished.workflow_id).into_owned(),
            detail: match (finished.existing_state, run_id) {
                (Some(ExistingState::Running), Some(run_id)) => format!("running run {run_id}"),
                (Some(ExistingState::Closed), Some(run_id)) => format!("closed run {run_id}"),
                (None, Some(run_id)) => format!("run {run_id}"),
                (_, None) => String::new(),
            },
            place: format!("{file}:{}{}", finished.source.line, row.unwrap_or_default()),
            notes: finished.error.iter().map(error_line).collect(),
            help: finished.error.as_ref().and_then(help),
            status: None,
        }
    }

    /// Adds what came of the Workflow.
    pub(super) fn end(&mut self, end: &WorkflowEnd) {
        self.status = Some(end.status);
        self.detail = match &end.result {
            Some(result) => visible_to(&result.to_string(), MAX_TEXT).into_owned(),
            None => String::new(),
        };
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

    /// What is the same for failures that are alike. Words about the Workflow itself differ.
    fn kind(&self) -> (Option<Outcome>, Option<WorkflowStatus>, String) {
        let notes = self.notes.join("\n");
        let notes = if self.workflow_id.is_empty() {
            notes
        } else {
            notes.replace(&self.workflow_id, "")
        };
        (self.outcome, self.status, notes)
    }

    /// Whether the start is in the wanted state.
    fn is_started(&self) -> bool {
        let good = matches!(
            self.outcome,
            Some(Outcome::Started | Outcome::Deduplicated | Outcome::Existing)
        );
        good && (self.notes.is_empty() || self.status.is_some())
    }

    fn is_good(&self) -> bool {
        self.notes.is_empty() && self.status.is_none_or(|it| it == WorkflowStatus::Completed)
    }

    /// The first column, and the Workflow's state, each in the colour of what it tells.
    fn words(&self) -> [(Option<Style>, String); 2] {
        let red = || Some(Style::new().red());
        let status = self.status.map(WorkflowStatus::as_str);
        let bad = self
            .status
            .is_some_and(|it| it != WorkflowStatus::Completed);
        let state_style = if bad { red() } else { None };
        match (self.outcome, status) {
            (Some(outcome), status) => {
                let style = if self.is_started() {
                    Some(Style::new().green())
                } else {
                    red()
                };
                let status = status.unwrap_or_default().to_owned();
                [(style, outcome.as_str().to_owned()), (state_style, status)]
            }
            // Where the start is not known, its Workflow's state comes first.
            (None, status) => {
                let status = status.unwrap_or_default().to_owned();
                [(state_style, status), (None, String::new())]
            }
        }
    }

    /// Adds the row to a page. Workflow IDs have a column of `width`.
    pub(super) fn render(&self, page: &mut Page, width: usize, columns: Option<usize>) {
        let [(style, outcome), (state_style, state)] = self.words();
        let first = (style, format!("{outcome:<FIRST$}"));
        let padding = width.saturating_sub(console::measure_text_width(&self.workflow_id));
        let id = (None, format!(" {}{:padding$}", self.workflow_id, ""));
        let place = if self.is_good() { "" } else { &self.place };
        let rest = [
            (state_style, state.as_str()),
            (None, &self.detail),
            (None, place),
        ];
        let rest = rest.into_iter().filter(|(_, part)| !part.is_empty());
        let rest: Vec<(Option<Style>, String)> =
            rest.map(|(style, part)| (style, part.to_owned())).collect();
        let measured = |text: &str| console::measure_text_width(text);
        let length =
            FIRST + measured(&id.1) + rest.iter().map(|it| 2 + measured(&it.1)).sum::<usize>();
        if columns.is_none_or(|columns| length <= columns) {
            let gap = || (None, "  ".to_owned());
            let rest = rest.into_iter().flat_map(|part| [gap(), part]);
            page.parts(&[first, id].into_iter().chain(rest).collect::<Vec<_>>());
        } else {
            // A terminal would break the line in the middle of a run ID.
            page.parts(&[first, id]);
            for part in rest {
                page.parts(&[(None, indent()), part]);
            }
        }
        self.render_notes(page);
    }

    fn render_notes(&self, page: &mut Page) {
        for note in &self.notes {
            page.line(&format!("{}{note}", indent()));
        }
        if let Some(help) = &self.help {
            page.line(&format!("{}help: {help}", indent()));
        }
    }
}

fn indent() -> String {
    " ".repeat(FIRST + 1)
}

/// Everything that failed, by what is alike.
#[derive(Debug, Default)]
pub(super) struct Failures {
    groups: BTreeMap<String, FailureGroup>,
    /// Failures of further kinds.
    pub(super) hidden: u64,
}

/// Failures that are alike.
#[derive(Debug, Default)]
pub(super) struct FailureGroup {
    count: u64,
    /// The first of them.
    rows: BTreeMap<u64, StartRow>,
}

impl Failures {
    pub(super) fn add(&mut self, index: u64, row: StartRow) {
        let kind = format!("{:?}", row.kind());
        if self.groups.len() >= MAX_GROUPS && !self.groups.contains_key(&kind) {
            self.hidden += 1;
            return;
        }
        let group = self.groups.entry(kind).or_default();
        group.count += 1;
        group.rows.insert(index, row);
        if group.rows.len() > FEW {
            group.rows.pop_last();
        }
    }

    /// The failures of which there are few, one by one.
    pub(super) fn few(&self) -> impl Iterator<Item = (u64, Vec<&StartRow>)> {
        let groups = self.groups.values().filter(|group| !group.is_many());
        groups.flat_map(|group| group.rows.iter().map(|(index, row)| (*index, vec![row])))
    }

    /// The others, by the first of each.
    pub(super) fn many(&self) -> impl Iterator<Item = (u64, &FailureGroup)> {
        let groups = self.groups.values().filter(|group| group.is_many());
        groups.filter_map(|group| Some((*group.rows.first_key_value()?.0, group)))
    }
}

impl FailureGroup {
    fn is_many(&self) -> bool {
        self.count > FEW as u64
    }

    /// Adds what is alike once, with the places of the first.
    pub(super) fn render(&self, page: &mut Page) {
        let Some((_, first)) = self.rows.first_key_value() else {
            return;
        };
        let [(style, outcome), state] = first.words();
        let what = if first.status.is_some() {
            "Workflows"
        } else {
            "starts"
        };
        let mut parts = vec![
            (style, format!("{outcome:<FIRST$}")),
            (None, format!(" {} {what}", self.count)),
        ];
        if !state.1.is_empty() {
            parts.extend([(None, "  ".to_owned()), state]);
        }
        page.parts(&parts);
        for row in self.rows.values() {
            let gap = if row.place.is_empty() { "" } else { "  " };
            page.line(&format!(
                "{}{}{gap}{}",
                indent(),
                row.workflow_id,
                row.place
            ));
        }
        let more = self.count - self.rows.len() as u64;
        page.line(&format!(
            "{}… and {more} more; `-o json` lists all of them",
            indent()
        ));
        first.render_notes(page);
    }
}

/// What to do about a start that was refused, if that is known.
fn help(error: &ErrorRecord) -> Option<String> {
    // The words of temporal `common/searchattribute`.
    let rest = error.message.strip_prefix("Namespace ")?;
    let (namespace, name) = rest.split_once(" has no mapping defined for search attribute ")?;
    // Both are made for a shell.
    let is_plain = |text: &str| {
        let mut characters = text.chars();
        !text.is_empty() && characters.all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    (is_plain(namespace) && is_plain(name)).then(|| {
        format!(
            "register it: `temporal operator search-attribute create --namespace {namespace} --name {name} \
             --type TYPE`; TYPE is Keyword, TextReport, Int, Double, Bool, Datetime or KeywordList"
        )
    })
}
