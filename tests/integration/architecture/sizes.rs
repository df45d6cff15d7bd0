//! What fits on a page is read in one go: functions and files have a size.

use std::path::Path;

/// Most lines between the braces of a function, but for [`TABLES`].
const MOST_LINES: usize = 60;

/// Functions that are one long list, and read as one.
const TABLES: &[&str] = &[
    "client/request.rs start_request",
    "expand/ids/content.rs content_digest",
    "expand/render.rs start_value",
    "report/log.rs log",
];

/// Most lines of a file before its tests.
const MOST_LINES_OF_A_FILE: usize = 400;

/// The functions of a text with the number of lines between their braces, as rustfmt lays them out.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = function(line) else {
            continue;
        };
        let indent = &line[..line.len() - line.trim_start().len()];
        let ends = |line: &&str| line.ends_with(['{', ';', '}']);
        let Some(head) = lines[at..].iter().position(|line| ends(&line.trim_end())) else {
            continue;
        };
        let body = &lines[at + head..];
        if !body[0].ends_with('{') {
            continue;
        }
        let close = format!("{indent}}}");
        if let Some(length) = body.iter().position(|line| *line == close) {
            found.push((name.to_owned(), length - 1));
        }
    }
    found
}

/// The name of the function that begins on a line.
fn function(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    if let Some(after) = rest.strip_prefix("pub") {
        rest = after.split_once(' ')?.1;
        if after.starts_with("(in ") {
            rest = after.split_once(") ")?.1;
        }
    }
    for word in ["const ", "async "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    let name = rest.strip_prefix("fn ")?;
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    Some(&name[..end])
}

/// Whether only tests have a file.
fn is_for_tests(file: &Path) -> bool {
    let module = file.file_stem().unwrap_or_default().to_string_lossy();
    let folder = file.parent().expect("files lie in folders");
    [folder.with_extension("rs"), folder.join("mod.rs")]
        .iter()
        .filter_map(|above| std::fs::read_to_string(above).ok())
        .any(|text| text.contains(&format!("#[cfg(test)]\nmod {module};")))
}

#[test]
fn functions_and_files_fit_on_a_page() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut seen, mut wrong, mut tables) = (0, Vec::new(), Vec::new());
    for file in super::rust_files(&src) {
        let name = file.strip_prefix(&src).expect("it lies in src");
        let name = name.display().to_string();
        if is_for_tests(&file) {
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("source is text");
        let text = text.split("#[cfg(test)]\nmod tests").next();
        let text = text.unwrap_or_default();
        let lines = text.lines().count();
        if lines > MOST_LINES_OF_A_FILE {
            wrong.push(format!("{name} has {lines} lines"));
        }
        for (function, lines) in functions(text) {
            seen += 1;
            let function = format!("{name} {function}");
            if lines <= MOST_LINES {
                continue;
            }
            if TABLES.contains(&function.as_str()) {
                tables.push(function);
            } else {
                wrong.push(format!("{function} has {lines} lines"));
            }
        }
    }
    assert!(seen > 700, "only {seen} functions were found");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(
        tables, TABLES,
        "what is no longer long is no longer a table"
    );
}

#[test]
fn lines_of_functions_are_counted() {
    let text = "impl A {\n    pub(in crate::a) async fn long(\n        &self,\n    ) -> B {\n        if x {\n            y\n        }\n    }\n\n    fn empty() {}\n}\nfn f() -> u8 {\n    1\n}\n";
    let found = functions(text);
    assert_eq!(found, [("long".to_owned(), 3), ("f".to_owned(), 1)]);
}
