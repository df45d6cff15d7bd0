//! Payloads that are given byte for byte: `$payload: {encoding, data | base64 | file, metadata}`.

use std::fs::File;
use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::payload::{MAX_REQUEST_BYTES, Payload};
use crate::expand::folder::Folder;
use crate::manifest::diagnostic::Code;
use crate::manifest::finding::Finding;
use crate::manifest::locate::Step;
use crate::manifest::node::{Node, Value};

const FORM: &str =
    "write `$payload: {encoding: json/plain, data: ...}`, with `base64` or `file` for bytes";

/// Encodes what stands under the key of a payload at `path`.
///
/// # Errors
/// Everything that is wrong with it.
pub(in crate::expand) fn encode(
    given: &Node,
    folder: Folder<'_>,
    path: Step,
) -> Result<Payload, Vec<Finding>> {
    let mut read = Given {
        path: vec![path],
        encoding: None,
        metadata: Vec::new(),
        sources: 0,
        data: Vec::new(),
        findings: Vec::new(),
    };
    let Value::Map(entries) = &given.value else {
        let message = format!("`$payload` must be a map, and this is {}", given.kind());
        read.fail(&message, FORM);
        return Err(read.findings);
    };
    for (key, value) in &**entries {
        read.path.push(Step::Key(key.text.to_string()));
        match &*key.text {
            "encoding" => read.encoding(value),
            "data" => read.data(value),
            "base64" => read.base64(value),
            "file" => read.file(value, folder),
            "metadata" => read.metadata(value),
            other => {
                let shown = crate::manifest::shorten(other);
                let message = format!("there is no key `{shown}` in `$payload`");
                let finding = Finding::new(Code::InvalidPayload, read.path.clone(), message);
                read.findings.push(finding.with_help(FORM).at_key());
            }
        }
        read.path.pop();
    }
    if given.get("encoding").is_none() {
        read.fail("`$payload` has no `encoding`", FORM);
    }
    if read.sources > 1 {
        let message = "`$payload` takes one of `data`, `base64` and `file`, not several";
        read.fail(message, FORM);
    }
    if !read.findings.is_empty() {
        return Err(read.findings);
    }
    let metadata = read.encoding.into_iter().chain(read.metadata);
    Ok(Payload {
        metadata: metadata.collect(),
        data: read.data.into(),
    })
}

/// What was read so far.
struct Given {
    /// To what is read next.
    path: Vec<Step>,
    encoding: Option<(String, Vec<u8>)>,
    metadata: Vec<(String, Vec<u8>)>,
    /// Keys that say what the bytes are.
    sources: usize,
    data: Vec<u8>,
    findings: Vec<Finding>,
}

impl Given {
    fn fail(&mut self, message: &str, help: &str) {
        let finding = Finding::new(Code::InvalidPayload, self.path.clone(), message);
        self.findings.push(finding.with_help(help));
    }

    fn encoding(&mut self, value: &Node) {
        match value.as_str() {
            Some(encoding) if !encoding.is_empty() => {
                self.encoding = Some(("encoding".to_owned(), encoding.as_bytes().to_vec()));
            }
            _ => self.fail("`encoding` must be a non-empty string", FORM),
        }
    }

    fn data(&mut self, value: &Node) {
        self.sources += 1;
        match data_bytes(value) {
            Ok(bytes) => self.data = bytes,
            Err(()) => self.fail("`data` cannot hold `!!binary` inside of a JSON value", FORM),
        }
    }

    fn base64(&mut self, value: &Node) {
        self.sources += 1;
        let text = value.as_str().unwrap_or_default();
        let packed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        match STANDARD.decode(packed) {
            Ok(bytes) if value.as_str().is_some() => self.data = bytes,
            _ => self.fail(
                "`base64` is not Base64 text",
                "encode the bytes with `base64 -w0 FILE`",
            ),
        }
    }

    fn file(&mut self, value: &Node, folder: Folder<'_>) {
        self.sources += 1;
        let read = match value.as_str() {
            Some(file) => read_file(file, folder),
            None => Err(format!(
                "`file` must be a path, and this is {}",
                value.kind()
            )),
        };
        match read {
            Ok(bytes) => self.data = bytes,
            Err(message) => {
                let finding = Finding::new(Code::PayloadFile, self.path.clone(), message);
                let help = "a path is relative to the manifest's folder and may not leave it without `--allow-outside`";
                self.findings.push(finding.with_help(help));
            }
        }
    }

    fn metadata(&mut self, value: &Node) {
        if !matches!(value.value, Value::Map(_)) {
            self.fail("`metadata` must be a map of strings", FORM);
        }
        for (name, value) in value.entries() {
            let (message, help) = match value.as_str() {
                Some(text) if &*name.text != "encoding" => {
                    let entry = (name.text.to_string(), text.as_bytes().to_vec());
                    self.metadata.push(entry);
                    continue;
                }
                Some(_) => ("the encoding stands beside `metadata`, not in it", FORM),
                None => ("a value in `metadata` must be a string", "quote it"),
            };
            self.path.push(Step::Key(name.text.to_string()));
            self.fail(message, help);
            self.path.pop();
        }
    }
}

/// `data` as bytes: a string as it is, bytes as they are, anything else as JSON, in which no key
/// has a meaning.
fn data_bytes(value: &Node) -> Result<Vec<u8>, ()> {
    match &value.value {
        Value::String(text) => Ok(text.as_bytes().to_vec()),
        Value::Binary(bytes) => Ok(bytes.to_vec()),
        _ => {
            if holds_binary(value) {
                return Err(());
            }
            Ok(serde_json::to_vec(value).expect("a node tree can be written as JSON"))
        }
    }
}

fn holds_binary(node: &Node) -> bool {
    match &node.value {
        Value::Binary(_) => true,
        Value::List(items) => items.iter().any(holds_binary),
        Value::Map(entries) => entries.iter().any(|(_, value)| holds_binary(value)),
        _ => false,
    }
}

fn read_file(file: &str, folder: Folder<'_>) -> Result<Vec<u8>, String> {
    let opened = folder.open(file)?;
    let cannot = |error: std::io::Error| format!("cannot read `{file}`: {error}");
    read_at_most(opened.file, MAX_REQUEST_BYTES)
        .map_err(cannot)?
        .ok_or_else(|| {
            format!(
                "`{file}` is larger than {} MiB",
                MAX_REQUEST_BYTES / (1024 * 1024)
            )
        })
}

fn read_at_most(file: File, limit: usize) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= limit).then_some(bytes))
}
