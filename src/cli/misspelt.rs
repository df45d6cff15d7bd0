//! What is meant by options and commands that are not there: a near name, another command's
//! option, or the word of another program for it.

use clap::Command;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use temporal_manifest::manifest::spelling::nearest;

use super::help;

/// Says what is meant in place of clap's own suggestions, which also name hidden options.
pub(crate) fn explain(error: &mut clap::Error, words: &[String], root: &Command) {
    let kind = match error.kind() {
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
        _ => return,
    };
    let Some(ContextValue::String(unknown)) = error.get(kind) else {
        return;
    };
    let unknown = unknown.clone();
    let mut root = root.clone();
    root.build();
    let help = if kind == ContextKind::InvalidSubcommand {
        word_of_others(&unknown).or_else(|| {
            let names = root.get_subcommands().map(Command::get_name);
            nearest(&unknown, names).map(|name| format!("a similar command is `{name}`"))
        })
    } else {
        let typed = as_typed(&unknown, words);
        option_meant(&typed, help::named(words, &root), &root)
    };
    error.remove(ContextKind::SuggestedArg);
    error.remove(ContextKind::SuggestedSubcommand);
    error.remove(ContextKind::Suggested);
    if let Some(help) = help {
        let help = ContextValue::StyledStrs(vec![StyledStr::from(help)]);
        error.insert(ContextKind::Suggested, help);
    }
}

/// An option as it was typed, without its value. Of `-auto-approve`, with one dash as terraform
/// has it, clap names only `-a`.
fn as_typed(unknown: &str, words: &[String]) -> String {
    let is_short = !unknown.starts_with("--");
    let whole = words.iter().find(|word| {
        let rest = word.strip_prefix(unknown).unwrap_or_default();
        is_short && rest.len() > 1 && rest.starts_with(|c: char| c.is_ascii_lowercase())
    });
    let typed = whole.map_or(unknown, |word| word.as_str());
    typed.split('=').next().unwrap_or(typed).to_owned()
}

/// What is meant by an option of `command` that is not there.
fn option_meant(typed: &str, command: Option<&Command>, root: &Command) -> Option<String> {
    let long = |command: &Command, name: &str| {
        let mut options = command.get_arguments();
        options.any(|it| !it.is_hide_set() && it.get_long() == Some(name))
    };
    let name = typed.trim_start_matches('-');
    if let Some(command) = command
        && name.len() > 1
        && long(command, name)
    {
        return Some(format!("write `--{name}`"));
    }
    let of_others = root.get_subcommands().filter(|other| long(other, name));
    let of_others: Vec<String> = of_others.map(|it| format!("`{}`", it.get_name())).collect();
    if !of_others.is_empty() && name.len() > 1 {
        return Some(format!(
            "`--{name}` is an option of {}",
            of_others.join(", ")
        ));
    }
    word_of_others(typed).or_else(|| {
        let options = command.unwrap_or(root).get_arguments();
        let names = options
            .filter(|option| !option.is_hide_set())
            .filter_map(|option| option.get_long());
        nearest(name, names).map(|name| format!("a similar option is `--{name}`"))
    })
}

const NO_DRY_RUN: &str = "there is none yet; `validate` checks everything that can be known without the service, and \
                          `render` prints every start";
const PARALLEL: &str = "write `--parallelism N`: most starts in flight";
const WAIT: &str = "write `--wait`: it waits for the Workflows and collects their results";
const ASKS_NOTHING: &str = "leave it out: nothing is ever asked for";
const FORCE: &str = "leave it out: nothing is asked for; what happens to a Workflow that is there \
                     already is said by `idReusePolicy` and `idConflictPolicy` in the manifest";
const TIMEOUTS: &str = "write `--command-timeout` for the whole command, `--retry-for` for one \
                        start, or `--wait-timeout` for the waiting";
const RATE: &str = "write `--rate R`: most starts per second";
const VARS: &str = "write `--var NAME=VALUE` for a variable, or `--var-file FILE` for many";
const FORMAT: &str = "write `-o json`: one document, or `-o jsonl`: lines";
const QUIET: &str = "write `-o none`";
const LOG: &str = "write `--log-level info`, or `debug`";
const SELECT: &str = "write `--select GLOB`: only starts whose name or Workflow ID matches";
const ADDRESS: &str = "write `--address HOST:PORT`";
const FAILURES: &str = "write `--max-failures N`: how many starts may fail before no further one is \
                        made; 0 stops at the first, and without it all are tried";
const RETRIES: &str = "write `--retry-for DURATION`: how long one start is tried";
const JOURNAL: &str = "write `--journal FILE`, and `--resume FILE` to go on";
const NO_CODEC: &str = "a codec server is not supported";
const RECURSIVE: &str = "leave it out: folders are always read with what is below them";
const APPLY: &str = "write `apply`";
const VALIDATE: &str = "write `validate`";

