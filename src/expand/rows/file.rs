//! Files that hold rows: found by the rules for paths, opened once, read as often as needed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::problem::RowProblem;
use crate::disk::PositionalReader;
use crate::expand::budget::Budget;
use crate::expand::folder::Folder;
use crate::manifest::diagnostic::{Code, Place};
use crate::manifest::source::{Source, Span, hex};

/// Most bytes of a row that are shown with a problem.
const SHOWN_BYTES: u64 = 64 * 1024;

/// What to do about a path that cannot be used.
const PATHS: &str = "a path is relative to the manifest's folder and may not leave it without `--allow-outside`; `-` is standard input";

/// What to do about a temporary folder that cannot be written to.
pub(in crate::expand) const TEMPORARY_FOLDER: &str =
    "make room there, or name another folder by the variable TMPDIR";

/// The name of standard input in messages and reports.
const STANDARD_INPUT: &str = "<stdin>";

/// The files with rows of one command, each opened once.
#[derive(Debug)]
pub(in crate::expand) struct RowFiles {
    files: Mutex<BTreeMap<PathBuf, Arc<RowsFile>>>,
    /// Whether standard input is a manifest already.
    standard_input_is_taken: bool,
    /// Grows with every file.
    budget: Arc<Budget>,
}

impl RowFiles {
    pub(in crate::expand) fn new(standard_input_is_taken: bool, budget: &Arc<Budget>) -> Self {
        RowFiles {
            files: Mutex::default(),
            standard_input_is_taken,
            budget: Arc::clone(budget),
        }
    }

    fn files(&self) -> std::sync::MutexGuard<'_, BTreeMap<PathBuf, Arc<RowsFile>>> {
        self.files
            .lock()
            .expect("nothing panics while it holds this lock")
    }

    /// Opens a file, or what was read from standard input for `-`.
    ///
    /// # Errors
    /// The file cannot be read or may not be, or standard input cannot be kept.
    pub(in crate::expand) fn open(
        &self,
        file: &str,
        folder: Folder<'_>,
    ) -> Result<Arc<RowsFile>, RowProblem> {
        let is_standard_input = file == "-";
        if is_standard_input && self.standard_input_is_taken {
            let message = "standard input is the manifest, and cannot be its rows too";
            return Err(RowProblem::new(Code::RowsFile, message)
                .with_help("name the manifest by its path, or the rows"));
        }
        let refused = |message| RowProblem::new(Code::RowsFile, message).with_help(PATHS);
        let found = match is_standard_input {
            true => None,
            false => Some(folder.open(file).map_err(refused)?),
        };
        let path = found.as_ref().map(|found| found.real.clone());
        let path = path.unwrap_or_else(|| PathBuf::from(file));
        let mut files = self.files();
        if let Some(known) = files.get(&path) {
            return Ok(Arc::clone(known));
        }
        let (name, opened) = match found {
            Some(found) => (folder.join(file).display().to_string(), found.file),
            None => (STANDARD_INPUT.to_owned(), keep_standard_input()?),
        };
        self.budget
            .grant(opened.metadata().map_or(0, |it| it.len()));
        let opened = Arc::new(RowsFile {
            name,
            file: Arc::new(opened),
            checked: Mutex::new(None),
        });
        files.insert(path, Arc::clone(&opened));
        Ok(opened)
    }

    /// Every file that was read to its end, with the SHA-256 of what it held.
    pub(in crate::expand) fn read(&self) -> Vec<(String, String)> {
        let files = self.files();
        let read = files.values().filter_map(|file| {
            let checked = file.checked();
            let sha256 = checked.as_ref()?.sha256.clone();
            Some((file.name.clone(), sha256))
        });
        read.collect()
    }
}

/// Keeps standard input in a file without a name. Rows are read twice, so that all of them are
/// checked before the first start, and there may be more than fit into memory.
fn keep_standard_input() -> Result<File, RowProblem> {
    // The name of the file would tell nobody anything.
    let cannot_keep = |error: io::Error| {
        let cause = error
            .get_ref()
            .and_then(|it| it.source())
            .map(ToString::to_string);
        let cause = cause.unwrap_or_else(|| error.to_string());
        let folder = std::env::temp_dir();
        let folder = folder.display();
        let message =
            format!("cannot keep standard input in the temporary folder `{folder}`: {cause}");
        RowProblem::new(Code::TemporaryFile, message).with_help(TEMPORARY_FOLDER)
    };
    let cannot_read = |error: io::Error| {
        let message = format!("cannot read standard input: {error}");
        RowProblem::new(Code::RowsFile, message)
    };
    let mut file = tempfile::tempfile().map_err(cannot_keep)?;
    let mut input = io::stdin().lock();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(file),
            Ok(read) => file.write_all(&buffer[..read]).map_err(cannot_keep)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(cannot_read(error)),
        }
    }
}

/// A file with rows.
#[derive(Debug)]
pub(in crate::expand) struct RowsFile {
    name: String,
    file: Arc<File>,
    checked: Mutex<Option<Checked>>,
}

/// What a file was when it was read first.
#[derive(Debug)]
struct Checked {
    length: u64,
    modified: Option<SystemTime>,
    sha256: String,
}

