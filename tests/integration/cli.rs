//! The command line as its users meet it: help, usage errors, forms of output, closed pipes and
//! narrow terminals.
//!
//! `TEMPORAL_MANIFEST_UPDATE=1 cargo test --test integration cli` writes the golden files anew.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::binary::{Binary, Finished, Folder};
use crate::support::fake_frontend::FakeFrontend;
use crate::support::say_skipped;

/// A manifest of `count` starts with long Workflow IDs.
fn manifest(count: usize) -> String {
    let mut text = String::from(
        "apiVersion: temporal-manifest/v1\nkind: Starts\nmetadata: {name: starts}\n\
         defaults: {type: T, taskQueue: q}\nstarts:\n",
    );
    for number in 0..count {
        text.push_str(&format!(
            "- {{workflowId: a-workflow-id-of-a-usual-length-{number:06}}}\n"
        ));
    }
    text
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compares text with a committed file, or writes it.
#[track_caller]
fn is_golden(name: &str, text: &str) {
    let path = repository().join("tests/cli").join(name);
    if crate::support::update_is_wanted() {
        std::fs::write(&path, text).expect("golden files can be written");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(golden, text, "{} is out of date", path.display());
}

#[track_caller]
fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout)
        .unwrap_or_else(|error| panic!("{error} in:\n{}", finished.stdout))
}

#[test]
fn help_texts_are_golden() {
    let program = Binary::new(["--help"]).run().expect_code(0);
    is_golden("help.txt", &program.stdout);
    let commands = [
        "validate",
        "render",
        "apply",
        "report",
        "schema",
        "init",
        "completion",
    ];
    for command in commands {
        let long = Binary::new([command, "--help"]).run().expect_code(0);
        is_golden(&format!("{command}.txt"), &long.stdout);
        let asked = Binary::new(["help", command]).run().expect_code(0);
        assert_eq!(asked.stdout, long.stdout);
        let short = Binary::new([command, "-h"]).run().expect_code(0);
        is_golden(&format!("{command}.short.txt"), &short.stdout);
        let all = Binary::new([command, "--help-all"]).run().expect_code(0);
        is_golden(&format!("{command}.all.txt"), &all.stdout);
        assert!(program.stdout.contains(&format!("\n  {command} ")));
    }
    // Without any word, the help is told as an error.
    let nothing = Binary::new([""; 0]).run().expect_code(2);
    assert!(nothing.stdout.is_empty() && nothing.stderr.contains("Usage:"));
}

#[test]
fn the_version_is_the_packages() {
    for flag in ["--version", "-V"] {
        let version = Binary::new([flag]).run().expect_code(0);
        let expected = concat!("temporal-manifest ", env!("CARGO_PKG_VERSION"), "\n");
        assert_eq!(version.stdout, expected);
    }
}

/// What is wrong with the words, and a part of what is said about it.
const MISTAKES: &[(&[&str], &str)] = &[
    (&["plan-b"], "unrecognized subcommand 'plan-b'"),
    (&["validate"], "<PATH>"),
    (&["apply"], "<PATH>"),
    (&["apply", "x", "--nosuch"], "'--nosuch'"),
    (&["apply", "x", "--adress", "a:1"], "`--address`"),
    (&["validate", "x", "--address", "a:1"], "`--address`"),
    (&["apply", "x", "--retry-for", "5 weeks"], "1h30m"),
    (
        &["apply", "x", "--parallelism", "0"],
        "0 is not in 1..=10000",
    ),
    (&["apply", "x", "--parallelism", "many"], "'many'"),
    (
        &["apply", "x", "--idempotency-key", ""],
        "must not be empty",
    ),
    (
        &["apply", "x", "--idempotency-key", " "],
        "must not be empty",
    ),
    (
        &["render", "x", "--idempotency-key", ""],
        "must not be empty",
    ),
    (
        &["apply", "x", "--tls-ca-path", "a", "--tls-ca-data", "b"],
        "'--tls-ca-data <PEM>'",
    ),
    (&["apply", "x", "--wait-timeout", "5s"], "--wait"),
    (&["apply", "x", "--address", "localhost"], "HOST:PORT"),
    (&["apply", "x", "--address", "http://a:1"], "HOST:PORT"),
    (&["apply", "x", "-n", ""], "the namespace must not be empty"),
    (&["apply", "x", "--grpc-meta", "nothing"], "KEY=VALUE"),
    (
        &["apply", "x", "--grpc-meta", "a b=c"],
        "a name of the gRPC metadata",
    ),
    (&["apply", "x", "--profile", "nosuch"], "temporal.toml"),
    (&["apply", "x", "--env", "nosuch"], "temporal.yaml"),
    (&["schema", "nosuch"], "manifest, report, event"),
    (&["completion", "nosuch"], "bash"),
];

