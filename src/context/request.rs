//! [`RequestContext`]: what one request did and waited for.
//!
//! Futures on any thread record on it, with atomics alone; the request reads it when it ends. The invariant that a
//! change could break: nothing is added to a request that has ended, since its context may serve the next one by then.

#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{
            AtomicBool, AtomicU32, AtomicU64, AtomicUsize,
            Ordering::{Acquire, Relaxed, Release},
            fence,
        },
    },
    task::Waker,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    AfterEnd, Did, EndpointNumber, Event, Instruments, LateQuery, OpenStream, Part, Place, RequestTime, StreamMessages,
    Use,
    clock::Moment,
    division::{Division, EVENTS, Span, USES},
    event::{EventSlot, micros},
    holds::TaskHolds,
    live::LivePlace,
    nanos::nanos,
    scheme::Scheme,
    trace_id::{SampledTrace, TraceSlot},
    used::{UseSlot, scaled, use_tag},
    wakes::Wakes,
};
use crate::lock::lock;

/// Waits of the runtime, and waits of the client, that the timeline shows. They come in any number, and must not take the
/// places of what the request did.
const WAITS: u32 = 16;

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

/// What a context is taken for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// A request of an endpoint.
    Request(EndpointNumber),
    /// A tracked task, as part of a request or of another task.
    Task { parent: Option<Arc<RequestContext>>, holds: Arc<TaskHolds> },
}

/// What one request did, or one tracked task. Reused from a pool, so that only its allocation outlives the request.
#[derive(Debug)]
pub(crate) struct RequestContext {
    instruments: Arc<Instruments>,
    /// Of a tracked task: the request or the task that it is part of. What it does counts for both.
    parent: Option<Arc<RequestContext>>,
    /// Of a tracked task: what its runs hold.
    holds: Option<Arc<TaskHolds>>,
    /// Whether it is a request, and not a task.
    is_request: bool,
    /// The number of the [`Moment`] of its start. An atomic, so that a context can begin again without being anybody's alone in the
    /// compiler's eyes, which costs a locked instruction to prove. Relaxed: read by what runs within the request.
    started: AtomicU64,
    ended: AtomicBool,
    /// Whether the monitor itself is answering it.
    own: AtomicBool,
    /// Set before `ended` if something follows.
    afterwards: OnceLock<Afterwards>,
    counts: [AtomicU32; Part::COUNT],
    nanos: [AtomicU64; Part::COUNT],
    wakes: Wakes,
    /// Where it shows since when the request has been in flight.
    live: Arc<LivePlace>,
    /// Method and scheme under which it is counted among the requests in flight, as [`in_flight_as`](Self::in_flight_as) reads
    /// them; 0 for none.
    in_flight_as: AtomicUsize,
    /// Bytes of the request's body that were received.
    received: AtomicU64,
    trace: TraceSlot,
    used: AtomicU32,
    slots: Box<[EventSlot]>,
    uses: Box<[UseSlot]>,
}

impl RequestContext {
    pub(super) fn new(instruments: Arc<Instruments>) -> Self {
        Self {
            live: instruments.live_place(),
            parent: None,
            holds: None,
            is_request: false,
            started: AtomicU64::new(0),
            instruments,
            ended: AtomicBool::new(false),
            own: AtomicBool::new(false),
            afterwards: OnceLock::new(),
            counts: Default::default(),
            nanos: Default::default(),
            wakes: Wakes::default(),
            in_flight_as: AtomicUsize::new(0),
            received: AtomicU64::new(0),
            trace: TraceSlot::default(),
            used: AtomicU32::new(0),
            slots: (0..EVENTS).map(|_| EventSlot::default()).collect(),
            uses: (0..USES).map(|_| UseSlot::default()).collect(),
        }
    }

    /// Prepares a context for what begins. `&mut`: no other owner is left that could record on it.
    pub(super) fn reset(&mut self, purpose: Purpose, started: Moment) {
        self.afterwards.take();
        let endpoint = match purpose {
            Purpose::Request(endpoint) => {
                (self.is_request, self.parent, self.holds) = (true, None, None);
                Some(endpoint)
            }
            Purpose::Task { parent, holds } => {
                (self.is_request, self.parent, self.holds) = (false, parent, Some(holds));
                None
            }
        };
        self.begin(endpoint, started);
    }

