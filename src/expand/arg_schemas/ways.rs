//! Bounds the ways through a schema before it is compiled.
//!
//! To know what `unevaluatedProperties` and `unevaluatedItems` leave over, the validator makes a
//! copy of every schema that holds the same value, one for each way that leads there through
//! `$ref`, `allOf` and the like. References that double 40 times would take it for ever, so the
//! same ways are gone here first, up to a limit. For each reference it keeps a list of those that
//! it is in, and for each schema of the same value it goes one level down the stack: these have
//! limits too.

use std::collections::{HashMap, HashSet};

use referencing::{Draft, Resolver};
use serde_json::{Map, Value};

use super::prepare::{DATA, MAPS};

/// Most ways from all `unevaluated…` of one command. Ten names of properties on a way count as
/// one more, and a pattern as ten: they are compared with each other.
const MAX_WAYS: u64 = 20_000;

/// Most levels of schemas of the same value, each within the one before or referred to by it.
const MAX_LEVELS: usize = 500;

/// Most references of one command, each counted as often as there are references around it.
/// A million takes the validator some 20 ms.
const MAX_CHAINED: u64 = 20_000_000;

/// Keywords whose value is one schema, a list of them, or a map of them, for the same value.
const ONE: [&str; 4] = ["if", "then", "else", "not"];
const LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];
const NAMED: [&str; 2] = ["dependentSchemas", "dependencies"];

const UNEVALUATED: [&str; 2] = ["unevaluatedProperties", "unevaluatedItems"];

/// What is left of the limits of one command.
#[derive(Debug)]
pub(super) struct Left {
    ways: u64,
    chained: u64,
}

impl Default for Left {
    fn default() -> Self {
        Left {
            ways: MAX_WAYS,
            chained: MAX_CHAINED,
        }
    }
}

/// Goes through a schema and all that it refers to.
///
/// # Errors
/// There are more ways, levels or references than there may be; the words say where.
pub(super) fn check(schema: &Value, resolver: Resolver<'_>, left: &mut Left) -> Result<(), String> {
    let mut walk = Walk {
        left,
        levels: HashMap::new(),
        on_way: HashSet::new(),
    };
    walk.all(schema, resolver).map_err(|excess| {
        let place = match pointer(schema, excess.at) {
            Some(pointer) if pointer.is_empty() => "at its top".to_owned(),
            Some(pointer) => format!("at `{}`", crate::manifest::shorten(&pointer)),
            None => "in a file that it refers to".to_owned(),
        };
        format!("{place} {}", excess.what)
    })
}

/// A limit that was passed.
struct Excess {
    at: *const Value,
    what: String,
}

struct Walk<'l> {
    left: &'l mut Left,
    /// How many levels there are below a schema.
    levels: HashMap<*const Value, usize>,
    on_way: HashSet<*const Value>,
}

