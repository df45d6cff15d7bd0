//! What was typed, as clap sees it; no defaults are decided here.

mod values;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, Args, Parser, Subcommand};

use temporal_manifest::apply::settings::MaxFailures;

pub(crate) use values::{
    ColorChoice, FileFormat, LogFormat, LogLevel, OutputFormat, ReportFile, SchemaName, ShardChoice,
};
use values::{
    parse_duration, parse_max_failures, parse_pair, parse_rate, parse_report, parse_shard,
};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Applies YAML manifests of Workflow starts to a Temporal Service.
#[derive(Debug, Parser)]
#[command(
    name = "temporal-manifest",
    version,
    styles = STYLES,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 every start is in the wanted state, 2 usage, 3 manifest invalid, 4 some starts \
                  failed, 5 no connection or refused, 6 starts unknown (repeat with the same key), 7 a Workflow \
                  did not complete, 8 report not written, 9 Workflows still running, 130/143 interrupted."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check manifests without any network
    #[command(override_usage = "temporal-manifest validate [OPTIONS] <PATH>...")]
    Validate(ValidateArgs),
    /// Print every start after defaults, without any network
    #[command(override_usage = "temporal-manifest render [OPTIONS] <PATH>...")]
    Render(RenderArgs),
    /// Start the Workflows and report what happened
    #[command(override_usage = "temporal-manifest apply [OPTIONS] <PATH>...")]
    Apply(Box<ApplyArgs>),
    /// Render the report of journals again
    #[command(override_usage = "temporal-manifest report [OPTIONS] <JOURNAL>...")]
    Report(ReportArgs),
    /// Print a JSON Schema
    Schema(SchemaArgs),
    /// Print a commented manifest to start from, or write it to a file
    Init(InitArgs),
    /// Print a completion script for a shell
    Completion(CompletionArgs),
}

/// The heading of options that every command has, in the help that shows everything.
pub(crate) const GLOBAL: &str = "Global options";

/// The heading of options about the Temporal Service, in the help that shows everything.
pub(crate) const CONNECTION: &str = "Connection options";

/// Options of every command, named as the `temporal` CLI names them.
#[derive(Debug, Default, Args)]
pub(crate) struct GlobalArgs {
    /// Form of the data on standard output
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT")]
    pub(crate) output: Option<OutputFormat>,
    /// When colours are used [default: auto]
    #[arg(long, global = true, value_enum, value_name = "WHEN", help_heading = GLOBAL)]
    pub(crate) color: Option<ColorChoice>,
    /// What is logged to standard error [default: never]
    #[arg(long, global = true, value_enum, value_name = "LEVEL", help_heading = GLOBAL)]
    pub(crate) log_level: Option<LogLevel>,
    /// Form of the log [default: text]
    #[arg(long, global = true, value_enum, value_name = "FORMAT", help_heading = GLOBAL)]
    pub(crate) log_format: Option<LogFormat>,
    /// Accepted as the `temporal` CLI's own; times are always ISO 8601 here
    #[arg(long, global = true, value_name = "FORMAT", hide = true)]
    pub(crate) time_format: Option<String>,
    /// Accepted as the `temporal` CLI's own; results are always shown as JSON here
    #[arg(long, global = true, hide = true)]
    pub(crate) no_json_shorthand_payloads: bool,
    /// Longest time for the whole command
    #[arg(long, global = true, value_name = "DURATION", value_parser = parse_duration, help_heading = GLOBAL)]
    pub(crate) command_timeout: Option<Duration>,
    /// Longest time for a connection to be made [default: 10s]
    #[arg(long, global = true, value_name = "DURATION", value_parser = parse_duration, help_heading = CONNECTION)]
    pub(crate) client_connect_timeout: Option<Duration>,
    /// Configuration profile of temporal.toml [env: TEMPORAL_PROFILE] [default: default]
    #[arg(long, global = true, value_name = "NAME", help_heading = CONNECTION)]
    pub(crate) profile: Option<String>,
    /// Path of temporal.toml [env: TEMPORAL_CONFIG_FILE]
    #[arg(long, global = true, value_name = "PATH", help_heading = CONNECTION)]
    pub(crate) config_file: Option<PathBuf>,
    /// Preset of temporal.yaml, the CLI's older configuration; goes before variables
    /// [env: TEMPORAL_ENV] [default: default]
    #[arg(long, global = true, value_name = "NAME", help_heading = CONNECTION)]
    pub(crate) env: Option<String>,
    /// Path of temporal.yaml [env: TEMPORAL_ENV_FILE]
    #[arg(long, global = true, value_name = "PATH", help_heading = CONNECTION)]
    pub(crate) env_file: Option<PathBuf>,
    /// Read no temporal.toml
    #[arg(long, global = true, help_heading = CONNECTION)]
    pub(crate) disable_config_file: bool,
    /// Read no TEMPORAL_* variables but those that name a file, a profile or a preset
    #[arg(long, global = true, help_heading = CONNECTION)]
    pub(crate) disable_config_env: bool,
    /// Print help with all options: also connection options (--address, -n/--namespace, --api-key,
    /// --tls, --profile, ...) and global ones (--color, --log-level, --command-timeout, ...)
    #[arg(long, global = true, action = ArgAction::Help)]
    pub(crate) help_all: Option<bool>,
}

