//! [`Layout`]: the bucket edges of a histogram.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use super::schema;
use crate::{
    lock::lock,
    names::{self, Resolution},
};

/// Bits of a float that the lookup table ignores: sign, exponent and the 4 upper bits of the mantissa are left, which
/// makes 16 cells an octave.
const LOOKUP_SHIFT: u32 = 48;

/// Buckets of the largest layout: a difference has 10 bits for a bucket's number.
const MOST_BUCKETS: usize = 1024;

/// Buckets of the largest group.
pub(crate) const GROUP: usize = MOST_BUCKETS / 64;

/// Upper edge of the bucket of the negative values, the largest of them. Native histograms have their own buckets for them, which
/// this cannot fill, so they must be told apart from zero.
const NEGATIVE: f64 = -5e-324;

/// Bucket edges, and a table that finds a value's bucket without a search.
///
/// Bucket `i` holds the values in `(edges[i - 1], edges[i]]`, as with Prometheus's `le`; the last one holds the values
/// above every edge. The buckets of windows, those that are exposed and those of the native histogram are sums of these, so one
/// set of counters serves all of them.
#[derive(Debug)]
pub(crate) struct Layout {
    edges: Box<[f64]>,
    /// Below it, and at it, a value is looked for by comparison: the table starts here.
    smallest: f64,
    /// Bucket that ends there, and where it begins.
    smallest_bucket: usize,
    below_smallest: f64,
    /// For each cell, the bucket of the smallest value in it.
    lookup: Box<[u16]>,
    lookup_start: u64,
    /// Computed once: every observation asks for it.
    group_shift: u32,
    /// Indices of the edges that the classic buckets of `/metrics` end at.
    exposed: Box<[u16]>,
    native: Option<Native>,
}

/// How the counts of a layout make a native histogram.
#[derive(Debug)]
pub(crate) struct Native {
    pub(crate) schema: i32,
    /// What is not above it, and not negative, counts as zero: the layout's lowest edge, since no bucket says more of it.
    pub(crate) zero_threshold: f64,
    places: Box<[NativePlace]>,
}

/// Where the count of a bucket goes in the native histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NativePlace {
    Negative,
    Zero,
    /// Into one bucket, or in even parts into several where this layout is coarser.
    Buckets {
        first: i32,
        many: u32,
    },
}

/// The counts of a native histogram.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct NativeCounts {
    pub(crate) zero: u64,
    /// The buckets that are not empty, by number.
    pub(crate) buckets: Vec<(i32, u64)>,
}

impl Native {
    fn new(schema: i32, zero_threshold: f64, edges: &[f64]) -> Self {
        let place = |bucket: usize| {
            let lower = bucket.checked_sub(1).map(|below| edges[below]);
            match (lower, edges.get(bucket)) {
                (None, _) => NativePlace::Negative,
                (_, Some(upper)) if *upper <= zero_threshold => NativePlace::Zero,
                // Above every edge is at least above the last one.
                (Some(lower), upper) => {
                    let first = schema::key(schema, lower.next_up());
                    let last = upper.map_or(first, |upper| schema::key(schema, *upper));
                    NativePlace::Buckets { first, many: last.abs_diff(first) + 1 }
                }
            }
        };
        Self { schema, zero_threshold, places: (0..=edges.len()).map(place).collect() }
    }

    /// Returns the counts of the native histogram for those of the layout's buckets; `None` if there are negative values, whose
    /// size no bucket knows.
    ///
    /// Each count only grows with the layout's: Prometheus takes a count that falls for a restart. So where a bucket is
    /// wider than a native one, each of `many` gets a share of the count that only grows, the middle one first.
    pub(crate) fn counts(&self, buckets: &[u64]) -> Option<NativeCounts> {
        let mut counts = NativeCounts::default();
        let mut add = |key, count| match counts.buckets.last_mut() {
            _ if count == 0 => {}
            Some((last, sum)) if *last == key => *sum += count,
            _ => counts.buckets.push((key, count)),
        };
        for (place, count) in self.places.iter().zip(buckets).filter(|(_, count)| **count > 0) {
            match *place {
                NativePlace::Negative => return None,
                NativePlace::Zero => counts.zero += count,
                NativePlace::Buckets { first, many } => {
                    let many = u64::from(many);
                    let share = |part: u64| (count + (part + many / 2) % many) / many;
                    (first..).zip(0..many).for_each(|(key, part)| add(key, share(part)));
                }
            }
        }
        Some(counts)
    }
}

