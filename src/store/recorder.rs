//! [`MonitorRecorder`]: the `metrics` recorder whose cells both the windows and `/metrics` read.
//!
//! The recorder of metrics-exporter-prometheus keeps every observation in a list until a scrape or an upkeep task
//! drains it, which allocates on the request path and grows without scrapes (metrics-rs issue 467). Here an observation
//! is added to fixed cells, which the exposition reads: one source of values, nothing to drain, no upkeep.

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use metrics::{Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_util::registry::{Registry, Storage};

use super::{
    cells::HistogramCell,
    counter::CounterCell,
    exposition::{Exposition, Format, Sources, metric_name},
    gauge::GaugeCell,
    history::History,
    layout::Layouts,
    meta::{Budget, SeriesMeta, folded},
    pairs::Pairs,
    series::{Cell, Index, Series, SeriesTable, address},
    whole_names::whole_names,
};
use crate::{
    lock::lock,
    names::{self, Kind},
};

/// Makes the cell of a new series and enters the series in the table.
struct CellFactory {
    table: Arc<SeriesTable>,
    layouts: Layouts,
}

impl CellFactory {
    fn enter(&self, key: &Key, kind: Kind, cell: Cell) {
        self.table.push(Series { meta: SeriesMeta::new(key.clone(), kind), cell });
    }
}

impl Storage<Key> for CellFactory {
    type Counter = Arc<CounterCell>;
    type Gauge = Arc<GaugeCell>;
    type Histogram = Arc<HistogramCell>;

    fn counter(&self, key: &Key) -> Self::Counter {
        let cell = Arc::new(CounterCell::default());
        self.enter(key, Kind::Counter, Cell::Counter(cell.clone()));
        cell
    }

    fn gauge(&self, key: &Key) -> Self::Gauge {
        let cell = Arc::new(GaugeCell::default());
        // The facade's counters are integers, so totals of seconds are written as gauges; the catalogue has their kind.
        let is_total = names::metric(key.name()).is_some_and(|metric| metric.kind == Kind::Counter);
        self.enter(key, if is_total { Kind::Counter } else { Kind::Gauge }, Cell::Gauge(cell.clone()));
        cell
    }

    fn histogram(&self, key: &Key) -> Self::Histogram {
        // Names that are exposed as one have one layout: `job.seconds` and `job-seconds` are lines of the same metric.
        let cell = HistogramCell::new(self.layouts.of(&metric_name(key.name())));
        let is_exposed = SeriesMeta::new(key.clone(), Kind::Histogram).exposed;
        let cell = Arc::new(if is_exposed { cell.with_exemplars() } else { cell });
        self.enter(key, Kind::Histogram, Cell::Histogram(cell.clone()));
        cell
    }
}

struct Inner {
    registry: Registry<Key, CellFactory>,
    table: Arc<SeriesTable>,
    max_series: usize,
    dropped: OnceLock<Arc<CounterCell>>,
    descriptions: Mutex<HashMap<String, String>>,
    with_tallies: AtomicBool,
    pairs: Pairs,
}

/// The monitor's `metrics` recorder. Cheap to clone: all clones write the same series.
///
/// [`MonitorBuilder::install`](crate::MonitorBuilder::install) makes it the process's recorder. A host that composes
/// recorders itself, say with metrics-util's `FanoutBuilder`, gets it from
/// [`Monitor::recorder`](crate::Monitor::recorder).
///
/// At most `max_series` label sets are kept of what the service and its host record. Every registration past that limit
/// is counted in `pinchpoint_series_dropped_total` and recorded under one series of its metric, whose labels all read
/// `other`. The monitor's metrics about itself, such as `pinchpoint_bottleneck`, have a budget of their own, so a full
/// one never hides an alert.
#[derive(Clone)]
pub struct MonitorRecorder {
    inner: Arc<Inner>,
}

impl fmt::Debug for MonitorRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MonitorRecorder").field("series", &self.inner.table.len()).finish_non_exhaustive()
    }
}

impl MonitorRecorder {
    /// `thresholds`, in seconds, become bucket edges of every duration.
    pub(crate) fn new(max_series: usize, thresholds: Vec<f64>) -> Self {
        let table = Arc::new(SeriesTable::default());
        let factory = CellFactory { table: table.clone(), layouts: Layouts::new(thresholds) };
        Self {
            inner: Arc::new(Inner {
                registry: Registry::new(factory),
                table,
                max_series,
                dropped: OnceLock::new(),
                descriptions: Mutex::default(),
                with_tallies: AtomicBool::new(false),
                pairs: Pairs::default(),
            }),
        }
    }

    /// Adds the [tallies](names::TALLIES) to the exposition.
    pub(crate) fn with_tallies(self) -> Self {
        self.inner.with_tallies.store(true, Relaxed);
        self
    }

