//! The check sum at the end of each line.
//!
//! A disk, a copy or an editor that changes a line must not turn one outcome into another. The sum
//! is the line's last field, so that a line stays one JSON object, and is made over the bytes as
//! they are, so that nothing has to be parsed before it is known to be whole. It keeps nobody from
//! writing a journal of his own.

use xxhash_rust::xxh3::xxh3_64;

/// What stands between a line's other fields and the digits of its sum, and after them.
const BEFORE: &[u8] = b",\"xxh3\":\"";
const AFTER: &[u8] = b"\"}";

/// Digits of a sum.
const DIGITS: usize = 16;

/// A line's check sum is missing or another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// It does not end in a sum.
    Unsealed,
    /// The sum is that of another line.
    Changed,
}

/// Adds the sum to a JSON object without a line break, in place.
pub(super) fn seal(line: &mut Vec<u8>) {
    let end = line.pop();
    debug_assert_eq!(end, Some(b'}'), "a line is an object with fields");
    let mut sum = xxh3_64(line);
    let mut digits = [0; DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(sum & 0xf) as usize];
        sum >>= 4;
    }
    line.extend_from_slice(BEFORE);
    line.extend_from_slice(&digits);
    line.extend_from_slice(AFTER);
}

/// Makes sure that a line, without its line break, is as it was sealed.
pub(super) fn check(line: &[u8]) -> Result<(), Broken> {
    let rest = line.strip_suffix(AFTER).ok_or(Broken::Unsealed)?;
    let (rest, digits) = rest.split_last_chunk::<DIGITS>().ok_or(Broken::Unsealed)?;
    let sealed = rest.strip_suffix(BEFORE).ok_or(Broken::Unsealed)?;
    let mut sum = 0;
    for digit in digits {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return Err(Broken::Changed),
        };
        sum = sum << 4 | u64::from(value);
    }
    if sum == xxh3_64(sealed) {
        Ok(())
    } else {
        Err(Broken::Changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const LINE: &[u8] = br#"{"line":"start","index":7,"outcome":"started"}"#;

    #[test]
    fn a_sealed_line_is_the_same_object_with_one_more_field() {
        let mut sealed = LINE.to_vec();
        seal(&mut sealed);
        assert_eq!(check(&sealed), Ok(()));
        let mut object: Value = serde_json::from_slice(&sealed).expect("it is JSON");
        let sum = object.as_object_mut().and_then(|it| it.remove("xxh3"));
        let sum = sum.expect("it has a sum");
        // As any other implementation of XXH3 has it, of the bytes before the last field.
        assert_eq!(sum, "ebabceed385bc769");
        let line: Value = serde_json::from_slice(LINE).expect("it is JSON");
        assert_eq!(object, line);
    }

    #[test]
    fn a_changed_bit_anywhere_is_seen() {
        let mut sealed = LINE.to_vec();
        seal(&mut sealed);
        for bit in 0..sealed.len() * 8 {
            sealed[bit / 8] ^= 1 << (bit % 8);
            assert!(check(&sealed).is_err(), "bit {bit}");
            sealed[bit / 8] ^= 1 << (bit % 8);
        }
        for length in 0..sealed.len() {
            assert!(check(&sealed[..length]).is_err(), "{length} bytes");
        }
        assert_eq!(check(&sealed), Ok(()));
        assert_eq!(check(LINE), Err(Broken::Unsealed));
    }
}
