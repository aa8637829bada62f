//! Histograms of a window: count, sum, extremes and quantiles.

use std::sync::Arc;

use tokio::time::Instant;

use super::{counts::Counts, layout::Layout};

/// A share of the observations, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) struct Quantile(f64);

impl Quantile {
    /// Returns `None` unless `share` is between 0 and 1.
    pub(crate) fn new(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Self(share))
    }
}

/// The observations of one histogram in one window.
#[derive(Clone, Debug)]
pub(crate) struct HistogramWindow {
    pub(super) layout: Arc<Layout>,
    pub(super) count: u64,
    /// Cumulative sum where the window starts and where it ends. Their difference is exact to one rounding; a sum kept
    /// by adding and subtracting would drift.
    pub(super) sum_before: f64,
    pub(super) sum_after: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    /// Ends of the first and of the last tick with an observation, since the window was last empty.
    pub(super) seen: Option<(Instant, Instant)>,
    pub(super) buckets: Counts<u32>,
}

impl HistogramWindow {
    pub(super) fn new(layout: Arc<Layout>, sum_before: f64) -> Self {
        let (min, max) = (f64::INFINITY, f64::NEG_INFINITY);
        let buckets = Counts::default();
        Self { layout, count: 0, sum_before, sum_after: sum_before, min, max, seen: None, buckets }
    }
}

/// Borrowed read access to a histogram of a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HistogramView<'a>(pub(super) &'a HistogramWindow);

impl<'a> HistogramView<'a> {
    /// Returns how many observations there were.
    pub(crate) fn count(self) -> u64 {
        self.0.count
    }

    /// Returns their sum.
    pub(crate) fn sum(self) -> f64 {
        if self.0.count == 0 { 0.0 } else { self.0.sum_after - self.0.sum_before }
    }

    /// Returns the smallest observation, exactly.
    pub(crate) fn min(self) -> Option<f64> {
        (self.0.count > 0 && self.0.min.is_finite()).then_some(self.0.min)
    }

    /// Returns the largest observation, exactly.
    pub(crate) fn max(self) -> Option<f64> {
        (self.0.count > 0 && self.0.max.is_finite()).then_some(self.0.max)
    }

    /// Returns the value below which `q` of the observations fall; see [`HistogramSum::quantile`].
    pub(crate) fn quantile(self, q: Quantile) -> Option<f64> {
        let (min, max) = (self.min(), self.max());
        let counts = self.0.buckets.iter().map(|(bucket, count)| (bucket, u64::from(count)));
        quantile(&self.0.layout, counts, (min, max), q)
    }

    /// Returns how many observations were above a limit: exactly if the limit is a bucket edge, as every threshold is
    /// that the rules had at the start; else by interpolation inside the limit's bucket. A threshold that was edited since is off by
    /// at most the observations in that bucket, which are those within 9 % of it.
    pub(crate) fn count_above(self, limit: f64) -> u64 {
        if self.max().is_some_and(|max| max <= limit) {
            return 0;
        }
        let bucket = self.0.layout.bucket(limit);
        let around = f64::from(self.0.buckets.get(bucket));
        let above = self.0.buckets.iter().filter(|(other, _)| *other > bucket).map(|(_, count)| u64::from(count));
        let part = match self.0.layout.bounds(bucket) {
            (lower, Some(upper)) => around * (upper - limit) / (upper - lower),
            (_, None) => around,
        };
        part.round() as u64 + above.sum::<u64>()
    }

    /// Adds this histogram to a sum, which takes its layout from the first.
    pub(crate) fn add_to(self, sum: &mut HistogramSum) {
        if self.0.count == 0 {
            return;
        }
        sum.count += self.0.count;
        sum.sum += self.sum();
        sum.min = min(sum.min, self.min());
        sum.max = max(sum.max, self.max());
        let layout = sum.layout.get_or_insert_with(|| self.0.layout.clone());
        if !Arc::ptr_eq(layout, &self.0.layout) {
            // Two metrics with different edges: their sum has no quantile.
            sum.buckets = None;
        } else if let Some(buckets) = &mut sum.buckets {
            for (bucket, count) in self.0.buckets.iter().filter(|(_, count)| *count > 0) {
                *buckets.get_mut(bucket) += u64::from(count);
            }
        }
    }
}

