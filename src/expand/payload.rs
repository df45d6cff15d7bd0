//! Arguments, memo values and headers as payloads: an encoding, metadata and bytes.
//!
//! Source of the encodings: sdk-go `converter/metadata.go`. Every SDK's default data converter
//! reads them.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::folder::Folder;
use crate::manifest::diagnostic::Code;
use crate::manifest::finding::Finding;
use crate::manifest::locate::Step;
use crate::manifest::node::{Node, Value};

/// Largest request that the service takes, in bytes: gRPC's default limit for a message. The
/// service's own limits for payloads are lower by default and can be changed by its operator.
pub const MAX_REQUEST_BYTES: usize = 4 * 1024 * 1024;

/// The key that gives a payload byte for byte. To be meant literally it is written with one `$`
/// more, and so is a key that is written like that.
const PAYLOAD_KEY: &str = "$payload";

/// The encoding of a payload, and what else is to be known of its bytes.
pub type Metadata = [(String, Vec<u8>)];

/// Encodings that most payloads have; their metadata is made once and shared.
const WELL_KNOWN: [&str; 3] = ["json/plain", "binary/null", "binary/plain"];

/// A value as the service carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// `encoding` and whatever else the metadata holds, in the order written.
    pub metadata: Arc<Metadata>,
    /// The encoded value.
    pub data: Bytes,
}

impl Payload {
    /// A value in one of the well-known encodings.
    pub fn new(encoding: &str, data: impl Into<Bytes>) -> Self {
        static SHARED: OnceLock<[Arc<Metadata>; 3]> = OnceLock::new();
        let make = |encoding: &str| -> Arc<Metadata> {
            Arc::new([("encoding".to_owned(), encoding.as_bytes().to_vec())])
        };
        let known = WELL_KNOWN.iter().position(|known| *known == encoding);
        let metadata = match known {
            Some(position) => Arc::clone(&SHARED.get_or_init(|| WELL_KNOWN.map(make))[position]),
            None => make(encoding),
        };
        Payload {
            metadata,
            data: data.into(),
        }
    }

    /// Its encoding.
    pub fn encoding(&self) -> &[u8] {
        let encoding = self.metadata.iter().find(|(key, _)| key == "encoding");
        encoding.map_or(&[], |(_, encoding)| encoding)
    }

    /// A string in JSON.
    pub fn json_string(text: &str) -> Self {
        let data = serde_json::to_vec(text).expect("a string can be written as JSON");
        Payload::new("json/plain", data)
    }

    /// Bytes that the payload adds to a request, without the few bytes of protobuf's own.
    pub fn size(&self) -> usize {
        let metadata = self
            .metadata
            .iter()
            .map(|(key, value)| key.len() + value.len());
        self.data.len() + metadata.sum::<usize>()
    }
}

/// Encodes one value; problems are at paths below it.
///
/// # Errors
/// Everything that is wrong with the value.
pub(super) fn encode(node: &Node, folder: Folder<'_>) -> Result<Payload, Vec<Finding>> {
    match &node.value {
        Value::Null => return Ok(Payload::new("binary/null", Vec::new())),
        Value::Binary(bytes) => return Ok(Payload::new("binary/plain", bytes.to_vec())),
        Value::Map(entries) if is_sole_key(node, PAYLOAD_KEY) => {
            let mut path = vec![PAYLOAD_KEY.into()];
            return encode_given(&entries[0].1, folder, &mut path);
        }
        _ => {}
    }
    Ok(json(&*json_value(node)?))
}

/// Encodes what an expression came to. It is data from end to end: `$payload` has no meaning in it.
pub(super) fn encode_data(node: &Node) -> Payload {
    match &node.value {
        Value::Null => Payload::new("binary/null", Vec::new()),
        _ => json(node),
    }
}

/// A value in JSON, as it is.
fn json(node: &Node) -> Payload {
    let data = serde_json::to_vec(node).expect("a node tree can be written as JSON");
    Payload::new("json/plain", data)
}

