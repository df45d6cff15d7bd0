//! `temporal manifest ...`: the official CLI finds the program on PATH and runs it.
//!
//! What the CLI does with flags was measured with CLI 1.9.1: flags of the first part of
//! `temporal options` go to the front from anywhere, and connection flags must follow the command.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::binary::{Finished, Folder};
use crate::support::dev_server::{self, SharedServer};
use crate::support::fake_frontend::FakeFrontend;
use crate::support::{search_path, unique_id};

/// A home with the program on its PATH, under the name that the CLI looks for.
struct Extension {
    server: SharedServer,
    folder: Folder,
}

impl Extension {
    fn new() -> Option<Self> {
        let server = dev_server::shared()?;
        let folder = Folder::new();
        let programs = folder.path().join("bin");
        std::fs::create_dir(&programs).expect("folders can be made in a temporary folder");
        let link = programs.join("temporal-manifest");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_temporal-manifest"), link)
            .expect("links can be made in a temporary folder");
        folder.write(
            "manifest.yaml",
            format!(
                "apiVersion: temporal-manifest/v1\nkind: Starts\nmetadata: {{name: extension}}\n\
                 starts: [{{type: T, taskQueue: q, workflowId: {}}}]\n",
                unique_id("extension")
            ),
        );
        folder.write("wrong.yaml", "kind: Starts\n");
        Some(Self { server, folder })
    }

    /// Runs `temporal` with these words and variables.
    fn temporal(&self, words: &[&str], variables: &[(&str, &str)]) -> Finished {
        let mut path = vec![self.folder.path().join("bin")];
        path.extend(std::env::split_paths(&search_path()));
        let output = Command::new(&self.server.cli)
            .args(words)
            .env_clear()
            .env("PATH", std::env::join_paths(path).expect("no odd names"))
            .env("HOME", self.folder.path())
            .envs(variables.iter().copied())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .expect("the temporal CLI can be run");
        Finished {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("it prints UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("it prints UTF-8"),
        }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        self.folder.write(name, text)
    }
}

#[track_caller]
fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout)
        .unwrap_or_else(|error| panic!("{error} in:\n{}", finished.stdout))
}

#[test]
fn commands_flags_and_exit_codes_pass_through() {
    let Some(extension) = Extension::new() else {
        return;
    };
    let address = extension.server.address.clone();
    let valid = extension
        .temporal(&["manifest", "validate", "manifest.yaml"], &[])
        .expect_code(0);
    assert_eq!(valid.stdout, "valid: 1 start in 1 file\n");
    extension
        .temporal(&["manifest", "validate", "wrong.yaml"], &[])
        .expect_code(3);
    extension
        .temporal(&["manifest", "apply", "--nosuch"], &[])
        .expect_code(2);
    let port = ["--address", "127.0.0.1:1"];
    let words = [&["manifest", "apply", "manifest.yaml"][..], &port].concat();
    extension.temporal(&words, &[]).expect_code(5);

    // Every flag of the first part of `temporal options`, in front of and behind the command.
    let file = extension.write("temporal.toml", "[profile.p]\nnamespace = \"default\"\n");
    let file = file.to_str().expect("temporary folders have plain names");
    let presets = extension.write("presets.yaml", "env: {e: {namespace: default}}\n");
    let presets = presets
        .to_str()
        .expect("temporary folders have plain names");
    let flags = [
        &[
            "--output",
            "json",
            "--color",
            "never",
            "--time-format",
            "iso",
        ][..],
        &["--no-json-shorthand-payloads", "--disable-config-env"],
        &["--log-level", "error", "--log-format", "json"],
        &["--command-timeout", "60s", "--client-connect-timeout", "5s"],
        &["--config-file", file, "--profile", "p"],
        &["--env", "e", "--env-file", presets],
    ]
    .concat();
    let command = ["manifest", "apply", "manifest.yaml"];
    let target = ["--address", &address, "-n", "default"];
    let before = [&flags[..], &command, &target].concat();
    let report = json(&extension.temporal(&before, &[]).expect_code(0));
    assert_eq!(report["summary"]["started"], 1, "{report:#}");
    assert_eq!(report["service"]["address"], address);
    let behind = [&command[..], &target, &flags].concat();
    let report = json(&extension.temporal(&behind, &[]).expect_code(0));
    assert_eq!(report["summary"]["existing"], 1, "{report:#}");
    let none = [
        &command[..],
        &target,
        &["-o", "none", "--disable-config-file"],
    ]
    .concat();
    assert!(
        extension
            .temporal(&none, &[])
            .expect_code(0)
            .stdout
            .is_empty()
    );
}

#[test]
fn the_cli_shows_our_help() {
    let Some(extension) = Extension::new() else {
        return;
    };
    for (asked, words) in [
        ("help.txt", &["help", "manifest"][..]),
        ("help.txt", &["manifest", "--help"]),
        ("apply.txt", &["help", "manifest", "apply"]),
        ("apply.txt", &["manifest", "apply", "--help"]),
    ] {
        let golden = format!("{}/tests/cli/{asked}", env!("CARGO_MANIFEST_DIR"));
        let golden = std::fs::read_to_string(golden).expect("help texts are committed");
        let shown = extension.temporal(words, &[]).expect_code(0);
        assert_eq!(shown.stdout, golden, "{words:?}");
    }
}

