//! `~` in expressions: both sides are to be texts as a manifest writes them.
//!
//! minijinja has the operator built in and writes Python's `None` and `True`. Therefore the filter
//! `string`, which is ours, is put behind each side before an expression is compiled.

use std::ops::Range;

/// An expression with the filter `string` behind both sides of every `~`. `None` if it has no `~`.
///
/// What cannot be read is passed over: it is for minijinja to say what is wrong with it.
pub(in crate::expand) fn with_texts(expression: &str) -> Option<String> {
    let mut sides = Vec::new();
    let mut outer: Vec<Side> = Vec::new();
    let mut side = Side::default();
    for token in tokens(expression) {
        match token.kind {
            Kind::Open => {
                side.begin(&token);
                outer.push(std::mem::take(&mut side));
            }
            Kind::Close => {
                sides.extend(side.end(false));
                side = outer.pop().unwrap_or_default();
                side.take(&token, true);
            }
            Kind::Concatenation => sides.extend(side.end(true)),
            Kind::Minus if side.range.is_none() || !side.is_complete => side.take(&token, false),
            // At the beginning of an argument it spreads a list.
            Kind::Product if side.range.is_some() => {
                side.in_parentheses = true;
                side.take(&token, false);
            }
            Kind::Minus | Kind::Product | Kind::Weaker => sides.extend(side.end(false)),
            Kind::Test => {
                side.in_parentheses = true;
                side.take(&token, false);
            }
            // An argument of a test may have a sign.
            Kind::TestName => side.take(&token, false),
            Kind::Value => side.take(&token, true),
        }
    }
    sides.extend(side.end(false));
    if sides.is_empty() {
        return None;
    }
    Some(insert(expression, &sides))
}

/// One side of a `~`: where it stands, and whether it holds operators.
type Found = (Range<usize>, bool);

/// What stands between two operators that bind no closer than `~`.
#[derive(Debug, Default)]
struct Side {
    range: Option<Range<usize>>,
    /// Whether a `~` stands before it.
    is_right: bool,
    /// Whether a filter behind it would belong to its last part only.
    in_parentheses: bool,
    /// Whether an operator may follow.
    is_complete: bool,
}

impl Side {
    fn begin(&mut self, token: &Token) {
        let start = self.range.as_ref().map_or(token.range.start, |it| it.start);
        self.range = Some(start..token.range.end);
    }

    fn take(&mut self, token: &Token, is_complete: bool) {
        self.begin(token);
        self.is_complete = is_complete;
    }

    /// Ends it, and begins the next one.
    fn end(&mut self, at_concatenation: bool) -> Option<Found> {
        let next = Side {
            is_right: at_concatenation,
            ..Side::default()
        };
        let ended = std::mem::replace(self, next);
        let is_side = ended.is_right || at_concatenation;
        Some((ended.range?, ended.in_parentheses)).filter(|_| is_side)
    }
}

fn insert(expression: &str, sides: &[Found]) -> String {
    const FILTER: &str = "|string";
    let mut insertions: Vec<(usize, &str)> = Vec::new();
    for (range, in_parentheses) in sides {
        if *in_parentheses {
            insertions.push((range.start, "("));
            insertions.push((range.end, ")"));
        }
        insertions.push((range.end, FILTER));
    }
    insertions.sort_by_key(|(at, _)| *at);
    let mut text = String::with_capacity(expression.len() + insertions.len() * FILTER.len());
    let mut from = 0;
    for (at, inserted) in insertions {
        text.push_str(&expression[from..at]);
        text.push_str(inserted);
        from = at;
    }
    text.push_str(&expression[from..]);
    text
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A literal, a name, a dot, a bar: what belongs to a value.
    Value,
    Open,
    Close,
    /// `~`
    Concatenation,
    Minus,
    /// `*`, `/`, `//`, `%`, `**`: bind closer than `~`.
    Product,
    /// `is`, which applies to what stands right before it.
    Test,
    TestName,
    /// Everything that binds less closely, or stands between values.
    Weaker,
}

#[derive(Debug)]
struct Token {
    kind: Kind,
    range: Range<usize>,
}

/// The tokens of minijinja's expressions, as far as it matters here.
fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut tokens: Vec<Token> = Vec::new();
    // Whether a name that follows is no keyword: that of an attribute, a filter or a test.
    let (mut is_name, mut is_test) = (false, false);
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let next = bytes.get(at + 1);
        let (kind, length) = match bytes[at] {
            byte if byte.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            quote @ (b'\'' | b'"') => (Kind::Value, string_length(&bytes[at..], quote)),
            b'0'..=b'9' => {
                let after_dot = at > 0 && bytes[at - 1] == b'.';
                (Kind::Value, number_length(&bytes[at..], after_dot))
            }
            b'(' | b'[' | b'{' => (Kind::Open, 1),
            b')' | b']' | b'}' => (Kind::Close, 1),
            b'~' => (Kind::Concatenation, 1),
            b'-' => (Kind::Minus, 1),
            byte @ (b'*' | b'/') if next == Some(&byte) => (Kind::Product, 2),
            b'*' | b'/' | b'%' => (Kind::Product, 1),
            b'.' | b'|' => (Kind::Value, 1),
            b'=' | b'!' | b'<' | b'>' if next == Some(&b'=') => (Kind::Weaker, 2),
            byte if is_name_byte(byte) => {
                let rest = bytes[at..].iter();
                let length = rest.take_while(|byte| is_name_byte(**byte)).count();
                let kind = match &text[at..at + length] {
                    "not" if is_test => Kind::Test,
                    _ if is_test => Kind::TestName,
                    _ if is_name => Kind::Value,
                    "is" => Kind::Test,
                    "and" | "or" | "not" | "in" | "if" | "else" => Kind::Weaker,
                    _ => Kind::Value,
                };
                (kind, length)
            }
            _ => (Kind::Weaker, 1),
        };
        is_name = matches!(bytes[at], b'.' | b'|');
        is_test = kind == Kind::Test;
        at = (start + length).min(bytes.len());
        // What is not ASCII stands in strings only; where it does not, no character is cut.
        while !text.is_char_boundary(at) {
            at += 1;
        }
        let range = start..at;
        tokens.push(Token { kind, range });
    }
    tokens
}

