//! YAML that readers of YAML 1.1 and 1.2 take for the same.
//!
//! The YAML writer quotes what a reader of YAML 1.2 would take for something else. One of 1.1, such
//! as PyYAML, takes `yes` for a boolean, `2026-11-30` for a date and `12:30` for a number too.

use std::io;

use serde_json::Value;

/// A value as an item of a block list.
pub(super) fn item(value: &Value) -> io::Result<String> {
    let json = value.to_string();
    let mut quotes = Quotes::new(&json);
    let marked = quotes.mark(value);
    let text = serde_yaml::to_string(&[marked]).map_err(io::Error::other)?;
    Ok(quotes.put_into(&text))
}

/// Texts that are to be quoted, each with a word that stands for it while the rest is written.
struct Quotes {
    /// What every such word begins with; it is nowhere else.
    mark: String,
    texts: Vec<String>,
}

impl Quotes {
    fn new(json: &str) -> Self {
        let mut mark = "quoted".to_owned();
        while json.contains(&mark) {
            mark.push('q');
        }
        Quotes {
            mark,
            texts: Vec::new(),
        }
    }

    fn word(&mut self, text: &str) -> String {
        if !needs_quotes(text) {
            return text.to_owned();
        }
        self.texts.push(text.to_owned());
        format!("{}{}x", self.mark, self.texts.len() - 1)
    }

    fn mark(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.word(text)),
            Value::Array(items) => items.iter().map(|item| self.mark(item)).collect(),
            Value::Object(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, value)| (self.word(key), self.mark(value)));
                Value::Object(entries.collect())
            }
            other => other.clone(),
        }
    }

    fn put_into(&self, text: &str) -> String {
        let mut parts = text.split(&*self.mark);
        let mut quoted = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (number, rest) = part.split_once('x').unwrap_or((part, ""));
            let text = number.parse().ok().and_then(|it: usize| self.texts.get(it));
            quoted.push('\'');
            quoted.push_str(text.map_or("", String::as_str));
            quoted.push('\'');
            quoted.push_str(rest);
        }
        quoted
    }
}

/// Whether a reader of YAML 1.1 may take a text for something else: a boolean, a merge, a default,
/// or anything that looks like a number, a time or a date. Source: the types of yaml.org/type.
fn needs_quotes(text: &str) -> bool {
    const WORDS: [&str; 8] = ["y", "n", "yes", "no", "on", "off", "=", "<<"];
    if WORDS.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return true;
    }
    let is_number_like = |byte: u8| byte.is_ascii_hexdigit() || b"_:.+-xXoOtTzZ ".contains(&byte);
    let begins = text
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_digit() || b"+-.".contains(&byte));
    begins && text.bytes().any(|byte| byte.is_ascii_digit()) && text.bytes().all(is_number_like)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_readers_of_yaml_1_1_take_for_something_else_is_quoted() {
        let texts = [
            "yes",
            "No",
            "ON",
            "off",
            "y",
            "N",
            "=",
            "<<",
            "0777",
            "1_000",
            "12:30:00",
            "12:30",
            "190:20:30.15",
            "2026-11-30",
            "2026-11-30T00:00:00Z",
            "2026-11-30 10:00:00 +01:00",
            "0b11",
            "0x1F",
            "+1",
            "-0777",
            ".5",
            "1.5",
            "685_230.15",
            "6.8523015e+5",
        ];
        for text in texts {
            let written = item(&json!({text: text})).expect("it can be written");
            assert_eq!(written, format!("- '{text}': '{text}'\n"));
        }
        let plain = ["yesterday", "acme-1", "v1.2", "2nd", "one", "nope"];
        for text in plain {
            let written = item(&json!({text: text})).expect("it can be written");
            assert_eq!(written, format!("- {text}: {text}\n"));
        }
        let marked = item(&json!(["quoted0x", "yes"])).expect("it can be written");
        assert_eq!(marked, "- - quoted0x\n  - 'yes'\n");
    }
}
