//! [`bucket_width`]: the length of the time buckets of a trend.

use std::time::Duration;

/// Returns the length of the buckets of a trend over `span`, given data of the `resolution`.
///
/// It is the smallest round length, from 5 seconds to 6 hours and no shorter than `resolution`, that needs at most 72
/// buckets: many enough for the tests, few enough that a bucket has requests. Beyond 18 days it is `span` / 72. `span`
/// is the time that the data cover and not the time that was asked for, so that a service that is two hours old is
/// judged on buckets of two minutes and not on four buckets of half an hour.
///
/// ```
/// use pinchpoint::analysis::bucket_width;
/// use std::time::Duration;
///
/// let (day, minute) = (Duration::from_secs(24 * 3600), Duration::from_secs(60));
/// assert_eq!(bucket_width(day, minute), minute * 30);
/// ```
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
