//! Lets the JSON Schema validator read our node tree as it is, without a copy into JSON values.

use std::borrow::Cow;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, Node as JsonNode, NodeIdentity, Object};
use serde_json::{Number, Value as JsonValue};

use super::steps::{step, step_to_name};
use crate::manifest::text::node::{Key, Node, Value};

/// Most of a value that a validation error keeps: its message shows less.
const KEPT_ITEMS: usize = 256;
const KEPT_CHARACTERS: usize = 256;
const KEPT_DEPTH: usize = 8;

/// Steps that an error takes, so that there is no end to them in memory.
const STEPS_PER_ERROR: u64 = 2_000;

/// Steps for each value that is copied to be compared.
const STEPS_PER_COPY: u64 = 4;

/// Steps of a look whether a value is a map. Where a schema branches, this is all that counts a
/// branch that fails.
const STEPS_PER_OBJECT: u64 = 5;

/// The node tree as a JSON representation. Bytes look like a string.
pub(crate) struct Tree;

/// One value of the tree, or the name of a property.
#[derive(Clone, Copy)]
pub(crate) enum TreeNode<'a> {
    Node(&'a Node),
    Name(&'a str),
}

impl Json for Tree {
    type Node<'a> = TreeNode<'a>;
    type PreparedKey = String;
    type StringBuffer = ();

    const KEYS_PER_LOOKUP: usize = 2;
    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>((): &mut (), string: &str, f: impl FnOnce(TreeNode<'_>) -> T) -> T {
        step(1);
        f(TreeNode::Name(string))
    }
}

impl<'a> TreeNode<'a> {
    fn value(self) -> Option<&'a Value> {
        match self {
            TreeNode::Node(node) => Some(&node.value),
            TreeNode::Name(_) => None,
        }
    }
}

impl<'a> JsonNode<'a, Tree> for TreeNode<'a> {
    type Object = Members<'a>;
    type Array = Elements<'a>;
    type Number = &'a Number;

    fn as_object(&self) -> Option<Members<'a>> {
        step(STEPS_PER_OBJECT);
        match self.value()? {
            Value::Map(entries) => Some(Members(entries)),
            _ => None,
        }
    }

    fn as_array(&self) -> Option<Elements<'a>> {
        step(1);
        match self.value()? {
            Value::List(items) => Some(Elements(items)),
            _ => None,
        }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        let text = match self {
            TreeNode::Name(name) => name,
            TreeNode::Node(node) => match &node.value {
                Value::String(text) => &**text,
                Value::Binary(_) => "",
                _ => return None,
            },
        };
        step(1 + text.len() as u64 / 16);
        Some(Cow::Borrowed(text))
    }

    fn as_number(&self) -> Option<&'a Number> {
        match self.value()? {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        match self.value()? {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        matches!(self.value(), Some(Value::Null))
    }

    fn json_type(&self) -> JsonType {
        step(1);
        match self.value() {
            None | Some(Value::String(_) | Value::Binary(_)) => JsonType::String,
            Some(Value::Null) => JsonType::Null,
            Some(Value::Bool(_)) => JsonType::Boolean,
            Some(Value::Number(_)) => JsonType::Number,
            Some(Value::List(_)) => JsonType::Array,
            Some(Value::Map(_)) => JsonType::Object,
        }
    }

    fn equals_value(&self, expected: &JsonValue) -> bool {
        match (self, expected) {
            (_, JsonValue::String(text)) => self.as_string().is_some_and(|own| own == *text),
            (_, JsonValue::Null) => self.is_null(),
            (_, JsonValue::Bool(value)) => self.as_boolean() == Some(*value),
            (_, JsonValue::Array(items)) => {
                let own = self.as_array();
                own.is_some_and(|own| own.0.len() == items.len())
                    && jsonschema::json::cmp::equal(&self.whole(), expected)
            }
            (_, JsonValue::Object(entries)) => {
                let own = self.as_object();
                own.is_some_and(|own| own.0.len() == entries.len())
                    && jsonschema::json::cmp::equal(&self.whole(), expected)
            }
            (_, JsonValue::Number(_)) => {
                step(1);
                self.as_number().is_some() && jsonschema::json::cmp::equal(&self.whole(), expected)
            }
        }
    }

    /// Only for errors, so that the beginning is enough.
    fn to_value(&self) -> Cow<'a, JsonValue> {
        step(STEPS_PER_ERROR);
        Cow::Owned(match self {
            TreeNode::Name(name) => JsonValue::String(beginning(name)),
            TreeNode::Node(node) => shortened(node, 0, &mut KEPT_ITEMS.clone()),
        })
    }

    fn identity(&self) -> Option<NodeIdentity> {
        // Asked for where a mark is looked at for each item of a list.
        step(match self.value() {
            Some(Value::List(items)) => 1 + items.len() as u64 / 64,
            _ => 1,
        });
        match self {
            TreeNode::Node(node) => {
                Some(NodeIdentity::new(std::ptr::from_ref::<Node>(node) as usize))
            }
            TreeNode::Name(_) => None,
        }
    }
}

