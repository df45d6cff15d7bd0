//! The layers that connection settings come from, each as the same struct of options.

use std::path::PathBuf;

use temporal_manifest::client::config::{Preset, Profile, ProfileTls};
use temporal_manifest::manifest::inputs::FilesRead;
use temporal_manifest::manifest::opened;

use super::SettingError;
use crate::cli::args::ConnectionArgs;
use crate::cli::environment::Environment;

/// Largest file of certificates that is read, in bytes.
const MAX_PEM_BYTES: u64 = 16 * 1024 * 1024;

/// One layer of connection settings.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer {
    pub(super) address: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) api_key: Option<String>,
    pub(super) tls: Option<bool>,
    pub(super) cert: Option<Pem>,
    pub(super) key: Option<Pem>,
    pub(super) ca: Option<Pem>,
    pub(super) server_name: Option<String>,
    pub(super) unverified: Option<bool>,
    pub(super) identity: Option<String>,
    pub(super) grpc_meta: Vec<(String, String)>,
}

/// A certificate or key, and which setting names it.
#[derive(Clone, Debug)]
pub(super) enum Pem {
    Path(PathBuf, &'static str),
    Data(String),
}

impl Pem {
    pub(super) fn of(
        path: Option<PathBuf>,
        data: Option<String>,
        setting: &'static str,
    ) -> Option<Self> {
        path.map(|path| Pem::Path(path, setting))
            .or(data.map(Pem::Data))
    }

    pub(super) fn read(self, read: &FilesRead) -> Result<Vec<u8>, SettingError> {
        match self {
            Pem::Data(data) => Ok(data.into_bytes()),
            Pem::Path(path, setting) if looks_like_pem(&path) => {
                let setting = setting.replace("path", "data").replace("PATH", "DATA");
                let message = "a certificate or key was given where a path was expected";
                Err(SettingError::new(format!("{message}; {setting} takes it")))
            }
            Pem::Path(path, setting) => {
                opened::read_named(&path, MAX_PEM_BYTES, read).map_err(|error| {
                    SettingError::new(format!(
                        "cannot read `{}`, which {setting} names: {error}",
                        path.display()
                    ))
                })
            }
        }
    }
}

/// Whether a path is no path but what a file should hold.
fn looks_like_pem(path: &std::path::Path) -> bool {
    let text = path.to_string_lossy();
    text.contains("-----BEGIN") || text.contains('\n')
}

impl Layer {
    pub(super) fn of_flags(flags: &ConnectionArgs) -> Self {
        let flags = flags.clone();
        Layer {
            address: flags.address,
            namespace: flags.namespace,
            api_key: flags.api_key,
            tls: flags.tls,
            cert: Pem::of(flags.tls_cert_path, flags.tls_cert_data, "--tls-cert-path"),
            key: Pem::of(flags.tls_key_path, flags.tls_key_data, "--tls-key-path"),
            ca: Pem::of(flags.tls_ca_path, flags.tls_ca_data, "--tls-ca-path"),
            server_name: flags.tls_server_name,
            unverified: flags.tls_disable_host_verification,
            identity: flags.identity,
            grpc_meta: flags.grpc_meta,
        }
    }

    /// Keys are the long flags. Other commands' flags may be among them and are ignored.
    pub(super) fn of_preset(mut preset: Preset) -> Result<Self, SettingError> {
        let mut claim = |key: &str| match preset.remove(key) {
            None => Ok(None),
            Some(value) => boolean(&value).map(Some).ok_or_else(|| {
                SettingError::new(format!(
                    "the environment's {key} is no boolean; write `true` or `false`"
                ))
            }),
        };
        let tls = claim("tls")?;
        let unverified = claim("tls-disable-host-verification")?;
        if preset.contains_key("codec-endpoint") {
            return Err(no_codec("the environment"));
        }
        let meta = match preset.remove("grpc-meta") {
            None => Vec::new(),
            Some(pair) => match pair.split_once('=') {
                Some((key, value)) if !key.is_empty() => vec![(key.to_owned(), value.to_owned())],
                _ => {
                    return Err(SettingError::new(
                        "the environment's grpc-meta has no name; write KEY=VALUE",
                    ));
                }
            },
        };
        let mut text = |key: &str| preset.remove(key);
        Ok(Layer {
            address: text("address"),
            namespace: text("namespace"),
            api_key: text("api-key"),
            tls,
            cert: Pem::of(
                text("tls-cert-path").map(PathBuf::from),
                text("tls-cert-data"),
                "the environment's tls-cert-path",
            ),
            key: Pem::of(
                text("tls-key-path").map(PathBuf::from),
                text("tls-key-data"),
                "the environment's tls-key-path",
            ),
            ca: Pem::of(
                text("tls-ca-path").map(PathBuf::from),
                text("tls-ca-data"),
                "the environment's tls-ca-path",
            ),
            server_name: text("tls-server-name"),
            unverified,
            identity: text("identity"),
            grpc_meta: meta,
        })
    }

