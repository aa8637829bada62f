//! `pinchpoint_bottleneck`: 1 while a bottleneck fires.

use std::{collections::HashMap, sync::Arc};

use metrics::Gauge;

use crate::{
    context::{DynRecorder, labelled},
    names,
    rules::{Bottleneck, Severity},
};

/// The gauges of everything that ever fired; those that do not are at 0, so that Prometheus sees them end.
pub(super) struct BottleneckGauges {
    recorder: DynRecorder,
    gauges: HashMap<(Arc<str>, Severity, Arc<str>), Gauge>,
}

impl BottleneckGauges {
    pub(super) fn new(recorder: DynRecorder) -> Self {
        Self { recorder, gauges: HashMap::new() }
    }

    pub(super) fn show(&mut self, firing: &[Arc<Bottleneck>]) {
        let key = |bottleneck: &Bottleneck| {
            (bottleneck.rule.id.clone(), bottleneck.severity, bottleneck.subject.name.clone())
        };
        for bottleneck in firing {
            let (rule, severity, subject) = key(bottleneck);
            let labels = [
                (names::RULE, rule.clone()),
                (names::SEVERITY, severity.as_str().into()),
                (names::SUBJECT, subject.clone()),
            ];
            let new = || labelled::gauge(&self.recorder, &names::BOTTLENECK, &labels);
            self.gauges.entry((rule, severity, subject)).or_insert_with(new);
        }
        let on: std::collections::HashSet<_> = firing.iter().map(|bottleneck| key(bottleneck)).collect();
        for (key, gauge) in &self.gauges {
            gauge.set(if on.contains(key) { 1.0 } else { 0.0 });
        }
    }
}
