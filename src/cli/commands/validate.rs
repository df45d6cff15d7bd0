//! `validate`: everything that can be known from the files.

use temporal_manifest::apply::inputs::Wanted;
use temporal_manifest::apply::refusal::{Refusal, counted};
use temporal_manifest::expand::selection::Selection;

use crate::cli::args::{GlobalArgs, OutputFormat, ValidateArgs};
use crate::cli::environment::Environment;
use crate::cli::exit::Exit;
use crate::cli::{failure, output, settings};

pub(crate) fn run(
    args: &ValidateArgs,
    global: &GlobalArgs,
    environment: &Environment,
) -> Result<Exit, Refusal> {
    let wanted = Wanted {
        key: None,
        digest: false,
        selection: Selection::default(),
        invocation: settings::invocation(environment),
    };
    let checked = settings::inputs(&args.paths, environment).check(wanted)?;
    let findings = checked.findings;
    failure::notes(&checked.notes);
    output::diagnostics(&findings.diagnostics, findings.hidden, global, environment);
    let valid = findings.are_sound();
    let written = match global.output {
        Some(OutputFormat::Json | OutputFormat::Jsonl) => {
            output::document(global.output, &findings.to_document())
        }
        Some(OutputFormat::Text) | None if valid => {
            let starts = counted(checked.preflight.total, "start");
            let files = counted(findings.files, "file");
            output::data(&format!("valid: {starts} in {files}\n"))
        }
        Some(OutputFormat::Text) | None => {
            output::say(&counted(findings.problems(), "problem"));
            Exit::Success
        }
        Some(OutputFormat::None | OutputFormat::Github) => Exit::Success,
    };
    if written != Exit::Success || valid {
        return Ok(written);
    }
    Ok(Exit::from(Refusal::invalid(findings).kind))
}
