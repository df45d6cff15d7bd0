//! What is wrong in a user's text: codes, places, help texts, and how they are shown.

use std::fmt;
use std::sync::Arc;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents,
    SourceCode, SourceSpan,
};
use serde::Serialize;

use super::source::{Source, Span};

/// Most problems that are shown in full; the rest is only counted.
pub const MAX_SHOWN: usize = 50;

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
    /// An argument, memo or header value that has no payload.
    InvalidPayload => "invalid_payload",
    /// A payload file that cannot be read or lies outside of the manifest's folder.
    PayloadFile => "payload_file",
    /// A start that is larger than the service accepts.
    StartTooLarge => "start_too_large",
    /// A search attribute value that the service cannot index.
    InvalidSearchAttribute => "invalid_search_attribute",
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
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
            properties.push(format!("file={}", escape_property(&place.file)));
            properties.push(format!("line={}", place.line));
            properties.push(format!("endLine={}", place.end_line));
            properties.push(format!("col={}", place.column));
            properties.push(format!("endColumn={}", place.end_column));
        }
        properties.push(format!("title={}", escape_property(self.code.as_str())));
        let help = self
            .help
            .as_ref()
            .map(|help| format!("\n{help}"))
            .unwrap_or_default();
        format!(
            "::{kind} {}::{}",
            properties.join(","),
            escape_data(&format!("{}{help}", self.message))
        )
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
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiagnosticRecord {
    code: &'static str,
    severity: Severity,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    place: Option<PlaceRecord>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related: Vec<RelatedRecord>,
}

#[derive(Clone, Debug, Serialize)]
struct RelatedRecord {
    message: String,
    #[serde(flatten)]
    place: PlaceRecord,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PlaceRecord {
    file: String,
    line: u32,
    column: u32,
    end_line: u32,
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

/// How diagnostics are drawn for a terminal.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Whether colours are used.
    pub color: bool,
    /// Width of the terminal in columns.
    pub width: usize,
}

/// Draws diagnostics for people, sorted by file and place, at most [`MAX_SHOWN`] of them.
pub fn render(diagnostics: &[Diagnostic], style: Style) -> String {
    let theme = if style.color {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(style.width)
        .with_context_lines(1)
        .with_links(false)
        .with_primary_span_start()
        .with_show_related_as_nested(true);
    let mut text = String::new();
    for diagnostic in diagnostics.iter().take(MAX_SHOWN) {
        let drawn = Drawn::new(diagnostic);
        handler
            .render_report(&mut text, &drawn)
            .expect("writing to a string cannot fail");
        text.push('\n');
    }
    if let Some(hidden @ 1..) = diagnostics.len().checked_sub(MAX_SHOWN) {
        text.push_str(&format!(
            "… and {hidden} more; the first {MAX_SHOWN} are shown\n"
        ));
    }
    text
}

/// Sorts diagnostics the way they are shown: errors without a place first, then by file and place.
pub fn sort(diagnostics: &mut [Diagnostic]) {
    diagnostics.sort_by(|a, b| {
        let key = |d: &Diagnostic| {
            d.place
                .as_ref()
                .map(|p| (p.source.name().to_owned(), p.span.start))
        };
        key(a).cmp(&key(b))
    });
}

/// The candidate that a person most likely meant by `word`: equal but for case and separators, or
/// a few letters away.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let fold = |text: &str| -> String {
        text.chars()
            .filter(|c| c.is_alphanumeric())
            .flat_map(char::to_lowercase)
            .collect()
    };
    let folded = fold(word);
    candidates
        .into_iter()
        .map(|candidate| {
            (
                candidate,
                strsim::normalized_damerau_levenshtein(&folded, &fold(candidate)),
            )
        })
        .filter(|(_, similarity)| *similarity >= 0.65)
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .map(|(candidate, _)| candidate)
}

/// A [`Diagnostic`] as miette sees it.
struct Drawn<'d> {
    diagnostic: &'d Diagnostic,
    elsewhere: Vec<Elsewhere>,
}

impl<'d> Drawn<'d> {
    fn new(diagnostic: &'d Diagnostic) -> Self {
        let elsewhere = diagnostic
            .related
            .iter()
            .filter(|(_, place)| !diagnostic.is_in(place))
            .map(|(message, place)| Elsewhere {
                message: message.clone(),
                place: place.clone(),
            })
            .collect();
        Drawn {
            diagnostic,
            elsewhere,
        }
    }
}

impl Diagnostic {
    fn is_in(&self, place: &Place) -> bool {
        self.place
            .as_ref()
            .is_some_and(|own| Arc::ptr_eq(&own.source, &place.source))
    }
}

