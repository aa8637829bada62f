//! The series of every endpoint, with their handles resolved once.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwap;
use metrics::{Counter, Gauge, Histogram};

use super::route::{METHOD_COUNT, method_name};
use crate::{
    context::{DynRecorder, Heap, Instruments, Slowest, labelled},
    names::{self, Metric},
};

/// How a request ended, as far as its duration series tells: status and kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) status: Option<u16>,
    pub(super) error: Option<&'static str>,
}

/// Duration series by ending. An endpoint has a handful, so a list that is only appended to is the fastest map, and
/// reading it takes no lock.
#[derive(Debug, Default)]
struct Durations(OnceLock<Box<Node>>);

#[derive(Debug)]
struct Node {
    ending: Ending,
    histogram: Histogram,
    next: Durations,
}

impl Durations {
    fn get(&self, ending: Ending, make: impl Fn() -> Histogram) -> &Histogram {
        let mut list = self;
        loop {
            let next = Durations::default;
            let node = list.0.get_or_init(|| Box::new(Node { ending, histogram: make(), next: next() }));
            if node.ending == ending {
                return &node.histogram;
            }
            list = &node.next;
        }
    }
}

/// What an endpoint's requests did with one query. Only windows know these series.
#[derive(Debug)]
pub(super) struct QueryUse {
    pub(super) calls: Counter,
    pub(super) nanos: Counter,
    pub(super) requests: Counter,
}

/// What the requests did that nobody waited for to the end. Only windows know these series.
#[derive(Debug)]
pub(super) struct Wasted {
    pub(super) queries: Counter,
    pub(super) db_nanos: Counter,
}

/// The polls that blocked the runtime. Only windows know these series.
#[derive(Debug)]
pub(super) struct Blocking {
    pub(super) polls: Histogram,
    pub(super) others: Histogram,
}

/// The series of one endpoint.
#[derive(Debug)]
pub(super) struct EndpointSeries {
    pub(super) instruments: Arc<Instruments>,
    ignored: AtomicBool,
    pub(super) active: Gauge,
    pub(super) request_size: OnceLock<Histogram>,
    pub(super) response_size: Histogram,
    pub(super) busy: Histogram,
    pub(super) longest_poll: Histogram,
    pub(super) slowest: Arc<Slowest>,
    pub(super) heap: Heap,
    head: OnceLock<Histogram>,
    db_queries: OnceLock<Histogram>,
    db_seconds: OnceLock<Histogram>,
    task_nanos: OnceLock<Counter>,
    overlap_nanos: OnceLock<Counter>,
    wasted: OnceLock<Wasted>,
    blocking: OnceLock<Blocking>,
    durations: Durations,
    query_uses: ArcSwap<HashMap<u32, Arc<QueryUse>>>,
    labels: [(&'static str, Arc<str>); 2],
}

impl EndpointSeries {
    fn new(instruments: &Arc<Instruments>, active: Gauge, method: &'static str, route: &str) -> Self {
        let labels = [(names::METHOD, method.into()), (names::ROUTE, Arc::<str>::from(route))];
        let histogram = |metric| labelled::histogram(instruments.recorder(), metric, &labels);
        let mut ignored = instruments.limits().ignored.iter();
        Self {
            ignored: AtomicBool::new(!route.is_empty() && ignored.any(|glob| glob.matches(route))),
            active,
            request_size: OnceLock::new(),
            response_size: histogram(&names::HTTP_RESPONSE_SIZE),
            busy: histogram(&names::HTTP_BUSY),
            longest_poll: histogram(&names::HTTP_LONGEST_POLL),
            slowest: instruments.slow_requests().endpoint(method, route),
            heap: instruments.heap(&labels),
            head: OnceLock::new(),
            db_queries: OnceLock::new(),
            db_seconds: OnceLock::new(),
            task_nanos: OnceLock::new(),
            overlap_nanos: OnceLock::new(),
            wasted: OnceLock::new(),
            blocking: OnceLock::new(),
            durations: Durations::default(),
            query_uses: ArcSwap::default(),
            instruments: instruments.clone(),
            labels,
        }
    }

    /// Returns whether requests of this endpoint are left out.
    pub(super) fn is_ignored(&self) -> bool {
        self.ignored.load(Relaxed)
    }

    /// Leaves the requests of this endpoint out from now on.
    pub(super) fn ignore(&self) {
        // The route of what matched none, and that of what was folded, is everybody's.
        let [_, (_, route)] = &self.labels;
        if !route.is_empty() && **route != *names::OTHER {
            self.ignored.store(true, Relaxed);
        }
    }

    fn recorder(&self) -> &DynRecorder {
        self.instruments.recorder()
    }

    fn lazily<'a>(&self, slot: &'a OnceLock<Histogram>, metric: &Metric) -> &'a Histogram {
        slot.get_or_init(|| labelled::histogram(self.recorder(), metric, &self.labels))
    }

