//! [`SlowRequests`]: the slowest requests of every endpoint, each with its timeline.
//!
//! Bounded and never sampled: the rare slow request is the one worth seeing. A request that is not among the slowest
//! reads one atomic. One that is takes the endpoint's lock if it is free, and otherwise leaves its record in a queue
//! for the next owner of the lock: no request waits.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use crossbeam_queue::ArrayQueue;
use tokio::time::Instant;

use super::{Part, Place, RequestContext, TraceId, Use, nanos::nanos};
use crate::{lock::lock, names::DEFAULT_WINDOW};

/// Records that the queue holds. The lock is held for some microseconds, in which hardly more slow requests end.
const WAITING: usize = 16;

/// One entry on the timeline of a slow request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TimelineEvent {
    pub(crate) part: Part,
    /// Fingerprint of the query, or name of the task, the wait or the service.
    pub(crate) name: Arc<str>,
    pub(crate) place: Place,
    pub(crate) start: Duration,
    pub(crate) duration: Duration,
}

/// A request with its timeline.
#[derive(Clone, Debug)]
pub(crate) struct SlowRequest {
    pub(crate) at: SystemTime,
    pub(crate) ended: Instant,
    pub(crate) duration: Duration,
    pub(crate) busy: Duration,
    pub(crate) longest_poll: Duration,
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<&'static str>,
    pub(crate) trace_id: Option<TraceId>,
    pub(crate) timeline: Vec<TimelineEvent>,
    /// Events past the end of the timeline.
    pub(crate) beyond: u32,
    /// Number of queries, with those past the end of the timeline.
    pub(crate) queries: u32,
    /// Calls of each name, with those past the end of the timeline.
    pub(crate) calls: Vec<(Part, Arc<str>, u64)>,
}

/// The slowest requests of one endpoint.
#[derive(Debug)]
pub(crate) struct EndpointSlowRequests {
    keep: usize,
    /// How long a request is kept, in nanoseconds: for the longest window of a rule.
    remembered: Arc<AtomicU64>,
    /// Duration that a request must exceed to be kept, in nanoseconds. Relaxed: a stale one lets a request through that
    /// is dropped under the lock, or drops one that has only just become one of the slowest.
    floor: AtomicU64,
    kept: Mutex<Kept>,
    /// Requests that ended while the lock was held; its next owner takes them in.
    waiting: OnceLock<ArrayQueue<SlowRequest>>,
}

/// The requests that are kept.
#[derive(Debug, Default)]
struct Kept {
    requests: Vec<SlowRequest>,
    /// When the first of them ended.
    oldest: Option<Instant>,
}

impl EndpointSlowRequests {
    fn new(keep: usize, remembered: Arc<AtomicU64>) -> Self {
        Self { keep, remembered, floor: AtomicU64::new(0), kept: Mutex::default(), waiting: OnceLock::new() }
    }

    /// Keeps the request that `make` describes if it is among the slowest.
    pub(crate) fn offer(&self, duration: Duration, make: impl FnOnce() -> SlowRequest) {
        if nanos(duration) <= self.floor.load(Relaxed) || self.keep == 0 {
            return;
        }
        let request = make();
        match self.kept.try_lock() {
            Ok(mut kept) => self.take_in(&mut kept, request.ended, Some(request)),
            // A full queue drops its oldest record.
            Err(_) => drop(self.waiting.get_or_init(|| ArrayQueue::new(WAITING)).force_push(request)),
        }
    }

    /// Drops requests older than the window, so that the floor falls again after a quiet hour. Mostly there is none: a tick asks
    /// a thousand endpoints, and does not look at each of their requests.
    pub(crate) fn expire(&self, now: Instant) {
        let mut kept = self.lock();
        let is_old = kept.oldest.is_some_and(|oldest| now.saturating_duration_since(oldest) >= self.remembered());
        if is_old || self.waiting.get().is_some_and(|waiting| !waiting.is_empty()) {
            self.take_in(&mut kept, now, None);
        }
    }

