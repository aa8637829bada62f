//! [`MonitorFuture`]: a request up to the head of its response.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Response, StatusCode, header::CONTENT_TYPE};
use http_body::Body;
use pin_project_lite::pin_project;

use super::{MonitorBody, Observation, Unobserved, observation::End};

pin_project! {
    /// Response future of [`MonitorService`](crate::MonitorService).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct MonitorFuture<F> {
        // Before the observation: fields drop in this order, so a query that is cancelled with its request is still
        // booked on it.
        #[pin]
        inner: F,
        observation: Option<Observation>,
        ends_at_head: bool,
    }
}

impl<F> MonitorFuture<F> {
    pub(super) fn unobserved(inner: F) -> Self {
        Self { inner, observation: None, ends_at_head: false }
    }

    pub(super) fn observed(inner: F, observation: Observation, ends_at_head: bool) -> Self {
        Self { inner, observation: Some(observation), ends_at_head }
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
        let Some(observation) = this.observation.as_mut() else {
            return this.inner.poll(cx).map_ok(|response| response.map(MonitorBody::unobserved));
        };
        let result = ready!(observation.poll_timed(|| this.inner.poll(cx)));
        let observation = this.observation.take().expect("it was there when this poll began");
        Poll::Ready(match result {
            Ok(response) => Ok(follow(response, observation, *this.ends_at_head)),
            Err(error) => {
                observation.end(End::ServiceError);
                Err(error)
            }
        })
    }
}

/// Lets the observation follow the body, or ends it at the head.
fn follow<B: Body>(
    response: Response<B>,
    mut observation: Observation,
    ends_at_head: bool,
) -> Response<MonitorBody<B>> {
    if response.extensions().get::<Unobserved>().is_some() {
        observation.discard();
        return response.map(MonitorBody::unobserved);
    }
    let status = response.status();
    let size = response.body().size_hint().exact();
    let empty = size == Some(0) || response.body().is_end_stream();
    let ends_at_head = ends_at_head || empty || outlives_the_request(&response, size.is_some());
    observation.head(status.as_u16(), !ends_at_head && size.is_none());
    if ends_at_head {
        observation.end(End::Complete);
        return response.map(MonitorBody::unobserved);
    }
    response.map(|body| MonitorBody::observed(body, observation))
}

/// Returns whether what follows the head is no part of the request: an upgraded connection or an event stream, which
/// may last for days. What has a size ends.
fn outlives_the_request<B>(response: &Response<B>, sized: bool) -> bool {
    response.status() == StatusCode::SWITCHING_PROTOCOLS
        || !sized
            && response.headers().get(CONTENT_TYPE).is_some_and(|kind| {
                let essence = kind.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
                essence.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
            })
}
