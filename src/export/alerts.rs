//! [`Export`]: the rules of a set as alerts of Prometheus.
//!
//! One alert for each rule and severity. An expression that several alerts read is recorded once. What Prometheus cannot compute is
//! left out and reported, with its reason: an alert that means something else than its rule would be worse than none.

use std::time::Duration;

use super::{
    labels, objectives, promql,
    query::{self, Histograms, Query},
    rule_file::{Entry, Group, Groups, Labels, prometheus_duration},
    selection::{Chosen, Selection, query},
    service,
    shared::{Pass, Shared},
    template::{label, literal, value},
};
use crate::{
    names,
    rules::{
        Condition, Measure, Operator, Rule, RuleSet, Scope, Severity, SloScope, Threshold,
        alert_labels::{DESCRIPTION, LEVEL, RUNBOOK_URL, SUMMARY, level, runbook},
        find_measure,
    },
};

/// What became of the rules of a set.
#[derive(Debug, Default)]
pub(super) struct Export {
    records: Vec<Entry>,
    alerts: Vec<Entry>,
    objectives: Option<Group>,
    pub(super) left_out: Vec<LeftOut>,
}

/// A rule that has no alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Id of the rule.
    pub rule: String,
    /// Why Prometheus cannot judge it.
    pub reason: String,
}

impl Export {
    pub(super) fn of(rules: &RuleSet, histograms: Histograms) -> Self {
        let mut export = Self::default();
        let mut shared = Shared::default();
        // The first pass counts how often each expression is read.
        for pass in [Pass::Count, Pass::Write] {
            shared.pass = pass;
            (export.alerts, export.left_out) = Default::default();
            for rule in rules.rules().iter().filter(|rule| rule.slo.is_none()) {
                match alerts(rule, rules, histograms, &mut shared) {
                    Ok(alerts) => export.alerts.extend(alerts.into_iter().map(|(_, alert)| alert)),
                    Err(reason) => export.left_out.push(LeftOut { rule: rule.id.to_string(), reason }),
                }
            }
        }
        export.records = shared.records();
        let objectives: Vec<_> =
            rules.rules().iter().filter_map(|rule| objectives::Objective::of(rule, histograms)).collect();
        export.objectives = objectives::Objective::group(&objectives);
        export
    }

    /// Returns the file.
    pub(super) fn into_groups(self) -> Groups {
        let group = |name: &str, rules| Group { name: name.to_owned(), interval: None, rules };
        // One group: within it the alerts are evaluated after what they read.
        let rules = group("pinchpoint", self.records.into_iter().chain(self.alerts).collect());
        let rules = Some(rules).filter(|group| !group.rules.is_empty() || self.objectives.is_none());
        Groups { groups: rules.into_iter().chain(self.objectives).collect() }
    }
}

/// Returns the alerts of a rule, from the lowest severity to the highest.
fn alerts(
    rule: &Rule,
    rules: &RuleSet,
    histograms: Histograms,
    shared: &mut Shared,
) -> Result<Vec<(Severity, Entry)>, String> {
    let left_out = rule.exclude.iter().chain(rule.overrides.iter().map(|other| &other.matches));
    if rule.scope == Scope::Metric && left_out.into_iter().any(|globs| globs.0.len() != 1) {
        return Err("exclude and overrides of a metric are exported where they match one label".to_owned());
    }
    labels::check(rule)?;
    let writer = Writer { of_service: service::rules(rule, rules), ..Writer::of(rule, histograms) };
    let severities = Severity::ALL.into_iter().filter(|severity| writer.is_judged(*severity));
    severities.map(|severity| Ok((severity, writer.alert(severity, shared)?))).collect()
}

