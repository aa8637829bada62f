//! [`OutageWatch`]: the times in which no request succeeded.
//!
//! Users of the closed model wait longer after each failure. An outage has few failures therefore, however long it lasts, and
//! their share of all requests hides it. What shows it is the time between two successes.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::outcome::Outcome;
use crate::lock::lock;

/// A shorter time is what a restart of a process behind a load balancer takes, or a hiccup.
const SHORTEST: Duration = Duration::from_secs(1);
/// Successes that were to be expected in the time of an outage: where they are rare anyway, their absence means little.
const MISSING: f64 = 10.0;
/// A single failure between two successes is one failure.
const FEWEST_FAILURES: u64 = 2;
/// Outages that are kept. Two of them are at least a second apart.
const MOST: usize = 1_000;

/// A time in which no request succeeded and some failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outage {
    /// The last success before it, or the start.
    pub(crate) from: Instant,
    /// The first success after it, or the end.
    pub(crate) to: Instant,
    /// Requests that failed meanwhile.
    pub(crate) failed: u64,
}

impl Outage {
    /// Returns how long nothing succeeded.
    pub(crate) fn length(&self) -> Duration {
        self.to.saturating_duration_since(self.from)
    }
}

/// Watches for times without a success.
#[derive(Debug)]
pub(crate) struct OutageWatch {
    origin: Instant,
    /// When the last success was, in microseconds since `origin`; 0 before the first one.
    last_success: AtomicU64,
    /// Whether a request has failed since. Successes that follow one another take no lock.
    is_open: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The failures since the last success.
    open: Option<Silence>,
    closed: Vec<Outage>,
}

/// Failures without a success between them.
#[derive(Clone, Copy, Debug)]
struct Silence {
    /// The last success before the first of them; absent before the first success.
    from: Option<Instant>,
    failed: u64,
}

impl Default for OutageWatch {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
            last_success: AtomicU64::new(0),
            is_open: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }
}

impl OutageWatch {
    /// Records how a request ended, and when. `start` is when measuring began.
    pub(crate) fn note(&self, outcome: Outcome, ended: Instant, start: Instant) {
        match outcome {
            Outcome::Success => {
                if self.is_open.load(Ordering::Acquire) {
                    self.close(ended, start);
                }
                let micros = ended.saturating_duration_since(self.origin).as_micros() as u64;
                self.last_success.fetch_max(micros, Ordering::Relaxed);
            }
            Outcome::Rejected | Outcome::TimedOut | Outcome::Broken => {
                let mut state = lock(&self.state);
                state.open.get_or_insert(Silence { from: self.last_success(), failed: 0 }).failed += 1;
                self.is_open.store(true, Ordering::Release);
            }
            // The tool gave it up at the end of the test, or could not send it at all: neither is about the service.
            Outcome::Cancelled | Outcome::Unsent => {}
        }
    }

    /// Returns for how long nothing has succeeded, up to `now`, if something failed meanwhile and successes were to be
    /// expected: there were `successes` since `start`.
    pub(crate) fn current(&self, successes: u64, start: Instant, now: Instant) -> Option<Duration> {
        let silence = lock(&self.state).open?;
        let outage = silence.until(now, start);
        outage.is_one(shortest(successes, now.saturating_duration_since(start))).then(|| outage.length())
    }

    /// Returns the outages of a run that began at `start`, lasted until `end` and had so many successes.
    pub(crate) fn outages(&self, successes: u64, start: Instant, end: Instant) -> Vec<Outage> {
        let state = lock(&self.state);
        let shortest = shortest(successes, end.saturating_duration_since(start));
        let open = state.open.iter().map(|silence| silence.until(end, start));
        let all = state.closed.iter().copied().chain(open);
        let within = all.map(|outage| Outage { from: outage.from.max(start), to: outage.to.min(end), ..outage });
        within.filter(|outage| outage.is_one(shortest)).collect()
    }

