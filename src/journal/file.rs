//! The file behind a journal.

use std::borrow::Cow;
use std::fs::{File, TryLockError};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::lines::{Damage, JournalLines, LineError};
use super::record::{InvocationEnd, JournalHeader, JournalLine, Recorded, RecordedEnd};
use super::seal::seal;
use super::table::{Entry, LineTable};
use crate::disk::{folder_of, without_path};
use crate::run::event::{ApplyFinished, Event};

/// Bytes of lines that may wait to be handed to the system.
const BUFFER: usize = 64 * 1024;

/// Event lines on disk, with a table that says where each start's lines are.
#[derive(Debug)]
pub struct Journal {
    path: Option<PathBuf>,
    file: Arc<File>,
    lines: BufWriter<Arc<File>>,
    length: u64,
    table: LineTable,
    /// The line that is being written; kept for its memory.
    text: Vec<u8>,
}

/// A journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The system's folder for temporary files cannot be written to.
    #[error("cannot write a temporary file: {source}")]
    Temporary {
        /// What the system says.
        source: io::Error,
    },
    /// It cannot be created, read or written.
    #[error("the journal `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A new journal would overwrite a file.
    #[error("the journal `{}` exists already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error("the journal `{}` is in use by another process", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A folder, a pipe, a device.
    #[error("the journal `{}` is not a regular file", path.display())]
    NotAFile {
        /// What it is called.
        path: PathBuf,
    },
    /// It is no journal, or damaged in the middle.
    #[error("the journal `{}`: line {line}: {damage}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        damage: Damage,
    },
}

impl Journal {
    /// A journal that is gone when it is dropped.
    ///
    /// # Errors
    /// The system's folder for temporary files cannot be written to.
    pub fn temporary() -> io::Result<Self> {
        Ok(Self::over(None, tempfile::tempfile()?, LineTable::new()?))
    }

    /// Finds out beforehand what would keep [`Journal::create`] from making a journal, as far as that
    /// can be known.
    ///
    /// # Errors
    /// As of [`Journal::create`].
    pub fn check(path: &Path) -> Result<(), JournalError> {
        LineTable::new().map_err(|source| JournalError::Temporary { source })?;
        unnamed(path).map(drop)
    }

    /// A new journal, readable by its owner only. The header is on disk when this returns. Until
    /// then the file has another name, so that whoever finds a journal finds its header, whenever
    /// this process was killed.
    ///
    /// # Errors
    /// [`JournalError::Exists`] if there is such a file, [`JournalError::Io`] if it cannot be
    /// written.
    pub fn create(path: &Path, header: &JournalHeader) -> Result<Self, JournalError> {
        let failed = |source| cannot_create(path, source);
        let table = LineTable::new().map_err(|source| JournalError::Temporary { source })?;
        let unnamed = unnamed(path)?;
        let (file, name) = unnamed.into_parts();
        lock(&file, path)?;
        let mut journal = Self::over(Some(path.to_owned()), file, table);
        journal
            .append(&JournalLine::Header(Cow::Borrowed(header)))
            .and_then(|()| journal.sync())
            .map_err(failed)?;
        name.persist_noclobber(path)
            .map_err(|error| failed(error.error))?;
        // The name must be on disk too.
        File::open(folder_of(path))
            .and_then(|folder| folder.sync_all())
            .map_err(failed)?;
        Ok(journal)
    }

    pub(super) fn over(path: Option<PathBuf>, file: File, table: LineTable) -> Self {
        let file = Arc::new(file);
        Journal {
            path,
            lines: BufWriter::with_capacity(BUFFER, Arc::clone(&file)),
            file,
            length: 0,
            table,
            text: Vec::new(),
        }
    }