impl Layout {
    /// Returns the layout of a resolution. The `exposed` edges and the `thresholds` become edges exactly, so that
    /// counts up to them need no interpolation.
    pub(crate) fn new(resolution: Resolution, exposed: &[f64], thresholds: &[f64]) -> Self {
        let (mut own, schema) = edges_of(resolution);
        let (lowest, highest) = (own[0], own.last().copied().unwrap_or(0.0));
        // Up to the largest threshold an octave is a bucket: without them, all that is longer would be in one.
        let largest = thresholds.iter().copied().filter(|edge| edge.is_finite()).fold(highest, f64::max);
        own.extend(
            std::iter::successors(Some(highest * 2.0), |edge| Some(edge * 2.0)).take_while(|edge| *edge < largest),
        );
        let negative = schema.map(|_| NEGATIVE);
        // Where there are more thresholds than places, the counts up to the last ones are interpolated.
        let room = MOST_BUCKETS - 2 - own.len();
        let given = exposed.iter().chain(thresholds).copied().filter(|edge| edge.is_finite()).take(room);
        let mut edges: Vec<f64> = own.into_iter().chain(negative).chain(given).collect();
        edges.sort_by(f64::total_cmp);
        edges.dedup();
        let exposed = exposed.iter().map(|edge| edge_index(&edges, *edge)).collect();
        let smallest = edges.iter().copied().find(|edge| *edge > 0.0).unwrap_or(1.0);
        let smallest_bucket = edges.partition_point(|edge| *edge < smallest);
        let below_smallest = smallest_bucket.checked_sub(1).map_or(f64::NEG_INFINITY, |below| edges[below]);
        let (lookup_start, lookup) = lookup_table(&edges, smallest);
        let native = schema.map(|schema| Native::new(schema, lowest, &edges));
        let group_shift = (edges.len() + 1).div_ceil(64).next_power_of_two().trailing_zeros();
        Self {
            edges: edges.into(),
            smallest,
            smallest_bucket,
            below_smallest,
            lookup,
            lookup_start,
            group_shift,
            exposed,
            native,
        }
    }

    /// Returns how many buckets there are, with the one above every edge.
    pub(crate) fn buckets(&self) -> usize {
        self.edges.len() + 1
    }

    /// Returns by how many bits a bucket's number is shifted to get its group's. There are at most 64 groups, one for
    /// each bit of [`touched`](super::cells::HistogramCell::touched).
    pub(crate) fn group_shift(&self) -> u32 {
        self.group_shift
    }

    /// Returns the bucket of a finite value. Takes no logarithm, and a step or two of a search: a cell of the table is narrower
    /// than two buckets, unless thresholds lie close together.
    pub(crate) fn bucket(&self, value: f64) -> usize {
        if value <= self.smallest {
            // Short polls are shorter than the smallest edge of their histogram.
            return if value > self.below_smallest { self.smallest_bucket } else { self.low_bucket(value) };
        }
        // The value is positive. Positive floats and their bits have the same order.
        let cell =
            ((value.to_bits() >> LOOKUP_SHIFT).saturating_sub(self.lookup_start) as usize).min(self.lookup.len() - 1);
        let mut bucket = usize::from(self.lookup[cell]);
        while bucket < self.edges.len() && value > self.edges[bucket] {
            bucket += 1;
        }
        bucket
    }

    /// Returns the bucket of a value that is not above the edge below the smallest positive one.
    #[cold]
    fn low_bucket(&self, value: f64) -> usize {
        self.edges.iter().position(|edge| value <= *edge).unwrap_or(self.edges.len())
    }

