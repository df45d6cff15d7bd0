//! Signals and the command timeout, before the first start, while starts are made, and after.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use serde_json::json;

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
fn a_signal_while_reading_is_lost() {
    let fake = FakeFrontend::healthy();
    let mut child = reading(&fake, "TERM");
    wait_until(&child, "SigIgn", 15);
    signal(&child, "TERM");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(STARTS.as_bytes()).expect("it is read");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(fake.start_count(), 1);
}

#[test]
fn the_command_timeout_does_not_hold_for_checking() {
    let folder = Folder::new();
    let manifest = folder.starts((0..20_000).map(
        |number| json!({"workflowId": format!("w-{number}"), "type": "T", "taskQueue": UNSERVED}),
    ));
    for command in ["validate", "render"] {
        Binary::new([command, "--command-timeout", "20ms"])
            .arg(&manifest)
            .run()
            .expect_code(0);
    }
}

/// A service whose Workflows never end.
fn endless() -> FakeFrontend {
    FakeFrontend::builder()
        .on_describe(|_, _| async { Ok(fake_frontend::running()) })
        .on_history(|_, _| std::future::pending())
        .start()
}

#[test]
fn the_command_timeout_while_waiting_is_taken_for_missing_starts() {
    let fake = endless();
    let folder = Folder::new();
    let manifest = folder.starts([json!({"workflowId": "w", "type": "T", "taskQueue": "q"})]);
    let flags = ["-o", "json", "--wait", "--command-timeout", "2s"];
    let finished = Binary::apply(&manifest, &fake.address(), &flags)
        .run()
        .expect_code(6);
    assert_eq!(Report::of(&finished).workflows("running"), 1);
    assert!(finished.stderr.contains("no further starts were made"));
}

#[test]
fn an_interrupt_while_waiting_says_that_no_starts_were_made() {
    let fake = endless();
    let folder = Folder::new();
    let manifest = folder.starts([json!({"workflowId": "w", "type": "T", "taskQueue": "q"})]);
    let flags = ["-o", "jsonl", "--wait"];
    let mut running = Binary::apply(&manifest, &fake.address(), &flags).spawn();
    running.wait_for_line(&["startFinished"]);
    running.signal("INT");
    let finished = running.finish().expect_code(130);
    assert!(finished.stderr.contains("no further starts were made"));
}

#[test]
fn a_hangup_ends_it_without_a_report() {
    let (fake, release) = crate::faults::holding();
    let folder = Folder::new();
    let manifest = folder.starts([json!({"workflowId": "w", "type": "T", "taskQueue": "q"})]);
    let running = Binary::apply(&manifest, &fake.address(), &["-o", "json"]).spawn();
    fake.wait_for_starts(1);
    running.signal("HUP");
    let finished = running.finish();
    assert_eq!(finished.code, None);
    assert_eq!(finished.stdout, "");
    drop(release);
}
