//! What an apply is to do, by its flags.

use temporal_manifest::apply::refusal::Refusal;
use temporal_manifest::apply::settings::{ApplySettings, KeepIn};
use temporal_manifest::client::connect::{Prepared, prepare};

use super::{connection, given_key, inputs, invocation, selection};
use crate::cli::args::{ApplyArgs, GlobalArgs};
use crate::cli::command_line;
use crate::cli::environment::Environment;

/// The settings of an apply, and how its service is reached.
pub(crate) fn apply(
    args: &ApplyArgs,
    global: &GlobalArgs,
    environment: &Environment,
) -> Result<(ApplySettings, Prepared), Refusal> {
    let key = given_key(args.idempotency_key.as_deref(), environment)?;
    let connection = connection(&args.connection, global, environment)?;
    let prepared = prepare(connection).map_err(|error| Refusal::usage(error.to_string()))?;
    let journal = match (&args.journal, &args.resume) {
        (_, Some(path)) => KeepIn::Resumed(path.clone()),
        (Some(path), None) => KeepIn::New(path.clone()),
        (None, None) => KeepIn::Nothing,
    };
    let inputs = inputs(&args.paths, environment);
    let settings = ApplySettings {
        selection: selection(&args.selection, environment)?,
        invocation: invocation(environment),
        key,
        address: prepared.connection().address.clone(),
        namespace: prepared.connection().namespace.clone(),
        parallelism: args
            .parallelism
            .map_or(ApplySettings::PARALLELISM, usize::from),
        starts_per_second: args.rate,
        retry_for: args.retry_for.unwrap_or(ApplySettings::RETRY_FOR),
        fail_existing: args.fail_existing,
        max_failures: args.max_failures,
        journal,
        wait: args.wait,
        wait_timeout: args.wait_timeout,
        hide_results: args.hide_results,
        command: command_line::without_journal(&environment.arguments),
        ..ApplySettings::new(inputs)
    };
    Ok((settings, prepared))
}
