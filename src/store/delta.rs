//! [`Delta`]: what changed between two snapshots, and nothing else.

use std::cmp::Ordering;

use tokio::time::Instant;

use super::{
    blocks::Blocks,
    cells::{HistogramCell, ReadMode},
    counter::CounterCell,
    counts::{AHEAD, Counts},
    series::{Cell, Index},
};
use crate::names::Kind;

/// Layout of a packed bucket, from the lowest bit: 21 of the count, one that marks the entry's last bucket, 10 of the
/// bucket's number. The largest [`Layout`](super::layout::Layout), the general one, has about 380 of the 1,024; a count
/// that does not fit takes several packed buckets.
const COUNT_BITS: u32 = 21;
const COUNT_LIMIT: u64 = 1 << COUNT_BITS;
const LAST: u32 = 1 << COUNT_BITS;
const PLACE_SHIFT: u32 = COUNT_BITS + 1;
/// Stands for the first packed bucket of an entry without buckets.
const NONE: u32 = u32::MAX;

/// Stands for the smallest value of a counter that counted before it was first read. Since when it was read matters for
/// its rate.
const JOINED: f64 = f64::NEG_INFINITY;

/// A series that changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) series: u32,
    /// Index of its first packed bucket.
    first: u32,
    /// Value of a counter or gauge, or sum of a histogram, before and after.
    pub(super) before: f64,
    pub(super) after: f64,
    /// Extremes of a histogram's observations between the snapshots.
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Entry {
    /// Returns whether it is the first of a counter that had counted before.
    pub(super) fn has_joined(&self) -> bool {
        self.first == NONE && self.min == JOINED
    }
}

/// The sparse difference of two snapshots: only the series that changed, and of a histogram only the buckets that
/// changed. The ring of the history keeps a hundred or more of them, so they must be small.
#[derive(Clone, Debug)]
pub(crate) struct Delta {
    pub(super) start: Instant,
    pub(super) end: Instant,
    /// Sorted by series.
    pub(super) entries: Blocks<Entry>,
    packed: Blocks<u32>,
}

impl Delta {
    fn new(start: Instant, end: Instant) -> Self {
        Self { start, end, entries: Blocks::default(), packed: Blocks::default() }
    }

    /// Returns the buckets of an entry that grew, each with its increase. A bucket may come more than once.
    pub(super) fn buckets<'a>(&'a self, entry: &Entry) -> impl Iterator<Item = (usize, u32)> + 'a {
        let mut next = (entry.first != NONE).then_some(entry.first as usize);
        std::iter::from_fn(move || {
            let packed = *self.packed.get(next?)?;
            next = next.filter(|_| packed & LAST == 0).map(|place| place + 1);
            Some(((packed >> PLACE_SHIFT) as usize, packed & (LAST - 1)))
        })
    }

    /// Returns the entry of a series that changed, and its place. Looks at `near` first.
    pub(super) fn entry_near(&self, series: u32, near: usize) -> Option<(usize, &Entry)> {
        let there = self.entries.get(near).filter(|entry| entry.series == series);
        there.map(|entry| (near, entry)).or_else(|| {
            let place = self.entries.place_of(&series, |entry| entry.series)?;
            Some((place, self.entries.get(place)?))
        })
    }

    /// Returns the entry of a series that changed.
    pub(super) fn entry(&self, series: u32) -> Option<&Entry> {
        self.entry_near(series, usize::MAX).map(|(_, entry)| entry)
    }

    /// Returns one difference for this one and the `next`, which begins where this one ends.
    pub(super) fn followed_by(&self, next: &Self) -> Self {
        let mut both = Self::new(self.start, next.end);
        let (mut old, mut new) = (self.entries.iter().peekable(), next.entries.iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => old.series.cmp(&new.series),
            };
            let old = old.next_if(|_| order.is_le());
            let new = new.next_if(|_| order.is_ge());
            both.push(old.map(|entry| (self, entry)), new.map(|entry| (next, entry)));
        }
        both.fit();
        both
    }

    /// Appends the entry of one series, from the earlier difference, the later one, or both.
    fn push(&mut self, old: Option<(&Self, &Entry)>, new: Option<(&Self, &Entry)>) {
        let (Some((_, earliest)), Some((_, latest))) = (old.or(new), new.or(old)) else { return };
        let sides = [old, new].into_iter().flatten();
        let mut counts: Vec<(usize, u32)> = sides.flat_map(|(delta, entry)| delta.buckets(entry)).collect();
        counts.sort_unstable_by_key(|(bucket, _)| *bucket);
        let first = self.packed.len();
        for counts in counts.chunk_by(|a, b| a.0 == b.0) {
            pack(&mut self.packed, counts[0].0, counts.iter().map(|(_, count)| u64::from(*count)).sum());
        }
        self.entries.push(Entry {
            series: latest.series,
            first: end_buckets(&mut self.packed, first),
            before: earliest.before,
            after: latest.after,
            min: earliest.min.min(latest.min),
            max: earliest.max.max(latest.max),
        });
    }

    /// Gives back the memory that it does not need.
    fn fit(&mut self) {
        self.entries.fit();
        self.packed.fit();
    }

    /// Returns the heap bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        self.entries.bytes() + self.packed.bytes()
    }
}

