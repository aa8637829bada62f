//! What is going on in a run, for those who watch it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::client::ClientError;

/// Live numbers of a run.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    /// Users that have started and not ended; in an open model, iterations in flight.
    active: AtomicUsize,
    begun: OnceLock<Instant>,
    measured: OnceLock<Instant>,
    ended: OnceLock<Instant>,
    /// When the last request ended that outlived the load, in microseconds since it began.
    last_end_us: AtomicU64,
    scheduled: AtomicU64,
    late: AtomicU64,
    late_by_generator: AtomicU64,
    dropped: AtomicU64,
    missed: AtomicU64,
    lacking: Mutex<Option<MissingUsers>>,
}

/// Users that could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MissingUsers {
    /// How many.
    pub(crate) users: u64,
    /// Why the first of them could not.
    pub(crate) why: String,
}

/// What became of the iterations that an open model scheduled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrivals {
    /// Due so far.
    pub(crate) scheduled: u64,
    /// Came to their turn more than 10 ms after they were due.
    pub(crate) late: u64,
    /// Of these, late although a user was free: the generator's own fault.
    pub(crate) late_by_generator: u64,
    /// Sent nothing: no user became free within the timeout, the test was over before, or their steps lacked a value.
    pub(crate) dropped: u64,
    /// Of these, what the generator did not come to: its own fault too.
    pub(crate) missed: u64,
}

impl Arrivals {
    /// Of which at least one request was sent, or will be.
    pub(crate) fn sent(self) -> u64 {
        self.scheduled.saturating_sub(self.dropped)
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

    /// Notes that a request has ended after the load had.
    pub(super) fn end_late(&self) {
        let since = self.begun().map_or(Duration::ZERO, |begun| begun.elapsed());
        self.last_end_us.fetch_max(since.as_micros() as u64, Ordering::Relaxed);
    }

    /// How long the target had work: from the first user's start to the end of the last request, warm-up included.
    pub(crate) fn worked_for(&self) -> Duration {
        let (Some(begun), Some(ended)) = (self.begun(), self.ended.get()) else { return Duration::ZERO };
        let last_end = Duration::from_micros(self.last_end_us.load(Ordering::Relaxed));
        ended.saturating_duration_since(begun).max(last_end)
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

    /// Notes a user that the system gave no client.
    pub(super) fn lack_user(&self, error: &ClientError) {
        let mut lacking = self.lacking.lock().unwrap_or_else(PoisonError::into_inner);
        lacking.get_or_insert_with(|| MissingUsers { users: 0, why: error.to_string() }).users += 1;
    }

    /// Users that could not be made, if there are any.
    pub(crate) fn lacking(&self) -> Option<MissingUsers> {
        self.lacking.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn schedule(&self) {
        self.scheduled.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an iteration that was scheduled and sent nothing.
    pub(super) fn drop_arrival(&self) {
        // Whoever reads it sees that it was scheduled.
        self.dropped.fetch_add(1, Ordering::Release);
    }

    /// Counts iterations that were due before the end and that nothing was done for.
    pub(super) fn miss(&self, iterations: u64) {
        self.scheduled.fetch_add(iterations, Ordering::Relaxed);
        self.dropped.fetch_add(iterations, Ordering::Release);
        self.missed.fetch_add(iterations, Ordering::Release);
    }

    pub(super) fn count_late(&self, cause: LateCause) {
        self.late.fetch_add(1, Ordering::Release);
        if cause == LateCause::Generator {
            self.late_by_generator.fetch_add(1, Ordering::Release);
        }
    }

    /// What became of scheduled iterations; `None` in a closed model.
    pub(crate) fn arrivals(&self) -> Option<Arrivals> {
        // In the opposite order of writing: a part is never more than its whole.
        let missed = self.missed.load(Ordering::Acquire);
        let dropped = self.dropped.load(Ordering::Acquire);
        let late_by_generator = self.late_by_generator.load(Ordering::Acquire);
        let late = self.late.load(Ordering::Acquire);
        let scheduled = self.scheduled.load(Ordering::Relaxed);
        (scheduled > 0).then_some(Arrivals { scheduled, late, late_by_generator, dropped, missed })
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
                let Some(arrivals) = gauges.arrivals() else { continue };
                assert!(arrivals.missed <= arrivals.dropped && arrivals.dropped <= arrivals.scheduled, "{arrivals:?}");
            }
        });
        assert_eq!(gauges.arrivals().unwrap().sent(), 0);
    }
}