impl Walk<'_> {
    /// Goes to every schema once, in the order in which the validator compiles them.
    fn all<'r>(&mut self, schema: &'r Value, resolver: Resolver<'r>) -> Result<(), Excess> {
        let mut seen = HashSet::new();
        let mut waiting = vec![(schema, resolver, 0)];
        while let Some((value, resolver, chain)) = waiting.pop() {
            if !seen.insert(std::ptr::from_ref(value)) {
                continue;
            }
            let first = waiting.len();
            match value {
                Value::Array(items) => {
                    waiting.extend(items.iter().map(|item| (item, resolver.clone(), chain)));
                }
                Value::Object(map) => {
                    let resolver = entered(value, &resolver);
                    self.levels(value, &resolver, 0)?;
                    if UNEVALUATED.iter().any(|keyword| map.contains_key(*keyword)) {
                        self.ways(value, &resolver, value, 0)?;
                    }
                    for (target, resolver) in references(map, &resolver) {
                        if !seen.contains(&std::ptr::from_ref(target)) {
                            self.chain(chain + 1, value)?;
                            waiting.push((target, resolver, chain + 1));
                        }
                    }
                    let inner = map
                        .iter()
                        .flat_map(|(keyword, value)| inside(keyword, value));
                    waiting.extend(inner.map(|value| (value, resolver.clone(), chain)));
                }
                _ => {}
            }
            waiting[first..].reverse();
        }
        Ok(())
    }

    fn chain(&mut self, length: u64, at: *const Value) -> Result<(), Excess> {
        let left = self.left.chained.checked_sub(length);
        self.left.chained = left.ok_or_else(|| Excess {
            at,
            what: "its references lead on to one another for too long".to_owned(),
        })?;
        Ok(())
    }

    /// Levels below a schema. A cycle counts once.
    fn levels<'r>(
        &mut self,
        schema: &'r Value,
        resolver: &Resolver<'r>,
        above: usize,
    ) -> Result<usize, Excess> {
        let at = std::ptr::from_ref(schema);
        let Value::Object(map) = schema else {
            return Ok(0);
        };
        if let Some(known) = self.levels.get(&at) {
            return Ok(*known);
        }
        self.levels.insert(at, 0);
        let mut deepest = 0;
        for (next, resolver) in same_value(map, resolver) {
            if above == MAX_LEVELS {
                return Err(too_deep(at));
            }
            deepest = deepest.max(1 + self.levels(next, &resolver, above + 1)?);
        }
        self.levels.insert(at, deepest);
        if deepest > MAX_LEVELS {
            return Err(too_deep(at));
        }
        Ok(deepest)
    }

    /// Goes all ways from an `unevaluated…` that stands in the schema `from`.
    fn ways<'r>(
        &mut self,
        schema: &'r Value,
        resolver: &Resolver<'r>,
        from: &Value,
        above: usize,
    ) -> Result<(), Excess> {
        let Value::Object(map) = schema else {
            return Ok(());
        };
        if !self.on_way.insert(std::ptr::from_ref(schema)) {
            return Ok(());
        }
        let count = |keyword: &str| match map.get(keyword) {
            Some(Value::Object(named)) => named.len() as u64,
            _ => 0,
        };
        let steps = 1 + count("properties") / 10 + count("patternProperties") * 10;
        let left = self.left.ways.checked_sub(steps);
        self.left.ways = left.ok_or_else(|| Excess {
            at: from,
            what: format!(
                "more than {MAX_WAYS} ways lead from `unevaluatedProperties` or `unevaluatedItems` through `$ref`, `allOf` and the like"
            ),
        })?;
        for (next, resolver) in same_value(map, resolver) {
            if above == MAX_LEVELS {
                return Err(too_deep(from));
            }
            self.ways(next, &resolver, from, above + 1)?;
        }
        self.on_way.remove(&std::ptr::from_ref(schema));
        Ok(())
    }
}

fn too_deep(at: *const Value) -> Excess {
    Excess {
        at,
        what: format!(
            "more than {MAX_LEVELS} levels of `$ref`, `allOf` and the like follow on one another"
        ),
    }
}

/// The resolver within a schema, which may have an `$id`.
fn entered<'r>(schema: &Value, resolver: &Resolver<'r>) -> Resolver<'r> {
    let draft = Draft::default().detect(schema);
    let inner = resolver.in_subresource(draft.create_resource_ref(schema));
    inner.unwrap_or_else(|_| resolver.clone())
}

/// What a schema refers to. What is not there is told when it is compiled.
fn references<'r>(
    map: &'r Map<String, Value>,
    resolver: &Resolver<'r>,
) -> Vec<(&'r Value, Resolver<'r>)> {
    let named = ["$ref", "$dynamicRef"].into_iter().filter_map(|keyword| {
        let reference = map.get(keyword)?.as_str()?;
        resolver.lookup(reference).ok()
    });
    let recursive = map.get("$recursiveRef");
    let recursive = recursive.and_then(|_| resolver.lookup_recursive_ref().ok());
    let resolved = named.chain(recursive).map(|it| it.into_inner());
    resolved
        .map(|(target, resolver, _)| (target, resolver))
        .collect()
}

/// The schemas that a schema holds against the same value.
fn same_value<'r>(
    map: &'r Map<String, Value>,
    resolver: &Resolver<'r>,
) -> Vec<(&'r Value, Resolver<'r>)> {
    let mut schemas = references(map, resolver);
    let mut add = |schema: &'r Value| {
        if schema.is_object() {
            schemas.push((schema, entered(schema, resolver)));
        }
    };
    for (keyword, value) in map {
        match value {
            Value::Object(_) if ONE.contains(&keyword.as_str()) => add(value),
            Value::Object(named) if NAMED.contains(&keyword.as_str()) => {
                named.values().for_each(&mut add);
            }
            Value::Array(list) if LISTS.contains(&keyword.as_str()) => {
                list.iter().for_each(&mut add);
            }
            _ => {}
        }
    }
    schemas
}

/// The schemas in the value of a keyword, or lists of them.
fn inside<'r>(keyword: &str, value: &'r Value) -> Vec<&'r Value> {
    match value {
        _ if DATA.contains(&keyword) => Vec::new(),
        Value::Object(named) if MAPS.contains(&keyword) => named.values().collect(),
        other => vec![other],
    }
}

