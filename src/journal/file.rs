//! The file behind a journal.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::lines::{Damage, Lines, Unread};
use super::record::{Header, Line, StartRecord, Written};
use super::seal::seal;
use super::table::{Column, Entry, Table};
use crate::run::event::{Event, WorkflowEnd};

/// Bytes of lines that may wait to be handed to the system.
const BUFFER: usize = 64 * 1024;

/// Event lines on disk, with a table that says where each start's lines are.
#[derive(Debug)]
pub struct Journal {
    path: Option<PathBuf>,
    lines: BufWriter<File>,
    length: u64,
    table: Table,
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
        Ok(Self::over(None, tempfile::tempfile()?, Table::new()?))
    }

    /// Finds out beforehand what would keep [`Journal::create`] from making a journal, as far as that
    /// can be known.
    ///
    /// # Errors
    /// As of [`Journal::create`].
    pub fn check(path: &Path) -> Result<(), JournalError> {
        Table::new().map_err(|source| JournalError::Temporary { source })?;
        unnamed(path).map(drop)
    }

    /// A new journal, readable by its owner only. The header is on disk when this returns. Until
    /// then the file has another name, so that whoever finds a journal finds its header, whenever
    /// this process was killed.
    ///
    /// # Errors
    /// [`JournalError::Exists`] if there is such a file, [`JournalError::Io`] if it cannot be
    /// written.
    pub fn create(path: &Path, header: Header) -> Result<Self, JournalError> {
        let failed = |source| cannot_create(path, source);
        let table = Table::new().map_err(|source| JournalError::Temporary { source })?;
        let unnamed = unnamed(path)?;
        let (file, name) = unnamed.into_parts();
        lock(&file, path)?;
        let mut journal = Self::over(Some(path.to_owned()), file, table);
        journal
            .write_line(&Line::Header(Box::new(header)))
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

    /// Opens an existing journal and hands every line after the header to `take`. With `writes`,
    /// the file is locked, and a torn last line is cut off. The header is as those who went on with
    /// the journal have left it.
    ///
    /// # Errors
    /// The file cannot be read, is in use, or is no journal.
    pub fn open(
        path: &Path,
        writes: bool,
        mut take: impl FnMut(&Line),
    ) -> Result<(Self, Header), JournalError> {
        let failed = |source: io::Error| JournalError::Io {
            path: path.to_owned(),
            source,
        };
        let unread = |unread| match unread {
            Unread::Io(source) => failed(source),
            Unread::Damaged(line, damage) => JournalError::Damaged {
                path: path.to_owned(),
                line,
                damage,
            },
        };
        let file = OpenOptions::new()
            .read(true)
            .write(writes)
            // A pipe that nobody writes to would be waited for. On a file it changes nothing.
            .custom_flags(libc::O_NONBLOCK)
            .open(path)
            .map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(JournalError::NotAFile {
                path: path.to_owned(),
            });
        }
        if writes {
            lock(&file, path)?;
        }
        let mut lines = Lines::new(&file).map_err(failed)?;
        let mut header = lines.header().map_err(unread)?;
        let table = Table::new().map_err(|source| JournalError::Temporary { source })?;
        let mut journal = Self::over(Some(path.to_owned()), file, table);
        journal.length = lines.length();
        while let Some(line) = lines.next(&header).map_err(unread)? {
            take(&line);
            if let Line::Resumed(resumed) = &line {
                header.go_on(resumed);
            }
            journal.note(line.place()).map_err(failed)?;
            journal.length += lines.length();
        }
        if writes {
            let file = journal.lines.get_mut();
            file.set_len(journal.length).map_err(failed)?;
            file.seek(SeekFrom::Start(journal.length)).map_err(failed)?;
        }
        Ok((journal, header))
    }

    fn over(path: Option<PathBuf>, file: File, table: Table) -> Self {
        Journal {
            path,
            lines: BufWriter::with_capacity(BUFFER, file),
            length: 0,
            table,
            text: Vec::new(),
        }
    }

    /// The file's name, unless it is a temporary one.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Writes the event, if it belongs into a journal.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn write(&mut self, event: &Event) -> io::Result<()> {
        match Written::of(event) {
            Some(line) => self.append(&line, line.place()),
            None => Ok(()),
        }
    }

    /// Writes a line.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn write_line(&mut self, line: &Line) -> io::Result<()> {
        self.append(line, line.place())
    }

    fn append(&mut self, line: &impl Serialize, place: Option<(u64, Column)>) -> io::Result<()> {
        self.text.clear();
        serde_json::to_writer(&mut self.text, line)?;
        seal(&mut self.text);
        self.text.push(b'\n');
        self.lines.write_all(&self.text)?;
        self.note(place)?;
        self.length += self.text.len() as u64;
        Ok(())
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
        self.lines.get_ref().sync_all()
    }

    /// Notes in the table that a line begins at the journal's end.
    fn note(&mut self, place: Option<(u64, Column)>) -> io::Result<()> {
        match place {
            Some((index, column)) => self.table.note(index, column, self.length),
            None => Ok(()),
        }
    }

    /// When the file was last written, by the system's clock.
    pub fn last_change(&self) -> Option<Timestamp> {
        let modified = self
            .lines
            .get_ref()
            .metadata()
            .and_then(|metadata| metadata.modified());
        modified
            .ok()
            .and_then(|time| Timestamp::try_from(time).ok())
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
    pub fn replay(&mut self) -> io::Result<impl Iterator<Item = io::Result<StartRecord>> + use<>> {
        self.flush()?;
        let mut lines = Lines::new(self.lines.get_ref())?;
        let mut position = 0;
        let mut at = move |offset| lines.at(offset, &mut position).map_err(changed);
        let records = self.table.entries()?.map(move |entry| {
            let (index, Entry { outcome, end }) = entry?;
            let Some(outcome) = outcome else {
                return Ok(None);
            };
            let start = match at(outcome)? {
                Line::Start(start) if start.index == index => start,
                _ => return Err(misplaced()),
            };
            let workflow: Option<WorkflowEnd> = match end.map(&mut at).transpose()? {
                Some(Line::Workflow(ended)) if ended.index == index => Some(ended.workflow),
                Some(Line::Open(open)) if open.index == index => Some(open.workflow),
                Some(_) => return Err(misplaced()),
                None => None,
            };
            Ok(Some(StartRecord {
                start: *start,
                workflow,
            }))
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

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The system's own words, without the name of a temporary file that nobody knows.
fn without_path(error: io::Error) -> io::Error {
    let text = error.to_string();
    match text.split_once(" at path ") {
        Some((words, _)) => io::Error::new(error.kind(), words.to_owned()),
        None => error,
    }
}

fn misplaced() -> io::Error {
    io::Error::other("the journal was changed while it was open")
}

/// A line that was whole when it was read or written first.
fn changed(unread: Unread) -> io::Error {
    match unread {
        Unread::Io(error) => error,
        Unread::Damaged(..) => misplaced(),
    }
}

fn lock(file: &File, path: &Path) -> Result<(), JournalError> {
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
