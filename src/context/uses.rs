//! [`Uses`]: the series of each query, task, wait and service that an endpoint uses.
//!
//! There are up to routes times names of them. When they fill the budget of their series, each endpoint forgets its
//! handles: the series of a pair that is in use are found again at its next call, the others can give their places
//! back.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwap;
use metrics::{Counter, Gauge, Histogram};

use super::{DynRecorder, Part, Use, labelled};
use crate::names;

/// Labels of an endpoint and of what it uses.
type Labels = [(&'static str, Arc<str>); 4];

/// An endpoint's use of one name. Windows read these series; of statements the page shows some as pairs.
pub(crate) struct UseSeries {
    recorder: DynRecorder,
    labels: Labels,
    pub(crate) calls: Counter,
    pub(crate) nanos: Counter,
    alone_nanos: Counter,
    pub(crate) requests: Counter,
    failed: OnceLock<Counter>,
    repeats: OnceLock<Counter>,
    held_nanos: OnceLock<Counter>,
    holds: OnceLock<Counter>,
    most_at_once: OnceLock<Histogram>,
    /// Number of the place in the host's code that was shown last, and where it is shown.
    place: (AtomicU32, OnceLock<Gauge>),
}

impl fmt::Debug for UseSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UseSeries").field("labels", &self.labels).finish_non_exhaustive()
    }
}

impl UseSeries {
    pub(crate) fn new(recorder: DynRecorder, labels: Labels) -> Self {
        let counter = |metric| labelled::counter(&recorder, metric, &labels);
        Self {
            calls: counter(&names::ENDPOINT_USE_CALLS),
            nanos: counter(&names::ENDPOINT_USE_NANOS),
            alone_nanos: counter(&names::ENDPOINT_USE_ALONE_NANOS),
            requests: counter(&names::ENDPOINT_USE_REQUESTS),
            failed: OnceLock::new(),
            repeats: OnceLock::new(),
            held_nanos: OnceLock::new(),
            holds: OnceLock::new(),
            most_at_once: OnceLock::new(),
            place: Default::default(),
            recorder,
            labels,
        }
    }

    /// Records what one request did under this name.
    pub(crate) fn record(&self, used: &Use) {
        self.calls.increment(used.calls);
        self.nanos.increment(used.nanos);
        self.alone_nanos.increment(used.alone_nanos);
        self.requests.increment(1);
        if used.failed > 0 {
            self.counter(&self.failed, &names::ENDPOINT_USE_FAILED).increment(used.failed);
        }
        if used.repeats > 0 {
            self.counter(&self.repeats, &names::ENDPOINT_USE_REPEATS).increment(used.repeats);
        }
        if used.held_nanos > 0 {
            self.counter(&self.held_nanos, &names::ENDPOINT_USE_HELD_NANOS).increment(used.held_nanos);
            self.counter(&self.holds, &names::ENDPOINT_USE_HOLDS).increment(used.holds);
        }
        if used.most_at_once > 1 {
            let most = || labelled::histogram(&self.recorder, &names::ENDPOINT_USE_AT_ONCE, &self.labels);
            self.most_at_once.get_or_init(most).record(f64::from(used.most_at_once));
        }
        let number = u32::from(used.place.number());
        // Usually it is the same, and a line that is only read stays in the caches of all cores.
        if number > 0 && self.place.0.load(Relaxed) != number {
            self.place.0.store(number, Relaxed);
            let shown = || labelled::gauge(&self.recorder, &names::ENDPOINT_USE_PLACE, &self.labels);
            self.place.1.get_or_init(shown).set(f64::from(number));
        }
    }

    fn counter<'a>(&self, slot: &'a OnceLock<Counter>, metric: &names::Metric) -> &'a Counter {
        slot.get_or_init(|| labelled::counter(&self.recorder, metric, &self.labels))
    }
}

/// The uses of one endpoint, by part and number.
#[derive(Debug, Default)]
pub(crate) struct Uses(ArcSwap<HashMap<(Part, u32), Arc<UseSeries>, foldhash::fast::RandomState>>);

impl Uses {
    /// Returns the series of a name; makes them if it is new. Two threads may make them at once: they register the same
    /// series, so it does not matter whose handles stay.
    pub(crate) fn get(&self, part: Part, id: u32, make: impl FnOnce() -> UseSeries) -> Arc<UseSeries> {
        if let Some(known) = self.0.load().get(&(part, id)) {
            return known.clone();
        }
        let made = Arc::new(make());
        self.0.rcu(|uses| {
            let mut uses = HashMap::clone(uses);
            uses.insert((part, id), made.clone());
            uses
        });
        made
    }

    /// Forgets the series.
    pub(super) fn forget(&self) {
        self.0.store(Arc::default());
    }
}
