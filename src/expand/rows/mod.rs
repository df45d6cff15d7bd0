//! Rows: what one entry with `forEach` stands for, one start each.
//!
//! In: where rows come from. Out: rows one by one, each of which knows its place, so that a problem
//! can name the file and line. Memory is bounded by the longest row, not by their number.

mod csv;
mod file;
mod jsonl;
mod matrix;
mod quotes;

use std::fmt;
use std::sync::Arc;

use crate::manifest::diagnostic::{Code, Place};
use crate::manifest::node::{Key, Node, Value};
use crate::manifest::source::{Source, Span};

pub(super) use file::{RowFiles, RowsFile, TEMPORARY_FOLDER};
pub(super) use matrix::Matrix;

/// Longest row, in bytes: twice what fits into a start.
pub(super) const MAX_ROW_BYTES: u64 = 8 * 1024 * 1024;

/// Where rows come from.
#[derive(Debug)]
pub(super) enum Rows {
    /// They stand in the manifest.
    Items(Arc<[Node]>),
    /// Every combination of lists.
    Matrix(Arc<Matrix>),
    /// A CSV file.
    Csv {
        /// The file.
        file: Arc<RowsFile>,
        /// What stands between two cells.
        delimiter: u8,
    },
    /// A file of JSON lines.
    Jsonl(Arc<RowsFile>),
}

/// Rows one by one.
pub(super) type RowIter = Box<dyn Iterator<Item = Result<Row, RowProblem>>>;

impl Rows {
    /// Bytes of the file that they are in.
    pub(super) fn file_bytes(&self) -> u64 {
        match self {
            Rows::Items(_) | Rows::Matrix(_) => 0,
            Rows::Csv { file, .. } | Rows::Jsonl(file) => file.len(),
        }
    }

    /// The rows from the first one on. After a problem that leaves no way on it ends.
    pub(super) fn iter(&self, manifest: &Arc<Source>) -> RowIter {
        match self {
            Rows::Items(items) => {
                let (items, source) = (Arc::clone(items), Arc::clone(manifest));
                Box::new((0..items.len()).map(move |position| {
                    let item = &items[position];
                    // What an expression came to stands nowhere.
                    let origin = if item.span == Span::default() {
                        Origin::Combination
                    } else {
                        Origin::Written {
                            source: Arc::clone(&source),
                            span: item.span,
                        }
                    };
                    Ok(Row {
                        number: position as u64 + 1,
                        cells: Cells::of(item.clone()),
                        origin,
                    })
                }))
            }
            Rows::Matrix(matrix) => Box::new(Matrix::iter(Arc::clone(matrix))),
            Rows::Csv { file, delimiter } => match csv::Records::open(file, *delimiter) {
                Ok(records) => Box::new(records),
                Err(problem) => Box::new(std::iter::once(Err(problem))),
            },
            Rows::Jsonl(file) => match jsonl::Lines::open(file) {
                Ok(lines) => Box::new(lines),
                Err(problem) => Box::new(std::iter::once(Err(problem))),
            },
        }
    }
}

/// One row.
#[derive(Debug)]
pub(super) struct Row {
    /// Its number, from 1; lines that hold none are not counted.
    pub(super) number: u64,
    cells: Cells,
    origin: Origin,
}

enum Cells {
    /// Strings by the names in the header.
    Record {
        header: Arc<csv::Header>,
        record: ::csv::StringRecord,
    },
    /// A map.
    Value(Node),
}

impl Cells {
    /// A value as a row; one that is no map is its only cell, `value`.
    fn of(node: Node) -> Self {
        if let Value::Map(_) = node.value {
            return Cells::Value(node);
        }
        let span = node.span;
        let key = Key {
            text: "value".into(),
            span,
        };
        let value = Value::Map([(key, node)].into());
        Cells::Value(Node { value, span })
    }
}

impl fmt::Debug for Cells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cells::Record { record, .. } => record.fmt(f),
            Cells::Value(node) => node.fmt(f),
        }
    }
}

