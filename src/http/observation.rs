//! [`Observation`]: measures one request.
//!
//! The whole life of a request: `begin`, polls with the request current, `head`, `sent` for each part of the body, and
//! one of `end`, `discard` and `Drop`, which decides between panicked, complete and cancelled.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{
    request_body,
    series::{DurationLabels, EndpointSeries, nanos},
};
use crate::{
    context::{
        Carrier, Local, RequestContext, SlowRequest, TraceId, enter,
        watch::{Hold, LONG, WatchedPoll},
    },
    names,
};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With the last byte of its response, or at its head if nothing that counts follows.
    Complete,
    /// The response's body failed.
    BodyError,
    /// The service returned an error instead of a response.
    ServiceError,
}

/// What follows a response's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterHead {
    /// Nothing.
    Nothing,
    /// A body that knows its size.
    SizedBody,
    /// A body that does not.
    StreamedBody,
    /// Something that is no part of the request and may last for days: an event stream, or an upgraded connection.
    Detached,
}

/// Measures one request. If it is dropped before its end, it records a cancelled or a panicked request.
#[derive(Debug)]
pub(super) struct Observation {
    series: Local<EndpointSeries>,
    /// `None` while it is the thread's current one, and after the end.
    context: Option<Arc<RequestContext>>,
    carrier: Carrier,
    started: Instant,
    busy: Duration,
    longest_poll: Duration,
    status: Option<u16>,
    trace_id: Option<TraceId>,
    /// Bytes of the response's body that were sent; `None` before the head, and if the rest is detached.
    response_bytes: Option<u64>,
    /// Bytes allocated while it was polled; 0 without the counting allocator.
    allocated: u64,
    /// Whether it becomes an event stream or an upgraded connection.
    detached: bool,
    /// Whether the service or the body is being polled. If it is dropped then, the poll has panicked.
    polling: bool,
    /// Whether all of a body of known size was sent. If it is dropped then, it is complete: hyper does not poll for the
    /// end of such a body.
    sent_in_full: bool,
    done: bool,
}

impl Observation {
    pub(super) fn begin(series: Local<EndpointSeries>, trace_id: Option<TraceId>, started: Instant) -> Self {
        series.active.increment(1.0);
        let context = series.instruments.begin_request(started);
        Self {
            carrier: Carrier::of(&context),
            context: Some(context),
            series,
            started,
            busy: Duration::ZERO,
            longest_poll: Duration::ZERO,
            status: None,
            trace_id,
            response_bytes: None,
            allocated: 0,
            detached: false,
            polling: false,
            sent_in_full: false,
            done: false,
        }
    }

