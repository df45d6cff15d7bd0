//! Tests of the whole program and of its edges, in one binary so that they link once.

mod engine;
mod faults;
mod policies;
mod repeats;
mod architecture;
mod examples;
mod schemas;
mod starts;
mod support;
mod waiting;
mod wire;
