//! The invocation on disk: its events as lines, to be replayed by index.
//!
//! Reports need every outcome, in order. Memory must not grow with their number, so they are
//! written as they happen and read back when they are due.

pub mod record;
mod spool;

pub use spool::Spool;
