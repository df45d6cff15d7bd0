//! What Temporal's CLI and SDKs keep on disk: the profiles of `temporal.toml`, and the older
//! presets of `temporal.yaml`.
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
    pub disable_host_verification: Option<bool>,
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

/// A named set of flags of the `temporal` CLI: names without the dashes, and values as typed.
pub type Preset = BTreeMap<String, String>;

/// Reads the presets of a `temporal.yaml`, by name.
///
/// # Errors
/// The text is not YAML, or a setting is not text, a number or a boolean.
pub fn parse_presets(text: &str) -> Result<BTreeMap<String, Preset>, serde_yaml::Error> {
    /// A value as typed; the CLI writes all of them as text, but people do not.
    struct Typed(String);

    impl<'de> Deserialize<'de> for Typed {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            use serde_yaml::Value;
            match Value::deserialize(deserializer)? {
                Value::String(text) => Ok(Typed(text)),
                Value::Bool(flag) => Ok(Typed(flag.to_string())),
                Value::Number(number) => Ok(Typed(number.to_string())),
                Value::Null => Ok(Typed(String::new())),
                _ => Err(serde::de::Error::custom("a setting must be plain text")),
            }
        }
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct PresetFile {
        env: Option<BTreeMap<String, Option<BTreeMap<String, Typed>>>>,
    }

    let file: Option<PresetFile> = serde_yaml::from_str(text)?;
    let presets = file.unwrap_or_default().env.unwrap_or_default();
    Ok(presets
        .into_iter()
        .map(|(name, settings)| {
            let settings = settings.unwrap_or_default().into_iter();
            let settings = settings.map(|(key, value)| (key, value.0));
            // An empty value counts as unset, as it does in variables.
            (
                name,
                settings.filter(|(_, value)| !value.is_empty()).collect(),
            )
        })
        .collect())
}
