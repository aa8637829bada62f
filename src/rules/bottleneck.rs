//! [`Bottleneck`]: a finding with a beginning and with words.
//!
//! The texts of a finding are filled in here and nowhere else.

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    evidence::{Evidence, Fact},
    fact::{self, NumberFact},
    finding::Finding,
    gain::{self, Gain},
    measure::Measure,
    rule::Rule,
    scope::Scope,
    severity::Severity,
    subject::Subject,
    threshold::Threshold,
    unit::Unit,
    vocabulary,
};

/// Something that slows the service down or breaks it, with what is known about it.
#[derive(Clone, Debug)]
pub(crate) struct Bottleneck {
    /// The rule that found it; its id is the "type" in the API.
    pub(crate) rule: Arc<Rule>,
    pub(crate) severity: Severity,
    pub(crate) subject: Arc<Subject>,
    pub(crate) description: String,
    pub(crate) impact: String,
    /// What follows from the evidence first, general advice after.
    pub(crate) recommendations: Vec<String>,
    pub(crate) affected_endpoints: Vec<Arc<str>>,
    /// When its lowest threshold was passed and has been ever since.
    pub(crate) since: Instant,
    /// In the rule's unit.
    pub(crate) value: f64,
    pub(crate) threshold: Threshold,
    /// How far back the value reaches.
    pub(crate) window: Duration,
    pub(crate) samples: u64,
    /// Plain numbers by name, in base units: durations in seconds.
    pub(crate) metrics: BTreeMap<&'static str, f64>,
    pub(crate) evidence: Arc<Evidence>,
    /// What fixing it is expected to gain; `None` where that cannot be computed.
    pub(crate) gain: Option<Gain>,
}

impl Bottleneck {
    /// Makes a bottleneck of a finding: of one of the severities whose thresholds it is over.
    pub(crate) fn new(finding: &Finding, severity: Severity, threshold: Threshold, since: Instant) -> Self {
        let Finding { rule, subject, value, samples, evidence, .. } = finding;
        let texts = Texts { finding, severity, threshold };
        let fill = |name: &'static str| texts.value(name);
        let specific = rule.recommendations.iter().filter(|recommendation| recommendation.condition.is_some());
        let general = rule.recommendations.iter().filter(|recommendation| recommendation.condition.is_none());
        let holds = |condition: &super::condition::Condition| condition.holds(&mut |name| evidence.number(name));
        Self {
            rule: rule.clone(),
            severity,
            subject: subject.clone(),
            description: rule.description.render_all(&fill),
            impact: rule.impact.render_all(&fill),
            recommendations: specific
                .filter(|recommendation| recommendation.condition.as_ref().is_some_and(holds))
                .chain(general)
                .filter_map(|recommendation| recommendation.say.render(&fill))
                .collect(),
            affected_endpoints: affected_endpoints(rule, subject, evidence),
            since,
            value: *value,
            threshold,
            window: finding.window,
            samples: *samples,
            metrics: metrics(finding),
            evidence: evidence.clone(),
            gain: gain::gain(rule.scope, rule.measure, &subject.name, evidence),
        }
    }

    /// Orders by what to look at first: severity, then share of all time spent, then by name so that it is stable.
    pub(crate) fn rank(&self, other: &Self) -> Ordering {
        let share = |bottleneck: &Self| bottleneck.evidence.time_share.unwrap_or(0.0);
        let by_name = || (&self.rule.id, &self.subject.name).cmp(&(&other.rule.id, &other.subject.name));
        other.severity.cmp(&self.severity).then_with(|| share(other).total_cmp(&share(self))).then_with(by_name)
    }
}

/// The values that texts are filled with.
struct Texts<'a> {
    finding: &'a Finding,
    severity: Severity,
    threshold: Threshold,
}

impl Texts<'_> {
    fn value(&self, name: &str) -> Option<String> {
        let Finding { rule, subject, value, samples, evidence, .. } = self.finding;
        Some(match name {
            vocabulary::SUBJECT => Fact::Word(subject.name.clone()).render(),
            vocabulary::VALUE => rule.unit.render(*value),
            vocabulary::THRESHOLD => rule.unit.render(self.threshold.limit),
            vocabulary::WINDOW => Unit::Seconds.render(self.finding.window.as_secs_f64()),
            vocabulary::SAMPLES => samples.to_string(),
            vocabulary::SEVERITY => self.severity.to_string(),
            vocabulary::RULE => rule.id.to_string(),
            _ => evidence.fact(name)?.render(),
        })
    }
}

fn affected_endpoints(rule: &Rule, subject: &Subject, evidence: &Evidence) -> Vec<Arc<str>> {
    match rule.scope {
        Scope::Endpoint => vec![subject.name.clone()],
        Scope::Process => match rule.measure {
            Measure::SchedulingLag => evidence.blockers.iter().map(|blocker| blocker.endpoint.clone()).collect(),
            Measure::MemoryGrowth => evidence.suspects.iter().map(|suspect| suspect.endpoint.clone()).collect(),
            _ => Vec::new(),
        },
        Scope::Query | Scope::Task | Scope::Metric => {
            evidence.endpoints.iter().map(|share| share.endpoint.clone()).collect()
        }
    }
}

/// The numbers that a script reads: the rule's own measure and the usual ones of its scope.
fn metrics(finding: &Finding) -> BTreeMap<&'static str, f64> {
    let Finding { rule, value, evidence, .. } = finding;
    const DURATIONS: &[NumberFact] = &[fact::AVG_DURATION, fact::MAX_DURATION, fact::P95_DURATION];
    let (usual, count): (&[NumberFact], _) = match rule.scope {
        Scope::Endpoint => (DURATIONS, Some((fact::REQUESTS, "request_count"))),
        Scope::Query => (DURATIONS, Some((fact::CALLS, "call_count"))),
        Scope::Task => (DURATIONS, Some((fact::RUNS, "run_count"))),
        Scope::Process => (&[fact::RESIDENT_MEMORY, fact::MEMORY_LIMIT], None),
        Scope::Metric => (&[], None),
    };
    let usual = usual.iter().filter_map(|fact| Some((fact.name, evidence.number(fact.name)?)));
    let count = count.and_then(|(fact, name)| Some((name, evidence.number(fact.name)?)));
    let mut metrics: BTreeMap<_, _> = usual.chain(count).collect();
    metrics.insert(rule.measure_name, *value);
    metrics
}
