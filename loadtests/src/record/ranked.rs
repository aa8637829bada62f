//! [`RankedLatencies`]: the latencies of everything sent, failures behind successes.

use std::time::Duration;

use super::{
    grid::rank_of,
    latency::{Latency, Precision},
    outcome::Outcome,
};

/// Latencies of everything sent, with failures ranked behind every success.
///
/// A connection that is refused after 0.2 ms would otherwise improve every percentile, so a failure never counts as faster
/// than the slowest success.
///
/// The invariant: two of them that hold two times of the same requests, of which one is never longer than the other, have
/// percentiles in the same order. Both rank by outcome and have the same buckets therefore.
#[derive(Clone, Debug)]
pub(crate) struct RankedLatencies {
    success: Latency,
    failed: Latency,
}

impl Default for RankedLatencies {
    fn default() -> Self {
        Self { success: Latency::new(Precision::Fine), failed: Latency::new(Precision::Coarse) }
    }
}

impl RankedLatencies {
    /// Ranks `failed` behind `success`.
    pub(super) fn new(success: Latency, failed: Latency) -> Self {
        Self { success, failed }
    }

    /// Records a time of a request that ended so.
    pub(super) fn record(&mut self, outcome: Outcome, time: Duration) {
        if outcome == Outcome::Success { self.success.record(time) } else { self.failed.record(time) }
    }

    /// Adds the times of other requests.
    pub(super) fn add(&mut self, other: &Self) {
        self.success.add(&other.success);
        self.failed.add(&other.failed);
    }

    /// Removes all times and keeps the memory for the next ones.
    pub(super) fn clear(&mut self) {
        self.success.clear();
        self.failed.clear();
    }

    /// Returns how many requests there were.
    pub(crate) fn count(&self) -> u64 {
        self.success.count() + self.failed.count()
    }

    /// Returns the latency in seconds at or below which a share `q` (0 to 1) of everything sent lies; `None` without
    /// requests.
    pub(crate) fn quantile_seconds(&self, q: f64) -> Option<f64> {
        if self.count() == 0 {
            return None;
        }
        let rank = rank_of(q, self.count());
        let slowest = self.success.max_seconds();
        self.success
            .at_rank(rank)
            .or_else(|| self.failed.at_rank(rank - self.success.count()).map(|time| time.max(slowest.unwrap_or(0.0))))
    }

    /// Returns the arithmetic mean of everything sent; `None` without requests.
    pub(crate) fn mean_seconds(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.sum_seconds() / self.count() as f64)
    }

    /// Returns the sum of all latencies.
    pub(crate) fn sum_seconds(&self) -> f64 {
        self.success.sum_seconds() + self.failed.sum_seconds()
    }

    /// Returns the standard deviation of everything sent; `None` below two requests.
    pub(crate) fn standard_deviation_seconds(&self) -> Option<f64> {
        let count = self.count() as f64;
        let squares = self.success.sum_of_squares_seconds() + self.failed.sum_of_squares_seconds();
        (count > 1.0).then(|| ((squares - self.sum_seconds().powi(2) / count) / (count - 1.0)).max(0.0).sqrt())
    }

    /// Returns the least latency of everything sent.
    pub(crate) fn min_seconds(&self) -> Option<f64> {
        [self.success.min_seconds(), self.failed.min_seconds()].into_iter().flatten().reduce(f64::min)
    }

    /// Returns the greatest latency of everything sent.
    pub(crate) fn max_seconds(&self) -> Option<f64> {
        [self.success.max_seconds(), self.failed.max_seconds()].into_iter().flatten().reduce(f64::max)
    }
}
