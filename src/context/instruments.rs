//! [`Instruments`]: the recorders and tables that the request path records through.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use metrics::Counter;
use tokio::time::Instant;

use super::{
    CallSeries, Callee, Database, DynRecorder, EndpointNumber, Glob, Heap, Part, QuerySeries, RequestAllocations,
    RequestContext, SlowRequests, SqlShape, TaskSeries, UrlScheme, Uses, WaitSeries,
    calls::CallTable,
    clock::{Moment, RequestClock},
    heap::Heaps,
    holds::TaskHolds,
    in_flight::InFlightByEndpoint,
    labelled,
    live::{LivePlace, LiveRequests},
    methods::KnownMethods,
    polls::Polls,
    pool::ContextPool,
    request::Purpose,
    table::{QueryTable, TaskTable},
    waits::WaitTable,
    watch::{self, PollWatch},
};
use crate::{lock::lock, names};

/// Returns how many requests are in flight now. Called only after a poll that blocked the runtime.
pub(crate) type InFlightTotal = Box<dyn Fn() -> f64 + Send + Sync>;

/// Bounds of what the instruments keep.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) routes: usize,
    pub(crate) fingerprints: usize,
    pub(crate) slow_requests: usize,
    pub(crate) ignored: Vec<Glob>,
    /// The database of queries that name none.
    pub(crate) database: Database,
    /// The request methods that have series of their own.
    pub(crate) methods: KnownMethods,
    /// How the scheme of a request is known.
    pub(crate) scheme: UrlScheme,
}

