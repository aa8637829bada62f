//! Registers the catalogue's metrics with their labels.

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};

use crate::names::Metric;

/// A recorder that several owners share.
pub(crate) type DynRecorder = Arc<dyn Recorder + Send + Sync>;

static METADATA: Metadata<'static> = Metadata::new("pinchpoint", Level::INFO, Some("pinchpoint"));

fn key(metric: &Metric, labels: &[(&'static str, Arc<str>)]) -> Key {
    let labels: Vec<_> = labels.iter().map(|(name, value)| Label::new(*name, value.clone())).collect();
    Key::from_parts(metric.name, labels)
}

pub(crate) fn counter(recorder: &dyn Recorder, metric: &Metric, labels: &[(&'static str, Arc<str>)]) -> Counter {
    recorder.register_counter(&key(metric, labels), &METADATA)
}

pub(crate) fn gauge(recorder: &dyn Recorder, metric: &Metric, labels: &[(&'static str, Arc<str>)]) -> Gauge {
    recorder.register_gauge(&key(metric, labels), &METADATA)
}

pub(crate) fn histogram(recorder: &dyn Recorder, metric: &Metric, labels: &[(&'static str, Arc<str>)]) -> Histogram {
    recorder.register_histogram(&key(metric, labels), &METADATA)
}
