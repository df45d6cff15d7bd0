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
fn a_report_is_public_whatever_the_umask_says() {
    for umask in ["077", "027", "022"] {
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
        assert_eq!(mode(&folder.path().join("r.json")), 0o644, "{umask}");
    }
}
