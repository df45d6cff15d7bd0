//! The commands: each one a straight composition of stages.

pub(super) mod apply;
pub(super) mod completion;
pub(super) mod init;
pub(super) mod render;
pub(super) mod report;
pub(super) mod schema;
pub(super) mod validate;
mod yaml;
