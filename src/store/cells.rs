//! The atomics that the request path adds to: [`CounterCell`], [`GaugeCell`] and [`HistogramCell`].
//!
//! Gauges and histograms are striped by thread, because every request writes them and two cores that write one cache
//! line slow each other down. Readers sum the stripes. The picture of writers and readers, with the order of their
//! steps, is in [`store`](super). The invariant that a change could break: that order, all of it `SeqCst`.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock,
    atomic::{
        AtomicBool, AtomicU32, AtomicU64,
        Ordering::{Relaxed, SeqCst},
    },
};

use metrics::{CounterFn, GaugeFn, HistogramFn};

use super::layout::Layout;
use crate::{context::stripe, lock::lock};

/// A float in an atomic.
#[derive(Debug)]
struct AtomicFloat(AtomicU64);

impl AtomicFloat {
    const fn new(value: f64) -> Self {
        Self(AtomicU64::new(value.to_bits()))
    }

    // Loads and read-modify-writes are SeqCst because `HistogramCell::add` needs that. It costs nothing on x86: the
    // load is a plain one, and a read-modify-write is a locked instruction under any ordering.
    fn load(&self) -> f64 {
        f64::from_bits(self.0.load(SeqCst))
    }

    // Relaxed: only gauges store, and a gauge's value publishes no other memory.
    fn store(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }

    fn swap(&self, value: f64) -> f64 {
        f64::from_bits(self.0.swap(value.to_bits(), SeqCst))
    }

    fn update(&self, change: impl Fn(f64) -> Option<f64>) {
        let mut old = self.0.load(SeqCst);
        while let Some(new) = change(f64::from_bits(old)) {
            match self.0.compare_exchange_weak(old, new.to_bits(), SeqCst, SeqCst) {
                Ok(_) => return,
                Err(now) => old = now,
            }
        }
    }

    fn add(&self, value: f64) {
        self.update(|old| Some(old + value));
    }
}

/// A counter. Not striped, to keep it small: every request writes histograms and gauges, and counters only if it made
/// queries, ran tasks or was cancelled.
///
/// Relaxed: its value publishes no other memory, and no ordering loses additions to one atomic.
#[derive(Debug)]
pub(crate) struct CounterCell {
    value: AtomicU64,
    /// Where it began: the first value of a total that somebody else counts and that is passed on by `absolute`. What was
    /// counted before is no increase. [`UNKNOWN`](Self::UNKNOWN) until `absolute` is called.
    origin: AtomicU64,
}

impl Default for CounterCell {
    fn default() -> Self {
        Self { value: AtomicU64::new(0), origin: AtomicU64::new(Self::UNKNOWN) }
    }
}

impl CounterCell {
    const UNKNOWN: u64 = u64::MAX;

    pub(super) fn read(&self) -> u64 {
        self.value.load(Relaxed)
    }

    /// Returns where it began: 0, unless it is a total that began elsewhere.
    pub(super) fn origin(&self) -> u64 {
        match self.origin.load(Relaxed) {
            Self::UNKNOWN => 0,
            origin => origin,
        }
    }
}

impl CounterFn for CounterCell {
    fn increment(&self, value: u64) {
        self.value.fetch_add(value, Relaxed);
    }

    fn absolute(&self, value: u64) {
        if self.origin.load(Relaxed) == Self::UNKNOWN {
            let origin = if self.read() == 0 { value } else { 0 };
            // Of two first calls the one that wins says where it began. The tick may read between this and the next line,
            // and then sees a counter below its origin: no increase yet.
            let _ = self.origin.compare_exchange(Self::UNKNOWN, origin, Relaxed, Relaxed);
        }
        self.value.fetch_max(value, Relaxed);
    }
}

#[derive(Debug)]
#[repr(align(64))]
struct CacheLine(AtomicFloat);

/// A gauge, the sum of its stripes. Absent until its first write, since zero would be a value.
///
/// A gauge is either set, by one task, or added to, by any thread. A read that overlaps a write may see some stripes
/// before it and others after it, so it may miss a decrement or see it without its increment: it is off by what changed
/// during the read. `written` is Relaxed as well: next to the first write a reader may find the gauge absent, or 0.
#[derive(Debug)]
pub(crate) struct GaugeCell {
    stripes: [CacheLine; stripe::COUNT],
    written: AtomicBool,
}

