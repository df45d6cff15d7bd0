//! What connecting comes to: a service and what it says of itself, or why there is none.

use crate::client::Client;
use crate::client::connect::ConnectError;

/// A service that has answered, and what it says of itself.
#[derive(Clone, Debug)]
pub struct Connected<S> {
    /// The service.
    pub service: S,
    /// Its version, if it tells.
    pub server_version: Option<String>,
    /// ID of the namespace, which no other cluster's has; `None` if it does not tell.
    pub namespace_id: Option<String>,
}

impl<S> Connected<S> {
    /// A service that says nothing of itself.
    pub fn new(service: S) -> Self {
        Connected {
            service,
            server_version: None,
            namespace_id: None,
        }
    }
}

impl From<Client> for Connected<Client> {
    fn from(client: Client) -> Self {
        Connected {
            server_version: Some(client.facts().server_version.clone()),
            namespace_id: client.namespace_id().map(str::to_owned),
            service: client,
        }
    }
}

/// Why there is no service to start anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotConnected {
    /// What happened.
    pub message: String,
    /// What to do about it, if that is known.
    pub help: Option<String>,
}

impl From<ConnectError> for NotConnected {
    fn from(error: ConnectError) -> Self {
        NotConnected {
            message: error.to_string(),
            help: error.help(),
        }
    }
}
