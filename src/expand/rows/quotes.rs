//! Whether the quotes of a CSV file are meant as such.
//!
//! The parser makes rows of any bytes. What nobody meant is found here, on the bytes on their way
//! to the parser: a quote that is never closed takes all rows after it into its cell.

use std::collections::VecDeque;

use memchr::memchr;

/// What is wrong with a quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// The cell that it opens has no end.
    NeverClosed,
    /// Something stands behind the quote at this offset, which closes the cell that it opens.
    Followed { close: u64 },
    /// It stands in a cell that does not begin with a quote.
    Inside,
}

/// A quote that is not as RFC 4180 has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) wrong: Wrong,
    /// Where the quote stands in the file, counted in bytes. For a quoted cell it is the one that
    /// opens it.
    pub(super) offset: u64,
}

/// Where the bytes before have led to.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Outside of quotes, after this byte; what begins the file counts as after a line break.
    Outside { after: u8 },
    /// In a cell that this quote opened.
    Quoted { open: u64 },
    /// The same, after a quote that closes the cell or is the first of two.
    Closing { open: u64 },
}

/// Follows the quotes of a file, read in parts.
#[derive(Debug)]
pub(super) struct Quotes {
    delimiter: u8,
    state: State,
    /// Bytes seen.
    offset: u64,
    faults: VecDeque<Fault>,
}

impl Quotes {
    pub(super) fn new(delimiter: u8) -> Self {
        Quotes {
            delimiter,
            state: State::Outside { after: b'\n' },
            offset: 0,
            faults: VecDeque::new(),
        }
    }

    /// Takes the next bytes of the file.
    pub(super) fn see(&mut self, bytes: &[u8]) {
        let mut at = 0;
        if self.offset == 0 && bytes.starts_with(b"\xEF\xBB\xBF") {
            at = 3;
        }
        while at < bytes.len() {
            at = match self.state {
                State::Outside { after } => self.outside(bytes, at, after),
                State::Quoted { open } => match memchr(b'"', &bytes[at..]) {
                    Some(found) => {
                        self.state = State::Closing { open };
                        at + found + 1
                    }
                    None => bytes.len(),
                },
                State::Closing { open } => {
                    self.closing(bytes[at], at, open);
                    at + 1
                }
            };
        }
        self.offset += bytes.len() as u64;
    }

    /// Goes on outside of quotes to behind the next one.
    fn outside(&mut self, bytes: &[u8], at: usize, after: u8) -> usize {
        let Some(found) = memchr(b'"', &bytes[at..]) else {
            let after = bytes[bytes.len() - 1];
            self.state = State::Outside { after };
            return bytes.len();
        };
        let quote = at + found;
        let before = if found == 0 { after } else { bytes[quote - 1] };
        let offset = self.offset + quote as u64;
        if self.ends_cell(before) {
            self.state = State::Quoted { open: offset };
        } else {
            let wrong = Wrong::Inside;
            self.faults.push_back(Fault { wrong, offset });
            self.state = State::Outside { after: b'"' };
        }
        quote + 1
    }

    /// Takes the byte behind a quote in a quoted cell.
    fn closing(&mut self, byte: u8, at: usize, open: u64) {
        if byte == b'"' {
            self.state = State::Quoted { open };
            return;
        }
        if !self.ends_cell(byte) {
            let close = self.offset + at as u64 - 1;
            self.faults.push_back(Fault {
                wrong: Wrong::Followed { close },
                offset: open,
            });
        }
        self.state = State::Outside { after: byte };
    }

    fn ends_cell(&self, byte: u8) -> bool {
        byte == self.delimiter || matches!(byte, b'\n' | b'\r')
    }

    /// Takes the end of the file.
    pub(super) fn end(&mut self) {
        if let State::Quoted { open: offset } = self.state {
            let wrong = Wrong::NeverClosed;
            self.faults.push_back(Fault { wrong, offset });
            self.state = State::Outside { after: b'\n' };
        }
    }

