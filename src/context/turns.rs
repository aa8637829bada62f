//! [`Turn`]: since when a thread has kept the runtime from looking at timers and sockets.
//!
//! A worker that is busy in a poll does not turn the runtime's driver, so that what a timer or a socket would wake is woken only
//! afterwards: late by as much as the poll took, although the wake itself was followed by a poll at once. A thread's long
//! polls are remembered, and a wake that comes with the first turn after them counts from their beginning.
//!
//! An estimate: it is not known when in the poll the timer ran out or the answer arrived. It is too long by half of the poll on
//! average, and by the whole of it at most.

use std::{cell::Cell, time::Duration};

use tokio::time::Instant;

use super::thread_time::ThreadTime;

/// A poll of this length is longer than it should be, and may be shorter than what blocks. Shorter ones are not remembered.
pub(crate) const LONG: Duration = Duration::from_millis(1);
/// Wakes that follow one another within this time come from one turn of the driver.
const TOGETHER: Duration = Duration::from_micros(200);

/// What a thread was busy with before its last turn of the driver.
#[derive(Clone, Copy, Debug)]
struct Turn {
    /// Its long polls with nothing between them: beginning and end.
    busy: (Instant, Instant),
    /// The thread's times at that end.
    times: Option<ThreadTime>,
    /// Its last wake, and since when that wake was due.
    woke: Option<(Instant, Instant)>,
}

impl Turn {
    /// Returns how long the thread has not been busy until `at`. Time that it waited for a CPU is no pause: a busy machine kept it
    /// from the next poll, or from the driver.
    fn pause(&self, at: Instant, times: Option<ThreadTime>) -> Duration {
        let queued = self.times.zip(times).map(|(then, now)| then.queued_until(now)).unwrap_or_default();
        at.saturating_duration_since(self.busy.1).saturating_sub(queued)
    }

    /// Returns whether a wake of `now` comes from the turn that the busy time delayed. The longer that was, the more is waiting to
    /// be looked at, and the less a mistake matters.
    fn follows(&self, now: Instant) -> bool {
        let (began, ended) = self.busy;
        let grace = (ended.saturating_duration_since(began) / 20).clamp(LONG, 10 * LONG);
        let pause = now.saturating_duration_since(ended);
        // The times of the thread are read only where they may matter.
        pause < grace || pause < LONGEST_PREEMPTION && self.pause(now, ThreadTime::now()) < grace
    }
}

/// A thread that does not get the processor for longer is on a machine of which nothing can be said.
const LONGEST_PREEMPTION: Duration = Duration::from_millis(100);

thread_local! {
    static TURN: Cell<Option<Turn>> = const { Cell::new(None) };
}

/// Notes a long poll that ends on this thread now.
#[cold]
pub(crate) fn note_long_poll(took: Duration) {
    let now = Instant::now();
    let began = now.checked_sub(took).unwrap_or(now);
    let (before, times) = (TURN.get(), ThreadTime::now());
    // Polls that follow one another leave the driver no turn.
    let joined = before.filter(|turn| turn.pause(began, times) < LONG);
    let busy = (joined.map_or(began, |turn| turn.busy.0), now);
    TURN.set(Some(Turn { busy, times, woke: before.and_then(|turn| turn.woke) }));
}

/// Returns since when a wake of `now` has been due, as far as this thread knows.
pub(super) fn due_since(now: Instant) -> Instant {
    let Some(mut turn) = TURN.get() else { return now };
    let together = turn.woke.filter(|(last, _)| now.saturating_duration_since(*last) < TOGETHER);
    let since = match together {
        Some((_, since)) => since,
        None if turn.follows(now) => turn.woke.map_or(turn.busy.0, |(last, _)| last.max(turn.busy.0)),
        None => now,
    };
    turn.woke = Some((now, since));
    TURN.set(Some(turn));
    since
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// In a thread of its own, since the memory is the thread's.
    fn alone(test: impl FnOnce(Instant) + Send) {
        std::thread::scope(|scope| scope.spawn(|| test(Instant::now())).join()).expect("no panic");
    }

    #[test]
    fn wakes_after_a_long_poll_were_due_during_it() {
        alone(|_| {
            note_long_poll(50 * MS);
            let ended = Instant::now();
            let first = due_since(ended);
            assert!(ended - first >= 49 * MS, "{:?}", ended - first);
            let together = ended + Duration::from_micros(100);
            assert_eq!(due_since(together), first, "the same turn");
            let next = ended + Duration::from_micros(900);
            assert_eq!(due_since(next), together, "the driver had a turn since");
            let later = ended + 20 * MS;
            assert_eq!(due_since(later), later);
        });
    }

    #[test]
    fn a_thread_that_was_not_busy_wakes_in_time() {
        alone(|now| assert_eq!(due_since(now), now));
    }

    #[test]
    fn polls_without_a_pause_are_one() {
        alone(|_| {
            note_long_poll(50 * MS);
            note_long_poll(Duration::ZERO);
            let ended = Instant::now();
            assert!(ended - due_since(ended) >= 49 * MS);
        });
    }
}
