//! [`MonitorFuture`]: measures a request up to the head of its response.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{
    HeaderMap, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body::Body;
use pin_project_lite::pin_project;

use super::{
    MonitorBody, Observation,
    observation::{AfterHead, End},
    own::is_own,
};

pin_project! {
    /// Response future of [`MonitorService`](crate::MonitorService).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct MonitorFuture<F> {
        // `None` only while this is being dropped.
        #[pin]
        inner: Option<F>,
        observation: Option<Observation>,
        // What follows the head, if the request decides it.
        after: Option<AfterHead>,
    }

    impl<F> PinnedDrop for MonitorFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(observation) = this.observation {
                // Before the observation ends and with its request current: a query that is cancelled with the future
                // still counts for the request.
                observation.within(|| this.inner.set(None));
            }
        }
    }
}

impl<F> MonitorFuture<F> {
    pub(super) fn unobserved(inner: F) -> Self {
        Self { inner: Some(inner), observation: None, after: None }
    }

    pub(super) fn observed(inner: F, observation: Observation, after: Option<AfterHead>) -> Self {
        Self { inner: Some(inner), observation: Some(observation), after }
    }
}

impl<F, B, E> Future for MonitorFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<MonitorBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let inner = this.inner.as_pin_mut().expect("`inner` is taken only in `drop`");
        let Some(observation) = this.observation.as_mut() else {
            return inner.poll(cx).map_ok(|response| response.map(MonitorBody::unobserved));
        };
        let is_own = |polled: &Poll<F::Output>| matches!(polled, Poll::Ready(Ok(response)) if is_own(response));
        let result = ready!(observation.poll_followed(cx, |cx| inner.poll(cx), is_own));
        let observation = this
            .observation
            .take()
            .expect("the observation was there when this poll began, and only a ready poll takes it");
        Poll::Ready(match result {
            Ok(response) => Ok(follow(response, observation, *this.after)),
            Err(error) => {
                observation.end(End::ServiceError);
                Err(error)
            }
        })
    }
}

/// Moves the observation into the body, or ends it at the head. `after` is what follows the head, if the request
/// decides it.
fn follow<B: Body>(
    response: Response<B>,
    mut observation: Observation,
    after: Option<AfterHead>,
) -> Response<MonitorBody<B>> {
    if is_own(&response) {
        observation.discard();
        return response.map(MonitorBody::unobserved);
    }
    let exact = response.body().size_hint().exact();
    // If the body does not know its size, hyper takes it from the header, as of a file or of a proxy's answer.
    let size = exact.or_else(|| content_length(response.headers()));
    let after = after.unwrap_or_else(|| follows(&response, exact, size));
    observation.head(response.status().as_u16(), after);
    observation.read_grpc_status(response.headers());
    match after {
        AfterHead::Detached if response.status() == StatusCode::OK => {
            let context = observation.end_as_stream();
            response.map(|body| MonitorBody::stream(body, context))
        }
        AfterHead::Nothing | AfterHead::Detached => {
            observation.end(End::Complete);
            response.map(MonitorBody::unobserved)
        }
        AfterHead::SizedBody | AfterHead::StreamedBody => {
            response.map(|body| MonitorBody::observed(body, exact, size, observation))
        }
    }
}

/// Returns what follows the head. `exact` is the size that the body itself knows, `size` that of body or header.
fn follows<B: Body>(response: &Response<B>, exact: Option<u64>, size: Option<u64>) -> AfterHead {
    let status = response.status();
    if status == StatusCode::SWITCHING_PROTOCOLS {
        AfterHead::Detached
    } else if is_bare(status) || size == Some(0) || exact.is_none() && response.body().is_end_stream() {
        AfterHead::Nothing
    } else if size.is_none() && is_event_stream(response.headers()) {
        AfterHead::Detached
    } else if exact.is_some() {
        AfterHead::SizedBody
    } else {
        AfterHead::StreamedBody
    }
}

/// Returns whether a response of this status never has content (RFC 9110, section 6.4.1). hyper sends none, and drops
/// the body if there is one.
fn is_bare(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| {
        let essence = kind.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        essence.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
    })
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
