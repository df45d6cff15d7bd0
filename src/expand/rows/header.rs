//! The header of a CSV file, and where the cells of a record stand.

use std::collections::HashMap;

use csv::StringRecord;

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
    pub(super) fn new(names: StringRecord, delimiter: u8) -> Self {
        let index =
            (names.len() > INDEXED_FROM).then(|| names.iter().map(Into::into).zip(0..).collect());
        Header {
            names,
            index,
            delimiter,
        }
    }

    /// Number of columns.
    pub(super) fn len(&self) -> usize {
        self.names.len()
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
