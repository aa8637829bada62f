//! [`Fanout`]: one recorder that writes to two.
//!
//! metrics-util's `Fanout` is not `Send`, so that it could only live as long as the process. The invariant that a change
//! could break: this one is freed with its last handle, and both recorders with it.

use std::sync::Arc;

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

use crate::context::DynRecorder;

/// Writes to both of its parts: two recorders, or the same handle of each.
pub(super) struct Fanout<T>(pub(super) T, pub(super) T);

impl CounterFn for Fanout<Counter> {
    fn increment(&self, value: u64) {
        self.0.increment(value);
        self.1.increment(value);
    }

    fn absolute(&self, value: u64) {
        self.0.absolute(value);
        self.1.absolute(value);
    }
}

impl GaugeFn for Fanout<Gauge> {
    fn increment(&self, value: f64) {
        self.0.increment(value);
        self.1.increment(value);
    }

    fn decrement(&self, value: f64) {
        self.0.decrement(value);
        self.1.decrement(value);
    }

    fn set(&self, value: f64) {
        self.0.set(value);
        self.1.set(value);
    }
}

impl HistogramFn for Fanout<Histogram> {
    fn record(&self, value: f64) {
        self.0.record(value);
        self.1.record(value);
    }

    fn record_many(&self, value: f64, count: usize) {
        self.0.record_many(value, count);
        self.1.record_many(value, count);
    }
}

impl Recorder for Fanout<DynRecorder> {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.0.describe_counter(key.clone(), unit, description.clone());
        self.1.describe_counter(key, unit, description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.0.describe_gauge(key.clone(), unit, description.clone());
        self.1.describe_gauge(key, unit, description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.0.describe_histogram(key.clone(), unit, description.clone());
        self.1.describe_histogram(key, unit, description);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        let (one, other) = (self.0.register_counter(key, metadata), self.1.register_counter(key, metadata));
        Counter::from_arc(Arc::new(Fanout(one, other)))
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        let (one, other) = (self.0.register_gauge(key, metadata), self.1.register_gauge(key, metadata));
        Gauge::from_arc(Arc::new(Fanout(one, other)))
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        let (one, other) = (self.0.register_histogram(key, metadata), self.1.register_histogram(key, metadata));
        Histogram::from_arc(Arc::new(Fanout(one, other)))
    }
}

#[cfg(test)]
mod tests {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    use super::*;

    #[test]
    fn both_recorders_get_every_value() {
        let recorders = [DebuggingRecorder::new(), DebuggingRecorder::new()];
        let snapshotters = recorders.each_ref().map(DebuggingRecorder::snapshotter);
        let [one, other] = recorders.map(|recorder| Arc::new(recorder) as DynRecorder);
        metrics::with_local_recorder(&Fanout(one, other), || {
            metrics::describe_counter!("a", Unit::Count, "counts");
            metrics::describe_gauge!("b", Unit::Count, "goes up and down");
            metrics::describe_histogram!("c", Unit::Seconds, "takes time");
            metrics::counter!("a", "of" => "x").increment(2);
            metrics::counter!("a", "of" => "x").absolute(7);
            let gauge = metrics::gauge!("b");
            gauge.set(3.0);
            gauge.increment(2.5);
            gauge.decrement(1.0);
            let histogram = metrics::histogram!("c");
            histogram.record(1.0);
            histogram.record_many(2.0, 2);
        });
        let [one, other] = snapshotters.map(|snapshotter| {
            let all = snapshotter.snapshot().into_vec().into_iter();
            let all = all.map(|(key, unit, text, value)| (key.key().name().to_owned(), unit, text, value));
            let mut all: Vec<_> = all.collect();
            all.sort_by(|a, b| a.0.cmp(&b.0));
            all
        });
        assert_eq!(one, other);
        let values: Vec<_> = one.into_iter().map(|(_, unit, text, value)| (unit.is_some(), text, value)).collect();
        let histogram = DebugValue::Histogram([1.0, 2.0, 2.0].map(Into::into).to_vec());
        assert_eq!(
            values,
            [
                (true, Some("counts".into()), DebugValue::Counter(7)),
                (true, Some("goes up and down".into()), DebugValue::Gauge(4.5.into())),
                (true, Some("takes time".into()), histogram),
            ]
        );
    }
}
