//! Rows of a CSV file with a header. Cells are strings.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;
use std::sync::Arc;

use csv::{ByteRecord, ReaderBuilder, StringRecord};

use super::file::{FileReader, RowsFile};
use super::header::Header;
use super::problem::{MAX_ROW_BYTES, RowProblem, not_utf8, too_long};
use super::quotes::{Fault, Quotes, Wrong};
use super::row::{Cells, Origin, Row};
use crate::manifest::diagnostic::{Code, Place};

const CLOSE_IT: &str = "close the cell with a quote right before the delimiter or the end of the line; inside of it a quote is written twice: `\"5\"\" pipe\"`";
const QUOTE_ALL: &str = "quote the whole cell and write the quote inside of it twice: `\"5\"\" pipe\"`; a blank before the first quote makes it a part of the text";

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
            quotes: Quotes::new(delimiter),
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

    /// Reads the next record. `None` at the end. After a problem that leaves no way on, it has
    /// ended.
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
        let quotes = &mut self.reader.get_mut().quotes;
        match more {
            Err(_) if self.limit.passed.get() => {
                self.ended = true;
                let from = quotes.open().unwrap_or(bounds.offset);
                Err(too_long(bounds.within(&self.file, from).0))
            }
            Err(error) => {
                self.ended = true;
                Err(self.file.unreadable(&io::Error::other(error.to_string())))
            }
            Ok(false) => {
                self.ended = true;
                self.file.finish(&mut self.reader.get_mut().inner)?;
                Ok(None)
            }
            Ok(true) => match quotes.take_fault_before(bounds.end()) {
                Some(fault) => Err(self.unsound(fault, bounds)),
                None => self.utf8(record, bounds).map(Some),
            },
        }
    }

    fn utf8(
        &self,
        record: ByteRecord,
        bounds: Bounds,
    ) -> Result<(StringRecord, Bounds), RowProblem> {
        StringRecord::from_byte_record(record)
            .map(|record| (record, bounds))
            .map_err(|error| {
                let field = error.utf8_error().field();
                let at = error.utf8_error().valid_up_to();
                let record = error.into_byte_record();
                let byte = record.get(field).and_then(|cell| cell.get(at)).copied();
                let place = bounds.of(&self.file);
                not_utf8(self.file.name(), byte.unwrap_or_default(), place)
            })
    }

    /// The problem that a quote is not meant as one.
    fn unsound(&mut self, fault: Fault, bounds: Bounds) -> RowProblem {
        let (mut place, line) = bounds.within(&self.file, fault.offset);
        let shown = |length: u64| {
            let end = u64::from(place.span.start) + length;
            end.min(u64::from(place.span.end)) as u32
        };
        let (message, help) = match fault.wrong {
            Wrong::NeverClosed => (
                "the quote that opens this cell is never closed".to_owned(),
                CLOSE_IT,
            ),
            Wrong::Followed { close } => {
                let (_, closed_on) = bounds.within(&self.file, close);
                place.span.end = shown(close + 1 - fault.offset);
                if closed_on == line {
                    let message = "text follows the quote that closes this cell";
                    (message.to_owned(), CLOSE_IT)
                } else {
                    // Which rows were taken into the cell is anybody's guess, and so is what follows.
                    self.ended = true;
                    let message = format!(
                        "this quoted cell goes on to line {closed_on}, where text follows the quote that closes it"
                    );
                    (message, CLOSE_IT)
                }
            }
            Wrong::Inside => {
                place.span.end = shown(1);
                let message = "a quote stands inside of a cell that does not begin with one";
                (message.to_owned(), QUOTE_ALL)
            }
        };
        RowProblem::new(Code::InvalidRow, message)
            .with_help(help)
            .at(place)
    }

    fn row(&self, record: StringRecord, bounds: Bounds) -> Result<Row, RowProblem> {
        let (has, wanted) = (record.len(), self.header.len());
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
            Ok(None) => None,
            Err(problem) => Some(Err(problem)),
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

    fn end(self) -> u64 {
        self.offset + self.length
    }

    /// From a byte of the record to the end of its line, and the number of the line.
    fn within(self, file: &RowsFile, from: u64) -> (Place, u64) {
        file.place_within(self.line, self.offset, self.end(), from)
    }
}

/// How many bytes one record may still take.
#[derive(Default)]
struct Limit {
    left: Cell<u64>,
    passed: Cell<bool>,
}

/// Fails where a record takes too many bytes, because the parser keeps all of it, and follows the
/// quotes, which the parser takes as they come.
struct Limited {
    inner: FileReader,
    limit: Rc<Limit>,
    quotes: Quotes,
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
        match read {
            0 => self.quotes.end(),
            _ => self.quotes.see(&buffer[..read]),
        }
        Ok(read)
    }
}
