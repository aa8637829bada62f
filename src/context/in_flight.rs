//! [`InFlightByEndpoint`]: how many requests of each endpoint are in flight.
//!
//! Counted beside the exposed gauge, whose only label is the method. A request that never ends is in no duration; here
//! it shows. Read only at each tick and after a poll that blocked the runtime, so that counting is one addition.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
};

use metrics::{Gauge, GaugeFn};

use super::{
    DynRecorder, labelled,
    live::{EndpointNumber, Waiting},
    stripe,
};
use crate::{lock::lock, names};

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
    /// A request may end on another thread than it began on, so a stripe may be negative; their sum is the count.
    /// Relaxed: it publishes no other memory, and a read during a change may be off by the requests that change it.
    stripes: [Stripe; stripe::COUNT],
    gauge_shown: OnceLock<Gauge>,
    oldest_shown: OnceLock<Gauge>,
}

impl Endpoint {
    fn add(&self, value: i64) {
        self.stripes[stripe::index()].0.fetch_add(value, Relaxed);
    }

    fn now(&self) -> i64 {
        self.stripes.iter().map(|stripe| stripe.0.load(Relaxed)).sum()
    }
}

/// The exposed gauge of a method, and the count of one endpoint beside it.
struct EndpointGauge {
    gauge: Gauge,
    endpoint: Arc<Endpoint>,
}

impl GaugeFn for EndpointGauge {
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
pub(crate) struct InFlightByEndpoint(Mutex<Vec<Arc<Endpoint>>>);

impl InFlightByEndpoint {
    /// Returns a gauge that adds to `gauge` and counts for an endpoint too, and the endpoint's number. Requests that matched no route count for no
    /// endpoint.
    pub(super) fn endpoint_gauge(&self, gauge: Gauge, labels: &Labels) -> (Gauge, EndpointNumber) {
        let [(_, method), (_, route)] = labels;
        if route.is_empty() || **route == *names::OTHER {
            return (gauge, EndpointNumber::NONE);
        }
        let endpoint = Arc::new(Endpoint {
            name: format!("{method} {route}").into(),
            labels: labels.clone(),
            stripes: Default::default(),
            gauge_shown: OnceLock::new(),
            oldest_shown: OnceLock::new(),
        });
        let mut endpoints = self.lock();
        let number = u32::try_from(endpoints.len()).map_or(EndpointNumber::NONE, EndpointNumber);
        endpoints.push(endpoint.clone());
        drop(endpoints);
        (Gauge::from_arc(Arc::new(EndpointGauge { gauge, endpoint })), number)
    }

    /// Calls `visit` with every endpoint that has requests in flight, and how many.
    pub(super) fn each(&self, mut visit: impl FnMut(&Arc<str>, i64)) {
        for endpoint in &*self.lock() {
            let now = endpoint.now();
            if now > 0 {
                visit(&endpoint.name, now);
            }
        }
    }

    /// Writes the gauges of the windows: of each endpoint that had requests in flight at any tick, their number and the age of
    /// the oldest.
    pub(super) fn show(&self, window_recorder: &DynRecorder, waiting: &HashMap<EndpointNumber, Waiting>) {
        for (number, endpoint) in self.lock().iter().enumerate() {
            let now = endpoint.now().max(0);
            if now > 0 || endpoint.gauge_shown.get().is_some() {
                let gauge = |metric| labelled::gauge(window_recorder, metric, &endpoint.labels);
                let oldest = u32::try_from(number).ok().and_then(|number| waiting.get(&EndpointNumber(number)));
                let oldest = oldest.map_or(0.0, |waiting| waiting.oldest.as_secs_f64());
                endpoint.gauge_shown.get_or_init(|| gauge(&names::ENDPOINT_ACTIVE)).set(now as f64);
                endpoint.oldest_shown.get_or_init(|| gauge(&names::ENDPOINT_OLDEST_ACTIVE)).set(oldest);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Endpoint>>> {
        lock(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(route: &str) -> Labels {
        [(names::METHOD, "GET".into()), (names::ROUTE, route.into())]
    }

    fn seen(all: &InFlightByEndpoint) -> Vec<(String, i64)> {
        let mut seen = Vec::new();
        all.each(|name, count| seen.push((name.to_string(), count)));
        seen
    }

    #[test]
    fn a_request_that_ends_on_another_thread_is_no_longer_in_flight() {
        let all = InFlightByEndpoint::default();
        let (gauge, number) = all.endpoint_gauge(Gauge::noop(), &labels("/a"));
        assert_eq!(number, EndpointNumber(0));
        gauge.increment(1.0);
        gauge.increment(1.0);
        assert_eq!(seen(&all), [("GET /a".to_owned(), 2)]);
        std::thread::spawn(move || gauge.decrement(1.0)).join().expect("no panic");
        assert_eq!(seen(&all), [("GET /a".to_owned(), 1)]);
    }

    #[test]
    fn requests_without_a_route_count_for_no_endpoint() {
        let all = InFlightByEndpoint::default();
        for route in ["", names::OTHER] {
            let (gauge, number) = all.endpoint_gauge(Gauge::noop(), &labels(route));
            gauge.increment(1.0);
            assert_eq!(number, EndpointNumber::NONE);
        }
        assert_eq!(seen(&all), []);
    }
}