/// The value of a series at the last tick.
#[derive(Clone, Debug)]
enum Value {
    /// It had none yet.
    Unseen,
    Counter(u64),
    Gauge(f64),
    /// The low halves of the bucket counts. Wrapping differences of them are exact while a bucket gains less than 2^32
    /// observations in one interval.
    Histogram {
        sum: f64,
        /// The marks that the tick took. What was being recorded in these groups at that moment is found by the next tick.
        marks: u64,
        buckets: Counts<u32>,
    },
}

impl Value {
    fn read_ahead(&self) {
        if let Self::Histogram { buckets, .. } = self {
            buckets.read_ahead();
        }
    }
}

/// The values of every series at the last tick.
#[derive(Debug)]
pub(super) struct Baseline {
    at: Instant,
    values: Vec<Value>,
}

impl Baseline {
    pub(super) fn new(at: Instant) -> Self {
        Self { at, values: Vec::new() }
    }

    /// Returns what changed since the last tick. With [`ReadMode::Take`] the next difference starts here; with
    /// [`ReadMode::Peek`] later differences are as if this one had not been asked for.
    pub(super) fn difference(&mut self, index: &Index, now: Instant, mode: ReadMode) -> Delta {
        let mut delta = Delta::new(self.at, now);
        // Never shrinks: a caller may have fetched its index before the last tick, and the baselines of series that are
        // newer than it must survive.
        self.values.resize(index.series.len().max(self.values.len()), Value::Unseen);
        let mut places = 0..;
        for (series, values) in index.series.chunks(AHEAD).zip(self.values.chunks_mut(AHEAD)) {
            series.iter().for_each(|series| series.cell.read_ahead());
            values.iter().for_each(Value::read_ahead);
            for ((series, old), place) in series.iter().zip(values).zip(&mut places) {
                let new = match &series.cell {
                    Cell::Counter(cell) => counter(&mut delta, place, old, cell),
                    Cell::Gauge(cell) => {
                        cell.read().and_then(|value| gauge(&mut delta, place, old, (series.meta.kind, value)))
                    }
                    Cell::Histogram(cell) => {
                        histogram(&mut delta, place, old, cell, mode);
                        None
                    }
                };
                if let (ReadMode::Take, Some(new)) = (mode, new) {
                    *old = new;
                }
            }
        }
        if mode == ReadMode::Take {
            self.at = now;
            delta.fit();
        }
        delta
    }

    /// Returns whether the last tick has read all of a series.
    pub(super) fn has_read(&self, place: u32, cell: &Cell) -> bool {
        match (cell, self.values.get(place as usize).unwrap_or(&Value::Unseen)) {
            (Cell::Counter(cell), Value::Counter(value)) => cell.read() == *value,
            (Cell::Counter(cell), _) => cell.read() <= cell.origin(),
            (Cell::Gauge(cell), Value::Gauge(value)) => cell.read().map(f64::to_bits) == Some(value.to_bits()),
            (Cell::Gauge(cell), _) => cell.read().is_none(),
            (Cell::Histogram(_), Value::Histogram { marks: 1.., .. }) => false,
            (Cell::Histogram(cell), _) => cell.touched(ReadMode::Peek) == 0,
        }
    }

    /// Forgets the values of series that will be removed.
    pub(super) fn forget(&mut self, places: &[u32]) {
        for place in places {
            if let Some(value) = self.values.get_mut(*place as usize) {
                *value = Value::Unseen;
            }
        }
    }

    /// Returns the heap bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let buckets = self.values.iter().map(|value| match value {
            Value::Histogram { buckets, .. } => buckets.bytes(),
            Value::Unseen | Value::Counter(_) | Value::Gauge(_) => 0,
        });
        self.values.capacity() * size_of::<Value>() + buckets.sum::<usize>()
    }
}

fn counter(delta: &mut Delta, series: u32, old: &Value, cell: &CounterCell) -> Option<Value> {
    let value = cell.read();
    let Value::Counter(before) = old else { return first_count(delta, series, cell.origin(), value) };
    if *before == value {
        return None;
    }
    delta.entries.push(scalar(series, *before as f64, value as f64));
    Some(Value::Counter(value))
}