fn is_name_byte(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

fn string_length(bytes: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// The length of a number. Its exponent may have a sign, which is no operator.
fn number_length(bytes: &[u8], after_dot: bool) -> usize {
    let digits = |from: usize| {
        let rest = bytes[from.min(bytes.len())..].iter();
        rest.take_while(|byte| byte.is_ascii_digit() || **byte == b'_')
            .count()
    };
    if matches!(bytes, [b'0', b'b' | b'B' | b'o' | b'O' | b'x' | b'X', ..]) {
        let rest = bytes.iter();
        return rest.take_while(|byte| is_name_byte(**byte)).count();
    }
    let mut length = digits(0);
    let mut fraction = length;
    if !after_dot && bytes.get(length) == Some(&b'.') {
        fraction = length + 1 + digits(length + 1);
    }
    let exponent = |at: usize| {
        let [b'e' | b'E', sign, ..] = bytes.get(at..)? else {
            return None;
        };
        let signed = matches!(sign, b'+' | b'-');
        let count = digits(at + 1 + usize::from(signed));
        (count > 0).then_some(at + 1 + usize::from(signed) + count)
    };
    if fraction > length + 1 || exponent(fraction).is_some() {
        length = fraction;
    }
    exponent(length).unwrap_or(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_become_texts() {
        let table = [
            ("a ~ b", "a|string ~ b|string"),
            ("'a'~b.c[0]~f(x)", "'a'|string~b.c[0]|string~f(x)|string"),
            ("a + b ~ c - d", "a + b|string ~ c|string - d"),
            ("a * b ~ c ** -d", "(a * b)|string ~ (c ** -d)|string"),
            (
                "-a ~ -b - -c ~ d",
                "-a|string ~ -b|string - -c|string ~ d|string",
            ),
            (
                "a|upper ~ b|join('~', x)",
                "a|upper|string ~ b|join('~', x)|string",
            ),
            ("a ~ b is none", "a|string ~ (b is none)|string"),
            ("a is not none ~ b", "(a is not none)|string ~ b|string"),
            (
                "a is divisibleby -3 ~ b",
                "(a is divisibleby -3)|string ~ b|string",
            ),
            (
                "a ~ b if not c ~ d else e ~ f",
                "a|string ~ b|string if not c|string ~ d|string else e|string ~ f|string",
            ),
            (
                "a ~ b == c ~ d and e",
                "a|string ~ b|string == c|string ~ d|string and e",
            ),
            ("a ~ b not in c", "a|string ~ b|string not in c"),
            (
                "row.in ~ row.is ~ row.if",
                "row.in|string ~ row.is|string ~ row.if|string",
            ),
            (
                "[a ~ b, c][d ~ e]",
                "[a|string ~ b|string, c][d|string ~ e|string]",
            ),
            (
                "{'k' ~ a: b ~ c}",
                "{'k'|string ~ a|string: b|string ~ c|string}",
            ),
            (
                "f(*a ~ b, k=c ~ d, **e)",
                "f(*a|string ~ b|string, k=c|string ~ d|string, **e)",
            ),
            ("(a ~ (b ~ c))", "(a|string ~ (b|string ~ c|string)|string)"),
            (
                "a[b ~ c:d ~ e]",
                "a[b|string ~ c|string:d|string ~ e|string]",
            ),
            (
                "1e-5 ~ 0x1e-5 ~ 1.5E+3",
                "1e-5|string ~ 0x1e|string-5|string ~ 1.5E+3|string",
            ),
            ("a.0.1 ~ 1.x", "a.0.1|string ~ 1.x|string"),
            (
                "'it\\'s ~ ' ~ \"~\" ~ 'ü'",
                "'it\\'s ~ '|string ~ \"~\"|string ~ 'ü'|string",
            ),
            ("true ~ none ~ []", "true|string ~ none|string ~ []|string"),
            ("a // b ~ c % d", "(a // b)|string ~ (c % d)|string"),
        ];
        for (written, expected) in table {
            assert_eq!(with_texts(written).as_deref(), Some(expected), "{written}");
        }
    }

    #[test]
    fn what_has_no_concatenation_is_left_alone() {
        for text in ["", "a", "'a ~ b'", "a.b | join('~')", "1 - 2", "a is none"] {
            assert_eq!(with_texts(text), None, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_ends() {
        for text in [
            "~", "a ~", "~ a", "'a ~", "\"\\", "ü ~ ü", ")~(", "a ~ 1.", "a ~ 1e", "0x", "a !~ b",
        ] {
            let _ = with_texts(text);
        }
    }
}
