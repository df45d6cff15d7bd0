//! What a kind is, and what it is known by.

use std::collections::HashSet;
use std::sync::Arc;

use crate::manifest::findings::finding::Finding;
use crate::manifest::findings::locate::Step;
use crate::manifest::schema::committed::Schema;
use crate::manifest::text::node::{Node, Value};

/// What a document holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Workflow starts.
    Starts,
}

impl Kind {
    /// Every kind.
    pub const ALL: &'static [Kind] = &[Kind::Starts];

    /// The kind as manifests spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Starts => "Starts",
        }
    }
}

/// What a kind is known by, beside its types.
pub(in crate::manifest) struct Definition {
    /// The schema of its documents.
    pub(in crate::manifest) schema: &'static Schema,
    /// The key of its list of entries.
    pub(in crate::manifest) entries: &'static str,
    /// Other keys at the top that all entries depend on.
    pub(in crate::manifest) shared: &'static [&'static str],
    /// Keys at the top, in lower case, that no other kind of document is likely to have.
    pub(in crate::manifest) marks: &'static [&'static str],
    /// Keys of an entry, one of which each entry has.
    pub(in crate::manifest) entry_keys: &'static [&'static str],
    /// What people write at a path in place of the keys that are known there.
    pub(in crate::manifest) other_keys: fn(&[Step]) -> Option<&'static OtherKeys>,
}

/// What people write in place of the keys that are known somewhere.
pub(in crate::manifest) struct OtherKeys {
    /// Their word, and ours or how it is written here.
    pub(in crate::manifest) names: &'static [(&'static str, &'static str)],
    /// What has no counterpart here, and what to do about it.
    pub(in crate::manifest) refused: &'static [(&'static str, &'static str)],
    /// Keys that stand elsewhere only, and why; the key comes before it.
    pub(in crate::manifest) elsewhere: (&'static [&'static str], &'static str),
}

impl Definition {
    /// The entries that no finding about the document's shape names; none if one names what all
    /// depend on.
    pub(super) fn sound_entries(&self, root: &Node, findings: &[Finding]) -> Arc<[Node]> {
        let Some(Value::List(entries)) = root.get(self.entries).map(|list| &list.value) else {
            return Arc::default();
        };
        let mut wrong = HashSet::new();
        for finding in findings {
            match finding.path.as_slice() {
                [Step::Key(key), Step::Index(entry), ..] if key == self.entries => {
                    wrong.insert(*entry);
                }
                [Step::Key(key), ..]
                    if key == self.entries
                        || ["apiVersion", "kind"].contains(&&**key)
                        || self.shared.contains(&&**key) =>
                {
                    return Arc::default();
                }
                _ => {}
            }
        }
        if wrong.is_empty() {
            return Arc::clone(entries);
        }
        let entries = entries.iter().enumerate();
        let sound = entries.filter(|(position, _)| !wrong.contains(position));
        sound.map(|(_, entry)| entry.clone()).collect()
    }
}
