//! The rule that a value may be written as an expression.

use std::borrow::Cow;
use std::ops::Deref;

use jsonschema::{JsonType, JsonTypeSet};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Value, json};

/// The form of a text that is one whole expression, for values that are no text.
const WHOLE_EXPRESSION: &str = r"^\$\{\{[\s\S]*\}\}$";

/// The form of a text that holds an expression.
const WITH_EXPRESSION: &str = r"\$\{\{";

/// A value that a manifest may also give by an expression: a whole one, or, where the value is a
/// text, one in it. Its schema takes both.
///
/// Starts are read when nothing in them is an expression any more, and what each came to has been
/// held against the same schema; so there is only the value to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Templated<T>(pub T);

impl<T> Deref for Templated<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: JsonSchema> JsonSchema for Templated<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Templated_{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        or_expression(T::json_schema(generator))
    }
}

/// The schema of what `schema` describes, or an expression in its place.
fn or_expression(mut schema: Schema) -> Schema {
    for constraint in ["enum", "const", "maxLength"] {
        if let Some(limit) = schema.remove(constraint) {
            let either = [
                json!({ constraint: limit }),
                json!({ "type": "string", "pattern": WITH_EXPRESSION }),
            ];
            schema.insert("anyOf".to_owned(), either.into_iter().collect());
        }
    }
    if let Some(Value::String(pattern)) = schema.get_mut("pattern") {
        *pattern = format!("{pattern}|{WITH_EXPRESSION}");
    }
    let mut types = match schema.get("type") {
        Some(Value::Array(several)) => several.clone(),
        Some(one) => vec![one.clone()],
        None => return schema,
    };
    if !types.contains(&json!("string")) {
        types.push(json!("string"));
        schema.insert("type".to_owned(), types.into());
        schema.insert("pattern".to_owned(), json!(WHOLE_EXPRESSION));
    }
    schema
}

/// The pattern that a text was held against in place of `pattern`, or an expression.
pub(in crate::manifest) fn meant(pattern: &str) -> &str {
    let own = pattern.strip_suffix(WITH_EXPRESSION);
    own.and_then(|own| own.strip_suffix('|')).unwrap_or(pattern)
}

/// Whether a schema takes a text only as an expression.
pub(in crate::manifest) fn is_no_text(schema: &Value) -> bool {
    let pattern = schema.get("pattern").and_then(Value::as_str);
    pattern.is_some_and(is_for_no_text)
}

/// Whether a pattern stands where a text is only an expression.
pub(in crate::manifest) fn is_for_no_text(pattern: &str) -> bool {
    pattern == WHOLE_EXPRESSION
}

/// The types that a schema takes.
pub(in crate::manifest) fn types(schema: &Value) -> JsonTypeSet {
    let types = schema["type"].as_array().into_iter().flatten();
    let types = types.filter_map(|kind| kind.as_str()?.parse::<JsonType>().ok());
    types.fold(JsonTypeSet::empty(), JsonTypeSet::insert)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema_of<T: JsonSchema>() -> Value {
        Templated::<T>::json_schema(&mut SchemaGenerator::default()).to_value()
    }

    #[test]
    fn a_value_that_is_no_text_may_be_a_whole_expression() {
        let schema = schema_of::<Option<Vec<bool>>>();
        let validator = jsonschema::validator_for(&schema).expect("the schema compiles");
        for (value, fits) in [
            (json!([true]), true),
            (json!(null), true),
            (json!("${{ row.list }}"), true),
            (json!("a ${{ row.list }}"), false),
            (json!("text"), false),
            (json!(["${{ row.item }}"]), false),
        ] {
            assert_eq!(validator.is_valid(&value), fits, "{value}");
        }
    }

    #[test]
    fn what_a_text_must_be_does_not_bind_one_with_an_expression() {
        let schema = schema_of::<Option<crate::manifest::document::Text<4>>>();
        let validator = jsonschema::validator_for(&schema).expect("the schema compiles");
        for (value, fits) in [
            (json!("four"), true),
            (json!("${{ row.name }}"), true),
            (json!("a-${{ row.name }}"), true),
            (json!("longer"), false),
            (json!(4), false),
        ] {
            assert_eq!(validator.is_valid(&value), fits, "{value}");
        }
    }

    #[test]
    fn the_pattern_of_a_text_can_be_told_from_the_expression() {
        let schema = schema_of::<Option<crate::manifest::document::DurationText>>();
        let pattern = schema["pattern"].as_str().unwrap_or_default();
        assert_eq!(meant(pattern), crate::manifest::text::duration::PATTERN);
        assert_eq!(meant("^a$"), "^a$");
    }
}
