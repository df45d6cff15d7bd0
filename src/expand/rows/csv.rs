//! Rows of a CSV file with a header. Cells are strings.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::{self, Read};
use std::rc::Rc;
use std::sync::Arc;

use csv::{ByteRecord, ReaderBuilder, StringRecord};

use super::file::{FileReader, RowsFile};
use super::{Cells, MAX_ROW_BYTES, Origin, Row, RowProblem, not_utf8, too_long};
use crate::manifest::diagnostic::{Code, Place};
use crate::manifest::source::Span;

/// The names of a file's columns.
#[derive(Debug)]
pub(super) struct Header {
    names: StringRecord,
    /// Positions by name, for files with many columns.
    index: Option<HashMap<Box<str>, usize>>,
    pub(super) delimiter: u8,
}

/// Number of columns from which names are looked up by hash.
const INDEXED_FROM: usize = 16;

impl Header {
    fn new(names: StringRecord, delimiter: u8) -> Self {
        let index =
            (names.len() > INDEXED_FROM).then(|| names.iter().map(Into::into).zip(0..).collect());
        Header {
            names,
            index,
            delimiter,
        }
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        match &self.index {
            Some(index) => index.get(name).copied(),
            None => self.names.iter().position(|other| other == name),
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter()
    }
}

/// Records one by one.
pub(super) struct Records {
    file: Arc<RowsFile>,
    reader: csv::Reader<Limited>,
    limit: Rc<Limit>,
    header: Arc<Header>,
    number: u64,
    ended: bool,
}

impl Records {
    /// Opens the file and reads its header.
    pub(super) fn open(file: &Arc<RowsFile>, delimiter: u8) -> Result<Self, RowProblem> {
        let limit = Rc::new(Limit::default());
        let reader = Limited {
            inner: file.read()?,
            limit: Rc::clone(&limit),
        };
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .buffer_capacity(64 * 1024)
            .from_reader(reader);
        let empty = Header::new(StringRecord::new(), delimiter);
        let mut records = Records {
            file: Arc::clone(file),
            reader,
            limit,
            header: Arc::new(empty),
            number: 0,
            ended: false,
        };
        let Some((names, place)) = records.read()? else {
            let message = format!("`{}` has no header", file.name());
            let help = "the first line of a CSV file names its columns";
            return Err(RowProblem::new(Code::InvalidRow, message).with_help(help));
        };
        let mut seen = std::collections::HashSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(*name)) {
            let message = format!(
                "the column `{}` is there twice",
                crate::manifest::shorten(twice)
            );
            let problem = RowProblem::new(Code::InvalidRow, message);
            return Err(problem
                .with_help("give every column a name of its own")
                .at(place.of(file)));
        }
        records.header = Arc::new(Header::new(names, delimiter));
        Ok(records)
    }

    /// Reads the next record. `None` at the end.
    fn read(&mut self) -> Result<Option<(StringRecord, Bounds)>, RowProblem> {
        self.limit.left.set(MAX_ROW_BYTES + 64 * 1024);
        let before = self.reader.position().clone();
        let mut record = ByteRecord::new();
        let more = self.reader.read_byte_record(&mut record);
        let bounds = Bounds {
            line: before.line(),
            offset: before.byte(),
            length: self.reader.position().byte() - before.byte(),
        };
        match more {
            Err(_) if self.limit.passed.get() => Err(too_long(bounds.of(&self.file))),
            Err(error) => Err(self.file.unreadable(&io::Error::other(error.to_string()))),
            Ok(false) => {
                self.file.finish(&mut self.reader.get_mut().inner)?;
                Ok(None)
            }
            Ok(true) => match StringRecord::from_byte_record(record) {
                Ok(record) => Ok(Some((record, bounds))),
                Err(error) => {
                    let field = error.utf8_error().field();
                    let at = error.utf8_error().valid_up_to();
                    let record = error.into_byte_record();
                    let byte = record.get(field).and_then(|cell| cell.get(at)).copied();
                    Err(not_utf8(
                        &self.file,
                        byte.unwrap_or_default(),
                        bounds.of(&self.file),
                    ))
                }
            },
        }
    }

    fn row(&self, record: StringRecord, bounds: Bounds) -> Result<Row, RowProblem> {
        let (has, wanted) = (record.len(), self.header.names.len());
        if has != wanted {
            let message = format!("this row has {has} cells, and the header has {wanted}");
            let problem = RowProblem::new(Code::InvalidRow, message)
                .with_help("quote a cell that holds the delimiter, a quote or a line break");
            return Err(problem.at(bounds.of(&self.file)));
        }
        Ok(Row {
            number: self.number,
            cells: Cells::Record {
                header: Arc::clone(&self.header),
                record,
            },
            origin: Origin::File {
                file: Arc::clone(&self.file),
                line: bounds.line,
                offset: bounds.offset,
                length: bounds.length,
            },
        })
    }
}

impl Iterator for Records {
    type Item = Result<Row, RowProblem>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.read() {
            Ok(Some((record, bounds))) => {
                self.number += 1;
                Some(self.row(record, bounds))
            }
            Ok(None) => {
                self.ended = true;
                None
            }
            // A cell that is not UTF-8 leaves the next record where it is.
            Err(problem) => {
                self.ended = problem.code != Code::NotUtf8;
                Some(Err(problem))
            }
        }
    }
}

/// The bytes of a record.
#[derive(Clone, Copy)]
struct Bounds {
    line: u64,
    offset: u64,
    length: u64,
}

impl Bounds {
    fn of(self, file: &RowsFile) -> Place {
        file.place(self.line, self.offset, self.length)
    }
}

/// How many bytes one record may still take.
#[derive(Default)]
struct Limit {
    left: Cell<u64>,
    passed: Cell<bool>,
}

/// Fails where a record takes too many bytes, because the parser keeps all of it.
struct Limited {
    inner: FileReader,
    limit: Rc<Limit>,
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.limit.left.get().checked_sub(read as u64) {
            Some(left) => self.limit.left.set(left),
            None => {
                self.limit.passed.set(true);
                return Err(io::Error::other("the record is too long"));
            }
        }
        Ok(read)
    }
}

/// Where a cell stands in the text of its record.
pub(super) fn cell_span(record: &str, delimiter: u8, position: usize) -> Option<Span> {
    let (mut cell, mut start, mut quoted) = (0, 0, false);
    let bytes = record.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let ends = !quoted && (*byte == delimiter || matches!(byte, b'\n' | b'\r'));
        if ends && cell == position {
            return Some(span(start, at));
        }
        if ends {
            (cell, start) = (cell + 1, at + 1);
        } else if *byte == b'"' {
            quoted = !quoted;
        }
    }
    (cell == position && start < bytes.len()).then(|| span(start, bytes.len()))
}

fn span(start: usize, end: usize) -> Span {
    Span {
        start: start as u32,
        end: end as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_found_in_its_record() {
        let record = "acme,\"a, \"\"b\"\"\n\",12x\r\n";
        let cell = |position| {
            let span = cell_span(record, b',', position)?;
            record.get(span.start as usize..span.end as usize)
        };
        assert_eq!(cell(0), Some("acme"));
        assert_eq!(cell(1), Some("\"a, \"\"b\"\"\n\""));
        assert_eq!(cell(2), Some("12x"));
        assert_eq!(cell(4), None);
    }
}
