//! The commands: each one a straight composition of stages.

pub(super) mod apply;
pub(super) mod completion;
pub(super) mod init;
pub(super) mod render;
pub(super) mod report;
pub(super) mod schema;
pub(super) mod validate;
mod yaml;

use temporal_manifest::apply::inputs::Inputs;

use super::args::PathArgs;
use super::environment::Environment;
use super::settings;

/// What the manifests' flags name.
fn inputs(paths: &PathArgs, environment: &Environment) -> Inputs {
    Inputs {
        paths: paths.all(),
        exclude: paths.exclude.clone(),
        vars: paths.var.clone(),
        var_files: paths.var_file.clone(),
        env: settings::allowed_env(&paths.allow_env, environment),
        allow_outside: paths.allow_outside,
    }
}
