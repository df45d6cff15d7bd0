//! Every problem that `validate` can find, as its user reads it.
//!
//! `tests/diagnostics/NAME.stderr` is the whole standard error of `temporal-manifest validate` on
//! `NAME.yaml`, on the folder `NAME`, or on what [`MADE`] makes in a temporary folder.
//! `TEMPORAL_MANIFEST_UPDATE=1 cargo test --test integration diagnostics` writes them anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use temporal_manifest::manifest::diagnostic::Code;

use crate::support::binary::{Binary, Finished, Folder};
use crate::support::fake_frontend::FakeFrontend;

const HEAD: &str = "apiVersion: temporal-manifest/v1
kind: Starts
metadata: {name: case}
defaults: {type: BillCustomer, taskQueue: billing}
starts:
";

/// A case that cannot be a committed file: its name, what makes it, and the path to validate.
type Made = (&'static str, fn(&Folder), &'static str);

const MADE: &[Made] = &[
    (
        "unreadable",
        |folder| drop(folder.write("nightly.yaml", HEAD)),
        "nigthly.yaml",
    ),
    (
        "unreadable-loop",
        |folder| {
            folder.write("a/nightly.yaml", format!("{HEAD}  - workflowId: a\n"));
            std::os::unix::fs::symlink("..", folder.path().join("a/up"))
                .expect("links can be made");
        },
        "a",
    ),
    (
        "link_outside",
        |folder| {
            folder.write("a/nightly.yaml", format!("{HEAD}  - workflowId: a\n"));
            folder.write("key.yaml", "api_key: secret");
            std::os::unix::fs::symlink("../key.yaml", folder.path().join("a/key.yaml"))
                .expect("links can be made");
        },
        "a",
    ),
    (
        "not_a_file",
        |folder| make_pipe(&folder.path().join("pipe.yaml")),
        "pipe.yaml",
    ),
    (
        "too_large",
        |folder| {
            let path = folder.write("huge.yaml", HEAD);
            let file = std::fs::File::options().write(true).open(path);
            let file = file.expect("the file was just made");
            file.set_len(300 << 20)
                .expect("a sparse file takes no room");
        },
        "huge.yaml",
    ),
    (
        "not_utf8",
        |folder| {
            let mut text = format!("{HEAD}  - workflowId: bill-").into_bytes();
            text.extend(b"M\xFCller\n");
            folder.write("latin1.yaml", text);
        },
        "latin1.yaml",
    ),
    (
        "not_utf8-utf16",
        |folder| {
            let units = HEAD.encode_utf16().flat_map(u16::to_le_bytes);
            let text: Vec<u8> = [0xFF, 0xFE].into_iter().chain(units).collect();
            folder.write("utf16.yaml", text);
        },
        "utf16.yaml",
    ),
    (
        "start_too_large",
        |folder| {
            let text = "x".repeat(4_200_000);
            folder.write("big.yaml", format!("{HEAD}  - args: [{text}]\n"));
        },
        "big.yaml",
    ),
];

/// Makes a named pipe.
pub(crate) fn make_pipe(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.expect("mkfifo is on PATH").success());
}

fn cases_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics")
}

fn made(name: &str) -> Option<&'static Made> {
    MADE.iter().find(|(made, ..)| *made == name)
}

/// Names of all cases: what has a manifest, a folder of them, or a way to be made.
fn cases() -> BTreeSet<String> {
    let entries = std::fs::read_dir(cases_folder()).expect("the folder of cases is there");
    let names = entries.filter_map(|entry| {
        let path = entry.expect("the folder can be read").path();
        let stem = path.file_stem()?.to_str()?.to_owned();
        let is_case = path.extension().is_some_and(|it| it == "yaml")
            || (path.is_dir() && stem != "payload_file-folder");
        is_case.then_some(stem)
    });
    let made = MADE.iter().map(|(name, ..)| (*name).to_owned());
    names.chain(made).collect()
}

/// Runs `validate` on a case from within its folder, so that every path is a relative one.
fn validate(name: &str, more: &[&str]) -> Finished {
    let folder = Folder::new();
    let (run_in, path) = match made(name) {
        Some((_, make, path)) => {
            make(&folder);
            (folder.path().to_owned(), (*path).to_owned())
        }
        None if cases_folder().join(name).is_dir() => (cases_folder(), name.to_owned()),
        None => (cases_folder(), format!("{name}.yaml")),
    };
    let command = Binary::new(["validate", &path]).args(more);
    let command = match name {
        "temporary_file" => command.env("TMPDIR", "/nonexistent"),
        _ => command,
    };
    command.current_dir(run_in).run()
}

