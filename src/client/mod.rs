//! The edge to the network: implements [`Starter`] and [`Lookups`] over gRPC. The only place that
//! sees tonic, prost or generated code.
//!
//! [`Starter`]: crate::run::service::Starter
//! [`Lookups`]: crate::run::service::Lookups

pub mod api;
mod call;
pub mod config;
pub mod connect;
mod connect_error;
mod connection;
pub mod diagnose;
mod endpoint;
pub mod facts;
mod grpc_only;
mod history;
mod lookups;
mod metadata;
mod payload;
mod request;
mod starts;
mod status;
mod unverified;

use tonic::Status;

use crate::run::service::{Reason, ServiceError};
use call::Caller;
pub use call::RPC_TIMEOUT;
use connection::Connection;
use facts::ServiceFacts;
use status::service_error;

/// A connection to a Temporal Service that has answered.
#[derive(Clone, Debug)]
pub struct Client {
    caller: Caller,
    connection: Connection,
    facts: ServiceFacts,
    /// Whether accepted starts tell whether their request began the run.
    tells_who_began: bool,
    /// Whether what Workflows return is wanted.
    with_results: bool,
}

impl Client {
    fn new(caller: Caller, connection: Connection, facts: ServiceFacts) -> Self {
        Client {
            caller,
            connection,
            tells_who_began: facts.tells_who_began(),
            facts,
            with_results: true,
        }
    }

    /// Leaves out what Workflows return, so that it is not even decoded.
    #[must_use]
    pub fn without_results(self) -> Self {
        Client {
            with_results: false,
            ..self
        }
    }

    /// What the service said of itself and of the namespace.
    pub fn facts(&self) -> &ServiceFacts {
        &self.facts
    }

    /// ID of the namespace, which no other cluster's has; `None` if describing it is denied.
    pub fn namespace_id(&self) -> Option<&str> {
        self.facts.namespace.as_ref()?.id.as_deref()
    }

    /// What a failed call means. A lost connection says where to.
    fn error(&self, status: &Status) -> ServiceError {
        let mut error = service_error(status);
        if matches!(error.reason, Reason::ConnectionLost | Reason::NotGrpc) {
            error.message = format!("{}: {}", self.connection.address, error.message);
        }
        error
    }
}