    /// The quote that has opened a cell without an end so far.
    pub(super) fn open(&self) -> Option<u64> {
        match self.state {
            State::Quoted { open } => Some(open),
            State::Outside { .. } | State::Closing { .. } => None,
        }
    }

    /// The first fault before a place in the file; what else is wrong before it is forgotten.
    pub(super) fn take_fault_before(&mut self, end: u64) -> Option<Fault> {
        let behind = self.faults.partition_point(|fault| fault.offset < end);
        self.faults.drain(..behind).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &[u8], part: usize) -> Vec<Fault> {
        let mut quotes = Quotes::new(b',');
        for part in text.chunks(part) {
            quotes.see(part);
        }
        quotes.end();
        quotes.faults.into()
    }

    #[test]
    fn quotes_of_cells_are_as_rfc_4180_has_them() {
        let sound: [&[u8]; 12] = [
            b"",
            b"a,b\n1,2\n",
            b"\"a\",\"b\"\r\n\"1\",\"2\"\r\n",
            b"a\r\"b\"\r",
            b"\"\"\n",
            b"\"\"\"\"\n",
            b"\"a\"\"b\",\"\"\"\"\"\"\n",
            b"\"a,b\r\n\r\nc\",d",
            b"a,\"b\"",
            b"\xEF\xBB\xBF\"a\",b\n",
            b"a, b \n",
            b"a;'b'\n",
        ];
        for text in sound {
            // The mark of UTF-8 comes whole: files are read in large parts.
            for part in [3, 4, 5, 100] {
                assert_eq!(faults(text, part), [], "{}", text.escape_ascii());
            }
        }
    }

    #[test]
    fn what_is_wrong_is_found_at_the_quote_that_opens() {
        let followed = |close| Wrong::Followed { close };
        type Found = (Wrong, u64);
        let unsound: [(&[u8], &[Found]); 10] = [
            (b"\"", &[(Wrong::NeverClosed, 0)]),
            (b"a,\"b\nc,d\n", &[(Wrong::NeverClosed, 2)]),
            (b"a,\"b\"\"\n", &[(Wrong::NeverClosed, 2)]),
            (b"a,\"b\"\"\"c", &[(followed(6), 2)]),
            (b"a,\"b\" ,c\n", &[(followed(4), 2)]),
            (b"a,\"b\nc,\"d\"\n", &[(followed(7), 2), (Wrong::Inside, 9)]),
            (b"a,b\"\n\"c\"\n", &[(Wrong::Inside, 3)]),
            (b"a, \"b\"\n", &[(Wrong::Inside, 3), (Wrong::Inside, 5)]),
            (b"\xEF\xBB\xBFa\"\n", &[(Wrong::Inside, 4)]),
            (b"a;\"b\"\n", &[(Wrong::Inside, 2), (Wrong::Inside, 4)]),
        ];
        for (text, expected) in unsound {
            for part in [3, 4, 5, 100] {
                let found: Vec<_> = faults(text, part)
                    .iter()
                    .map(|fault| (fault.wrong, fault.offset))
                    .collect();
                assert_eq!(found, expected, "{}", text.escape_ascii());
            }
        }
    }

    #[test]
    fn faults_are_taken_row_by_row() {
        let mut quotes = Quotes::new(b',');
        quotes.see(b"a\"b\"\nc\"\nd,\"e");
        assert_eq!(quotes.open(), Some(10));
        let offset = |fault: Option<Fault>| fault.map(|fault| fault.offset);
        assert_eq!(offset(quotes.take_fault_before(5)), Some(1));
        assert_eq!(offset(quotes.take_fault_before(5)), None);
        assert_eq!(offset(quotes.take_fault_before(8)), Some(6));
        assert_eq!(offset(quotes.take_fault_before(100)), None);
        quotes.end();
        assert_eq!(offset(quotes.take_fault_before(100)), Some(10));
        assert_eq!(quotes.open(), None);
    }
}