impl Default for GaugeCell {
    fn default() -> Self {
        Self { stripes: std::array::from_fn(|_| CacheLine(AtomicFloat::new(0.0))), written: AtomicBool::new(false) }
    }
}

impl GaugeCell {
    /// Returns the value, or `None` before the first write.
    pub(super) fn read(&self) -> Option<f64> {
        self.written.load(Relaxed).then(|| self.stripes.iter().map(|stripe| stripe.0.load()).sum())
    }

    fn add(&self, value: f64) {
        // Once it is set it is only read: a store each time would take the line from the other cores.
        if !self.written.load(Relaxed) {
            self.written.store(true, Relaxed);
        }
        self.stripes[stripe::index()].0.add(value);
    }
}

impl GaugeFn for GaugeCell {
    fn increment(&self, value: f64) {
        self.add(value);
    }

    fn decrement(&self, value: f64) {
        self.add(-value);
    }

    fn set(&self, value: f64) {
        for stripe in &self.stripes[1..] {
            stripe.0.store(0.0);
        }
        self.stripes[0].0.store(value);
        self.written.store(true, Relaxed);
    }
}

/// The observations of the threads that share a stripe.
#[derive(Debug)]
#[repr(align(64))]
struct Stripe {
    /// One bit for each group of buckets that grew since the last tick. The tick reads the buckets of these groups
    /// alone.
    touched: AtomicU64,
    sum: AtomicFloat,
    /// Smallest and largest value since the last tick.
    min: AtomicFloat,
    max: AtomicFloat,
    /// Low half of each count. Buckets are most of a series' memory, so they have 32 bits; the tick moves what does not
    /// fit to [`HistogramCell::carried`].
    buckets: Box<[AtomicU32]>,
}

impl Stripe {
    fn new(buckets: usize) -> Self {
        Self {
            touched: AtomicU64::new(0),
            sum: AtomicFloat::new(0.0),
            min: AtomicFloat::new(f64::INFINITY),
            max: AtomicFloat::new(f64::NEG_INFINITY),
            buckets: (0..buckets).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    /// Marks a group. Writes only if it is not marked yet: most observations find it marked, and a load leaves the line
    /// shared.
    fn mark(&self, group: u64) {
        if self.touched.load(SeqCst) & group == 0 {
            self.touched.fetch_or(group, SeqCst);
        }
    }
}

/// Whether a read begins the next interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadMode {
    /// The tick's and `clear`'s read: marks and extremes start again.
    Take,
    /// Any other read: changes nothing.
    Peek,
}

/// A histogram.
#[derive(Debug)]
pub(crate) struct HistogramCell {
    layout: Arc<Layout>,
    group_shift: u32,
    /// Each is allocated when a thread of the stripe first records, because most series are not recorded on every core.
    stripes: [OnceLock<Box<Stripe>>; stripe::COUNT],
    /// Counts that the ticks moved here from buckets that were half full; empty for almost every series. A reader that
    /// sums stripes and `carried` holds the lock, so that it never sees a count in both places. Only the tick does
    /// without it, since it alone moves counts.
    carried: Mutex<Vec<u64>>,
    /// Whether `carried` was ever added to: the tick takes the lock only then.
    has_carried: AtomicBool,
}

/// Count at which the tick empties half a bucket of a stripe. The other half lasts until the next tick: to fill it
/// within 5 s takes 429 million observations a second.
const HALF: u32 = 1 << 31;

/// Sum and extremes of a histogram, over all stripes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct HistogramTotals {
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl HistogramCell {
    pub(super) fn new(layout: Arc<Layout>) -> Self {
        let stripes: [OnceLock<Box<Stripe>>; stripe::COUNT] = Default::default();
        // The thread that registers a series usually records in it next, so its stripe is allocated here and not there.
        stripes[stripe::index()].get_or_init(|| Box::new(Stripe::new(layout.buckets())));
        Self {
            group_shift: layout.group_shift(),
            layout,
            stripes,
            carried: Mutex::default(),
            has_carried: AtomicBool::new(false),
        }
    }

    pub(super) fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Returns the count of every bucket. Relaxed: the buckets alone are one consistent answer, since each of them only
    /// grows while the lock is held.
    pub(super) fn buckets(&self) -> Vec<u64> {
        let carried = self.carried();
        let mut buckets = if carried.is_empty() { vec![0; self.layout.buckets()] } else { carried.clone() };
        for stripe in self.stripes.iter().filter_map(OnceLock::get) {
            for (total, bucket) in buckets.iter_mut().zip(&stripe.buckets) {
                *total += u64::from(bucket.load(Relaxed));
            }
        }
        buckets
    }

    fn carried(&self) -> MutexGuard<'_, Vec<u64>> {
        lock(&self.carried)
    }

