//! [`MeasuredTime`]: when the service was measured, and when it did not run.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{
    counted_ring::Ring,
    rhythm::{DAY, HALF_HOUR, HALF_HOURS, is_weekend},
};

/// Share of a time that must have been measured for its counts to stand for it, 0 to 1.
const LEAST_RATIO: f64 = 0.9;
/// Time between two ticks that is no pause: a busy machine is late.
const LATE: u64 = 60;
/// Pauses that are kept: a service that restarts every hour has them for two days.
const PAUSES: usize = 48;
/// A pause matters to a silence if it may have hidden what is waited for: if it lasted this share of the usual gap or longer.
const SHARE_OF_GAP: u64 = 10;

/// Which time was measured, in seconds since the Unix epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct MeasuredTime {
    half_hours: Ring<HALF_HOURS>,
    until: Option<u64>,
    /// Beginning and end of each pause, oldest first.
    pauses: VecDeque<(u64, u64)>,
}

impl MeasuredTime {
    /// Notes that the time between two was measured.
    pub(crate) fn add(&mut self, from: u64, to: u64) {
        let from = match self.until {
            // Where one ends, the next begins: fractions of a second must not add up.
            Some(until) if from <= until.saturating_add(1) => until,
            Some(until) if from > until.saturating_add(LATE) => {
                self.pauses.push_back((until, from));
                while self.pauses.len() > PAUSES {
                    self.pauses.pop_front();
                }
                from
            }
            _ => from,
        };
        self.until = Some(to);
        for (at, seconds) in half_hours(from, to) {
            self.half_hours.add(at, u32::try_from(seconds).unwrap_or(u32::MAX));
        }
    }

    /// Returns the end of what was measured.
    pub(crate) fn until(&self) -> Option<u64> {
        self.until
    }

    /// Returns whether a time was measured, but for a tenth at most.
    pub(crate) fn is_measured(&self, from: u64, to: u64) -> bool {
        let share = |at: u64| f64::from(self.half_hours.get(at)) / HALF_HOUR as f64;
        let current = self.until.unwrap_or(0) / HALF_HOUR;
        half_hours(from, to).all(|(at, seconds)| {
            // Of the half hour that has not ended only what has passed.
            let passed = if at == current { self.until.unwrap_or(0) % HALF_HOUR } else { HALF_HOUR };
            let passed = passed.max(1) as f64 / HALF_HOUR as f64;
            seconds == 0 || share(at) >= LEAST_RATIO * passed
        })
    }

    /// Returns whether a day that is like the one of `now` was measured at this time: that of a week ago, or yesterday if it is of the
    /// same kind.
    pub(crate) fn has_reference(&self, now: u64) -> bool {
        let was_measured = |ago: u64| {
            let at = now.checked_sub(ago);
            at.is_some_and(|at| at >= HALF_HOUR && self.is_measured(at - HALF_HOUR, at))
        };
        was_measured(7 * DAY) || (was_measured(DAY) && is_weekend(now) == is_weekend(now.saturating_sub(DAY)))
    }

    /// Returns since when nothing has happened, if `last` was the last time and `gap` is the usual time between two: later, where a
    /// pause may have hidden more.
    pub(crate) fn silent_since(&self, last: u64, now: u64, gap: u64) -> u64 {
        let hides = |(from, to): &&(u64, u64)| {
            *from >= last && *to <= now && to.saturating_sub(*from).saturating_mul(SHARE_OF_GAP) >= gap
        };
        self.pauses.iter().rev().find(hides).map_or(last, |(_, to)| *to)
    }
}

/// Returns the number of each half hour of a time, with how many seconds of it lie in it.
pub(super) fn half_hours(from: u64, to: u64) -> impl Iterator<Item = (u64, u64)> {
    let last = to.max(from).saturating_sub(1).max(from) / HALF_HOUR;
    (from / HALF_HOUR..=last).map(move |at| {
        let (begins, ends) = (at * HALF_HOUR, (at + 1) * HALF_HOUR);
        (at, to.min(ends).saturating_sub(from.max(begins)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const H: u64 = 3600;

    #[test]
    fn seconds_are_divided_among_half_hours() {
        let cut = |from, to| half_hours(from, to).collect::<Vec<_>>();
        assert_eq!(cut(0, 1800), [(0, 1800)]);
        assert_eq!(cut(1700, 3700), [(0, 100), (1, 1800), (2, 100)]);
        assert_eq!(cut(5, 5), [(0, 0)]);
    }

    #[test]
    fn what_was_not_measured_is_known_to_be_missing() {
        let mut time = MeasuredTime::default();
        time.add(0, 10 * H);
        time.add(12 * H, 20 * H);
        assert!(time.is_measured(H, 9 * H) && time.is_measured(13 * H, 20 * H));
        assert!(!time.is_measured(9 * H, 13 * H) && !time.is_measured(20 * H, 22 * H));
        assert_eq!(time.silent_since(9 * H, 15 * H, H), 12 * H, "the pause may have hidden more");
        assert_eq!(time.silent_since(9 * H, 15 * H, 30 * H), 9 * H, "too short to matter");
        assert_eq!(time.silent_since(13 * H, 15 * H, H), 13 * H, "the pause was before");
    }

    #[test]
    fn a_tick_that_is_late_is_no_pause() {
        let mut time = MeasuredTime::default();
        time.add(0, H);
        time.add(H + 20, 2 * H);
        assert_eq!(time.silent_since(H - 100, 2 * H, 1), H - 100);
    }

    #[test]
    fn a_day_is_known_by_yesterday_or_by_the_week_before() {
        // The epoch was a Thursday.
        let mut time = MeasuredTime::default();
        time.add(0, 7 * DAY + 12 * H);
        assert!(time.has_reference(DAY + 12 * H), "Friday after Thursday");
        assert!(!time.has_reference(2 * DAY + 12 * H), "a first Saturday");
        assert!(time.has_reference(3 * DAY + 12 * H), "Sunday after Saturday");
        assert!(!time.has_reference(4 * DAY + 12 * H), "Monday after a Sunday");
        assert!(time.has_reference(7 * DAY + 12 * H), "Thursday after a Thursday");
        assert!(!time.has_reference(12 * H), "nothing before");
    }
}
