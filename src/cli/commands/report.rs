//! `report`: the report of journals, rendered again.

use std::path::Path;

use temporal_manifest::apply::refusal::Refusal;
use temporal_manifest::journal;
use temporal_manifest::report::replay::Recording;
use temporal_manifest::report::reporters::Reporters;

use crate::cli::args::{GlobalArgs, OutputFormat, ReportArgs};
use crate::cli::environment::Environment;
use crate::cli::exit::Exit;
use crate::cli::{failure, reporters};

pub(crate) fn run(
    args: &ReportArgs,
    global: &GlobalArgs,
    environment: &Environment,
) -> Result<Exit, Refusal> {
    let mut exit = Exit::Success;
    for recording in recordings(args, global.output)? {
        let output = reporters::output(global, environment, recording.total(), false);
        let reporters = Reporters::default()
            .with_output(output)
            .without_results(args.hide_results);
        // The others' reports are no worse for one that cannot be made.
        exit = exit.first(match reporters.replay(recording) {
            Ok(told) => reporters::ended(&told, &[]),
            Err(unread) => {
                let refusal = Refusal::from(unread);
                failure::error(&refusal, global.output);
                Exit::from(refusal.kind)
            }
        });
    }
    Ok(exit)
}

/// What the journals hold: of each a recording, or of all together.
fn recordings(args: &ReportArgs, format: Option<OutputFormat>) -> Result<Vec<Recording>, Refusal> {
    if !args.merge && args.journals.len() > 1 && format == Some(OutputFormat::Json) {
        let names: Vec<String> = args.journals.iter().map(|path| named(path)).collect();
        let message = format!(
            "`-o json` prints one document, and these journals have a report each: {}",
            names.join(", ")
        );
        let help = "add --merge if they are shards of one apply, or render them one by one";
        return Err(Refusal::usage(message).with_help(help));
    }
    let opened = args.journals.iter().map(|path| journal::read(path));
    let opened = opened.collect::<Result<Vec<_>, _>>()?;
    if args.merge {
        Ok(vec![Recording::merged(opened)?])
    } else {
        Ok(opened.into_iter().map(Recording::of).collect())
    }
}

/// A journal as messages call it.
fn named(path: &Path) -> String {
    format!("`{}`", path.display())
}
