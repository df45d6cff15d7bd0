//! Files that are read: found, opened, remembered.

pub mod inputs;
pub mod opened;
pub mod sources;
pub mod walk;
