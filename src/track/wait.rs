//! [`track_wait`] and [`track_hold`]: a wait for a lock, a permit, a connection or a message becomes an observation.

use std::{
    fmt,
    future::Future,
    ops::{Deref, DerefMut},
    panic::Location,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::destination::Destination;
use crate::context::{Did, Outcome, Part, Place, WaitSeries};

/// Where a wait that has ended was recorded, and where in the host's code it was.
struct Ended {
    destination: Option<Destination<WaitSeries>>,
    place: Place,
}

/// A wait in progress. Dropped before its end, it is recorded as cancelled, or as panicked if its poll unwound.
struct RunningWait {
    /// `None` after its end, and if there is no monitor.
    destination: Option<Destination<WaitSeries>>,
    began: Instant,
    place: Place,
    polling: bool,
}

impl RunningWait {
    fn begin(kind: &str, name: &str, location: &'static Location<'static>) -> Self {
        let destination = Destination::find(|instruments, _| instruments.wait(kind, name, Part::of_wait(kind)));
        let place = if destination.is_some() { Place::of(location) } else { Place::NONE };
        destination.iter().for_each(|Destination { series, .. }| series.waiting.increment(1.0));
        Self { destination, began: Instant::now(), place, polling: false }
    }

    fn end(&mut self, outcome: Outcome) -> Option<Destination<WaitSeries>> {
        let destination = self.destination.take()?;
        let Destination { request, series } = &destination;
        let duration = self.began.elapsed();
        series.waiting.decrement(1.0);
        series.durations.record(outcome, duration);
        if let Some(request) = request {
            let failed = outcome == Outcome::Cancelled;
            request.record(
                series.part,
                &Did { id: series.id, began: self.began, duration, failed, place: self.place, exact: 0 },
            );
        }
        Some(destination)
    }
}

impl Drop for RunningWait {
    fn drop(&mut self) {
        self.end(if self.polling { Outcome::Panicked } else { Outcome::Cancelled });
    }
}

pin_project! {
    /// Future of [`track_wait`].
    #[must_use = "futures do nothing unless polled"]
    pub struct TrackWait<K, N, F> {
        kind: K,
        name: N,
        location: &'static Location<'static>,
        running: Option<RunningWait>,
        #[pin]
        wait: F,
    }
}

impl<K, N, F> fmt::Debug for TrackWait<K, N, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrackWait").finish_non_exhaustive()
    }
}

impl<K: AsRef<str>, N: AsRef<str>, F: Future> TrackWait<K, N, F> {
    /// Polls the wait. Returns its output, and where it was recorded.
    fn poll_wait(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<(F::Output, Ended)> {
        let this = self.project();
        let begin = || RunningWait::begin(this.kind.as_ref(), this.name.as_ref(), this.location);
        let running = this.running.get_or_insert_with(begin);
        running.polling = true;
        let polled = this.wait.poll(cx);
        running.polling = false;
        let output = ready!(polled);
        Poll::Ready((output, Ended { destination: running.end(Outcome::Ok), place: running.place }))
    }
}

/// Tracks a wait: for a lock, a permit, a connection of a pool, a message, or anything else that others must give first.
///
/// The wait counts for the request that awaits it, so that its time is not "unknown", and in the service's numbers under
/// `kind` and `name`. The kinds `lock`, `semaphore`, `channel` and `pool` are parts of a request's time of their own; waits of any
/// other kind share one. At most 16 kinds, and `max_fingerprints` names of each, are told apart; further ones count as `other`, so
/// both must come from the program, not from data. Without a monitor the future runs unchanged.
///
/// [`track_hold`] also measures for how long what was waited for is held.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use pinchpoint::track_wait;
///
/// let (sender, mut orders) = tokio::sync::mpsc::channel(1);
/// sender.send(7).await.expect("there is room");
/// let order = track_wait("channel", "orders", orders.recv()).await;
/// assert_eq!(order, Some(7));
/// # }
/// ```
#[track_caller]
pub fn track_wait<K, N, F>(kind: K, name: N, wait: F) -> TrackWait<K, N, F>
where
    K: AsRef<str>,
    N: AsRef<str>,
    F: Future,
{
    TrackWait { kind, name, location: Location::caller(), running: None, wait }
}

impl<K: AsRef<str>, N: AsRef<str>, F: Future> Future for TrackWait<K, N, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.poll_wait(cx).map(|(output, _)| output)
    }
}

