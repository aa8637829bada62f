//! [`Monitor`].

use std::{
    any::Any,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::watch,
    task::JoinHandle,
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};

#[cfg(feature = "deliver")]
use super::deliver::{Prepared, Task};
use super::{Core, background::Background, reload::LOOK_EVERY};
use crate::{
    context,
    http::{Endpoints, MonitorLayer, RouteFrom},
    lock::lock,
    sample::{PoolState, SchedulingLag},
    store::MonitorRecorder,
};

/// How often the trends of [`TREND_LENGTH`] are judged for `/metrics`, and this version of the service is compared with the one before:
/// trends are cut into buckets that are longer than this after some hours.
pub(super) const JUDGE_EVERY: Duration = Duration::from_secs(5 * 60);
/// How far back these trends look, as `/performance/trends` does by default.
const TREND_LENGTH: Duration = Duration::from_secs(24 * 60 * 60);

/// A performance monitor: owns the recorder, the history, the rules and the background tasks.
///
/// Cheap to clone; all clones are one monitor. It runs until [`shutdown`](Self::shutdown), or until its last clone, layer
/// and router are dropped.
///
/// ```
/// use axum::{Router, routing::get};
/// use pinchpoint::Monitor;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), pinchpoint::BuildError> {
/// let monitor = Monitor::builder().build()?;
/// let app: Router = Router::new().route("/", get(|| async { "hello" })).layer(monitor.layer());
/// monitor.shutdown().await;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Monitor {
    running: Arc<BackgroundTasks>,
}

/// The background tasks. Dropping it ends them.
struct BackgroundTasks {
    core: Arc<Core>,
    stop: watch::Sender<bool>,
    route: Option<RouteFrom>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("core", &self.running.core).finish_non_exhaustive()
    }
}

impl Monitor {
    pub(super) fn start(core: Core, background: Background, runtime: &Handle, route: Option<RouteFrom>) -> Self {
        let core = Arc::new(core);
        let (stop, stopped) = watch::channel(false);
        let lag = core.sampling_interval().map(|_| {
            let instruments = core.instruments();
            let (recorder, window_recorder) = (instruments.recorder(), instruments.window_recorder());
            let lag = SchedulingLag::new(recorder, window_recorder, instruments.polls().clone());
            let mut stopped = stopped.clone();
            runtime.spawn(lag.run(async move { drop(stopped.wait_for(|stopped| *stopped).await) }))
        });
        let ticking = runtime.spawn(tick(core.clone(), background, stopped));
        let tasks = Mutex::new([ticking].into_iter().chain(lag).collect());
        Self { running: Arc::new(BackgroundTasks { core, stop, route, tasks }) }
    }

    /// Starts the task that sends alerts, where there is anyone to send them to.
    #[cfg(feature = "deliver")]
    pub(super) fn deliver(&self, prepared: Prepared, runtime: &Handle) {
        if prepared.receivers.is_empty() {
            return;
        }
        let core = self.core().clone();
        let (judgements, stopped) = (core.judgements_to_come(), self.running.stop.subscribe());
        let task = Task::new(core, prepared);
        lock(&self.running.tasks).push(runtime.spawn(task.run(judgements, stopped)));
    }

    /// Returns a tower layer that measures the service it wraps.
    #[must_use]
    pub fn layer(&self) -> MonitorLayer {
        let endpoints = Endpoints::new(self.core().instruments().clone(), self.running.route.clone());
        MonitorLayer::new(endpoints, self.running.clone())
    }

    /// Returns the monitor's own recorder, for a host that composes recorders itself.
    #[must_use]
    pub fn recorder(&self) -> MonitorRecorder {
        self.core().recorder().clone()
    }

    /// Watches a pool of connections: how many are used and idle, how many there may be, and how many requests wait.
    ///
    /// `read` is called now and at every sampling, on a thread that may wait, and returns `None` once the pool is gone: it is not
    /// called again then, and the gauges are at 0 until no window contains them. Whatever it captures is kept until then, or until
    /// another pool is watched under the same `name`; so capture a weak handle of a pool that may be dropped, or ask it whether it
    /// is closed. `name` becomes a label, and must come from the program. Waits for the pool are tracked apart from this, by
    /// [`SqlxLayer`](crate::SqlxLayer) or [`track_wait`](crate::track_wait)`("pool", name, …)`.
    ///
    /// ```
    /// # #[derive(Clone)] struct Pool;
    /// # impl Pool {
    /// #     fn is_closed(&self) -> bool { false } fn size(&self) -> u32 { 2 } fn num_idle(&self) -> usize { 1 }
    /// # }
    /// use pinchpoint::{Monitor, PoolState};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), pinchpoint::BuildError> {
    /// # let pool = Pool;
    /// let monitor = Monitor::builder().build()?;
    /// // With sqlx, whose pools are cheap to clone and can be closed:
    /// monitor.watch_pool("orders", {
    ///     let pool = pool.clone();
    ///     move || (!pool.is_closed()).then(|| PoolState::new(pool.size() as usize, pool.num_idle()).max(10))
    /// });
    /// # Ok(()) }
    /// ```
    pub fn watch_pool(&self, name: impl Into<Arc<str>>, read: impl FnMut() -> Option<PoolState> + Send + 'static) {
        self.core().pools().watch(name.into(), Box::new(read));
    }

