//! [`GaugeCell`]: the atomics of a gauge, which requests add to and which a sampler sets.
//!
//! Striped by thread as histograms are. The invariant that a change could break: the sum of the lanes is finite and below
//! [`LANES`] times [`FULL`], so that whatever was added, a gauge is exactly what it is set to next.

use std::sync::{
    OnceLock,
    atomic::{
        AtomicBool, AtomicUsize,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use metrics::GaugeFn;

use super::stripe::AtomicFloat;
use crate::context::stripe::{LANES, Lane};

/// Bound of one addition to a lane, either way. A larger one would round what is added to the lane after the next `set`,
/// and an infinity would swallow it.
const LARGE: f64 = (1_u64 << 32) as f64;
/// Bound of a lane, either way: below it a float counts by ones exactly, and the sum of the lanes is finite.
const FULL: f64 = (1_u64 << 50) as f64;

#[derive(Debug)]
#[repr(align(64))]
struct CacheLine(AtomicFloat);

impl Default for CacheLine {
    fn default() -> Self {
        Self(AtomicFloat::new(0.0))
    }
}

/// What a gauge was set to, and what its lanes had added by then. Two numbers and not their difference: a gauge that was
/// set to 0.1 after additions must read 0.1.
#[derive(Debug, Default)]
struct Setting {
    value: AtomicFloat,
    added: AtomicFloat,
}

/// A gauge: what it was set to, and what each lane has added since. Absent until its first write, since zero would be a
/// value.
///
/// A read is off by what is added while it sums the lanes: it may see a decrement without the increment before it. If
/// several threads set the gauge at the same moment, it may stay off by what was added meanwhile. `written` is Relaxed: a
/// reader next to the first write may find the gauge absent, or 0.
#[derive(Debug, Default)]
pub(crate) struct GaugeCell {
    /// At `current` the last one; the other is where the next one is written.
    settings: [Setting; 2],
    current: AtomicUsize,
    written: AtomicBool,
    /// Made by the first addition: most gauges are only set.
    lanes: OnceLock<Box<[CacheLine; LANES]>>,
}

impl GaugeCell {
    /// Returns the value, or `None` before the first write.
    pub(super) fn read(&self) -> Option<f64> {
        self.written.load(Relaxed).then(|| {
            let Setting { value, added } = self.setting();
            value.load() + (self.added() - added.load())
        })
    }

    fn setting(&self) -> &Setting {
        &self.settings[self.current.load(Acquire)]
    }

    fn added(&self) -> f64 {
        self.lanes.get().map_or(0.0, |lanes| lanes.iter().map(|lane| lane.0.load()).sum())
    }

    fn add(&self, value: f64) {
        self.note_write();
        // Written so that it is false for a NaN.
        let is_small = value.abs() < LARGE;
        let lane = Lane::of_this_thread();
        let added = is_small.then(|| &self.lanes.get_or_init(Box::default)[lane.number()].0);
        match added.filter(|added| (added.load() + value).abs() < FULL) {
            Some(added) if lane.is_exclusive() => added.store(added.load() + value),
            Some(added) => added.add(value),
            // Into the value that was set last, which the next `set` replaces.
            None => self.setting().value.add(value),
        }
    }

    /// Stores only once, and loads from then on: a store each time would take the cache line from the other cores.
    fn note_write(&self) {
        if !self.written.load(Relaxed) {
            self.written.store(true, Relaxed);
        }
    }
}

impl GaugeFn for GaugeCell {
    fn increment(&self, value: f64) {
        self.add(value);
    }

    fn decrement(&self, value: f64) {
        self.add(-value);
    }

    /// Leaves the lanes to their threads.
    fn set(&self, value: f64) {
        let next = 1 - self.current.load(Relaxed);
        let setting = &self.settings[next];
        setting.added.store(self.added());
        setting.value.store(value);
        self.current.store(next, Release);
        self.note_write();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_lose_nothing() {
        let gauge = GaugeCell::default();
        on_other_threads(8, || {
            for _ in 0..1000 {
                gauge.increment(3.0);
                gauge.decrement(2.0);
            }
        });
        assert_eq!(gauge.read(), Some(8000.0));
    }

    #[test]
    fn a_gauge_is_absent_until_its_first_write() {
        let gauge = GaugeCell::default();
        assert_eq!(gauge.read(), None);
        gauge.set(0.0);
        assert_eq!(gauge.read(), Some(0.0));
    }

    #[test]
    fn a_gauge_is_what_it_was_set_to_and_what_was_added_since() {
        let gauge = GaugeCell::default();
        gauge.increment(3.0);
        std::thread::scope(|scope| scope.spawn(|| gauge.increment(2.0)).join()).expect("no panic");
        assert_eq!(gauge.read(), Some(5.0));
        gauge.set(7.0);
        assert_eq!(gauge.read(), Some(7.0));
        gauge.decrement(1.0);
        assert_eq!(gauge.read(), Some(6.0));
        gauge.set(0.1);
        assert_eq!(gauge.read(), Some(0.1), "exactly");
        gauge.increment(f64::INFINITY);
        assert_eq!(gauge.read(), Some(f64::INFINITY));
        gauge.set(1.0);
        assert_eq!(gauge.read(), Some(1.0));
    }

    fn on_other_threads(threads: usize, work: impl Fn() + Sync) {
        let work = &work;
        std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    }

    /// Does something to a gauge, sets it, and adds to it on the threads that did so.
    #[track_caller]
    fn check_recovers(gauge: &GaugeCell) {
        for value in [2.5, 0.0, -7.0] {
            gauge.set(value);
            assert_eq!(gauge.read(), Some(value));
            on_other_threads(3, || gauge.increment(1.0));
            gauge.decrement(0.125);
            assert_eq!(gauge.read(), Some(value + 2.875));
        }
    }

    #[test]
    fn a_gauge_is_what_it_is_set_to_whatever_it_was_before() {
        let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, 1e300, 1e17, -1e17, 1e12];
        for first in odd {
            for second in odd {
                let gauge = GaugeCell::default();
                for _ in 0..3 {
                    gauge.increment(first);
                    on_other_threads(LANES, || gauge.increment(second));
                }
                check_recovers(&gauge);
                gauge.set(first);
                gauge.increment(second);
                gauge.decrement(first);
                check_recovers(&gauge);
            }
        }
    }

    #[test]
    fn a_gauge_that_went_past_every_number_is_infinite_and_not_absent() {
        let gauge = GaugeCell::default();
        gauge.increment(f64::MAX);
        on_other_threads(1, || gauge.increment(f64::MAX));
        assert_eq!(gauge.read(), Some(f64::INFINITY));
        gauge.increment(-1.0);
        assert_eq!(gauge.read(), Some(f64::INFINITY));
        gauge.set(f64::NEG_INFINITY);
        assert_eq!(gauge.read(), Some(f64::NEG_INFINITY));
        gauge.increment(f64::INFINITY);
        assert!(gauge.read().is_some_and(f64::is_nan), "no number is the sum of both");
        check_recovers(&gauge);
    }

    #[test]
    fn a_lane_that_is_full_loses_nothing() {
        let gauge = GaugeCell::default();
        let step = LARGE / 2.0;
        let steps = (FULL / step) as u32 + 1_000;
        for _ in 0..steps {
            gauge.increment(step);
        }
        assert_eq!(gauge.read(), Some(f64::from(steps) * step));
        gauge.increment(1.0);
        for _ in 0..steps {
            gauge.decrement(step);
        }
        assert_eq!(gauge.read(), Some(1.0));
        check_recovers(&gauge);
    }
}
