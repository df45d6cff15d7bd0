//! `temporal.toml`: the profiles that Temporal's CLI and SDKs share.
//!
//! Source: Temporal documentation, "Environment configuration"; sdk-go `contrib/envconfig`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// A configuration file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ConfigFile {
    /// Profiles by name.
    pub profile: BTreeMap<String, Profile>,
}

/// A named set of connection settings. Keys that this program does not use are ignored, as other
/// programs share the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// Host and port of the frontend.
    pub address: Option<String>,
    /// Namespace.
    pub namespace: Option<String>,
    /// API key.
    pub api_key: Option<String>,
    /// TLS settings.
    pub tls: Option<ProfileTls>,
    /// Codec server.
    pub codec: Option<ProfileCodec>,
    /// gRPC metadata.
    pub grpc_meta: BTreeMap<String, String>,
}

/// TLS settings of a profile.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ProfileTls {
    /// Turns TLS off whatever else is set.
    pub disabled: Option<bool>,
    /// Path of the client's certificate.
    pub client_cert_path: Option<PathBuf>,
    /// The client's certificate.
    pub client_cert_data: Option<String>,
    /// Path of the client's private key.
    pub client_key_path: Option<PathBuf>,
    /// The client's private key.
    pub client_key_data: Option<String>,
    /// Path of the CA certificate.
    pub server_ca_cert_path: Option<PathBuf>,
    /// The CA certificate.
    pub server_ca_cert_data: Option<String>,
    /// Name that the server's certificate must have.
    pub server_name: Option<String>,
    /// Whether the server's name is left unchecked.
    pub disable_host_verification: bool,
}

/// Codec server of a profile.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ProfileCodec {
    /// Where it is.
    pub endpoint: Option<String>,
}

/// Reads a configuration file.
///
/// # Errors
/// The text is not TOML or has values of the wrong type; the message has the place.
pub fn parse(text: &str) -> Result<ConfigFile, toml::de::Error> {
    toml::from_str(text)
}
