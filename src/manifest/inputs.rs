//! Which files this process has read as input, so that none is written over.
//!
//! They are read in many places and at any time, and all of them in the library's first two stages:
//! one list, to which whoever opens a file adds it, is what none of them can be missing from.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, PoisonError};

/// Device and inode of every regular file that was opened as input.
static READ: Mutex<BTreeSet<(u64, u64)>> = Mutex::new(BTreeSet::new());

/// Remembers an open file, unless it is a pipe or a device.
pub(crate) fn note(file: &File) {
    if let Ok(metadata) = file.metadata()
        && metadata.is_file()
    {
        let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
        read.insert((metadata.dev(), metadata.ino()));
    }
}

/// Whether the file with this inode on this device was opened as input.
pub fn hold(device: u64, inode: u64) -> bool {
    let read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    read.contains(&(device, inode))
}
