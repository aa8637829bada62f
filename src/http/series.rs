//! [`Endpoints`]: the series of every endpoint, each with its metric handles.
//!
//! A request looks its endpoint up once and then records through handles, so that it neither locks, nor allocates, nor
//! formats a label once its series exist. The invariant that a change could break: endpoints and duration series are
//! only ever appended, which is why they are read without a lock.

use std::{
    hash::BuildHasher as _,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use metrics::{Counter, Gauge, Histogram};

use super::{
    durations::{DurationLabels, Durations},
    measured::MeasuredPool,
    route::{RouteFrom, RouteText, Template, method_path},
    waiting::WaitingEndpoints,
};
use crate::{
    context::{
        AfterEnd, DynRecorder, EndpointNumber, EndpointSlowRequests, Heap, Instruments, LateQuery, Local, Part,
        RequestAllocations, Scheme, Spread, StreamMessages, StreamSeries, UseSeries, Uses, labelled, nanos,
        watch::PollWatch,
    },
    lock::lock,
    names::{self, Metric},
};

/// Work done for requests whose client disconnected. On the monitor's own page alone.
#[derive(Debug)]
pub(super) struct WastedWork {
    pub(super) queries: Counter,
    pub(super) db_nanos: Counter,
    /// Of queries that ended after their request, the part before the request's end.
    late_nanos: Counter,
}

/// The polls that blocked the runtime. On the monitor's own page alone.
#[derive(Debug)]
pub(super) struct BlockingPolls {
    pub(super) polls: Histogram,
    pub(super) others: Histogram,
    pub(super) waited: WaitingEndpoints,
}

/// The series that every request records in at its end.
#[derive(Debug)]
pub(super) struct EndSeries {
    pub(super) busy: Histogram,
    pub(super) longest_poll: Histogram,
    pub(super) slowest: Arc<EndpointSlowRequests>,
    pub(super) allocated: RequestAllocations,
}

/// The series of one endpoint. Each is registered with its first observation, so that a route which the monitor answers
/// itself has none. What every request reads comes first, on as few cache lines as possible.
#[derive(Debug)]
#[repr(C)]
pub(super) struct EndpointSeries {
    pub(super) instruments: Arc<Instruments>,
    pub(super) pool: Arc<MeasuredPool>,
    /// Requests in flight of the method, by scheme.
    active: [OnceLock<Gauge>; Scheme::COUNT],
    /// Place of the method among the known ones.
    method: usize,
    /// Among the endpoints whose requests in flight are counted.
    pub(super) number: EndpointNumber,
    /// Whether a request was not ready in its first poll: only then is it worth following its wakes.
    waits: AtomicBool,
    pub(super) heap: Heap,
    durations: Durations,
    ended: OnceLock<EndSeries>,
    response_size: [OnceLock<Histogram>; Scheme::COUNT],
    own_duration: OnceLock<Histogram>,
    pub(super) watch: PollWatch,
    request_size: [OnceLock<Histogram>; Scheme::COUNT],
    head: OnceLock<Histogram>,
    db_queries: OnceLock<Histogram>,
    db_seconds: OnceLock<Histogram>,
    parts: [OnceLock<Counter>; Part::COUNT],
    producing_nanos: OnceLock<Counter>,
    overlap_nanos: OnceLock<Counter>,
    wasted: OnceLock<WastedWork>,
    streams: OnceLock<StreamSeries>,
    sent_messages: OnceLock<Counter>,
    received_messages: OnceLock<Counter>,
    blocking: OnceLock<BlockingPolls>,
    /// Of gRPC calls, without the HTTP status.
    call_durations: Durations,
    uses: Arc<Uses>,
    pub(super) labels: [(&'static str, Arc<str>); 2],
}

impl EndpointSeries {
    fn new(instruments: &Arc<Instruments>, pool: &Arc<MeasuredPool>, method: usize, route: &str) -> Self {
        let name = instruments.limits().methods.name(method);
        let labels = [(names::METHOD, name.into()), (names::ROUTE, Arc::<str>::from(route))];
        Self {
            active: Default::default(),
            method,
            number: instruments.endpoint_in_flight(&labels),
            heap: instruments.heap(&labels),
            pool: pool.clone(),
            ended: OnceLock::new(),
            request_size: Default::default(),
            response_size: Default::default(),
            head: OnceLock::new(),
            db_queries: OnceLock::new(),
            db_seconds: OnceLock::new(),
            parts: Default::default(),
            own_duration: OnceLock::new(),
            producing_nanos: OnceLock::new(),
            waits: AtomicBool::new(false),
            overlap_nanos: OnceLock::new(),
            wasted: OnceLock::new(),
            streams: OnceLock::new(),
            sent_messages: OnceLock::new(),
            received_messages: OnceLock::new(),
            blocking: OnceLock::new(),
            watch: instruments.endpoint_watch(&labels),
            durations: Durations::default(),
            call_durations: Durations::default(),
            uses: instruments.uses(),
            instruments: instruments.clone(),
            labels,
        }
    }

    fn recorder(&self) -> &DynRecorder {
        self.instruments.recorder()
    }

    fn lazily<'a>(&self, slot: &'a OnceLock<Histogram>, metric: &Metric) -> &'a Histogram {
        slot.get_or_init(|| labelled::histogram(self.recorder(), metric, &self.labels))
    }

    pub(super) fn duration(&self, ending: &DurationLabels) -> &Histogram {
        self.durations.get(ending, || {
            let mut labels = self.labels.to_vec();
            if let Some(status) = ending.status {
                labels.push((names::STATUS, status.to_string().into()));
            }
            labels.push((names::SCHEME, ending.scheme.label().into()));
            labels.extend(ending.grpc_status.map(|status| (names::RPC_STATUS, status.into())));
            // OpenTelemetry: the error type of a response is its status, unless a better one is known.
            let type_of_status = ending.status.filter(|status| *status >= 500).map(|status| status.to_string());
            if let Some(error) = ending.error.map(Arc::from).or(type_of_status.map(Arc::from)) {
                labels.push((names::ERROR_TYPE, error));
            }
            labelled::histogram(self.recorder(), &names::HTTP_DURATION, &labels)
        })
    }

    /// Returns the durations of gRPC calls that ended so.
    pub(super) fn call_duration(&self, status: Option<&'static str>, error: Option<&'static str>) -> &Histogram {
        self.call_durations.get(
            &DurationLabels { status: None, grpc_status: status, error, scheme: Scheme::Http },
            || {
                let [_, (_, route)] = &self.labels;
                let method = method_path(route).and_then(|path| path.strip_prefix('/')).unwrap_or(names::METHOD_OTHER);
                let mut labels = vec![(names::RPC_SYSTEM, names::GRPC.into()), (names::RPC_METHOD, method.into())];
                labels.extend(status.map(|status| (names::RPC_STATUS, status.into())));
                labels.extend(error.map(|error| (names::ERROR_TYPE, error.into())));
                labelled::histogram(self.recorder(), &names::RPC_DURATION, &labels)
            },
        )
    }

    pub(super) fn ended(&self) -> &EndSeries {
        self.ended.get_or_init(|| {
            let histogram = |metric| labelled::histogram(self.recorder(), metric, &self.labels);
            let [(_, method), (_, route)] = &self.labels;
            EndSeries {
                busy: histogram(&names::HTTP_BUSY),
                longest_poll: histogram(&names::HTTP_LONGEST_POLL),
                slowest: self.instruments.slow_requests().endpoint(method, route),
                allocated: self.instruments.allocated(&self.heap, &self.labels),
            }
        })
    }

    /// Returns the place of its method among the known ones.
    pub(super) fn method(&self) -> usize {
        self.method
    }

    /// Returns the requests in flight of its method by a scheme.
    pub(super) fn active(&self, scheme: Scheme) -> &Gauge {
        self.active[scheme as usize].get_or_init(|| active(&self.instruments, self.method, scheme))
    }

    pub(super) fn request_size(&self, scheme: Scheme) -> &Histogram {
        self.by_scheme(&self.request_size, &names::HTTP_REQUEST_SIZE, scheme)
    }

    pub(super) fn response_size(&self, scheme: Scheme) -> &Histogram {
        self.by_scheme(&self.response_size, &names::HTTP_RESPONSE_SIZE, scheme)
    }

    fn by_scheme<'a>(
        &self,
        slots: &'a [OnceLock<Histogram>; Scheme::COUNT],
        metric: &Metric,
        scheme: Scheme,
    ) -> &'a Histogram {
        slots[scheme as usize].get_or_init(|| {
            let [method, route] = self.labels.clone();
            let labels = [method, route, (names::SCHEME, scheme.label().into())];
            labelled::histogram(self.recorder(), metric, &labels)
        })
    }

    pub(super) fn head(&self) -> &Histogram {
        self.lazily(&self.head, &names::HTTP_HEAD)
    }

    pub(super) fn db_queries(&self) -> &Histogram {
        self.lazily(&self.db_queries, &names::HTTP_DB_QUERIES)
    }

    pub(super) fn db_seconds(&self) -> &Histogram {
        self.lazily(&self.db_seconds, &names::HTTP_DB_SECONDS)
    }

    /// Returns the nanoseconds of a part of the requests' time.
    pub(super) fn part_nanos(&self, part: Part) -> &Counter {
        self.parts[part as usize].get_or_init(|| {
            let [method, route] = self.labels.clone();
            let labels = [method, route, (names::PART, part.label().into())];
            labelled::counter(self.instruments.window_recorder(), &names::ENDPOINT_PART_NANOS, &labels)
        })
    }

    /// Returns the durations without the waits for clients, once a request waited for one: `client` is its wait.
    pub(super) fn own_duration(&self, client: Duration) -> Option<&Histogram> {
        if client < names::CLIENT_WAIT {
            return self.own_duration.get();
        }
        let own =
            || labelled::histogram(self.instruments.window_recorder(), &names::ENDPOINT_OWN_DURATION, &self.labels);
        Some(self.own_duration.get_or_init(own))
    }

    pub(super) fn producing_nanos(&self) -> &Counter {
        self.producing_nanos.get_or_init(|| self.window_counter(&names::ENDPOINT_PRODUCING_NANOS))
    }

    /// Returns whether requests of this endpoint wait for anything.
    #[inline]
    pub(super) fn waits(&self) -> bool {
        self.waits.load(Relaxed)
    }

    /// Notes that a request was not ready at once.
    pub(super) fn note_wait(&self) {
        if !self.waits() {
            self.waits.store(true, Relaxed);
        }
    }

    pub(super) fn overlap_nanos(&self) -> &Counter {
        self.overlap_nanos.get_or_init(|| self.window_counter(&names::ENDPOINT_OVERLAP_NANOS))
    }

    pub(super) fn wasted(&self) -> &WastedWork {
        self.wasted.get_or_init(|| WastedWork {
            queries: self.window_counter(&names::ENDPOINT_WASTED_QUERIES),
            db_nanos: self.window_counter(&names::ENDPOINT_WASTED_DB_NANOS),
            late_nanos: self.window_counter(&names::ENDPOINT_LATE_DB_NANOS),
        })
    }

    pub(super) fn blocking(&self) -> &BlockingPolls {
        let histogram = |metric| labelled::histogram(self.instruments.window_recorder(), metric, &self.labels);
        self.blocking.get_or_init(|| BlockingPolls {
            polls: histogram(&names::ENDPOINT_BLOCKING_POLLS),
            others: histogram(&names::ENDPOINT_BLOCKED_OTHERS),
            waited: WaitingEndpoints::default(),
        })
    }

    fn window_counter(&self, metric: &Metric) -> Counter {
        labelled::counter(self.instruments.window_recorder(), metric, &self.labels)
    }

    /// Returns the counter of the messages of its streams in one direction.
    fn messages(&self, direction: &'static str) -> Counter {
        let [method, route] = self.labels.clone();
        let labels = [method, route, (names::DIRECTION, direction.into())];
        labelled::counter(self.recorder(), &names::STREAM_MESSAGES, &labels)
    }

    /// Returns this endpoint's use of a name.
    pub(super) fn use_of(&self, part: Part, id: u32) -> Arc<UseSeries> {
        self.uses.get(part, id, || {
            let [method, route] = self.labels.clone();
            let kind = (names::WAIT_KIND, part.label().into());
            let name = (names::WAIT_NAME, self.instruments.label_of(part, id));
            UseSeries::new(self.instruments.window_recorder().clone(), [method, route, kind, name])
        })
    }
}

