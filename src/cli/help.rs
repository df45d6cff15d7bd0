//! The command line as clap knows it, and which of its options which help shows.
//!
//! `-h` and `--help` show what is a command's own; `--help-all` what every command has too.

use clap::{Arg, Command, CommandFactory};

use super::args::{CONNECTION, Cli, GLOBAL};

/// The one command that uses the network.
const NETWORK: &str = "apply";

/// The command line. Help leaves out what every command has.
pub(crate) fn command() -> Command {
    let quiet = |option: Arg| {
        let everybodys = option
            .get_help_heading()
            .is_some_and(|heading| heading == GLOBAL || heading == CONNECTION);
        option
            .hide_short_help(everybodys)
            .hide_long_help(everybodys)
    };
    let command = Cli::command().mut_args(quiet);
    command.mut_subcommands(|command| command.mut_args(quiet))
}

/// The help with all options, if the words ask for it.
pub(crate) fn all_if_asked(words: &[String]) -> Option<String> {
    words
        .iter()
        .take_while(|word| *word != "--")
        .find(|word| *word == "--help-all")?;
    let mut root = Cli::command();
    root.build();
    let mut command = match named(words, &root) {
        Some(command) => command.clone(),
        None => root,
    };
    if command.get_name() != NETWORK && !command.has_subcommands() {
        command = command.mut_args(|option| {
            let of_network = option.get_help_heading() == Some(CONNECTION);
            option.hide_long_help(of_network)
        });
    }
    Some(command.render_long_help().to_string())
}

/// The command that the words name.
pub(crate) fn named<'c>(words: &[String], root: &'c Command) -> Option<&'c Command> {
    let mut words = words.iter().take_while(|word| *word != "--");
    words.find_map(|word| {
        root.find_subcommand(word)
            .filter(|command| command.get_name() != "help")
    })
}
