//! [`Instruments`]: what the request path records through.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use tokio::time::Instant;

use arc_swap::ArcSwapOption;
use metrics::{Counter, Gauge, Recorder};

use super::{
    Allocated, Glob, Heap, QuerySeries, RequestContext, SlowRequests, SqlShape, TaskSeries,
    heap::Heaps,
    in_flight::InFlights,
    pool::ContextPool,
    table::{QueryTable, TaskTable},
};
use crate::names;

/// A recorder that everything can hold.
pub(crate) type DynRecorder = Arc<dyn Recorder + Send + Sync>;

/// Reads how many requests are in flight now, from whoever counts them. Asked only when something blocked the runtime.
pub(crate) type InFlight = Box<dyn Fn() -> f64 + Send + Sync>;

/// Bounds of what the instruments keep.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) routes: usize,
    pub(crate) fingerprints: usize,
    pub(crate) slow_requests: usize,
    pub(crate) ignored: Vec<Glob>,
    pub(crate) db_system: Arc<str>,
}

/// What the request path records through: the recorder, the switch and the tables of what was seen.
pub(crate) struct Instruments {
    /// Everybody's recorder: ours, and a host's beside it.
    recorder: DynRecorder,
    /// Ours alone, for the series that only windows know.
    window_recorder: DynRecorder,
    enabled: AtomicBool,
    limits: Limits,
    pool: ContextPool,
    queries: QueryTable,
    tasks: TaskTable,
    slow_requests: SlowRequests,
    in_flight: InFlight,
    in_flights: InFlights,
    heaps: Heaps,
    /// Counts the series that were refused.
    dropped: Counter,
}

