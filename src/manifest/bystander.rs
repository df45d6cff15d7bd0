//! What lies beside manifests in a folder and is none.
//!
//! Only where a folder is walked: a file that is named is meant to be a manifest. And only what is
//! plainly something else: whatever bears a mark of a manifest, or nearly one, is held to be a
//! manifest with a mistake.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::findings::diagnostic::{Code, Diagnostic};
use super::findings::spelling::nearest;
use super::kinds::{API_VERSION, Definition, Kind};
use super::text::node::{Node, Value};
use super::text::source::Source;

/// Kinds of documents that this program writes.
const WRITTEN: [&str; 4] = ["Report", "Validation", "Error", "Plan"];

/// A file of a folder that was left out.
#[derive(Clone, Debug)]
pub struct Bystander {
    /// The file.
    pub source: Arc<Source>,
    /// What it is.
    pub what: Other,
}

/// What something is that is no manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Other {
    /// What this program itself reads or writes beside manifests: nobody need be told.
    Expected(&'static str),
    /// Anything else, in words.
    Foreign(String),
}

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Other::Expected(words) => f.write_str(words),
            Other::Foreign(words) => f.write_str(words),
        }
    }
}

/// Whether a document says of itself that it is a JSON Schema.
fn is_json_schema(document: &Node) -> bool {
    let dialect = document.get("$schema").and_then(Node::as_str);
    dialect.is_some_and(|dialect| dialect.contains("json-schema.org/"))
}

/// What a document is, if it is no manifest and not meant as one.
pub(super) fn what_else(document: &Node) -> Option<Other> {
    if is_json_schema(document) {
        return Some(Other::Expected("a JSON Schema"));
    }
    let Value::Map(_) = &document.value else {
        // A manifest whose first colon is missing is a text.
        let is_text = document
            .as_str()
            .is_some_and(|text| text.contains("temporal-manifest"));
        let is_ours = is_text
            || document
                .items()
                .iter()
                .any(|item| kinds().any(|kind| is_entry(kind, item)));
        let words = format!("{} without apiVersion", document.kind());
        return (!is_ours).then_some(Other::Foreign(words));
    };
    let text = |key: &str| document.get(key).and_then(Node::as_str);
    let (version, kind) = (text("apiVersion"), text("kind"));
    if version == Some(API_VERSION) && kind.is_some_and(|kind| WRITTEN.contains(&kind)) {
        return Some(Other::Expected("a document that this program has written"));
    }
    let error = document.get("error");
    if error.is_some_and(|error| error.get("exitCode").is_some() && error.get("code").is_some()) {
        return Some(Other::Expected("an error that this program has written"));
    }
    if is_meant_as_ours(document, version, kind) {
        return None;
    }
    Some(Other::Foreign(match (version, kind) {
        (Some(version), Some(kind)) => {
            let (kind, version) = (super::shorten(kind), super::shorten(version));
            format!("a `{kind}` of `{version}`")
        }
        _ => "a document without apiVersion and kind".to_owned(),
    }))
}

fn is_meant_as_ours(document: &Node, version: Option<&str>, kind: Option<&str>) -> bool {
    let folded = |text: &str| text.to_lowercase();
    let is_ours = |version: &str| {
        folded(version).contains("temporal-manifest") || nearest(version, [API_VERSION]).is_some()
    };
    let is_kind = |kind: &str| {
        let mut known = Kind::ALL.iter();
        known.any(|known| folded(known.as_str()) == folded(kind))
    };
    version.is_some_and(is_ours)
        || kind.is_some_and(is_kind)
        || document.entries().iter().any(|(key, value)| {
            let key = folded(&key.text);
            kinds().any(|kind| {
                // `start` and `stats` are words of others too, and lists of starts are not.
                let is_near = strsim::damerau_levenshtein(&key, kind.entries) <= 1;
                kind.marks.contains(&&*key)
                    || (is_near
                        && key.len() < 10
                        && value.items().iter().any(|item| is_entry(kind, item)))
            })
        })
}

fn kinds() -> impl Iterator<Item = &'static Definition> {
    Kind::ALL.iter().map(|kind| kind.definition())
}

fn is_entry(kind: &Definition, item: &Node) -> bool {
    kind.entry_keys.iter().any(|key| item.get(key).is_some())
}

/// What a file is of which every document is something else; `None` if one may be a manifest.
/// `problems` are those of reading it.
pub(super) fn whole_file(documents: &[Node], problems: &[Diagnostic]) -> Option<Other> {
    // What could not be read to its end may go on with a manifest.
    let cut_short = |problem: &Diagnostic| {
        matches!(
            problem.code,
            Code::Syntax | Code::TooLarge | Code::TooDeep | Code::AliasExpansion | Code::NotUtf8
        )
    };
    if documents.is_empty() || problems.iter().any(cut_short) {
        return None;
    }
    let mut found = documents.iter().map(what_else);
    let first = found.next().flatten()?;
    found.all(|it| it.is_some()).then_some(first)
}

/// The problem of a folder that holds nothing but other things.
pub(super) fn nothing_else(folder: &Path, bystanders: &[&Bystander]) -> Diagnostic {
    let message = format!("the folder `{}` holds no manifest", folder.display());
    let first = bystanders.first().map(|it| {
        let name = it.source.name();
        format!(
            "`{name}` is {}; a manifest begins with `apiVersion: {API_VERSION}`",
            it.what
        )
    });
    Diagnostic::new(Code::NoManifests, message).with_help(first.unwrap_or_default())
}