/// The sum of several histograms of a window. Quantiles are read from the merged buckets, never averaged from
/// quantiles.
#[derive(Clone, Debug)]
pub(crate) struct HistogramSum {
    layout: Option<Arc<Layout>>,
    count: u64,
    sum: f64,
    min: Option<f64>,
    max: Option<f64>,
    buckets: Option<Counts<u64>>,
}

impl Default for HistogramSum {
    fn default() -> Self {
        Self { layout: None, count: 0, sum: 0.0, min: None, max: None, buckets: Some(Counts::default()) }
    }
}

impl HistogramSum {
    /// Returns how many observations there were.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Returns their sum.
    pub(crate) fn sum(&self) -> f64 {
        self.sum
    }

    /// Returns the smallest observation, exactly.
    pub(crate) fn min(&self) -> Option<f64> {
        self.min
    }

    /// Returns the largest observation, exactly.
    pub(crate) fn max(&self) -> Option<f64> {
        self.max
    }

    /// Returns the mean, or `None` without observations.
    pub(crate) fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// Returns the buckets that are not empty: lower edge, upper edge and count. The largest observation is the upper
    /// edge of the last bucket, which has none.
    #[cfg(feature = "archive")]
    pub(crate) fn buckets(&self) -> impl Iterator<Item = (f64, f64, u64)> {
        let (layout, max) = (self.layout.as_deref(), self.max.unwrap_or(0.0));
        let counts = self.buckets.iter().flat_map(Counts::iter).filter(|(_, count)| *count > 0);
        counts.filter_map(move |(bucket, count)| {
            let (lower, upper) = layout?.bounds(bucket);
            Some((lower, upper.unwrap_or(max), count))
        })
    }

    /// Returns the value below which `q` of the observations fall.
    ///
    /// The result is interpolated inside a bucket, and within 5 % of the exact one for durations from 8 µs to two minutes in
    /// the layouts that rules read percentiles from. Returns `None` without observations: "no traffic" and "fast" are
    /// different answers.
    pub(crate) fn quantile(&self, q: Quantile) -> Option<f64> {
        let layout = self.layout.as_ref()?;
        let buckets = self.buckets.as_ref()?;
        quantile(layout, buckets.iter(), (self.min, self.max), q)
    }
}

fn min(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.into_iter().chain(b).reduce(f64::min)
}

fn max(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.into_iter().chain(b).reduce(f64::max)
}

