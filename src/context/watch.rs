//! [`PollWatch`]: what tells computing, blocking and a busy machine apart, of the polls of one endpoint or task.
//!
//! The time inside a poll says only how long a worker was away. To divide it, the thread's own times are read before and after a
//! poll, which costs a microsecond. So only the polls after a long one are *watched*, and an endpoint whose polls are short pays
//! one load for each. The first polls of all are watched too: an endpoint that always blocks is known from its second one on.
//!
//! Measured polls are a part of all polls, so the counters hold their whole time beside its parts, and readers use ratios.

use std::{
    cell::Cell,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use metrics::{Counter, Histogram};
use tokio::{
    runtime::{Handle, RuntimeMetrics, worker_index},
    task::{Id, try_id},
};

pub(crate) use super::turns::LONG;
use super::{
    DynRecorder, labelled,
    nanos::nanos,
    polls::{Polls, PublishedPoll, Sight},
    thread_time::{PollTime, ThreadTime},
};
use crate::names::{self, Metric};

/// The first polls that are watched.
const FIRST: u32 = 32;
/// Polls that are watched after one of [`names::BLOCKING`] or longer: their cost of a microsecond each stays below a tenth of
/// that one poll, and an endpoint that blocks in one poll of a hundred stays watched.
const AFTER_BLOCKING: u32 = 256;
/// Polls that are watched after one of [`LONG`] or longer.
const AFTER_LONG: u32 = 8;
/// Index in [`names::POLLS`]; the two before it are short polls and blocking ones.
const IN_PLACE: usize = 2;

/// The metrics that a watch records in.
#[derive(Debug)]
pub(crate) struct WatchMetrics {
    /// Nanoseconds of measured polls, by [`names::KIND`].
    pub(crate) nanos: &'static Metric,
    /// What the threads of lasting polls were seen in, by [`names::KIND`].
    pub(crate) sights: &'static Metric,
}

pub(crate) const OF_ENDPOINT: WatchMetrics =
    WatchMetrics { nanos: &names::ENDPOINT_POLL_NANOS, sights: &names::ENDPOINT_POLL_SIGHTS };
pub(crate) const OF_TASK: WatchMetrics =
    WatchMetrics { nanos: &names::TASK_POLL_NANOS, sights: &names::TASK_POLL_SIGHTS };

/// Watches the polls of one endpoint or task.
#[repr(C)]
pub(crate) struct PollWatch {
    /// Polls that are still watched. Relaxed: it publishes nothing, and a poll more or less does not matter. First, beside what
    /// every request reads: it is written only while polls are watched, and each of those costs far more than a shared line.
    left: AtomicU32,
    polls: Arc<Polls>,
    recorder: DynRecorder,
    metrics: WatchMetrics,
    labels: Box<[(&'static str, Arc<str>)]>,
    measured: [OnceLock<Parts>; names::POLLS.len()],
    in_place: OnceLock<Counter>,
    sights: [OnceLock<Counter>; Sight::ALL.len()],
}

/// The counters of measured polls.
#[derive(Debug)]
struct Parts {
    wall: Counter,
    computing: Counter,
    cpu_wait: Counter,
}

impl Parts {
    fn add(&self, time: &PollTime) {
        self.wall.increment(nanos(time.wall));
        self.computing.increment(nanos(time.computing));
        self.cpu_wait.increment(nanos(time.cpu_wait));
    }
}

impl std::fmt::Debug for PollWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PollWatch").field("left", &self.left).field("labels", &self.labels).finish_non_exhaustive()
    }
}

/// A poll that is watched, from its begin.
#[derive(Debug)]
pub(crate) struct WatchedPoll {
    time: Option<ThreadTime>,
    worker: Option<Worker>,
    published: Option<PublishedPoll>,
}

/// How a poll kept a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It kept a worker from other work, as far as is known.
    Blocking,
    /// It ran inside [`tokio::task::block_in_place`], so that another thread went on with the worker's work.
    InPlace,
}

