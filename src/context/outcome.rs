//! [`Outcome`]: how something ended, and [`OutcomeDurations`]: a histogram for each.

use std::{fmt, sync::OnceLock, time::Duration};

use metrics::Histogram;

/// How a query or a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    Error,
    /// Its future was dropped, because the client disconnected or a timeout ended it.
    Cancelled,
    /// Its poll unwound.
    Panicked,
}

/// A duration histogram for each outcome, registered with its first duration: most queries and tasks never fail.
pub(crate) struct OutcomeDurations {
    handles: [OnceLock<Histogram>; 4],
    make: Box<dyn Fn(Outcome) -> Histogram + Send + Sync>,
}

impl fmt::Debug for OutcomeDurations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutcomeDurations").field("handles", &self.handles).finish_non_exhaustive()
    }
}

impl OutcomeDurations {
    pub(super) fn new(make: impl Fn(Outcome) -> Histogram + Send + Sync + 'static) -> Self {
        Self { handles: Default::default(), make: Box::new(make) }
    }

    pub(crate) fn record(&self, outcome: Outcome, duration: Duration) {
        self.handles[outcome as usize].get_or_init(|| (self.make)(outcome)).record(duration.as_secs_f64());
    }
}