fn quantile(
    layout: &Layout,
    buckets: impl Iterator<Item = (usize, u64)> + Clone,
    (min, max): (Option<f64>, Option<f64>),
    q: Quantile,
) -> Option<f64> {
    let count: u64 = buckets.clone().map(|(_, count)| count).sum();
    if count == 0 {
        return None;
    }
    // Nearest rank: the smallest observation that at least a share q of all observations does not exceed.
    let rank = ((q.0 * count as f64).ceil() as u64).clamp(1, count);
    let mut below = 0;
    for (bucket, in_bucket) in buckets {
        if below + in_bucket < rank {
            below += in_bucket;
            continue;
        }
        let (lower, upper) = layout.bounds(bucket);
        let upper = upper.or(max).unwrap_or(lower);
        let share = (rank - below) as f64 / in_bucket as f64;
        let mut value = lower + (upper - lower) * share;
        // Interpolation assumes an even spread, but all observations may lie at one end of a bucket, and the ends are
        // up to 10 % apart. A value within 5 % of both ends is within 5 % of the exact one wherever that lies.
        if lower > 0.0 && upper * 0.95 <= lower * 1.05 {
            value = value.clamp(upper * 0.95, lower * 1.05);
        }
        return Some(value.clamp(min.unwrap_or(lower).min(upper), max.unwrap_or(upper).max(lower)));
    }
    max
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        names::{DURATION_BUCKETS, Resolution},
        store::window::tests::histogram_of,
    };

    const P95: Quantile = Quantile(0.95);
    const P99: Quantile = Quantile(0.99);

    fn layout() -> Arc<Layout> {
        Arc::new(Layout::new(Resolution::Fine, DURATION_BUCKETS, &[]))
    }

    fn sum_of(values: &[f64]) -> HistogramSum {
        let window = histogram_of(&layout(), values);
        let mut sum = HistogramSum::default();
        HistogramView(&window).add_to(&mut sum);
        sum
    }

    #[test]
    fn without_observations_there_is_no_quantile() {
        assert_eq!(HistogramSum::default().quantile(P99), None);
        assert_eq!(HistogramSum::default().mean(), None);
    }

    #[test]
    fn one_observation_is_every_quantile() {
        let sum = sum_of(&[0.123]);
        for q in [Quantile(0.5), P99] {
            assert_eq!(sum.quantile(q), Some(0.123));
        }
    }

    #[test]
    fn a_quantile_exceeds_a_threshold_exactly_when_the_observation_does() {
        let slow = 1.0 + 1e-9;
        assert!(sum_of(&[vec![0.1; 94], vec![slow; 6]].concat()).quantile(P95) > Some(1.0));
        assert!(sum_of(&[vec![0.1; 95], vec![slow; 5]].concat()).quantile(P95) <= Some(1.0));
    }

    #[test]
    fn count_above_is_exact_at_an_edge_and_interpolated_inside_a_bucket() {
        // In the bucket from 2^(1/8) = 1.0905 to 2^(2/8) = 1.1892.
        let (lower, upper) = (0.125_f64.exp2(), 0.25_f64.exp2());
        let at = |share: f64| lower + (upper - lower) * share;
        let values: Vec<f64> = (1..=100).map(|part| at((f64::from(part) - 0.5) / 100.0)).collect();
        let window = histogram_of(&layout(), &values);
        let above = |limit| HistogramView(&window).count_above(limit);
        assert_eq!((above(1.0), above(1.09), above(1.19), above(2.0)), (100, 100, 0, 0));
        assert_eq!((above(at(0.25)), above(at(0.75))), (75, 25));
    }

    #[test]
    fn a_quantile_above_the_last_edge_is_at_most_the_maximum() {
        assert_eq!(sum_of(&[500.0, 700.0]).quantile(P99), Some(700.0));
    }

    proptest! {
        #[test]
        fn statistics_agree_with_a_sorted_list(
            values in prop::collection::vec((-5.0..2.0_f64).prop_map(|power| 10_f64.powf(power)), 1..300),
            share in 0.0..=1.0_f64,
        ) {
            let sum = sum_of(&values);
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let truth = sorted[((share * values.len() as f64).ceil() as usize).clamp(1, values.len()) - 1];
            let q = Quantile::new(share).expect("a share");
            let found = sum.quantile(q).expect("there are observations");
            prop_assert!((found / truth - 1.0).abs() <= 0.0501, "{found} is not within 5 % of {truth}");
            prop_assert_eq!(sum.count(), values.len() as u64);
            prop_assert_eq!((sum.min(), sum.max()), (Some(sorted[0]), sorted.last().copied()));
            let total: f64 = values.iter().sum();
            prop_assert!((sum.sum() - total).abs() <= 1e-9 * total);
        }

        #[test]
        fn quantiles_never_fall(values in prop::collection::vec(1e-5..50.0_f64, 1..200)) {
            let sum = sum_of(&values);
            let found = [Quantile(0.5), Quantile(0.75), Quantile(0.9), P95, P99].map(|q| sum.quantile(q));
            prop_assert!(found.is_sorted(), "{found:?}");
            prop_assert!(found[4] <= sum.max());
        }
    }
}
