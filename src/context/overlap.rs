//! [`Overlap`]: how many calls of one query ran at once.
//!
//! From the calls themselves when they end, since a driver's own events come only then: a call counts those that were running in
//! the middle of it and have ended. So of calls that run together the last one to end sees them all, and none is counted that
//! merely followed another.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::nanos::nanos;

/// Calls that are remembered, and so one less than are ever counted at once.
const CALLS: usize = 64;
/// Shorter calls are not followed: so many of them at once do no harm.
const SHORT: Duration = Duration::from_millis(1);

/// Begin and end of a call, in nanoseconds from the epoch. Relaxed: a call that is written while it is read may be counted or not.
#[derive(Debug, Default)]
struct Call {
    began: AtomicU64,
    ended: AtomicU64,
}

/// The last calls of one query.
#[derive(Debug)]
pub(crate) struct Overlap {
    epoch: Instant,
    next: AtomicUsize,
    calls: OnceLock<Box<[Call]>>,
}

impl Overlap {
    pub(super) fn new(epoch: Instant) -> Self {
        Self { epoch, next: AtomicUsize::new(0), calls: OnceLock::new() }
    }

    /// Adds a call that has ended, and returns how many ran at once in the middle of it; `None` of a short one.
    pub(crate) fn add(&self, began: Instant, duration: Duration) -> Option<usize> {
        if duration < SHORT {
            return None;
        }
        let calls = self.calls.get_or_init(|| (0..CALLS).map(|_| Call::default()).collect());
        let since = |at: Instant| nanos(at.saturating_duration_since(self.epoch));
        let (from, middle, to) = (since(began), since(began + duration / 2), since(began + duration));
        let running = |call: &&Call| call.began.load(Relaxed) <= middle && middle < call.ended.load(Relaxed);
        let others = calls.iter().filter(running).count();
        let place = &calls[self.next.fetch_add(1, Relaxed) % CALLS];
        place.began.store(from, Relaxed);
        place.ended.store(to, Relaxed);
        Some(others + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn calls_that_run_together_are_counted_together() {
        let epoch = Instant::now();
        let overlap = Overlap::new(epoch);
        let counted: Vec<_> = (0..25).filter_map(|at| overlap.add(epoch + at * MS, (100 + at) * MS)).collect();
        assert_eq!(counted, (1..=25).collect::<Vec<_>>());
        let later = epoch + 1000 * MS;
        assert_eq!(overlap.add(later, 100 * MS), Some(1), "after a pause");
    }

    #[test]
    fn calls_that_follow_one_another_never_ran_at_once() {
        let epoch = Instant::now();
        let overlap = Overlap::new(epoch);
        let many = (0..100).filter_map(|at| overlap.add(epoch + at * 2 * MS, 2 * MS)).max();
        assert_eq!(many, Some(1));
        assert_eq!(overlap.add(epoch, 200 * MS), Some(2), "a long one beside short ones");
        assert_eq!(overlap.add(epoch, MS / 2), None);
    }
}
