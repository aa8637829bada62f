//! [`CallBody`]: follows the answer of a call to its last byte.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::call::RunningCall;
use crate::{context::CallEnding, names};

/// What the caller does with the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// It has not asked for any of it.
    NotYet,
    /// It waits for the next frame.
    Waiting,
    /// It has the last frame that it asked for.
    Paused,
}

/// A call whose head was received.
struct AnsweredCall {
    running: RunningCall,
    status: StatusCode,
    reading: Reading,
    /// When the caller last got something: the head or a frame.
    received: Instant,
}

impl AnsweredCall {
    fn end(mut self, error: Option<&'static str>) {
        self.running.end(CallEnding { status: Some(self.status.as_u16()), error });
    }

    /// Ends a call whose body was dropped before its end.
    ///
    /// A caller that never asked for the body, as after a status that says enough, has cancelled nothing: the call ended with its
    /// head. And what a caller does between two frames is not the time of the call.
    fn dropped(mut self) {
        let error = match self.reading {
            _ if self.running.polling => Some(names::PANIC),
            Reading::NotYet => None,
            Reading::Waiting | Reading::Paused => Some(names::CANCELLED),
        };
        let at = if self.reading == Reading::Waiting { Instant::now() } else { self.received };
        self.running.end_at(CallEnding { status: Some(self.status.as_u16()), error }, at);
    }
}

pin_project! {
    /// Body of an answer to a call that [`HttpClientLayer`](crate::HttpClientLayer) measures: passes the inner body on as it is.
    ///
    /// The call ends with its last byte, or with the error of the body. Dropped while it is being read, the call is cancelled;
    /// dropped unread, it ended with its head.
    pub struct CallBody<R> {
        #[pin]
        inner: R,
        // `None` after the end, and where nothing is recorded.
        call: Option<AnsweredCall>,
    }

    impl<R> PinnedDrop for CallBody<R> {
        fn drop(this: Pin<&mut Self>) {
            if let Some(call) = this.project().call.take() {
                call.dropped();
            }
        }
    }
}

impl<R> fmt::Debug for CallBody<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallBody").finish_non_exhaustive()
    }
}

impl<R: Body> CallBody<R> {
    /// Follows the body of an answer. Without one the call ends here.
    pub(super) fn new(inner: R, status: StatusCode, mut running: RunningCall) -> Self {
        // An upgraded connection is no part of the call, and may last for days.
        if inner.is_end_stream() || status == StatusCode::SWITCHING_PROTOCOLS {
            running.end(CallEnding { status: Some(status.as_u16()), error: None });
        }
        let call = running.is_recorded().then(|| AnsweredCall {
            running,
            status,
            reading: Reading::NotYet,
            received: Instant::now(),
        });
        Self { inner, call }
    }
}

impl<R: Body> Body for CallBody<R> {
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        let mut this = self.project();
        let Some(call) = this.call.as_mut() else { return this.inner.poll_frame(cx) };
        call.running.polling = true;
        let polled = this.inner.as_mut().poll_frame(cx);
        call.running.polling = false;
        let Poll::Ready(frame) = &polled else {
            call.reading = Reading::Waiting;
            return polled;
        };
        (call.reading, call.received) = (Reading::Paused, Instant::now());
        let error = frame.as_ref().and_then(|frame| frame.as_ref().err()).map(|_| names::ERROR);
        let is_last = frame.as_ref().is_none_or(|frame| frame.as_ref().map_or(true, Frame::is_trailers));
        if (is_last || this.inner.is_end_stream())
            && let Some(call) = this.call.take()
        {
            call.end(error);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
