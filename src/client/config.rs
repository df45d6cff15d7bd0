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

/// A configuration file that cannot be used: where, and what kind of mistake it is. What stands
/// there is left out, as it may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {mistake}")]
pub struct ConfigError {
    line: usize,
    column: usize,
    mistake: Mistake,
}

/// A kind of mistake in a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Mistake {
    #[error("this is not TOML; a text stands in quotes, on one line")]
    NotToml,
    #[error("this is not YAML")]
    NotYaml,
    #[error("text was expected, in quotes")]
    Text,
    #[error("`true` or `false` was expected")]
    Boolean,
    #[error("a table was expected, of one `name = value` on each line")]
    Table,
    #[error("a map was expected, of one `name: value` on each line")]
    Map,
    #[error("a setting must be plain text")]
    Setting,
    #[error("something else was expected")]
    Other,
}

impl Mistake {
    /// What the deserializer expected. Its messages name what it found first, which may be a
    /// secret, and end with what it expected, which is ours.
    fn of(message: &str, map: Mistake) -> Self {
        let (_, expected) = message.rsplit_once(", expected ").unwrap_or_default();
        match expected.split_whitespace().next_back() {
            Some("string") => Mistake::Text,
            Some("boolean") => Mistake::Boolean,
            _ if expected.starts_with("path") => Mistake::Text,
            _ if expected.starts_with("struct") || expected.starts_with("a map") => map,
            _ if message.contains(NOT_PLAIN) => Mistake::Setting,
            _ => Mistake::Other,
        }
    }
}

/// What is said of a setting that is a list or a map.
const NOT_PLAIN: &str = "a setting must be plain text";

/// Reads a configuration file.
///
/// # Errors
/// The text is not TOML or has values of the wrong type.
pub fn parse(text: &str) -> Result<ConfigFile, ConfigError> {
    let wrong = |span: Option<std::ops::Range<usize>>, mistake| {
        let at = span.map_or(0, |span| span.start.min(text.len()));
        let before = text.get(..at).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        ConfigError {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            mistake,
        }
    };
    if let Err(error) = text.parse::<toml::Table>() {
        return Err(wrong(error.span(), Mistake::NotToml));
    }
    toml::from_str(text).map_err(|error| {
        let mistake = Mistake::of(error.message(), Mistake::Table);
        wrong(error.span(), mistake)
    })
}

/// A named set of flags of the `temporal` CLI: names without the dashes, and values as typed.
pub type Preset = BTreeMap<String, String>;

/// Reads the presets of a `temporal.yaml`, by name.
///
/// # Errors
/// The text is not YAML, or a setting is not text, a number or a boolean.
pub fn parse_presets(text: &str) -> Result<BTreeMap<String, Preset>, ConfigError> {
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
                _ => Err(serde::de::Error::custom(NOT_PLAIN)),
            }
        }
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct PresetFile {
        env: Option<BTreeMap<String, Option<BTreeMap<String, Typed>>>>,
    }

    let file: Option<PresetFile> = serde_yaml::from_str(text).map_err(|error| {
        let message = error.to_string();
        let is_yaml = serde_yaml::from_str::<serde_yaml::Value>(text).is_ok();
        ConfigError {
            line: error.location().map_or(1, |at| at.line()),
            column: error.location().map_or(1, |at| at.column()),
            mistake: match is_yaml {
                true => Mistake::of(strip_place(&message), Mistake::Map),
                false => Mistake::NotYaml,
            },
        }
    })?;
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

/// A message without the place that it ends with.
fn strip_place(message: &str) -> &str {
    message
        .rsplit_once(" at line ")
        .map_or(message, |(words, _)| words)
}
