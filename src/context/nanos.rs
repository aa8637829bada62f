//! [`nanos`]: durations as counters and atomics hold them, which are integers.

use std::time::Duration;

/// Returns a duration in nanoseconds; one of more than 584 years is as long as that.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
