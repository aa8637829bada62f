//! The atomics that the request path adds to.
//!
//! Striped by thread where every request writes, so that two workers do not fight over a cache line. Readers sum the
//! stripes; a value read while it is being written may lack its newest addition, never an older one.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{
        AtomicBool, AtomicU32, AtomicU64,
        Ordering::{Relaxed, SeqCst},
    },
};

use metrics::{CounterFn, GaugeFn, HistogramFn};

use super::layout::Layout;
use crate::context::stripe;

/// A float in an atomic.
#[derive(Debug)]
struct AtomicFloat(AtomicU64);

impl AtomicFloat {
    const fn new(value: f64) -> Self {
        Self(AtomicU64::new(value.to_bits()))
    }

    // Reading and changing are SeqCst, which `HistogramCell::add` needs: a plain load on x86, where a change is a locked
    // instruction in any case.
    fn load(&self) -> f64 {
        f64::from_bits(self.0.load(SeqCst))
    }

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

/// A counter.
#[derive(Debug, Default)]
pub(crate) struct CounterCell(AtomicU64);

impl CounterCell {
    pub(super) fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl CounterFn for CounterCell {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.0.fetch_max(value, Relaxed);
    }
}

#[derive(Debug)]
#[repr(align(64))]
struct Aligned(AtomicFloat);

/// A gauge. Starts absent: a gauge nobody has set is not zero.
#[derive(Debug)]
pub(crate) struct GaugeCell {
    stripes: [Aligned; stripe::COUNT],
    written: AtomicBool,
}

impl Default for GaugeCell {
    fn default() -> Self {
        Self { stripes: std::array::from_fn(|_| Aligned(AtomicFloat::new(0.0))), written: AtomicBool::new(false) }
    }
}

impl GaugeCell {
    /// Returns the value, or `None` where none was ever written.
    pub(super) fn read(&self) -> Option<f64> {
        self.written.load(Relaxed).then(|| self.stripes.iter().map(|stripe| stripe.0.load()).sum())
    }

