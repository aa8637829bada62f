//! The endpoint rules, applied to what a client measured.
//!
//! A load test judges by the same files as the service. A client sees durations and failures and nothing of queries or
//! polls: a rule on what it does not see is silent, as any rule is without data.

use std::{borrow::Cow, sync::Arc, time::Duration};

use super::{
    evaluate::Evaluator,
    evidence::{Evidence, Fact},
    fact::{self, NumberFact},
    finding::Finding,
    measure::{self, Measure},
    readings::{Question, Reading, Readings},
    rule::Rule,
    scope::Scope,
    severity::Severity,
    subject::Subject,
};
use crate::names;

/// What a client measured of one endpoint.
#[derive(Clone, Copy)]
pub struct ObservedEndpoint<'a> {
    /// Name that breaches are reported under, such as `GET /users/{id}`. It tells requests with one route apart.
    pub name: &'a str,
    /// Request method.
    pub method: &'a str,
    /// Route template, such as `/users/{id}`.
    pub route: &'a str,
    /// Requests that were sent.
    pub requests: u64,
    /// Requests that failed: status 5xx, a response cut short, or one that the client rejected.
    pub failed: u64,
    /// Requests answered with 4xx.
    pub refused: u64,
    /// Requests that the client gave up.
    pub given_up: u64,
    /// Mean duration.
    pub mean: Duration,
    /// Longest duration.
    pub longest: Duration,
    /// Duration below or at which a share (0 to 1) of the requests lies.
    pub quantile: &'a dyn Fn(f64) -> Duration,
}

impl std::fmt::Debug for ObservedEndpoint<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObservedEndpoint")
            .field("name", &self.name)
            .field("method", &self.method)
            .field("route", &self.route)
            .field("requests", &self.requests)
            .finish_non_exhaustive()
    }
}

/// A threshold that was passed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Breach {
    /// Id of the rule.
    pub rule: String,
    /// The highest severity whose threshold was passed.
    pub severity: Severity,
    /// The endpoint's name.
    pub endpoint: String,
    /// What was measured and the threshold, such as `avg_duration > 1s`.
    pub condition: String,
    /// What was measured, with its unit.
    pub observed: String,
}

/// Judges endpoints by what a client measured of them over `span`; returns what is over a threshold of `rules`.
pub(crate) fn judge(rules: &[Arc<Rule>], endpoints: &[ObservedEndpoint<'_>], span: Duration) -> Vec<Breach> {
    let readings = ObservedReadings {
        endpoints: endpoints.iter().map(|endpoint| (Arc::new(subject(endpoint)), *endpoint)).collect(),
        span,
    };
    let findings = Evaluator::new(rules).evaluate(&readings);
    let breach = |finding: Finding| {
        let (severity, threshold) = *finding.passed.last()?;
        let unit = finding.rule.unit;
        Some(Breach {
            rule: finding.rule.id.to_string(),
            severity,
            endpoint: finding.subject.name.to_string(),
            condition: format!(
                "{} {} {}",
                // To a client it is all the service's own.
                finding.rule.measure_name.trim_start_matches("own_"),
                threshold.operator.as_str(),
                unit.render(threshold.limit)
            ),
            observed: unit.render(finding.value),
        })
    };
    findings.into_iter().filter_map(breach).collect()
}

struct ObservedReadings<'a> {
    endpoints: Vec<(Arc<Subject>, ObservedEndpoint<'a>)>,
    span: Duration,
}

impl Readings for ObservedReadings<'_> {
    fn read(&self, question: &Question<'_>) -> Vec<Reading> {
        if question.scope != Scope::Endpoint {
            return Vec::new();
        }
        let answer = |(subject, endpoint): &(Arc<Subject>, ObservedEndpoint<'_>)| {
            let value = self.value(endpoint, question.measure).filter(|_| endpoint.requests > 0)?;
            Some(Reading { subject: subject.clone(), value, samples: endpoint.requests, span: None })
        };
        self.endpoints.iter().filter_map(answer).collect()
    }

    fn evidence(&self, scope: Scope, subject: &Subject, _: Duration, _: Option<f64>) -> Evidence {
        let mut evidence = Evidence::default();
        let Some((_, endpoint)) = self.endpoints.iter().find(|(known, _)| known.name == subject.name) else {
            return evidence;
        };
        for NumberFact { name, unit } in
            [fact::AVG_DURATION, fact::P50_DURATION, fact::P95_DURATION, fact::P99_DURATION, fact::MAX_DURATION]
        {
            let measured = measure::find(scope, name).and_then(|entry| self.value(endpoint, entry.measure));
            evidence.facts.extend(measured.map(|value| (name, Fact::Number(value, unit))));
        }
        evidence
    }
}

