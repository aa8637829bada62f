//! The Prometheus text format.

use std::collections::HashMap;

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
    let catalogue = names::CATALOGUE.iter().map(|metric| metric.name);
    let hosts = index.names().into_iter().filter(|name| !names::CATALOGUE.iter().any(|metric| metric.name == *name));
    for name in catalogue.chain(hosts) {
        let series = index.named(name).iter().map(|place| &*index.series[*place as usize]);
        let series: Vec<&Series> = series.filter(|series| series.meta.exposed).collect();
        let known = names::CATALOGUE.iter().find(|metric| metric.name == name);
        // One name, one type: a second kind under the same name would make the whole scrape unreadable.
        let Some(kind) = known.map(|metric| metric.kind).or(series.first().map(|series| series.meta.kind)) else {
            continue;
        };
        let fits = |series: &&&Series| known.is_some() || series.meta.kind == kind;
        let mut lines = String::new();
        for series in series.iter().filter(fits) {
            write_series(&mut lines, &sanitize_metric_name(name), series);
        }
        if lines.is_empty() {
            continue;
        }
        let described = known.map(|metric| metric.help).or(descriptions.get(name).map(String::as_str));
        let name = sanitize_metric_name(name);
        if let Some(help) = described {
            write_help_line(&mut text, &name, None, None, help);
        }
        write_type_line(&mut text, &name, None, None, type_name(kind));
        text.push_str(&lines);
        text.push('\n');
    }
    text
}

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    }
}

fn write_series(text: &mut String, name: &str, series: &Series) {
    let labels = LabelSet::from_key_and_global(&series.meta.key, &IndexMap::new());
    match &series.cell {
        Cell::Counter(cell) => {
            write_metric_line::<&str, _>(text, name, None, &labels, None, cell.read(), None);
        }
        Cell::Gauge(cell) => {
            if let Some(value) = cell.read() {
                write_metric_line::<&str, _>(text, name, None, &labels, None, value, None);
            }
        }
        Cell::Histogram(cell) => {
            let layout = cell.layout();
            let mut buckets = vec![0; layout.buckets()];
            let totals = cell.read(Extremes::Peek, &mut buckets);
            let (mut below, mut next) = (0, 0);
            for (bucket, edge) in layout.exposed() {
                below += buckets[next..=bucket].iter().sum::<u64>();
                next = bucket + 1;
                write_metric_line(text, name, Some("bucket"), &labels, Some(("le", edge)), below, None);
            }
            let count: u64 = buckets.iter().sum();
            write_metric_line(text, name, Some("bucket"), &labels, Some(("le", "+Inf")), count, None);
            write_metric_line::<&str, _>(text, name, Some("sum"), &labels, None, totals.sum, None);
            write_metric_line::<&str, _>(text, name, Some("count"), &labels, None, count, None);
        }
    }
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
