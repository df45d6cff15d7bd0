//! Reading a part of a file that others read too.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Reads a file from a place on, without moving one that others share.
pub(super) struct Positional {
    file: Arc<File>,
    position: u64,
}

impl Positional {
    pub(super) fn new(file: &Arc<File>, position: u64) -> Self {
        Positional {
            file: Arc::clone(file),
            position,
        }
    }

    /// Where it reads next.
    pub(super) fn position(&self) -> u64 {
        self.position
    }
}

impl Read for Positional {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}
