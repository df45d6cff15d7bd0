//! What is wrong in a user's text: codes, places, help texts. [`super::drawing`] draws them.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::manifest::text::source::{Source, Span};
use crate::visible::{visible, without_commands};

/// Declares [`Code`] once: variant, name in messages.
macro_rules! codes {
    ($($(#[doc = $doc:literal])* $variant:ident => $name:literal,)*) => {
        /// Stable code of a problem. Each one has a section in `docs/diagnostics.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($(#[doc = $doc])* $variant,)* }

        impl Code {
            /// Every code, in the order of the manual.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The code as it is printed: `temporal_manifest::manifest::unknown_key`.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => concat!("temporal_manifest::manifest::", $name),)* }
            }
        }
    };
}

codes! {
    /// A path does not exist or cannot be read.
    Unreadable => "unreadable",
    /// A path is a pipe, a device or a socket.
    NotAFile => "not_a_file",
    /// A link in a folder leads out of the folder.
    LinkOutside => "link_outside",
    /// A file is larger than the program reads.
    TooLarge => "too_large",
    /// A file is not UTF-8.
    NotUtf8 => "not_utf8",
    /// A folder holds no manifest.
    NoManifests => "no_manifests",
    /// A file holds no document.
    EmptyFile => "empty_file",
    /// The text is not YAML.
    Syntax => "syntax",
    /// A map has the same key twice.
    DuplicateKey => "duplicate_key",
    /// A map's key is not a string.
    NonStringKey => "non_string_key",
    /// A tag outside of YAML's core schema.
    UnsupportedTag => "unsupported_tag",
    /// A value that does not fit its tag.
    InvalidScalar => "invalid_scalar",
    /// NaN or an infinity.
    NonFiniteNumber => "non_finite_number",
    /// A number that JSON numbers cannot hold.
    NumberOutOfRange => "number_out_of_range",
    /// Lists and maps nested too deeply.
    TooDeep => "too_deep",
    /// Aliases that expand to too much, or into themselves.
    AliasExpansion => "alias_expansion",
    /// `<<` on something that is not a map.
    InvalidMerge => "invalid_merge",
    /// A required key is not there.
    MissingKey => "missing_key",
    /// A key that has no meaning at its place.
    UnknownKey => "unknown_key",
    /// A value of the wrong type.
    WrongType => "wrong_type",
    /// A value that is not among the possible ones.
    UnknownValue => "unknown_value",
    /// A text that does not have the form its key needs.
    InvalidFormat => "invalid_format",
    /// A number, a list or a text outside of its limits.
    OutOfRange => "out_of_range",
    /// A duration that cannot be read or is too long.
    InvalidDuration => "invalid_duration",
    /// ID policies that the service refuses together.
    ConflictingPolicies => "conflicting_policies",
    /// Fields that exclude or need each other.
    ConflictingFields => "conflicting_fields",
    /// A retry policy that the service refuses.
    InvalidRetryPolicy => "invalid_retry_policy",
    /// A name that the service keeps for itself.
    ReservedName => "reserved_name",
    /// A name with characters that nobody sees, or with blanks around it.
    InvisibleCharacter => "invisible_character",
    /// An argument, memo or header value that has no payload.
    InvalidPayload => "invalid_payload",
    /// A payload file that cannot be read or lies outside of the manifest's folder.
    PayloadFile => "payload_file",
    /// A start that is larger than the service accepts.
    StartTooLarge => "start_too_large",
    /// A search attribute value that the service cannot index.
    InvalidSearchAttribute => "invalid_search_attribute",
    /// An expression that cannot be read.
    InvalidExpression => "invalid_expression",
    /// An expression about something that is not there.
    Undefined => "undefined",
    /// An expression that comes to nothing that can stand in its place.
    ExpressionFailed => "expression_failed",
    /// Rows that cannot be read, or that lie outside of the manifest's folder.
    RowsFile => "rows_file",
    /// The folder for temporary files cannot be written to.
    TemporaryFile => "temporary_file",
    /// A row that is not what it should be.
    InvalidRow => "invalid_row",
    /// An argument schema that cannot be used.
    InvalidArgSchema => "invalid_arg_schema",
    /// Arguments that do not fit their schema.
    ArgumentMismatch => "argument_mismatch",
    /// Starts that take more work to check than a command may.
    TooMuchWork => "too_much_work",
    /// Two starts with the same Workflow ID.
    DuplicateWorkflowId => "duplicate_workflow_id",
    /// The manifest can be applied, but probably does not do what was meant.
    Advice => "advice",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much a problem matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The manifest can be applied, but probably does not do what was meant.
    Advice,
    /// Nothing is sent.
    Error,
}

/// A place in a source.
#[derive(Clone, Debug)]
pub struct Place {
    /// The file.
    pub source: Arc<Source>,
    /// The bytes in it.
    pub span: Span,
}

impl Place {
    /// `file:line:column`.
    pub fn to_text(&self) -> String {
        let (line, column) = self.source.line_column(self.span.start);
        format!("{}:{line}:{column}", self.source.name())
    }
}

/// One located problem.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// What kind of problem it is.
    pub code: Code,
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// Where it is, unless the whole file is the problem.
    pub place: Option<Place>,
    /// Other places that belong to it, each with what it shows.
    pub related: Vec<(String, Place)>,
}