/// Enters the first value of a counter.
fn first_count(delta: &mut Delta, series: u32, origin: u64, value: u64) -> Option<Value> {
    if value <= origin && origin == 0 || value < origin {
        return None;
    }
    let mut entry = scalar(series, origin as f64, value as f64);
    if origin > 0 {
        entry.min = JOINED;
    }
    delta.entries.push(entry);
    Some(Value::Counter(value))
}

/// Enters the value of a gauge. Some counters are written as gauges, and a host may set one of that name to what no counter can
/// have: it is left out, as on the page, since an increase from it or to it is no number.
fn gauge(delta: &mut Delta, series: u32, old: &Value, (kind, value): (Kind, f64)) -> Option<Value> {
    let before = if let Value::Gauge(before) = old { Some(*before) } else { None };
    // By their bits: a NaN that stays is no change.
    if before.map(f64::to_bits) == Some(value.to_bits()) {
        return None;
    }
    let is_possible = |value: &f64| kind != Kind::Counter || *value >= 0.0 && value.is_finite();
    if is_possible(&value) {
        delta.entries.push(scalar(series, before.filter(is_possible).unwrap_or(value), value));
    }
    Some(Value::Gauge(value))
}

/// Enters what a histogram gained. Reads only the groups of buckets that are marked or were at the tick before: a thousand series
/// have two hundred buckets each, and few of them grow in one interval.
///
/// The order of the reads matters; see the picture in [`store`](super) and `HistogramCell::add`.
fn histogram(delta: &mut Delta, series: u32, old: &mut Value, cell: &HistogramCell, mode: ReadMode) {
    let taken = cell.touched(mode);
    let before = if let Value::Histogram { marks, .. } = old { *marks } else { 0 };
    let mut touched = taken | before;
    if touched == 0 {
        return;
    }
    if !matches!(old, Value::Histogram { .. }) {
        *old = Value::Histogram { sum: 0.0, marks: 0, buckets: Counts::default() };
    }
    let Value::Histogram { sum, marks, buckets } = old else { return };
    if mode == ReadMode::Take {
        *marks = taken;
    }
    let totals = cell.totals(mode);
    // Groups that were marked since are read as well, and stay marked: the extreme that was just taken may be theirs.
    touched |= cell.touched(ReadMode::Peek);
    let first = delta.packed.len();
    while touched != 0 {
        let group = touched.trailing_zeros();
        touched &= touched - 1;
        for (bucket, count) in cell.group(group) {
            let gained = count.wrapping_sub(buckets.get(bucket));
            pack(&mut delta.packed, bucket, gained.into());
            if mode == ReadMode::Take && gained > 0 {
                *buckets.get_mut(bucket) = count;
            }
        }
    }
    let has_extremes = totals.min < f64::INFINITY || totals.max > f64::NEG_INFINITY;
    if delta.packed.len() == first && totals.sum == *sum && !has_extremes {
        // The tick before has read all of it: of its marks, and of a group that was marked again by an observation whose mark
        // it took.
        return;
    }
    delta.entries.push(Entry {
        series,
        first: end_buckets(&mut delta.packed, first),
        before: *sum,
        after: totals.sum,
        min: totals.min,
        max: totals.max,
    });
    if mode == ReadMode::Take {
        *sum = totals.sum;
    }
}

fn scalar(series: u32, before: f64, after: f64) -> Entry {
    Entry { series, first: NONE, before, after, min: after, max: after }
}

fn pack(packed: &mut Blocks<u32>, bucket: usize, count: u64) {
    let mut left = count;
    while left > 0 {
        let part = left.min(COUNT_LIMIT - 1);
        packed.push(narrow(bucket) << PLACE_SHIFT | part as u32);
        left -= part;
    }
}

