//! What is wrong with rows.

use crate::manifest::diagnostic::{Code, Place};

/// Longest row, in bytes: twice what fits into a start.
pub(in crate::expand) const MAX_ROW_BYTES: u64 = 8 * 1024 * 1024;

/// A row that cannot be used, or rows that cannot be read.
#[derive(Debug)]
pub(in crate::expand) struct RowProblem {
    pub(in crate::expand) code: Code,
    pub(in crate::expand) message: String,
    pub(in crate::expand) help: Option<String>,
    pub(in crate::expand) place: Option<Place>,
}

impl RowProblem {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        RowProblem {
            code,
            message: message.into(),
            help: None,
            place: None,
        }
    }

    pub(super) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }
}

/// The problem of a row that is too long.
pub(super) fn too_long(place: Place) -> RowProblem {
    let limit = MAX_ROW_BYTES / (1024 * 1024);
    RowProblem::new(
        Code::InvalidRow,
        format!("a row is longer than {limit} MiB"),
    )
    .with_help("store the data elsewhere and pass a reference to it; in a CSV file, look for a quote that is never closed")
    .at(place)
}

/// The problem of a file that is not UTF-8.
pub(super) fn not_utf8(name: &str, byte: u8, place: Place) -> RowProblem {
    RowProblem::new(
        Code::NotUtf8,
        format!("`{name}` is not UTF-8: byte 0x{byte:02X}"),
    )
    .with_help(format!(
        "save the file as UTF-8; if it is Latin-1: `iconv -f LATIN1 -t UTF-8 {name}`"
    ))
    .at(place)
}
