//! From manifests, variables and a selection to a batch of starts that was checked.

use std::path::PathBuf;
use std::sync::Arc;

use super::note::{self, Note};
use super::refusal::{Findings, Refusal, counted};
use crate::expand::identity::IdempotencyKey;
use crate::expand::selection::Selection;
use crate::expand::vars::Overrides;
use crate::expand::{AllowedEnv, Batch, Expansion, Invocation, Options, Preflight};
use crate::manifest;
use crate::manifest::inputs::FilesRead;
use crate::manifest::source::Source;
use crate::manifest::sources;
use crate::manifest::walk::Exclude;

/// What is read.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// Manifest files, and folders with some; `-` is standard input.
    pub paths: Vec<PathBuf>,
    /// Globs of what is left out of folders. Default: nothing.
    pub exclude: Vec<String>,
    /// Values for variables that manifests declare, as text. They go before those of `var_files`.
    pub vars: Vec<(String, String)>,
    /// Files with values for variables.
    pub var_files: Vec<PathBuf>,
    /// Variables of the environment that expressions may read. Default: none.
    pub env: AllowedEnv,
    /// Whether files that manifests name may lie outside of the manifest's folder. Default: no.
    pub allow_outside: bool,
    /// Where it is noted which files are read. Default: a list of its own.
    pub files_read: FilesRead,
}

/// What the starts depend on beside what is read.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The key that generated Workflow IDs depend on; without one they stay empty.
    pub key: Option<IdempotencyKey>,
    /// Whether a digest of all starts is computed.
    pub digest: bool,
    /// Which starts are meant.
    pub selection: Selection,
    /// This run of the program, for expressions.
    pub invocation: Invocation,
}

/// Manifests that were read, checked and run dry.
#[derive(Debug)]
pub struct Checked {
    /// The files with manifests.
    pub sources: Vec<Arc<Source>>,
    /// What is to be told of what was read.
    pub notes: Vec<Note>,
    /// What was found.
    pub findings: Findings,
    /// What the dry run shows, but for what it found.
    pub preflight: Preflight,
    selection: Selection,
    has_given_key: bool,
    batch: Option<Batch>,
}

impl Inputs {
    /// Manifests at some paths, and nothing else.
    pub fn of(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        Inputs {
            paths: paths.into_iter().map(Into::into).collect(),
            ..Inputs::default()
        }
    }

    /// Reads and checks everything that can be known without the network.
    ///
    /// # Errors
    /// A glob or a variable makes no sense, so that nothing is known of the starts. What is wrong
    /// with manifests is no error here: see [`Checked::take_batch`].
    pub fn check(&self, wanted: Wanted) -> Result<Checked, Refusal> {
        let exclude = Exclude::new(&self.exclude)
            .map_err(|error| Refusal::usage(format!("--exclude: {error}")))?;
        let mut loaded = manifest::load(&self.paths, &exclude, &self.files_read);
        let notes = note::of_bystanders(&loaded.bystanders);
        let mut vars = Overrides {
            typed: Vec::new(),
            texts: self.vars.clone(),
        };
        for file in &self.var_files {
            let (source, mut problems) = sources::read_one(file, &self.files_read);
            if let Some(source) = source {
                vars.typed
                    .extend(manifest::read_map(&source, &mut problems));
            }
            loaded.diagnostics.append(&mut problems);
        }
        let findings = Findings::of(&loaded.sources, loaded.diagnostics);
        let has_given_key = wanted.key.as_ref().is_some_and(IdempotencyKey::is_given);
        let options = Options {
            key: wanted.key,
            digest: wanted.digest,
            allow_outside: self.allow_outside,
            files_read: self.files_read.clone(),
            env: self.env.clone(),
            vars,
            selection: wanted.selection.clone(),
            invocation: wanted.invocation,
        };
        let expansion = match Expansion::new(loaded.manifests, options) {
            Ok(expansion) => expansion,
            Err(error) => {
                // A manifest that cannot be read may be the one that declares the variable.
                let refusal = if findings.are_sound() {
                    Refusal {
                        help: error.help(),
                        ..Refusal::usage(error.to_string())
                    }
                } else {
                    Refusal::invalid(findings)
                };
                return Err(Refusal { notes, ..refusal });
            }
        };
        let (mut preflight, batch) = expansion.preflight();
        let findings = findings.with(&mut preflight);
        Ok(Checked {
            sources: loaded.sources,
            notes,
            batch: batch.filter(|_| findings.are_sound()),
            findings,
            preflight,
            selection: wanted.selection,
            has_given_key,
        })
    }
}

impl Checked {
    /// The starts, if nothing is wrong with them and the part that is meant is what it seems. Once.
    ///
    /// # Errors
    /// The manifests are invalid, or the selection makes no sense for them. What was found and is to
    /// be told is in the refusal then.
    pub fn take_batch(&mut self) -> Result<Batch, Refusal> {
        let refusal = match (self.batch.take(), self.check_selection()) {
            (Some(batch), Ok(())) => return Ok(batch),
            (Some(_), Err(refusal)) => Refusal {
                findings: Some(Box::new(std::mem::take(&mut self.findings))),
                ..refusal
            },
            (None, _) => Refusal::invalid(std::mem::take(&mut self.findings)),
        };
        let notes = std::mem::take(&mut self.notes);
        Err(Refusal { notes, ..refusal })
    }

    /// Refuses a part of the starts that is not what it seems.
    fn check_selection(&self) -> Result<(), Refusal> {
        let unmatched = &self.preflight.unmatched;
        if !unmatched.is_empty() && self.preflight.of > 0 {
            let patterns: Vec<_> = unmatched.iter().map(|it| format!("`{it}`")).collect();
            let message = format!(
                "--select {} matches none of {}",
                patterns.join(" and "),
                counted(self.preflight.of, "start")
            );
            let help = "each is held against names and Workflow IDs; `render -o jsonl` shows them";
            return Err(Refusal::usage(message).with_help(help));
        }
        if self.selection.shard().is_some() && self.preflight.generated > 0 && !self.has_given_key {
            let message = "without a key, each shard would generate Workflow IDs of its own";
            let help = "give the same --idempotency-key to all shards, or every start a workflowId";
            return Err(Refusal::usage(message).with_help(help));
        }
        Ok(())
    }
}
