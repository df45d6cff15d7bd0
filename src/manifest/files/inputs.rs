//! Which files were read as input, so that none is written over.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};

/// The files that were opened as input so far. They are read in many places and at any time: whoever
/// opens one has this list and adds to it, and all clones are the same list.
#[derive(Clone, Debug, Default)]
pub struct FilesRead(Arc<Mutex<BTreeSet<(u64, u64)>>>);

impl FilesRead {
    /// Remembers an open file by its device and inode, unless it is a pipe or a device.
    pub(super) fn note(&self, file: &File) {
        if let Ok(metadata) = file.metadata()
            && metadata.is_file()
        {
            let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            read.insert((metadata.dev(), metadata.ino()));
        }
    }

    /// Whether the file with this inode on this device was opened as input.
    pub fn holds(&self, device: u64, inode: u64) -> bool {
        let read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        read.contains(&(device, inode))
    }
}
