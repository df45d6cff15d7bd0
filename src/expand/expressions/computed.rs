//! What is the same for every row, or is computed for each.

use super::node_template::NodeTemplate;

/// A part of a start.
#[derive(Debug)]
pub(in crate::expand) enum Computed<C> {
    /// What is made of it once, whatever the row.
    Fixed(C),
    /// What its expressions come to.
    Template(NodeTemplate),
}
