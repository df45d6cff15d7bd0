//! Declarative runner for Temporal Workflow starts.
//!
//! ```text
//! YAML text ─▶ Manifest ─▶ Start, one by one ─▶ Event, one by one ─▶ Summary ─▶ exit code
//!              manifest/   expand/              run/                 report/    cli/
//!              edges:  client/ = the network   journal/ = the disk   cli/ = the person
//! ```
//!
//! Data only moves right. No stage calls back into an earlier one.

pub mod visible;

pub mod manifest;

pub mod expand;

pub mod client;

pub mod run;

pub mod journal;

pub mod report;

pub mod apply;
