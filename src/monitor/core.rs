//! [`Core`]: the parts of a monitor, and what the API reads of them.
//!
//! The locks are taken in the order ticking, history, memory, counts, rhythms, tiers, each of the others alone, and none on the
//! request path. The invariant that a change could break: a [`Core`] spawns no task and holds no handle of one, so that the loop
//! may hold it.

mod compared;
mod coverage;
#[cfg(feature = "page")]
mod drawn;
#[cfg(test)]
mod locks_tests;
mod tick;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use metrics::Histogram;
#[cfg(feature = "deliver")]
use tokio::sync::broadcast;
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};

pub(crate) use self::coverage::RuleCoverage;
use self::tick::TickState;
#[cfg(feature = "deliver")]
use super::deliver::Notifications;
use super::{
    Access, Control, Judgement,
    acknowledgements::{self, AcknowledgementStore},
    background::Work,
    clock::WallClock,
    config::{Config, RulesSource},
    happenings::{Happening, Place},
    judgement::Judgements,
    reload::RulesState,
    service::Service,
};
#[cfg(feature = "archive")]
use super::{
    regressions::Regressions,
    versions::{VersionComparison, Versions},
};
#[cfg(feature = "deliver")]
use crate::alert::deliver;
use crate::{
    alert::Acknowledgement,
    analysis::MemorySample,
    context::{Instruments, labelled},
    lock::lock,
    names,
    rules::{Bottleneck, ProcessCounts, ProcessMemory, RuleSet, TrendReport, TrendSource, bottleneck_id},
    sample::WatchedPools,
    store::{History, MonitorRecorder, Rhythms, Run, TierLimits, Tiers, Window},
};

/// Work on another thread that has not come back for so long is reported.
const OVERDUE: Duration = Duration::from_secs(2);
/// Trends that are judged at a time: each takes a core for some milliseconds.
const JUDGED_AT_A_TIME: usize = 2;

/// What a monitor is made of.
pub(super) struct Parts {
    pub(super) instruments: Arc<Instruments>,
    pub(super) recorder: MonitorRecorder,
    pub(super) config: Config,
    pub(super) rules: RuleSet,
    pub(super) pools: Arc<WatchedPools>,
    pub(super) started: Instant,
    pub(super) clock: WallClock,
}

/// The parts of a running monitor.
pub(crate) struct Core {
    instruments: Arc<Instruments>,
    pools: Arc<WatchedPools>,
    recorder: MonitorRecorder,
    config: Config,
    started: Instant,
    clock: WallClock,
    evaluation: Histogram,
    history: Mutex<History>,
    memory: Mutex<ProcessMemory>,
    counts: Mutex<ProcessCounts>,
    tiers: Arc<Mutex<Tiers>>,
    rhythms: Mutex<Rhythms>,
    #[cfg(feature = "archive")]
    versions: Versions,
    #[cfg(feature = "archive")]
    regressions: Regressions,
    judging: Semaphore,
    sampler_panics: AtomicUsize,
    /// Since when each kind of work on another thread has been under way.
    under_way: Mutex<BTreeMap<Work, Option<Instant>>>,
    rules: ArcSwap<RulesState>,
    judgements: Judgements,
    ticking: Mutex<TickState>,
    api_requests: AtomicU64,
    acknowledgements: AcknowledgementStore,
    #[cfg(feature = "page")]
    drawn: drawn::Drawn,
    #[cfg(feature = "deliver")]
    notifications: Notifications,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("recorder", &self.recorder).field("config", &self.config).finish_non_exhaustive()
    }
}

