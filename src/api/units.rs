//! From the core's units to the published ones.
//!
//! The core counts in seconds, bytes and ratios. JSON has milliseconds, megabytes and per cent in fields whose names say
//! so, and base units beside a field `unit`, which [`name`] writes. A value is rounded once, here.

use std::{collections::BTreeMap, time::Duration};

use serde::{Serialize, Serializer};

use crate::rules::{Unit, fact};

/// Writes the published name of a unit; for serde's `serialize_with`.
pub(super) fn name<S: Serializer>(unit: &Unit, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(unit.as_str())
}

/// Writes named numbers, those that count things as integers; for serde's `serialize_with`.
pub(super) fn numbers<S: Serializer>(numbers: &BTreeMap<String, f64>, serializer: S) -> Result<S::Ok, S::Error> {
    let is_count = |name: &str| fact::is_count(name) || name.ends_with("_count");
    let number = |name: &str, value| if is_count(name) { Number::of(value) } else { Number::Fraction(value) };
    serializer.collect_map(numbers.iter().map(|(name, value)| (name, number(name, *value))))
}

/// Writes a number whose unit differs from answer to answer: a whole one as an integer, for it may be a count; for serde's
/// `serialize_with`.
pub(super) fn number<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    Number::of(*value).serialize(serializer)
}

/// Converts a gauge that counts things.
pub(super) fn count(value: f64) -> u64 {
    // `as` maps what is below 0, and NaN, to 0, and what is too large to the largest.
    value.round() as u64
}

/// A number of JSON.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Number {
    Whole(i64),
    Fraction(f64),
}

impl Number {
    fn of(value: f64) -> Self {
        // Up to here every whole number is exact.
        const LARGEST: f64 = (1_i64 << f64::MANTISSA_DIGITS) as f64;
        let is_whole = value.fract() == 0.0 && value.abs() <= LARGEST;
        if is_whole { Self::Whole(value as i64) } else { Self::Fraction(value) }
    }
}

/// Converts seconds to milliseconds, to the microsecond.
pub(super) fn millis(seconds: f64) -> f64 {
    round_millis(seconds * 1e3)
}

/// Converts bytes to megabytes of 1,000,000 bytes, as the rule files count them.
pub(super) fn megabytes(bytes: f64) -> f64 {
    round_millis(bytes / 1e6)
}

/// Converts a ratio to per cent.
pub(super) fn percent(ratio: f64) -> f64 {
    round_millis(ratio * 1e2)
}

/// Converts a duration to seconds, to the microsecond.
pub(super) fn seconds(duration: Duration) -> f64 {
    round_micros(duration.as_secs_f64())
}

/// Rounds to a thousandth: what a reader can use of a rate or of a count for each request.
pub(super) fn round_millis(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// Rounds to a millionth: seconds to the microsecond, and shares of rare events.
pub(super) fn round_micros(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_units() {
        assert_eq!((millis(0.245_67), megabytes(156_780_000.0), percent(0.024)), (245.67, 156.78, 2.4));
        assert_eq!(seconds(Duration::from_nanos(1_234_567_890)), 1.234_568);
    }

    #[test]
    fn counts_are_integers_and_means_are_not() {
        #[derive(Serialize)]
        struct Answer {
            #[serde(serialize_with = "numbers")]
            numbers: BTreeMap<String, f64>,
            #[serde(serialize_with = "number")]
            value: f64,
        }
        let named = [("requests", 3.0), ("request_count", 11.0), ("calls_per_request", 3.0), ("avg_duration", 2.0)];
        let numbers = named.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let text = serde_json::to_string(&Answer { numbers, value: 12.0 }).expect("plain data");
        let written = r#"{"avg_duration":2.0,"calls_per_request":3.0,"request_count":11,"requests":3}"#;
        assert_eq!(text, format!(r#"{{"numbers":{written},"value":12}}"#));
    }

    #[test]
    fn what_is_no_whole_number_stays_as_it_is() {
        for (value, written) in [(1.5, "1.5"), (f64::INFINITY, "null"), (1e300, "1e+300"), (-2.0, "-2")] {
            assert_eq!(serde_json::to_string(&Number::of(value)).expect("a number"), written);
        }
        assert_eq!((count(-0.2), count(f64::NAN), count(2.9999), count(f64::INFINITY)), (0, 0, 3, u64::MAX));
    }
}
