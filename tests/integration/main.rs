//! Tests of the whole program and of its edges, in one binary so that they link once.

mod architecture;
mod diagnostics;
mod engine;
mod examples;
mod faults;
mod hostile;
mod policies;
mod repeats;
mod cli;
mod docs;
mod extension;
mod schemas;
mod second_opinion;
mod starts;
mod support;
mod tls;
mod waiting;
mod wire;
