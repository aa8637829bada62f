//! [`InFlightByEndpoint`]: how many requests of each endpoint are in flight.
//!
//! The exposed gauge has the method as its only label. A request that never ends is in no duration; here it shows. The
//! requests are those of [`LiveRequests`](super::live::LiveRequests), so that a request counts nothing for its endpoint.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock},
};

use metrics::Gauge;

use super::{
    DynRecorder, labelled,
    live::{EndpointNumber, Waiting},
};
use crate::{lock::lock, names};

/// Method and route, as labels.
type Labels = [(&'static str, Arc<str>); 2];

/// An endpoint whose requests in flight are counted.
#[derive(Debug)]
struct Endpoint {
    name: Arc<str>,
    labels: Labels,
    gauge_shown: OnceLock<Gauge>,
    oldest_shown: OnceLock<Gauge>,
}

/// The requests in flight of every endpoint. An endpoint's number is its place.
#[derive(Debug, Default)]
pub(crate) struct InFlightByEndpoint(Mutex<Vec<Endpoint>>);

impl InFlightByEndpoint {
    /// Returns the number of a new endpoint. Requests that matched no route count for no endpoint.
    pub(super) fn add(&self, labels: &Labels) -> EndpointNumber {
        let [(_, method), (_, route)] = labels;
        if route.is_empty() || **route == *names::OTHER {
            return EndpointNumber::NONE;
        }
        let mut endpoints = self.lock();
        let number = u32::try_from(endpoints.len()).map_or(EndpointNumber::NONE, EndpointNumber);
        endpoints.push(Endpoint {
            name: format!("{method} {route}").into(),
            labels: labels.clone(),
            gauge_shown: OnceLock::new(),
            oldest_shown: OnceLock::new(),
        });
        number
    }

    /// Calls `visit` with every endpoint that has requests in flight, and how many.
    pub(super) fn each(&self, waiting: &HashMap<EndpointNumber, Waiting>, mut visit: impl FnMut(&Arc<str>, i64)) {
        let endpoints = self.lock();
        for (number, waiting) in waiting {
            if let Some(endpoint) = endpoints.get(number.0 as usize) {
                visit(&endpoint.name, waiting.count);
            }
        }
    }

    /// Writes the gauges of the windows: of each endpoint that had requests in flight at any tick, their number and the age of
    /// the oldest.
    pub(super) fn show(&self, window_recorder: &DynRecorder, waiting: &HashMap<EndpointNumber, Waiting>) {
        for (number, endpoint) in self.lock().iter().enumerate() {
            let waiting = u32::try_from(number).ok().and_then(|number| waiting.get(&EndpointNumber(number)));
            if waiting.is_some() || endpoint.gauge_shown.get().is_some() {
                let waiting = waiting.copied().unwrap_or_default();
                let gauge = |metric| labelled::gauge(window_recorder, metric, &endpoint.labels);
                let (now, oldest) = (waiting.count as f64, waiting.oldest.as_secs_f64());
                endpoint.gauge_shown.get_or_init(|| gauge(&names::ENDPOINT_ACTIVE)).set(now);
                endpoint.oldest_shown.get_or_init(|| gauge(&names::ENDPOINT_OLDEST_ACTIVE)).set(oldest);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Endpoint>> {
        lock(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(route: &str) -> Labels {
        [(names::METHOD, "GET".into()), (names::ROUTE, route.into())]
    }

    #[test]
    fn only_endpoints_with_requests_in_flight_are_visited() {
        let all = InFlightByEndpoint::default();
        let (_, number) = (all.add(&labels("/a")), all.add(&labels("/b")));
        let mut seen = Vec::new();
        let waiting = HashMap::from([(number, Waiting { count: 2, ..Waiting::default() })]);
        all.each(&waiting, |name, count| seen.push((name.to_string(), count)));
        assert_eq!(seen, [("GET /b".to_owned(), 2)]);
    }

    #[test]
    fn requests_without_a_route_count_for_no_endpoint() {
        let all = InFlightByEndpoint::default();
        for route in ["", names::OTHER] {
            assert_eq!(all.add(&labels(route)), EndpointNumber::NONE);
        }
        let waiting = HashMap::from([(EndpointNumber::NONE, Waiting { count: 1, ..Waiting::default() })]);
        all.each(&waiting, |name, _| panic!("{name}"));
    }
}
