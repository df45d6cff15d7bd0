//! Secrets that are mistyped or misplaced are in no output, in any format.

use std::path::Path;

use crate::support::binary::{Binary, Finished, Folder};
use crate::support::fake_frontend::FakeFrontend;

/// What must be nowhere. Long and plain, as keys are.
const SECRET: &str = "sk-live-HUNTED0123456789";

const START: &str = "apiVersion: temporal-manifest/v1\nkind: Starts\nmetadata: {name: m}\n\
                     starts: [{type: T, taskQueue: q, workflowId: w}]\n";

/// One mistake with a secret: files to write, flags and variables, each with `SECRET` in its place.
struct Mistake {
    what: &'static str,
    toml: Option<&'static str>,
    yaml: Option<&'static str>,
    flags: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
}

const NONE: Mistake = Mistake {
    what: "",
    toml: None,
    yaml: None,
    flags: &[],
    variables: &[],
};

fn toml(what: &'static str, text: &'static str) -> Mistake {
    Mistake {
        what,
        toml: Some(text),
        ..NONE
    }
}

fn yaml(what: &'static str, text: &'static str) -> Mistake {
    Mistake {
        what,
        yaml: Some(text),
        flags: &["--env", "a"],
        ..NONE
    }
}

fn flags(what: &'static str, flags: &'static [&'static str]) -> Mistake {
    Mistake {
        what,
        flags,
        ..NONE
    }
}

fn variables(what: &'static str, variables: &'static [(&'static str, &'static str)]) -> Mistake {
    Mistake {
        what,
        variables,
        ..NONE
    }
}

fn mistakes() -> Vec<Mistake> {
    vec![
        toml("no quotes", "[profile.default]\napi_key = SECRET\n"),
        toml("not closed", "[profile.default]\napi_key = \"SECRET\n"),
        toml(
            "not closed, rest",
            "[profile.default]\napi_key = \"\"\"SECRET\n",
        ),
        toml("no value", "[profile.default]\nSECRET\n"),
        toml(
            "twice",
            "[profile.default]\napi_key = \"SECRET\"\napi_key = \"SECRET\"\n",
        ),
        toml("an array", "[profile.default]\napi_key = [\"SECRET\"]\n"),
        toml(
            "metadata as text",
            "[profile.default]\ngrpc_meta = \"authorization=Bearer SECRET\"\n",
        ),
        toml(
            "metadata as lists",
            "[profile.default.grpc_meta]\nauthorization = [\"SECRET\"]\n",
        ),
        toml("TLS as text", "[profile.default]\ntls = \"SECRET\"\n"),
        toml(
            "no boolean",
            "[profile.default.tls]\ndisabled = \"SECRET\"\n",
        ),
        toml(
            "PEM on several lines",
            "[profile.default.tls]\nclient_key_data = \"-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----\"\n",
        ),
        toml(
            "no PEM",
            "[profile.default]\naddress = \"localhost:1\"\n[profile.default.tls]\nclient_key_data = \"SECRET\"\nclient_cert_data = \"SECRET\"\n",
        ),
        toml(
            "PEM where a path belongs",
            "[profile.default]\naddress = \"localhost:1\"\n[profile.default.tls]\nserver_ca_cert_path = \"-----BEGIN CERTIFICATE-----\\nSECRET\\n\"\n",
        ),
        toml(
            "an address with a password",
            "[profile.default]\naddress = \"user:SECRET@localhost:1\"\n",
        ),
        toml("a profile that is text", "profile = \"SECRET\"\n"),
        yaml("a preset that is text", "env:\n  a: SECRET\n"),
        yaml("presets that are text", "env: SECRET\n"),
        yaml("text", "SECRET\n"),
        yaml(
            "metadata with a colon",
            "env:\n  a:\n    grpc-meta: \"authorization: Bearer SECRET\"\n",
        ),
        yaml("not closed", "env:\n  a:\n    api-key: \"SECRET\n"),
        yaml("a bracket", "env:\n  a:\n    api-key: [SECRET\n"),
        yaml("a list", "env:\n  a:\n    api-key: [SECRET]\n"),
        yaml("a tag", "env:\n  a:\n    api-key: !SECRET x\n"),
        yaml("an alias", "env:\n  a:\n    api-key: *SECRET\n"),
        yaml("twice", "env:\n  a:\n    SECRET: 1\n    SECRET: 1\n"),
        yaml("no boolean", "env:\n  a:\n    tls: SECRET\n"),
        yaml(
            "an address with a password",
            "env:\n  a:\n    address: user:SECRET@localhost:1\n",
        ),
        flags(
            "metadata with a colon",
            &["--grpc-meta", "authorization: Bearer SECRET"],
        ),
        flags(
            "metadata joined",
            &["--grpc-meta=authorization: Bearer SECRET"],
        ),
        flags("metadata without a name", &["--grpc-meta", "=SECRET"]),
        flags(
            "metadata with a line break",
            &["--grpc-meta", "authorization=SECRET\n"],
        ),
        flags(
            "metadata with a bad name",
            &["--grpc-meta", "autho rization SECRET=x"],
        ),
        flags("a variable with a colon", &["--var", "password: SECRET"]),
        flags("a key with a line break", &["--api-key", "SECRET\n"]),
        flags("a key with a bell", &["--api-key", "SECRET\u{7}"]),
        flags("a key that is not ASCII", &["--api-key", "SECRET\u{e4}"]),
        flags(
            "a key of PEM",
            &["--tls-key-data", "SECRET", "--tls-cert-data", "SECRET"],
        ),
        flags(
            "a CA of PEM",
            &["--tls-ca-data", "-----BEGIN SECRET-----\nSECRET\n"],
        ),
        flags(
            "a broken key",
            &[
                "--tls-key-data",
                "-----BEGIN PRIVATE KEY-----\nSECRET\n-----END SECRET-----\n",
                "--tls-cert-data",
                "-----BEGIN CERTIFICATE-----\nSECRET\n-----END CERTIFICATE-----\n",
            ],
        ),
        flags(
            "PEM as a path",
            &[
                "--tls-key-path",
                "-----BEGIN PRIVATE KEY-----\nSECRET",
                "--tls-cert-data",
                "x",
            ],
        ),
        flags(
            "both ways",
            &["--tls-key-data", "SECRET", "--tls-key-path", "x"],
        ),
        flags("half", &["--tls-key-data", "SECRET"]),
        flags("a flag of others", &["--codec-auth", "SECRET"]),
        flags("a flag of others, joined", &["--codec-auth=SECRET"]),
        flags("a typing error", &["--api-kye=SECRET"]),
        flags("a boolean", &["--tls-disable-host-verification=SECRET"]),
        flags(
            "an address with a password",
            &["--address", "user:SECRET@localhost:1"],
        ),
        flags("a URL", &["--address", "https://user:SECRET@localhost:1"]),
        flags("a query", &["--address", "localhost:1/?token=SECRET"]),
        flags(
            "a password without a port",
            &["--address", "user:SECRET@localhost"],
        ),
        variables(
            "an address with a password",
            &[("TEMPORAL_ADDRESS", "user:SECRET@localhost:1")],
        ),
        variables(
            "a URL",
            &[("TEMPORAL_ADDRESS", "grpc://SECRET@localhost:1")],
        ),
        variables(
            "metadata with a line break",
            &[("TEMPORAL_GRPC_META_AUTHORIZATION", "SECRET\n")],
        ),
        variables(
            "metadata with a bad name",
            &[("TEMPORAL_GRPC_META_A B", "SECRET")],
        ),
        variables(
            "a key with a line break",
            &[("TEMPORAL_API_KEY", "SECRET\n")],
        ),
        variables("no boolean", &[("TEMPORAL_TLS", "SECRET")]),
        variables(
            "no PEM",
            &[
                ("TEMPORAL_TLS_CLIENT_KEY_DATA", "SECRET"),
                ("TEMPORAL_TLS_CLIENT_CERT_DATA", "SECRET"),
            ],
        ),
        variables(
            "PEM as a path",
            &[(
                "TEMPORAL_TLS_SERVER_CA_CERT_PATH",
                "-----BEGIN X-----\nSECRET",
            )],
        ),
        variables(
            "a codec with a password",
            &[
                ("TEMPORAL_CODEC_ENDPOINT", "https://u:SECRET@h"),
                ("TEMPORAL_CODEC_AUTH", "SECRET"),
            ],
        ),
    ]
}

/// Everything that a run leaves: what it prints, its report, its journal.
fn traces(folder: &Path, finished: &Finished) -> String {
    let mut traces = format!("{}\n{}\n", finished.stdout, finished.stderr);
    for name in ["report.json", "journal"] {
        let text = std::fs::read_to_string(folder.join(name));
        traces.push_str(&text.unwrap_or_default());
    }
    traces
}

/// Runs an apply with a mistake and returns where the secret can be read.
fn hunt(mistake: &Mistake, address: &str) -> Vec<String> {
    let filled = |text: &str| text.replace("SECRET", SECRET);
    let mut found = Vec::new();
    for format in ["text", "json", "jsonl", "github", "none"] {
        let folder = Folder::new();
        folder.write("m.yaml", START);
        let mut apply = Binary::new(["apply", "m.yaml", "-o", format])
            .args(["--log-level", "debug", "--report", "json=report.json"])
            .args(["--journal", "journal", "--retry-for", "1s"])
            .current_dir(folder.path());
        let names_address = mistake.what.contains("address")
            || mistake.flags.contains(&"--address")
            || mistake
                .variables
                .iter()
                .any(|(name, _)| *name == "TEMPORAL_ADDRESS");
        if !names_address {
            apply = apply.args(["--address", address]);
        }
        if let Some(text) = mistake.toml {
            apply = apply
                .arg("--config-file")
                .arg(folder.write("t.toml", filled(text)));
        }
        if let Some(text) = mistake.yaml {
            apply = apply
                .arg("--env-file")
                .arg(folder.write("t.yml", filled(text)));
        }
        for flag in mistake.flags {
            apply = apply.arg(filled(flag));
        }
        for (name, value) in mistake.variables {
            apply = apply.env(name, filled(value));
        }
        let finished = apply.run();
        let traces = traces(folder.path(), &finished);
        if traces.contains(SECRET) || traces.contains("HUNTED") {
            found.push(format!("{} ({format}): {traces}", mistake.what));
        }
        assert!(!traces.contains("panicked"), "{}: {traces}", mistake.what);
        // Some of it can be sent as it is, to a service that speaks no TLS.
        assert!(
            finished.code.is_some_and(|code| code != 1),
            "{}",
            mistake.what
        );
    }
    found
}

#[test]
fn mistyped_secrets_are_printed_nowhere() {
    let service = FakeFrontend::healthy();
    let found: Vec<String> = mistakes()
        .iter()
        .flat_map(|mistake| hunt(mistake, &service.address()))
        .collect();
    assert_eq!(found, [""; 0]);
}

#[test]
fn mistakes_in_settings_are_told_with_their_place() {
    let folder = Folder::new();
    folder.write("m.yaml", START);
    let toml = "--config-file";
    let table = [
        (
            toml,
            "[profile.default]\napi_key = sk\n",
            "line 2, column 11: this is not TOML",
        ),
        (
            toml,
            "[profile.default]\ngrpc_meta = \"a\"\n",
            "line 2, column 13: a table was expected",
        ),
        (
            toml,
            "[profile.default]\napi_key = 7\n",
            "line 2, column 11: text was expected",
        ),
        (
            toml,
            "[profile.default.tls]\ndisabled = 1\n",
            "line 2, column 12: `true` or `false` was expected",
        ),
        (
            "--env-file",
            "env:\n  a: sk\n",
            "line 2, column 6: a map was expected",
        ),
        (
            "--env-file",
            "env:\n  a: {address: [1]}\n",
            "a setting must be plain text",
        ),
        ("--env-file", "env: [\n", "this is not YAML"),
    ];
    for (flag, text, expected) in table {
        folder.write("settings", text);
        let named: &[&str] = if flag == toml { &[] } else { &["--env", "a"] };
        let apply = Binary::new(["apply", "m.yaml", flag, "settings"]).args(named);
        let told = apply.current_dir(folder.path()).run().expect_code(2).stderr;
        assert!(told.contains(expected), "{text}: {told}");
    }
}

/// A mistake is shown with the value that is wrong, and the document names no other value.
#[test]
fn a_refused_apply_names_the_wrong_value_and_no_other() {
    let folder = Folder::new();
    let text = "apiVersion: temporal-manifest/v1\nkind: Starts\nmetadata: {name: n}\n\
        argSchemas: {T: {items: {type: string, maxLength: 12}}}\nstarts:\n\
        - {type: T, taskQueue: q, memo: {m: memo-value}, args: [right-value, wrong-value-of-many]}\n";
    let manifest = folder.write("manifest.yaml", text);
    let flags = ["-o", "json", "--report", "json=report.json"];
    let refused = Binary::apply(&manifest, "127.0.0.1:1", &flags)
        .current_dir(folder.path())
        .run()
        .expect_code(3);
    let path = folder.path().join("report.json");
    let report = std::fs::read_to_string(path).expect("it was written");
    for document in [&refused.stdout, &report] {
        assert!(document.contains("wrong-value-of-many"), "{document}");
        assert!(!document.contains("right-value"), "{document}");
        assert!(!document.contains("memo-value"), "{document}");
    }
}
