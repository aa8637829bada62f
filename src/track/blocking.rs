//! [`spawn_blocking`]: work on tokio's blocking threads becomes an observation.

use std::{
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::{
    task::{JoinError, JoinHandle},
    time::Instant,
};

use super::destination::Destination;
use crate::context::{Carrier, Did, Outcome, Part, Place, WaitSeries, enter};

/// The wait for a thread, and the run on it, of one piece of work.
struct Work {
    wait: Option<Destination<WaitSeries>>,
    run: Option<Destination<WaitSeries>>,
    spawned: Instant,
    place: Place,
}

impl Work {
    fn spawn(location: &'static Location<'static>) -> Self {
        let place = Place::of(location);
        let name = place.text().unwrap_or("spawn_blocking");
        let find =
            |part: Part| Destination::<WaitSeries>::find(|instruments, _| instruments.wait(part.label(), name, part));
        let (wait, run) = (find(Part::ThreadPool), find(Part::Blocking));
        wait.iter().for_each(|Destination { series, .. }| series.waiting.increment(1.0));
        Self { wait, run, spawned: Instant::now(), place }
    }

    /// Ends the wait for a thread.
    fn begin(&mut self, outcome: Outcome) {
        if let Some(destination) = self.wait.take() {
            destination.series.waiting.decrement(1.0);
            record(&destination, outcome, self.spawned, self.spawned.elapsed(), self.place);
        }
    }

    /// Runs the work with its request as the thread's current one, so that its queries count for the request.
    fn run<T>(mut self, work: impl FnOnce() -> T) -> T {
        self.begin(Outcome::Ok);
        let mut request = self.run.as_ref().and_then(|run| run.request.clone());
        let carrier = request.as_ref().map(Carrier::of).unwrap_or_default();
        let running = Running { work: self, began: Instant::now() };
        let done = {
            let _entered = enter(&mut request, &carrier);
            work()
        };
        drop(running);
        done
    }
}

/// Work that was never run: the runtime shut down.
impl Drop for Work {
    fn drop(&mut self) {
        self.begin(Outcome::Cancelled);
    }
}

/// Records the run when it is dropped, also by unwinding.
struct Running {
    work: Work,
    began: Instant,
}

impl Drop for Running {
    fn drop(&mut self) {
        let outcome = if std::thread::panicking() { Outcome::Panicked } else { Outcome::Ok };
        if let Some(run) = self.work.run.take() {
            record(&run, outcome, self.began, self.began.elapsed(), self.work.place);
        }
    }
}

fn record(to: &Destination<WaitSeries>, outcome: Outcome, began: Instant, duration: Duration, place: Place) {
    let Destination { request, series } = to;
    series.durations.record(outcome, duration);
    if let Some(request) = request {
        let failed = outcome != Outcome::Ok;
        request.record(series.part, &Did { id: series.id, began, duration, failed, place, exact: 0 });
    }
}

pin_project! {
    /// Future of [`spawn_blocking`].
    #[derive(Debug)]
    #[must_use = "the work runs on, but its result is lost"]
    pub struct SpawnBlocking<T> {
        #[pin]
        handle: JoinHandle<T>,
    }
}

/// Runs work that blocks on one of tokio's blocking threads, as [`tokio::task::spawn_blocking`] does, and tracks how long it waits for a
/// thread, and how long it runs.
///
/// Both count for the request that spawned it, and queries of the work do too. In the service's numbers they stand under the
/// kinds `thread_pool` (the wait) and `blocking` (the run), with the place in the code as their name. Without a monitor the work
/// runs unchanged.
///
/// # Errors
/// The future returns an error if the work panicked or the runtime shut down before it began.
///
/// # Panics
/// Panics outside a tokio runtime.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), tokio::task::JoinError> {
/// let sum: u64 = pinchpoint::spawn_blocking(|| (1..=1000).sum()).await?;
/// assert_eq!(sum, 500_500);
/// # Ok(()) }
/// ```
#[track_caller]
pub fn spawn_blocking<T, W>(work: W) -> SpawnBlocking<T>
where
    W: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let tracked = Work::spawn(Location::caller());
    SpawnBlocking { handle: tokio::task::spawn_blocking(move || tracked.run(work)) }
}

impl<T> SpawnBlocking<T> {
    /// Returns tokio's own handle.
    pub fn into_handle(self) -> JoinHandle<T> {
        self.handle
    }
}

impl<T> Future for SpawnBlocking<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().handle.poll(cx)
    }
}
