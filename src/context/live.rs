//! [`LiveRequests`]: since when each request in flight has been running.
//!
//! A request that never ends is in no duration. Each context has a place that says which endpoint its request belongs to and when
//! it began; a context is reused, so that a request writes two atomics, on lines of its own, and nothing else. Read once a tick,
//! and after a poll that blocked the runtime. The invariant that a
//! change could break: the place of a context without a request is free, or its last one would grow old for ever.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::clock::{Moment, RequestClock};
use crate::lock::lock;

/// Number of a request's endpoint among those whose requests in flight are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EndpointNumber(pub(super) u32);

impl EndpointNumber {
    /// Of a request that matched no route.
    pub(crate) const NONE: Self = Self(u32::MAX);
}

/// The place of one context. Relaxed: each value is read for itself, and a request that begins while it is read may count for its
/// predecessor's endpoint once.
#[derive(Debug, Default)]
pub(super) struct LivePlace {
    endpoint: AtomicU32,
    /// The number of the [`Moment`] at which it began; zero while there is no request.
    since: AtomicU64,
}

impl LivePlace {
    pub(super) fn begin(&self, endpoint: EndpointNumber, started: Moment) {
        self.endpoint.store(endpoint.0, Relaxed);
        self.since.store(started.number(), Relaxed);
    }

    pub(super) fn end(&self) {
        self.since.store(0, Relaxed);
    }
}

/// The places of all contexts.
#[derive(Debug, Default)]
pub(super) struct LiveRequests(Mutex<Vec<Arc<LivePlace>>>);

/// The requests of one endpoint that are in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) count: i64,
    /// Age of the oldest.
    pub(super) oldest: Duration,
    /// How many are older than [`LONG_RUNNING`].
    pub(super) long_running: u64,
}

/// Most requests are over long before.
pub(super) const LONG_RUNNING: Duration = Duration::from_secs(10);

impl LiveRequests {
    /// Returns a place for a new context.
    pub(super) fn place(&self) -> Arc<LivePlace> {
        let place = Arc::<LivePlace>::default();
        lock(&self.0).push(place.clone());
        place
    }

    /// Returns what is in flight, by endpoint, and forgets the places of contexts that are gone.
    pub(super) fn waiting(&self, clock: &RequestClock, now: Instant) -> HashMap<EndpointNumber, Waiting> {
        let mut waiting: HashMap<EndpointNumber, Waiting> = HashMap::new();
        lock(&self.0).retain(|place| {
            if let Some(started) = Moment::from_number(place.since.load(Relaxed)) {
                let age = clock.age(started, now);
                let of = waiting.entry(EndpointNumber(place.endpoint.load(Relaxed))).or_default();
                of.count += 1;
                of.oldest = of.oldest.max(age);
                of.long_running += u64::from(age > LONG_RUNNING);
            }
            Arc::strong_count(place) > 1
        });
        waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_request_of_each_endpoint_is_known_until_it_ends() {
        let (clock, epoch) = (RequestClock::new(), Instant::now());
        let live = LiveRequests::default();
        let (one, other, gone) = (live.place(), live.place(), live.place());
        let second = Duration::from_secs(1);
        let of = |seconds: u32| {
            let waiting = live.waiting(&clock, epoch + seconds * second);
            waiting.get(&EndpointNumber(7)).map(|of| (of.count, of.oldest.as_secs(), of.long_running))
        };
        assert_eq!(of(1), None);
        one.begin(EndpointNumber(7), clock.moment(epoch + second));
        other.begin(EndpointNumber(7), clock.moment(epoch + 9 * second));
        assert_eq!(of(15), Some((2, 14, 1)));
        one.end();
        assert_eq!(of(15), Some((1, 6, 0)));
        drop(gone);
        other.end();
        assert_eq!(of(15), None);
        assert_eq!(lock(&live.0).len(), 2);
    }
}
