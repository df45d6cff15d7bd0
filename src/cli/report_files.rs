//! The files that `--report` names: what they must not be, and what becomes of an earlier report when
//! an apply is refused.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use temporal_manifest::apply::refusal::{Code, Kind, Refusal};
use temporal_manifest::manifest::inputs::FilesRead;
use temporal_manifest::report::files::{self, Identity};
use temporal_manifest::report::target::ReportTarget;

use super::args::{ApplyArgs, FileFormat, GlobalArgs, OutputFormat, ReportFile};
use super::output;

/// Bytes in which a document shows that it is ours. An error is no longer than that.
const BEGINNING: u64 = 64 * 1024;

/// Why a journal or report is not written where it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// Two things at once on standard output.
    #[error("`--report json=-` and `-o` both write to standard output")]
    TwoOutputs,
    /// A journal is read back.
    #[error("a journal is a file, and `-` is none")]
    NoFile,
    /// It would be written over something else that is needed.
    #[error("the {ours} `{path}` is the same file as {theirs}")]
    Same {
        /// `journal` or `report`.
        ours: &'static str,
        /// How it was called.
        path: String,
        /// What else it is.
        theirs: String,
    },
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let help = match refused {
            Refused::TwoOutputs => "add `-o none`, or name a file",
            Refused::NoFile => "name a new file",
            Refused::Same { .. } => "name another file: it would be overwritten",
        };
        Refusal::usage(refused.to_string()).with_help(help)
    }
}

/// Makes sure that neither the journal nor a report is written over an input, the journal or another
/// report, by what the names lead to.
pub(crate) fn check(
    args: &ApplyArgs,
    global: &GlobalArgs,
    files_read: &FilesRead,
) -> Result<(), Refused> {
    let is_dash = |it: &&ReportFile| it.target == ReportTarget::Dash;
    let dashed = args.report.iter().filter(is_dash).count();
    if dashed > 1 || dashed == 1 && global.output != Some(OutputFormat::None) {
        return Err(Refused::TwoOutputs);
    }
    if args.journal.as_deref() == Some(Path::new("-")) {
        return Err(Refused::NoFile);
    }
    let mut taken = inputs_of(args, global);
    for (ours, path) in written(args) {
        if files::is_standard_input(path) {
            return Err(Refused::Same {
                ours,
                path: path.display().to_string(),
                theirs: "standard input".to_owned(),
            });
        }
        let Some(identity) = Identity::of(path) else {
            continue;
        };
        let mut theirs = taken.iter().filter(|(known, _)| *known == identity);
        let theirs = theirs.next().map(|(_, theirs)| theirs.clone());
        let read = || {
            identity
                .inode()
                .is_some_and(|(device, inode)| files_read.holds(device, inode))
        };
        if let Some(theirs) = theirs.or_else(|| read().then(|| "a file that is read".to_owned())) {
            return Err(Refused::Same {
                ours,
                path: path.display().to_string(),
                theirs,
            });
        }
        taken.push((identity, format!("the {ours} `{}`", path.display())));
    }
    Ok(())
}

/// Finds out beforehand what would keep a report from being written.
pub(crate) fn can_be_written(args: &ApplyArgs) -> Result<(), Refusal> {
    for ReportFile { target, .. } in &args.report {
        target.check().map_err(|error| {
            let message = format!("cannot write the report `{}`: {error}", target.name());
            Refusal::new(Code::Report, Kind::NotWritten, message)
        })?;
    }
    Ok(())
}

/// What an apply writes.
fn written(args: &ApplyArgs) -> impl Iterator<Item = (&'static str, &Path)> {
    let reports = args
        .report
        .iter()
        .filter_map(|report| match &report.target {
            ReportTarget::Path(path) => Some(("report", path.as_path())),
            ReportTarget::Dash | ReportTarget::StandardOutput => None,
        });
    let journal = args.journal.iter().map(|path| ("journal", path.as_path()));
    journal.chain(reports)
}

/// What the command line names as something to be read, and what each is.
fn inputs_of(args: &ApplyArgs, global: &GlobalArgs) -> Vec<(Identity, String)> {
    let manifests = args.paths.paths.iter().chain(&args.paths.file);
    let connection = &args.connection;
    let settings = [&global.config_file, &global.env_file];
    let certificates = [
        &connection.tls_cert_path,
        &connection.tls_key_path,
        &connection.tls_ca_path,
    ];
    let named = manifests
        .map(|path| ("manifest", path))
        .chain(
            args.paths
                .var_file
                .iter()
                .map(|path| ("file of variables", path)),
        )
        .chain(args.resume.iter().map(|path| ("journal", path)))
        .chain(
            settings
                .into_iter()
                .flatten()
                .map(|path| ("configuration file", path)),
        )
        .chain(
            certificates
                .into_iter()
                .flatten()
                .map(|path| ("certificate or key", path)),
        );
    let known = named.filter_map(|(what, path)| {
        Some((
            Identity::of(path)?,
            format!("the {what} `{}`", path.display()),
        ))
    });
    known.collect()
}

