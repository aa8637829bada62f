//! [`Stripe`]: the atomics that the threads of one lane add an observation to.
//!
//! Each step is a release, and each load of another thread's an acquire; the reasons are in [`store`](super). The invariant
//! that a change could break: only a stripe of an exclusive lane is written with plain loads and stores.

use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

/// The observations of the threads of one lane. One piece of memory, the buckets at its end: an observation and a tick wait for
/// memory more than for anything else.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Stripe<Buckets: ?Sized = [AtomicU32]> {
    /// One bit for each group of buckets that grew since the last tick. The tick reads the buckets of these groups
    /// alone, and of those of the tick before.
    pub(super) touched: AtomicU64,
    pub(super) sum: AtomicFloat,
    /// Smallest and largest value since the last tick.
    pub(super) min: AtomicFloat,
    pub(super) max: AtomicFloat,
    /// Low part of each count. Buckets are most of a series' memory, so they have 32 bits; what does not fit is moved to
    /// [`HistogramCell::carried`].
    pub(super) buckets: Buckets,
}

/// Makes a stripe of the smallest of some sizes that has enough buckets.
macro_rules! stripe_of {
    ($buckets:expr, $($size:literal)*, $largest:literal) => {
        match $buckets {
            $(..=$size => Box::new(Stripe::<[AtomicU32; $size]>::empty()),)*
            _ => Box::new(Stripe::<[AtomicU32; $largest]>::empty()),
        }
    };
}

impl<const SIZE: usize> Stripe<[AtomicU32; SIZE]> {
    fn empty() -> Self {
        Self {
            touched: AtomicU64::new(0),
            sum: AtomicFloat::new(0.0),
            min: AtomicFloat::new(f64::INFINITY),
            max: AtomicFloat::new(f64::NEG_INFINITY),
            buckets: [const { AtomicU32::new(0) }; SIZE],
        }
    }
}

impl Stripe {
    /// Returns a stripe with at least so many buckets; a [`Layout`](super::layout::Layout) has no more than the largest one.
    pub(super) fn new(buckets: usize) -> Box<Self> {
        // The size of a type is known when it is compiled. With the 32 bytes before the buckets these fill whole cache lines.
        stripe_of!(
            buckets,
            24 56 88 120 152 184 216 248 280 312 344 376 408 440 472 504 536 568 600 632 664 696 728 760 792 824 856 888 920 952 984,
            1048
        )
    }

    /// Adds to a bucket, and returns its count from now on. `count` is below [`HALF`].
    pub(super) fn count(&self, bucket: usize, count: u32, is_exclusive: bool) -> u32 {
        let bucket = &self.buckets[bucket];
        if is_exclusive {
            let counted = bucket.load(Relaxed).wrapping_add(count);
            bucket.store(counted, Release);
            counted
        } else {
            bucket.fetch_add(count, AcqRel).wrapping_add(count)
        }
    }

    /// Marks a group. Writes only if it is not marked yet: most observations find it marked, and a load leaves the line
    /// shared. In an exclusive lane a mark that the tick takes at this moment may come back, which costs a read.
    pub(super) fn mark(&self, group: u64, is_exclusive: bool) {
        let touched = self.touched.load(Relaxed);
        if touched & group != 0 {
        } else if is_exclusive {
            self.touched.store(touched | group, Release);
        } else {
            self.touched.fetch_or(group, AcqRel);
        }
    }

    /// Adds to the sum, and takes the value for an extreme if it is one.
    pub(super) fn add(&self, value: f64, count: f64, is_exclusive: bool) {
        let is_less = value < self.min.load();
        let is_more = value > self.max.load();
        if is_exclusive {
            self.sum.store(self.sum.load() + value * count);
            if is_less {
                self.min.store(value);
            }
            if is_more {
                self.max.store(value);
            }
        } else {
            self.sum.add(value * count);
            if is_less {
                self.min.update(|min| (value < min).then_some(value));
            }
            if is_more {
                self.max.update(|max| (value > max).then_some(value));
            }
        }
    }
}

/// Count at which a bucket of a stripe is emptied by half. Before the other half is full, 2^31 further observations would have
/// to be counted, between two instructions.
pub(super) const HALF: u32 = 1 << 31;

/// A float in an atomic.
#[derive(Debug)]
pub(super) struct AtomicFloat(AtomicU64);

impl Default for AtomicFloat {
    fn default() -> Self {
        Self::new(0.0)
    }
}

impl AtomicFloat {
    pub(super) const fn new(value: f64) -> Self {
        Self(AtomicU64::new(value.to_bits()))
    }

    // Acquire and Release, because the steps of a histogram are seen in their order; see `HistogramCell::add`.
    pub(super) fn load(&self) -> f64 {
        f64::from_bits(self.0.load(Acquire))
    }

    pub(super) fn store(&self, value: f64) {
        self.0.store(value.to_bits(), Release);
    }

    pub(super) fn swap(&self, value: f64) -> f64 {
        f64::from_bits(self.0.swap(value.to_bits(), AcqRel))
    }

    pub(super) fn update(&self, change: impl Fn(f64) -> Option<f64>) {
        let mut old = self.0.load(Acquire);
        while let Some(new) = change(f64::from_bits(old)) {
            match self.0.compare_exchange_weak(old, new.to_bits(), AcqRel, Acquire) {
                Ok(_) => return,
                Err(now) => old = now,
            }
        }
    }

    pub(super) fn add(&self, value: f64) {
        self.update(|old| Some(old + value));
    }
}
