//! The person at the command line: flags, settings, commands, exit codes.
//!
//! Belongs to the binary, so that the library cannot depend on it.

mod args;
mod command_line;
mod commands;
mod environment;
mod exit;
mod failure;
mod help;
mod misspelt;
mod output;
mod report_files;
mod reporters;
mod settings;
mod signals;
mod threads;

use std::process::ExitCode;
use std::sync::Arc;

use clap::FromArgMatches;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use temporal_manifest::apply::refusal::Refusal;
use temporal_manifest::visible;

use args::{Cli, Command, OutputFormat};
use environment::Environment;
use exit::Exit;
use signals::Signals;

/// Parses the command line, runs the command, and returns the exit code.
///
/// A panic is a bug of ours. It ends as [`Exit::Internal`], so that a caller never takes it for
/// one of the outcomes that the other codes stand for.
pub(crate) fn main() -> ExitCode {
    let exit = std::panic::catch_unwind(|| {
        let signals = Signals::listen();
        // What is to be completed is no command line yet.
        let mut words = std::env::args_os().skip(1);
        if words.next().is_some_and(|word| word == "__complete") {
            let words = words.map(|word| word.to_string_lossy().into_owned());
            return commands::completion::answer(words.collect(), help::command());
        }
        let environment = Environment::capture();
        let parsed = help::command().try_get_matches();
        match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
            Ok(cli) => run(&Arc::new(cli), &environment, &signals),
            Err(error) => usage(error),
        }
    });
    // The panic has been told already.
    ExitCode::from(exit.unwrap_or(Exit::Internal).code())
}

fn run(cli: &Arc<Cli>, environment: &Environment, signals: &Signals) -> Exit {
    signals.limit(cli, &environment.files_read);
    output::start_log(cli.global.log_level, cli.global.log_format);
    let ended = match &cli.command {
        Command::Validate(args) => commands::validate::run(args, &cli.global, environment),
        Command::Render(args) => commands::render::run(args, &cli.global, environment),
        Command::Apply(args) => commands::apply::run(args, &cli.global, environment, signals),
        Command::Report(args) => commands::report::run(args, &cli.global, environment),
        Command::Schema(args) => Ok(commands::schema::run(args)),
        Command::Init(args) => commands::init::run(args),
        Command::Completion(args) => Ok(commands::completion::script(args, help::command())),
    };
    ended.unwrap_or_else(|refusal| failure::show(&refusal, cli, environment))
}

/// Help and versions are data and no error; everything else is told on standard error, and as
/// JSON too if that was asked for.
fn usage(mut error: clap::Error) -> Exit {
    let words = command_line::words();
    if error.kind() == ErrorKind::DisplayHelp
        && let Some(text) = help::all_if_asked(&words)
    {
        return output::data(&text);
    }
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        // A closed standard output is no reason to complain.
        let _ = error.print();
        return Exit::Success;
    }
    misspelt::explain(&mut error, &words, &help::command());
    let error = with_visible_words(error);
    let text = error.render().to_string();
    let mut paragraphs = text.trim().split("\n\n").map(str::trim);
    let message = paragraphs.next().unwrap_or_default();
    let message = message.trim_start_matches("error: ").replace("\n  ", " ");
    let help = paragraphs.find_map(|paragraph| paragraph.strip_prefix("tip: "));
    let refusal = Refusal {
        help: help.map(str::to_owned),
        ..Refusal::usage(message)
    };
    if command_line::wants_json(&words) {
        failure::error(&refusal, Some(OutputFormat::Json));
    } else {
        let _ = error.print();
    }
    report_files::replace_unparsed(&words, &failure::document(&refusal));
    Exit::Usage
}

/// Flags whose values are not repeated when they are wrong.
const MAY_HOLD_SECRETS: [&str; 7] = [
    "--grpc-meta",
    "--api-key",
    "--var",
    "--address",
    "--tls",
    "--codec",
    "--identity",
];

/// An error whose words of the command line are visible, and no secret.
fn with_visible_words(mut error: clap::Error) -> clap::Error {
    let hidden = unspeakable(&error);
    let shown = |text: &str| match &hidden {
        Some(word) => visible::line(&text.replace(word, "…")).into_owned(),
        None => visible::line(text).into_owned(),
    };
    let words: Vec<_> = error
        .context()
        .filter_map(|(kind, value)| match value {
            ContextValue::String(text) => Some((kind, ContextValue::String(shown(text)))),
            ContextValue::Strings(texts) => {
                let texts = texts.iter().map(|text| shown(text)).collect();
                Some((kind, ContextValue::Strings(texts)))
            }
            ContextValue::StyledStrs(texts) => {
                let texts = texts.iter().map(|text| shown(&text.to_string()).into());
                Some((kind, ContextValue::StyledStrs(texts.collect())))
            }
            _ => None,
        })
        .collect();
    for (kind, value) in words {
        error.insert(kind, value);
    }
    error
}

/// The word of the command line that an error would repeat and that may be a secret: the value of
/// such a flag, or what was taken for a flag and is none, such as a key of several lines.
fn unspeakable(error: &clap::Error) -> Option<String> {
    let text = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let (flag, value) = (
        text(ContextKind::InvalidArg),
        text(ContextKind::InvalidValue),
    );
    let is_flag = flag.starts_with('-')
        && !flag.starts_with("---")
        && flag
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if error.kind() == ErrorKind::UnknownArgument {
        return Some(flag).filter(|flag| flag.starts_with('-') && !is_flag);
    }
    let may_hold = MAY_HOLD_SECRETS.iter().any(|it| flag.starts_with(it));
    Some(value).filter(|value| may_hold && !value.is_empty())
}
