//! What was typed, in the light of presets, variables and profiles: flag > preset > variable >
//! profile > built-in, resolved once. Only files that the settings name are read.
//!
//! That a preset goes before variables is what the `temporal` CLI does: it takes the preset's
//! settings as if they had been typed.

mod apply;
mod connection;
mod layer;
mod profile;

use temporal_manifest::apply::inputs::Inputs;
use temporal_manifest::apply::refusal::Refusal;
use temporal_manifest::expand::identity::IdempotencyKey;
use temporal_manifest::expand::selection::{Selection, Shard};
use temporal_manifest::expand::{AllowedEnv, Invocation};

use super::args::{ColorChoice, PathArgs, SelectionArgs, ShardChoice};
use super::environment::Environment;

pub(crate) use apply::apply;
pub(crate) use connection::connection;

/// A setting that cannot be used: what it is, where it comes from, what to do.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct SettingError {
    message: String,
}

impl SettingError {
    fn new(message: impl Into<String>) -> Self {
        SettingError {
            message: message.into(),
        }
    }
}

impl From<SettingError> for Refusal {
    fn from(error: SettingError) -> Self {
        Refusal::usage(error.message)
    }
}

/// Whether colours are used for text on a stream.
pub(crate) fn color(
    choice: Option<ColorChoice>,
    environment: &Environment,
    is_terminal: bool,
) -> bool {
    match choice.unwrap_or(ColorChoice::Auto) {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            is_terminal
                && environment.variable("NO_COLOR").is_none()
                && environment.variable("TERM") != Some("dumb")
        }
    }
}

/// The key that the user gave, if any.
pub(crate) fn given_key(
    flag: Option<&str>,
    environment: &Environment,
) -> Result<Option<IdempotencyKey>, SettingError> {
    const VARIABLE: &str = "TEMPORAL_MANIFEST_IDEMPOTENCY_KEY";
    // Unlike other variables: who sets it wants a key, and a random one would start twice.
    let variable = environment.variables.get(VARIABLE).map(String::as_str);
    let is_empty = |key: &str| key.trim().is_empty();
    match (flag, variable) {
        (Some(key), _) if is_empty(key) => {
            Err(SettingError::new("the idempotency key must not be empty"))
        }
        (None, Some(key)) if is_empty(key) => Err(SettingError::new(format!(
            "the idempotency key must not be empty, and {VARIABLE} is; unset it to have a random one"
        ))),
        (Some(key), _) | (None, Some(key)) => Ok(Some(IdempotencyKey::given(key))),
        (None, None) => Ok(None),
    }
}

/// Which starts are meant.
pub(crate) fn selection(
    flags: &SelectionArgs,
    environment: &Environment,
) -> Result<Selection, SettingError> {
    let shard = match flags.shard {
        None => None,
        Some(ShardChoice::Given(shard)) => Some(shard),
        Some(ShardChoice::Auto(of)) => Some(shard_of_job(of, environment)?),
    };
    Selection::new(&flags.select, shard)
        .map_err(|error| SettingError::new(format!("--select: {error}")))
}

/// The shard of a pod of a Kubernetes Indexed Job. Its index counts from 0.
/// Source: Kubernetes documentation, "Indexed Job".
fn shard_of_job(of: u32, environment: &Environment) -> Result<Shard, SettingError> {
    const INDEX: &str = "JOB_COMPLETION_INDEX";
    let index = environment.variable(INDEX).ok_or_else(|| {
        SettingError::new(format!("--shard auto/{of} needs {INDEX}, which is not set"))
    })?;
    let number = index
        .parse::<u32>()
        .ok()
        .and_then(|index| index.checked_add(1));
    number
        .and_then(|number| Shard::new(number, of))
        .ok_or_else(|| {
            SettingError::new(format!(
                "{INDEX} is `{index}`, and --shard auto/{of} takes 0 to {}",
                of - 1
            ))
        })
}

/// What the manifests' flags name.
pub(crate) fn inputs(paths: &PathArgs, environment: &Environment) -> Inputs {
    Inputs {
        paths: paths.all(),
        exclude: paths.exclude.clone(),
        vars: paths.var.clone(),
        var_files: paths.var_file.clone(),
        env: allowed_env(&paths.allow_env, environment),
        allow_outside: paths.allow_outside,
        files_read: environment.files_read.clone(),
    }
}

/// Variables that manifests may read, with their values.
fn allowed_env(names: &[String], environment: &Environment) -> AllowedEnv {
    let value = |name: &String| environment.variables.get(name).cloned();
    names
        .iter()
        .map(|name| (name.clone(), value(name)))
        .collect()
}

/// This run of the program.
pub(crate) fn invocation(environment: &Environment) -> Invocation {
    Invocation {
        id: environment.invocation_id.clone(),
        started_at: environment.started_at,
    }
}
