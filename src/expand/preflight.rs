//! Runs an expansion dry: every row, every payload, and Workflow IDs that occur twice.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::batch::Batch;
use super::entries::diagnose::cannot_sort;
use super::entries::items::{Items, Made, Pass};
use super::expansion::{Document, Expansion};
use super::ids::workflow_ids::{Sorted, Sorter, hash};
use super::selection::Unmatched;
use super::start::{IdConflictPolicy, IdReusePolicy, Start};
use crate::manifest::diagnostic::{Code, Diagnostic, Place};
use crate::manifest::source::hex;
use crate::manifest::spelling::nearest;

/// Most problems that are kept; the rest is only counted.
const MAX_PROBLEMS: usize = 1_000;

/// What a dry run of an expansion shows.
#[derive(Debug, Default)]
pub struct Preflight {
    /// Number of starts that are selected.
    pub total: u64,
    /// Number of all starts.
    pub of: u64,
    /// Selected starts that begin another Workflow when they are applied again under another key.
    pub repeatable: u64,
    /// Selected starts that say `idConflictPolicy: Fail` and do not fail by it.
    pub conflicts: u64,
    /// Starts whose Workflow IDs depend on the key, because the manifest gives none.
    pub generated: u64,
    /// Patterns of the selection that match none of the starts.
    pub unmatched: Vec<String>,
    /// SHA-256 over all starts, in order, if it was asked for and nothing is wrong.
    pub digest: Option<String>,
    /// Every file with rows, and the SHA-256 of what it held.
    pub inputs: Vec<(String, String)>,
    /// Everything that is wrong, up to a bound.
    pub diagnostics: Vec<Diagnostic>,
    /// What is wrong beyond that bound.
    pub hidden: u64,
}

impl Preflight {
    fn add(&mut self, diagnostics: Vec<Diagnostic>) {
        for diagnostic in diagnostics {
            if self.diagnostics.len() < MAX_PROBLEMS {
                self.diagnostics.push(diagnostic);
            } else {
                self.hidden += 1;
            }
        }
    }

    /// Adds the Workflow IDs that occur twice, and tells how often the same content has occurred
    /// before.
    fn add_duplicates(&mut self, expansion: &Expansion, ids: WorkflowIds) -> Sorted {
        match ids.twice() {
            Ok(twice) => {
                self.add(expansion.duplicates(&twice.pairs));
                self.hidden += twice.hidden;
                twice.occurrences
            }
            Err(error) => {
                self.add(vec![cannot_sort(&error)]);
                Sorted::default()
            }
        }
    }

    fn count(&mut self, made: &Made, is_selected: bool) {
        self.generated += u64::from(made.is_generated);
        if is_selected {
            self.total += 1;
            self.repeatable += u64::from(may_repeat(made));
            self.conflicts += u64::from(hides_conflict(&made.start));
        }
    }
}

/// Adds a start to the digest of all.
fn add(digest: &mut Sha256, made: &Made) {
    let Some(content) = &made.content else {
        return;
    };
    let id = &made.start.workflow_id;
    digest.update((id.len() as u64).to_le_bytes());
    digest.update(id.as_bytes());
    digest.update(content);
}

impl Expansion {
    /// Runs the expansion dry. There is a batch if nothing is wrong with it.
    pub fn preflight(mut self) -> (Preflight, Option<Batch>) {
        let mut preflight = Preflight::default();
        preflight.add(std::mem::take(&mut self.diagnostics));
        let mut ids = WorkflowIds::default();
        let mut digest = self.options.digest.then(Sha256::new);
        let content = digest.is_some();
        let mut unmatched = Unmatched::new(&self.options.selection);
        let mut types = Types::default();
        let mut items = Items::new(&self, Pass::Check { content });
        for item in items.by_ref() {
            preflight.of += 1;
            let made = match item.made {
                Ok(made) => made,
                Err(diagnostics) => {
                    preflight.add(diagnostics);
                    continue;
                }
            };
            let start = &made.start;
            if let Some(digest) = &mut digest {
                add(digest, &made);
            }
            preflight.count(&made, self.options.selection.contains(start));
            unmatched.see(start);
            types.see(item.position, item.document, start);
            if !start.workflow_id.is_empty()
                && let Err(error) = ids.push(&start.workflow_id, item.index, made.is_generated)
            {
                preflight.add(vec![cannot_sort(&error)]);
                break;
            }
        }
        preflight.add(items.take_pending());
        drop(items);
        // What follows makes nothing that was not made within the budget.
        self.budget.lift();
        let occurrences = preflight.add_duplicates(&self, ids);
        if !occurrences.is_empty() && !self.options.selection.is_all() {
            preflight.total = self.select(&occurrences, &mut unmatched);
        }
        preflight.unmatched = unmatched.patterns();
        let mut problems = preflight.diagnostics.iter();
        let sound = problems.all(|it| it.code == Code::Advice);
        if sound {
            preflight.add(types.unused_schemas(&self));
        }
        preflight.digest = digest
            .filter(|_| sound)
            .map(|digest| hex(&digest.finalize()));
        preflight.inputs = self.files.read();
        let batch = sound.then_some(Batch {
            expansion: self,
            occurrences,
        });
        (preflight, batch)
    }