impl AfterEnd for EndpointSeries {
    fn record_detached(&self, query: LateQuery) {
        let query_use = self.use_of(Part::Db, query.id);
        query_use.calls.increment(1);
        query_use.nanos.increment(nanos(query.duration));
        query_use.requests.increment(query.is_first.into());
    }

    fn streams(&self) -> &StreamSeries {
        self.streams.get_or_init(|| StreamSeries {
            open: labelled::gauge(self.recorder(), &names::HTTP_OPEN_STREAMS, &self.labels),
            durations: labelled::histogram(self.recorder(), &names::STREAM_DURATION, &self.labels),
        })
    }

    fn stream_messages(&self) -> StreamMessages {
        let received = self.received_messages.get_or_init(|| self.messages(names::RECEIVE));
        StreamMessages { sent: self.sent_messages().clone(), received: received.clone() }
    }

    fn sent_messages(&self) -> &Counter {
        self.sent_messages.get_or_init(|| self.messages(names::TRANSMIT))
    }

    fn record_late(&self, query: LateQuery) {
        self.record_detached(query);
        let wasted = self.wasted();
        wasted.queries.increment(1);
        wasted.db_nanos.increment(nanos(query.duration));
        wasted.late_nanos.increment(nanos(query.before_end));
    }
}

/// gRPC methods that become endpoints by their path. A large service has some hundreds; a proxy of gRPC may pass on any number.
const GRPC_METHODS: usize = 1_000;

