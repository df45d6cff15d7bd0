//! Durations as manifests and flags write them: `30s`, `1h30m`, `1.5h`, `2d`.

use std::time::Duration;

/// The form of a duration, as a regular expression for the JSON Schema.
pub const PATTERN: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$";

/// Longest duration: 100 years of 365 days, where the service caps timeouts.
/// Source: temporal `common/primitives/timestamp`.
pub const MAX: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// A number without a unit, such as `30`.
    #[error("the unit is missing")]
    MissingUnit,
    /// Not numbers followed by units.
    #[error("it is not numbers followed by one of the units ms, s, m, h, d")]
    Form,
    /// Longer than [`MAX`].
    #[error("it is longer than 100 years")]
    TooLong,
}

/// Reads a duration.
///
/// # Errors
/// [`DurationError`] if `text` does not have the form of [`PATTERN`] or is longer than [`MAX`].
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(DurationError::Form);
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole) || !is_number(fraction) {
            return Err(DurationError::Form);
        }
        let end = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let nanoseconds: u128 = match unit {
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            "" if after.is_empty() => return Err(DurationError::MissingUnit),
            _ => return Err(DurationError::Form),
        };
        let whole: u128 = whole.parse().map_err(|_| DurationError::TooLong)?;
        let fraction = &fraction[..fraction.len().min(18)];
        let scale = 10u128.pow(fraction.len() as u32);
        let fraction: u128 = fraction.parse().map_err(|_| DurationError::Form)?;
        let part = whole
            .checked_mul(nanoseconds)
            .map(|part| part + fraction * nanoseconds / scale)
            .filter(|part| *part <= MAX.as_nanos())
            .ok_or(DurationError::TooLong)?;
        total += Duration::new((part / 1_000_000_000) as u64, (part % 1_000_000_000) as u32);
        if total > MAX {
            return Err(DurationError::TooLong);
        }
        rest = next;
    }
    Ok(total)
}

/// Writes a duration so that [`parse`] reads the same: `1h30m`, `0s`.
pub fn format(duration: Duration) -> String {
    if duration.is_zero() {
        return "0s".to_owned();
    }
    let mut milliseconds = duration.as_millis();
    let below = duration.subsec_nanos() % 1_000_000;
    let mut text = String::new();
    for (unit, size) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ] {
        let count = milliseconds / size;
        milliseconds %= size;
        if unit == "ms" && below > 0 {
            let fraction = format!("{below:06}");
            text.push_str(&format!("{count}.{}ms", fraction.trim_end_matches('0')));
        } else if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        let table = [
            ("30s", 30_000),
            ("1h30m", 5_400_000),
            ("2d", 172_800_000),
            ("1.5h", 5_400_000),
            ("250ms", 250),
            ("0s", 0),
            ("1m0.5s", 60_500),
        ];
        for (text, milliseconds) in table {
            assert_eq!(
                parse(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "", "s", "-1s", "1 s", "1y", ".5s", "5.s", "1s 2m", "1.2.3s", "½s",
        ] {
            assert_eq!(parse(text), Err(DurationError::Form), "{text}");
        }
        assert_eq!(parse("30"), Err(DurationError::MissingUnit));
        for text in [
            "36501d",
            "99999999999999999999999999999999999999999d",
            "40000d40000d",
        ] {
            assert_eq!(parse(text), Err(DurationError::TooLong), "{text}");
        }
    }

    #[test]
    fn a_written_duration_reads_the_same() {
        for milliseconds in [0, 1, 999, 1_000, 61_001, 5_400_000, 90_061_001] {
            let duration = Duration::from_millis(milliseconds);
            assert_eq!(parse(&format(duration)), Ok(duration));
        }
        for nanoseconds in [1, 999_999, 1_500_000, 61_000_000_001] {
            let duration = Duration::from_nanos(nanoseconds);
            assert_eq!(parse(&format(duration)), Ok(duration));
        }
    }
}
