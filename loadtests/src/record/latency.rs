//! [`Latency`]: the latencies of requests that have something in common, in a histogram.
//!
//! Values are whole microseconds in a histogram of fixed relative error, so its size depends on the range of the values
//! and not on how many there are. Count, sum, least and greatest are exact. The invariant is
//! `min <= p50 <= p95 <= p99 <= max`, which the edges of the buckets alone would break: a quantile is clamped to the exact
//! least and greatest value.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::grid::{Cell, cell_of, rank_of};

const MICROS: f64 = 1_000_000.0;
/// One day: a longer latency is a clock error, not a measurement.
const LONGEST_US: u64 = 86_400_000_000;

/// The relative error of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precision {
    /// Three digits: within 0.1 %.
    Fine,
    /// Two digits: within 1 %, in an eighth of the memory.
    Coarse,
}

/// A histogram of latencies.
#[derive(Clone, Debug)]
pub(crate) struct Latency {
    buckets: Histogram<u32>,
    count: u64,
    sum_us: u64,
    sum_of_squares: f64,
    min_us: u64,
    max_us: u64,
}

impl Latency {
    /// An empty histogram.
    pub(crate) fn new(precision: Precision) -> Self {
        let digits = match precision {
            Precision::Fine => 3,
            Precision::Coarse => 2,
        };
        let buckets = Histogram::new(digits).expect("2 and 3 are within the histogram's 0..=5 digits");
        Self { buckets, count: 0, sum_us: 0, sum_of_squares: 0.0, min_us: u64::MAX, max_us: 0 }
    }

    /// Records a value, rounded up to a whole microsecond, so that no request takes 0.
    pub(crate) fn record(&mut self, value: Duration) {
        let micros = u64::try_from(value.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX).clamp(1, LONGEST_US);
        self.buckets.record(micros).expect("the buckets resize themselves");
        self.count += 1;
        self.sum_us = self.sum_us.saturating_add(micros);
        self.sum_of_squares += (micros as f64) * (micros as f64);
        self.min_us = self.min_us.min(micros);
        self.max_us = self.max_us.max(micros);
    }

    /// Adds all values of another histogram of the same precision.
    pub(crate) fn add(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.buckets.add(&other.buckets).expect("the buckets resize themselves");
        self.count += other.count;
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        self.sum_of_squares += other.sum_of_squares;
        self.min_us = self.min_us.min(other.min_us);
        self.max_us = self.max_us.max(other.max_us);
    }

    /// Removes all values and keeps the memory for the next ones.
    pub(crate) fn clear(&mut self) {
        if self.count == 0 {
            return;
        }
        self.buckets.reset();
        self.count = 0;
        self.sum_us = 0;
        self.sum_of_squares = 0.0;
        self.min_us = u64::MAX;
        self.max_us = 0;
    }

    /// Returns how many values there are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Returns the sum of the values in seconds.
    pub(crate) fn sum_seconds(&self) -> f64 {
        self.sum_us as f64 / MICROS
    }

    /// Returns the sum of the squared values in seconds squared.
    pub(crate) fn sum_of_squares_seconds(&self) -> f64 {
        self.sum_of_squares / (MICROS * MICROS)
    }

    /// Returns the least value in seconds; `None` without values.
    pub(crate) fn min_seconds(&self) -> Option<f64> {
        (self.count > 0).then(|| self.min_us as f64 / MICROS)
    }

    /// Returns the greatest value in seconds; `None` without values.
    pub(crate) fn max_seconds(&self) -> Option<f64> {
        (self.count > 0).then(|| self.max_us as f64 / MICROS)
    }

