//! Numbers become judgements: which subjects are over which thresholds now.
//!
//! Pure: everything comes through [`Readings`], nothing is remembered, no clock is read. How long a finding lasts is the
//! business of [`alert::lifecycle`](crate::alert). Invariant: without `min_samples` observations there is no finding.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::bottleneck::Finding;
use super::evidence::Evidence;
use super::measure::{self, Scope};
use super::readings::{Question, Reading, Readings, Subject};
use super::rule::Rule;
use super::set::RuleSet;

/// Runs the rules of a set.
#[derive(Debug)]
pub(crate) struct Evaluator<'a> {
    rules: &'a RuleSet,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(rules: &'a RuleSet) -> Self {
        Self { rules }
    }

    /// Returns every subject that is over a threshold, each with its evidence.
    pub(crate) fn evaluate(&self, readings: &impl Readings) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut evidence = EvidenceCache { readings, known: HashMap::new() };
        for rule in self.rules.rules() {
            evaluate_rule(rule, readings, &mut evidence, &mut findings);
        }
        findings
    }
}

fn evaluate_rule<R: Readings>(
    rule: &Arc<Rule>,
    readings: &R,
    evidence: &mut EvidenceCache<'_, R>,
    findings: &mut Vec<Finding>,
) {
    let mut conditions = ConditionValues { rule, readings, known: HashMap::new() };
    for Reading { subject, value, samples } in readings.read(&question(rule, rule.measure)) {
        // A value that is no number is no answer, whatever a source makes of it.
        if samples < rule.min_samples || !value.is_finite() || !rule.applies_to(&subject) {
            continue;
        }
        let passed = rule.thresholds_for(&subject).passed_by(value);
        if passed.is_empty() || !conditions.hold_for(&subject) {
            continue;
        }
        let evidence = evidence.of(rule, &subject);
        findings.push(Finding { rule: rule.clone(), subject, value, samples, passed, evidence });
    }
}

fn question(rule: &Rule, measure: measure::Measure) -> Question<'_> {
    let Rule { scope, window, min_samples, metric, .. } = rule;
    Question { scope: *scope, measure, window: *window, min_samples: *min_samples, metric: metric.as_ref() }
}

/// The values that `only_if` compares, each measure read once a rule and only when a subject comes that far.
struct ConditionValues<'a, R> {
    rule: &'a Rule,
    readings: &'a R,
    known: HashMap<&'static str, HashMap<Arc<str>, f64>>,
}

impl<R: Readings> ConditionValues<'_, R> {
    fn hold_for(&mut self, subject: &Subject) -> bool {
        let Some(condition) = &self.rule.only_if else { return true };
        condition.holds(&mut |name| {
            let values = self.known.entry(name).or_insert_with(|| {
                let measure = measure::find(self.rule.scope, name).map(|entry| entry.measure);
                let readings = measure.map(|measure| self.readings.read(&question(self.rule, measure)));
                readings.into_iter().flatten().map(|reading| (reading.subject.name.clone(), reading.value)).collect()
            });
            values.get(&subject.name).copied()
        })
    }
}

/// Evidence by subject and window: several rules may find the same subject.
struct EvidenceCache<'a, R> {
    readings: &'a R,
    known: HashMap<(Scope, Arc<str>, Duration), Arc<Evidence>>,
}

impl<R: Readings> EvidenceCache<'_, R> {
    fn of(&mut self, rule: &Rule, subject: &Subject) -> Arc<Evidence> {
        let key = (rule.scope, subject.name.clone(), rule.window);
        let made = || Arc::new(self.readings.evidence(rule.scope, subject, rule.window));
        self.known.entry(key).or_insert_with(made).clone()
    }
}
