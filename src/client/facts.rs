//! What a service said of itself when the connection was made.

use super::api::temporal::api::enums::v1::NamespaceState as WireState;
use super::api::temporal::api::namespace::v1::NamespaceInfo;
use super::api::temporal::api::workflowservice::v1::GetSystemInfoResponse;

/// The first version of the service, major and minor, that tells with each accepted start whether
/// the request began the run.
const TELLS_WHO_BEGAN: (u32, u32) = (1, 25);

/// What a service said of itself and of the namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceFacts {
    /// Its version, such as `1.32.0`.
    pub server_version: String,
    /// What it can do.
    pub capabilities: Capabilities,
    /// The namespace; `None` if describing it is denied.
    pub namespace: Option<NamespaceFacts>,
}

/// What a service can do. Old services, which do not say, can do none of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// `INTERNAL` is used for defects only.
    pub internal_error_differentiation: bool,
    /// Failure messages may be moved to where a codec can hide them.
    pub encoded_failure_attributes: bool,
    /// The static summary and details of a start are kept.
    pub sdk_metadata: bool,
    /// Nexus, and with it completion callbacks, is switched on.
    pub nexus: bool,
}

/// What the service said of the namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceFacts {
    /// Its ID, which no other cluster's namespace has; `None` if the service does not say.
    pub id: Option<String>,
    /// Its state.
    pub state: NamespaceState,
    /// Largest payload of a start, in bytes; `None` if the service does not say.
    pub max_payload_bytes: Option<u64>,
    /// Largest memo of a start, in bytes; `None` if the service does not say.
    pub max_memo_bytes: Option<u64>,
}

/// State of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamespaceState {
    /// The service does not say.
    Unspecified,
    /// It is in use.
    Registered,
    /// It takes no starts any more.
    Deprecated,
    /// It is being deleted.
    Deleted,
}

impl NamespaceState {
    /// The state as messages spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            NamespaceState::Unspecified => "unspecified",
            NamespaceState::Registered => "registered",
            NamespaceState::Deprecated => "deprecated",
            NamespaceState::Deleted => "deleted",
        }
    }

    /// Whether the namespace takes starts, as far as is known.
    pub fn takes_starts(self) -> bool {
        matches!(
            self,
            NamespaceState::Unspecified | NamespaceState::Registered
        )
    }
}

impl ServiceFacts {
    /// What the answers to the first two questions say.
    pub(super) fn new(info: GetSystemInfoResponse, namespace: Option<NamespaceFacts>) -> Self {
        let can = info.capabilities.unwrap_or_default();
        ServiceFacts {
            server_version: info.server_version,
            capabilities: Capabilities {
                internal_error_differentiation: can.internal_error_differentiation,
                encoded_failure_attributes: can.encoded_failure_attributes,
                sdk_metadata: can.sdk_metadata,
                nexus: can.nexus,
            },
            namespace,
        }
    }

    /// Whether the service tells with each accepted start whether the request began the run. One of
    /// an unreadable version is taken for a new one.
    pub(super) fn tells_who_began(&self) -> bool {
        version(&self.server_version).is_none_or(|version| version >= TELLS_WHO_BEGAN)
    }
}

impl NamespaceFacts {
    pub(super) fn new(info: NamespaceInfo) -> Self {
        let state = match info.state() {
            WireState::Unspecified => NamespaceState::Unspecified,
            WireState::Registered => NamespaceState::Registered,
            WireState::Deprecated => NamespaceState::Deprecated,
            WireState::Deleted => NamespaceState::Deleted,
        };
        let limits = info.limits.unwrap_or_default();
        let limit = |bytes| u64::try_from(bytes).ok().filter(|bytes| *bytes > 0);
        NamespaceFacts {
            id: Some(info.id).filter(|id| !id.is_empty()),
            state,
            max_payload_bytes: limit(limits.blob_size_limit_error),
            max_memo_bytes: limit(limits.memo_size_limit_error),
        }
    }
}

/// Major and minor of a version such as `1.32.0`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::api::temporal::api::namespace::v1::namespace_info::Limits;

    #[test]
    fn old_services_do_not_tell_who_began_a_run() {
        let tells = |version: &str| {
            let info = GetSystemInfoResponse {
                server_version: version.to_owned(),
                ..GetSystemInfoResponse::default()
            };
            ServiceFacts::new(info, None).tells_who_began()
        };
        let versions = ["1.24.2", "0.9", "1.25.0", "1.100.0", "2.0", "", "nightly"];
        let expected = [false, false, true, true, true, true, true];
        assert_eq!(versions.map(tells), expected);
    }

    #[test]
    fn limits_and_ids_that_are_not_told_are_none() {
        let none = NamespaceFacts::new(NamespaceInfo::default());
        let limits = (none.max_payload_bytes, none.max_memo_bytes);
        assert_eq!((none.id, limits), (None, (None, None)));
        assert!(none.state.takes_starts());
        let told = NamespaceFacts::new(NamespaceInfo {
            id: "an ID".to_owned(),
            state: WireState::Deleted.into(),
            limits: Some(Limits {
                blob_size_limit_error: 2_097_152,
                memo_size_limit_error: -1,
            }),
            ..NamespaceInfo::default()
        });
        let limits = (told.max_payload_bytes, told.max_memo_bytes);
        assert_eq!(limits, (Some(2_097_152), None));
        assert_eq!(
            (told.id.as_deref(), told.state),
            (Some("an ID"), NamespaceState::Deleted)
        );
        assert!(!told.state.takes_starts());
    }
}
