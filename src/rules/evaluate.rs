//! [`Evaluator`]: finds the subjects that are over a threshold now.
//!
//! It reads everything through [`Readings`], keeps no state and reads no clock. How long a finding must last before it fires
//! is decided in [`alert::lifecycle`](crate::alert). Invariant: with fewer than `min_samples` observations there is no finding.

use std::{borrow::Cow, collections::HashMap, sync::Arc, time::Duration};

use super::{
    bottleneck::cause_value,
    budget::Budget,
    cause::{self, Case, Diagnosis},
    condition::Value,
    evidence::{Evidence, Fact},
    fact,
    finding::Finding,
    join,
    measure::{self, Measure},
    readings::{Question, Reading, Readings},
    rule::Rule,
    scope::Scope,
    severity::Severity,
    slo::{BurnAlert, Slo},
    subject::Subject,
    threshold::Threshold,
};
use crate::names;

/// Runs rules.
#[derive(Debug)]
pub(crate) struct Evaluator<'a> {
    rules: &'a [Arc<Rule>],
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(rules: &'a [Arc<Rule>]) -> Self {
        Self { rules }
    }

    /// Returns every subject that is over a threshold, each with its evidence.
    pub(crate) fn evaluate(&self, readings: &impl Readings) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut evidence = EvidenceCache { readings, known: HashMap::new() };
        for rule in self.rules {
            evaluate_rule(rule, readings, &mut evidence, &mut findings);
        }
        join::join(&mut findings);
        findings
    }
}

fn evaluate_rule<R: Readings>(
    rule: &Arc<Rule>,
    readings: &R,
    evidence: &mut EvidenceCache<'_, R>,
    findings: &mut Vec<Finding>,
) {
    if let Some(slo) = &rule.slo {
        return evaluate_slo(rule, slo, readings.budgets(rule), findings);
    }
    let mut conditions = ConditionValues { rule, readings, known: HashMap::new() };
    for Reading { subject, value, samples, span } in
        readings.read(&Question { at_least: rule.lowest_limit(), ..question(rule, rule.measure) })
    {
        // A source of readings may divide by zero; NaN and infinity are not values that a threshold can judge.
        if samples < rule.min_samples || !value.is_finite() || !rule.applies_to(&subject) {
            continue;
        }
        let passed = rule.thresholds_for(&subject).passed_by(value);
        if passed.is_empty() {
            continue;
        }
        let slow = passed.first().map(|(_, threshold)| threshold.limit).filter(|_| is_duration(rule.measure));
        let window = span.unwrap_or(rule.window);
        let mut candidate = Candidate { rule, subject: &subject, window, slow, cache: evidence, cause: None };
        if !conditions.hold_for(&mut candidate) {
            continue;
        }
        let (known, cause) = (candidate.evidence(), candidate.into_cause());
        let (passed, withheld) = bounded(passed, cause.as_ref());
        let finding = Finding {
            rule: rule.clone(),
            subject,
            value,
            window,
            samples,
            passed,
            withheld,
            evidence: known,
            cause,
            caused_by: None,
        };
        findings.push(finding);
    }
}

fn evaluate_slo(rule: &Arc<Rule>, slo: &Slo, budgets: &[Budget], findings: &mut Vec<Finding>) {
    for budget in budgets {
        let passed = budget.passed(slo, &rule.thresholds, rule.min_samples);
        let Some((severity, _)) = passed.last().copied() else { continue };
        let window = BurnAlert::of(severity).long;
        let Some(value) = budget.burn_rate(slo, window) else { continue };
        findings.push(Finding {
            rule: rule.clone(),
            subject: budget.subject.clone(),
            value,
            window,
            samples: budget.counts(window).total,
            passed,
            withheld: Vec::new(),
            evidence: Arc::new(budget.evidence(slo, severity)),
            cause: None,
            caused_by: None,
        });
    }
}

