//! The forms of a report: a file for each, with a [`Reporter`](super::reporter::Reporter) in it.

pub mod json;
pub mod jsonl;
pub mod text;
