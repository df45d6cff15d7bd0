//! From the path of a finding to its place in the text.

use crate::manifest::text::node::Node;
use crate::manifest::text::source::Span;

/// One step from a value into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into a map.
    Key(String),
    /// Into a list.
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Step::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Step::Index(index)
    }
}

/// Which part of a map's entry a finding means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The key.
    Key,
    /// The value.
    Value,
}

/// The place of `path` below `root`. A path that leads further than the text does, such as to a
/// key that is missing, ends at the last value on its way.
pub fn locate(root: &Node, path: &[Step], target: Target) -> Span {
    let mut node = root;
    let mut span = root.span;
    for (position, step) in path.iter().enumerate() {
        let last = position + 1 == path.len();
        match step {
            Step::Key(key) => match node.entry(key) {
                Some((name, value)) => {
                    // A block map or list, and an empty value, have no good place of their own.
                    let shapeless = value.span.start == value.span.end
                        || matches!(
                            value.value,
                            crate::manifest::text::node::Value::Map(_)
                                | crate::manifest::text::node::Value::List(_)
                        );
                    let to_key = last && (target == Target::Key || shapeless);
                    span = if to_key { name.span } else { value.span };
                    node = value;
                }
                None => return span,
            },
            Step::Index(index) => match node.items().get(*index) {
                Some(item) => {
                    span = item.span;
                    node = item;
                }
                None => return span,
            },
        }
    }
    span
}