/// Returns the cause, from the evidence about the subject and about what it depends on.
fn diagnose<R: Readings>(
    rule: &Rule,
    subject: &Subject,
    window: Duration,
    evidence: &Evidence,
    known: &mut EvidenceCache<'_, R>,
) -> Option<Diagnosis> {
    let process = (rule.scope != Scope::Process)
        .then(|| known.of(Scope::Process, &Subject::new(Scope::Process.as_str(), Vec::new()), window, None));
    let origin = match rule.scope {
        Scope::Endpoint => {
            evidence.queries.first().map(|share| (Scope::Query, Subject::new(&*share.query, Vec::new())))
        }
        Scope::Process => {
            evidence.blockers.first().and_then(|blocker| Some((Scope::Endpoint, endpoint(&blocker.endpoint)?)))
        }
        Scope::Query | Scope::Task | Scope::Metric | Scope::Slo => None,
    };
    let origin = origin.map(|(scope, subject)| known.of(scope, &subject, window, None));
    cause::diagnose(&Case {
        scope: rule.scope,
        measure: rule.measure,
        subject: &subject.name,
        evidence,
        origin: origin.as_deref(),
        process: Some(process.as_deref().unwrap_or(evidence)),
    })
}

/// Returns the subject of an endpoint by its name, a method and a route.
pub(super) fn endpoint(name: &str) -> Option<Subject> {
    let (method, route) = name.split_once(' ')?;
    let labels = vec![(Cow::Borrowed(names::METHOD), method.into()), (Cow::Borrowed(names::ROUTE), route.into())];
    Some(Subject::new(name, labels))
}

/// Severities with the thresholds that are passed.
type Passed = Vec<(Severity, Threshold)>;

/// Separates severities that the cause does not deserve: a long poll is never critical, however long it waits. Where it deserves
/// none of them, the lowest threshold counts for the highest that it does deserve.
fn bounded(passed: Passed, cause: Option<&Diagnosis>) -> (Passed, Passed) {
    let Some(most) = cause.and_then(Diagnosis::at_most) else { return (passed, Vec::new()) };
    let (mut kept, withheld): (Passed, Passed) = passed.into_iter().partition(|(severity, _)| *severity <= most);
    if kept.is_empty() {
        kept.extend(withheld.first().map(|(_, threshold)| (most, *threshold)));
    }
    (kept, withheld)
}

/// Returns the question that a rule asks about a measure, of every subject of its scope.
pub(super) fn question(rule: &Rule, measure: Measure) -> Question<'_> {
    let Rule { scope, window, min_samples, metric, .. } = rule;
    Question {
        scope: *scope,
        measure,
        window: *window,
        min_samples: *min_samples,
        at_least: None,
        metric: metric.as_ref(),
    }
}

/// A subject that is over a threshold. What else is known of it is gathered when it is asked for.
struct Candidate<'a, 'b, R> {
    rule: &'a Rule,
    subject: &'a Subject,
    window: Duration,
    slow: Option<f64>,
    cache: &'a mut EvidenceCache<'b, R>,
    /// The cause, once it was looked for.
    cause: Option<Option<Diagnosis>>,
}

impl<R: Readings> Candidate<'_, '_, R> {
    fn evidence(&mut self) -> Arc<Evidence> {
        self.cache.of(self.rule.scope, self.subject, self.window, self.slow)
    }

    fn cause(&mut self) -> &Option<Diagnosis> {
        let evidence = self.evidence();
        self.cause.get_or_insert_with(|| diagnose(self.rule, self.subject, self.window, &evidence, self.cache))
    }

    fn into_cause(mut self) -> Option<Diagnosis> {
        self.cause();
        self.cause.flatten()
    }

    /// Returns a word; `None` where it has none.
    fn word(&mut self, name: &str) -> Option<Value> {
        if name == fact::CAUSE.name {
            return Some(cause_value(self.cause().as_ref()));
        }
        match fact::of_subject(self.subject, name) {
            Some(word) => Some(Value::Word(word.clone())),
            None => self.evidence().fact(name).map(Fact::value),
        }
    }
}

/// The values that `only_if` compares. A measure is read once for each rule, and only if a subject is over its threshold.
struct ConditionValues<'a, R> {
    rule: &'a Rule,
    readings: &'a R,
    known: HashMap<&'static str, HashMap<Arc<str>, f64>>,
}

impl<R: Readings> ConditionValues<'_, R> {
    fn hold_for(&mut self, candidate: &mut Candidate<'_, '_, R>) -> bool {
        let Some(condition) = &self.rule.only_if else { return true };
        condition.holds(&mut |name| {
            let Some(entry) = measure::find(self.rule.scope, name) else { return candidate.word(name) };
            let values = self.known.entry(name).or_insert_with(|| {
                let readings = self.readings.read(&question(self.rule, entry.measure));
                readings.into_iter().map(|reading| (reading.subject.name.clone(), reading.value)).collect()
            });
            values.get(&candidate.subject.name).copied().map(Value::Number)
        })
    }
}

