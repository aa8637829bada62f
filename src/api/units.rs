//! From the core's units to the published ones.
//!
//! The core counts in seconds, bytes and ratios. JSON has milliseconds, megabytes and per cent in fields whose names say
//! so, and base units beside a field `unit`, which [`name`] writes. A value is rounded once, here.

use std::time::Duration;

use serde::Serializer;

use crate::rules::Unit;

/// Writes the published name of a unit; for serde's `serialize_with`.
pub(super) fn name<S: Serializer>(unit: &Unit, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(unit.as_str())
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
}
