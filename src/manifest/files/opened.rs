//! Opens files that others name, and judges what was opened instead of its name.
//!
//! Between a look at a path and the opening of it, somebody else may put something different there.
//! So a file that must lie below a folder is reached from that folder step by step, following no
//! link, and whether it is a regular file is asked of the open file. Nothing here waits: a pipe
//! that nobody writes to is refused like any other.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, fcntl_setfl, openat};

use super::inputs::FilesRead;
use crate::disk::read_bounded;

/// How often a file is looked for that somebody moves at the same time.
const TRIES: u32 = 5;

/// Folders of the system in which nothing is a file that anybody wrote: what is there shows the
/// secrets of processes.
const NEVER: [&str; 2] = ["/proc", "/sys"];

/// An open regular file.
#[derive(Debug)]
pub struct Opened {
    /// The file, to be read from its beginning.
    pub file: File,
    /// Where it is, without links.
    pub real: PathBuf,
}

/// Why a file is not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system says no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is a folder, a pipe, a device or a socket.
    #[error("it is not a regular file")]
    NotAFile,
    /// It does not lie below the folder, or nothing may be read where it lies.
    #[error("it lies elsewhere")]
    Outside,
}

/// Opens a regular file for reading. With `below`, a folder, only if it lies below that folder
/// when all links are followed. It is noted in `read`.
///
/// # Errors
/// [`OpenError`].
pub fn open(path: &Path, below: Option<&Path>, read: &FilesRead) -> Result<Opened, OpenError> {
    let below = below.map(Path::canonicalize).transpose()?;
    let mut tries = 1;
    loop {
        let opened = open_once(path, below.as_deref(), read);
        let moved = |error: &io::Error| {
            let kinds = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
            kinds.contains(&error.kind()) || is_link(error)
        };
        match opened {
            // Files that links lead to are replaced while they are read: so are ConfigMaps.
            Err(OpenError::Io(error)) if moved(&error) && tries < TRIES && path.exists() => {
                tries += 1;
            }
            other => return other,
        }
    }
}

/// Reads a whole file of settings, which somebody has named and which may hold secrets: a regular
/// file, a pipe that a shell has made for it, or `/dev/null`. `most` bytes at most.
///
/// # Errors
/// [`OpenError`]; a file that is larger is an [`io::ErrorKind::FileTooLarge`].
pub fn read_named(path: &Path, most: u64, read: &FilesRead) -> Result<Vec<u8>, OpenError> {
    let file = if is_from_shell(path) || path == Path::new("/dev/null") {
        File::open(path)?
    } else {
        open(path, None, read)?.file
    };
    Ok(read_bounded(file, most)?)
}

/// Whether a path is a pipe that a shell has made for `<(command)`, which always has a writer.
pub fn is_from_shell(path: &Path) -> bool {
    path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd")
}

/// Whether nothing may be read from a place, given without links.
pub fn is_never_read(real: &Path) -> bool {
    NEVER.iter().any(|folder| real.starts_with(folder))
}

fn open_once(path: &Path, below: Option<&Path>, read: &FilesRead) -> Result<Opened, OpenError> {
    let real = path.canonicalize()?;
    if is_never_read(&real) {
        return Err(OpenError::Outside);
    }
    let fd = match below {
        None => open_step(CWD, real.as_os_str(), READ | OFlags::NOFOLLOW)?,
        Some(below) => {
            let inner = real.strip_prefix(below).map_err(|_| OpenError::Outside)?;
            walk(below, inner)?
        }
    };
    let file = File::from(fd);
    if !file.metadata()?.is_file() {
        return Err(OpenError::NotAFile);
    }
    read.note(&file);
    // Regular files are read alike with the flag and without, but on some network file systems.
    fcntl_setfl(&file, OFlags::empty()).map_err(io::Error::from)?;
    Ok(Opened { file, real })
}

/// Flags for something to be read, whatever it is: opening waits for nobody.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// Opens `inner`, a path without links, from the folder `below`.
fn walk(below: &Path, inner: &Path) -> Result<OwnedFd, OpenError> {
    // Passing through a folder needs no right to list it.
    #[cfg(target_os = "linux")]
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    let folder = READ | OFlags::DIRECTORY;
    let mut at = open_step(CWD, below.as_os_str(), folder)?;
    let mut steps = inner.components().peekable();
    while let Some(step) = steps.next() {
        let Component::Normal(name) = step else {
            return Err(OpenError::Outside);
        };
        let flags = if steps.peek().is_some() { folder } else { READ };
        at = open_step(&at, name, flags | OFlags::NOFOLLOW)?;
    }
    Ok(at)
}

fn open_step(
    at: impl std::os::fd::AsFd,
    name: &OsStr,
    flags: OFlags,
) -> Result<OwnedFd, OpenError> {
    match openat(at, name, flags, Mode::empty()) {
        Ok(fd) => Ok(fd),
        // What cannot be opened without waiting, or at all.
        Err(rustix::io::Errno::NXIO | rustix::io::Errno::NODEV) => Err(OpenError::NotAFile),
        Err(error) => Err(OpenError::Io(error.into())),
    }
}

/// Whether a step was a link that was not there before.
fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}