    /// Counts the selected starts again, when it is known which Workflow IDs those with the same
    /// content have.
    fn select(&self, occurrences: &Sorted, unmatched: &mut Unmatched<'_>) -> u64 {
        let items = Items::new(self, Pass::Use(occurrences));
        let starts = items.filter_map(|item| Some(item.made.ok()?.start));
        let selected = starts.filter(|start| {
            unmatched.see(start);
            self.options.selection.contains(start)
        });
        selected.count() as u64
    }

    /// The problems that starts have the same Workflow ID, of pairs of starts whose hashes are the
    /// same.
    fn duplicates(&self, pairs: &[(u64, u64)]) -> Vec<Diagnostic> {
        if pairs.is_empty() {
            return Vec::new();
        }
        let mut wanted: BTreeMap<u64, Option<Seen>> = pairs
            .iter()
            .flat_map(|(a, b)| [(*a, None), (*b, None)])
            .collect();
        for item in Items::new(self, Pass::Check { content: false }) {
            if let (Some(seen), Ok(made)) = (wanted.get_mut(&item.index), &item.made) {
                *seen = Some(Seen {
                    workflow_id: made.start.workflow_id.clone(),
                    place: item.workflow_id_place(),
                    row: item.row.as_ref().and_then(|row| row.place(None)),
                    words: item.row.as_ref().map(|row| row.in_words()),
                });
            }
        }
        let problems = pairs.iter().filter_map(|(first, second)| {
            let (first, second) = (wanted[first].as_ref()?, wanted[second].as_ref()?);
            (first.workflow_id == second.workflow_id).then(|| second.duplicate_of(first))
        });
        problems.collect()
    }
}

/// The Workflow types of starts, by the position of their document, where there are schemas.
#[derive(Default)]
struct Types(BTreeMap<usize, BTreeSet<Arc<str>>>);

impl Types {
    fn see(&mut self, position: usize, document: &Document, start: &Start) {
        if document.manifest.arg_schemas().is_empty() {
            return;
        }
        let types = self.0.entry(position).or_default();
        if types.len() < MAX_PROBLEMS && !types.contains(&start.workflow.workflow_type) {
            types.insert(Arc::clone(&start.workflow.workflow_type));
        }
    }

    /// The hints that no start has the type of a schema, which then checks nothing.
    fn unused_schemas(&self, expansion: &Expansion) -> Vec<Diagnostic> {
        let mut hints = Vec::new();
        for (position, types) in &self.0 {
            let manifest = &expansion.documents[*position].manifest;
            if types.len() >= MAX_PROBLEMS {
                continue;
            }
            for (key, _) in manifest.arg_schemas() {
                if types.contains(&*key.text) {
                    continue;
                }
                let name = crate::manifest::shorten(&key.text);
                let message = format!("no start has the type `{name}`, so this schema checks none");
                let hint = Diagnostic::new(Code::Advice, message);
                let hint = match nearest(&key.text, types.iter().map(|name| &**name)) {
                    Some(near) => hint.with_help(format!("did you mean `{near}`?")),
                    None => hint,
                };
                hints.push(hint.at(manifest.source(), key.span));
            }
        }
        hints
    }
}

/// A start that may have another one's Workflow ID.
struct Seen {
    workflow_id: String,
    place: Place,
    row: Option<Place>,
    words: Option<String>,
}

