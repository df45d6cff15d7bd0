//! Where things stand in YAML text: bytes for characters, and spans a person would underline.

use saphyr_parser::Marker;

use super::source::Span;

/// Most commas, colons and brackets in one list or map in brackets: one for every 8 bytes of the
/// text, which is more than JSON of any use has, between these two. The parser reads such a list to
/// its end before it tells of its first value, and keeps some 250 bytes for each mark meanwhile.
const FEW_FLOW_MARKS: usize = 1_000_000;
const MANY_FLOW_MARKS: usize = 4_000_000;
const BYTES_PER_FLOW_MARK: usize = 8;

/// How many commas, colons and brackets one list or map in brackets may have in this text.
pub(in crate::manifest) fn max_flow_marks(text: &str) -> usize {
    (text.len() / BYTES_PER_FLOW_MARK).clamp(FEW_FLOW_MARKS, MANY_FLOW_MARKS)
}

/// Where a list or map in brackets begins that is too long for the parser. Brackets in quoted or
/// block text count too, which matters to nobody below millions of them.
pub(in crate::manifest) fn long_flow(text: &str) -> Option<u32> {
    let most = max_flow_marks(text);
    if text.len() <= most {
        return None;
    }
    let (mut depth, mut marks, mut start) = (0usize, 0usize, 0usize);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' | b'{' => {
                if depth == 0 {
                    (marks, start) = (0, at);
                }
                depth += 1;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' | b':' => {}
            _ => continue,
        }
        marks += 1;
        if depth > 0 && marks > most {
            return Some(start as u32);
        }
    }
    None
}

/// The tab that the parser stumbled over: one that indents the line at `at`, or the next one.
pub(in crate::manifest) fn tab_near(text: &str, at: u32) -> Option<u32> {
    let at = at as usize;
    let line = text[..at].rfind('\n').map_or(0, |found| found + 1);
    let next = text[at..].find('\n').map(|found| at + found + 1);
    [Some(line), next].into_iter().flatten().find_map(|line| {
        let indent = text[line..].bytes().take_while(|b| *b == b' ').count();
        text[line + indent..]
            .starts_with('\t')
            .then_some((line + indent) as u32)
    })
}

/// The word that begins at `at`.
pub(in crate::manifest) fn word_span(text: &str, at: u32) -> Span {
    let rest = &text[at as usize..];
    let length = rest.find([' ', '\t', '\n', '\r', ',', ']', '}']);
    Span {
        start: at,
        end: at + length.unwrap_or(rest.len()) as u32,
    }
}

/// The tag that a value begins with, of the whole value's span.
pub(in crate::manifest) fn tag_span(text: &str, span: Span) -> Span {
    let written = &text[span.start as usize..span.end as usize];
    let tag = written.find('!').unwrap_or(0);
    let length = written[tag..].find(char::is_whitespace);
    let end = length.map_or(written.len(), |length| tag + length);
    Span {
        start: span.start + tag as u32,
        end: span.start + end as u32,
    }
}

pub(in crate::manifest) fn trim(text: &str, span: Span) -> Span {
    let trimmed = text[span.start as usize..span.end as usize].trim_end();
    Span {
        start: span.start,
        end: span.start + trimmed.len() as u32,
    }
}

pub(in crate::manifest) fn first_line(text: &str, span: Span) -> Span {
    let whole = &text[span.start as usize..span.end as usize];
    let line = whole.split('\n').next().unwrap_or("").trim_end();
    Span {
        start: span.start,
        end: span.start + line.len() as u32,
    }
}

/// Turns the parser's character counts into byte offsets. Events come nearly in order, so one
/// walk over the text serves all of them.
pub(in crate::manifest) struct Cursor<'s> {
    text: &'s str,
    chars: usize,
    bytes: usize,
    ascii: bool,
}

impl<'s> Cursor<'s> {
    pub(in crate::manifest) fn new(text: &'s str) -> Self {
        Cursor {
            text,
            chars: 0,
            bytes: 0,
            ascii: text.is_ascii(),
        }
    }

    pub(in crate::manifest) fn byte_at(&mut self, marker: Marker) -> u32 {
        let index = marker.index();
        if self.ascii {
            return index.min(self.text.len()) as u32;
        }
        while self.chars > index {
            self.chars -= 1;
            self.bytes = self.text[..self.bytes]
                .char_indices()
                .next_back()
                .map_or(0, |(at, _)| at);
        }
        if index > self.chars {
            let rest = &self.text[self.bytes..];
            match rest.char_indices().nth(index - self.chars) {
                Some((at, _)) => {
                    self.bytes += at;
                    self.chars = index;
                }
                None => return self.text.len() as u32,
            }
        }
        self.bytes as u32
    }
}
