//! Report files: who may read them, and what they must not be.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
#[cfg(target_os = "linux")]
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::UNSERVED;
use crate::support::binary::{Binary, Finished, Folder};
use crate::support::fake_frontend::FakeFrontend;
use crate::support::report::Report;

/// A folder with a manifest of one start.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.starts([json!({"workflowId": "w", "type": "T", "taskQueue": UNSERVED})]);
    folder
}

fn apply(folder: &Folder, fake: &FakeFrontend, flags: &[&str]) -> Binary {
    Binary::apply("manifest.json", &fake.address(), flags).current_dir(folder.path())
}

fn mode(path: &Path) -> u32 {
    let metadata = std::fs::metadata(path).expect("it is there");
    metadata.permissions().mode() & 0o7777
}

#[test]
fn a_new_report_is_as_public_as_the_umask_lets_it_be() {
    for (umask, expected) in [("077", 0o600), ("027", 0o640), ("022", 0o644)] {
        let folder = folder();
        let script = format!("umask {umask}; exec \"$@\"");
        apply(
            &folder,
            &FakeFrontend::healthy(),
            &["--report", "json=r.json"],
        )
        .under(&["sh", "-c", &script, "sh"])
        .run()
        .expect_code(0);
        assert_eq!(mode(&folder.path().join("r.json")), expected, "{umask}");
    }
}

/// What the user has made of a report's file is left so.
#[test]
fn a_report_that_is_there_keeps_its_mode() {
    for expected in [0o600, 0o664] {
        let folder = folder();
        let report = folder.write("r.json", "");
        std::fs::set_permissions(&report, std::fs::Permissions::from_mode(expected))
            .expect("it is ours");
        apply(
            &folder,
            &FakeFrontend::healthy(),
            &["--report", "json=r.json"],
        )
        .run()
        .expect_code(0);
        assert_eq!(mode(&report), expected);
    }
}

/// A folder in which every kind of input is read from a file of its own.
fn folder_of_inputs() -> Folder {
    let folder = Folder::new();
    folder.write("rows.csv", "id,amount\na,1\nb,2\n");
    folder.write("payload.json", "{\"from\": \"a file\"}");
    folder.write(
        "schema.json",
        "{\"type\": \"array\", \"items\": {\"$ref\": \"part.json\"}}",
    );
    folder.write("part.json", "{\"type\": \"object\"}");
    folder.write("vars.yaml", "queue: unserved\n");
    folder.write(
        "temporal.toml",
        "[profile.default]\nnamespace = \"default\"\n",
    );
    folder.write("temporal.yaml", "env: {default: {namespace: default}}\n");
    folder.write(
        "more/manifest.yaml",
        manifest("in-folder", "../payload.json"),
    );
    folder.write("manifest.yaml", manifest("${{ row.id }}", "payload.json"));
    folder
}

fn manifest(id: &str, payload: &str) -> String {
    let for_each = if id.contains("row") {
        "forEach: {csv: rows.csv}"
    } else {
        "taskQueue: other"
    };
    format!(
        "apiVersion: temporal-manifest/v1
kind: Starts
metadata: {{name: inputs}}
vars: {{queue: x}}
argSchemas: {{T: {}}}
defaults: {{type: T, taskQueue: '${{{{ vars.queue }}}}'}}
starts:
  - workflowId: {id}
    args: [{{$payload: {{encoding: json/plain, file: {payload}}}}}]
    {for_each}
",
        if id.contains("row") {
            "schema.json"
        } else {
            "true"
        }
    )
}

const INPUTS: [&str; 9] = [
    "manifest.yaml",
    "more/manifest.yaml",
    "rows.csv",
    "payload.json",
    "schema.json",
    "part.json",
    "vars.yaml",
    "temporal.toml",
    "temporal.yaml",
];

/// Applies everything that is in such a folder.
fn apply_inputs(folder: &Folder, fake: &FakeFrontend, flags: &[&str]) -> Finished {
    Binary::apply(
        "manifest.yaml",
        &fake.address(),
        &["more", "--allow-outside"],
    )
    .args(["--var-file", "vars.yaml", "--config-file", "temporal.toml"])
    .args(["--env-file", "temporal.yaml"])
    .args(flags)
    .current_dir(folder.path())
    .run()
}

