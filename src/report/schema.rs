//! The JSON Schemas of what programs read: generated from the types, committed, embedded.

use serde_json::Value;

use super::json::Report;
use crate::journal::record::Line;
use crate::run::event::Event;

/// The committed `schemas/report.schema.json`: the document of `apply -o json`.
pub const REPORT: &str = include_str!("../../schemas/report.schema.json");

/// The committed `schemas/event.schema.json`: a line of `apply -o jsonl`.
pub const EVENT: &str = include_str!("../../schemas/event.schema.json");

/// The committed `schemas/journal.schema.json`: a line of a journal.
pub const JOURNAL: &str = include_str!("../../schemas/journal.schema.json");

/// Generates the journal's schema. A test keeps the committed file equal to it.
pub fn generate_journal() -> Value {
    generate::<Line>()
}

/// Generates the report's schema. A test keeps the committed file equal to it.
pub fn generate_report() -> Value {
    generate::<Report>()
}

/// Generates the events' schema. A test keeps the committed file equal to it.
pub fn generate_event() -> Value {
    generate::<Event>()
}

fn generate<T: schemars::JsonSchema>() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}