/// What other programs call something, and what is meant here. `temporal`, kubectl, helm, terraform
/// and the usual words.
const WORDS: &[(&[&str], &str)] = &[
    (
        &[
            "dry-run",
            "dryrun",
            "server-dry-run",
            "plan",
            "diff",
            "check",
            "preview",
            "what-if",
            "noop",
            "no-op",
        ],
        NO_DRY_RUN,
    ),
    (&["lint", "verify", "test"], VALIDATE),
    (&["template", "show", "expand", "print"], "write `render`"),
    (
        &[
            "start", "run", "create", "execute", "submit", "up", "install", "deploy",
        ],
        APPLY,
    ),
    (&["version"], "write `--version`"),
    (
        &[
            "concurrency",
            "max-concurrency",
            "max-concurrent",
            "concurrent",
            "workers",
            "num-workers",
            "max-workers",
            "jobs",
            "threads",
            "max-parallel",
            "max-parallelism",
            "parallel",
            "max-in-flight",
            "j",
            "P",
            "c",
        ],
        PARALLEL,
    ),
    (
        &[
            "w",
            "watch",
            "follow",
            "tail",
            "wait-for-completion",
            "wait-for",
            "block",
            "sync",
        ],
        WAIT,
    ),
    (
        &[
            "yes",
            "y",
            "assume-yes",
            "auto-approve",
            "confirm",
            "no-input",
            "non-interactive",
            "interactive",
        ],
        ASKS_NOTHING,
    ),
    (
        &[
            "force",
            "overwrite",
            "replace",
            "force-conflicts",
            "upsert",
            "F",
        ],
        FORCE,
    ),
    (
        &["timeout", "request-timeout", "rpc-timeout", "deadline", "t"],
        TIMEOUTS,
    ),
    (
        &[
            "rps",
            "qps",
            "rate-limit",
            "max-rps",
            "max-rate",
            "starts-per-second",
            "throttle",
            "limit",
        ],
        RATE,
    ),
    (
        &[
            "vars",
            "vars-file",
            "values",
            "set",
            "set-string",
            "set-file",
            "tfvars",
            "variable",
            "variables",
            "var-files",
            "param",
            "params",
            "define",
        ],
        VARS,
    ),
    (
        &["env-var", "allow-envs", "env-vars"],
        "write `--allow-env NAME`, and `${{ env.NAME }}` in the manifest",
    ),
    (&["json", "format", "output-format", "yaml"], FORMAT),
    (&["quiet", "q", "silent", "s"], QUIET),
    (&["verbose", "v", "vv", "debug", "trace", "d"], LOG),
    (
        &["no-color", "no-colour", "colour"],
        "write `--color never`",
    ),
    (
        &[
            "filter",
            "only",
            "target",
            "selector",
            "l",
            "label-selector",
            "include",
            "match",
            "query",
        ],
        SELECT,
    ),
    (
        &[
            "host",
            "hostname",
            "endpoint",
            "server",
            "target-host",
            "frontend",
            "frontend-address",
            "server-address",
            "url",
        ],
        ADDRESS,
    ),
    (&["ns"], "write `--namespace NAME`"),
    (&["context", "kube-context"], "write `--profile NAME`"),
    (&["kubeconfig", "config"], "write `--config-file PATH`"),
    (&["token", "api-token"], "write `--api-key KEY`"),
    (
        &[
            "fail-fast",
            "stop-on-error",
            "continue-on-error",
            "keep-going",
            "k",
            "max-errors",
            "abort-on-failure",
        ],
        FAILURES,
    ),
    (
        &["retries", "max-retries", "retry", "max-attempts"],
        RETRIES,
    ),
    (&["state", "checkpoint", "state-file"], JOURNAL),
    (&["continue"], "write `--resume JOURNAL`"),
    (
        &["key", "idempotency", "request-id"],
        "write `--idempotency-key KEY`",
    ),
    (
        &["out", "output-file", "report-file", "junit", "results"],
        "write `--report json=FILE`",
    ),
    (
        &[
            "filename",
            "files",
            "manifest",
            "manifests",
            "dir",
            "folder",
        ],
        "name files and folders without an option, or write `--file PATH`",
    ),
    (&["recursive", "R", "r"], RECURSIVE),
    (&["codec-endpoint", "codec-auth", "codec-header"], NO_CODEC),
    (
        &["ca-file", "ca-cert", "cacert", "tls-ca"],
        "write `--tls-ca-path PATH`",
    ),
    (
        &["cert", "tls-cert", "client-cert"],
        "write `--tls-cert-path PATH`",
    ),
    (&["tls-key", "client-key"], "write `--tls-key-path PATH`"),
    (
        &["insecure", "insecure-skip-tls-verify"],
        "write `--tls-disable-host-verification`",
    ),
    (
        &["workflow-id", "id", "wid"],
        "write `workflowId` in the manifest; `--select GLOB` makes only the starts whose Workflow ID matches",
    ),
    (
        &["input-file", "i"],
        "write `args` in the manifest; `$payload` takes a file",
    ),
];

/// Flags of `temporal workflow start` that are fields of a start here.
const FIELDS: &[(&str, &str)] = &[
    ("type", "type"),
    ("task-queue", "taskQueue"),
    ("input", "args"),
    ("args", "args"),
    ("cron", "cronSchedule"),
    ("execution-timeout", "executionTimeout"),
    ("run-timeout", "runTimeout"),
    ("task-timeout", "taskTimeout"),
    ("workflow-timeout", "executionTimeout"),
    ("start-delay", "startDelay"),
    ("id-reuse-policy", "idReusePolicy"),
    ("id-conflict-policy", "idConflictPolicy"),
    ("memo", "memo"),
    ("search-attribute", "searchAttributes"),
    ("headers", "headers"),
    ("priority-key", "priority"),
    ("fairness-key", "priority"),
    ("fairness-weight", "priority"),
    ("static-summary", "staticSummary"),
    ("static-details", "staticDetails"),
    ("retry-policy", "retryPolicy"),
];

/// What the word of another program means here.
fn word_of_others(typed: &str) -> Option<String> {
    let name = typed.trim_start_matches('-');
    let name = name.replace('_', "-");
    if let Some((_, field)) = FIELDS.iter().find(|(flag, _)| *flag == name) {
        return Some(format!(
            "it is a field of a start: write `{field}` in the manifest"
        ));
    }
    let found = WORDS.iter().find(|(words, _)| words.contains(&&*name));
    found.map(|(_, help)| (*help).to_owned())
}
