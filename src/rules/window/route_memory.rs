//! [`RouteMemory`]: the route whose requests keep more and more memory, judged by that route alone.
//!
//! What the counting allocator books on a route has no noise of other routes, of the allocator or of collections, so that
//! minutes are enough where the memory of the process needs hours. A route leaks if the lowest live bytes of each minute
//! exceed those of the minute before, as fast in the second half as in the first, while its own requests do not become
//! more. A cache that fills slows down, and a batch is freed.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use crate::{names, store::Window};

/// Length of a step.
const STEP: Duration = Duration::from_secs(60);
/// Steps that are kept: an hour.
const KEPT: usize = 60;
/// Windows that are judged, in steps, the longest first.
const WINDOWS: [usize; 4] = [59, 40, 20, 10];
/// Smallest growth in bytes: less is a cache or requests in flight.
const SMALLEST: f64 = 8e6;
/// Share of the first half's bytes a request that the second half must keep.
const STILL_GROWING: f64 = 0.8;
/// Requests of the second half may be so many times those of the first, beside what chance adds.
const NO_MORE_REQUESTS: f64 = 1.1;

/// Growth must be so many times what requests in proportion would explain.
const MOST_BY_TRAFFIC: f64 = 3.0;

/// The growth of one route's live bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RouteGrowth<'a> {
    pub(super) endpoint: &'a str,
    pub(super) bytes_per_hour: f64,
    pub(super) bytes: f64,
    pub(super) span: Duration,
}

/// What a route holds, and how many requests it has had.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct RouteState {
    live_bytes: f64,
    requests: f64,
}

/// The live bytes of each route, minute by minute.
#[derive(Debug, Default)]
pub(crate) struct RouteMemory {
    curves: HashMap<String, Curve>,
}

#[derive(Debug, Default)]
struct Curve {
    /// Lowest live bytes of each whole step, and the requests until its end.
    steps: VecDeque<RouteState>,
    began: Duration,
    lowest: Option<f64>,
}

impl RouteMemory {
    /// Records what all routes hold at an age of the process, given everything since the start or the last clear.
    /// Without the counting allocator there is nothing to record.
    pub(super) fn record_window(&mut self, age: Duration, total: &Window) {
        let mut states: HashMap<String, RouteState> = HashMap::new();
        let name = |method: Option<&str>, route: Option<&str>| Some(format!("{} {}", method?, route?));
        for (metric, sign) in [(names::ENDPOINT_HEAP_ALLOCATED, 1.0), (names::ENDPOINT_HEAP_FREED, -1.0)] {
            for series in total.series(metric.name) {
                if let Some(endpoint) = name(series.label(names::METHOD), series.label(names::ROUTE)) {
                    states.entry(endpoint).or_default().live_bytes += sign * series.increase();
                }
            }
        }
        if states.is_empty() {
            return;
        }
        for series in total.series(names::HTTP_DURATION.name) {
            let endpoint = name(series.label(names::METHOD), series.label(names::ROUTE));
            if let Some(state) = endpoint.and_then(|endpoint| states.get_mut(&endpoint)) {
                state.requests += series.histogram().map_or(0.0, |durations| durations.count() as f64);
            }
        }
        self.record(age, states);
    }

    /// Records the states of all routes at an age of the process. Routes that are gone are forgotten.
    fn record(&mut self, age: Duration, states: HashMap<String, RouteState>) {
        self.curves.retain(|endpoint, _| states.contains_key(endpoint));
        for (endpoint, state) in states {
            let curve = self.curves.entry(endpoint).or_insert_with(|| Curve { began: age, ..Curve::default() });
            curve.record(age, state);
        }
    }

    /// Starts anew: what the routes hold is counted from now on.
    pub(super) fn clear(&mut self) {
        self.curves.clear();
    }

    /// Returns the leak of the route that grows fastest, if any leaks.
    pub(super) fn growth(&self) -> Option<RouteGrowth<'_>> {
        let each = self.curves.iter().filter_map(|(endpoint, curve)| {
            let (steps, bytes) = curve.growth()?;
            let span = STEP * steps as u32;
            let bytes_per_hour = bytes / span.as_secs_f64() * 3600.0;
            Some(RouteGrowth { endpoint, bytes_per_hour, bytes, span })
        });
        each.max_by(|a, b| a.bytes_per_hour.total_cmp(&b.bytes_per_hour))
    }
}

impl Curve {
    fn record(&mut self, age: Duration, state: RouteState) {
        let lowest = self.lowest.map_or(state.live_bytes, |lowest| lowest.min(state.live_bytes));
        if age.saturating_sub(self.began) < STEP {
            self.lowest = Some(lowest);
            return;
        }
        if self.steps.len() == KEPT {
            self.steps.pop_front();
        }
        self.steps.push_back(RouteState { live_bytes: lowest, ..state });
        (self.began, self.lowest) = (age, Some(state.live_bytes));
    }

