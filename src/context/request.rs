//! [`RequestContext`]: the queries and tasks of one request.

use std::{
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{
            AtomicBool, AtomicU32, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use tokio::time::Instant;

use super::Instruments;

/// Events kept whole per request; further ones are counted in the totals only. Sentry and the nest profiler flag
/// request timelines of tens of spans; 64 shows an N+1 beyond doubt and keeps a context under 2 KiB.
const EVENTS: usize = 64;

/// What an [`Event`] is about.
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
    /// Query or task.
    pub(crate) kind: EventKind,
    /// Which one, in the instruments' tables.
    pub(crate) id: u32,
    /// When it started, from the start of the request.
    pub(crate) start: Duration,
    /// How long it took.
    pub(crate) duration: Duration,
}

/// Parts of a request's duration, by what went on. What overlaps counts once, so they never exceed the duration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Covered {
    /// While at least one query ran.
    pub(crate) queries: Duration,
    /// While a task ran and no query.
    pub(crate) tasks: Duration,
}

#[derive(Debug, Default)]
struct Slot {
    /// Kind in the lowest bit, id above it, plus one, so that zero means "not written yet".
    tag: AtomicU64,
    start_micros: AtomicU32,
    duration_micros: AtomicU32,
}

/// Fingerprints counted one by one per request; calls of further ones are in the totals only.
const FINGERPRINTS: usize = 32;

/// All calls of one query by a request, also those that the timeline has no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueryUse {
    pub(crate) id: u32,
    pub(crate) calls: u64,
    pub(crate) nanos: u64,
}

#[derive(Debug, Default)]
struct UseSlot {
    /// The fingerprint's id plus one; zero while the slot is free.
    tag: AtomicU64,
    calls: AtomicU64,
    nanos: AtomicU64,
}

/// A query that went on after the client of its request had gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LateQuery {
    pub(crate) id: u32,
    /// Whether the request had not issued this query before.
    pub(crate) first: bool,
    /// While the request still lasted.
    pub(crate) within: Duration,
    pub(crate) duration: Duration,
}

/// Books what requests whose client had gone left running.
pub(crate) trait Abandoned: fmt::Debug + Send + Sync {
    fn late(&self, query: LateQuery);
}

/// What a request whose client has gone left behind.
#[derive(Debug)]
struct Left {
    /// When it had gone.
    at: Instant,
    /// Who is told of the queries that go on.
    endpoint: Arc<dyn Abandoned>,
    /// Those that were told. Apart from the request's own, which are read while these come.
    told: Mutex<Vec<u32>>,
}

/// What one request did. Reused from a pool: nothing in it outlives the request but its allocation.
#[derive(Debug)]
pub(crate) struct RequestContext {
    instruments: Arc<Instruments>,
    started: Instant,
    ended: AtomicBool,
    /// Whether the monitor is answering it itself.
    own: AtomicBool,
    /// Set before its end where its client has gone.
    abandoned: OnceLock<Left>,
    queries: AtomicU32,
    query_nanos: AtomicU64,
    tasks: AtomicU32,
    task_nanos: AtomicU64,
    used: AtomicU32,
    slots: Box<[Slot]>,
    uses: Box<[UseSlot]>,
}

impl RequestContext {
    pub(super) fn new(instruments: Arc<Instruments>, started: Instant) -> Self {
        Self {
            instruments,
            started,
            ended: AtomicBool::new(false),
            own: AtomicBool::new(false),
            abandoned: OnceLock::new(),
            queries: AtomicU32::new(0),
            query_nanos: AtomicU64::new(0),
            tasks: AtomicU32::new(0),
            task_nanos: AtomicU64::new(0),
            used: AtomicU32::new(0),
            slots: (0..EVENTS).map(|_| Slot::default()).collect(),
            uses: (0..FINGERPRINTS).map(|_| UseSlot::default()).collect(),
        }
    }

    /// Makes a context that nobody else holds ready for the next request.
    pub(super) fn reset(&mut self, started: Instant) {
        self.started = started;
        *self.ended.get_mut() = false;
        *self.own.get_mut() = false;
        self.abandoned.take();
        if *self.queries.get_mut() > 0 {
            self.uses.fill_with(UseSlot::default);
        }
        *self.queries.get_mut() = 0;
        *self.query_nanos.get_mut() = 0;
        *self.tasks.get_mut() = 0;
        *self.task_nanos.get_mut() = 0;
        let used = std::mem::take(self.used.get_mut()) as usize;
        for slot in self.slots.iter_mut().take(used) {
            *slot.tag.get_mut() = 0;
        }
    }

