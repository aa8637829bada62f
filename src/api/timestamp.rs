//! Moments as the API writes them: RFC 3339 with microseconds and the local offset.

use std::time::{Duration, SystemTime};

use jiff::{Timestamp, tz::TimeZone};
use tokio::time::Instant;

/// Returns the present.
pub(super) fn now() -> String {
    rfc3339(Timestamp::now())
}

/// Returns when an instant of the monotonic clock was, by the wall clock of the present.
pub(super) fn of_instant(instant: Instant) -> String {
    let ago = Instant::now().saturating_duration_since(instant);
    let now = Timestamp::now();
    rfc3339(now.checked_sub(ago).unwrap_or(now))
}

/// Returns a time of the wall clock that is given by the time since the Unix epoch.
pub(super) fn of_wall(since_epoch: Duration) -> String {
    of_system_time(SystemTime::UNIX_EPOCH + since_epoch)
}

/// Returns a time of the wall clock; the present where it lies outside of RFC 3339's years.
pub(super) fn of_system_time(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(|_| now(), rfc3339)
}

fn rfc3339(timestamp: Timestamp) -> String {
    timestamp.to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string()
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
}
