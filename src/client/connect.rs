//! From connection settings to a client that has heard from the service.

use std::fmt;
use std::time::Duration;

use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use super::Client;
use super::api::temporal::api::enums::v1::NamespaceState;
use super::api::temporal::api::namespace::v1::NamespaceInfo;
use super::api::temporal::api::workflowservice::v1::{
    DescribeNamespaceRequest, DescribeNamespaceResponse, GetSystemInfoRequest,
    GetSystemInfoResponse,
};
use super::call::{Caller, method};
use super::diagnose::{self, Peer};
use super::metadata::headers;
use super::status::service_error;
use super::unverified::AnyCertificate;
use crate::run::service::{ErrorClass, Reason, ServiceError};

/// Longest time without a sign of life before a connection is asked for one, and for its answer.
/// Source: sdk-go `client.ConnectionOptions`.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(15);

/// Where a Temporal Service is and how it is spoken to.
#[derive(Clone)]
pub struct Connection {
    /// `host:port` of the frontend.
    pub address: String,
    /// Namespace of the starts.
    pub namespace: String,
    /// Identity that shows in histories.
    pub identity: String,
    /// TLS; `None` is plaintext.
    pub tls: Option<Tls>,
    /// API key, sent as a bearer token.
    pub api_key: Option<String>,
    /// Further gRPC metadata of every call.
    pub grpc_meta: Vec<(String, String)>,
    /// Longest time for a connection to be made. Default: 10 s.
    pub connect_timeout: Duration,
}

/// How TLS is spoken.
#[derive(Clone, Default)]
pub struct Tls {
    /// PEM of the certificates that the server's is checked against; `None` is the system's.
    pub ca: Option<Vec<u8>>,
    /// PEM of the client's certificate and key.
    pub client: Option<(Vec<u8>, Vec<u8>)>,
    /// Name that the server's certificate must have; `None` is the host of the address.
    pub server_name: Option<String>,
    /// Whether any certificate will do. Default: no.
    pub unverified: bool,
}

/// Secrets stay out of logs.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("address", &self.address)
            .field("namespace", &self.namespace)
            .field("identity", &self.identity)
            .field("tls", &self.tls.is_some())
            .field("api_key", &self.api_key.as_ref().map(|_| "***"))
            .finish_non_exhaustive()
    }
}

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
    #[error("{address}: the namespace `{namespace}` is {state} and takes no starts")]
    NamespaceClosed {
        /// Where it is.
        address: String,
        /// Its name.
        namespace: String,
        /// `deprecated` or `deleted`.
        state: &'static str,
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
    let namespace_id = match namespace {
        Ok(answer) => {
            let info = answer.namespace_info.unwrap_or_default();
            open_for_starts(&connection, &info)?;
            Some(info.id).filter(|id| !id.is_empty())
        }
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
    Ok(Client::new(
        caller,
        connection,
        info.server_version,
        namespace_id,
    ))
}

fn open_for_starts(connection: &Connection, info: &NamespaceInfo) -> Result<(), ConnectError> {
    let state = match info.state() {
        NamespaceState::Deprecated => "deprecated",
        NamespaceState::Deleted => "deleted",
        _ => return Ok(()),
    };
    Err(ConnectError::NamespaceClosed {
        address: connection.address.clone(),
        namespace: connection.namespace.clone(),
        state,
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

fn endpoint(connection: &Connection) -> Result<Endpoint, ConnectError> {
    let setting = |what: String| ConnectError::Setting { what };
    let address = &connection.address;
    // It is shown from here on, in messages, reports and journals.
    if let Some(what) = kept_secret(address) {
        return Err(setting(format!(
            "the address {what}, and none of it is shown here; write HOST:PORT, such as `localhost:7233`, and give credentials with `--api-key` or `--grpc-meta`"
        )));
    }
    let has_port = address.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok() && !address.contains("://")
    });
    if !has_port {
        return Err(setting(format!(
            "the address `{address}` must have the form HOST:PORT, such as `localhost:7233`"
        )));
    }
    let scheme = if connection.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let mut endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
        .map_err(|error| setting(format!("the address `{address}` cannot be used: {error}")))?
        .connect_timeout(connection.connect_timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    if let Some(tls) = &connection.tls {
        if let Some(what) = unusable_pem(tls) {
            return Err(setting(format!("the TLS settings cannot be used: {what}")));
        }
        let mut config = ClientTlsConfig::new();
        config = match &tls.ca {
            _ if tls.unverified => config,
            Some(ca) => config.ca_certificate(Certificate::from_pem(ca)),
            None => config.with_native_roots(),
        };
        if let Some((certificate, key)) = &tls.client {
            config = config.identity(Identity::from_pem(certificate, key));
        }
        if let Some(name) = &tls.server_name {
            config = config.domain_name(name);
        }
        let configured = if tls.unverified {
            endpoint.tls_config_with_verifier(config, AnyCertificate::verifier())
        } else {
            endpoint.tls_config(config)
        };
        endpoint = configured.map_err(|error| {
            setting(format!(
                "the TLS settings cannot be used: {}",
                chain(&error)
            ))
        })?;
    }
    Ok(endpoint)
}

/// What an address holds beside a host and a port, and may be a secret.
fn kept_secret(address: &str) -> Option<&'static str> {
    let authority = address.rsplit_once("//").map_or(address, |(_, rest)| rest);
    if address.contains('@') {
        Some("holds a user name or a password")
    } else if authority.contains(['/', '?', '#']) {
        Some("holds more than a host and a port")
    } else if address.contains(|c: char| c.is_whitespace() || c.is_control()) {
        Some("holds blanks or control characters")
    } else {
        None
    }
}

/// Which certificate or key is none. The parsers' own words quote lines of it.
fn unusable_pem(tls: &Tls) -> Option<&'static str> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let is_chain = |pem: &[u8]| {
        let mut found = CertificateDer::pem_slice_iter(pem).peekable();
        found.peek().is_some() && found.all(|certificate| certificate.is_ok())
    };
    let ca = tls.ca.as_deref().filter(|_| !tls.unverified);
    if ca.is_some_and(|ca| !is_chain(ca)) {
        return Some("the CA certificate is not PEM of certificates");
    }
    let (certificate, key) = tls.client.as_ref()?;
    if !is_chain(certificate) {
        return Some("the client's certificate is not PEM of certificates");
    }
    let key = PrivateKeyDer::from_pem_slice(key);
    key.is_err()
        .then_some("the client's key is not PEM of a private key")
}

/// An error with everything that caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |text, source| {
        format!("{text}: {source}")
    })
}
