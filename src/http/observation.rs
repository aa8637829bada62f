//! [`Observation`]: one request while it is measured.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::series::{Ending, EndpointSeries, nanos};
use crate::{
    context::{Carrier, Local, RequestContext, SlowRequest, TraceId, enter},
    names,
};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With the last byte of its response, or at its head where nothing follows that should count.
    Complete,
    /// The response's body failed.
    BodyError,
    /// The service returned an error instead of a response.
    ServiceError,
}

/// What follows a response's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Nothing.
    Nothing,
    /// A body that knows its size.
    Whole,
    /// A body that does not.
    Streamed,
    /// What is no part of the request and may last for days: an event stream, or a connection of its own.
    Apart,
}

/// One request while it is measured. Dropping it records a cancelled request, or one that panicked.
#[derive(Debug)]
pub(super) struct Observation {
    series: Local<EndpointSeries>,
    /// `None` while it is the thread's current one, and after the end.
    pub(super) context: Option<Arc<RequestContext>>,
    pub(super) carrier: Carrier,
    started: Instant,
    busy: Duration,
    longest_poll: Duration,
    status: Option<u16>,
    trace_id: Option<TraceId>,
    /// Of the request's body; 0 where it has none or its size is not known.
    request_bytes: u64,
    /// Of the response's body, where the request has one: `None` before the head and where what follows is not its own.
    response_bytes: Option<u64>,
    /// Bytes allocated while it was polled; nothing unless somebody counts them.
    allocated: u64,
    /// Whether the service or the body is being polled: what is dropped then has panicked.
    polling: bool,
    /// Whether all of a body of known size was sent: what is dropped then is complete, also when nobody polled for its
    /// end.
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
            request_bytes: 0,
            response_bytes: None,
            allocated: 0,
            polling: false,
            sent_in_full: false,
            done: false,
        }
    }

    /// Notes the size of the request's body.
    pub(super) fn request_size(&mut self, bytes: u64) {
        self.request_bytes = bytes;
    }

    /// Polls with this request as the thread's current one.
    pub(super) fn poll<T>(&mut self, poll: impl FnOnce() -> T) -> T {
        self.polling = true;
        let polled = self.within(poll);
        self.polling = false;
        polled
    }

    /// Does `work` with this request as the thread's current one.
    #[inline(always)]
    pub(super) fn within<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let entered = enter(&mut self.context, &self.carrier);
        let heap = self.series.heap.enter();
        let done = work();
        self.allocated += heap.leave();
        drop(entered);
        done
    }

    /// Polls and books how long that took; what blocked the runtime, unless `is_own` says of what came of it that it is
    /// the monitor's own. The time-stamp counter that quanta reads costs less than half of the system's clock, and this
    /// is the clock that is read most.
    pub(super) fn poll_timed<T>(&mut self, poll: impl FnOnce() -> T, is_own: impl FnOnce(&T) -> bool) -> T {
        let began = quanta::Instant::now();
        let polled = self.poll(poll);
        let took = began.elapsed();
        self.busy += took;
        self.longest_poll = self.longest_poll.max(took);
        if took >= names::BLOCKING && !self.is_own() && !is_own(&polled) {
            self.blocked(took);
        }
        polled
    }

    /// Books a poll that blocked a worker, and who may have waited for it. Next to such a poll the lock that reading
    /// the requests in flight takes is nothing.
    #[cold]
    fn blocked(&self, poll: Duration) {
        let blocking = self.series.blocking();
        blocking.polls.record(poll.as_secs_f64());
        blocking.others.record((self.series.instruments.in_flight() - 1.0).max(0.0));
        blocking.waited.count(&self.series.instruments, &self.series.labels);
    }

    /// Books the response's head.
    pub(super) fn head(&mut self, status: u16, after: After) {
        self.status = Some(status);
        self.response_bytes = (after != After::Apart).then_some(0);
        if after == After::Streamed {
            self.series.head().record(self.started.elapsed().as_secs_f64());
        }
    }

    /// Books a part of the response's body.
    pub(super) fn sent(&mut self, bytes: usize) {
        *self.response_bytes.get_or_insert(0) += bytes as u64;
    }

    /// Notes that the body, whose size is `size` where it is known, is being dropped.
    pub(super) fn body_dropped(&mut self, size: Option<u64>) {
        self.sent_in_full = size.is_some_and(|size| self.response_bytes >= Some(size));
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

    /// Ends a request that the monitor answers itself, without a trace in the numbers.
    pub(super) fn discard(&mut self) {
        self.done = true;
        self.series.active.decrement(1.0);
        self.release();
    }

    /// Returns whether the monitor is making the answer.
    fn is_own(&self) -> bool {
        self.context.as_ref().is_some_and(|context| context.is_own())
    }

    fn record(&mut self, error: Option<&'static str>) {
        self.done = true;
        let now = Instant::now();
        let duration = now.saturating_duration_since(self.started);
        // Two clocks never agree to the last nanosecond, and one of them may be paused.
        self.busy = self.busy.min(duration);
        self.longest_poll = self.longest_poll.min(duration);
        let series = &*self.series;
        series.active.decrement(1.0);
        series.duration(Ending { status: self.status, error }).record(duration.as_secs_f64());
        let ended = series.ended();
        ended.busy.record(self.busy.as_secs_f64());
        ended.longest_poll.record(self.longest_poll.as_secs_f64());
        ended.allocated.record(self.allocated);
        if self.request_bytes > 0 {
            series.request_size().record(self.request_bytes as f64);
        }
        if let Some(bytes) = self.response_bytes {
            series.response_size().record(bytes as f64);
        }
        if let Some(context) = &self.context {
            if error == Some(names::CANCELLED) {
                context.abandon(now, self.series.shared().clone());
            } else {
                context.end();
            }
            record_events(series, context, &Whole { duration, busy: self.busy, error });
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
        // First, or the context is not given back as the only one.
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
            // The handler's own panic, whoever catches it: the client gets no response from this service, or a 500.
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
struct Whole {
    duration: Duration,
    busy: Duration,
    error: Option<&'static str>,
}

/// Books what the request did on its endpoint: nothing to do for one without queries and tasks.
fn record_events(series: &EndpointSeries, context: &RequestContext, whole: &Whole) {
    let ((queries, _), (tasks, _)) = (context.queries(), context.tasks());
    if queries == 0 && tasks == 0 {
        return;
    }
    let covered = context.covered(whole.duration);
    if queries > 0 {
        series.db_queries().record(f64::from(queries));
        series.db_seconds().record(covered.queries.as_secs_f64());
        record_query_uses(series, context);
        if whole.error == Some(names::CANCELLED) {
            series.wasted().queries.increment(queries.into());
            series.wasted().db_nanos.increment(nanos(covered.queries));
        }
    }
    if tasks > 0 {
        series.task_nanos().increment(nanos(covered.tasks));
    }
    let rest = whole.duration.saturating_sub(covered.queries + covered.tasks);
    let overlap = whole.busy.saturating_sub(rest);
    // Made with the others, not on the first request that has some.
    let overlaps = series.overlap_nanos();
    if !overlap.is_zero() {
        overlaps.increment(nanos(overlap));
    }
}

/// Books each fingerprint once, with all its calls.
fn record_query_uses(series: &EndpointSeries, context: &RequestContext) {
    for query_use in context.query_uses() {
        let query = series.query_use(query_use.id);
        query.calls.increment(query_use.calls);
        query.nanos.increment(query_use.nanos);
        query.requests.increment(1);
    }
}
