//! Lets the JSON Schema validator read our node tree as it is, without a copy into JSON values.

use std::borrow::Cow;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, Node as JsonNode, NodeIdentity, Object};
use serde_json::{Number, Value as JsonValue};

use super::node::{Key, Node, Value};

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
        match self.value()? {
            Value::Map(entries) => Some(Members(entries)),
            _ => None,
        }
    }

    fn as_array(&self) -> Option<Elements<'a>> {
        match self.value()? {
            Value::List(items) => Some(Elements(items)),
            _ => None,
        }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        match self {
            TreeNode::Name(name) => Some(Cow::Borrowed(name)),
            TreeNode::Node(node) => match &node.value {
                Value::String(text) => Some(Cow::Borrowed(text)),
                Value::Binary(_) => Some(Cow::Borrowed("")),
                _ => None,
            },
        }
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
            _ => jsonschema::json::cmp::equal(&self.to_value(), expected),
        }
    }

    fn to_value(&self) -> Cow<'a, JsonValue> {
        Cow::Owned(match self {
            TreeNode::Name(name) => JsonValue::String((*name).to_owned()),
            TreeNode::Node(node) => {
                serde_json::to_value(node).expect("a node tree is JSON's data model")
            }
        })
    }

    fn identity(&self) -> Option<NodeIdentity> {
        match self {
            TreeNode::Node(node) => {
                Some(NodeIdentity::new(std::ptr::from_ref::<Node>(node) as usize))
            }
            TreeNode::Name(_) => None,
        }
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
        let (_, node) = self.0.iter().find(|(name, _)| *name.text == **key)?;
        Some(TreeNode::Node(node))
    }

    fn members(&self) -> MembersIter<'a> {
        MembersIter(self.0.iter())
    }
}

pub(crate) struct MembersIter<'a>(std::slice::Iter<'a, (Key, Node)>);

impl<'a> Iterator for MembersIter<'a> {
    type Item = (&'a str, TreeNode<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0
            .next()
            .map(|(key, node)| (&*key.text, TreeNode::Node(node)))
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Elements<'a>(&'a [Node]);

impl<'a> Array<'a, Tree> for Elements<'a> {
    type Node = TreeNode<'a>;
    type ElementsIter = std::iter::Map<std::slice::Iter<'a, Node>, fn(&'a Node) -> TreeNode<'a>>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn elements(&self) -> Self::ElementsIter {
        self.0.iter().map(TreeNode::Node)
    }
}
