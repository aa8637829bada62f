//! [`MonitorBody`]: a response up to its last byte.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf as _;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{Observation, observation::End};

/// Largest body of known size that is taken to be at hand: to poll it is to hand it over, which is not worth two looks at
/// the clock. They are a sixth of what a small request costs here.
const AT_HAND: u64 = 64 * 1024;

pin_project! {
    /// Response body of [`MonitorService`](crate::MonitorService): passes the inner body on as it is.
    #[derive(Debug)]
    pub struct MonitorBody<B> {
        // `None` only while this is being dropped.
        #[pin]
        inner: Option<B>,
        observation: Option<Observation>,
        // Size of the body where it is known: what was sent in full is complete, also when nobody polls for its end.
        size: Option<u64>,
        at_hand: bool,
    }

    impl<B> PinnedDrop for MonitorBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(observation) = this.observation {
                // As in the future.
                observation.within(|| this.inner.set(None));
                observation.body_dropped(*this.size);
            }
        }
    }
}

impl<B: Body> MonitorBody<B> {
    pub(super) fn unobserved(inner: B) -> Self {
        Self { inner: Some(inner), observation: None, size: None, at_hand: false }
    }

    pub(super) fn observed(inner: B, size: Option<u64>, observation: Observation) -> Self {
        // A body that does not know its size itself is still to come, however short a header says it is.
        let at_hand = inner.size_hint().exact().is_some_and(|size| size <= AT_HAND);
        Self { inner: Some(inner), observation: Some(observation), size, at_hand }
    }
}

impl<B: Body> Body for MonitorBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let mut inner = this.inner.as_pin_mut().expect("it is there until this is dropped");
        let Some(observation) = this.observation.as_mut() else { return inner.poll_frame(cx) };
        let poll = || inner.as_mut().poll_frame(cx);
        let frame =
            ready!(if *this.at_hand { observation.poll(poll) } else { observation.poll_timed(poll, |_| false) });
        let end = match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    observation.sent(data.remaining());
                }
                // Nothing follows trailers, and hyper does not ask.
                (frame.is_trailers() || inner.is_end_stream()).then_some(End::Complete)
            }
            Some(Err(_)) => Some(End::BodyError),
            None => Some(End::Complete),
        };
        if let Some(end) = end
            && let Some(observation) = this.observation.take()
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
