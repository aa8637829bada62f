//! [`track_async_task`]: an asynchronous task becomes an observation.

use std::{
    future::Future,
    panic::Location,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::destination::Destination;
use crate::{
    context::{
        Carrier, Did, Outcome, Part, Place, RequestContext, RunPlace, TaskSeries, enter, nanos, turns,
        watch::{Hold, LONG, WatchedPoll},
    },
    names,
};

/// A task in progress. Dropped before its end, it is recorded as cancelled, or as panicked if its poll unwound.
struct RunningTask {
    /// `None` after its end, and if there is no monitor.
    destination: Option<Destination<TaskSeries>>,
    place: Option<RunPlace>,
    began: Instant,
    called_at: Place,
    /// What the run does; `None` while it is the thread's current one, and without a monitor.
    context: Option<Arc<RequestContext>>,
    waker: Option<Waker>,
    carrier: Carrier,
    busy: Duration,
    /// Begin of the current poll.
    polling: Option<Instant>,
    watched: Option<WatchedPoll>,
}

impl RunningTask {
    fn begin(name: &str, location: &'static Location<'static>) -> Self {
        let began = Instant::now();
        let mut context = None;
        let destination = Destination::<TaskSeries>::find(|instruments, parent| {
            let series = instruments.task(name);
            context = Some(instruments.begin_task(parent.cloned(), series.holds.clone(), began));
            series
        });
        let place = destination.as_ref().and_then(|Destination { series, .. }| {
            series.active.increment(1.0);
            series.runs.begin(began)
        });
        let called_at = if destination.is_some() { Place::of(location) } else { Place::NONE };
        Self {
            destination,
            place,
            began,
            called_at,
            waker: context.as_ref().map(RequestContext::waker),
            carrier: context.as_ref().map(Carrier::of).unwrap_or_default(),
            context,
            busy: Duration::ZERO,
            polling: None,
            watched: None,
        }
    }

    /// Polls with this run as the thread's current one, and records how late the poll is.
    fn poll<T>(&mut self, task: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        let Some((context, waker)) = self.context.as_ref().zip(self.waker.take()) else { return poll(task) };
        context.poll_begins(task.waker());
        self.poll_begins();
        let entered = enter(&mut self.context, &self.carrier);
        let polled = poll(&mut Context::from_waker(&waker));
        drop(entered);
        self.poll_ends();
        self.waker = Some(waker);
        self.context.iter().filter(|_| polled.is_pending()).for_each(|context| context.poll_ends());
        polled
    }

    /// Notes the begin of a poll. Without a destination the clock is not read.
    fn poll_begins(&mut self) {
        let Some(Destination { series, .. }) = &self.destination else { return };
        self.watched = series.watch.begin();
        self.polling = Some(Instant::now());
    }

    fn poll_ends(&mut self) {
        let Some(began) = self.polling.take() else { return };
        let took = began.elapsed();
        self.busy += took;
        let watched = self.watched.take();
        let Some(Destination { series, .. }) = self.destination.as_ref().filter(|_| watched.is_some() || took >= LONG)
        else {
            return;
        };
        if took >= LONG {
            turns::note_long_poll(took);
            self.context.iter().for_each(|context| context.long_poll_ends());
        }
        let held = series.watch.end(watched, took);
        if held == Hold::Blocking && took >= names::BLOCKING {
            series.blocking_polls().record(took.as_secs_f64());
        }
    }

    fn end(&mut self, outcome: Outcome) {
        let Some(Destination { request, series }) = self.destination.take() else { return };
        let duration = self.began.elapsed();
        series.active.decrement(1.0);
        self.place.take().into_iter().for_each(|place| series.runs.end(place));
        // At least 1, since windows only have counters that grew: 0 nanoseconds, as on a paused clock, would read as
        // "not measured".
        series.busy.increment(nanos(self.busy).max(1));
        series.durations.record(outcome, duration);
        // First: the waker and the carrier own the context too, and the pool only keeps contexts without another owner.
        (self.waker, self.carrier) = Default::default();
        if let Some(context) = self.context.take() {
            context.end();
            series.parts.record(&context.divide(duration, |_| ()), duration, self.busy);
            context.instruments().clone().give_back(context);
        }
        let failed = matches!(outcome, Outcome::Error | Outcome::Panicked);
        let did = Did { id: series.id, began: self.began, duration, failed, place: self.called_at, exact: 0 };
        if request.is_some_and(|request| request.record(Part::Task, &did)) {
            series.in_requests.increment(nanos(duration));
        }
    }
}

impl Drop for RunningTask {
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
        location: &'static Location<'static>,
        running: Option<RunningTask>,
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
/// Its outcome is one of four: `Ok`, `Err`, dropped before its end, or panicked; a panic continues to unwind. `name`
/// becomes a label, so it must come from the program, not from data: names past the monitor's `max_fingerprints` count
/// as `other`. Without a monitor the future runs unchanged.
///
/// ```
/// # async fn send() -> Result<(), std::io::Error> { Ok(()) }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), std::io::Error> {
/// use pinchpoint::{in_current_request, track_async_task};
///
/// track_async_task("send_welcome_mail", send()).await?;
/// // In the background, and still counted for the request that started it:
/// tokio::spawn(in_current_request(track_async_task("send_welcome_mail", send())));
/// # Ok(()) }
/// ```
#[track_caller]
pub fn track_async_task<S, F, T, E>(name: S, task: F) -> TrackAsyncTask<S, F>
where
    S: AsRef<str>,
    F: Future<Output = Result<T, E>>,
{
    TrackAsyncTask { name, location: Location::caller(), running: None, task }
}

impl<S, F, T, E> Future for TrackAsyncTask<S, F>
where
    S: AsRef<str>,
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let running = this.running.get_or_insert_with(|| RunningTask::begin(this.name.as_ref(), this.location));
        let polled = running.poll(cx, |cx| this.task.poll(cx));
        if let Poll::Ready(result) = &polled {
            running.end(if result.is_ok() { Outcome::Ok } else { Outcome::Error });
        }
        polled
    }
}