    /// Sets how many pairs of an endpoint and a statement are exposed.
    pub(crate) fn with_max_pairs(self, pairs: usize) -> Self {
        self.inner.pairs.set_limit(pairs);
        self
    }

    /// Returns the series that exist now.
    pub(crate) fn index(&self) -> Index {
        self.inner.table.index()
    }

    /// Returns how many series count against `max_series`.
    pub(crate) fn series(&self) -> usize {
        self.inner.table.len_of(Budget::Service)
    }

    /// Returns whether the series that only windows read have used up their limit.
    pub(crate) fn is_short_of_window_series(&self) -> bool {
        self.inner.table.len_of(Budget::Windows) >= self.inner.max_series
    }

    /// Removes the series of queries, tasks and pairs whose handles were all dropped and that changed in no window, so
    /// that later ones take their places.
    pub(crate) fn give_back_places(&self, history: &mut History) {
        let index = self.index();
        let cell = |place: u32| &index.series[place as usize].cell;
        let metrics = names::GIVEN_BACK.iter().chain(names::IN_FORCE);
        let candidates = metrics.flat_map(|metric| index.named(metric.name)).copied();
        let without_handle: Vec<u32> = candidates.filter(|place| cell(*place).has_no_handle()).collect();
        if without_handle.is_empty() {
            return;
        }
        let unused = whole_names(&index, history.unchanged(without_handle));
        let at: HashMap<usize, u32> = unused.into_iter().map(|place| (cell(place).address(), place)).collect();
        let mut gone = Vec::new();
        // Asked again while the registry is locked: nobody gets a handle between the answer and the removal.
        let mut keep = |address: usize| {
            let unused = at.get(&address).filter(|place| {
                let cell = cell(**place);
                cell.has_no_handle() && history.has_read(**place, cell)
            });
            gone.extend(unused);
            unused.is_none()
        };
        let registry = &self.inner.registry;
        registry.retain_counters(|_, cell| keep(address(cell)));
        registry.retain_gauges(|_, cell| keep(address(cell)));
        registry.retain_histograms(|_, cell| keep(address(cell)));
        history.forget(&gone);
        self.inner.table.vacate(&gone);
    }

    /// Decides which pairs of an endpoint and a statement are exposed from now on.
    pub(crate) fn choose_pairs(&self) {
        self.inner.pairs.tick(&self.index());
    }

    /// Returns the sum of the gauges called `name`.
    pub(crate) fn gauge_sum(&self, name: &str) -> f64 {
        let index = self.index();
        let cells = index.named(name).iter().map(|place| &index.series[*place as usize].cell);
        let values = cells.filter_map(|cell| match cell {
            Cell::Gauge(cell) => cell.read(),
            Cell::Counter(_) | Cell::Histogram(_) => None,
        });
        values.sum()
    }

    /// Renders every series in the Prometheus text format, version 0.0.4.
    ///
    /// ```
    /// # use pinchpoint::Monitor;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), pinchpoint::BuildError> {
    /// let monitor = Monitor::builder().build()?;
    /// assert!(monitor.recorder().render().contains("# TYPE pinchpoint_build_info gauge"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn render(&self) -> String {
        // Names are ASCII, and every other part of the page comes from a `str`.
        let parts: Vec<Vec<u8>> = self.exposition(Format::Text).collect();
        String::from_utf8(parts.concat()).expect("the text format is UTF-8")
    }

    /// Returns every series in a format, in parts.
    pub(crate) fn exposition(&self, format: Format) -> Exposition {
        let descriptions = lock(&self.inner.descriptions).clone();
        let index = self.index();
        let sources =
            Sources { with_tallies: self.inner.with_tallies.load(Relaxed), pairs: self.inner.pairs.lines(&index) };
        Exposition::new(index, &descriptions, sources, format)
    }

    fn describe(&self, name: &KeyName, description: &SharedString) {
        let mut descriptions = lock(&self.inner.descriptions);
        // Names usually are constants of the host's code. The bound is for a host that builds them from data.
        if descriptions.len() < self.inner.max_series {
            descriptions.insert(name.as_str().to_owned(), description.to_string());
        }
    }

    /// Returns the key under which a series is recorded: its own, or past the limit one that it is [`folded`] into. Returns
    /// `None` if there is no room for that one either.
    fn admit<'a>(&self, key: &'a Key, kind: Kind) -> Option<Cow<'a, Key>> {
        if self.is_known(key, kind) {
            return Some(Cow::Borrowed(key));
        }
        let budget = Budget::of(key);
        let has_room = |of: Budget, times: usize| {
            let most = if of == Budget::Monitor { names::MONITOR_SERIES } else { 0 }.max(self.inner.max_series);
            self.inner.table.len_of(of) < most.saturating_mul(times)
        };
        if has_room(budget, 1) {
            return Some(Cow::Borrowed(key));
        }
        // Folded series have as much room again. A host that makes up metric names would fill that too.
        let has_place = |key: &Key| has_room(Budget::of(key), if Budget::of(key) == budget { 2 } else { 1 });
        let folded = folded(key).find(|folded| has_place(folded) || self.is_known(folded, kind));
        if folded.as_ref() != Some(key) {
            let dropped = Key::from_static_name(names::SERIES_DROPPED.name);
            let registry = &self.inner.registry;
            self.inner.dropped.get_or_init(|| registry.get_or_create_counter(&dropped, Arc::clone)).increment(1);
        }
        folded.map(Cow::Owned)
    }

    fn is_known(&self, key: &Key, kind: Kind) -> bool {
        let registry = &self.inner.registry;
        match kind {
            Kind::Counter => registry.get_counter(key).is_some(),
            Kind::Gauge => registry.get_gauge(key).is_some(),
            Kind::Histogram => registry.get_histogram(key).is_some(),
        }
    }
}

