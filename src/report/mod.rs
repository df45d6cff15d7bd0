//! Stage 4: events -> what people and programs read.

pub mod ending;
pub mod files;
pub mod formats;
pub mod log;
pub mod problem;
pub mod progress;
pub mod rendered;
pub mod replay;
pub mod reporter;
pub mod reporters;
mod rows;
pub mod schema;
pub mod summary;
pub mod target;
pub mod validation;
pub mod words;
