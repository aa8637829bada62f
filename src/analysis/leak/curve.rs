//! [`MemoryCurve`]: the memory of one process, kept for the detector.
//!
//! Bounded: one sample each fifteen seconds for 24 hours, some 140 kB. It reads neither a clock nor the memory; the
//! caller passes both.

use std::time::Duration;

use super::sample::{LONGEST, MemorySample};

/// Least time between two samples that are kept: of the twelve segments of the shortest window, 25 s each, every one
/// has a sample.
const STEP: Duration = Duration::from_secs(15);
/// Samples of the longest window.
const DAY: usize = (LONGEST.as_secs() / STEP.as_secs()) as usize;
/// Samples that are kept at most: one hour more than the longest window, so that dropping old samples, which moves all
/// others, happens once an hour.
const MOST: usize = DAY + 240;

/// Samples of one life of a process, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryCurve {
    samples: Vec<MemorySample>,
    /// When the current step began, and the requests counted until then.
    began: Option<(Duration, u64)>,
    /// Lowest memory of the current step, which comes closest to what the process needs.
    lowest: f64,
}

impl MemoryCurve {
    /// Records the resident memory of a process at an age, and the number of requests that it has served so far;
    /// returns whether a sample was kept.
    ///
    /// Keeps a sample each fifteen seconds: the lowest memory since the previous one, with the rate of the requests in
    /// between. Ages that go backwards are ignored.
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

    /// Returns the samples that were kept, oldest first.
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
    fn many_days_keep_no_more_samples_than_one() {
        let mut curve = MemoryCurve::default();
        for step in 0..4 * 5760 {
            curve.record(seconds(step * 15), 1.0, 0);
            assert!(curve.samples().len() <= MOST);
        }
        let (first, last) = (curve.samples()[0].age_seconds, curve.samples()[curve.samples().len() - 1].age_seconds);
        assert!(last - first >= LONGEST.as_secs_f64() - 15.0, "{first} to {last}");
    }

    #[test]
    fn ages_that_go_backwards_are_ignored() {
        let mut curve = MemoryCurve::default();
        for age in [100, 50, 110, 60] {
            curve.record(seconds(age), 1.0, 0);
        }
        assert!(curve.samples().is_empty());
    }
}