impl Recorder for MonitorRecorder {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&key, &description);
    }

    fn describe_gauge(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&key, &description);
    }

    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&key, &description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let registry = &self.inner.registry;
        if let Some(cell) = registry.get_counter(key) {
            return Counter::from_arc(cell);
        }
        match self.admit(key, Kind::Counter) {
            Some(key) => Counter::from_arc(registry.get_or_create_counter(&key, Arc::clone)),
            None => Counter::noop(),
        }
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let registry = &self.inner.registry;
        if let Some(cell) = registry.get_gauge(key) {
            return Gauge::from_arc(cell);
        }
        match self.admit(key, Kind::Gauge) {
            Some(key) => Gauge::from_arc(registry.get_or_create_gauge(&key, Arc::clone)),
            None => Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let registry = &self.inner.registry;
        if let Some(cell) = registry.get_histogram(key) {
            return Histogram::from_arc(cell);
        }
        match self.admit(key, Kind::Histogram) {
            Some(key) => Histogram::from_arc(registry.get_or_create_histogram(&key, Arc::clone)),
            None => Histogram::noop(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use metrics::{Label, Level};
    use tokio::time::Instant;

    use super::*;
    use crate::{context::labelled, store::Window};

    static METADATA: Metadata<'static> = Metadata::new("test", Level::INFO, None);

    fn count(recorder: &MonitorRecorder, name: &'static str, path: String) {
        let key = Key::from_parts(name, vec![Label::new("path", path)]);
        recorder.register_counter(&key, &METADATA).increment(1);
    }

    #[test]
    fn series_past_the_limit_fold_into_other_and_are_counted() {
        let recorder = MonitorRecorder::new(3, Vec::new());
        for path in 0..10 {
            count(&recorder, "hits_total", path.to_string());
        }
        let text = recorder.render();
        assert_eq!(text.matches("\nhits_total{").count(), 4, "three of their own and `other`:\n{text}");
        assert!(text.contains("hits_total{path=\"other\"} 7"), "{text}");
        assert!(text.contains("pinchpoint_series_dropped_total 7"), "{text}");
    }

    #[test]
    fn made_up_metric_names_are_limited_too() {
        let recorder = MonitorRecorder::new(10, Vec::new());
        for name in 0..1000 {
            let key = Key::from_name(format!("made_up_{name}"));
            recorder.register_counter(&key, &METADATA).increment(1);
        }
        assert!(recorder.index().series.len() <= 2 * 10 + 1);
    }

    #[test]
    fn a_folded_series_is_kept_when_made_up_names_fill_the_room() {
        let recorder = MonitorRecorder::new(3, Vec::new());
        (0..5).for_each(|path| count(&recorder, "hits_total", path.to_string()));
        for name in 0..100 {
            recorder.register_counter(&Key::from_name(format!("made_up_{name}")), &METADATA).increment(1);
        }
        (5..10).for_each(|path| count(&recorder, "hits_total", path.to_string()));
        let text = recorder.render();
        assert!(text.contains("hits_total{path=\"other\"} 7"), "{text}");
    }

    #[test]
    fn the_monitors_own_metrics_have_room_when_the_services_budget_is_full() {
        let recorder = MonitorRecorder::new(3, Vec::new());
        (0..100).for_each(|path| count(&recorder, "hits_total", path.to_string()));
        let key = Key::from_parts(names::RULES_RELOAD.name, vec![Label::new(names::OUTCOME, names::ERROR)]);
        recorder.register_counter(&key, &METADATA).increment(1);
        assert!(recorder.render().contains("pinchpoint_rules_reload_total{outcome=\"error\"} 1"));
        assert_eq!(recorder.series(), 4, "three and `other`; the monitor's own are not among them");
    }

    #[test]
    fn window_only_series_do_not_use_the_budget_of_exposed_ones() {
        let recorder = MonitorRecorder::new(5, Vec::new());
        for query in 0..100 {
            let key = Key::from_parts(names::ENDPOINT_USE_CALLS.name, vec![Label::new("query", query.to_string())]);
            recorder.register_counter(&key, &METADATA).increment(1);
        }
        count(&recorder, "hits_total", "a".into());
        assert!(recorder.render().contains("hits_total{path=\"a\"} 1"));
    }

    #[test]
    fn a_known_series_is_not_folded_when_the_limit_is_reached() {
        let recorder = MonitorRecorder::new(1, Vec::new());
        count(&recorder, "hits_total", "a".into());
        count(&recorder, "hits_total", "a".into());
        assert!(recorder.render().contains("hits_total{path=\"a\"} 2"));
    }

    #[test]
    fn the_series_of_a_name_are_removed_together() {
        let recorder = MonitorRecorder::new(100, Vec::new());
        let start = Instant::now();
        let minute = Duration::from_secs(60);
        let mut history = History::new(start, [minute]);
        let id = (names::DB_QUERY_ID, Arc::<str>::from("7"));
        let calls = |labels: &[(&'static str, Arc<str>)]| {
            let labels: Vec<_> = [id.clone()].into_iter().chain(labels.iter().cloned()).collect();
            labelled::histogram(&recorder, &names::DB_DURATION, &labels).record(1.0);
        };
        calls(&[(names::ERROR_TYPE, names::ERROR.into())]);
        labelled::gauge(&recorder, &names::DB_QUERY_INFO, std::slice::from_ref(&id)).set(1.0);
        let mut shown = |minutes: u32| {
            history.tick(&recorder.index(), start + minute * minutes);
            recorder.give_back_places(&mut history);
            let text = recorder.render();
            (
                text.contains("error_type=\"error\""),
                text.contains("db_query_info{"),
                text.contains("_count{db_query_id=\"7\"} "),
            )
        };
        for minutes in 1..6 {
            calls(&[]);
            assert_eq!(shown(minutes), (true, true, true), "it is still called");
        }
        shown(6);
        assert_eq!(shown(8), (false, false, false));
    }

    #[test]
    fn a_place_that_was_given_back_serves_the_next_series_without_a_past() {
        let recorder = MonitorRecorder::new(100, Vec::new());
        let start = Instant::now();
        let minute = Duration::from_secs(60);
        let mut history = History::new(start, [minute]);
        let statement = |name: &str| -> Histogram {
            let labels = vec![Label::new(names::DB_SUMMARY, name.to_owned())];
            recorder.register_histogram(&Key::from_parts(names::DB_DURATION.name, labels), &METADATA)
        };
        let count = |window: &Window, name: &str| {
            let series =
                window.series(names::DB_DURATION.name).find(|series| series.label(names::DB_SUMMARY) == Some(name));
            series.and_then(|series| series.histogram()).map(|histogram| (histogram.count(), histogram.sum()))
        };
        let (held, unheld) = (statement("held"), statement("gone"));
        held.record(1.0);
        unheld.record(2.0);
        drop(unheld);
        history.tick(&recorder.index(), start + minute / 2);
        recorder.give_back_places(&mut history);
        assert_eq!(count(history.total(), "gone"), Some((1, 2.0)), "the window contains it");
        // Not read by a tick yet.
        statement("late").record(3.0);
        for tick in 2..=4 {
            history.tick(&recorder.index(), start + minute * tick);
        }
        statement("late").record(4.0);
        recorder.give_back_places(&mut history);
        let index = recorder.index();
        assert_eq!(index.named(names::DB_DURATION.name).len(), 2, "what is held or unread stays");
        assert!(!recorder.render().contains("gone"));

        let next = statement("next");
        assert_eq!(recorder.index().series.len(), index.series.len(), "it has the place");
        next.record(5.0);
        history.tick(&recorder.index(), start + minute * 5);
        for window in [history.total(), history.window(minute).expect("slides")] {
            assert_eq!(
                (count(window, "next"), count(window, "late").map(|(count, _)| count)),
                (Some((1, 5.0)), if window.start() == start { Some(2) } else { Some(1) })
            );
            assert_eq!(count(window, "gone"), None);
        }
        assert_eq!(count(history.total(), "held"), Some((1, 1.0)));
        assert!(recorder.render().contains("db_client_operation_duration_seconds_count{db_query_summary=\"next\"} 1"));
    }
}
