//! Foreign text as a terminal and a CI log may have it.
//!
//! In: text that somebody else wrote: names, messages, answers of a service, lines of a file. Out:
//! text in which every character shows itself and none acts. What is written for people goes
//! through [`Page`] or [`line()`], so that nobody has to think of it.

use std::borrow::Cow;
use std::fmt::Write;

use console::Style;

/// Most characters of a line for people. A service, a proxy or a file may say megabytes.
const MAX_LINE: usize = 2_000;

/// Whether a character does something to the text around it instead of being seen: control
/// characters, marks of direction, breaks of lines, tags, and what has no width at all. Names with
/// such characters look like other names.
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061C}' | '\u{180E}' | '\u{200B}' | '\u{200E}' | '\u{200F}'
            | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}'
            | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

/// Whether a character is written as an escape: what [`acts`], and what shows nothing or, as
/// private use, anything.
pub fn is_hidden(c: char) -> bool {
    acts(c)
        || matches!(c,
            '\u{00AD}' | '\u{034F}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{200C}' | '\u{200D}' | '\u{3164}' | '\u{FFA0}' | '\u{E000}'..='\u{F8FF}'
            | '\u{F0000}'..='\u{10FFFF}')
}

/// Text with every hidden character, line breaks among them, written as an escape such as `\n` or
/// `\u{1b}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// The same, cut after `most` characters of `text`.
pub fn visible_to(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => visible(text),
        Some((end, _)) => Cow::Owned(format!("{}…", visible(&text[..end]))),
    }
}

/// One line for people: visible, of bounded length, and no command to a CI system that reads it.
pub fn line(text: &str) -> Cow<'_, str> {
    match visible_to(text, MAX_LINE) {
        Cow::Borrowed(text) => without_commands(text),
        Cow::Owned(text) => Cow::Owned(without_commands(&text).into_owned()),
    }
}

/// A line that no CI system takes for a command: GitHub's runner obeys `::` after blanks and `##[`
/// anywhere, Azure Pipelines `##vso[`, TeamCity `##teamcity[`.
/// Source: actions/runner `ActionCommand.cs`, `TryParseV2` and `TryParse`.
pub fn without_commands(line: &str) -> Cow<'_, str> {
    let blanks = line.len() - line.trim_start().len();
    let mut text = Cow::Borrowed(line);
    if line[blanks..].starts_with("::") {
        text.to_mut().replace_range(blanks..=blanks, r"\u{3a}");
    }
    let mut from = 0;
    while let Some(at) = text[from..].find("##").map(|at| from + at) {
        let word = text[at + 2..].trim_start_matches(|c: char| c.is_ascii_alphanumeric());
        if word.starts_with('[') {
            text.to_mut().replace_range(at + 1..at + 2, r"\u{23}");
        }
        from = at + 1;
    }
    text
}

/// The text of a JSON document with the same meaning in which every hidden character is an escape
/// and no string is a command. Hidden characters can only be inside of strings there; line breaks
/// between values are left.
pub fn json(text: &str) -> Cow<'_, str> {
    let mut units = [0; 2];
    escaped(text, |c, shown| {
        for unit in c.encode_utf16(&mut units) {
            write!(shown, "\\u{unit:04x}").expect("writing to a string cannot fail");
        }
    })
}

/// The same for JSON that is to be read as YAML, which joins no halves of a character.
pub fn json_as_yaml(text: &str) -> Cow<'_, str> {
    escaped(text, |c, shown| {
        let written = match u32::from(c) {
            point @ ..=0xFFFF => write!(shown, "\\u{point:04x}"),
            point => write!(shown, "\\U{point:08x}"),
        };
        written.expect("writing to a string cannot fail");
    })
}

fn escaped(text: &str, mut write: impl FnMut(char, &mut String)) -> Cow<'_, str> {
    let hides = |c: char| c >= '\u{7f}' && is_hidden(c);
    let is_plain = text.bytes().all(|byte| byte < 0x7f) || !text.contains(hides);
    if is_plain && !text.contains("##") {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    let mut before = None;
    for c in text.chars() {
        // `##` is no JSON but in a string.
        if hides(c) || (c == '#' && before == Some('#')) {
            write(c, &mut shown);
        } else {
            shown.push(c);
        }
        before = Some(c);
    }
    Cow::Owned(shown)
}

/// Lines for people. Whatever is put in becomes visible; only the styles given beside it are codes
/// for a terminal.
#[derive(Clone, Debug, Default)]
pub struct Page {
    text: String,
    color: bool,
}

impl Page {
    /// An empty page, with colours or without.
    pub fn new(color: bool) -> Self {
        Page {
            text: String::new(),
            color,
        }
    }

    /// Adds a line.
    pub fn line(&mut self, text: &str) {
        self.text.push_str(&line(text));
        self.text.push('\n');
    }

