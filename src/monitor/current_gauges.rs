//! [`CurrentGauges`]: gauges of what is in force now, such as the thresholds of the rules.
//!
//! What is no longer in force must not look as if it were, and the facade cannot remove a series. So such a gauge is set to NaN,
//! which Prometheus draws nowhere and compares with nothing, and its handle is dropped, whereupon the monitor's own recorder
//! removes the series once no window contains it.

use std::{collections::HashMap, sync::Arc};

use metrics::Gauge;

use crate::{
    analysis::Direction,
    context::{DynRecorder, labelled},
    names::{self, Metric},
    rules::{RuleSet, SeriesTrend, TrendReport},
};

/// The labels of a series.
pub(super) type Labels = Vec<(&'static str, Arc<str>)>;

/// The gauges of one metric.
pub(super) struct CurrentGauges {
    recorder: DynRecorder,
    metric: &'static Metric,
    shown: HashMap<Labels, Gauge>,
}

impl CurrentGauges {
    pub(super) fn new(recorder: DynRecorder, metric: &'static Metric) -> Self {
        Self { recorder, metric, shown: HashMap::new() }
    }

    /// Shows these values and no others.
    pub(super) fn show(&mut self, values: impl IntoIterator<Item = (Labels, f64)>) {
        let mut before = std::mem::take(&mut self.shown);
        for (labels, value) in values {
            let gauge = before.remove(&labels).unwrap_or_else(|| labelled::gauge(&self.recorder, self.metric, &labels));
            gauge.set(value);
            self.shown.insert(labels, gauge);
        }
        before.into_values().for_each(|gauge| gauge.set(f64::NAN));
    }
}

/// Returns the threshold of each rule and severity, in the base unit of its measure.
pub(super) fn thresholds(rules: &RuleSet) -> impl Iterator<Item = (Labels, f64)> {
    rules.rules().iter().flat_map(|rule| {
        let labels = |severity: &'static str| vec![(names::RULE, rule.id.clone()), (names::SEVERITY, severity.into())];
        rule.thresholds.0.iter().map(move |(severity, threshold)| (labels(severity.as_str()), threshold.limit))
    })
}

/// Returns the direction of each trend that is known, of the service and of its endpoints.
pub(super) fn trends(report: &TrendReport) -> impl Iterator<Item = (Labels, f64)> {
    let service: Arc<str> = names::SERVICE.into();
    let whole = [
        (&service, names::RESPONSE_TIME, &report.response_time),
        (&service, names::ERROR_RATE, &report.error_rate),
        (&service, names::THROUGHPUT, &report.throughput),
        (&service, names::MEMORY, &report.memory),
    ];
    let endpoints = report.endpoints.iter().flat_map(|endpoint| {
        [
            (&endpoint.name, names::RESPONSE_TIME, &endpoint.response_time),
            (&endpoint.name, names::ERROR_RATE, &endpoint.error_rate),
            (&endpoint.name, names::THROUGHPUT, &endpoint.throughput),
        ]
    });
    let shown: Vec<_> = whole
        .into_iter()
        .chain(endpoints)
        .filter_map(|(subject, measure, trend)| {
            let labels = vec![(names::SUBJECT, subject.clone()), (names::MEASURE, measure.into())];
            Some((labels, direction(trend)?))
        })
        .collect();
    shown.into_iter()
}

fn direction(trend: &SeriesTrend) -> Option<f64> {
    match trend.trend.direction() {
        Direction::Degrading => Some(1.0),
        Direction::Stable => Some(0.0),
        Direction::Improving => Some(-1.0),
        Direction::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::store::{History, MonitorRecorder};

    fn lines(recorder: &MonitorRecorder) -> Vec<String> {
        let text = recorder.render();
        text.lines().filter(|line| line.starts_with("pinchpoint_rule_threshold{")).map(str::to_owned).collect()
    }

    fn threshold(rule: &str, value: f64) -> (Labels, f64) {
        (vec![(names::RULE, rule.into()), (names::SEVERITY, "high".into())], value)
    }

    #[test]
    fn what_is_no_longer_in_force_is_no_number_and_then_gone() {
        let recorder = MonitorRecorder::new(100, Vec::new());
        let mut gauges = CurrentGauges::new(Arc::new(recorder.clone()), &names::RULE_THRESHOLD);
        let (start, minute) = (Instant::now(), Duration::from_secs(60));
        let mut history = History::new(start, [minute]);
        let mut tick = |minutes: u32| {
            history.tick(&recorder.index(), start + minute * minutes);
            recorder.give_back_places(&mut history);
        };
        gauges.show([threshold("slow", 1.0), threshold("failing", 0.1)]);
        tick(1);
        gauges.show([threshold("slow", 2.0)]);
        tick(2);
        assert_eq!(
            lines(&recorder),
            [
                "pinchpoint_rule_threshold{rule=\"slow\",severity=\"high\"} 2",
                "pinchpoint_rule_threshold{rule=\"failing\",severity=\"high\"} NaN"
            ]
        );
        (3..6).for_each(&mut tick);
        assert_eq!(lines(&recorder), ["pinchpoint_rule_threshold{rule=\"slow\",severity=\"high\"} 2"]);
        gauges.show([threshold("slow", 2.0), threshold("failing", 0.2)]);
        assert_eq!(lines(&recorder).len(), 2, "it may come back");
    }

    #[test]
    fn every_threshold_of_the_rules_is_shown() {
        let rules = RuleSet::embedded();
        let shown: HashMap<Labels, f64> = thresholds(&rules).collect();
        let of = |rule: &str, severity: &str| {
            shown.get(&vec![(names::RULE, rule.into()), (names::SEVERITY, severity.into())]).copied()
        };
        assert_eq!((of("slow_endpoint", "high"), of("slow_endpoint", "critical")), (Some(1.0), Some(5.0)));
        assert_eq!((of("high_error_rate", "high"), of("high_error_rate", "critical")), (Some(0.1), Some(0.25)));
        assert!(rules.ids().all(|id| shown.keys().any(|labels| *labels[0].1 == *id)));
    }
}
