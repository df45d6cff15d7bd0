//! Stage 2: checked documents in, starts out, one by one.
//!
//! An [`Expansion`] is a recipe, never a list of starts. [`Expansion::preflight`] runs it dry, so that
//! every problem is known before the first start is sent, and makes a [`Batch`] of it, which gives the
//! starts one by one.

mod arg_schemas;
mod budget;
mod build;
mod casts;
mod compiler;
mod computed;
mod concatenation;
mod content;
mod expression;
mod folder;
mod for_each;
pub mod identity;
mod items;
mod jinja;
mod node_template;
pub mod payload;
mod payload_template;
mod positional;
mod preflight;
mod recipe;
pub mod render;
mod rows;
mod scope;
pub mod selection;
pub mod start;
mod template;
mod text_filters;
pub mod vars;
mod workflow_ids;

use std::collections::HashMap;
use std::sync::Arc;

use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::{Manifest, StartsManifest};
use arg_schemas::ArgSchemas;
use budget::Budget;
use folder::Folder;
use identity::IdempotencyKey;
use items::{Items, Pass};
use rows::RowFiles;
use scope::Constants;
use selection::Selection;
use start::Start;
use vars::{Overrides, VarError};
use workflow_ids::Sorted;

pub use preflight::Preflight;
pub use scope::{AllowedEnv, Invocation};

/// What the expansion of manifests depends on beside their text.
#[derive(Clone, Debug)]
pub struct Options {
    /// The key that generated Workflow IDs depend on; without one they stay empty.
    pub key: Option<IdempotencyKey>,
    /// Whether preflight computes [`Preflight::digest`]. Default: no.
    pub digest: bool,
    /// Whether files that manifests name may lie outside of the manifest's folder. Default: no.
    pub allow_outside: bool,
    /// Variables of the environment that expressions may read. Default: none.
    pub env: AllowedEnv,
    /// Values for the manifests' variables. Default: those that they declare.
    pub vars: Overrides,
    /// Which starts are meant. Default: all.
    pub selection: Selection,
    /// This run of the program, for expressions.
    pub invocation: Invocation,
}

/// How all starts of one command are made. Only what has been run dry gives them: see
/// [`Expansion::preflight`].
#[derive(Debug)]
pub struct Expansion {
    documents: Vec<Document>,
    options: Options,
    files: RowFiles,
    /// What checking it may take.
    budget: Arc<Budget>,
    /// What is wrong with the documents before any start is made.
    diagnostics: Vec<Diagnostic>,
}

/// A manifest, and what its starts have in common.
#[derive(Debug)]
struct Document {
    manifest: StartsManifest,
    constants: Arc<Constants>,
    /// The same in any invocation.
    in_any_invocation: Arc<Constants>,
    arg_schemas: ArgSchemas,
}

impl Document {
    fn folder(&self, allow_outside: bool) -> Folder<'_> {
        Folder {
            path: self.manifest.source().folder(),
            allow_outside,
        }
    }
}

impl Expansion {
    /// Prepares the starts of `manifests`.
    ///
    /// # Errors
    /// A value for a variable that no manifest declares, or declares with another type.
    pub fn new(manifests: Vec<Manifest>, options: Options) -> Result<Self, VarError> {
        let manifests: Vec<_> = manifests
            .into_iter()
            .map(|Manifest::Starts(starts)| starts)
            .collect();
        vars::check_names(&manifests, &options.vars)?;
        let standard_input = manifests
            .iter()
            .any(|manifest| manifest.source().name() == "<stdin>");
        let mut diagnostics = Vec::new();
        let budget = Arc::new(Budget::new());
        let sources: HashMap<_, _> = manifests
            .iter()
            .map(|it| (Arc::as_ptr(it.source()), it.source()))
            .collect();
        for source in sources.values() {
            budget.grant(source.text().len() as u64);
        }
        let schemas = Arc::default();
        let mut documents = Vec::with_capacity(manifests.len());
        for manifest in manifests {
            diagnostics.extend(vars::check_values(&manifest));
            let vars = vars::resolve(manifest.vars(), &options.vars)?;
            let folder = Folder {
                path: manifest.source().folder(),
                allow_outside: options.allow_outside,
            };
            let arg_schemas = ArgSchemas::compile(&manifest, folder, &schemas, &mut diagnostics);
            let any = Invocation::any();
            documents.push(Document {
                in_any_invocation: Arc::new(Constants::new(
                    vars.clone(),
                    &options.env,
                    &any,
                    &budget,
                )),
                constants: Arc::new(Constants::new(
                    vars,
                    &options.env,
                    &options.invocation,
                    &budget,
                )),
                arg_schemas,
                manifest,
            });
        }
        Ok(Expansion {
            documents,
            options,
            files: RowFiles::new(standard_input, &budget),
            budget,
            diagnostics,
        })
    }
}

/// The starts of an [`Expansion`] that preflight has found nothing wrong with.
#[derive(Debug)]
pub struct Batch {
    expansion: Expansion,
    /// For starts with generated Workflow IDs whose content has occurred before: their index, and
    /// how often it has.
    occurrences: Sorted,
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

    fn selected(&self) -> impl Iterator<Item = items::Item<'_>> + '_ {
        let selection = &self.expansion.options.selection;
        Items::new(&self.expansion, Pass::Use(&self.occurrences)).filter(|item| {
            let made = item.made.as_ref();
            made.map_or(true, |made| selection.contains(&made.start))
        })
    }
}
