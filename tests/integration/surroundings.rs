//! What the program takes from its surroundings: the configuration that it shares with the official
//! CLI, and what the terminal can show.

use std::ffi::OsStr;
use std::process::Command;

use serde_json::Value;

use crate::support::binary::{Binary, Folder};
use crate::support::dev_server;
use crate::support::fake_frontend::FakeFrontend;

const MANIFEST: &str = "apiVersion: temporal-manifest/v1\nkind: Starts\nmetadata: {name: here}\n\
                        defaults: {type: T, taskQueue: q}\nstarts:\n- {workflowId: a}\n";

/// Two services, and a file with a profile `default` for the one and `b` for the other.
fn two_profiles(folder: &Folder) -> ([FakeFrontend; 2], String) {
    let fakes = [FakeFrontend::healthy(), FakeFrontend::healthy()];
    let [first, second] = [fakes[0].address(), fakes[1].address()];
    let text = format!(
        "[profile.default]\naddress = \"{first}\"\nnamespace = \"of-default\"\n\
         [profile.b]\naddress = \"{second}\"\nnamespace = \"of-b\"\n\
         [profile.keyed]\naddress = \"{second}\"\nnamespace = \"of-keyed\"\napi_key = \"key\"\n"
    );
    let file = folder.write("t.toml", text);
    (fakes, file.to_string_lossy().into_owned())
}

/// The words before a profile, and variables; what is left out is as it is in a plain shell.
type Case = (
    &'static [&'static str],
    &'static [(&'static str, &'static str)],
);

/// What the official CLI and this program are given alike.
const CASES: &[Case] = &[
    (&[], &[]),
    (&["--profile", "b"], &[]),
    (&[], &[("TEMPORAL_PROFILE", "b")]),
    (&["--disable-config-env"], &[("TEMPORAL_PROFILE", "b")]),
    (
        &["--disable-config-env"],
        &[("TEMPORAL_NAMESPACE", "other")],
    ),
    (
        &["--disable-config-env", "--profile", "b"],
        &[("TEMPORAL_NAMESPACE", "other")],
    ),
    (&["--profile", "b"], &[("TEMPORAL_NAMESPACE", "other")]),
    (&["--profile", "b"], &[("TEMPORAL_NAMESPACE", "")]),
    (
        &["--profile", "b", "--disable-config-env"],
        &[("TEMPORAL_NAMESPACE", "")],
    ),
    (&["--profile", "b"], &[("TEMPORAL_API_KEY", "")]),
    (&["--profile", "keyed"], &[("TEMPORAL_API_KEY", "")]),
    (
        &["--profile", "keyed"],
        &[("TEMPORAL_TLS", "false"), ("TEMPORAL_API_KEY", "")],
    ),
];

#[test]
fn the_same_service_and_namespace_are_taken_as_by_the_cli() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    for (words, variables) in CASES {
        let folder = Folder::new();
        let (fakes, file) = two_profiles(&folder);
        let manifest = folder.manifest(MANIFEST);
        let binary = Binary::new(["apply", "-o", "json"])
            .arg(&manifest)
            .args(*words);
        let all = variables.iter();
        let binary = all.fold(binary, |it, (name, value)| it.env(name, value));
        let finished = binary.env("TEMPORAL_CONFIG_FILE", &file).run();
        let report: Value = serde_json::from_str(&finished.stdout).expect("it is a report");
        let service = &report["service"];
        // Where TLS is spoken, a plain service hears nothing.
        let is_plain = fakes.iter().any(|fake| !fake.namespaces().is_empty());
        // The CLI compresses what it sends, which our services do not read: it says whom it asked.
        let told = Command::new(&server.cli)
            .args(["workflow", "describe", "-w", "a", "--command-timeout", "5s"])
            .args(*words)
            .env_clear()
            .env("HOME", folder.path())
            .env("TEMPORAL_CONFIG_FILE", &file)
            .envs(variables.iter().copied())
            .output();
        let told = told.expect("the CLI can be run").stderr;
        let told = String::from_utf8_lossy(&told);
        for part in [
            format!(
                "server at {}: ",
                service["address"].as_str().unwrap_or_default()
            ),
            format!(
                "Namespace: {}\n",
                service["namespace"].as_str().unwrap_or_default()
            ),
            format!("TLS: {}\n", !is_plain),
        ] {
            assert!(
                told.contains(&part),
                "{words:?} {variables:?}: {part} in:\n{told}"
            );
        }
    }
}

