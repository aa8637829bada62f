//! [`Exposition`]: every series in the Prometheus text format.
//!
//! The invariant that a change could break: one metric name, one type and each label set once, whatever the host
//! records. Prometheus rejects the whole scrape otherwise.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt::Write as _,
};

use metrics::Key;
use metrics_exporter_prometheus::formatting::{
    sanitize_label_key, sanitize_label_value, sanitize_metric_name, write_help_line, write_type_line,
};

use super::{
    cells::ReadMode,
    series::{Cell, Index, Series, SeriesMeta},
};
use crate::names::{self, Kind, Tally};

/// Bytes after which a part of the text is returned: large enough that parts cost nothing, small beside the text.
const PART: usize = 64 * 1024;

/// Labels that the format itself uses: a series' name, and the upper edge of a bucket.
const METRIC_NAME: &str = "__name__";
const BUCKET: &str = "le";
/// Name of a host's `le` on a histogram, as Prometheus renames a label that collides with its own.
const EXPORTED_BUCKET: &str = "exported_le";

/// Returns the outcome that the observations of a series of durations count for.
pub(crate) type OutcomeOf = fn(&SeriesMeta) -> &'static str;

/// The lines of one metric.
struct Block {
    name: String,
    kind: Kind,
    help: Option<String>,
    /// Places in the index of the series that are still to be written.
    series: std::vec::IntoIter<u32>,
    /// Lines of a tally.
    lines: String,
    /// Label sets that were written, each sorted.
    written: HashSet<String>,
}

/// The text in parts of about 64 KiB, so that a scrape of ten thousand series does not hold many megabytes at once.
///
/// The catalogue's metrics come first, in its order; a host's own follow by name.
pub(crate) struct Exposition {
    index: Index,
    blocks: std::vec::IntoIter<Block>,
    current: Option<Block>,
}

impl Exposition {
    pub(super) fn new(index: Index, descriptions: &HashMap<String, String>, outcome: Option<OutcomeOf>) -> Self {
        let catalogue = |name: &str| names::CATALOGUE.iter().any(|metric| metric.name == name);
        let own = names::CATALOGUE.iter().map(|metric| {
            let (name, help) = (metric.name.to_owned(), Some(metric.help.to_owned()));
            let tally = names::TALLIES.iter().find(|tally| tally.metric.name == metric.name);
            if let Some((tally, outcome)) = tally.zip(outcome) {
                return Block::tallied(tally, outcome, &index);
            }
            Block::new(name, help, Some(metric.kind), exposed(&index, &[metric.name]), &index)
        });
        // A host's `queue.depth` and `queue_depth` are the same name to Prometheus, so they share a block.
        let mut hosts: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for name in index.names().into_iter().filter(|name| !catalogue(name)) {
            hosts.entry(sanitize_metric_name(name)).or_default().push(name);
        }
        let hosts = hosts.into_iter().filter(|(name, _)| !name.is_empty() && !catalogue(name)).map(|(name, raw)| {
            let help = raw.iter().find_map(|raw| descriptions.get(*raw)).cloned();
            Block::new(name, help, None, exposed(&index, &raw), &index)
        });
        let mut blocks: Vec<Block> = own.chain(hosts).flatten().collect();
        // A host's counter `jobs_count` would repeat a line of its histogram `jobs`.
        let histograms = blocks.iter().filter(|block| block.kind == Kind::Histogram);
        let taken: HashSet<String> = histograms
            .flat_map(|block| ["bucket", "sum", "count"].map(|suffix| format!("{}_{suffix}", block.name)))
            .collect();
        blocks.retain(|block| !taken.contains(&block.name));
        Self { index, blocks: blocks.into_iter(), current: None }
    }
}

