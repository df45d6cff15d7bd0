//! The committed schemas are what the types generate.
//!
//! `TEMPORAL_MANIFEST_UPDATE=1 cargo test --test integration schemas` writes them anew.

use std::path::Path;

use serde_json::Value;
use temporal_manifest::{manifest, report};

#[test]
fn committed_schemas_are_generated() {
    let schemas = [
        ("manifest", manifest::schema::generate()),
        ("report", report::schema::generate_report()),
        ("event", report::schema::generate_event()),
        ("journal", report::schema::generate_journal()),
        ("validation", report::schema::generate_validation()),
        ("error", report::schema::generate_error()),
        ("render", report::schema::generate_render()),
    ];
    for (name, generated) in schemas {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schemas/{name}.schema.json"));
        let text = format!("{generated:#}\n");
        if crate::support::update_is_wanted() {
            std::fs::write(&path, &text).expect("the schema can be written");
        }
        let committed = std::fs::read_to_string(&path).expect("the schema is committed");
        assert_eq!(committed, text, "{} is out of date", path.display());
    }
}

#[test]
fn schemas_are_schemas() {
    for text in [
        manifest::schema::TEXT,
        report::schema::REPORT,
        report::schema::EVENT,
        report::schema::JOURNAL,
        report::schema::VALIDATION,
        report::schema::ERROR,
        report::schema::RENDER,
    ] {
        let schema: Value = serde_json::from_str(text).expect("a schema is JSON");
        jsonschema::meta::validate(&schema).expect("a schema follows its own schema");
    }
}
