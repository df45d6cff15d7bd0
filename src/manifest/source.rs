//! Finds manifest files and reads them as text.
//!
//! In: the paths a user typed. Out: [`Source`]s in a stable order, and a [`Diagnostic`] for every
//! path that could not be read; one unreadable file does not hide the problems of the others.

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

use super::diagnostic::{Code, Diagnostic};
use super::opened::{self, OpenError};
use super::walk::{self, Exclude};

/// Largest manifest file that is read, in bytes. Larger inputs belong into CSV or JSONL rows.
pub const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;

/// A range of bytes in a [`Source`]'s text; `end` is exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// One manifest file, or standard input, as text.
#[derive(Debug)]
pub struct Source {
    name: String,
    folder: PathBuf,
    text: String,
    /// Lines before the text, if it is a part of a file.
    lines_before: u32,
    /// The folder in which it was found, if it was not named itself.
    found_in: Option<PathBuf>,
    sha256: OnceLock<String>,
    line_starts: OnceLock<Vec<u32>>,
    shown: OnceLock<Option<String>>,
    ascii: OnceLock<bool>,
}

impl Source {
    /// Wraps text that is already in memory. `name` is shown in messages; `folder` is where
    /// relative paths inside the manifest start.
    pub fn new(name: impl Into<String>, folder: impl Into<PathBuf>, text: String) -> Self {
        Source {
            name: name.into(),
            folder: folder.into(),
            text,
            lines_before: 0,
            found_in: None,
            sha256: OnceLock::new(),
            line_starts: OnceLock::new(),
            shown: OnceLock::new(),
            ascii: OnceLock::new(),
        }
    }

    /// Wraps a part of a file that begins at `line`, counted from 1.
    pub fn part(name: impl Into<String>, line: u32, text: String) -> Self {
        Source {
            lines_before: line.saturating_sub(1),
            ..Source::new(name, ".", text)
        }
    }

    /// The path as the user typed it, or `<stdin>`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Folder that relative paths in the manifest start from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The whole text, without a byte order mark.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text as a terminal may see it, with the same offsets.
    pub(super) fn shown(&self) -> &str {
        let shown = || super::drawing::without_hidden(&self.text);
        self.shown
            .get_or_init(shown)
            .as_deref()
            .unwrap_or(&self.text)
    }

    /// SHA-256 of the text, in lower-case hexadecimal.
    pub fn sha256(&self) -> &str {
        let digest = || hex(&Sha256::digest(self.text.as_bytes()));
        self.sha256.get_or_init(digest)
    }

    /// Line and column of a byte offset, both counted from 1; columns count characters.
    pub fn line_column(&self, offset: u32) -> (u32, u32) {
        let (line, start) = self.line_of(offset);
        let before = self.text.get(start as usize..offset as usize);
        let column = match before {
            Some(before) if !*self.ascii.get_or_init(|| self.text.is_ascii()) => {
                before.chars().count()
            }
            before => before.map_or(0, str::len),
        };
        (self.lines_before + line + 1, column as u32 + 1)
    }

    /// Line of a byte offset, counted from 1. Unlike the column, it is found at once in a file of
    /// a single line.
    pub fn line(&self, offset: u32) -> u32 {
        self.lines_before + self.line_of(offset).0 + 1
    }

    /// The folder that was named and in which it was found, where it may be for another reason.
    pub(super) fn found_in(&self) -> Option<&Path> {
        self.found_in.as_deref()
    }

    /// Lines of the file before the text.
    pub(super) fn lines_before(&self) -> u32 {
        self.lines_before
    }

    /// Index of the line that holds `offset`, and the offset at which that line starts.
    pub(super) fn line_of(&self, offset: u32) -> (u32, u32) {
        let starts = self.line_starts();
        let line = starts.partition_point(|start| *start <= offset) - 1;
        (line as u32, starts[line])
    }

    /// Byte range of a line, without its line break; `None` past the last line.
    pub(super) fn line_range(&self, line: u32) -> Option<(u32, u32)> {
        let starts = self.line_starts();
        let start = *starts.get(line as usize)?;
        let end = starts
            .get(line as usize + 1)
            .map_or(self.text.len() as u32, |next| next - 1);
        Some((start, end))
    }

    fn line_starts(&self) -> &[u32] {
        self.line_starts.get_or_init(|| {
            let breaks = self.text.match_indices('\n');
            std::iter::once(0)
                .chain(breaks.map(|(at, _)| at as u32 + 1))
                .collect()
        })
    }
}

/// Reads every manifest that `paths` name: files, folders (recursively, `*.yaml`, `*.yml` and
/// `*.json`, sorted; hidden names are left out) and `-` for standard input. A file that is
/// reached twice is read once. `exclude` says what of folders is left out.
pub fn read_sources(paths: &[PathBuf], exclude: &Exclude) -> (Vec<Arc<Source>>, Vec<Diagnostic>) {
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
                let read = read_file(&file, walked);
                collect(read, walked, &mut sources, &mut problems);
            }
        }
    }
    (sources, problems)
}

/// Reads one file that is no manifest, or says why it cannot be read.
pub fn read_one(path: &Path) -> (Option<Arc<Source>>, Vec<Diagnostic>) {
    let (mut sources, mut problems) = (Vec::new(), Vec::new());
    collect(read_file(path, None), None, &mut sources, &mut problems);
    (sources.pop(), problems)
}

type Named = (String, PathBuf, String);

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
pub(super) fn no_manifests(folder: &Path) -> Diagnostic {
    let message = format!("the folder `{}` holds no manifest", folder.display());
    Diagnostic::new(Code::NoManifests, message)
        .with_help("a manifest's name ends in `.yaml`, `.yml` or `.json`")
}

fn collect(
    read: Result<Named, Diagnostic>,
    found_in: Option<&Path>,
    sources: &mut Vec<Arc<Source>>,
    problems: &mut Vec<Diagnostic>,
) {
    match read {
        Ok((name, folder, text)) => sources.push(Arc::new(Source {
            found_in: found_in.map(Path::to_owned),
            ..Source::new(name, folder, text)
        })),
        Err(problem) => problems.push(problem),
    }
}

/// Reads a file, which lies below `walked` if that is the folder it was found in.
fn read_file(path: &Path, walked: Option<&Path>) -> Result<Named, Diagnostic> {
    let name = path.display().to_string();
    let unreadable = |error: std::io::Error| {
        Diagnostic::new(Code::Unreadable, format!("cannot read `{name}`: {error}"))
    };
    // Only these pipes have a writer for sure.
    let file = if walked.is_none() && opened::is_from_shell(path) {
        std::fs::File::open(path).map_err(unreadable)?
    } else {
        let opened = opened::open(path, walked).map_err(|error| match (error, walked) {
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

/// The folder that a file is in, as a path that can be opened.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
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
    let near = super::spelling::nearest(&wanted, candidates.iter().map(String::as_str))?;
    Some(path.with_file_name(near))
}

fn too_large(name: &str) -> Diagnostic {
    let limit = MAX_FILE_BYTES / (1024 * 1024);
    let message = format!("`{name}` is larger than {limit} MiB");
    Diagnostic::new(Code::TooLarge, message).with_help("split the manifest into several files")
}

fn read_text(name: &str, reader: impl Read) -> Result<String, Diagnostic> {
    let mut bytes = Vec::new();
    reader
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| {
            Diagnostic::new(Code::Unreadable, format!("cannot read `{name}`: {error}"))
        })?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(too_large(name));
    }
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

/// Lower-case hexadecimal of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a string cannot fail");
            text
        })
}