    /// Returns the arithmetic mean in seconds; `None` without values.
    pub(crate) fn mean_seconds(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum_seconds() / self.count as f64)
    }

    /// Returns the `rank`-th smallest value in seconds, counted from 1; `None` outside `1..=count`.
    pub(crate) fn at_rank(&self, rank: u64) -> Option<f64> {
        if rank == 0 || rank > self.count {
            return None;
        }
        if rank == 1 {
            return self.min_seconds();
        }
        // hdrhistogram rounds `quantile * count` up to a rank; half a rank less cannot round to the next one.
        let quantile = (rank as f64 - 0.5) / self.count as f64;
        let micros = self.buckets.value_at_quantile(quantile).clamp(self.min_us, self.max_us);
        Some(micros as f64 / MICROS)
    }

    /// Returns the value at or below which a share `q` (0 to 1) of the values lies, in seconds; `None` without values.
    pub(crate) fn quantile_seconds(&self, q: f64) -> Option<f64> {
        self.at_rank(rank_of(q, self.count))
    }

    /// Returns how many values are greater than `limit`, to the precision of the histogram.
    pub(crate) fn count_above(&self, limit: Duration) -> u64 {
        let limit = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        let greater = self.buckets.iter_recorded().filter(|bucket| bucket.value_iterated_to() > limit);
        greater.map(|bucket| bucket.count_since_last_iteration()).sum()
    }

    /// Returns counts on a coarse logarithmic grid: `(upper edge in seconds, count)`, empty buckets left out.
    ///
    /// Sixteen cells an octave keep a stored distribution at a few hundred entries, however many requests there were.
    pub(crate) fn grid(&self) -> Vec<(f64, u64)> {
        let mut grid: Vec<(f64, u64)> = Vec::new();
        for bucket in self.buckets.iter_recorded() {
            let octave = (bucket.value_iterated_to().max(1) as f64).log2();
            let edge = ((octave * 16.0).ceil() / 16.0).exp2() / MICROS;
            let count = bucket.count_since_last_iteration();
            match grid.last_mut() {
                Some((last, total)) if *last >= edge => *total += count,
                _ => grid.push((edge, count)),
            }
        }
        grid
    }

    /// Returns counts on the grid of a [`super::Distribution`], ascending.
    pub(super) fn cells(&self) -> Vec<Cell> {
        let mut cells: Vec<Cell> = Vec::new();
        for bucket in self.buckets.iter_recorded() {
            let cell = cell_of(bucket.value_iterated_to().clamp(self.min_us, self.max_us));
            let count = bucket.count_since_last_iteration();
            match cells.last_mut() {
                Some((last, total)) if *last == cell => *total += count,
                _ => cells.push((cell, count)),
            }
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64], precision: Precision) -> Latency {
        let mut latency = Latency::new(precision);
        for &value in values {
            latency.record(Duration::from_micros(value));
        }
        latency
    }

    #[test]
    fn empty_has_no_numbers() {
        let latency = Latency::new(Precision::Fine);
        assert_eq!(latency.quantile_seconds(0.5), None);
        assert_eq!(latency.mean_seconds(), None);
        assert_eq!(latency.max_seconds(), None);
    }

    #[test]
    fn half_a_microsecond_counts_as_one() {
        let mut latency = Latency::new(Precision::Fine);
        latency.record(Duration::from_nanos(500));
        assert_eq!(latency.min_seconds(), Some(0.000_001));
    }

    #[test]
    fn cleared_starts_anew() {
        let mut latency = of(&[5, 7], Precision::Fine);
        latency.clear();
        latency.record(Duration::from_micros(100));
        assert_eq!((latency.count(), latency.min_seconds()), (1, Some(0.0001)));
    }

    #[test]
    fn grid_keeps_every_count() {
        let values: Vec<u64> = (1..5000).map(|n| n * 37).collect();
        let grid = of(&values, Precision::Fine).grid();
        assert_eq!(grid.iter().map(|(_, count)| count).sum::<u64>(), 4999);
        assert!(grid.len() < 300, "{}", grid.len());
        assert!(grid.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    proptest! {
        #[test]
        fn quantiles_are_ordered_and_near_the_truth(mut values in prop::collection::vec(1u64..50_000_000, 1..400)) {
            let latency = of(&values, Precision::Fine);
            values.sort_unstable();
            let mut last = latency.min_seconds().unwrap();
            for q in [0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0] {
                let truth = values[rank_of(q, values.len() as u64) as usize - 1] as f64 / MICROS;
                let seen = latency.quantile_seconds(q).unwrap();
                prop_assert!(seen >= last, "q{q}: {seen} < {last}");
                prop_assert!((seen - truth).abs() <= truth * 0.001 + 1e-6, "q{q}: {seen} for {truth}");
                last = seen;
            }
            prop_assert!(last <= latency.max_seconds().unwrap());
        }

        #[test]
        fn adding_is_recording_all(left in prop::collection::vec(1u64..9_000_000, 0..100),
                                   right in prop::collection::vec(1u64..9_000_000, 0..100)) {
            let mut sum = of(&left, Precision::Coarse);
            sum.add(&of(&right, Precision::Coarse));
            let all: Vec<u64> = left.iter().chain(&right).copied().collect();
            let whole = of(&all, Precision::Coarse);
            prop_assert_eq!(sum.count(), whole.count());
            prop_assert_eq!(sum.min_seconds(), whole.min_seconds());
            prop_assert_eq!(sum.max_seconds(), whole.max_seconds());
            prop_assert_eq!(sum.quantile_seconds(0.9), whole.quantile_seconds(0.9));
        }
    }
}
