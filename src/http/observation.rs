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
    durations::DurationLabels,
    grpc::{GrpcCall, GrpcStatus},
    measured::{BodyWait, Measured},
    request_body,
    series::EndpointSeries,
};
use crate::{
    context::{
        CurrentGuard, HeapGuard, Local, Part, RequestContext, SampledTrace, Scheme, SlowRequest, TraceId,
        clock::Reading,
        enter, nanos, recording, sampled_trace, turns,
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
///
/// Some pointers and no more, because it is moved with the response; see [`Measured`].
#[derive(Debug)]
pub(super) struct Observation {
    series: Local<EndpointSeries>,
    /// `None` after the end.
    measured: Option<Box<Measured>>,
    /// What it is beyond HTTP, if it is a gRPC call.
    grpc: Option<Box<GrpcCall>>,
}

impl Observation {
    pub(super) fn begin(
        series: Local<EndpointSeries>,
        scheme: Scheme,
        grpc: Option<Box<GrpcCall>>,
        trace_id: Option<TraceId>,
    ) -> Self {
        let began = series.instruments.clock().now();
        series.active(scheme).increment(1.0);
        let measured = Measured::begin(&series.pool, &series.instruments, series.number, scheme, trace_id, began);
        if let Some(context) = &measured.context {
            context.count_in_flight_as(series.method(), scheme);
        }
        Self { series, measured: Some(measured), grpc }
    }

    #[inline]
    fn measured(&mut self) -> &mut Measured {
        self.measured
            .as_deref_mut()
            .expect("only the end of the request takes it, and consumes or drops the observation")
    }

    fn context(&self) -> Option<&Arc<RequestContext>> {
        self.measured.as_ref()?.context.as_ref()
    }

    /// Polls with this request as the thread's current one, through a waker that notes when the request is woken, and records how
    /// late the poll is and how long it took. A poll that blocked the runtime is recorded as such, and a watched one divided, unless
    /// `is_own` finds that its result is an answer of the monitor.
    ///
    /// A request that is ready in its first poll is woken by nobody, so the first one of an endpoint is polled as it is, and
    /// all are while none of them had to wait: following the wakes costs four changes of a reference count.
    ///
    /// One function and not one within the other: each would move what the poll returns, which is a whole response.
    #[inline(always)]
    pub(super) fn poll_followed<T>(
        &mut self,
        task: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
        is_own: impl FnOnce(&Poll<T>) -> bool,
    ) -> Poll<T> {
        let waker = self.waker(task);
        let watched = self.series.watch.begin();
        let began = Reading::now();
        let polling = self.poll();
        let polled = match &waker {
            None => poll(task),
            Some(waker) => poll(&mut Context::from_waker(waker)),
        };
        polling.end();
        let took = began.elapsed();
        let measured = self.measured();
        measured.busy += took;
        if watched.is_none() && took < nanos(LONG) {
            measured.longest_poll = measured.longest_poll.max(took);
        } else if !measured.is_own() && !is_own(&polled) {
            self.watched(watched, took);
        }
        self.followed(waker, polled.is_pending());
        polled
    }

    /// Returns the waker for a poll that begins, if the request is followed.
    fn waker(&mut self, task: &Context<'_>) -> Option<Waker> {
        let waits = self.series.waits();
        let measured = self.measured();
        if !measured.polled {
            measured.polled = true;
            if waits {
                measured.waker = measured.context.as_ref().map(RequestContext::waker);
            }
        }
        let (context, waker) = measured.context.as_ref().zip(measured.waker.take())?;
        context.poll_begins(task.waker());
        Some(waker)
    }

    /// Notes the end of a poll.
    fn followed(&mut self, waker: Option<Waker>, is_pending: bool) {
        if waker.is_none() {
            if is_pending {
                self.series.note_wait();
            }
            return;
        }
        let measured = self.measured();
        if let Some(context) = measured.context.as_ref().filter(|_| is_pending) {
            context.poll_ends();
        }
        measured.waker = waker;
    }

    /// Notes the sampled trace of the request, for exemplars.
    pub(super) fn note_trace(&self, trace: SampledTrace) {
        if let Some(context) = self.context() {
            context.set_trace(trace);
        }
    }

    /// Has the bytes of the request's body counted.
    pub(super) fn count_received<B: 'static>(&self, body: &mut B) {
        if let Some(context) = self.context() {
            request_body::count(body, context);
        }
    }

    /// Begins a poll with this request as the thread's current one. No closure, which would own what is polled: a request would be
    /// moved into it and out again.
    #[inline]
    pub(super) fn poll(&mut self) -> Polling<'_> {
        let heap = self.series.heap.enter();
        let Measured { context, carrier, polling, allocated, .. } = self.measured();
        *polling = true;
        Polling { polling, allocated, heap, entered: enter(context, carrier) }
    }

    /// Runs `work` with this request as the thread's current one.
    #[inline(always)]
    pub(super) fn within<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let Some(measured) = self.measured.as_deref_mut() else { return work() };
        let entered = enter(&mut measured.context, &measured.carrier);
        let heap = self.series.heap.enter();
        let done = work();
        measured.allocated += heap.leave();
        drop(entered);
        done
    }

    /// Ends a poll that was watched or long. One inside `block_in_place` kept no worker from other work.
    #[cold]
    fn watched(&mut self, watched: Option<WatchedPoll>, nanos: u64) {
        let took = Duration::from_nanos(nanos);
        if self.series.watch.end(watched, took) == Hold::InPlace {
            return;
        }
        let measured = self.measured();
        measured.longest_poll = measured.longest_poll.max(nanos);
        if took >= LONG {
            turns::note_long_poll(took);
            measured.context.iter().for_each(|context| context.long_poll_ends());
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
    #[inline]
    pub(super) fn head(&mut self, status: u16, after: AfterHead) {
        let measured = self.measured();
        measured.status = Some(status);
        measured.detached = after == AfterHead::Detached;
        measured.response_bytes = (after != AfterHead::Detached).then_some(0);
        if after == AfterHead::StreamedBody {
            let began = measured.began;
            let time = Duration::from_nanos(self.series.instruments.clock().since(began));
            self.series.head().record(time.as_secs_f64());
        }
    }

    /// Reads the status of a gRPC call in the response's head or its trailers.
    #[inline]
    pub(super) fn read_grpc_status(&mut self, headers: &HeaderMap) {
        if let Some(call) = &mut self.grpc {
            call.read_status(headers);
        }
    }

    /// Notes a part of the response's body.
    #[inline]
    pub(super) fn sent(&mut self, bytes: usize) {
        *self.measured().response_bytes.get_or_insert(0) += bytes as u64;
    }

    /// Notes that the response's body begins. `size` is its size if it is known.
    #[inline]
    pub(super) fn body_begins(&mut self, size: Option<u64>, at_hand: bool) {
        let measured = self.measured();
        (measured.body_size, measured.body_at_hand) = (size, at_hand);
    }

    #[inline]
    pub(super) fn has_body_at_hand(&mut self) -> bool {
        self.measured().body_at_hand
    }

    /// Notes that the response's body is asked for a frame: if it was waiting for the client, that has taken enough.
    pub(super) fn body_is_asked_for(&mut self) {
        let measured = self.measured();
        if let BodyWait::Client(_) = measured.body_wait {
            measured.end_body_wait();
        }
    }

    /// Notes that the response's body was polled, and whether it has given a frame or its end.
    pub(super) fn body_was_polled(&mut self, is_ready: bool) {
        let measured = self.measured();
        if is_ready {
            measured.end_body_wait();
            measured.body_wait = BodyWait::Client(Instant::now());
        } else if let BodyWait::None = measured.body_wait {
            measured.body_wait = BodyWait::Producer(Instant::now());
        }
    }

    /// Notes that the response's body was dropped.
    #[inline]
    pub(super) fn body_dropped(&mut self) {
        let measured = self.measured();
        measured.end_body_wait();
        measured.sent_in_full = measured.body_size.is_some_and(|size| measured.response_bytes >= Some(size));
    }

    /// Ends a request at its head that becomes an event stream, and returns the request for the stream's polls.
    pub(super) fn end_as_stream(self) -> Option<Arc<RequestContext>> {
        let context = self.context().cloned();
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
        self.measured.take().into_iter().for_each(|measured| self.record(measured, error));
    }

    /// Ends a request that the monitor answers itself, and records nothing of it.
    pub(super) fn discard(mut self) {
        self.measured.take().into_iter().for_each(|measured| self.forget(measured));
    }

    fn forget(&self, measured: Box<Measured>) {
        self.series.active(measured.scheme).decrement(1.0);
        measured.context.iter().for_each(|context| context.no_longer_in_flight());
        measured.release(&self.series.pool, &self.series.instruments, false);
    }

    fn record(&mut self, mut measured: Box<Measured>, error: Option<&'static str>) {
        let took = self.series.instruments.clock().since(measured.began);
        let duration = Duration::from_nanos(took);
        // Where tokio's clock is paused, polls take longer than requests.
        measured.busy = measured.busy.min(took);
        measured.longest_poll = measured.longest_poll.min(took);
        self.series.active(measured.scheme).decrement(1.0);
        let _recording = recording(measured.context.as_deref());
        let ending = self.ending(&measured, error, duration);
        let series = &*self.series;
        series.duration(&ending).record(seconds(took));
        let ended = series.ended();
        ended.busy.record(seconds(measured.busy));
        ended.longest_poll.record(seconds(measured.longest_poll));
        ended.allocated.record(measured.allocated);
        let received = measured.context.as_ref().map_or(0, |context| context.received());
        if received > 0 {
            series.request_size(measured.scheme).record(received as f64);
        }
        if let Some(bytes) = measured.response_bytes {
            series.response_size(measured.scheme).record(bytes as f64);
        }
        let goes_on = error == Some(names::CANCELLED) || measured.detached;
        if let Some(context) = &measured.context {
            if error == Some(names::CANCELLED) {
                context.cancel(Instant::now(), self.series.shared().clone());
            } else if measured.detached {
                context.detach(Instant::now(), self.series.shared().clone());
            } else {
                context.end();
            }
            let busy = Duration::from_nanos(measured.busy);
            let client = record_events(series, context, &FinishedRequest { duration, busy, error });
            if let Some(own) = series.own_duration(client) {
                own.record(duration.saturating_sub(client).as_secs_f64());
            }
            if !measured.producing.is_zero() {
                series.producing_nanos().increment(nanos(measured.producing));
            }
            ended.slowest.offer(duration, || SlowRequest {
                at: SystemTime::now(),
                ended: Instant::now(),
                duration,
                busy,
                longest_poll: Duration::from_nanos(measured.longest_poll),
                status: measured.status,
                error: ending.error,
                trace_id: measured.trace_id.or_else(|| sampled_trace().map(|sampled| sampled.trace)),
                timeline: context.timeline(),
                beyond: context.events_beyond(),
                queries: context.count(Part::Db),
                calls: context.calls(),
            });
        }
        measured.release(&self.series.pool, &self.series.instruments, goes_on);
    }

    /// Returns how the request ended. Records a gRPC call as such, from now on under the endpoint of its method.
    fn ending(&mut self, measured: &Measured, error: Option<&'static str>, duration: Duration) -> DurationLabels {
        let Measured { status, scheme, .. } = *measured;
        let Some(call) = &mut self.grpc else {
            return DurationLabels { status, grpc_status: None, error, scheme };
        };
        if let Some(endpoint) = call.new_endpoint() {
            self.series = endpoint;
        }
        let ending = call.ending(status, error, duration);
        let grpc_status = ending.status.map(GrpcStatus::name);
        let error_type = ending.error.or(ending.status.and_then(GrpcStatus::error_type));
        self.series.call_duration(grpc_status, error_type).record(duration.as_secs_f64());
        DurationLabels { status, grpc_status: grpc_status.filter(|_| ending.is_own), error: ending.error, scheme }
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        let Some(mut measured) = self.measured.take() else { return };
        if measured.is_own() {
            return self.forget(measured);
        }
        let error = if measured.polling {
            // The handler panicked. The client gets no response, or a 500 if a layer outside catches the panic.
            measured.status = measured.status.or(Some(500));
            Some(names::PANIC)
        } else if measured.sent_in_full {
            None
        } else {
            Some(names::CANCELLED)
        };
        self.record(measured, error);
    }
}

/// A poll that goes on. If it is dropped before its end, the poll has panicked.
#[must_use]
pub(super) struct Polling<'a> {
    polling: &'a mut bool,
    allocated: &'a mut u64,
    heap: HeapGuard,
    entered: CurrentGuard<'a>,
}

impl Polling<'_> {
    #[inline]
    pub(super) fn end(self) {
        let Self { polling, allocated, heap, entered } = self;
        drop(entered);
        *polling = false;
        *allocated += heap.leave();
    }
}

/// Returns nanoseconds as seconds.
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
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
