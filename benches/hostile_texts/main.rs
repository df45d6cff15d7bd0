//! Writes texts that nobody should write, for `benches/bounds.py` to measure their checks.
//!
//! `hostile_texts FOLDER SEED ROUNDS` makes a folder for each text, with its files and `command`,
//! a line for each argument. Each family has as many texts as there are rounds, of up to 10 MB.

#[path = "../../tests/integration/bounds/texts.rs"]
mod texts;

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, seed, rounds] = arguments.as_slice() else {
        return Err("expected a folder, a seed and a number of rounds".into());
    };
    let (folder, seed, rounds) = (
        PathBuf::from(folder),
        seed.parse()?,
        rounds.parse::<usize>()?,
    );
    let mut numbers = texts::Numbers(seed);
    for round in 0..rounds {
        for (family, make) in texts::FAMILIES {
            let largest = texts::LARGEST - 100_000;
            // One of the largest, and then any.
            let size = largest >> if round == 0 { 0 } else { numbers.below(12) };
            let text = make(&mut numbers, size);
            let name = format!("{}-{round}", family.replace(' ', "-"));
            let folder = folder.join(name);
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join("command"), text.arguments.join("\n"))?;
            std::fs::write(folder.join("name"), format!("{family}: {}", text.name))?;
            for (name, bytes) in &text.files {
                std::fs::write(folder.join(name), bytes)?;
            }
        }
    }
    Ok(())
}