/// What the request path records through: the recorders, the switch, and the tables of queries, tasks and endpoints.
pub(crate) struct Instruments {
    /// Reaches the monitor's own recorder, and the host's if there is one.
    recorder: DynRecorder,
    /// Reaches the monitor's own recorder alone, for series of the windows.
    window_recorder: DynRecorder,
    enabled: AtomicBool,
    limits: Limits,
    pool: ContextPool,
    queries: QueryTable,
    tasks: TaskTable,
    waits: WaitTable,
    calls: CallTable,
    slow_requests: SlowRequests,
    in_flight: InFlightTotal,
    in_flight_by_endpoint: InFlightByEndpoint,
    live: LiveRequests,
    clock: RequestClock,
    /// Requests in flight for longer than [`LONG_RUNNING`](super::live::LONG_RUNNING) at the last tick.
    long_running: AtomicU64,
    heaps: Heaps,
    /// The watched polls that run now.
    polls: Arc<Polls>,
    /// What each endpoint uses.
    uses: Mutex<Vec<Arc<Uses>>>,
    /// Counts series that were folded into `other`.
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
        in_flight: InFlightTotal,
    ) -> Arc<Self> {
        let dropped = labelled::counter(&recorder, &names::SERIES_DROPPED, &[]);
        // An alert needs the 0 before the first one.
        dropped.increment(0);
        let polls = Arc::<Polls>::default();
        Arc::new(Self {
            queries: QueryTable::new(
                recorder.clone(),
                window_recorder.clone(),
                dropped.clone(),
                limits.database.clone(),
                limits.fingerprints,
            ),
            tasks: TaskTable::new(
                recorder.clone(),
                window_recorder.clone(),
                polls.clone(),
                dropped.clone(),
                limits.fingerprints,
            ),
            waits: WaitTable::new(recorder.clone(), dropped.clone(), limits.fingerprints),
            calls: CallTable::new(recorder.clone(), dropped.clone(), limits.fingerprints, limits.methods.clone()),
            slow_requests: SlowRequests::new(limits.slow_requests),
            enabled: AtomicBool::new(true),
            pool: ContextPool::default(),
            recorder,
            window_recorder,
            limits,
            in_flight,
            in_flight_by_endpoint: InFlightByEndpoint::default(),
            live: LiveRequests::default(),
            clock: RequestClock::new(),
            long_running: AtomicU64::new(0),
            heaps: Heaps::new(),
            polls,
            uses: Mutex::default(),
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

    /// Returns the watched polls that run now.
    pub(crate) fn polls(&self) -> &Arc<Polls> {
        &self.polls
    }

    /// Returns a watch over the polls of a new endpoint.
    pub(crate) fn endpoint_watch(&self, labels: &[(&'static str, Arc<str>)]) -> PollWatch {
        PollWatch::new(self.polls.clone(), self.window_recorder.clone(), watch::OF_ENDPOINT, labels)
    }

    /// Returns how many requests are in flight now.
    pub(crate) fn in_flight(&self) -> f64 {
        (self.in_flight)()
    }

    /// Returns the number of a new endpoint whose requests in flight are counted.
    pub(crate) fn endpoint_in_flight(&self, labels: &[(&'static str, Arc<str>); 2]) -> EndpointNumber {
        self.in_flight_by_endpoint.add(labels)
    }

    /// Returns how many requests have been in flight for long, as of the last tick.
    pub(crate) fn long_running(&self) -> u64 {
        self.long_running.load(Relaxed)
    }

    /// Returns the place where a new context shows its request.
    pub(super) fn live_place(&self) -> Arc<LivePlace> {
        self.live.place()
    }

    /// Returns what requests are timed by.
    #[inline]
    pub(crate) fn clock(&self) -> &RequestClock {
        &self.clock
    }

    /// Calls `visit` with every endpoint that has requests in flight, and how many.
    pub(crate) fn each_in_flight(&self, visit: impl FnMut(&Arc<str>, i64)) {
        self.in_flight_by_endpoint.each(&self.live.waiting(&self.clock, Instant::now()), visit);
    }

    /// Returns whether anything is recorded. This load is all that a stopped monitor costs a request. Relaxed: a
    /// request that begins at the moment of the switch may count either way.
    pub(crate) fn enabled(&self) -> bool {
        self.enabled.load(Relaxed)
    }

    pub(crate) fn set_enabled(&self, enabled: bool) {
        self.enabled.store(enabled, Relaxed);
    }

    /// Returns the context of a request that begins: `kept`, if it is of an earlier request and nothing else holds it.
    pub(crate) fn begin_request(
        self: &Arc<Self>,
        kept: Option<Arc<RequestContext>>,
        endpoint: EndpointNumber,
        started: Moment,
    ) -> Arc<RequestContext> {
        self.pool.take(kept, self, Purpose::Request(endpoint), started)
    }

    /// Returns the context of a run of a tracked task, as part of the request or the task that `parent` is.
    pub(crate) fn begin_task(
        self: &Arc<Self>,
        parent: Option<Arc<RequestContext>>,
        holds: Arc<TaskHolds>,
        started: Instant,
    ) -> Arc<RequestContext> {
        self.pool.take(None, self, Purpose::Task { parent, holds }, self.clock.moment(started))
    }

    pub(crate) fn give_back(&self, context: Arc<RequestContext>) {
        self.pool.give(context);
    }

    /// Stops recording and drops the contexts that are kept for later requests. The end of the monitor: pooled contexts
    /// would keep these instruments alive.
    pub(crate) fn close(&self) {
        self.set_enabled(false);
        self.pool.close();
    }

    /// Returns the series of a statement, and a number of the statement's own: a hash whose key nobody knows.
    pub(crate) fn query(&self, statement: &str, shape: impl FnOnce(&str) -> SqlShape) -> (Arc<QuerySeries>, u64) {
        self.queries.resolve(statement, shape)
    }

    pub(crate) fn task(&self, name: &str) -> Arc<TaskSeries> {
        self.tasks.resolve(name)
    }

    /// Returns the series of a wait of a kind; a new one belongs to `part`.
    pub(crate) fn wait(&self, kind: &str, name: &str, part: Part) -> Arc<WaitSeries> {
        self.waits.resolve(kind, name, part)
    }

    /// Returns whether waits for a connection of this pool are tracked.
    pub(crate) fn tracks_pool(&self, name: &str) -> bool {
        self.waits.knows(Part::Pool.label(), name)
    }

    pub(crate) fn call(&self, callee: Callee<'_>) -> Arc<CallSeries> {
        self.calls.resolve(callee)
    }

    /// Returns when each run of a task began that is in progress, oldest first.
    pub(crate) fn running(&self, task: &str) -> Vec<Instant> {
        self.tasks.known(task).map(|series| series.runs.began()).unwrap_or_default()
    }

    /// Returns the heap of an endpoint.
    pub(crate) fn heap(&self, labels: &[(&'static str, Arc<str>); 2]) -> Heap {
        self.heaps.open(&self.dropped, labels)
    }

    /// Registers the series of an endpoint's heap, and returns the histogram of what its requests allocate.
    pub(crate) fn allocated(&self, heap: &Heap, labels: &[(&'static str, Arc<str>); 2]) -> RequestAllocations {
        self.heaps.register(heap, &self.recorder, &self.window_recorder, labels)
    }

    /// Writes the gauges that no event changes: the age of each task's oldest run, the bytes of each endpoint that are
    /// not freed, and each endpoint's requests in flight.
    pub(crate) fn sample(&self, now: Instant) {
        self.clock.look();
        self.tasks.show_running(now);
        let waiting = self.live.waiting(&self.clock, now);
        self.in_flight_by_endpoint.show(&self.window_recorder, &waiting);
        self.long_running.store(waiting.values().map(|of| of.long_running).sum(), Relaxed);
        self.heaps.show();
    }

    /// Returns the place for what a new endpoint uses.
    pub(crate) fn uses(&self) -> Arc<Uses> {
        let uses = Arc::<Uses>::default();
        lock(&self.uses).push(uses.clone());
        uses
    }

    /// Takes the time of a tick: where all places of names are taken, those that were not used for `unused`
    /// give theirs back. Endpoints forget the handles of what they use if a query went, or if these series are `short`
    /// of places themselves.
    pub(crate) fn give_back_places(&self, now: Instant, unused: Duration, short: bool) {
        self.tasks.give_back(now, unused);
        self.waits.give_back(now, unused);
        self.calls.give_back(now, unused);
        if self.queries.give_back(now, unused) || short {
            lock(&self.uses).iter().for_each(|uses| uses.forget());
        }
    }

    /// Returns the label of something that a request did: of a query its id, or else its name.
    pub(crate) fn label_of(&self, part: Part, id: u32) -> Arc<str> {
        match part {
            Part::Db => self.queries.query_id(id).unwrap_or_else(|| names::OTHER.into()),
            _ => self.name_of(part, id),
        }
    }

    /// Returns the name of something that a request did.
    pub(crate) fn name_of(&self, part: Part, id: u32) -> Arc<str> {
        let name = match part {
            Part::Late | Part::Client => Some(part.label().into()),
            Part::Http => self.calls.name(id),
            Part::Db => self.queries.text(id),
            Part::Task => self.tasks.name(id),
            Part::Pool
            | Part::Lock
            | Part::Semaphore
            | Part::Channel
            | Part::Wait
            | Part::ThreadPool
            | Part::Blocking => self.waits.name(id),
        };
        name.unwrap_or_else(|| names::OTHER.into())
    }
}

/// The instruments of the monitor that is installed for the whole process. Work outside any request is recorded through
/// them.
static INSTALLED: ArcSwapOption<Instruments> = ArcSwapOption::const_empty();

pub(crate) fn install(instruments: Arc<Instruments>) {
    INSTALLED.store(Some(instruments));
}

/// Removes the installed instruments if they still are `instruments`: a monitor that ends late must not remove those of
/// its successor.
pub(crate) fn uninstall(instruments: &Arc<Instruments>) {
    if INSTALLED.load().as_ref().is_some_and(|installed| Arc::ptr_eq(installed, instruments)) {
        INSTALLED.store(None);
    }
}

pub(crate) fn installed() -> Option<Arc<Instruments>> {
    INSTALLED.load_full()
}
