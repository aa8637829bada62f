//! When an iteration of an open model counts as late, and how many were.
//!
//! What matters about a late start is what it adds to a latency: 10 ms spoil the percentiles of an answer that takes 5 ms
//! and are nothing beside one of 300 ms. The limit is therefore known only once responses have been measured, so starts are
//! kept with how late they were.

use std::{sync::Mutex, time::Duration};

use crate::{
    lock::lock,
    record::{Latency, Precision},
};

/// A start this much after it was due may be late; less is what timers and thread switches take anyway.
pub(super) const LEAST_LATE: Duration = Duration::from_millis(10);
/// Share of a response's time that a late start may add to it.
const NOTHING_BESIDE: f64 = 0.1;

/// Returns how much after it was due an iteration is late, where quick requests take `quick` seconds.
pub(crate) fn late_after(quick: Option<f64>) -> Duration {
    LEAST_LATE.max(Duration::from_secs_f64(quick.unwrap_or(0.0) * NOTHING_BESIDE))
}

/// The cause of a late start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LateCause {
    /// All users were waiting for the target.
    Target,
    /// A user was free.
    Generator,
}

/// The starts that were late by [`LEAST_LATE`] or more, with how late they were.
#[derive(Debug, Default)]
pub(super) struct LateStarts(Mutex<ByCause>);

#[derive(Debug)]
struct ByCause {
    target: Latency,
    generator: Latency,
}

impl Default for ByCause {
    fn default() -> Self {
        Self { target: Latency::new(Precision::Fine), generator: Latency::new(Precision::Fine) }
    }
}

impl LateStarts {
    /// Records a start that came `by` after it was due.
    pub(super) fn record(&self, cause: LateCause, by: Duration) {
        if by < LEAST_LATE {
            return;
        }
        let mut starts = lock(&self.0);
        match cause {
            LateCause::Target => starts.target.record(by),
            LateCause::Generator => starts.generator.record(by),
        }
    }

    /// Returns how many starts were later than `limit`, and how many of them through the generator.
    pub(super) fn later_than(&self, limit: Duration) -> (u64, u64) {
        let starts = lock(&self.0);
        let by_generator = starts.generator.count_above(limit);
        (starts.target.count_above(limit) + by_generator, by_generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_a_response_is_nothing() {
        let limits = [None, Some(0.001), Some(0.1), Some(0.3), Some(2.0)].map(|quick| late_after(quick).as_millis());
        assert_eq!(limits, [10, 10, 10, 30, 200]);
    }

    #[test]
    fn late_starts_are_counted_from_the_limit_on() {
        let starts = LateStarts::default();
        for millis in [1, 11, 25, 40] {
            starts.record(LateCause::Generator, Duration::from_millis(millis));
        }
        starts.record(LateCause::Target, Duration::from_millis(500));
        let later = |millis| starts.later_than(Duration::from_millis(millis));
        assert_eq!([later(10), later(30), later(100), later(900)], [(4, 3), (2, 1), (1, 0), (0, 0)]);
    }
}
