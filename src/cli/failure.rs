//! Shows why a command did not do what it was asked for: once, for people, for programs, and in the
//! place of reports.

use temporal_manifest::apply::note::Note;
use temporal_manifest::apply::refusal::{Code, Kind, Refusal};
use temporal_manifest::report::problem::{ErrorDocument, ErrorFacts};

use super::args::{Cli, Command, OutputFormat};
use super::environment::Environment;
use super::exit::Exit;
use super::{output, report_files};

/// Shows a refusal, and puts it in the place of the reports of an apply.
pub(crate) fn show(refusal: &Refusal, cli: &Cli, environment: &Environment) -> Exit {
    tell(refusal, cli, environment);
    if let Command::Apply(args) = &cli.command {
        let read = &environment.files_read;
        report_files::replace(args, &cli.global, read, &document(refusal));
    }
    Exit::from(refusal.kind)
}

/// Tells a refusal in the form that was asked for.
pub(crate) fn tell(refusal: &Refusal, cli: &Cli, environment: &Environment) {
    let global = &cli.global;
    notes(&refusal.notes);
    let findings = refusal.findings.as_deref();
    if let Some(findings) = findings {
        output::diagnostics(&findings.diagnostics, findings.hidden, global, environment);
    }
    let Some(invalid) = findings.filter(|_| refusal.code == Code::Manifest) else {
        return error(refusal, global.output);
    };
    if let (Command::Apply(_), Some(_)) = (&cli.command, invalid.starts) {
        output::say(&format!("{}; nothing was sent", refusal.message));
    }
    if output::wants_data(global.output) {
        // What is wrong matters more than that nobody could be told.
        output::document(global.output, &invalid.to_document());
    }
}

/// Tells a refusal that is not about manifests.
pub(crate) fn error(refusal: &Refusal, format: Option<OutputFormat>) {
    output::say(&format!("error: {}", refusal.message));
    if let Some(help) = &refusal.help {
        output::say(&format!("  help: {help}"));
    }
    if output::wants_data(format) {
        // An error is one line in either form.
        output::document(Some(OutputFormat::Jsonl), &problem(refusal));
    }
}

/// Tells what deserves to be known.
pub(crate) fn notes(notes: &[Note]) {
    notes.iter().for_each(note);
}

/// Tells one thing that deserves to be known.
pub(crate) fn note(note: &Note) {
    match note {
        Note::Key(_) => output::say(&note.to_string()),
        _ => output::say(&format!("note: {note}")),
    }
}

/// The document that says it, for files.
pub(crate) fn document(refusal: &Refusal) -> String {
    match &refusal.findings {
        Some(findings) if refusal.code == Code::Manifest => output::pretty(&findings.to_document()),
        _ => output::pretty(&problem(refusal)),
    }
}

fn problem(refusal: &Refusal) -> ErrorDocument {
    ErrorDocument {
        error: ErrorFacts {
            code: refusal.code.as_str().to_owned(),
            message: refusal.message.clone(),
            help: refusal.help.clone(),
            exit_code: Exit::from(refusal.kind).code(),
        },
    }
}

impl From<Kind> for Exit {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Usage => Exit::Usage,
            Kind::Invalid => Exit::Invalid,
            Kind::NotWritten => Exit::NotWritten,
            Kind::NoConnection => Exit::NoConnection,
            Kind::Interrupted { signal } => Exit::Interrupted { signal },
            Kind::Timeout => Exit::Unknown,
        }
    }
}
