//! One invocation: joins the other stages. Plain values in; a refusal, or events and an ending, out.
//!
//! Nothing in it knows flags, a terminal, signals or the process: what is to be told to a person is
//! returned as a value, and the caller shows it.

pub mod connected;
mod doubts;
mod feed;
pub mod inputs;
mod known;
mod ledger;
pub mod note;
pub mod refusal;
pub mod session;
pub mod settings;
pub mod stop;
