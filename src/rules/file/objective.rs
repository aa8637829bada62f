//! From an entry of `slo` to a [`Rule`] with an objective, or to everything that is wrong with it.

use std::time::Duration;

use super::{
    builder::{Context, LabelsOf, RuleBuilder},
    entry::{Scalar, SloEntry},
    located::Node,
    problem::ProblemKind,
};
use crate::{
    names::DURATION_BUCKETS,
    rules::{
        fact, measure,
        rule::Rule,
        scope::Scope,
        severity::Severity,
        slo::{BURN_ALERTS, BadRequests, Slo, SloScope},
        suggest::nearest,
        threshold::{Operator, Threshold, Thresholds},
        unit::Unit,
        vocabulary,
    },
};

const DAY: Duration = Duration::from_secs(24 * 3600);
const DEFAULT_WINDOW: Duration = Duration::from_secs(30 * 24 * 3600);
/// The longest window of a burn rate: a budget for less would be spent before it is noticed.
const SHORTEST_WINDOW: Duration = Duration::from_secs(3 * 24 * 3600);
/// A quarter, and the longest time that the trends can be kept.
const LONGEST_WINDOW: Duration = Duration::from_secs(92 * 24 * 3600);
const DEFAULT_MIN_BAD: u64 = 5;
const ERRORS: &str = "errors";
const DEFAULT_DESCRIPTION: &str =
    "The error budget of {subject} is spent {value} times as fast as its objective of {objective} allows";
const DEFAULT_IMPACT: &str = "{bad_requests} of the {requests} requests of the last {window} were bad ({bad}); of the budget for \
                              {slo_window}, as far as they are known, {budget_left} is left";

/// Makes a rule of an objective; `None` when anything is wrong with it. Every mistake is reported.
///
/// `node` is the tree that the entry was filled from.
pub(super) fn rule(entry: &SloEntry, node: &Node, context: &mut Context<'_>) -> Option<Rule> {
    let before = context.problems.len();
    let mut builder = RuleBuilder { node, context };
    let measure = measure::find(Scope::Slo, fact::BURN_RATE.name).expect("the catalogue has the measure of objectives");
    let id = entry.id.as_ref().and_then(|id| builder.id(id));
    let scope = builder.slo_scope(entry.scope.as_ref());
    let objective = entry.objective.as_ref().and_then(|objective| builder.objective(objective));
    let window = builder.slo_window(entry.window.as_ref());
    let bad = builder.bad_requests(entry.bad.as_ref());
    let labels = LabelsOf { scope: Scope::Slo, metric: None, by: None };
    let matches = builder.rule_labels(Some(labels), entry.matches.as_ref());
    let exclude = builder.exclude(Some(labels), entry.exclude.as_deref().unwrap_or_default());
    let min_samples = builder.min_samples(entry.min_samples.as_ref(), Some(measure), window);
    let min_bad = builder.whole_number("min_bad", entry.min_bad.as_ref(), DEFAULT_MIN_BAD);
    let (hold, keep_firing_for) = builder.holds(entry.hold.as_ref(), entry.keep_firing_for.as_ref());
    let base: Vec<_> = BURN_ALERTS.iter().map(|alert| (alert.severity, alert.threshold())).collect();
    let thresholds = builder.thresholds_over(entry.thresholds.as_ref(), &base, measure);
    let highest = objective.map(|objective| 1.0 / (1.0 - objective));
    let thresholds = builder.reachable(thresholds, entry, highest);
    let names = vocabulary::placeholders(Scope::Slo);
    let or = |text: &Option<Scalar>, default: &str| text.clone().unwrap_or_else(|| Scalar(default.to_owned()));
    let description = or(&entry.description, DEFAULT_DESCRIPTION);
    let description = builder.sentence("description", Some(&description), Some(&names));
    let impact = builder.sentence("impact", Some(&or(&entry.impact, DEFAULT_IMPACT)), Some(&names));
    let recommendations = entry.recommendations.as_deref().unwrap_or_default();
    let recommendations = builder.recommendations(Some(Scope::Slo), recommendations, Some(&names));
    if builder.context.problems.len() > before {
        return None;
    }
    let slo = Slo { objective: objective?, window, bad: bad?, scope: scope?, min_bad };
    Some(Rule {
        id: id?,
        place: builder.context.rule_place(node),
        scope: Scope::Slo,
        measure: measure.measure,
        measure_name: measure.name,
        unit: measure.unit,
        metric: None,
        slo: Some(slo),
        matches,
        exclude,
        window,
        min_samples,
        hold,
        keep_firing_for,
        only_if: None,
        thresholds: Thresholds(thresholds),
        overrides: Vec::new(),
        description: description?,
        impact: impact?,
        recommendations,
    })
}

impl RuleBuilder<'_, '_> {
    fn slo_scope(&mut self, text: Option<&Scalar>) -> Option<SloScope> {
        let Some(Scalar(found)) = text else { return Some(SloScope::Service) };
        let scope = SloScope::ALL.into_iter().find(|scope| scope.as_str() == found);
        if scope.is_none() {
            let names = SloScope::ALL.map(SloScope::as_str);
            let suggestion = nearest(found, names);
            let (found, expected) = (found.clone(), names.to_vec());
            self.report(
                "scope",
                ProblemKind::UnknownName { what: "scope of an objective", found, suggestion, expected },
            );
        }
        scope
    }

