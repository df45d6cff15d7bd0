//! The manifest's JSON Schema: generated from the document types, committed, embedded.

pub mod committed;
pub(in crate::manifest) mod explain;
pub(in crate::manifest) mod instance;
pub(in crate::manifest) mod shape;
pub(in crate::manifest) mod steps;

use serde_json::Value;

use crate::manifest::kinds::starts::StartsDocument;

pub use crate::manifest::kinds::starts::TEXT;

/// Generates the schema from the document types. A test keeps the committed file equal to it.
pub fn generate() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12();
    settings
        .into_generator()
        .into_root_schema_for::<StartsDocument>()
        .to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Visits every property of every object in the schema.
    fn properties<'v>(schema: &'v Value, path: &str, found: &mut Vec<(String, &'v Value)>) {
        for keyword in ["properties", "$defs"] {
            for (name, property) in schema
                .get(keyword)
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                let path = format!("{path}/{name}");
                if keyword == "properties" {
                    found.push((path.clone(), property));
                }
                properties(property, &path, found);
            }
        }
        if let Some(items) = schema.get("items") {
            properties(items, &format!("{path}/items"), found);
        }
    }

    #[test]
    fn every_property_helps_an_editor() {
        let schema = generate();
        let mut found = Vec::new();
        properties(&schema, "", &mut found);
        assert!(found.len() > 50, "only {} properties", found.len());
        for (path, property) in found {
            for keyword in ["title", "description", "examples"] {
                assert!(property.get(keyword).is_some(), "{path} has no {keyword}");
            }
        }
    }

    #[test]
    fn every_field_of_a_start_may_be_an_expression() {
        let schema = generate();
        let mut found = Vec::new();
        for (name, part) in schema["$defs"].as_object().into_iter().flatten() {
            properties(part, name, &mut found);
        }
        assert!(found.len() > 50, "only {} properties", found.len());
        for (path, property) in found {
            let validator =
                jsonschema::validator_for(property).expect("a property's schema compiles");
            let expression = serde_json::json!("${{ row.value }}");
            // Rows are named by keys, one of which may be an expression.
            let may = path != "StartFields/forEach";
            assert_eq!(validator.is_valid(&expression), may, "{path}");
        }
    }

    #[test]
    fn examples_are_valid() {
        let schema = generate();
        let mut found = Vec::new();
        properties(&schema, "", &mut found);
        for (path, property) in found {
            let mut property = property.clone();
            property["$defs"] = schema["$defs"].clone();
            let validator =
                jsonschema::validator_for(&property).expect("a property's schema compiles");
            for example in property["examples"]
                .as_array()
                .expect("examples are a list")
            {
                assert!(validator.is_valid(example), "{path}: {example}");
            }
        }
    }
}
