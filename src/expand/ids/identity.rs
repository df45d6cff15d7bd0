//! Workflow IDs for starts that have none, and request IDs for all of them.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::expand::start::Start;
use crate::manifest::source::hex;

/// The namespace of our request IDs: UUIDv5 of the DNS namespace and a name of our own.
const REQUEST_ID_NAMESPACE: Uuid = Uuid::from_u128(0x6f1c_5c1e_8a0b_5d52_9f44_0c5c_7d1e_2b9a);

/// What makes an apply repeatable: the same key gives the same request IDs and the same generated
/// Workflow IDs, on every machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    text: String,
    given: bool,
}

impl IdempotencyKey {
    /// A key that the user gave; starts under it may be repeats.
    pub fn given(text: impl Into<String>) -> Self {
        IdempotencyKey {
            text: text.into(),
            given: true,
        }
    }

    /// A new random key; nothing can have been started under it.
    pub fn random() -> Self {
        IdempotencyKey {
            text: Uuid::new_v4().to_string(),
            given: false,
        }
    }

    /// The key itself.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether an earlier invocation may have used the key.
    pub fn is_given(&self) -> bool {
        self.given
    }

    /// The request ID of a start: UUIDv5 over key, namespace and Workflow ID.
    pub fn request_id(&self, namespace: &str, workflow_id: &str) -> Uuid {
        // A NUL byte separates the parts; neither a flag nor a name on the wire can hold one.
        let mut name =
            Vec::with_capacity(self.text.len() + namespace.len() + workflow_id.len() + 2);
        for (index, part) in [self.text.as_str(), namespace, workflow_id]
            .into_iter()
            .enumerate()
        {
            if index > 0 {
                name.push(0);
            }
            name.extend_from_slice(part.as_bytes());
        }
        Uuid::new_v5(&REQUEST_ID_NAMESPACE, &name)
    }
}

/// Generates Workflow IDs: `<manifest name>-<start's name or type>-<16 hexadecimal digits>`.
///
/// The digits depend on the key, the start's content and how often the same content came before,
/// so that inserting or reordering starts changes no other ID.
#[derive(Debug)]
pub(in crate::expand) struct Generator<'k> {
    key: &'k IdempotencyKey,
}

impl<'k> Generator<'k> {
    pub(in crate::expand) fn new(key: &'k IdempotencyKey) -> Self {
        Generator { key }
    }

    /// The Workflow ID of a start whose content has occurred so often before.
    pub(in crate::expand) fn workflow_id(
        &self,
        manifest: &str,
        start: &Start,
        content: &[u8; 32],
        occurrence: u32,
    ) -> String {
        let mut hash = Sha256::new();
        hash.update((self.key.text.len() as u64).to_le_bytes());
        hash.update(self.key.text.as_bytes());
        hash.update(content);
        hash.update(occurrence.to_le_bytes());
        let digits = hex(&hash.finalize()[..8]);
        let label = start
            .name
            .as_deref()
            .unwrap_or(&start.workflow.workflow_type);
        format!("{manifest}-{label}-{digits}")
    }
}
