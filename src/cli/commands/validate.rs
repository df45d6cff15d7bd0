//! `validate`: everything that can be known from the files.

use temporal_manifest::expand::selection::Selection;

use super::Wanted;
use crate::cli::args::{GlobalArgs, OutputFormat, ValidateArgs};
use crate::cli::environment::Environment;
use crate::cli::exit::Exit;
use crate::cli::{output, settings};

pub(crate) fn run(args: &ValidateArgs, global: &GlobalArgs, environment: &Environment) -> Exit {
    let wanted = Wanted {
        key: None,
        digest: false,
        selection: Selection::default(),
        invocation: settings::invocation(),
    };
    let mut checked = match super::check(&args.paths, wanted, global, environment) {
        Ok(checked) => checked,
        Err(exit) => return exit,
    };
    let invalid = checked.show(global, environment);
    let exit = if invalid {
        checked.refusal()
    } else {
        Exit::Success
    };
    let (files, starts) = (checked.sources.len(), checked.preflight.total);
    let written = match global.output {
        Some(OutputFormat::Json | OutputFormat::Jsonl) => {
            output::document(global.output, &checked.to_document(!invalid))
        }
        Some(OutputFormat::None | OutputFormat::Github) => return exit,
        Some(OutputFormat::Text) | None if invalid => {
            output::say(&counted(checked.problems(), "problem"));
            return exit;
        }
        Some(OutputFormat::Text) | None => {
            let files = counted(files as u64, "file");
            output::data(&format!("valid: {} in {files}\n", counted(starts, "start")))
        }
    };
    if written == Exit::Success {
        exit
    } else {
        written
    }
}

/// `1 file`, `2 files`.
pub(super) fn counted(count: u64, word: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {word}{plural}")
}