/// Writes a document that says what was wrong to every report, in the place of an earlier one that would pass for
/// today's. What may be something else is left alone: after a mistake nobody knows what else would
/// have been read.
pub(crate) fn replace(
    args: &ApplyArgs,
    global: &GlobalArgs,
    files_read: &FilesRead,
    document: &str,
) {
    let inputs = inputs_of(args, global);
    for ReportFile { target, .. } in &args.report {
        match target {
            ReportTarget::Dash | ReportTarget::StandardOutput
                if output::wants_data(global.output) =>
            {
                continue;
            }
            ReportTarget::Path(path) if !may_replace(path, &inputs, files_read) => continue,
            _ => {}
        }
        // That it could not be written is told, if it is why the apply was refused.
        let _ = target.write(|out| out.write_all(document.as_bytes()));
    }
}

/// Like [`replace`], for a command line that could not be parsed.
pub(crate) fn replace_unparsed(words: &[String], document: &str) {
    if !words.iter().any(|word| word == "apply") {
        return;
    }
    let is_report = |position: usize| position > 0 && words[position - 1] == "--report";
    let named = |(position, word): (usize, &String)| {
        let typed = match word.strip_prefix("--report=") {
            Some(typed) => typed,
            None if is_report(position) => word,
            None => return None,
        };
        let (format, file) = typed.split_once('=')?;
        FileFormat::of(format).map(|_| (position, file.to_owned()))
    };
    for (position, text) in words.iter().enumerate().filter_map(named) {
        // Any other word may be a file that is read.
        let others = words.iter().enumerate().filter(|(at, _)| *at != position);
        let others =
            others.flat_map(|(_, word)| [Some(word.as_str()), word.split_once('=').map(|it| it.1)]);
        let others = others
            .flatten()
            .filter_map(|word| Some((Identity::of(Path::new(word))?, word.to_owned())));
        let others: Vec<_> = others.collect();
        if let ReportTarget::Path(path) = ReportTarget::of(&text)
            && may_replace(&path, &others, &FilesRead::default())
        {
            let _ = files::write(&path, |out| out.write_all(document.as_bytes()));
        }
    }
}

/// Whether a file can be nothing but a report. Says so if it can be something else.
fn may_replace(path: &Path, inputs: &[(Identity, String)], files_read: &FilesRead) -> bool {
    let identity = Identity::of(path);
    let inode = identity.as_ref().and_then(Identity::inode);
    let is_read = inode.is_some_and(|(device, inode)| files_read.holds(device, inode))
        || inputs
            .iter()
            .any(|(known, _)| Some(known) == identity.as_ref())
        || files::is_standard_input(path);
    let why = match inode {
        _ if is_read => "it is read",
        Some(_) if !is_ours(path) => "what is there is no report",
        _ => return true,
    };
    let path = path.display();
    output::say(&format!("note: `{path}` is left as it is: {why}"));
    false
}

/// Whether a file is empty, or begins like a document of this program's.
fn is_ours(path: &Path) -> bool {
    let mut beginning = Vec::new();
    let read = File::open(path).and_then(|file| file.take(BEGINNING).read_to_end(&mut beginning));
    read.is_ok() && (beginning.is_empty() || is_document(&beginning))
}

/// Whether text begins like a document of this program's. Errors are told by all that they hold: many
/// programs have some that begin alike.
fn is_document(beginning: &[u8]) -> bool {
    let text = String::from_utf8_lossy(beginning);
    let text: String = text.chars().filter(|it| !it.is_whitespace()).collect();
    let kinds = [
        r#"{"apiVersion":"temporal-manifest/v1","kind":"Report","invocation":{"#,
        r#"{"apiVersion":"temporal-manifest/v1","kind":"Validation","valid":"#,
        r#"{"event":"applyStarted","at":""#,
    ];
    kinds.iter().any(|kind| text.starts_with(kind))
        || serde_json::from_slice(beginning).is_ok_and(|document| is_error(&document))
}

/// Whether a document is an error of this program's, and nothing else.
fn is_error(document: &Value) -> bool {
    let only = document.as_object().filter(|it| it.len() == 1);
    let Some(Value::Object(error)) = only.and_then(|it| it.get("error")) else {
        return false;
    };
    let known = ["code", "message", "help", "exitCode"];
    let text = |name| error.get(name).is_some_and(Value::is_string);
    error.keys().all(|name| known.contains(&name.as_str()))
        && text("code")
        && text("message")
        && error.get("exitCode").is_some_and(Value::is_u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_documents_are_ours() {
        for ours in [
            r#"{"error": {"code": "usage", "message": "m", "exitCode": 2}}"#,
            r#"{"error": {"code": "usage", "message": "m", "help": "h", "exitCode": 2}}"#,
            r#"{"apiVersion": "temporal-manifest/v1", "kind": "Report", "invocation": {"id": 1"#,
            r#"{"apiVersion": "temporal-manifest/v1", "kind": "Validation", "valid": false"#,
            r#"{"event":"applyStarted","at":"2026"#,
        ] {
            assert!(is_document(ours.as_bytes()), "{ours}");
        }
        for other in [
            r#"{"error": {"code": 404, "message": "m", "exitCode": 2}}"#,
            r#"{"error": {"code": "usage", "message": "m"}}"#,
            r#"{"error": {"code": "usage", "message": "m", "exitCode": 2}, "more": 1}"#,
            r#"{"apiVersion": "temporal-manifest/v1", "kind": "Starts"}"#,
            "id,amount",
            "[]",
        ] {
            assert!(!is_document(other.as_bytes()), "{other}");
        }
    }
}
