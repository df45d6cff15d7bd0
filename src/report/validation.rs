//! What is wrong with manifests, as one document.

use schemars::JsonSchema;
use serde::Serialize;

use crate::manifest::diagnostic::DiagnosticRecord;

/// What `validate -o json` prints, and every command that meets an invalid manifest. Under
/// `-o jsonl` it is one line.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "temporal-manifest validation", extend("$id" = "urn:temporal-manifest:validation:v1"))]
pub struct Validation {
    /// Always `temporal-manifest/v1`.
    #[schemars(extend("const" = "temporal-manifest/v1"))]
    api_version: &'static str,
    /// Always `Validation`.
    #[schemars(extend("const" = "Validation"))]
    kind: &'static str,
    /// Whether the manifests can be applied.
    valid: bool,
    /// Number of files that were read.
    files: u64,
    /// Number of starts that they come to.
    starts: u64,
    /// What is wrong, and advice.
    diagnostics: Vec<DiagnosticRecord>,
    /// How many more problems were only counted.
    hidden: u64,
}

impl Validation {
    /// The document about so many files and starts.
    pub fn new(
        valid: bool,
        files: u64,
        starts: u64,
        diagnostics: Vec<DiagnosticRecord>,
        hidden: u64,
    ) -> Self {
        Validation {
            api_version: "temporal-manifest/v1",
            kind: "Validation",
            valid,
            files,
            starts,
            diagnostics,
            hidden,
        }
    }
}
