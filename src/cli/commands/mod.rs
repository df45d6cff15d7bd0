//! The commands: each one a straight composition of stages.

pub(super) mod apply;
pub(super) mod completion;
pub(super) mod init;
pub(super) mod render;
pub(super) mod report;
pub(super) mod schema;
pub(super) mod validate;
mod yaml;

use std::sync::Arc;

use temporal_manifest::expand::identity::IdempotencyKey;
use temporal_manifest::expand::selection::Selection;
use temporal_manifest::expand::vars::Overrides;
use temporal_manifest::expand::{Expansion, Invocation, Options, Preflight};
use temporal_manifest::manifest;
use temporal_manifest::manifest::bystander::{Bystander, Other};
use temporal_manifest::manifest::diagnostic::{self, Code, Diagnostic};
use temporal_manifest::manifest::source::Source;
use temporal_manifest::manifest::walk::Exclude;
use temporal_manifest::report::validation::Validation;

use super::args::{GlobalArgs, PathArgs};
use super::environment::Environment;
use super::exit::Exit;
use super::{output, settings};

/// Manifests that were read, checked and run dry.
struct Checked {
    sources: Vec<Arc<Source>>,
    expansion: Expansion,
    preflight: Preflight,
    diagnostics: Vec<Diagnostic>,
}

impl Checked {
    /// Shows what is wrong, and whether something is.
    fn show(&mut self, global: &GlobalArgs, environment: &Environment) -> bool {
        let hidden = self.preflight.hidden;
        output::diagnostics(&mut self.diagnostics, hidden, global, environment)
    }

    /// What was found, as data.
    fn to_document(&self, valid: bool) -> Validation {
        let records = self.diagnostics.iter().map(Diagnostic::to_record);
        Validation::new(
            valid,
            self.sources.len() as u64,
            self.preflight.total,
            records.collect(),
            self.preflight.hidden,
        )
    }

    /// Number of problems, also of those that are not kept.
    fn problems(&self) -> u64 {
        self.diagnostics.len() as u64 + self.preflight.hidden
    }

    /// How it ends where something is wrong.
    fn refusal(&self) -> Exit {
        let on_disk = |it: &Diagnostic| it.code == Code::TemporaryFile;
        if self.diagnostics.iter().any(on_disk) {
            Exit::NotWritten
        } else {
            Exit::Invalid
        }
    }

    /// Refuses a part of the starts that is not what it seems. `Err` is how it ends.
    fn check_selection(
        &self,
        selection: &Selection,
        has_key: bool,
        global: &GlobalArgs,
    ) -> Result<(), Exit> {
        let usage = |message: &str, help: &str| {
            output::fail(global.output, Exit::Usage, "usage", message, Some(help))
        };
        let unmatched = &self.preflight.unmatched;
        if !unmatched.is_empty() && self.preflight.of > 0 {
            let patterns: Vec<_> = unmatched.iter().map(|it| format!("`{it}`")).collect();
            let message = format!(
                "--select {} matches none of {}",
                patterns.join(" and "),
                validate::counted(self.preflight.of, "start")
            );
            let help = "each is held against names and Workflow IDs; `render -o jsonl` shows them";
            return Err(usage(&message, help));
        }
        if selection.shard().is_some() && self.preflight.generated > 0 && !has_key {
            let help = "give the same --idempotency-key to all shards, or every start a workflowId";
            let message = "without a key, each shard would generate Workflow IDs of its own";
            return Err(usage(message, help));
        }
        Ok(())
    }
}

/// Most files that are told one by one to be no manifests.
const BYSTANDERS_TOLD: usize = 5;

/// Says what was left out of folders, so that nobody believes it was checked or applied.
fn tell_bystanders(bystanders: &[Bystander]) {
    let foreign = |it: &&Bystander| matches!(it.what, Other::Foreign(_));
    let mut told = bystanders.iter().filter(foreign);
    for Bystander { source, what } in told.by_ref().take(BYSTANDERS_TOLD) {
        let name = source.name();
        output::say(&format!("note: `{name}` is left out: it is {what}"));
    }
    let more = told.count();
    if more > 0 {
        output::say(&format!(
            "note: {more} more files are left out, which are no manifests"
        ));
    }
}

/// What the starts depend on beside the manifests.
struct Wanted {
    key: Option<IdempotencyKey>,
    digest: bool,
    selection: Selection,
    invocation: Invocation,
}

/// Tells what is wrong, where nothing is known of the starts.
fn invalid(
    diagnostics: &mut [Diagnostic],
    files: u64,
    global: &GlobalArgs,
    environment: &Environment,
) -> Exit {
    output::diagnostics(diagnostics, 0, global, environment);
    let records = diagnostics.iter().map(Diagnostic::to_record);
    let document = Validation::new(false, files, 0, records.collect(), 0);
    output::refusal(global.output, &document);
    Exit::Invalid
}

/// Reads and checks everything that can be known without the network. `Err` is how it ends.
fn check(
    paths: &PathArgs,
    wanted: Wanted,
    global: &GlobalArgs,
    environment: &Environment,
) -> Result<Checked, Exit> {
    let mut vars = Overrides {
        typed: Vec::new(),
        texts: paths.var.clone(),
    };
    let usage = |message: &str, help: Option<&str>| {
        output::fail(global.output, Exit::Usage, "usage", message, help)
    };
    let exclude = Exclude::new(&paths.exclude)
        .map_err(|error| usage(&format!("--exclude: {error}"), None))?;
    let mut loaded = manifest::load(&paths.all(), &exclude);
    tell_bystanders(&loaded.bystanders);
    for file in &paths.var_file {
        let (source, mut problems) = manifest::source::read_one(file);
        if let Some(source) = source {
            vars.typed
                .extend(manifest::read_map(&source, &mut problems));
        }
        loaded.diagnostics.append(&mut problems);
    }
    let is_error = |it: &Diagnostic| it.severity == diagnostic::Severity::Error;
    let sound = !loaded.diagnostics.iter().any(is_error);
    let options = Options {
        key: wanted.key,
        digest: wanted.digest,
        allow_outside: paths.allow_outside,
        env: settings::allowed_env(&paths.allow_env, environment),
        vars: vars.clone(),
        selection: wanted.selection,
        invocation: wanted.invocation,
    };
    let expansion = Expansion::new(loaded.manifests, options);
    // A manifest that cannot be read may be the one that declares the variable.
    let mut expansion = expansion.map_err(|error| {
        if sound {
            return usage(&error.to_string(), error.help().as_deref());
        }
        let files = loaded.sources.len() as u64;
        invalid(&mut loaded.diagnostics, files, global, environment)
    })?;
    let mut preflight = expansion.preflight();
    let mut diagnostics = loaded.diagnostics;
    diagnostics.append(&mut preflight.diagnostics);
    Ok(Checked {
        sources: loaded.sources,
        expansion,
        preflight,
        diagnostics,
    })
}
