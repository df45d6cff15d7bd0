//! Request IDs of one start, and whose request an ID names.

use uuid::Uuid;

use super::protocol::{Claim, Request, RequestName};
use super::service::StartRequest;

/// Hexadecimal digits of the invocation's ID that a request ID carries: 96 bits, so that two
/// invocations do not look like one, and no more than 57 bytes altogether. The service's database
/// had room for 64 before its schema 1.8.
const INVOCATION_DIGITS: usize = 24;

/// The namespace of invocation IDs that are no UUIDs.
const INVOCATION_NAMESPACE: Uuid = Uuid::from_u128(0x0b7c_9f5e_43c2_5f0e_8a5d_71f2_e6a4_9d13);

/// The request IDs of one start in one invocation: `K`, 32 hexadecimal digits that depend on the
/// key, the namespace and the Workflow ID, and `K/` with digits of the invocation's ID.
pub(super) struct RequestIds {
    key: Uuid,
    /// `K/…`; its first 32 bytes are `K`.
    with_invocation: String,
}

impl RequestIds {
    pub(super) fn new(key: Uuid, invocation_id: &str) -> Self {
        let invocation = Uuid::parse_str(invocation_id)
            .unwrap_or_else(|_| Uuid::new_v5(&INVOCATION_NAMESPACE, invocation_id.as_bytes()));
        let mut digits = [0; 32];
        let digits = invocation.simple().encode_lower(&mut digits);
        let digits = &digits[..INVOCATION_DIGITS];
        RequestIds {
            key,
            with_invocation: format!("{}/{digits}", key.simple()),
        }
    }

    fn key(&self) -> &str {
        &self.with_invocation[..32]
    }

    /// A request as it is sent.
    pub(super) fn start_request(&self, request: &Request) -> StartRequest {
        let request_id = match request.name {
            RequestName::Invocation => &self.with_invocation,
            RequestName::Key => self.key(),
        };
        StartRequest {
            request_id: request_id.to_owned(),
            id_reuse_policy: request.closed,
            id_conflict_policy: request.running,
            attaches: request.attaches,
        }
    }

    /// Whose request has this ID.
    pub(super) fn claim(&self, request_id: &str) -> Claim {
        match request_id.strip_prefix(self.key()) {
            Some("") => Claim::Key,
            Some(_) if request_id == self.with_invocation => Claim::Invocation,
            Some(rest) if rest.starts_with('/') => Claim::OtherInvocation,
            // Earlier versions of this program sent `K` with dashes.
            _ if request_id.parse() == Ok(self.key) => Claim::Key,
            _ => Claim::Foreign,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_from_one_another() {
        let key = Uuid::from_u128(0x4ac0_d10a_f015_520c_bc5e_f0ef_d025_a9ff);
        let ids = RequestIds::new(key, "01234567-89ab-cdef-0123-456789abcdef");
        let probe = ids.start_request(&Request::PROBE).request_id;
        assert_eq!(
            probe,
            "4ac0d10af015520cbc5ef0efd025a9ff/0123456789abcdef01234567"
        );
        let table = [
            (probe.as_str(), Claim::Invocation),
            ("4ac0d10af015520cbc5ef0efd025a9ff", Claim::Key),
            ("4ac0d10a-f015-520c-bc5e-f0efd025a9ff", Claim::Key),
            (
                "4ac0d10af015520cbc5ef0efd025a9ff/f123456789abcdef01234567",
                Claim::OtherInvocation,
            ),
            ("4ac0d10af015520cbc5ef0efd025a9ffx", Claim::Foreign),
            ("5ac0d10a-f015-520c-bc5e-f0efd025a9ff", Claim::Foreign),
            ("", Claim::Foreign),
        ];
        for (request_id, claim) in table {
            assert_eq!(ids.claim(request_id), claim, "{request_id}");
        }
    }

    #[test]
    fn invocations_need_not_have_uuids() {
        let key = Uuid::from_u128(1);
        let [a, b] = ["ä", "nightly"].map(|id| RequestIds::new(key, id).with_invocation);
        assert_ne!(a, b);
        assert_eq!((a.len(), b.len()), (57, 57));
    }
}
