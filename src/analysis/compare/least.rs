//! By how much a route got worse at least, for alerts.
//!
//! A person who looks at a comparison looks once; an alert looks every few minutes. Therefore what is worse must be clearer here than
//! for a [`Verdict`](super::Verdict). The invariant that a change could break: a value is the low end of an interval, so that few
//! requests, such as those of a canary, say little and never too much.

use super::{Shift, difference::RouteChange};

/// Probability of calling even one route worse where none is, at one look.
const LEVEL: f64 = 0.001;

impl RouteChange {
    /// Returns by how much its successful requests got slower at least, as a share of their duration before: 0.3 is 30 % slower, 0
    /// not slower by more than chance. `None` with too few requests.
    ///
    /// It is the low end of the 95 % interval of the median or of the 95th percentile, whichever got slower by more, where the shift
    /// exceeds the smallest one that counts with a confidence of 99.9 % over all routes together. It is not more than `lately`, the
    /// comparison of the newest requests alone, allows for, where these are enough: the high end of its interval, so that an hour in which
    /// a canary had few requests, and by chance none that failed, does not end a finding. What has passed is not worse any more.
    #[must_use]
    pub fn least_slowdown(&self, lately: Option<&Self>) -> Option<f64> {
        self.median?;
        let least = |shift: Option<Shift>, latest: Option<Shift>| {
            let shift = shift.filter(|shift| shift.p_value < LEVEL && shift.ratio > 1.0)?;
            let least = latest.map_or(f64::INFINITY, |latest| latest.ratio_interval.1).min(shift.ratio_interval.0);
            Some((least - 1.0).max(0.0))
        };
        let median = least(self.median, lately.and_then(|lately| lately.median));
        let p95 = least(self.p95, lately.and_then(|lately| lately.p95));
        Some(median.unwrap_or(0.0).max(p95.unwrap_or(0.0)))
    }

    /// Returns by how much the share of its requests that fail rose at least: 0.02 is from 1 % to 3 %, 0 no rise by more than chance.
    /// `None` with too few requests.
    ///
    /// It is the low end of the 95 % interval of the difference, where that exceeds the smallest one that counts with a confidence of
    /// 99.9 % over all routes together, and not more than what `lately` allows for, as of [`least_slowdown`](Self::least_slowdown).
    #[must_use]
    pub fn least_error_rise(&self, lately: Option<&Self>) -> Option<f64> {
        let errors = self.errors?;
        if errors.p_value >= LEVEL {
            return Some(0.0);
        }
        let latest =
            lately.and_then(|lately| lately.errors).map_or(f64::INFINITY, |latest| latest.difference_interval.1);
        Some(latest.min(errors.difference_interval.0).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::*, *};

    /// Durations that are spread evenly from `low` seconds to twice of that.
    fn route(low: f64, served: u64, failed: u64) -> RouteLatency {
        let edge = |step: u32| low * f64::from(20 + step) / 20.0;
        let latency = LatencyHistogram {
            sum_seconds: 1.5 * low * served as f64,
            min_seconds: low,
            max_seconds: 2.0 * low,
            buckets: (0..20).map(|step| (edge(step), edge(step + 1), served / 20).into()).collect(),
        };
        RouteLatency { method: "GET".into(), route: "/a".into(), latency, failed, refused: 0 }
    }

    fn change(before: RouteLatency, after: RouteLatency) -> RouteChange {
        let version = |route| VersionSnapshot::new("shop", "1", "", vec![route]).expect("buckets are in order");
        compare(&version(before), &version(after)).routes.remove(0)
    }

    #[test]
    fn the_least_slowdown_comes_near_the_true_one_with_more_requests() {
        let of = |requests| {
            change(route(0.1, 10_000, 0), route(0.2, requests, 0)).least_slowdown(None).expect("enough requests")
        };
        assert!(of(100) > 0.7 && of(100) < of(1000) && of(1000) < of(10_000), "{} {}", of(100), of(1000));
        assert!((0.9..1.0).contains(&of(10_000)), "{}", of(10_000));
    }

    #[test]
    fn what_is_as_fast_or_faster_is_not_slower_and_a_few_requests_say_nothing() {
        assert_eq!(change(route(0.1, 1000, 0), route(0.1, 1000, 0)).least_slowdown(None), Some(0.0));
        assert_eq!(change(route(0.2, 1000, 0), route(0.1, 1000, 0)).least_slowdown(None), Some(0.0));
        assert_eq!(change(route(0.1, 1000, 0), route(0.9, 20, 0)).least_slowdown(None), None);
    }

    #[test]
    fn what_has_passed_is_not_slower_any_more() {
        let slower = change(route(0.1, 1000, 0), route(0.2, 1000, 0));
        let lately = |low| change(route(0.1, 1000, 0), route(low, 400, 0));
        assert!(slower.least_slowdown(Some(&lately(0.1))) < Some(0.1));
        let partly = slower.least_slowdown(Some(&lately(0.13))).expect("enough requests");
        assert!((0.3..0.4).contains(&partly), "{partly}");
        assert_eq!(
            slower.least_slowdown(Some(&lately(0.3))),
            slower.least_slowdown(None),
            "no more than all requests say"
        );
    }

    #[test]
    fn the_least_rise_of_errors_is_the_low_end_of_its_interval() {
        let rise = |served, failed| change(route(0.1, 9900, 100), route(0.1, served, failed)).least_error_rise(None);
        assert_eq!(rise(20, 5), None);
        assert_eq!(rise(980, 20), Some(0.0), "1 % to 2 % of a thousand may be chance");
        let risen = rise(900, 100).expect("enough requests");
        assert!((0.06..0.09).contains(&risen), "{risen}");
        let over = change(route(0.1, 9900, 100), route(0.1, 500, 4));
        let all = change(route(0.1, 9900, 100), route(0.1, 900, 100));
        assert!(all.least_error_rise(Some(&over)) < Some(0.01));
        let quiet_hour = change(route(0.1, 9900, 100), route(0.1, 40, 0));
        assert!(all.least_error_rise(Some(&quiet_hour)) > Some(0.05), "none of 40 failed, which says little");
    }
}