#[test]
fn an_empty_address_is_the_default_and_not_the_profiles() {
    let folder = Folder::new();
    let (fakes, file) = two_profiles(&folder);
    let manifest = folder.manifest(MANIFEST);
    let binary = Binary::new([
        "apply",
        "--profile",
        "b",
        "-o",
        "json",
        "--client-connect-timeout",
        "1s",
    ]);
    let binary = binary.arg(&manifest).env("TEMPORAL_CONFIG_FILE", &file);
    let finished = binary
        .env("TEMPORAL_ADDRESS", "")
        .env("TEMPORAL_NAMESPACE", "nosuch")
        .run();
    let report: Value = serde_json::from_str(&finished.stdout).expect("it is a report");
    assert_eq!(report["service"]["address"], "localhost:7233");
    assert!(fakes.iter().all(|fake| fake.system_infos().is_empty()));
}

#[test]
fn an_address_for_the_resolver_is_taken() {
    let fake = FakeFrontend::healthy();
    let folder = Folder::new();
    let manifest = folder.manifest(MANIFEST);
    let address = format!("dns:///{}", fake.address());
    Binary::apply(&manifest, &address, &[]).run().expect_code(0);
    for wrong in [
        "dns:///",
        "dns://8.8.8.8/localhost:7233",
        "http://localhost:7233",
    ] {
        Binary::apply(&manifest, wrong, &[]).run().expect_code(2);
    }
}

#[test]
fn a_plain_locale_gets_ascii() {
    let fake = FakeFrontend::builder()
        .on_start(|_, _| async { Err(tonic::Status::invalid_argument("x".repeat(500))) })
        .start();
    let folder = Folder::new();
    let starts: String = (0..9)
        .map(|n| format!("- {{workflowId: a{n}}}\n"))
        .collect();
    let good = folder.write(
        "good.yaml",
        MANIFEST.replace("- {workflowId: a}\n", &starts),
    );
    let rows = "forEach: {items: [1x, 2x, 3x, 4x]}, args: [\"${{ row.value | int }}\"]";
    let bad = MANIFEST
        .replace("workflowId: a", rows)
        .replace("kind", "knid");
    let bad = folder.write("bad.yaml", bad + "- {workflowId: b}\n");
    let worse = folder.write("worse.yaml", MANIFEST.replace("workflowId: a", rows));
    let words: [(Vec<&OsStr>, i32); 3] = [
        (vec!["validate".as_ref(), bad.as_ref()], 3),
        (vec!["validate".as_ref(), worse.as_ref()], 3),
        (vec!["apply".as_ref(), good.as_ref()], 4),
    ];
    let address = fake.address();
    for (name, locale, is_ascii) in [
        ("LANG", "C", true),
        ("LC_ALL", "POSIX", true),
        ("LC_CTYPE", "de_DE.ISO-8859-1", true),
        ("LC_ALL", "C.UTF-8", false),
    ] {
        for (words, code) in &words {
            for colour in ["always", "never"] {
                let binary = Binary::new(words)
                    .args(["--color", colour])
                    .env(name, locale);
                let told = binary
                    .env("TEMPORAL_ADDRESS", &address)
                    .run()
                    .expect_code(*code);
                let text = told.stdout + &told.stderr;
                assert_eq!(text.is_ascii(), is_ascii, "{name}={locale}: {text}");
            }
        }
    }
}
