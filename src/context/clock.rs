//! [`RequestClock`]: when a request began, and how long it and its polls took.
//!
//! By the CPU's time-stamp counter, which costs less than half of the system's clock: nothing else is read as often. Only a request
//! that does something asks when it began on the clock of everything else, tokio's. A test may have paused that one, so that the
//! monitor looks once a tick whether it stands still. The invariant that a change could break: a duration comes from one clock.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::nanos::nanos;

/// Read as it is, and converted once for each difference.
static COUNTER: LazyLock<quanta::Clock> = LazyLock::new(quanta::Clock::new);

/// A clock that is not paused goes on within this time.
const STANDSTILL: Duration = Duration::from_micros(10);

/// Two clocks are read within this time, unless the thread was kept from running in between.
const TOGETHER: u64 = 500;
/// How often that is tried.
const TRIES: usize = 5;

/// A reading of the counter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading(u64);

impl Reading {
    /// Reads the counter.
    #[inline]
    pub(crate) fn now() -> Self {
        Self(COUNTER.raw())
    }

    /// Returns the nanoseconds from this reading until now.
    #[inline]
    pub(crate) fn elapsed(self) -> u64 {
        COUNTER.delta_as_nanos(self.0, COUNTER.raw())
    }
}

/// A moment, in one number: a reading of the counter or, with the highest bit, nanoseconds from the epoch of its
/// [`RequestClock`]. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(u64);

/// Of the nanoseconds of tokio's clock.
const OF_TOKIO: u64 = 1 << 63;

impl Moment {
    /// Returns the number.
    #[inline]
    pub(super) fn number(self) -> u64 {
        self.0
    }

    /// Returns whether it is one of tokio's clock.
    #[inline]
    pub(super) fn is_of_tokio(self) -> bool {
        self.0 & OF_TOKIO != 0
    }

    /// Returns the moment of a number that is not zero.
    #[inline]
    pub(super) fn from_number(number: u64) -> Option<Self> {
        (number != 0).then_some(Self(number))
    }
}

/// What requests are timed by.
#[derive(Debug)]
pub(crate) struct RequestClock {
    epoch: Instant,
    /// Whether tokio's clock is paused. Relaxed: a test pauses it before it sends requests.
    is_paused: AtomicBool,
}

impl RequestClock {
    pub(super) fn new() -> Self {
        Self { epoch: Instant::now(), is_paused: AtomicBool::new(is_paused()) }
    }

    /// Looks whether tokio's clock is paused now.
    pub(super) fn look(&self) {
        self.is_paused.store(is_paused(), Relaxed);
    }

    /// Returns this moment.
    #[inline]
    pub(crate) fn now(&self) -> Moment {
        if self.is_paused.load(Relaxed) {
            self.moment(Instant::now())
        } else {
            Moment(Reading::now().0 & !OF_TOKIO | 1)
        }
    }

    /// Returns a moment of tokio's clock.
    pub(crate) fn moment(&self, at: Instant) -> Moment {
        Moment(nanos(at.saturating_duration_since(self.epoch)) | OF_TOKIO)
    }

    /// Returns the nanoseconds since a moment.
    #[inline]
    pub(crate) fn since(&self, moment: Moment) -> u64 {
        match self.of_tokio(moment) {
            Some(at) => nanos(at.elapsed()),
            None => Reading(moment.0).elapsed(),
        }
    }

    /// Returns how long a moment is over at the time `now`, which is the present.
    pub(super) fn age(&self, moment: Moment, now: Instant) -> Duration {
        match self.of_tokio(moment) {
            Some(at) => now.saturating_duration_since(at),
            None => Duration::from_nanos(Reading(moment.0).elapsed()),
        }
    }

    /// Returns a moment by tokio's clock. Of a reading it differs by the time between two readings, mostly below a
    /// microsecond.
    pub(super) fn instant(&self, moment: Moment) -> Instant {
        self.of_tokio(moment).unwrap_or_else(|| {
            let both = || {
                let reading = Reading::now();
                let (now, since) = (Instant::now(), Reading(moment.0).elapsed());
                (reading.elapsed(), now.checked_sub(Duration::from_nanos(since)).unwrap_or(now))
            };
            let (mut apart, mut at) = both();
            for _ in 1..TRIES {
                if apart <= TOGETHER {
                    break;
                }
                let (nearer, again) = both();
                if nearer < apart {
                    (apart, at) = (nearer, again);
                }
            }
            at
        })
    }

    #[inline]
    fn of_tokio(&self, moment: Moment) -> Option<Instant> {
        moment.is_of_tokio().then(|| self.epoch + Duration::from_nanos(moment.0 & !OF_TOKIO))
    }
}

/// Returns whether tokio's clock stands still for this thread.
fn is_paused() -> bool {
    let (began, before) = (std::time::Instant::now(), Instant::now());
    while Instant::now() == before {
        if began.elapsed() > STANDSTILL {
            return Instant::now() == before;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_paused_clock_decides_how_long_a_request_took() {
        let clock = RequestClock::new();
        let began = clock.now();
        assert_eq!((clock.since(began), clock.instant(began)), (0, Instant::now()));
        tokio::time::advance(7 * SECOND).await;
        assert_eq!((clock.since(began), clock.age(began, Instant::now())), (7_000_000_000, 7 * SECOND));
        assert_eq!(clock.instant(began), Instant::now() - 7 * SECOND);
    }

    #[tokio::test]
    async fn a_look_finds_that_the_clock_was_paused_or_resumed() {
        let clock = RequestClock::new();
        let before = clock.now();
        tokio::time::pause();
        clock.look();
        let paused = clock.now();
        tokio::time::advance(SECOND).await;
        assert_eq!(clock.since(paused), 1_000_000_000);
        assert!(clock.since(before) < 1_000_000_000, "what began before it is timed as it began");
        tokio::time::resume();
        clock.look();
        let resumed = clock.now();
        while clock.since(resumed) == 0 {}
        assert!(clock.since(paused) >= 1_000_000_000);
    }

    #[test]
    fn a_moment_is_the_same_on_both_clocks() {
        let clock = RequestClock::new();
        let mut apart = (0..100).map(|_| {
            let (before, moment, after) = (Instant::now(), clock.now(), Instant::now());
            let at = clock.instant(moment);
            before.saturating_duration_since(at).max(at.saturating_duration_since(after))
        });
        // The thread may be kept from running in some of them.
        assert!(apart.any(|apart| apart < Duration::from_micros(5)));
        let at = Instant::now() + SECOND;
        assert_eq!(clock.instant(clock.moment(at)), at);
    }

    #[test]
    fn no_moment_is_no_number() {
        let clock = RequestClock::new();
        assert_eq!(Moment::from_number(0), None);
        for moment in [clock.now(), clock.moment(clock.epoch)] {
            assert_eq!(Moment::from_number(moment.number()), Some(moment));
        }
    }
}
