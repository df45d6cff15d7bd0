//! What was typed, in the light of presets, variables and profiles: flag > preset > variable >
//! profile > built-in, resolved once. Only files that the settings name are read.
//!
//! That a preset goes before variables is what the `temporal` CLI does: it takes the preset's
//! settings as if they had been typed.

mod layer;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use temporal_manifest::apply::refusal::Refusal;
use temporal_manifest::client::config::{self, Preset, Profile};
use temporal_manifest::client::connect::{Connection, Tls};
use temporal_manifest::expand::identity::IdempotencyKey;
use temporal_manifest::expand::selection::{Selection, Shard};
use temporal_manifest::expand::{AllowedEnv, Invocation};
use temporal_manifest::manifest::opened::{self, OpenError};

use super::args::{ColorChoice, ConnectionArgs, GlobalArgs, SelectionArgs, ShardChoice};
use super::environment::Environment;
use layer::{Layer, Pem};

/// Largest configuration file that is read, in bytes.
const MAX_SETTINGS_BYTES: u64 = 16 * 1024 * 1024;

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

impl From<SettingError> for Refusal {
    fn from(error: SettingError) -> Self {
        Refusal::usage(error.message)
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
    const VARIABLE: &str = "TEMPORAL_MANIFEST_IDEMPOTENCY_KEY";
    // Unlike other variables: who sets it wants a key, and a random one would start twice.
    let variable = environment.variables.get(VARIABLE).map(String::as_str);
    let is_empty = |key: &str| key.trim().is_empty();
    match (flag, variable) {
        (Some(key), _) if is_empty(key) => {
            Err(SettingError::new("the idempotency key must not be empty"))
        }
        (None, Some(key)) if is_empty(key) => Err(SettingError::new(format!(
            "the idempotency key must not be empty, and {VARIABLE} is; unset it to have a random one"
        ))),
        (Some(key), _) | (None, Some(key)) => Ok(Some(IdempotencyKey::given(key))),
        (None, None) => Ok(None),
    }
}

/// Which starts are meant.
pub(crate) fn selection(
    flags: &SelectionArgs,
    environment: &Environment,
) -> Result<Selection, SettingError> {
    let shard = match flags.shard {
        None => None,
        Some(ShardChoice::Given(shard)) => Some(shard),
        Some(ShardChoice::Auto(of)) => Some(shard_of_job(of, environment)?),
    };
    Selection::new(&flags.select, shard)
        .map_err(|error| SettingError::new(format!("--select: {error}")))
}

/// The shard of a pod of a Kubernetes Indexed Job. Its index counts from 0.
/// Source: Kubernetes documentation, "Indexed Job".
fn shard_of_job(of: u32, environment: &Environment) -> Result<Shard, SettingError> {
    const INDEX: &str = "JOB_COMPLETION_INDEX";
    let index = environment.variable(INDEX).ok_or_else(|| {
        SettingError::new(format!("--shard auto/{of} needs {INDEX}, which is not set"))
    })?;
    let number = index
        .parse::<u32>()
        .ok()
        .and_then(|index| index.checked_add(1));
    number
        .and_then(|number| Shard::new(number, of))
        .ok_or_else(|| {
            SettingError::new(format!(
                "{INDEX} is `{index}`, and --shard auto/{of} takes 0 to {}",
                of - 1
            ))
        })
}

/// Variables that manifests may read, with their values.
pub(crate) fn allowed_env(names: &[String], environment: &Environment) -> AllowedEnv {
    let value = |name: &String| environment.variables.get(name).cloned();
    names
        .iter()
        .map(|name| (name.clone(), value(name)))
        .collect()
}

/// A new invocation.
pub(crate) fn invocation() -> Invocation {
    Invocation {
        id: Uuid::new_v4().to_string(),
        started_at: Timestamp::now(),
    }
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
    let profile = profile(global, environment)?;
    // Presets are older than the flags that disable configuration, and not subject to them.
    let preset = preset(global, environment)?;
    let configured = Layer::of_variables(variables)?.over(Layer::of_profile(profile)?);
    let layer = Layer::of_flags(flags)
        .over(Layer::of_preset(preset)?)
        .over(configured.without_empty());
    let wants_tls = layer.api_key.is_some()
        || layer.cert.is_some()
        || layer.key.is_some()
        || layer.ca.is_some()
        || layer.server_name.is_some()
        || layer.unverified == Some(true);
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
            unverified: layer.unverified.unwrap_or(false),
        })
    } else {
        None
    };
    let namespace = layer.namespace.unwrap_or_else(|| "default".to_owned());
    let address = layer.address.unwrap_or_else(|| "localhost:7233".to_owned());
    // How gRPC spells the resolver that is used anyway.
    let address = address.strip_prefix("dns:///").unwrap_or(&address);
    Ok(Connection {
        address: address.replace("${namespace}", &namespace),
        namespace,
        identity: layer
            .identity
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
fn profile(global: &GlobalArgs, environment: &Environment) -> Result<Profile, SettingError> {
    // The CLI finds file and profile by these variables also where it reads no others.
    let name = global
        .profile
        .as_deref()
        .or(environment.variable("TEMPORAL_PROFILE"));
    if global.disable_config_file {
        return match &global.profile {
            Some(name) => Err(SettingError::new(format!(
                "--profile {name} cannot be read with --disable-config-file"
            ))),
            None => Ok(Profile::default()),
        };
    }
    let given = global.config_file.clone().or(environment
        .variable("TEMPORAL_CONFIG_FILE")
        .map(PathBuf::from));
    let path = match given.clone().or_else(|| default_config_file(environment)) {
        Some(path) => path,
        None => return Ok(Profile::default()),
    };
    let text = match read_settings(&path) {
        Ok(text) => text,
        Err(error)
            if error.kind() == io::ErrorKind::NotFound && given.is_none() && name.is_none() =>
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
            Some(name) => Err(SettingError::new(format!(
                "there is no profile `{name}` in `{}`; {}",
                path.display(),
                known(file.profile.keys())
            ))),
        },
    }
}

/// The preset that is asked for. A default that does not exist is empty; a named one must exist.
fn preset(global: &GlobalArgs, environment: &Environment) -> Result<Preset, SettingError> {
    let name = global.env.as_deref().filter(|name| !name.is_empty());
    let name = name.or(environment.variable("TEMPORAL_ENV"));
    let given = global
        .env_file
        .clone()
        .or(environment.variable("TEMPORAL_ENV_FILE").map(PathBuf::from));
    let path = given.or_else(|| Some(config_folder(environment)?.join("temporal.yaml")));
    let text = match path.as_deref().map(read_settings) {
        None => String::new(),
        Some(Ok(text)) => text,
        Some(Err(error)) if error.kind() == io::ErrorKind::NotFound && name.is_none() => {
            String::new()
        }
        Some(Err(error)) => {
            return Err(SettingError::new(format!(
                "cannot read the environment file `{}`: {error}",
                path.unwrap_or_default().display()
            )));
        }
    };
    let path = path.unwrap_or_default();
    let mut presets = config::parse_presets(&text).map_err(|error| {
        SettingError::new(format!(
            "the environment file `{}` cannot be used: {error}",
            path.display()
        ))
    })?;
    match (presets.remove(name.unwrap_or("default")), name) {
        (Some(preset), _) => Ok(preset),
        (None, None) => Ok(Preset::default()),
        (None, Some(name)) => Err(SettingError::new(format!(
            "there is no environment `{name}` in `{}`; {}",
            path.display(),
            known(presets.keys())
        ))),
    }
}

/// Reads a file of settings as text.
fn read_settings(path: &Path) -> io::Result<String> {
    let bytes = opened::read_named(path, MAX_SETTINGS_BYTES).map_err(|error| match error {
        OpenError::Io(error) => error,
        other => io::Error::other(other),
    })?;
    String::from_utf8(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

/// The names that could have been meant.
fn known<'n>(names: impl Iterator<Item = &'n String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() {
        "it has none".to_owned()
    } else {
        format!("it has: {}", names.join(", "))
    }
}

/// Where the `temporal` CLI keeps its profiles.
fn default_config_file(environment: &Environment) -> Option<PathBuf> {
    Some(config_folder(environment)?.join("temporal.toml"))
}

/// Where the `temporal` CLI keeps its configuration: Go's `os.UserConfigDir`.
fn config_folder(environment: &Environment) -> Option<PathBuf> {
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
    Some(folder.join("temporalio"))
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
        "temporal-manifest:{user}@{}:{invocation_id}",
        host.as_deref().unwrap_or("unknown")
    )
}

fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    use crate::cli::args::{Cli, Command};

    /// The connection that a command line comes to in these surroundings.
    fn resolve(words: &[&str], variables: &[(&str, &str)]) -> Result<Connection, String> {
        let words = ["temporal-manifest", "apply", "x.yaml"].iter().chain(words);
        let cli = Cli::try_parse_from(words).expect("the test's flags exist");
        let Command::Apply(apply) = &cli.command else {
            panic!("apply was typed");
        };
        let environment = Environment {
            variables: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..Environment::default()
        };
        connection(&apply.connection, &cli.global, &environment, "id")
            .map_err(|error| error.to_string())
    }

    /// A home with a `temporal.yaml` and a `temporal.toml` in it.
    fn home() -> tempfile::TempDir {
        let home = tempfile::tempdir().expect("a temporary folder can be made");
        let folder = home.path().join(".config/temporalio");
        std::fs::create_dir_all(&folder).expect("folders can be made");
        let presets = "env:\n  old: {namespace: preset, tls: false, api-key: 7, workflow-id: other}\n  half: {address: 'preset:1'}\n";
        std::fs::write(folder.join("temporal.yaml"), presets).expect("files can be written");
        let profiles = "[profile.default]\nnamespace = \"default-profile\"\n[profile.new]\naddress = \"profile:1\"\nnamespace = \"profile\"\n";
        std::fs::write(folder.join("temporal.toml"), profiles).expect("files can be written");
        home
    }

    #[test]
    fn flags_go_before_presets_before_variables_before_profiles() {
        let home = home();
        let home = ("HOME", home.path().to_str().expect("a plain name"));
        let variable = ("TEMPORAL_NAMESPACE", "variable");
        let old = ("TEMPORAL_ENV", "old");
        type Row<'r> = (&'r [&'r str], &'r [(&'r str, &'r str)], &'r str);
        let table: &[Row<'_>] = &[
            (&["-n", "flag", "--env", "old"], &[variable], "flag"),
            (&["--env", "old", "--profile", "new"], &[variable], "preset"),
            (&[], &[variable, old], "preset"),
            (&["--env", "half"], &[variable, old], "variable"),
            (&["--profile", "new"], &[variable], "variable"),
            (&["--profile", "new"], &[], "profile"),
            (&[], &[("TEMPORAL_PROFILE", "new")], "profile"),
            (&[], &[("TEMPORAL_PROFILE", "")], "default-profile"),
            (&["--disable-config-file"], &[], "default"),
            (&["--disable-config-file"], &[variable], "variable"),
            (&["--disable-config-env"], &[variable], "default-profile"),
            (&["--disable-config-env"], &[variable, old], "preset"),
            (
                &["--disable-config-env", "--disable-config-file"],
                &[variable],
                "default",
            ),
        ];
        for (words, variables, namespace) in table {
            let variables: Vec<_> = [home].iter().chain(*variables).copied().collect();
            let resolved = resolve(words, &variables).expect("the settings make sense");
            assert_eq!(&resolved.namespace, namespace, "{words:?} {variables:?}");
        }
        let mixed = resolve(&["--env", "half", "--profile", "new"], &[home]);
        let mixed = mixed.expect("the settings make sense");
        assert_eq!(
            (mixed.address.as_str(), mixed.namespace.as_str()),
            ("preset:1", "profile")
        );
    }

    #[test]
    fn presets_turn_tls_off_and_take_numbers_as_text() {
        let home = home();
        let home = ("HOME", home.path().to_str().expect("a plain name"));
        let resolved = resolve(&["--env", "old"], &[home]).expect("the settings make sense");
        assert_eq!(resolved.api_key.as_deref(), Some("7"));
        assert!(resolved.tls.is_none());
    }

    #[test]
    fn missing_names_are_told_with_those_there_are() {
        let home = home();
        let home = ("HOME", home.path().to_str().expect("a plain name"));
        let error = resolve(&["--env", "nosuch"], &[home]).expect_err("it is missing");
        assert!(error.contains("no environment `nosuch`"), "{error}");
        assert!(error.ends_with("it has: half, old"), "{error}");
        let error = resolve(&["--profile", "nosuch"], &[home]).expect_err("it is missing");
        assert!(error.ends_with("it has: default, new"), "{error}");
    }

    #[test]
    fn missing_files_matter_only_when_a_name_is_given() {
        resolve(&["--env-file", "/nonexistent.yaml"], &[]).expect("as the CLI has it");
        let error = resolve(&["--env-file", "/nonexistent.yaml", "--env", "a"], &[]);
        let error = error.expect_err("the name cannot be found");
        assert!(error.contains("/nonexistent.yaml"), "{error}");
    }

    #[test]
    fn bad_settings_name_where_they_come_from() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let file = folder.path().join("temporal.yaml");
        let path = file.to_str().expect("a plain name");
        let words = ["--env-file", path, "--env", "a"];
        for (text, part) in [
            ("env: {a: {tls: maybe}}", "tls is no boolean"),
            ("env: {a: {grpc-meta: nonsense}}", "write KEY=VALUE"),
            (
                "env: {a: {codec-endpoint: 'http://localhost'}}",
                "codec server",
            ),
            ("env: {a: {address: [1]}}", "plain text"),
            ("env: [", path),
        ] {
            std::fs::write(&file, text).expect("files can be written");
            let error = resolve(&words, &[]).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
        let codec = [("TEMPORAL_CODEC_ENDPOINT", "http://localhost")];
        let error = resolve(&[], &codec).expect_err("arguments would be sent unencoded");
        assert!(error.contains("TEMPORAL_CODEC_ENDPOINT"), "{error}");
        let error = resolve(&[], &[("TEMPORAL_TLS", "maybe")]).expect_err("not a boolean");
        assert!(error.contains("TEMPORAL_TLS is no boolean"), "{error}");
    }
}
