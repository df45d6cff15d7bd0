//! Finds manifest files and reads them as text.
//!
//! In: the paths a user typed. Out: [`Source`]s in a stable order, and a [`Diagnostic`] for every
//! path that could not be read; one unreadable file does not hide the problems of the others.

use std::collections::HashSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::inputs::FilesRead;
use super::opened::{self, OpenError};
use super::walk::{self, Exclude};
use crate::disk::{folder_of, read_bounded};
use crate::manifest::findings::diagnostic::{Code, Diagnostic};
use crate::manifest::findings::spelling::nearest;
use crate::manifest::text::source::Source;

/// Largest manifest file that is read, in bytes. Larger inputs belong into CSV or JSONL rows.
pub const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;

/// Reads every manifest that `paths` name: files, folders (recursively, `*.yaml`, `*.yml` and
/// `*.json`, sorted; hidden names are left out) and `-` for standard input. A file that is
/// reached twice is read once. `exclude` says what of folders is left out.
pub fn read_sources(
    paths: &[PathBuf],
    exclude: &Exclude,
    read: &FilesRead,
) -> (Vec<Arc<Source>>, Vec<Diagnostic>) {
    let mut sources = Vec::new();
    let mut problems = Vec::new();
    let mut seen = HashSet::new();
    for path in paths {
        if path.as_os_str() == "-" {
            if seen.insert(path.clone()) {
                let read = read_text("<stdin>", std::io::stdin().lock());
                let read = read.map(|text| ("<stdin>".into(), PathBuf::from("."), text));
                collect(read, None, &mut sources, &mut problems);
            }
            continue;
        }
        let walked = path.is_dir().then_some(path.as_path());
        let files = match walked {
            Some(folder) => manifests_of(folder, exclude, &mut problems),
            None => vec![path.clone()],
        };
        for file in files {
            let identity = file.canonicalize().unwrap_or_else(|_| file.clone());
            if seen.insert(identity) {
                let read = read_file(&file, walked, read);
                collect(read, walked, &mut sources, &mut problems);
            }
        }
    }
    (sources, problems)
}

/// Reads one file that is no manifest, or says why it cannot be read.
pub fn read_one(path: &Path, read: &FilesRead) -> (Option<Arc<Source>>, Vec<Diagnostic>) {
    let (mut sources, mut problems) = (Vec::new(), Vec::new());
    collect(
        read_file(path, None, read),
        None,
        &mut sources,
        &mut problems,
    );
    (sources.pop(), problems)
}

/// A file's name, its folder and its text.
type ReadFile = (String, PathBuf, String);

/// The files of a folder, which should hold one at least.
fn manifests_of(folder: &Path, exclude: &Exclude, problems: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    let before = problems.len();
    let files = walk::files_below(folder, exclude, problems);
    if files.is_empty() && problems.len() == before {
        problems.push(no_manifests(folder));
    }
    files
}

/// A folder holds nothing to read.
pub(in crate::manifest) fn no_manifests(folder: &Path) -> Diagnostic {
    let message = format!("the folder `{}` holds no manifest", folder.display());
    Diagnostic::new(Code::NoManifests, message)
        .with_help("a manifest's name ends in `.yaml`, `.yml` or `.json`")
}

fn collect(
    read: Result<ReadFile, Diagnostic>,
    found_in: Option<&Path>,
    sources: &mut Vec<Arc<Source>>,
    problems: &mut Vec<Diagnostic>,
) {
    match read {
        Ok((name, folder, text)) => {
            let source = Source::new(name, folder, text).found_in_folder(found_in);
            sources.push(Arc::new(source));
        }
        Err(problem) => problems.push(problem),
    }
}

/// Reads a file, which lies below `walked` if that is the folder it was found in.
fn read_file(path: &Path, walked: Option<&Path>, read: &FilesRead) -> Result<ReadFile, Diagnostic> {
    let name = path.display().to_string();
    let unreadable = |error: std::io::Error| {
        Diagnostic::new(Code::Unreadable, format!("cannot read `{name}`: {error}"))
    };
    // Only these pipes have a writer for sure.
    let file = if walked.is_none() && opened::is_from_shell(path) {
        std::fs::File::open(path).map_err(unreadable)?
    } else {
        let opened = opened::open(path, walked, read).map_err(|error| match (error, walked) {
            (OpenError::NotAFile, _) => not_a_file(&name),
            (OpenError::Outside, Some(folder)) => walk::link_outside(path, folder),
            (error @ OpenError::Outside, None) => {
                Diagnostic::new(Code::NotAFile, format!("cannot read `{name}`: {error}"))
                    .with_help("what lies below `/proc` and `/sys` is no manifest")
            }
            (OpenError::Io(error), _) => match near_file(path) {
                Some(near) if error.kind() == std::io::ErrorKind::NotFound => {
                    unreadable(error).with_help(format!("did you mean `{}`?", near.display()))
                }
                _ => unreadable(error),
            },
        })?;
        opened.file
    };
    let length = file.metadata().map_err(unreadable)?.len();
    if length > MAX_FILE_BYTES {
        return Err(too_large(&name));
    }
    let text = read_text(&name, file)?;
    let folder = folder_of(path).to_owned();
    Ok((name, folder, text))
}

fn not_a_file(name: &str) -> Diagnostic {
    Diagnostic::new(Code::NotAFile, format!("`{name}` is not a regular file")).with_help(format!(
        "pass it through standard input: `temporal-manifest apply - < {name}`"
    ))
}

/// A file beside a missing one with nearly its name.
fn near_file(path: &Path) -> Option<PathBuf> {
    let wanted = path.file_name()?.to_string_lossy().into_owned();
    let names = std::fs::read_dir(folder_of(path))
        .ok()?
        .flatten()
        .take(10_000);
    let candidates: Vec<String> = names
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let near = nearest(&wanted, candidates.iter().map(String::as_str))?;
    Some(path.with_file_name(near))
}

fn too_large(name: &str) -> Diagnostic {
    let limit = MAX_FILE_BYTES / (1024 * 1024);
    let message = format!("`{name}` is larger than {limit} MiB");
    Diagnostic::new(Code::TooLarge, message).with_help("split the manifest into several files")
}

fn read_text(name: &str, reader: impl Read) -> Result<String, Diagnostic> {
    let mut bytes = read_bounded(reader, MAX_FILE_BYTES).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => too_large(name),
        _ => Diagnostic::new(Code::Unreadable, format!("cannot read `{name}`: {error}")),
    })?;
    let skip = if bytes.starts_with(b"\xEF\xBB\xBF") {
        3
    } else {
        0
    };
    if skip > 0 {
        bytes.drain(..skip);
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..at];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let line_start = before
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |p| p + 1);
        let column = String::from_utf8_lossy(&before[line_start..])
            .chars()
            .count()
            + 1;
        let byte = error.as_bytes()[at];
        let problem = Diagnostic::new(
            Code::NotUtf8,
            format!("`{name}` is not UTF-8: byte 0x{byte:02X} at line {line}, column {column}"),
        );
        let utf16 =
            error.as_bytes().starts_with(b"\xFF\xFE") || error.as_bytes().starts_with(b"\xFE\xFF");
        problem.with_help(if utf16 {
            format!("the file is UTF-16; convert it: `iconv -f UTF-16 -t UTF-8 {name}`")
        } else {
            format!("save the file as UTF-8; if it is Latin-1: `iconv -f LATIN1 -t UTF-8 {name}`")
        })
    })
}
