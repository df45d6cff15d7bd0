//! Who reports: what `--output` and `--report` ask for, and how it is said that something could not be
//! written.

use std::io;

use temporal_manifest::apply::note::Note;
use temporal_manifest::report::formats::json::JsonReport;
use temporal_manifest::report::formats::jsonl::JsonLinesReport;
use temporal_manifest::report::formats::text::{Look, TextReport};
use temporal_manifest::report::progress::{Audience, Progress};
use temporal_manifest::report::reporter::Reporter;
use temporal_manifest::report::reporters::{Told, WriteFailure};
use temporal_manifest::report::target::ReportTarget;
use temporal_manifest::report::words;
use temporal_manifest::run::event::Stopped;

use super::args::{FileFormat, GlobalArgs, OutputFormat, ReportFile};
use super::environment::Environment;
use super::exit::Exit;
use super::{failure, output, settings};

/// What `--output` asks for, on standard output, about so many starts. `waits` says whether Workflows end
/// long after their starts.
pub(crate) fn output(
    global: &GlobalArgs,
    environment: &Environment,
    total: Option<u64>,
    waits: bool,
) -> Option<Box<dyn Reporter>> {
    let target = ReportTarget::StandardOutput;
    Some(match global.output.unwrap_or(OutputFormat::Text) {
        OutputFormat::None => return None,
        OutputFormat::Json => Box::new(JsonReport::new(target)),
        OutputFormat::Jsonl => Box::new(JsonLinesReport::new(Box::new(io::stdout()), |ending| {
            Exit::of(ending).code()
        })),
        OutputFormat::Text | OutputFormat::Github => {
            let is_terminal = environment.stdout_is_terminal;
            let look = Look {
                color: settings::color(global.color, environment, is_terminal),
                ascii: environment.ascii,
                columns: environment.width.filter(|_| is_terminal),
            };
            Box::new(TextReport::new(target, look, total, waits))
        }
    })
}

/// What `--report` asks for.
pub(crate) fn file(report: &ReportFile) -> Box<dyn Reporter> {
    match report.format {
        FileFormat::Json => Box::new(JsonReport::new(report.target.clone())),
    }
}

/// What is shown on standard error while an apply goes on.
pub(crate) fn progress(environment: &Environment, total: Option<u64>, waits: bool) -> Progress {
    let audience = if environment.stderr_is_terminal {
        Audience::Terminal {
            ascii: environment.ascii,
        }
    } else {
        Audience::Lines(Box::new(output::say))
    };
    Progress::new(total, waits, audience)
}

/// Says what could not be written and why an apply ended early, and how it ends. Notes come in
/// between.
pub(crate) fn ended(told: &Told, notes: &[Note]) -> Exit {
    for WriteFailure { to, error } in &told.reports {
        output::say(&format!("error: cannot write the report `{to}`: {error}"));
    }
    failure::notes(notes);
    let ending = &told.ending;
    // A failure is told at the end, and a reader that has gone is none.
    if let (None, Some(stopped)) = (&told.failure, ending.stopped()) {
        let reason = words::reason(stopped, &ending.summary);
        let what = match stopped {
            // It says nothing about the starts.
            Stopped::Unrecorded => "note",
            _ => "error",
        };
        output::say(&format!("{what}: {reason}"));
        if let Some(help) = words::help(stopped) {
            output::say(&format!("  help: {help}"));
        }
    }
    match told.failure.as_ref().filter(|it| !it.reader_is_gone()) {
        Some(failure) => {
            output::say(&format!("error: cannot write to {failure}"));
            output::say("  help: starts may have been made; repeat with the same idempotency key");
        }
        None => {
            if let Some(failure) = &told.output {
                output::say(&format!("error: cannot write to {failure}"));
            }
        }
    }
    Exit::of(ending)
}
