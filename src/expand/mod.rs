//! Stage 2: checked documents in, starts out, one by one.
//!
//! An [`Expansion`] is a recipe plus an iterator, never a list of starts. [`Expansion::preflight`]
//! runs it dry, so that every problem is known before the first start is sent.

mod build;
pub mod identity;
pub mod payload;
pub mod render;
pub mod start;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::manifest::Manifest;
use crate::manifest::diagnostic::{Code, Diagnostic, Place};
use crate::manifest::locate::Target;
use crate::manifest::node::Node;
use crate::manifest::source::{Span, hex};
use identity::{Generator, IdempotencyKey};
use payload::FileRules;
use start::Start;

/// What the expansion of manifests depends on beside their text.
#[derive(Clone, Debug)]
pub struct Options {
    /// The key that generated Workflow IDs depend on; without one they stay empty.
    pub key: Option<IdempotencyKey>,
    /// Whether preflight computes [`Preflight::digest`]. Default: no.
    pub digest: bool,
    /// Whether `$payload` files may lie outside of the manifest's folder. Default: no.
    pub allow_outside: bool,
}

/// All starts of one command.
#[derive(Debug)]
pub struct Expansion {
    manifests: Vec<Manifest>,
    options: Options,
}

/// What a dry run of an expansion shows.
#[derive(Debug, Default)]
pub struct Preflight {
    /// Number of starts.
    pub total: u64,
    /// Starts that begin another Workflow when they are applied again under another key.
    pub repeatable: u64,
    /// SHA-256 over all starts, in order, if it was asked for and nothing is wrong.
    pub digest: Option<String>,
    /// Everything that is wrong.
    pub diagnostics: Vec<Diagnostic>,
}

impl Expansion {
    /// Prepares the starts of `manifests`.
    pub fn new(manifests: Vec<Manifest>, options: Options) -> Self {
        Expansion { manifests, options }
    }

    /// Runs the expansion dry: payloads, files, and Workflow IDs that occur twice.
    pub fn preflight(&self) -> Preflight {
        let mut preflight = Preflight::default();
        let mut seen = WorkflowIds::default();
        let mut digest = self.options.digest.then(Sha256::new);
        for item in self.items() {
            preflight.total += 1;
            if let Ok(start) = &item.start {
                if let Some(digest) = &mut digest {
                    digest.update((start.workflow_id.len() as u64).to_le_bytes());
                    digest.update(start.workflow_id.as_bytes());
                    digest.update(start.content_digest());
                }
                preflight.repeatable += u64::from(may_repeat(item.entry, start));
            }
            match &item.start {
                Ok(start) if start.workflow_id.is_empty() => {}
                Ok(start) => {
                    if let Some(first) = seen.insert(&start.workflow_id, start.index) {
                        preflight.diagnostics.extend(self.duplicate(
                            &item,
                            &start.workflow_id,
                            first,
                        ));
                    }
                }
                Err(diagnostics) => preflight.diagnostics.extend_from_slice(diagnostics),
            }
        }
        let sound = preflight.diagnostics.is_empty();
        preflight.digest = digest
            .filter(|_| sound)
            .map(|digest| hex(&digest.finalize()));
        preflight
    }

    /// The starts, in file order.
    ///
    /// # Errors
    /// An item is an error if something that preflight had checked has changed since, such as a
    /// payload file.
    pub fn starts(&self) -> impl Iterator<Item = Result<Start, Vec<Diagnostic>>> + '_ {
        self.items().map(|item| item.start)
    }

    /// The starts with the manifest that each comes from and its position.
    pub fn with_manifests(
        &self,
    ) -> impl Iterator<Item = (usize, &Manifest, Result<Start, Vec<Diagnostic>>)> + '_ {
        self.items()
            .map(|item| (item.position, item.manifest, item.start))
    }

    fn items(&self) -> Items<'_> {
        Items {
            expansion: self,
            generator: self.options.key.as_ref().map(Generator::new),
            manifest: 0,
            entry: 0,
            index: 0,
            file: None,
        }
    }

    /// The problem that `item` has the Workflow ID of the start `first`. `None` if the two only
    /// have the same hash.
    fn duplicate(&self, item: &Item<'_>, workflow_id: &str, first: u64) -> Option<Diagnostic> {
        let (manifest, entry) = self.entry(first)?;
        let earlier = manifest
            .fields(entry)
            .get("workflowId")
            .and_then(Node::as_str);
        if earlier.is_some_and(|earlier| earlier != workflow_id) {
            return None;
        }
        let mut diagnostic = Diagnostic::new(
            Code::DuplicateWorkflowId,
            format!(
                "two starts have the Workflow ID `{}`",
                crate::manifest::shorten(workflow_id)
            ),
        )
        .with_help("every start of one apply needs a Workflow ID of its own")
        .at(
            item.manifest.source(),
            workflow_id_span(item.manifest, item.entry),
        );
        let place = Place {
            source: Arc::clone(manifest.source()),
            span: workflow_id_span(manifest, entry),
        };
        diagnostic
            .related
            .push(("the first start with this ID".to_owned(), place));
        Some(diagnostic)
    }

    /// The entry that a start comes from.
    fn entry(&self, index: u64) -> Option<(&Manifest, &Node)> {
        let mut index = usize::try_from(index).ok()?;
        for manifest in &self.manifests {
            match manifest.entries().get(index) {
                Some(entry) => return Some((manifest, entry)),
                None => index -= manifest.entries().len(),
            }
        }
        None
    }
}

