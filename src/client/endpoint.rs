//! Connection settings as what tonic connects to.

use std::time::Duration;

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use super::connect_error::ConnectError;
use super::connection::{Connection, Tls};
use super::unverified::AnyCertificate;

/// Longest time without a sign of life before a connection is asked for one, and for its answer.
/// Source: sdk-go `client.ConnectionOptions`.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(15);

/// What tonic connects to.
///
/// # Errors
/// [`ConnectError::Setting`], which shows no secret.
pub(super) fn endpoint(connection: &Connection) -> Result<Endpoint, ConnectError> {
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
    let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
        .map_err(|error| setting(format!("the address `{address}` cannot be used: {error}")))?
        .connect_timeout(connection.connect_timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    match &connection.tls {
        Some(tls) => with_tls(endpoint, tls).map_err(setting),
        None => Ok(endpoint),
    }
}

/// TLS as the settings say, or what is wrong with them.
fn with_tls(endpoint: Endpoint, tls: &Tls) -> Result<Endpoint, String> {
    let unusable = |what: &str| format!("the TLS settings cannot be used: {what}");
    if let Some(what) = unusable_pem(tls) {
        return Err(unusable(what));
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
    configured.map_err(|error| unusable(&chain(&error)))
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
