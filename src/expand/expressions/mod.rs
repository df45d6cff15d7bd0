//! Expressions: compiled once for an entry, evaluated for each row.

pub(super) mod casts;
pub(super) mod compiler;
pub(super) mod computed;
pub(super) mod concatenation;
pub(super) mod expression;
pub(super) mod jinja;
pub(super) mod jinja_values;
pub(super) mod node_template;
pub(super) mod problem;
pub(super) mod scope;
pub(super) mod template;
pub(super) mod text_filters;
