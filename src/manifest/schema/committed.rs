//! A JSON Schema of the repository, as documents are held against it and words are looked up in it.

use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::Value;

use super::instance::Tree;
use crate::manifest::findings::locate::Step;

/// A committed schema, parsed and compiled when it is first asked for.
#[derive(Debug)]
pub struct Schema {
    /// Its text, as the command `schema` prints it.
    pub text: &'static str,
    value: OnceLock<Value>,
    validator: OnceLock<Validator<Tree>>,
}

impl Schema {
    /// A schema by its text.
    pub(in crate::manifest) const fn new(text: &'static str) -> Self {
        Schema {
            text,
            value: OnceLock::new(),
            validator: OnceLock::new(),
        }
    }

    fn value(&self) -> &Value {
        let parse = || serde_json::from_str(self.text).expect("the committed schema is JSON");
        self.value.get_or_init(parse)
    }

    /// What documents are held against.
    pub(in crate::manifest) fn validator(&self) -> &Validator<Tree> {
        self.validator.get_or_init(|| self.validator_of(""))
    }

    /// What values are held against that a part of the schema describes, by the pointer to it.
    pub(in crate::manifest) fn validator_of(&self, part: &str) -> Validator<Tree> {
        let part = self.value().pointer(part);
        jsonschema::options_for::<Tree>()
            .build(part.expect("the committed schema has this part"))
            .expect("the committed schema compiles")
    }

    /// The part that describes the value at `path`.
    pub(in crate::manifest) fn at(&self, path: &[Step]) -> Option<&Value> {
        let mut schema = self.value();
        for step in path {
            schema = self.resolve(match step {
                Step::Key(key) => schema.get("properties")?.get(key)?,
                Step::Index(_) => schema.get("items")?,
            })?;
        }
        Some(schema)
    }

    fn resolve<'v>(&'v self, schema: &'v Value) -> Option<&'v Value> {
        match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.value().pointer(reference.strip_prefix('#')?),
            None => Some(schema),
        }
    }

    /// The keys that the map at `path` may have.
    pub(in crate::manifest) fn keys_at(&self, path: &[Step]) -> Vec<&str> {
        let properties = self.at(path).and_then(|it| it.get("properties"));
        let properties = properties.and_then(Value::as_object).into_iter().flatten();
        properties.map(|(key, _)| key.as_str()).collect()
    }

    /// What the value at `path` is, on one line.
    pub(in crate::manifest) fn description(&self, path: &[Step]) -> Option<String> {
        let text = self.at(path)?.get("description")?.as_str()?;
        Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// An example of the value at `path`.
    pub(in crate::manifest) fn example(&self, path: &[Step]) -> Option<&Value> {
        self.at(path)?.get("examples")?.get(0)
    }
}
