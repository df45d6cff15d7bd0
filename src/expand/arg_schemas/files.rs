//! The files of argument schemas, and the `file:` URIs by which they refer to each other.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jsonschema::{Retrieve, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use serde_json::Value as JsonValue;

use crate::disk::read_bounded;
use crate::expand::folder::Folder;
use crate::manifest::diagnostic::Place;
use crate::manifest::inputs::FilesRead;
use crate::manifest::opened::{self, OpenError};
use crate::manifest::reader;
use crate::manifest::source::Source;

/// Largest schema file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// What is written otherwise in the path of a URI: all but RFC 3986's unreserved characters and `/`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Reads a file with one JSON or YAML document.
pub(super) fn read(file: File, name: &str) -> Result<JsonValue, String> {
    let cannot = |error: std::io::Error| format!("cannot read `{name}`: {error}");
    let bytes = read_bounded(file, MAX_FILE_BYTES).map_err(|error| match error.kind() {
        std::io::ErrorKind::FileTooLarge => {
            let limit = MAX_FILE_BYTES / (1024 * 1024);
            format!("`{name}` is larger than {limit} MiB")
        }
        _ => cannot(error),
    })?;
    let text = std::io::read_to_string(&bytes[..]).map_err(cannot)?;
    let source = Arc::new(Source::new(name, ".", text));
    let mut problems = Vec::new();
    let mut documents = reader::read(&source, &mut problems);
    if let Some(problem) = problems.first() {
        let place = problem
            .place
            .as_ref()
            .map_or(name.to_owned(), Place::to_text);
        return Err(format!("{place}: {}", problem.message));
    }
    match (documents.pop(), documents.is_empty()) {
        (Some(document), true) => {
            serde_json::to_value(&document).map_err(|error| error.to_string())
        }
        _ => Err(format!("`{name}` holds several documents")),
    }
}

/// The `file:` URI of a path.
pub(super) fn uri(path: &Path) -> String {
    let path = percent_encode(path.as_os_str().as_encoded_bytes(), ENCODED);
    format!("file://{path}")
}

/// The path of a `file:` URI.
fn path(uri: &str) -> Option<PathBuf> {
    let encoded = uri.strip_prefix("file://")?;
    let bytes: Vec<u8> = percent_decode_str(encoded).collect();
    Some(PathBuf::from(OsStr::from_bytes(&bytes)))
}

/// What is done to a schema that was read, before it is used.
type Prepare = dyn Fn(&mut JsonValue) -> Result<(), String> + Send + Sync;

/// Follows references to files below a folder.
#[derive(Clone)]
pub(super) struct Files {
    root: PathBuf,
    allow_outside: bool,
    read: FilesRead,
    prepare: Arc<Prepare>,
}

impl Files {
    /// Follows them below `root`, the real path of a manifest's folder.
    pub(super) fn new(
        root: PathBuf,
        folder: Folder<'_>,
        prepare: impl Fn(&mut JsonValue) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Files {
            root,
            allow_outside: folder.allow_outside,
            read: folder.read.clone(),
            prepare: Arc::new(prepare),
        }
    }
}

impl Retrieve for Files {
    fn retrieve(
        &self,
        uri: &Uri<String>,
    ) -> Result<JsonValue, Box<dyn std::error::Error + Send + Sync>> {
        let path = path(uri.as_str())
            .ok_or_else(|| format!("`{uri}` is no file, and nothing is read from the network"))?;
        // Where the folder is on this machine says nothing to anybody.
        let below = path.strip_prefix(&self.root).ok();
        let below = below.or_else(|| path.file_name().map(Path::new));
        let name = below.unwrap_or(&path).display().to_string();
        let outside = || format!("the reference to `{name}` leads out of the manifest's folder");
        if !self.allow_outside && !path.starts_with(&self.root) {
            return Err(outside().into());
        }
        let root = (!self.allow_outside).then_some(self.root.as_path());
        let opened = opened::open(&path, root, &self.read).map_err(|error| match error {
            OpenError::Io(error) => format!("cannot read `{name}`: {error}"),
            OpenError::NotAFile => format!("`{name}` is not a regular file"),
            OpenError::Outside => outside(),
        })?;
        let mut schema = read(opened.file, &name)?;
        (self.prepare)(&mut schema)?;
        Ok(schema)
    }
}
