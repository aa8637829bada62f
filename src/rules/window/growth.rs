//! [`ProcessCounts`]: how open descriptors and tasks of the runtime grow over the last hour.
//!
//! A window keeps the last value of a gauge; whether it grows needs a longer memory. Growth is reported only where it is steady:
//! traffic makes both rise and fall.

use std::{collections::VecDeque, time::Duration};

use crate::analysis::statistics::{MannKendall, TheilSen};

/// Time between two samples that are kept.
const STEP: f64 = 15.0;
/// Samples that are kept: an hour.
const KEPT: usize = 240;
/// Fewer than these, three minutes, show no growth.
const LEAST: usize = 12;
/// Values follow each other closely, so that they are worth fewer independent ones: the variance of the test is inflated.
const INFLATION: f64 = 4.0;
/// A rise that is this unlikely without growth is one.
const SIGNIFICANCE: f64 = 0.01;
/// A count that changes by less than this share of itself over its samples does not grow. Of one that is near its limit and grows
/// from nothing, the samples show more than that.
const FLAT: f64 = 0.05;

/// The course of one count.
#[derive(Debug, Default)]
pub(crate) struct Growth {
    /// Age of the process in seconds, and the count.
    samples: VecDeque<(f64, f64)>,
}

impl Growth {
    /// Records the count at an age of the process.
    pub(crate) fn record(&mut self, age: Duration, count: f64) {
        let age = age.as_secs_f64();
        if self.samples.back().is_some_and(|(last, _)| age < last + STEP) {
            return;
        }
        if self.samples.len() == KEPT {
            self.samples.pop_front();
        }
        self.samples.push_back((age, count));
    }

    /// Returns the steady growth by the hour: zero of what is flat, and `None` where neither is sure.
    pub(crate) fn per_hour(&self) -> Option<f64> {
        if self.samples.len() < LEAST {
            return None;
        }
        let (hours, counts): (Vec<f64>, Vec<f64>) =
            self.samples.iter().map(|(age, count)| (age / 3600.0, *count)).unzip();
        let kendall = MannKendall::of(&counts);
        let rises = kendall.s > 0 && kendall.p_value(INFLATION) < SIGNIFICANCE;
        let slope = TheilSen::slope(&hours, &counts)?;
        if rises && slope > 0.0 {
            return Some(slope);
        }
        let gained = slope * (hours.last()? - hours.first()?);
        (!rises && gained <= FLAT * counts.last()?).then_some(0.0)
    }
}

/// The counts of the process whose growth is a finding's evidence.
#[derive(Debug, Default)]
pub(crate) struct ProcessCounts {
    pub(crate) open_fds: Growth,
    pub(crate) alive_tasks: Growth,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn growth(minutes: u32, count: impl Fn(f64) -> f64) -> Option<f64> {
        let mut growth = Growth::default();
        for tick in 1..=minutes * 12 {
            let age = Duration::from_secs(5) * tick;
            growth.record(age, count(age.as_secs_f64() / 60.0).round());
        }
        growth.per_hour()
    }

    #[test]
    fn a_leak_grows_by_the_hour() {
        let leak = growth(10, |minute| 100.0 + 20.0 * minute).expect("it grows");
        assert!((leak - 1200.0).abs() < 10.0, "{leak}");
        let under_waves = growth(30, |minute| 100.0 + 20.0 * minute + 50.0 * (minute * 2.0).sin()).expect("it grows");
        assert!((under_waves - 1200.0).abs() < 120.0, "{under_waves}");
    }

    #[test]
    fn what_rises_and_falls_does_not_grow() {
        assert_eq!(growth(60, |_| 100.0), Some(0.0));
        assert_eq!(growth(60, |minute| 800.0 + 5.0 * (minute * 7.0).sin()), Some(0.0));
        assert_eq!(growth(60, |minute| 400.0 - minute), Some(0.0));
        assert_ne!(growth(60, |minute| 100.0 + 50.0 * (minute / 5.0).sin()).map(|growth| growth > 0.0), Some(true));
    }

    #[test]
    fn what_is_not_known_yet_neither_grows_nor_is_flat() {
        assert_eq!(growth(2, |minute| 100.0 * minute), None, "too early to say");
        assert_eq!(growth(2, |_| 100.0), None, "too early to say");
        assert_eq!(growth(3, |minute| 100.0 + 10.0 * minute), None, "a rise that may be chance");
    }

    #[test]
    fn an_hour_is_kept() {
        let mut growth = Growth::default();
        (0..100_000).for_each(|tick| growth.record(Duration::from_secs(tick), 1.0));
        assert_eq!(growth.samples.len(), KEPT);
    }
}
