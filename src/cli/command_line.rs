//! The command line that was typed, as it can be shown and typed again.

use std::ffi::OsString;

/// Flags whose values are secret, or may be.
const SECRET: &[&str] = &[
    "--api-key",
    "--grpc-meta",
    "--tls-cert-data",
    "--tls-key-data",
    "--tls-ca-data",
    "--var",
];

/// Those of them whose values are `NAME=VALUE`.
const PAIRS: &[&str] = &["--grpc-meta", "--var"];

/// Flags that are not to be repeated.
const LEFT_OUT: &[&str] = &["--resume", "--journal", "--idempotency-key"];

/// The words after the program's name.
pub(crate) fn words() -> Vec<String> {
    let words = std::env::args_os().skip(1);
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}

/// Whether errors are wanted as JSON, from a command line that could not be parsed. By hand, because
/// clap's `ignore_errors` reads nothing after the first mistake, such as `-o json` after a misspelt
/// option.
pub(crate) fn wants_json(words: &[String]) -> bool {
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

/// The command that applies the same, without its journal and its key: what these words say, but for
/// secrets, of which only the names are shown. `words` come after the program's own name.
pub(crate) fn without_journal(words: &[OsString]) -> String {
    let mut command = vec!["temporal-manifest".to_owned()];
    let mut words = words.iter().map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = words.next() {
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        // An address may hold a password.
        let is_secret = SECRET.contains(&flag) || flag == "--address" && word.contains('@');
        if !is_secret && !LEFT_OUT.contains(&flag) {
            command.push(quoted(&word));
            continue;
        }
        let value = value.or_else(|| words.next());
        if is_secret {
            command.push(flag.to_owned());
            command.push(hidden(flag, &value.unwrap_or_default()));
        }
    }
    command.join(" ")
}

/// `NAME=…` of a variable or of metadata, and `…` of anything else.
fn hidden(flag: &str, value: &str) -> String {
    match value.split_once('=') {
        Some((name, _)) if PAIRS.contains(&flag) => format!("{}=…", quoted(name)),
        _ => "…".to_owned(),
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    match shlex::try_quote(word) {
        Ok(quoted) => quoted.into_owned(),
        // No command line can hold a NUL byte.
        Err(_) => word.replace('\0', ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_repeated_without_its_journal_and_its_secrets() {
        let words = [
            "apply",
            "a b.yaml",
            "--resume",
            "j",
            "--shard=1/2",
            "--api-key",
            "secret-1",
            "--var=token=secret-2",
            "--grpc-meta",
            "secret-3",
            "--tls-key-data=secret=4",
            "-n",
            "it's",
            "--idempotency-key=old",
        ];
        let command = without_journal(&words.map(OsString::from));
        assert_eq!(
            command,
            "temporal-manifest apply 'a b.yaml' '--shard=1/2' --api-key … --var token=… --grpc-meta … --tls-key-data … -n \"it's\""
        );
    }

    #[test]
    fn json_is_wanted_wherever_it_is_said() {
        let table = [
            ("apply --nope -o json", true),
            ("apply a.yaml --rate x --output=jsonl", true),
            ("nope -ojson", true),
            ("apply -o text --nope", false),
            ("apply --nope json", false),
        ];
        for (line, wanted) in table {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(wants_json(&words), wanted, "{line}");
        }
    }
}
