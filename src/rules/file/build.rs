//! From an entry of a rule file to a [`Rule`], or to everything that is wrong with it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    builder::{Context, LabelsOf, RuleBuilder, globs},
    entry::{RecommendationEntry, RuleEntry, Scalar},
    located::Node,
    naming,
    problem::ProblemKind,
};
use crate::{
    names::{self, Kind, Metric},
    rules::{
        condition::Condition,
        measure::{self, Entry, Measure, Samples},
        rule::{LabelGlobs, MetricSelector, Recommendation, Rule},
        scope::Scope,
        severity::Severity,
        suggest::nearest,
        template::Template,
        threshold::{Threshold, Thresholds},
        unit::Unit,
        vocabulary,
    },
};

const DEFAULT_MIN_SAMPLES: u64 = 5;
const DEFAULT_HOLD: Duration = Duration::from_secs(30);
const DEFAULT_KEEP_FIRING_FOR: Duration = Duration::from_secs(60);
/// A rule that waits longer than this before it fires waits longer than most processes live.
const LONGEST_HOLD: Duration = Duration::from_secs(7 * 24 * 3600);
/// More than any service has of requests, queries or runs.
const MOST_SAMPLES_PER_SECOND: u64 = 1_000_000;
const DEFAULT_IMPACT: &str = "{value} over the last {window} (threshold: {threshold})";

/// Makes a rule of an entry; `None` when anything is wrong with it. Every mistake is reported.
///
/// `node` is the tree that the entry was filled from.
pub(crate) fn rule(entry: &RuleEntry, node: &Node, context: &mut Context<'_>) -> Option<Rule> {
    let before = context.problems.len();
    let mut builder = RuleBuilder { node, context };
    let id = entry.id.as_ref().and_then(|id| builder.id(id));
    let scope = entry.scope.as_ref().and_then(|scope| builder.scope(scope));
    let measure = scope.zip(entry.measure.as_ref()).and_then(|(scope, name)| builder.measure(scope, name));
    let metric = scope.and_then(|scope| builder.metric(scope, measure, entry));
    let unit = measure.map(|measure| match &metric {
        Some(metric) => measure::metric_unit(&metric.name, measure.measure),
        None => measure.unit,
    });
    let by = metric.as_ref().map_or(&[][..], |metric| &metric.by);
    let series = scope.map(|scope| LabelsOf { scope, metric: metric.as_ref().and_then(catalogued), by: None });
    let subjects = series.map(|series| LabelsOf { by: Some(by), ..series });
    let matches = builder.rule_labels(series, entry.matches.as_ref());
    let exclude = builder.exclude(subjects, entry.exclude.as_deref().unwrap_or_default());
    let window = builder.window(entry.window.as_ref(), measure);
    let min_samples = builder.min_samples(entry.min_samples.as_ref(), measure, window);
    let (hold, keep_firing_for) = builder.holds(entry.hold.as_ref(), entry.keep_firing_for.as_ref());
    let only_if = builder.only_if(scope, metric.as_ref(), entry.only_if.as_ref());
    let thresholds = builder.thresholds(entry.thresholds.as_ref(), measure, unit);
    let overrides =
        builder.overrides(subjects, entry.overrides.as_deref().unwrap_or_default(), &thresholds, measure, unit);
    builder.reach(entry);
    builder.check_rate(&thresholds, measure, min_samples, window);
    let names = scope.map(vocabulary::placeholders);
    let description = builder.sentence("description", entry.description.as_ref(), names.as_deref());
    let default_impact = Scalar(DEFAULT_IMPACT.to_owned());
    let impact = builder.sentence("impact", Some(entry.impact.as_ref().unwrap_or(&default_impact)), names.as_deref());
    let recommendations =
        builder.recommendations(scope, entry.recommendations.as_deref().unwrap_or_default(), names.as_deref());
    if builder.context.problems.len() > before {
        return None;
    }
    let (scope, measure) = (scope?, measure?);
    // The series of a metric are chosen before they become subjects.
    let matches = if scope == Scope::Metric { LabelGlobs::default() } else { matches };
    Some(Rule {
        id: id?,
        place: builder.context.rule_place(node),
        scope,
        measure: measure.measure,
        measure_name: measure.name,
        unit: unit?,
        metric,
        slo: None,
        matches,
        exclude,
        window,
        min_samples,
        hold,
        keep_firing_for,
        only_if,
        thresholds: Thresholds(thresholds),
        overrides,
        description: description?,
        impact: impact?,
        recommendations,
    })
}

