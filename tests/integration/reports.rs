//! Report files: who may read them, and what they must not be.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use crate::support::UNSERVED;
use crate::support::binary::{Binary, Folder};
use crate::support::fake_frontend::FakeFrontend;

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
