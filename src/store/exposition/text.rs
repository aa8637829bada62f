//! [`Text`]: the text format, version 0.0.4, which every version of Prometheus reads.

use super::{
    families::{Head, Labels, Value},
    lines::{Lines, extend},
    spelling,
};
use crate::names::Kind;

/// Writes the text format.
#[derive(Debug, Default)]
pub(super) struct Text(Lines);

impl Text {
    pub(super) fn begin(&mut self, out: &mut Vec<u8>, head: &Head) {
        self.0.begin();
        if let Some(help) = &head.help {
            extend(out, &[b"# HELP ", head.name.as_bytes(), b" "]);
            spelling::push_help(out, help, false);
            out.push(b'\n');
        }
        extend(out, &[b"# TYPE ", head.name.as_bytes(), b" ", type_name(head.kind).as_bytes(), b"\n"]);
    }

    pub(super) fn sample(&mut self, out: &mut Vec<u8>, head: &Head, labels: &Labels<'_>, value: &Value<'_>) {
        let (lines, name) = (&mut self.0, &head.name);
        lines.labelled(labels);
        match value {
            Value::Count(count) => lines.push_count(out, name, "", *count),
            Value::Number(number) => lines.push_number(out, name, "", *number),
            Value::Histogram(reading) => {
                lines.push_buckets(out, name, reading, |out, _| out.push(b'\n'));
                lines.push_number(out, name, "_sum", reading.sum);
                lines.push_count(out, name, "_count", reading.count);
            }
        }
    }

    pub(super) fn end(out: &mut Vec<u8>) {
        out.push(b'\n');
    }
}

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    }
}