impl PollWatch {
    pub(crate) fn new(
        polls: Arc<Polls>,
        recorder: DynRecorder,
        metrics: WatchMetrics,
        labels: &[(&'static str, Arc<str>)],
    ) -> Self {
        Self {
            left: AtomicU32::new(FIRST),
            polls,
            recorder,
            metrics,
            labels: labels.into(),
            measured: Default::default(),
            in_place: OnceLock::new(),
            sights: Default::default(),
        }
    }

    /// Begins a poll; returns `None` if it is not watched.
    #[inline(always)]
    pub(crate) fn begin(&self) -> Option<WatchedPoll> {
        if self.left.load(Relaxed) == 0 { None } else { self.begin_watched() }
    }

    #[cold]
    #[inline(never)]
    fn begin_watched(&self) -> Option<WatchedPoll> {
        let _ = self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        // The times last, so that they hold as little as possible of what is read beside them.
        let (worker, published) = (Worker::of_this_thread(), self.polls.publish());
        Some(WatchedPoll { worker, published, time: ThreadTime::now() })
    }

    /// Ends a poll that took `wall`. Need not be called for one that is neither watched nor [`LONG`].
    #[cold]
    #[inline(never)]
    pub(crate) fn end(&self, watched: Option<WatchedPoll>, wall: Duration) -> Hold {
        // First of all, for the same reason.
        let later = watched.as_ref().and_then(|watched| watched.time).and_then(|_| ThreadTime::now());
        self.arm(wall);
        let is_blocking = wall >= names::BLOCKING;
        let hold = watched.map_or(Hold::Blocking, |watched| self.record(watched, later, wall));
        if is_blocking && hold == Hold::Blocking {
            self.polls.blocked();
        }
        hold
    }

    fn record(&self, watched: WatchedPoll, later: Option<ThreadTime>, wall: Duration) -> Hold {
        let WatchedPoll { time, worker, published } = watched;
        let is_blocking = wall >= names::BLOCKING;
        let is_in_place = worker.is_some_and(|worker| worker.has_gone()) && is_blocking;
        if let Some((time, later)) = time.zip(later) {
            let kind = if is_in_place { IN_PLACE } else { usize::from(is_blocking) };
            self.parts(kind).add(&time.divide(later, wall));
        }
        if !is_blocking {
            return Hold::Blocking;
        }
        for (sight, count) in published.map(PublishedPoll::end).unwrap_or_default().each() {
            let counter = || self.counter(self.metrics.sights, sight.words());
            self.sights[sight as usize].get_or_init(counter).increment(count);
        }
        if !is_in_place {
            return Hold::Blocking;
        }
        let counter = || self.counter(self.metrics.nanos, names::IN_PLACE);
        self.in_place.get_or_init(counter).increment(nanos(wall));
        Hold::InPlace
    }

    /// Has the next polls watched if this one was long.
    fn arm(&self, wall: Duration) {
        let more = if wall >= names::BLOCKING {
            AFTER_BLOCKING
        } else if wall >= LONG {
            AFTER_LONG
        } else {
            return;
        };
        self.left.fetch_max(more, Relaxed);
    }

    fn parts(&self, kind: usize) -> &Parts {
        self.measured[kind].get_or_init(|| {
            let [wall, computing, cpu_wait] = names::POLLS[kind].map(|kind| self.counter(self.metrics.nanos, kind));
            Parts { wall, computing, cpu_wait }
        })
    }

    /// Returns the histogram of a metric with the labels of this endpoint or task.
    pub(crate) fn histogram(&self, metric: &Metric) -> Histogram {
        labelled::histogram(&self.recorder, metric, &self.labels)
    }

    fn counter(&self, metric: &Metric, kind: &str) -> Counter {
        let mut labels = self.labels.to_vec();
        labels.push((names::KIND, kind.into()));
        labelled::counter(&self.recorder, metric, &labels)
    }
}

/// The worker of the runtime that this thread is, and how often it parked and how long it was busy when a poll began.
///
/// Both numbers are written by the thread that runs the worker, between polls. So while a poll lasts they stand still, unless
/// `block_in_place` gave the worker to another thread.
#[derive(Debug)]
struct Worker {
    metrics: RuntimeMetrics,
    place: WorkerPlace,
    before: (u64, Duration),
    /// Whether the worker had gone already when the poll began.
    had_gone: bool,
}

/// A worker and the task that it polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WorkerPlace {
    index: usize,
    task: Option<Id>,
}

/// Longer than any way from one poll of a request to the next inside one poll of its task, and shorter than the one of a thread
/// that lost its worker and got another.
const SAME_POLL: Duration = names::BLOCKING;

thread_local! {
    /// The worker that this thread lost, and the end of the poll in which it did. It has none until its task's poll ends, in
    /// which further polls of requests may follow.
    static LOST: Cell<Option<(WorkerPlace, Instant)>> = const { Cell::new(None) };
}

impl Worker {
    fn of_this_thread() -> Option<Self> {
        let place = WorkerPlace { index: worker_index()?, task: try_id() };
        let metrics = Handle::try_current().ok()?.metrics();
        let lost = LOST.try_with(Cell::take).ok().flatten();
        let had_gone = lost.is_some_and(|(lost, at)| lost == place && at.elapsed() < SAME_POLL);
        Some(Self { before: progress(&metrics, place.index)?, metrics, place, had_gone })
    }

    /// Returns whether another thread has gone on as this worker.
    fn has_gone(&self) -> bool {
        let now = progress(&self.metrics, self.place.index);
        let has_gone = self.had_gone || now.is_some_and(|now| now != self.before);
        if has_gone {
            let _ = LOST.try_with(|lost| lost.set(Some((self.place, Instant::now()))));
        }
        has_gone
    }
}

#[cfg(target_has_atomic = "64")]
fn progress(metrics: &RuntimeMetrics, worker: usize) -> Option<(u64, Duration)> {
    // A runtime that was entered inside another one has workers of its own.
    (worker < metrics.num_workers())
        .then(|| (metrics.worker_park_unpark_count(worker), metrics.worker_total_busy_duration(worker)))
}

#[cfg(not(target_has_atomic = "64"))]
fn progress(_: &RuntimeMetrics, _: usize) -> Option<(u64, Duration)> {
    None
}
