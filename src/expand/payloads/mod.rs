//! Values as payloads.

pub(super) mod encoding;
pub(super) mod given;
pub mod payload;
pub(super) mod payload_template;
