//! [`MonitorBody`]: measures a response up to its last byte.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

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
        follows: Follows,
    }

    impl<B> PinnedDrop for MonitorBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            match this.follows {
                Follows::Nothing => {}
                Follows::Stream(EventStream { context, carrier, .. }) => {
                    let _entered = enter(context, carrier);
                    this.inner.set(None);
                }
                Follows::Request(observation) => {
                    // Inner body first and with its request current, as in `MonitorFuture`.
                    observation.within(|| this.inner.set(None));
                    observation.body_dropped();
                }
            }
        }
    }
}

/// What ends or goes on with a body.
#[derive(Debug)]
enum Follows {
    Nothing,
    /// The request, which ends with the body.
    Request(Observation),
    /// The request ended when this stream began.
    Stream(EventStream),
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
        Self { inner: Some(inner), follows: Follows::Nothing }
    }

    pub(super) fn stream(inner: B, context: Option<Arc<RequestContext>>) -> Self {
        let Some(context) = context else { return Self::unobserved(inner) };
        let (carrier, open) = (Carrier::of(&context), context.open_stream());
        Self { inner: Some(inner), follows: Follows::Stream(EventStream { context: Some(context), carrier, open }) }
    }

    /// `exact` is the size that the body itself knows, `size` that of body or header.
    pub(super) fn observed(inner: B, exact: Option<u64>, size: Option<u64>, mut observation: Observation) -> Self {
        // Not `size`, which a header may give: a body that does not know its size itself is still being produced.
        observation.body_begins(size, exact.is_some_and(|size| size <= AT_HAND));
        Self { inner: Some(inner), follows: Follows::Request(observation) }
    }
}

impl<B: Body> Body for MonitorBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let mut inner = this.inner.as_pin_mut().expect("`inner` is taken only in `drop`");
        let observation = match this.follows {
            Follows::Nothing => return inner.poll_frame(cx),
            Follows::Request(observation) => observation,
            Follows::Stream(EventStream { context, carrier, open }) => {
                let _entered = enter(context, carrier);
                let frame = ready!(inner.poll_frame(cx));
                if let (Some(Ok(frame)), Some(open)) = (&frame, open)
                    && is_message(frame)
                {
                    open.sends_message();
                }
                return Poll::Ready(frame);
            }
        };
        let frame = if observation.has_body_at_hand() {
            let polling = observation.poll();
            let polled = inner.as_mut().poll_frame(cx);
            polling.end();
            ready!(polled)
        } else {
            observation.body_is_asked_for();
            let polled = observation.poll_followed(cx, |cx| inner.as_mut().poll_frame(cx), |_| false);
            observation.body_was_polled(polled.is_ready());
            ready!(polled)
        };
        if let Some(end) = ended(&frame, &*inner, observation)
            && let Follows::Request(observation) = std::mem::replace(this.follows, Follows::Nothing)
        {
            observation.end(end);
        }
        Poll::Ready(frame)
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

/// Notes a frame that is passed on, and returns how the request ends if it is the last one.
fn ended<B: Body>(
    frame: &Option<Result<Frame<B::Data>, B::Error>>,
    body: &B,
    observation: &mut Observation,
) -> Option<End> {
    match frame {
        Some(Ok(frame)) => {
            if let Some(data) = frame.data_ref() {
                observation.sent(data.remaining());
            }
            if let Some(trailers) = frame.trailers_ref() {
                observation.read_grpc_status(trailers);
            }
            // Trailers are the last frame, and hyper does not poll after them.
            (frame.is_trailers() || body.is_end_stream()).then_some(End::Complete)
        }
        Some(Err(_)) => Some(End::BodyError),
        None => Some(End::Complete),
    }
}
