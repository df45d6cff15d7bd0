//! Files as every stage uses them: beside another one, read by several at a time, and errors without
//! the names of files that nobody knows.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// The folder that a file is in, as a path that can be opened.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The system's own words, without the name of a temporary file that nobody knows.
pub fn without_path(error: io::Error) -> io::Error {
    let text = error.to_string();
    match text.split_once(" at path ") {
        Some((words, _)) => io::Error::new(error.kind(), words.to_owned()),
        None => error,
    }
}

/// Reads everything that there is, up to so many bytes.
///
/// # Errors
/// Reading fails; what is larger is an [`io::ErrorKind::FileTooLarge`].
pub fn read_bounded(reader: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// Reads a file from a place of its own on, without moving the one at which it is written or that
/// others read at.
#[derive(Clone, Debug)]
pub struct PositionalReader {
    file: Arc<File>,
    position: u64,
}

impl PositionalReader {
    /// Reads from `position` on.
    pub fn new(file: &Arc<File>, position: u64) -> Self {
        PositionalReader {
            file: Arc::clone(file),
            position,
        }
    }

    /// Where it reads next.
    pub fn position(&self) -> u64 {
        self.position
    }
}

impl Read for PositionalReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for PositionalReader {
    /// Moves to a place that is counted from the file's beginning or from here; its end may move.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(distance) => self.position.checked_add_signed(distance),
            SeekFrom::End(_) => None,
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
