//! [`Observation`]: measures one request.
//!
//! The whole life of a request: `begin`, polls with the request current, `head`, `sent` for each part of the body, and
//! one of `end`, `discard` and `Drop`, which decides between panicked, complete and cancelled.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use http::HeaderMap;
use tokio::time::Instant;

use super::{
    grpc::{GrpcCall, GrpcStatus},
    request_body,
    series::{DurationLabels, EndpointSeries, nanos},
};
use crate::{
    context::{
        Carrier, Did, Local, Part, RequestContext, SlowRequest, TraceId, enter, turns,
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
    /// The waker that the request's futures see, from the first poll of a request that may wait.
    waker: Option<Waker>,
    /// Whether it was polled.
    polled: bool,
    carrier: Carrier,
    started: Instant,
    busy: Duration,
    longest_poll: Duration,
    status: Option<u16>,
    trace_id: Option<TraceId>,
    /// What it is beyond HTTP, if it is a gRPC call.
    grpc: Option<Box<GrpcCall>>,
    /// Bytes of the response's body that were sent; `None` before the head, and if the rest is detached.
    response_bytes: Option<u64>,
    /// Time that the response's body was waited for.
    producing: Duration,
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
    pub(super) fn begin(
        series: Local<EndpointSeries>,
        grpc: Option<Box<GrpcCall>>,
        trace_id: Option<TraceId>,
        started: Instant,
    ) -> Self {
        series.active.increment(1.0);
        let context = series.instruments.begin_request(series.number, started);
        Self {
            carrier: Carrier::of(&context),
            context: Some(context),
            waker: None,
            polled: false,
            series,
            started,
            busy: Duration::ZERO,
            longest_poll: Duration::ZERO,
            status: None,
            trace_id,
            grpc,
            response_bytes: None,
            producing: Duration::ZERO,
            allocated: 0,
            detached: false,
            polling: false,
            sent_in_full: false,
            done: false,
        }
    }

    /// Polls through `poll` with a waker that notes when the request is woken, and records how late this poll is.
    ///
    /// A request that is ready in its first poll is woken by nobody, so the first one of an endpoint is polled as it is, and
    /// all are while none of them had to wait: following the wakes costs four changes of a reference count.
    pub(super) fn poll_followed<T>(
        &mut self,
        task: &mut Context<'_>,
        poll: impl FnOnce(&mut Self, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if !self.polled {
            self.polled = true;
            if self.series.waits() {
                self.waker = self.context.as_ref().map(RequestContext::waker);
            }
        }
        let Some((context, waker)) = self.context.as_ref().zip(self.waker.take()) else {
            let polled = poll(self, task);
            if polled.is_pending() {
                self.series.note_wait();
            }
            return polled;
        };
        context.poll_begins(task.waker());
        let polled = poll(self, &mut Context::from_waker(&waker));
        if let Some(context) = self.context.as_ref().filter(|_| polled.is_pending()) {
            context.poll_ends();
        }
        self.waker = Some(waker);
        polled
    }

    /// Records that the request waited for its client since then.
    pub(super) fn waited_for_client(&self, since: Instant) {
        if let Some(context) = &self.context {
            context.record(Part::Client, &Did::waited(since, since.elapsed()));
        }
    }

    /// Adds time that the response's body was waited for.
    pub(super) fn add_producing(&mut self, time: Duration) {
        self.producing += time;
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
        if took >= LONG {
            turns::note_long_poll(took);
            self.context.iter().for_each(|context| context.long_poll_ends());
        }
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

    /// Reads the status of a gRPC call in the response's head or its trailers.
    pub(super) fn read_grpc_status(&mut self, headers: &HeaderMap) {
        if let Some(call) = &mut self.grpc {
            call.read_status(headers);
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
        self.series.active.decrement(1.0);
        let ending = self.ending(error, duration);
        let series = &*self.series;
        series.duration(&ending).record(duration.as_secs_f64());
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
            let client = record_events(series, context, &FinishedRequest { duration, busy: self.busy, error });
            if let Some(own) = series.own_duration(client) {
                own.record(duration.saturating_sub(client).as_secs_f64());
            }
            if !self.producing.is_zero() {
                series.producing_nanos().increment(nanos(self.producing));
            }
            ended.slowest.offer(duration, || SlowRequest {
                at: SystemTime::now(),
                ended: now,
                duration,
                busy: self.busy,
                longest_poll: self.longest_poll,
                status: self.status,
                error: ending.error,
                trace_id: self.trace_id,
                timeline: context.timeline(),
                beyond: context.events_beyond(),
                queries: context.count(Part::Db),
                calls: context.calls(),
            });
        }
        self.release();
    }

    /// Returns how the request ended. Records a gRPC call as such, from now on under the endpoint of its method.
    fn ending(&mut self, error: Option<&'static str>, duration: Duration) -> DurationLabels {
        let Some(call) = &mut self.grpc else {
            return DurationLabels { status: self.status, grpc_status: None, error };
        };
        if let Some(endpoint) = call.new_endpoint() {
            self.series = endpoint;
        }
        let ending = call.ending(self.status, error, duration);
        let status = ending.status.map(GrpcStatus::name);
        let error_type = ending.error.or(ending.status.and_then(GrpcStatus::error_type));
        self.series.call_duration(status, error_type).record(duration.as_secs_f64());
        let grpc_status = status.filter(|_| ending.is_own);
        DurationLabels { status: self.status, grpc_status, error: ending.error }
    }

    fn release(&mut self) {
        // First: the carrier's span and the waker own the context too, and the pool only keeps contexts without another owner.
        self.carrier = Carrier::default();
        self.waker = None;
        if let Some(context) = self.context.take() {
            context.no_longer_in_flight();
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

/// Records what the request did in the series of its endpoint, and returns how long it waited for its client. Returns at once
/// for a request that did nothing.
fn record_events(series: &EndpointSeries, context: &RequestContext, request: &FinishedRequest) -> Duration {
    if !context.did_anything() {
        return Duration::ZERO;
    }
    let time = context.divide(request.duration, |used| series.use_of(used.part, used.id).record(&used));
    let queries = context.count(Part::Db);
    if queries > 0 {
        series.db_queries().record(f64::from(queries));
        series.db_seconds().record(time.queries.as_secs_f64());
        if request.error == Some(names::CANCELLED) {
            series.wasted().queries.increment(queries.into());
            series.wasted().db_nanos.increment(nanos(time.queries));
        }
    }
    for part in Part::ALL.into_iter().filter(|part| context.count(*part) > 0) {
        series.part_nanos(part).increment(nanos(time.of(part)));
    }
    let rest = request.duration.saturating_sub(time.covered());
    let overlap = request.busy.saturating_sub(rest);
    // Registered here and not at the first overlap, which would allocate in a request of a route that is known by then.
    let overlaps = series.overlap_nanos();
    if !overlap.is_zero() {
        overlaps.increment(nanos(overlap));
    }
    time.of(Part::Client)
}
