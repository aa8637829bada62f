//! [`Families`]: what is exposed, whatever the format.
//!
//! The invariant that a change could break: one metric name, one type and each label set once, whatever the host
//! records. Prometheus rejects the whole scrape otherwise.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
    hash::BuildHasher as _,
};

use metrics::Label;

use super::{
    derived::{self, NANOS, Point, Sources},
    openmetrics::{self, Role},
    spelling,
};
use crate::{
    names::{self, Kind, Metric},
    store::{
        cells::{HistogramCell, ReadMode},
        exemplars::{Exemplar, Exemplars},
        gauge::GaugeCell,
        layout::Layout,
        series::{Cell, Index},
    },
};

/// Label that the formats themselves use, for the upper edge of a bucket.
pub(super) const BUCKET: &str = "le";
/// Name of a host's `le` on a histogram, as Prometheus renames a label that collides with its own.
const EXPORTED_BUCKET: &str = "exported_le";

/// What is said once of a metric.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) help: Option<String>,
    pub(super) role: Role,
    /// Whether its counters count nanoseconds and are exposed in seconds.
    nanos: bool,
}

impl Head {
    pub(super) fn new(name: String, kind: Kind, help: Option<String>) -> Self {
        Self { name, kind, help: help.filter(|help| !help.is_empty()), role: Role::Own, nanos: false }
    }
}

/// Where the samples of a metric come from.
#[derive(Debug)]
enum Source {
    /// Places in the index, of series of one kind.
    Series(Vec<u32>),
    /// Computed when the metric's turn comes.
    Derived(&'static Metric),
}

/// The labels of a sample as they are exposed: each name once, values not yet escaped.
pub(super) type Labels<'a> = [(Cow<'a, str>, &'a str)];

/// The value of a sample.
#[derive(Debug)]
pub(super) enum Value<'a> {
    Count(u64),
    Number(f64),
    Histogram(Reading<'a>),
}

/// A histogram at one moment. Its counts come from one reading, so they agree. The sum is read after them and may differ from
/// them by observations that are recorded meanwhile.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    pub(super) layout: &'a Layout,
    /// The count of each bucket of the layout.
    pub(super) buckets: Vec<u64>,
    pub(super) count: u64,
    pub(super) sum: f64,
    exemplars: Option<&'a Exemplars>,
}

impl<'a> Reading<'a> {
    fn of(cell: &'a HistogramCell) -> Self {
        let buckets = cell.buckets();
        let count = buckets.iter().sum();
        Self {
            layout: cell.layout(),
            buckets,
            count,
            sum: cell.totals(ReadMode::Peek).sum,
            exemplars: cell.exemplars(),
        }
    }

    /// Returns the exemplar of each classic bucket, for a format that shows them: this begins the search for the next ones.
    pub(super) fn exemplars(&self) -> Vec<Option<Exemplar>> {
        self.exemplars.map(Exemplars::scrape).unwrap_or_default()
    }

    /// Calls `each` with the upper edge of each classic bucket, and the count of it and those below it.
    pub(super) fn for_each_exposed(&self, mut each: impl FnMut(f64, u64)) {
        let (mut below, mut next) = (0, 0);
        for (bucket, edge) in self.layout.exposed() {
            below += self.buckets[next..=bucket].iter().sum::<u64>();
            next = bucket + 1;
            each(edge, below);
        }
        each(f64::INFINITY, self.count);
    }
}

/// Every metric with its samples. The catalogue's come first, in its order; a host's own follow by name.
///
/// A metric is looked at when its turn comes, so that its derived samples are held no longer than they are written.
pub(super) struct Families {
    index: Index,
    sources: Sources,
    metrics: std::vec::IntoIter<(Head, Source)>,
}