/// By its own name, another one, a link and a hard link: before anything is sent, and nothing is
/// changed.
#[test]
fn a_report_is_never_written_over_an_input() {
    let folder = folder_of_inputs();
    let fake = FakeFrontend::healthy();
    apply_inputs(&folder, &fake, &["--report", "json=fine.json"]).expect_code(0);
    let fake = FakeFrontend::healthy();
    for (number, input) in INPUTS.into_iter().enumerate() {
        let path = folder.path().join(input);
        let before = std::fs::read(&path).expect("it is there");
        let link = format!("link-{number}");
        std::os::unix::fs::symlink(&path, folder.path().join(&link)).expect("links can be made");
        let hard = format!("hard-{number}");
        std::fs::hard_link(&path, folder.path().join(&hard)).expect("links can be made");
        for name in [input, &format!("./more/../{input}"), &link, &hard] {
            let report = format!("json={name}");
            let refused = apply_inputs(&folder, &fake, &["--report", &report]).expect_code(2);
            let said = format!("the report `{name}` is the same file as ");
            assert!(refused.stderr.contains(&said), "{}", refused.stderr);
            assert_eq!(std::fs::read(&path).expect("it is there"), before, "{name}");
            let again = std::fs::read(folder.path().join(name)).expect("it is there");
            assert_eq!(again, before, "{name}");
        }
        let refused = apply_inputs(&folder, &fake, &["--journal", input]).expect_code(2);
        assert_eq!(
            std::fs::read(&path).expect("it is there"),
            before,
            "{refused:?}"
        );
    }
    assert_eq!(fake.start_count(), 0);
    let flags = ["--journal", "manifest.yaml"];
    let refused = apply_inputs(&folder, &fake, &flags).expect_code(2);
    let said = "the journal `manifest.yaml` is the same file as the manifest";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
    // Nor when another mistake is found first.
    for mistake in [
        ["--rate", "x"],
        ["--var", "nosuch=1"],
        ["--resume", "nosuch"],
    ] {
        for input in INPUTS {
            let before = std::fs::read(folder.path().join(input)).expect("it is there");
            let report = format!("json={input}");
            let flags = ["--report", &report, mistake[0], mistake[1]];
            let refused = apply_inputs(&folder, &fake, &flags);
            assert_ne!(refused.code, Some(0));
            let after = std::fs::read(folder.path().join(input)).expect("it is there");
            assert_eq!(after, before, "{input} {mistake:?}");
        }
    }
}

#[test]
fn a_report_is_neither_the_journal_nor_another_report() {
    let folder = folder();
    std::os::unix::fs::symlink("j", folder.path().join("to-j")).expect("links can be made");
    let fake = FakeFrontend::builder().remembering().start();
    for flags in [
        ["--journal", "j", "--report", "json=j"].as_slice(),
        &["--journal", "j", "--report", "json=./j"],
        &["--journal", "j", "--report", "json=to-j"],
        &["--report", "json=r", "--report", "json=r"],
        &["--report", "json=to-j", "--report", "json=j"],
    ] {
        let refused = apply(&folder, &fake, flags).run().expect_code(2);
        assert!(
            refused.stderr.contains("is the same file as the "),
            "{}",
            refused.stderr
        );
        let left = std::fs::read(folder.path().join("j")).unwrap_or_default();
        assert!(!left.starts_with(b"{\"line\""), "{flags:?}");
        drop(std::fs::remove_file(folder.path().join("j")));
    }
    assert_eq!(fake.start_count(), 0);
    let flags = [
        "--journal",
        "j",
        "--report",
        "json=r",
        "--report",
        "json=/dev/null",
    ];
    let flags = [flags.as_slice(), &["--report", "json=/dev/null"]].concat();
    apply(&folder, &fake, &flags).run().expect_code(0);
    let journal = std::fs::read(folder.path().join("j")).expect("it is there");
    let flags = ["--resume", "j", "--report", "json=j"];
    apply(&folder, &fake, &flags).run().expect_code(2);
    let after = std::fs::read(folder.path().join("j")).expect("it is there");
    assert_eq!(after, journal);
}

#[test]
fn a_dash_is_standard_output() {
    let folder = folder();
    let fake = FakeFrontend::healthy();
    for flags in [
        ["--report", "json=-"].as_slice(),
        &["--report", "json=-", "-o", "json"],
        &["--report", "json=-", "--report", "json=-", "-o", "none"],
        &["--journal", "-"],
    ] {
        apply(&folder, &fake, flags).run().expect_code(2);
    }
    assert_eq!(fake.start_count(), 0);
    for name in ["-", "/dev/stdout"] {
        let report = format!("json={name}");
        let flags = ["-o", "none", "--report", &report];
        let finished = apply(&folder, &fake, &flags).run().expect_code(0);
        assert_eq!(Report::of(&finished).count("started"), 1);
    }
    // Beside what is printed there, in a file too.
    let script = "\"$@\" --report json=/dev/stdout > out.txt";
    apply(&folder, &fake, &[])
        .under(&["sh", "-c", script, "sh"])
        .run()
        .expect_code(0);
    let both = std::fs::read_to_string(folder.path().join("out.txt")).expect("it is text");
    assert!(
        both.starts_with("{\n") && both.contains("1 start: 1 started"),
        "{both}"
    );
    assert!(!folder.path().join("-").exists());
}