/// The JSON Pointer of a value in another one.
fn pointer(within: &Value, wanted: *const Value) -> Option<String> {
    if std::ptr::eq(within, wanted) {
        return Some(String::new());
    }
    let step = |name: &str, value: &Value| {
        let rest = pointer(value, wanted)?;
        let name = name.replace('~', "~0").replace('/', "~1");
        Some(format!("/{name}{rest}"))
    };
    match within {
        Value::Object(map) => map.iter().find_map(|(key, value)| step(key, value)),
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(index, value)| step(&index.to_string(), value))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(schema: &Value) -> Result<(), String> {
        let uri = "file:///schema.json";
        let registry = jsonschema::Registry::new().add(uri, schema);
        let registry = registry.and_then(|it| it.prepare());
        let registry = registry.expect("it refers to nothing else");
        let uri = referencing::uri::from_str(uri).expect("this is a URI");
        check(schema, registry.resolver(uri), &mut Left::default())
    }

    /// Levels that each lead to the next one so many times.
    fn leveled(levels: usize, times: usize, keyword: &str) -> Value {
        let mut definitions = Map::new();
        for level in 0..levels {
            let next = json!({"$ref": format!("#/$defs/{}", level + 1)});
            let schema = json!({keyword: vec![next; times]});
            definitions.insert(level.to_string(), schema);
        }
        definitions.insert(levels.to_string(), json!({}));
        json!({"$defs": definitions, "$ref": "#/$defs/0"})
    }

    #[test]
    fn ways_are_bounded_where_they_are_gone() {
        for keyword in LISTS {
            let mut schema = leveled(40, 2, keyword);
            assert_eq!(checked(&schema), Ok(()));
            schema["unevaluatedItems"] = json!(false);
            let words = checked(&schema).expect_err("there are 2^40 ways");
            assert!(
                words.starts_with("at its top more than 20000 ways"),
                "{words}"
            );
            let words = checked(&json!({"items": schema})).map(drop);
            // Its references lead nowhere now.
            assert_eq!(words, Ok(()));
        }
        // 8 levels are 256 ways.
        let mut schema = leveled(8, 2, "allOf");
        schema["unevaluatedProperties"] = json!(false);
        assert_eq!(checked(&schema), Ok(()));
    }

    #[test]
    fn ways_through_cycles_are_counted() {
        let all: Vec<Value> = (0..9)
            .map(|n| json!({"$ref": format!("#/$defs/{n}")}))
            .collect();
        let each = json!({"anyOf": all});
        let definitions: Map<String, Value> =
            (0..9).map(|n| (n.to_string(), each.clone())).collect();
        let schema = json!({"properties": {"a/b": {"$ref": "#/$defs/0", "unevaluatedItems": false}}, "$defs": definitions});
        let words = checked(&schema).expect_err("there are 9! ways");
        assert!(words.starts_with("at `/properties/a~1b` more"), "{words}");
    }

    #[test]
    fn levels_are_bounded_from_wherever_one_begins() {
        assert_eq!(checked(&leveled(200, 1, "oneOf")), Ok(()));
        let words = checked(&leveled(600, 1, "oneOf")).expect_err("these are 1,200 levels");
        assert!(words.contains("500 levels"), "{words}");
        let mut schema = json!({"$defs": {}, "allOf": []});
        for level in (0..2_000).rev() {
            let next = json!({"$ref": format!("#/$defs/{}", level + 1)});
            schema["allOf"]
                .as_array_mut()
                .expect("a list")
                .push(next.clone());
            schema["$defs"][level.to_string()] = next;
        }
        schema["$defs"]["2000"] = json!(true);
        assert!(checked(&schema).is_err());
    }

    #[test]
    fn references_through_properties_may_be_many() {
        let tree = json!({
            "$id": "https://example.com/tree", "$dynamicAnchor": "node", "type": "object",
            "properties": {"data": true, "children": {"type": "array", "items": {"$dynamicRef": "#node"}}},
            "unevaluatedProperties": false,
        });
        assert_eq!(checked(&tree), Ok(()));
        let mut schema = json!({"$defs": {}, "$ref": "#/$defs/0"});
        for level in 0..2_000 {
            let next = json!({"$ref": format!("#/$defs/{}", (level + 1) % 2_000)});
            schema["$defs"][level.to_string()] =
                json!({"properties": {"a": next, "b": next}, "unevaluatedProperties": false});
        }
        assert_eq!(checked(&schema), Ok(()));
    }
}