/// Returns whether a single observation can be compared with the limit of a measure.
fn is_duration(measure: Measure) -> bool {
    matches!(
        measure,
        Measure::AvgDuration
            | Measure::DurationQuantile(_)
            | Measure::MaxDuration
            | Measure::OwnAvgDuration
            | Measure::OwnDurationQuantile(_)
    )
}

/// Scope, subject, window and limit.
type EvidenceKey = (Scope, Arc<str>, Duration, Option<u64>);

/// Evidence by subject, window and limit: several rules may find the same subject.
struct EvidenceCache<'a, R> {
    readings: &'a R,
    known: HashMap<EvidenceKey, Arc<Evidence>>,
}

impl<R: Readings> EvidenceCache<'_, R> {
    fn of(&mut self, scope: Scope, subject: &Subject, window: Duration, slow: Option<f64>) -> Arc<Evidence> {
        let key = (scope, subject.name.clone(), window, slow.map(f64::to_bits));
        let made = || Arc::new(self.readings.evidence(scope, subject, window, slow));
        self.known.entry(key).or_insert_with(made).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{
        Bottleneck, RuleSet, Severity,
        fixed::{self, FixedReadings, endpoint},
    };
    use tokio::time::Instant;

    /// Which routes are found, and how bad, with these average durations.
    #[track_caller]
    fn check(rules: &RuleSet, values: &[(&str, f64)], expected: &[(&str, Severity)]) {
        let subjects = values.iter().map(|(route, value)| (endpoint("GET", route), *value));
        let findings = fixed::findings(rules, subjects);
        let found: Vec<_> = findings.iter().map(|finding| (&*finding.subject.name, fixed::severity(finding))).collect();
        let expected: Vec<_> = expected.iter().map(|(route, severity)| (format!("GET {route}"), *severity)).collect();
        assert_eq!(found, expected.iter().map(|(name, severity)| (name.as_str(), *severity)).collect::<Vec<_>>());
    }

    #[test]
    fn the_highest_threshold_that_is_passed_is_the_severity() {
        let rules = fixed::rules("{ low: '> 1s', medium: '> 2s', critical: '> 3s' }", "");
        let values = [("/a", 1.0), ("/b", 1.5), ("/c", 2.5), ("/d", 9.0)];
        check(&rules, &values, &[("/b", Severity::Low), ("/c", Severity::Medium), ("/d", Severity::Critical)]);
    }

    #[test]
    fn thresholds_may_look_downwards() {
        let rules = fixed::rules("{ medium: '<= 2s', high: '< 1s' }", "");
        check(&rules, &[("/a", 2.1), ("/b", 2.0), ("/c", 0.0)], &[("/b", Severity::Medium), ("/c", Severity::High)]);
    }

    #[test]
    fn the_first_override_that_matches_counts_and_keeps_what_it_does_not_name() {
        let rules = fixed::rules(
            "{ high: '> 1s', critical: '> 5s' }",
            "overrides: [{ match: { http_route: /reports/* }, thresholds: { high: '> 4s' } }, \
             { match: { http_route: '*' }, thresholds: { critical: off } }]",
        );
        let values = [("/reports/a", 3.0), ("/reports/b", 4.5), ("/reports/c", 6.0), ("/d", 6.0)];
        let expected = [("/reports/b", Severity::High), ("/reports/c", Severity::Critical), ("/d", Severity::High)];
        check(&rules, &values, &expected);
    }

    #[test]
    fn match_and_exclude_choose_the_subjects() {
        let more = "match: { http_route: /api/*, http_request_method: GET }\n    exclude: [{ http_route: '*/export' }]";
        let rules = fixed::rules("{ high: '> 1s' }", more);
        check(&rules, &[("/api/a", 2.0), ("/b", 2.0), ("/api/c/export", 2.0)], &[("/api/a", Severity::High)]);
    }

    #[test]
    fn nan_and_infinity_make_no_finding() {
        let rules = fixed::rules("{ high: '> 1s' }", "");
        check(&rules, &[("/nan", f64::NAN), ("/infinite", f64::INFINITY)], &[]);
    }

    #[test]
    fn only_if_must_hold_for_the_same_subject() {
        let rules = fixed::rules("{ high: '> 1s' }", "only_if: request_rate > 1/s");
        let (busy, idle, unknown) = (endpoint("GET", "/busy"), endpoint("GET", "/idle"), endpoint("GET", "/unknown"));
        let readings = [&busy, &idle, &unknown].into_iter().fold(FixedReadings::default(), |readings, subject| {
            readings.with(Scope::Endpoint, Measure::AvgDuration, subject, 2.0, 10)
        });
        let readings = readings.with(Scope::Endpoint, Measure::Rate, &busy, 2.0, 10);
        let readings = readings.with(Scope::Endpoint, Measure::Rate, &idle, 0.5, 10);
        let findings = Evaluator::new(rules.rules()).evaluate(&readings);
        assert_eq!(findings.iter().map(|finding| &finding.subject).collect::<Vec<_>>(), [&busy]);
    }

    /// Which of `GET /a` and `POST /b` are found where most errors are 409.
    #[track_caller]
    fn check_words(only_if: &str, expected: &[&str]) {
        let rules = fixed::rules("{ high: '> 1s' }", &format!("only_if: {only_if:?}"));
        let facts = vec![(fact::TOP_ERROR.name, Fact::Word("409".into()))];
        let mut readings = FixedReadings::default();
        readings.evidence = Evidence { facts, ..Evidence::default() };
        let readings = [endpoint("GET", "/a"), endpoint("POST", "/b")]
            .iter()
            .fold(readings, |readings, subject| readings.with(Scope::Endpoint, Measure::AvgDuration, subject, 2.0, 10));
        let findings = Evaluator::new(rules.rules()).evaluate(&readings);
        assert_eq!(findings.iter().map(|finding| &*finding.subject.name).collect::<Vec<_>>(), expected, "{only_if}");
    }

    #[test]
    fn only_if_compares_words_of_the_subject_and_of_its_evidence() {
        check_words("method == POST", &["POST /b"]);
        check_words("method in ('PUT', 'GET')", &["GET /a"]);
        check_words("route not in ('/b', '/c') and method != POST", &["GET /a"]);
        check_words("top_error in ('409', '422')", &["GET /a", "POST /b"]);
        check_words("top_error not in ('409', '422')", &[]);
        check_words("top_error == '409' and avg_duration > 3s", &[]);
        check_words("top_client_error == '404'", &[]);
        check_words("top_client_error != '404'", &["GET /a", "POST /b"]);
    }

    #[test]
    fn texts_and_advice_know_the_words_of_the_subject() {
        let rules = fixed::load(
            "rules:\n  - id: slow\n    scope: endpoint\n    measure: avg_duration\n    thresholds: { high: '> 1s' }\n    \
             description: '{route} by {method}'\n    recommendations:\n      - { if: method in (GET), say: read less }\n      \
             - { if: method in (POST), say: '{method} less' }\n",
        );
        let findings = fixed::findings(&rules, [(endpoint("POST", "/b"), 2.0)]);
        let (severity, threshold) = findings[0].passed[0];
        let bottleneck = Bottleneck::new(&findings[0], severity, threshold, Instant::now());
        assert_eq!(bottleneck.description, "/b by POST");
        assert!(bottleneck.recommendations.contains(&"POST less".to_owned()), "{:?}", bottleneck.recommendations);
        assert!(!bottleneck.recommendations.contains(&"read less".to_owned()));
    }

    #[test]
    fn only_if_compares_the_cause() {
        let subjects = || [(endpoint("GET", "/a"), 2.0)];
        let found = |only_if: &str| {
            let rules = fixed::rules("{ high: '> 1s' }", &format!("only_if: {only_if:?}"));
            fixed::findings_because(&rules, fact::HTTP_TIME_RATIO, subjects()).len()
        };
        let decided = fixed::findings_because(&fixed::rules("{ high: '> 1s' }", ""), fact::HTTP_TIME_RATIO, subjects());
        let cause = decided[0].cause.as_ref().and_then(Diagnosis::decided).expect("a cause").as_str();
        assert_eq!(found(&format!("cause == {cause}")), 1);
        assert_eq!(found(&format!("cause in (stampede, {cause})")), 1);
        assert_eq!(found(&format!("cause != {cause}")), 0);
        assert_eq!(found("cause == stampede"), 0);
    }
}