    /// The file's name, unless it is a temporary one.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Writes that an invocation goes on with the journal. The line is on disk when this returns.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn go_on(&mut self, header: JournalHeader) -> Result<(), JournalError> {
        let line = JournalLine::Resumed(Cow::Owned(header.into()));
        self.append(&line)
            .and_then(|()| self.sync())
            .map_err(|source| self.failed(source))
    }

    /// Writes the event, if it belongs into a journal.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn write(&mut self, event: &Event) -> io::Result<()> {
        match JournalLine::of(event) {
            Some(line) => self.append(&line),
            None => Ok(()),
        }
    }

    /// Writes how an invocation has ended, as the last that it says.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn close(&mut self, invocation_id: &str, apply: &ApplyFinished) -> io::Result<()> {
        self.append(&JournalLine::Finished(Cow::Owned(InvocationEnd {
            invocation_id: invocation_id.to_owned(),
            apply: apply.clone(),
        })))?;
        self.flush()
    }

    fn append(&mut self, line: &JournalLine<'_>) -> io::Result<()> {
        self.text.clear();
        serde_json::to_writer(&mut self.text, line)?;
        seal(&mut self.text);
        self.text.push(b'\n');
        self.lines.write_all(&self.text)?;
        self.note(line, self.text.len() as u64)
    }

    /// Notes in the table that a line of so many bytes stands at the journal's end.
    pub(super) fn note(&mut self, line: &JournalLine<'_>, length: u64) -> io::Result<()> {
        if let Some((index, column)) = line.place() {
            self.table.note(index, column, self.length)?;
        }
        self.length += length;
        Ok(())
    }

    /// Its lines, from the beginning.
    pub(super) fn lines(&self) -> JournalLines {
        JournalLines::new(&self.file)
    }

    /// Leaves out so many bytes that are about no start.
    pub(super) fn skip(&mut self, length: u64) {
        self.length += length;
    }

    /// Cuts off what comes after the lines that were noted, and writes from there on.
    pub(super) fn cut_off(&self) -> io::Result<()> {
        self.file.set_len(self.length)?;
        (&*self.file).seek(SeekFrom::Start(self.length)).map(drop)
    }

    /// What the system says, with the journal's name.
    pub fn failed(&self, source: io::Error) -> JournalError {
        match self.path.clone() {
            Some(path) => JournalError::Io { path, source },
            None => JournalError::Temporary { source },
        }
    }

    /// Hands what was written to the system, so that it survives the end of this process.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn flush(&mut self) -> io::Result<()> {
        self.lines.flush()
    }

    /// Like [`Journal::flush`], and waits until it is on disk.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn sync(&mut self) -> io::Result<()> {
        self.lines.flush()?;
        self.file.sync_all()
    }

    /// The starts that have an outcome, in order, by what is known without reading lines.
    ///
    /// # Errors
    /// The disk fails.
    pub fn starts(&self) -> io::Result<impl Iterator<Item = io::Result<u64>> + use<>> {
        let entries = self.table.entries()?;
        let told = entries.map(|entry| entry.map(|(index, entry)| entry.outcome.map(|_| index)));
        Ok(told.filter_map(io::Result::transpose))
    }

    /// Reads every start back, in order.
    ///
    /// # Errors
    /// The disk fails.
    pub fn replay(&mut self) -> io::Result<impl Iterator<Item = io::Result<Recorded>> + use<>> {
        self.flush()?;
        let mut lines = JournalLines::new(&self.file);
        let mut position = 0;
        let mut at = move |offset| lines.at(offset, &mut position).map_err(changed);
        let records = self.table.entries()?.map(move |entry| {
            let (index, Entry { outcome, end }) = entry?;
            let Some(outcome) = outcome else {
                return Ok(None);
            };
            let start = match at(outcome)? {
                JournalLine::Start(start) if start.index == index => start.into_owned(),
                _ => return Err(misplaced()),
            };
            // A start that was tried again has another Workflow.
            let end = match end.filter(|end| *end > outcome) {
                Some(end) => Some(RecordedEnd::of(at(end)?, index).ok_or_else(misplaced)?),
                None => None,
            };
            Ok(Some(Recorded { start, end }))
        });
        Ok(records.filter_map(io::Result::transpose))
    }
}

/// A new file beside the journal that it is to become.
fn unnamed(path: &Path) -> Result<tempfile::NamedTempFile, JournalError> {
    if path.symlink_metadata().is_ok() {
        return Err(cannot_create(path, io::ErrorKind::AlreadyExists.into()));
    }
    tempfile::Builder::new()
        .prefix(".journal-")
        .tempfile_in(folder_of(path))
        .map_err(|error| cannot_create(path, without_path(error)))
}

fn cannot_create(path: &Path, source: io::Error) -> JournalError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::AlreadyExists => JournalError::Exists { path },
        _ => JournalError::Io { path, source },
    }
}

fn misplaced() -> io::Error {
    io::Error::other("the journal was changed while it was open")
}

/// A line that was whole when it was read or written first.
fn changed(error: LineError) -> io::Error {
    match error {
        LineError::Io(error) => error,
        LineError::Damaged(..) => misplaced(),
    }
}

pub(super) fn lock(file: &File, path: &Path) -> Result<(), JournalError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked {
            path: path.to_owned(),
        }),
        // Some network file systems know no locks.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(source)) => Err(JournalError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}
