//! Journals that are there: read for a report, or to go on with them.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use jiff::Timestamp;

use super::file::{Journal, JournalError, lock};
use super::lines::{JournalLines, LineError};
use super::record::{JournalHeader, JournalLine};
use super::table::LineTable;
use crate::run::event::{ApplyFinished, Stopped};

/// A journal that was read to its end.
#[derive(Debug)]
pub struct JournalContent {
    /// The journal.
    pub journal: Journal,
    /// What it is about, as the last invocation began that it has seen.
    pub header: JournalHeader,
    /// How that invocation has ended. If no end is recorded, the time of its last line.
    pub finished: ApplyFinished,
}

/// Reads a journal.
///
/// # Errors
/// The file cannot be read, or is no journal.
pub fn read(path: &Path) -> Result<JournalContent, JournalError> {
    let mut pages = Pages::open(path, Access::Read)?;
    let mut last = pages.header.apply.at;
    let mut finished = None;
    while let Some(line) = pages.next()? {
        // Starts come in the order in which they are told, which is nearly that of their times.
        last = last.max(line.at().unwrap_or(last));
        match line {
            JournalLine::Finished(line) => finished = Some(line.into_owned().apply),
            JournalLine::Resumed(_) => finished = None,
            _ => {}
        }
    }
    let (journal, header) = pages.end()?;
    let finished = finished.unwrap_or_else(|| unrecorded(last));
    Ok(JournalContent {
        journal,
        header,
        finished,
    })
}

fn unrecorded(at: Timestamp) -> ApplyFinished {
    ApplyFinished {
        at,
        stopped: Some(Stopped::Unrecorded),
    }
}

/// What a journal is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// To be read; another process may write to it.
    Read,
    /// To be gone on with: nobody else may, and a torn last line is cut off.
    GoOn,
}

/// A journal whose lines are read one by one.
pub(super) struct Pages {
    journal: Journal,
    header: JournalHeader,
    lines: JournalLines,
    access: Access,
}

impl Pages {
    pub(super) fn open(path: &Path, access: Access) -> Result<Self, JournalError> {
        let failed = |source: io::Error| JournalError::Io {
            path: path.to_owned(),
            source,
        };
        let file = OpenOptions::new()
            .read(true)
            .write(access == Access::GoOn)
            // A pipe that nobody writes to would be waited for. On a file it changes nothing.
            .custom_flags(libc::O_NONBLOCK)
            .open(path)
            .map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(JournalError::NotAFile {
                path: path.to_owned(),
            });
        }
        if access == Access::GoOn {
            lock(&file, path)?;
        }
        let table = LineTable::new().map_err(|source| JournalError::Temporary { source })?;
        let mut journal = Journal::over(Some(path.to_owned()), file, table);
        let mut lines = journal.lines();
        let header = lines.header().map_err(|error| unread(&journal, error))?;
        journal.skip(lines.length());
        Ok(Pages {
            journal,
            header,
            lines,
            access,
        })
    }

    /// The next line.
    pub(super) fn next(&mut self) -> Result<Option<JournalLine<'static>>, JournalError> {
        let next = self.lines.next(&self.header);
        let Some(line) = next.map_err(|error| unread(&self.journal, error))? else {
            return Ok(None);
        };
        if let JournalLine::Resumed(resumed) = &line {
            self.header.go_on(resumed.clone().into_owned());
        }
        self.journal
            .note(&line, self.lines.length())
            .map_err(|source| self.journal.failed(source))?;
        Ok(Some(line))
    }

    /// The journal, and what it is about, when every line was read.
    pub(super) fn end(self) -> Result<(Journal, JournalHeader), JournalError> {
        if self.access == Access::GoOn {
            let cut_off = self.journal.cut_off();
            cut_off.map_err(|source| self.journal.failed(source))?;
        }
        Ok((self.journal, self.header))
    }
}

fn unread(journal: &Journal, error: LineError) -> JournalError {
    match (error, journal.path()) {
        (LineError::Io(source), _) => journal.failed(source),
        (LineError::Damaged(line, damage), path) => JournalError::Damaged {
            path: path.unwrap_or(Path::new("")).to_owned(),
            line,
            damage,
        },
    }
}
