//! Why there is no connection to use, and what to do about it.

use super::diagnose::Peer;
use super::facts::NamespaceState;
use crate::run::service::{Reason, ServiceError};

/// Why there is no connection to use.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A setting has a value that cannot be used.
    #[error("{what}")]
    Setting {
        /// What is wrong with which setting.
        what: String,
    },
    /// The service was not reached.
    #[error("{address}: {}", peer_words(*peer, error, *tls))]
    NotReached {
        /// Where it should be.
        address: String,
        /// What is there instead.
        peer: Peer,
        /// What the first call came to.
        error: Box<ServiceError>,
        /// Whether TLS was spoken.
        tls: bool,
    },
    /// A gRPC server that is no Temporal frontend.
    #[error("{address}: a gRPC server answers, but it is not a Temporal frontend")]
    NotTemporal {
        /// Where it is.
        address: String,
    },
    /// The service refused the first questions.
    #[error("{address}: the Temporal Service refuses: {}", error.message)]
    Refused {
        /// Where it is.
        address: String,
        /// What it says.
        error: Box<ServiceError>,
    },
    /// There is no such namespace.
    #[error("{address}: the Temporal Service has no namespace `{namespace}`")]
    NamespaceNotFound {
        /// Where it is.
        address: String,
        /// What was looked for.
        namespace: String,
    },
    /// The namespace takes no starts.
    #[error("{address}: the namespace `{namespace}` is {} and takes no starts", state.as_str())]
    NamespaceClosed {
        /// Where it is.
        address: String,
        /// Name of the namespace.
        namespace: String,
        /// Deprecated or deleted.
        state: NamespaceState,
    },
}

fn peer_words(peer: Peer, error: &ServiceError, tls: bool) -> String {
    match peer {
        Peer::Tls | Peer::ClosesAtOnce if tls => {
            format!("no TLS connection: {}", error.message)
        }
        Peer::NothingListens => "nothing listens there (connection refused)".to_owned(),
        Peer::UnknownHost => "the host name cannot be resolved".to_owned(),
        Peer::Unreachable => "it cannot be reached".to_owned(),
        Peer::Http1 => "an HTTP/1 server answers, not a Temporal frontend".to_owned(),
        Peer::Tls => "the server expects TLS".to_owned(),
        Peer::ClosesAtOnce => "the server closes the connection at once".to_owned(),
        Peer::Silent => "the server takes the connection and does not answer".to_owned(),
        Peer::Other => "the server there does not speak gRPC".to_owned(),
        // The look at the address was without TLS, and the server liked it.
        Peer::Http2 if tls => "the server does not speak TLS".to_owned(),
        Peer::Http2 => error.message.clone(),
    }
}

impl ConnectError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            ConnectError::Setting { .. } => None,
            ConnectError::NotReached { peer, tls, .. } => Some(match peer {
                Peer::NothingListens | Peer::Unreachable | Peer::UnknownHost => {
                    "start the service, or say where it is with `--address HOST:PORT` or TEMPORAL_ADDRESS; for a local one: `temporal server start-dev`".to_owned()
                }
                Peer::Tls | Peer::ClosesAtOnce if *tls => {
                    "check `--tls-ca-path`, `--tls-server-name` and the client's certificate and key".to_owned()
                }
                Peer::Http2 if *tls => {
                    "leave out `--tls` and the options that turn it on, or add `--tls=false`".to_owned()
                }
                Peer::Tls | Peer::ClosesAtOnce => "if it expects TLS, add `--tls`".to_owned(),
                Peer::Http1 | Peer::Other | Peer::Silent => {
                    "name the gRPC port of the frontend, 7233 by default; the Web UI's port is another one".to_owned()
                }
                _ => "check the address and the TLS settings".to_owned(),
            }),
            ConnectError::NotTemporal { .. } => {
                Some("name the frontend of a Temporal Service with `--address HOST:PORT`".to_owned())
            }
            ConnectError::Refused { error, .. } => Some(match error.reason {
                Reason::PermissionDenied | Reason::Unauthenticated => {
                    "check `--api-key`, `--tls-cert-path` and the namespace's permissions".to_owned()
                }
                _ => "the message is the service's own".to_owned(),
            }),
            ConnectError::NamespaceNotFound { namespace, .. } => Some(format!(
                "name another one with `--namespace` or TEMPORAL_NAMESPACE, or create it: `temporal operator namespace create -n {namespace}`"
            )),
            ConnectError::NamespaceClosed { .. } => Some("name another one with `--namespace`".to_owned()),
        }
    }
}