impl Iterator for Exposition {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut text = String::with_capacity(PART + PART / 8);
        while text.len() < PART {
            let Some(block) = &mut self.current else {
                self.current = self.blocks.next();
                match &self.current {
                    Some(block) => block.write_head(&mut text),
                    None => break,
                }
                continue;
            };
            match block.series.next() {
                Some(place) => block.write(&mut text, &self.index.series[place as usize]),
                None => {
                    text.push_str(&block.lines);
                    text.push('\n');
                    self.current = None;
                }
            }
        }
        (!text.is_empty()).then_some(text)
    }
}

fn exposed(index: &Index, names: &[&str]) -> Vec<u32> {
    let places = names.iter().flat_map(|name| index.named(name)).copied();
    places.filter(|place| index.series[*place as usize].meta.exposed).collect()
}

impl Block {
    /// Returns `None` if there is nothing to write. A metric has the catalogue's type, or else that of its first
    /// series; series of another type under the same name are left out, because Prometheus would reject the scrape.
    fn new(
        name: String,
        help: Option<String>,
        kind: Option<Kind>,
        mut series: Vec<u32>,
        index: &Index,
    ) -> Option<Self> {
        let of = |place: &u32| &index.series[*place as usize];
        let kind = kind.or_else(|| series.first().map(|place| of(place).meta.kind))?;
        series.retain(|place| of(place).meta.kind == kind && has_value(&of(place).cell));
        let series = Some(series).filter(|series| !series.is_empty())?.into_iter();
        Some(Self { name, kind, help, series, lines: String::new(), written: HashSet::new() })
    }

    /// Counts durations by outcome; returns `None` where there are none.
    fn tallied(tally: &Tally, outcome: OutcomeOf, index: &Index) -> Option<Self> {
        let mut counts: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for place in index.named(tally.of.name) {
            let series = &index.series[*place as usize];
            let Cell::Histogram(cell) = &series.cell else { continue };
            let of =
                |name: &&'static str| Some(format!("{name}=\"{}\"", sanitize_label_value(series.meta.label(name)?)));
            let own = tally.metric.labels.iter().filter(|name| **name != names::OUTCOME);
            let labels: Vec<String> = own.filter_map(of).collect();
            let counts = counts.entry(labels.join(",")).or_insert_with(|| vec![0; tally.outcomes.len()]);
            let outcome = outcome(&series.meta);
            if let Some(place) = tally.outcomes.iter().position(|known| *known == outcome) {
                counts[place] += cell.buckets().iter().sum::<u64>();
            }
        }
        let name = tally.metric.name;
        let mut lines = String::new();
        for (labels, counts) in &counts {
            for (outcome, count) in tally.outcomes.iter().zip(counts) {
                let comma = if labels.is_empty() { "" } else { "," };
                let label = names::OUTCOME;
                writeln!(lines, "{name}{{{labels}{comma}{label}=\"{outcome}\"}} {count}")
                    .expect("writing to a String never fails");
            }
        }
        let help = Some(tally.metric.help.to_owned());
        let (name, kind, series) = (name.to_owned(), Kind::Counter, Vec::new().into_iter());
        (!lines.is_empty()).then_some(Self { name, kind, help, series, lines, written: HashSet::new() })
    }

    fn write_head(&self, text: &mut String) {
        if let Some(help) = &self.help {
            write_help_line(text, &self.name, None, None, help);
        }
        write_type_line(text, &self.name, None, None, type_name(self.kind));
    }

    /// Writes a series, unless its label set was written already.
    fn write(&mut self, text: &mut String, series: &Series) {
        let mut labels = labels(&series.meta.key, self.kind);
        let line = labels.join(",");
        labels.sort_unstable();
        if self.written.insert(labels.join(",")) {
            write_series(text, &self.name, &line, &series.cell);
        }
    }
}