    fn add(&self, value: f64) {
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

#[derive(Debug)]
#[repr(align(64))]
struct Stripe {
    /// One bit for each group of buckets that grew since the last tick: the tick then reads those alone.
    touched: AtomicU64,
    sum: AtomicFloat,
    /// Extremes since the last tick.
    min: AtomicFloat,
    max: AtomicFloat,
    /// Half as wide as the counts, which are most of a series: what does not fit is carried.
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

    /// Marks a group, with a load alone where it is marked.
    fn mark(&self, group: u64) {
        if self.touched.load(SeqCst) & group == 0 {
            self.touched.fetch_or(group, SeqCst);
        }
    }
}

/// Whether reading the extremes starts them anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extremes {
    /// The tick's: the next interval begins.
    Take,
    /// Everybody else's.
    Peek,
}

/// A histogram.
#[derive(Debug)]
pub(crate) struct HistogramCell {
    layout: Arc<Layout>,
    group_shift: u32,
    /// Made when a thread of the stripe first records: most series are not hot on every core.
    stripes: [OnceLock<Box<Stripe>>; stripe::COUNT],
    /// What the ticks moved here from buckets of the stripes that were half full: nothing for almost every series.
    /// Whoever adds both up holds the lock, or is the tick.
    carried: Mutex<Vec<u64>>,
    /// Whether there is any.
    has_carried: AtomicBool,
}

/// Count from which on a bucket of a stripe is carried. The other half lasts for more than one interval at any rate that
/// a machine can serve.
const HALF: u32 = 1 << 31;

/// What a histogram holds, stripes summed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct HistogramTotals {
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl HistogramCell {
    pub(super) fn new(layout: Arc<Layout>) -> Self {
        let stripes: [OnceLock<Box<Stripe>>; stripe::COUNT] = Default::default();
        // This thread will record first, most likely: its stripe is made now and not on the request path.
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

    /// Returns the count of every bucket.
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
        self.carried.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_carried(&self, carried: &mut Vec<u64>, bucket: usize, count: u64) {
        carried.resize(self.layout.buckets(), 0);
        carried[bucket] += count;
        self.has_carried.store(true, SeqCst);
    }

    /// Moves what is more than half full out of the stripes.
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

    /// Returns all but the counts.
    pub(super) fn totals(&self, extremes: Extremes) -> HistogramTotals {
        let mut totals = HistogramTotals { sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };
        for stripe in self.stripes.iter().filter_map(OnceLock::get) {
            let (min, max) = match extremes {
                Extremes::Take => (stripe.min.swap(f64::INFINITY), stripe.max.swap(f64::NEG_INFINITY)),
                Extremes::Peek => (stripe.min.load(), stripe.max.load()),
            };
            totals.sum += stripe.sum.load();
            totals.min = totals.min.min(min);
            totals.max = totals.max.max(max);
        }
        totals
    }

    /// Returns the groups of buckets that grew since the last tick; zero where nothing was recorded.
    pub(super) fn touched(&self, extremes: Extremes) -> u64 {
        let stripes = self.stripes.iter().filter_map(OnceLock::get);
        stripes.fold(0, |touched, stripe| {
            touched
                | match extremes {
                    // SeqCst: see `add`.
                    Extremes::Take if stripe.touched.load(SeqCst) != 0 => stripe.touched.swap(0, SeqCst),
                    Extremes::Take | Extremes::Peek => stripe.touched.load(SeqCst),
                }
        })
    }

    /// Returns the low half of the count of one bucket. Of one thread at a time: the tick's, or who holds it up.
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
        // Neither is a measurement, and one of them would spoil the sum for ever.
        if !value.is_finite() || count == 0 {
            return;
        }
        let stripe = self.stripes[stripe::index()].get_or_init(|| Box::new(Stripe::new(self.layout.buckets())));
        let bucket = self.layout.bucket(value);
        let group = 1 << (bucket >> self.group_shift);
        // The tick takes the marks, then sum and extremes, looks at the marks once more, and reads the buckets of all that
        // it saw marked. This adds to the bucket, marks it, adds to sum and extremes, and marks it again where the mark
        // was taken meanwhile. All of it is in one total order, so that
        // - nothing waits unseen for the next observation: whoever finds the group marked at the end knows that the tick
        //   which takes the mark has yet to read everything;
        // - no extreme is taken by a tick that does not see its observation: the first mark came before it. The other way
        //   round, a tick may count an observation whose sum and extremes follow in the next one.
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

    fn read(cell: &HistogramCell, extremes: Extremes) -> (u64, HistogramTotals) {
        (cell.buckets().iter().sum(), cell.totals(extremes))
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
        let (count, totals) = read(&histogram, Extremes::Peek);
        assert_eq!((count, totals.sum), (8000, 4000.0));
        assert_eq!(gauge.read(), Some(0.0));
    }

    #[test]
    fn more_than_a_bucket_holds_is_carried_and_nothing_is_counted_twice() {
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
        let taken = read(&cell, Extremes::Take).1;
        assert_eq!((taken.min, taken.max), (1.0, 2.0));
        cell.record(1.5);
        let next = read(&cell, Extremes::Peek).1;
        assert_eq!((next.min, next.max, next.sum), (1.5, 1.5, 4.5));
    }

    #[test]
    fn what_is_no_number_is_no_observation() {
        let cell = histogram();
        cell.record(f64::NAN);
        cell.record(f64::INFINITY);
        assert_eq!(read(&cell, Extremes::Peek).0, 0);
    }

    #[test]
    fn an_observation_marks_the_group_of_its_bucket_until_the_tick_takes_it() {
        let cell = histogram();
        assert_eq!(cell.touched(Extremes::Take), 0);
        for value in [0.0, 0.1, 1e9] {
            cell.record(value);
            let bucket = cell.layout.bucket(value);
            let mark = 1 << (bucket >> cell.group_shift);
            assert_eq!(cell.touched(Extremes::Peek), mark);
            assert_eq!((cell.touched(Extremes::Take), cell.bucket(bucket)), (mark, 1));
            assert_eq!(cell.touched(Extremes::Peek), 0);
        }
    }

    #[test]
    fn a_gauge_nobody_wrote_is_absent() {
        let gauge = GaugeCell::default();
        assert_eq!(gauge.read(), None);
        gauge.set(0.0);
        assert_eq!(gauge.read(), Some(0.0));
    }
}
