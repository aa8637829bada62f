//! [`Bottleneck`]: a finding with a beginning and with words.
//!
//! The texts of a finding are filled in here and nowhere else.

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;
use xxhash_rust::xxh64::xxh64;

use super::{
    cause::Diagnosis,
    cause_kind::CauseKind,
    condition::{Condition, Value},
    evidence::{Evidence, Fact},
    fact::{self, NumberFact},
    finding::{CausedBy, Finding},
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
    /// Why; `None` where the catalogue of causes has none for the rule's measure.
    pub(crate) cause: Option<Diagnosis>,
    /// The finding that it follows from.
    pub(crate) caused_by: Option<CausedBy>,
    /// What follows from the cause first, then what follows from the evidence, then general advice.
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
        Self {
            rule: rule.clone(),
            severity,
            subject: subject.clone(),
            description: rule.description.render_all(&fill),
            impact: rule.impact.render_all(&fill),
            cause: finding.cause.clone(),
            caused_by: finding.caused_by.clone(),
            recommendations: recommendations(finding, &fill),
            affected_endpoints: affected_endpoints(rule, subject, evidence),
            since,
            value: *value,
            threshold,
            window: finding.window,
            samples: *samples,
            metrics: metrics(finding),
            evidence: evidence.clone(),
            gain: gain::gain(rule.scope, rule.measure, &subject.name, evidence, &possible_causes(finding)),
        }
    }

    /// Returns what a client calls it by: the hash of its rule and subject, as 16 hexadecimal digits. It is the same at any
    /// severity and after a restart.
    pub(crate) fn id(&self) -> String {
        bottleneck_id(&self.rule.id, &self.subject.name)
    }

    /// Returns the observations in the version of the service before and in this one; `None` unless the rule compares the two.
    pub(crate) fn compared_samples(&self) -> Option<(u64, u64)> {
        let number = |fact: NumberFact| self.evidence.number(fact.name).map(|number| number as u64);
        let both = number(fact::PREVIOUS_REQUESTS).zip(number(fact::VERSION_REQUESTS));
        both.filter(|_| self.rule.measure.is_of_versions())
    }

    /// Orders by what to look at first: severity, then share of all time spent, then by name so that it is stable.
    pub(crate) fn rank(&self, other: &Self) -> Ordering {
        let share = |bottleneck: &Self| bottleneck.evidence.time_share.unwrap_or(0.0);
        let by_name = || (&self.rule.id, &self.subject.name).cmp(&(&other.rule.id, &other.subject.name));
        other.severity.cmp(&self.severity).then_with(|| share(other).total_cmp(&share(self))).then_with(by_name)
    }
}

/// Returns the id of the bottleneck of a rule and a subject.
pub(crate) fn bottleneck_id(rule: &str, subject: &str) -> String {
    // The id of a rule has no line break in it.
    format!("{:016x}", xxh64(format!("{rule}\n{subject}").as_bytes(), 0))
}

/// Returns the advice: what follows from the cause, what follows from the evidence, then what is said always.
fn recommendations(finding: &Finding, fill: &dyn Fn(&'static str) -> Option<String>) -> Vec<String> {
    let Finding { rule, subject, evidence, cause, .. } = finding;
    let known = |name: &str| match fact::of_subject(subject, name) {
        _ if name == fact::CAUSE.name => Some(cause_value(cause.as_ref())),
        Some(word) => Some(Value::Word(word.clone())),
        None => evidence.fact(name).map(Fact::value),
    };
    let holds = |condition: &Condition| condition.holds(&mut |name| known(name));
    let of_rule = |general: bool| {
        let chosen = rule.recommendations.iter().filter(move |one| one.condition.is_none() == general);
        chosen.filter(|one| one.condition.as_ref().is_none_or(holds)).filter_map(|one| one.say.render(fill))
    };
    let of_cause = cause.iter().flat_map(Diagnosis::advice);
    let mut advice: Vec<String> = Vec::new();
    for one in of_cause.chain(of_rule(false)).chain(of_rule(true)).chain(by_design(finding)) {
        if !advice.contains(&one) {
            advice.push(one);
        }
    }
    advice
}

/// Returns what conditions compare a cause with: those that remain.
pub(super) fn cause_value(cause: Option<&Diagnosis>) -> Value {
    Value::OneOf(cause.into_iter().flat_map(Diagnosis::possible).map(CauseKind::as_str).collect())
}

/// Returns the causes that remain; none where the catalogue has none for the rule's measure.
fn possible_causes(finding: &Finding) -> Vec<CauseKind> {
    finding.cause.iter().flat_map(Diagnosis::possible).collect()
}

fn decided_cause(finding: &Finding) -> Option<&'static str> {
    Some(finding.cause.as_ref()?.decided()?.as_str())
}

/// Returns how to silence the rule where what it finds is meant to be so, as YAML to paste.
fn by_design(finding: &Finding) -> Option<String> {
    let Finding { rule, subject, value, cause, .. } = finding;
    let design = cause.as_ref()?.by_design()?;
    // Blocking the runtime is nobody's design: only its duration may be.
    if matches!(rule.measure, Measure::LongestPoll | Measure::LongestPollQuantile(_) | Measure::SchedulingLag) {
        return None;
    }
    // The text of a query is enough, and its first label.
    let needed = if rule.scope == Scope::Query { 1 } else { subject.labels.len() };
    let labels: Vec<_> =
        subject.labels.iter().take(needed).map(|(name, value)| format!("{name}: {:?}", pattern(value))).collect();
    let yaml = if labels.is_empty() {
        let (severity, threshold) = finding.passed.first()?;
        let raised = format!("{} {}", threshold.operator.as_str(), rule.unit.render(value * ABOVE_DESIGN));
        format!("thresholds: {{ {severity}: {raised:?} }}")
    } else {
        format!("exclude: [{{ {} }}]", labels.join(", "))
    };
    Some(format!("If it is by design ({design}), add to the rule {}: {yaml}", rule.id))
}

/// Returns a pattern that matches a label; a long one is cut, with a star for the rest.
fn pattern(label: &str) -> String {
    const LONGEST: usize = 120;
    match label.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}*", &label[..end]),
        None => label.to_owned(),
    }
}

/// How far above its present value a threshold is put where that is by design.
const ABOVE_DESIGN: f64 = 1.5;

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
            _ if name == fact::CAUSE.name => decided_cause(self.finding)?.to_owned(),
            _ => match fact::of_subject(subject, name) {
                Some(word) => Fact::Word(word.clone()).render(),
                None => evidence.fact(name)?.render(),
            },
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
        Scope::Slo => evidence.worst.iter().map(|(endpoint, _)| endpoint.clone()).collect(),
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
        Scope::Slo => (&[fact::BUDGET_LEFT, fact::BUDGET_ENDS_IN], Some((fact::REQUESTS, "request_count"))),
    };
    let usual = usual.iter().filter_map(|fact| Some((fact.name, evidence.number(fact.name)?)));
    let count = count.and_then(|(fact, name)| Some((name, evidence.number(fact.name)?)));
    let mut metrics: BTreeMap<_, _> = usual.chain(count).collect();
    metrics.insert(rule.measure_name, *value);
    metrics
}