/// Which manifests.
#[derive(Debug, Args)]
pub(crate) struct PathArgs {
    /// Manifest files, folders (recursive: *.yaml, *.yml, *.json), or - for standard input
    #[arg(value_name = "PATH", required_unless_present = "file")]
    pub(crate) paths: Vec<PathBuf>,
    /// The same as PATH
    #[arg(short, long, value_name = "PATH")]
    pub(crate) file: Vec<PathBuf>,
    /// Set a variable that manifests declare under `vars`, in the declared type; repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_pair)]
    pub(crate) var: Vec<(String, String)>,
    /// Set variables from a YAML or JSON file with a map; repeatable, and --var goes before it
    #[arg(long, value_name = "FILE")]
    pub(crate) var_file: Vec<PathBuf>,
    /// Let expressions read an environment variable as `env.NAME`; repeatable
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_env: Vec<String>,
    /// Leave out what matches of folders, such as 'kustomization.yaml' or 'overlays/**'; repeatable
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Let files that manifests name lie outside of the manifest's folder
    #[arg(long)]
    pub(crate) allow_outside: bool,
}

/// Which of their starts.
#[derive(Debug, Default, Args)]
pub(crate) struct SelectionArgs {
    /// Only starts whose name or Workflow ID matches, such as 'bill-*'; repeatable
    #[arg(long, value_name = "GLOB")]
    pub(crate) select: Vec<String>,
    /// Only this part of N, by a hash of the Workflow ID; auto/N takes I from
    /// JOB_COMPLETION_INDEX, which counts from 0
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    pub(crate) shard: Option<ShardChoice>,
}

impl PathArgs {
    pub(crate) fn all(&self) -> Vec<PathBuf> {
        self.paths.iter().chain(&self.file).cloned().collect()
    }
}

#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    #[command(flatten)]
    pub(crate) paths: PathArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RenderArgs {
    #[command(flatten)]
    pub(crate) paths: PathArgs,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Key that generated Workflow IDs depend on; without it they are left out
    /// [env: TEMPORAL_MANIFEST_IDEMPOTENCY_KEY]
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
}

#[derive(Debug, Args)]
// The journal of an apply to go on with may say that it waits.
#[command(group(clap::ArgGroup::new("waits").args(["wait", "resume"]).multiple(true)))]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    pub(crate) paths: PathArgs,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Most starts in flight [default: 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) parallelism: Option<u16>,
    /// Most starts per second [default: as many as the service takes]
    #[arg(long, value_name = "R", value_parser = parse_rate)]
    pub(crate) rate: Option<f64>,
    /// How long one start is tried [default: 5m]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) retry_for: Option<Duration>,
    /// Make a start fail if its Workflow exists already
    #[arg(long)]
    pub(crate) fail_existing: bool,
    /// Key that makes the apply repeatable: the same key starts nothing twice
    /// [env: TEMPORAL_MANIFEST_IDEMPOTENCY_KEY] [default: a new random one]
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// Most starts that may fail, as a number or a share such as 5%, before no further one is made
    /// [default: all]
    #[arg(long, value_name = "N|P%", value_parser = parse_max_failures)]
    pub(crate) max_failures: Option<MaxFailures>,
    /// Keep a journal in this new file, to go on from after an interruption
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub(crate) journal: Option<PathBuf>,
    /// Go on with the apply that this journal is about: leave out what is finished
    #[arg(long, value_name = "JOURNAL")]
    pub(crate) resume: Option<PathBuf>,
    /// Write the report to a file too; FORMAT is json. Repeatable
    #[arg(long, value_name = "FORMAT=FILE", value_parser = parse_report)]
    pub(crate) report: Vec<ReportFile>,
    /// Wait for the Workflows and collect their results
    #[arg(long)]
    pub(crate) wait: bool,
    /// Longest time to wait after the last start
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, requires = "waits")]
    pub(crate) wait_timeout: Option<Duration>,
    /// Leave results out of all output
    #[arg(long)]
    pub(crate) hide_results: bool,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