impl RowsFile {
    /// Its path as the manifest's folder and the manifest spell it, or `<stdin>`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn checked(&self) -> std::sync::MutexGuard<'_, Option<Checked>> {
        self.checked
            .lock()
            .expect("nothing panics while it holds this lock")
    }

    /// Bytes in it.
    pub(super) fn len(&self) -> u64 {
        self.file.metadata().map_or(0, |it| it.len())
    }

    /// Reads the file from its beginning.
    ///
    /// # Errors
    /// It has changed since it was read first.
    pub(super) fn read(&self) -> Result<FileReader, RowProblem> {
        self.make_sure()?;
        let first = self.checked().is_none();
        Ok(FileReader {
            file: PositionalReader::new(&self.file, 0),
            digest: first.then(Sha256::new),
        })
    }

    /// To be called when the end was reached: remembers what was read, or makes sure that it was
    /// the same again.
    pub(super) fn finish(&self, reader: &mut FileReader) -> Result<(), RowProblem> {
        let Some(digest) = reader.digest.take() else {
            return self.make_sure();
        };
        let modified = self.file.metadata().and_then(|it| it.modified()).ok();
        *self.checked() = Some(Checked {
            length: reader.file.position(),
            modified,
            sha256: hex(&digest.finalize()),
        });
        Ok(())
    }

    fn make_sure(&self) -> Result<(), RowProblem> {
        let now = self
            .file
            .metadata()
            .map_err(|error| self.unreadable(&error))?;
        let checked = self.checked();
        let same = checked.as_ref().is_none_or(|checked| {
            checked.length == now.len() && checked.modified == now.modified().ok()
        });
        if same {
            return Ok(());
        }
        let message = format!("`{}` has changed since it was checked", self.name);
        Err(RowProblem::new(Code::RowsFile, message)
            .with_help("apply again when nothing writes to it"))
    }

    pub(super) fn unreadable(&self, error: &io::Error) -> RowProblem {
        RowProblem::new(
            Code::RowsFile,
            format!("cannot read `{}`: {error}", self.name),
        )
    }

    /// From a byte of a row to the end of its line, and the number of the line. The row begins at
    /// `offset` on `line`.
    pub(super) fn place_within(&self, line: u64, offset: u64, end: u64, from: u64) -> (Place, u64) {
        let offset = self.behind_mark(offset);
        let mut before = vec![0; from.saturating_sub(offset) as usize];
        let read = self.file.read_at(&mut before, offset).unwrap_or(0);
        before.truncate(read);
        let breaks = before.iter().filter(|byte| **byte == b'\n').count() as u64;
        let begin = before
            .iter()
            .rposition(|byte| matches!(byte, b'\n' | b'\r'));
        let begin = begin.map_or(0, |at| at as u64 + 1);
        let line = line + breaks;
        let mut place = self.place(line, offset + begin, end.saturating_sub(offset + begin));
        let text = place.source.text();
        // The window that is shown may be shorter than the line, and has other characters where
        // the file is not UTF-8.
        let mut start = (read as u64 - begin).min(text.len().saturating_sub(1) as u64) as usize;
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let end = text[start..].find(['\n', '\r']);
        let end = end.map_or(text.len(), |at| start + at);
        place.span = Span {
            start: start as u32,
            end: end as u32,
        };
        (place, line)
    }

    /// Moves the beginning of the file behind a byte order mark, which is no part of its text.
    fn behind_mark(&self, offset: u64) -> u64 {
        const MARK: &[u8; 3] = b"\xEF\xBB\xBF";
        let mut begin = [0; MARK.len()];
        let is_marked = offset == 0 && self.file.read_exact_at(&mut begin, 0).is_ok();
        if is_marked && begin == *MARK {
            MARK.len() as u64
        } else {
            offset
        }
    }

    /// A place to show: the first bytes of a row, from the line that they are on.
    pub(super) fn place(&self, line: u64, offset: u64, length: u64) -> Place {
        let (offset, end) = (self.behind_mark(offset), offset + length);
        let length = end.saturating_sub(offset);
        let mut bytes = vec![0; length.min(SHOWN_BYTES) as usize];
        let read = self.file.read_at(&mut bytes, offset).unwrap_or(0);
        bytes.truncate(read);
        // A CSV record begins after the end of the one before, which may be followed by empty lines.
        let begin = bytes
            .iter()
            .take_while(|b| matches!(b, b'\n' | b'\r'))
            .count();
        let line = line + bytes[..begin].iter().filter(|b| **b == b'\n').count() as u64;
        let text = String::from_utf8_lossy(&bytes[begin..])
            .trim_end()
            .to_owned();
        let end = text.len() as u32;
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        Place {
            source: Arc::new(Source::part(self.name.as_str(), line, text)),
            span: Span { start: 0, end },
        }
    }
}

/// Reads a file, and hashes it on the way if asked.
pub(super) struct FileReader {
    file: PositionalReader,
    digest: Option<Sha256>,
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        if let Some(digest) = &mut self.digest {
            digest.update(&buffer[..read]);
        }
        Ok(read)
    }
}
