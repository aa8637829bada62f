//! [`MonitorFuture`]: a request up to the head of its response.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::time::Instant;

use http::{Response, StatusCode, header::CONTENT_TYPE};
use http_body::Body;
use pin_project_lite::pin_project;

use super::{MonitorBody, Observation, Unobserved, observation::End};
use crate::context::enter;

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
        without_body: bool,
    }
}

impl<F> MonitorFuture<F> {
    pub(super) fn unobserved(inner: F) -> Self {
        Self { inner, observation: None, without_body: false }
    }

    pub(super) fn observed(inner: F, observation: Observation, without_body: bool) -> Self {
        Self { inner, observation: Some(observation), without_body }
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
        let entered = enter(observation.context.take(), &observation.carrier);
        let began = Instant::now();
        observation.polling = true;
        let polled = this.inner.poll(cx);
        observation.polling = false;
        observation.context = entered.leave();
        let now = Instant::now();
        observation.polled(began, now);
        let result = ready!(polled);
        let observation = this.observation.take().expect("it was there when this poll began");
        Poll::Ready(match result {
            Ok(response) => Ok(follow(response, observation, *this.without_body, now)),
            Err(error) => {
                observation.end(End::ServiceError, now);
                Err(error)
            }
        })
    }
}

/// Lets the observation follow the body, or ends it at the head.
fn follow<B: Body>(
    response: Response<B>,
    mut observation: Observation,
    without_body: bool,
    now: Instant,
) -> Response<MonitorBody<B>> {
    if response.extensions().get::<Unobserved>().is_some() {
        observation.discard();
        return response.map(MonitorBody::unobserved);
    }
    let status = response.status();
    let size = response.body().size_hint().exact();
    let empty = without_body || size == Some(0) || response.body().is_end_stream();
    let ends_at_head = empty || outlives_the_request(&response);
    observation.head(status.as_u16(), !ends_at_head && size.is_none(), now);
    if ends_at_head {
        observation.end(End::Complete, now);
        return response.map(MonitorBody::unobserved);
    }
    response.map(|body| MonitorBody::observed(body, observation))
}

/// Returns whether what follows the head is no part of the request: an upgraded connection or an event stream, which
/// may last for days.
fn outlives_the_request<B>(response: &Response<B>) -> bool {
    response.status() == StatusCode::SWITCHING_PROTOCOLS
        || response.headers().get(CONTENT_TYPE).is_some_and(|kind| {
            let essence = kind.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
            essence.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
        })
}