    fn last_success(&self) -> Option<Instant> {
        let micros = self.last_success.load(Ordering::Relaxed);
        (micros > 0).then(|| self.origin + Duration::from_micros(micros))
    }

    fn close(&self, at: Instant, start: Instant) {
        let mut state = lock(&self.state);
        self.is_open.store(false, Ordering::Release);
        let Some(silence) = state.open.take() else { return };
        let outage = silence.until(at, start);
        if outage.is_one(SHORTEST) && state.closed.len() < MOST {
            state.closed.push(outage);
        }
    }
}

impl Silence {
    fn until(self, to: Instant, start: Instant) -> Outage {
        Outage { from: self.from.unwrap_or(start), to, failed: self.failed }
    }
}

impl Outage {
    fn is_one(&self, shortest: Duration) -> bool {
        self.failed >= FEWEST_FAILURES && self.length() >= shortest
    }
}

/// Returns how long an outage lasts at least, where so many requests succeeded in `span`.
fn shortest(successes: u64, span: Duration) -> Duration {
    let between = span.as_secs_f64() / successes.max(1) as f64;
    SHORTEST.max(Duration::from_secs_f64(between * MISSING))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes what happened at times in seconds, and returns the outages as start, length and failures.
    fn outages(events: &[(f64, Outcome)], successes: u64, end: f64) -> Vec<(f64, f64, u64)> {
        let watch = OutageWatch::default();
        let start = watch.origin + Duration::from_secs(1);
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        events.iter().for_each(|(seconds, outcome)| watch.note(*outcome, at(*seconds), start));
        let round = |time: Duration| (time.as_secs_f64() * 10.0).round() / 10.0;
        let all = watch.outages(successes, start, at(end));
        all.iter().map(|outage| (round(outage.from - start), round(outage.length()), outage.failed)).collect()
    }

    #[test]
    fn an_outage_lasts_from_one_success_to_the_next() {
        use Outcome::{Broken, Cancelled, Rejected, Success};
        let events = [(1.0, Success), (1.1, Broken), (2.0, Rejected), (4.0, Broken), (6.0, Success), (7.0, Success)];
        assert_eq!(outages(&events, 1000, 10.0), [(1.0, 5.0, 3)]);
        // The first success after it ends it, and one that was sent before it changes nothing.
        assert_eq!(outages(&events[..4], 1000, 10.0), [(1.0, 9.0, 3)]);
        assert_eq!(outages(&events[1..5], 1000, 10.0), [(0.0, 6.0, 3)]);
        // Silence without a failure is a slow answer; what the tool gave up is none of both.
        assert_eq!(outages(&[(1.0, Success), (2.0, Cancelled), (3.0, Cancelled), (9.0, Success)], 1000, 10.0), []);
        assert_eq!(outages(&[(1.0, Success), (2.0, Broken), (9.0, Success)], 1000, 10.0), []);
    }

    #[test]
    fn where_successes_are_rare_their_absence_means_little() {
        use Outcome::{Broken, Success};
        let events = [(1.0, Success), (2.0, Broken), (3.0, Broken), (4.0, Success)];
        assert_eq!(outages(&events, 1000, 10.0).len(), 1);
        assert_eq!(outages(&events, 10, 10.0), []);
        let short = [(1.0, Success), (1.1, Broken), (1.2, Broken), (1.9, Success)];
        assert_eq!(outages(&short, 1000, 10.0), []);
    }

    #[test]
    fn an_outage_that_lasts_is_seen_meanwhile() {
        let watch = OutageWatch::default();
        let start = watch.origin;
        let at = |seconds| start + Duration::from_secs(seconds);
        watch.note(Outcome::Success, at(2), start);
        assert_eq!(watch.current(1000, start, at(5)), None);
        watch.note(Outcome::Broken, at(3), start);
        watch.note(Outcome::Broken, at(4), start);
        assert_eq!(watch.current(1000, start, at(5)), Some(Duration::from_secs(3)));
        watch.note(Outcome::Success, at(6), start);
        assert_eq!(watch.current(1000, start, at(9)), None);
    }
}
