//! Thresholds of an entry: read, checked and put in order.

use super::{
    builder::{LabelsOf, RuleBuilder, unreachable},
    entry::{OverrideEntry, Scalar, ThresholdsEntry},
    located::Node,
    problem::ProblemKind,
};
use crate::rules::{
    measure::Entry,
    rule::Override,
    severity::Severity,
    threshold::{Operator, Threshold, Thresholds},
    unit::Unit,
};

impl RuleBuilder<'_, '_> {
    pub(super) fn thresholds(
        &mut self,
        entry: Option<&ThresholdsEntry>,
        measure: Option<&'static Entry>,
        unit: Option<Unit>,
    ) -> Vec<(Severity, Threshold)> {
        let (Some(entry), Some(measure), Some(unit)) = (entry, measure, unit) else { return Vec::new() };
        let node = self.node.get("thresholds").unwrap_or(self.node);
        let read = self.limits(entry, node, measure, unit);
        let thresholds: Vec<_> =
            read.iter().filter_map(|(severity, limit)| Some((*severity, limit.threshold()?))).collect();
        if read.iter().all(|(_, limit)| matches!(limit, ParsedThreshold::Off)) {
            self.context.report(node.at, ProblemKind::NoThreshold("rule".to_owned()));
        }
        self.check_order(&thresholds, node, unit);
        thresholds
    }

    /// Reads thresholds that take the place of some of `base`, severity by severity.
    pub(super) fn thresholds_over(
        &mut self,
        entry: Option<&ThresholdsEntry>,
        base: &[(Severity, Threshold)],
        measure: &'static Entry,
    ) -> Vec<(Severity, Threshold)> {
        let Some(entry) = entry else { return base.to_vec() };
        let node = self.node.get("thresholds").unwrap_or(self.node);
        let read = self.limits(entry, node, measure, measure.unit);
        let thresholds = merged(base, &read);
        if thresholds.is_empty() {
            self.context.report(node.at, ProblemKind::NoThreshold("objective".to_owned()));
        }
        // What looks the other way is reported as such, whatever it is beside.
        if thresholds.iter().all(|(_, threshold)| threshold.operator.is_upward()) {
            self.check_order(&thresholds, node, measure.unit);
        }
        thresholds
    }

    pub(super) fn overrides(
        &mut self,
        whose: Option<LabelsOf<'_>>,
        entries: &[OverrideEntry],
        base: &[(Severity, Threshold)],
        measure: Option<&'static Entry>,
        unit: Option<Unit>,
    ) -> Vec<Override> {
        let Some(whose) = whose else { return Vec::new() };
        let list = self.node.get("overrides");
        let mut overrides = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let node = list.and_then(|list| list.item(index)).unwrap_or(self.node);
            let matches = entry.matches.as_ref().map(|labels| self.labels(&whose, labels, node.get("match"), "match"));
            let (Some(written), Some(measure), Some(unit)) = (&entry.thresholds, measure, unit) else { continue };
            let at = node.get("thresholds").unwrap_or(node);
            let read = self.limits(written, at, measure, unit);
            if read.is_empty() {
                self.context.report(at.at, ProblemKind::NoThreshold("override".to_owned()));
            }
            let thresholds = merged(base, &read);
            if !read.is_empty() && !read.iter().any(|(_, limit)| matches!(limit, ParsedThreshold::Wrong)) {
                self.check_order(&thresholds, at, unit);
            }
            overrides.extend(matches.map(|matches| Override { matches, thresholds: Thresholds(thresholds) }));
        }
        overrides
    }

    /// Reads each limit that is written, from the lowest severity to the highest.
    fn limits(
        &mut self,
        entry: &ThresholdsEntry,
        node: &Node,
        measure: &'static Entry,
        unit: Unit,
    ) -> Vec<(Severity, ParsedThreshold)> {
        let written = [&entry.low, &entry.medium, &entry.high, &entry.critical];
        let each = Severity::ALL.into_iter().zip(written);
        each.filter_map(|(severity, text)| {
            let Scalar(text) = text.as_ref()?;
            let node = node.get(severity.as_str()).unwrap_or(node);
            Some((severity, self.limit(text, node, measure, unit)))
        })
        .collect()
    }

    fn limit(&mut self, text: &str, node: &Node, measure: &'static Entry, unit: Unit) -> ParsedThreshold {
        let found = text.to_owned();
        if text.trim() == "off" {
            return ParsedThreshold::Off;
        }
        let Some((operator, quantity)) = Operator::strip(text.trim_start()) else {
            self.context.report(node.at, ProblemKind::NoComparison { found, expected: unit.example() });
            return ParsedThreshold::Wrong;
        };
        let limit = match unit.parse(quantity) {
            Ok(limit) => limit,
            Err(reason) => {
                let at = self.context.place_of(node, quantity.trim());
                self.context.report(at, ProblemKind::Quantity(reason));
                return ParsedThreshold::Wrong;
            }
        };
        if let Some(kind) = unreachable(measure, operator, limit, found) {
            self.context.report(node.at, kind);
            return ParsedThreshold::Wrong;
        }
        ParsedThreshold::Threshold(Threshold { operator, limit })
    }

    /// A higher severity must be harder to reach, or it would hide the lower one.
    fn check_order(&mut self, thresholds: &[(Severity, Threshold)], node: &Node, unit: Unit) {
        for pair in thresholds.windows(2) {
            let [(lower, low), (higher, high)] = pair else { continue };
            let at = node.get(lower.as_str()).or_else(|| node.get(higher.as_str())).unwrap_or(node).at;
            let upward = low.operator.is_upward();
            if upward != high.operator.is_upward() {
                let (lower_sign, higher_sign) = (low.operator.as_str(), high.operator.as_str());
                let kind = ProblemKind::Directions { lower: *lower, lower_sign, higher: *higher, higher_sign };
                self.context.report(at, kind);
            } else if (upward && low.limit >= high.limit) || (!upward && low.limit <= high.limit) {
                let kind = ProblemKind::Order {
                    lower: *lower,
                    lower_limit: unit.render(low.limit),
                    side: if upward { "below" } else { "above" },
                    higher: *higher,
                    higher_limit: unit.render(high.limit),
                };
                self.context.report(at, kind);
            }
        }
    }
}

/// A threshold as it is written.
enum ParsedThreshold {
    Threshold(Threshold),
    /// No threshold for this severity.
    Off,
    /// Reported already.
    Wrong,
}

impl ParsedThreshold {
    fn threshold(&self) -> Option<Threshold> {
        if let Self::Threshold(threshold) = self { Some(*threshold) } else { None }
    }
}

/// The thresholds of a rule with those of an override in their place.
fn merged(base: &[(Severity, Threshold)], written: &[(Severity, ParsedThreshold)]) -> Vec<(Severity, Threshold)> {
    let each = Severity::ALL.into_iter().filter_map(|severity| {
        let threshold = match written.iter().find(|(other, _)| *other == severity) {
            Some((_, limit)) => limit.threshold(),
            None => base.iter().find(|(other, _)| *other == severity).map(|(_, threshold)| *threshold),
        };
        Some((severity, threshold?))
    });
    each.collect()
}
