//! The atomics that the request path adds to.
//!
//! Striped by thread where every request writes, so that two workers do not fight over a cache line. Readers sum the
//! stripes; a value read while it is being written may lack its newest addition, never an older one.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering::Relaxed},
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

    fn load(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }

    fn store(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }

    fn swap(&self, value: f64) -> f64 {
        f64::from_bits(self.0.swap(value.to_bits(), Relaxed))
    }

    fn update(&self, change: impl Fn(f64) -> Option<f64>) {
        let mut old = self.0.load(Relaxed);
        while let Some(new) = change(f64::from_bits(old)) {
            match self.0.compare_exchange_weak(old, new.to_bits(), Relaxed, Relaxed) {
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
    written: std::sync::atomic::AtomicBool,
}

impl Default for GaugeCell {
    fn default() -> Self {
        Self {
            stripes: std::array::from_fn(|_| Aligned(AtomicFloat::new(0.0))),
            written: std::sync::atomic::AtomicBool::new(false),
        }
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
    sum: AtomicFloat,
    /// Extremes since the last tick.
    min: AtomicFloat,
    max: AtomicFloat,
    buckets: Box<[AtomicU64]>,
}

impl Stripe {
    fn new(buckets: usize) -> Self {
        Self {
            sum: AtomicFloat::new(0.0),
            min: AtomicFloat::new(f64::INFINITY),
            max: AtomicFloat::new(f64::NEG_INFINITY),
            buckets: (0..buckets).map(|_| AtomicU64::new(0)).collect(),
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
    /// Made when a thread of the stripe first records: most series are not hot on every core.
    stripes: [OnceLock<Box<Stripe>>; stripe::COUNT],
}

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
        Self { layout, stripes }
    }

    pub(super) fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Adds the counts of every bucket to `buckets` and returns the rest.
    pub(super) fn read(&self, extremes: Extremes, buckets: &mut [u64]) -> HistogramTotals {
        let mut totals = HistogramTotals { sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };
        for stripe in self.stripes.iter().filter_map(OnceLock::get) {
            for (total, bucket) in buckets.iter_mut().zip(&stripe.buckets) {
                *total += bucket.load(Relaxed);
            }
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

    /// Returns a number that changes with every observation, much cheaper than reading the buckets.
    pub(super) fn fingerprint(&self) -> (u64, u64) {
        let stripes = || self.stripes.iter().filter_map(OnceLock::get);
        let sum: f64 = stripes().map(|stripe| stripe.sum.load()).sum();
        // An observation of zero leaves the sum as it is, and lands in the first bucket.
        (sum.to_bits(), stripes().map(|stripe| stripe.buckets[0].load(Relaxed)).sum())
    }

    fn add(&self, value: f64, count: u64) {
        // Neither is a measurement, and one of them would spoil the sum for ever.
        if !value.is_finite() || count == 0 {
            return;
        }
        let stripe = self.stripes[stripe::index()].get_or_init(|| Box::new(Stripe::new(self.layout.buckets())));
        stripe.buckets[self.layout.bucket(value)].fetch_add(count, Relaxed);
        stripe.sum.add(if count == 1 { value } else { value * count as f64 });
        if value < stripe.min.load() {
            stripe.min.update(|min| (value < min).then_some(value));
        }
        if value > stripe.max.load() {
            stripe.max.update(|max| (value > max).then_some(value));
        }
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
        let mut buckets = vec![0; cell.layout.buckets()];
        let totals = cell.read(extremes, &mut buckets);
        (buckets.iter().sum(), totals)
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
    fn every_observation_changes_the_fingerprint() {
        let cell = histogram();
        let before = cell.fingerprint();
        cell.record(0.0);
        let zero = cell.fingerprint();
        assert_ne!(before, zero);
        cell.record(0.1);
        assert_ne!(zero, cell.fingerprint());
    }

    #[test]
    fn a_gauge_nobody_wrote_is_absent() {
        let gauge = GaugeCell::default();
        assert_eq!(gauge.read(), None);
        gauge.set(0.0);
        assert_eq!(gauge.read(), Some(0.0));
    }
}