/// Marks the last of the packed buckets from `first` on, and returns `first`, or [`NONE`] if there are none.
fn end_buckets(packed: &mut Blocks<u32>, first: usize) -> u32 {
    let is_any = packed.len() > first;
    match packed.last_mut().filter(|_| is_any) {
        Some(last) => {
            *last |= LAST;
            narrow(first)
        }
        None => NONE,
    }
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).expect("max_series and layouts bound series and buckets far below 2^32")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use proptest::prelude::*;

    use super::*;
    use crate::{
        context::labelled,
        names,
        store::{MonitorRecorder, window::Window},
    };

    fn delta_of(entries: &[(u32, Vec<(usize, u64)>)]) -> Delta {
        let now = Instant::now();
        let mut delta = Delta::new(now, now);
        for (series, buckets) in entries {
            let first = delta.packed.len();
            buckets.iter().for_each(|(bucket, count)| pack(&mut delta.packed, *bucket, *count));
            let first = end_buckets(&mut delta.packed, first);
            delta.entries.push(Entry { first, ..scalar(*series, 0.0, 0.0) });
        }
        delta
    }

    fn counts(delta: &Delta) -> Vec<(u32, Vec<(usize, u64)>)> {
        let sums = |entry: &Entry| {
            let mut sums = std::collections::BTreeMap::new();
            delta.buckets(entry).for_each(|(bucket, count)| *sums.entry(bucket).or_default() += u64::from(count));
            sums.into_iter().collect()
        };
        delta.entries.iter().map(|entry| (entry.series, sums(entry))).collect()
    }

    fn entries() -> impl Strategy<Value = Vec<(u32, Vec<(usize, u64)>)>> {
        // Counts that take several packed buckets, and series without buckets.
        let buckets = prop::collection::btree_map(0..1024_usize, 1..3 * COUNT_LIMIT, 0..4);
        let entry = buckets.prop_map(|buckets| buckets.into_iter().collect());
        prop::collection::btree_map(0..8_u32, entry, 0..6).prop_map(|entries| entries.into_iter().collect())
    }

    /// Ticks fall between the steps of an observation. What they miss must come with the next tick, not with the next
    /// observation.
    #[test]
    fn what_no_counter_can_have_is_in_no_window() {
        for odd in [f64::NAN, -1.0, f64::NEG_INFINITY, f64::INFINITY] {
            let recorder = MonitorRecorder::new(10, Vec::new());
            let cpu = metrics::with_local_recorder(&recorder, || metrics::gauge!(names::PROCESS_CPU.name));
            let (now, mut window) = (Instant::now(), Window::new(Instant::now()));
            let mut baseline = Baseline::new(now);
            let increases = [2.0, odd, 5.0, odd, 9.0].map(|value| {
                cpu.set(value);
                let index = recorder.index();
                window.add(&baseline.difference(&index, now, ReadMode::Take), &index);
                assert!(baseline.has_read(0, &index.series[0].cell), "else its place is never free");
                window.series(names::PROCESS_CPU.name).map(|series| series.increase()).collect::<Vec<_>>()
            });
            assert_eq!(increases, [0.0, 0.0, 3.0, 3.0, 7.0].map(|increase| vec![increase]), "{odd}");
        }
    }

    #[test]
    fn a_tick_during_an_observation_leaves_the_rest_to_the_next_tick() {
        let recorder = MonitorRecorder::new(10, Vec::new());
        let histogram = labelled::histogram(&recorder, &names::HTTP_DURATION, &[]);
        let now = Instant::now();
        let mut baseline = Baseline::new(now);
        let (turn, done) = (AtomicU32::new(0), AtomicU32::new(0));
        let began = std::time::Instant::now();
        let failure = std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    while turn.load(SeqCst) < round {
                        std::thread::yield_now();
                    }
                    histogram.record(f64::from(round));
                    done.store(round, SeqCst);
                }
            });
            // As many as fit: where both threads share a core, each round lasts until the other one has its turn.
            let mut rounds = (1..=ROUNDS).take_while(|_| began.elapsed() < LONG_ENOUGH);
            let failure = rounds.find_map(|round| {
                let (mut count, mut sum, mut max, mut is_early) = (0, 0.0, f64::NEG_INFINITY, false);
                let mut tick = || {
                    let delta = baseline.difference(&recorder.index(), now, ReadMode::Take);
                    let Some(entry) = delta.entries.get(0) else { return };
                    count += delta.buckets(entry).map(|(_, count)| count).sum::<u32>();
                    sum += entry.after - entry.before;
                    max = entry.max.max(max);
                    is_early |= count == 0 && max > 0.0;
                };
                turn.store(round, SeqCst);
                while done.load(SeqCst) < round {
                    tick();
                }
                tick();
                let is_right = (count, sum, max, is_early) == (1, f64::from(round), f64::from(round), false);
                (!is_right).then(|| format!("round {round}: {count} observations, sum {sum}, max {max}, {is_early}"))
            });
            turn.store(ROUNDS, SeqCst);
            failure
        });
        assert_eq!(failure, None);
    }

    const ROUNDS: u32 = 50_000;
    const LONG_ENOUGH: std::time::Duration = std::time::Duration::from_secs(3);

    proptest! {
        #[test]
        fn packed_buckets_are_unpacked_unchanged(entries in entries()) {
            prop_assert_eq!(counts(&delta_of(&entries)), entries);
        }

        #[test]
        fn merged_differences_are_the_sum_of_both((old, new) in (entries(), entries())) {
            let mut sums = std::collections::BTreeMap::<_, std::collections::BTreeMap<_, u64>>::new();
            for (series, buckets) in old.iter().chain(&new) {
                let sums = sums.entry(*series).or_default();
                buckets.iter().for_each(|(bucket, count)| *sums.entry(*bucket).or_default() += count);
            }
            let expected: Vec<_> = sums.into_iter().map(|(series, sums)| (series, sums.into_iter().collect())).collect();
            prop_assert_eq!(counts(&delta_of(&old).followed_by(&delta_of(&new))), expected);
        }
    }
}
