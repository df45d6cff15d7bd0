//! The least that reading a YAML file can take: a loop that drains the parser's events. What
//! `validate` does with a large file is measured against it.

use std::error::Error;
use std::io::Write;

use saphyr_parser::Parser;

const USAGE: &str = "usage: yaml_events FILE";

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or(USAGE)?;
    // What `cargo bench` says to every benchmark. This one is only a part of others.
    if path == "--bench" {
        return Ok(writeln!(std::io::stdout(), "{USAGE}")?);
    }
    let text = std::fs::read_to_string(path)?;
    let mut events = 0_u64;
    for event in Parser::new_from_str(&text) {
        event?;
        events += 1;
    }
    Ok(writeln!(std::io::stdout(), "{events}")?)
}
