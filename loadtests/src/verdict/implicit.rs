//! The conditions that every test is held to, with or without rules.

use super::{
    check::{Check, CheckSource, CheckStatus},
    judge::{ALL_ITERATIONS, Measurement},
    threshold::{Metric, Threshold},
};
use crate::{
    engine::Arrivals,
    record::{EndpointName, EndpointTally, Outcome, Tally},
};

/// Share of failed requests that fails a test: the limit of the service's own rule `high_error_rate`. That rule counts less
/// as an error: a 429, or a page without the text that a scenario expects, is a response to the service.
const MOST_ERRORS: f64 = 0.10;
/// Requests of an endpoint below which a failure is no rate, as in that rule; all endpoints together are always judged.
const FEWEST: u64 = 10;
/// Share of an open model's iterations that may be dropped: beyond it the load was not the one that was asked for, and what
/// was not sent has no latency.
const MOST_DROPPED: f64 = 0.01;
/// A single iteration may have been due in the last moment of the load.
const FEWEST_DROPPED: u64 = 2;
const ALL: &str = "all requests";

/// Checks that some request succeeds at each endpoint, that nearly all do, and that nearly all of an open model's load was
/// sent. Returns what was breached.
///
/// A scenario that expects an endpoint to refuse states the expected status, and refusing is success then. A threshold for
/// the error rate replaces [`MOST_ERRORS`], and one for dropped iterations replaces [`MOST_DROPPED`].
pub(crate) fn implicit(measured: Measurement<'_>, thresholds: &[Threshold]) -> Vec<Check> {
    let mut checks = mostly_answered(measured, thresholds);
    if thresholds.iter().all(|threshold| threshold.metric != Metric::Dropped) {
        checks.extend(measured.arrivals.and_then(too_many_dropped));
    }
    checks
}

fn too_many_dropped(arrivals: Arrivals) -> Option<Check> {
    let Arrivals { dropped, scheduled, .. } = arrivals;
    let ratio = arrivals.dropped_ratio();
    (dropped >= FEWEST_DROPPED && ratio > MOST_DROPPED).then(|| {
        let condition = format!("at most {:.0}% of the load is dropped", MOST_DROPPED * 100.0);
        breach(ALL_ITERATIONS.to_owned(), condition, format!("{:.2}%, {dropped} of {scheduled}", ratio * 100.0))
    })
}

fn mostly_answered(measured: Measurement<'_>, thresholds: &[Threshold]) -> Vec<Check> {
    let tally = measured.tally;
    let mut checks = answered(tally, measured.hint);
    let silent: Vec<String> = checks.iter().map(|check| check.subject.clone()).collect();
    if silent.iter().any(|subject| subject == ALL) {
        return checks;
    }
    let stated: Vec<&Threshold> = thresholds.iter().filter(|threshold| threshold.metric == Metric::ErrorRate).collect();
    if stated.iter().all(|threshold| threshold.endpoint.is_some()) {
        checks.extend(mostly_successful(tally, |name| {
            silent.iter().any(|subject| *subject == name.to_string())
                || stated.iter().any(|threshold| threshold.is_about(name))
        }));
    }
    checks
}

fn answered(tally: &Tally, hint: &str) -> Vec<Check> {
    let check = |subject: String, observed: String| breach(subject, "some request succeeds".to_owned(), observed);
    let total = tally.total();
    if total.count() == 0 {
        return vec![check(ALL.to_owned(), "no request was sent".to_owned())];
    }
    if total.count() == total.of(Outcome::Cancelled) {
        return vec![check(ALL.to_owned(), format!("none got a response before the end of the test{hint}"))];
    }
    tally
        .endpoints()
        .iter()
        .filter(|course| course.tally.count() > course.tally.of(Outcome::Cancelled))
        .filter(|course| course.tally.of(Outcome::Success) == 0)
        .map(|course| {
            let failures = course.tally.failures().by_count();
            let main = failures.first().map_or("", |(kind, _)| kind.as_str());
            let mut observed = format!("all {} failed: {main}{hint}", course.tally.count());
            if main == "status 404" {
                observed.push_str("; check the path");
            } else if main == "status 405" {
                observed.push_str("; check the method");
            }
            if let Some(example) = failures.first().and_then(|(_, failure)| failure.example.as_deref()) {
                observed.push_str(&format!(" ({example})"));
            }
            check(course.name.to_string(), observed)
        })
        .collect()
}

/// Judges each endpoint that is not `exempt`, and all of these together if each alone is within the limit.
fn mostly_successful(tally: &Tally, exempt: impl Fn(&EndpointName) -> bool) -> Vec<Check> {
    let courses = tally.endpoints().iter();
    let judged: Vec<_> = courses.filter(|course| !exempt(&course.name)).collect();
    let mut checks: Vec<Check> = judged
        .iter()
        .filter(|course| course.tally.count() >= FEWEST)
        .filter_map(|course| too_many_errors(course.name.to_string(), &course.tally))
        .collect();
    // An exempt endpoint is judged elsewhere, so its failures do not count here.
    if checks.is_empty() {
        let mut rest = EndpointTally::default();
        judged.iter().for_each(|course| rest.add(&course.tally));
        checks.extend(too_many_errors(ALL.to_owned(), &rest));
    }
    checks
}

