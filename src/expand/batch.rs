//! Starts that were checked, one by one.

use super::entries::items::{Item, Items, Pass};
use super::expansion::Expansion;
use super::ids::workflow_ids::Sorted;
use super::start::Start;
use crate::manifest::StartsManifest;
use crate::manifest::diagnostic::Diagnostic;

/// The starts of an [`Expansion`] that preflight has found nothing wrong with.
#[derive(Debug)]
pub struct Batch {
    pub(super) expansion: Expansion,
    /// For starts with generated Workflow IDs whose content has occurred before: their index, and
    /// how often it has.
    pub(super) occurrences: Sorted,
}

impl Batch {
    /// The selected starts, in file order.
    ///
    /// # Errors
    /// An item is an error if something that preflight had checked has changed since, such as a
    /// file with rows.
    pub fn starts(&self) -> impl Iterator<Item = Result<Start, Vec<Diagnostic>>> + '_ {
        self.selected().map(|item| item.made.map(|made| made.start))
    }

    /// The selected starts with the manifest that each comes from and its position.
    pub fn with_manifests(
        &self,
    ) -> impl Iterator<Item = (usize, &StartsManifest, Result<Start, Vec<Diagnostic>>)> + '_ {
        self.selected().map(|item| {
            let start = item.made.map(|made| made.start);
            (item.position, &item.document.manifest, start)
        })
    }

    fn selected(&self) -> impl Iterator<Item = Item<'_>> + '_ {
        let selection = &self.expansion.options.selection;
        Items::new(&self.expansion, Pass::Use(&self.occurrences)).filter(|item| {
            let made = item.made.as_ref();
            made.map_or(true, |made| selection.contains(&made.start))
        })
    }
}
