//! The person at the command line: flags, settings, commands, exit codes.
//!
//! Belongs to the binary, so that the library cannot depend on it.

mod args;
mod commands;
mod environment;
mod exit;
mod output;
mod settings;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command, OutputFormat};
use environment::Environment;
use exit::Exit;

/// Parses the command line, runs the command, and returns the exit code.
///
/// A panic is a bug of ours. It ends as [`Exit::Internal`], so that a caller never takes it for
/// one of the outcomes that the other codes stand for.
pub(crate) fn main() -> ExitCode {
    let environment = Environment::capture();
    let exit = std::panic::catch_unwind(|| match Cli::try_parse() {
        Ok(cli) => run(&cli, &environment),
        Err(error) => usage(&error),
    });
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
        Command::Complete(args) => commands::completion::answer(args, Cli::command()),
    }
}

/// Help and versions are data and no error; everything else is told on standard error, and as
/// JSON too if that was asked for.
fn usage(error: &clap::Error) -> Exit {
    use clap::error::ErrorKind;
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        // A closed standard output is no reason to complain.
        let _ = error.print();
        return Exit::Success;
    }
    let words: Vec<String> = std::env::args().collect();
    let json = words
        .windows(2)
        .any(|pair| matches!(pair[0].as_str(), "-o" | "--output") && pair[1] == "json")
        || words
            .iter()
            .any(|word| word == "--output=json" || word == "-ojson");
    if json {
        let text = error.render().to_string();
        let message = text.trim().trim_start_matches("error: ").to_owned();
        return output::fail(
            Some(OutputFormat::Json),
            Exit::Usage,
            "usage",
            &message,
            None,
        );
    }
    let _ = error.print();
    Exit::Usage
}
