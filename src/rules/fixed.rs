//! Readings with given values, for tests.

use std::{borrow::Cow, collections::HashMap, sync::Arc, time::Duration};

use super::{
    Evaluator, Finding, Measure, RuleSet, Scope, Severity,
    evidence::{Evidence, Fact},
    fact::NumberFact,
    file,
    file::RuleText,
    readings::{Question, Reading, Readings},
    subject::Subject,
};
use crate::names;

/// Readings that return the values they were given.
#[derive(Debug, Default)]
pub(crate) struct FixedReadings {
    answers: HashMap<(Scope, Measure), Vec<Reading>>,
    pub(crate) evidence: Evidence,
}

impl FixedReadings {
    pub(crate) fn with(
        mut self,
        scope: Scope,
        measure: Measure,
        subject: &Arc<Subject>,
        value: f64,
        samples: u64,
    ) -> Self {
        let reading = Reading { subject: subject.clone(), value, samples, span: None };
        self.answers.entry((scope, measure)).or_default().push(reading);
        self
    }
}

impl Readings for FixedReadings {
    fn read(&self, question: &Question<'_>) -> Vec<Reading> {
        self.answers.get(&(question.scope, question.measure)).cloned().unwrap_or_default()
    }

    fn evidence(&self, _: Scope, _: &Subject, _: Duration, _: Option<f64>) -> Evidence {
        self.evidence.clone()
    }
}

pub(crate) fn endpoint(method: &str, route: &str) -> Arc<Subject> {
    let labels = vec![(Cow::Borrowed(names::METHOD), method.into()), (Cow::Borrowed(names::ROUTE), route.into())];
    Arc::new(Subject::new(format!("{method} {route}"), labels))
}

/// The highest severity whose threshold is passed.
pub(crate) fn severity(finding: &Finding) -> Severity {
    finding.passed.last().expect("a finding passes a threshold").0
}

pub(crate) fn load(text: &str) -> RuleSet {
    let texts = [RuleText { path: "rules/test.yaml".into(), text: Ok(text.to_owned()) }];
    RuleSet::of(file::load(&texts, Duration::from_secs(24 * 3600)).unwrap_or_else(|error| panic!("{error}")))
}

/// One rule on the average duration of endpoints.
pub(crate) fn rules(thresholds: &str, more: &str) -> RuleSet {
    load(&format!(
        "rules:\n  - id: slow\n    scope: endpoint\n    measure: avg_duration\n    thresholds: {thresholds}\n    \
         description: \"{{subject}}\"\n    {more}\n"
    ))
}

/// What [`rules`] find on some endpoints with these average durations, of 100 requests each.
pub(crate) fn findings(rules: &RuleSet, values: impl IntoIterator<Item = (Arc<Subject>, f64)>) -> Vec<Finding> {
    evaluate(rules, values, Evidence::default())
}

/// The same, where they spend nine tenths of their time in a part.
pub(crate) fn findings_because(
    rules: &RuleSet,
    part: NumberFact,
    values: impl IntoIterator<Item = (Arc<Subject>, f64)>,
) -> Vec<Finding> {
    let facts = vec![(part.name, Fact::Number(0.9, part.unit))];
    evaluate(rules, values, Evidence { facts, ..Evidence::default() })
}

fn evaluate(
    rules: &RuleSet,
    values: impl IntoIterator<Item = (Arc<Subject>, f64)>,
    evidence: Evidence,
) -> Vec<Finding> {
    let readings = FixedReadings { evidence, ..FixedReadings::default() };
    let readings = values.into_iter().fold(readings, |readings, (subject, value)| {
        readings.with(Scope::Endpoint, Measure::AvgDuration, &subject, value, 100)
    });
    Evaluator::new(rules.rules()).evaluate(&readings)
}
