//! [`judge_thresholds`]: the conditions of the command line, applied to what users saw.

use super::{
    check::{Check, CheckSource, CheckStatus},
    threshold::{Metric, Threshold},
};
use crate::record::{EndpointTally, Tally};

/// Judges a run by conditions from the command line; `seconds` is how long it was measured.
pub(crate) fn judge_thresholds(thresholds: &[Threshold], tally: &Tally, seconds: f64) -> Vec<Check> {
    thresholds.iter().flat_map(|threshold| judge_threshold(threshold, tally, seconds)).collect()
}

fn judge_threshold(threshold: &Threshold, tally: &Tally, seconds: f64) -> Vec<Check> {
    let check = |subject: String, observed: Option<f64>| Check {
        source: CheckSource::Threshold,
        subject,
        condition: threshold.to_string(),
        observed: observed.map_or_else(|| "no requests".to_owned(), |value| threshold.metric.show(value)),
        // Without requests the condition did not hold: a typo in an endpoint's name must not pass for a fast endpoint.
        status: match observed {
            Some(value) if threshold.operator.holds(value, threshold.limit) => CheckStatus::Passed,
            Some(_) | None => CheckStatus::Breached,
        },
    };
    let Some(wanted) = &threshold.endpoint else {
        return vec![check("all requests".to_owned(), observe(threshold.metric, tally.total(), seconds))];
    };
    let matching: Vec<_> = tally.endpoints().iter().filter(|course| threshold.is_about(&course.name)).collect();
    if matching.is_empty() {
        return vec![check(wanted.clone(), None)];
    }
    matching
        .into_iter()
        .map(|course| check(course.name.to_string(), observe(threshold.metric, &course.tally, seconds)))
        .collect()
}

fn observe(metric: Metric, tally: &EndpointTally, seconds: f64) -> Option<f64> {
    if tally.count() == 0 {
        return None;
    }
    match metric {
        Metric::Percentile(q) => tally.ranked().quantile_seconds(q),
        Metric::FirstByte(q) => tally.first_byte().and_then(|latency| latency.quantile_seconds(q)),
        Metric::Average => tally.ranked().mean_seconds(),
        Metric::Maximum => tally.ranked().max_seconds(),
        Metric::ErrorRate => tally.error_ratio(),
        Metric::RequestsPerSecond => tally.rate(seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn condition_about_nothing_is_a_breach() {
        let threshold: Threshold = "p95<1s for GET /typo".parse().unwrap();
        let checks = judge_thresholds(&[threshold], &Tally::default(), 1.0);
        assert_eq!((checks[0].status, checks[0].observed.as_str()), (CheckStatus::Breached, "no requests"));
    }
}