    fn add_carried(&self, carried: &mut Vec<u64>, bucket: usize, count: u64) {
        carried.resize(self.layout.buckets(), 0);
        carried[bucket] += count;
        self.has_carried.store(true, SeqCst);
    }

    /// Moves half of a bucket out of each stripe in which it is more than half full.
    ///
    /// Relaxed: a stale count is a lower one, and then the next tick carries it.
    #[cold]
    fn carry(&self, bucket: usize) {
        for stripe in self.stripes.iter().filter_map(OnceLock::get) {
            if stripe.buckets[bucket].load(Relaxed) >= HALF {
                let mut carried = self.carried();
                self.add_carried(&mut carried, bucket, u64::from(HALF));
                stripe.buckets[bucket].fetch_sub(HALF, SeqCst);
            }
        }
    }

    /// Returns sum and extremes; with [`ReadMode::Take`] the extremes start again.
    pub(super) fn totals(&self, mode: ReadMode) -> HistogramTotals {
        let mut totals = HistogramTotals { sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };
        for stripe in self.stripes.iter().filter_map(OnceLock::get) {
            let (min, max) = match mode {
                ReadMode::Take => (stripe.min.swap(f64::INFINITY), stripe.max.swap(f64::NEG_INFINITY)),
                ReadMode::Peek => (stripe.min.load(), stripe.max.load()),
            };
            totals.sum += stripe.sum.load();
            totals.min = totals.min.min(min);
            totals.max = totals.max.max(max);
        }
        totals
    }

    /// Returns the groups of buckets that grew since the last tick, one bit each; with [`ReadMode::Take`] the marks
    /// start again.
    pub(super) fn touched(&self, mode: ReadMode) -> u64 {
        let stripes = self.stripes.iter().filter_map(OnceLock::get);
        stripes.fold(0, |touched, stripe| {
            touched
                | match mode {
                    // Loaded first: a swap would take the lines of idle stripes from the threads that write them.
                    ReadMode::Take if stripe.touched.load(SeqCst) != 0 => stripe.touched.swap(0, SeqCst),
                    ReadMode::Take | ReadMode::Peek => stripe.touched.load(SeqCst),
                }
        })
    }

    /// Returns the low half of the count of one bucket. One thread at a time may call it, since it may carry; the
    /// history's lock sees to that.
    pub(super) fn bucket(&self, bucket: usize) -> u32 {
        let (mut sum, mut largest) = (0_u32, 0);
        for stripe in self.stripes.iter().filter_map(OnceLock::get) {
            let count = stripe.buckets[bucket].load(SeqCst);
            sum = sum.wrapping_add(count);
            largest = largest.max(count);
        }
        if self.has_carried.load(SeqCst) {
            sum = sum.wrapping_add(self.carried()[bucket] as u32);
        }
        if largest >= HALF {
            self.carry(bucket);
        }
        sum
    }