impl TreeNode<'_> {
    /// All of it.
    fn whole(self) -> JsonValue {
        match self {
            TreeNode::Name(name) => JsonValue::String(name.to_owned()),
            TreeNode::Node(node) => {
                step(node.size() as u64 * STEPS_PER_COPY);
                serde_json::to_value(node).expect("a node tree is JSON's data model")
            }
        }
    }
}

/// The beginning of a text, longer than any message shows.
fn beginning(text: &str) -> String {
    text.chars().take(KEPT_CHARACTERS).collect()
}

/// A value of which as much is left as a message shows of it.
fn shortened(node: &Node, depth: usize, items_left: &mut usize) -> JsonValue {
    let most = if depth < KEPT_DEPTH { *items_left } else { 0 };
    match &node.value {
        Value::String(text) => JsonValue::String(beginning(text)),
        Value::List(items) => {
            let mut kept = Vec::new();
            for item in items.iter().take(most) {
                let Some(left) = items_left.checked_sub(1) else {
                    break;
                };
                *items_left = left;
                kept.push(shortened(item, depth + 1, items_left));
            }
            JsonValue::Array(kept)
        }
        Value::Map(entries) => {
            let mut kept = serde_json::Map::new();
            for (key, value) in entries.iter().take(most) {
                let Some(left) = items_left.checked_sub(1) else {
                    break;
                };
                *items_left = left;
                kept.insert(
                    beginning(&key.text),
                    shortened(value, depth + 1, items_left),
                );
            }
            JsonValue::Object(kept)
        }
        _ => serde_json::to_value(node).expect("a node tree is JSON's data model"),
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Members<'a>(&'a [(Key, Node)]);

impl<'a> Object<'a, Tree> for Members<'a> {
    type Node = TreeNode<'a>;
    type MemberName = &'a str;
    type MembersIter = MembersIter<'a>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, key: &String) -> Option<TreeNode<'a>> {
        let position = self.0.iter().position(|(name, _)| *name.text == **key);
        step(1 + position.unwrap_or(self.0.len()) as u64 / 2);
        Some(TreeNode::Node(&self.0[position?].1))
    }

    fn members(&self) -> MembersIter<'a> {
        MembersIter(self.0.iter())
    }
}

pub(crate) struct MembersIter<'a>(std::slice::Iter<'a, (Key, Node)>);

impl<'a> Iterator for MembersIter<'a> {
    type Item = (&'a str, TreeNode<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, node) = self.0.next()?;
        step_to_name(&key.text);
        Some((&*key.text, TreeNode::Node(node)))
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Elements<'a>(&'a [Node]);

impl<'a> Array<'a, Tree> for Elements<'a> {
    type Node = TreeNode<'a>;
    type ElementsIter = ElementsIter<'a>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn elements(&self) -> Self::ElementsIter {
        ElementsIter(self.0.iter())
    }

    fn is_unique(&self) -> bool {
        let whole = self.0.iter().map(|item| TreeNode::Node(item).whole());
        jsonschema::json::unique::is_unique(&whole.collect::<Vec<_>>())
    }
}

pub(crate) struct ElementsIter<'a>(std::slice::Iter<'a, Node>);

impl<'a> Iterator for ElementsIter<'a> {
    type Item = TreeNode<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        step(1);
        self.0.next().map(TreeNode::Node)
    }
}