/// Whether a value gives its payload byte for byte.
pub(super) fn is_given(node: &Node) -> bool {
    is_sole_key(node, PAYLOAD_KEY)
}

/// A value that becomes JSON, with what is escaped in it unescaped.
///
/// # Errors
/// What has no place inside of a JSON value.
pub(super) fn json_value(node: &Node) -> Result<Cow<'_, Node>, Vec<Finding>> {
    let mut findings = Vec::new();
    let mut escaped = false;
    look_inside(node, &mut Vec::new(), &mut findings, &mut escaped);
    match (findings.is_empty(), escaped) {
        (false, _) => Err(findings),
        (true, true) => Ok(Cow::Owned(unescape(node))),
        (true, false) => Ok(Cow::Borrowed(node)),
    }
}

fn is_sole_key(node: &Node, key: &str) -> bool {
    matches!(node.entries(), [(only, _)] if &*only.text == key)
}

/// Finds what has no place inside of a JSON value, and whether a key is escaped.
fn look_inside(node: &Node, path: &mut Vec<Step>, findings: &mut Vec<Finding>, escaped: &mut bool) {
    match &node.value {
        Value::Binary(_) => findings.push(
            Finding::new(
                Code::InvalidPayload,
                path.clone(),
                "`!!binary` is a payload of its own and cannot stand inside of a JSON value",
            )
            .with_help("make it a whole argument, or write Base64 text without the tag"),
        ),
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(index.into());
                look_inside(item, path, findings, escaped);
                path.pop();
            }
        }
        Value::Map(entries) => {
            if node.get(PAYLOAD_KEY).is_some() {
                path.push(PAYLOAD_KEY.into());
                findings.push(misplaced(path, entries.len() > 1));
                path.pop();
                return;
            }
            for (key, value) in &**entries {
                *escaped |= unescaped(&key.text).is_some();
                path.push(Step::Key(key.text.to_string()));
                look_inside(value, path, findings, escaped);
                path.pop();
            }
        }
        _ => {}
    }
}

/// The finding that `$payload` is not the only key of a whole value.
fn misplaced(path: &[Step], has_siblings: bool) -> Finding {
    let (message, help) = if has_siblings {
        (
            "`$payload` cannot stand beside other keys",
            "indent what belongs to it further; the key itself is written `$$payload`",
        )
    } else {
        (
            "`$payload` stands for a whole value and cannot stand inside of one",
            "to mean the key literally, write `$$payload`",
        )
    };
    Finding::new(Code::InvalidPayload, path.to_vec(), message)
        .at_key()
        .with_help(help)
}

/// The key that an escaped one stands for: `$payload` for `$$payload`, and so on.
fn unescaped(key: &str) -> Option<&str> {
    let literal = key.strip_prefix('$')?;
    may_be_escaped(literal).then_some(literal)
}

/// Whether a key would be taken for another one if it were not written with one `$` more.
pub(super) fn may_be_escaped(key: &str) -> bool {
    key.starts_with('$') && key.trim_start_matches('$') == "payload"
}

fn unescape(node: &Node) -> Node {
    let value = match &node.value {
        Value::List(items) => Value::List(items.iter().map(unescape).collect()),
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| {
                let mut key = key.clone();
                if let Some(literal) = unescaped(&key.text) {
                    key.text = literal.into();
                }
                (key, unescape(value))
            });
            Value::Map(entries.collect())
        }
        other => other.clone(),
    };
    Node {
        value,
        span: node.span,
    }
}

