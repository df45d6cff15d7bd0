//! Events on disk, for reading back in the order of the starts.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use super::record::StartRecord;
use crate::run::event::{Event, WorkflowEnd};

/// Bytes of a start's entry in the table: the offsets of its outcome and of its Workflow's end.
const ENTRY: u64 = 16;

/// A temporary file of event lines with a table that says where each start's lines are.
///
/// Offsets in the table are one too high, so that zero means that there is no line.
#[derive(Debug)]
pub struct Spool {
    lines: BufWriter<File>,
    length: u64,
    table: File,
    starts: u64,
}

impl Spool {
    /// An empty spool in the system's folder for temporary files. It has no name there, and is
    /// gone when it is dropped.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn new() -> io::Result<Self> {
        Ok(Spool {
            lines: BufWriter::new(tempfile::tempfile()?),
            length: 0,
            table: tempfile::tempfile()?,
            starts: 0,
        })
    }

    /// Writes the events that belong to a start; others are not kept.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn write(&mut self, event: &Event) -> io::Result<()> {
        let (index, column, line) = match event {
            Event::StartFinished(finished) => (finished.index, 0, serde_json::to_vec(finished)?),
            Event::WorkflowEnded(ended) => (ended.index, 8, serde_json::to_vec(&ended.workflow)?),
            _ => return Ok(()),
        };
        self.table.seek(SeekFrom::Start(index * ENTRY + column))?;
        self.table.write_all(&(self.length + 1).to_le_bytes())?;
        self.starts = self.starts.max(index + 1);
        self.lines.write_all(&line)?;
        self.lines.write_all(b"\n")?;
        self.length += line.len() as u64 + 1;
        Ok(())
    }

    /// Reads every start back, in order.
    ///
    /// # Errors
    /// The disk fails.
    pub fn replay(self) -> io::Result<impl Iterator<Item = io::Result<StartRecord>>> {
        let lines = self
            .lines
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        let mut table = self.table;
        table.seek(SeekFrom::Start(0))?;
        let mut table = BufReader::new(table);
        let mut lines = Lines::new(lines)?;
        let records = (0..self.starts).map(move |_| {
            let outcome = offset(&mut table)?;
            let end = offset(&mut table)?;
            let Some(outcome) = outcome else {
                return Ok(None);
            };
            let start = serde_json::from_slice(&lines.at(outcome)?)?;
            let workflow: Option<WorkflowEnd> = match end {
                Some(end) => Some(serde_json::from_slice(&lines.at(end)?)?),
                None => None,
            };
            Ok(Some(StartRecord { start, workflow }))
        });
        Ok(records.filter_map(io::Result::transpose))
    }
}

/// The next offset of the table. The last entry is short if nothing was written after it.
fn offset(table: &mut impl Read) -> io::Result<Option<u64>> {
    let mut bytes = [0; 8];
    match table.read_exact(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
        Ok(()) => Ok(u64::from_le_bytes(bytes).checked_sub(1)),
    }
}

/// Lines at offsets that mostly rise.
struct Lines {
    reader: BufReader<File>,
    position: u64,
}

impl Lines {
    fn new(mut file: File) -> io::Result<Self> {
        file.seek(SeekFrom::Start(0))?;
        Ok(Lines {
            reader: BufReader::new(file),
            position: 0,
        })
    }

    fn at(&mut self, offset: u64) -> io::Result<Vec<u8>> {
        self.reader
            .seek_relative(offset as i64 - self.position as i64)?;
        let mut line = Vec::new();
        let read = self.reader.read_until(b'\n', &mut line)?;
        self.position = offset + read as u64;
        Ok(line)
    }
}
