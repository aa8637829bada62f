//! [`RequestContext`]: the queries and tasks of one request.
//!
//! Futures on any thread record on it, with atomics alone; the request reads it when it ends. The invariant that a
//! change could break: nothing is added to a request that has ended, since its context may serve the next one by then.

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{
            AtomicBool, AtomicU32, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{AfterEnd, Instruments, LateQuery, OpenStream};
use crate::lock::lock;

/// Events on a request's timeline; further ones count in the totals only. 64 of them show an N+1 beyond doubt, in 1
/// KiB.
const EVENTS: usize = 64;

/// The kind of an [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    /// A database query; the id is its fingerprint's.
    Query,
    /// A tracked task; the id is its name's.
    Task,
}

/// One query or task of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) kind: EventKind,
    /// Its query or task name in the instruments' tables.
    pub(crate) id: u32,
    /// From the start of the request to its own.
    pub(crate) start: Duration,
    pub(crate) duration: Duration,
}

/// The time of a request that its queries and tasks cover. Overlapping ones count once, so the parts never exceed the
/// request's duration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Coverage {
    /// Time in which at least one query ran.
    pub(crate) queries: Duration,
    /// Time in which a task ran and no query.
    pub(crate) tasks: Duration,
}

#[derive(Debug, Default)]
struct EventSlot {
    /// One more than the kind in the lowest bit and the id above it; zero until the event is written.
    tag: AtomicU64,
    start_micros: AtomicU32,
    duration_micros: AtomicU32,
}

/// Fingerprints whose calls are counted separately per request; calls of further ones are in the totals only. 32
/// cover nearly every handler, in 768 bytes.
const FINGERPRINTS: usize = 32;

/// All calls of one query by a request, with those past the end of the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueryUse {
    pub(crate) id: u32,
    pub(crate) calls: u64,
    pub(crate) nanos: u64,
}

#[derive(Debug, Default)]
struct QueryUseSlot {
    /// One more than the fingerprint's id; zero while the slot is free.
    tag: AtomicU64,
    calls: AtomicU64,
    nanos: AtomicU64,
}

/// How a request ended that goes on in some way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Continuation {
    /// Its client disconnected; queries may still run.
    Cancelled,
    /// It became an event stream or an upgraded connection.
    Detached,
}

/// What follows the end of a request.
#[derive(Debug)]
struct Afterwards {
    continuation: Continuation,
    at: Instant,
    endpoint: Arc<dyn AfterEnd>,
    /// Queries that were recorded since, each once. Not among the request's own, which may be read at the same time.
    reported: Mutex<Vec<u32>>,
}

/// What one request did. Reused from a pool, so that only its allocation outlives the request.
#[derive(Debug)]
pub(crate) struct RequestContext {
    instruments: Arc<Instruments>,
    started: Instant,
    ended: AtomicBool,
    /// Whether the monitor itself is answering it.
    own: AtomicBool,
    /// Set before `ended` if something follows.
    afterwards: OnceLock<Afterwards>,
    queries: AtomicU32,
    query_nanos: AtomicU64,
    tasks: AtomicU32,
    task_nanos: AtomicU64,
    /// Bytes of the request's body that were received.
    received: AtomicU64,
    used: AtomicU32,
    slots: Box<[EventSlot]>,
    uses: Box<[QueryUseSlot]>,
}

impl RequestContext {
    pub(super) fn new(instruments: Arc<Instruments>, started: Instant) -> Self {
        Self {
            instruments,
            started,
            ended: AtomicBool::new(false),
            own: AtomicBool::new(false),
            afterwards: OnceLock::new(),
            queries: AtomicU32::new(0),
            query_nanos: AtomicU64::new(0),
            tasks: AtomicU32::new(0),
            task_nanos: AtomicU64::new(0),
            received: AtomicU64::new(0),
            used: AtomicU32::new(0),
            slots: (0..EVENTS).map(|_| EventSlot::default()).collect(),
            uses: (0..FINGERPRINTS).map(|_| QueryUseSlot::default()).collect(),
        }
    }

    /// Prepares a context for the next request. `&mut`: no other owner is left that could record on it.
    pub(super) fn reset(&mut self, started: Instant) {
        self.started = started;
        *self.ended.get_mut() = false;
        *self.own.get_mut() = false;
        self.afterwards.take();
        if *self.queries.get_mut() > 0 {
            self.uses.fill_with(QueryUseSlot::default);
        }
        *self.queries.get_mut() = 0;
        *self.query_nanos.get_mut() = 0;
        *self.tasks.get_mut() = 0;
        *self.task_nanos.get_mut() = 0;
        *self.received.get_mut() = 0;
        let used = std::mem::take(self.used.get_mut()) as usize;
        for slot in self.slots.iter_mut().take(used) {
            *slot.tag.get_mut() = 0;
        }
    }

