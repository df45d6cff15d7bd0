//! The commands: each one a straight composition of stages.

pub(super) mod apply;
pub(super) mod completion;
pub(super) mod init;
pub(super) mod render;
pub(super) mod report;
pub(super) mod schema;
pub(super) mod validate;

use temporal_manifest::expand::identity::IdempotencyKey;
use temporal_manifest::expand::{Expansion, Options, Preflight};
use temporal_manifest::manifest;
use temporal_manifest::manifest::diagnostic::Diagnostic;
use temporal_manifest::manifest::source::Source;

use std::sync::Arc;

use super::args::PathArgs;

/// Manifests that were read, checked and run dry.
struct Checked {
    sources: Vec<Arc<Source>>,
    expansion: Expansion,
    preflight: Preflight,
    diagnostics: Vec<Diagnostic>,
}

/// Reads and checks everything that can be known without the network.
fn check(paths: &PathArgs, key: Option<&IdempotencyKey>, digest: bool) -> Checked {
    let loaded = manifest::load(&paths.all());
    let options = Options {
        key: key.cloned(),
        digest,
        allow_outside: paths.allow_outside,
    };
    let expansion = Expansion::new(loaded.manifests, options);
    let mut preflight = expansion.preflight();
    let mut diagnostics = loaded.diagnostics;
    diagnostics.append(&mut preflight.diagnostics);
    Checked {
        sources: loaded.sources,
        expansion,
        preflight,
        diagnostics,
    }
}
