//! Draws diagnostics for people: the source line underlined, with what to write instead.
//!
//! In: diagnostics. Out: text for a terminal. However large a file or a line is, a drawing shows a
//! window of it, and no control character of a file reaches the terminal.

use std::fmt;
use std::sync::Arc;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents,
    SourceCode, SourceSpan,
};

use super::alike::alike;
use super::diagnostic::{Diagnostic, Place, Severity};
use crate::manifest::text::source::{Source, Span};
use crate::visible::{Page, visible};

/// Most problems that are shown in full; the rest is only counted.
pub const MAX_SHOWN: usize = 50;

/// How diagnostics are drawn for a terminal.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Whether colours are used.
    pub color: bool,
    /// Width of the terminal in columns.
    pub width: usize,
    /// Whether only ASCII is drawn.
    pub ascii: bool,
}

/// Draws diagnostics for people, in their order, at most [`MAX_SHOWN`] of them. `hidden` more are
/// only counted.
pub fn render(diagnostics: &[Diagnostic], hidden: u64, style: Style) -> Page {
    let theme = match (style.ascii, style.color) {
        (false, true) => GraphicalTheme::unicode(),
        (false, false) => GraphicalTheme::unicode_nocolor(),
        (true, true) => GraphicalTheme::ascii(),
        (true, false) => GraphicalTheme::none(),
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(style.width)
        .with_context_lines(1)
        .with_links(false)
        .with_primary_span_start()
        .with_show_related_as_nested(true);
    let dots = if style.ascii { "..." } else { "…" };
    let mut page = Page::new(style.color);
    let kinds = alike(diagnostics);
    for (diagnostic, others) in kinds.iter().take(MAX_SHOWN) {
        let mut text = String::new();
        handler
            .render_report(&mut text, &Drawn::new(diagnostic))
            .expect("writing to a string cannot fail");
        page.drawn(&text);
        page.line("");
        if let Some(places) = others.named() {
            page.line(&format!(
                "{dots} and {} more like it: {places}",
                others.count
            ));
            page.line("");
        }
    }
    let beyond = kinds.iter().skip(MAX_SHOWN);
    let hidden = hidden + beyond.map(|(_, others)| 1 + others.count).sum::<u64>();
    if hidden > 0 {
        let shown = kinds.len().min(MAX_SHOWN);
        page.line(&format!(
            "{dots} and {hidden} more; the first {shown} are shown"
        ));
    }
    page
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
            .filter(|(_, place)| !diagnostic.is_near(place))
            .map(|(message, place)| Elsewhere {
                message: visible(message).into_owned(),
                place: place.clone(),
            })
            .collect();
        Drawn {
            diagnostic,
            elsewhere,
        }
    }
}

/// Most lines between two places that are drawn in one piece.
const NEAR_LINES: u32 = 2;

impl Diagnostic {
    /// Whether `place` is drawn together with this diagnostic's own. What is farther away is
    /// drawn after it, so that the first place is always the one that is wrong.
    fn is_near(&self, place: &Place) -> bool {
        let line = |place: &Place| place.source.line_of(place.span.start).0;
        self.place.as_ref().is_some_and(|own| {
            Arc::ptr_eq(&own.source, &place.source) && line(own).abs_diff(line(place)) <= NEAR_LINES
        })
    }
}

