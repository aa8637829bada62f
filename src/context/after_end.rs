//! [`AfterEnd`]: what may still happen to an endpoint after one of its requests has ended.

use std::{fmt, time::Duration};

use metrics::Gauge;

/// A query that ended after its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LateQuery {
    pub(crate) id: u32,
    /// Whether it is the request's first call of this query.
    pub(crate) is_first: bool,
    /// Part of its duration before the request's end.
    pub(crate) before_end: Duration,
    pub(crate) duration: Duration,
}

/// What may still happen to an endpoint after one of its requests has ended. Implemented by the endpoint's series in
/// `http`, which this module must not import.
pub(crate) trait AfterEnd: fmt::Debug + Send + Sync {
    /// Records a query that a request had begun whose client then disconnected.
    fn record_late(&self, query: LateQuery);

    /// Records a query of an event stream or an upgraded connection.
    fn record_detached(&self, query: LateQuery);

    /// Returns the gauge of open event streams and upgraded connections.
    fn open_streams(&self) -> &Gauge;
}

/// Counts an event stream or an upgraded connection as open until dropped.
#[derive(Debug)]
pub(crate) struct OpenStream(Gauge);

impl OpenStream {
    pub(super) fn new(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
