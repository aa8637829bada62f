//! [`MonitorBody`]: measures a response up to its last byte.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::{Observation, observation::End};
use crate::context::{Carrier, OpenStream, RequestContext, enter};

/// Largest body of known size whose polls are not timed. It is assumed to be in memory, so that a poll only passes it
/// on; the two clock reads would be a sixth of the layer's cost for a small request.
const AT_HAND: u64 = 64 * 1024;

pin_project! {
    /// Response body of [`MonitorService`](crate::MonitorService): passes the inner body on as it is.
    #[derive(Debug)]
    pub struct MonitorBody<B> {
        // `None` only while this is being dropped.
        #[pin]
        inner: Option<B>,
        observation: Option<Observation>,
        // The request that ended when this stream began, and the stream's own parts.
        stream: Option<EventStream>,
        // Size of the body if it is known: a body that was sent in full is complete, although hyper does not poll for
        // its end then.
        size: Option<u64>,
        // Whether it is assumed to be in memory, see `AT_HAND`.
        at_hand: bool,
        // What it waits for.
        wait: BodyWait,
    }

    impl<B> PinnedDrop for MonitorBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(EventStream { context, carrier, .. }) = this.stream {
                let _entered = enter(context, carrier);
                this.inner.set(None);
            }
            if let Some(observation) = this.observation {
                // Inner body first and with its request current, as in `MonitorFuture`.
                observation.within(|| this.inner.set(None));
                this.wait.end(observation);
                observation.body_dropped(*this.size);
            }
        }
    }
}

/// What a body that is not in memory waits for, and since when.
#[derive(Clone, Copy, Debug)]
enum BodyWait {
    None,
    /// It has no frame yet.
    Producer(Instant),
    /// It gave a frame, and is not asked for the next one until the client has taken enough of it.
    Client(Instant),
}

/// Shorter pauses between two frames are the server's own.
const PAUSE: Duration = Duration::from_micros(100);

impl BodyWait {
    /// Ends the wait.
    fn end(self, observation: &mut Observation) {
        match self {
            Self::None => {}
            Self::Producer(since) => observation.add_producing(since.elapsed()),
            Self::Client(since) if since.elapsed() >= PAUSE => observation.waited_for_client(since),
            Self::Client(_) => {}
        }
    }
}

/// An event stream: open until it is dropped, with queries that count for the route.
#[derive(Debug)]
struct EventStream {
    context: Option<Arc<RequestContext>>,
    carrier: Carrier,
    open: Option<OpenStream>,
}

impl<B: Body> MonitorBody<B> {
    pub(super) fn unobserved(inner: B) -> Self {
        Self { inner: Some(inner), observation: None, stream: None, size: None, at_hand: false, wait: BodyWait::None }
    }

    pub(super) fn stream(inner: B, context: Option<Arc<RequestContext>>) -> Self {
        let stream = context.map(|context| EventStream {
            carrier: Carrier::of(&context),
            open: context.open_stream(),
            context: Some(context),
        });
        Self { inner: Some(inner), observation: None, stream, size: None, at_hand: false, wait: BodyWait::None }
    }

    pub(super) fn observed(inner: B, size: Option<u64>, observation: Observation) -> Self {
        // Not `size`, which a header may give: a body that does not know its size itself is still being produced.
        let at_hand = inner.size_hint().exact().is_some_and(|size| size <= AT_HAND);
        Self { inner: Some(inner), observation: Some(observation), stream: None, size, at_hand, wait: BodyWait::None }
    }
}

impl<B: Body> Body for MonitorBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let mut inner = this.inner.as_pin_mut().expect("`inner` is taken only in `drop`");
        if let Some(EventStream { context, carrier, open }) = this.stream {
            let _entered = enter(context, carrier);
            let frame = ready!(inner.poll_frame(cx));
            if let (Some(Ok(frame)), Some(open)) = (&frame, open)
                && is_message(frame)
            {
                open.sends_message();
            }
            return Poll::Ready(frame);
        }
        let Some(observation) = this.observation.as_mut() else { return inner.poll_frame(cx) };
        if *this.at_hand {
            let frame = ready!(observation.poll(|| inner.as_mut().poll_frame(cx)));
            return Poll::Ready(passed_on(frame, &*inner, this.observation));
        }
        if let BodyWait::Client(_) = this.wait {
            std::mem::replace(this.wait, BodyWait::None).end(observation);
        }
        let polled = observation
            .poll_followed(cx, |observation, cx| observation.poll_timed(|| inner.as_mut().poll_frame(cx), |_| false));
        let Poll::Ready(frame) = polled else {
            if let BodyWait::None = this.wait {
                *this.wait = BodyWait::Producer(Instant::now());
            }
            return Poll::Pending;
        };
        std::mem::replace(this.wait, BodyWait::Client(Instant::now())).end(observation);
        Poll::Ready(passed_on(frame, &*inner, this.observation))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map(B::size_hint).unwrap_or_default()
    }
}

/// Returns whether a frame of an event stream is a message. A frame that begins with a colon is a comment, which keeps the
/// connection alive.
fn is_message<D: Buf>(frame: &Frame<D>) -> bool {
    frame.data_ref().and_then(|data| data.chunk().first()).is_some_and(|first| *first != b':')
}

/// Notes a frame that is passed on, and ends the request with the last one.
fn passed_on<B: Body>(
    frame: Option<Result<Frame<B::Data>, B::Error>>,
    body: &B,
    observation: &mut Option<Observation>,
) -> Option<Result<Frame<B::Data>, B::Error>> {
    let end = match &frame {
        Some(Ok(frame)) => {
            if let Some((data, observation)) = frame.data_ref().zip(observation.as_mut()) {
                observation.sent(data.remaining());
            }
            if let Some((trailers, observation)) = frame.trailers_ref().zip(observation.as_mut()) {
                observation.read_grpc_status(trailers);
            }
            // Trailers are the last frame, and hyper does not poll after them.
            (frame.is_trailers() || body.is_end_stream()).then_some(End::Complete)
        }
        Some(Err(_)) => Some(End::BodyError),
        None => Some(End::Complete),
    };
    if let Some(end) = end
        && let Some(observation) = observation.take()
    {
        observation.end(end);
    }
    frame
}
