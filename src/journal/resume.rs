//! From an existing journal to what is still to be done.

use std::path::Path;

use super::existing::{Access, Pages};
use super::file::{Journal, JournalError};
use super::record::{JournalHeader, JournalLine};
use crate::run::event::{Outcome, StartFinished};

/// A journal that an invocation goes on with.
#[derive(Debug)]
pub struct Unfinished {
    /// The journal, at its end.
    pub journal: Journal,
    /// What it is about.
    pub header: JournalHeader,
    /// Which starts are finished.
    pub finished: Indices,
    /// Which of the finished starts' Workflows have been seen to end.
    pub ended: Indices,
}

/// Opens a journal to go on with it.
///
/// # Errors
/// The file cannot be read, is in use, or is no journal.
pub fn resume(path: &Path) -> Result<Unfinished, JournalError> {
    let mut finished = Indices::default();
    let mut ended = Indices::default();
    let mut pages = Pages::open(path, Access::GoOn)?;
    while let Some(line) = pages.next()? {
        match line {
            JournalLine::Start(start) => {
                finished.set(start.index, is_finished(&start));
                // It has another Workflow.
                ended.set(start.index, false);
            }
            JournalLine::Workflow(end) => ended.set(end.index, end.workflow.status.is_end()),
            JournalLine::Open(open) => ended.set(open.index, false),
            JournalLine::Header(_)
            | JournalLine::Resumed(_)
            | JournalLine::Pace(_)
            | JournalLine::Finished(_)
            | JournalLine::Other => {}
        }
    }
    let (journal, header) = pages.end()?;
    Ok(Unfinished {
        journal,
        header,
        finished,
        ended,
    })
}

/// Whether a start has come to a good end, and is left out by a resume.
fn is_finished(start: &StartFinished) -> bool {
    let good = matches!(
        start.outcome,
        Outcome::Started | Outcome::Deduplicated | Outcome::Existing
    );
    good && start.error.is_none()
}

/// A set of starts, in one bit each.
#[derive(Clone, Debug, Default)]
pub struct Indices(Vec<u64>);

impl Indices {
    /// Puts an index in or takes it out.
    pub fn set(&mut self, index: u64, present: bool) {
        let (word, bit) = ((index / 64) as usize, 1 << (index % 64));
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if present {
            self.0[word] |= bit;
        } else {
            self.0[word] &= !bit;
        }
    }

    /// Number of those that are in.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Whether an index is in.
    pub fn contains(&self, index: u64) -> bool {
        let word = self.0.get((index / 64) as usize).copied().unwrap_or(0);
        word & (1 << (index % 64)) != 0
    }
}
