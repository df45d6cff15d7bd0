//! The manifest's JSON Schema: generated from the document types, committed, embedded.

use serde_json::{Value, json};

use super::duration;
use super::kinds::starts::StartsDocument;

pub use super::kinds::starts::TEXT;

/// Generates the schema from the document types. A test keeps the committed file equal to it.
pub fn generate() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12();
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<StartsDocument>()
        .to_value();
    for fields in [
        "/$defs/StartFields/properties",
        "/properties/defaults/properties",
    ] {
        let fields = schema.pointer_mut(fields).and_then(Value::as_object_mut);
        let fields = fields.expect("the document types have these properties");
        for (name, field) in fields {
            match (name.as_str(), field.get_mut("properties")) {
                // Rows come from what is written, or from a path that an expression gives.
                ("forEach", Some(Value::Object(rows))) => {
                    rows.values_mut().for_each(allow_expressions);
                }
                _ => allow_expressions(field),
            }
        }
    }
    schema
}

/// The form of a text that is one whole expression, for values that are no text.
pub(super) const WHOLE_EXPRESSION: &str = r"^\$\{\{[\s\S]*\}\}$";

/// The form of a text that holds an expression.
const WITH_EXPRESSION: &str = r"\$\{\{";

/// Lets a value of a start, and everything in it, be given by an expression. What it comes to is
/// checked again for each row.
fn allow_expressions(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else {
        return;
    };
    let children = ["properties", "items", "additionalProperties"];
    for (keyword, child) in schema.iter_mut() {
        match (children.iter().position(|it| it == keyword), child) {
            (Some(0), Value::Object(properties)) => {
                properties.values_mut().for_each(allow_expressions);
            }
            (Some(_), child) => allow_expressions(child),
            _ => {}
        }
    }
    // An annotation keyword can stand beside `anyOf`, a constraint has to move into it.
    for constraint in ["enum", "const", "maxLength"] {
        if let Some(limit) = schema.shift_remove(constraint) {
            schema.insert(
                "anyOf".to_owned(),
                json!([{ constraint: limit }, { "type": "string", "pattern": WITH_EXPRESSION }]),
            );
        }
    }
    if schema
        .get("pattern")
        .is_some_and(|it| it == duration::PATTERN)
    {
        schema["pattern"] = json!(DURATION_OR_EXPRESSION);
    }
    let types = match schema.get("type") {
        Some(Value::String(one)) => vec![json!(one)],
        Some(Value::Array(several)) => several.clone(),
        _ => return,
    };
    if !types.contains(&json!("string")) {
        let types: Vec<Value> = types.into_iter().chain([json!("string")]).collect();
        schema.insert("type".to_owned(), types.into());
        schema.insert("pattern".to_owned(), json!(WHOLE_EXPRESSION));
    }
}

/// The form of a duration, or of a text that holds an expression.
pub(super) const DURATION_OR_EXPRESSION: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$|\$\{\{";

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
    fn a_duration_or_expression_holds_the_form_of_a_duration() {
        assert_eq!(
            DURATION_OR_EXPRESSION,
            format!("{}|{WITH_EXPRESSION}", duration::PATTERN)
        );
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
