//! [`CounterCell`]: an atomic that counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use metrics::CounterFn;

/// A counter. Not striped, to keep it small: every request writes histograms and gauges, and counters only if it made
/// queries, ran tasks or was cancelled.
///
/// Relaxed: its value publishes no other memory, and no ordering loses additions to one atomic.
#[derive(Debug)]
pub(crate) struct CounterCell {
    value: AtomicU64,
    /// The value it began with. `absolute` passes on a total that is counted elsewhere, and its first value is the origin:
    /// what was counted before is no increase. [`UNKNOWN`](Self::UNKNOWN) until `absolute` is called.
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

    /// Returns the value it began with: 0, unless `absolute` passes on a total that is counted elsewhere.
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
            // If two threads call it first, one of them sets the origin. The tick may read between this line and the
            // next one, and then sees a counter below its origin, which it takes for no increase.
            let _ = self.origin.compare_exchange(Self::UNKNOWN, origin, Relaxed, Relaxed);
        }
        self.value.fetch_max(value, Relaxed);
    }
}
