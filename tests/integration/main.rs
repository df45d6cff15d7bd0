//! Tests of the whole program and of its edges, in one binary so that they link once.

mod architecture;
mod cli;
mod crash;
mod diagnostics;
mod disk;
mod docs;
mod engine;
mod examples;
mod extension;
mod faults;
mod hostile;
mod identity;
mod journal;
mod network;
mod policies;
mod repeats;
mod rows;
mod scale;
mod schemas;
mod second_opinion;
mod shards;
mod starts;
mod support;
mod tls;
mod waiting;
mod wire;