    /// Returns whether it can serve another request by [`begin`](Self::begin) alone: it was one's, nothing followed its end, and
    /// nothing else holds it.
    pub(super) fn can_begin_again(self: &Arc<Self>) -> bool {
        let is_unowned = Arc::strong_count(self) == 1;
        // What the last other owner recorded comes before what follows here.
        fence(Acquire);
        is_unowned && self.is_request && self.afterwards.get().is_none()
    }

    /// Begins a request of an endpoint, or a task, with all that was recorded forgotten. Nothing else may hold the context.
    pub(super) fn begin(&self, endpoint: Option<EndpointNumber>, started: Moment) {
        self.started.store(started.number(), Relaxed);
        if let Some(endpoint) = endpoint {
            self.live.begin(endpoint, started);
        }
        self.ended.store(false, Relaxed);
        self.own.store(false, Relaxed);
        // Once more: what held the context after the last end may have woken it.
        self.wakes.end();
        if self.did_anything() {
            self.uses.iter().for_each(UseSlot::clear);
            self.counts.iter().for_each(|count| count.store(0, Relaxed));
            self.nanos.iter().for_each(|nanos| nanos.store(0, Relaxed));
            let used = self.used.swap(0, Relaxed) as usize;
            self.slots.iter().take(used).for_each(EventSlot::clear);
        }
        self.in_flight_as.store(0, Relaxed);
        self.received.store(0, Relaxed);
        self.trace.clear();
    }

    pub(super) fn trace_slot(&self) -> &TraceSlot {
        &self.trace
    }

    /// Returns the sampled trace of the request, or of that which a task is part of.
    pub(crate) fn trace(&self) -> Option<SampledTrace> {
        if self.ended.load(Relaxed) {
            return None;
        }
        self.trace.get().or_else(|| self.parent.as_ref()?.trace())
    }

    pub(super) fn wakes(&self) -> &Wakes {
        &self.wakes
    }

    /// Takes the task's own waker before a poll, and records for how long the poll was waited for if it is late.
    pub(crate) fn poll_begins(&self, task: &Waker) {
        if let Some((since, late)) = self.wakes.poll_begins(task, self.started()) {
            self.record(Part::Late, &Did::waited(since, late));
        }
    }

    /// Notes the end of a long poll.
    pub(crate) fn long_poll_ends(&self) {
        self.wakes.long_poll_ends(self.started());
    }

    /// Notes the end of a poll after which the request waits.
    pub(crate) fn poll_ends(&self) {
        self.wakes.poll_ends(self.started());
    }

    /// Returns when it began, by tokio's clock. The first that asks has it converted, for all that ask later.
    pub(crate) fn started(&self) -> Instant {
        let (clock, number) = (self.instruments.clock(), self.started.load(Relaxed));
        let Some(started) = Moment::from_number(number) else { return Instant::now() };
        let at = clock.instant(started);
        if started.is_of_tokio() {
            return at;
        }
        match self.started.compare_exchange(number, clock.moment(at).number(), Relaxed, Relaxed) {
            Ok(_) => at,
            Err(other) => Moment::from_number(other).map_or(at, |started| clock.instant(started)),
        }
    }

    /// Returns the instruments that this request is recorded through.
    pub(crate) fn instruments(&self) -> &Arc<Instruments> {
        &self.instruments
    }

    /// Notes that the request is counted among those in flight of a method, by its place among the known ones, and a scheme.
    /// Relaxed: the request's own futures read it.
    pub(crate) fn count_in_flight_as(&self, method: usize, scheme: Scheme) {
        self.in_flight_as.store(1 + method * Scheme::COUNT + scheme as usize, Relaxed);
    }

