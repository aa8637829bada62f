//! The Prometheus text format.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt::Write as _,
};

use indexmap::IndexMap;
use metrics_exporter_prometheus::{
    LabelSet,
    formatting::{sanitize_metric_name, write_help_line, write_metric_line, write_type_line},
};

use super::{
    cells::Extremes,
    series::{Cell, Index, Series},
};
use crate::names::{self, Kind};

/// Renders every exposed series, metrics of the catalogue first and in its order, a host's own after by name.
pub(super) fn render(index: &Index, descriptions: &HashMap<String, String>) -> String {
    let mut text = String::with_capacity(64 * 1024);
    let catalogue = |name: &str| names::CATALOGUE.iter().find(|metric| metric.name == name);
    for metric in names::CATALOGUE {
        write_metric(&mut text, metric.name, Some(metric.kind), Some(metric.help), &exposed(index, &[metric.name]));
    }
    // A host's `queue.depth` and `queue_depth` are one name to Prometheus, and so one block.
    let mut hosts: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for name in index.names().into_iter().filter(|name| catalogue(name).is_none()) {
        hosts.entry(sanitize_metric_name(name)).or_default().push(name);
    }
    for (name, raw) in hosts.into_iter().filter(|(name, _)| catalogue(name).is_none()) {
        let help = raw.iter().find_map(|raw| descriptions.get(*raw));
        write_metric(&mut text, &name, None, help.map(String::as_str), &exposed(index, &raw));
    }
    text
}

fn exposed<'a>(index: &'a Index, names: &[&str]) -> Vec<&'a Series> {
    let places = names.iter().flat_map(|name| index.named(name));
    places.map(|place| &*index.series[*place as usize]).filter(|series| series.meta.exposed).collect()
}

/// Writes the block of one metric. One name has one type, and a label set stands once: anything else would make the
/// whole scrape unreadable, so what a host records beside it is left out.
fn write_metric(text: &mut String, name: &str, kind: Option<Kind>, help: Option<&str>, series: &[&Series]) {
    let Some(kind) = kind.or(series.first().map(|series| series.meta.kind)) else { return };
    let mut lines = String::new();
    let mut written = HashSet::new();
    for series in series.iter().filter(|series| series.meta.kind == kind) {
        let labels = LabelSet::from_key_and_global(&series.meta.key, &IndexMap::new());
        if written.insert(labels.clone()) {
            write_series(&mut lines, name, &labels, &series.cell);
        }
    }
    if lines.is_empty() {
        return;
    }
    if let Some(help) = help {
        write_help_line(text, name, None, None, help);
    }
    write_type_line(text, name, None, None, type_name(kind));
    text.push_str(&lines);
    text.push('\n');
}

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    }
}

/// Writes the lines of one series. Its labels are escaped once and not once a bucket, which is most of the work.
fn write_series(text: &mut String, name: &str, labels: &LabelSet, cell: &Cell) {
    let histogram = match cell {
        Cell::Counter(cell) => {
            return write_metric_line::<&str, _>(text, name, None, labels, None, cell.read(), None);
        }
        Cell::Gauge(cell) => {
            if let Some(value) = cell.read() {
                write_metric_line::<&str, _>(text, name, None, labels, None, value, None);
            }
            return;
        }
        Cell::Histogram(histogram) => histogram,
    };
    let labels: Vec<String> = labels.to_strings().collect();
    let labels = labels.join(",");
    let (open, comma) = if labels.is_empty() { ("", "") } else { ("{", ",") };
    let close = if labels.is_empty() { "" } else { "}" };
    let buckets = histogram.buckets();
    let mut line = |rest: std::fmt::Arguments<'_>| text.write_fmt(rest).expect("writing to a String never fails");
    let (mut below, mut next) = (0, 0);
    for (bucket, edge) in histogram.layout().exposed() {
        below += buckets[next..=bucket].iter().sum::<u64>();
        next = bucket + 1;
        line(format_args!("{name}_bucket{{{labels}{comma}le=\"{edge}\"}} {below}\n"));
    }
    let count: u64 = buckets.iter().sum();
    line(format_args!("{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {count}\n"));
    line(format_args!("{name}_sum{open}{labels}{close} {}\n", histogram.totals(Extremes::Peek).sum));
    line(format_args!("{name}_count{open}{labels}{close} {count}\n"));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use metrics::Recorder as _;

    use crate::{context::labelled, names, store::MonitorRecorder};

    #[test]
    fn histograms_expose_the_catalogues_buckets() {
        let recorder = MonitorRecorder::new(100, Vec::new());
        let route: Arc<str> = "/users/{id}".into();
        let histogram = labelled::histogram(&recorder, &names::HTTP_DURATION, &[(names::ROUTE, route)]);
        for seconds in [0.004, 0.1, 0.1000001, 50.0] {
            histogram.record(seconds);
        }
        insta::assert_snapshot!(recorder.render());
    }

    #[test]
    fn what_a_host_records_under_the_same_name_does_not_stand_twice() {
        let recorder = MonitorRecorder::new(100, Vec::new());
        labelled::gauge(&recorder, &names::PROCESS_CPU, &[]).set(1.5);
        metrics::with_local_recorder(&recorder, || {
            metrics::counter!("process_cpu_seconds_total").increment(7);
            metrics::gauge!("a.b").set(1.0);
            metrics::gauge!("a_b").set(2.0);
            metrics::counter!("a-b").increment(3);
        });
        let text = recorder.render();
        assert_eq!(text.matches("\nprocess_cpu_seconds_total ").count(), 1, "{text}");
        assert_eq!((text.matches("# TYPE a_b ").count(), text.matches("\na_b ").count()), (1, 1), "{text}");
    }

    #[test]
    fn hosts_metrics_follow_with_their_description() {
        let recorder = MonitorRecorder::new(100, Vec::new());
        recorder.describe_gauge("queue.depth".into(), None, "Jobs \\ waiting\nnow.".into());
        labelled::gauge(&recorder, &names::BUILD_INFO, &[]).set(1.0);
        metrics::with_local_recorder(&recorder, || {
            metrics::gauge!("queue.depth", "queue" => "a\"b\\c\nd").set(3.0);
            metrics::counter!("jobs_total").increment(2);
        });
        insta::assert_snapshot!(recorder.render());
    }
}
