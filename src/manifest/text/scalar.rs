//! Resolves YAML scalars by the YAML 1.2 core schema, strictly.
//!
//! Two deliberate differences: a decimal with a leading zero (`017`, a postal code) stays a
//! string, and whatever a JSON number cannot hold exactly or at all is a problem, not a guess.

use base64::Engine;
use serde_json::Number;

use super::node::Value;
use crate::manifest::findings::diagnostic::Code;

/// Why a scalar has no value.
pub(in crate::manifest) struct ScalarProblem {
    pub(in crate::manifest) code: Code,
    pub(in crate::manifest) message: String,
    pub(in crate::manifest) help: &'static str,
}

const NUMBER_HELP: &str =
    "quote it to pass it as a string, or give the exact bytes with `$payload`";

/// Resolves a plain scalar without a tag.
pub(in crate::manifest) fn resolve_plain(text: &str) -> Result<Value, ScalarProblem> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        _ => {}
    }
    let first = text.as_bytes()[0];
    if !(first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.')) {
        return Ok(string(text));
    }
    if is_non_finite(text) {
        return Err(non_finite(text));
    }
    if let Some(integer) = integer_form(text) {
        return integer_value(text, integer);
    }
    if is_fraction(text) {
        fraction_value(text)
    } else {
        Ok(string(text))
    }
}

/// Resolves a scalar with one of the core tags (`str`, `int`, `float`, `bool`, `null`,
/// `binary`); `None` for any other tag.
pub(in crate::manifest) fn resolve_tagged(
    tag: &str,
    text: &str,
) -> Option<Result<Value, ScalarProblem>> {
    let mismatch = |what: &str| {
        Err(ScalarProblem {
            code: Code::InvalidScalar,
            message: format!(
                "`{}` is not {what}, as its tag `!!{tag}` says",
                shorten(text)
            ),
            help: "remove the tag, or write a value that fits it",
        })
    };
    Some(match tag {
        "str" => Ok(string(text)),
        "null" => match resolve_plain(text) {
            Ok(Value::Null) => Ok(Value::Null),
            _ => mismatch("null"),
        },
        "bool" => match resolve_plain(text) {
            Ok(Value::Bool(value)) => Ok(Value::Bool(value)),
            _ => mismatch("a boolean"),
        },
        "int" => match integer_form(text) {
            Some(integer) => integer_value(text, integer),
            None => mismatch("an integer"),
        },
        "float" if is_non_finite(text) => Err(non_finite(text)),
        "float" if is_fraction(text) => fraction_value(text),
        "float" => mismatch("a number"),
        "binary" => {
            let packed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            match base64::engine::general_purpose::STANDARD.decode(packed) {
                Ok(bytes) => Ok(Value::Binary(bytes.into())),
                Err(_) => mismatch("Base64"),
            }
        }
        _ => return None,
    })
}

fn string(text: &str) -> Value {
    Value::String(text.into())
}

fn is_non_finite(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN")
}

fn non_finite(text: &str) -> ScalarProblem {
    ScalarProblem {
        code: Code::NonFiniteNumber,
        message: format!("`{text}` has no JSON form, so no argument can carry it"),
        help: "quote it to pass it as a string, or leave the value out",
    }
}

/// Digits and base of an integer, `None` if `text` is not one.
fn integer_form(text: &str) -> Option<(&str, u32)> {
    let all = |digits: &str, radix| !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    if let Some(digits) = text.strip_prefix("0o") {
        return all(digits, 8).then_some((digits, 8));
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return all(digits, 16).then_some((digits, 16));
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    (all(digits, 10) && !has_leading_zero(digits)).then_some((text, 10))
}

fn has_leading_zero(digits: &str) -> bool {
    digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit()
}

fn integer_value(text: &str, (digits, radix): (&str, u32)) -> Result<Value, ScalarProblem> {
    let digits = digits.strip_prefix('+').unwrap_or(digits);
    if let Ok(value) = i64::from_str_radix(digits, radix) {
        return Ok(Value::Number(value.into()));
    }
    u64::from_str_radix(digits, radix)
        .map(|value| Value::Number(value.into()))
        .map_err(|_| ScalarProblem {
            code: Code::NumberOutOfRange,
            message: format!(
                "the integer `{}` is outside of -2^63 to 2^64-1 and would lose digits",
                shorten(text)
            ),
            help: NUMBER_HELP,
        })
}

fn is_fraction(text: &str) -> bool {
    whole_part(text).is_some_and(|whole| !has_leading_zero(whole))
}

/// The digits before the point of a decimal number such as `-1.5e3`; `None` for anything else.
pub(crate) fn whole_part(text: &str) -> Option<&str> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_fits = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    let is_decimal = digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent_fits;
    is_decimal.then_some(whole)
}

fn fraction_value(text: &str) -> Result<Value, ScalarProblem> {
    let value: f64 = text.parse().expect("the form was checked");
    Number::from_f64(value)
        .map(Value::Number)
        .ok_or_else(|| ScalarProblem {
            code: Code::NumberOutOfRange,
            message: format!(
                "the number `{}` is too large for an IEEE double",
                shorten(text)
            ),
            help: NUMBER_HELP,
        })
}

/// At most the first 60 characters.
pub(crate) fn shorten(text: &str) -> String {
    shorten_to(text, 60)
}

/// At most so many of the first characters.
pub(crate) fn shorten_to(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plain(text: &str) -> Option<serde_json::Value> {
        match resolve_plain(text) {
            Ok(Value::Null) => Some(json!(null)),
            Ok(Value::Bool(value)) => Some(json!(value)),
            Ok(Value::Number(number)) => Some(serde_json::Value::Number(number)),
            Ok(Value::String(text)) => Some(json!(&*text)),
            Ok(other) => panic!("a plain scalar cannot be {other:?}"),
            Err(_) => None,
        }
    }

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        let table = [
            ("", json!(null)),
            ("~", json!(null)),
            ("nULL", json!("nULL")),
            ("True", json!(true)),
            ("yes", json!("yes")),
            ("on", json!("on")),
            ("017", json!("017")),
            ("-017", json!("-017")),
            ("00", json!("00")),
            ("0", json!(0)),
            ("-0", json!(0)),
            ("+5", json!(5)),
            ("0o17", json!(15)),
            ("0o18", json!("0o18")),
            ("0x1F", json!(31)),
            ("-0x1F", json!("-0x1F")),
            ("9223372036854775807", json!(i64::MAX)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("18446744073709551615", json!(u64::MAX)),
            ("1.5", json!(1.5)),
            ("1.", json!(1.0)),
            (".5", json!(0.5)),
            ("-.5e3", json!(-500.0)),
            ("1e3", json!(1000.0)),
            ("01.5", json!("01.5")),
            (".", json!(".")),
            ("1e", json!("1e")),
            ("-", json!("-")),
            ("2026-11-01", json!("2026-11-01")),
            ("12:30:45", json!("12:30:45")),
            ("1_000", json!("1_000")),
        ];
        for (text, expected) in table {
            assert_eq!(plain(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_a_json_number_cannot_hold_is_a_problem() {
        for text in [
            "18446744073709551616",
            "-9223372036854775809",
            "1e999",
            ".nan",
            "-.inf",
            "0xFFFFFFFFFFFFFFFFF",
        ] {
            assert_eq!(plain(text), None, "{text}");
        }
    }
}
