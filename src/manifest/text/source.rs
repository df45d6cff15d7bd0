//! A file as text, and places in it.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use crate::visible::is_hidden;

/// A range of bytes in a [`Source`]'s text; `end` is exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// One manifest file, or standard input, as text.
#[derive(Debug)]
pub struct Source {
    name: String,
    folder: PathBuf,
    text: String,
    /// Lines before the text, if it is a part of a file.
    lines_before: u32,
    /// The folder in which it was found, if it was not named itself.
    found_in: Option<PathBuf>,
    sha256: OnceLock<String>,
    line_starts: OnceLock<Vec<u32>>,
    shown: OnceLock<Option<String>>,
    ascii: OnceLock<bool>,
}

impl Source {
    /// Wraps text that is already in memory. `name` is shown in messages; `folder` is where
    /// relative paths inside the manifest start.
    pub fn new(name: impl Into<String>, folder: impl Into<PathBuf>, text: String) -> Self {
        Source {
            name: name.into(),
            folder: folder.into(),
            text,
            lines_before: 0,
            found_in: None,
            sha256: OnceLock::new(),
            line_starts: OnceLock::new(),
            shown: OnceLock::new(),
            ascii: OnceLock::new(),
        }
    }

    /// Wraps a part of a file that begins at `line`, counted from 1.
    pub fn part(name: impl Into<String>, line: u32, text: String) -> Self {
        Source {
            lines_before: line.saturating_sub(1),
            ..Source::new(name, ".", text)
        }
    }

    /// The same, found in a folder that was named.
    pub(in crate::manifest) fn found_in_folder(self, folder: Option<&Path>) -> Self {
        Source {
            found_in: folder.map(Path::to_owned),
            ..self
        }
    }

    /// The path as the user typed it, or `<stdin>`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Folder that relative paths in the manifest start from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The whole text, without a byte order mark.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text as a terminal may see it, with the same offsets.
    pub(in crate::manifest) fn shown(&self) -> &str {
        let shown = || without_hidden(&self.text);
        self.shown
            .get_or_init(shown)
            .as_deref()
            .unwrap_or(&self.text)
    }

    /// SHA-256 of the text, in lower-case hexadecimal.
    pub fn sha256(&self) -> &str {
        let digest = || hex(&Sha256::digest(self.text.as_bytes()));
        self.sha256.get_or_init(digest)
    }

    /// Line and column of a byte offset, both counted from 1; columns count characters.
    pub fn line_column(&self, offset: u32) -> (u32, u32) {
        let (line, start) = self.line_of(offset);
        let before = self.text.get(start as usize..offset as usize);
        let column = match before {
            Some(before) if !*self.ascii.get_or_init(|| self.text.is_ascii()) => {
                before.chars().count()
            }
            before => before.map_or(0, str::len),
        };
        (self.lines_before + line + 1, column as u32 + 1)
    }

    /// Line of a byte offset, counted from 1. Unlike the column, it is found at once in a file of
    /// a single line.
    pub fn line(&self, offset: u32) -> u32 {
        self.lines_before + self.line_of(offset).0 + 1
    }

    /// The folder that was named and in which it was found, where it may be for another reason.
    pub(in crate::manifest) fn found_in(&self) -> Option<&Path> {
        self.found_in.as_deref()
    }

    /// Lines of the file before the text.
    pub(in crate::manifest) fn lines_before(&self) -> u32 {
        self.lines_before
    }

    /// Index of the line that holds `offset`, and the offset at which that line starts.
    pub(in crate::manifest) fn line_of(&self, offset: u32) -> (u32, u32) {
        let starts = self.line_starts();
        let line = starts.partition_point(|start| *start <= offset) - 1;
        (line as u32, starts[line])
    }

    /// Byte range of a line, without its line break; `None` past the last line.
    pub(in crate::manifest) fn line_range(&self, line: u32) -> Option<(u32, u32)> {
        let starts = self.line_starts();
        let start = *starts.get(line as usize)?;
        let end = starts
            .get(line as usize + 1)
            .map_or(self.text.len() as u32, |next| next - 1);
        Some((start, end))
    }

    fn line_starts(&self) -> &[u32] {
        self.line_starts.get_or_init(|| {
            let breaks = self.text.match_indices('\n');
            std::iter::once(0)
                .chain(breaks.map(|(at, _)| at as u32 + 1))
                .collect()
        })
    }
}

/// A file's text with every hidden character replaced by one of the same width in bytes, so that
/// places stay where they are. `None` if there is none.
fn without_hidden(text: &str) -> Option<String> {
    let may_hide = |b: u8| (b < b' ' && !matches!(b, b'\t' | b'\n')) || b >= 0x7F;
    if !text.bytes().any(may_hide) {
        return None;
    }
    let is_break = |at: usize| text.as_bytes().get(at + 1) == Some(&b'\n');
    let acts =
        |at: usize, c: char| is_hidden(c) && c != '\t' && c != '\n' && !(c == '\r' && is_break(at));
    text.char_indices().find(|(at, c)| acts(*at, *c))?;
    let mut shown = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        match c.len_utf8() {
            _ if !acts(at, c) => shown.push(c),
            1 => shown.push('?'),
            2 => shown.push('·'),
            3 => shown.push('\u{FFFD}'),
            _ => shown.push_str("\u{FFFD}?"),
        }
    }
    Some(shown)
}

/// Lower-case hexadecimal of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a string cannot fail");
            text
        })
}
