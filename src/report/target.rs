//! Where a report goes.

use std::io::{self, Write};
use std::path::PathBuf;

use super::files;

/// Where a report goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportTarget {
    /// Standard output, as `-`.
    Dash,
    /// Standard output, by one of the names that the system has for it.
    StandardOutput,
    /// A file, a pipe or a device.
    Path(PathBuf),
}

impl ReportTarget {
    /// What was typed.
    pub fn of(text: &str) -> Self {
        match text {
            "-" => ReportTarget::Dash,
            "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1" => ReportTarget::StandardOutput,
            path => ReportTarget::Path(path.into()),
        }
    }

    /// How messages call it.
    pub fn name(&self) -> String {
        match self {
            ReportTarget::Dash | ReportTarget::StandardOutput => "standard output".to_owned(),
            ReportTarget::Path(path) => path.display().to_string(),
        }
    }

    /// Finds out beforehand what would keep a report from being written to it.
    ///
    /// # Errors
    /// The folder of a file is missing or cannot be written to, or there is a folder of that name.
    pub fn check(&self) -> io::Result<()> {
        match self {
            ReportTarget::Path(path) => files::check(path),
            ReportTarget::Dash | ReportTarget::StandardOutput => Ok(()),
        }
    }

    /// Writes a report to it: a file whole or not at all.
    ///
    /// # Errors
    /// It cannot be written, or `write` fails.
    pub fn write(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        match self {
            ReportTarget::Path(path) => files::write(path, write),
            ReportTarget::Dash | ReportTarget::StandardOutput => {
                let mut out = io::BufWriter::new(io::stdout().lock());
                write(&mut out).and_then(|()| out.flush())
            }
        }
    }
}
