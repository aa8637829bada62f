//! Numbers as people read them: with their unit, to three significant digits.
//!
//! The one place for all pages, so that two of them never write the same value in two ways. Invariant: what was not measured is
//! [`NOTHING`] and never 0, which would be a measurement.

use crate::rules::Unit;

/// Stands where nothing was measured: 0 would be a measurement.
pub const NOTHING: &str = "–";
/// Letters of a timestamp up to the seconds.
const TO_THE_SECOND: usize = "2025-09-22T12:56:42".len();

/// Writes a duration in seconds: `1.2s`, `240ms`, `5m`.
#[must_use]
pub fn seconds(seconds: f64) -> String {
    Unit::Seconds.render(seconds)
}

/// Writes a share, of which 1 is the whole: `25%`.
#[must_use]
pub fn ratio(ratio: f64) -> String {
    Unit::Ratio.render(ratio)
}

/// Writes a size in bytes: `1.1GB`.
#[must_use]
pub fn bytes(bytes: f64) -> String {
    Unit::Bytes.render(bytes)
}

/// Writes a frequency in events a second: `20/s`.
#[must_use]
pub fn per_second(rate: f64) -> String {
    Unit::PerSecond.render(rate)
}

/// Writes a plain number: `4.25`.
#[must_use]
pub fn number(value: f64) -> String {
    Unit::Count.render(value)
}

/// Writes a count with a narrow space between the thousands: `12 345`.
#[must_use]
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// Writes a value that may not have been measured; [`NOTHING`] without one.
#[must_use]
pub fn or_nothing(value: Option<f64>, write: fn(f64) -> String) -> String {
    value.map_or_else(|| NOTHING.to_owned(), write)
}

/// Writes a value of a unit; [`NOTHING`] without one.
pub(crate) fn or_dash(value: Option<f64>, unit: Unit) -> String {
    value.map_or_else(|| NOTHING.to_owned(), |value| unit.render(value))
}

/// Writes a moment of RFC 3339 to the second, without the offset: it is that of the page's own timestamp everywhere.
#[must_use]
pub fn moment(timestamp: &str) -> String {
    timestamp.get(..TO_THE_SECOND).unwrap_or(timestamp).replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_unit_and_three_digits() {
        assert_eq!((seconds(1.2041), ratio(0.3333), bytes(1.1e9)), ("1.2s".into(), "33.3%".into(), "1.1GB".into()));
        assert_eq!((per_second(20.04), number(4.251)), ("20/s".into(), "4.25".into()));
        assert_eq!((or_nothing(None, seconds), or_nothing(Some(0.0), ratio)), ("–".into(), "0%".into()));
    }

    #[test]
    fn thousands_are_set_apart() {
        let counts = [0, 12, 999, 1000, 12_345, 1_234_567].map(|value| count(value).replace('\u{202f}', " "));
        assert_eq!(counts, ["0", "12", "999", "1 000", "12 345", "1 234 567"]);
    }

    #[test]
    fn a_moment_ends_with_its_seconds() {
        assert_eq!(moment("2025-09-22T12:56:42.584696+02:00"), "2025-09-22 12:56:42");
        assert_eq!(moment("é"), "é");
    }
}
