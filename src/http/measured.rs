//! [`Measured`]: what is measured of one request until it ends.
//!
//! Kept in a box that is reused, since the observation moves with the response through every layer around the monitor's:
//! moves of some hundred bytes that were just written were a fifth of the layer's cost. The invariant that a change could
//! break: what is kept for reuse owns no endpoint, for an endpoint owns the pool.

use std::{sync::Arc, task::Waker, time::Duration};

use tokio::time::Instant;

use crate::context::{
    Carrier, Did, EndpointNumber, Instruments, Part, Pool, RequestContext, Scheme, TraceId, clock::Moment,
};

/// Shorter pauses between two frames of a body are the server's own.
const PAUSE: Duration = Duration::from_micros(100);

/// What is measured of one request.
#[derive(Debug)]
pub(super) struct Measured {
    /// `None` while it is the thread's current one, and after the end if it cannot be reused.
    pub(super) context: Option<Arc<RequestContext>>,
    /// The waker that the request's futures see, from the first poll of a request that may wait.
    pub(super) waker: Option<Waker>,
    /// Whether it was polled.
    pub(super) polled: bool,
    pub(super) carrier: Carrier,
    pub(super) began: Moment,
    /// Nanoseconds inside poll, and of the longest poll.
    pub(super) busy: u64,
    pub(super) longest_poll: u64,
    pub(super) status: Option<u16>,
    pub(super) scheme: Scheme,
    pub(super) trace_id: Option<TraceId>,
    /// Bytes of the response's body that were sent; `None` before the head, and if the rest is detached.
    pub(super) response_bytes: Option<u64>,
    /// Time that the response's body was waited for.
    pub(super) producing: Duration,
    /// Bytes allocated while it was polled; 0 without the counting allocator.
    pub(super) allocated: u64,
    /// Whether it becomes an event stream or an upgraded connection.
    pub(super) detached: bool,
    /// Whether the service or the body is being polled. If it is dropped then, the poll has panicked.
    pub(super) polling: bool,
    /// Whether all of a body of known size was sent. If it is dropped then, it is complete: hyper does not poll for the
    /// end of such a body.
    pub(super) sent_in_full: bool,
    /// Size of the response's body if it is known: a body that was sent in full is complete, although hyper does not poll
    /// for its end then.
    pub(super) body_size: Option<u64>,
    /// Whether the response's body is assumed to be in memory.
    pub(super) body_at_hand: bool,
    /// What a body that is not in memory waits for, and since when.
    pub(super) body_wait: BodyWait,
}

/// What a response's body waits for, and since when.
#[derive(Clone, Copy, Debug)]
pub(super) enum BodyWait {
    None,
    /// It has no frame yet.
    Producer(Instant),
    /// It gave a frame, and is not asked for the next one until the client has taken enough of it.
    Client(Instant),
}

/// Boxes to be reused, each with its context.
pub(super) type MeasuredPool = Pool<Box<Measured>>;

impl Measured {
    /// Begins to measure a request, in a box of the pool if it has one.
    pub(super) fn begin(
        pool: &MeasuredPool,
        instruments: &Arc<Instruments>,
        endpoint: EndpointNumber,
        scheme: Scheme,
        trace_id: Option<TraceId>,
        began: Moment,
    ) -> Box<Self> {
        let mut kept = pool.take();
        let context = kept.as_mut().and_then(|kept| kept.context.take());
        let context = instruments.begin_request(context, endpoint, began);
        let carrier = Carrier::of(&context);
        let Some(mut kept) = kept else { return Box::new(Self::new(context, carrier, scheme, trace_id, began)) };
        // Field by field, in place: a whole one would be made on the stack first.
        kept.context = Some(context);
        kept.carrier = carrier;
        kept.polled = false;
        kept.began = began;
        kept.busy = 0;
        kept.longest_poll = 0;
        kept.status = None;
        kept.scheme = scheme;
        kept.trace_id = trace_id;
        kept.response_bytes = None;
        kept.producing = Duration::ZERO;
        kept.allocated = 0;
        kept.detached = false;
        kept.polling = false;
        kept.sent_in_full = false;
        kept.body_size = None;
        kept.body_at_hand = false;
        kept.body_wait = BodyWait::None;
        kept
    }

    fn new(
        context: Arc<RequestContext>,
        carrier: Carrier,
        scheme: Scheme,
        trace_id: Option<TraceId>,
        began: Moment,
    ) -> Self {
        Self {
            context: Some(context),
            waker: None,
            polled: false,
            carrier,
            began,
            busy: 0,
            longest_poll: 0,
            status: None,
            scheme,
            trace_id,
            response_bytes: None,
            producing: Duration::ZERO,
            allocated: 0,
            detached: false,
            polling: false,
            sent_in_full: false,
            body_size: None,
            body_at_hand: false,
            body_wait: BodyWait::None,
        }
    }

    /// Returns whether the monitor itself is answering the request.
    pub(super) fn is_own(&self) -> bool {
        self.context.as_ref().is_some_and(|context| context.is_own())
    }

    /// Ends a wait of the body.
    pub(super) fn end_body_wait(&mut self) {
        match std::mem::replace(&mut self.body_wait, BodyWait::None) {
            BodyWait::None => {}
            BodyWait::Producer(since) => self.producing += since.elapsed(),
            BodyWait::Client(since) => {
                let waited = since.elapsed();
                if waited >= PAUSE
                    && let Some(context) = &self.context
                {
                    context.record(Part::Client, &Did::waited(since, waited));
                }
            }
        }
    }

    /// Ends the measuring of a request that has ended, and keeps box and context for the next one. `goes_on`: something may still be
    /// recorded on the context, which knows the endpoint for it.
    pub(super) fn release(mut self: Box<Self>, pool: &MeasuredPool, instruments: &Instruments, goes_on: bool) {
        // First: the carrier's span and the waker own the context too, and only a context without another owner is reused.
        self.carrier = Carrier::default();
        self.waker = None;
        if let Some(context) = self.context.take() {
            if goes_on {
                instruments.give_back(context);
            } else if Arc::strong_count(&context) == 1 {
                self.context = Some(context);
            }
        }
        pool.give(self);
    }
}
