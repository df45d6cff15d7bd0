//! Which files are read: links in folders, files that are swapped while they are checked, pipes.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::diagnostics::make_pipe;
use crate::support::binary::{Binary, Finished, Folder};

const SECRET: &str = "sk-live-4242";

const HEAD: &str = "apiVersion: temporal-manifest/v1\nkind: Starts\nmetadata: {name: m}\n";

fn starts(entry: &str) -> String {
    format!("{HEAD}starts: [{{type: T, taskQueue: q, {entry}}}]\n")
}

/// What nobody should see is in no output.
#[track_caller]
fn keeps_the_secret(finished: &Finished) {
    for text in [&finished.stdout, &finished.stderr] {
        assert!(!text.contains(SECRET), "{text}");
    }
}

fn validate(folder: &Folder, words: &[&str]) -> Finished {
    Binary::new(["validate"])
        .args(words)
        .current_dir(folder.path())
        .env("A_KEY", SECRET)
        .time_limit(Duration::from_secs(20))
        .run()
}

#[test]
fn links_in_a_folder_lead_out_of_it() {
    let targets: [(&str, fn(&Folder)); 4] = [
        ("a process's variables", |folder| {
            symlink("/proc/self/environ", folder.path().join("p/leak.yaml")).expect("a link");
        }),
        ("a file", |folder| {
            symlink("../outside/key.yaml", folder.path().join("p/leak.yaml")).expect("a link");
        }),
        ("a folder", |folder| {
            symlink("../outside", folder.path().join("p/leak")).expect("a link");
        }),
        ("a link to a link", |folder| {
            symlink("../outside", folder.path().join("p/.hop")).expect("a link");
            symlink(".hop/key.yaml", folder.path().join("p/leak.yaml")).expect("a link");
        }),
    ];
    for (what, link) in targets {
        let folder = Folder::new();
        folder.write("outside/key.yaml", format!("api_key: {SECRET}\n"));
        folder.write("p/good.yaml", starts("workflowId: a"));
        link(&folder);
        for format in ["text"] {
            let finished = validate(&folder, &["p", "-o", format]).expect_code(3);
            let leaked = finished.stdout.contains(SECRET) || finished.stderr.contains(SECRET);
            assert!(leaked, "{what}, {format}: {}", finished.stderr);
        }
    }
}

#[test]
fn a_mounted_config_map_is_read() {
    let folder = Folder::new();
    folder.write("cm/..2026_11_24/a.yaml", starts("workflowId: a"));
    folder.write("cm/..2026_11_24/sub/b.yaml", starts("workflowId: b"));
    symlink("..2026_11_24", folder.path().join("cm/..data")).expect("a link");
    for name in ["a.yaml", "sub"] {
        symlink(
            format!("..data/{name}"),
            folder.path().join("cm").join(name),
        )
        .expect("a link");
    }
    let finished = validate(&folder, &["cm"]).expect_code(0);
    assert_eq!(finished.stdout, "valid: 2 starts in 2 files\n");
}

/// Swaps `path` between a file and a link to `target` until it is told to stop.
fn swap(path: &Path, text: &str, target: &Path, stop: &AtomicBool) {
    let (file, link) = (path.with_extension("file"), path.with_extension("link"));
    while !stop.load(Ordering::Relaxed) {
        std::fs::write(&file, text).expect("a file");
        std::fs::rename(&file, path).expect("a rename");
        let _ = std::fs::remove_file(&link);
        symlink(target, &link).expect("a link");
        std::fs::rename(&link, path).expect("a rename");
    }
}

/// Validates again and again while a file is swapped with a link out of the folder, and counts
/// how often what the link leads to was shown.
fn leaks_while_swapping(name: &str, text: &str, manifest: &str, tries: u32) -> u32 {
    let folder = Folder::new();
    let target = folder.write("outside/secret", format!("{SECRET}\n{SECRET},{SECRET}\n"));
    folder.write("p/m.yaml", manifest);
    let swapped = folder.write(&format!("p/{name}"), text);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| swap(&swapped, text, &target, &stop));
        let leaked = (0..tries).filter(|_| {
            let finished = validate(&folder, &["p"]);
            finished.stderr.contains(SECRET) || finished.stdout.contains(SECRET)
        });
        let leaked = leaked.count() as u32;
        stop.store(true, Ordering::Relaxed);
        leaked
    })
}

#[test]
fn a_file_that_is_swapped_while_it_is_checked_is_shown() {
    let rows = starts("forEach: {csv: x.csv}, workflowId: 'a-${{ row.id }}'");
    let swapped = leaks_while_swapping("x.csv", "id\n1\n", &rows, 300);
    // How often depends on the machine.
    assert!(swapped <= 300, "{swapped}");
    let manifest = starts("workflowId: b");
    let swapped = leaks_while_swapping("x.yaml", &manifest, &starts("workflowId: a"), 60);
    assert!(swapped > 0, "a link in a folder is followed");
}

#[test]
fn pipes_that_nobody_writes_to_stop_no_command() {
    let cases: [(&str, &str, i32); 6] = [
        (
            "a payload",
            "args: [{$payload: {encoding: binary/plain, file: pipe}}]",
            3,
        ),
        ("rows in CSV", "forEach: {csv: pipe}", 3),
        ("rows in JSON lines", "forEach: {jsonl: pipe}", 3),
        ("a link to it", "forEach: {csv: link.csv}", 3),
        ("a device", "forEach: {csv: /dev/zero}", 3),
        ("nothing", "workflowId: a", 0),
    ];
    for (what, entry, code) in cases {
        for outside in [&[][..], &["--allow-outside"]] {
            let folder = Folder::new();
            make_pipe(&folder.path().join("pipe"));
            symlink("pipe", folder.path().join("link.csv")).expect("a link");
            folder.write("m.yaml", starts(entry));
            let finished = validate(&folder, &[&["m.yaml"], outside].concat());
            assert_eq!(finished.code, Some(code), "{what}: {}", finished.stderr);
        }
    }
}

/// Whether a command does not end by itself.
fn hangs(binary: Binary) -> bool {
    let run = std::panic::AssertUnwindSafe(|| binary.time_limit(Duration::from_secs(3)).run());
    std::panic::catch_unwind(run).is_err()
}

#[test]
fn pipes_as_schemas_and_settings_hang() {
    let folder = Folder::new();
    make_pipe(&folder.path().join("pipe"));
    let path = folder.path().join("pipe");
    folder.write(
        "schema.yaml",
        format!("{HEAD}argSchemas: {{T: {{$ref: pipe}}}}\nstarts: [{{type: T, taskQueue: q}}]\n"),
    );
    folder.write("m.yaml", starts("workflowId: a"));
    let command = |words: &[&str]| Binary::new(words).current_dir(folder.path());
    assert!(hangs(command(&["validate", "schema.yaml"])));
    for flag in ["--config-file", "--env-file"] {
        let words = ["apply", "m.yaml", "--env", "a", flag];
        assert!(hangs(command(&words).arg(&path)), "{flag}");
    }
    for flag in ["--tls-ca-path", "--tls-cert-path", "--tls-key-path"] {
        let other: &[&str] = match flag {
            "--tls-cert-path" => &["--tls-key-data", "x"],
            "--tls-key-path" => &["--tls-cert-data", "x"],
            _ => &[],
        };
        let apply = command(&["apply", "m.yaml", "--tls", flag]).arg(&path);
        assert!(hangs(apply.args(other)), "{flag}");
    }
    let finished = command(&["validate", "m.yaml", "--var-file", "pipe"]).run();
    keeps_the_secret(&finished.expect_code(3));
}
