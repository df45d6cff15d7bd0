//! How many failures read as text: where each one comes from, and what is the same told once.

use serde_json::{Value, json};

use crate::support::binary::{Binary, Folder};
use crate::support::dev_server;
use crate::support::fake_frontend::{self, FakeFrontend};
use crate::support::{SERVED, UNSERVED, unique_id};

#[test]
fn the_same_missing_search_attribute_is_told_once_with_what_to_do() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    let prefix = unique_id("missing");
    let folder = Folder::new();
    let rows: Vec<usize> = (0..15).collect();
    let manifest = folder.starts([json!({
        "forEach": {"items": rows}, "workflowId": format!("{prefix}-${{{{ row.value }}}}"),
        "type": "Echo", "taskQueue": SERVED, "searchAttributes": {"NoSuchAttribute": "x"}})]);
    let told = Binary::apply(&manifest, &server.address, &[]).run();
    let told = told.expect_code(4).stdout;
    assert_eq!(told.matches("no mapping defined").count(), 1, "{told}");
    for part in [
        "failed        15 starts\n",
        &format!("\n              {prefix}-0  "),
        ", row 1\n",
        ", row 3\n",
        "… and 12 more; `-o json`",
        "temporal operator search-attribute create --namespace default --name NoSuchAttribute --type",
    ] {
        assert!(told.contains(part), "{part} in:\n{told}");
    }
    assert!(!told.contains(", row 4\n"), "{told}");
}

#[test]
fn a_help_is_made_of_plain_names_only() {
    let fake = FakeFrontend::builder()
        .on_start(|_, _| async {
            let words = "Namespace default has no mapping defined for search attribute a;reboot";
            Err(tonic::Status::invalid_argument(words))
        })
        .start();
    let folder = Folder::new();
    let manifest = folder.starts([json!({"workflowId": "a", "type": "T", "taskQueue": "q"})]);
    let told = Binary::apply(&manifest, &fake.address(), &[]).run();
    let told = told.expect_code(4).stdout;
    assert!(
        told.contains("a;reboot") && !told.contains("temporal operator"),
        "{told}"
    );
}

#[test]
fn failures_that_differ_are_told_one_by_one_and_in_order() {
    let fake = FakeFrontend::builder()
        .on_start(|request, _| async move {
            let id = &request.workflow_id;
            let number: u32 = id.trim_start_matches("w-").parse().unwrap_or_default();
            match number {
                3 => Err(tonic::Status::invalid_argument("the third")),
                5 => Err(tonic::Status::invalid_argument("the fifth")),
                // Its own name makes no failure another one.
                100.. => Err(tonic::Status::invalid_argument(format!("{id} is too much"))),
                _ => Ok(fake_frontend::started()),
            }
        })
        .start();
    let folder = Folder::new();
    let manifest =
        folder.starts((0..120).map(
            |number| json!({"workflowId": format!("w-{number}"), "type": "T", "taskQueue": "q"}),
        ));
    let told = Binary::apply(&manifest, &fake.address(), &[]).run();
    let told = told.expect_code(4).stdout;
    let at = |part: &str| {
        told.find(part)
            .unwrap_or_else(|| panic!("no {part} in:\n{told}"))
    };
    assert!(at("the third") < at("the fifth"), "{told}");
    assert!(at("the fifth") < at("failed        20 starts\n"), "{told}");
    assert_eq!(told.matches("is too much").count(), 1, "{told}");
    let place = told
        .lines()
        .find(|line| line.starts_with("failed        w-3 "));
    assert!(place.is_some_and(|line| line.contains(".json:")), "{told}");
}

#[test]
fn a_failed_workflow_of_many_keeps_outcome_and_place_and_its_state_is_red() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    let prefix = unique_id("many-failed");
    let folder = Folder::new();
    let manifest = folder.starts((0..101).map(|number| {
        let kind = if number == 7 { "Fail" } else { "Echo" };
        json!({"workflowId": format!("{prefix}-{number}"), "type": kind, "taskQueue": SERVED})
    }));
    let journal = folder.path().join("j").to_string_lossy().into_owned();
    let flags = ["--wait", "--color", "always", "--journal", &journal];
    let told = Binary::apply(&manifest, &server.address, &flags).run();
    let told = told.expect_code(7).stdout;
    let again = Binary::new(["report", &journal, "--color", "always"]).run();
    let again = again.expect_code(7).stdout;
    for told in [told, again] {
        let row = told
            .lines()
            .find(|line| line.contains(&format!("{prefix}-7")));
        let row = row.unwrap_or_else(|| panic!("no row in:\n{told}"));
        assert!(
            row.starts_with("\u{1b}[32mstarted      \u{1b}[0m"),
            "{row:?}"
        );
        assert!(row.contains("\u{1b}[31mFailed\u{1b}[0m"), "{row:?}");
        assert!(row.contains(".json:"), "{row:?}");
        assert!(!told.contains(&format!("{prefix}-8")), "{told}");
    }
}