/// Number of chains, 8 KiB of pointers: a service with a thousand routes has about one endpoint in each.
const CHAINS: usize = 1024;

/// An endpoint, and the next one whose route has the same hash.
#[derive(Debug)]
struct EndpointNode {
    method: usize,
    route: RouteText,
    /// `None` if its requests are ignored.
    series: Option<Spread<EndpointSeries>>,
    next: Chain,
}

/// The endpoints whose routes have the same hash. Endpoints are only ever added, so a lookup needs neither a lock nor a
/// count of readers.
#[derive(Debug, Default)]
struct Chain(OnceLock<Box<EndpointNode>>);

impl Chain {
    fn find(&self, method: usize, route: Template<'_>) -> Option<&EndpointNode> {
        let mut chain = self;
        while let Some(known) = chain.0.get() {
            if known.method == method && known.route.is(route) {
                return Some(known);
            }
            chain = &known.next;
        }
        None
    }

    /// Adds an endpoint at the end. The caller holds the lock of `Endpoints::counts`.
    fn push(&self, known: EndpointNode) {
        let mut chain = self;
        while let Some(known) = chain.0.get() {
            chain = &known.next;
        }
        // Still empty: the caller's lock keeps other threads from adding.
        let _ = chain.0.set(Box::new(known));
    }
}

