//! Lists and maps that are not complete yet, as the reader holds them.

use std::collections::HashSet;

use super::node::{Key, Node, Value};
use super::source::Span;

/// Bytes of text that count as one more value where an alias repeats them.
const BYTES_PER_NODE: usize = 16;

/// A collection that is not complete yet.
pub(in crate::manifest) struct Frame {
    pub(in crate::manifest) anchor: usize,
    /// Of what it holds so far.
    pub(in crate::manifest) size: Size,
    pub(in crate::manifest) start: u32,
    pub(in crate::manifest) end: u32,
    pub(in crate::manifest) content: Content,
}

/// What an alias adds that repeats a value.
#[derive(Clone, Copy)]
pub(in crate::manifest) struct Size {
    /// Values, and bytes of text as far as they count as such.
    pub(in crate::manifest) nodes: usize,
    /// Levels of lists and maps.
    pub(in crate::manifest) depth: usize,
}

impl Size {
    pub(in crate::manifest) fn of_scalar(value: &Value) -> Self {
        let bytes = match value {
            Value::String(text) => text.len(),
            Value::Binary(bytes) => bytes.len(),
            _ => 0,
        };
        Size {
            nodes: 1 + bytes / BYTES_PER_NODE,
            depth: 0,
        }
    }

    pub(in crate::manifest) fn add(&mut self, part: Size) {
        self.nodes = self.nodes.saturating_add(part.nodes);
        self.depth = self.depth.max(part.depth + 1);
    }
}

/// What a collection holds so far.
pub(in crate::manifest) enum Content {
    List(Vec<Node>),
    Map(MapContent),
}

/// The entries of a map so far.
#[derive(Default)]
pub(in crate::manifest) struct MapContent {
    pub(in crate::manifest) entries: Vec<(Key, Node)>,
    /// The key whose value comes next.
    pub(in crate::manifest) pending: Pending,
    /// Keys taken from `<<`, which written keys override.
    pub(in crate::manifest) merged: Vec<(Key, Node)>,
    pub(in crate::manifest) merge_seen: bool,
    /// Keys of a large map; small maps are searched in place.
    index: Option<HashSet<Box<str>>>,
}

/// What comes next in a map.
#[derive(Default)]
pub(in crate::manifest) enum Pending {
    #[default]
    Key,
    Value(Key),
    /// A value that belongs to no usable key: read and dropped.
    Dropped,
    Merge(Span),
}

/// Map size from which keys are looked up by hash.
const INDEXED_FROM: usize = 16;

impl MapContent {
    /// Adds what `<<` merges, which what is written overrides; of several maps the first one wins.
    pub(in crate::manifest) fn merge(&mut self, sources: Vec<Node>) {
        let mut known: HashSet<Box<str>> = HashSet::new();
        for source in sources {
            for (key, value) in source.entries() {
                if known.insert(key.text.clone()) {
                    self.merged.push((key.clone(), value.clone()));
                }
            }
        }
    }

    /// The key that is written like this, if it is there.
    pub(in crate::manifest) fn key(&self, text: &str) -> Option<&Key> {
        let mut keys = self.entries.iter().map(|(key, _)| key);
        keys.find(|key| &*key.text == text)
    }

    pub(in crate::manifest) fn contains(&self, key: &str) -> bool {
        match &self.index {
            Some(index) => index.contains(key),
            None => self.entries.iter().any(|(other, _)| &*other.text == key),
        }
    }

    pub(in crate::manifest) fn push(&mut self, key: Key, value: Node) {
        if let Some(index) = &mut self.index {
            index.insert(key.text.clone());
        }
        self.entries.push((key, value));
        if self.index.is_none() && self.entries.len() > INDEXED_FROM {
            self.index = Some(
                self.entries
                    .iter()
                    .map(|(key, _)| key.text.clone())
                    .collect(),
            );
        }
    }
}

/// Levels of a value that are gone when its entries have been merged into a map.
pub(in crate::manifest) fn merged_levels(node: &Node) -> usize {
    match node.value {
        Value::List(_) => 2,
        _ => 1,
    }
}