/// Returns the expression of each severity of a rule of the set `rules`, whole: it reads no recording rule.
///
/// # Errors
/// Returns why Prometheus cannot judge the rule.
#[cfg(feature = "replay")]
pub(crate) fn expressions(
    rule: &Rule,
    rules: &RuleSet,
    histograms: Histograms,
) -> Result<Vec<(Severity, String)>, String> {
    if let Some(objective) = objectives::Objective::of(rule, histograms) {
        return Ok(objective.expressions());
    }
    // The first pass reads no expression by a name.
    let alerts = alerts(rule, rules, histograms, &mut Shared::default())?;
    let expressions = alerts.into_iter().filter_map(|(severity, alert)| match alert {
        Entry::Alert { expr, .. } => Some((severity, expr)),
        Entry::Record { .. } => None,
    });
    Ok(expressions.collect())
}

/// Writes the alerts of one rule.
pub(super) struct Writer<'a> {
    pub(super) rule: &'a Rule,
    histograms: Histograms,
    window: String,
    /// Rules on the service whose alerts stand in place of this one's.
    of_service: Vec<&'a Rule>,
}

impl<'a> Writer<'a> {
    fn of(rule: &'a Rule, histograms: Histograms) -> Self {
        Self { rule, histograms, window: prometheus_duration(rule.window), of_service: Vec::new() }
    }

    /// Returns a writer for a rule on the service.
    pub(super) fn beside(&self, rule: &'a Rule) -> Self {
        Self::of(rule, self.histograms)
    }

    fn is_judged(&self, severity: Severity) -> bool {
        let overrides = self.rule.overrides.iter().map(|other| &other.thresholds);
        overrides.chain([&self.rule.thresholds]).any(|thresholds| thresholds.of(severity).is_some())
    }

    fn alert(&self, severity: Severity, shared: &mut Shared) -> Result<Entry, String> {
        let Rule { id, hold, keep_firing_for, .. } = self.rule;
        let labels = [
            (names::SEVERITY, severity.as_str().to_owned()),
            (LEVEL, level(severity).to_owned()),
            (names::RULE, id.to_string()),
            // As the process names it, so that receivers need not know the labels of each scope.
            (names::SUBJECT, subject(self.rule, own_label)),
        ];
        Ok(Entry::Alert {
            alert: format!("{}{}", camel_case(id), camel_case(severity.as_str())),
            expr: self.expression(severity, shared)?,
            hold: *hold,
            keep_firing_for: *keep_firing_for,
            labels: Labels::from_iter(labels),
            annotations: self.annotations(),
        })
    }

    /// Joins what is judged by the rule's own thresholds and by those of each override.
    fn expression(&self, severity: Severity, shared: &mut Shared) -> Result<String, String> {
        let Rule { scope, thresholds, overrides, metric, .. } = self.rule;
        let own = self.selection(|selection| {
            overrides.iter().for_each(|other| selection.leave_out(&other.matches));
        });
        let mut judged = vec![(own, thresholds)];
        for (at, other) in overrides.iter().enumerate() {
            let selection = self.selection(|selection| {
                selection.keep(&other.matches);
                overrides[..at].iter().for_each(|earlier| selection.leave_out(&earlier.matches));
            });
            judged.push((selection, &other.thresholds));
        }
        let mut parts = Vec::new();
        for (selection, thresholds) in judged {
            let Some(threshold) = thresholds.of(severity) else { continue };
            let mut part = self.part(&selection, threshold, shared)?;
            for rule in &self.of_service {
                part += &self.hidden_by(rule, &selection, thresholds, shared)?;
            }
            parts.push(part);
        }
        let all = parts.join("\nor\n");
        Ok(match scope {
            // So that the alert shows the statement.
            Scope::Query => {
                let (id, text, info) = (names::DB_QUERY_ID, names::DB_QUERY_TEXT, names::DB_QUERY_INFO.name);
                let on = query::TARGET.join(", ");
                let on = format!("{on}, {id}");
                // Over the window: where a scrape fails, it would be gone, and the alert with it.
                let info = query::one_of(&on, &format!("last_over_time({info}[{}])", self.window));
                format!("(\n{all}\n)\n* on ({on}) group_left ({text}) {info}")
            }
            _ => labels::beside_those_of_alerts(all, metric.as_ref().map_or(&[], |metric| &metric.by)),
        })
    }