    /// Returns the edges below and above a bucket; the last one has none above.
    pub(crate) fn bounds(&self, bucket: usize) -> (f64, Option<f64>) {
        let lower = bucket.checked_sub(1).map_or(0.0, |below| self.edges[below].max(0.0));
        (lower, self.edges.get(bucket).copied())
    }

    /// Returns the edges of the classic buckets on `/metrics`, each with the bucket that ends at it.
    pub(crate) fn exposed(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.exposed.iter().map(|at| (usize::from(*at), self.edges[usize::from(*at)]))
    }

    /// Returns how the counts make a native histogram, if the edges are those of one.
    pub(crate) fn native(&self) -> Option<&Native> {
        self.native.as_ref()
    }
}

/// Returns the edges that a resolution has of its own, ascending, and the schema of its native histogram, if it has one.
fn edges_of(resolution: Resolution) -> (Vec<f64>, Option<i32>) {
    // 2^-20 s is just below 1 µs, 2^-17 s 8 µs, 2^-10 s 1 ms, 2^7 s two minutes.
    match resolution {
        Resolution::Fine => (joined(&[(1, -20, -17), (3, -17, 7)]), Some(3)),
        Resolution::Long => (joined(&[(0, -20, -10), (3, -10, 4), (0, 4, 7)]), Some(3)),
        Resolution::Medium => (joined(&[(1, -17, 6)]), Some(1)),
        // 64 bytes to 512 MiB.
        Resolution::Sizes => (joined(&[(0, 6, 29)]), Some(0)),
        Resolution::Counts => ((1..=12).map(f64::from).collect(), None),
        Resolution::General => (joined(&[(0, -20, -13), (3, -13, 30)]), Some(3)),
    }
}

/// Returns the edges of ranges of octaves that follow each other, each with its schema.
fn joined(ranges: &[(i32, i32, i32)]) -> Vec<f64> {
    let mut edges: Vec<f64> = ranges.iter().flat_map(|(schema, from, to)| schema::edges(*schema, *from, *to)).collect();
    edges.dedup();
    edges
}

fn edge_index(edges: &[f64], edge: f64) -> u16 {
    let at = edges.partition_point(|other| *other < edge);
    u16::try_from(at).expect("a layout has some hundreds of edges")
}

fn lookup_table(edges: &[f64], smallest: f64) -> (u64, Box<[u16]>) {
    let last = edges.last().copied().unwrap_or(1.0).max(smallest);
    let (start, end) = (smallest.to_bits() >> LOOKUP_SHIFT, last.to_bits() >> LOOKUP_SHIFT);
    let cells = (start..=end + 1).map(|cell| edge_index(edges, f64::from_bits(cell << LOOKUP_SHIFT))).collect();
    (start, cells)
}

/// The layouts of one recorder, which all histograms of a metric share.
#[derive(Debug)]
pub(crate) struct Layouts {
    thresholds: Vec<f64>,
    made: Mutex<BTreeMap<&'static str, Arc<Layout>>>,
}

impl Layouts {
    /// `thresholds`, in seconds, become edges of every duration.
    pub(crate) fn new(thresholds: Vec<f64>) -> Self {
        Self { thresholds, made: Mutex::default() }
    }