    /// Returns the longest window that shows a leak, in steps, and the bytes gained in it.
    fn growth(&self) -> Option<(usize, f64)> {
        WINDOWS.into_iter().find_map(|steps| {
            let first = self.steps.len().checked_sub(steps + 1)?;
            let window: Vec<RouteState> = self.steps.range(first..).copied().collect();
            let (start, middle, end) = (window[0], window[steps / 2], window[steps]);
            let (early, late) = (middle.requests - start.requests, end.requests - middle.requests);
            // Halves of an odd window differ by a step; requests come by chance, by Poisson's deviation.
            let expected = early * (steps - steps / 2) as f64 / (steps / 2) as f64;
            let no_more = late <= expected * NO_MORE_REQUESTS + 3.0 * early.max(1.0).sqrt();
            let (early_bytes, late_bytes) = (middle.live_bytes - start.live_bytes, end.live_bytes - middle.live_bytes);
            let as_fast = late_bytes * early >= STILL_GROWING * early_bytes * late;
            let rises = window.windows(2).all(|pair| pair[1].live_bytes > pair[0].live_bytes);
            let exceeds = self.steps.range(..first).all(|past| past.live_bytes < end.live_bytes);
            let bytes = end.live_bytes - start.live_bytes;
            // From the middle of one half to that of the other is half the window.
            let by_traffic = start.live_bytes.max(0.0) * 2.0 * (late / expected - 1.0).max(0.0);
            let enough = bytes >= SMALLEST.max(MOST_BY_TRAFFIC * by_traffic);
            (early > 0.0 && no_more && enough && rises && exceeds && as_fast).then_some((steps, bytes))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records a route every five seconds, and returns the minute of the first finding. `live` and `rate` are functions
    /// of the minute and of the requests so far, and of the minute.
    fn first_finding(minutes: u64, rate: impl Fn(f64) -> f64, live: impl Fn(f64, f64) -> f64) -> Option<u64> {
        let (mut memory, mut requests) = (RouteMemory::default(), 0.0);
        (1..=minutes * 12).find_map(|tick| {
            let minute = tick as f64 / 12.0;
            requests += rate(minute) * 5.0;
            let state = RouteState { live_bytes: live(minute, requests), requests };
            memory.record(Duration::from_secs(tick * 5), HashMap::from([("GET /leak".to_owned(), state)]));
            memory.growth().map(|_| tick / 12)
        })
    }

    #[test]
    fn route_that_keeps_what_each_request_allocates_is_found_in_minutes() {
        assert_eq!(first_finding(60, |_| 8.0, |_, requests| requests * 20e3), Some(11));
        assert_eq!(first_finding(60, |minute| 8.0 - minute / 10.0, |_, requests| requests * 20e3), Some(11));
        let slow = first_finding(70, |_| 1.0, |_, requests| requests * 4e3);
        assert!(slow.is_some_and(|minute| minute <= 41), "14 MB an hour: {slow:?}");
    }

    #[test]
    fn route_that_grows_fastest_gives_the_pace() {
        let mut memory = RouteMemory::default();
        for tick in 1..=15 * 12 {
            let requests = f64::from(tick) * 40.0;
            let state = |bytes: f64| RouteState { live_bytes: bytes, requests };
            let states =
                [("GET /a", state(5e6)), ("GET /b", state(requests * 10e3)), ("GET /c", state(requests * 3e3))];
            let states = states.map(|(endpoint, state)| (endpoint.to_owned(), state));
            memory.record(Duration::from_secs(5) * tick, HashMap::from(states));
        }
        let growth = memory.growth().expect("a leak");
        assert_eq!((growth.endpoint, growth.span), ("GET /b", STEP * 10));
        assert!((growth.bytes_per_hour / 288e6 - 1.0).abs() < 0.05, "{growth:?}");
        memory.clear();
        assert_eq!(memory.growth(), None);
    }

    #[test]
    fn caches_batches_and_traffic_are_no_leak_of_a_route() {
        let full = |_: f64, requests: f64| 100e6 * (1.0 - (-requests / 2000.0).exp());
        assert_eq!(first_finding(120, |_| 8.0, full), None, "a cache that fills slows down");
        let batch = |minute: f64, _: f64| 60e6 * (minute / 7.0).fract();
        assert_eq!(first_finding(120, |_| 8.0, batch), None, "a batch is freed");
        let in_flight = |minute: f64, _: f64| 1e6 * (2.0 + minute);
        assert_eq!(first_finding(120, |minute| 2.0 + minute, in_flight), None, "traffic grows as well");
        let noise = |minute: f64, _: f64| 50e6 + 30e6 * (minute * 1.7).sin();
        assert_eq!(first_finding(120, |_| 8.0, noise), None, "requests in flight come and go");
        assert_eq!(first_finding(120, |_| 0.0, |minute, _| 1e6 * minute), None, "none of its requests allocates");
    }
}
