//! Reads the events of a YAML file and does nothing with them: what the parser alone takes.

use std::error::Error;
use std::io::Write;

use saphyr_parser::Parser;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or_default();
    // What `cargo bench` says to every benchmark. This one is only a part of others.
    if path == "--bench" {
        return Ok(writeln!(std::io::stdout(), "usage: yaml_events FILE")?);
    }
    let text = std::fs::read_to_string(path)?;
    let mut events = 0u64;
    for event in Parser::new_from_str(&text) {
        event?;
        events += 1;
    }
    Ok(writeln!(std::io::stdout(), "{events}")?)
}