/// Encodes `$payload: {encoding, data | base64 | file, metadata}`.
fn encode_given(
    given: &Node,
    folder: Folder<'_>,
    path: &mut Vec<Step>,
) -> Result<Payload, Vec<Finding>> {
    const FORM: &str =
        "write `$payload: {encoding: json/plain, data: ...}`, with `base64` or `file` for bytes";
    let Value::Map(entries) = &given.value else {
        let message = format!("`$payload` must be a map, and this is {}", given.kind());
        return Err(vec![
            Finding::new(Code::InvalidPayload, path.clone(), message).with_help(FORM),
        ]);
    };
    let mut findings = Vec::new();
    let mut metadata = Vec::new();
    let mut sources: Vec<Result<Vec<u8>, ()>> = Vec::new();
    for (key, value) in &**entries {
        path.push(Step::Key(key.text.to_string()));
        let mut fail = |message: String, help: &str| {
            findings
                .push(Finding::new(Code::InvalidPayload, path.clone(), message).with_help(help));
        };
        match &*key.text {
            "encoding" => match value.as_str() {
                Some(encoding) if !encoding.is_empty() => {
                    metadata.insert(0, ("encoding".to_owned(), encoding.as_bytes().to_vec()));
                }
                _ => fail("`encoding` must be a non-empty string".to_owned(), FORM),
            },
            "data" => match data_bytes(value) {
                Ok(bytes) => sources.push(Ok(bytes)),
                Err(()) => {
                    sources.push(Err(()));
                    fail(
                        "`data` cannot hold `!!binary` inside of a JSON value".to_owned(),
                        FORM,
                    );
                }
            },
            "base64" => {
                let text = value.as_str().unwrap_or_default();
                let packed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
                match STANDARD.decode(packed) {
                    Ok(bytes) if value.as_str().is_some() => sources.push(Ok(bytes)),
                    _ => {
                        sources.push(Err(()));
                        fail(
                            "`base64` is not Base64 text".to_owned(),
                            "encode the bytes with `base64 -w0 FILE`",
                        );
                    }
                }
            }
            "file" => match value
                .as_str()
                .ok_or(format!(
                    "`file` must be a path, and this is {}",
                    value.kind()
                ))
                .and_then(|file| read_file(file, folder))
            {
                Ok(bytes) => sources.push(Ok(bytes)),
                Err(message) => {
                    sources.push(Err(()));
                    findings.push(
                        Finding::new(Code::PayloadFile, path.clone(), message)
                            .with_help("a path is relative to the manifest's folder and may not leave it without `--allow-outside`"),
                    );
                }
            },
            "metadata" => {
                if !matches!(value.value, Value::Map(_)) {
                    fail("`metadata` must be a map of strings".to_owned(), FORM);
                }
                for (name, value) in value.entries() {
                    let (message, help) = match value.as_str() {
                        Some(text) if &*name.text != "encoding" => {
                            metadata.push((name.text.to_string(), text.as_bytes().to_vec()));
                            continue;
                        }
                        Some(_) => ("the encoding stands beside `metadata`, not in it", FORM),
                        None => ("a value in `metadata` must be a string", "quote it"),
                    };
                    path.push(Step::Key(name.text.to_string()));
                    let finding = Finding::new(Code::InvalidPayload, path.clone(), message);
                    findings.push(finding.with_help(help));
                    path.pop();
                }
            }
            other => {
                let shown = crate::manifest::shorten(other);
                let message = format!("there is no key `{shown}` in `$payload`");
                let finding = Finding::new(Code::InvalidPayload, path.clone(), message);
                findings.push(finding.with_help(FORM).at_key());
            }
        }
        path.pop();
    }
    let has_encoding = entries.iter().any(|(key, _)| &*key.text == "encoding");
    if !has_encoding {
        findings.push(
            Finding::new(
                Code::InvalidPayload,
                path.clone(),
                "`$payload` has no `encoding`",
            )
            .with_help(FORM),
        );
    }
    if sources.len() > 1 {
        findings.push(
            Finding::new(
                Code::InvalidPayload,
                path.clone(),
                "`$payload` takes one of `data`, `base64` and `file`, not several",
            )
            .with_help(FORM),
        );
    }
    match (findings.is_empty(), sources.pop()) {
        (true, source) => Ok(Payload {
            metadata: metadata.into(),
            data: source.and_then(Result::ok).unwrap_or_default().into(),
        }),
        (false, _) => Err(findings),
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