#[test]
fn usage_errors_end_with_2_and_are_json_if_asked_for() {
    for (words, part) in MISTAKES {
        let told = Binary::new(*words).run().expect_code(2);
        assert!(told.stderr.contains(part), "{words:?}:\n{}", told.stderr);
        assert!(told.stdout.is_empty(), "{words:?}:\n{}", told.stdout);
        for form in [&["-o", "json"][..], &["--output=jsonl"], &["-ojson"]] {
            let told = Binary::new(*words).args(form).run().expect_code(2);
            let error = &json(&told)["error"];
            assert_eq!(error["code"], "usage");
            assert_eq!(error["exitCode"], 2);
            let text = error.to_string();
            assert!(text.contains(part), "{words:?}:\n{text}");
            let message = error["message"].as_str().expect("it is text");
            assert!(!message.contains('\n'), "{message}");
        }
    }
}

#[cfg(unix)]
#[test]
fn words_that_are_not_unicode_are_no_reason_to_panic() {
    use std::os::unix::ffi::OsStrExt;
    let word = std::ffi::OsStr::from_bytes(b"\xff.yaml");
    let unknown = Binary::new([word]).run().expect_code(2);
    assert!(!unknown.stderr.contains("panicked"), "{}", unknown.stderr);
    let missing = Binary::new(["validate"]).arg(word).run().expect_code(3);
    assert!(missing.stderr.contains("cannot read"), "{}", missing.stderr);
}

#[test]
fn init_prints_a_valid_manifest() {
    let starter = Binary::new(["init"]).run().expect_code(0).stdout;
    assert!(
        starter.contains("idReusePolicy: RejectDuplicate"),
        "{starter}"
    );
    let valid = Binary::new(["validate", "-"]).stdin(starter).run();
    let valid = valid.expect_code(0);
    assert!(valid.stdout.starts_with("valid: "), "{}", valid.stdout);
    assert!(valid.stderr.is_empty(), "{}", valid.stderr);
}

#[test]
fn schema_prints_the_committed_files() {
    for name in [
        "manifest",
        "report",
        "event",
        "journal",
        "validation",
        "error",
        "render",
    ] {
        let path = repository().join(format!("schemas/{name}.schema.json"));
        let committed = std::fs::read_to_string(path).expect("the schema is committed");
        let printed = Binary::new(["schema", name]).run().expect_code(0);
        assert_eq!(printed.stdout, committed);
    }
    let default = Binary::new(["schema"]).run().expect_code(0);
    assert!(default.stdout.contains("temporal-manifest"));
}

#[test]
fn completion_scripts_name_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = Binary::new(["completion", shell]).run().expect_code(0);
        for word in ["validate", "apply", "parallelism"] {
            assert!(script.stdout.contains(word), "{shell} lacks {word}");
        }
    }
}

/// What bash offers for the last of these words.
fn offered_by_bash(words: &[&str]) -> Option<Vec<String>> {
    let script = Binary::new(["completion", "bash"]).run().expect_code(0);
    let ask = r#"
        eval "$SCRIPT"
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE}
        offer=$(complete -p temporal-manifest | sed 's/.* -F \([^ ]*\) .*/\1/')
        "$offer" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let asked = Command::new("bash")
        .args([
            "--norc",
            "--noprofile",
            "-c",
            ask,
            "bash",
            "temporal-manifest",
        ])
        .args(words)
        .env("SCRIPT", &script.stdout)
        .output();
    let asked = match asked {
        Ok(asked) => asked,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            say_skipped("there is no bash");
            return None;
        }
        Err(error) => panic!("bash cannot be run: {error}"),
    };
    let complaints = String::from_utf8_lossy(&asked.stderr);
    assert!(asked.status.success(), "{complaints}");
    let offered = String::from_utf8(asked.stdout).expect("it is text");
    Some(offered.split_whitespace().map(str::to_owned).collect())
}