/// Whether applying a start again under another key may begin another Workflow. A generated
/// Workflow ID depends on the key, so it is another one each time.
fn may_repeat(entry: &Node, start: &Start) -> bool {
    // A Workflow ID is a single start's own and never a default.
    let generated = entry.get("workflowId").is_none_or(Node::is_null);
    generated || start.id_reuse_policy != Some(start::IdReusePolicy::RejectDuplicate)
}

fn workflow_id_span(manifest: &Manifest, entry: &Node) -> Span {
    manifest
        .fields(entry)
        .locate(&["workflowId".into()], Target::Value)
}

/// Which Workflow IDs have been seen, in 16 bytes each: a 64-bit hash and the start that had it.
#[derive(Default)]
struct WorkflowIds {
    hasher: RandomState,
    seen: HashMap<u64, u64>,
}

impl WorkflowIds {
    /// The start that had the ID first, if one had.
    fn insert(&mut self, workflow_id: &str, index: u64) -> Option<u64> {
        match self.seen.entry(self.hasher.hash_one(workflow_id)) {
            std::collections::hash_map::Entry::Occupied(first) => Some(*first.get()),
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(index);
                None
            }
        }
    }
}

struct Item<'e> {
    position: usize,
    manifest: &'e Manifest,
    entry: &'e Node,
    start: Result<Start, Vec<Diagnostic>>,
}

struct Items<'e> {
    expansion: &'e Expansion,
    generator: Option<Generator<'e>>,
    manifest: usize,
    entry: usize,
    index: u64,
    file: Option<Arc<str>>,
}

impl<'e> Iterator for Items<'e> {
    type Item = Item<'e>;

    fn next(&mut self) -> Option<Item<'e>> {
        loop {
            let manifest = self.expansion.manifests.get(self.manifest)?;
            let Some(entry) = manifest.entries().get(self.entry) else {
                self.manifest += 1;
                self.entry = 0;
                self.file = None;
                continue;
            };
            self.entry += 1;
            let index = self.index;
            self.index += 1;
            let start = self.build(manifest, entry, index);
            return Some(Item {
                position: self.manifest,
                manifest,
                entry,
                start,
            });
        }
    }
}

impl<'e> Items<'e> {
    fn build(
        &mut self,
        manifest: &'e Manifest,
        entry: &'e Node,
        index: u64,
    ) -> Result<Start, Vec<Diagnostic>> {
        let source = manifest.source();
        let file = self.file.get_or_insert_with(|| source.name().into());
        let line = source.line(entry.span.start);
        let rules = FileRules {
            folder: source.folder(),
            allow_outside: self.expansion.options.allow_outside,
        };
        let fields = manifest.fields(entry);
        let line = build::source_line(file, line);
        let mut start = build::start(&fields, &rules, index, line).map_err(|findings| {
            let located = findings.into_iter().map(|finding| {
                let span = fields.locate(&finding.path, finding.target);
                finding.at(source, span)
            });
            located.collect::<Vec<_>>()
        })?;
        if start.workflow_id.is_empty()
            && let Some(generator) = &mut self.generator
        {
            start.workflow_id = generator.workflow_id(manifest.name(), &start);
        }
        Ok(start)
    }
}
