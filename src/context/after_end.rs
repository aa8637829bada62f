//! [`AfterEnd`]: what may still happen to an endpoint after one of its requests has ended.

use std::{fmt, sync::Arc, time::Duration};

use metrics::{Counter, Gauge, Histogram};
use tokio::time::Instant;

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

    /// Returns the series of event streams and upgraded connections.
    fn streams(&self) -> &StreamSeries;

    /// Returns the counters of the messages of event streams and upgraded connections.
    fn stream_messages(&self) -> StreamMessages;

    /// Returns the counter of the messages that were sent; that of the received ones is not made.
    fn sent_messages(&self) -> &Counter;
}

/// The messages of an endpoint's event streams and upgraded connections.
#[derive(Clone, Debug)]
pub(crate) struct StreamMessages {
    pub(crate) sent: Counter,
    pub(crate) received: Counter,
}

/// The series of an endpoint's event streams and upgraded connections.
#[derive(Debug)]
pub(crate) struct StreamSeries {
    pub(crate) open: Gauge,
    /// How long those were open that are over.
    pub(crate) durations: Histogram,
}

/// Counts an event stream or an upgraded connection as open until dropped, and records then how long it was.
#[derive(Debug)]
pub(crate) struct OpenStream {
    endpoint: Arc<dyn AfterEnd>,
    since: Instant,
}

impl OpenStream {
    pub(super) fn new(endpoint: Arc<dyn AfterEnd>) -> Self {
        endpoint.streams().open.increment(1.0);
        Self { endpoint, since: Instant::now() }
    }

    /// Counts a message that an event stream sends.
    pub(crate) fn sends_message(&self) {
        self.endpoint.sent_messages().increment(1);
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let StreamSeries { open, durations } = self.endpoint.streams();
        open.decrement(1.0);
        durations.record(self.since.elapsed().as_secs_f64());
    }
}
