//! The command line of temporal-manifest.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