    /// Returns the instruments that this request is recorded through.
    pub(crate) fn instruments(&self) -> &Arc<Instruments> {
        &self.instruments
    }

    /// The monitor begins to answer the request itself.
    pub(crate) fn begin_own_answer(&self) {
        self.own.store(true, Relaxed);
    }

    /// The answer is made; whether it is passed on is not known here.
    pub(crate) fn end_own_answer(&self) {
        self.own.store(false, Relaxed);
    }

    /// Returns whether the monitor is answering the request itself.
    pub(crate) fn is_own(&self) -> bool {
        self.own.load(Relaxed)
    }

    /// Books one query or task. What comes after the request's end is not the request's any more, but for the queries
    /// that it left running when its client went away. Returns whether it is the request's.
    pub(crate) fn book(&self, kind: EventKind, id: u32, began: Instant, duration: Duration) -> bool {
        if self.ended.load(Acquire) {
            self.book_late(kind, id, began, duration);
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
            self.book_use(id, nanos);
        }
        let slot = self.used.fetch_add(1, Relaxed) as usize;
        if let Some(slot) = self.slots.get(slot) {
            slot.start_micros.store(micros(began.saturating_duration_since(self.started)), Relaxed);
            slot.duration_micros.store(micros(duration), Relaxed);
            let kind = u64::from(kind == EventKind::Task);
            // Release: whoever sees the tag sees the times before it.
            slot.tag.store((u64::from(id) << 1 | kind) + 1, Release);
        }
        true
    }

    fn book_late(&self, kind: EventKind, id: u32, began: Instant, duration: Duration) {
        if let Some(Left { at, endpoint, told }) = self.abandoned.get()
            && kind == EventKind::Query
            && began < *at
        {
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            let first = !told.contains(&id) && self.query_uses().all(|query_use| query_use.id != id);
            told.push(id);
            endpoint.late(LateQuery { id, first, within: (*at - began).min(duration), duration });
        }
    }

    fn book_use(&self, id: u32, nanos: u64) {
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

    /// Returns the queries that were booked, each once with all its calls.
    pub(crate) fn query_uses(&self) -> impl Iterator<Item = QueryUse> + '_ {
        self.uses.iter().filter_map(|slot| {
            let id = slot.tag.load(Relaxed).checked_sub(1)?;
            let id = u32::try_from(id).expect("a tag is a 32-bit id plus one");
            Some(QueryUse { id, calls: slot.calls.load(Relaxed), nanos: slot.nanos.load(Relaxed) })
        })
    }

    /// Ends the request: later bookings are ignored.
    pub(crate) fn end(&self) {
        self.ended.store(true, Release);
    }

    /// Ends a request whose client has gone: of later bookings, `endpoint` is told of the queries that were under way.
    pub(crate) fn abandon(&self, gone: Instant, endpoint: Arc<dyn Abandoned>) {
        // A request ends once.
        let _ = self.abandoned.set(Left { at: gone, endpoint, told: Mutex::default() });
        self.end();
    }

    /// Returns how many queries were booked and how long they took in all.
    pub(crate) fn queries(&self) -> (u32, Duration) {
        (self.queries.load(Relaxed), Duration::from_nanos(self.query_nanos.load(Relaxed)))
    }

    /// Returns how many tasks were booked and how long they took in all.
    pub(crate) fn tasks(&self) -> (u32, Duration) {
        (self.tasks.load(Relaxed), Duration::from_nanos(self.task_nanos.load(Relaxed)))
    }

    /// Returns the events that were kept, in the order in which they ended.
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

    /// Returns which parts of the request's `duration` its queries and tasks cover.
    ///
    /// Exact where nothing overlaps or everything is on the timeline. What had no place on a full timeline is taken to
    /// overlap as much as what had one.
    pub(crate) fn covered(&self, duration: Duration) -> Covered {
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
        Covered { queries: in_queries, tasks: in_all - in_queries }
    }

    /// Returns how many events did not fit into the timeline.
    pub(crate) fn events_beyond(&self) -> u32 {
        self.used.load(Relaxed).saturating_sub(EVENTS as u32)
    }
}