    /// Returns the slowest requests, slowest first.
    pub(crate) fn requests(&self) -> Vec<SlowRequest> {
        let mut kept = self.lock();
        if let Some(waiting) = self.waiting.get().and_then(ArrayQueue::pop) {
            self.take_in(&mut kept, waiting.ended, Some(waiting));
        }
        kept.requests.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }

    /// Takes in a request and those of the queue, and drops old and faster ones.
    fn take_in(&self, kept: &mut Kept, now: Instant, request: Option<SlowRequest>) {
        let waiting = self.waiting.get().into_iter().flat_map(|waiting| std::iter::from_fn(|| waiting.pop()));
        let Kept { requests, oldest } = kept;
        // One more than are kept, and not twice as many: every endpoint has such a list.
        requests.reserve_exact((self.keep + 1).saturating_sub(requests.len()));
        requests.extend(request.into_iter().chain(waiting.take(WAITING)));
        let remembered = self.remembered();
        requests.retain(|old| now.saturating_duration_since(old.ended) < remembered);
        requests.sort_by_key(|request| std::cmp::Reverse(request.duration));
        requests.truncate(self.keep);
        *oldest = requests.iter().map(|request| request.ended).min();
        self.set_floor(requests);
    }

    fn remembered(&self) -> Duration {
        Duration::from_nanos(self.remembered.load(Relaxed))
    }

    fn set_floor(&self, kept: &[SlowRequest]) {
        let floor = if kept.len() < self.keep { 0 } else { kept.last().map_or(0, |last| nanos(last.duration)) };
        self.floor.store(floor, Relaxed);
    }
}

/// Method and route.
type Endpoint = (Arc<str>, Arc<str>);

/// The slowest requests of every endpoint.
#[derive(Debug)]
pub(crate) struct SlowRequests {
    keep: usize,
    remembered: Arc<AtomicU64>,
    endpoints: Mutex<HashMap<Endpoint, Arc<EndpointSlowRequests>>>,
}

impl SlowRequests {
    pub(super) fn new(keep: usize) -> Self {
        let remembered = Arc::new(AtomicU64::new(nanos(DEFAULT_WINDOW)));
        Self { keep, remembered, endpoints: Mutex::default() }
    }

    /// Returns the slowest requests of an endpoint, for its series to record on.
    pub(crate) fn endpoint(&self, method: &str, route: &str) -> Arc<EndpointSlowRequests> {
        let mut endpoints = lock(&self.endpoints);
        let new = || Arc::new(EndpointSlowRequests::new(self.keep, self.remembered.clone()));
        endpoints.entry((method.into(), route.into())).or_insert_with(new).clone()
    }

    /// Returns the slowest requests of an endpoint, slowest first; none of an endpoint without requests.
    pub(crate) fn of(&self, method: &str, route: &str) -> Vec<SlowRequest> {
        let endpoints = lock(&self.endpoints);
        let slowest = endpoints.get(&(method.into(), route.into())).cloned();
        drop(endpoints);
        slowest.map(|slowest| slowest.requests()).unwrap_or_default()
    }

    /// Drops requests older than `window`, the longest window of a rule.
    pub(crate) fn expire(&self, now: Instant, window: Duration) {
        self.remembered.store(nanos(window), Relaxed);
        let endpoints: Vec<_> = lock(&self.endpoints).values().cloned().collect();
        endpoints.iter().for_each(|slowest| slowest.expire(now));
    }

    /// Drops every request.
    pub(crate) fn clear(&self) {
        let endpoints = lock(&self.endpoints);
        for slowest in endpoints.values() {
            let mut kept = slowest.lock();
            while slowest.waiting.get().and_then(ArrayQueue::pop).is_some() {}
            *kept = Kept::default();
            slowest.set_floor(&[]);
        }
    }
}

