//! Signals and the command timeout, before the first start, while starts are made, and after.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::binary::{Binary, Folder};
use crate::support::fake_frontend::{self, FakeFrontend};
use crate::support::report::Report;
use crate::support::{UNSERVED, poll_until};

const STARTS: &str = r#"{"apiVersion": "temporal-manifest/v1", "kind": "Starts", "metadata": {"name": "test"},
    "starts": [{"workflowId": "w", "type": "T", "taskQueue": "q"}]}"#;

/// An apply of what it reads from standard input, in a process that was told to ignore signals.
fn reading(fake: &FakeFrontend, ignored: &str) -> Child {
    let words = format!("trap '' {ignored}; exec \"$0\" \"$@\"");
    Command::new("sh")
        .args(["-c", &words, env!("CARGO_BIN_EXE_temporal-manifest")])
        .args(["apply", "-", "--address", &fake.address()])
        .env_clear()
        .env("PATH", crate::support::search_path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a shell can be run")
}

fn signal(child: &Child, name: &str) {
    let kill = Command::new("kill")
        .args([format!("-{name}"), child.id().to_string()])
        .status();
    assert!(kill.expect("kill is on PATH").success());
}

/// Waits until a signal is in one of a process's sets, as Linux shows them.
#[cfg(target_os = "linux")]
#[track_caller]
fn wait_until(child: &Child, set: &str, signal: u32) {
    let path = format!("/proc/{}/status", child.id());
    poll_until("the signal is in the set", || {
        let status = std::fs::read_to_string(&path).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(set))?;
        let signals = line.trim_start_matches(':').trim();
        let signals = u64::from_str_radix(signals, 16).ok()?;
        (signals >> (signal - 1) & 1 == 1).then_some(())
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_signal_while_reading_ends_it_with_nothing_sent() {
    // Whether it was ignored or not makes no difference, as in process 1 of a container.
    for (name, number, ignored) in [
        ("TERM", 15, "TERM"),
        ("TERM", 15, "INT"),
        ("INT", 2, "INT"),
        ("HUP", 1, "INT"),
    ] {
        let fake = FakeFrontend::healthy();
        let mut child = reading(&fake, ignored);
        let stdin = child.stdin.take();
        wait_until(&child, "SigCgt", number);
        signal(&child, name);
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(128 + number as i32), "{name}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains("nothing was sent"), "{stderr}");
        assert_eq!(fake.start_count(), 0);
        drop(stdin);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_hangup_that_is_ignored_stays_ignored() {
    let fake = FakeFrontend::healthy();
    let mut child = reading(&fake, "HUP");
    wait_until(&child, "SigCgt", 15);
    signal(&child, "HUP");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(STARTS.as_bytes()).expect("it is read");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(fake.start_count(), 1);
}

#[test]
fn the_command_timeout_holds_for_checking() {
    let folder = Folder::new();
    let manifest = folder.starts((0..20_000).map(
        |number| json!({"workflowId": format!("w-{number}"), "type": "T", "taskQueue": UNSERVED}),
    ));
    for command in ["validate", "render"] {
        let finished = Binary::new([command, "-o", "json", "--command-timeout", "20ms"])
            .arg(&manifest)
            .run()
            .expect_code(6);
        let error: Value = serde_json::from_str(&finished.stdout).expect("an error is JSON");
        assert_eq!(error["error"]["code"], "timeout");
        assert_eq!(error["error"]["exitCode"], 6);
    }
}

#[test]
fn the_command_timeout_holds_for_reading() {
    let fake = FakeFrontend::healthy();
    let address = fake.address();
    let apply = ["apply", "-", "--address", &address];
    for words in [&apply[..], &["validate", "-"], &["render", "-"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_temporal-manifest"))
            .args(words)
            .args(["--command-timeout", "300ms"])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program under test was built");
        let stdin = child.stdin.take();
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(6), "{words:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        let said = "the command timeout passed: nothing was sent";
        assert!(stderr.contains(said), "{stderr}");
        drop(stdin);
    }
    assert_eq!(fake.start_count(), 0);
}

/// A service whose Workflows never end.
fn endless() -> FakeFrontend {
    FakeFrontend::builder()
        .on_describe(|_, _| async { Ok(fake_frontend::running()) })
        .on_history(|_, _| std::future::pending())
        .start()
}

#[test]
fn the_command_timeout_while_waiting_leaves_workflows_running() {
    let fake = endless();
    let folder = Folder::new();
    let manifest = folder.starts([json!({"workflowId": "w", "type": "T", "taskQueue": "q"})]);
    let flags = ["-o", "json", "--wait", "--command-timeout", "2s"];
    let finished = Binary::apply(&manifest, &fake.address(), &flags)
        .run()
        .expect_code(9);
    assert_eq!(Report::of(&finished).workflows("running"), 1);
    assert!(
        finished
            .stderr
            .contains("timeout passed: every start was made")
    );
}

#[test]
fn an_interrupt_while_waiting_says_that_every_start_was_made() {
    let fake = endless();
    let folder = Folder::new();
    let manifest = folder.starts([json!({"workflowId": "w", "type": "T", "taskQueue": "q"})]);
    let flags = ["-o", "jsonl", "--wait"];
    let mut running = Binary::apply(&manifest, &fake.address(), &flags).spawn();
    running.wait_for_line(&["startFinished"]);
    running.signal("INT");
    let finished = running.finish().expect_code(130);
    assert!(
        finished
            .stderr
            .contains("interrupted: every start was made")
    );
}
