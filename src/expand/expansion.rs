//! How the starts of all manifests of a command are made.

use std::collections::HashMap;
use std::sync::Arc;

use super::arg_schemas::ArgSchemas;
use super::budget::Budget;
use super::expressions::scope::{AllowedEnv, Constants, Invocation};
use super::folder::Folder;
use super::ids::identity::IdempotencyKey;
use super::rows::RowFiles;
use super::selection::Selection;
use super::vars::{self, Overrides, VarError};
use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::inputs::FilesRead;
use crate::manifest::{Manifest, StartsManifest};

/// What the expansion of manifests depends on beside their text.
#[derive(Clone, Debug)]
pub struct Options {
    /// The key that generated Workflow IDs depend on; without one they stay empty.
    pub key: Option<IdempotencyKey>,
    /// Whether preflight computes [`super::Preflight::digest`]. Default: no.
    pub digest: bool,
    /// Whether files that manifests name may lie outside of the manifest's folder. Default: no.
    pub allow_outside: bool,
    /// Where it is noted which files are read.
    pub files_read: FilesRead,
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
    pub(super) documents: Vec<Document>,
    pub(super) options: Options,
    pub(super) files: RowFiles,
    /// What checking it may take.
    pub(super) budget: Arc<Budget>,
    /// What is wrong with the documents before any start is made.
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// A manifest, and what its starts have in common.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) manifest: StartsManifest,
    pub(super) constants: Arc<Constants>,
    /// The same in any invocation.
    pub(super) in_any_invocation: Arc<Constants>,
    pub(super) arg_schemas: ArgSchemas,
}

impl Document {
    pub(super) fn folder<'d>(&'d self, options: &'d Options) -> Folder<'d> {
        Folder {
            path: self.manifest.source().folder(),
            allow_outside: options.allow_outside,
            read: &options.files_read,
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
                read: &options.files_read,
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