impl Families {
    pub(super) fn new(index: Index, descriptions: &HashMap<String, String>, sources: Sources) -> Self {
        let in_catalogue = |name: &str| names::metric(name).is_some();
        let own = names::CATALOGUE.iter().filter_map(|metric| {
            let head = Head {
                nanos: metric.nanos,
                ..Head::new(metric.name.to_owned(), metric.kind, Some(metric.help.to_owned()))
            };
            if derived::is_derived(metric) {
                return Some((head, Source::Derived(metric)));
            }
            // Series of another type under the same name are left out, because Prometheus would reject the scrape.
            let series = exposed(&index, &[metric.name], Some(metric.kind));
            (!series.is_empty()).then_some((head, Source::Series(series)))
        });
        // A host's `queue.depth` and `queue_depth` are the same name to Prometheus, so they are one metric.
        let mut hosts: BTreeMap<Cow<'_, str>, Vec<&str>> = BTreeMap::new();
        for name in index.names().into_iter().filter(|name| !in_catalogue(name)) {
            hosts.entry(spelling::metric_name(name)).or_default().push(name);
        }
        let hosts = hosts.into_iter().filter(|(name, _)| !name.is_empty() && !in_catalogue(name));
        let hosts = hosts.filter_map(|(name, raw)| {
            // The type is that of the first series.
            let series = exposed(&index, &raw, None);
            let kind = index.series[*series.first()? as usize].meta.kind;
            let help = raw.iter().find_map(|raw| descriptions.get(*raw)).cloned();
            Some((Head::new(name.into_owned(), kind, help), Source::Series(exposed(&index, &raw, Some(kind)))))
        });
        // A host's histogram `db_client_connection` would repeat a line of the catalogue's `db_client_connection_count`.
        let parts = |name: &str| ["bucket", "sum", "count"].map(|suffix| format!("{name}_{suffix}"));
        let hosts = hosts.filter(|(head, _)| {
            head.kind != Kind::Histogram || !parts(&head.name).iter().any(|name| in_catalogue(name))
        });
        let mut metrics: Vec<(Head, Source)> = own.chain(hosts).collect();
        // A host's counter `jobs_count` would repeat a line of its histogram `jobs`.
        let histograms = metrics.iter().filter(|(head, _)| head.kind == Kind::Histogram);
        let taken: HashSet<String> = histograms.flat_map(|(head, _)| parts(&head.name)).collect();
        metrics.retain(|(head, _)| !taken.contains(&head.name));
        openmetrics::assign_roles(metrics.iter_mut().map(|(head, _)| head));
        Self { index, sources, metrics: metrics.into_iter() }
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }
}

impl Iterator for Families {
    type Item = Family;

    /// Returns the next metric that has a sample.
    fn next(&mut self) -> Option<Family> {
        loop {
            let (head, source) = self.metrics.next()?;
            let samples = match source {
                Source::Series(mut places) => {
                    places.retain(|place| has_value(&head, &self.index.series[*place as usize].cell));
                    Samples::Series(places.into_iter())
                }
                Source::Derived(metric) => {
                    Samples::Points(derived::points(metric, &self.index, &self.sources).into_iter())
                }
            };
            if !samples.is_empty() {
                return Some(Family { head, samples, written: HashSet::new(), hasher: <_>::default() });
            }
        }
    }
}

/// Returns the places of the series with these names that are exposed, of one kind where it is given.
fn exposed(index: &Index, names: &[&str], kind: Option<Kind>) -> Vec<u32> {
    let places = names.iter().flat_map(|name| index.named(name)).copied();
    let is_exposed = |place: &u32| {
        let meta = &index.series[*place as usize].meta;
        meta.exposed && kind.is_none_or(|kind| kind == meta.kind)
    };
    places.filter(is_exposed).collect()
}

/// Returns whether a series has a value.
fn has_value(head: &Head, cell: &Cell) -> bool {
    match cell {
        Cell::Gauge(cell) => number(head, cell).is_some(),
        Cell::Counter(_) | Cell::Histogram(_) => true,
    }
}

