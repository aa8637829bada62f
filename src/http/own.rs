//! [`OwnAnswer`]: an answer of the monitor itself, which does not count as a request of the service, wherever the host
//! mounts the monitor's routes.

use std::sync::Arc;

use http::Response;
use metrics::Gauge;

use super::series::active;
use crate::context::{RequestContext, current};

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
    /// With the requests in flight that it is among; `None` for a task.
    request: Option<(Arc<RequestContext>, Option<Gauge>)>,
}

impl OwnAnswer {
    /// Begins to answer the request that this thread polls. A layer between may have changed its method or its scheme since it
    /// was counted.
    pub(crate) fn begin() -> Self {
        let request = current().map(|request| {
            request.begin_own_answer();
            let instruments = request.instruments();
            let counted_as = request.in_flight_as();
            let active = counted_as.map(|(method, scheme)| active(instruments, method, scheme));
            active.iter().for_each(|active| active.decrement(1.0));
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
        if let Some((_, Some(active))) = &self.request {
            active.increment(1.0);
        }
    }
}
