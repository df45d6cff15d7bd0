//! Quotes in CSV files: which are meant, and which show that cells are not what they seem.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};

use crate::rows::{folder, in_a_line, problems, rendered};
use crate::support::binary::{Binary, Folder};
use crate::support::dev_server;
use crate::support::fake_frontend::FakeFrontend;

const ENTRY: &str = "starts:
  - forEach: {csv: rows.csv}
    args: [\"${{ row.id }}\", \"${{ row.name }}\"]
";

/// Files whose quotes are wrong, and the problems that they have.
const UNSOUND: &[(&str, &[&str])] = &[
    (
        "id,name\n1,Ann\n2,\"Bob\n3,Cid\n4,Dan\n",
        &["3:3 the quote that opens this cell is never closed"],
    ),
    // What is behind a cell that may have taken rows in is not looked at.
    (
        "id,name\n1,Ann\n2,\"Bob\n3,Cid\n4,\"Dan\" Jr\n5,\"Eve\" x\n",
        &["3:3 this quoted cell goes on to line 5, where text follows the quote that closes it"],
    ),
    (
        "id,name\n3,\"un\"quoted\n4,Dan\n\"5\" ,\"Eve\"\n",
        &[
            "2:3 text follows the quote that closes this cell",
            "4:1 text follows the quote that closes this cell",
        ],
    ),
    (
        "id,name\n1,\"2\"3\"\n",
        &["2:3 text follows the quote that closes this cell"],
    ),
    (
        "id,name\n1,5\" pipe\n2, \"Bob\"\n3,Cid\n",
        &[
            "2:4 a quote stands inside of a cell that does not begin with one",
            "3:4 a quote stands inside of a cell that does not begin with one",
        ],
    ),
    (
        "id,\"name\n1,Ann\n",
        &["1:4 the quote that opens this cell is never closed"],
    ),
    // After other lines of the same cell, in a row that follows an empty line.
    (
        "id,name\r\n\r\n\"a\r\nb\",\"c\r\n",
        &["4:4 the quote that opens this cell is never closed"],
    ),
    (
        "\u{FEFF}\"id\",\"näme\"s\n",
        &["1:6 text follows the quote that closes this cell"],
    ),
];

#[test]
fn unsound_quotes_are_located_where_they_open() {
    for (text, expected) in UNSOUND {
        let folder = folder(ENTRY);
        folder.write("rows.csv", text);
        let found: Vec<String> = problems(&folder).iter().map(in_a_line).collect();
        let expected: Vec<String> = expected
            .iter()
            .map(|problem| format!("invalid_row rows.csv:{problem} <- batch.yaml:6:20"))
            .collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn nothing_is_started_where_a_quote_is_never_closed() {
    let frontend = FakeFrontend::healthy();
    let folder = folder(ENTRY);
    folder.write("rows.csv", "id,name\n1,Ann\n2,\"Bob\n3,Cid\n4,Dan\n");
    Binary::apply("batch.yaml", &frontend.address(), &[])
        .current_dir(folder.path())
        .run()
        .expect_code(3);
    assert_eq!(frontend.start_count(), 0);
}

/// A row that is too long is shown where the quote stands that may have made it so.
#[test]
fn a_quote_that_swallows_megabytes_is_where_the_row_is_too_long() {
    let folder = folder(ENTRY);
    let rows = "3,Cid\n".repeat(2_000_000);
    folder.write("rows.csv", format!("id,name\n1,Ann\n2,\"Bob\n{rows}"));
    let found: Vec<String> = problems(&folder).iter().map(in_a_line).collect();
    let expected = "invalid_row rows.csv:3:3 a row is longer than 8 MiB <- batch.yaml:6:20";
    assert_eq!(found, [expected]);
}

/// What Python's strict reader makes of files that are named on its command line.
const PEER: &str = "
import csv, json, sys
for name in sys.argv[1:]:
    with open(name, newline='', encoding='utf-8-sig') as file:
        try:
            rows = [row for row in csv.reader(file, strict=True) if row]
        except csv.Error:
            rows = None
    print(json.dumps(rows))
";

/// A file of three columns, some of whose quotes may be wrong.
fn generated(random: &mut fastrand::Rng) -> String {
    let mut text = if random.bool() { "\u{FEFF}" } else { "" }.to_owned();
    text.push_str("a,b,c\n");
    for _ in 0..random.usize(1..5) {
        let cells: Vec<String> = (0..3).map(|_| cell(random)).collect();
        text.push_str(&cells.join(","));
        text.push_str(random.choice(["\n", "\r\n", "\r", "\n\n"]).expect("one"));
    }
    if random.bool() {
        text.truncate(text.trim_end().len());
    }
    text
}

fn cell(random: &mut fastrand::Rng) -> String {
    let plain = ["", "x", " y ", "ü", "a'b", "1.5"];
    let quoted = [
        "", "x", "x,y", "\n", "x\r\ny", "\"\"", "x\"\"", "\"\"\"\"", " ",
    ];
    let wrong = [
        "\"", "\"x", "x\"", "\"x\" ", " \"x\"", "\"x\"\"", "\"\"\"", "\"a\"b\"", "x\"\"y",
    ];
    match random.u8(..100) {
        0..3 => (*random.choice(&wrong).expect("one")).to_owned(),
        3..50 => format!("\"{}\"", random.choice(&quoted).expect("one")),
        _ => (*random.choice(&plain).expect("one")).to_owned(),
    }
}

/// What is wrong with files that Python reads: nothing but quotes inside of cells, which it takes.
#[test]
fn pythons_strict_reader_agrees() {
    let Some(python) = dev_server::python() else {
        return;
    };
    let mut random = fastrand::Rng::with_seed(4180);
    let files: Vec<String> = (0..500).map(|number| format!("{number}.csv")).collect();
    let written = Folder::new();
    for file in &files {
        written.write(file, generated(&mut random));
    }
    let output = Command::new(python)
        .args(["-c", PEER])
        .args(&files)
        .current_dir(written.path())
        .output()
        .expect("Python can be run");
    assert!(output.status.success(), "{output:?}");
    let theirs = String::from_utf8(output.stdout).expect("JSON is text");
    let theirs = theirs.lines().map(|line| {
        let rows: Option<Vec<Vec<String>>> = serde_json::from_str(line).expect("it is JSON");
        rows.filter(|rows| rows.iter().all(|row| row.len() == 3))
    });
    let theirs: BTreeMap<&str, _> = files.iter().map(String::as_str).zip(theirs).collect();

    let manifest = |files: &mut dyn Iterator<Item = &str>| {
        let entry = |file: &str| {
            format!("  - forEach: {{csv: {file}}}\n    args: [{file}, \"${{{{ row }}}}\"]\n")
        };
        let folder = folder(&format!(
            "starts:\n{}",
            files.map(entry).collect::<String>()
        ));
        for file in &self::files_of(&written) {
            std::fs::copy(written.path().join(file), folder.path().join(file))
                .expect("it is copied");
        }
        folder
    };
    let mut unsound: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for problem in problems(&manifest(&mut theirs.keys().copied())) {
        let file = problem["file"]
            .as_str()
            .expect("it is in a file")
            .to_owned();
        let message = problem["message"]
            .as_str()
            .expect("it says what")
            .to_owned();
        unsound.entry(file).or_default().push(message);
    }
    let mut expected = Vec::new();
    for (file, rows) in &theirs {
        match (rows, unsound.get(*file)) {
            (Some(rows), None) => expected.extend(
                rows[1..]
                    .iter()
                    .map(|row| json!([file, {"a": row[0], "b": row[1], "c": row[2]}])),
            ),
            (Some(_), Some(messages)) => assert!(
                messages.iter().all(|it| it.contains("inside of a cell")),
                "{file}: {messages:?}"
            ),
            (None, Some(_)) => {}
            (None, None) => panic!("{file} is sound to us"),
        }
    }
    let sound = &mut theirs
        .keys()
        .copied()
        .filter(|file| !unsound.contains_key(*file));
    let ours: Vec<Value> = rendered(&manifest(sound), &[])
        .iter()
        .map(|start| start["args"].clone())
        .collect();
    assert_eq!(ours, expected);
    // Neither all nor none of the files were of either kind.
    assert!(
        unsound.len() > 50 && expected.len() > 500,
        "{}",
        unsound.len()
    );
}

fn files_of(folder: &Folder) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path()).expect("it can be read");
    let names = entries.map(|entry| entry.expect("it can be read").file_name());
    names.filter_map(|name| name.into_string().ok()).collect()
}
