//! Stage 4: events -> what people and programs read.

pub mod files;
pub mod json;
pub mod jsonl;
pub mod log;
pub mod progress;
pub mod schema;
pub mod summary;
pub mod text;