/// Where the Temporal Service is, named as the `temporal` CLI names it.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = CONNECTION)]
pub(crate) struct ConnectionArgs {
    /// Host and port of the Temporal Service's frontend
    /// [env: TEMPORAL_ADDRESS] [default: localhost:7233]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) address: Option<String>,
    /// Namespace of the starts [env: TEMPORAL_NAMESPACE] [default: default]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Identity that shows in histories [default: temporal-manifest:<user>@<host>:<invocation id>]
    #[arg(long, value_name = "TEXT")]
    pub(crate) identity: Option<String>,
    /// API key; turns TLS on. Every user of the machine sees it in the list of processes: the
    /// variable is safer [env: TEMPORAL_API_KEY]
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) api_key: Option<String>,
    /// Use TLS; on if an API key or another TLS option is set [env: TEMPORAL_TLS]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) tls: Option<bool>,
    /// Path of the client's certificate [env: TEMPORAL_TLS_CLIENT_CERT_PATH]
    #[arg(long, value_name = "PATH", conflicts_with = "tls_cert_data")]
    pub(crate) tls_cert_path: Option<PathBuf>,
    /// The client's certificate [env: TEMPORAL_TLS_CLIENT_CERT_DATA]
    #[arg(long, value_name = "PEM", allow_hyphen_values = true)]
    pub(crate) tls_cert_data: Option<String>,
    /// Path of the client's private key [env: TEMPORAL_TLS_CLIENT_KEY_PATH]
    #[arg(long, value_name = "PATH", conflicts_with = "tls_key_data")]
    pub(crate) tls_key_path: Option<PathBuf>,
    /// The client's private key [env: TEMPORAL_TLS_CLIENT_KEY_DATA]
    #[arg(long, value_name = "PEM", allow_hyphen_values = true)]
    pub(crate) tls_key_data: Option<String>,
    /// Path of the CA certificate that the server's is checked against
    /// [env: TEMPORAL_TLS_SERVER_CA_CERT_PATH] [default: the system's]
    #[arg(long, value_name = "PATH", conflicts_with = "tls_ca_data")]
    pub(crate) tls_ca_path: Option<PathBuf>,
    /// The CA certificate [env: TEMPORAL_TLS_SERVER_CA_CERT_DATA]
    #[arg(long, value_name = "PEM", allow_hyphen_values = true)]
    pub(crate) tls_ca_data: Option<String>,
    /// Name that the server's certificate must have [env: TEMPORAL_TLS_SERVER_NAME]
    #[arg(long, value_name = "NAME")]
    pub(crate) tls_server_name: Option<String>,
    /// Take any certificate from the server: no protection against a false server
    /// [env: TEMPORAL_TLS_DISABLE_HOST_VERIFICATION]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) tls_disable_host_verification: Option<bool>,
    /// gRPC metadata of every call; repeatable [env: TEMPORAL_GRPC_META_<KEY>]
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_pair)]
    pub(crate) grpc_meta: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Journals of applies
    #[arg(value_name = "JOURNAL", required = true)]
    pub(crate) journals: Vec<PathBuf>,
    /// Make one report of the journals of all shards
    #[arg(long)]
    pub(crate) merge: bool,
    /// Leave results out of all output
    #[arg(long)]
    pub(crate) hide_results: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Which schema
    #[arg(value_enum, default_value_t = SchemaName::Manifest)]
    pub(crate) name: SchemaName,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// New file to write it to, instead of standard output
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// For which shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}