#[test]
fn equal_mistakes_of_many_rows_are_drawn_a_few_times_and_counted() {
    let folder = Folder::new();
    let items: Vec<String> = (0..200).map(|number| format!("{number}x")).collect();
    let entry = json!({"forEach": {"items": items}, "type": "T", "taskQueue": "q",
        "args": ["${{ row.value | int }}"]});
    let unlike = json!({"type": "T", "taskQueue": "q", "args": ["${{ vars.none }}"]});
    let manifest = folder.starts([entry, unlike]);
    let told = Binary::new(["validate"]).arg(&manifest).run();
    let told = told.expect_code(3).stderr;
    assert_eq!(told.matches("is not an integer").count(), 3, "{told}");
    assert!(told.contains("… and 197 more like it: "), "{told}");
    assert!(told.contains("vars.none"), "{told}");
    assert!(told.ends_with("201 problems\n"), "{told}");
    // Programs get all of them.
    let data = Binary::new(["validate", "-o", "json"]).arg(&manifest).run();
    let data: Value = serde_json::from_str(&data.expect_code(3).stdout).expect("it is JSON");
    assert_eq!(data["diagnostics"].as_array().map(Vec::len), Some(201));
}

#[test]
fn the_note_on_repeats_is_told_where_a_repeat_begins_something() {
    let fake = FakeFrontend::healthy();
    let folder = Folder::new();
    for (policies, told) in [
        (json!({}), true),
        (json!({"idReusePolicy": "AllowDuplicate"}), true),
        (
            json!({"idReusePolicy": "AllowDuplicate", "idConflictPolicy": "UseExisting"}),
            true,
        ),
        (json!({"idReusePolicy": "RejectDuplicate"}), false),
        (json!({"idReusePolicy": "AllowDuplicateFailedOnly"}), false),
        (
            json!({"idReusePolicy": "AllowDuplicateFailedOnly", "idConflictPolicy": "UseExisting"}),
            false,
        ),
    ] {
        let mut start = json!({"workflowId": "a", "type": "T", "taskQueue": "q"});
        let fields = policies.as_object().expect("it is a map").clone();
        start.as_object_mut().expect("it is a map").extend(fields);
        let manifest = folder.starts([start]);
        let applied = Binary::apply(&manifest, &fake.address(), &[])
            .run()
            .expect_code(0);
        let found = applied.stderr.contains("this begins new Workflows");
        assert_eq!(found, told, "{policies}: {}", applied.stderr);
    }
}

#[test]
fn a_conflict_that_counts_as_done_names_the_flag_that_makes_it_fail() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    let folder = Folder::new();
    let id = unique_id("conflict");
    let start = |policy: &str| {
        folder.starts([
            json!({"workflowId": id, "type": "Any", "taskQueue": UNSERVED,
            "idConflictPolicy": policy}),
        ])
    };
    let apply = |policy: &str, flags: &[&str], code: i32| {
        let applied = Binary::apply(start(policy), &server.address, flags).run();
        applied.expect_code(code).stderr
    };
    let hint = "--fail-existing makes it fail";
    assert!(!apply("Fail", &[], 0).contains(hint));
    assert!(apply("Fail", &[], 0).contains(hint));
    assert!(!apply("UseExisting", &[], 0).contains(hint));
    assert!(!apply("Fail", &["--fail-existing"], 4).contains(hint));
    let advice = Binary::new(["validate"])
        .arg(start("Fail"))
        .run()
        .expect_code(0);
    assert!(
        advice.stderr.contains("--fail-existing"),
        "{}",
        advice.stderr
    );
    server.terminate(std::slice::from_ref(&id));
}