#[test]
fn bash_offers_options_and_values_after_every_command() {
    let table: [(&[&str], &[&str]); 8] = [
        (&["appl"], &["apply"]),
        (&["apply", "--ret"], &["--retry-for"]),
        (&["--color", "never", "apply", "--ret"], &["--retry-for"]),
        (&["apply", "-o", "js"], &["json", "jsonl"]),
        (&["render", "--col"], &["--color"]),
        (&["report", "--mer"], &["--merge"]),
        (&["schema", "val"], &["validation"]),
        (&["help", "compl"], &["completion"]),
    ];
    for (words, expected) in table {
        if let Some(offered) = offered_by_bash(words) {
            assert_eq!(offered, expected, "{words:?}");
        }
    }
    for (words, some) in [
        (&["apply", "-o", ""][..], "github"),
        (&["schema", ""], "event"),
    ] {
        if let Some(offered) = offered_by_bash(words) {
            assert!(offered.iter().any(|it| it == some), "{offered:?}");
        }
    }
}

#[test]
fn render_prints_manifests_or_lines() {
    let folder = Folder::new();
    let path = folder.manifest(
        "apiVersion: temporal-manifest/v1\nkind: Starts\nmetadata: {name: rendered}\n\
         defaults: {taskQueue: q, memo: {a: 1}}\nstarts:\n\
         - {type: One, workflowId: one, args: [9007199254740993, null, {b: 1, a: 2}, !!binary AQI=]}\n\
         - {type: Two, memo: null}\n",
    );
    let yaml = Binary::new(["render"])
        .arg(&path)
        .run()
        .expect_code(0)
        .stdout;
    is_golden("render.yaml", &yaml);
    // What was rendered says the same when it is rendered again.
    let again = Binary::new(["render", "-"]).stdin(yaml.clone()).run();
    assert_eq!(again.expect_code(0).stdout, yaml);
    for form in ["json", "jsonl"] {
        let lines = Binary::new(["render", "-o", form]).arg(&path).run();
        let lines = lines.expect_code(0).stdout;
        let starts: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).expect("each line is JSON"))
            .collect();
        assert_eq!(starts.len(), 2);
        assert_eq!(starts[0]["start"]["args"][0], 9_007_199_254_740_993_u64);
        assert_eq!(starts[0]["start"]["memo"]["a"], 1);
        assert_eq!(starts[1]["index"], 1);
        assert_eq!(starts[1]["source"]["line"], 7);
    }
    for form in ["none", "github"] {
        let silent = Binary::new(["render", "-o", form]).arg(&path).run();
        assert!(silent.expect_code(0).stdout.is_empty());
    }
}

#[test]
fn validate_has_every_form_of_output() {
    let folder = Folder::new();
    let good = folder.write("good.yaml", manifest(2));
    let bad = folder.write("bad.yaml", manifest(2).replace("kind", "knid"));
    let run = |path: &PathBuf, form: &str| Binary::new(["validate", "-o", form]).arg(path).run();
    let text = run(&good, "text").expect_code(0);
    assert_eq!(text.stdout, "valid: 2 starts in 1 file\n");
    let text = run(&bad, "text").expect_code(3);
    assert!(text.stdout.is_empty() && text.stderr.contains("did you mean `kind`?"));
    assert!(text.stderr.ends_with("2 problems\n"), "{}", text.stderr);
    let none = run(&bad, "none").expect_code(3);
    assert!(none.stdout.is_empty() && none.stderr.is_empty());
    for form in ["json", "jsonl"] {
        let document = json(&run(&bad, form).expect_code(3));
        assert_eq!(document["valid"], false);
        assert_eq!(document["diagnostics"].as_array().map(Vec::len), Some(2));
        assert_eq!(json(&run(&good, form).expect_code(0))["starts"], 2);
    }
    let github = run(&bad, "github").expect_code(3);
    assert_eq!(github.stdout.lines().count(), 2);
    for line in github.stdout.lines() {
        assert!(line.starts_with("::error file="), "{line}");
    }
    assert!(run(&good, "github").expect_code(0).stdout.is_empty());
}

