//! Stage 4: events -> what people and programs read.

pub mod files;
pub mod json;
pub mod jsonl;
pub mod log;
pub mod problem;
pub mod progress;
pub mod rendered;
mod rows;
pub mod schema;
pub mod summary;
pub mod text;
pub mod validation;