impl RequestContext {
    /// Returns how often the request did each thing that has a name.
    pub(crate) fn calls(&self) -> Vec<(Part, Arc<str>, u64)> {
        let mut calls = Vec::new();
        self.divide(Duration::ZERO, |Use { part, id, calls: count, .. }| calls.push((part, id, count)));
        calls.into_iter().map(|(part, id, count)| (part, self.instruments().name_of(part, id), count)).collect()
    }

    /// Returns the timeline of this request, with names instead of ids.
    pub(crate) fn timeline(&self) -> Vec<TimelineEvent> {
        let event = |event: super::Event| TimelineEvent {
            part: event.part,
            name: self.instruments().name_of(event.part, event.id),
            place: event.place,
            start: event.start,
            duration: event.duration,
        };
        let mut timeline: Vec<_> = self.events().map(event).collect();
        timeline.sort_by_key(|event| event.start);
        timeline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(ended: Instant, millis: u64) -> SlowRequest {
        SlowRequest {
            at: SystemTime::UNIX_EPOCH,
            ended,
            duration: Duration::from_millis(millis),
            busy: Duration::ZERO,
            longest_poll: Duration::ZERO,
            status: Some(200),
            error: None,
            trace_id: None,
            timeline: Vec::new(),
            beyond: 0,
            queries: 0,
            calls: Vec::new(),
        }
    }

    fn keeping(keep: usize) -> EndpointSlowRequests {
        EndpointSlowRequests::new(keep, Arc::new(AtomicU64::new(nanos(DEFAULT_WINDOW))))
    }

    fn durations(slowest: &EndpointSlowRequests) -> Vec<u128> {
        slowest.requests().iter().map(|request| request.duration.as_millis()).collect()
    }

    #[test]
    fn only_the_slowest_are_kept_slowest_first() {
        let slowest = keeping(3);
        let now = Instant::now();
        for millis in [5, 1, 9, 3, 7, 2] {
            slowest.offer(Duration::from_millis(millis), || request(now, millis));
        }
        assert_eq!(durations(&slowest), [9, 7, 5]);
    }

    #[test]
    fn requests_that_end_while_the_lock_is_held_are_kept() {
        let slowest = keeping(3);
        let now = Instant::now();
        let looking = slowest.lock();
        for millis in [5, 1, 9] {
            slowest.offer(Duration::from_millis(millis), || request(now, millis));
        }
        drop(looking);
        assert_eq!(durations(&slowest), [9, 5, 1]);
        let looking = slowest.lock();
        slowest.offer(Duration::from_millis(8), || request(now, 8));
        drop(looking);
        slowest.expire(now);
        slowest.offer(Duration::from_millis(4), || panic!("not among the slowest any more"));
        assert_eq!(durations(&slowest), [9, 8, 5]);
    }

    #[test]
    fn a_request_below_the_floor_is_not_described() {
        let slowest = keeping(1);
        let now = Instant::now();
        slowest.offer(Duration::from_millis(9), || request(now, 9));
        slowest.offer(Duration::from_millis(8), || panic!("not among the slowest"));
    }

    #[test]
    fn old_requests_make_room() {
        let slowest = keeping(1);
        let now = Instant::now();
        slowest.offer(Duration::from_millis(9), || request(now, 9));
        let later = now + DEFAULT_WINDOW;
        slowest.expire(later);
        slowest.offer(Duration::from_millis(1), || request(later, 1));
        assert_eq!(durations(&slowest), [1]);
    }

    #[test]
    fn requests_are_kept_for_the_longest_window() {
        let slow = SlowRequests::new(3);
        let slowest = slow.endpoint("GET", "/");
        let (now, minute) = (Instant::now(), Duration::from_secs(60));
        slow.expire(now, 60 * minute);
        slowest.offer(Duration::from_millis(9), || request(now, 9));
        let later = now + 30 * minute;
        slow.expire(later, 60 * minute);
        slowest.offer(Duration::from_millis(5), || request(later, 5));
        assert_eq!(durations(&slowest), [9, 5]);
        slow.expire(later, 10 * minute);
        assert_eq!(durations(&slowest), [5]);
    }
}