/// Whatever is wrong, the report says so, and not what was right yesterday.
#[test]
fn a_refused_apply_replaces_the_report_of_an_earlier_one() {
    let fake = FakeFrontend::healthy();
    let cases: &[(&[&str], i32, &str)] = &[
        (&["--shard", "auto/3"], 2, "/error/exitCode"),
        (&["--rate", "x"], 2, "/error/exitCode"),
        (&["--nosuch"], 2, "/error/exitCode"),
        (&["--var", "nosuch=1"], 2, "/error/exitCode"),
        (&["--resume", "nosuch"], 8, "/error/exitCode"),
        (&["--journal", "nosuch/j"], 8, "/error/exitCode"),
        (&["--resume", "r.json"], 2, "/error/exitCode"),
        (&["invalid.yaml"], 3, "/diagnostics/0/code"),
        (&["missing.yaml"], 3, "/diagnostics/0/code"),
    ];
    for (flags, code, pointer) in cases {
        for output in ["text", "json", "jsonl", "none"] {
            let folder = folder();
            folder.write("invalid.yaml", "kind: Starts\n");
            let report = ["--report", "json=r.json", "-o", output];
            apply(&folder, &fake, &report).run().expect_code(0);
            let today = apply(&folder, &fake, &[&report, *flags].concat());
            let today = today.run().expect_code(*code);
            let text = std::fs::read_to_string(folder.path().join("r.json")).expect("it is there");
            if flags.contains(&"r.json") {
                assert!(text.contains("\"Report\""), "it was to be read: {text}");
                continue;
            }
            let document: Value = serde_json::from_str(&text).expect("JSON");
            let found = document.pointer(pointer);
            assert!(found.is_some_and(|it| !it.is_null()), "{flags:?}: {text}");
            if *pointer == "/error/exitCode" {
                assert_eq!(document["error"]["exitCode"], *code);
            }
            if output == "json" {
                let printed: Value = serde_json::from_str(&today.stdout).expect("JSON");
                assert_eq!(printed, document);
            }
        }
    }
    // What may be something else is left alone.
    let folder = folder();
    let notes = folder.write("notes.txt", "mine");
    let flags = ["--report", "json=notes.txt", "--rate", "x"];
    apply(&folder, &fake, &flags).run().expect_code(2);
    assert_eq!(std::fs::read(notes).expect("it is there"), b"mine");
}

fn pipe(folder: &Folder, name: &str) -> PathBuf {
    let path = folder.path().join(name);
    let made = Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("mkfifo is on PATH").success());
    path
}

#[test]
fn a_pipe_that_nobody_reads_does_not_keep_the_program() {
    let folder = folder();
    pipe(&folder, "pipe");
    let fake = FakeFrontend::healthy();
    let finished = apply(&folder, &fake, &["--report", "json=pipe"])
        .time_limit(Duration::from_secs(60))
        .run()
        .expect_code(8);
    let said = "cannot write the report `pipe`: nobody reads it";
    assert!(finished.stderr.contains(said), "{}", finished.stderr);
    assert!(finished.stdout.contains("1 started"), "{}", finished.stdout);
}

#[test]
fn a_pipe_with_a_reader_gets_the_whole_report() {
    let folder = Folder::new();
    // More than a pipe holds at a time.
    folder.starts(
        (0..2_000)
            .map(|n| json!({"workflowId": format!("w-{n}"), "type": "T", "taskQueue": UNSERVED})),
    );
    let path = pipe(&folder, "pipe");
    let reader = std::thread::spawn(move || std::fs::read(path));
    let fake = FakeFrontend::healthy();
    apply(&folder, &fake, &["--report", "json=pipe"])
        .run()
        .expect_code(0);
    let document = reader.join().expect("it does not panic").expect("it reads");
    let document: Value = serde_json::from_slice(&document).expect("JSON");
    assert_eq!(document["summary"]["started"], 2_000);
    let script = "\"$@\" --report json=>(cat > copy.json)";
    apply(&folder, &fake, &["-o", "none"])
        .under(&[
            "bash",
            "-c",
            &format!("{script}; code=$?; wait; exit $code"),
            "bash",
        ])
        .run()
        .expect_code(0);
    let copy = std::fs::read(folder.path().join("copy.json")).expect("it is there");
    let copy: Value = serde_json::from_slice(&copy).expect("JSON");
    assert_eq!(copy["summary"]["started"], 2_000);
}

