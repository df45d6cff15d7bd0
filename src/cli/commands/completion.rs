//! `completion` for shells, and `__complete` for the `temporal` CLI, whose extension this is.

use clap::{Arg, Command};
use clap_complete::Shell;

use crate::cli::args::CompletionArgs;
use crate::cli::exit::Exit;
use crate::cli::output;

/// Prints a completion script.
pub(crate) fn script(args: &CompletionArgs, mut command: Command) -> Exit {
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    let script = String::from_utf8_lossy(&script);
    match args.shell {
        Shell::Bash => output::data(&with_equal_names(&script, command.get_name())),
        _ => output::data(&script),
    }
}

/// A script for bash in which a command has one name. The generator takes the hyphen in the name of
/// the program for the border of a command where it names what is offered after one, and for a part
/// of the name where it finds out which one that is.
fn with_equal_names(script: &str, program: &str) -> String {
    let in_branches = program.replace('-', "__subcmd__") + "__subcmd__";
    let in_search = program.replace('-', "__") + "__subcmd__";
    script.replace(&in_branches, &in_search)
}

/// What the asking shell does beside the candidates. Source: cobra's `ShellCompDirective`.
const OFFER_FILES: u8 = 0;
const OFFER_NO_FILES: u8 = 4;

/// Answers cobra's completion protocol: a candidate a line, then a colon and a directive.
/// The last of `words` is to be completed.
pub(crate) fn answer(words: Vec<String>, command: Command) -> Exit {
    let (candidates, directive) = candidates(words, command);
    let lines: String = candidates
        .iter()
        .map(|candidate| format!("{candidate}\n"))
        .collect();
    output::data(&format!("{lines}:{directive}\n"))
}

fn candidates(words: Vec<String>, mut root: Command) -> Offer {
    root.build();
    let words = in_typed_order(words, &root);
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
    // After `--flag=` the asking shell wants values alone.
    let (previous, current) = match current.split_once('=') {
        Some((flag, value)) if flag.starts_with("--") => (flag, value),
        _ => (previous, current),
    };
    let (mut names, directive) = offer(command, previous, current);
    names.retain(|name| name.starts_with(current));
    (names, directive)
}

/// Candidates, and what the asking shell does beside them.
type Offer = (Vec<String>, u8);

/// Everything that can stand after a word of a command, of the kind that `current` begins.
fn offer(command: &Command, previous: &str, current: &str) -> Offer {
    let option = find_option(command, previous).filter(|it| it.get_action().takes_values());
    if let Some(option) = option {
        return or_files(std::iter::once(option));
    }
    if current.starts_with('-') {
        let options = command
            .get_arguments()
            .filter(|option| !option.is_hide_set());
        let named = options
            .filter_map(|option| Some(described(&format!("--{}", option.get_long()?), option)));
        return (named.collect(), OFFER_NO_FILES);
    }
    if command.has_subcommands() {
        let commands = command
            .get_subcommands()
            .filter(|command| !command.is_hide_set());
        let named = commands.map(|command| match command.get_about() {
            Some(about) => format!("{}\t{about}", command.get_name()),
            None => command.get_name().to_owned(),
        });
        return (named.collect(), OFFER_NO_FILES);
    }
    or_files(command.get_positionals())
}

/// The possible values of arguments; files where any value is possible.
fn or_files<'c>(arguments: impl Iterator<Item = &'c Arg>) -> Offer {
    let values = arguments.flat_map(Arg::get_possible_values);
    let names: Vec<_> = values.map(|value| value.get_name().to_owned()).collect();
    let directive = if names.is_empty() {
        OFFER_FILES
    } else {
        OFFER_NO_FILES
    };
    (names, directive)
}

/// The CLI moves its own options and their values to the front, also the one that is being typed.
/// That one is at the front and unfinished: an option without a known name, or a value that is
/// empty or none of the possible ones.
fn in_typed_order(mut words: Vec<String>, root: &Command) -> Vec<String> {
    let mut position = 0;
    while let Some(word) = words.get(position).filter(|word| word.starts_with('-')) {
        let (name, attached) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word.as_str(), None),
        };
        let option = find_option(root, name);
        let takes_value = option.is_some_and(|option| option.get_action().takes_values());
        let separate = takes_value && attached.is_none();
        let length = if separate { 2 } else { 1 };
        let value = attached.or(words.get(position + 1).map(String::as_str));
        let unfinished = match option {
            None => true,
            Some(_) if !takes_value => false,
            Some(option) => value.is_none_or(|value| {
                let possible = option.get_possible_values();
                value.is_empty()
                    || !possible.is_empty() && possible.iter().all(|it| it.get_name() != value)
            }),
        };
        if unfinished {
            let end = (position + length).min(words.len());
            let typed: Vec<String> = words.drain(position..end).collect();
            words.extend(typed);
            return words;
        }
        position += length;
    }
    words
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
