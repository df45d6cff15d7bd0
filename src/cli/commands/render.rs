//! `render`: every start after defaults, as a manifest again or as JSON lines.

use std::io::{self, BufWriter, Write};

use temporal_manifest::expand::render::{document_head, start_value};
use temporal_manifest::manifest::diagnostic::Diagnostic;
use temporal_manifest::report::rendered::Rendered;
use temporal_manifest::visible;

use super::{Wanted, yaml};
use crate::cli::args::{GlobalArgs, OutputFormat, RenderArgs};
use crate::cli::environment::Environment;
use crate::cli::exit::Exit;
use crate::cli::{output, settings};

pub(crate) fn run(args: &RenderArgs, global: &GlobalArgs, environment: &Environment) -> Exit {
    let key = match settings::given_key(args.idempotency_key.as_deref(), environment) {
        Ok(key) => key,
        Err(error) => {
            return output::fail(
                global.output,
                Exit::Usage,
                "usage",
                &error.to_string(),
                None,
            );
        }
    };
    let selection = match settings::selection(&args.selection, environment) {
        Ok(selection) => selection,
        Err(error) => {
            let error = error.to_string();
            return output::fail(global.output, Exit::Usage, "usage", &error, None);
        }
    };
    let has_key = key.is_some();
    let wanted = Wanted {
        key,
        digest: false,
        selection: selection.clone(),
        invocation: settings::invocation(),
    };
    let mut checked = match super::check(&args.paths, wanted, global, environment) {
        Ok(checked) => checked,
        Err(exit) => return exit,
    };
    if checked.show(global, environment) {
        if output::wants_data(global.output) {
            output::document(global.output, &checked.to_document(false));
        }
        return checked.refusal();
    }
    if let Err(exit) = checked.check_selection(&selection, has_key, global) {
        return exit;
    }
    let out = BufWriter::new(io::stdout().lock());
    let written = match global.output {
        Some(OutputFormat::None | OutputFormat::Github) => return Exit::Success,
        Some(OutputFormat::Json | OutputFormat::Jsonl) => lines(out, &checked),
        Some(OutputFormat::Text) | None => manifests(out, &checked),
    };
    match written {
        Ok(()) => Exit::Success,
        Err(Failure::Write(error)) => output::written(Err(error), Exit::Success),
        Err(Failure::Changed(mut diagnostics)) => {
            let files = checked.sources.len() as u64;
            super::invalid(&mut diagnostics, files, global, environment)
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
fn manifests(mut out: impl Write, checked: &super::Checked) -> Result<(), Failure> {
    let mut current = None;
    for item in checked.expansion.with_manifests() {
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
fn lines(mut out: impl Write, checked: &super::Checked) -> Result<(), Failure> {
    for (_, manifest, start) in checked.expansion.with_manifests() {
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
