//! [`Layout`]: the bucket edges of a histogram.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use crate::{
    lock::lock,
    names::{self, Resolution},
};

/// Largest ratio of neighbouring edges in the fine layout. The geometric middle of a bucket this wide is within 5 % of
/// every value in it: `sqrt(1.1) < 1.05`.
const FINE_RATIO: f64 = 1.1;
/// For durations whose percentiles are not read: a quarter of the buckets.
const MEDIUM_RATIO: f64 = 1.5;

/// A decade of the fine layout from 1 ms on, in hundredths. These are the numbers that people write into rules, so that
/// a threshold that is edited while the service runs is usually an edge already, with more between them where two are
/// further apart than [`FINE_RATIO`].
const ROUND_EDGES: [u32; 32] = [
    100, 110, 120, 130, 140, 150, 160, 175, 190, 200, 220, 240, 250, 275, 300, 325, 350, 375, 400, 425, 450, 475, 500,
    550, 600, 650, 700, 750, 800, 850, 900, 950,
];

/// Bits of a float that the lookup table ignores: sign, exponent and the 4 upper bits of the mantissa are left, which
/// makes 16 cells an octave.
const LOOKUP_SHIFT: u32 = 48;

/// Bucket edges, and a table that finds a value's bucket without a search.
///
/// Bucket `i` holds the values in `(edges[i - 1], edges[i]]`, as with Prometheus's `le`; the last one holds the values
/// above every edge.
#[derive(Debug)]
pub(crate) struct Layout {
    edges: Box<[f64]>,
    /// For each cell, the bucket of the smallest value in it.
    lookup: Box<[u16]>,
    lookup_start: u64,
    /// Indices of the edges that `/metrics` shows.
    exposed: Box<[u16]>,
}

impl Layout {
    /// Returns the layout of a resolution. The `exposed` edges and the `thresholds` become edges exactly, so that
    /// counts up to them need no interpolation.
    pub(crate) fn new(resolution: Resolution, exposed: &[f64], thresholds: &[f64]) -> Self {
        let mut edges = edges_of(resolution);
        edges.extend(exposed.iter().chain(thresholds).filter(|edge| edge.is_finite()));
        edges.sort_by(f64::total_cmp);
        let edges = distinct(edges, |edge| exposed.contains(edge) || thresholds.contains(edge));
        let exposed = exposed.iter().map(|edge| edge_index(&edges, *edge)).collect();
        let (lookup_start, lookup) = lookup_table(&edges);
        Self { edges: edges.into(), lookup, lookup_start, exposed }
    }

    /// Returns how many buckets there are, with the one above every edge.
    pub(crate) fn buckets(&self) -> usize {
        self.edges.len() + 1
    }

    /// Returns by how many bits a bucket's number is shifted to get its group's. There are at most 64 groups, one for
    /// each bit of [`touched`](super::cells::HistogramCell::touched).
    pub(crate) fn group_shift(&self) -> u32 {
        (self.buckets().div_ceil(64)).next_power_of_two().trailing_zeros()
    }

    /// Returns the bucket of a finite value.
    pub(crate) fn bucket(&self, value: f64) -> usize {
        if value <= self.edges[0] {
            return 0;
        }
        // The value is positive, since it exceeds the first edge and no edge is negative. Positive floats and their
        // bits have the same order.
        let cell =
            ((value.to_bits() >> LOOKUP_SHIFT).saturating_sub(self.lookup_start) as usize).min(self.lookup.len() - 1);
        let mut bucket = usize::from(self.lookup[cell]);
        while bucket < self.edges.len() && value > self.edges[bucket] {
            bucket += 1;
        }
        bucket
    }

    /// Returns the edges below and above a bucket; the last one has none above.
    pub(crate) fn bounds(&self, bucket: usize) -> (f64, Option<f64>) {
        let lower = bucket.checked_sub(1).map_or(0.0, |below| self.edges[below]);
        (lower, self.edges.get(bucket).copied())
    }

    /// Returns the edges that `/metrics` shows, each with the bucket that ends at it.
    pub(crate) fn exposed(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.exposed.iter().map(|at| (usize::from(*at), self.edges[usize::from(*at)]))
    }
}

/// Returns the edges that a resolution has of its own.
fn edges_of(resolution: Resolution) -> Vec<f64> {
    let mut edges = Vec::new();
    match resolution {
        Resolution::Fine => {
            push_geometric(1e-6, 1e-3, FINE_RATIO, &mut edges);
            push_round(&[1e5, 1e4, 1e3, 1e2, 1e1], &mut edges);
            edges.push(100.0);
        }
        Resolution::Long => {
            push_geometric(1e-6, 1e-3, MEDIUM_RATIO, &mut edges);
            push_round(&[1e5, 1e4, 1e3, 1e2], &mut edges);
            push_geometric(10.0, 100.0, MEDIUM_RATIO, &mut edges);
        }
        Resolution::Medium => push_geometric(1e-6, 100.0, MEDIUM_RATIO, &mut edges),
        Resolution::Sizes => push_geometric(64.0, 1e9, 2.0, &mut edges),
        Resolution::Counts => edges.extend((1..=12).map(f64::from)),
        Resolution::General => push_geometric(1e-6, 1e9, FINE_RATIO, &mut edges),
    }
    edges
}

