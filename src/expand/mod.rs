//! Stage 2: checked documents in, starts out, one by one.
//!
//! An [`Expansion`] is a recipe, never a list of starts. [`Expansion::preflight`] runs it dry, so that
//! every problem is known before the first start is sent, and makes a [`Batch`] of it, which gives the
//! starts one by one.

mod arg_schemas;
mod batch;
mod budget;
mod entries;
mod expansion;
mod expressions;
mod folder;
mod ids;
mod payloads;
mod preflight;
pub mod render;
mod rows;
pub mod selection;
pub mod start;
pub mod vars;

pub use batch::Batch;
pub use expansion::{Expansion, Options};
pub use expressions::scope::{AllowedEnv, Invocation};
pub use ids::identity;
pub use payloads::payload;
pub use preflight::Preflight;