impl RuleBuilder<'_, '_> {
    pub(super) fn id(&mut self, Scalar(id): &Scalar) -> Option<Arc<str>> {
        let good = id.starts_with(|c: char| c.is_ascii_lowercase())
            && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !good {
            self.report("id", ProblemKind::BadId { found: id.clone() });
            return None;
        }
        Some(Arc::from(id.as_str()))
    }

    fn scope(&mut self, Scalar(found): &Scalar) -> Option<Scope> {
        let names = Scope::ALL.map(Scope::as_str);
        let scope = Scope::ALL.into_iter().find(|scope| scope.as_str() == found);
        if scope.is_none() {
            let suggestion = nearest(found, names);
            let (found, expected) = (found.clone(), names.to_vec());
            self.report("scope", ProblemKind::UnknownName { what: "scope", found, suggestion, expected });
        }
        scope
    }

    fn measure(&mut self, scope: Scope, Scalar(found): &Scalar) -> Option<&'static Entry> {
        if let Some(entry) = measure::find(scope, found) {
            return Some(entry);
        }
        let others: Vec<_> = Scope::ALL.into_iter().filter(|other| measure::find(*other, found).is_some()).collect();
        let (found, scope_name) = (found.clone(), scope.as_str());
        let kind = if others.is_empty() {
            let expected: Vec<_> = measure::of_scope(scope).map(|entry| entry.name).collect();
            let suggestion = nearest(&found, expected.iter().copied());
            ProblemKind::UnknownMeasure { found, scope: scope_name, suggestion, expected }
        } else {
            let scopes = others.into_iter().map(Scope::as_str).collect::<Vec<_>>().join(" and ");
            ProblemKind::WrongScope { found, scope: scope_name, scopes }
        };
        self.report("measure", kind);
        None
    }

    fn metric(&mut self, scope: Scope, measure: Option<&Entry>, entry: &RuleEntry) -> Option<MetricSelector> {
        if scope != Scope::Metric {
            for (key, there) in [("metric", entry.metric.is_some()), ("by", entry.by.is_some())] {
                if there {
                    let at = self.node.entry(key).map_or(self.node.at, |(name, _)| name.at);
                    self.context.report(at, ProblemKind::MetricKey { key, scope: scope.as_str() });
                }
            }
            return None;
        }
        let Some(Scalar(name)) = &entry.metric else {
            let within = "rule of scope metric".to_owned();
            self.context.report(self.node.at, ProblemKind::MissingKey { key: "metric", within });
            return None;
        };
        let by: Vec<Arc<str>> = entry.by.iter().flatten().map(|Scalar(label)| Arc::from(label.as_str())).collect();
        let known = names::metric(name);
        self.by(known, &by);
        if let Some(kind) = naming::metric_mistake(name) {
            self.report("metric", kind);
        }
        if let Some(tally) = names::TALLIES.iter().find(|tally| tally.metric.name == name) {
            self.report("metric", ProblemKind::TalliedMetric { metric: tally.metric.name, of: tally.of.name });
        }
        if let Some(folded) = names::FOLDED.iter().find(|folded| folded.metric.name == name) {
            self.report("metric", ProblemKind::FoldedMetric { metric: folded.metric.name });
        }
        if let Some((metric, measure)) = known.zip(measure)
            && !fits(metric.kind, measure.measure)
        {
            let kind = match metric.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            self.report("measure", ProblemKind::MetricKind { measure: measure.name, metric: name.clone(), kind });
        }
        let matches = entry.matches.as_ref().map(globs).unwrap_or_default();
        Some(MetricSelector { name: Arc::from(name.as_str()), matches, by })
    }

    /// Checks the labels that subjects are told apart by.
    fn by(&mut self, metric: Option<&'static Metric>, by: &[Arc<str>]) {
        let list = self.node.get("by");
        let whose = LabelsOf { scope: Scope::Metric, metric, by: None };
        for (index, label) in by.iter().enumerate() {
            let twice = || by[..index].contains(label).then(|| ProblemKind::LabelTwice { label: label.to_string() });
            if let Some(kind) = whose.unknown(label).or_else(twice) {
                let at = list.and_then(|list| list.item(index)).map_or(self.node.at, |node| node.at);
                self.context.report(at, kind);
            }
        }
    }

    pub(super) fn rule_labels(
        &mut self,
        whose: Option<LabelsOf<'_>>,
        labels: Option<&BTreeMap<String, Scalar>>,
    ) -> LabelGlobs {
        let (Some(whose), Some(labels)) = (whose, labels) else { return LabelGlobs::default() };
        self.labels(&whose, labels, self.node.get("match"), "match")
    }

    pub(super) fn exclude(
        &mut self,
        whose: Option<LabelsOf<'_>>,
        exclude: &[BTreeMap<String, Scalar>],
    ) -> Vec<LabelGlobs> {
        let Some(whose) = whose else { return Vec::new() };
        let node = self.node.get("exclude");
        let each = exclude.iter().enumerate();
        each.map(|(index, labels)| self.labels(&whose, labels, node.and_then(|node| node.item(index)), "exclude"))
            .collect()
    }

    /// Reads `for` and `keep_firing_for`.
    pub(super) fn holds(&mut self, hold: Option<&Scalar>, keep_firing_for: Option<&Scalar>) -> (Duration, Duration) {
        let hold = self.hold("for", hold, DEFAULT_HOLD, "the rule would never fire");
        let why = "the rule would fire for ever";
        (hold, self.hold("keep_firing_for", keep_firing_for, DEFAULT_KEEP_FIRING_FOR, why))
    }

    /// Reads how long something must last. Longer than [`LONGEST_HOLD`] is never.
    fn hold(&mut self, key: &'static str, text: Option<&Scalar>, default: Duration, why: &'static str) -> Duration {
        let hold = self.span(key, text, default);
        if hold > LONGEST_HOLD {
            let [found, longest] = [hold, LONGEST_HOLD].map(|span| Unit::Seconds.render(span.as_secs_f64()));
            self.report(key, ProblemKind::TooLong { key, found, longest, why });
        }
        hold
    }

    /// Refuses a rate below which a subject has too few samples for any finding.
    fn check_rate(
        &mut self,
        thresholds: &[(Severity, Threshold)],
        measure: Option<&Entry>,
        min_samples: u64,
        window: Duration,
    ) {
        let Some(measure) = measure.filter(|measure| measure.measure == Measure::Rate) else { return };
        let least = min_samples as f64 / window.as_secs_f64();
        let wrong = thresholds.iter().find(|(_, Threshold { operator, limit })| {
            !operator.is_upward() && !operator.holds(least, *limit) && *limit > 0.0
        });
        let Some((severity, Threshold { operator, limit })) = wrong else { return };
        let rate = |rate| measure.unit.render(rate);
        let found = format!("{} {}", operator.as_str(), rate(*limit));
        let at = self.node.get("thresholds").and_then(|node| node.get(severity.as_str())).unwrap_or(self.node).at;
        let window = Unit::Seconds.render(window.as_secs_f64());
        self.context.report(at, ProblemKind::TooFew { found, min_samples, window, rate: rate(least) });
    }

    fn window(&mut self, text: Option<&Scalar>, measure: Option<&Entry>) -> Duration {
        let own = measure.and_then(|measure| Some((measure, measure.measure.own_span()?)));
        if let Some((measure, span)) = own {
            if text.is_some() {
                self.report("window", ProblemKind::UselessWindow { measure: measure.name });
            }
            return span;
        }
        let window = self.span("window", text, names::DEFAULT_WINDOW);
        if window.is_zero() {
            self.report("window", ProblemKind::ZeroWindow);
        } else if window > self.context.longest_window {
            let render = |span: Duration| Unit::Seconds.render(span.as_secs_f64());
            let (found, longest) = (render(window), render(self.context.longest_window));
            self.report("window", ProblemKind::WindowTooLong { found, longest });
        }
        window
    }

    pub(super) fn min_samples(&mut self, text: Option<&Scalar>, measure: Option<&Entry>, window: Duration) -> u64 {
        let counted = measure.is_none_or(|measure| measure.samples == Samples::Counted);
        if text.is_none() {
            return if counted { DEFAULT_MIN_SAMPLES } else { 1 };
        }
        if let Some(measure) = measure.filter(|_| !counted) {
            self.report("min_samples", ProblemKind::UselessMinSamples { measure: measure.name });
        }
        let number = self.whole_number("min_samples", text, DEFAULT_MIN_SAMPLES);
        let most = window.as_secs().saturating_mul(MOST_SAMPLES_PER_SECOND).max(MOST_SAMPLES_PER_SECOND);
        if number > most {
            let window = Unit::Seconds.render(window.as_secs_f64());
            self.report("min_samples", ProblemKind::TooManySamples { found: number, window, most });
        }
        number
    }

    fn only_if(
        &mut self,
        scope: Option<Scope>,
        metric: Option<&MetricSelector>,
        text: Option<&Scalar>,
    ) -> Option<Condition> {
        let unit =
            |entry: &Entry| metric.map_or(entry.unit, |metric| measure::metric_unit(&metric.name, entry.measure));
        let measures = measure::of_scope(scope?).map(|entry| (entry.name, Some(unit(entry))));
        let names: Vec<_> = measures.chain(vocabulary::words(scope?).map(|name| (name, None))).collect();
        self.condition(scope?, &text?.0, self.node.get("only_if"), &names)
    }

    pub(super) fn sentence(
        &mut self,
        key: &str,
        text: Option<&Scalar>,
        names: Option<&[&'static str]>,
    ) -> Option<Template> {
        self.template(&text?.0, self.node.get(key), names?)
    }

    pub(super) fn recommendations(
        &mut self,
        scope: Option<Scope>,
        entries: &[RecommendationEntry],
        names: Option<&[&'static str]>,
    ) -> Vec<Recommendation> {
        let (Some(scope), Some(names)) = (scope, names) else { return Vec::new() };
        let comparable = vocabulary::facts(scope);
        let list = self.node.get("recommendations");
        let mut recommendations = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let node = list.and_then(|list| list.item(index));
            let (condition, say) = match entry {
                RecommendationEntry::Always(Scalar(say)) => (None, self.template(say, node, names)),
                RecommendationEntry::When(entry) => {
                    let (Some(Scalar(text)), Some(Scalar(say))) = (&entry.condition, &entry.say) else { continue };
                    let condition = self.condition(scope, text, node.and_then(|node| node.get("if")), &comparable);
                    let say = self.template(say, node.and_then(|node| node.get("say")), names);
                    let Some(condition) = condition else { continue };
                    (Some(condition), say)
                }
            };
            recommendations.extend(say.map(|say| Recommendation { condition, say }));
        }
        recommendations
    }
}

/// Returns the metric of the catalogue that a rule reads; `None` for one of the service's own.
fn catalogued(metric: &MetricSelector) -> Option<&'static Metric> {
    names::metric(&metric.name)
}

/// Returns whether a measure makes sense for a kind of metric.
fn fits(kind: Kind, measure: Measure) -> bool {
    match kind {
        Kind::Counter => matches!(measure, Measure::Value | Measure::Rate),
        Kind::Gauge => matches!(measure, Measure::Value),
        Kind::Histogram => !matches!(measure, Measure::Value),
    }
}