/// Returns sorted edges without repetitions. An edge within a thousandth of a `required` one gives way to it: the
/// bucket between them would almost always be empty.
fn distinct(sorted: Vec<f64>, required: impl Fn(&f64) -> bool) -> Vec<f64> {
    let mut distinct: Vec<f64> = Vec::with_capacity(sorted.len());
    for edge in sorted {
        match distinct.last_mut() {
            Some(last) if edge == *last => {}
            Some(last) if edge - *last < 1e-3 * edge.abs() && !(required(&edge) && required(last)) => {
                if required(&edge) {
                    *last = edge;
                }
            }
            _ => distinct.push(edge),
        }
    }
    distinct
}

fn edge_index(edges: &[f64], edge: f64) -> u16 {
    let at = edges.partition_point(|other| *other < edge);
    u16::try_from(at).expect("a layout has some hundreds of edges")
}

/// Appends edges in steps of `ratio`, from `first` to the one that reaches `last`.
fn push_geometric(first: f64, last: f64, ratio: f64, edges: &mut Vec<f64>) {
    let mut edge = first;
    while edge < last {
        edges.push(edge);
        edge *= ratio;
    }
    edges.push(edge);
}

/// Appends the round edges of some decades; `decades` are the numbers by which [`ROUND_EDGES`] is divided.
fn push_round(decades: &[f64], edges: &mut Vec<f64>) {
    // Divided: `350 / 1e3` is the float that a rule's 0.35 is parsed to, `350 * 1e-3` is the next one.
    edges.extend(decades.iter().flat_map(|parts| ROUND_EDGES.map(|round| f64::from(round) / parts)));
}

fn lookup_table(edges: &[f64]) -> (u64, Box<[u16]>) {
    let first = edges.iter().copied().find(|edge| *edge > 0.0).unwrap_or(1.0);
    let last = edges.last().copied().unwrap_or(1.0).max(first);
    let (start, end) = (first.to_bits() >> LOOKUP_SHIFT, last.to_bits() >> LOOKUP_SHIFT);
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

    /// Returns the layout of the metric called `name`.
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
    fn every_threshold_of_the_brief_is_an_edge() {
        let layout = fine();
        for threshold in [0.1, 0.3, 0.5, 1.0, 2.0, 5.0] {
            let bucket = layout.bucket(threshold);
            assert_eq!(layout.bounds(bucket).1, Some(threshold));
            assert_eq!(layout.bucket(threshold * (1.0 + 1e-9)), bucket + 1);
        }
    }

    #[test]
    fn round_numbers_are_edges_without_being_thresholds() {
        let layout = Layout::new(Resolution::Fine, names::DURATION_BUCKETS, &[]);
        for threshold in [0.001, 0.005, 0.025, 0.12, 0.15, 0.2, 0.3, 0.45, 0.7, 1.2, 3.5, 8.0, 25.0, 60.0] {
            assert_eq!(layout.bounds(layout.bucket(threshold)).1, Some(threshold));
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
        assert_eq!(layout.bucket(-1.0), 0);
        assert_eq!(layout.bucket(0.0), 0);
        assert_eq!(layout.bucket(1e300), layout.buckets() - 1);
        let sizes = Layout::new(Resolution::Sizes, names::SIZE_BUCKETS, &[]);
        assert_eq!(sizes.bounds(sizes.bucket(0.0)), (0.0, Some(0.0)));
        assert_eq!(sizes.bounds(sizes.bucket(1.0)), (0.0, Some(64.0)));
    }

    proptest! {
        #[test]
        fn lookup_agrees_with_a_binary_search(value in prop_oneof![1e-9..1e-3, 1e-3..1.0, 1.0..1e6], general: bool) {
            let layout = if general { Layout::new(Resolution::General, names::GENERAL_BUCKETS, &[]) } else { fine() };
            prop_assert_eq!(layout.bucket(value), layout.edges.partition_point(|edge| *edge < value));
        }

        #[test]
        fn buckets_that_rules_read_quantiles_from_are_narrow_enough(
            (power, resolution, exposed) in prop_oneof![
                (-6.0..2.0_f64, Just(Resolution::Fine), Just(names::DURATION_BUCKETS)),
                (-3.0..1.0_f64, Just(Resolution::Long), Just(names::DURATION_BUCKETS)),
                (-6.0..9.0_f64, Just(Resolution::General), Just(names::GENERAL_BUCKETS)),
            ],
        ) {
            let value = 10_f64.powf(power);
            let layout = Layout::new(resolution, exposed, &[]);
            let (lower, upper) = layout.bounds(layout.bucket(value));
            prop_assert!(upper.expect("below the last edge") / lower < 1.05 * 1.05);
        }
    }
}
