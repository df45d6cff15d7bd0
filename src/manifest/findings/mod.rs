//! What is wrong, and how it is said and shown.

pub(super) mod alike;
pub mod diagnostic;
pub mod drawing;
pub mod finding;
pub mod locate;
pub mod spelling;
pub(super) mod words;
