//! [`Wakes`]: when a request was woken, so that the time until a worker polls it is known exactly.
//!
//! A request's context is the waker that its futures see: it notes the time, and wakes the task. It exists already, so that
//! this allocates nothing. The invariant that a change could break: a context that is given back to the pool wakes nobody, and no
//! task stays alive because of it.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    task::Waker,
    time::Duration,
};

use atomic_waker::AtomicWaker;
use tokio::time::Instant;

use super::turns;

/// A request that was woken and is not polled for this long is late. Below it the runtime is at work as it should.
const LATE: Duration = Duration::from_millis(1);

/// The wakes of one request.
#[derive(Debug, Default)]
pub(super) struct Wakes {
    task: AtomicWaker,
    /// Whether `task` may hold a waker. Relaxed: the task itself sets and clears it. Emptying an empty `task` at the end of each
    /// request would cost two locked instructions.
    followed: AtomicBool,
    /// One more than the nanoseconds from the start of the request to the first wake since its last poll; zero if there was
    /// none. Relaxed: the runtime orders a wake before the poll that it causes.
    at: AtomicU64,
    /// The same of the end of its last long poll: it was not due before.
    polled: AtomicU64,
}

impl Wakes {
    /// Notes a wake of a request that began at `started`, and wakes its task. `within` is whether another request is being polled
    /// on this thread: then that one wakes it, and not the runtime.
    pub(super) fn note(&self, started: Instant, within: bool) {
        if self.at.load(Relaxed) == 0 {
            let now = Instant::now();
            let since = if within { now } else { turns::due_since(now) };
            let since = mark(since.saturating_duration_since(started)).max(self.polled.load(Relaxed));
            self.at.store(since, Relaxed);
        }
        self.task.wake();
    }

    /// Takes the task's own waker before a poll. Returns since when the request has been waiting for this poll, if it is late.
    pub(super) fn poll_begins(&self, task: &Waker, started: Instant) -> Option<(Instant, Duration)> {
        self.task.register(task);
        self.followed.store(true, Relaxed);
        if self.at.load(Relaxed) == 0 {
            return None;
        }
        let since = Duration::from_nanos(self.at.swap(0, Relaxed).checked_sub(1)?);
        let late = started.elapsed().saturating_sub(since);
        (late >= LATE).then(|| (started + since, late))
    }

    /// Notes the end of a long poll.
    pub(super) fn long_poll_ends(&self, started: Instant) {
        self.polled.store(mark(started.elapsed()), Relaxed);
    }

    /// Notes the end of a poll: what was woken during it has waited only since then.
    pub(super) fn poll_ends(&self, started: Instant) {
        if self.at.load(Relaxed) != 0 {
            self.at.store(mark(started.elapsed()), Relaxed);
        }
    }

    /// Ends the following: no task is kept any more.
    pub(super) fn end(&self) {
        if self.followed.load(Relaxed) {
            self.followed.store(false, Relaxed);
            drop(self.task.take());
        }
        self.at.store(0, Relaxed);
        self.polled.store(0, Relaxed);
    }
}

fn mark(since: Duration) -> u64 {
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX - 1) + 1
}
