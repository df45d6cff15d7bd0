//! Where the Temporal Service is and how it is spoken to.

use temporal_manifest::client::connect::{Connection, Tls};
use temporal_manifest::manifest::inputs::FilesRead;

use super::SettingError;
use super::layer::Layer;
use super::profile::{preset, profile};
use crate::cli::args::{ConnectionArgs, GlobalArgs};
use crate::cli::environment::Environment;

/// Resolves the connection settings.
pub(crate) fn connection(
    flags: &ConnectionArgs,
    global: &GlobalArgs,
    environment: &Environment,
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
    let mut layer = Layer::of_flags(flags)
        .over(Layer::of_preset(preset)?)
        .over(configured.without_empty());
    let tls = tls(&mut layer, &environment.files_read)?;
    let namespace = layer.namespace.unwrap_or_else(|| "default".to_owned());
    let address = layer.address.unwrap_or_else(|| "localhost:7233".to_owned());
    // How gRPC spells the resolver that is used anyway.
    let address = address.strip_prefix("dns:///").unwrap_or(&address);
    Ok(Connection {
        address: address.replace("${namespace}", &namespace),
        namespace,
        identity: layer.identity.unwrap_or_else(|| identity(environment)),
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
            .unwrap_or(Connection::CONNECT_TIMEOUT),
    })
}

/// How TLS is spoken, if it is: where anything about it is set, unless it is turned off.
fn tls(layer: &mut Layer, read: &FilesRead) -> Result<Option<Tls>, SettingError> {
    let wants_tls = layer.api_key.is_some()
        || layer.cert.is_some()
        || layer.key.is_some()
        || layer.ca.is_some()
        || layer.server_name.is_some()
        || layer.unverified == Some(true);
    if !layer.tls.unwrap_or(wants_tls) {
        return Ok(None);
    }
    let client = match (layer.cert.take(), layer.key.take()) {
        (Some(cert), Some(key)) => Some((cert.read(read)?, key.read(read)?)),
        (None, None) => None,
        _ => {
            return Err(SettingError::new(
                "a TLS client needs both a certificate and a key (--tls-cert-path, --tls-key-path)",
            ));
        }
    };
    Ok(Some(Tls {
        ca: layer.ca.take().map(|ca| ca.read(read)).transpose()?,
        client,
        server_name: layer.server_name.take(),
        unverified: layer.unverified.unwrap_or(false),
    }))
}

/// `temporal-manifest:<user>@<host>:<invocation id>`. The invocation ID lets a later repeat tell
/// this invocation's runs from others.
fn identity(environment: &Environment) -> String {
    let user = environment
        .variable("USER")
        .or(environment.variable("USERNAME"))
        .unwrap_or("unknown");
    let host = environment
        .variable("HOSTNAME")
        .or(environment.host_name.as_deref())
        .unwrap_or("unknown");
    let id = &environment.invocation_id;
    format!("temporal-manifest:{user}@{host}:{id}")
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
        connection(&apply.connection, &cli.global, &environment).map_err(|error| error.to_string())
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