fn too_many_errors(subject: String, tally: &EndpointTally) -> Option<Check> {
    let ratio = tally.error_ratio().filter(|ratio| *ratio > MOST_ERRORS)?;
    let failures = tally.failures().by_count();
    let main = failures.first().map_or("", |(kind, _)| kind.as_str());
    let condition = format!("at most {:.0}% of the requests fail", MOST_ERRORS * 100.0);
    Some(breach(subject, condition, format!("{:.2}%, mostly {main}", ratio * 100.0)))
}

fn breach(subject: String, condition: String, observed: String) -> Check {
    Check { source: CheckSource::Always, subject, condition, observed, status: CheckStatus::Breached }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::{FailureKind, Recorder, Sample};

    /// `(path, requests, failed)` of each endpoint, and the subjects of the breaches.
    #[track_caller]
    fn check(endpoints: &[(&str, u64, u64)], thresholds: &[&str], expected: &[&str]) {
        let recorder = Recorder::new(1);
        for (path, requests, failed) in endpoints {
            let endpoint = recorder.endpoint(EndpointName::new("GET", *path), path);
            for number in 0..*requests {
                let is_failed = number < *failed;
                recorder.record(
                    recorder.shard(0),
                    Sample {
                        endpoint,
                        outcome: if is_failed { Outcome::Rejected } else { Outcome::Success },
                        latency: Duration::from_millis(1),
                        service: None,
                        first_byte: None,
                        status: Some(if is_failed { 429 } else { 200 }),
                        bytes: 0,
                        decoded_bytes: None,
                        after_end: false,
                        exhausted: None,
                        never_sent: false,
                        failure: is_failed.then(|| (FailureKind::new("status 429"), None)),
                    },
                );
            }
        }
        let mut tally = Tally::default();
        tally.drain(&recorder, 1.0, 1.0);
        let thresholds: Vec<Threshold> = thresholds.iter().map(|text| text.parse().unwrap()).collect();
        let checks = implicit(Measurement { tally: &tally, seconds: 1.0, arrivals: None, hint: "" }, &thresholds);
        let found: Vec<&str> = checks.iter().map(|check| check.subject.as_str()).collect();
        assert_eq!(found, expected, "{checks:?}");
    }

    #[test]
    fn a_test_of_errors_does_not_pass() {
        check(&[("/a", 100, 10)], &[], &[]);
        check(&[("/a", 100, 11)], &[], &["GET /a"]);
        check(&[("/a", 100, 100)], &[], &["GET /a"]);
        check(&[("/a", 900, 0), ("/b", 100, 95)], &[], &["GET /b"]);
    }

    #[test]
    fn a_load_that_was_not_sent_does_not_pass() {
        let recorder = Recorder::new(1);
        let mut tally = Tally::default();
        tally.drain(&recorder, 1.0, 1.0);
        let drops = |dropped, scheduled, thresholds: &[&str]| {
            let arrivals = Some(Arrivals { scheduled, dropped, ..Arrivals::default() });
            let thresholds: Vec<Threshold> = thresholds.iter().map(|text| text.parse().unwrap()).collect();
            let checks = implicit(Measurement { tally: &tally, seconds: 1.0, arrivals, hint: "" }, &thresholds);
            checks.into_iter().any(|check| check.subject == ALL_ITERATIONS)
        };
        assert!(!drops(10, 1000, &[]) && drops(11, 1000, &[]) && drops(1000, 1000, &[]));
        assert!(!drops(1, 20, &[]) && drops(2, 20, &[]));
        assert!(!drops(500, 1000, &["dropped<60%"]) && drops(500, 1000, &["late<1%", "error-rate<5%"]));
    }

    #[test]
    fn a_few_requests_are_judged_together() {
        check(&[("/a", 4, 2)], &[], &["all requests"]);
        check(&[("/a", 9, 1), ("/b", 9, 1)], &[], &["all requests"]);
        check(&[("/a", 9, 1), ("/b", 9, 0)], &[], &[]);
    }

    #[test]
    fn a_threshold_for_errors_stands_instead() {
        check(&[("/a", 100, 50), ("/b", 100, 0)], &["error-rate<60%"], &[]);
        check(&[("/a", 100, 50), ("/b", 100, 50)], &["error-rate<60% for /a"], &["GET /b"]);
        check(&[("/a", 100, 50), ("/b", 100, 0)], &["error-rate<60% for GET /a"], &[]);
        check(&[("/a", 100, 50)], &["p95<1s"], &["GET /a"]);
    }
}