    /// Returns the layout of the metric that is exposed as `name`.
    pub(crate) fn of(&self, name: &str) -> Arc<Layout> {
        let metric = names::metric(name);
        let (kind, exposed, resolution) = match metric {
            Some(metric) => (metric.name, metric.buckets, metric.resolution),
            None if name.ends_with("_seconds") => ("seconds", names::DURATION_BUCKETS, Resolution::Fine),
            None if name.ends_with("_bytes") => ("bytes", names::SIZE_BUCKETS, Resolution::Sizes),
            None => ("general", names::GENERAL_BUCKETS, Resolution::General),
        };
        let thresholds = match resolution {
            Resolution::Fine | Resolution::Long | Resolution::Medium => &self.thresholds[..],
            Resolution::Sizes | Resolution::Counts | Resolution::General => &[],
        };
        let mut made = lock(&self.made);
        made.entry(kind).or_insert_with(|| Arc::new(Layout::new(resolution, exposed, thresholds))).clone()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fine() -> Layout {
        Layout::new(Resolution::Fine, names::DURATION_BUCKETS, &[0.3])
    }

    #[test]
    fn more_thresholds_than_places_leave_the_exposed_edges() {
        let thresholds: Vec<f64> = (1..5000).map(|place| 0.001 + f64::from(place) * 1e-5).collect();
        let layout = Layout::new(Resolution::Fine, names::DURATION_BUCKETS, &thresholds);
        assert!(layout.buckets() <= MOST_BUCKETS, "{}", layout.buckets());
        assert!(layout.exposed().map(|(_, edge)| edge).eq(names::DURATION_BUCKETS.iter().copied()));
        assert_eq!(layout.bucket(1e300), layout.buckets() - 1);
    }

    #[test]
    fn every_threshold_of_the_brief_is_an_edge() {
        let layout = fine();
        for threshold in [0.1, 0.3, 0.5, 1.0, 2.0, 5.0] {
            let bucket = layout.bucket(threshold);
            assert_eq!(layout.bounds(bucket).1, Some(threshold));
            assert_eq!(layout.bucket(threshold * (1.0 + 1e-9)), bucket + 1);
        }
    }

    #[test]
    fn exposed_edges_are_the_catalogues() {
        let edges: Vec<f64> = fine().exposed().map(|(_, edge)| edge).collect();
        assert_eq!(edges, names::DURATION_BUCKETS);
    }

    #[test]
    fn values_outside_the_edges_have_a_bucket() {
        let layout = fine();
        assert_eq!((layout.bucket(-1.0), layout.bucket(-1e-310)), (0, 0));
        assert_eq!((layout.bucket(0.0), layout.bucket(-0.0), layout.bucket(1e-310)), (1, 1, 1));
        assert_eq!(layout.bounds(1), (0.0, Some(2_f64.powi(-20))));
        assert_eq!(layout.bucket(1e300), layout.buckets() - 1);
        let sizes = Layout::new(Resolution::Sizes, names::SIZE_BUCKETS, &[]);
        assert_eq!(sizes.bounds(sizes.bucket(0.0)), (0.0, Some(0.0)));
        assert_eq!(sizes.bounds(sizes.bucket(1.0)), (0.0, Some(64.0)));
        let counts = Layout::new(Resolution::Counts, names::COUNT_BUCKETS, &[]);
        assert_eq!((counts.bucket(-1.0), counts.bucket(0.0), counts.bucket(1.0), counts.bucket(1.5)), (0, 0, 0, 1));
    }

    #[test]
    fn above_the_finest_edges_an_octave_is_a_bucket_up_to_the_largest_threshold() {
        let layout = Layout::new(Resolution::Fine, names::DURATION_BUCKETS, &[300.0, 1800.0]);
        let above: Vec<f64> = layout.edges.iter().copied().filter(|edge| *edge > 128.0).collect();
        assert_eq!(above, [256.0, 300.0, 512.0, 1024.0, 1800.0]);
    }

    /// The memory of a series is its buckets, several times over.
    #[test]
    fn no_layout_has_more_buckets_than_it_needs() {
        let buckets = |resolution, exposed: &[f64]| Layout::new(resolution, exposed, &[]).buckets();
        assert_eq!(buckets(Resolution::Fine, names::DURATION_BUCKETS), 212);
        assert_eq!(buckets(Resolution::Long, names::DURATION_BUCKETS), 139);
        assert_eq!(buckets(Resolution::Medium, names::DURATION_BUCKETS), 60);
        assert_eq!(buckets(Resolution::Sizes, names::SIZE_BUCKETS), 27);
        assert_eq!(buckets(Resolution::General, names::GENERAL_BUCKETS), 375);
    }

    fn native(layout: &Layout, values: &[f64]) -> Option<NativeCounts> {
        let mut counts = vec![0; layout.buckets()];
        values.iter().for_each(|value| counts[layout.bucket(*value)] += 1);
        layout.native().expect("it has one").counts(&counts)
    }

    #[test]
    fn a_threshold_inside_a_native_bucket_splits_it_and_the_parts_add_up() {
        // 0.3 is between 2^(-14/8) = 0.297 and 2^(-13/8) = 0.324.
        let counts = native(&fine(), &[0.299, 0.3, 0.301, 0.32, 0.325]).expect("none is negative");
        assert_eq!(counts, NativeCounts { zero: 0, buckets: vec![(-13, 4), (-12, 1)] });
    }

    #[test]
    fn what_is_below_the_lowest_edge_counts_as_zero_and_negative_values_as_nothing() {
        let layout = fine();
        assert_eq!(layout.native().expect("it has one").zero_threshold, 2_f64.powi(-20));
        assert_eq!(native(&layout, &[0.0, 1e-9, 2_f64.powi(-20)]).map(|counts| counts.zero), Some(3));
        assert_eq!(native(&layout, &[1.0, -1.0]), None);
        assert_eq!(native(&layout, &[]), Some(NativeCounts::default()));
        let sizes = Layout::new(Resolution::Sizes, names::SIZE_BUCKETS, &[]);
        let counts = native(&sizes, &[0.0, 64.0, 65.0, 2e9]).expect("none is negative");
        assert_eq!(counts, NativeCounts { zero: 2, buckets: vec![(7, 1), (30, 1)] });
    }

    #[test]
    fn the_parts_of_a_wide_bucket_only_grow() {
        let layout = Layout::new(Resolution::Long, names::DURATION_BUCKETS, &[]);
        // From 16 to 32 s there is one bucket for eight native ones, those from 4·8 + 1 on.
        let mut last = [0; 8];
        for count in 1..40 {
            let counts = native(&layout, &vec![20.0; count]).expect("none is negative");
            let now: [u64; 8] = std::array::from_fn(|part| {
                let key = 33 + part as i32;
                counts.buckets.iter().find(|(other, _)| *other == key).map_or(0, |(_, count)| *count)
            });
            assert!(now.iter().zip(last).all(|(now, last)| *now >= last), "{now:?} after {last:?}");
            assert_eq!(now.iter().sum::<u64>(), count as u64);
            last = now;
        }
        assert_eq!(last, [5, 5, 5, 5, 4, 5, 5, 5]);
    }

    #[test]
    fn a_value_takes_at_most_two_steps_from_its_cell() {
        for (resolution, exposed) in
            [(Resolution::Fine, names::DURATION_BUCKETS), (Resolution::General, names::GENERAL_BUCKETS)]
        {
            let layout = Layout::new(resolution, exposed, &[]);
            for pair in layout.lookup.windows(2) {
                assert!(pair[1] - pair[0] <= 2, "{pair:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn lookup_agrees_with_a_binary_search(value in prop_oneof![-1.0..1.0, 1e-9..1e-3, 1.0..1e6], general: bool) {
            let layout = if general { Layout::new(Resolution::General, names::GENERAL_BUCKETS, &[]) } else { fine() };
            prop_assert_eq!(layout.bucket(value), layout.edges.partition_point(|edge| *edge < value));
        }

        #[test]
        fn buckets_that_rules_read_quantiles_from_are_narrow_enough(
            (power, resolution, exposed) in prop_oneof![
                (-5.1..2.0_f64, Just(Resolution::Fine), Just(names::DURATION_BUCKETS)),
                (-3.0..1.0_f64, Just(Resolution::Long), Just(names::DURATION_BUCKETS)),
                (-3.9..9.0_f64, Just(Resolution::General), Just(names::GENERAL_BUCKETS)),
            ],
        ) {
            let value = 10_f64.powf(power);
            let layout = Layout::new(resolution, exposed, &[]);
            let (lower, upper) = layout.bounds(layout.bucket(value));
            prop_assert!(upper.expect("below the last edge") / lower < 1.05 * 1.05);
        }

        /// The native histogram puts each value where Prometheus's own client would, wherever it is as fine.
        #[test]
        fn a_value_is_in_the_native_bucket_of_its_size(power in -16.9..6.9_f64) {
            let value = power.exp2();
            let counts = native(&fine(), &[value]).expect("it is not negative");
            prop_assert_eq!(counts.buckets, vec![(schema::key(3, value), 1)]);
        }
    }
}
