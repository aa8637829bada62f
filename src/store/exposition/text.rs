//! [`Text`]: the text format, version 0.0.4, which every version of Prometheus reads.

use super::{
    families::{BUCKET, Head, Labels, Reading, Value},
    spelling::{self, push_count, push_number},
};
use crate::names::Kind;

/// Writes the text format. What it keeps between samples saves time: escaping labels and formatting edges for each bucket was
/// most of the work.
#[derive(Debug, Default)]
pub(crate) struct Text {
    /// The labels of a sample, escaped.
    labels: Vec<u8>,
    edges: Edges,
}

impl Text {
    pub(super) fn begin(&mut self, out: &mut Vec<u8>, head: &Head) {
        if let Some(help) = &head.help {
            extend(out, &[b"# HELP ", head.name.as_bytes(), b" "]);
            spelling::push_help(out, help, false);
            out.push(b'\n');
        }
        extend(out, &[b"# TYPE ", head.name.as_bytes(), b" ", type_name(head.kind).as_bytes(), b"\n"]);
    }

    pub(super) fn sample(&mut self, out: &mut Vec<u8>, head: &Head, labels: &Labels<'_>, value: &Value<'_>) {
        self.labels.clear();
        push_labels(&mut self.labels, labels);
        let name = head.name.as_bytes();
        match value {
            Value::Count(count) => {
                begin_line(out, &[name], &self.labels);
                push_count(out, *count);
                out.push(b'\n');
            }
            Value::Number(number) => {
                begin_line(out, &[name], &self.labels);
                push_number(out, *number);
                out.push(b'\n');
            }
            Value::Histogram(reading) => self.histogram(out, name, reading),
        }
    }

    fn histogram(&mut self, out: &mut Vec<u8>, name: &[u8], reading: &Reading<'_>) {
        if !self.labels.is_empty() {
            self.labels.push(b',');
        }
        let mut edges = self.edges.of(reading).iter();
        let mut bucket = |edge: &[u8], count| {
            extend(out, &[name, b"_bucket{", &self.labels, BUCKET.as_bytes(), b"=\"", edge, b"\"} "]);
            push_count(out, count);
            out.push(b'\n');
        };
        reading.for_each_exposed(|_, count| {
            let edge = edges.next().expect("there is one for each exposed bucket");
            bucket(edge.as_bytes(), count);
        });
        bucket(b"+Inf", reading.count);
        self.labels.pop();
        begin_line(out, &[name, b"_sum"], &self.labels);
        push_number(out, reading.sum);
        out.push(b'\n');
        begin_line(out, &[name, b"_count"], &self.labels);
        push_count(out, reading.count);
        out.push(b'\n');
    }

    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        self.edges = Edges::default();
        out.push(b'\n');
    }
}

/// The upper edges of a metric's buckets as they are spelt; all its series have the same.
#[derive(Debug, Default)]
struct Edges(Vec<String>);

impl Edges {
    fn of(&mut self, reading: &Reading<'_>) -> &[String] {
        if self.0.is_empty() {
            self.0 = reading.layout.exposed().map(|(_, edge)| spelling::edge(edge)).collect();
        }
        &self.0
    }
}

/// Writes name and labels, and the space before the value.
fn begin_line(out: &mut Vec<u8>, name: &[&[u8]], labels: &[u8]) {
    extend(out, name);
    if !labels.is_empty() {
        extend(out, &[b"{", labels, b"}"]);
    }
    out.push(b' ');
}

fn push_labels(out: &mut Vec<u8>, labels: &Labels<'_>) {
    for (at, (name, value)) in labels.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        extend(out, &[name.as_bytes(), b"=\""]);
        spelling::push_label_value(out, value);
        out.push(b'"');
    }
}

fn extend(out: &mut Vec<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    }
}