impl fmt::Debug for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.diagnostic.fmt(f)
    }
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.diagnostic.message)
    }
}

impl std::error::Error for Drawn<'_> {}

impl miette::Diagnostic for Drawn<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.diagnostic.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Advice => miette::Severity::Advice,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.diagnostic
            .help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.diagnostic
            .place
            .as_ref()
            .map(|place| &*place.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.diagnostic.place.as_ref()?;
        let own = std::iter::once(LabeledSpan::new_primary_with_span(
            None,
            source_span(place.span),
        ));
        let here = self
            .diagnostic
            .related
            .iter()
            .filter(|(_, place)| self.diagnostic.is_in(place));
        let others = here.map(|(message, place)| {
            LabeledSpan::new_with_span(Some(message.clone()), source_span(place.span))
        });
        Some(Box::new(own.chain(others)))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        if self.elsewhere.is_empty() {
            return None;
        }
        Some(Box::new(
            self.elsewhere
                .iter()
                .map(|other| other as &dyn miette::Diagnostic),
        ))
    }
}

/// A place in another file that belongs to a diagnostic.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Elsewhere {
    message: String,
    place: Place,
}

impl miette::Diagnostic for Elsewhere {
    fn severity(&self) -> Option<miette::Severity> {
        Some(miette::Severity::Advice)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&*self.place.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = LabeledSpan::new_primary_with_span(None, source_span(self.place.span));
        Some(Box::new(std::iter::once(span)))
    }
}

fn source_span(span: Span) -> SourceSpan {
    SourceSpan::new(
        (span.start as usize).into(),
        (span.end - span.start) as usize,
    )
}

/// Most bytes of one line that are drawn on either side of a span. A manifest may be one line of
/// many megabytes.
const LINE_WINDOW: u32 = 100;

impl SourceCode for Source {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        context_lines_before: usize,
        context_lines_after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, MietteError> {
        let length = self.text().len();
        if span.offset() + span.len() > length {
            return Err(MietteError::OutOfBounds);
        }
        let (offset, end) = (span.offset() as u32, (span.offset() + span.len()) as u32);
        let (first, _) = self.line_of(offset);
        let (last, _) = self.line_of(end);
        let from = first.saturating_sub(context_lines_before as u32);
        let (mut start, _) = self.line_range(from).ok_or(MietteError::OutOfBounds)?;
        let mut line = from;
        if offset - start > LINE_WINDOW {
            let (own_start, _) = self.line_range(first).ok_or(MietteError::OutOfBounds)?;
            line = first;
            start = own_start.max(offset.saturating_sub(LINE_WINDOW));
        }
        let mut stop = end;
        for after in last..=last.saturating_add(context_lines_after as u32) {
            match self.line_range(after) {
                Some((_, line_end)) if line_end.saturating_sub(end) <= LINE_WINDOW => {
                    stop = line_end.max(end)
                }
                Some(_) if after == last => stop = end + LINE_WINDOW,
                _ => break,
            }
        }
        let start = floor_boundary(self.text(), start as usize);
        let stop = floor_boundary(self.text(), (stop as usize).min(length)).max(end as usize);
        let (_, line_start) = self.line_of(start as u32);
        let column = self.text()[line_start as usize..start].chars().count();
        Ok(Box::new(MietteSpanContents::new_named(
            self.name().to_owned(),
            &self.text().as_bytes()[start..stop],
            SourceSpan::new(start.into(), stop - start),
            line as usize,
            column,
            (last - line) as usize + 1,
        )))
    }
}

fn floor_boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
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

    #[test]
    fn the_nearest_word_ignores_case_and_separators() {
        let keys = ["taskQueue", "type", "workflowId", "idReusePolicy"];
        assert_eq!(nearest("task_queue", keys), Some("taskQueue"));
        assert_eq!(nearest("taskqeue", keys), Some("taskQueue"));
        assert_eq!(nearest("IDReusePolicy", keys), Some("idReusePolicy"));
        assert_eq!(nearest("colour", keys), None);
    }

    #[test]
    fn a_line_of_megabytes_is_drawn_as_a_window() {
        let text = format!("{}x{}", "a".repeat(3_000_000), "b".repeat(3_000_000));
        let source = Arc::new(Source::new("big.yaml", ".", text));
        let span = Span {
            start: 3_000_000,
            end: 3_000_001,
        };
        let diagnostic = Diagnostic::new(Code::Syntax, "here").at(&source, span);
        let drawn = render(
            &[diagnostic],
            Style {
                color: false,
                width: 80,
            },
        );
        assert!(drawn.len() < 4_000, "{} bytes", drawn.len());
        assert!(drawn.contains("big.yaml:1:3000001"), "{drawn}");
    }
}