/// Every endpoint that had a request.
#[derive(Debug)]
pub(crate) struct Endpoints {
    instruments: Arc<Instruments>,
    pool: Arc<MeasuredPool>,
    /// Where the route of a request is found that axum's router has not matched.
    other_routes: Option<RouteFrom>,
    hasher: foldhash::fast::RandomState,
    chains: Box<[Chain]>,
    /// Number of gRPC methods that are endpoints by their path.
    grpc_methods: AtomicUsize,
    /// Number of endpoints of each method. The lock is held while one is added.
    counts: Mutex<Vec<usize>>,
}

impl Endpoints {
    pub(crate) fn new(instruments: Arc<Instruments>, other_routes: Option<RouteFrom>) -> Self {
        let counts = Mutex::new(vec![0; instruments.limits().methods.count()]);
        Self {
            instruments,
            pool: Arc::default(),
            other_routes,
            hasher: foldhash::fast::RandomState::default(),
            chains: (0..CHAINS).map(|_| Chain::default()).collect(),
            grpc_methods: AtomicUsize::new(0),
            counts,
        }
    }

    pub(super) fn instruments(&self) -> &Arc<Instruments> {
        &self.instruments
    }

    pub(super) fn other_routes(&self) -> Option<&RouteFrom> {
        self.other_routes.as_ref()
    }

