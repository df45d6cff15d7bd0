//! Which files a manifest may name.

use std::io;
use std::path::{Path, PathBuf};

/// Where the files of a manifest may lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Folder<'f> {
    /// Folder that relative paths start from.
    pub(super) path: &'f Path,
    /// Whether files outside of it may be read.
    pub(super) allow_outside: bool,
}

impl Folder<'_> {
    /// The path as messages show it.
    pub(super) fn join(&self, file: &str) -> PathBuf {
        match self.path.to_str() {
            Some(".") => PathBuf::from(file),
            _ => self.path.join(file),
        }
    }

    /// Follows a path and holds it to the rules.
    ///
    /// # Errors
    /// What is wrong, as a message.
    pub(super) fn find(&self, file: &str) -> Result<PathBuf, String> {
        let path = self.join(file);
        let cannot = |error: io::Error| format!("cannot read `{}`: {error}", path.display());
        let real = path.canonicalize().map_err(cannot)?;
        let folder = self.path.canonicalize().map_err(cannot)?;
        if !self.allow_outside && !real.starts_with(&folder) {
            return Err(format!(
                "`{file}` lies outside of the manifest's folder `{}`",
                self.path.display()
            ));
        }
        if !real.is_file() {
            return Err(format!("`{}` is not a regular file", path.display()));
        }
        Ok(real)
    }
}