impl Core {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { instruments, recorder: own_recorder, config, rules, pools, started, clock } = parts;
        // The one that everything is recorded through: it writes to a host's recorder too.
        let recorder = instruments.recorder().clone();
        let rules = Arc::new(rules);
        let mut ticking = TickState::new(recorder.clone(), started);
        ticking.show_thresholds(&rules);
        labelled::gauge(&recorder, &names::BUILD_INFO, &[(names::VERSION, env!("CARGO_PKG_VERSION").into())]).set(1.0);
        if let Some(service) = Service::of(&config, |variable| std::env::var(variable).ok()) {
            labelled::gauge(&recorder, &names::TARGET_INFO, &service.labels()).set(1.0);
        }
        let run = Run { started: clock.at(started), version: version(&config) };
        let limits = TierLimits { retention: config.retention.get(), bytes: config.history_bytes.get() };
        let tiers = Arc::new(Mutex::new(Tiers::new(limits, run.clone())));
        let rhythms = Mutex::new(Rhythms::new(run.version.to_string()));
        #[cfg(feature = "archive")]
        let versions = Versions::start(&config, tiers.clone(), recorder.clone(), run, clock);
        let core = Self {
            evaluation: labelled::histogram(&recorder, &names::RULE_EVALUATION, &[]),
            history: Mutex::new(History::new(started, windows(&rules))),
            memory: Mutex::default(),
            counts: Mutex::default(),
            tiers,
            rhythms,
            #[cfg(feature = "archive")]
            versions,
            #[cfg(feature = "archive")]
            regressions: Regressions::default(),
            judging: Semaphore::new(JUDGED_AT_A_TIME),
            sampler_panics: AtomicUsize::new(0),
            under_way: Mutex::default(),
            clock,
            rules: ArcSwap::from_pointee(RulesState {
                source: match config.rules {
                    RulesSource::Directory(_) => "directory",
                    RulesSource::Embedded => "embedded",
                },
                loaded: started,
                error: None,
                set: rules,
            }),
            judgements: Judgements::default(),
            ticking: Mutex::new(ticking),
            api_requests: AtomicU64::new(0),
            acknowledgements: AcknowledgementStore::default(),
            #[cfg(feature = "page")]
            drawn: drawn::Drawn::default(),
            #[cfg(feature = "deliver")]
            notifications: Notifications::default(),
            instruments,
            pools,
            recorder: own_recorder,
            config,
            started,
        };
        core.restore_acknowledgements();
        core
    }

    /// Takes the acknowledgements of the run before, once the history file can be read.
    fn restore_acknowledgements(&self) {
        if let Some(json) = self.take_restored(acknowledgements::KEY) {
            self.acknowledgements.restore(&json);
            self.keep_acknowledgements();
        }
    }

    /// Keeps JSON over a restart, in place of what has the same key, where there is a history file.
    #[cfg(feature = "archive")]
    pub(super) fn keep(&self, key: &'static str, json: Vec<u8>) {
        self.versions.keep(key, json);
    }

    #[cfg(not(feature = "archive"))]
    pub(super) fn keep(&self, _: &'static str, json: Vec<u8>) {
        drop(json);
    }

    /// Returns what the run before kept under a key, once. The history file may be read long after the start: look at each tick,
    /// and add it to what there is by then.
    #[cfg(feature = "archive")]
    pub(super) fn take_restored(&self, key: &str) -> Option<Arc<[u8]>> {
        self.versions.take_restored(key)
    }

    #[cfg(not(feature = "archive"))]
    pub(super) fn take_restored(&self, _: &str) -> Option<Arc<[u8]>> {
        None
    }

    /// Compares this version of the service with the one before; `None` where there is none.
    #[cfg(feature = "archive")]
    pub(crate) fn comparison(&self, now: Instant) -> Option<VersionComparison> {
        self.versions.comparison(&self.total(now))
    }

    #[cfg(feature = "archive")]
    pub(crate) fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Judges the trends of the last `length`, of the endpoints that are `wanted`. `None` when the runtime is shutting
    /// down.
    pub(crate) async fn trends(
        &self,
        now: Instant,
        length: Duration,
        wanted: impl Fn(&str) -> bool + Send + 'static,
    ) -> Option<TrendReport> {
        let _place = self.judging.acquire().await.ok()?;
        let source = TrendSource::of(&lock(&self.tiers), self.clock.at(now), length);
        tokio::task::spawn_blocking(move || TrendReport::of(source, wanted)).await.ok()
    }

    /// Returns everything since the start or the last clear.
    pub(crate) fn total(&self, now: Instant) -> Window {
        let mut history = lock(&self.history);
        // Under the lock: a look with an older index would forget what later series were counted up to.
        history.total_now(&self.recorder.index(), now)
    }

    /// Returns the start of everything since the start or the last clear, how many requests were measured in it, and how many
    /// series were dropped.
    pub(crate) fn measured(&self, now: Instant) -> (Instant, u64, u64) {
        let mut history = lock(&self.history);
        let (requests, dropped) =
            history.counts_now(&self.recorder.index(), now, names::HTTP_DURATION.name, names::SERIES_DROPPED.name);
        (history.total().start(), requests, dropped as u64)
    }

    /// Returns the last `length`.
    pub(crate) fn window(&self, now: Instant, length: Duration) -> Window {
        let mut history = lock(&self.history);
        history.window_now(&self.recorder.index(), now, length)
    }

    /// Returns how many requests were measured since the start, or 0 if any query was.
    pub(crate) fn requests_without_queries(&self) -> u64 {
        let history = lock(&self.history);
        let has_queries = history.total().series(names::DB_DURATION.name).next().is_some();
        if has_queries { 0 } else { history.count(names::HTTP_DURATION.name) }
    }

    /// Returns the longest window that the history keeps.
    pub(crate) fn longest_window(&self) -> Duration {
        windows(&self.rules.load().set).into_iter().max().unwrap_or(names::DEFAULT_WINDOW)
    }

    /// Returns a place among the listeners, and a channel with the number of the newest evaluation; `None` where all are taken.
    pub(crate) fn listen(&self) -> Option<(Arc<Place>, watch::Receiver<u64>)> {
        self.judgements.happenings().listen()
    }

    /// Returns what tells this run from others.
    pub(crate) fn run_id(&self) -> &str {
        self.judgements.happenings().run_id()
    }

    /// Returns what is kept of the evaluations from a number on, the oldest first.
    pub(crate) fn happenings_since(&self, number: u64) -> Vec<Arc<Happening>> {
        self.judgements.happenings().since(number)
    }

    /// Returns the judgements to come, for the monitor's own task.
    #[cfg(feature = "deliver")]
    pub(super) fn judgements_to_come(&self) -> broadcast::Receiver<Arc<Judgement>> {
        self.judgements.subscribe()
    }

    /// Returns the time since the Unix epoch; `now` is the present.
    pub(crate) fn wall(&self, now: Instant) -> Duration {
        self.clock.at(now)
    }

    /// Returns what a person said of a bottleneck, where that is in force.
    pub(crate) fn acknowledgement(&self, bottleneck: &Bottleneck) -> Option<Arc<Acknowledgement>> {
        self.acknowledgements.get(bottleneck, self.wall(Instant::now()))
    }

    /// Takes what a person says of a bottleneck. Returns `false` where there is no place for it.
    pub(crate) fn acknowledge(&self, acknowledgement: &Acknowledgement) -> bool {
        let is_added = self.acknowledgements.add(acknowledgement, self.wall(Instant::now()));
        self.keep_acknowledgements();
        is_added
    }

    /// Takes back what a person said of the bottleneck of this id, and returns it.
    pub(crate) fn take_acknowledgement_back(&self, id: &str) -> Option<Arc<Acknowledgement>> {
        let wall = self.wall(Instant::now());
        let is_it = |one: &Acknowledgement| wall < one.until && bottleneck_id(&one.rule, &one.subject) == id;
        let removed = self.acknowledgements.remove(is_it);
        self.keep_acknowledgements();
        removed
    }

    fn keep_acknowledgements(&self) {
        self.keep(acknowledgements::KEY, self.acknowledgements.to_json(self.wall(Instant::now())));
        #[cfg(feature = "page")]
        self.drawn.touch();
    }

    /// Returns a moment on both clocks.
    #[cfg(feature = "deliver")]
    pub(super) fn moment(&self, now: Instant) -> deliver::Moment {
        deliver::Moment { now, wall: self.clock.at(now) }
    }

    /// Returns the state of each receiver of alerts.
    #[cfg(feature = "deliver")]
    pub(crate) fn notifications(&self) -> &Notifications {
        &self.notifications
    }

    /// Counts a request to the API.
    pub(crate) fn count_api_request(&self) {
        self.api_requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends every stream of events, and lets no other begin.
    pub(super) fn end_events(&self) {
        self.judgements.end();
    }

    pub(crate) fn has_ended_events(&self) -> bool {
        self.judgements.has_ended()
    }

    /// Returns a channel that turns `true` when the streams of events must end.
    pub(crate) fn events_end(&self) -> watch::Receiver<bool> {
        self.judgements.ended()
    }

    pub(crate) fn instruments(&self) -> &Arc<Instruments> {
        &self.instruments
    }

    pub(super) fn pools(&self) -> &WatchedPools {
        &self.pools
    }

    pub(crate) fn recorder(&self) -> &MonitorRecorder {
        &self.recorder
    }

    pub(crate) fn control(&self) -> &Control {
        &self.config.control
    }

    /// Returns who may read `/metrics`.
    pub(crate) fn metrics_access(&self) -> &Access {
        &self.config.metrics_access
    }

    /// Returns who may read what is below `/performance`.
    pub(crate) fn performance_access(&self) -> &Access {
        &self.config.performance_access
    }

    /// Returns whether a host name, without its port, is one of the monitor's own.
    pub(crate) fn allows_host(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.');
        self.config.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
    }

    /// Returns the time between two evaluations.
    pub(crate) fn interval(&self) -> Duration {
        self.config.evaluation_interval.get()
    }

    /// Returns the time between two reads of the machine; `None` where it is not read.
    pub(super) fn sampling_interval(&self) -> Option<Duration> {
        self.config.sampling.interval()
    }

    /// Returns for how long work on another thread has been under way, where it takes longer than it should.
    pub(crate) fn overdue(&self, work: Work, now: Instant) -> Option<Duration> {
        let since = match work {
            // Asked of itself: what the last tick saw may have ended since.
            #[cfg(feature = "archive")]
            Work::History => self.versions.writing_since()?,
            Work::Rules | Work::Sampling => lock(&self.under_way).get(&work).copied().flatten()?,
        };
        Some(now.saturating_duration_since(since)).filter(|age| *age >= OVERDUE)
    }

    /// Returns how often a sampler panicked.
    pub(crate) fn sampler_panics(&self) -> usize {
        self.sampler_panics.load(Ordering::Relaxed)
    }

    pub(crate) fn max_series(&self) -> usize {
        self.config.max_series
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    pub(crate) fn rules_state(&self) -> Arc<RulesState> {
        self.rules.load_full()
    }

    pub(crate) fn judgement(&self) -> Arc<Judgement> {
        self.judgements.latest()
    }

    /// Returns the memory of the windows, in bytes, approximately.
    pub(crate) fn windows_bytes(&self) -> usize {
        lock(&self.history).bytes()
    }

    /// Returns the memory of the trends, in bytes, approximately.
    pub(crate) fn tiers_bytes(&self) -> usize {
        lock(&self.tiers).bytes()
    }

    /// Returns the mean of the resident memory since the start or the last clear, in bytes.
    pub(crate) fn mean_memory(&self) -> Option<f64> {
        lock(&self.memory).mean()
    }

    /// Returns the mean of the resident memory over a window, in bytes.
    pub(crate) fn mean_memory_of(&self, window: &Window) -> Option<f64> {
        if window.start() <= lock(&self.history).total().start() {
            return self.mean_memory();
        }
        let from = window.start().saturating_duration_since(self.started).as_secs_f64();
        let memory = lock(&self.memory);
        let samples = memory.samples();
        // A window may be too short to hold a sample. The one before it then says most.
        let first = samples.partition_point(|sample| sample.age_seconds < from).min(samples.len().saturating_sub(1));
        let bytes = samples[first..].iter().map(|sample| sample.resident_bytes);
        (!samples.is_empty()).then(|| bytes.sum::<f64>() / (samples.len() - first) as f64)
    }

    /// Returns the peak of the resident memory since the start or the last clear, in bytes.
    pub(crate) fn peak_memory(&self) -> Option<f64> {
        lock(&self.memory).peak()
    }

    /// Returns samples of the resident memory over the last day, oldest first.
    pub(crate) fn memory_samples(&self) -> Vec<MemorySample> {
        lock(&self.memory).samples().to_vec()
    }
}

/// Returns the windows to keep up to date: the rules', and the one that the API shows by default.
fn windows(rules: &RuleSet) -> Vec<Duration> {
    let mut windows = rules.windows();
    windows.push(names::DEFAULT_WINDOW);
    windows
}

/// Returns the version of the service; empty where it has none.
fn version(config: &Config) -> Arc<str> {
    config.service_version.clone().unwrap_or_else(|| "".into())
}
