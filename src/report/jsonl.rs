//! Events as lines, for programs that read along.

use std::io::{self, Write};

use crate::run::event::Event;

/// Writes one event as one line.
///
/// # Errors
/// Writing fails, for example because the reader is gone.
pub fn write(mut out: impl Write, event: &Event) -> io::Result<()> {
    serde_json::to_writer(&mut out, event)?;
    out.write_all(b"\n")
}
