//! Live numbers of a run, written by the users and read by the progress and by the watch on the generator.

use std::{
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::lateness::{LateCause, LateStarts};
use crate::lock::lock;

/// The live numbers of a run.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    /// Users that have started and not ended; in an open model, iterations in flight.
    active: AtomicUsize,
    begun: OnceLock<Instant>,
    measured: OnceLock<Instant>,
    ended: OnceLock<Instant>,
    /// When the last request ended that outlived the load, in microseconds since the load began.
    last_end_us: AtomicU64,
    scheduled: AtomicU64,
    late: LateStarts,
    dropped: AtomicU64,
    missed: AtomicU64,
    missing_users: Mutex<Option<MissingUsers>>,
}

/// Users for which the system gave no client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MissingUsers {
    /// How many.
    pub(crate) users: u64,
    /// Why the first of them got none.
    pub(crate) why: String,
}

/// What became of the iterations that an open model scheduled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrivals {
    /// Iterations that were due so far.
    pub(crate) scheduled: u64,
    /// Iterations that began more than [`Self::late_after`] after they were due.
    pub(crate) late: u64,
    /// Those of them that were late although a user was free, which is the generator's own fault.
    pub(crate) late_by_generator: u64,
    /// Iterations that sent nothing: no user became free within the timeout, the test was over before, or a step lacked
    /// a value.
    pub(crate) dropped: u64,
    /// Those of them that the generator was too slow to start, which is its own fault too.
    pub(crate) missed: u64,
    /// How much after it was due an iteration is late.
    pub(crate) late_after: Duration,
}

impl Arrivals {
    /// Iterations of which at least one request was sent, or will be.
    pub(crate) fn sent(self) -> u64 {
        self.scheduled.saturating_sub(self.dropped)
    }

    /// Returns the share of the scheduled iterations that were dropped, 0 to 1; 0 where none was scheduled.
    pub(crate) fn dropped_ratio(self) -> f64 {
        self.dropped as f64 / self.scheduled.max(1) as f64
    }

    /// Returns the share of the scheduled iterations that were late, 0 to 1; 0 where none was scheduled.
    pub(crate) fn late_ratio(self) -> f64 {
        self.late as f64 / self.scheduled.max(1) as f64
    }
}

impl Gauges {
    /// Records the start of the first user and returns when that was. Later calls change nothing.
    pub(super) fn begin(&self) -> Instant {
        *self.begun.get_or_init(Instant::now)
    }

    /// Returns when the load began, if it has.
    pub(crate) fn begun(&self) -> Option<Instant> {
        self.begun.get().copied()
    }

    pub(super) fn begin_measuring(&self) {
        self.measured.get_or_init(Instant::now);
    }

    /// Returns when measuring began: with the load, or after the warm-up.
    pub(crate) fn measured_since(&self) -> Option<Instant> {
        self.measured.get().copied().or_else(|| self.begun())
    }

    pub(super) fn end_load(&self) {
        self.ended.get_or_init(Instant::now);
    }

    /// Returns how long was measured, up to now or to the end of the load.
    pub(crate) fn measured_for(&self) -> Duration {
        let Some(since) = self.measured_since() else { return Duration::ZERO };
        self.ended.get().copied().unwrap_or_else(Instant::now).saturating_duration_since(since)
    }

    /// Records that a request ended after the load did.
    pub(super) fn end_late(&self) {
        let since = self.begun().map_or(Duration::ZERO, |begun| begun.elapsed());
        self.last_end_us.fetch_max(since.as_micros() as u64, Ordering::Relaxed);
    }

    /// Returns how long the target had work: from the start of the first user to the end of the last request, the warm-up
    /// included.
    pub(crate) fn worked_for(&self) -> Duration {
        let (Some(begun), Some(ended)) = (self.begun(), self.ended.get()) else { return Duration::ZERO };
        let last_end = Duration::from_micros(self.last_end_us.load(Ordering::Relaxed));
        ended.saturating_duration_since(begun).max(last_end)
    }

    /// Returns the active users; in an open model, the iterations in flight.
    pub(crate) fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    pub(super) fn enter(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn leave(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a user for which the system gave no client.
    pub(super) fn count_missing_user(&self, error: &dyn std::error::Error) {
        let mut missing = lock(&self.missing_users);
        missing.get_or_insert_with(|| MissingUsers { users: 0, why: error.to_string() }).users += 1;
    }

    /// Returns the users for which the system gave no client, if there are any.
    pub(crate) fn missing_users(&self) -> Option<MissingUsers> {
        lock(&self.missing_users).clone()
    }

    pub(super) fn schedule(&self) {
        self.scheduled.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an iteration that was scheduled and sent nothing.
    pub(super) fn drop_arrival(&self) {
        // Release: a reader that sees the drop must also see that the iteration was scheduled.
        self.dropped.fetch_add(1, Ordering::Release);
    }

    /// Counts iterations that were due before the end and were never started.
    pub(super) fn miss(&self, iterations: u64) {
        self.scheduled.fetch_add(iterations, Ordering::Relaxed);
        self.dropped.fetch_add(iterations, Ordering::Release);
        self.missed.fetch_add(iterations, Ordering::Release);
    }

    /// Records that an iteration began so long after it was due.
    pub(super) fn begin_late(&self, cause: LateCause, by: Duration) {
        self.late.record(cause, by);
    }

    /// Returns what became of the scheduled iterations, which are late `late_after` they were due; `None` in a closed model.
    pub(crate) fn arrivals(&self, late_after: Duration) -> Option<Arrivals> {
        // In the opposite order of writing, so that a part is never more than its whole.
        let missed = self.missed.load(Ordering::Acquire);
        let dropped = self.dropped.load(Ordering::Acquire);
        let (late, late_by_generator) = self.late.later_than(late_after);
        let scheduled = self.scheduled.load(Ordering::Relaxed);
        (scheduled > 0).then_some(Arrivals { scheduled, late, late_by_generator, dropped, missed, late_after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_has_work_until_its_last_answer() {
        let gauges = Gauges::default();
        assert_eq!(gauges.worked_for(), Duration::ZERO);
        gauges.begin();
        gauges.end_load();
        let load = gauges.worked_for();
        assert_eq!(load, gauges.measured_for());
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(gauges.worked_for(), load);
        gauges.end_late();
        assert!(gauges.worked_for() >= load + Duration::from_millis(1) && gauges.measured_for() == load);
    }

    #[test]
    fn what_is_counted_meanwhile_never_drops_more_than_was_scheduled() {
        let gauges = Gauges::default();
        std::thread::scope(|scope| {
            let counting = scope.spawn(|| (0..200_000).for_each(|_| gauges.miss(1)));
            while !counting.is_finished() {
                let Some(arrivals) = gauges.arrivals(Duration::ZERO) else { continue };
                assert!(arrivals.missed <= arrivals.dropped && arrivals.dropped <= arrivals.scheduled, "{arrivals:?}");
            }
        });
        assert_eq!(gauges.arrivals(Duration::ZERO).unwrap().sent(), 0);
    }
}