    /// Returns the instruments that this request is recorded through.
    pub(crate) fn instruments(&self) -> &Arc<Instruments> {
        &self.instruments
    }

    /// Notes that the monitor itself begins to answer the request.
    pub(crate) fn begin_own_answer(&self) {
        self.own.store(true, Relaxed);
    }

    /// Notes that the monitor has made its answer. The host may still drop it and answer otherwise.
    pub(crate) fn end_own_answer(&self) {
        self.own.store(false, Relaxed);
    }

    /// Counts bytes of the request's body. Relaxed: the body is read by the request's own futures, before its end.
    pub(crate) fn receive(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Relaxed);
    }

    /// Returns how many bytes of the request's body were received.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }

    /// Returns whether the monitor itself is answering the request.
    pub(crate) fn is_own(&self) -> bool {
        self.own.load(Relaxed)
    }

    /// Records one query or task, and returns whether it counts for the request. After the request's end it does not;
    /// queries that a cancelled request left running count as late ones.
    ///
    /// Relaxed, except for `ended` and the tags: each atomic is read for its own value. What the request's own futures
    /// recorded happened before its end, in its polls; of a spawned task the end may miss what it records at that
    /// moment.
    pub(crate) fn record(&self, kind: EventKind, id: u32, began: Instant, duration: Duration) -> bool {
        if self.ended.load(Acquire) {
            self.record_late(kind, id, began, duration);
            return false;
        }
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let (count, total) = match kind {
            EventKind::Query => (&self.queries, &self.query_nanos),
            EventKind::Task => (&self.tasks, &self.task_nanos),
        };
        count.fetch_add(1, Relaxed);
        total.fetch_add(nanos, Relaxed);
        if kind == EventKind::Query {
            self.record_use(id, nanos);
        }
        let slot = self.used.fetch_add(1, Relaxed) as usize;
        if let Some(slot) = self.slots.get(slot) {
            slot.start_micros.store(micros(began.saturating_duration_since(self.started)), Relaxed);
            slot.duration_micros.store(micros(duration), Relaxed);
            let kind = u64::from(kind == EventKind::Task);
            // Release: a reader that sees the tag (Acquire in `events`) sees the times that were stored before it.
            slot.tag.store((u64::from(id) << 1 | kind) + 1, Release);
        }
        true
    }

    fn record_late(&self, kind: EventKind, id: u32, began: Instant, duration: Duration) {
        let Some(Afterwards { continuation, at, endpoint, reported }) = self.afterwards.get() else { return };
        if kind != EventKind::Query || *continuation == Continuation::Cancelled && began >= *at {
            return;
        }
        let mut reported = lock(reported);
        let is_new = !reported.contains(&id);
        if is_new {
            reported.push(id);
        }
        let is_first = is_new && self.query_uses().all(|query_use| query_use.id != id);
        let before_end = at.saturating_duration_since(began).min(duration);
        let query = LateQuery { id, is_first, before_end, duration };
        match continuation {
            Continuation::Cancelled => endpoint.record_late(query),
            Continuation::Detached => endpoint.record_detached(query),
        }
    }

    fn record_use(&self, id: u32, nanos: u64) {
        let tag = u64::from(id) + 1;
        let start = id as usize % FINGERPRINTS;
        let mut slots = self.uses[start..].iter().chain(&self.uses[..start]);
        let slot = slots.find(|slot| match slot.tag.compare_exchange(0, tag, Relaxed, Relaxed) {
            Ok(_) => true,
            Err(taken) => taken == tag,
        });
        if let Some(slot) = slot {
            slot.calls.fetch_add(1, Relaxed);
            slot.nanos.fetch_add(nanos, Relaxed);
        }
    }

    /// Returns the queries that were recorded, each once with all its calls.
    pub(crate) fn query_uses(&self) -> impl Iterator<Item = QueryUse> + '_ {
        self.uses.iter().filter_map(|slot| {
            let id = slot.tag.load(Relaxed).checked_sub(1)?;
            let id = u32::try_from(id).expect("a tag is a 32-bit id plus one");
            Some(QueryUse { id, calls: slot.calls.load(Relaxed), nanos: slot.nanos.load(Relaxed) })
        })
    }

    /// Ends the request: nothing is recorded on it from now on. Release, with the Acquire in `record`: a query that
    /// sees the end also sees the cancellation that was set before it.
    pub(crate) fn end(&self) {
        self.ended.store(true, Release);
    }

    /// Ends a request whose client disconnected. `endpoint` records the queries that had begun before and end later.
    pub(crate) fn cancel(&self, at: Instant, endpoint: Arc<dyn AfterEnd>) {
        self.go_on(Continuation::Cancelled, at, endpoint);
    }

    /// Ends a request that becomes an event stream or an upgraded connection. `endpoint` records the queries of it.
    pub(crate) fn detach(&self, at: Instant, endpoint: Arc<dyn AfterEnd>) {
        self.go_on(Continuation::Detached, at, endpoint);
    }

    fn go_on(&self, continuation: Continuation, at: Instant, endpoint: Arc<dyn AfterEnd>) {
        // Never set already: a request ends once.
        let _ = self.afterwards.set(Afterwards { continuation, at, endpoint, reported: Mutex::default() });
        self.end();
    }

    /// Counts an open stream, if the request became one.
    pub(crate) fn open_stream(&self) -> Option<OpenStream> {
        let afterwards = self.afterwards.get().filter(|after| after.continuation == Continuation::Detached)?;
        Some(OpenStream::new(afterwards.endpoint.open_streams().clone()))
    }

    /// Returns how many queries were recorded and how long they took in all.
    pub(crate) fn queries(&self) -> (u32, Duration) {
        (self.queries.load(Relaxed), Duration::from_nanos(self.query_nanos.load(Relaxed)))
    }

    /// Returns how many tasks were recorded and how long they took in all.
    pub(crate) fn tasks(&self) -> (u32, Duration) {
        (self.tasks.load(Relaxed), Duration::from_nanos(self.task_nanos.load(Relaxed)))
    }

    /// Returns the events on the timeline, in the order in which they ended.
    pub(crate) fn events(&self) -> impl Iterator<Item = Event> + '_ {
        let used = (self.used.load(Relaxed) as usize).min(EVENTS);
        self.slots[..used].iter().filter_map(|slot| {
            let tag = slot.tag.load(Acquire).checked_sub(1)?;
            Some(Event {
                kind: if tag & 1 == 1 { EventKind::Task } else { EventKind::Query },
                id: u32::try_from(tag >> 1).expect("a tag holds a 32-bit id above its lowest bit"),
                start: Duration::from_micros(slot.start_micros.load(Relaxed).into()),
                duration: Duration::from_micros(slot.duration_micros.load(Relaxed).into()),
            })
        })
    }

    /// Returns how much of the request's `duration` its queries and tasks cover.
    ///
    /// Exact if nothing overlaps or all events are on the timeline. Events past the end of the timeline are assumed to
    /// overlap as much as those on it.
    pub(crate) fn covered(&self, duration: Duration) -> Coverage {
        let (mut queries, mut all) = (Spans::new(), Spans::new());
        for event in self.events() {
            let span = (micros(event.start), micros((event.start + event.duration).min(duration)));
            all.push(span);
            if event.kind == EventKind::Query {
                queries.push(span);
            }
        }
        let (query_time, all_time) = (self.queries().1, self.queries().1 + self.tasks().1);
        let in_queries = queries.covered(query_time).min(duration);
        let in_all = all.covered(all_time).clamp(in_queries, duration);
        Coverage { queries: in_queries, tasks: in_all - in_queries }
    }

    /// Returns how many events are past the end of the timeline.
    pub(crate) fn events_beyond(&self) -> u32 {
        self.used.load(Relaxed).saturating_sub(EVENTS as u32)
    }
}

