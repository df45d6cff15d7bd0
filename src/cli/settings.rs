//! What was typed, in the light of variables and profiles: flag > variable > profile > built-in,
//! resolved once. Only files that the settings name are read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use temporal_manifest::client::config::{self, Profile, ProfileTls};
use temporal_manifest::client::connect::{Connection, Tls};
use temporal_manifest::expand::identity::IdempotencyKey;
use temporal_manifest::run::attempt::IDENTITY_PREFIX;

use super::args::{ColorChoice, ConnectionArgs, GlobalArgs};
use super::environment::Environment;

/// A setting that cannot be used: what it is, where it comes from, what to do.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct SettingError {
    message: String,
}

impl SettingError {
    fn new(message: impl Into<String>) -> Self {
        SettingError {
            message: message.into(),
        }
    }
}

/// Whether colours are used for text on a stream.
pub(crate) fn color(
    choice: Option<ColorChoice>,
    environment: &Environment,
    is_terminal: bool,
) -> bool {
    match choice.unwrap_or(ColorChoice::Auto) {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            is_terminal
                && environment.variable("NO_COLOR").is_none()
                && environment.variable("TERM") != Some("dumb")
        }
    }
}

/// The key that the user gave, if any.
pub(crate) fn given_key(
    flag: Option<&str>,
    environment: &Environment,
) -> Result<Option<IdempotencyKey>, SettingError> {
    let variable = environment.variable("TEMPORAL_MANIFEST_IDEMPOTENCY_KEY");
    match flag.or(variable) {
        Some(key) if key.trim().is_empty() => {
            Err(SettingError::new("the idempotency key must not be empty"))
        }
        Some(key) => Ok(Some(IdempotencyKey::given(key))),
        None => Ok(None),
    }
}

/// One layer of connection settings.
#[derive(Clone, Debug, Default)]
struct Layer {
    address: Option<String>,
    namespace: Option<String>,
    api_key: Option<String>,
    tls: Option<bool>,
    cert: Option<Pem>,
    key: Option<Pem>,
    ca: Option<Pem>,
    server_name: Option<String>,
    grpc_meta: Vec<(String, String)>,
}

/// A certificate or key, and which setting names it.
#[derive(Clone, Debug)]
enum Pem {
    Path(PathBuf, &'static str),
    Data(String),
}

impl Pem {
    fn of(path: Option<PathBuf>, data: Option<String>, setting: &'static str) -> Option<Self> {
        path.map(|path| Pem::Path(path, setting))
            .or(data.map(Pem::Data))
    }

    fn read(self) -> Result<Vec<u8>, SettingError> {
        match self {
            Pem::Data(data) => Ok(data.into_bytes()),
            Pem::Path(path, setting) => std::fs::read(&path).map_err(|error| {
                SettingError::new(format!(
                    "cannot read `{}`, which {setting} names: {error}",
                    path.display()
                ))
            }),
        }
    }
}

impl Layer {
    fn of_flags(flags: &ConnectionArgs) -> Self {
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
            grpc_meta: flags.grpc_meta,
        }
    }

    fn of_variables(environment: &Environment) -> Result<Self, SettingError> {
        let text = |name: &str| environment.variable(name).map(str::to_owned);
        let path = |name: &str| environment.variable(name).map(PathBuf::from);
        let tls = match environment
            .variable("TEMPORAL_TLS")
            .map(str::to_ascii_lowercase)
            .as_deref()
        {
            None => None,
            Some("1" | "true") => Some(true),
            Some("0" | "false") => Some(false),
            Some(other) => {
                return Err(SettingError::new(format!(
                    "TEMPORAL_TLS is `{other}`; write `true` or `false`"
                )));
            }
        };
        if matches!(
            environment.variable("TEMPORAL_TLS_DISABLE_HOST_VERIFICATION"),
            Some("1" | "true")
        ) {
            return Err(no_host_verification(
                "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION",
            ));
        }
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
            grpc_meta: meta.collect(),
        })
    }

    fn of_profile(profile: Profile) -> Result<Self, SettingError> {
        let has_tls = profile.tls.is_some();
        let tls: ProfileTls = profile.tls.unwrap_or_default();
        if tls.disable_host_verification {
            return Err(no_host_verification(
                "the profile's tls.disable_host_verification",
            ));
        }
        if profile
            .codec
            .and_then(|codec| codec.endpoint)
            .is_some_and(|endpoint| !endpoint.is_empty())
        {
            return Err(SettingError::new(
                "the profile names a codec server (codec.endpoint), which is not supported: arguments would be sent unencoded",
            ));
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
            grpc_meta: profile.grpc_meta.into_iter().collect(),
        })
    }

    /// This layer, with what it leaves open taken from `below`.
    fn over(self, below: Layer) -> Layer {
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
            grpc_meta,
        }
    }
}

fn no_host_verification(setting: &str) -> SettingError {
    SettingError::new(format!(
        "{setting} is set, and connecting without host verification is not supported"
    ))
}

