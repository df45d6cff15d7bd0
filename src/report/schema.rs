//! The JSON Schemas of what programs read: generated from the types, committed, embedded.

use serde_json::Value;

use super::formats::json::Report;
use super::formats::jsonl;
use super::problem::ErrorDocument;
use super::rendered::Rendered;
use super::validation::Validation;
use crate::journal::record::Sealed;

/// The committed `schemas/report.schema.json`: the document of `apply -o json`.
pub const REPORT: &str = include_str!("../../schemas/report.schema.json");

/// The committed `schemas/event.schema.json`: a line of `apply -o jsonl`.
pub const EVENT: &str = include_str!("../../schemas/event.schema.json");

/// The committed `schemas/journal.schema.json`: a line of a journal.
pub const JOURNAL: &str = include_str!("../../schemas/journal.schema.json");

/// The committed `schemas/validation.schema.json`: the document of `validate -o json`.
pub const VALIDATION: &str = include_str!("../../schemas/validation.schema.json");

/// The committed `schemas/error.schema.json`: what an error that ends a command is as data.
pub const ERROR: &str = include_str!("../../schemas/error.schema.json");

/// The committed `schemas/render.schema.json`: a line of `render -o jsonl`.
pub const RENDER: &str = include_str!("../../schemas/render.schema.json");

/// Generates the schema of validations. A test keeps the committed file equal to it.
pub fn generate_validation() -> Value {
    generate::<Validation>()
}

/// Generates the schema of errors. A test keeps the committed file equal to it.
pub fn generate_error() -> Value {
    generate::<ErrorDocument>()
}

/// Generates the schema of rendered starts. A test keeps the committed file equal to it.
pub fn generate_render() -> Value {
    let mut schema = generate::<Rendered>();
    // A rendered start is a start of a manifest.
    let mut manifest = crate::manifest::schema::generate();
    schema["$defs"]["StartFields"] = manifest["$defs"]["StartFields"].take();
    schema["properties"]["start"]["$ref"] = "#/$defs/StartFields".into();
    schema
}

/// Generates the journal's schema. A test keeps the committed file equal to it.
pub fn generate_journal() -> Value {
    generate::<Sealed>()
}

/// Generates the report's schema. A test keeps the committed file equal to it.
pub fn generate_report() -> Value {
    generate::<Report>()
}

/// Generates the events' schema. A test keeps the committed file equal to it.
pub fn generate_event() -> Value {
    generate::<jsonl::EventLine<'_>>()
}

fn generate<T: schemars::JsonSchema>() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}
