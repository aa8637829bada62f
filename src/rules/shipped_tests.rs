//! Every shipped rule: silent just below and at each threshold, speaking just above, pending before it fires, clear
//! after its window.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    evidence::{Evidence, Fact, QueryShare},
    fixed::{self, FixedReadings},
    subject::Subject,
    unit::Unit,
    *,
};
use crate::alert::{Change, Lifecycle};

/// Rule, severity, threshold in base units, and what `only_if` needs.
type Case = (&'static str, Severity, f64, &'static [(&'static str, f64)]);

const CASES: &[Case] = &[
    ("slow_endpoint", Severity::High, 1.0, &[]),
    ("slow_endpoint", Severity::Critical, 5.0, &[]),
    ("slow_clients", Severity::Low, 1.0, &[("client_time_ratio", 0.9), ("own_avg_duration", 0.1)]),
    ("slow_tail", Severity::Medium, 2.0, &[("own_avg_duration", 0.5)]),
    ("slow_tail", Severity::High, 5.0, &[("own_avg_duration", 0.5)]),
    ("slow_for_few", Severity::Low, 2.0, &[("own_avg_duration", 0.1), ("own_p95_duration", 0.2)]),
    ("slow_for_few", Severity::Medium, 5.0, &[("own_avg_duration", 0.1), ("own_p95_duration", 0.2)]),
    ("stuck_requests", Severity::Medium, 120.0, &[("active", 5.0)]),
    ("stuck_requests", Severity::High, 600.0, &[("active", 5.0)]),
    ("high_error_rate", Severity::High, 0.10, &[]),
    ("high_error_rate", Severity::Critical, 0.25, &[]),
    ("high_client_error_rate", Severity::Low, 0.30, &[]),
    ("high_client_error_rate", Severity::Medium, 0.60, &[]),
    ("abandoned_requests", Severity::Medium, 0.20, &[]),
    ("abandoned_requests", Severity::High, 0.50, &[]),
    ("wasted_work", Severity::Low, 0.20, &[("time_share", 0.1)]),
    ("wasted_work", Severity::Medium, 0.50, &[("time_share", 0.1)]),
    ("blocked_runtime", Severity::High, 0.1, &[]),
    ("blocked_runtime", Severity::Critical, 1.0, &[]),
    ("blocked_runtime_at_times", Severity::Medium, 0.25, &[("p50_longest_poll", 0.01)]),
    ("blocked_runtime_at_times", Severity::High, 1.0, &[("p50_longest_poll", 0.01)]),
    ("slow_query", Severity::High, 0.1, &[]),
    ("slow_query", Severity::Critical, 1.0, &[]),
    ("slow_query_tail", Severity::Medium, 0.25, &[("avg_duration", 0.05)]),
    ("slow_query_tail", Severity::High, 1.0, &[("avg_duration", 0.05)]),
    ("frequent_query", Severity::Medium, 50.0, &[("in_flight", 0.6)]),
    ("frequent_query", Severity::High, 1000.0, &[("in_flight", 0.6)]),
    ("n_plus_one", Severity::Medium, 5.0, &[("time_per_request", 0.006), ("endpoint_time_ratio", 0.06)]),
    ("n_plus_one", Severity::High, 20.0, &[("time_per_request", 0.006), ("endpoint_time_ratio", 0.06)]),
    ("query_errors", Severity::High, 0.10, &[]),
    ("query_errors", Severity::Critical, 0.25, &[]),
    ("slow_task", Severity::High, 0.5, &[]),
    ("slow_task", Severity::Critical, 2.0, &[]),
    ("task_failures", Severity::High, 0.10, &[]),
    ("task_failures", Severity::Critical, 0.20, &[]),
    ("cancelled_tasks", Severity::Medium, 0.20, &[]),
    ("cancelled_tasks", Severity::High, 0.50, &[]),
    ("stuck_task", Severity::Medium, 300.0, &[]),
    ("stuck_task", Severity::High, 1800.0, &[]),
    ("memory_usage", Severity::High, 500e6, &[]),
    ("memory_usage", Severity::Critical, 1e9, &[]),
    ("memory_limit", Severity::High, 0.90, &[]),
    ("memory_limit", Severity::Critical, 0.98, &[]),
    ("memory_leak", Severity::High, 10e6, &[]),
    ("scheduling_lag", Severity::Medium, 0.1, &[]),
    ("scheduling_lag", Severity::High, 0.5, &[]),
    ("scheduling_lag", Severity::Critical, 2.0, &[]),
    ("fallback_errors", Severity::High, 0.10, &[]),
    ("fallback_errors", Severity::Critical, 0.25, &[]),
    ("absent_service", Severity::Medium, 300.0, &[]),
    ("absent_service", Severity::High, 900.0, &[]),
    ("absent_endpoint", Severity::Low, 600.0, &[]),
    ("absent_endpoint", Severity::Medium, 3600.0, &[]),
    ("absent_task", Severity::Medium, 300.0, &[]),
    ("absent_task", Severity::High, 6.0 * 3600.0, &[]),
    ("service_drop", Severity::Low, 0.80, &[]),
    ("service_drop", Severity::Medium, 0.95, &[]),
    ("endpoint_drop", Severity::Low, 0.80, &[]),
    ("endpoint_drop", Severity::Medium, 0.95, &[]),
    ("task_drop", Severity::Low, 0.80, &[]),
    ("task_drop", Severity::Medium, 0.95, &[]),
    ("slower_version", Severity::Low, 0.25, &[]),
    ("slower_version", Severity::Medium, 1.0, &[]),
    ("failing_version", Severity::Medium, 0.01, &[]),
    ("failing_version", Severity::High, 0.10, &[]),
    ("slower_service", Severity::Medium, 0.25, &[]),
    ("slower_service", Severity::High, 1.0, &[]),
    ("failing_service", Severity::Medium, 0.01, &[]),
    ("failing_service", Severity::High, 0.10, &[]),
    ("file_descriptors", Severity::Medium, 0.70, &[]),
    ("file_descriptors", Severity::High, 0.85, &[]),
    ("file_descriptors", Severity::Critical, 0.95, &[]),
];

fn subject() -> Arc<Subject> {
    Arc::new(Subject { name: "the subject".into(), labels: vec![(Cow::Borrowed("any"), "label".into())] })
}

fn only(id: &str) -> (RuleSet, Arc<Rule>) {
    let shipped = RuleSet::embedded();
    let rule = shipped.rules().iter().find(|rule| &*rule.id == id).expect(id).clone();
    (RuleSet::of(vec![rule.clone()]), rule)
}

fn readings(rule: &Rule, value: f64, samples: u64, others: &[(&str, f64)]) -> FixedReadings {
    let subject = subject();
    let readings = FixedReadings::default().with(rule.scope, rule.measure, &subject, value, samples);
    others.iter().fold(readings, |readings, (name, value)| {
        let measure = measure::find(rule.scope, name).expect(name).measure;
        readings.with(rule.scope, measure, &subject, *value, samples)
    })
}

fn severity(id: &str, value: f64, samples: u64, others: &[(&str, f64)]) -> Option<Severity> {
    let (rules, rule) = only(id);
    let findings = Evaluator::new(rules.rules()).evaluate(&readings(&rule, value, samples, others));
    findings.first().map(fixed::severity)
}

#[test]
fn every_threshold_of_every_rule_has_a_case() {
    let shipped: BTreeSet<_> = RuleSet::embedded()
        .rules()
        .iter()
        .flat_map(|rule| rule.thresholds.0.iter().map(|(severity, _)| (rule.id.to_string(), *severity)))
        .collect();
    let cases: BTreeSet<_> = CASES.iter().map(|(id, severity, ..)| ((*id).to_owned(), *severity)).collect();
    assert_eq!(shipped, cases);
}

#[test]
fn rules_are_silent_up_to_their_threshold_and_speak_above_it() {
    for (id, expected, limit, others) in CASES {
        let (below, at, above) = (limit * (1.0 - 1e-9), *limit, limit * (1.0 + 1e-9));
        let lower = severity(id, below, 1000, others);
        assert!(lower < Some(*expected), "{id}: {lower:?} below {limit}");
        assert_eq!(severity(id, at, 1000, others), lower, "{id}: at {limit}");
        assert_eq!(severity(id, above, 1000, others), Some(*expected), "{id}: above {limit}");
    }
}

#[test]
fn rules_say_nothing_on_too_few_samples() {
    for (id, expected, limit, others) in CASES {
        let min_samples = only(id).1.min_samples;
        assert_eq!(severity(id, limit * 1.01, min_samples - 1, others), None, "{id}");
        assert_eq!(severity(id, limit * 1.01, min_samples, others), Some(*expected), "{id}");
    }
}

#[test]
fn rules_say_nothing_where_a_fix_is_not_worth_it() {
    assert_eq!(severity("frequent_query", 900.0, 1000, &[("in_flight", 0.05)]), None);
    let cheap = [("time_per_request", 0.001), ("endpoint_time_ratio", 0.9)];
    assert_eq!(severity("n_plus_one", 50.0, 1000, &cheap), None);
    let unnoticed = [("time_per_request", 0.02), ("endpoint_time_ratio", 0.01)];
    assert_eq!(severity("n_plus_one", 50.0, 1000, &unnoticed), None);
    assert_eq!(severity("n_plus_one", 50.0, 1000, &[]), None, "a missing value proves nothing");
    assert_eq!(severity("wasted_work", 0.9, 1000, &[("time_share", 0.01)]), None);
    assert_eq!(severity("slow_tail", 9.0, 1000, &[("own_avg_duration", 2.0)]), None, "slow_endpoint says it");
}

#[test]
fn every_rule_fires_after_its_time_and_clears_after_recovery() {
    for (id, severity, limit, others) in CASES {
        let (rules, rule) = only(id);
        let mut lifecycle = Lifecycle::default();
        let start = Instant::now();
        let mut advance = |at: Duration, value: f64| {
            let findings = Evaluator::new(rules.rules()).evaluate(&readings(&rule, value, 1000, others));
            let changes: Vec<_> =
                lifecycle.advance(&rules, findings, start + at).into_iter().map(|t| t.change).collect();
            (changes, lifecycle.pending().len(), lifecycle.firing().first().map(|bottleneck| bottleneck.severity))
        };
        let tick = Duration::from_secs(5);
        assert!((Duration::from_secs(10)..=Duration::from_secs(30)).contains(&rule.hold), "{id}");
        assert_eq!(advance(Duration::ZERO, limit * 1.01), (vec![], 1, None), "{id}");
        assert_eq!(advance(rule.hold - tick, limit * 1.01), (vec![], 1, None), "{id}");
        assert_eq!(advance(rule.hold, limit * 1.01), (vec![Change::Started], 0, Some(*severity)), "{id}");
        let recovery = rule.hold + tick;
        assert_eq!(advance(recovery, 0.0), (vec![], 0, Some(*severity)), "{id}");
        assert_eq!(advance(recovery + rule.keep_firing_for, 0.0), (vec![Change::Resolved], 0, None), "{id}");
    }
}

#[test]
fn the_shipped_rules_keep_five_minutes_of_every_series_and_no_hour() {
    let windows = RuleSet::embedded().windows();
    assert_eq!(windows, [Duration::from_secs(60), Duration::from_secs(300)]);
}

/// Every fact that a scope can have, each number as given.
fn full_evidence(scope: Scope, number: f64) -> Evidence {
    let numbers = vocabulary::numbers(scope).into_iter().map(|(name, unit)| (name, Fact::Number(number, unit)));
    let words = vocabulary::words(scope).map(|name| (name, Fact::Word(format!("<{name}>").into())));
    Evidence { facts: numbers.chain(words).collect(), ..Evidence::default() }
}

#[test]
fn texts_of_a_firing_rule_are_complete() {
    for rule in RuleSet::embedded().rules() {
        let rules = RuleSet::of(vec![rule.clone()]);
        let (id, _, limit, others) = CASES.iter().find(|(id, ..)| *id == &*rule.id).expect("a case");
        let mut readings = readings(rule, limit * 1.5, 1000, others);
        readings.evidence = full_evidence(rule.scope, 0.9);
        let findings = Evaluator::new(rules.rules()).evaluate(&readings);
        let (severity, threshold) = *findings[0].passed.last().expect("a threshold");
        let bottleneck = Bottleneck::new(&findings[0], severity, threshold, Instant::now());
        assert!(!bottleneck.recommendations.is_empty(), "{id}");
        // The YAML to paste has brackets of its own.
        let advice = bottleneck.recommendations.iter().filter(|text| !text.starts_with("If it is by design"));
        for text in advice.chain([&bottleneck.description, &bottleneck.impact]) {
            assert!(!text.contains(['{', '}']) && !text.contains("unknown"), "{id}: {text}");
        }
    }
}

#[test]
fn advice_that_follows_from_the_evidence_comes_before_the_general() {
    let (rules, rule) = only("slow_endpoint");
    let mut readings = readings(&rule, 1.2, 45, &[]);
    let number = |name, value, unit| (name, Fact::Number(value, unit));
    readings.evidence = Evidence {
        facts: vec![
            number("db_time_ratio", 0.83, Unit::Ratio),
            number("top_query_calls_per_request", 41.0, Unit::Count),
            number("busy_ratio", 0.05, Unit::Ratio),
            number("waiting_ratio", 0.12, Unit::Ratio),
            number("avg_duration", 1.2, Unit::Seconds),
            number("max_duration", 3.4, Unit::Seconds),
            number("requests", 45.0, Unit::Count),
            ("top_query", Fact::Word("SELECT * FROM items WHERE order_id = ?".into())),
            ("operation", Fact::Word("SELECT".into())),
            number("error_ratio", 0.0, Unit::Ratio),
        ],
        queries: vec![QueryShare {
            query: "SELECT * FROM items WHERE order_id = ?".into(),
            calls: 1845,
            calls_per_request: Some(41.0),
            seconds: 44.8,
            time_ratio: Some(0.83),
            alone_seconds: 44.8,
            failed: 0,
            repeats: 0,
            most_at_once: 1,
            place: None,
        }],
        ..Evidence::default()
    };
    let findings = Evaluator::new(rules.rules()).evaluate(&readings);
    let (severity, threshold) = findings[0].passed[0];
    let bottleneck = Bottleneck::new(&findings[0], severity, threshold, Instant::now());
    assert_eq!(bottleneck.description, "Endpoint the subject has slow average response time");
    assert_eq!(bottleneck.impact, "Average response time: 1.2s");
    assert_eq!(
        bottleneck.recommendations,
        [
            "the subject issues it 41 times in one request: fetch all rows at once, with a join or with \"WHERE id IN (...)\": \
             SELECT * FROM items WHERE order_id = ?",
            "Compare the timelines of its slowest requests, which the report shows",
        ]
    );
    let metrics: Vec<_> = bottleneck.metrics.into_iter().collect();
    assert_eq!(
        metrics,
        [("avg_duration", 1.2), ("max_duration", 3.4), ("own_avg_duration", 1.2), ("request_count", 45.0)]
    );
}