impl fmt::Debug for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.diagnostic.fmt(f)
    }
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&visible(&self.diagnostic.message))
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
            .map(|help| Box::new(visible(help)) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.diagnostic
            .place
            .as_ref()
            .map(|place| &*place.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.diagnostic.place.as_ref()?;
        let own = std::iter::once(LabeledSpan::new_primary_with_span(None, source_span(place)));
        let here = self
            .diagnostic
            .related
            .iter()
            .filter(|(_, place)| self.diagnostic.is_near(place));
        let others = here.map(|(message, place)| {
            LabeledSpan::new_with_span(Some(visible(message).into_owned()), source_span(place))
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
        let span = LabeledSpan::new_primary_with_span(None, source_span(&self.place));
        Some(Box::new(std::iter::once(span)))
    }
}

/// A span as miette draws it: at most [`WINDOW`] bytes are underlined.
fn source_span(place: &Place) -> SourceSpan {
    let Span { start, end } = place.span;
    let (start, end) = (start as usize, end as usize);
    let end = floor_boundary(place.source.text(), end.min(start + WINDOW));
    SourceSpan::new(start.into(), end.saturating_sub(start))
}

/// Most bytes that are drawn of a span, and of its line on either side of it. A manifest may be
/// one line of many megabytes.
const WINDOW: usize = 200;

impl SourceCode for Source {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        context_lines_before: usize,
        context_lines_after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, MietteError> {
        let text = self.text();
        let (offset, end) = (span.offset(), span.offset() + span.len());
        // miette asks for the place of two spans that are near each other. If they are not,
        // each is drawn on its own.
        if end > text.len() || span.len() > 10 * WINDOW {
            return Err(MietteError::OutOfBounds);
        }
        let (line, line_start) = self.line_of(offset as u32);
        let (last, _) = self.line_of(end as u32);
        let range = |line: u32| {
            let (start, stop) = self.line_range(line)?;
            let stop = start as usize
                + text[start as usize..stop as usize]
                    .trim_end_matches('\r')
                    .len();
            Some((start as usize, stop))
        };
        let mut from = (line, line_start as usize);
        let mut stop = range(last).map_or(end, |(_, stop)| stop.max(end));
        if context_lines_before == 0 && context_lines_after == 0 {
            // Without context, miette asks for the line and column of the span itself.
            (from, stop) = ((line, offset), end);
        } else {
            if offset - from.1 > WINDOW {
                from.1 = floor_boundary(text, offset - WINDOW);
            } else if let Some((before, before_stop)) = line.checked_sub(1).and_then(range)
                && before_stop - before <= WINDOW
            {
                from = (line - 1, before);
            }
            if stop - end > WINDOW {
                stop = floor_boundary(text, end + WINDOW);
            } else if let Some((after, after_stop)) = range(last + 1)
                && after_stop - after <= WINDOW
            {
                stop = after_stop;
            }
        }
        let (_, start_of_line) = self.line_of(from.1 as u32);
        let column = text[start_of_line as usize..from.1].chars().count();
        Ok(Box::new(MietteSpanContents::new_named(
            visible(self.name()).into_owned(),
            &self.shown().as_bytes()[from.1..stop],
            SourceSpan::new(from.1.into(), stop - from.1),
            (self.lines_before() + from.0) as usize,
            column,
            (last - from.0) as usize + 1,
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
    use crate::manifest::findings::diagnostic::Code;
    use crate::visible::is_hidden;

    fn drawn(diagnostic: Diagnostic) -> String {
        let style = Style {
            color: false,
            width: 80,
            ascii: false,
        };
        render(&[diagnostic], 0, style).as_str().to_owned()
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
        let drawn = drawn(diagnostic);
        assert!(drawn.len() < 4_000, "{} bytes", drawn.len());
        assert!(drawn.contains("big.yaml:1:3000001"), "{drawn}");
    }

    #[test]
    fn two_places_far_apart_on_one_line_are_drawn_apart() {
        let text = format!("x{}x", "a".repeat(3_000_000));
        let source = Arc::new(Source::new("big.yaml", ".", text));
        let at = |start| Span {
            start,
            end: start + 1,
        };
        let mut diagnostic = Diagnostic::new(Code::DuplicateKey, "here").at(&source, at(3_000_001));
        let place = Place {
            source: Arc::clone(&source),
            span: at(0),
        };
        diagnostic.related.push(("and here".to_owned(), place));
        let drawn = drawn(diagnostic);
        assert!(drawn.len() < 6_000, "{} bytes", drawn.len());
        assert!(drawn.contains("big.yaml:1:3000002"), "{drawn}");
        assert!(drawn.contains("and here"), "{drawn}");
    }

    #[test]
    fn hidden_characters_do_not_reach_the_terminal() {
        let text = "a\u{1b}[31m\u{202e}b\u{9b}\r\nc\r\n".to_owned();
        let source = Arc::new(Source::new("odd.yaml", ".", text));
        let span = Span { start: 0, end: 1 };
        let drawn = drawn(Diagnostic::new(Code::Syntax, "the \u{7} bell").at(&source, span));
        assert!(!drawn.contains(|c| is_hidden(c) && c != '\n'), "{drawn:?}");
        assert!(drawn.contains("a?[31m\u{fffd}b·"), "{drawn}");
        assert!(drawn.contains("the \\u{7} bell"), "{drawn}");
    }
}
