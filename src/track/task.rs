//! Asynchronous tasks.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;

use pin_project_lite::pin_project;

use crate::context::{EventKind, Outcome, Place, RequestContext, TaskSeries, current, installed};

/// Where a task is booked.
struct Open {
    request: Option<Arc<RequestContext>>,
    series: Arc<TaskSeries>,
    place: Option<Place>,
}

/// A task under way; dropped before its end, it is booked as cancelled, or as panicked where its poll unwound.
struct Running {
    open: Option<Open>,
    began: Instant,
    busy: Duration,
    /// Since when it is being polled.
    polling: Option<Instant>,
}

impl Running {
    fn begin(name: &str) -> Self {
        let began = Instant::now();
        let request = current();
        let instruments = request.as_ref().map(|request| request.instruments().clone()).or_else(installed);
        let series = instruments.filter(|instruments| instruments.enabled()).map(|instruments| instruments.task(name));
        let open = series.map(|series| {
            series.active.increment(1.0);
            Open { request, place: series.runs.begin(began), series }
        });
        Self { open, began, busy: Duration::ZERO, polling: None }
    }

    /// A poll begins. Nothing is measured of what is not booked.
    fn poll_begins(&mut self) {
        self.polling = self.open.is_some().then(Instant::now);
    }

    fn poll_ends(&mut self) {
        self.busy += self.polling.take().map(|began| began.elapsed()).unwrap_or_default();
    }

    fn end(&mut self, outcome: Outcome) {
        let Some(Open { request, series, place }) = self.open.take() else { return };
        let duration = self.began.elapsed();
        series.active.decrement(1.0);
        place.into_iter().for_each(|place| series.runs.end(place));
        // A counter of zero is no series: on a clock that stood still "not busy" and "not measured" would be one.
        series.busy.increment(nanos(self.busy).max(1));
        series.durations.record(outcome, duration);
        if request.is_some_and(|request| request.book(EventKind::Task, series.id, self.began, duration)) {
            series.in_requests.increment(nanos(duration));
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Drop for Running {
    fn drop(&mut self) {
        let outcome = if self.polling.is_some() { Outcome::Panicked } else { Outcome::Cancelled };
        self.poll_ends();
        self.end(outcome);
    }
}

pin_project! {
    /// Future of [`track_async_task`].
    #[must_use = "futures do nothing unless polled"]
    pub struct TrackAsyncTask<S, F> {
        name: S,
        running: Option<Running>,
        #[pin]
        task: F,
    }
}

impl<S, F> std::fmt::Debug for TrackAsyncTask<S, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrackAsyncTask").finish_non_exhaustive()
    }
}

/// Tracks an asynchronous task: how long it ran from its first poll, how many run now, and how it ended.
///
/// `Ok`, `Err`, dropped before its end and panicked are four outcomes told apart; a panic goes on unwinding as before.
/// `name` becomes a label, so it must come from the program, not from data: past the monitor's `max_fingerprints`
/// names, further ones count as `other`. Without a monitor the future runs as it is.
///
/// ```
/// # async fn send() -> Result<(), std::io::Error> { Ok(()) }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), std::io::Error> {
/// use pinchpoint::{in_current_request, track_async_task};
///
/// track_async_task("send_welcome_mail", send()).await?;
/// // In the background, still booked on the request that started it:
/// tokio::spawn(in_current_request(track_async_task("send_welcome_mail", send())));
/// # Ok(()) }
/// ```
pub fn track_async_task<S, F, T, E>(name: S, task: F) -> TrackAsyncTask<S, F>
where
    S: AsRef<str>,
    F: Future<Output = Result<T, E>>,
{
    TrackAsyncTask { name, running: None, task }
}

impl<S, F, T, E> Future for TrackAsyncTask<S, F>
where
    S: AsRef<str>,
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let running = this.running.get_or_insert_with(|| Running::begin(this.name.as_ref()));
        running.poll_begins();
        let polled = this.task.poll(cx);
        running.poll_ends();
        if let Poll::Ready(result) = &polled {
            running.end(if result.is_ok() { Outcome::Ok } else { Outcome::Error });
        }
        polled
    }
}
