//! [`OutageWatch`]: the times in which no request succeeded.
//!
//! Users of the closed model wait longer after each failure. An outage has few failures therefore, however long it lasts, and
//! their share of all requests hides it. What shows it is the time between two successes.
//!
//! A time without a success is no outage where nothing was asked of the service: users that all pause at once, or that all
//! wait for slow answers, leave such times too. So requests must have been under way, and successes to be expected.

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
/// Usual times between two successes that an outage lasts at least.
const INTERVALS: f64 = 10.0;
/// Usual times of a request that it lasts at least.
const REQUESTS: f64 = 3.0;
/// A single failure between two successes is one failure. With fewer than two, requests hung, which must have taken twice as
/// long to be no slow moment.
const FEWEST_FAILURES: u64 = 2;
const HANGING: f64 = 2.0;
/// Users wait up to a second after a failure. If nothing was under way for longer, nothing was asked of the service.
const LONGEST_IDLE: Duration = Duration::from_millis(1_200);
/// Outages that are kept. Two of them are at least a second apart.
const MOST: usize = 1_000;

/// A time in which no request succeeded although some were under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outage {
    /// The last success before it, or the start.
    pub(crate) from: Instant,
    /// The first success after it, or the end.
    pub(crate) to: Instant,
    /// Requests that failed meanwhile.
    pub(crate) failed: u64,
    /// The longest time in it without a request under way.
    idle: Duration,
}

/// What is usual in a run, beside which an outage stands out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usual {
    /// When measuring began.
    pub(crate) start: Instant,
    /// Now, or the end of the load.
    pub(crate) end: Instant,
    /// Requests that succeeded.
    pub(crate) successes: u64,
    /// How long half of these took at most, in seconds.
    pub(crate) median: f64,
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

/// Requests without a success between them.
#[derive(Clone, Copy, Debug)]
struct Silence {
    /// The last success before the first of them, or the start.
    from: Instant,
    failed: u64,
    /// Until when a request was under way.
    busy_until: Instant,
    /// The longest time before that without one.
    idle: Duration,
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
    /// Records how a request ended, and when it was under way. `start` is when measuring began.
    pub(crate) fn note(&self, outcome: Outcome, (sent, ended): (Instant, Instant), start: Instant) {
        match outcome {
            Outcome::Success => {
                let micros = ended.saturating_duration_since(self.origin).as_micros() as u64;
                let before = self.last_success.fetch_max(micros.max(1), Ordering::Relaxed);
                let is_late = Duration::from_micros(micros.saturating_sub(before)) >= SHORTEST;
                if is_late || self.is_open.load(Ordering::Acquire) {
                    self.close(self.time_of(before).unwrap_or(start), (sent, ended));
                }
            }
            Outcome::Rejected | Outcome::TimedOut | Outcome::Broken => {
                let from = self.time_of(self.last_success.load(Ordering::Relaxed)).unwrap_or(start);
                let mut state = lock(&self.state);
                let silence = state.open.get_or_insert_with(|| Silence::since(from));
                silence.failed += 1;
                silence.be_busy(sent, ended);
                self.is_open.store(true, Ordering::Release);
            }
            // The tool gave it up at the end of the test, or could not send it at all: neither is about the service.
            Outcome::Cancelled | Outcome::Unsent => {}
        }
    }

    /// Returns for how long nothing has succeeded by now, if requests failed meanwhile and that is an outage.
    pub(crate) fn current(&self, usual: Usual) -> Option<Duration> {
        let outage = lock(&self.state).open?.until(usual.end);
        (outage.failed >= FEWEST_FAILURES && outage.stands_out(usual)).then(|| outage.length())
    }

    /// Returns the outages of a run.
    pub(crate) fn outages(&self, usual: Usual) -> Vec<Outage> {
        let state = lock(&self.state);
        let open = state.open.iter().map(|silence| silence.until(usual.end));
        let all = state.closed.iter().copied().chain(open);
        let within =
            all.map(|outage| Outage { from: outage.from.max(usual.start), to: outage.to.min(usual.end), ..outage });
        within.filter(|outage| outage.stands_out(usual)).collect()
    }

    /// Returns the time that is so many microseconds after the origin; `None` for 0.
    fn time_of(&self, micros: u64) -> Option<Instant> {
        (micros > 0).then(|| self.origin + Duration::from_micros(micros))
    }

    /// Ends a time without a success by one.
    fn close(&self, from: Instant, (sent, ended): (Instant, Instant)) {
        let mut state = lock(&self.state);
        self.is_open.store(false, Ordering::Release);
        let mut silence = state.open.take().unwrap_or_else(|| Silence::since(from));
        silence.be_busy(sent, ended);
        let outage = silence.until(ended);
        if outage.length() >= SHORTEST && state.closed.len() < MOST {
            state.closed.push(outage);
        }
    }
}

impl Silence {
    fn since(from: Instant) -> Self {
        Self { from, failed: 0, busy_until: from, idle: Duration::ZERO }
    }

    fn be_busy(&mut self, sent: Instant, ended: Instant) {
        self.idle = self.idle.max(sent.saturating_duration_since(self.busy_until));
        self.busy_until = self.busy_until.max(ended);
    }

