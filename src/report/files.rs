//! Writes report files whole or not at all.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Writes a file by way of a temporary one beside it: whoever reads `path` finds the old content
/// or the new one, never half of it, whenever this process or the machine stops. A link stays a
/// link. What is no file, such as a pipe or a terminal, is written to directly.
///
/// # Errors
/// The folder cannot be written to, or `write` fails; `path` is as it was then.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let Target::File(path) = target(path)? else {
        let mut out = BufWriter::new(OpenOptions::new().write(true).open(path)?);
        return write(&mut out).and_then(|()| out.flush());
    };
    let path = path.as_path();
    let there = std::fs::metadata(path).ok().map(|it| it.permissions());
    // What replaces a private file must be private from its first byte; what is new is as public as
    // the user's umask, to which the mode of a new file is subject, lets it be.
    let mode = if there.is_some() { 0o600 } else { 0o666 };
    let mut file = BufWriter::new(temporary(path, mode)?);
    write(&mut file)?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    if let Some(permissions) = there {
        file.as_file().set_permissions(permissions)?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Finds out beforehand what would keep [`write_atomically`] from writing, as far as that can be
/// known.
///
/// # Errors
/// The folder is missing or cannot be written to, or `path` is a folder.
pub fn check(path: &Path) -> io::Result<()> {
    match target(path)? {
        Target::File(path) => temporary(&path, 0o600).map(drop),
        Target::Special => Ok(()),
    }
}

/// What is at a path.
enum Target {
    /// A file or nothing, with links followed.
    File(PathBuf),
    /// A pipe, a device, a socket.
    Special,
}

fn target(path: &Path) -> io::Result<Target> {
    match std::fs::metadata(path) {
        Ok(there) if there.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(there) if there.is_file() => path.canonicalize().map(Target::File),
        Ok(_) => Ok(Target::Special),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Target::File(path.to_owned())),
        Err(error) => Err(error),
    }
}

/// A new file beside another one, with this mode under the umask.
fn temporary(path: &Path, mode: u32) -> io::Result<tempfile::NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    tempfile::Builder::new()
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)
        .map_err(without_path)
}

/// The system's own words, without the name of a temporary file that nobody knows.
fn without_path(error: io::Error) -> io::Error {
    let text = error.to_string();
    match text.split_once(" at path ") {
        Some((words, _)) => io::Error::new(error.kind(), words.to_owned()),
        None => error,
    }
}