    /// Returns the method and the scheme under which the request is counted among those in flight; `None` for a task.
    pub(crate) fn in_flight_as(&self) -> Option<(usize, Scheme)> {
        let number = self.in_flight_as.load(Relaxed).checked_sub(1)?;
        Some((number / Scheme::COUNT, Scheme::ALL[number % Scheme::COUNT]))
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

    /// Records something that the request did or waited for, and returns whether it counts for the request. After the
    /// request's end it does not; queries that a cancelled request left running count as late ones.
    ///
    /// Relaxed, except for `ended` and the tags: each atomic is read for its own value. What the request's own futures
    /// recorded happened before its end, in its polls; of a spawned task the end may miss what it records at that
    /// moment.
    pub(crate) fn record(&self, part: Part, did: &Did) -> bool {
        let Did { id, began, duration, failed, place, exact } = *did;
        let counts = match &self.parent {
            Some(parent) if part.is_named() => parent.record(part, did),
            _ => self.is_request,
        };
        if self.ended.load(Acquire) {
            self.record_late(part, id, began, duration);
            return counts && !self.is_request;
        }
        let nanos = nanos(duration);
        let before = self.counts[part as usize].fetch_add(1, Relaxed);
        self.nanos[part as usize].fetch_add(nanos, Relaxed);
        if part.is_named() {
            if let Some(slot) = self.use_slot(part, id) {
                let before = slot.calls.fetch_add(1, Relaxed);
                slot.nanos.fetch_add(nanos, Relaxed);
                if failed {
                    slot.failed.fetch_add(1, Relaxed);
                }
                if exact != 0 {
                    slot.note_exact(exact, before);
                }
                if place != Place::NONE {
                    slot.place.store(place.number().into(), Relaxed);
                }
            }
        } else if before >= WAITS {
            return counts;
        }
        let slot = self.used.fetch_add(1, Relaxed) as usize;
        if let Some(slot) = self.slots.get(slot) {
            slot.write(part, id, place, began.saturating_duration_since(self.started()), duration);
        }
        counts
    }

    /// Returns whether it knows of a task or its parent: the pool keeps no context that does.
    pub(super) fn is_task(&self) -> bool {
        self.holds.is_some()
    }

    /// Forgets the task, and what it was part of.
    pub(super) fn forget_task(&mut self) {
        (self.parent, self.holds) = (None, None);
    }

    /// Records for how long what it had waited for was held: for the request or, outside of one, for the outermost task, so that
    /// each hold has one owner. Returns whether it has one; after their end it has none.
    pub(crate) fn record_hold(&self, part: Part, id: u32, place: Place, held: Duration) -> bool {
        if self.parent.as_ref().is_some_and(|parent| parent.record_hold(part, id, place, held)) {
            return true;
        }
        if self.ended.load(Acquire) {
            return false;
        }
        if let Some(holds) = &self.holds {
            holds.record(part, id, place, held, || self.instruments.name_of(part, id));
            return true;
        }
        let Some(slot) = self.use_slot(part, id) else { return false };
        slot.held_nanos.fetch_add(nanos(held), Relaxed);
        slot.holds.fetch_add(1, Relaxed);
        true
    }

    fn record_late(&self, part: Part, id: u32, began: Instant, duration: Duration) {
        let Some(Afterwards { continuation, at, endpoint, reported }) = self.afterwards.get() else { return };
        if part != Part::Db || *continuation == Continuation::Cancelled && began >= *at {
            return;
        }
        let mut reported = lock(reported);
        let is_new = !reported.contains(&id);
        if is_new {
            reported.push(id);
        }
        let is_first = is_new && self.uses.iter().all(|slot| slot.tag.load(Relaxed) != use_tag(Part::Db, id));
        let before_end = at.saturating_duration_since(began).min(duration);
        let query = LateQuery { id, is_first, before_end, duration };
        match continuation {
            Continuation::Cancelled => endpoint.record_late(query),
            Continuation::Detached => endpoint.record_detached(query),
        }
    }

    /// Returns the slot of a name, which is taken if it is new; `None` if all are taken.
    fn use_slot(&self, part: Part, id: u32) -> Option<&UseSlot> {
        let tag = use_tag(part, id);
        let start = id as usize % USES;
        let mut slots = self.uses[start..].iter().chain(&self.uses[..start]);
        slots.find(|slot| match slot.tag.compare_exchange(0, tag, Relaxed, Relaxed) {
            Ok(_) => true,
            Err(taken) => taken == tag,
        })
    }

    /// Ends the request: nothing is recorded on it from now on. Release, with the Acquire in `record`: a query that
    /// sees the end also sees the cancellation that was set before it.
    pub(crate) fn end(&self) {
        self.ended.store(true, Release);
        self.no_longer_in_flight();
    }

    /// Ends what is followed of a request in flight: its wakes and its age.
    pub(crate) fn no_longer_in_flight(&self) {
        self.wakes.end();
        self.live.end();
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
        Some(OpenStream::new(afterwards.endpoint.clone()))
    }

    /// Returns the counters of the messages of what the request became; `None` if it became nothing that lasts.
    pub(crate) fn stream_messages(&self) -> Option<StreamMessages> {
        let afterwards = self.afterwards.get().filter(|after| after.continuation == Continuation::Detached)?;
        Some(afterwards.endpoint.stream_messages())
    }

    /// Returns how often something of this part was recorded.
    pub(crate) fn count(&self, part: Part) -> u32 {
        self.counts[part as usize].load(Relaxed)
    }

    /// Returns whether anything was recorded: the first of each part is on the timeline.
    pub(crate) fn did_anything(&self) -> bool {
        self.used.load(Relaxed) > 0
    }

    /// Returns the events on the timeline, in the order in which they ended.
    pub(crate) fn events(&self) -> impl Iterator<Item = Event> + '_ {
        let used = (self.used.load(Relaxed) as usize).min(EVENTS);
        self.slots[..used].iter().filter_map(EventSlot::read)
    }

