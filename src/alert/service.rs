//! [`ServiceFindings`]: what fires for the service as a whole stands in place of the same about its endpoints.
//!
//! Only measures that compare versions are such: where most endpoints are slower than before, one finding says so. The invariant that a
//! change could break: only what fires hides anything, so that no threshold that somebody edits leaves an endpoint unfound.

use crate::rules::{Bottleneck, Finding, Measure, STANDS_OUT, Scope, Severity};

/// What fires for the service as a whole.
#[derive(Debug, Default)]
pub(super) struct ServiceFindings(Vec<(Measure, Severity, f64)>);

impl ServiceFindings {
    /// Adds what fires, with the latest value that was over a threshold of it.
    pub(super) fn add(&mut self, bottleneck: &Bottleneck, value: f64) {
        let rule = &bottleneck.rule;
        if rule.scope == Scope::Process && rule.measure.is_of_versions() {
            self.0.push((rule.measure, bottleneck.severity, value));
        }
    }

    /// Returns whether a finding about an endpoint is said of the service: neither far worse nor more severe.
    pub(super) fn include(&self, finding: &Finding) -> bool {
        let highest = finding.passed.last().map(|(severity, _)| *severity);
        let includes = |(measure, severity, value): &(Measure, Severity, f64)| {
            *measure == finding.rule.measure && highest <= Some(*severity) && finding.value < STANDS_OUT * value
        };
        finding.rule.scope == Scope::Endpoint && self.0.iter().any(includes)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use tokio::time::Instant;

    use crate::{
        alert::Lifecycle,
        rules::{
            Evaluator, Measure, RuleSet, Scope, Subject,
            fixed::{self, FixedReadings, endpoint},
        },
    };

    /// A rule on endpoints, and one on the service with these thresholds, the second of which waits.
    fn rules(endpoints: &str, service: &str) -> RuleSet {
        let rule = |id: &str, scope: &str, more: &str| {
            format!(
                "  - {{ id: {id}, scope: {scope}, measure: version_slowdown, description: x, keep_firing_for: 1m, {more} }}\n"
            )
        };
        let endpoints = rule("slower_version", "endpoint", &format!("for: 0s, thresholds: {{ {endpoints} }}"));
        let service = rule("slower_service", "process", &format!("for: 30s, {service}"));
        fixed::load(&format!("rules:\n{endpoints}{service}"))
    }

    /// A service that is slower, with the slowdown of each of its endpoints.
    struct Drive {
        lifecycle: Lifecycle,
        start: Instant,
    }

    impl Drive {
        fn new() -> Self {
            Self { lifecycle: Lifecycle::default(), start: Instant::now() }
        }

        /// Returns what fires, without the severities.
        fn at(&mut self, second: u64, rules: &RuleSet, service: f64, endpoints: &[(&str, f64)]) -> Vec<String> {
            let process = Arc::new(Subject::new("process", Vec::new()));
            let readings =
                FixedReadings::default().with(Scope::Process, Measure::VersionSlowdown, &process, service, 1000);
            let readings = endpoints.iter().fold(readings, |readings, (route, value)| {
                readings.with(Scope::Endpoint, Measure::VersionSlowdown, &endpoint("GET", route), *value, 1000)
            });
            let findings = Evaluator::new(rules.rules()).evaluate(&readings);
            self.lifecycle.advance(rules, findings, self.start + Duration::from_secs(second));
            let mut firing: Vec<_> =
                self.lifecycle.firing().iter().map(|firing| firing.subject.name.to_string()).collect();
            firing.sort_unstable();
            firing
        }
    }

    /// Asserts what fires of a service that is 30 % slower, once nothing waits or is kept any more.
    #[track_caller]
    fn check(rules: &RuleSet, endpoints: &[(&str, f64)], expected: &[&str]) {
        let mut drive = Drive::new();
        let mut firing = Vec::new();
        for second in (0..150).step_by(10) {
            firing = drive.at(second, rules, 0.30, endpoints);
        }
        assert_eq!(firing, expected);
    }

    const ENDPOINTS: &[(&str, f64)] = &[("/a", 0.32), ("/b", 0.30), ("/c", 0.59), ("/d", 0.62), ("/e", 0.10)];

    #[test]
    fn endpoints_are_hidden_behind_a_service_that_fires_unless_they_stand_out() {
        let rules = rules("low: '> 25%'", "thresholds: { medium: '> 25%' }");
        check(&rules, ENDPOINTS, &["GET /d", "process"]);
    }

    #[test]
    fn a_raised_threshold_of_the_service_hides_no_endpoint() {
        let rules = rules("low: '> 25%'", "thresholds: { medium: '> 35%' }");
        check(&rules, ENDPOINTS, &["GET /a", "GET /b", "GET /c", "GET /d"]);
    }

    #[test]
    fn a_lowered_threshold_of_the_service_hides_endpoints_that_are_a_little_worse() {
        let both = rules("low: '> 5%'", "thresholds: { medium: '> 5%' }");
        check(&both, ENDPOINTS, &["GET /d", "process"]);
        let mut drive = Drive::new();
        drive.at(0, &both, 0.08, &[("/a", 0.10)]);
        drive.at(30, &both, 0.08, &[("/a", 0.10)]);
        assert_eq!(drive.at(100, &both, 0.08, &[("/a", 0.10)]), ["process"]);
    }

    #[test]
    fn what_does_not_fire_for_the_service_hides_nothing() {
        let elsewhere = "only_if: cpu_ratio > 5, thresholds: { medium: '> 25%' }";
        check(&rules("low: '> 25%'", elsewhere), &[("/a", 0.32)], &["GET /a"]);
        let few = "min_samples: 2000, thresholds: { medium: '> 25%' }";
        check(&rules("low: '> 25%'", few), &[("/a", 0.32)], &["GET /a"]);
        let pending = rules("low: '> 25%'", "thresholds: { medium: '> 25%' }");
        let mut drive = Drive::new();
        assert_eq!(drive.at(0, &pending, 0.30, &[("/a", 0.32)]), ["GET /a"]);
    }

    #[test]
    fn a_severe_endpoint_is_not_hidden_behind_a_milder_service() {
        let rules = rules("low: '> 25%', high: '> 50%'", "thresholds: { medium: '> 25%' }");
        check(&rules, ENDPOINTS, &["GET /c", "GET /d", "process"]);
    }

    #[test]
    fn endpoints_are_hidden_until_the_service_is_resolved() {
        let rules = rules("low: '> 25%'", "thresholds: { medium: '> 25%' }");
        let mut drive = Drive::new();
        let endpoints = [("/a", 0.32), ("/b", 0.9)];
        drive.at(0, &rules, 0.30, &endpoints[1..]);
        assert_eq!(drive.at(30, &rules, 0.30, &endpoints), ["GET /b", "process"]);
        assert_eq!(drive.at(40, &rules, 0.24, &endpoints), ["GET /b", "process"], "it keeps firing");
        assert_eq!(drive.at(99, &rules, 0.24, &endpoints), ["GET /b", "process"]);
        assert_eq!(drive.at(100, &rules, 0.24, &endpoints), ["GET /a", "GET /b"]);
    }
}
