//! Entries: compiled once, and a start made of each row.

pub(super) mod build;
pub(super) mod diagnose;
pub(super) mod for_each;
pub(super) mod items;
pub(super) mod recipe;