    /// Returns the selection of the rule with what `change` does to it.
    pub(super) fn selection(&self, change: impl FnOnce(&mut Selection)) -> Selection {
        let Rule { scope, matches, exclude, metric, only_if, .. } = self.rule;
        let mut selection = Selection::of(*scope, self.histograms, matches);
        metric.iter().for_each(|metric| selection.keep(&metric.matches));
        exclude.iter().for_each(|globs| selection.leave_out(globs));
        selection.condition = only_if.as_ref().and_then(|condition| selection.require(condition));
        change(&mut selection);
        selection
    }

    /// Returns the subjects of a selection that are over a threshold, with their values.
    pub(super) fn part(
        &self,
        selection: &Selection,
        threshold: Threshold,
        shared: &mut Shared,
    ) -> Result<String, String> {
        let Rule { scope, measure, .. } = self.rule;
        let metric = self.rule.metric.as_ref();
        let min_samples = self.rule.min_samples;
        // A silence is judged by whether there was nothing in as long a time: then it lasts at least that long.
        let (window, operator) = match measure {
            Measure::AbsentFor => {
                (prometheus_duration(Duration::from_secs_f64(threshold.limit.round().max(1.0))), Operator::AtLeast)
            }
            _ => (self.window.clone(), threshold.operator),
        };
        let query = Query { metric, min_samples, ..query(*scope, &window, &selection.matchers, self.histograms) };
        let value = self.value(&query, selection, shared)?;
        let mut part = format!("({value}) {} {}", operator.as_str(), threshold.limit);
        let on = query.labels();
        if let Some((what, samples)) = promql::samples(&query, *measure).filter(|_| min_samples > 1) {
            let samples = self.read(shared, samples, (what, "increase"), selection);
            part += &format!("\nand on ({on}) ({samples}) >= {min_samples}");
        }
        if let Some(condition) = &selection.condition {
            part += &format!("\nand on ({on}) {}", self.condition(condition, &query, selection, shared)?);
        }
        for clause in selection.clauses(&window) {
            part += &format!("\n{clause}");
        }
        Ok(part)
    }

    /// Returns the measure of the subjects of a selection.
    fn value(&self, query: &Query<'_>, selection: &Selection, shared: &mut Shared) -> Result<String, String> {
        let Rule { measure, measure_name, .. } = self.rule;
        let value = promql::measure(query, *measure).map_err(|reason| format!("{measure_name}: {reason}"))?;
        Ok(self.read(shared, value, (measure_name, "rate"), selection))
    }

    /// Returns the state of the subjects of a selection that the rule judges, which has no window.
    pub(super) fn state(&self, selection: &Selection, shared: &mut Shared) -> Result<String, String> {
        let query = query(self.rule.scope, "5m", &selection.matchers, self.histograms);
        self.value(&query, selection, shared)
    }

    /// Reads an expression by the name of its recording rule, `level:metric:operations`, where several alerts read it.
    fn read(
        &self,
        shared: &mut Shared,
        expression: String,
        (what, operation): (&str, &str),
        selection: &Selection,
    ) -> String {
        // What has no window is a state.
        let operation =
            if expression.contains('[') { format!("{operation}{}", self.window) } else { "last".to_owned() };
        let of = self.rule.metric.iter().map(|metric| format!("_{}", metric.name));
        let name = format!("instance_{}:pinchpoint{}_{what}", self.rule.scope.as_str(), of.collect::<String>());
        shared.read(expression, || match &selection.matchers[..] {
            [] => format!("{name}:{operation}"),
            _ => format!("{name}_of_{}:{operation}", self.rule.id),
        })
    }

