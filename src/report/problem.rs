//! An error that ends a command, as data.

use schemars::JsonSchema;
use serde::Serialize;

/// What is printed beside the words for people when a command cannot do what it was asked for.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(title = "temporal-manifest error", extend("$id" = "urn:temporal-manifest:error:v1"))]
pub struct ErrorDocument {
    /// The error.
    pub error: ErrorFacts,
}

/// What is known of an error.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorFacts {
    /// What kind of error it is, such as `usage`.
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The exit code that the program ends with.
    pub exit_code: u8,
}
