//! The invocation on disk: its events as lines, to be read back by index.
//!
//! Reports need every outcome, in order. Memory must not grow with their number, so they are
//! written as they happen and read back when they are due: from the file that the user named,
//! which a later invocation can go on with, or from a temporary one.

mod existing;
mod file;
mod lines;
pub mod record;
pub mod resume;
mod seal;
mod table;

pub use existing::{JournalContent, read};
pub use file::{Journal, JournalError};
pub use lines::{Damage, MAX_STARTS};
