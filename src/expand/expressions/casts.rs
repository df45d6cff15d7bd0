//! The filters `int`, `float` and `bool`: strict, where minijinja's own take what they can get.

use serde_json::Number;

use crate::manifest::node::{Node, Value};
use crate::manifest::{shorten, whole_part};

/// A filter that changes a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::expand) enum Cast {
    Int,
    Float,
    Bool,
}

impl Cast {
    pub(in crate::expand) const ALL: [(&'static str, Cast); 3] = [
        ("int", Cast::Int),
        ("float", Cast::Float),
        ("bool", Cast::Bool),
    ];

    pub(in crate::expand) fn parse(text: &str) -> Option<Cast> {
        let (_, cast) = Cast::ALL.iter().find(|(known, _)| *known == text)?;
        Some(*cast)
    }

    /// Casts a text.
    ///
    /// # Errors
    /// What is wrong, as a message.
    pub(in crate::expand) fn text(self, text: &str) -> Result<Value, String> {
        match self {
            Cast::Int => int(text).map(Value::Number),
            Cast::Float => float(text).map(Value::Number),
            Cast::Bool => match text {
                "true" | "True" | "TRUE" => Ok(Value::Bool(true)),
                "false" | "False" | "FALSE" => Ok(Value::Bool(false)),
                _ => Err(format!("{} is not `true` or `false`", quoted(text))),
            },
        }
    }

    /// Casts a value.
    ///
    /// # Errors
    /// What is wrong, as a message.
    pub(in crate::expand) fn node(self, node: &Node) -> Result<Value, String> {
        let word = match self {
            Cast::Int => "an integer",
            Cast::Float => "a number",
            Cast::Bool => "a boolean",
        };
        match (&node.value, self) {
            (Value::String(text), _) => self.text(text),
            (Value::Bool(value), Cast::Bool) => Ok(Value::Bool(*value)),
            (Value::Number(number), Cast::Int) => number_to_int(number).map(Value::Number),
            (Value::Number(number), Cast::Float) => number_to_float(number).map(Value::Number),
            _ => Err(format!("{} cannot be made {word}", node.kind())),
        }
    }
}

fn quoted(text: &str) -> String {
    format!("`{}`", shorten(text))
}

fn int(text: &str) -> Result<Number, String> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(if text.is_empty() {
            "an empty text is not an integer".to_owned()
        } else {
            format!("{} is not an integer", quoted(text))
        });
    }
    let signed = text.parse::<i64>().map(Number::from);
    let number = signed.or_else(|_| text.parse::<u64>().map(Number::from));
    number.map_err(|_| format!("the integer {} is outside of -2^63 to 2^64-1", quoted(text)))
}

fn float(text: &str) -> Result<Number, String> {
    // Unlike in YAML, leading zeros are fine: spreadsheets write them.
    if whole_part(text).is_none() {
        return Err(if text.is_empty() {
            "an empty text is not a number".to_owned()
        } else {
            format!("{} is not a number", quoted(text))
        });
    }
    let value: f64 = text
        .parse()
        .map_err(|_| format!("{} is not a number", quoted(text)))?;
    Number::from_f64(value).ok_or_else(|| {
        format!(
            "the number {} is too large for an IEEE double",
            quoted(text)
        )
    })
}

fn number_to_int(number: &Number) -> Result<Number, String> {
    if !number.is_f64() {
        return Ok(number.clone());
    }
    let value = number.as_f64().unwrap_or(f64::NAN);
    // Beyond 2^53 a double stands for many integers.
    if value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 {
        Ok(Number::from(value as i64))
    } else {
        Err(format!("{number} is not an integer"))
    }
}

fn number_to_float(number: &Number) -> Result<Number, String> {
    let lossy = || format!("the integer {number} has more digits than an IEEE double keeps");
    if number.is_f64() {
        return Ok(number.clone());
    }
    let value = number.as_f64().ok_or_else(lossy)?;
    let kept = number
        .as_i64()
        .map(i128::from)
        .or(number.as_u64().map(i128::from));
    if kept != Some(value as i128) {
        return Err(lossy());
    }
    Number::from_f64(value).ok_or_else(lossy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cast(cast: Cast, text: &str) -> Option<serde_json::Value> {
        match cast.text(text).ok()? {
            Value::Number(number) => Some(serde_json::Value::Number(number)),
            Value::Bool(value) => Some(json!(value)),
            other => panic!("a cast cannot come to {other:?}"),
        }
    }

    #[test]
    fn texts_are_cast_whole_or_not_at_all() {
        let table = [
            (Cast::Int, "12", Some(json!(12))),
            (Cast::Int, "-12", Some(json!(-12))),
            (Cast::Int, "+12", Some(json!(12))),
            (Cast::Int, "007", Some(json!(7))),
            (
                Cast::Int,
                "9007199254740993",
                Some(json!(9007199254740993u64)),
            ),
            (Cast::Int, "18446744073709551615", Some(json!(u64::MAX))),
            (Cast::Int, "18446744073709551616", None),
            (Cast::Int, "-9223372036854775808", Some(json!(i64::MIN))),
            (Cast::Int, "-9223372036854775809", None),
            (Cast::Int, "", None),
            (Cast::Int, " 12", None),
            (Cast::Int, "12x", None),
            (Cast::Int, "1.0", None),
            (Cast::Int, "1e3", None),
            (Cast::Int, "1_000", None),
            (Cast::Int, "-", None),
            (Cast::Float, "1.5", Some(json!(1.5))),
            (Cast::Float, ".5", Some(json!(0.5))),
            (Cast::Float, "2", Some(json!(2.0))),
            (Cast::Float, "-1e3", Some(json!(-1000.0))),
            (Cast::Float, "1e999", None),
            (Cast::Float, "inf", None),
            (Cast::Float, "NaN", None),
            (Cast::Float, "1.5 ", None),
            (Cast::Float, "", None),
            (Cast::Float, ".", None),
            (Cast::Float, "1e", None),
            (Cast::Bool, "true", Some(json!(true))),
            (Cast::Bool, "FALSE", Some(json!(false))),
            (Cast::Bool, "yes", None),
            (Cast::Bool, "1", None),
            (Cast::Bool, "", None),
        ];
        for (filter, text, expected) in table {
            assert_eq!(cast(filter, text), expected, "{filter:?} {text:?}");
        }
    }

    #[test]
    fn numbers_are_cast_if_nothing_is_lost() {
        let table = [
            (Cast::Int, json!(2.0), true),
            (Cast::Int, json!(2.5), false),
            (Cast::Int, json!(1e300), false),
            (Cast::Int, json!(true), false),
            (Cast::Int, json!(null), false),
            (Cast::Float, json!(3), true),
            (Cast::Float, json!(9007199254740993u64), false),
            (Cast::Float, json!(u64::MAX), false),
            (Cast::Float, json!([1]), false),
            (Cast::Bool, json!(true), true),
            (Cast::Bool, json!(1), false),
        ];
        for (filter, value, fits) in table {
            let text = value.to_string();
            let node = crate::manifest::json::parse(text.as_bytes()).expect("this is JSON");
            assert_eq!(filter.node(&node).is_ok(), fits, "{filter:?} {text}");
        }
    }
}
