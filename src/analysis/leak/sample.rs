//! [`MemorySample`]: what the leak detector judges, and how far back.

use std::time::Duration;

/// The longest window: a day, so that daily traffic has come back to where it was.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Resident memory at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemorySample {
    /// Seconds since the process started.
    pub age_seconds: f64,
    /// Resident memory; a sample of 0 is left out.
    pub resident_bytes: f64,
    /// Requests per second around that time; `None` where they were not counted.
    pub requests_per_second: Option<f64>,
}