    /// Has the bytes of the request's body counted.
    pub(super) fn count_received<B: 'static>(&self, body: &mut B) {
        if let Some(context) = &self.context {
            request_body::count(body, context);
        }
    }

    /// Polls with this request as the thread's current one.
    pub(super) fn poll<T>(&mut self, poll: impl FnOnce() -> T) -> T {
        self.polling = true;
        let polled = self.within(poll);
        self.polling = false;
        polled
    }

    /// Runs `work` with this request as the thread's current one.
    #[inline(always)]
    pub(super) fn within<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let entered = enter(&mut self.context, &self.carrier);
        let heap = self.series.heap.enter();
        let done = work();
        self.allocated += heap.leave();
        drop(entered);
        done
    }

    /// Polls and adds the time to `busy`. A poll that blocked the runtime is recorded as such, and a watched one divided, unless
    /// `is_own` finds that its result is an answer of the monitor.
    ///
    /// Reads quanta's clock, the CPU's time-stamp counter, which costs less than half of the system's clock: no other
    /// clock is read as often.
    pub(super) fn poll_timed<T>(&mut self, poll: impl FnOnce() -> T, is_own: impl FnOnce(&T) -> bool) -> T {
        let watched = self.series.watch.begin();
        let began = quanta::Instant::now();
        let polled = self.poll(poll);
        let took = began.elapsed();
        self.busy += took;
        if watched.is_none() && took < LONG {
            self.longest_poll = self.longest_poll.max(took);
        } else if !self.is_own() && !is_own(&polled) {
            self.watched(watched, took);
        }
        polled
    }

    /// Ends a poll that was watched or long. One inside `block_in_place` kept no worker from other work.
    #[cold]
    fn watched(&mut self, watched: Option<WatchedPoll>, took: Duration) {
        if self.series.watch.end(watched, took) == Hold::InPlace {
            return;
        }
        self.longest_poll = self.longest_poll.max(took);
        if took >= names::BLOCKING {
            self.blocked(took);
        }
    }

    /// Records a poll that blocked a worker, and the endpoints that may have waited for it. Reading the requests in
    /// flight takes a lock, which is negligible next to such a poll.
    #[cold]
    fn blocked(&self, poll: Duration) {
        let blocking = self.series.blocking();
        blocking.polls.record(poll.as_secs_f64());
        blocking.others.record((self.series.instruments.in_flight() - 1.0).max(0.0));
        blocking.waited.count(&self.series.instruments, &self.series.labels);
    }

    /// Notes the response's head.
    pub(super) fn head(&mut self, status: u16, after: AfterHead) {
        self.status = Some(status);
        self.detached = after == AfterHead::Detached;
        self.response_bytes = (after != AfterHead::Detached).then_some(0);
        if after == AfterHead::StreamedBody {
            self.series.head().record(self.started.elapsed().as_secs_f64());
        }
    }

    /// Notes a part of the response's body.
    pub(super) fn sent(&mut self, bytes: usize) {
        *self.response_bytes.get_or_insert(0) += bytes as u64;
    }

    /// Notes that the body is being dropped. `size` is its size if it is known.
    pub(super) fn body_dropped(&mut self, size: Option<u64>) {
        self.sent_in_full = size.is_some_and(|size| self.response_bytes >= Some(size));
    }

    /// Ends a request at its head that becomes an event stream, and returns the request for the stream's polls.
    pub(super) fn end_as_stream(self) -> Option<Arc<RequestContext>> {
        let context = self.context.clone();
        self.end(End::Complete);
        context
    }

    /// Ends the request.
    pub(super) fn end(mut self, end: End) {
        let error = match end {
            End::Complete => None,
            End::BodyError => Some(names::BODY_ERROR),
            End::ServiceError => Some(names::SERVICE_ERROR),
        };
        self.record(error);
    }

    /// Ends a request that the monitor answers itself, and records nothing of it.
    pub(super) fn discard(&mut self) {
        self.done = true;
        self.series.active.decrement(1.0);
        self.release();
    }

    /// Returns whether the monitor itself is answering the request.
    fn is_own(&self) -> bool {
        self.context.as_ref().is_some_and(|context| context.is_own())
    }

    fn record(&mut self, error: Option<&'static str>) {
        self.done = true;
        let now = Instant::now();
        let duration = now.saturating_duration_since(self.started);
        // `busy` and `duration` come from two clocks, which never agree to the nanosecond, and tokio's may be paused.
        self.busy = self.busy.min(duration);
        self.longest_poll = self.longest_poll.min(duration);
        let series = &*self.series;
        series.active.decrement(1.0);
        series.duration(DurationLabels { status: self.status, error }).record(duration.as_secs_f64());
        let ended = series.ended();
        ended.busy.record(self.busy.as_secs_f64());
        ended.longest_poll.record(self.longest_poll.as_secs_f64());
        ended.allocated.record(self.allocated);
        let received = self.context.as_ref().map_or(0, |context| context.received());
        if received > 0 {
            series.request_size().record(received as f64);
        }
        if let Some(bytes) = self.response_bytes {
            series.response_size().record(bytes as f64);
        }
        if let Some(context) = &self.context {
            if error == Some(names::CANCELLED) {
                context.cancel(now, self.series.shared().clone());
            } else if self.detached {
                context.detach(now, self.series.shared().clone());
            } else {
                context.end();
            }
            record_events(series, context, &FinishedRequest { duration, busy: self.busy, error });
            ended.slowest.offer(duration, || SlowRequest {
                at: SystemTime::now(),
                ended: now,
                duration,
                busy: self.busy,
                longest_poll: self.longest_poll,
                status: self.status,
                error,
                trace_id: self.trace_id,
                timeline: context.timeline(),
                beyond: context.events_beyond(),
                queries: context.queries().0,
                calls: context.calls(),
            });
        }
        self.release();
    }

    fn release(&mut self) {
        // First: the carrier's span owns the context too, and the pool only keeps contexts without another owner.
        self.carrier = Carrier::default();
        if let Some(context) = self.context.take() {
            self.series.instruments.give_back(context);
        }
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        if self.is_own() {
            return self.discard();
        }
        let error = if self.polling {
            // The handler panicked. The client gets no response, or a 500 if a layer outside catches the panic.
            self.status = self.status.or(Some(500));
            Some(names::PANIC)
        } else if self.sent_in_full {
            None
        } else {
            Some(names::CANCELLED)
        };
        self.record(error);
    }
}

/// A request at its end.
struct FinishedRequest {
    duration: Duration,
    busy: Duration,
    error: Option<&'static str>,
}

/// Records the request's queries and tasks in the series of its endpoint. Returns at once for a request without any.
fn record_events(series: &EndpointSeries, context: &RequestContext, request: &FinishedRequest) {
    let ((queries, _), (tasks, _)) = (context.queries(), context.tasks());
    if queries == 0 && tasks == 0 {
        return;
    }
    let covered = context.covered(request.duration);
    if queries > 0 {
        series.db_queries().record(f64::from(queries));
        series.db_seconds().record(covered.queries.as_secs_f64());
        record_query_uses(series, context);
        if request.error == Some(names::CANCELLED) {
            series.wasted().queries.increment(queries.into());
            series.wasted().db_nanos.increment(nanos(covered.queries));
        }
    }
    if tasks > 0 {
        series.task_nanos().increment(nanos(covered.tasks));
    }
    let rest = request.duration.saturating_sub(covered.queries + covered.tasks);
    let overlap = request.busy.saturating_sub(rest);
    // Registered here and not at the first overlap, which would allocate in a request of a route that is known by then.
    let overlaps = series.overlap_nanos();
    if !overlap.is_zero() {
        overlaps.increment(nanos(overlap));
    }
}

/// Records each query once, with all its calls.
fn record_query_uses(series: &EndpointSeries, context: &RequestContext) {
    for query_use in context.query_uses() {
        let query = series.query_use(query_use.id);
        query.calls.increment(query_use.calls);
        query.nanos.increment(query_use.nanos);
        query.requests.increment(1);
    }
}
