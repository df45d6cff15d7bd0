//! The `temporal` CLI's configuration files: profiles of `temporal.toml`, presets of `temporal.yaml`.

use std::io;
use std::path::{Path, PathBuf};

use temporal_manifest::client::config::{self, Preset, Profile};
use temporal_manifest::manifest::inputs::FilesRead;
use temporal_manifest::manifest::opened::{self, OpenError};

use super::SettingError;
use crate::cli::args::GlobalArgs;
use crate::cli::environment::Environment;

/// Largest configuration file that is read, in bytes.
const MAX_SETTINGS_BYTES: u64 = 16 * 1024 * 1024;

/// The profile that is asked for. A default that does not exist is empty; a named one must exist.
pub(super) fn profile(
    global: &GlobalArgs,
    environment: &Environment,
) -> Result<Profile, SettingError> {
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
    let text = match read_settings(&path, &environment.files_read) {
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
pub(super) fn preset(
    global: &GlobalArgs,
    environment: &Environment,
) -> Result<Preset, SettingError> {
    let name = global.env.as_deref().filter(|name| !name.is_empty());
    let name = name.or(environment.variable("TEMPORAL_ENV"));
    let given = global
        .env_file
        .clone()
        .or(environment.variable("TEMPORAL_ENV_FILE").map(PathBuf::from));
    let path = given.or_else(|| Some(config_folder(environment)?.join("temporal.yaml")));
    let read = |path| read_settings(path, &environment.files_read);
    let text = match path.as_deref().map(read) {
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
fn read_settings(path: &Path, read: &FilesRead) -> io::Result<String> {
    let bytes =
        opened::read_named(path, MAX_SETTINGS_BYTES, read).map_err(|error| match error {
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
    } else {
        match environment.variable("XDG_CONFIG_HOME") {
            Some(folder) if Path::new(folder).is_absolute() => PathBuf::from(folder),
            _ => home()?.join(".config"),
        }
    };
    Some(folder.join("temporalio"))
}
