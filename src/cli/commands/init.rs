//! `init`: a commented manifest to start from.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use temporal_manifest::apply::refusal::{Code, Kind, Refusal};

use crate::cli::args::InitArgs;
use crate::cli::exit::Exit;
use crate::cli::output;

/// The starter manifest. A test loads it.
const STARTER: &str = include_str!("../../../manifests/starter.yaml");

pub(crate) fn run(args: &InitArgs) -> Result<Exit, Refusal> {
    let file = args.file.as_deref().filter(|file| *file != Path::new("-"));
    let Some(file) = file else {
        return Ok(output::data(STARTER));
    };
    let name = file.display();
    match write_new(file) {
        Ok(()) => {
            output::say(&format!(
                "wrote {name}; check it with `temporal-manifest validate {name}`"
            ));
            Ok(Exit::Success)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let help = "name a new file; nothing is written over";
            Err(Refusal::usage(format!("`{name}` exists already")).with_help(help))
        }
        Err(error) => {
            let message = format!("cannot write `{name}`: {error}");
            Err(Refusal::new(Code::Init, Kind::NotWritten, message))
        }
    }
}

/// Writes the starter to a file that must not be there yet, not even as a link to nothing.
fn write_new(path: &Path) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(STARTER.as_bytes())?;
    file.sync_all()
}
