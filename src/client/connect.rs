//! From connection settings to a client that has heard from the service.

use std::fmt;

use tonic::metadata::MetadataMap;
use tonic::transport::Endpoint;

use super::Client;
use super::api::temporal::api::workflowservice::v1::{
    DescribeNamespaceRequest, DescribeNamespaceResponse, GetSystemInfoRequest,
    GetSystemInfoResponse,
};
use super::call::{Caller, method};
pub use super::connect_error::ConnectError;
pub use super::connection::{Connection, Tls};
use super::diagnose;
use super::endpoint::endpoint;
use super::facts::{NamespaceFacts, ServiceFacts};
use super::metadata::headers;
use super::status::service_error;
use crate::run::service::{ErrorClass, Reason, ServiceError};

/// Settings that make sense, before the network is used.
#[derive(Clone)]
pub struct Prepared {
    connection: Connection,
    endpoint: Endpoint,
    headers: MetadataMap,
}

/// The values of headers are secrets, or may be.
impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Prepared").field(&self.connection).finish()
    }
}

impl Prepared {
    /// The settings.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// Makes sure that the settings can be used.
///
/// # Errors
/// [`ConnectError::Setting`].
pub fn prepare(connection: Connection) -> Result<Prepared, ConnectError> {
    if connection.namespace.is_empty() {
        return Err(ConnectError::Setting {
            what: "the namespace must not be empty".to_owned(),
        });
    }
    Ok(Prepared {
        endpoint: endpoint(&connection)?,
        headers: headers(&connection)?,
        connection,
    })
}

/// Connects, asks for the server's version, and makes sure that the namespace takes starts.
///
/// # Errors
/// [`ConnectError`], after a look at what is at the address.
pub async fn connect(prepared: Prepared) -> Result<Client, ConnectError> {
    let Prepared {
        connection,
        endpoint,
        headers,
    } = prepared;
    let caller = Caller::new(endpoint.connect_lazy(), headers);
    let timeout = connection.connect_timeout;
    let question = DescribeNamespaceRequest {
        namespace: connection.namespace.clone(),
        id: String::new(),
    };
    let (info, namespace) = futures::join!(
        caller.call::<_, GetSystemInfoResponse>(
            method!("GetSystemInfo"),
            GetSystemInfoRequest {},
            timeout
        ),
        caller.call::<_, DescribeNamespaceResponse>(
            method!("DescribeNamespace"),
            question,
            timeout
        ),
    );
    let info = match info {
        Ok(info) => info,
        Err(status) => return Err(failed(&connection, service_error(&status)).await),
    };
    let namespace = match namespace {
        Ok(answer) => Some(open_for_starts(&connection, answer)?),
        Err(status) => {
            let error = service_error(&status);
            match error.reason {
                Reason::NamespaceNotFound => {
                    let Connection {
                        address, namespace, ..
                    } = connection;
                    return Err(ConnectError::NamespaceNotFound { address, namespace });
                }
                // A key that may start Workflows need not be allowed to describe the namespace; the
                // first start will tell.
                Reason::PermissionDenied | Reason::Unimplemented => None,
                _ => return Err(failed(&connection, error).await),
            }
        }
    };
    let facts = ServiceFacts::new(info, namespace);
    Ok(Client::new(caller, connection, facts))
}

fn open_for_starts(
    connection: &Connection,
    answer: DescribeNamespaceResponse,
) -> Result<NamespaceFacts, ConnectError> {
    let facts = NamespaceFacts::new(answer.namespace_info.unwrap_or_default());
    if facts.state.takes_starts() {
        return Ok(facts);
    }
    Err(ConnectError::NamespaceClosed {
        address: connection.address.clone(),
        namespace: connection.namespace.clone(),
        state: facts.state,
    })
}

/// What a failed first question means. Looks at the address if no gRPC answer came from it.
async fn failed(connection: &Connection, error: ServiceError) -> ConnectError {
    let address = connection.address.clone();
    let error = Box::new(error);
    match error.class {
        ErrorClass::Refused if error.reason == Reason::Unimplemented => {
            ConnectError::NotTemporal { address }
        }
        ErrorClass::Fatal if error.reason != Reason::NotGrpc => {
            ConnectError::Refused { address, error }
        }
        ErrorClass::Refused | ErrorClass::Throttled | ErrorClass::Existing(_) => {
            ConnectError::Refused { address, error }
        }
        ErrorClass::Fatal | ErrorClass::Transient | ErrorClass::Unanswered => {
            let peer = diagnose::look(&address).await;
            ConnectError::NotReached {
                address,
                peer,
                error,
                tls: connection.tls.is_some(),
            }
        }
    }
}
