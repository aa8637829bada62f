//! [`CountedBody`]: counts the bytes of a request's body as they are received, and the time that the client takes to send them.
//!
//! The header is what a client says, and may be a lie: `Content-Length: 9000000000000000000` with one byte. Only axum's
//! body can be wrapped without changing its type; of other types no size is recorded. A wrapped body costs one allocation,
//! so a request without a body keeps its own.

use std::{
    any::Any,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::{Body, Bytes};
use http_body::{Body as _, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::context::{Did, Part, RequestContext};

pin_project! {
    /// A body whose bytes and waits count for a request.
    struct CountedBody {
        #[pin]
        inner: Body,
        context: Arc<RequestContext>,
        // Since when the client is waited for.
        waiting: Option<Instant>,
    }

    impl PinnedDrop for CountedBody {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            record_wait(this.context, this.waiting.take());
        }
    }
}

fn record_wait(context: &RequestContext, waiting: Option<Instant>) {
    if let Some(since) = waiting {
        context.record(Part::Client, &Did::waited(since, since.elapsed()));
    }
}

/// Has the bytes of a body counted for a request, if it is axum's and not empty.
pub(super) fn count<B: 'static>(body: &mut B, context: &Arc<RequestContext>) {
    let Some(body) = (body as &mut dyn Any).downcast_mut::<Body>() else { return };
    if !body.is_end_stream() {
        let inner = std::mem::take(body);
        *body = Body::new(CountedBody { inner, context: context.clone(), waiting: None });
    }
}

impl http_body::Body for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.project();
        let Poll::Ready(frame) = this.inner.poll_frame(cx) else {
            this.waiting.get_or_insert_with(Instant::now);
            return Poll::Pending;
        };
        record_wait(this.context, this.waiting.take());
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            this.context.receive(data.len());
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