/// A mistake ends the reading before everything is opened, so that nobody knows what is an input.
#[test]
fn a_refused_apply_writes_over_nothing_but_reports() {
    let fake = FakeFrontend::healthy();
    let invalid = manifest("${{ row.id }}", "payload.json").replace("kind: Starts", "kind: Other");
    let torn = format!("{invalid}  - [");
    for (manifest, text) in [
        ("invalid.yaml", invalid.as_str()),
        ("torn.yaml", &torn),
        ("nothere.yaml", ""),
    ] {
        let folder = folder_of_inputs();
        folder.write(
            "error.json",
            "{\"error\": {\"code\": 404, \"message\": \"mine\"}}",
        );
        if !text.is_empty() {
            folder.write(manifest, text);
        }
        let files = [
            "rows.csv",
            "payload.json",
            "schema.json",
            "error.json",
            "manifest.yaml",
        ];
        for file in files {
            let path = folder.path().join(file);
            let before = std::fs::read(&path).expect("it is there");
            let report = format!("json={file}");
            let refused = Binary::apply(manifest, &fake.address(), &["--report", &report])
                .current_dir(folder.path())
                .run()
                .expect_code(3);
            let after = std::fs::read(&path).expect("it is there");
            assert_eq!(after, before, "{manifest} {file}");
            let said = format!("note: `{file}` is left as it is: ");
            assert!(refused.stderr.contains(&said), "{}", refused.stderr);
        }
    }
}

#[test]
fn a_report_is_never_written_over_standard_input() {
    let fake = FakeFrontend::healthy();
    let rows = manifest("${{ row.id }}", "payload.json").replace("rows.csv", "'-'");
    for (manifest, input, report) in [
        ("-", "one.yaml", "one.yaml"),
        ("-", "one.yaml", "/dev/stdin"),
        ("rows.yaml", "rows.csv", "rows.csv"),
    ] {
        let folder = folder_of_inputs();
        folder.write("rows.yaml", &rows);
        folder.write("one.yaml", self::manifest("w", "payload.json"));
        let path = folder.path().join(input);
        let before = std::fs::read(&path).expect("it is there");
        let report = format!("json={report}");
        let script = format!("exec \"$@\" < {input}");
        let refused = Binary::apply(manifest, &fake.address(), &["--report", &report])
            .current_dir(folder.path())
            .under(&["sh", "-c", &script, "sh"])
            .run()
            .expect_code(2);
        let after = std::fs::read(&path).expect("it is there");
        assert_eq!(after, before, "{manifest} {report}");
        let said = "is the same file as standard input";
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
}

/// An apply that reads from a pipe into which nothing is written, beside an earlier report.
#[cfg(target_os = "linux")]
fn reading(folder: &Folder, fake: &FakeFrontend, flags: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_temporal-manifest"))
        .args(["apply", "-", "--address", &fake.address()])
        .args(["--report", "json=r.json"])
        .args(flags)
        .env_clear()
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program under test was built")
}

#[cfg(target_os = "linux")]
#[test]
fn an_apply_that_was_ended_replaces_the_report_of_an_earlier_one() {
    let fake = FakeFrontend::healthy();
    for (signal, code) in [("TERM", 143), ("INT", 130), ("HUP", 129), ("", 6)] {
        let folder = folder();
        apply(&folder, &fake, &["--report", "json=r.json"])
            .run()
            .expect_code(0);
        let timeout = ["--command-timeout", "300ms"];
        let flags = if signal.is_empty() { &timeout[..] } else { &[] };
        let mut child = reading(&folder, &fake, flags);
        let stdin = child.stdin.take();
        if !signal.is_empty() {
            wait_until_caught(&child);
            let kill = Command::new("kill")
                .args([format!("-{signal}"), child.id().to_string()])
                .status();
            assert!(kill.expect("kill is on PATH").success());
        }
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(code), "{signal}");
        drop(stdin);
        let text = std::fs::read_to_string(folder.path().join("r.json")).expect("it is there");
        let document: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(document["error"]["exitCode"], code, "{text}");
        let said = document["error"]["message"].as_str().unwrap_or_default();
        assert!(said.ends_with(": nothing was sent"), "{text}");
    }
}

/// Waits until a process handles hangups, the last of the signals that it handles.
#[cfg(target_os = "linux")]
fn wait_until_caught(child: &Child) {
    let path = format!("/proc/{}/status", child.id());
    crate::support::poll_until("hangups are handled", || {
        let status = std::fs::read_to_string(&path).ok()?;
        let set = status.lines().find_map(|it| it.strip_prefix("SigCgt:"))?;
        let set = u64::from_str_radix(set.trim(), 16).ok()?;
        (set & 1 == 1).then_some(())
    });
}