#[test]
fn the_cli_completes_our_words() {
    let Some(extension) = Extension::new() else {
        return;
    };
    let complete = |words: &[&str]| {
        let words = [&["__complete", "manifest"][..], words].concat();
        let answer = extension.temporal(&words, &[]).expect_code(0).stdout;
        let names = answer.lines().map(|line| {
            let name = line.split('\t').next().unwrap_or_default();
            name.to_owned()
        });
        names.collect::<Vec<_>>()
    };
    let commands = complete(&[""]);
    for command in [
        "validate",
        "render",
        "apply",
        "schema",
        "init",
        "completion",
    ] {
        assert!(commands.iter().any(|name| name == command), "{commands:?}");
    }
    assert!(
        !commands.iter().any(|name| name.starts_with('_')),
        "{commands:?}"
    );
    assert_eq!(complete(&["app"]), ["apply", ":4"]);
    assert_eq!(complete(&["apply", "--par"]), ["--parallelism", ":4"]);
    let forms = ["text", "json", "jsonl", "none", "github", ":4"];
    assert_eq!(complete(&["apply", "-o", ""]), forms);
    // The CLI moves its own options to the front, and with them what is being typed.
    assert_eq!(complete(&["apply", "-o", "js"]), ["json", "jsonl", ":4"]);
    assert_eq!(complete(&["apply", "--output=n"]), ["none", ":4"]);
    assert_eq!(complete(&["-o", "json", "app"]), ["apply", ":4"]);
    assert_eq!(complete(&["apply", "--outp"]), ["--output", ":4"]);
    assert_eq!(
        complete(&["apply", "x.yaml", "-o", "json", "--wai"]),
        ["--wait", "--wait-timeout", ":4"]
    );
    assert_eq!(complete(&["apply", "--config-file", ""]), [":0"]);
    assert_eq!(complete(&["apply", ""]), [":0"], "the shell offers files");
    assert_eq!(complete(&["schema", "rep"]), ["report", ":4"]);
}

#[test]
fn settings_come_from_where_the_cli_takes_them() {
    let Some(extension) = Extension::new() else {
        return;
    };
    let fake = FakeFrontend::healthy();
    let address = fake.address();
    extension.write(
        ".config/temporalio/temporal.toml",
        &format!(
            "[profile.default]\naddress = \"{address}\"\n\
             [profile.p]\naddress = \"{address}\"\nnamespace = \"profile\"\n"
        ),
    );
    extension.write(
        ".config/temporalio/temporal.yaml",
        "env: {e: {namespace: preset}}\n",
    );
    let other = extension.write(
        "other.toml",
        &format!("[profile.default]\naddress = \"{address}\"\nnamespace = \"other\"\n"),
    );
    let other = other.to_str().expect("temporary folders have plain names");
    let variable = ("TEMPORAL_NAMESPACE", "variable");
    type Row<'r> = (&'r [&'r str], &'r [(&'r str, &'r str)], &'r str);
    let table: &[Row<'_>] = &[
        (&[], &[], "default"),
        (&["--profile", "p"], &[], "profile"),
        (&[], &[("TEMPORAL_PROFILE", "p")], "profile"),
        (&["--config-file", other], &[], "other"),
        (&[], &[("TEMPORAL_CONFIG_FILE", other)], "other"),
        (&["--profile", "p"], &[variable], "variable"),
        (
            &["--profile", "p", "--disable-config-env"],
            &[variable],
            "profile",
        ),
        (
            &["--disable-config-file"],
            &[variable, ("TEMPORAL_ADDRESS", &address)],
            "variable",
        ),
        (&["--env", "e"], &[variable], "preset"),
        (&[], &[variable, ("TEMPORAL_ENV", "e")], "preset"),
        (
            &["--env", "e", "--profile", "p", "-n", "flag"],
            &[variable],
            "flag",
        ),
    ];
    for (words, variables, namespace) in table {
        let words = [&["manifest", "apply", "manifest.yaml"][..], words].concat();
        extension.temporal(&words, variables).expect_code(0);
        let start = fake.starts().pop().expect("one was sent").message;
        assert_eq!(&start.namespace, namespace, "{words:?} {variables:?}");
    }
    let starts = fake.start_count();
    assert_eq!(starts, table.len());

    let words = ["manifest", "apply", "manifest.yaml", "--profile", "nosuch"];
    let missing = extension.temporal(&words, &[]).expect_code(2);
    assert!(
        missing.stderr.contains("it has: default, p"),
        "{}",
        missing.stderr
    );
    let words = ["manifest", "apply", "manifest.yaml", "--env", "nosuch"];
    let missing = extension.temporal(&words, &[]).expect_code(2);
    assert!(missing.stderr.contains("it has: e"), "{}", missing.stderr);
    assert_eq!(fake.start_count(), starts);
}
