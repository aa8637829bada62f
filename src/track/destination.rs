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
    /// current request, or outside any request in the installed ones; it is given that request, too. Returns `None` without a
    /// monitor, and while it is stopped.
    pub(super) fn find(series: impl FnOnce(&Arc<Instruments>, Option<&Arc<RequestContext>>) -> Arc<S>) -> Option<Self> {
        let request = current();
        // Not cloned where there is a request: every core would write to the one count of the instruments' owners.
        let installed = if request.is_none() { installed() } else { None };
        let instruments = request.as_ref().map(|request| request.instruments()).or(installed.as_ref())?;
        if !instruments.enabled() {
            return None;
        }
        let series = series(instruments, request.as_ref());
        Some(Self { request, series })
    }
}
