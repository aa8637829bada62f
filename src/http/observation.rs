//! [`Observation`]: one request while it is measured.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::series::{Ending, EndpointSeries};
use crate::{
    context::{Carrier, EVENTS, EventKind, RequestContext, SlowRequest, TraceId},
    names,
};

/// Response extension of the monitor's own answers: they do not count, wherever the host mounts them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unobserved;

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

/// One request while it is measured. Dropping it records a cancelled request, or one that panicked.
#[derive(Debug)]
pub(super) struct Observation {
    series: Arc<EndpointSeries>,
    /// `None` while it is the thread's current one, and after the end.
    pub(super) context: Option<Arc<RequestContext>>,
    pub(super) carrier: Carrier,
    started: Instant,
    busy: Duration,
    longest_poll: Duration,
    status: Option<u16>,
    trace_id: Option<TraceId>,
    response_bytes: u64,
    /// Whether the service or the body is being polled: what is dropped then has panicked.
    pub(super) polling: bool,
    done: bool,
}

impl Observation {
    pub(super) fn begin(series: Arc<EndpointSeries>, trace_id: Option<TraceId>, started: Instant) -> Self {
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
            response_bytes: 0,
            polling: false,
            done: false,
        }
    }

    /// Books the size of the request's body, where it has one whose size is known.
    pub(super) fn request_size(&self, bytes: u64) {
        self.series.request_size().record(bytes as f64);
    }

    /// Books one poll.
    pub(super) fn polled(&mut self, began: Instant, ended: Instant) {
        let poll = ended - began;
        self.busy += poll;
        self.longest_poll = self.longest_poll.max(poll);
    }

    /// Books the response's head. `streamed` are those whose size is not known at the head.
    pub(super) fn head(&mut self, status: u16, streamed: bool, now: Instant) {
        self.status = Some(status);
        if streamed {
            self.series.head().record((now - self.started).as_secs_f64());
        }
    }

    /// Books a part of the response's body.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.response_bytes += bytes as u64;
    }

    pub(super) fn response_bytes(&self) -> u64 {
        self.response_bytes
    }

    /// Ends the request.
    pub(super) fn end(mut self, end: End, now: Instant) {
        let error = match end {
            End::Complete => None,
            End::BodyError => Some(names::BODY_ERROR),
            End::ServiceError => Some(names::SERVICE_ERROR),
        };
        self.record(error, now);
    }

    /// Ends a request that was answered by the monitor itself without a trace in the numbers, and lets those that follow
    /// pass.
    pub(super) fn discard(mut self) {
        self.done = true;
        self.series.ignore();
        self.series.active.decrement(1.0);
        self.release();
    }

    fn record(&mut self, error: Option<&'static str>, now: Instant) {
        self.done = true;
        let duration = now.saturating_duration_since(self.started);
        let series = &*self.series;
        series.active.decrement(1.0);
        series.duration(Ending { status: self.status, error }).record(duration.as_secs_f64());
        series.busy.record(self.busy.as_secs_f64());
        series.longest_poll.record(self.longest_poll.as_secs_f64());
        if self.status.is_some() {
            series.response_size.record(self.response_bytes as f64);
        }
        if let Some(context) = &self.context {
            context.end();
            record_events(series, context);
            series.slowest.offer(duration, || SlowRequest {
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
        if self.polling {
            // The handler's own panic, whoever catches it: the client gets no response from this service, or a 500.
            self.status = self.status.or(Some(500));
            self.record(Some(names::PANIC), Instant::now());
        } else {
            self.record(Some(names::CANCELLED), Instant::now());
        }
    }
}

/// Books what the request did on its endpoint.
fn record_events(series: &EndpointSeries, context: &RequestContext) {
    let (queries, query_time) = context.queries();
    if queries > 0 {
        series.db_queries().record(f64::from(queries));
        series.db_seconds().record(query_time.as_secs_f64());
        record_query_uses(series, context);
    }
    let (tasks, task_time) = context.tasks();
    if tasks > 0 {
        series.task_nanos().increment(nanos(task_time));
    }
}

/// Books each query of the timeline once per fingerprint. On the stack: at most [`EVENTS`] fingerprints.
fn record_query_uses(series: &EndpointSeries, context: &RequestContext) {
    let mut uses = [(0_u32, 0_u64, 0_u64); EVENTS];
    let mut distinct = 0;
    for event in context.events().filter(|event| event.kind == EventKind::Query) {
        let found = uses[..distinct].iter().position(|(id, ..)| *id == event.id);
        let place = found.unwrap_or(distinct);
        distinct = distinct.max(place + 1);
        let (id, calls, total) = &mut uses[place];
        (*id, *calls, *total) = (event.id, *calls + 1, *total + nanos(event.duration));
    }
    for (id, calls, total) in &uses[..distinct] {
        let query = series.query_use(*id);
        query.calls.increment(*calls);
        query.nanos.increment(*total);
        query.requests.increment(1);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
