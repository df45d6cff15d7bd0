//! Every combination of several lists, the last one fastest.

use std::sync::Arc;

use super::problem::RowProblem;
use super::row::{Cells, Origin, Row};
use crate::manifest::node::{Key, Node, Value};
use crate::manifest::source::Span;

/// Most combinations. A larger matrix is a mistake, and would be counted for hours.
const MAX_COMBINATIONS: u64 = 100_000_000;

/// Lists by name.
#[derive(Debug)]
pub(in crate::expand) struct Matrix {
    lists: Vec<(Key, Arc<[Node]>)>,
    combinations: u64,
}

impl Matrix {
    /// `None` if there are more combinations than anybody can mean.
    pub(in crate::expand) fn new(lists: Vec<(Key, Arc<[Node]>)>) -> Option<Self> {
        let combinations = lists.iter().try_fold(1u64, |product, (_, list)| {
            product.checked_mul(list.len() as u64)
        });
        let combinations = combinations.filter(|count| *count <= MAX_COMBINATIONS)?;
        Some(Matrix {
            lists,
            combinations,
        })
    }

    pub(super) fn iter(matrix: Arc<Self>) -> impl Iterator<Item = Result<Row, RowProblem>> {
        (0..matrix.combinations).map(move |position| Ok(matrix.row(position)))
    }

    fn row(&self, position: u64) -> Row {
        let mut rest = position;
        let mut entries: Vec<(Key, Node)> = Vec::with_capacity(self.lists.len());
        for (key, list) in self.lists.iter().rev() {
            let length = list.len() as u64;
            entries.push((key.clone(), list[(rest % length) as usize].clone()));
            rest /= length;
        }
        entries.reverse();
        let value = Value::Map(entries.into());
        let span = Span::default();
        Row {
            number: position + 1,
            cells: Cells::Value(Node { value, span }),
            origin: Origin::Combination,
        }
    }
}