/// Returns the value of a gauge, which has none before its first write. Some counters are written as gauges, and a host may set one
/// of that name to what no counter can have: NaN or less than zero. It is left out, because a strict reader of OpenMetrics refuses
/// the whole page, and a `rate` of it would be wrong.
fn number(head: &Head, cell: &GaugeCell) -> Option<f64> {
    cell.read().filter(|value| head.kind != Kind::Counter || *value >= 0.0)
}

#[derive(Debug)]
enum Samples {
    Series(std::vec::IntoIter<u32>),
    Points(std::vec::IntoIter<Point>),
}

impl Samples {
    fn is_empty(&self) -> bool {
        match self {
            Self::Series(places) => places.as_slice().is_empty(),
            Self::Points(points) => points.as_slice().is_empty(),
        }
    }
}

/// A metric and the samples of it that are still to be written.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) head: Head,
    samples: Samples,
    /// Hashes of the label sets that were written. Two of 100,000 sets have the same one in one of a billion pages, which then
    /// lacks a sample; the sets themselves would be as large as the page.
    written: HashSet<u64>,
    hasher: foldhash::fast::RandomState,
}

impl Family {
    /// Hands the next sample to `write`, unless its label set was written already. Returns `false` after the last one.
    pub(super) fn next_sample(&mut self, index: &Index, mut write: impl FnMut(&Head, &Labels<'_>, &Value<'_>)) -> bool {
        match &mut self.samples {
            Samples::Series(places) => {
                let Some(place) = places.next() else { return false };
                let series = &index.series[place as usize];
                let labels = labels(&series.meta.key.labels(), self.head.kind);
                if is_first(&mut self.written, &self.hasher, &labels) {
                    let value = match &series.cell {
                        Cell::Counter(cell) if self.head.nanos => Some(Value::Number(cell.read() as f64 / NANOS)),
                        Cell::Counter(cell) => Some(Value::Count(cell.read())),
                        Cell::Gauge(cell) => number(&self.head, cell).map(Value::Number),
                        Cell::Histogram(cell) => Some(Value::Histogram(Reading::of(cell))),
                    };
                    value.iter().for_each(|value| write(&self.head, &labels, value));
                }
            }
            Samples::Points(points) => {
                let Some(point) = points.next() else { return false };
                let labels = labels(&point.labels.iter(), self.head.kind);
                if is_first(&mut self.written, &self.hasher, &labels) {
                    write(&self.head, &labels, &Value::Number(point.value));
                }
            }
        }
        true
    }
}

/// Returns whether a label set is the first of its kind. The order of labels makes no difference, nor does one without a value.
fn is_first(written: &mut HashSet<u64>, hasher: &foldhash::fast::RandomState, labels: &Labels<'_>) -> bool {
    let with_value = labels.iter().filter(|(_, value)| !value.is_empty());
    written.insert(with_value.fold(0, |sum: u64, label| sum.wrapping_add(hasher.hash_one(label))))
}

/// Returns the labels as they are exposed. A host's labels `a.b` and `a_b` would have the same name, and Prometheus rejects a
/// scrape with a repeated one; the one that is spelt so has it.
fn labels<'a>(labels: &(impl Iterator<Item = &'a Label> + Clone), kind: Kind) -> Vec<(Cow<'a, str>, &'a str)> {
    let spelt = |name: &'a str| match spelling::label_name(name) {
        name if kind == Kind::Histogram && name == BUCKET => EXPORTED_BUCKET.into(),
        name => name,
    };
    let mut exposed: Vec<(Cow<'a, str>, &'a str)> = Vec::with_capacity(labels.size_hint().0);
    for label in labels.clone().filter(|label| !label.key().is_empty()) {
        let mut name = spelt(label.key());
        let is_taken = |name: &str| exposed.iter().any(|(other, _)| other == name);
        if name != label.key() && (is_taken(&name) || labels.clone().any(|other| other.key() == name)) {
            name = spelling::second_label_name(label.key()).into();
        }
        // The facade allows a key to have a label twice; the first one stays.
        if !is_taken(&name) {
            exposed.push((name, label.value()));
        }
    }
    exposed
}
