//! `completion` for shells, and `__complete` for the `temporal` CLI, whose extension this is.

use clap::{Arg, Command};

use crate::cli::args::{CompleteArgs, CompletionArgs};
use crate::cli::exit::Exit;
use crate::cli::output;

/// Prints a completion script.
pub(crate) fn script(args: &CompletionArgs, mut command: Command) -> Exit {
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    output::data(&String::from_utf8_lossy(&script))
}

/// What the asking shell does beside the candidates. Source: cobra's `ShellCompDirective`.
const OFFER_FILES: u8 = 0;
const OFFER_NO_FILES: u8 = 4;

/// Answers cobra's completion protocol: a candidate a line, then a colon and a directive.
pub(crate) fn answer(args: &CompleteArgs, command: Command) -> Exit {
    let (candidates, directive) = candidates(&args.words, command);
    let lines: String = candidates
        .iter()
        .map(|candidate| format!("{candidate}\n"))
        .collect();
    output::data(&format!("{lines}:{directive}\n"))
}

fn candidates(words: &[String], mut root: Command) -> (Vec<String>, u8) {
    root.build();
    let (current, before) = words
        .split_last()
        .map_or(("", &[][..]), |(last, rest)| (last.as_str(), rest));
    let mut command = &root;
    for word in before {
        if let Some(next) = command.find_subcommand(word) {
            command = next;
        }
    }
    let previous = before.last().map(String::as_str).unwrap_or_default();
    if let Some(option) =
        find_option(command, previous).filter(|option| option.get_action().takes_values())
    {
        let values = option.get_possible_values();
        let directive = if values.is_empty() {
            OFFER_FILES
        } else {
            OFFER_NO_FILES
        };
        let names = values.iter().map(|value| value.get_name().to_owned());
        return (
            names.filter(|name| name.starts_with(current)).collect(),
            directive,
        );
    }
    if current.starts_with('-') {
        let options = command
            .get_arguments()
            .filter(|option| !option.is_hide_set());
        let named = options
            .filter_map(|option| Some(described(&format!("--{}", option.get_long()?), option)));
        return (
            named.filter(|name| name.starts_with(current)).collect(),
            OFFER_NO_FILES,
        );
    }
    if command.has_subcommands() {
        let commands = command
            .get_subcommands()
            .filter(|command| !command.is_hide_set());
        let named = commands.map(|command| match command.get_about() {
            Some(about) => format!("{}\t{about}", command.get_name()),
            None => command.get_name().to_owned(),
        });
        return (
            named.filter(|name| name.starts_with(current)).collect(),
            OFFER_NO_FILES,
        );
    }
    let values = command.get_positionals().flat_map(Arg::get_possible_values);
    let names: Vec<String> = values.map(|value| value.get_name().to_owned()).collect();
    let directive = if names.is_empty() {
        OFFER_FILES
    } else {
        OFFER_NO_FILES
    };
    (
        names
            .into_iter()
            .filter(|name| name.starts_with(current))
            .collect(),
        directive,
    )
}

fn find_option<'c>(command: &'c Command, word: &str) -> Option<&'c Arg> {
    command.get_arguments().find(|option| {
        let long = option
            .get_long()
            .is_some_and(|long| word.strip_prefix("--") == Some(long));
        let short = option
            .get_short()
            .is_some_and(|short| word == format!("-{short}"));
        long || short
    })
}

fn described(name: &str, option: &Arg) -> String {
    let help = option
        .get_help()
        .map(|help| help.to_string().replace('\n', " "));
    help.map_or_else(|| name.to_owned(), |help| format!("{name}\t{help}"))
}
