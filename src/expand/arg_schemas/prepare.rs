//! Makes a schema countable before it is compiled.
//!
//! Wherever a schema branches, a keyword of ours is put beside: the validator asks it as often as
//! it takes that way, also where nothing of the value is looked at.

use serde_json::{Map, Value};

/// The keyword that counts.
pub(super) const STEP: &str = "x-temporal-manifest-step";

/// A keyword that is asked before all that branch.
const FIRST: &str = "minProperties";

/// Most values in the schemas of one manifest, files that they refer to included. The compiled
/// form of each takes some 500 bytes.
pub(super) const MAX_VALUES: usize = 200_000;

/// Keywords that hold the same value against other schemas.
const BRANCHES: [&str; 8] = [
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "dependentSchemas",
    "dependencies",
    "extends",
];

/// Keywords whose value is a map of schemas, and no schema.
pub(super) const MAPS: [&str; 6] = [
    "properties",
    "patternProperties",
    "$defs",
    "definitions",
    "dependentSchemas",
    "dependencies",
];

/// Keywords whose value is data, and no schema.
pub(super) const DATA: [&str; 2] = ["const", "enum"];

/// Most schemas with an `$id` beside a dynamic reference: the validator compiles such a reference
/// anew for each way that leads to it.
pub(super) const MAX_IDS: usize = 8;

const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// What stands in a schema.
#[derive(Default)]
pub(super) struct Found {
    /// Values, every one of them.
    pub(super) values: usize,
    /// Maps whose keys are patterns of property names.
    pub(super) name_patterns: Vec<Vec<String>>,
    /// Schemas with an `$id`.
    pub(super) ids: usize,
    /// Whether there is a dynamic reference.
    pub(super) is_dynamic: bool,
    references: Vec<String>,
    data_refers: bool,
}

/// Puts the keyword that counts into a schema.
///
/// # Errors
/// A reference leads to where none can stand.
pub(super) fn prepare(schema: &mut Value) -> Result<Found, String> {
    let mut found = Found::default();
    found.walk(schema);
    // What stands in data is left as it is, so it cannot be followed either.
    let leads_into_data = found.references.iter().find(|reference| {
        let pointer = reference.split_once('#').map_or("", |(_, pointer)| pointer);
        pointer.contains('%') || pointer.split('/').any(|part| DATA.contains(&part))
    });
    match leads_into_data {
        Some(reference) if found.data_refers => Err(format!(
            "the reference `{}` leads into the data of `const` or `enum`",
            crate::manifest::shorten(reference)
        )),
        _ => Ok(found),
    }
}

impl Found {
    fn walk(&mut self, schema: &mut Value) {
        self.values += 1;
        match schema {
            Value::Array(items) => items.iter_mut().for_each(|item| self.walk(item)),
            Value::Object(map) => self.walk_schema(map),
            _ => {}
        }
    }

    fn walk_schema(&mut self, map: &mut Map<String, Value>) {
        let mut branches = false;
        for (keyword, value) in map.iter_mut() {
            self.ids += usize::from(keyword == "$id" || keyword == "id");
            self.is_dynamic |= REFERENCES[1..].contains(&keyword.as_str());
            branches |= BRANCHES.contains(&keyword.as_str());
            self.note_reference(keyword, value);
            match value {
                Value::Object(schemas) if MAPS.contains(&keyword.as_str()) => {
                    if keyword == "patternProperties" {
                        self.name_patterns.push(schemas.keys().cloned().collect());
                    }
                    self.values += 1;
                    schemas.values_mut().for_each(|schema| self.walk(schema));
                }
                data if DATA.contains(&keyword.as_str()) => self.look_through(data),
                other => self.walk(other),
            }
        }
        if branches {
            map.insert(STEP.to_owned(), Value::Bool(true));
            // Ours comes last, and not at all where a branch fails. This one looks at the value
            // before any branch is taken, and holds for every value.
            let first = map.entry(FIRST);
            first.or_insert_with(|| Value::from(0));
        }
    }

    fn note_reference(&mut self, keyword: &str, value: &Value) {
        if let (true, Value::String(reference)) = (REFERENCES.contains(&keyword), value) {
            self.references.push(reference.clone());
        }
    }

    /// Counts data, and notes references in it.
    fn look_through(&mut self, data: &Value) {
        self.values += 1;
        match data {
            Value::Array(items) => items.iter().for_each(|item| self.look_through(item)),
            Value::Object(map) => {
                for (key, value) in map {
                    self.note_reference(key, value);
                    self.data_refers |= REFERENCES.contains(&key.as_str());
                    self.look_through(value);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_that_branch_are_marked_and_data_is_left_alone() {
        let mut schema = json!({
            "properties": {"allOf": {"anyOf": [{"not": {}}, {"type": "string"}]}},
            "const": {"allOf": [1]},
            "x": {"y": {"if": true}},
        });
        let found = prepare(&mut schema).expect("it refers to nothing");
        let expected = json!({
            "properties": {"allOf": {"anyOf": [{"not": {}, STEP: true, FIRST: 0}, {"type": "string"}], STEP: true, FIRST: 0}},
            "const": {"allOf": [1]},
            "x": {"y": {"if": true, STEP: true, FIRST: 0}},
        });
        assert_eq!(schema, expected);
        assert_eq!(found.values, 14);
    }

    #[test]
    fn no_reference_leads_into_data() {
        let mut schema = json!({"enum": [{"$ref": "#/enum/0"}]});
        assert!(prepare(&mut schema).is_err());
        let mut schema = json!({"$ref": "#/%65num/0", "enum": [{"$ref": "x"}]});
        assert!(prepare(&mut schema).is_err());
        let mut schema = json!({"$ref": "#/$defs/const", "$defs": {"const": {}}});
        assert!(prepare(&mut schema).is_ok());
    }
}