impl Diagnostic {
    /// A problem without a place.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let severity = if code == Code::Advice {
            Severity::Advice
        } else {
            Severity::Error
        };
        Diagnostic {
            code,
            severity,
            message: message.into(),
            help: None,
            place: None,
            related: Vec::new(),
        }
    }

    /// Adds what to write instead.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds where it is.
    #[must_use]
    pub fn at(mut self, source: &Arc<Source>, span: Span) -> Self {
        self.place = Some(Place {
            source: Arc::clone(source),
            span,
        });
        self
    }

    /// Adds a place that is known.
    #[must_use]
    pub fn at_place(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// The same as data.
    pub fn to_record(&self) -> DiagnosticRecord {
        DiagnosticRecord {
            code: self.code.as_str(),
            severity: self.severity,
            message: self.message.clone(),
            help: self.help.clone(),
            place: self.place.as_ref().map(PlaceRecord::from),
            related: self
                .related
                .iter()
                .map(|(message, place)| RelatedRecord {
                    message: message.clone(),
                    place: PlaceRecord::from(place),
                })
                .collect(),
        }
    }

    /// The same as a GitHub Actions workflow command, on one line.
    pub fn to_github_annotation(&self) -> String {
        let kind = match self.severity {
            Severity::Error => "error",
            Severity::Advice => "notice",
        };
        let mut properties = Vec::new();
        if let Some(place) = &self.place {
            let place = PlaceRecord::from(place);
            properties.push(format!("file={}", visible(&escape_property(&place.file))));
            properties.push(format!("line={}", place.line));
            properties.push(format!("endLine={}", place.end_line));
            properties.push(format!("col={}", place.column));
            properties.push(format!("endColumn={}", place.end_column));
        }
        properties.push(format!("title={}", escape_property(self.code.as_str())));
        let help = self
            .help
            .as_ref()
            .map(|help| format!("\n{}", visible(help)));
        let text = format!("{}{}", visible(&self.message), help.unwrap_or_default());
        let annotation = format!("{kind} {}::{}", properties.join(","), escape_data(&text));
        format!("::{}", without_commands(&annotation))
    }
}

/// Escapes the text of a GitHub workflow command.
/// Source: GitHub Actions documentation, "Workflow commands".
fn escape_data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

/// A [`Diagnostic`] as data, as `-o json` prints it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiagnosticRecord {
    /// Stable code, such as `temporal_manifest::manifest::unknown_key`.
    code: &'static str,
    /// How much it matters.
    severity: Severity,
    /// What is wrong.
    message: String,
    /// What to write instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    place: Option<PlaceRecord>,
    /// Other places that belong to it, such as the row.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related: Vec<RelatedRecord>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
struct RelatedRecord {
    /// What the place shows.
    message: String,
    #[serde(flatten)]
    place: PlaceRecord,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct PlaceRecord {
    /// Path as the user typed it, or `<stdin>`.
    file: String,
    /// Line, from 1.
    line: u32,
    /// Column in characters, from 1.
    column: u32,
    /// Line of the end, from 1.
    end_line: u32,
    /// Column after the last character.
    end_column: u32,
}

impl From<&Place> for PlaceRecord {
    fn from(place: &Place) -> Self {
        let (line, column) = place.source.line_column(place.span.start);
        let (end_line, end_column) = place.source.line_column(place.span.end);
        PlaceRecord {
            file: place.source.name().to_owned(),
            line,
            column,
            end_line,
            end_column,
        }
    }
}

/// Sorts diagnostics the way they are shown: errors without a place first, then by file and place.
pub fn sort(diagnostics: &mut [Diagnostic]) {
    diagnostics.sort_by(|a, b| {
        let key = |d: &Diagnostic| {
            d.place.as_ref().map(|p| {
                let line = p.source.line(p.span.start);
                (p.source.name().to_owned(), line, p.span.start)
            })
        };
        key(a).cmp(&key(b))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
    }
}
