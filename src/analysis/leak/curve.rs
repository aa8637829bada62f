//! The memory of one process, kept for the detector.
//!
//! Bounded: at most one sample in fifteen seconds and 24 hours of them, some 140 kB. It reads no clock and no memory;
//! whoever samples hands both in.

use std::time::Duration;

use super::{LONGEST, MemorySample};

/// Least time between two samples that are kept.
const STEP: Duration = Duration::from_secs(15);
/// Samples of 24 hours.
const DAY: usize = (LONGEST.as_secs() / STEP.as_secs()) as usize;
/// Samples that are kept at most: old ones are dropped some hundred at a time, so that the rest moves rarely.
const MOST: usize = DAY + 240;

/// Samples of one life of a process, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryCurve {
    samples: Vec<MemorySample>,
    /// When the current step began, and the requests counted until then.
    began: Option<(Duration, u64)>,
    /// Lowest memory of the current step: what the process could do with.
    lowest: f64,
}

impl MemoryCurve {
    /// Takes in the resident memory of a process at an age, and the requests that it has served so far.
    ///
    /// A sample is kept each fifteen seconds: the lowest memory since the one before, with the rate of the requests in
    /// between. Ages that go backwards are passed over. Returns whether one was kept.
    pub(crate) fn record(&mut self, age: Duration, resident_bytes: f64, requests: u64) -> bool {
        let Some((began, before)) = self.began else {
            (self.began, self.lowest) = (Some((age, requests)), resident_bytes);
            return false;
        };
        self.lowest = self.lowest.min(resident_bytes);
        let Some(passed) = age.checked_sub(began).filter(|passed| *passed >= STEP) else { return false };
        if self.samples.len() == MOST {
            self.samples.drain(..MOST - DAY);
        }
        self.samples.push(MemorySample {
            age_seconds: age.as_secs_f64(),
            resident_bytes: self.lowest,
            requests_per_second: Some(requests.saturating_sub(before) as f64 / passed.as_secs_f64()),
        });
        (self.began, self.lowest) = (Some((age, requests)), resident_bytes);
        true
    }

    /// Returns what was kept.
    pub(crate) fn samples(&self) -> &[MemorySample] {
        &self.samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn each_quarter_of_a_minute_keeps_its_lowest_memory_and_its_rate() {
        let mut curve = MemoryCurve::default();
        for (age, bytes, requests) in [(0, 9.0, 100), (5, 3.0, 110), (10, 7.0, 120), (15, 5.0, 130), (30, 8.0, 160)] {
            curve.record(seconds(age), bytes, requests);
        }
        let kept: Vec<_> =
            curve.samples().iter().map(|s| (s.age_seconds, s.resident_bytes, s.requests_per_second)).collect();
        assert_eq!(kept, [(15.0, 3.0, Some(2.0)), (30.0, 5.0, Some(2.0))]);
    }

    #[test]
    fn days_take_no_more_memory_than_one() {
        let mut curve = MemoryCurve::default();
        for step in 0..4 * 5760 {
            curve.record(seconds(step * 15), 1.0, 0);
            assert!(curve.samples().len() <= MOST);
        }
        let (first, last) = (curve.samples()[0].age_seconds, curve.samples()[curve.samples().len() - 1].age_seconds);
        assert!(last - first >= LONGEST.as_secs_f64() - 15.0, "{first} to {last}");
    }

    #[test]
    fn ages_that_go_backwards_are_passed_over() {
        let mut curve = MemoryCurve::default();
        for age in [100, 50, 110, 60] {
            curve.record(seconds(age), 1.0, 0);
        }
        assert!(curve.samples().is_empty());
    }
}