    /// Adds a line of parts, each in its style if it has one.
    pub fn parts(&mut self, parts: &[(Option<Style>, String)]) {
        let whole: String = parts.iter().map(|(_, part)| part.as_str()).collect();
        if !self.color {
            return self.line(whole.trim_end());
        }
        let last = parts.iter().rposition(|(_, part)| !part.trim().is_empty());
        for (position, (style, part)) in parts.iter().enumerate() {
            let part = match last {
                Some(last) if position == last => part.trim_end(),
                Some(last) if position > last => continue,
                _ => part,
            };
            let part = line(part);
            match style {
                Some(style) => {
                    let style = style.clone().force_styling(true);
                    write!(self.text, "{}", style.apply_to(part))
                        .expect("writing to a string cannot fail");
                }
                None => self.text.push_str(&part),
            }
        }
        self.text.push('\n');
    }

    /// Adds what [`crate::manifest::drawing`] has drawn, which holds codes of its own and no
    /// foreign ones.
    pub fn drawn(&mut self, text: &str) {
        for line in text.split_inclusive('\n') {
            self.text.push_str(&without_commands(line));
        }
    }

    /// Everything so far.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether there is nothing on it.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_acts_is_written_as_an_escape() {
        let table = [
            ("plain ünïcode 世界 🎉", "plain ünïcode 世界 🎉"),
            ("a\u{1b}[31m\u{7}b", "a\\u{1b}[31m\\u{7}b"),
            ("a\r\n\tb\0\u{7f}\u{9b}", "a\\r\\n\\tb\\u{0}\\u{7f}\\u{9b}"),
            (
                "\u{202e}a\u{2066}b\u{200f}",
                "\\u{202e}a\\u{2066}b\\u{200f}",
            ),
            (
                "a\u{200b}b\u{feff}\u{2028}",
                "a\\u{200b}b\\u{feff}\\u{2028}",
            ),
            ("\u{e0041}\u{e000}", "\\u{e0041}\\u{e000}"),
        ];
        for (text, expected) in table {
            assert_eq!(visible(text), expected);
        }
        assert_eq!(visible_to("ab\n\u{1b}c", 3), "ab\\n…");
    }

    #[test]
    fn no_line_is_a_command() {
        let table = [
            ("::error::x", "\\u{3a}:error::x"),
            ("  ::add-mask::x", "  \\u{3a}:add-mask::x"),
            ("a ::error::x", "a ::error::x"),
            ("a ##[add-mask]e", "a #\\u{23}[add-mask]e"),
            ("###[x]", "##\\u{23}[x]"),
            ("##vso[task.x]##[y]", "#\\u{23}vso[task.x]#\\u{23}[y]"),
            ("## heading [x]", "## heading [x]"),
        ];
        for (text, expected) in table {
            assert_eq!(line(text), expected);
            assert_eq!(line(&line(text)), expected, "once is enough");
        }
        assert_eq!(line(&"x".repeat(1 << 20)).chars().count(), MAX_LINE + 1);
    }

    #[test]
    fn json_keeps_its_meaning() {
        let text = "a\u{9b}##[x]\u{202e}\u{e0041}\n\u{7f}ü";
        let document = serde_json::to_string_pretty(&[text]).expect("text is JSON");
        let shown = json(&document);
        assert!(!shown.contains(|c| is_hidden(c) && c != '\n'), "{shown:?}");
        assert!(!shown.contains("##["), "{shown}");
        let read: Vec<String> = serde_json::from_str(&shown).expect("it is still JSON");
        assert_eq!(read, [text]);
    }

    #[test]
    fn only_styles_given_beside_the_text_are_codes() {
        let mut page = Page::new(true);
        page.parts(&[
            (Some(Style::new().red()), "bad\u{1b}[0m".to_owned()),
            (None, " \u{1b}[2J##[x]".to_owned()),
        ]);
        page.line("\u{1b}[2J");
        let expected = "\u{1b}[31mbad\\u{1b}[0m\u{1b}[0m \\u{1b}[2J#\\u{23}[x]\n\\u{1b}[2J\n";
        assert_eq!(page.as_str(), expected);
    }

    proptest! {
        #[test]
        fn any_text_is_one_line_that_does_nothing(text in "(\\PC|[\0-\u{1f}#:\\[\u{80}-\u{9f}\u{200b}-\u{206f}\u{e0000}-\u{e007f}]){0,60}") {
            let shown = line(&text);
            prop_assert!(!shown.contains(is_hidden), "{shown:?}");
            prop_assert!(!shown.trim_start().starts_with("::"));
            prop_assert!(!shown.contains("##["));
            let document = serde_json::to_string(&text).expect("text is JSON");
            let document = json(&document);
            prop_assert!(!document.contains(is_hidden) && !document.contains("##["));
            let read: String = serde_json::from_str(&document).expect("it is still JSON");
            prop_assert_eq!(read, text);
        }
    }
}
