//! [`OwnAnswer`]: an answer of the monitor itself, which does not count as a request of the service, wherever the host
//! mounts the monitor's routes.

use std::sync::Arc;

use http::{HeaderMap, Method, Response, Uri};
use metrics::Gauge;

use super::series::active;
use crate::context::{RequestContext, Scheme, current};

/// Response extension of the monitor's own answers.
#[derive(Clone, Copy, Debug)]
struct OwnAnswerMark;

/// Returns whether a response is the monitor's own.
pub(super) fn is_own<B>(response: &Response<B>) -> bool {
    response.extensions().get::<OwnAnswerMark>().is_some()
}

/// An answer that the monitor is making. Until it is made or dropped, its request is not in flight, and if it is
/// dropped the request does not count as cancelled.
#[derive(Debug)]
pub(crate) struct OwnAnswer {
    request: Option<(Arc<RequestContext>, Gauge)>,
}

impl OwnAnswer {
    /// Begins to answer the request that this thread polls.
    pub(crate) fn begin(method: &Method, headers: &HeaderMap, uri: &Uri) -> Self {
        let request = current().map(|request| {
            request.begin_own_answer();
            let instruments = request.instruments();
            let limits = instruments.limits();
            let scheme = Scheme::of(limits.scheme, headers, uri);
            let active = active(instruments, limits.methods.place(method), scheme);
            active.decrement(1.0);
            (request, active)
        });
        Self { request }
    }

    /// Marks the finished answer. The mark is on the response, since the host may drop it and answer otherwise.
    pub(crate) fn made<B>(self, response: &mut Response<B>) {
        if let Some((request, _)) = &self.request {
            request.end_own_answer();
        }
        response.extensions_mut().insert(OwnAnswerMark);
    }
}

impl Drop for OwnAnswer {
    fn drop(&mut self) {
        // The request's observation decrements the gauge at its end.
        if let Some((_, active)) = &self.request {
            active.increment(1.0);
        }
    }
}
