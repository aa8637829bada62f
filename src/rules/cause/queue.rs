//! [`Queue`]: the signature of a queue in the durations of requests.
//!
//! In a queue of `k` places that take `s` each, `k / s` requests end in a second whatever waits. So the requests in flight times
//! the shortest duration over the average is `k`, and while the queue is full all take about as long. A call that is slow by
//! itself takes about its shortest always, or is spread out.

use super::{
    case::{Case, count, seconds},
    diagnosis::Diagnosis,
};
use crate::rules::{
    cause_kind::{CauseKind, Confidence::Likely},
    fact,
};

/// In a queue the median takes so many times the shortest; in a slow call it does not.
const QUEUED: f64 = 2.0;
/// Where it takes so many times the shortest, no call that is slow by itself has one duration: one between a shortest and a longest
/// duration, each as likely, has its median below five times the shortest wherever nearly all of its calls are slow.
const DEEP: f64 = 5.0;
/// A queue that is not deep is told from such a call only where all take as long: this many times the median at most.
const EVEN: f64 = 1.2;
/// In a full queue the slow ones take at most so many times the median, and nearly all are slow.
const ALIKE: f64 = 1.6;
const NEARLY_ALL: f64 = 0.8;
/// How close to a whole number the places must come to speak for a queue where durations are spread. The rate and the shortest
/// duration are within 5 % each.
const WHOLE: f64 = 0.1;
/// Fewer places than this are none: the shortest found no work to do. The holder may be late itself, so one place can look like
/// half of one.
const FEWEST: f64 = 0.5;
/// More places than this are no queue of a pool but a machine at its limit.
const MOST: f64 = 64.0;

/// A queue that requests seem to wait in.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Queue {
    /// How many run at a time, a whole number.
    pub(super) places: f64,
    pub(super) because: String,
    /// Whether a call of any duration does not explain the durations as well.
    pub(super) is_certain: bool,
}

impl Queue {
    /// Returns the cause, of time that `passes` outside what is tracked.
    pub(super) fn diagnosis(&self, passes: &str) -> Diagnosis {
        Diagnosis::new(CauseKind::Queue, Likely, format!("{passes}; {}", self.because))
            .word("places", Some(of(self.places)))
            .word("suspects", Some(suspects(self.places)))
    }
}

/// Returns the queue that the durations of a subject point to; `None` where they do not, or were not measured.
pub(super) fn read(case: &Case<'_>) -> Option<Queue> {
    let (in_flight, shortest) = (case.number(fact::IN_FLIGHT)?, case.number(fact::MIN_DURATION)?);
    let average = case.number(fact::AVG_DURATION)?;
    let median = case.number(fact::P50_DURATION).unwrap_or(average);
    if median.min(average) < QUEUED * shortest {
        return None;
    }
    let estimate = in_flight * shortest / average;
    if !(FEWEST..=MOST).contains(&estimate) {
        return None;
    }
    let places = estimate.round().max(1.0);
    let within = |times: f64| case.number(fact::P95_DURATION).is_some_and(|p95| p95 <= times * median);
    let alike = within(ALIKE) && case.number(fact::SLOW_RATIO).is_none_or(|slow| slow >= NEARLY_ALL);
    let is_whole = (estimate - places).abs() <= WHOLE * places;
    let is_deep = median >= DEEP * shortest;
    let is_queue = if is_deep { alike || is_whole } else { alike && within(EVEN) && is_whole };
    is_queue.then(|| Queue {
        places,
        because: format!(
            "{} are in flight on average and take {}, the shortest {}: as in a queue of {} at a time",
            count(in_flight),
            seconds(average),
            seconds(shortest),
            of(places),
        ),
        is_certain: alike && is_deep,
    })
}

/// Writes a number of places.
pub(super) fn of(places: f64) -> String {
    if places == 1.0 { "one".to_owned() } else { count(places) }
}

/// Returns what has so many places.
fn suspects(places: f64) -> String {
    if places == 1.0 {
        "a lock that is held across an await, a semaphore or a pool of one, or one task behind a channel".to_owned()
    } else {
        format!("a semaphore, a pool, a number of workers or a limit of {}", count(places))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::cause::tables::{Table, endpoint};

    /// In flight, shortest, average, median, 95th percentile, share of slow ones.
    fn durations([in_flight, shortest, average, median, p95, slow]: [f64; 6]) -> Table {
        endpoint()
            .number(fact::IN_FLIGHT, in_flight)
            .number(fact::MIN_DURATION, shortest)
            .number(fact::AVG_DURATION, average)
            .number(fact::P50_DURATION, median)
            .number(fact::P95_DURATION, p95)
            .number(fact::SLOW_RATIO, slow)
    }

    #[track_caller]
    fn check(values: [f64; 6], expected: Option<(f64, bool)>) {
        let found = std::cell::Cell::new(None);
        durations(values).read(|case| {
            found.set(read(case).map(|queue| (queue.places, queue.is_certain)));
            None
        });
        assert_eq!(found.get(), expected);
    }

    #[test]
    fn a_full_queue_has_one_duration_that_is_many_times_the_shortest() {
        check([13.2, 0.102, 1.377, 1.52, 1.541, 0.945], Some((1.0, true)));
        check([34.5, 0.098, 1.51, 1.66, 1.68, 0.94], Some((2.0, true)));
        // The holder of the only place is late itself.
        check([9.7, 0.132, 2.08, 2.2, 2.6, 0.9], Some((1.0, true)));
    }

    #[test]
    fn slow_calls_are_no_queue() {
        // Always the same.
        check([5.3, 1.402, 1.408, 1.422, 1.422, 1.0], None);
        // Anything between 0.1 and 2 seconds.
        check([25.0, 0.1, 1.05, 1.05, 1.9, 0.7], None);
        // Anything between 0.5 and 2 seconds, with six users and with five.
        check([6.0, 0.5, 1.26, 1.28, 1.92, 0.89], None);
        check([5.0, 0.5, 1.26, 1.28, 1.92, 0.89], None);
        // A jitter around 1 s.
        check([8.0, 0.48, 1.03, 1.0, 1.51, 0.97], None);
        // A few hits of a cache among misses.
        check([10.0, 0.001, 1.4, 1.5, 1.6, 0.9], None);
    }

    #[test]
    fn a_whole_number_alone_proves_no_queue() {
        check([10.0, 0.2, 2.0, 1.2, 6.0, 0.3], Some((1.0, false)));
        // Three wait for one place.
        check([3.0, 0.1, 0.3, 0.3, 0.31, 0.95], Some((1.0, false)));
    }
}
