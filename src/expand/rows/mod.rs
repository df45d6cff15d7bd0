//! Rows: what one entry with `forEach` stands for, one start each.
//!
//! In: where rows come from. Out: rows one by one, each of which knows its place, so that a problem
//! can name the file and line. Memory is bounded by the longest row, not by their number.

mod csv;
mod file;
mod header;
mod jsonl;
mod matrix;
mod problem;
mod quotes;
mod row;

use std::sync::Arc;

use crate::manifest::node::Node;
use crate::manifest::source::{Source, Span};

pub(super) use file::{RowFiles, RowsFile, TEMPORARY_FOLDER};
pub(super) use matrix::Matrix;
pub(super) use problem::RowProblem;
pub(super) use row::{Cell, Row};

use row::{Cells, Origin};

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
