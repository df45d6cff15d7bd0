//! Tests of the whole program and of its edges, in one binary so that they link once.

mod architecture;
mod diagnostics;
mod engine;
mod examples;
mod faults;
mod policies;
mod repeats;
mod hostile;
mod schemas;
mod starts;
mod second_opinion;
mod support;
mod waiting;
mod wire;
