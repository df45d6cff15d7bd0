//! The protocol that makes a start happen once, against a service in memory.
//!
//! `model` is the service, `differential` holds it to a real one whose Workflows do `by_hand` what
//! the test says. `explorer` goes through every
//! interleaving of a few invocations (`world`) of a `scenario`; `scenarios` says which, and what may
//! be found. `seeds` run the real engine against a `flaky` network. `old_protocol` does harm that must be found.
#![allow(
    unreachable_pub,
    reason = "`pub` tells what other files may use from what a file keeps to itself"
)]

mod by_hand;
mod differential;
mod explorer;
mod flaky;
mod model;
mod old_protocol;
mod scenario;
mod scenarios;
mod seeds;
mod world;