    fn objective(&mut self, Scalar(text): &Scalar) -> Option<f64> {
        match Unit::Ratio.parse(text) {
            Ok(share) if share > 0.0 && share < 1.0 => return Some(share),
            Ok(_) => self.report("objective", ProblemKind::BadObjective { found: text.clone() }),
            Err(reason) => self.report("objective", ProblemKind::Quantity(reason)),
        }
        None
    }

    fn slo_window(&mut self, text: Option<&Scalar>) -> Duration {
        let window = self.span("window", text, DEFAULT_WINDOW);
        if !(SHORTEST_WINDOW..=LONGEST_WINDOW).contains(&window) {
            let render = |span: Duration| Unit::Seconds.render(span.as_secs_f64());
            let (found, shortest, longest) = (render(window), render(SHORTEST_WINDOW), render(LONGEST_WINDOW));
            self.report("window", ProblemKind::SloWindow { found, shortest, longest });
            return DEFAULT_WINDOW.max(DAY);
        }
        window
    }

    /// Reads which requests are bad: a limit must be an exposed edge of durations, since what is counted is counted by those.
    fn bad_requests(&mut self, text: Option<&Scalar>) -> Option<BadRequests> {
        let Some(Scalar(text)) = text.filter(|Scalar(text)| text != ERRORS) else { return Some(BadRequests::Errors) };
        let kind = match Operator::strip(text.trim_start()) {
            Some((Operator::Above, quantity)) => match Unit::Seconds.parse(quantity) {
                Ok(limit) if DURATION_BUCKETS.contains(&limit) => return Some(BadRequests::SlowerThan(limit)),
                Ok(limit) => ProblemKind::NoEdge { found: Unit::Seconds.render(limit), nearest: nearest_edges(limit) },
                Err(reason) => ProblemKind::Quantity(reason),
            },
            _ => ProblemKind::BadRequests { found: text.clone() },
        };
        self.report("bad", kind);
        None
    }

    /// Leaves out default burn rates that no outage reaches, and reports those that were written.
    fn reachable(
        &mut self,
        thresholds: Vec<(Severity, Threshold)>,
        entry: &SloEntry,
        highest: Option<f64>,
    ) -> Vec<(Severity, Threshold)> {
        let Some(highest) = highest else { return thresholds };
        let written = |severity: Severity| {
            let entry = entry.thresholds.as_ref()?;
            [&entry.low, &entry.medium, &entry.high, &entry.critical][severity as usize].as_ref()
        };
        let mut reachable = Vec::with_capacity(thresholds.len());
        for (severity, threshold) in thresholds {
            let at = self.node.get("thresholds").and_then(|node| node.get(severity.as_str())).unwrap_or(self.node).at;
            match written(severity) {
                Some(Scalar(found)) if !threshold.operator.is_upward() => {
                    self.context.report(at, ProblemKind::DownwardBurnRate { found: found.clone() });
                }
                Some(Scalar(found)) if !threshold.is_passed_by(highest) => {
                    let (found, highest) = (found.clone(), Unit::Count.render(highest));
                    self.context.report(at, ProblemKind::UnreachableBurnRate { found, highest });
                }
                None if !threshold.is_passed_by(highest) => {}
                Some(_) | None => reachable.push((severity, threshold)),
            }
        }
        reachable
    }
}

/// Returns the edges on both sides of a duration, or the one that there is.
fn nearest_edges(limit: f64) -> String {
    let above = DURATION_BUCKETS.partition_point(|edge| *edge < limit);
    let edges = [above.checked_sub(1), Some(above)].into_iter().flatten();
    let edges: Vec<String> =
        edges.filter_map(|at| DURATION_BUCKETS.get(at)).map(|edge| Unit::Seconds.render(*edge)).collect();
    edges.join(" and ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::rules::fixed;

    fn slo(more: &str) -> Arc<Rule> {
        fixed::load(&format!("slo:\n  - id: a\n    {more}\n")).rules()[0].clone()
    }

    #[test]
    fn what_is_not_said_is_a_month_of_the_service_without_errors() {
        let rule = slo("objective: 99.9%");
        let expected =
            Slo { objective: 0.999, window: DAY * 30, bad: BadRequests::Errors, scope: SloScope::Service, min_bad: 5 };
        assert_eq!((rule.slo.as_ref(), rule.min_samples), (Some(&expected), 5));
        let limits: Vec<_> =
            rule.thresholds.0.iter().map(|(severity, threshold)| (*severity, threshold.limit)).collect();
        let expected =
            [(Severity::Low, 1.0), (Severity::Medium, 3.0), (Severity::High, 6.0), (Severity::Critical, 14.4)];
        assert_eq!(limits, expected);
    }

    #[test]
    fn burn_rates_that_are_written_take_the_place_of_the_defaults() {
        let rule = slo(
            "objective: 99%\n    bad: '> 500ms'\n    scope: endpoint\n    thresholds: { low: off, critical: '> 20' }",
        );
        assert_eq!(
            rule.slo.as_ref().map(|slo| (slo.bad, slo.scope)),
            Some((BadRequests::SlowerThan(0.5), SloScope::Endpoint))
        );
        let limits: Vec<_> =
            rule.thresholds.0.iter().map(|(severity, threshold)| (*severity, threshold.limit)).collect();
        assert_eq!(limits, [(Severity::Medium, 3.0), (Severity::High, 6.0), (Severity::Critical, 20.0)]);
    }

    #[test]
    fn a_default_that_no_outage_reaches_is_left_out() {
        let severities = |objective: &str| slo(&format!("objective: {objective}")).thresholds.0.len();
        assert_eq!((severities("90%"), severities("80%"), severities("95%")), (3, 2, 4));
    }
}
