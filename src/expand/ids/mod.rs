//! What makes a start the same start again: its content, its key, its Workflow ID.

pub(super) mod content;
pub mod identity;
pub(super) mod workflow_ids;
