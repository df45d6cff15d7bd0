//! Which files a manifest may name.

use std::path::{Path, PathBuf};

use crate::manifest::inputs::FilesRead;
use crate::manifest::opened::{self, OpenError, Opened};

/// Where the files of a manifest may lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Folder<'f> {
    /// Folder that relative paths start from.
    pub(super) path: &'f Path,
    /// Whether files outside of it may be read.
    pub(super) allow_outside: bool,
    /// Where it is noted what is read.
    pub(super) read: &'f FilesRead,
}

impl Folder<'_> {
    /// The path as messages show it.
    pub(super) fn join(&self, file: &str) -> PathBuf {
        match self.path.to_str() {
            Some(".") => PathBuf::from(file),
            _ => self.path.join(file),
        }
    }

    /// Opens a file and holds what was opened to the rules.
    ///
    /// # Errors
    /// What is wrong, as a message.
    pub(super) fn open(&self, file: &str) -> Result<Opened, String> {
        let path = self.join(file);
        let below = (!self.allow_outside).then_some(self.path);
        opened::open(&path, below, self.read).map_err(|error| match error {
            OpenError::Io(error) => format!("cannot read `{}`: {error}", path.display()),
            OpenError::NotAFile => format!("`{}` is not a regular file", path.display()),
            OpenError::Outside if self.allow_outside => {
                format!("nothing is read from where `{}` lies", path.display())
            }
            OpenError::Outside => format!(
                "`{file}` lies outside of the manifest's folder `{}`",
                self.path.display()
            ),
        })
    }
}
