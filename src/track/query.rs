//! Database queries.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;

use pin_project_lite::pin_project;

use super::fingerprint;
use crate::context::{Carrier, EventKind, Instruments, Outcome, QuerySeries, RequestContext, current, installed};

/// Where a query is booked: on the request that issued it if there is one, and in the service's numbers.
struct Booking {
    request: Option<Arc<RequestContext>>,
    series: Arc<QuerySeries>,
}

impl Booking {
    fn open(sql: &str) -> Option<Self> {
        let request = current();
        let installed = if request.is_none() { installed() } else { None };
        let instruments: &Arc<Instruments> =
            request.as_ref().map(|request| request.instruments()).or(installed.as_ref())?;
        if !instruments.enabled() {
            return None;
        }
        let series = instruments.query(sql, fingerprint::shape);
        Some(Self { request, series })
    }

    fn close(&self, began: Instant, duration: Duration, outcome: Outcome) {
        self.series.durations.record(outcome, duration);
        if let Some(request) = &self.request {
            request.book(EventKind::Query, self.series.id, began, duration);
        }
    }
}

/// Books a query that has already ended, as sqlx's own events tell of it: without saying how.
#[cfg(feature = "sqlx")]
pub(crate) fn record_query(sql: &str, elapsed: Duration) {
    // Before a new statement's fingerprint is made, which takes time.
    let now = Instant::now();
    if let Some(booking) = Booking::open(sql) {
        booking.close(now.checked_sub(elapsed).unwrap_or(now), elapsed, Outcome::Ok);
    }
}

/// A query under way; dropped before its end, it is booked as cancelled.
struct Running {
    booking: Option<Booking>,
    /// Keeps the driver's own events of this query from counting it again.
    counted: Carrier,
    began: Instant,
    polling: bool,
}

impl Running {
    fn begin(sql: &str) -> Self {
        let booking = Booking::open(sql);
        let counted = booking.as_ref().map(|_| Carrier::counted()).unwrap_or_default();
        Self { booking, counted, began: Instant::now(), polling: false }
    }

    fn end(&mut self, outcome: Outcome) {
        if let Some(booking) = self.booking.take() {
            booking.close(self.began, self.began.elapsed(), outcome);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(if self.polling { Outcome::Panicked } else { Outcome::Cancelled });
    }
}

pin_project! {
    /// Future of [`track_db_query`].
    #[must_use = "futures do nothing unless polled"]
    pub struct TrackDbQuery<S, F> {
        sql: S,
        running: Option<Running>,
        // `None` only while this is being dropped.
        #[pin]
        query: Option<F>,
    }

    impl<S, F> PinnedDrop for TrackDbQuery<S, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(running) = this.running.as_ref().filter(|running| running.booking.is_some()) {
                // A driver may tell of a query only when that is dropped; this one is booked after it, as cancelled.
                let _entered = running.counted.enter();
                this.query.set(None);
            }
        }
    }
}

impl<S, F> std::fmt::Debug for TrackDbQuery<S, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrackDbQuery").finish_non_exhaustive()
    }
}

/// Tracks a database query: its duration from the first poll to its end, and whether it failed.
///
/// The query is booked on the request that awaits it and in the service's numbers, under the fingerprint of `sql`: the
/// statement without its literals, none of which is kept. A future that is dropped before its end counts as cancelled.
/// Without a monitor (none around this request, none installed) the future runs as it is.
///
/// ```
/// # async fn fetch(id: u64) -> Result<String, std::io::Error> { Ok(id.to_string()) }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), std::io::Error> {
/// use pinchpoint::track_db_query;
///
/// let user = track_db_query("SELECT * FROM users WHERE id = ?", fetch(7)).await?;
/// # assert_eq!(user, "7"); Ok(()) }
/// ```
pub fn track_db_query<S, F, T, E>(sql: S, query: F) -> TrackDbQuery<S, F>
where
    S: AsRef<str>,
    F: Future<Output = Result<T, E>>,
{
    TrackDbQuery { sql, running: None, query: Some(query) }
}

impl<S, F, T, E> Future for TrackDbQuery<S, F>
where
    S: AsRef<str>,
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let running = this.running.get_or_insert_with(|| Running::begin(this.sql.as_ref()));
        let query = this.query.as_pin_mut().expect("it is there until this is dropped");
        running.polling = true;
        let polled = {
            let _entered = running.counted.enter();
            query.poll(cx)
        };
        running.polling = false;
        if let Poll::Ready(result) = &polled {
            running.end(if result.is_ok() { Outcome::Ok } else { Outcome::Error });
        }
        polled
    }
}
