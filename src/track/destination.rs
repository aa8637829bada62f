//! [`Destination`]: where a query or a task is recorded.

use std::sync::Arc;

use crate::context::{Instruments, RequestContext, current, installed};

/// Where a query or a task is recorded: in the series of its fingerprint or name, and on the request that it is part
/// of, if there is one.
pub(super) struct Destination<S> {
    pub(super) request: Option<Arc<RequestContext>>,
    pub(super) series: Arc<S>,
}

impl<S> Destination<S> {
    /// Returns the destination of what begins on this thread now. `series` finds the series in the instruments of the
    /// current request, or outside any request in the installed ones. Returns `None` without a monitor, and while it is
    /// stopped.
    pub(super) fn find(series: impl FnOnce(&Instruments) -> Arc<S>) -> Option<Self> {
        Some(Self::find_in(series)?.0)
    }

    /// Returns the instruments as well.
    pub(super) fn find_in(series: impl FnOnce(&Instruments) -> Arc<S>) -> Option<(Self, Arc<Instruments>)> {
        let request = current();
        let instruments = match &request {
            Some(request) => request.instruments().clone(),
            None => installed()?,
        };
        if !instruments.enabled() {
            return None;
        }
        let series = series(&instruments);
        Some((Self { request, series }, instruments))
    }
}