impl ObservedReadings<'_> {
    fn value(&self, endpoint: &ObservedEndpoint<'_>, measure: Measure) -> Option<f64> {
        let share = |count: u64| Some(count as f64 / endpoint.requests as f64);
        match measure {
            // A load test's own clients send and read without delay.
            Measure::AvgDuration | Measure::OwnAvgDuration => Some(endpoint.mean.as_secs_f64()),
            Measure::MaxDuration => Some(endpoint.longest.as_secs_f64()),
            Measure::DurationQuantile(percent) | Measure::OwnDurationQuantile(percent) => {
                Some((endpoint.quantile)(f64::from(percent) / 100.0).as_secs_f64())
            }
            Measure::Rate => Some(endpoint.requests as f64 / self.span.as_secs_f64()).filter(|rate| rate.is_finite()),
            Measure::ErrorRatio => share(endpoint.failed),
            Measure::ClientErrorRatio => share(endpoint.refused),
            Measure::CancelledRatio => share(endpoint.given_up),
            _ => None,
        }
    }
}

fn subject(endpoint: &ObservedEndpoint<'_>) -> Subject {
    let label = |name: &'static str, value: &str| (Cow::Borrowed(name), Arc::from(value));
    Subject {
        name: endpoint.name.into(),
        labels: vec![label(names::METHOD, endpoint.method), label(names::ROUTE, endpoint.route)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::RuleSet;

    fn endpoint(requests: u64, mean_ms: u64, failed: u64) -> ObservedEndpoint<'static> {
        ObservedEndpoint {
            name: "GET /a",
            method: "GET",
            route: "/a",
            requests,
            failed,
            refused: 0,
            given_up: 0,
            mean: Duration::from_millis(mean_ms),
            longest: Duration::from_millis(mean_ms),
            quantile: &|_| Duration::ZERO,
        }
    }

    #[track_caller]
    fn check(endpoint: ObservedEndpoint<'_>, expected: &[(&str, Severity)]) {
        let breaches = RuleSet::embedded().judge_observed(&[endpoint], Duration::from_secs(10));
        let found: Vec<_> = breaches.iter().map(|breach| (breach.rule.as_str(), breach.severity)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_services_thresholds_hold_for_the_client() {
        check(endpoint(100, 999, 10), &[]);
        check(endpoint(100, 1001, 0), &[("slow_endpoint", Severity::High)]);
        check(endpoint(100, 5001, 0), &[("slow_endpoint", Severity::Critical)]);
        check(endpoint(100, 10, 11), &[("high_error_rate", Severity::High)]);
        check(endpoint(100, 10, 26), &[("high_error_rate", Severity::Critical)]);
    }

    #[test]
    fn too_few_requests_make_no_breach() {
        check(endpoint(4, 9000, 4), &[]);
    }

    #[test]
    fn a_breach_says_what_was_compared() {
        let breaches = RuleSet::embedded().judge_observed(&[endpoint(100, 1200, 0)], Duration::from_secs(10));
        assert_eq!((breaches[0].condition.as_str(), breaches[0].observed.as_str()), ("avg_duration > 1s", "1.2s"));
        assert_eq!(breaches[0].endpoint, "GET /a");
    }
}
