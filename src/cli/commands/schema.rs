//! `schema`: prints a JSON Schema.

use crate::cli::args::{SchemaArgs, SchemaName};
use crate::cli::exit::Exit;
use crate::cli::output;

pub(crate) fn run(args: &SchemaArgs) -> Exit {
    output::data(match args.name {
        SchemaName::Manifest => temporal_manifest::manifest::schema::TEXT,
        SchemaName::Report => temporal_manifest::report::schema::REPORT,
        SchemaName::Journal => temporal_manifest::report::schema::JOURNAL,
        SchemaName::Validation => temporal_manifest::report::schema::VALIDATION,
        SchemaName::Error => temporal_manifest::report::schema::ERROR,
        SchemaName::Render => temporal_manifest::report::schema::RENDER,
        SchemaName::Event => temporal_manifest::report::schema::EVENT,
    })
}
