//! `init`: prints a commented manifest to start from.

use crate::cli::exit::Exit;
use crate::cli::output;

/// The starter manifest. A test loads it.
const STARTER: &str = include_str!("../../../manifests/starter.yaml");

pub(crate) fn run() -> Exit {
    output::data(STARTER)
}
