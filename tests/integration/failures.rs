//! How many failures read as text: where each one comes from, and what is the same told once.

use serde_json::json;

use crate::support::binary::{Binary, Folder};
use crate::support::dev_server;
use crate::support::{SERVED, unique_id};

#[test]
fn the_same_missing_search_attribute_is_told_for_every_start() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    let prefix = unique_id("missing");
    let folder = Folder::new();
    let manifest = folder.starts((0..15).map(|number| {
        json!({"workflowId": format!("{prefix}-{number}"), "type": "Echo", "taskQueue": SERVED,
               "searchAttributes": {"NoSuchAttribute": "x"}})
    }));
    let told = Binary::apply(&manifest, &server.address, &[]).run();
    let told = told.expect_code(4).stdout;
    assert_eq!(told.matches("no mapping defined").count(), 15, "{told}");
    assert!(!told.contains("temporal operator"), "{told}");
}

#[test]
fn a_failed_workflow_of_many_has_no_place_and_is_coloured_where_nothing_stands() {
    let Some(server) = dev_server::shared() else {
        return;
    };
    let prefix = unique_id("many-failed");
    let folder = Folder::new();
    let manifest = folder.starts((0..101).map(|number| {
        let kind = if number == 7 { "Fail" } else { "Echo" };
        json!({"workflowId": format!("{prefix}-{number}"), "type": kind, "taskQueue": SERVED})
    }));
    let told = Binary::apply(&manifest, &server.address, &["--wait", "--color", "always"]).run();
    let told = told.expect_code(7).stdout;
    let blanks = " ".repeat(13);
    assert!(
        told.contains(&format!("\u{1b}[31m{blanks}\u{1b}[0m")),
        "{told}"
    );
    assert!(!told.contains("yaml:"), "{told}");
}

#[test]
fn equal_mistakes_of_many_rows_are_drawn_fifty_times() {
    let folder = Folder::new();
    let items: Vec<String> = (0..200).map(|number| format!("{number}x")).collect();
    let entry = json!({"forEach": {"items": items}, "type": "T", "taskQueue": "q",
        "args": ["${{ row.value | int }}"]});
    let manifest = folder.starts([entry]);
    let told = Binary::new(["validate"]).arg(&manifest).run();
    let told = told.expect_code(3).stderr;
    assert_eq!(told.matches("is not an integer").count(), 50, "{told}");
}
