//! From the core's units to the published ones.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use tokio::time::Instant;

#[cfg(feature = "report")]
use crate::rules::Unit;

/// Every unit that a value is published in.
#[cfg(feature = "report")]
const UNITS: [Unit; 7] =
    [Unit::Seconds, Unit::Ratio, Unit::Bytes, Unit::BytesPerHour, Unit::BytesPerSecond, Unit::PerSecond, Unit::Count];

/// Writes a published value for people.
#[cfg(feature = "report")]
pub(super) fn render(value: f64, unit: &str) -> String {
    UNITS.into_iter().find(|known| known.as_str() == unit).unwrap_or(Unit::Count).render(value)
}

/// Seconds to milliseconds, to three digits behind the point.
pub(super) fn millis(seconds: f64) -> f64 {
    rounded(seconds * 1e3)
}

/// Bytes to megabytes of 1,000,000 bytes, as the rule files count them.
pub(super) fn megabytes(bytes: f64) -> f64 {
    rounded(bytes / 1e6)
}

/// A ratio to per cent.
pub(super) fn percent(ratio: f64) -> f64 {
    rounded(ratio * 1e2)
}

/// Rounds to what a reader can use: three digits behind the point.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// Rounds to six digits behind the point: seconds to the microsecond.
pub(super) fn micros(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// Renders an instant as RFC 3339 with the local offset.
pub(super) fn at(instant: Instant) -> String {
    let ago = Instant::now().saturating_duration_since(instant);
    let now = Timestamp::now();
    rfc3339(now.checked_sub(ago).unwrap_or(now))
}

/// Renders the present as RFC 3339 with the local offset.
pub(super) fn now() -> String {
    rfc3339(Timestamp::now())
}

/// Renders a time of the wall clock.
pub(super) fn wall(time: std::time::SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(|_| now(), rfc3339)
}

fn rfc3339(timestamp: Timestamp) -> String {
    timestamp.to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string()
}

/// Renders a duration as a number of seconds.
pub(super) fn seconds(duration: Duration) -> f64 {
    micros(duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_have_an_offset_and_microseconds() {
        let text = now();
        assert_eq!(text.len(), "2025-09-22T12:56:42.584696+02:00".len(), "{text}");
        assert!(text.parse::<Timestamp>().is_ok(), "{text}");
    }

    #[test]
    fn published_units() {
        assert_eq!((millis(0.245_67), megabytes(156_780_000.0), percent(0.024)), (245.67, 156.78, 2.4));
    }
}