    fn add(&self, value: f64, count: u64) {
        // A NaN or an infinity is no measurement, and would stay in the sum for ever.
        if !value.is_finite() || count == 0 {
            return;
        }
        let stripe = self.stripes[stripe::index()].get_or_init(|| Box::new(Stripe::new(self.layout.buckets())));
        let bucket = self.layout.bucket(value);
        let group = 1 << (bucket >> self.group_shift);
        // The steps 1 to 5 of the picture in `store/mod.rs`; the tick's steps are in `delta::histogram`. All of them
        // are SeqCst, because each side writes one atomic and then reads the other's (this adds to the sum and reads
        // the mark; the tick takes the mark and reads the sum): with acquire and release alone both may read the old
        // value. In one total order
        // - no observation waits for the next one: if this finds the group still marked at its end, the tick that takes
        //   the mark has yet to read sum, extremes and bucket; if not, the second mark is for the next tick;
        // - no tick takes an extreme without counting its observation: the first mark precedes the extreme, so the tick
        //   finds it when it reads the marks again. The other way round, a tick may count an observation whose sum and
        //   extremes follow in the next one.
        match u32::try_from(count) {
            Ok(count) if count < HALF => _ = stripe.buckets[bucket].fetch_add(count, SeqCst),
            _ => self.add_carried(&mut self.carried(), bucket, count),
        }
        stripe.mark(group);
        stripe.sum.add(if count == 1 { value } else { value * count as f64 });
        if value < stripe.min.load() {
            stripe.min.update(|min| (value < min).then_some(value));
        }
        if value > stripe.max.load() {
            stripe.max.update(|max| (value > max).then_some(value));
        }
        stripe.mark(group);
    }
}

impl HistogramFn for HistogramCell {
    fn record(&self, value: f64) {
        self.add(value, 1);
    }

    fn record_many(&self, value: f64, count: usize) {
        self.add(value, count as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{DURATION_BUCKETS, Resolution};

    fn histogram() -> HistogramCell {
        HistogramCell::new(Arc::new(Layout::new(Resolution::Fine, DURATION_BUCKETS, &[])))
    }

    fn read(cell: &HistogramCell, mode: ReadMode) -> (u64, HistogramTotals) {
        (cell.buckets().iter().sum(), cell.totals(mode))
    }

    #[test]
    fn threads_lose_nothing() {
        let (histogram, gauge) = (histogram(), GaugeCell::default());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        gauge.increment(1.0);
                        histogram.record(0.5);
                        gauge.decrement(1.0);
                    }
                });
            }
        });
        let (count, totals) = read(&histogram, ReadMode::Peek);
        assert_eq!((count, totals.sum), (8000, 4000.0));
        assert_eq!(gauge.read(), Some(0.0));
    }

    #[test]
    fn a_full_bucket_is_carried_and_counted_once() {
        let cell = histogram();
        let bucket = cell.layout.bucket(0.5);
        let mut expected = 0_u64;
        for count in [1, u64::from(HALF) - 1, 5, u64::from(HALF) - 1, 7, 3 << 32, u64::from(HALF) - 2, 9] {
            cell.add(0.5, count);
            expected += count;
            assert_eq!(cell.bucket(bucket), expected as u32);
            assert_eq!(cell.buckets()[bucket], expected);
            assert_eq!(cell.buckets().iter().sum::<u64>(), expected);
        }
    }

    #[test]
    fn taking_the_extremes_starts_the_next_interval() {
        let cell = histogram();
        cell.record(2.0);
        cell.record(1.0);
        let taken = read(&cell, ReadMode::Take).1;
        assert_eq!((taken.min, taken.max), (1.0, 2.0));
        cell.record(1.5);
        let next = read(&cell, ReadMode::Peek).1;
        assert_eq!((next.min, next.max, next.sum), (1.5, 1.5, 4.5));
    }

    #[test]
    fn values_that_are_not_finite_are_dropped() {
        let cell = histogram();
        cell.record(f64::NAN);
        cell.record(f64::INFINITY);
        assert_eq!(read(&cell, ReadMode::Peek).0, 0);
    }

    #[test]
    fn an_observation_marks_the_group_of_its_bucket_until_the_tick_takes_it() {
        let cell = histogram();
        assert_eq!(cell.touched(ReadMode::Take), 0);
        for value in [0.0, 0.1, 1e9] {
            cell.record(value);
            let bucket = cell.layout.bucket(value);
            let mark = 1 << (bucket >> cell.group_shift);
            assert_eq!(cell.touched(ReadMode::Peek), mark);
            assert_eq!((cell.touched(ReadMode::Take), cell.bucket(bucket)), (mark, 1));
            assert_eq!(cell.touched(ReadMode::Peek), 0);
        }
    }

    #[test]
    fn a_gauge_is_absent_until_its_first_write() {
        let gauge = GaugeCell::default();
        assert_eq!(gauge.read(), None);
        gauge.set(0.0);
        assert_eq!(gauge.read(), Some(0.0));
    }
}
