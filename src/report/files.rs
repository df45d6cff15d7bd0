//! Writes report files whole or not at all.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::time::Duration;

use crate::disk::{folder_of, without_path};

/// Longest time that a pipe's reader may take nothing. Everything else is done by then, and a pipe
/// without a reader would keep the program for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes that are handed to a pipe at a time.
const PIECE: usize = 16 * 1024;

/// Most links that a path may lead through.
const MAX_LINKS: u32 = 40;

/// Writes a file by way of a temporary one beside it: whoever reads `path` finds the old content
/// or the new one, never half of it, whenever this process or the machine stops. A link stays a
/// link. What is no file, such as a pipe or a terminal, is written to directly, as long as somebody
/// reads it.
///
/// # Errors
/// The folder cannot be written to, or `write` fails; `path` is as it was then. Nobody reads a pipe.
pub fn write(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let AtPath::File(path) = AtPath::look(path)? else {
        let mut document = BufWriter::new(tempfile::tempfile()?);
        write(&mut document)?;
        let document = document
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        return hand_over(path, document);
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

/// Finds out beforehand what would keep [`write()`] from writing, as far as that can be known.
///
/// # Errors
/// The folder is missing or cannot be written to, or `path` is a folder.
pub fn check(path: &Path) -> io::Result<()> {
    match AtPath::look(path)? {
        AtPath::File(path) => temporary(&path, 0o600).map(drop),
        AtPath::Special => Ok(()),
    }
}

/// Which file a name leads to, whatever other names it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity(Which);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Which {
    /// A file that is there: its device and inode.
    Inode(u64, u64),
    /// One that is not yet: its folder without links, and its name.
    Name(PathBuf),
}

impl Identity {
    /// Of the file at a path, or of the one that would be made there. What is no regular file has
    /// none: anybody may write to a device.
    pub fn of(path: &Path) -> Option<Self> {
        match std::fs::metadata(path) {
            Ok(there) => there
                .is_file()
                .then(|| Identity(Which::Inode(there.dev(), there.ino()))),
            Err(_) => {
                let path = behind_links(path);
                let folder = folder_of(&path).canonicalize().ok()?;
                Some(Identity(Which::Name(folder.join(path.file_name()?))))
            }
        }
    }

    /// Its device and inode, if it is there.
    pub fn inode(&self) -> Option<(u64, u64)> {
        match self.0 {
            Which::Inode(device, inode) => Some((device, inode)),
            Which::Name(_) => None,
        }
    }
}

/// Whether a path leads to what standard input is. A device, such as a terminal, may be both.
pub fn is_standard_input(path: &Path) -> bool {
    let input = io::stdin().as_fd().try_clone_to_owned().map(File::from);
    let input = input.and_then(|file| file.metadata());
    let (Ok(input), Ok(there)) = (input, std::fs::metadata(path)) else {
        return false;
    };
    !input.file_type().is_char_device() && (input.dev(), input.ino()) == (there.dev(), there.ino())
}

/// What is at a path.
enum AtPath {
    /// A file or nothing, with links followed.
    File(PathBuf),
    /// A pipe, a device, a socket.
    Special,
}

impl AtPath {
    fn look(path: &Path) -> io::Result<Self> {
        match std::fs::metadata(path) {
            Ok(there) if there.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Ok(there) if there.is_file() => path.canonicalize().map(AtPath::File),
            Ok(_) => Ok(AtPath::Special),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(AtPath::File(behind_links(path)))
            }
            Err(error) => Err(error),
        }
    }
}

/// Where links lead that end at nothing.
fn behind_links(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match std::fs::read_link(&path) {
            Ok(next) => path = folder_of(&path).join(next),
            Err(_) => break,
        }
    }
    path
}

/// Writes a document to what is no file. A thread of its own does so, which is left behind when
/// nobody reads: neither opening nor writing can be ended from outside.
fn hand_over(path: &Path, mut document: File) -> io::Result<()> {
    document.rewind()?;
    let path = path.to_owned();
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::Builder::new().spawn(move || {
        let copied = copy(&path, &mut document, &sender);
        // A receiver that has gone has lost its patience.
        let _ = sender.send(Some(copied));
    })?;
    loop {
        match receiver.recv_timeout(PATIENCE) {
            Ok(None) => {}
            Ok(Some(copied)) => return copied,
            Err(RecvTimeoutError::Timeout) => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "nobody reads it"));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(io::Error::other("the writing thread has ended"));
            }
        }
    }
}

/// Copies a document piece by piece, and says after each that it was taken.
fn copy(
    path: &Path,
    document: &mut File,
    taken: &SyncSender<Option<io::Result<()>>>,
) -> io::Result<()> {
    let mut out = OpenOptions::new().write(true).open(path)?;
    let mut piece = [0; PIECE];
    loop {
        let length = document.read(&mut piece)?;
        if length == 0 {
            return out.flush();
        }
        out.write_all(&piece[..length])?;
        if taken.send(None).is_err() {
            return Ok(());
        }
    }
}

/// A new file beside another one, with this mode under the umask.
fn temporary(path: &Path, mode: u32) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new()
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder_of(path))
        .map_err(without_path)
}
