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
fn links_that_lead_out_of_a_folder_are_refused() {
    type Case = (&'static str, fn(&Folder));
    let targets: [Case; 4] = [
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
        for format in ["text", "json", "jsonl", "github"] {
            let finished = validate(&folder, &["p", "-o", format]).expect_code(3);
            keeps_the_secret(&finished);
            let told = finished.stdout.clone() + &finished.stderr;
            assert!(told.contains("link_outside"), "{what}, {format}: {told}");
            assert!(told.contains("p/leak"), "{what}, {format}: {told}");
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
fn a_file_that_is_swapped_while_it_is_checked_shows_nothing() {
    let rows = starts("forEach: {csv: x.csv}, workflowId: 'a-${{ row.id }}'");
    assert_eq!(leaks_while_swapping("x.csv", "id\n1\n", &rows, 100), 0);
    let manifest = starts("workflowId: b");
    let leaks = leaks_while_swapping("x.yaml", &manifest, &starts("workflowId: a"), 40);
    assert_eq!(leaks, 0);
    let payload = "args: [{$payload: {encoding: json/plain, file: x.json}}]";
    assert_eq!(leaks_while_swapping("x.json", "1", &starts(payload), 30), 0);
    let schema = format!(
        "{HEAD}argSchemas: {{T: x.schema}}\nstarts: [{{type: T, taskQueue: q, args: [1]}}]\n"
    );
    assert_eq!(leaks_while_swapping("x.schema", "{}", &schema, 30), 0);
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

/// A command says at once that a pipe is no file.
#[track_caller]
fn is_refused(binary: Binary, code: i32) {
    let finished = binary
        .time_limit(Duration::from_secs(20))
        .run()
        .expect_code(code);
    assert!(
        finished.stderr.contains("not a regular file"),
        "{}",
        finished.stderr
    );
}

#[test]
fn pipes_as_schemas_and_settings_are_refused() {
    let folder = Folder::new();
    make_pipe(&folder.path().join("pipe"));
    let path = folder.path().join("pipe");
    folder.write(
        "schema.yaml",
        format!("{HEAD}argSchemas: {{T: {{$ref: pipe}}}}\nstarts: [{{type: T, taskQueue: q}}]\n"),
    );
    folder.write("m.yaml", starts("workflowId: a"));
    let command = |words: &[&str]| Binary::new(words).current_dir(folder.path());
    is_refused(command(&["validate", "schema.yaml"]), 3);
    is_refused(command(&["validate", "schema.yaml", "--allow-outside"]), 3);
    for flag in ["--config-file", "--env-file"] {
        let words = ["apply", "m.yaml", "--env", "a", flag];
        is_refused(command(&words).arg(&path), 2);
    }
    for flag in ["--tls-ca-path", "--tls-cert-path", "--tls-key-path"] {
        let other: &[&str] = match flag {
            "--tls-cert-path" => &["--tls-key-data", "x"],
            "--tls-key-path" => &["--tls-cert-data", "x"],
            _ => &[],
        };
        let apply = command(&["apply", "m.yaml", "--tls", flag]).arg(&path);
        is_refused(apply.args(other), 2);
    }
    is_refused(command(&["validate", "m.yaml", "--var-file", "pipe"]), 3);
    is_refused(command(&["validate", "pipe"]), 3);
}

#[test]
fn pipes_of_a_shell_and_nothing_are_read_as_settings() {
    let folder = Folder::new();
    folder.write("m.yaml", starts("workflowId: a"));
    let fake = crate::support::fake_frontend::FakeFrontend::healthy();
    let script = r#""$0" apply m.yaml -o none --config-file <(printf '[profile.default]\naddress = "%s"\n' "$1") --env-file /dev/null"#;
    let bash = std::process::Command::new("bash")
        .args([
            "-c",
            script,
            env!("CARGO_BIN_EXE_temporal-manifest"),
            &fake.address(),
        ])
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .output()
        .expect("bash is on PATH");
    assert!(
        bash.status.success(),
        "{}",
        String::from_utf8_lossy(&bash.stderr)
    );
    assert_eq!(fake.start_count(), 1);
}

#[test]
fn links_within_a_folder_are_followed_once_and_never_in_circles() {
    let folder = Folder::new();
    // Each folder has two links to the next one: 2^20 ways to the last.
    for level in 0..20 {
        let name = format!("p/{level}");
        folder.write(
            &format!("{name}/{level}.yaml"),
            starts(&format!("workflowId: w{level}")),
        );
        for link in ["a", "b"] {
            let link = folder.path().join(&name).join(link);
            symlink(format!("../{}", level + 1), link).expect("a link");
        }
    }
    folder.write("p/20/last.yaml", starts("workflowId: last"));
    symlink("../0", folder.path().join("p/20/first")).expect("a link");
    let finished = validate(&folder, &["p"]).expect_code(0);
    assert_eq!(finished.stdout, "valid: 21 starts in 21 files\n");
}

#[test]
fn nothing_is_read_from_where_processes_show_their_secrets() {
    let folder = Folder::new();
    symlink("/proc/self/environ", folder.path().join("named.yaml")).expect("a link");
    let payload = "args: [{$payload: {encoding: text/plain, file: /proc/self/environ}}]";
    folder.write("m.yaml", starts(payload));
    for words in [&["named.yaml"][..], &["m.yaml", "--allow-outside"]] {
        let finished = validate(&folder, words).expect_code(3);
        keeps_the_secret(&finished);
    }
}

const KUSTOMIZATION: &str = "resources: [deployment.yaml]\n";
const CONFIG_MAP: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: !Sub b}\n";

/// Files that lie beside manifests for other reasons.
const OTHERS: [(&str, &str); 8] = [
    ("kustomization.yaml", KUSTOMIZATION),
    ("config.yaml", CONFIG_MAP),
    (
        "payloads/acme.json",
        r#"{"start": "2026-11-01", "stats": [1], "cents": 3}"#,
    ),
    ("payloads/list.json", "[1, 2, 3]"),
    ("values.yaml", "replicas: 3\nstatus: fine\n"),
    (
        "report.json",
        r#"{"apiVersion": "temporal-manifest/v1", "kind": "Report", "starts": []}"#,
    ),
    (
        "valid.json",
        r#"{"apiVersion": "temporal-manifest/v1", "kind": "Validation", "files": 1}"#,
    ),
    (
        "error.json",
        r#"{"error": {"code": "usage", "message": "m", "exitCode": 2}}"#,
    ),
];

#[test]
fn what_lies_beside_manifests_is_left_out_of_a_folder() {
    for (name, text) in OTHERS {
        let folder = Folder::new();
        folder.write("p/m.yaml", starts("workflowId: a"));
        folder.write(&format!("p/{name}"), text);
        let finished = validate(&folder, &["p"]).expect_code(0);
        assert_eq!(finished.stdout, "valid: 1 start in 1 file\n", "{name}");
        // What the program itself writes is nothing to wonder about.
        let own = ["report.json", "valid.json", "error.json"].contains(&name);
        let note = format!("note: `p/{name}` is left out: it is ");
        assert_eq!(finished.stderr.starts_with(&note), !own, "{name}");
        // Who names it means it.
        validate(&folder, &[&format!("p/{name}")]).expect_code(3);
        let finished = validate(&folder, &["p", "--exclude", name]).expect_code(0);
        assert_eq!(finished.stderr, "", "{name}");
        // Alone it makes no folder of manifests.
        std::fs::remove_file(folder.path().join("p/m.yaml")).expect("it was just written");
        let finished = validate(&folder, &["p"]).expect_code(3);
        assert!(
            finished.stderr.contains("no_manifests"),
            "{}",
            finished.stderr
        );
    }
}

#[test]
fn what_is_meant_as_a_manifest_is_never_left_out() {
    let good = starts("workflowId: b");
    let list = "- {type: T, taskQueue: q}\n";
    for text in [
        good.replace("temporal-manifest/v1", "temporal-manifest/v2"),
        good.replace("temporal-manifest/v1", "temporal-manifst/v1"),
        good.replace("temporal-manifest/v1", "Temporal-Manifest/V1"),
        good.replace("apiVersion: temporal-manifest/v1\n", ""),
        good.replace("apiVersion:", "apiversion:"),
        good.replace("apiVersion: ", "apiVersion "),
        good.replace("kind: Starts", "kind: Start"),
        good.replace("starts:", "start:")
            .replace("apiVersion: temporal-manifest/v1\n", ""),
        good.replace("starts:", "startz:"),
        good.replace("temporal-manifest/v1", "v1"),
        good.replace("kind: Starts\n", ""),
        list.to_owned(),
        format!("{CONFIG_MAP}---\n{}", good.replace("type: T", "typ: T")),
        format!("{CONFIG_MAP}---\nstarts: [\n"),
        String::new(),
    ] {
        let folder = Folder::new();
        folder.write("p/m.yaml", starts("workflowId: a"));
        folder.write("p/wrong.yaml", &text);
        let finished = validate(&folder, &["p"]);
        assert_eq!(finished.code, Some(3), "{text}\n{}", finished.stderr);
    }
}

#[test]
fn documents_of_others_in_one_file_are_left_out_too() {
    let folder = Folder::new();
    folder.write(
        "p/m.yaml",
        format!("{}---\n{CONFIG_MAP}", starts("workflowId: a")).replace("!Sub ", ""),
    );
    let finished = validate(&folder, &["p"]).expect_code(0);
    assert_eq!(finished.stdout, "valid: 1 start in 1 file\n");
    assert!(
        finished.stderr.contains("`ConfigMap`"),
        "{}",
        finished.stderr
    );
    validate(&folder, &["p/m.yaml"]).expect_code(3);
}

#[test]
fn files_and_folders_are_left_out_by_patterns() {
    let wrong = "apiVersion: temporal-manifest/v9\n";
    let table: [(&[&str], i32); 9] = [
        (&[], 3),
        (&["wrong.yaml"], 0),
        (&["wrong.*"], 0),
        (&["a/b/wrong.yaml"], 0),
        (&["a/**"], 0),
        (&["a"], 0),
        (&["./a/b/"], 0),
        (&["a/wrong.yaml"], 3),
        (&["b/wrong.yaml", "x"], 3),
    ];
    for (patterns, code) in table {
        let folder = Folder::new();
        folder.write("p/m.yaml", starts("workflowId: a"));
        folder.write("p/a/b/wrong.yaml", wrong);
        for command in ["validate", "render"] {
            let excludes = patterns.iter().flat_map(|pattern| ["--exclude", pattern]);
            let finished = Binary::new([command, "p"])
                .args(excludes)
                .current_dir(folder.path())
                .run();
            assert_eq!(
                finished.code,
                Some(code),
                "{patterns:?}: {}",
                finished.stderr
            );
        }
    }
    let folder = Folder::new();
    folder.write("p/m.yaml", starts("workflowId: a"));
    let finished = validate(&folder, &["p", "--exclude", "["]).expect_code(2);
    assert!(finished.stderr.contains("--exclude"), "{}", finished.stderr);
    validate(&folder, &["p", "--exclude", "*.yaml"]).expect_code(3);
    // What is named itself is meant.
    validate(&folder, &["p/m.yaml", "--exclude", "m.yaml"]).expect_code(0);
}