/// Spans of time of a request, in microseconds from its start. An array, so that the end of a request allocates
/// nothing.
struct Spans {
    spans: [(u32, u32); EVENTS],
    used: usize,
}

impl Spans {
    fn new() -> Self {
        Self { spans: [(0, 0); EVENTS], used: 0 }
    }

    fn push(&mut self, span: (u32, u32)) {
        if span.0 < span.1 {
            self.spans[self.used] = span;
            self.used += 1;
        }
    }

    /// Returns how much time the spans and those past the end of the timeline cover; `total` is the sum of all of them.
    fn covered(&mut self, total: Duration) -> Duration {
        let spans = &mut self.spans[..self.used];
        spans.sort_unstable();
        let (mut sum, mut union, mut end) = (0_u64, 0_u64, 0_u32);
        for (from, to) in spans.iter().copied() {
            sum += u64::from(to - from);
            union += u64::from(to.saturating_sub(from.max(end)));
            end = end.max(to);
        }
        // Without overlap the total is exact to the nanosecond, and the spans to the microsecond.
        if union == sum { total } else { total.mul_f64(union as f64 / sum as f64) }
    }
}

/// Returns microseconds in 32 bits, which last 71 minutes; longer durations stay at the limit.
fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn context(began: Instant) -> RequestContext {
        let recorder: super::super::DynRecorder = Arc::new(metrics::NoopRecorder);
        let limits = super::super::Limits {
            routes: 1,
            fingerprints: 1,
            slow_requests: 0,
            ignored: Vec::new(),
            db_system: "sqlite".into(),
        };
        RequestContext::new(Instruments::new(recorder.clone(), recorder, limits, Box::new(|| 0.0)), began)
    }

    /// Records events (kind, start and end in milliseconds) and returns how much of 100 ms they cover.
    fn covered(events: &[(EventKind, u32, u32)]) -> (u128, u128) {
        let began = Instant::now();
        let context = context(began);
        for (kind, from, to) in events {
            context.record(*kind, 0, began + *from * MS, (*to - *from) * MS);
        }
        let Coverage { queries, tasks } = context.covered(100 * MS);
        (queries.as_millis(), tasks.as_millis())
    }

    #[test]
    fn overlapping_events_cover_the_duration_once() {
        use EventKind::{Query, Task};
        assert_eq!(covered(&[]), (0, 0));
        assert_eq!(covered(&[(Query, 10, 30), (Query, 30, 40)]), (30, 0), "one after the other");
        assert_eq!(covered(&[(Query, 10, 30), (Query, 20, 40), (Query, 12, 15)]), (30, 0), "at the same time");
        assert_eq!(covered(&[(Query, 10, 30), (Task, 0, 50)]), (20, 30), "a query inside a task is a query");
        assert_eq!(covered(&[(Query, 0, 90), (Query, 0, 90), (Task, 80, 400)]), (90, 10), "never more than all");
    }

    /// Keeps the late queries.
    #[derive(Debug, Default)]
    struct LateQueryLog(Mutex<Vec<LateQuery>>);

    impl AfterEnd for LateQueryLog {
        fn record_detached(&self, query: LateQuery) {
            self.record_late(query);
        }

        fn open_streams(&self) -> &metrics::Gauge {
            panic!("the request is no stream");
        }

        fn record_late(&self, query: LateQuery) {
            lock(&self.0).push(query);
        }
    }

    #[test]
    fn a_query_that_a_cancelled_request_left_running_counts_as_late() {
        let began = Instant::now();
        let (mut context, reported) = (context(began), Arc::new(LateQueryLog::default()));
        context.record(EventKind::Query, 7, began, 10 * MS);
        context.cancel(began + 50 * MS, reported.clone());
        context.record(EventKind::Query, 7, began + 20 * MS, 100 * MS);
        context.record(EventKind::Query, 8, began + 40 * MS, 5 * MS);
        context.record(EventKind::Query, 9, began + 60 * MS, 5 * MS);
        context.record(EventKind::Task, 1, began + 20 * MS, 100 * MS);
        context.record(EventKind::Query, 8, began + 40 * MS, 6 * MS);
        let expected = [
            LateQuery { id: 7, is_first: false, before_end: 30 * MS, duration: 100 * MS },
            LateQuery { id: 8, is_first: true, before_end: 5 * MS, duration: 5 * MS },
            LateQuery { id: 8, is_first: false, before_end: 6 * MS, duration: 6 * MS },
        ];
        assert_eq!(*lock(&reported.0), expected, "no query that began later, and no task");
        assert_eq!(context.queries().0, 1, "the request itself is over");
        assert_eq!(
            context.query_uses().map(|query_use| query_use.calls).sum::<u64>(),
            1,
            "late ones are not the request's"
        );

        context.reset(began);
        context.record(EventKind::Query, 8, began, MS);
        context.end();
        context.record(EventKind::Query, 8, began, MS);
        assert_eq!(lock(&reported.0).len(), 3, "the next request was not cancelled");
        assert_eq!(context.query_uses().map(|query_use| query_use.calls).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn events_past_the_end_of_the_timeline_count() {
        let many: Vec<_> = (0..EVENTS as u32 + 16).map(|at| (EventKind::Query, at, at + 1)).collect();
        assert_eq!(covered(&many), (80, 0));
        let at_once: Vec<_> = many.iter().flat_map(|event| [*event; 2]).collect();
        let (queries, _) = covered(&at_once);
        assert!((79..=80).contains(&queries), "{queries}");
    }
}
