//! The file behind a journal.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::reader::Reader;
use super::record::{Header, Line, StartRecord, Written};
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
    /// It is no journal, or damaged in the middle.
    #[error("the journal `{}`: line {line}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
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

    /// A new journal, readable by its owner only. The header is on disk when this returns. Until
    /// then the file has another name, so that whoever finds a journal finds its header, whenever
    /// this process was killed.
    ///
    /// # Errors
    /// [`JournalError::Exists`] if there is such a file, [`JournalError::Io`] if it cannot be
    /// written.
    pub fn create(path: &Path, header: Header) -> Result<Self, JournalError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => JournalError::Exists {
                path: path.to_owned(),
            },
            _ => JournalError::Io {
                path: path.to_owned(),
                source,
            },
        };
        if path.symlink_metadata().is_ok() {
            return Err(failed(io::ErrorKind::AlreadyExists.into()));
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let table = Table::new().map_err(|source| JournalError::Temporary { source })?;
        let unnamed = tempfile::Builder::new()
            .prefix(".journal-")
            .tempfile_in(folder)
            .map_err(|error| failed(without_path(error)))?;
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
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed)?;
        Ok(journal)
    }

    /// Opens an existing journal and hands every line after the header to `take`. With `writes`,
    /// the file is locked, and a torn last line is cut off.
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
        let damaged = |line: u64, reason: String| JournalError::Damaged {
            path: path.to_owned(),
            line,
            reason,
        };
        let file = OpenOptions::new()
            .read(true)
            .write(writes)
            .open(path)
            .map_err(failed)?;
        if writes {
            lock(&file, path)?;
        }
        let mut reader = BufReader::new(Reader::new(&file).map_err(failed)?);
        let table = Table::new().map_err(|source| JournalError::Temporary { source })?;
        let mut journal = Self::over(Some(path.to_owned()), file, table);
        let mut header = None;
        let mut text = Vec::new();
        for number in 1.. {
            text.clear();
            reader.read_until(b'\n', &mut text).map_err(failed)?;
            if !text.ends_with(b"\n") {
                // The end, or a line that was being written when the machine or program stopped.
                break;
            }
            let line: Line = serde_json::from_slice(&text).map_err(|error| {
                let known = number > 1 || text.starts_with(b"{\"line\":\"header\"");
                damaged(
                    number,
                    if known {
                        error.to_string()
                    } else {
                        "this is no journal".to_owned()
                    },
                )
            })?;
            match (&line, &header) {
                (Line::Header(first), None) => {
                    if first.version != super::record::VERSION {
                        let reason = format!(
                            "it has version {}, and this program reads version {}",
                            first.version,
                            super::record::VERSION
                        );
                        return Err(damaged(number, reason));
                    }
                    header = Some(first.as_ref().clone());
                }
                (Line::Start(_) | Line::Workflow(_) | Line::Open(_), Some(header))
                    if !line.fits(header) =>
                {
                    return Err(damaged(
                        number,
                        "it is about a start that the header does not count".to_owned(),
                    ));
                }
                (_, None) | (Line::Header(_), Some(_)) => {
                    return Err(damaged(
                        number,
                        "the header must be the first line".to_owned(),
                    ));
                }
                _ => take(&line),
            }
            journal.note(line.place()).map_err(failed)?;
            journal.length += text.len() as u64;
        }
        let Some(header) = header else {
            return Err(damaged(1, "this is no journal".to_owned()));
        };
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

    /// Reads every start back, in order.
    ///
    /// # Errors
    /// The disk fails.
    pub fn replay(&mut self) -> io::Result<impl Iterator<Item = io::Result<StartRecord>> + use<>> {
        self.flush()?;
        let mut lines = Lines {
            reader: BufReader::new(Reader::new(self.lines.get_ref())?),
            position: 0,
        };
        let records = self.table.entries()?.map(move |entry| {
            let Entry { outcome, end } = entry?;
            let Some(outcome) = outcome else {
                return Ok(None);
            };
            let Line::Start(start) = lines.at(outcome)? else {
                return Err(misplaced());
            };
            let workflow: Option<WorkflowEnd> = match end.map(|end| lines.at(end)).transpose()? {
                Some(Line::Workflow(ended)) => Some(ended.workflow),
                Some(Line::Open(open)) => Some(open.workflow),
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

/// Lines at offsets that mostly rise.
struct Lines {
    reader: BufReader<Reader>,
    position: u64,
}

impl Lines {
    fn at(&mut self, offset: u64) -> io::Result<Line> {
        self.reader
            .seek_relative(offset as i64 - self.position as i64)?;
        let mut line = Vec::new();
        let read = self.reader.read_until(b'\n', &mut line)?;
        self.position = offset + read as u64;
        Ok(serde_json::from_slice(&line)?)
    }
}