impl Seen {
    fn duplicate_of(&self, first: &Seen) -> Diagnostic {
        let id = crate::manifest::shorten(&self.workflow_id);
        let mut message = format!("two starts have the Workflow ID `{id}`");
        if let Some(words) = &self.words {
            message.push_str(&format!(" ({words})"));
        }
        let mut diagnostic = Diagnostic::new(Code::DuplicateWorkflowId, message)
            .with_help("every start of one apply needs a Workflow ID of its own")
            .at_place(self.place.clone());
        if let Some(row) = &self.row {
            let related = ("the second start with this ID".to_owned(), row.clone());
            diagnostic.related.push(related);
        }
        let place = first.row.as_ref().unwrap_or(&first.place).clone();
        diagnostic
            .related
            .push(("the first start with this ID".to_owned(), place));
        diagnostic
    }
}

/// Whether applying a start again under another key begins another Workflow although the first one
/// did well. A generated Workflow ID depends on the key, so it is another one each time.
fn may_repeat(made: &Made) -> bool {
    let keeps_good = matches!(
        made.start.options.id_reuse_policy,
        Some(IdReusePolicy::RejectDuplicate | IdReusePolicy::AllowDuplicateFailedOnly)
    );
    // A Workflow that still runs is ended and begun again.
    let ends = made.start.options.id_conflict_policy == Some(IdConflictPolicy::TerminateExisting);
    made.is_generated || !keeps_good || ends
}

/// Whether a start leaves a running Workflow alone and counts as done, although it says `Fail`.
fn hides_conflict(start: &Start) -> bool {
    let fails = start.options.id_conflict_policy == Some(IdConflictPolicy::Fail);
    fails && !start.options.fail_existing
}

/// Every Workflow ID's hash, with the index of its start and, in the lowest bit, whether it is
/// generated.
#[derive(Default)]
struct WorkflowIds(Sorter);

/// Which Workflow IDs occur twice.
#[derive(Default)]
struct Twice {
    /// Starts whose IDs have the same hash, one of them given by the manifest: the first and
    /// another one.
    pairs: Vec<(u64, u64)>,
    /// Pairs beyond the bound.
    hidden: u64,
    /// Starts with generated IDs whose content has occurred before, and how often.
    occurrences: Sorted,
}

impl WorkflowIds {
    fn push(&mut self, workflow_id: &str, index: u64, is_generated: bool) -> io::Result<()> {
        self.0
            .push((hash(workflow_id), index << 1 | u64::from(is_generated)))
    }

    fn twice(self) -> io::Result<Twice> {
        let mut twice = Twice::default();
        let mut occurrences = Sorter::default();
        let mut group: Option<Group> = None;
        for pair in self.0.sort()?.iter() {
            let (hash, start) = pair?;
            let (index, is_generated) = (start >> 1, start & 1 == 1);
            let Some(group) = group.as_mut().filter(|group| group.hash == hash) else {
                group = Some(Group {
                    hash,
                    first: index,
                    generated: u64::from(is_generated),
                });
                continue;
            };
            if is_generated && group.generated > 0 {
                occurrences.push((index, group.generated))?;
            } else if twice.pairs.len() < MAX_PROBLEMS {
                twice.pairs.push((group.first, index));
            } else {
                twice.hidden += 1;
            }
            group.generated += u64::from(is_generated);
        }
        // Problems are told in the order of the starts.
        twice.pairs.sort_unstable_by_key(|(_, second)| *second);
        twice.occurrences = occurrences.sort()?;
        Ok(twice)
    }
}

/// Starts whose Workflow IDs have the same hash.
struct Group {
    hash: u64,
    first: u64,
    generated: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_generated_ids_may_occur_twice() {
        let mut ids = WorkflowIds::default();
        let starts = [
            ("a", true),
            ("b", false),
            ("b", false),
            ("a", true),
            ("c", false),
            ("b", false),
            ("c", true),
            ("d", true),
            ("d", false),
        ];
        for (index, (id, is_own)) in (0..).zip(starts) {
            ids.push(id, index, !is_own).expect("it fits into memory");
        }
        let twice = ids.twice().expect("it fits into memory");
        assert_eq!(twice.pairs, [(0, 3), (4, 6), (7, 8)]);
        let occurrences: io::Result<Vec<_>> = twice.occurrences.iter().collect();
        assert_eq!(occurrences.expect("it fits into memory"), [(2, 1), (5, 2)]);
    }
}