    pub(super) fn duration(&self, ending: Ending) -> &Histogram {
        self.durations.get(ending, || {
            let mut labels = self.labels.to_vec();
            if let Some(status) = ending.status {
                labels.push((names::STATUS, status.to_string().into()));
            }
            // OpenTelemetry: a response that is an error has its status for a type, unless something better is known.
            let type_of_status = ending.status.filter(|status| *status >= 500).map(|status| status.to_string());
            if let Some(error) = ending.error.map(Arc::from).or(type_of_status.map(Arc::from)) {
                labels.push((names::ERROR_TYPE, error));
            }
            labelled::histogram(self.recorder(), &names::HTTP_DURATION, &labels)
        })
    }

    pub(super) fn request_size(&self) -> &Histogram {
        self.lazily(&self.request_size, &names::HTTP_REQUEST_SIZE)
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

    pub(super) fn task_nanos(&self) -> &Counter {
        self.task_nanos.get_or_init(|| self.window_counter(&names::ENDPOINT_TASK_NANOS))
    }

    pub(super) fn overlap_nanos(&self) -> &Counter {
        self.overlap_nanos.get_or_init(|| self.window_counter(&names::ENDPOINT_OVERLAP_NANOS))
    }

    pub(super) fn wasted(&self) -> &Wasted {
        self.wasted.get_or_init(|| Wasted {
            queries: self.window_counter(&names::ENDPOINT_WASTED_QUERIES),
            db_nanos: self.window_counter(&names::ENDPOINT_WASTED_DB_NANOS),
        })
    }

    pub(super) fn blocking(&self) -> &Blocking {
        let histogram = |metric| labelled::histogram(self.instruments.window_recorder(), metric, &self.labels);
        self.blocking.get_or_init(|| Blocking {
            polls: histogram(&names::ENDPOINT_BLOCKING_POLLS),
            others: histogram(&names::ENDPOINT_BLOCKED_OTHERS),
        })
    }

    fn window_counter(&self, metric: &Metric) -> Counter {
        labelled::counter(self.instruments.window_recorder(), metric, &self.labels)
    }

    /// Returns this endpoint's use of the query `id`.
    pub(super) fn query_use(&self, id: u32) -> Arc<QueryUse> {
        if let Some(known) = self.query_uses.load().get(&id) {
            return known.clone();
        }
        let [method, route] = self.labels.clone();
        let labels = [method, route, (names::DB_SUMMARY, self.instruments.query_name(id))];
        let counter = |metric| labelled::counter(self.instruments.window_recorder(), metric, &labels);
        let made = Arc::new(QueryUse {
            calls: counter(&names::ENDPOINT_QUERY_CALLS),
            nanos: counter(&names::ENDPOINT_QUERY_NANOS),
            requests: counter(&names::ENDPOINT_QUERY_REQUESTS),
        });
        // Two that come at once make the same series, so it does not matter whose handles stay.
        self.query_uses.rcu(|uses| {
            let mut uses = HashMap::clone(uses);
            uses.insert(id, made.clone());
            uses
        });
        made
    }
}

type Routes = HashMap<Box<str>, Arc<EndpointSeries>, foldhash::fast::RandomState>;

/// Every endpoint that was seen. A lookup reads an immutable map; a new endpoint copies it, which happens as many times
/// as the program has routes.
#[derive(Debug)]
pub(crate) struct Endpoints {
    instruments: Arc<Instruments>,
    /// In flight, by method.
    active: [OnceLock<Gauge>; METHOD_COUNT],
    by_method: [ArcSwap<Routes>; METHOD_COUNT],
    writing: Mutex<()>,
}

impl Endpoints {
    pub(crate) fn new(instruments: Arc<Instruments>) -> Self {
        Self {
            instruments,
            active: Default::default(),
            by_method: std::array::from_fn(|_| ArcSwap::default()),
            writing: Mutex::new(()),
        }
    }

    pub(super) fn instruments(&self) -> &Arc<Instruments> {
        &self.instruments
    }

    pub(super) fn get(&self, method: usize, route: &str) -> Arc<EndpointSeries> {
        if let Some(known) = self.by_method[method].load().get(route) {
            return known.clone();
        }
        self.add(method, route)
    }

    fn add(&self, method: usize, route: &str) -> Arc<EndpointSeries> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let routes = self.by_method[method].load();
        // Templates come from the program. One that makes them up from paths must not fill the memory all the same.
        let route = if routes.len() < self.instruments.limits().routes { route } else { names::OTHER };
        if let Some(known) = routes.get(route) {
            return known.clone();
        }
        let name = method_name(method);
        let active = self.active[method].get_or_init(|| {
            labelled::gauge(self.instruments.recorder(), &names::HTTP_ACTIVE, &[(names::METHOD, name.into())])
        });
        let series = Arc::new(EndpointSeries::new(&self.instruments, active.clone(), name, route));
        let mut next = Routes::clone(&routes);
        next.insert(route.into(), series.clone());
        self.by_method[method].store(Arc::new(next));
        series
    }
}