pin_project! {
    /// Future of [`track_hold`].
    #[must_use = "futures do nothing unless polled"]
    pub struct TrackHold<K, N, F> {
        #[pin]
        wait: TrackWait<K, N, F>,
    }
}

impl<K, N, F> fmt::Debug for TrackHold<K, N, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrackHold").finish_non_exhaustive()
    }
}

/// Tracks a wait as [`track_wait`] does, and for how long what it gives is held: a guard, a permit, a connection.
///
/// The holder with the most time is what a queue waits for: a finding about a queue names the endpoint or task that holds it
/// longest. The time counts for the request that waited, until its end, and outside requests for the tracked task.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use pinchpoint::track_hold;
///
/// let inventory = tokio::sync::Mutex::new(3);
/// let mut left = track_hold("lock", "inventory", inventory.lock()).await;
/// **left -= 1;
/// # }
/// ```
#[track_caller]
pub fn track_hold<K, N, F>(kind: K, name: N, wait: F) -> TrackHold<K, N, F>
where
    K: AsRef<str>,
    N: AsRef<str>,
    F: Future,
{
    TrackHold { wait: track_wait(kind, name, wait) }
}

impl<K: AsRef<str>, N: AsRef<str>, F: Future> Future for TrackHold<K, N, F> {
    type Output = Held<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Held<F::Output>> {
        let (output, wait) = ready!(self.project().wait.poll_wait(cx));
        Poll::Ready(Held { hold: Hold { wait, since: Instant::now() }, held: output })
    }
}

/// Something that [`track_hold`] waited for. Its hold ends when it is dropped.
///
/// It derefs to what was waited for, such as the guard of a lock or the `Result` of a semaphore.
pub struct Held<T> {
    // First, so that the hold is recorded before the guard lets the next one in.
    hold: Hold,
    held: T,
}

/// Records the hold when it is dropped.
struct Hold {
    wait: Ended,
    since: Instant,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let Some(Destination { request, series }) = self.wait.destination.take() else { return };
        let held = self.since.elapsed();
        series.held(held);
        if let Some(request) = request {
            request.record_hold(series.part, series.id, self.wait.place, held);
        }
    }
}

impl<T> Held<T> {
    /// Returns what a function makes of it, held on: `held.map(Result::unwrap)`.
    pub fn map<U>(self, map: impl FnOnce(T) -> U) -> Held<U> {
        Held { held: map(self.held), hold: self.hold }
    }

    /// Ends the measured hold and returns what was held.
    pub fn into_inner(self) -> T {
        self.held
    }
}

impl<T, E> Held<Result<T, E>> {
    /// Returns what was waited for, held on, or the error.
    ///
    /// # Errors
    /// Returns the error of the wait, such as that the semaphore was closed.
    pub fn transpose(self) -> Result<Held<T>, E> {
        let Self { held, hold } = self;
        held.map(|held| Held { held, hold })
    }
}

impl<T: fmt::Debug> fmt::Debug for Held<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.held).finish()
    }
}

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.held
    }
}

impl<T> DerefMut for Held<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.held
    }
}

/// Records a wait that has ended.
#[cfg(feature = "sqlx")]
pub(super) fn record_wait(kind: &str, name: &str, duration: std::time::Duration) {
    let now = Instant::now();
    let found: Option<Destination<WaitSeries>> =
        Destination::find(|instruments, _| instruments.wait(kind, name, Part::of_wait(kind)));
    let Some(Destination { request, series }) = found else { return };
    series.durations.record(Outcome::Ok, duration);
    if let Some(request) = request {
        let began = now.checked_sub(duration).unwrap_or(now);
        request
            .record(series.part, &Did { id: series.id, began, duration, failed: false, place: Place::NONE, exact: 0 });
    }
}
