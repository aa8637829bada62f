//! What is going on in a run, for those who watch it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Live numbers of a run.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    /// Users that have started and not ended; in an open model, iterations in flight.
    active: AtomicUsize,
    begun: OnceLock<Instant>,
    measured: OnceLock<Instant>,
    ended: OnceLock<Instant>,
    scheduled: AtomicU64,
    late: AtomicU64,
    late_by_generator: AtomicU64,
    dropped: AtomicU64,
    missed: AtomicU64,
}

/// What became of the iterations that an open model scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrivals {
    /// Due so far.
    pub(crate) scheduled: u64,
    /// Started more than 10 ms after they were due.
    pub(crate) late: u64,
    /// Of these, late although a user was free: the generator's own fault.
    pub(crate) late_by_generator: u64,
    /// Never started: no user became free within the timeout, or the test was over before the generator came to it.
    pub(crate) dropped: u64,
    /// Of these, what the generator did not come to: its own fault too.
    pub(crate) missed: u64,
}

impl Arrivals {
    /// Started.
    pub(crate) fn sent(self) -> u64 {
        self.scheduled - self.dropped
    }
}

impl Gauges {
    /// Notes the first user's start; later calls change nothing. Returns when that was.
    pub(super) fn begin(&self) -> Instant {
        *self.begun.get_or_init(Instant::now)
    }

    /// When the load began, if it has.
    pub(crate) fn begun(&self) -> Option<Instant> {
        self.begun.get().copied()
    }

    pub(super) fn begin_measuring(&self) {
        self.measured.get_or_init(Instant::now);
    }

    /// When measuring began: with the load, or after the warm-up.
    pub(crate) fn measured_since(&self) -> Option<Instant> {
        self.measured.get().copied().or_else(|| self.begun())
    }

    pub(super) fn end_load(&self) {
        self.ended.get_or_init(Instant::now);
    }

    /// How long was measured, up to now or to the end of the load.
    pub(crate) fn measured_for(&self) -> Duration {
        let Some(since) = self.measured_since() else { return Duration::ZERO };
        self.ended.get().copied().unwrap_or_else(Instant::now).saturating_duration_since(since)
    }

    /// Users, or iterations, that are going on.
    pub(crate) fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    pub(super) fn enter(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn leave(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn schedule(&self) {
        self.scheduled.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn drop_arrival(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts iterations that were due before the end and that nothing was done for.
    pub(super) fn miss(&self, iterations: u64) {
        self.scheduled.fetch_add(iterations, Ordering::Relaxed);
        self.dropped.fetch_add(iterations, Ordering::Relaxed);
        self.missed.fetch_add(iterations, Ordering::Relaxed);
    }

    pub(super) fn count_late(&self, cause: LateCause) {
        self.late.fetch_add(1, Ordering::Relaxed);
        if cause == LateCause::Generator {
            self.late_by_generator.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What became of scheduled iterations; `None` in a closed model.
    pub(crate) fn arrivals(&self) -> Option<Arrivals> {
        let scheduled = self.scheduled.load(Ordering::Relaxed);
        (scheduled > 0).then(|| Arrivals {
            scheduled,
            late: self.late.load(Ordering::Relaxed),
            late_by_generator: self.late_by_generator.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            missed: self.missed.load(Ordering::Relaxed),
        })
    }
}

/// Whose fault a late start was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LateCause {
    /// All users waited for the target.
    Target,
    /// A user was free.
    Generator,
}
