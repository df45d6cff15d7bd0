//! What the fields of a start hold.

use std::borrow::Cow;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

/// Declares an enum whose values are spelled in manifests as its variants are, with a flat
/// `enum` in the schema, so that an error can list what is possible.
macro_rules! spelled_enum {
    ($(#[doc = $doc:literal])* $name:ident { $($(#[doc = $variant_doc:literal])* $variant:ident,)* }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[doc = $variant_doc])* $variant,)* }

        impl $name {
            /// Every value.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The value as manifests spell it.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => stringify!($variant),)* }
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "enum": [$(stringify!($variant),)*] })
            }
        }
    };
}

spelled_enum! {
    /// What happens when a closed Workflow has the ID. Default: `AllowDuplicate`.
    /// Source: temporal/api/enums/v1 `WorkflowIdReusePolicy`.
    IdReusePolicy {
        /// Start a new run.
        AllowDuplicate,
        /// Start a new run unless the closed one is Completed.
        AllowDuplicateFailedOnly,
        /// Never start a second run.
        RejectDuplicate,
        /// Deprecated by Temporal: `AllowDuplicate` with `TerminateExisting`.
        TerminateIfRunning,
    }
}

spelled_enum! {
    /// What happens when a running Workflow has the ID. Default: `Fail`.
    /// Source: temporal/api/enums/v1 `WorkflowIdConflictPolicy`.
    IdConflictPolicy {
        /// Leave the running one and start nothing.
        Fail,
        /// Leave the running one and use it.
        UseExisting,
        /// Terminate the running one and start a new run.
        TerminateExisting,
    }
}

spelled_enum! {
    /// History events that a link can point at.
    /// Source: temporal/api/enums/v1 `EventType`.
    LinkEventType {
        /// The first event of a run.
        WorkflowExecutionStarted,
        /// A signal's arrival.
        WorkflowExecutionSignaled,
        /// A change of options, such as an attached callback.
        WorkflowExecutionOptionsUpdated,
        /// A Nexus operation's scheduling.
        NexusOperationScheduled,
    }
}

/// A duration as written, such as `1h30m`; [`crate::manifest::text::duration::parse`] reads it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct DurationText(pub String);

impl JsonSchema for DurationText {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": crate::manifest::text::duration::PATTERN })
    }
}

/// Any value. It stays in the node tree, which keeps bytes, key order and places; this type only
/// stands for it in the document and the schema.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anything;

impl<'de> Deserialize<'de> for Anything {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Anything)
    }
}

impl JsonSchema for Anything {
    fn schema_name() -> Cow<'static, str> {
        "Anything".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!(true)
    }
}

/// A map of names to any values; see [`Anything`].
#[derive(Clone, Copy, Debug, Default)]
pub struct AnyMap;

impl<'de> Deserialize<'de> for AnyMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| AnyMap)
    }
}

impl JsonSchema for AnyMap {
    fn schema_name() -> Cow<'static, str> {
        "AnyMap".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": true })
    }
}

/// A text of at most `MAX` characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Text<const MAX: u32>(pub String);

impl<const MAX: u32> Deref for Text<MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: u32> JsonSchema for Text<MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("Text_{MAX}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": MAX })
    }
}

/// A list of at most `MAX` items.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct List<T, const MAX: u32>(pub Vec<T>);

impl<T, const MAX: u32> IntoIterator for List<T, MAX> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'l, T, const MAX: u32> IntoIterator for &'l List<T, MAX> {
    type Item = &'l T;
    type IntoIter = std::slice::Iter<'l, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T: JsonSchema, const MAX: u32> JsonSchema for List<T, MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("List_of_{}_{MAX}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let items = generator.subschema_for::<T>();
        json_schema!({ "type": "array", "items": items, "maxItems": MAX })
    }
}

/// A boolean that can only be `true`, or left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct True(pub bool);

impl JsonSchema for True {
    fn schema_name() -> Cow<'static, str> {
        "True".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // Of `null` it is said as of `false` that it is not possible.
        json_schema!({ "type": ["boolean", "null"], "const": true })
    }
}
