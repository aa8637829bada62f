//! How long the time buckets are that a trend is judged on.

use std::time::Duration;

/// Returns how long the buckets of a trend over `span` should be, given data of the `resolution`.
///
/// A round width with 30 to 72 buckets where the data allow it: enough for the tests, few enough that a bucket has
/// requests. `span` is what the data cover, at most what was asked for, so that a service two hours old is judged on
/// two hours of five-minute buckets and not on four buckets of half an hour.
pub fn bucket_width(span: Duration, resolution: Duration) -> Duration {
    const WIDTHS: [u64; 15] = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 14_400, 21_600];
    const MOST: u32 = 72;
    WIDTHS
        .map(Duration::from_secs)
        .into_iter()
        .find(|&width| width >= resolution && span <= width * MOST)
        .unwrap_or_else(|| (span / MOST).max(resolution))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn width_of_buckets_follows_the_period() {
        let width = |span: u64, resolution: u64| {
            bucket_width(Duration::from_secs(span), Duration::from_secs(resolution)).as_secs()
        };
        assert_eq!(width(300, 5), 5);
        assert_eq!(width(3600, 5), 60);
        assert_eq!(width(24 * 3600, 60), 1800);
        assert_eq!(width(168 * 3600, 60), 10_800);
        assert_eq!(width(600, 60), 60);
    }
}
