//! Reads a journal's lines one by one, each held to its check sum. What is read may be anything:
//! memory is bounded, and nothing is believed before its sum is checked.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use serde::Deserialize;

use super::record::{JournalHeader, JournalLine, VERSION};
use super::seal::{self, Broken};
use crate::disk::PositionalReader;

/// Most starts that a journal can be about. As many as one `forEach` can have; the tables over them
/// stay within 13 MB of memory and 2 GB of disk, whatever a journal claims.
pub const MAX_STARTS: u64 = 100_000_000;

/// Longest line, in bytes. The longest holds a Workflow's result, whose answer is bounded.
const MAX_LINE_BYTES: u64 = 256 * 1024 * 1024;

/// How a journal of any version begins.
const BEGINNING: &[u8] = b"{\"line\":\"header\"";

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// The file is something else.
    #[error("this is no journal")]
    NoJournal,
    /// Another release has written it.
    #[error("it has version {version}, and this program reads version {VERSION}")]
    Version {
        /// Its version.
        version: u32,
    },
    /// The line does not end in a check sum.
    #[error("it has no check sum: the line was changed or damaged")]
    Unsealed,
    /// The check sum is another one.
    #[error("its check sum does not match: the line was changed or damaged")]
    Changed,
    /// Longer than any line of a journal.
    #[error("it is longer than {} MiB", MAX_LINE_BYTES / (1024 * 1024))]
    TooLong,
    /// The check sum is right, but it is no line of a journal.
    #[error("{0}")]
    NoLine(serde_json::Error),
    /// The header is missing, or there is another one.
    #[error("the header must be the first line")]
    HeaderNotFirst,
    /// More starts than there can be.
    #[error("it is about {of} starts, and a journal is about {MAX_STARTS} at most")]
    TooManyStarts {
        /// How many the header claims.
        of: u64,
    },
    /// An invocation has gone on with other starts.
    #[error("it is about {of} starts, and the header about {headers}")]
    OtherStarts {
        /// How many the line claims.
        of: u64,
        /// How many the header claims.
        headers: u64,
    },
    /// A line that only a later program knows.
    #[error("it is a line of another kind than this program knows: a later one has written it")]
    UnknownLine,
    /// A start that the header does not count.
    #[error("it is about start {index}, and the header counts {of} from 0")]
    NoSuchStart {
        /// Its index.
        index: u64,
        /// How many there are.
        of: u64,
    },
}

/// Why no further line can be read.
#[derive(Debug)]
pub(super) enum LineError {
    /// The disk fails.
    Io(io::Error),
    /// A line, counted from 1, is no line of a journal.
    Damaged(u64, Damage),
}

impl From<io::Error> for LineError {
    fn from(error: io::Error) -> Self {
        LineError::Io(error)
    }
}

/// A journal's lines, from its beginning.
pub(super) struct JournalLines {
    reader: BufReader<PositionalReader>,
    /// The line that was read last, with its line break; kept for its memory.
    text: Vec<u8>,
    /// Its number, from 1.
    number: u64,
}

impl JournalLines {
    pub(super) fn new(file: &Arc<File>) -> Self {
        JournalLines {
            reader: BufReader::new(PositionalReader::new(file, 0)),
            text: Vec::new(),
            number: 0,
        }
    }

    /// Bytes of the line that was read last.
    pub(super) fn length(&self) -> u64 {
        self.text.len() as u64
    }

    /// Reads the header.
    pub(super) fn header(&mut self) -> Result<JournalHeader, LineError> {
        self.number = 1;
        let no_journal = || LineError::Damaged(1, Damage::NoJournal);
        // Not a byte more is read of what does not even begin like a journal.
        if !self.reader.fill_buf()?.starts_with(BEGINNING) || !self.read()? {
            return Err(no_journal());
        }
        let sealed = self.check();
        if let Err(LineError::Damaged(_, Damage::Unsealed)) = &sealed {
            // Other versions may be sealed in another way, and the first one is not at all.
            let version = serde_json::from_slice(&self.text).map(|Versioned { version }| version);
            return Err(match version {
                Ok(version) if version != VERSION => self.damaged(Damage::Version { version }),
                _ => self.damaged(Damage::Unsealed),
            });
        }
        sealed?;
        let Versioned { version } = self.parse()?;
        if version != VERSION {
            return Err(self.damaged(Damage::Version { version }));
        }
        let JournalLine::Header(header) = self.parse()? else {
            return Err(no_journal());
        };
        let of = header.apply.indices();
        if of > MAX_STARTS {
            return Err(self.damaged(Damage::TooManyStarts { of }));
        }
        Ok(header.into_owned())
    }

    /// Reads the next line; `None` at the end, or at a line that was being written when the machine
    /// or the program stopped.
    pub(super) fn next(
        &mut self,
        header: &JournalHeader,
    ) -> Result<Option<JournalLine<'static>>, LineError> {
        self.number += 1;
        if !self.read()? {
            return Ok(None);
        }
        self.check()?;
        let line: JournalLine<'_> = self.parse()?;
        let of = header.apply.indices();
        let damage = match &line {
            JournalLine::Header(_) => Damage::HeaderNotFirst,
            JournalLine::Resumed(resumed) if resumed.apply.indices() != of => Damage::OtherStarts {
                of: resumed.apply.indices(),
                headers: of,
            },
            JournalLine::Other if !self.parse::<Unknown>()?.optional => Damage::UnknownLine,
            _ => match line.index() {
                Some(index) if index >= of => Damage::NoSuchStart { index, of },
                _ => return Ok(Some(line)),
            },
        };
        Err(self.damaged(damage))
    }

    /// Reads the line at an offset.
    pub(super) fn at(
        &mut self,
        offset: u64,
        position: &mut u64,
    ) -> Result<JournalLine<'static>, LineError> {
        self.reader
            .seek_relative(offset as i64 - *position as i64)?;
        let whole = self.read()?;
        *position = offset + self.length();
        if !whole {
            return Err(LineError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        self.check()?;
        self.parse()
    }

    /// Reads up to the next line break. Whether there is one.
    fn read(&mut self) -> Result<bool, LineError> {
        self.text.clear();
        let mut bounded = (&mut self.reader).take(MAX_LINE_BYTES);
        bounded.read_until(b'\n', &mut self.text)?;
        if self.text.ends_with(b"\n") {
            return Ok(true);
        }
        if self.length() == MAX_LINE_BYTES {
            return Err(self.damaged(Damage::TooLong));
        }
        // A line that was torn is the beginning of one; a whole one with a byte more has lost its
        // line break in another way.
        match self.text.split_last() {
            Some((_, line)) if seal::check(line).is_ok() => Err(self.damaged(Damage::Changed)),
            _ => Ok(false),
        }
    }

    /// The line without its break.
    fn line(&self) -> &[u8] {
        self.text.strip_suffix(b"\n").unwrap_or(&self.text)
    }

    fn check(&self) -> Result<(), LineError> {
        seal::check(self.line()).map_err(|broken| {
            self.damaged(match broken {
                Broken::Unsealed => Damage::Unsealed,
                Broken::Changed => Damage::Changed,
            })
        })
    }

    fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, LineError> {
        serde_json::from_slice(self.line()).map_err(|error| self.damaged(Damage::NoLine(error)))
    }

    fn damaged(&self, damage: Damage) -> LineError {
        LineError::Damaged(self.number, damage)
    }
}

/// What a line of any kind may have.
#[derive(Deserialize)]
struct Unknown {
    /// Whether it may be passed over.
    #[serde(default)]
    optional: bool,
}

/// What a header of any version has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}