    /// Returns a handle that keeps the background tasks running.
    pub(crate) fn keep_alive(&self) -> Arc<dyn Any + Send + Sync> {
        self.running.clone()
    }

    /// Waits until the monitor stops.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let mut stopped = self.running.stop.subscribe();
        async move { drop(stopped.wait_for(|stopped| *stopped).await) }
    }

    /// Spawns a task that [`shutdown`](Self::shutdown) waits for, and that is aborted with the last handle.
    pub(crate) fn own(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task = tokio::spawn(task);
        lock(&self.running.tasks).push(task);
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.running.core
    }

    /// Ends every stream of `/performance/events`, and lets no other begin.
    ///
    /// axum's graceful shutdown waits for every connection, and nothing tells a stream that it began: call this then, or use
    /// [`ending_events`](Self::ending_events). Otherwise an open stream ends by itself when no request has come for 10 s, which
    /// keeps such a shutdown from ending for up to 15 s. [`shutdown`](Self::shutdown) calls it too.
    pub fn end_events(&self) {
        self.core().end_events();
    }

    /// Returns a future for axum's `with_graceful_shutdown`: it waits for `signal` and then ends the streams of
    /// `/performance/events`, which the shutdown would wait for.
    ///
    /// ```no_run
    /// # use axum::Router;
    /// # async fn run(app: Router, listener: tokio::net::TcpListener, monitor: pinchpoint::Monitor) -> std::io::Result<()> {
    /// let stop = monitor.ending_events(async { drop(tokio::signal::ctrl_c().await) });
    /// axum::serve(listener, app).with_graceful_shutdown(stop).await?;
    /// monitor.shutdown().await;
    /// # Ok(()) }
    /// ```
    pub fn ending_events<F>(&self, signal: F) -> impl Future<Output = ()> + Send + 'static + use<F>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let core = self.core().clone();
        async move {
            signal.await;
            core.end_events();
        }
    }

    /// Ends the streams of events, evaluates the rules a last time, writes the history file and ends the background tasks.
    /// Returns when all of that is done, the history file after 10 s at most. Requests go on, unmeasured. A second call
    /// does nothing.
    pub async fn shutdown(&self) {
        self.end_events();
        self.running.stop.send_replace(true);
        let tasks = std::mem::take(&mut *lock(&self.running.tasks));
        for task in tasks {
            // An error is a task that was aborted, or one that panicked, which the panic hook has reported.
            let _ = task.await;
        }
        #[cfg(feature = "archive")]
        self.core().versions().close().await;
        self.running.close();
    }
}

impl BackgroundTasks {
    fn close(&self) {
        context::uninstall(self.core.instruments());
        self.core.instruments().close();
    }
}

impl Drop for BackgroundTasks {
    fn drop(&mut self) {
        for task in &*lock(&self.tasks) {
            task.abort();
        }
        self.close();
    }
}

/// The one loop: samples, looks at the rule files and evaluates until the monitor stops, and then samples and evaluates a
/// last time, so that the last seconds are in the history.
async fn tick(core: Arc<Core>, mut background: Background, mut stopped: watch::Receiver<bool>) {
    let start = Instant::now();
    // Without sampling the host's own samplers are still read.
    let mut samples = every(start, core.sampling_interval().unwrap_or(core.interval()));
    let mut looks = every(start + LOOK_EVERY, LOOK_EVERY);
    let mut ticks = every(start + core.interval(), core.interval());
    let mut judgements = every(start + JUDGE_EVERY, JUDGE_EVERY);
    let mut trends = None;
    let watches_rules = background.watches_rules();
    loop {
        let is_due = tokio::select! {
            // In this order, so that an evaluation sees a sample and an edit that are due at the same time.
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => break,
            _ = samples.tick() => {
                background.sample(&core, Instant::now());
                false
            }
            _ = looks.tick(), if watches_rules => {
                background.look(&core, Instant::now());
                false
            }
            _ = ticks.tick() => true,
            _ = judgements.tick(), if trends.is_none() => {
                let core = core.clone();
                trends = Some(Box::pin(async move {
                    core.clone().compare_versions().await;
                    core.trends(Instant::now(), TREND_LENGTH, |_| true).await
                }));
                false
            }
            Some(report) = async { Some(trends.as_mut()?.await) } => {
                trends = None;
                if let Some(report) = report {
                    core.show_trends(&report);
                }
                false
            }
            () = background.next(&core) => false,
        };
        if is_due {
            background.settle(&core).await;
            // Not the time at which it was due: on a blocked runtime that is seconds ago, and rates would be wrong.
            core.tick(Instant::now());
        }
    }
    background.sample(&core, Instant::now());
    background.settle(&core).await;
    core.tick(Instant::now());
    #[cfg(feature = "archive")]
    core.finish(Instant::now());
}

fn every(start: Instant, period: Duration) -> Interval {
    let mut interval = interval_at(start, period);
    // After a stall one tick is enough: it takes in everything since the last one.
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
