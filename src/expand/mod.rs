//! Stage 2: checked documents in, starts out, one by one.
//!
//! An [`Expansion`] is a recipe, never a list of starts. [`Expansion::preflight`] runs it dry, so that
//! every problem is known before the first start is sent, and makes a [`Batch`] of it, which gives the
//! starts one by one.

mod arg_schemas;
mod batch;
mod budget;
mod build;
mod casts;
mod compiler;
mod computed;
mod concatenation;
mod content;
mod diagnose;
mod encoding;
mod expansion;
mod expression;
mod folder;
mod for_each;
mod given;
pub mod identity;
mod items;
mod jinja;
mod jinja_values;
mod node_template;
pub mod payload;
mod payload_template;
mod preflight;
mod problem;
mod recipe;
pub mod render;
mod rows;
mod scope;
pub mod selection;
pub mod start;
mod template;
mod text_filters;
pub mod vars;
mod workflow_ids;

pub use batch::Batch;
pub use expansion::{Expansion, Options};
pub use preflight::Preflight;
pub use scope::{AllowedEnv, Invocation};