#[test]
fn apply_has_every_form_of_output() {
    let fake = FakeFrontend::healthy();
    let folder = Folder::new();
    let path = folder.manifest(&manifest(3));
    let run = |form: &str| {
        Binary::new(["apply", "--address", &fake.address(), "-o", form])
            .arg(&path)
            .run()
            .expect_code(0)
    };
    let text = run("text").stdout;
    assert!(text.contains("\n3 starts: 3 started in "), "{text}");
    assert_eq!(run("github").stdout.lines().count(), text.lines().count());
    assert!(run("none").stdout.is_empty());
    let report = json(&run("json"));
    assert_eq!(report["kind"], "Report");
    assert_eq!(report["starts"].as_array().map(Vec::len), Some(3));
    let events = run("jsonl").stdout;
    for line in events.lines() {
        serde_json::from_str::<Value>(line).expect("each line is JSON");
    }
    assert!(events.lines().count() >= 5, "{events}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = Folder::new();
    let path = folder.manifest(&manifest(20_000));
    for arguments in [&["render"][..], &["render", "-o", "jsonl"], &["--help"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_temporal-manifest"));
        command.args(arguments);
        if arguments[0] == "render" {
            command.arg(&path);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program was built");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("our own child ends");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
        assert!(stderr.is_empty(), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_full_disk_is_told() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let full = std::fs::File::options().write(true).open("/dev/full");
    let output = Command::new(env!("CARGO_BIN_EXE_temporal-manifest"))
        .arg("init")
        .stdout(full.expect("anybody may write to /dev/full"))
        .output()
        .expect("the program was built");
    assert_eq!(output.status.code(), Some(8));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("cannot write to standard output"),
        "{stderr}"
    );
}

#[test]
fn a_report_needs_a_temporary_file() {
    let fake = FakeFrontend::healthy();
    let folder = Folder::new();
    let path = folder.manifest(&manifest(1));
    let address = fake.address();
    let told = Binary::new(["apply", "--address", &address, "-o", "json"])
        .arg(&path)
        .env("TMPDIR", "/nonexistent")
        .run()
        .expect_code(8);
    assert!(told.stderr.contains("temporary file"), "{}", told.stderr);
    assert_eq!(fake.start_count(), 0);
}

#[test]
fn colours_are_used_on_terminals_or_when_told() {
    let folder = Folder::new();
    let path = folder.manifest("kind: 1");
    let run = |words: &[&str]| Binary::new(["validate"]).arg(&path).args(words);
    let coloured = |finished: Finished| finished.expect_code(3).stderr.contains("\u{1b}[");
    assert!(!coloured(run(&[]).run()));
    assert!(coloured(run(&["--color", "always"]).run()));
    assert!(!coloured(run(&["--color", "never"]).run()));
    let told = run(&["--color", "always"]).env("NO_COLOR", "1").run();
    assert!(coloured(told), "a flag goes before a variable");
    let words = |extra: &[&str]| {
        let mut words = vec!["validate".to_owned(), path.to_string_lossy().into_owned()];
        words.extend(extra.iter().map(ToString::to_string));
        words
    };
    let Some(screen) = on_terminal(80, &words(&[]), &[]) else {
        return;
    };
    assert!(screen.contains("\u{1b}["), "{screen:?}");
    for (flags, variables) in [
        (&["--color", "never"][..], &[][..]),
        (&[], &[("NO_COLOR", "1")]),
        (&[], &[("TERM", "dumb")]),
    ] {
        let screen = on_terminal(80, &words(flags), variables).expect("it worked before");
        assert!(!screen.contains("\u{1b}[3"), "{screen:?}");
    }
}

#[test]
fn a_narrow_terminal_shows_whole_rows() {
    let fake = FakeFrontend::healthy();
    let folder = Folder::new();
    let path = folder.manifest(&manifest(3));
    let words = [
        "apply",
        "--address",
        &fake.address(),
        &path.to_string_lossy(),
    ];
    let Some(screen) = on_terminal(60, &words.map(str::to_owned), &[]) else {
        return;
    };
    assert!(screen.contains("3/3 starts"), "{screen:?}");
    let mut rows = 0;
    for line in screen.lines() {
        // What a carriage return overwrites is not seen.
        let seen = line.rsplit('\r').next().unwrap_or_default();
        let seen = console::strip_ansi_codes(seen);
        let width = console::measure_text_width(&seen);
        let is_note = seen.starts_with("note: ");
        assert!(width <= 60 || is_note, "{width} columns: {seen:?}");
        rows += usize::from(seen.starts_with("started "));
    }
    assert_eq!(rows, 3, "{screen:?}");
    assert!(screen.contains("\n              run "), "{screen:?}");
}

/// What the program shows on a terminal so many columns wide; `None` if there is no way to make one.
fn on_terminal(columns: u16, words: &[String], variables: &[(&str, &str)]) -> Option<String> {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let program = env!("CARGO_BIN_EXE_temporal-manifest");
    let line = format!(
        "stty rows 24 cols {columns} && '{program}' {}",
        quoted.join(" ")
    );
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env_clear()
        .env("PATH", crate::support::search_path())
        .env("TERM", "xterm-256color")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n")),
        Err(_) => None,
    }
}

#[test]
fn the_log_tells_calls_apart_and_no_secrets() {
    let fake = FakeFrontend::builder()
        .on_start(|_, number| async move {
            match number {
                0 => Err(tonic::Status::unavailable("not now")),
                _ => Ok(crate::support::fake_frontend::started()),
            }
        })
        .start();
    let folder = Folder::new();
    let path = folder.manifest(&manifest(1).replace("workflowId", "args: [secret], workflowId"));
    let run = |words: &[&str]| {
        let address = fake.address();
        let apply = Binary::new(["apply", "--address", &address, "-o", "none"]);
        apply.arg(&path).args(words).run().expect_code(0).stderr
    };
    let log = run(&["--log-level", "debug", "--grpc-meta", "x-token=secret"]);
    for part in [
        "apply started",
        "attempt failed",
        "not now",
        "start finished",
        "apply finished",
    ] {
        assert!(log.contains(part), "no {part} in:\n{log}");
    }
    assert!(!log.contains("secret") && !log.contains('\u{1b}'), "{log}");
    let log = run(&["--log-level", "info", "--log-format", "json"]);
    let mut lines = log.lines().filter(|line| line.starts_with('{'));
    let first: Value = serde_json::from_str(lines.next().expect("a line")).expect("it is JSON");
    assert_eq!(first["fields"]["namespace"], "default");
    assert!(!log.contains("start finished"), "{log}");
    assert!(
        !run(&[]).contains("started"),
        "there is no log unless asked for"
    );
}

#[cfg(unix)]
#[test]
fn a_signal_that_arrives_twice_is_one_signal() {
    let fake = FakeFrontend::builder()
        .start_latency(std::time::Duration::from_millis(200))
        .start();
    let folder = Folder::new();
    let path = folder.manifest(&manifest(1_000));
    let address = fake.address();
    let running = Binary::new(["apply", "--address", &address, "--parallelism", "2"])
        .arg(&path)
        .spawn();
    fake.wait_for_starts(2);
    running.signal("TERM");
    running.signal("TERM");
    let finished = running.finish().expect_code(143);
    assert!(
        finished
            .stderr
            .contains("terminated: no further starts were made")
    );
    // Those in flight were settled.
    let summary = format!("{} started", fake.start_count());
    assert!(finished.stdout.contains(&summary), "{}", finished.stdout);
}
