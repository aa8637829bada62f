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
        // Before the observation, as in the future.
        #[pin]
        inner: B,
        observation: Option<Observation>,
        // Known size of the body: what was sent in full is complete, also when nobody polls for its end.
        size: Option<u64>,
    }

    impl<B> PinnedDrop for MonitorBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(observation) = this.observation {
                observation.body_dropped(*this.size);
            }
        }
    }
}

impl<B: Body> MonitorBody<B> {
    pub(super) fn unobserved(inner: B) -> Self {
        Self { inner, observation: None, size: None }
    }

    pub(super) fn observed(inner: B, observation: Observation) -> Self {
        Self { size: inner.size_hint().exact(), inner, observation: Some(observation) }
    }
}

impl<B: Body> Body for MonitorBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        let Some(observation) = this.observation.as_mut() else { return this.inner.poll_frame(cx) };
        let poll = || this.inner.as_mut().poll_frame(cx);
        let at_hand = this.size.is_some_and(|size| size <= AT_HAND);
        let frame = ready!(if at_hand { observation.poll(poll) } else { observation.poll_timed(poll) });
        let end = match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    observation.sent(data.remaining());
                }
                this.inner.is_end_stream().then_some(End::Complete)
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
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
