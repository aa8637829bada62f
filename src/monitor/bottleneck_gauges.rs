//! `pinchpoint_bottleneck`: 1 while a bottleneck fires.
//!
//! Past the limit of series several bottlenecks share one gauge. A gauge is therefore incremented and decremented, and
//! never set: otherwise one bottleneck that ended would hide those that still fire.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use metrics::Gauge;

use crate::{
    context::{DynRecorder, labelled},
    names,
    rules::{Bottleneck, Severity},
};

type Key = (Arc<str>, Severity, Arc<str>);

/// A gauge, and whether its bottleneck is counted in it now.
struct BottleneckGauge {
    gauge: Gauge,
    is_on: bool,
}

/// The gauges of every bottleneck that ever fired. One that no longer fires stays at 0, so that Prometheus sees it end.
pub(super) struct BottleneckGauges {
    recorder: DynRecorder,
    gauges: HashMap<Key, BottleneckGauge>,
}

impl BottleneckGauges {
    pub(super) fn new(recorder: DynRecorder) -> Self {
        Self { recorder, gauges: HashMap::new() }
    }

    pub(super) fn show(&mut self, firing: &[Arc<Bottleneck>]) {
        let key = |bottleneck: &Arc<Bottleneck>| {
            (bottleneck.rule.id.clone(), bottleneck.severity, bottleneck.subject.name.clone())
        };
        self.show_keys(firing.iter().map(key).collect());
    }

    fn show_keys(&mut self, firing: HashSet<Key>) {
        for (key, shown) in &mut self.gauges {
            let change = f64::from(u8::from(firing.contains(key))) - f64::from(u8::from(shown.is_on));
            // Also where nothing changes: a host's recorder may drop a series that is not written.
            shown.gauge.increment(change);
            shown.is_on = firing.contains(key);
        }
        for key in firing {
            self.gauges.entry(key).or_insert_with_key(|(rule, severity, subject)| {
                let labels = [
                    (names::RULE, rule.clone()),
                    (names::SEVERITY, severity.as_str().into()),
                    (names::SUBJECT, subject.clone()),
                ];
                let gauge = labelled::gauge(&self.recorder, &names::BOTTLENECK, &labels);
                gauge.increment(1.0);
                BottleneckGauge { gauge, is_on: true }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MonitorRecorder;

    fn key(subject: &str) -> Key {
        ("slow_endpoint".into(), Severity::High, subject.into())
    }

    /// Returns the values of the gauges by subject.
    fn shown(recorder: &MonitorRecorder) -> Vec<(String, String)> {
        let text = recorder.render();
        let lines = text.lines().filter_map(|line| line.strip_prefix("pinchpoint_bottleneck{"));
        let parts = lines.filter_map(|line| line.split_once("subject=\"")?.1.split_once("\"} "));
        parts.map(|(subject, value)| (subject.to_owned(), value.to_owned())).collect()
    }

    fn expect(recorder: &MonitorRecorder, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(subject, value)| ((*subject).into(), (*value).into())).collect();
        let mut found = shown(recorder);
        found.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_service_that_fills_the_limit_hides_no_alert() {
        let recorder = MonitorRecorder::new(3, Vec::new());
        metrics::with_local_recorder(&recorder, || {
            (0..100).for_each(|user| metrics::counter!("hits_total", "user" => user.to_string()).increment(1));
        });
        let mut gauges = BottleneckGauges::new(Arc::new(recorder.clone()));
        gauges.show_keys(HashSet::from([key("GET /a"), key("GET /b")]));
        expect(&recorder, &[("GET /a", "1"), ("GET /b", "1")]);
        gauges.show_keys(HashSet::from([key("GET /b")]));
        expect(&recorder, &[("GET /a", "0"), ("GET /b", "1")]);
    }

    #[test]
    fn one_that_ended_does_not_hide_those_that_share_its_gauge() {
        let recorder = MonitorRecorder::new(3, Vec::new());
        for number in 0..names::MONITOR_SERIES {
            labelled::gauge(&recorder, &names::BUILD_INFO, &[(names::VERSION, number.to_string().into())]).set(1.0);
        }
        let mut gauges = BottleneckGauges::new(Arc::new(recorder.clone()));
        let fired: Vec<Key> = (0..8).map(|number| key(&number.to_string())).collect();
        for firing in [8, 5, 1, 0, 2] {
            gauges.show_keys(fired[..firing].iter().cloned().collect());
            gauges.show_keys(fired[..firing].iter().cloned().collect());
            expect(&recorder, &[("other", &firing.to_string())]);
        }
    }
}
