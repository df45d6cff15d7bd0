//! What documents of every kind have in common.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::json;

use super::definition::Kind;

/// The version of the format of everything that this program reads and writes.
pub const API_VERSION: &str = "temporal-manifest/v1";

/// A type of documents of one kind.
pub trait OfKind {
    /// Their kind.
    const KIND: Kind;
}

/// What every document begins with. `D` is the rest of it.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", bound = "D: OfKind")]
pub struct Envelope<D> {
    /// The version of the manifest format.
    #[schemars(title = "API version", example = &API_VERSION)]
    pub api_version: ApiVersion,
    /// What the document holds.
    #[schemars(title = "Kind", example = &D::KIND.as_str())]
    pub kind: OneKind<D>,
    /// How this manifest is called.
    #[schemars(title = "Metadata", example = json!({"name": "nightly-billing"}))]
    pub metadata: Metadata,
}

/// How a manifest is called.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields, inline)]
pub struct Metadata {
    /// Name of the manifest: lower-case letters, digits, `-` and `.`, at most 63 characters. It is
    /// part of generated Workflow IDs and of reports.
    #[schemars(
        title = "Name",
        regex(pattern = r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$"),
        example = &"nightly-billing"
    )]
    pub name: String,
}

/// [`API_VERSION`], the only one there is.
#[derive(Debug)]
pub struct ApiVersion;

impl JsonSchema for ApiVersion {
    fn schema_name() -> Cow<'static, str> {
        "ApiVersion".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": [API_VERSION] })
    }
}

/// The kind of `D` and no other.
#[derive(Debug)]
pub struct OneKind<D>(PhantomData<D>);

impl<D: OfKind> JsonSchema for OneKind<D> {
    fn schema_name() -> Cow<'static, str> {
        "Kind".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": [D::KIND.as_str()] })
    }
}
