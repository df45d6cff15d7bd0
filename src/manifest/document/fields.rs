//! One start as its manifest says it: the entry's own fields over the document's defaults.

use serde::Deserialize;
use serde::de::value::MapDeserializer;

use crate::manifest::document::StartFields;
use crate::manifest::findings::locate::{Step, Target};
use crate::manifest::text::deserializer::Mismatch;
use crate::manifest::text::node::{Key, Node};
use crate::manifest::text::source::Span;

/// A start's fields, each from the entry or from the defaults. A field replaces the default as a
/// whole; `null` unsets it.
#[derive(Clone, Debug)]
pub struct Fields<'n> {
    entry: &'n Node,
    set: Vec<(&'n Key, &'n Node)>,
}

impl<'n> Fields<'n> {
    /// Lays `entry` over `defaults`.
    pub fn new(defaults: Option<&'n Node>, entry: &'n Node) -> Self {
        let inherited = defaults.map_or(&[][..], Node::entries);
        let inherited = inherited
            .iter()
            .filter(|(key, _)| entry.entry(&key.text).is_none());
        let set = entry
            .entries()
            .iter()
            .chain(inherited)
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, value))
            .collect();
        Fields { entry, set }
    }

    /// The value of a field, if it is set.
    pub fn get(&self, name: &str) -> Option<&'n Node> {
        self.set
            .iter()
            .find(|(key, _)| &*key.text == name)
            .map(|(_, value)| *value)
    }

    /// Every field that is set, with its name.
    pub fn set(&self) -> impl Iterator<Item = (&'n Key, &'n Node)> + '_ {
        self.set.iter().copied()
    }

    /// The same without some fields.
    pub fn without(&self, names: &[&str]) -> Fields<'n> {
        let kept = self
            .set
            .iter()
            .filter(|(key, _)| !names.contains(&&*key.text));
        Fields {
            entry: self.entry,
            set: kept.copied().collect(),
        }
    }

    /// Whether a field holds an expression, or the entry stands for many starts. What such a start
    /// means is known only for each row.
    pub fn depend_on_rows(&self) -> bool {
        self.set
            .iter()
            .any(|(key, value)| &*key.text == "forEach" || value.holds_expression())
    }

    /// The fields as document types.
    ///
    /// # Errors
    /// [`Mismatch`] for a shape that the JSON Schema refuses.
    pub fn read(&self) -> Result<StartFields, Mismatch> {
        let fields = self.set.iter().map(|(key, value)| (&*key.text, *value));
        StartFields::deserialize(MapDeserializer::new(fields))
    }

    /// Where a path that starts at a field stands: in the entry, or in the defaults.
    pub fn locate(&self, path: &[Step], target: Target) -> Span {
        let Some((Step::Key(name), rest)) = path.split_first() else {
            return self.entry.span;
        };
        let Some((key, value)) = self.set.iter().find(|(key, _)| *key.text == **name) else {
            return self.entry.span;
        };
        if rest.is_empty() {
            let shapeless = !value.items().is_empty() || !value.entries().is_empty();
            return if target == Target::Key || shapeless {
                key.span
            } else {
                value.span
            };
        }
        crate::manifest::findings::locate::locate(value, rest, target)
    }
}