/// Resolves the connection settings.
pub(crate) fn connection(
    flags: &ConnectionArgs,
    global: &GlobalArgs,
    environment: &Environment,
    invocation_id: &str,
) -> Result<Connection, SettingError> {
    let empty = Environment::default();
    let variables = if global.disable_config_env {
        &empty
    } else {
        environment
    };
    let profile = profile(global, environment, variables)?;
    let layer = Layer::of_flags(flags)
        .over(Layer::of_variables(variables)?)
        .over(Layer::of_profile(profile)?);
    let wants_tls = layer.api_key.is_some()
        || layer.cert.is_some()
        || layer.key.is_some()
        || layer.ca.is_some()
        || layer.server_name.is_some();
    let tls = if layer.tls.unwrap_or(wants_tls) {
        let client = match (layer.cert, layer.key) {
            (Some(cert), Some(key)) => Some((cert.read()?, key.read()?)),
            (None, None) => None,
            _ => {
                return Err(SettingError::new(
                    "a TLS client needs both a certificate and a key (--tls-cert-path, --tls-key-path)",
                ));
            }
        };
        Some(Tls {
            ca: layer.ca.map(Pem::read).transpose()?,
            client,
            server_name: layer.server_name,
        })
    } else {
        None
    };
    let namespace = layer.namespace.unwrap_or_else(|| "default".to_owned());
    let address = layer.address.unwrap_or_else(|| "localhost:7233".to_owned());
    Ok(Connection {
        address: address.replace("${namespace}", &namespace),
        namespace,
        identity: flags
            .identity
            .clone()
            .unwrap_or_else(|| identity(environment, invocation_id)),
        tls,
        api_key: layer.api_key,
        grpc_meta: layer
            .grpc_meta
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect(),
        connect_timeout: global
            .client_connect_timeout
            .filter(|limit| !limit.is_zero())
            .unwrap_or(Duration::from_secs(10)),
    })
}

/// The profile that is asked for. A default that does not exist is empty; a named one must exist.
fn profile(
    global: &GlobalArgs,
    environment: &Environment,
    variables: &Environment,
) -> Result<Profile, SettingError> {
    let name = global
        .profile
        .as_deref()
        .or(variables.variable("TEMPORAL_PROFILE"));
    if global.disable_config_file {
        return match &global.profile {
            Some(name) => Err(SettingError::new(format!(
                "--profile {name} cannot be read with --disable-config-file"
            ))),
            None => Ok(Profile::default()),
        };
    }
    let given = global.config_file.clone().or(variables
        .variable("TEMPORAL_CONFIG_FILE")
        .map(PathBuf::from));
    let path = match given.clone().or_else(|| default_config_file(environment)) {
        Some(path) => path,
        None => return Ok(Profile::default()),
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error)
            if error.kind() == std::io::ErrorKind::NotFound
                && given.is_none()
                && name.is_none() =>
        {
            return Ok(Profile::default());
        }
        Err(error) => {
            return Err(SettingError::new(format!(
                "cannot read the configuration file `{}`: {error}",
                path.display()
            )));
        }
    };
    let mut file = config::parse(&text).map_err(|error| {
        SettingError::new(format!(
            "the configuration file `{}` cannot be used: {error}",
            path.display()
        ))
    })?;
    match file.profile.remove(name.unwrap_or("default")) {
        Some(profile) => Ok(profile),
        None => match name {
            None => Ok(Profile::default()),
            Some(name) => {
                let known: Vec<&str> = file.profile.keys().map(String::as_str).collect();
                Err(SettingError::new(format!(
                    "there is no profile `{name}` in `{}`; it has: {}",
                    path.display(),
                    known.join(", ")
                )))
            }
        },
    }
}

/// Where the `temporal` CLI keeps its configuration: Go's `os.UserConfigDir`.
fn default_config_file(environment: &Environment) -> Option<PathBuf> {
    let home = || environment.variable("HOME").map(PathBuf::from);
    let folder = if cfg!(target_os = "macos") {
        home()?.join("Library/Application Support")
    } else if cfg!(windows) {
        PathBuf::from(environment.variable("AppData")?)
    } else {
        match environment.variable("XDG_CONFIG_HOME") {
            Some(folder) if Path::new(folder).is_absolute() => PathBuf::from(folder),
            _ => home()?.join(".config"),
        }
    };
    Some(folder.join("temporalio").join("temporal.toml"))
}

/// `temporal-manifest:<user>@<host>:<invocation id>`. The invocation ID lets a later repeat tell
/// this invocation's runs from others.
fn identity(environment: &Environment, invocation_id: &str) -> String {
    let user = environment
        .variable("USER")
        .or(environment.variable("USERNAME"))
        .unwrap_or("unknown");
    let host = environment
        .variable("HOSTNAME")
        .map(str::to_owned)
        .or_else(host_name);
    format!(
        "{IDENTITY_PREFIX}{user}@{}:{invocation_id}",
        host.as_deref().unwrap_or("unknown")
    )
}

fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
