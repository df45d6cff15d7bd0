//! `render`: every start after defaults, as a manifest again or as JSON lines.

use std::io::{self, BufWriter, Write};

use temporal_manifest::apply::inputs::Wanted;
use temporal_manifest::apply::refusal::{Findings, Refusal};
use temporal_manifest::expand::Batch;
use temporal_manifest::expand::render::{document_head, start_value};
use temporal_manifest::manifest::diagnostic::Diagnostic;
use temporal_manifest::report::rendered::Rendered;
use temporal_manifest::visible;

use super::yaml;
use crate::cli::args::{GlobalArgs, OutputFormat, RenderArgs};
use crate::cli::environment::Environment;
use crate::cli::exit::Exit;
use crate::cli::{failure, output, settings};

pub(crate) fn run(
    args: &RenderArgs,
    global: &GlobalArgs,
    environment: &Environment,
) -> Result<Exit, Refusal> {
    let wanted = Wanted {
        key: settings::given_key(args.idempotency_key.as_deref(), environment)?,
        digest: false,
        selection: settings::selection(&args.selection, environment)?,
        invocation: settings::invocation(environment),
    };
    let mut checked = settings::inputs(&args.paths, environment).check(wanted)?;
    let batch = checked.take_batch()?;
    let advice = &checked.findings.diagnostics;
    failure::notes(&checked.notes);
    output::diagnostics(advice, 0, global, environment);
    let out = BufWriter::new(io::stdout().lock());
    let written = match global.output {
        Some(OutputFormat::None | OutputFormat::Github) => return Ok(Exit::Success),
        Some(OutputFormat::Json | OutputFormat::Jsonl) => lines(out, &batch),
        Some(OutputFormat::Text) | None => manifests(out, &batch),
    };
    match written {
        Ok(()) => Ok(Exit::Success),
        Err(Failure::Write(error)) => Ok(output::written(Err(error), Exit::Success)),
        Err(Failure::Changed(diagnostics)) => {
            let findings = Findings::of(&checked.sources, diagnostics);
            Err(Refusal::invalid(findings))
        }
    }
}

enum Failure {
    Write(io::Error),
    /// A file has changed since it was checked.
    Changed(Vec<Diagnostic>),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Write(error)
    }
}

/// One manifest for each that was read, without defaults.
fn manifests(mut out: impl Write, batch: &Batch) -> Result<(), Failure> {
    let mut current = None;
    for item in batch.with_manifests() {
        let (position, manifest, start) = item;
        if current != Some(position) {
            let separator = if current.is_some() { "---\n" } else { "" };
            let head =
                serde_yaml::to_string(&document_head(manifest.name())).map_err(io::Error::other)?;
            writeln!(out, "{separator}{head}starts:")?;
            current = Some(position);
        }
        let start = start.map_err(Failure::Changed)?;
        out.write_all(yaml_item(&start_value(&start))?.as_bytes())?;
    }
    Ok(out.flush()?)
}

/// A value as an item of a block list.
fn yaml_item(value: &serde_json::Value) -> io::Result<String> {
    let json = value.to_string();
    let shown = visible::json_as_yaml(&json);
    // The YAML writer adds spaces after some hidden characters and leaves others as they are, and
    // gives a text's lines lines of their own, which a CI system may take for commands. JSON is
    // YAML too.
    if shown != json || may_begin_a_command(&json) {
        return Ok(format!("- {shown}\n"));
    }
    yaml::item(value)
}

/// Whether a line of a string, or a key, in this JSON begins with `::`.
fn may_begin_a_command(json: &str) -> bool {
    json.match_indices("::").any(|(at, _)| {
        let before = json[..at].trim_end_matches(' ');
        let begins = ["\"", "\\n", "\\r", "\\t", "\\f"];
        begins.iter().any(|it| before.ends_with(it))
    })
}

/// One JSON line for each start.
fn lines(mut out: impl Write, batch: &Batch) -> Result<(), Failure> {
    for (_, manifest, start) in batch.with_manifests() {
        let start = start.map_err(Failure::Changed)?;
        let line = Rendered {
            index: start.index,
            manifest: manifest.name().to_owned(),
            source: start.source.clone(),
            start: start_value(&start),
        };
        let line = serde_json::to_string(&line).map_err(io::Error::from)?;
        writeln!(out, "{}", visible::json(&line))?;
    }
    Ok(out.flush()?)
}
