//! What a start looks like in a manifest: the serde and schemars types, one to one with the schema.
//!
//! A start of these types has the right shape and may still be wrong; [`super::check`] finds what
//! the service would refuse.

pub mod check;
pub mod fields;
pub(super) mod other_names;
mod parts;
mod start;
pub(super) mod templated;
mod values;

pub use parts::{
    BatchJobFields, CompletionCallbackFields, LinkFields, OnConflictFields, PinnedFields,
    PriorityFields, RetryPolicyFields, VersioningOverrideFields, WorkflowEventFields,
};
pub use start::{ForEachFields, StartFields};
pub use templated::Templated;
pub use values::{
    AnyMap, Anything, DurationText, IdConflictPolicy, IdReusePolicy, LinkEventType, List, Text,
    True,
};
