//! The result of an apply for people: what deserves a look, and a line that hides nothing.

use std::collections::BTreeMap;
use std::io;

use crate::report::ending::Ending;
use crate::report::replay::Replay;
use crate::report::reporter::Reporter;
use crate::report::rows::{FailureGroup, Failures, StartRow};
use crate::report::target::ReportTarget;
use crate::report::words::seconds;
use crate::run::event::{Event, Outcome, WorkflowEnded, WorkflowOpen, WorkflowStatus};
use crate::visible::{Page, visible};

/// Up to this many starts, every one is shown; beyond, only what is not plain success.
const SHOW_ALL_UP_TO: u64 = 25;

/// Widest column of Workflow IDs, in columns; longer IDs push the rest of their row to the right.
const MAX_ID_WIDTH: usize = 44;

/// How a page looks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// Whether colour is used.
    pub color: bool,
    /// Whether signs are drawn in ASCII alone.
    pub ascii: bool,
    /// Width of the terminal that shows it, if one does.
    pub columns: Option<usize>,
}

/// Collects what the final table shows.
#[derive(Debug)]
pub struct TextReport {
    target: ReportTarget,
    look: Look,
    /// What came to a good end, if every start is shown.
    rows: BTreeMap<u64, StartRow>,
    failures: Failures,
    /// Starts whose Workflows may still fail: their rows, until then.
    pending: BTreeMap<u64, StartRow>,
    most_pending: usize,
    show_all: bool,
}

impl TextReport {
    /// An empty table for an apply of `total` starts. `waits` says whether Workflows end long after
    /// their starts; otherwise a Workflow's end follows its start at once, if at all.
    pub fn new(target: ReportTarget, look: Look, total: Option<u64>, waits: bool) -> Self {
        let show_all = total.is_some_and(|total| total <= SHOW_ALL_UP_TO);
        TextReport {
            target,
            look,
            rows: BTreeMap::new(),
            failures: Failures::default(),
            pending: BTreeMap::new(),
            most_pending: if waits { usize::MAX } else { 1 },
            show_all,
        }
    }

    fn take(&mut self, event: &Event) {
        match event {
            // What was skipped has one reason, which the last line gives.
            Event::StartFinished(finished) if finished.outcome == Outcome::Skipped => {}
            Event::StartFinished(finished) => {
                let row = StartRow::of(finished);
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

    /// The table and the summary.
    fn render(&self, ending: &Ending) -> Page {
        let columns = self.look.columns;
        let summary = &ending.summary;
        let mut page = Page::new(self.look.color);
        let mut parts: BTreeMap<u64, Vec<&StartRow>> = BTreeMap::new();
        parts.extend(self.rows.iter().map(|(index, row)| (*index, vec![row])));
        parts.extend(self.failures.few());
        let width = parts
            .values()
            .flatten()
            .map(|row| console::measure_text_width(&row.workflow_id))
            .max()
            .unwrap_or(0)
            .min(MAX_ID_WIDTH);
        let groups: BTreeMap<u64, &FailureGroup> = self.failures.many().collect();
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
        let took = seconds(ending.took());
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

impl Reporter for TextReport {
    fn name(&self) -> String {
        self.target.name()
    }

    fn recall(&mut self, event: &Event) {
        self.take(event);
    }

    fn hear(&mut self, event: &Event) -> io::Result<()> {
        self.take(event);
        Ok(())
    }

    fn finish(&mut self, ending: &Ending, _: &mut Replay) -> io::Result<()> {
        let page = self.render(ending);
        self.target.write(|out| {
            if self.look.ascii {
                // The one sign of our own that is drawn on pages.
                out.write_all(page.as_str().replace('…', "...").as_bytes())
            } else {
                out.write_all(page.as_str().as_bytes())
            }
        })
    }
}
