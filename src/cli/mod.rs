//! The person at the command line: flags, settings, commands, exit codes.
//!
//! Belongs to the binary, so that the library cannot depend on it.

mod args;
mod commands;
mod environment;
mod exit;
mod output;
mod settings;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ContextValue;
use clap::{CommandFactory, Parser};
use temporal_manifest::visible;

use args::{Cli, Command, OutputFormat};
use environment::Environment;
use exit::Exit;

/// Parses the command line, runs the command, and returns the exit code.
///
/// A panic is a bug of ours. It ends as [`Exit::Internal`], so that a caller never takes it for
/// one of the outcomes that the other codes stand for.
pub(crate) fn main() -> ExitCode {
    let exit = std::panic::catch_unwind(|| {
        // What is to be completed is no command line yet.
        let mut words = std::env::args_os().skip(1);
        if words.next().is_some_and(|word| word == "__complete") {
            let words = words.map(|word| word.to_string_lossy().into_owned());
            return commands::completion::answer(words.collect(), Cli::command());
        }
        let environment = Environment::capture();
        match Cli::try_parse() {
            Ok(cli) => run(&cli, &environment),
            Err(error) => usage(error),
        }
    });
    // The panic has been told already.
    ExitCode::from(exit.unwrap_or(Exit::Internal).code())
}

fn run(cli: &Cli, environment: &Environment) -> Exit {
    output::start_log(cli.global.log_level, cli.global.log_format);
    match &cli.command {
        Command::Validate(args) => commands::validate::run(args, &cli.global, environment),
        Command::Render(args) => commands::render::run(args, &cli.global, environment),
        Command::Apply(args) => commands::apply::run(args, &cli.global, environment),
        Command::Report(args) => commands::report::run(args, &cli.global, environment),
        Command::Schema(args) => commands::schema::run(args),
        Command::Init => commands::init::run(),
        Command::Completion(args) => commands::completion::script(args, Cli::command()),
    }
}

/// Help and versions are data and no error; everything else is told on standard error, and as
/// JSON too if that was asked for.
fn usage(error: clap::Error) -> Exit {
    use clap::error::ErrorKind;
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        // A closed standard output is no reason to complain.
        let _ = error.print();
        return Exit::Success;
    }
    let error = with_visible_words(error);
    if !wants_json(std::env::args_os()) {
        let _ = error.print();
        return Exit::Usage;
    }
    let text = error.render().to_string();
    let mut paragraphs = text.trim().split("\n\n").map(str::trim);
    let message = paragraphs.next().unwrap_or_default();
    let message = message.trim_start_matches("error: ").replace("\n  ", " ");
    let help = paragraphs.find_map(|paragraph| paragraph.strip_prefix("tip: "));
    let json = Some(OutputFormat::Json);
    output::fail(json, Exit::Usage, "usage", &message, help)
}

/// An error whose words of the command line are visible.
fn with_visible_words(mut error: clap::Error) -> clap::Error {
    let shown = |text: &str| visible::line(text).into_owned();
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

/// Whether errors are wanted as JSON, from a command line that could not be parsed.
fn wants_json(words: impl Iterator<Item = OsString>) -> bool {
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into()).collect();
    let is_json = |value: &str| matches!(value, "json" | "jsonl");
    words.iter().enumerate().any(|(position, word)| {
        if matches!(word.as_str(), "-o" | "--output") {
            return words.get(position + 1).is_some_and(|next| is_json(next));
        }
        let value = word
            .strip_prefix("--output=")
            .or_else(|| Some(word.strip_prefix("-o")?.trim_start_matches('=')));
        value.is_some_and(is_json)
    })
}