    /// Returns the series of an endpoint; `None` if its requests are ignored. `method` is a place of
    /// [`KnownMethods`](crate::context::methods::KnownMethods), `route` a template.
    pub(super) fn get(&self, method: usize, route: Template<'_>) -> Option<Local<EndpointSeries>> {
        match self.chain(route.text).find(method, route) {
            Some(known) => known.series.as_ref().map(Spread::local),
            None => self.add(method, route),
        }
    }

    /// Returns the series of an endpoint that had a request; `Some(None)` if its requests are ignored.
    pub(super) fn known(&self, method: usize, route: Template<'_>) -> Option<Option<Local<EndpointSeries>>> {
        self.chain(route.text).find(method, route).map(|known| known.series.as_ref().map(Spread::local))
    }

    /// Returns the series of a gRPC method whose path was shown to be one; `None` past the limit.
    pub(super) fn add_grpc_method(&self, method: usize, path: &str) -> Option<Local<EndpointSeries>> {
        if let Some(known) = self.known(method, path.into()) {
            return known;
        }
        let has_room = self.grpc_methods.fetch_add(1, Relaxed) < GRPC_METHODS;
        if has_room { self.add(method, path.into()) } else { None }
    }

    fn chain(&self, route: &str) -> &Chain {
        &self.chains[self.hasher.hash_one(route) as usize % CHAINS]
    }

    fn add(&self, method: usize, template: Template<'_>) -> Option<Local<EndpointSeries>> {
        let mut counts = lock(&self.counts);
        let limits = self.instruments.limits();
        let route = template.text;
        let ignored = !route.is_empty() && limits.ignored.iter().any(|glob| glob.matches(route));
        // Templates should come from the program. The bound is for a host that makes them up from paths.
        let full = counts[method] >= limits.routes;
        if full && ignored {
            return None;
        }
        let route = if full { names::OTHER } else { route };
        let chain = self.chain(route);
        if let Some(known) = chain.find(method, route.into()) {
            return known.series.as_ref().map(Spread::local);
        }
        let series = (!ignored).then(|| Spread::new(EndpointSeries::new(&self.instruments, &self.pool, method, route)));
        counts[method] += 1;
        let local = series.as_ref().map(Spread::local);
        chain.push(EndpointNode { method, route: RouteText::new(route, template), series, next: Chain::default() });
        local
    }
}

/// Returns the gauge of a method's requests in flight by a scheme.
pub(super) fn active(instruments: &Instruments, method: usize, scheme: Scheme) -> Gauge {
    let method = instruments.limits().methods.name(method);
    let labels = [(names::METHOD, method.into()), (names::SCHEME, scheme.label().into())];
    labelled::gauge(instruments.recorder(), &names::HTTP_ACTIVE, &labels)
}