    /// Returns how much of what began then and took so long was the runtime's: the request could go on, and was not polled. As far
    /// as the timeline has it.
    pub(crate) fn late_within(&self, began: Instant, duration: Duration) -> Duration {
        if self.count(Part::Late) == 0 {
            return Duration::ZERO;
        }
        let from = began.saturating_duration_since(self.started());
        let within = |event: Event| {
            let end = (event.start + event.duration).min(from + duration);
            end.saturating_sub(event.start.max(from))
        };
        let late = self.events().filter(|event| event.part == Part::Late).map(within).sum::<Duration>();
        late.min(duration)
    }

    /// Divides the request's `duration`, and calls `visit` with each of its uses.
    ///
    /// Exact if nothing overlaps or all events are on the timeline. Events past the end of the timeline are assumed to
    /// overlap as much as those on it.
    pub(crate) fn divide(&self, duration: Duration, mut visit: impl FnMut(Use)) -> RequestTime {
        let span = |event: Event| {
            let tag = use_tag(event.part, event.id);
            let is_its_use = |slot: &UseSlot| slot.tag.load(Relaxed) == tag;
            let used_as = event.part.is_named().then(|| self.uses.iter().position(is_its_use)).flatten();
            let end = micros(event.start + event.duration);
            Span { part: event.part, used_as: used_as.map(|at| at as u8), from: micros(event.start), to: end }
        };
        let division = Division::of(self.events().map(span), micros_up(duration));
        for (slot, own) in self.uses.iter().zip(division.uses) {
            slot.read(own).into_iter().for_each(&mut visit);
        }
        let mut left = duration;
        let mut take = |time: u64, part: Part| {
            let total = self.nanos[part as usize].load(Relaxed);
            let time = Duration::from_nanos(scaled(time, division.sums[part as usize], total)).min(left);
            left -= time;
            time
        };
        let parts = Part::ALL.map(|part| take(division.parts[part as usize], part));
        let db = Part::Db as usize;
        let queries = scaled(division.queries, division.sums[db], self.nanos[db].load(Relaxed));
        RequestTime::new(parts, Duration::from_nanos(queries).min(duration))
    }

    /// Returns how many events are past the end of the timeline.
    pub(crate) fn events_beyond(&self) -> u32 {
        self.used.load(Relaxed).saturating_sub(EVENTS as u32)
    }
}

/// Returns microseconds rounded up, so that what ends with the request is not cut.
fn micros_up(duration: Duration) -> u32 {
    u32::try_from(duration.as_nanos().div_ceil(1000)).unwrap_or(u32::MAX)
}
