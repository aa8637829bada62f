//! What the two formats of lines have in common.

use super::{
    families::{BUCKET, Labels, Reading},
    spelling,
};

/// What is kept between samples to save time: escaping labels and formatting edges for each bucket was most of the work.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The labels of the sample at hand, escaped.
    labels: Vec<u8>,
    /// What comes before the edge in each line of a bucket of the sample at hand.
    bucket: Vec<u8>,
    /// The upper edges of a metric's buckets as they are spelt, and what follows them; all its series have the same.
    edges: Vec<String>,
}

impl Lines {
    /// Begins a metric.
    pub(super) fn begin(&mut self) {
        self.edges.clear();
    }

    /// Begins a sample.
    pub(super) fn labelled(&mut self, labels: &Labels<'_>) {
        self.labels.clear();
        for (at, (name, value)) in labels.iter().enumerate() {
            if at > 0 {
                self.labels.push(b',');
            }
            extend(&mut self.labels, &[name.as_bytes(), b"=\""]);
            spelling::push_label_value(&mut self.labels, value);
            self.labels.push(b'"');
        }
    }

    /// Writes the line of a count.
    pub(super) fn push_count(&self, out: &mut Vec<u8>, name: &str, suffix: &str, count: u64) {
        self.push_series(out, name, suffix);
        spelling::push_count(out, count);
        out.push(b'\n');
    }

    /// Writes the line of a number.
    pub(super) fn push_number(&self, out: &mut Vec<u8>, name: &str, suffix: &str, number: f64) {
        self.push_series(out, name, suffix);
        spelling::push_number(out, number);
        out.push(b'\n');
    }

    /// Writes name and labels, and the space before the value.
    fn push_series(&self, out: &mut Vec<u8>, name: &str, suffix: &str) {
        extend(out, &[name.as_bytes(), suffix.as_bytes()]);
        if !self.labels.is_empty() {
            extend(out, &[b"{", &self.labels, b"}"]);
        }
        out.push(b' ');
    }

    /// Writes the buckets of a histogram. `end` ends the line of the bucket with a number.
    pub(super) fn push_buckets(
        &mut self,
        out: &mut Vec<u8>,
        name: &str,
        reading: &Reading<'_>,
        end: impl Fn(&mut Vec<u8>, usize),
    ) {
        if self.edges.is_empty() {
            let edges = reading.layout.exposed().map(|(_, edge)| edge).chain([f64::INFINITY]);
            self.edges = edges.map(|edge| spelling::edge(edge) + "\"} ").collect();
        }
        let comma: &[u8] = if self.labels.is_empty() { b"" } else { b"," };
        self.bucket.clear();
        extend(&mut self.bucket, &[name.as_bytes(), b"_bucket{", &self.labels, comma, BUCKET.as_bytes(), b"=\""]);
        let mut bucket = 0;
        reading.for_each_exposed(|_, count| {
            extend(out, &[&self.bucket, self.edges[bucket].as_bytes()]);
            spelling::push_count(out, count);
            end(out, bucket);
            bucket += 1;
        });
    }
}

/// Appends parts.
pub(super) fn extend(out: &mut Vec<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|part| out.extend_from_slice(part));
}