/// Returns the labels as they are written, each name once. A host's labels `a.b` and `a_b` have the same name to
/// Prometheus, which rejects a scrape with a repeated name; the first one stays.
fn labels(key: &Key, kind: Kind) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(key.labels().len());
    let labels = key.labels().filter_map(|label| {
        let mut name = sanitize_label_key(label.key());
        if kind == Kind::Histogram && name == BUCKET {
            name = EXPORTED_BUCKET.to_owned();
        }
        if name.is_empty() || name == METRIC_NAME || names.contains(&name) {
            return None;
        }
        let written = format!("{name}=\"{}\"", sanitize_label_value(label.value()));
        names.push(name);
        Some(written)
    });
    labels.collect()
}

/// Returns whether a series has a value: a gauge has none before its first write.
fn has_value(cell: &Cell) -> bool {
    match cell {
        Cell::Gauge(cell) => cell.read().is_some(),
        Cell::Counter(_) | Cell::Histogram(_) => true,
    }
}

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    }
}

/// Writes the lines of one series. Takes the labels escaped: escaping them for each bucket was most of the work.
fn write_series(text: &mut String, name: &str, labels: &str, cell: &Cell) {
    let (open, comma, close) = if labels.is_empty() { ("", "", "") } else { ("{", ",", "}") };
    let mut line = |rest: std::fmt::Arguments<'_>| text.write_fmt(rest).expect("writing to a String never fails");
    let histogram = match cell {
        Cell::Counter(cell) => return line(format_args!("{name}{open}{labels}{close} {}\n", cell.read())),
        Cell::Gauge(cell) => {
            return cell
                .read()
                .into_iter()
                .for_each(|value| line(format_args!("{name}{open}{labels}{close} {value}\n")));
        }
        Cell::Histogram(histogram) => histogram,
    };
    // The count is that of the buckets that were read, so the lines agree. The sum is read after them and may differ
    // from them by observations that are recorded meanwhile.
    let buckets = histogram.buckets();
    let (mut below, mut next) = (0, 0);
    for (bucket, edge) in histogram.layout().exposed() {
        below += buckets[next..=bucket].iter().sum::<u64>();
        next = bucket + 1;
        line(format_args!("{name}_bucket{{{labels}{comma}le=\"{edge}\"}} {below}\n"));
    }
    let count: u64 = buckets.iter().sum();
    line(format_args!("{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {count}\n"));
    line(format_args!("{name}_sum{open}{labels}{close} {}\n", histogram.totals(ReadMode::Peek).sum));
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
    fn a_hosts_metric_with_a_name_in_use_is_left_out() {
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
    fn labels_that_prometheus_cannot_distinguish_are_written_once() {
        let recorder = MonitorRecorder::new(100, Vec::new());
        metrics::with_local_recorder(&recorder, || {
            metrics::gauge!("twice", "a.b" => "1", "a_b" => "2", "" => "3", "__name__" => "other").set(1.0);
            metrics::gauge!("twice", "a-b" => "1").set(2.0);
            metrics::gauge!("order", "a" => "1", "b" => "2").set(1.0);
            metrics::gauge!("order", "b" => "2", "a" => "1").set(2.0);
            metrics::gauge!("", "a" => "1").set(1.0);
            metrics::gauge!("edge", "le" => "1").set(1.0);
            metrics::histogram!("jobs", "le" => "1", "exported.le" => "2").record(1.0);
            metrics::counter!("jobs_count").increment(1);
        });
        let text = recorder.render();
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.contains("_bucket{")).collect();
        assert_eq!(
            lines,
            [
                "# TYPE edge gauge",
                "edge{le=\"1\"} 1",
                "# TYPE jobs histogram",
                "jobs_sum{exported_le=\"1\"} 1",
                "jobs_count{exported_le=\"1\"} 1",
                "# TYPE order gauge",
                "order{a=\"1\",b=\"2\"} 2",
                "# TYPE twice gauge",
                "twice{a_b=\"1\"} 1",
            ]
        );
        assert!(text.contains("jobs_bucket{exported_le=\"1\",le=\"+Inf\"} 1"), "{text}");
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
