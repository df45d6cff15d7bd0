//! Settings of a connection, as plain values.

use std::fmt;
use std::time::Duration;

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

impl Connection {
    /// The default of [`connect_timeout`](Connection::connect_timeout).
    pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
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