    /// Returns the set of the subjects for which a condition holds.
    fn condition(
        &self,
        condition: &Condition,
        query: &Query<'_>,
        selection: &Selection,
        shared: &mut Shared,
    ) -> Result<String, String> {
        let mut joined = |conditions: &[Condition], word: &str| -> Result<String, String> {
            let each = conditions.iter().map(|one| self.condition(one, query, selection, shared));
            Ok(format!("({})", each.collect::<Result<Vec<_>, _>>()?.join(&format!(" {word} on ({}) ", query.labels()))))
        };
        match condition {
            Condition::All(conditions) => joined(conditions, "and"),
            Condition::Any(conditions) => joined(conditions, "or"),
            Condition::Compare { name, operator, limit } => {
                let measure = find_measure(self.rule.scope, name)
                    .filter(|measure| *measure != Measure::AbsentFor)
                    .ok_or_else(|| format!("only_if: {name} is known to the process only"))?;
                let value = promql::measure(query, measure).map_err(|reason| format!("only_if: {name}: {reason}"))?;
                let value = self.read(shared, value, (name, "rate"), selection);
                Ok(format!("(({value}) {} {limit})", operator.as_str()))
            }
            Condition::Word { name, .. } => match selection.chosen(condition, query.window) {
                // Every value of the measure that has the label, whatever it is.
                Some(Chosen::ByMatcher(matcher)) => {
                    let matchers: Vec<String> = selection.matchers.iter().cloned().chain([matcher]).collect();
                    let query = Query { matchers: &matchers, ..query.clone() };
                    let values = promql::measure(&query, self.rule.measure);
                    values.map(|values| format!("({values})")).map_err(|reason| format!("only_if: {name}: {reason}"))
                }
                Some(Chosen::BySet(set)) => Ok(set),
                None => Err(format!("only_if: {name} is a word, which the process alone knows")),
            },
        }
    }

    fn annotations(&self) -> Labels {
        let Rule { id, description, impact, measure_name, unit, .. } = self.rule;
        let subject = subject(self.rule, own_label);
        let value = value(*unit);
        let known = |name: &'static str| match name {
            "subject" => Some(subject.clone()),
            "value" => Some(value.clone()),
            name if name == *measure_name => Some(value.clone()),
            _ => None,
        };
        let summary = description.render_with(&literal, &known).unwrap_or_else(|| format!("{id}: {subject}"));
        let of_measure = || format!("{}: {value}", measure_name.replace('_', " "));
        let details = impact.render_with(&literal, &known).unwrap_or_else(of_measure);
        let all = [
            (SUMMARY, summary),
            (DESCRIPTION, format!("{details} ({} on {}).", label("job"), label("instance"))),
            (RUNBOOK_URL, runbook("rules.md", id)),
        ];
        Labels::from_iter(all)
    }
}

/// Returns how the process calls the subject of a rule whose labels have these values.
pub(crate) fn subject(rule: &Rule, value: impl Fn(&str) -> String) -> String {
    match rule.scope {
        Scope::Endpoint => format!("{} {}", value(names::METHOD), value(names::ROUTE)),
        Scope::Query => value(names::DB_QUERY_TEXT),
        Scope::Task => value(names::TASK_NAME),
        Scope::Process => Scope::Process.as_str().to_owned(),
        Scope::Slo => match rule.slo.as_ref().map(|slo| slo.scope) {
            Some(SloScope::Endpoint) => format!("{} {}", value(names::METHOD), value(names::ROUTE)),
            Some(SloScope::Service) | None => SloScope::Service.as_str().to_owned(),
        },
        Scope::Metric => rule.metric.as_ref().map_or_else(String::new, |metric| metric.subject_name(value)),
    }
}

/// Returns how templates write the value of a label of the subject.
fn own_label(name: &str) -> String {
    label(&labels::scraped(name))
}

pub(super) fn camel_case(id: &str) -> String {
    let words = id.split(|character: char| !character.is_ascii_alphanumeric());
    words
        .flat_map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            [first.to_ascii_uppercase(), rest.to_owned()]
        })
        .collect()
}
