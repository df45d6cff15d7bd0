//! What all starts of an apply share.

use std::time::Duration;

use crate::expand::identity::IdempotencyKey;

/// What all starts of an apply share.
#[derive(Clone, Debug)]
pub struct ApplyContext {
    /// The key that request IDs are derived from.
    pub key: IdempotencyKey,
    /// Namespace of the starts.
    pub namespace: String,
    /// ID of this invocation, another one for each; request IDs carry a part of it.
    pub invocation_id: String,
    /// Whether an existing Workflow makes a start fail, whatever the manifest says.
    pub fail_existing: bool,
    /// Longest time from a start's first call to the end of its last. Waiting for the first call's
    /// turn is not counted. Default: 5 min.
    pub retry_for: Duration,
}