impl fmt::Debug for Instruments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instruments")
            .field("enabled", &self.enabled)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Instruments {
    pub(crate) fn new(
        recorder: DynRecorder,
        window_recorder: DynRecorder,
        limits: Limits,
        in_flight: InFlight,
    ) -> Arc<Self> {
        let dropped = labelled::counter(&recorder, &names::SERIES_DROPPED, &[]);
        Arc::new(Self {
            queries: QueryTable::new(recorder.clone(), dropped.clone(), limits.db_system.clone(), limits.fingerprints),
            tasks: TaskTable::new(recorder.clone(), window_recorder.clone(), dropped.clone(), limits.fingerprints),
            slow_requests: SlowRequests::new(limits.slow_requests),
            enabled: AtomicBool::new(true),
            pool: ContextPool::new(),
            recorder,
            window_recorder,
            limits,
            in_flight,
            in_flights: InFlights::default(),
            heaps: Heaps::new(),
            dropped,
        })
    }

    pub(crate) fn recorder(&self) -> &DynRecorder {
        &self.recorder
    }

    pub(crate) fn window_recorder(&self) -> &DynRecorder {
        &self.window_recorder
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn slow_requests(&self) -> &SlowRequests {
        &self.slow_requests
    }

    /// Returns how many requests are in flight now.
    pub(crate) fn in_flight(&self) -> f64 {
        (self.in_flight)()
    }

    /// Returns `gauge`, with what is added to it counted for an endpoint too.
    pub(crate) fn counted_in_flight(&self, gauge: Gauge, labels: &[(&'static str, Arc<str>); 2]) -> Gauge {
        self.in_flights.counted(gauge, labels)
    }

    /// Calls `look` with every endpoint that has requests in flight, and how many.
    pub(crate) fn each_in_flight(&self, look: impl FnMut(&Arc<str>, i64)) {
        self.in_flights.each(look);
    }

    /// Returns whether anything is recorded: the one load that a stopped monitor costs a request.
    pub(crate) fn enabled(&self) -> bool {
        self.enabled.load(Relaxed)
    }

    pub(crate) fn set_enabled(&self, enabled: bool) {
        self.enabled.store(enabled, Relaxed);
    }

    pub(crate) fn begin_request(self: &Arc<Self>, started: Instant) -> Arc<RequestContext> {
        self.pool.take(self, started)
    }

    pub(crate) fn give_back(&self, context: Arc<RequestContext>) {
        self.pool.give(context);
    }

    /// Lets go of what is kept for the next request; for the end of the monitor.
    pub(crate) fn close(&self) {
        self.set_enabled(false);
        self.pool.close();
    }

    pub(crate) fn query(&self, statement: &str, shape: impl FnOnce(&str) -> SqlShape) -> Arc<QuerySeries> {
        self.queries.resolve(statement, shape)
    }

    pub(crate) fn task(&self, name: &str) -> Arc<TaskSeries> {
        self.tasks.resolve(name)
    }

    /// Returns when the runs of a task began that are in progress, the oldest first.
    pub(crate) fn running(&self, task: &str) -> Vec<Instant> {
        self.tasks.known(task).map(|series| series.runs.began()).unwrap_or_default()
    }

    /// Returns the heap of an endpoint.
    pub(crate) fn heap(&self, labels: &[(&'static str, Arc<str>); 2]) -> Heap {
        self.heaps.open(&self.dropped, labels)
    }

    /// Returns what the requests of an endpoint allocate each, and shows its heap from now on.
    pub(crate) fn allocated(&self, heap: &Heap, labels: &[(&'static str, Arc<str>); 2]) -> Allocated {
        self.heaps.show_from_now_on(heap, &self.recorder, &self.window_recorder, labels)
    }

    /// Writes what is known only by looking: how long the oldest run of each task has been in progress, what of each
    /// endpoint's memory is still there, and how many of its requests are in flight.
    pub(crate) fn look(&self, now: Instant) {
        self.tasks.show_running(now);
        self.in_flights.show(&self.window_recorder);
        self.heaps.show();
    }

    pub(crate) fn query_name(&self, id: u32) -> Arc<str> {
        self.queries.shape(id).map_or_else(|| names::OTHER.into(), |shape| shape.summary)
    }

    pub(crate) fn task_name(&self, id: u32) -> Arc<str> {
        self.tasks.name(id).unwrap_or_else(|| names::OTHER.into())
    }
}

/// The instruments of the monitor that was installed for the whole process: where work outside any request is booked.
static INSTALLED: ArcSwapOption<Instruments> = ArcSwapOption::const_empty();

pub(crate) fn install(instruments: Arc<Instruments>) {
    INSTALLED.store(Some(instruments));
}

/// Forgets the installed instruments if they are still `instruments`.
pub(crate) fn uninstall(instruments: &Arc<Instruments>) {
    if INSTALLED.load().as_ref().is_some_and(|installed| Arc::ptr_eq(installed, instruments)) {
        INSTALLED.store(None);
    }
}

pub(crate) fn installed() -> Option<Arc<Instruments>> {
    INSTALLED.load_full()
}

/// Registers the catalogue's metrics with their labels.
pub(crate) mod labelled {
    use std::sync::Arc;

    use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};

    use crate::names::Metric;

    static METADATA: Metadata<'static> = Metadata::new("pinchpoint", Level::INFO, Some("pinchpoint"));

    fn key(metric: &Metric, labels: &[(&'static str, Arc<str>)]) -> Key {
        let labels: Vec<_> = labels.iter().map(|(name, value)| Label::new(*name, value.clone())).collect();
        Key::from_parts(metric.name, labels)
    }

    pub(crate) fn counter(recorder: &dyn Recorder, metric: &Metric, labels: &[(&'static str, Arc<str>)]) -> Counter {
        recorder.register_counter(&key(metric, labels), &METADATA)
    }

    pub(crate) fn gauge(recorder: &dyn Recorder, metric: &Metric, labels: &[(&'static str, Arc<str>)]) -> Gauge {
        recorder.register_gauge(&key(metric, labels), &METADATA)
    }

    pub(crate) fn histogram(
        recorder: &dyn Recorder,
        metric: &Metric,
        labels: &[(&'static str, Arc<str>)],
    ) -> Histogram {
        recorder.register_histogram(&key(metric, labels), &METADATA)
    }
}
