//! One row: what it holds, and where it stands.

use std::fmt;
use std::sync::Arc;

use csv::StringRecord;

use super::file::RowsFile;
use super::header::{Header, cell_span};
use crate::manifest::diagnostic::Place;
use crate::manifest::node::{Key, Node, Value};
use crate::manifest::source::{Source, Span};

/// One row.
#[derive(Debug)]
pub(in crate::expand) struct Row {
    /// Its number, from 1; lines that hold none are not counted.
    pub(in crate::expand) number: u64,
    pub(super) cells: Cells,
    pub(super) origin: Origin,
}

/// What a row holds.
pub(super) enum Cells {
    /// Strings by the names in the header.
    Record {
        header: Arc<Header>,
        record: StringRecord,
    },
    /// A map.
    Value(Node),
}

impl Cells {
    /// A value as a row; one that is no map is its only cell, `value`.
    pub(super) fn of(node: Node) -> Self {
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
pub(in crate::expand) enum Cell<'r> {
    /// A cell of a CSV file.
    Text(&'r str),
    /// A value of JSON or YAML.
    Node(&'r Node),
}

impl Row {
    #[cfg(test)]
    pub(in crate::expand) fn of(node: Node) -> Self {
        Row {
            number: 1,
            cells: Cells::of(node),
            origin: Origin::Combination,
        }
    }

    /// What it holds under a name.
    pub(in crate::expand) fn get(&self, name: &str) -> Option<Cell<'_>> {
        match &self.cells {
            Cells::Record { header, record } => record.get(header.position(name)?).map(Cell::Text),
            Cells::Value(node) => node.get(name).map(Cell::Node),
        }
    }

    /// Number of its cells.
    pub(in crate::expand) fn len(&self) -> usize {
        match &self.cells {
            Cells::Record { record, .. } => record.len(),
            Cells::Value(node) => node.entries().len(),
        }
    }

    /// The names of what it holds.
    pub(in crate::expand) fn names(&self) -> Vec<&str> {
        match &self.cells {
            Cells::Record { header, .. } => header.names().collect(),
            Cells::Value(node) => node.entries().iter().map(|(key, _)| &*key.text).collect(),
        }
    }

    /// The value that is all of the row, if it is no record.
    pub(in crate::expand) fn node(&self) -> Option<&Node> {
        match &self.cells {
            Cells::Record { .. } => None,
            Cells::Value(node) => Some(node),
        }
    }

    /// Where it stands, and there the cell of a name, if that can be told. `None` for a combination
    /// that stands nowhere.
    pub(in crate::expand) fn place(&self, name: Option<&str>) -> Option<Place> {
        let mut place = self.origin.place()?;
        if let (Cells::Record { header, .. }, Some(name)) = (&self.cells, name)
            && let (Some(position), Origin::File { .. }) = (header.position(name), &self.origin)
            && let Some(span) = cell_span(place.source.text(), header.delimiter, position)
        {
            place.span = span;
        }
        Some(place)
    }

    /// Which row it is, for the end of a message: `customers.csv:4`, or the values of a matrix.
    pub(in crate::expand) fn in_words(&self) -> String {
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
pub(super) enum Origin {
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
