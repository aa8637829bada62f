//! The fixed grid on which slots keep durations.
//!
//! Unlike a [`Layout`](super::layout::Layout) it does not depend on the rules' thresholds, so slots from before an edit
//! of the rules, or from another version of this crate, add up with newer ones. The invariant that a change could
//! break: the archive's slots were written on this grid, so another grid needs another [`FORMAT`](super::slot::FORMAT). (The exposed
//! edges were put on it before the first release; a slot from before is off by less than half a bucket beside each.)

use std::sync::LazyLock;

use super::layout::Layout;
use crate::names::DURATION_BUCKETS;

/// Upper edge of the first bucket: 1 µs.
const FIRST: f64 = 1e-6;
/// Ratio of neighbouring edges. A percentile read from the grid is off by at most about 10 % (`sqrt(1.2)` is 1.095), and beside
/// the 15 edges that are moved by 15 %: less than any change that a trend reports; steps half as wide would double the memory.
const RATIO: f64 = 1.2;
/// Upper edges of all buckets but the last. The nearest to each exposed edge of durations is moved onto it, so that how many
/// requests were slower is known exactly, as from the buckets of `/metrics`.
static EDGES: LazyLock<[f64; BUCKETS - 1]> = LazyLock::new(|| {
    let mut edges = std::array::from_fn(|bucket| FIRST * RATIO.powf(bucket as f64));
    for exposed in DURATION_BUCKETS {
        let nearest = ((exposed / FIRST).ln() / RATIO.ln()).round() as usize;
        edges[nearest] = *exposed;
    }
    edges
});
/// 103 buckets, up to `1 µs · 1.2^102`, about two minutes, and one for longer durations.
pub(crate) const BUCKETS: usize = 104;

/// Returns, for each bucket of `layout`, the bucket of the grid that its middle falls into.
pub(super) fn buckets_of(layout: &Layout) -> Box<[u8]> {
    let middle = |bucket| match layout.bounds(bucket) {
        (lower, Some(upper)) if lower > 0.0 => (lower * upper).sqrt(),
        (_, Some(upper)) => upper,
        (lower, None) => lower * RATIO.sqrt(),
    };
    (0..layout.buckets()).map(|bucket| bucket_of(middle(bucket))).collect()
}

/// Returns the bucket of a duration in seconds.
pub(super) fn bucket_of(seconds: f64) -> u8 {
    // No number is below an edge: it lands in the first bucket.
    EDGES.partition_point(|edge| *edge < seconds) as u8
}

fn upper_edge(bucket: usize) -> f64 {
    EDGES[bucket]
}

/// Returns the first bucket of durations that are longer than `seconds`, where that is an exposed edge of durations; else of those
/// that are certainly longer.
pub(crate) fn first_slower(seconds: f64) -> u8 {
    bucket_of(seconds).saturating_add(1)
}

/// Returns the upper edge of a bucket; of the last one, which has none, twice its lower edge.
#[cfg(feature = "page")]
pub(super) fn ceiling(bucket: usize) -> f64 {
    if bucket < BUCKETS - 1 { upper_edge(bucket) } else { 2.0 * upper_edge(BUCKETS - 2) }
}

/// Returns the duration that a share `q` of the observations does not exceed, off by at most about 10 %, from their
/// counts by bucket and their exact maximum; `None` without observations. Beside an exposed edge it is about 15 %.
pub(crate) fn quantile(counts: &[u64; BUCKETS], max: f64, q: f64) -> Option<f64> {
    let count: u64 = counts.iter().sum();
    let rank = ((q * count as f64).ceil() as u64).clamp(1, count.max(1));
    let mut below = 0;
    for (bucket, &inside) in counts.iter().enumerate() {
        if below + inside < rank {
            below += inside;
            continue;
        }
        let lower = bucket.checked_sub(1).map_or(0.0, upper_edge);
        let upper = if bucket == BUCKETS - 1 { max.max(lower) } else { upper_edge(bucket) };
        let share = (rank - below) as f64 / inside as f64;
        return (count > 0).then(|| (lower + (upper - lower) * share).min(max));
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::names::Resolution;

    /// Requests on both sides of an exposed edge, as near to it as the histogram tells durations apart.
    #[test]
    fn no_bucket_has_an_exposed_edge_inside() {
        let layout = Layout::new(Resolution::Fine, DURATION_BUCKETS, &[]);
        let buckets = buckets_of(&layout);
        for edge in DURATION_BUCKETS {
            let [at, above] = [*edge, edge * (1.0 + 1e-9)].map(|seconds| buckets[layout.bucket(seconds)]);
            assert!(at < first_slower(*edge) && above >= first_slower(*edge), "{edge}: {at} and {above}");
        }
        assert!(EDGES.is_sorted_by(|a, b| b / a > 1.05), "{EDGES:?}");
    }

    #[test]
    fn the_first_and_last_bucket_hold_everything_outside_the_grid() {
        assert_eq!((bucket_of(0.0), bucket_of(-1.0), bucket_of(1e-6)), (0, 0, 0));
        assert_eq!(usize::from(bucket_of(1e9)), BUCKETS - 1);
        assert!(upper_edge(BUCKETS - 2) > 100.0);
    }

    #[test]
    fn without_observations_there_is_no_quantile() {
        assert_eq!(quantile(&[0; BUCKETS], 0.0, 0.5), None);
    }

    proptest! {
        #[test]
        fn a_quantile_is_near_that_of_a_sorted_list(
            mut values in prop::collection::vec((-4.5..2.0_f64).prop_map(|power| 10_f64.powf(power)), 1..200),
            q in 0.0..=1.0_f64,
        ) {
            let layout = Layout::new(Resolution::Fine, DURATION_BUCKETS, &[0.3]);
            let buckets = buckets_of(&layout);
            let mut counts = [0; BUCKETS];
            values.iter().for_each(|value| counts[usize::from(buckets[layout.bucket(*value)])] += 1);
            values.sort_by(f64::total_cmp);
            let max = values[values.len() - 1];
            let truth = values[((q * values.len() as f64).ceil() as usize).clamp(1, values.len()) - 1];
            let found = quantile(&counts, max, q).expect("there are observations");
            let widest = EDGES.windows(2).map(|pair| pair[1] / pair[0]).fold(RATIO, f64::max);
            prop_assert!((found / truth).ln().abs() <= (widest * 1.09_f64).ln(), "{found} for {truth}");
        }
    }
}
