//! A start after defaults, rows and expressions, as a line of `render -o jsonl`.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::expand::start::SourceLine;

/// A start as `apply` would make it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(title = "temporal-manifest rendered start", extend("$id" = "urn:temporal-manifest:render:v1"))]
pub struct Rendered {
    /// Position in the apply, from 0, in file order.
    pub index: u64,
    /// `metadata.name` of its manifest.
    pub manifest: String,
    /// Where it comes from.
    pub source: SourceLine,
    /// Its fields, as a manifest of this one start would have them.
    pub start: Value,
}