/// Stretches of a request, in microseconds from its start. On the stack.
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

    /// Returns how much of the time the spans cover, out of the `total` that they and those without a place took.
    fn covered(&mut self, total: Duration) -> Duration {
        let spans = &mut self.spans[..self.used];
        spans.sort_unstable();
        let (mut sum, mut union, mut end) = (0_u64, 0_u64, 0_u32);
        for (from, to) in spans.iter().copied() {
            sum += u64::from(to - from);
            union += u64::from(to.saturating_sub(from.max(end)));
            end = end.max(to);
        }
        // Without overlap the total is right to the nanosecond.
        if union == sum { total } else { total.mul_f64(union as f64 / sum as f64) }
    }
}

/// Microseconds in 32 bits: 71 minutes, enough for a request's timeline; longer ones stay at the limit.
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

    /// Books events of a kind, start and end in milliseconds, and returns what they cover of 100 ms.
    fn covered(events: &[(EventKind, u32, u32)]) -> (u128, u128) {
        let began = Instant::now();
        let context = context(began);
        for (kind, from, to) in events {
            context.book(*kind, 0, began + *from * MS, (*to - *from) * MS);
        }
        let Covered { queries, tasks } = context.covered(100 * MS);
        (queries.as_millis(), tasks.as_millis())
    }

    #[test]
    fn what_overlaps_covers_the_duration_once() {
        use EventKind::{Query, Task};
        assert_eq!(covered(&[]), (0, 0));
        assert_eq!(covered(&[(Query, 10, 30), (Query, 30, 40)]), (30, 0), "one after the other");
        assert_eq!(covered(&[(Query, 10, 30), (Query, 20, 40), (Query, 12, 15)]), (30, 0), "at the same time");
        assert_eq!(covered(&[(Query, 10, 30), (Task, 0, 50)]), (20, 30), "a query inside a task is a query");
        assert_eq!(covered(&[(Query, 0, 90), (Query, 0, 90), (Task, 80, 400)]), (90, 10), "never more than all");
    }

    /// Keeps what it is told.
    #[derive(Debug, Default)]
    struct Told(Mutex<Vec<LateQuery>>);

    impl Abandoned for Told {
        fn late(&self, query: LateQuery) {
            self.0.lock().expect("not poisoned").push(query);
        }
    }

    #[test]
    fn a_query_that_an_abandoned_request_left_running_is_told_to_its_endpoint() {
        let began = Instant::now();
        let (mut context, told) = (context(began), Arc::new(Told::default()));
        context.book(EventKind::Query, 7, began, 10 * MS);
        context.abandon(began + 50 * MS, told.clone());
        context.book(EventKind::Query, 7, began + 20 * MS, 100 * MS);
        context.book(EventKind::Query, 8, began + 40 * MS, 5 * MS);
        context.book(EventKind::Query, 9, began + 60 * MS, 5 * MS);
        context.book(EventKind::Task, 1, began + 20 * MS, 100 * MS);
        context.book(EventKind::Query, 8, began + 40 * MS, 6 * MS);
        let expected = [
            LateQuery { id: 7, first: false, within: 30 * MS, duration: 100 * MS },
            LateQuery { id: 8, first: true, within: 5 * MS, duration: 5 * MS },
            LateQuery { id: 8, first: false, within: 6 * MS, duration: 6 * MS },
        ];
        assert_eq!(*told.0.lock().expect("not poisoned"), expected, "neither what began later nor a task");
        assert_eq!(context.queries().0, 1, "the request itself is over");
        assert_eq!(context.query_uses().map(|query_use| query_use.calls).sum::<u64>(), 1, "nobody counts them again");

        context.reset(began);
        context.book(EventKind::Query, 8, began, MS);
        context.end();
        context.book(EventKind::Query, 8, began, MS);
        assert_eq!(told.0.lock().expect("not poisoned").len(), 3, "the next request was not abandoned");
        assert_eq!(context.query_uses().map(|query_use| query_use.calls).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn what_the_timeline_has_no_room_for_counts_all_the_same() {
        let many: Vec<_> = (0..EVENTS as u32 + 16).map(|at| (EventKind::Query, at, at + 1)).collect();
        assert_eq!(covered(&many), (80, 0));
        let at_once: Vec<_> = many.iter().flat_map(|event| [*event; 2]).collect();
        let (queries, _) = covered(&at_once);
        assert!((79..=80).contains(&queries), "{queries}");
    }
}