    fn until(self, to: Instant) -> Outage {
        let idle = self.idle.max(to.saturating_duration_since(self.busy_until));
        Outage { from: self.from, to, failed: self.failed, idle }
    }
}

impl Outage {
    /// Returns how long nothing succeeded.
    pub(crate) fn length(&self) -> Duration {
        self.to.saturating_duration_since(self.from)
    }

    fn stands_out(&self, usual: Usual) -> bool {
        let span = usual.end.saturating_duration_since(usual.start).as_secs_f64();
        let interval = span / usual.successes.max(1) as f64;
        let times = if self.failed >= FEWEST_FAILURES { 1.0 } else { HANGING };
        let shortest = SHORTEST.as_secs_f64().max(interval * INTERVALS).max(usual.median * REQUESTS);
        let longest_idle = LONGEST_IDLE.as_secs_f64().max(interval * 2.0);
        self.length().as_secs_f64() >= shortest * times && self.idle.as_secs_f64() <= longest_idle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes requests of 100 ms that ended so at times in seconds, and returns the outages as start, length and failures.
    fn outages(events: &[(f64, Outcome)], successes: u64, end: f64) -> Vec<(f64, f64, u64)> {
        let with_sent: Vec<_> = events.iter().map(|(ended, outcome)| (ended - 0.1, *ended, *outcome)).collect();
        of_requests(&with_sent, successes, end)
    }

    /// The same of requests with the time at which they were sent.
    fn of_requests(requests: &[(f64, f64, Outcome)], successes: u64, end: f64) -> Vec<(f64, f64, u64)> {
        let watch = OutageWatch::default();
        let start = watch.origin + Duration::from_secs(1);
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        for (sent, ended, outcome) in requests {
            watch.note(*outcome, (at(*sent), at(*ended)), start);
        }
        let round = |time: Duration| (time.as_secs_f64() * 10.0).round() / 10.0;
        let all = watch.outages(Usual { start, end: at(end), successes, median: 0.1 });
        all.iter().map(|outage| (round(outage.from - start), round(outage.length()), outage.failed)).collect()
    }

    #[test]
    fn an_outage_lasts_from_one_success_to_the_next() {
        use Outcome::{Broken, Cancelled, Rejected, Success};
        let events = [
            (1.0, Success),
            (1.1, Broken),
            (2.0, Rejected),
            (3.0, Broken),
            (4.0, Broken),
            (5.0, Success),
            (5.5, Success),
        ];
        assert_eq!(outages(&events, 1000, 6.0), [(1.0, 4.0, 4)]);
        assert_eq!(outages(&events[..5], 1000, 5.0), [(1.0, 4.0, 4)]);
        assert_eq!(outages(&events[1..6], 1000, 6.0), [(0.0, 5.0, 4)]);
        // What the tool gave up is neither a success nor a failure.
        assert_eq!(outages(&[(1.0, Success), (1.5, Cancelled), (1.9, Cancelled), (2.0, Success)], 1000, 3.0), []);
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
    fn users_that_all_pause_at_once_make_no_outage() {
        use Outcome::{Rejected, Success};
        // Failures at the end of one burst, and at the start of the next, five seconds later.
        let events = [(1.0, Success), (1.1, Rejected), (1.2, Rejected), (6.1, Rejected), (6.2, Success)];
        assert_eq!(outages(&events, 1000, 10.0), []);
        assert_eq!(outages(&[(1.0, Success), (6.0, Success)], 1000, 10.0), []);
    }

    #[test]
    fn requests_that_hang_are_an_outage_too() {
        use Outcome::{Success, TimedOut};
        let hanging = [(0.9, 1.0, Success), (1.0, 9.0, Success), (1.0, 9.1, Success)];
        assert_eq!(of_requests(&hanging, 1000, 10.0), [(1.0, 8.0, 0)]);
        let timed_out = [(0.9, 1.0, Success), (1.0, 6.0, TimedOut), (1.0, 6.0, TimedOut), (6.1, 6.2, Success)];
        assert_eq!(of_requests(&timed_out, 1000, 10.0), [(1.0, 5.2, 2)]);
        // A slow answer among few is none.
        assert_eq!(of_requests(&hanging, 15, 10.0), []);
    }

    #[test]
    fn an_outage_that_lasts_is_seen_meanwhile() {
        let watch = OutageWatch::default();
        let start = watch.origin;
        let at = |seconds| start + Duration::from_secs_f64(seconds);
        let note = |outcome, seconds: f64| watch.note(outcome, (at(seconds - 0.1), at(seconds)), start);
        let current = |seconds| watch.current(Usual { start, end: at(seconds), successes: 1000, median: 0.1 });
        note(Outcome::Success, 2.0);
        assert_eq!(current(5.0), None);
        for seconds in [3.0, 4.0, 4.9] {
            note(Outcome::Broken, seconds);
        }
        assert_eq!(current(5.0), Some(Duration::from_secs(3)));
        note(Outcome::Success, 6.0);
        assert_eq!(current(6.5), None);
    }
}