    pub(super) fn of_variables(environment: &Environment) -> Result<Self, SettingError> {
        // An empty one hides the profile's setting, as in the CLI.
        let text = |name: &str| environment.variable_or_empty(name).map(str::to_owned);
        let path = |name: &str| environment.variable_or_empty(name).map(PathBuf::from);
        let claim = |name: &str| match environment.variable(name) {
            None => Ok(None),
            Some(value) => boolean(value).map(Some).ok_or_else(|| {
                SettingError::new(format!("{name} is no boolean; write `true` or `false`"))
            }),
        };
        if environment.variable("TEMPORAL_CODEC_ENDPOINT").is_some() {
            return Err(no_codec("TEMPORAL_CODEC_ENDPOINT"));
        }
        let tls = claim("TEMPORAL_TLS")?;
        let unverified = claim("TEMPORAL_TLS_DISABLE_HOST_VERIFICATION")?;
        let meta = environment.variables.iter().filter_map(|(name, value)| {
            let key = name.strip_prefix("TEMPORAL_GRPC_META_")?;
            Some((key.to_ascii_lowercase().replace('_', "-"), value.clone()))
        });
        Ok(Layer {
            address: text("TEMPORAL_ADDRESS"),
            namespace: text("TEMPORAL_NAMESPACE"),
            api_key: text("TEMPORAL_API_KEY"),
            tls,
            cert: Pem::of(
                path("TEMPORAL_TLS_CLIENT_CERT_PATH"),
                text("TEMPORAL_TLS_CLIENT_CERT_DATA"),
                "TEMPORAL_TLS_CLIENT_CERT_PATH",
            ),
            key: Pem::of(
                path("TEMPORAL_TLS_CLIENT_KEY_PATH"),
                text("TEMPORAL_TLS_CLIENT_KEY_DATA"),
                "TEMPORAL_TLS_CLIENT_KEY_PATH",
            ),
            ca: Pem::of(
                path("TEMPORAL_TLS_SERVER_CA_CERT_PATH"),
                text("TEMPORAL_TLS_SERVER_CA_CERT_DATA"),
                "TEMPORAL_TLS_SERVER_CA_CERT_PATH",
            ),
            server_name: text("TEMPORAL_TLS_SERVER_NAME"),
            unverified,
            identity: None,
            grpc_meta: meta.collect(),
        })
    }

    pub(super) fn of_profile(profile: Profile) -> Result<Self, SettingError> {
        let has_tls = profile.tls.is_some();
        let tls: ProfileTls = profile.tls.unwrap_or_default();
        if profile
            .codec
            .and_then(|codec| codec.endpoint)
            .is_some_and(|endpoint| !endpoint.is_empty())
        {
            return Err(no_codec("the profile"));
        }
        Ok(Layer {
            address: profile.address,
            namespace: profile.namespace,
            api_key: profile.api_key,
            tls: tls
                .disabled
                .map(|disabled| !disabled)
                .or(has_tls.then_some(true)),
            cert: Pem::of(
                tls.client_cert_path,
                tls.client_cert_data,
                "the profile's tls.client_cert_path",
            ),
            key: Pem::of(
                tls.client_key_path,
                tls.client_key_data,
                "the profile's tls.client_key_path",
            ),
            ca: Pem::of(
                tls.server_ca_cert_path,
                tls.server_ca_cert_data,
                "the profile's tls.server_ca_cert_path",
            ),
            server_name: tls.server_name,
            unverified: tls.disable_host_verification,
            identity: None,
            grpc_meta: profile.grpc_meta.into_iter().collect(),
        })
    }

    /// This layer without what is empty: it counts as not set, once no layer below is left that it
    /// hides.
    pub(super) fn without_empty(self) -> Layer {
        let text = |text: Option<String>| text.filter(|text| !text.is_empty());
        let pem = |pem: Option<Pem>| {
            pem.filter(|pem| match pem {
                Pem::Path(path, _) => !path.as_os_str().is_empty(),
                Pem::Data(data) => !data.is_empty(),
            })
        };
        Layer {
            address: text(self.address),
            namespace: text(self.namespace),
            api_key: text(self.api_key),
            cert: pem(self.cert),
            key: pem(self.key),
            ca: pem(self.ca),
            server_name: text(self.server_name),
            identity: text(self.identity),
            ..self
        }
    }

    /// This layer, with what it leaves open taken from `below`.
    pub(super) fn over(self, below: Layer) -> Layer {
        // Headers are sent under one name once, so the upper layer's comes last and wins.
        let mut grpc_meta = below.grpc_meta;
        for (key, value) in self.grpc_meta {
            grpc_meta.retain(|(other, _)| *other != key);
            grpc_meta.push((key, value));
        }
        Layer {
            address: self.address.or(below.address),
            namespace: self.namespace.or(below.namespace),
            api_key: self.api_key.or(below.api_key),
            tls: self.tls.or(below.tls),
            cert: self.cert.or(below.cert),
            key: self.key.or(below.key),
            ca: self.ca.or(below.ca),
            server_name: self.server_name.or(below.server_name),
            unverified: self.unverified.or(below.unverified),
            identity: self.identity.or(below.identity),
            grpc_meta,
        }
    }
}

fn no_codec(place: &str) -> SettingError {
    SettingError::new(format!(
        "{place} names a codec server, which is not supported: arguments would be sent unencoded"
    ))
}

/// The spellings that the `temporal` CLI takes.
fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "t" | "true" => Some(true),
        "0" | "f" | "false" => Some(false),
        _ => None,
    }
}
