//! [`Protobuf`]: delimited messages `io.prometheus.client.MetricFamily`, the only format with native histograms.
//!
//! Written by hand: the messages that are needed are few and only written, and a message type of a library would hold a copy of
//! the page, in many small pieces. Source of the numbers of fields: `metrics.proto` of prometheus/client_model.

use super::families::{Head, Labels, Reading, Value};
use crate::{
    names::Kind,
    store::{
        exemplars::Exemplar,
        layout::{Native, NativeCounts},
    },
};

/// Bytes of a message after which a metric goes on in another one of the same name. A message begins with its length, so it must
/// be held as a whole; without a limit that would be a copy of the page where one metric is most of it.
const MESSAGE: usize = 1024 * 1024;

/// Gaps of up to so many empty buckets are written as empty buckets: that takes a byte each, and a new span takes four.
const SMALL_GAP: i32 = 2;

/// Writes protobuf. Every buffer is kept for the next sample.
#[derive(Debug, Default)]
pub(super) struct Protobuf {
    /// The family at hand, without its length.
    family: Message,
    /// The length of what a message begins with: name, help and type.
    head: usize,
    /// Whether the histograms of the message are native. Prometheus takes all of a message for what the first one is, and refuses
    /// the whole page where one of classic buckets alone is taken for a native one: its count is not that of its buckets.
    is_native: bool,
    metric: Message,
    value: Message,
    inner: Message,
}

impl Protobuf {
    pub(super) fn begin(&mut self, head: &Head) {
        self.family.clear();
        self.family.text(1, &head.name);
        if let Some(help) = &head.help {
            self.family.text(2, help);
        }
        let kind = match head.kind {
            Kind::Counter => 0,
            Kind::Gauge => 1,
            Kind::Histogram => 4,
        };
        self.family.unsigned(3, kind);
        self.head = self.family.0.len();
    }

    pub(super) fn sample(&mut self, out: &mut Vec<u8>, head: &Head, labels: &Labels<'_>, value: &Value<'_>) {
        self.metric.clear();
        for (name, value) in labels {
            self.inner.clear();
            self.inner.text(1, name);
            self.inner.text(2, value);
            self.metric.message(1, &self.inner);
        }
        self.value.clear();
        let number = match value {
            Value::Count(count) => *count as f64,
            Value::Number(number) => *number,
            Value::Histogram(reading) => {
                let is_native = self.histogram(reading);
                if is_native != self.is_native {
                    self.end(out);
                    self.is_native = is_native;
                }
                self.metric.message(7, &self.value);
                self.push_metric(out);
                return;
            }
        };
        self.value.float(1, number);
        self.metric.message(if head.kind == Kind::Counter { 3 } else { 2 }, &self.value);
        self.push_metric(out);
    }

    fn push_metric(&mut self, out: &mut Vec<u8>) {
        self.family.message(4, &self.metric);
        if self.family.0.len() >= MESSAGE {
            self.flush(out);
        }
    }

    /// Writes the value of a histogram, and returns whether it is a native one.
    fn histogram(&mut self, reading: &Reading<'_>) -> bool {
        let (value, inner) = (&mut self.value, &mut self.inner);
        value.unsigned(1, reading.count);
        value.float(2, reading.sum);
        let exemplars = reading.exemplars();
        let mut of_buckets = exemplars.iter();
        reading.for_each_exposed(|edge, count| {
            inner.clear();
            inner.unsigned(1, count);
            inner.float(2, edge);
            if let Some(exemplar) = of_buckets.next().into_iter().flatten().next() {
                inner.message(3, &exemplar_message(exemplar));
            }
            value.message(3, inner);
        });
        let native = reading.layout.native();
        let Some((native, counts)) = native.and_then(|native| Some((native, native.counts(&reading.buckets)?))) else {
            return false;
        };
        push_native(value, inner, native, &counts);
        // Those of a native histogram stand beside its buckets.
        exemplars.iter().flatten().for_each(|exemplar| value.message(16, &exemplar_message(exemplar)));
        true
    }

    /// Ends a message that has a sample, as at the end of a metric.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        if self.family.0.len() > self.head {
            self.flush(out);
        }
    }

    /// Writes the message, and begins the next one of the same metric.
    fn flush(&mut self, out: &mut Vec<u8>) {
        push_varint(out, self.family.0.len() as u64);
        out.extend_from_slice(&self.family.0);
        self.family.0.truncate(self.head);
        // Most metrics are small; one that was large leaves no large buffer.
        self.family.0.shrink_to(MESSAGE / 16);
    }
}

fn exemplar_message(exemplar: &Exemplar) -> Message {
    let mut message = Message::default();
    let (trace, span) = (exemplar.trace.trace.to_string(), format!("{:016x}", exemplar.trace.span));
    for (name, value) in [("trace_id", trace), ("span_id", span)] {
        let mut label = Message::default();
        label.text(1, name);
        label.text(2, &value);
        message.message(1, &label);
    }
    message.float(2, exemplar.value);
    let mut at = Message::default();
    at.unsigned(1, exemplar.at / 1_000);
    at.unsigned(2, exemplar.at % 1_000 * 1_000_000);
    message.message(3, &at);
    message
}

fn push_native(histogram: &mut Message, inner: &mut Message, native: &Native, counts: &NativeCounts) {
    histogram.signed(5, native.schema.into());
    histogram.float(6, native.zero_threshold);
    histogram.unsigned(7, counts.zero);
    // Runs of buckets, each as its distance from the one before it and its length.
    let mut runs: Vec<(i32, u32)> = Vec::new();
    let mut deltas: Vec<i64> = Vec::with_capacity(counts.buckets.len());
    let (mut next, mut last) = (0, 0);
    for (key, count) in &counts.buckets {
        let gap = key - next;
        match runs.last_mut() {
            Some((_, length)) if gap <= SMALL_GAP => {
                for _ in 0..gap {
                    deltas.push(-std::mem::take(&mut last));
                }
                *length += gap.unsigned_abs() + 1;
            }
            _ => runs.push((gap, 1)),
        }
        let count = i64::try_from(*count).unwrap_or(i64::MAX);
        deltas.push(count - last);
        (next, last) = (key + 1, count);
    }
    for (offset, length) in runs {
        inner.clear();
        inner.signed(1, offset.into());
        inner.unsigned(2, length.into());
        histogram.message(12, inner);
    }
    inner.clear();
    deltas.iter().for_each(|delta| push_varint(&mut inner.0, zigzag(*delta)));
    if !deltas.is_empty() {
        histogram.message(13, inner);
    }
}

/// The bytes of a message, or of a packed field.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

/// How the value of a field is written.
#[derive(Clone, Copy, Debug)]
enum Wire {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
}

impl Message {
    fn clear(&mut self) {
        self.0.clear();
    }

    fn tag(&mut self, field: u64, wire: Wire) {
        push_varint(&mut self.0, field << 3 | wire as u64);
    }

    fn unsigned(&mut self, field: u64, value: u64) {
        self.tag(field, Wire::Varint);
        push_varint(&mut self.0, value);
    }

    fn signed(&mut self, field: u64, value: i64) {
        self.unsigned(field, zigzag(value));
    }

    fn float(&mut self, field: u64, value: f64) {
        self.tag(field, Wire::Fixed64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn message(&mut self, field: u64, message: &Self) {
        self.bytes(field, &message.0);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.tag(field, Wire::Bytes);
        push_varint(&mut self.0, bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }
}

/// Writes seven bits a byte, the lowest first; the highest bit of a byte says that another one follows.
fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Maps small numbers of either sign to small ones.
fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}
