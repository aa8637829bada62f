//! [`judge_thresholds`]: the conditions of the command line, applied to what users saw.

use super::{
    check::{Check, CheckSource, CheckStatus},
    threshold::{Metric, Threshold},
};
use crate::{
    engine::Arrivals,
    record::{EndpointTally, Tally},
};

/// Subject of a check of iterations.
pub(super) const ALL_ITERATIONS: &str = "all iterations";

/// What a run is judged by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measurement<'a> {
    /// What users saw.
    pub(crate) tally: &'a Tally,
    /// How long it was measured, in seconds.
    pub(crate) seconds: f64,
    /// In an open model, what became of the scheduled iterations.
    pub(crate) arrivals: Option<Arrivals>,
    /// If no request got a response, what may help; otherwise empty.
    pub(crate) hint: &'static str,
}

/// Judges a run by conditions from the command line.
pub(crate) fn judge_thresholds(thresholds: &[Threshold], measured: Measurement<'_>) -> Vec<Check> {
    thresholds.iter().flat_map(|threshold| judge_threshold(threshold, measured)).collect()
}

fn judge_threshold(threshold: &Threshold, measured: Measurement<'_>) -> Vec<Check> {
    let Measurement { tally, seconds, arrivals, .. } = measured;
    let nothing = if threshold.metric.needs_rate() { "nothing was scheduled" } else { "no requests" };
    let check = |subject: String, observed: Option<f64>| Check {
        source: CheckSource::Threshold,
        subject,
        condition: threshold.to_string(),
        observed: observed.map_or_else(|| nothing.to_owned(), |value| threshold.metric.show(value)),
        // Without requests the condition did not hold: a typo in an endpoint's name must not pass for a fast endpoint.
        status: match observed {
            Some(value) if threshold.operator.holds(value, threshold.limit) => CheckStatus::Passed,
            Some(_) | None => CheckStatus::Breached,
        },
    };
    match threshold.metric {
        Metric::Dropped => return vec![check(ALL_ITERATIONS.to_owned(), arrivals.map(Arrivals::dropped_ratio))],
        Metric::Late => return vec![check(ALL_ITERATIONS.to_owned(), arrivals.map(Arrivals::late_ratio))],
        Metric::Percentile(_)
        | Metric::FirstByte(_)
        | Metric::Average
        | Metric::Maximum
        | Metric::ErrorRate
        | Metric::RequestsPerSecond => {}
    }
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
        // They are of iterations and not of requests.
        Metric::Dropped | Metric::Late => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn condition_about_nothing_is_a_breach() {
        let threshold: Threshold = "p95<1s for GET /typo".parse().unwrap();
        let measured = Measurement { tally: &Tally::default(), seconds: 1.0, arrivals: None, hint: "" };
        let checks = judge_thresholds(&[threshold], measured);
        assert_eq!((checks[0].status, checks[0].observed.as_str()), (CheckStatus::Breached, "no requests"));
    }

    #[test]
    fn iterations_are_judged_by_their_shares() {
        let arrivals = Arrivals { scheduled: 200, late: 30, dropped: 4, ..Arrivals::default() };
        let judged = |text: &str, arrivals| {
            let measured = Measurement { tally: &Tally::default(), seconds: 1.0, arrivals, hint: "" };
            let check = judge_thresholds(&[text.parse().unwrap()], measured).remove(0);
            (check.status, check.subject, check.observed)
        };
        let seen = |status, observed: &str| (status, ALL_ITERATIONS.to_owned(), observed.to_owned());
        assert_eq!(judged("dropped<2.1%", Some(arrivals)), seen(CheckStatus::Passed, "2.00%"));
        assert_eq!(judged("dropped<2%", Some(arrivals)), seen(CheckStatus::Breached, "2.00%"));
        assert_eq!(judged("late<=15%", Some(arrivals)), seen(CheckStatus::Passed, "15.00%"));
        assert_eq!(judged("late<15%", None), seen(CheckStatus::Breached, "nothing was scheduled"));
    }
}
