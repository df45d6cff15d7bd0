//! Text as YAML, JSON and durations: what is written, as nodes that know their place.

pub(super) mod deserializer;
pub mod duration;
pub(super) mod frames;
pub mod json;
pub mod node;
pub(super) mod position;
pub mod reader;
pub(super) mod reader_problems;
pub(super) mod scalar;
pub mod source;