#[track_caller]
fn compare(path: &Path, found: &str) {
    if crate::support::update_is_wanted() {
        std::fs::write(path, found).expect("a golden file can be written");
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(found, expected, "{} differs", path.display());
}

#[test]
fn every_case_reads_as_written_down() {
    for name in cases() {
        let finished = validate(&name, &[]);
        let exit = match name.as_str() {
            "temporary_file" => 8,
            name if name.starts_with("advice") => 0,
            _ => 3,
        };
        let finished = finished.expect_code(exit);
        assert!(exit == 0 || finished.stdout.is_empty(), "{name}");
        compare(
            &cases_folder().join(format!("{name}.stderr")),
            &finished.stderr,
        );
    }
}

#[test]
fn no_golden_file_is_without_a_case() {
    let cases = cases();
    for entry in std::fs::read_dir(cases_folder()).expect("the folder of cases is there") {
        let path = entry.expect("the folder can be read").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "stderr")
        {
            let stem = path
                .file_stem()
                .expect("a file has a name")
                .to_string_lossy();
            assert!(cases.contains(&*stem), "{stem}.stderr belongs to nothing");
        }
    }
}

/// `unknown_key` of `temporal_manifest::manifest::unknown_key`.
fn short(code: Code) -> &'static str {
    code.as_str().rsplit("::").next().expect("a code has parts")
}

#[test]
fn every_code_has_a_case_of_its_name() {
    for code in Code::ALL.iter().copied() {
        let golden = cases_folder().join(format!("{}.stderr", short(code)));
        let text = std::fs::read_to_string(golden).unwrap_or_default();
        assert!(text.contains(code.as_str()), "{code} has no case");
    }
}

#[test]
fn every_code_has_a_section_in_the_manual_and_no_section_is_left_over() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/diagnostics.md");
    let manual = std::fs::read_to_string(manual).expect("the manual is there");
    let sections: Vec<&str> = manual
        .lines()
        .filter_map(|line| line.strip_prefix("## `")?.strip_suffix('`'))
        .collect();
    let codes: Vec<&str> = Code::ALL.iter().copied().map(short).collect();
    assert_eq!(
        sections, codes,
        "sections of the manual, and codes in their order"
    );
}

#[test]
fn eight_mistakes_in_two_files_are_eight_located_messages() {
    let text = validate("eight-mistakes", &[]).expect_code(3).stderr;
    assert_eq!(
        text.matches("temporal_manifest::manifest::").count(),
        8,
        "{text}"
    );
    assert_eq!(text.matches("─[eight-mistakes/").count(), 8, "{text}");
}

#[test]
fn json_tells_the_same() {
    let finished = validate("eight-mistakes", &["-o", "json"]).expect_code(3);
    assert_eq!(finished.stderr, "");
    compare(
        &cases_folder().join("eight-mistakes.json"),
        &finished.stdout,
    );
    let found: Value = serde_json::from_str(&finished.stdout).expect("the output is JSON");
    let diagnostics = found["diagnostics"].as_array().expect("a list");
    assert_eq!(diagnostics.len(), 8);
    for diagnostic in diagnostics {
        assert!(
            diagnostic["line"].is_u64() && diagnostic["column"].is_u64(),
            "{diagnostic}"
        );
    }
}

#[test]
fn github_shows_the_same_as_annotations() {
    let finished = validate("eight-mistakes", &["-o", "github"]).expect_code(3);
    assert_eq!(finished.stderr, "");
    compare(
        &cases_folder().join("eight-mistakes.github"),
        &finished.stdout,
    );
    assert_eq!(finished.stdout.lines().count(), 8);
    for line in finished.stdout.lines() {
        assert!(line.starts_with("::error file=eight-mistakes/"), "{line}");
    }
}

#[test]
fn an_invalid_manifest_makes_no_call() {
    let server = FakeFrontend::healthy();
    let finished = Binary::new(["apply", "eight-mistakes", "--address", &server.address()])
        .current_dir(cases_folder())
        .run()
        .expect_code(3);
    let codes = finished.stderr.matches("temporal_manifest::manifest::");
    assert_eq!(codes.count(), 8, "{}", finished.stderr);
    let calls = [
        server.start_count(),
        server.describes().len(),
        server.histories().len(),
        server.system_infos().len(),
        server.namespaces().len(),
    ];
    assert_eq!(calls, [0; 5]);
}