/// What a row holds under a name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell<'r> {
    /// A cell of a CSV file.
    Text(&'r str),
    /// A value of JSON or YAML.
    Node(&'r Node),
}

impl Row {
    #[cfg(test)]
    pub(super) fn of(node: Node) -> Self {
        Row {
            number: 1,
            cells: Cells::of(node),
            origin: Origin::Combination,
        }
    }

    /// What it holds under a name.
    pub(super) fn get(&self, name: &str) -> Option<Cell<'_>> {
        match &self.cells {
            Cells::Record { header, record } => record.get(header.position(name)?).map(Cell::Text),
            Cells::Value(node) => node.get(name).map(Cell::Node),
        }
    }

    /// Number of its cells.
    pub(super) fn len(&self) -> usize {
        match &self.cells {
            Cells::Record { record, .. } => record.len(),
            Cells::Value(node) => node.entries().len(),
        }
    }

    /// The names of what it holds.
    pub(super) fn names(&self) -> Vec<&str> {
        match &self.cells {
            Cells::Record { header, .. } => header.names().collect(),
            Cells::Value(node) => node.entries().iter().map(|(key, _)| &*key.text).collect(),
        }
    }

    /// The value that is all of the row, if it is no record.
    pub(super) fn node(&self) -> Option<&Node> {
        match &self.cells {
            Cells::Record { .. } => None,
            Cells::Value(node) => Some(node),
        }
    }

    /// Where it stands, and there the cell of a name, if that can be told. `None` for a combination
    /// that stands nowhere.
    pub(super) fn place(&self, name: Option<&str>) -> Option<Place> {
        let mut place = self.origin.place()?;
        if let (Cells::Record { header, .. }, Some(name)) = (&self.cells, name)
            && let (Some(position), Origin::File { .. }) = (header.position(name), &self.origin)
            && let Some(span) = csv::cell_span(place.source.text(), header.delimiter, position)
        {
            place.span = span;
        }
        Some(place)
    }

    /// Which row it is, for the end of a message: `customers.csv:4`, or the values of a matrix.
    pub(super) fn in_words(&self) -> String {
        match (self.place(None), &self.cells) {
            (None, Cells::Value(node)) => {
                let values = node.entries().iter().map(|(key, value)| {
                    let value = serde_json::to_string(value).unwrap_or_default();
                    format!("{}: {}", key.text, crate::manifest::shorten(&value))
                });
                values.collect::<Vec<_>>().join(", ")
            }
            (Some(place), _) => {
                format!(
                    "{}:{}",
                    place.source.name(),
                    place.source.line(place.span.start)
                )
            }
            (None, Cells::Record { .. }) => format!("row {}", self.number),
        }
    }
}

/// Where a row comes from.
#[derive(Clone, Debug)]
enum Origin {
    /// These bytes of a file.
    File {
        file: Arc<RowsFile>,
        line: u64,
        offset: u64,
        length: u64,
    },
    /// A place in the manifest.
    Written { source: Arc<Source>, span: Span },
    /// Nowhere: values of several lists, or of an expression.
    Combination,
}

impl Origin {
    fn place(&self) -> Option<Place> {
        match self {
            Origin::File {
                file,
                line,
                offset,
                length,
            } => Some(file.place(*line, *offset, *length)),
            Origin::Written { source, span } => Some(Place {
                source: Arc::clone(source),
                span: *span,
            }),
            Origin::Combination => None,
        }
    }
}

/// A row that cannot be used, or rows that cannot be read.
#[derive(Debug)]
pub(super) struct RowProblem {
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) help: Option<String>,
    pub(super) place: Option<Place>,
}

impl RowProblem {
    fn new(code: Code, message: impl Into<String>) -> Self {
        RowProblem {
            code,
            message: message.into(),
            help: None,
            place: None,
        }
    }

    fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }
}

fn too_long(place: Place) -> RowProblem {
    let limit = MAX_ROW_BYTES / (1024 * 1024);
    RowProblem::new(
        Code::InvalidRow,
        format!("a row is longer than {limit} MiB"),
    )
    .with_help("store the data elsewhere and pass a reference to it; in a CSV file, look for a quote that is never closed")
    .at(place)
}

fn not_utf8(file: &RowsFile, byte: u8, place: Place) -> RowProblem {
    let name = file.name();
    RowProblem::new(
        Code::NotUtf8,
        format!("`{name}` is not UTF-8: byte 0x{byte:02X}"),
    )
    .with_help(format!(
        "save the file as UTF-8; if it is Latin-1: `iconv -f LATIN1 -t UTF-8 {name}`"
    ))
    .at(place)
}
