//! Rows of a file with one JSON value on each line.

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use super::file::{FileReader, RowsFile};
use super::problem::{MAX_ROW_BYTES, RowProblem, not_utf8, too_long};
use super::row::{Cells, Origin, Row};
use crate::manifest::diagnostic::Code;
use crate::manifest::json;

/// Lines one by one; those without anything on them are no rows.
pub(super) struct Lines {
    file: Arc<RowsFile>,
    reader: BufReader<FileReader>,
    line: u64,
    offset: u64,
    number: u64,
    text: Vec<u8>,
    ended: bool,
}

impl Lines {
    pub(super) fn open(file: &Arc<RowsFile>) -> Result<Self, RowProblem> {
        Ok(Lines {
            reader: BufReader::with_capacity(64 * 1024, file.read()?),
            file: Arc::clone(file),
            line: 0,
            offset: 0,
            number: 0,
            text: Vec::new(),
            ended: false,
        })
    }

    /// Reads the next line into `text`. `None` at the end.
    fn read(&mut self) -> Option<Result<(), RowProblem>> {
        self.offset += self.text.len() as u64;
        self.text.clear();
        let read = (&mut self.reader)
            .take(MAX_ROW_BYTES + 1)
            .read_until(b'\n', &mut self.text);
        self.line += 1;
        match read {
            Err(error) => Some(Err(self.file.unreadable(&error))),
            Ok(0) => match self.file.finish(self.reader.get_mut()) {
                Ok(()) => None,
                Err(problem) => Some(Err(problem)),
            },
            Ok(length) if length as u64 > MAX_ROW_BYTES => {
                let place = self.file.place(self.line, self.offset, length as u64);
                Some(Err(too_long(place)))
            }
            Ok(_) => Some(Ok(())),
        }
    }

    fn row(&mut self, begin: usize) -> Result<Row, RowProblem> {
        let (file, line) = (&self.file, self.line);
        let offset = self.offset + begin as u64;
        let text = self.text[begin..].trim_ascii_end();
        let length = text.len() as u64;
        let at = |byte: usize| {
            let mut place = file.place(line, offset, length);
            // The window that is shown may be shorter than the line.
            let last = place.source.text().len();
            let mut from = byte.min(last.saturating_sub(1));
            while !place.source.text().is_char_boundary(from) {
                from -= 1;
            }
            place.span.start = from as u32;
            place
        };
        let cells = json::parse(text).map_err(|error| {
            if let Err(utf8) = std::str::from_utf8(text) {
                let byte = utf8.valid_up_to();
                return not_utf8(file.name(), text[byte], at(byte));
            }
            let problem = RowProblem::new(Code::InvalidRow, format!("this is not JSON: {error}"));
            let problem = match &error {
                json::JsonError::NumberOutOfRange { .. } => {
                    RowProblem::new(Code::NumberOutOfRange, error.to_string())
                        .with_help("quote it to pass it as a string")
                }
                json::JsonError::Syntax(_) => {
                    problem.with_help("write one JSON value on each line")
                }
            };
            problem.at(at(error.offset()))
        })?;
        Ok(Row {
            number: self.number,
            cells: Cells::of(cells),
            origin: Origin::File {
                file: Arc::clone(file),
                line,
                offset,
                length,
            },
        })
    }
}

impl Iterator for Lines {
    type Item = Result<Row, RowProblem>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.read() {
                None => self.ended = true,
                Some(Err(problem)) => {
                    self.ended = true;
                    return Some(Err(problem));
                }
                Some(Ok(())) => {
                    let mark = self.line == 1 && self.text.starts_with(b"\xEF\xBB\xBF");
                    let begin = if mark { 3 } else { 0 };
                    if !self.text[begin..].trim_ascii().is_empty() {
                        self.number += 1;
                        return Some(self.row(begin));
                    }
                }
            }
        }
        None
    }
}
