//! [`InFlights`]: how many requests of each endpoint are in flight.
//!
//! Counted beside the exposed gauge, which tells methods apart only. What never ends is in no duration: here it is seen.
//! Read by looking alone, each tick and where something blocked the runtime, so that counting is one addition.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicI64, Ordering::Relaxed},
};

use metrics::{Gauge, GaugeFn};

use super::{DynRecorder, labelled, stripe};
use crate::names;

/// Method and route, as labels.
type Labels = [(&'static str, Arc<str>); 2];

#[derive(Debug, Default)]
#[repr(align(64))]
struct Stripe(AtomicI64);

/// The requests of one endpoint that are in flight.
#[derive(Debug)]
struct Endpoint {
    name: Arc<str>,
    labels: Labels,
    /// A request may end on another thread than it began on: only the sum means something.
    stripes: [Stripe; stripe::COUNT],
    shown: OnceLock<Gauge>,
}

impl Endpoint {
    fn add(&self, value: i64) {
        self.stripes[stripe::index()].0.fetch_add(value, Relaxed);
    }

    fn now(&self) -> i64 {
        self.stripes.iter().map(|stripe| stripe.0.load(Relaxed)).sum()
    }
}

/// The gauge that everybody's recorder knows, and the endpoint's own count.
struct Counted {
    gauge: Gauge,
    endpoint: Arc<Endpoint>,
}

impl GaugeFn for Counted {
    fn increment(&self, value: f64) {
        self.gauge.increment(value);
        self.endpoint.add(value as i64);
    }

    fn decrement(&self, value: f64) {
        self.gauge.decrement(value);
        self.endpoint.add(-(value as i64));
    }

    fn set(&self, value: f64) {
        self.gauge.set(value);
    }
}

/// The requests in flight of every endpoint.
#[derive(Debug, Default)]
pub(crate) struct InFlights(Mutex<Vec<Arc<Endpoint>>>);

impl InFlights {
    /// Returns `gauge`, with what is added to it counted for an endpoint too. What matched no route is none.
    pub(super) fn counted(&self, gauge: Gauge, labels: &Labels) -> Gauge {
        let [(_, method), (_, route)] = labels;
        if route.is_empty() || **route == *names::OTHER {
            return gauge;
        }
        let endpoint = Arc::new(Endpoint {
            name: format!("{method} {route}").into(),
            labels: labels.clone(),
            stripes: Default::default(),
            shown: OnceLock::new(),
        });
        self.lock().push(endpoint.clone());
        Gauge::from_arc(Arc::new(Counted { gauge, endpoint }))
    }

    /// Calls `look` with every endpoint that has requests in flight, and how many.
    pub(super) fn each(&self, mut look: impl FnMut(&Arc<str>, i64)) {
        for endpoint in &*self.lock() {
            let now = endpoint.now();
            if now > 0 {
                look(&endpoint.name, now);
            }
        }
    }

    /// Writes how many there are into the windows, for endpoints that had some at any look.
    pub(super) fn show(&self, window_recorder: &DynRecorder) {
        for endpoint in &*self.lock() {
            let now = endpoint.now().max(0);
            if now > 0 || endpoint.shown.get().is_some() {
                let gauge = || labelled::gauge(window_recorder, &names::ENDPOINT_ACTIVE, &endpoint.labels);
                endpoint.shown.get_or_init(gauge).set(now as f64);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Endpoint>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(route: &str) -> Labels {
        [(names::METHOD, "GET".into()), (names::ROUTE, route.into())]
    }

    fn seen(all: &InFlights) -> Vec<(String, i64)> {
        let mut seen = Vec::new();
        all.each(|name, count| seen.push((name.to_string(), count)));
        seen
    }

    #[test]
    fn a_request_may_end_on_another_thread() {
        let all = InFlights::default();
        let gauge = all.counted(Gauge::noop(), &labels("/a"));
        gauge.increment(1.0);
        gauge.increment(1.0);
        assert_eq!(seen(&all), [("GET /a".to_owned(), 2)]);
        std::thread::spawn(move || gauge.decrement(1.0)).join().expect("no panic");
        assert_eq!(seen(&all), [("GET /a".to_owned(), 1)]);
    }

    #[test]
    fn what_matched_no_route_is_no_endpoint() {
        let all = InFlights::default();
        for route in ["", names::OTHER] {
            all.counted(Gauge::noop(), &labels(route)).increment(1.0);
        }
        assert_eq!(seen(&all), []);
    }
}
