//! [`OpenMetrics`]: the text format OpenMetrics 1.0.0.
//!
//! The invariant that a change could break: every series has the name that it has in the other formats. A counter's metric is
//! named without `_total` here, so one whose series have no `_total`, a host's `jobs`, is written as a metric of type `unknown`:
//! the only type that may keep the name. As a `counter` its series would be `jobs_total`, another one to every query.

use std::collections::HashSet;

use super::{
    families::{Head, Labels, Value},
    lines::{Lines, extend},
    spelling::{self, TOTAL, push_number},
};
use crate::{names::Kind, store::exemplars::Exemplar};

/// The units in which the names of metrics may end.
const UNITS: [&str; 3] = ["seconds", "bytes", "ratio"];

/// How OpenMetrics has a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Under its name and with its type.
    Own,
    /// A counter, under its name without `_total`.
    Counter,
    /// Of no known type, under the name of its series.
    Unknown,
    /// Not at all: its name is that of a part of another metric, and a strict reader refuses the whole page.
    None,
}

/// Decides on the role of each metric, so that no two claim one name. A metric claims more names than its series have: a
/// histogram `jobs` also `jobs_created`.
pub(super) fn assign_roles<'a>(heads: impl Iterator<Item = &'a mut Head>) {
    let mut heads: Vec<&mut Head> = heads.collect();
    // Names that cannot be changed first; counters then have a choice.
    heads.sort_by_key(|head| match head.kind {
        Kind::Histogram => 0,
        Kind::Gauge => 1,
        Kind::Counter if !head.name.ends_with(TOTAL) => 1,
        Kind::Counter => 2,
    });
    let mut claimed: HashSet<String> = HashSet::new();
    let mut claims = |name: &str, suffixes: &[&str]| {
        let names: Vec<String> = suffixes.iter().map(|suffix| format!("{name}{suffix}")).collect();
        let is_free = names.iter().all(|name| !claimed.contains(name));
        if is_free {
            claimed.extend(names);
        }
        is_free
    };
    for head in heads {
        let stem = head.name.strip_suffix(TOTAL);
        head.role = match (head.kind, stem) {
            (Kind::Histogram, _) if claims(&head.name, &["", "_bucket", "_sum", "_count", "_created"]) => Role::Own,
            (Kind::Gauge, _) if claims(&head.name, &[""]) => Role::Own,
            (Kind::Counter, Some(stem)) if claims(stem, &["", TOTAL, "_created"]) => Role::Counter,
            (Kind::Counter, _) if claims(&head.name, &[""]) => Role::Unknown,
            _ => Role::None,
        };
    }
}

/// Writes OpenMetrics.
#[derive(Debug, Default)]
pub(super) struct OpenMetrics(Lines);

impl OpenMetrics {
    pub(super) fn begin(&mut self, out: &mut Vec<u8>, head: &Head) {
        self.0.begin();
        let (name, kind) = match (head.role, head.kind) {
            (Role::None, _) => return,
            (Role::Counter, _) => (head.name.strip_suffix(TOTAL).unwrap_or(&head.name), "counter"),
            (Role::Own, Kind::Histogram) => (&*head.name, "histogram"),
            (Role::Own, Kind::Gauge) => (&*head.name, "gauge"),
            (Role::Own, Kind::Counter) | (Role::Unknown, _) => (&*head.name, "unknown"),
        };
        extend(out, &[b"# TYPE ", name.as_bytes(), b" ", kind.as_bytes(), b"\n"]);
        let has_unit = |unit: &&str| name.strip_suffix(*unit).is_some_and(|rest| rest.len() > 1 && rest.ends_with('_'));
        if let Some(unit) = UNITS.into_iter().find(has_unit) {
            extend(out, &[b"# UNIT ", name.as_bytes(), b" ", unit.as_bytes(), b"\n"]);
        }
        if let Some(help) = &head.help {
            extend(out, &[b"# HELP ", name.as_bytes(), b" "]);
            spelling::push_help(out, help, true);
            out.push(b'\n');
        }
    }

    pub(super) fn sample(&mut self, out: &mut Vec<u8>, head: &Head, labels: &Labels<'_>, value: &Value<'_>) {
        if head.role == Role::None {
            return;
        }
        let (lines, name) = (&mut self.0, &head.name);
        lines.labelled(labels);
        match value {
            Value::Count(count) => lines.push_count(out, name, "", *count),
            Value::Number(number) => lines.push_number(out, name, "", *number),
            Value::Histogram(reading) => {
                let exemplars = reading.exemplars();
                lines.push_buckets(out, name, reading, |out, bucket| {
                    exemplars.get(bucket).into_iter().flatten().for_each(|exemplar| push_exemplar(out, exemplar));
                    out.push(b'\n');
                });
                // OpenMetrics, section "Histogram": a sum that can fall is no counter and must be left out; the count must
                // go with it.
                if reading.sum >= 0.0 {
                    lines.push_count(out, name, "_count", reading.count);
                    lines.push_number(out, name, "_sum", reading.sum);
                }
            }
        }
    }

    /// Ends the page.
    pub(super) fn finish(out: &mut Vec<u8>) {
        out.extend_from_slice(b"# EOF\n");
    }
}

/// Appends an exemplar to the line of its bucket.
fn push_exemplar(out: &mut Vec<u8>, exemplar: &Exemplar) {
    let labels = format!(" # {{trace_id=\"{}\",span_id=\"{:016x}\"}} ", exemplar.trace.trace, exemplar.trace.span);
    out.extend_from_slice(labels.as_bytes());
    push_number(out, exemplar.value);
    out.push(b' ');
    push_number(out, exemplar.at as f64 / 1e3);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(heads: &[(&str, Kind)], expected: &[Role]) {
        let mut heads: Vec<Head> =
            heads.iter().map(|(name, kind)| Head::new((*name).to_owned(), *kind, None)).collect();
        assign_roles(heads.iter_mut());
        assert_eq!(heads.iter().map(|head| head.role).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_counter_keeps_the_name_of_its_series() {
        use Kind::{Counter, Gauge, Histogram};
        check(&[("jobs_total", Counter)], &[Role::Counter]);
        check(&[("jobs", Counter)], &[Role::Unknown]);
        check(&[("jobs", Counter), ("jobs_total", Counter)], &[Role::Unknown, Role::Unknown]);
        check(&[("jobs", Gauge), ("jobs_total", Counter)], &[Role::Own, Role::Unknown]);
        check(&[("jobs_total", Counter), ("jobs", Histogram)], &[Role::Unknown, Role::Own]);
        check(&[("jobs_created", Gauge), ("jobs_total", Counter)], &[Role::Own, Role::Unknown]);
        check(&[("jobs_total", Counter), ("jobs_created_total", Counter)], &[Role::Counter, Role::Unknown]);
        check(&[("jobs_created", Gauge), ("jobs", Histogram)], &[Role::None, Role::Own]);
        check(&[("jobs_total", Gauge)], &[Role::Own]);
    }
}
