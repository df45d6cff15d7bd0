//! What a document can be.
//!
//! A kind is a variant of [`Kind`] and of [`Manifest`], and a file here: its types, its JSON Schema,
//! its checks, and what people write in its place. [`envelope`] is what all kinds have in common.

mod definition;
pub mod envelope;
pub mod starts;

use std::sync::Arc;

pub(super) use definition::Definition;
pub use definition::Kind;
pub use envelope::API_VERSION;
pub use starts::StartsManifest;

use super::committed::Schema;
use super::diagnostic::{Code, Diagnostic};
use super::finding::Finding;
use super::node::{Node, Value};
use super::source::Source;
use super::text::scalar::shorten;

/// One document that was read, with every entry that passed the checks of its text.
#[derive(Clone, Debug)]
pub enum Manifest {
    /// Workflow starts.
    Starts(StartsManifest),
}

impl Kind {
    /// The kind of a document. One that names none of them is looked at as one of starts, and is
    /// wrong as a whole: it gets one finding, not one for each of its keys.
    pub(super) fn of(document: &Node) -> (Kind, Option<Finding>) {
        let named = document.get("kind").and_then(Node::as_str);
        let known = Kind::ALL.iter().find(|kind| named == Some(kind.as_str()));
        let kind = known.copied().unwrap_or(Kind::Starts);
        (kind, foreign(document, named.filter(|_| known.is_none())))
    }

    /// What it is known by.
    pub(super) fn definition(self) -> &'static Definition {
        match self {
            Kind::Starts => &starts::DEFINITION,
        }
    }

    /// The JSON Schema of its documents.
    pub fn schema(self) -> &'static Schema {
        self.definition().schema
    }

    /// A document of this kind, without the entries that findings about its shape name, and what
    /// the meaning of the others shows.
    pub(super) fn read(
        self,
        source: &Arc<Source>,
        root: &Node,
        findings: &[Finding],
    ) -> (Manifest, Vec<Diagnostic>) {
        match self {
            Kind::Starts => {
                let manifest = StartsManifest::new(source, root, findings);
                let diagnostics = manifest.check_meaning();
                (Manifest::Starts(manifest), diagnostics)
            }
        }
    }
}

/// Why a document is none of ours; `unknown` is the kind that it names, if there is none such.
fn foreign(document: &Node, unknown: Option<&str>) -> Option<Finding> {
    let Value::Map(_) = document.value else {
        let message = format!("a manifest is a map, and this is {}", document.kind());
        return Some(
            Finding::new(Code::WrongType, Vec::new(), message)
                .with_help("`temporal-manifest init` prints a manifest to start from"),
        );
    };
    let version = document.get("apiVersion")?.as_str()?;
    if version != API_VERSION {
        let message = format!(
            "`{}` is not an API version of temporal-manifest",
            shorten(version)
        );
        return Some(
            Finding::new(Code::UnknownValue, vec!["apiVersion".into()], message)
                .with_help(format!("write `apiVersion: {API_VERSION}`")),
        );
    }
    let message = format!("`{}` is not a kind of {API_VERSION}", shorten(unknown?));
    let known = Kind::ALL
        .iter()
        .map(|kind| format!("`kind: {}`", kind.as_str()));
    let known = known.collect::<Vec<_>>().join(" or ");
    Some(
        Finding::new(Code::UnknownValue, vec!["kind".into()], message)
            .with_help(format!("write {known}")),
    )
}
