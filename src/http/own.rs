//! [`OwnAnswer`]: what the monitor answers itself, which is no request of the service wherever the host mounts it.

use std::sync::Arc;

use http::{Method, Response};
use metrics::Gauge;

use super::{route::method_index, series::active};
use crate::context::{RequestContext, current};

/// Response extension of the monitor's own answers.
#[derive(Clone, Copy, Debug)]
struct Unobserved;

/// Returns whether a response is the monitor's own.
pub(super) fn is_own<B>(response: &Response<B>) -> bool {
    response.extensions().get::<Unobserved>().is_some()
}

/// An answer that the monitor is making: meanwhile its request is not in flight, and nobody waits in vain if it is
/// dropped.
#[derive(Debug)]
pub(crate) struct OwnAnswer {
    request: Option<(Arc<RequestContext>, Gauge)>,
}

impl OwnAnswer {
    /// Begins to answer the request that this thread is polling.
    pub(crate) fn begin(method: &Method) -> Self {
        let request = current().map(|request| {
            request.begin_own_answer();
            let active = active(request.instruments(), method_index(method));
            active.decrement(1.0);
            (request, active)
        });
        Self { request }
    }

    /// Marks the answer that was made. It is the request's only where the host passes it on.
    pub(crate) fn made<B>(self, response: &mut Response<B>) {
        if let Some((request, _)) = &self.request {
            request.end_own_answer();
        }
        response.extensions_mut().insert(Unobserved);
    }
}

impl Drop for OwnAnswer {
    fn drop(&mut self) {
        // Whoever put the request in flight takes it out.
        if let Some((_, active)) = &self.request {
            active.increment(1.0);
        }
    }
}
