//! [`Core`]: the parts of a monitor, and what one tick does with them.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use metrics::Histogram;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch},
    time::Instant,
};
use tracing::{info, warn};

use super::{
    Control, Judgement,
    bottleneck_gauges::BottleneckGauges,
    clock::WallClock,
    config::Config,
    reload::{Reload, RulesState, RulesWatch},
    samplers::Samplers,
};
#[cfg(feature = "archive")]
use super::{
    archive::{Archive, ArchiveParts},
    versions::{Service, VersionComparison, Versions},
};
use crate::{
    alert::{Change, Lifecycle, Transition},
    analysis::MemorySample,
    context::{Instruments, labelled},
    lock::lock,
    names,
    rules::{Evaluator, ProcessMemory, RuleSet, TrendReport, TrendSource, WindowReadings, is_failure},
    store::{History, Moment, MonitorRecorder, Run, TierLimits, Tiers, Window},
};

/// Listeners to the event stream at a time: each costs a socket and a buffer.
const LISTENERS: usize = 64;
/// Evaluations that a slow listener may lag behind.
const LAG: usize = 16;

/// Trends that are judged at a time: each takes a core for some milliseconds.
const JUDGED_AT_A_TIME: usize = 2;

/// What a monitor is made of.
pub(super) struct Parts {
    pub(super) instruments: Arc<Instruments>,
    pub(super) recorder: MonitorRecorder,
    pub(super) config: Config,
    pub(super) rules: RuleSet,
    pub(super) watch: Option<RulesWatch>,
    pub(super) samplers: Samplers,
}

/// The parts of a monitor.
pub(crate) struct Core {
    instruments: Arc<Instruments>,
    recorder: MonitorRecorder,
    config: Config,
    started: Instant,
    clock: WallClock,
    evaluation: Histogram,
    history: Mutex<History>,
    memory: Mutex<ProcessMemory>,
    tiers: Arc<Mutex<Tiers>>,
    #[cfg(feature = "archive")]
    versions: Versions,
    judging: Semaphore,
    sampler_panics: AtomicUsize,
    rules: ArcSwap<RulesState>,
    judgement: ArcSwap<Judgement>,
    /// What only the tick touches.
    ticking: Mutex<Ticking>,
    judgements: broadcast::Sender<Arc<Judgement>>,
    listeners: Arc<Semaphore>,
    events_ended: watch::Sender<bool>,
}

struct Ticking {
    samplers: Samplers,
    watch: Option<RulesWatch>,
    lifecycle: Lifecycle,
    gauges: BottleneckGauges,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("recorder", &self.recorder).field("config", &self.config).finish_non_exhaustive()
    }
}

impl Core {
    pub(super) fn new(parts: Parts) -> Self {
        let started = Instant::now();
        let recorder = parts.instruments.recorder().clone();
        labelled::gauge(&recorder, &names::BUILD_INFO, &[(names::VERSION, env!("CARGO_PKG_VERSION").into())]).set(1.0);
        let clock = WallClock::starting(started);
        let run = Run { started: clock.at(started), version: version(&parts.config) };
        let rules = RulesState {
            source: if parts.watch.is_some() { "directory" } else { "embedded" },
            loaded: started,
            error: None,
            set: Arc::new(parts.rules),
        };
        let config = parts.config;
        let limits = TierLimits { retention: config.retention.get(), bytes: config.history_bytes.get() };
        let tiers = Arc::new(Mutex::new(Tiers::new(limits, run.clone())));
        #[cfg(feature = "archive")]
        let service = Service::of(&config);
        #[cfg(feature = "archive")]
        let archive = config.history_file.clone().map(|path| {
            let (service, recorder) = (service.as_ref().map(|service| service.name.clone()), recorder.clone());
            let retention = limits.retention;
            let now = Box::new(move || clock.at(Instant::now()));
            Archive::start(ArchiveParts { path, recorder, tiers: tiers.clone(), retention, run, service, now })
        });
        Self {
            evaluation: labelled::histogram(&recorder, &names::RULE_EVALUATION, &[]),
            history: Mutex::new(History::new(started, windows(&rules.set))),
            memory: Mutex::default(),
            tiers,
            #[cfg(feature = "archive")]
            versions: Versions::new(service, archive),
            judging: Semaphore::new(JUDGED_AT_A_TIME),
            sampler_panics: AtomicUsize::new(0),
            clock,
            rules: ArcSwap::from_pointee(rules),
            judgement: ArcSwap::default(),
            ticking: Mutex::new(Ticking {
                samplers: parts.samplers,
                watch: parts.watch,
                lifecycle: Lifecycle::default(),
                gauges: BottleneckGauges::new(recorder),
            }),
            judgements: broadcast::Sender::new(LAG),
            listeners: Arc::new(Semaphore::new(LISTENERS)),
            events_ended: watch::Sender::new(false),
            instruments: parts.instruments,
            recorder: parts.recorder,
            config,
            started,
        }
    }

    /// Reads the machine.
    pub(super) fn sample(&self) {
        let panics = lock(&self.ticking).samplers.sample();
        self.sampler_panics.fetch_add(panics, Ordering::Relaxed);
    }

    /// Takes a snapshot, judges it and tells what changed.
    pub(super) fn tick(&self, now: Instant) {
        // Not tokio's clock: what a tick costs is real where a test's time stands still.
        let began = std::time::Instant::now();
        let ticking = &mut *lock(&self.ticking);
        let rules = self.rules.load_full();
        let (findings, leak) = {
            self.instruments.sample(now);
            let mut history = lock(&self.history);
            history.tick(&self.recorder.index(), now);
            let memory = self.follow_memory(&history, now);
            let growth = memory.growth(history.total().start().saturating_duration_since(self.started));
            if self.record(&history, now) {
                self.minute_ended(&history, now);
            }
            let windows = windows(&rules.set).into_iter().filter_map(|length| Some((length, history.window(length)?)));
            let readings = WindowReadings::new(windows).since_start(history.total()).with_memory_growth(growth);
            (Evaluator::new(rules.set.rules()).evaluate(&readings), memory.verdict().clone())
        };
        let transitions = ticking.lifecycle.advance(&rules.set, findings, now);
        transitions.iter().for_each(log);
        ticking.gauges.show(ticking.lifecycle.firing());
        self.instruments.slow_requests().expire(now, self.longest_window());
        let took = began.elapsed();
        self.evaluation.record(took.as_secs_f64());
        self.publish(Judgement {
            at: Some(now),
            took: Some(took),
            firing: ticking.lifecycle.firing().to_vec(),
            pending: ticking.lifecycle.pending().to_vec(),
            transitions,
            leak: Some(leak),
        });
    }

    fn publish(&self, judgement: Judgement) {
        let judgement = Arc::new(judgement);
        self.judgement.store(judgement.clone());
        // An error means that nobody listens.
        let _ = self.judgements.send(judgement);
    }

    /// Returns whether the rules come from files.
    pub(super) fn watches_rules(&self) -> bool {
        lock(&self.ticking).watch.is_some()
    }

    /// Puts edited rule files into force, or says what is wrong with them.
    pub(super) fn reload(&self, now: Instant) {
        let ticking = &mut *lock(&self.ticking);
        let Some(watch) = &mut ticking.watch else { return };
        let old = self.rules.load_full();
        let outcome = match watch.look() {
            Reload::Unchanged => return,
            Reload::Loaded(set) => {
                info!(rules = set.ids().count(), "rules reloaded");
                lock(&self.history).set_windows(windows(&set));
                self.rules.store(Arc::new(RulesState { set, loaded: now, error: None, source: old.source }));
                names::OK
            }
            Reload::Refused(error) => {
                warn!(%error, "rules not reloaded; those from before stay in force");
                self.rules.store(Arc::new(RulesState { error: Some(error), ..RulesState::clone(&old) }));
                names::ERROR
            }
        };
        let recorder = self.instruments.recorder();
        labelled::counter(recorder, &names::RULES_RELOAD, &[(names::OUTCOME, outcome.into())]).increment(1);
    }

    /// Enters the newest sample of the memory.
    fn follow_memory(&self, history: &History, now: Instant) -> MutexGuard<'_, ProcessMemory> {
        let mut memory = lock(&self.memory);
        if let Some(resident_bytes) = history.gauge(names::PROCESS_RESIDENT.name) {
            let limit = history.gauge(names::PROCESS_MEMORY_LIMIT.name);
            let requests = history.latest_count(names::HTTP_DURATION.name);
            memory.record(now.saturating_duration_since(self.started), resident_bytes, requests, limit);
        }
        memory
    }

    /// Enters the latest difference in the trends. Returns whether a minute ended.
    fn record(&self, history: &History, now: Instant) -> bool {
        let moment = Moment {
            wall: self.clock.at(now),
            measuring: self.instruments.enabled(),
            resident_bytes: history.gauge(names::PROCESS_RESIDENT.name),
        };
        let mut tiers = lock(&self.tiers);
        let ended = tiers.record(history, moment, is_failure);
        #[cfg(feature = "archive")]
        if tiers.report_current_minute(moment.wall) && !ended {
            self.versions.minute_goes_on();
        }
        ended
    }

    /// Has what is new written to the history file.
    #[cfg(feature = "archive")]
    fn minute_ended(&self, history: &History, now: Instant) {
        self.versions.minute_ended(history.total(), self.clock.at(now));
    }

    #[cfg(not(feature = "archive"))]
    fn minute_ended(&self, _: &History, _: Instant) {}

    /// Ends the minute before its time and has the last of this life written to the history file.
    #[cfg(feature = "archive")]
    pub(super) fn finish(&self, now: Instant) {
        lock(&self.tiers).finish();
        self.versions.finish(&self.total(now), self.clock.at(now));
    }

    /// Compares this version of the service with the one before; `None` where none is known.
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
        // Under the lock: whoever looks later never knows fewer series.
        history.total_now(&self.recorder.index(), now)
    }

    /// Returns the last `length`.
    pub(crate) fn window(&self, now: Instant, length: Duration) -> Window {
        let mut history = lock(&self.history);
        history.window_now(&self.recorder.index(), now, length)
    }

    /// Returns the longest window that can be looked at.
    pub(crate) fn longest_window(&self) -> Duration {
        windows(&self.rules.load().set).into_iter().max().unwrap_or(names::DEFAULT_WINDOW)
    }

    /// Starts all windows anew and resolves what fires; what Prometheus counts goes on.
    pub(crate) fn clear(&self, now: Instant) {
        let mut ticking = lock(&self.ticking);
        {
            let mut history = lock(&self.history);
            history.clear(&self.recorder.index(), now);
        }
        lock(&self.memory).clear();
        lock(&self.tiers).clear();
        self.instruments.slow_requests().clear();
        let transitions = ticking.lifecycle.resolve_all();
        transitions.iter().for_each(log);
        ticking.gauges.show(&[]);
        let last = self.judgement.load();
        let leak = last.leak.clone();
        self.publish(Judgement { at: last.at, took: last.took, leak, transitions, ..Judgement::default() });
    }

    /// Returns a stream of judgements and a place among the listeners, or `None` when all are taken.
    pub(crate) fn listen(&self) -> Option<(broadcast::Receiver<Arc<Judgement>>, OwnedSemaphorePermit)> {
        let place = self.listeners.clone().try_acquire_owned().ok()?;
        Some((self.judgements.subscribe(), place))
    }

    /// Ends every stream of events, and lets no other begin.
    pub(super) fn end_events(&self) {
        self.events_ended.send_replace(true);
    }

    pub(crate) fn has_ended_events(&self) -> bool {
        *self.events_ended.borrow()
    }

    /// Returns what tells when the streams of events are to end.
    pub(crate) fn events_end(&self) -> watch::Receiver<bool> {
        self.events_ended.subscribe()
    }

    pub(crate) fn instruments(&self) -> &Arc<Instruments> {
        &self.instruments
    }

    pub(crate) fn recorder(&self) -> &MonitorRecorder {
        &self.recorder
    }

    pub(crate) fn control(&self) -> &Control {
        &self.config.control
    }

    pub(crate) fn interval(&self) -> Duration {
        self.config.evaluation_interval.get()
    }

    /// Returns how often the machine is read; `None` where it is not.
    pub(super) fn sampling_interval(&self) -> Option<Duration> {
        self.config.sampling.interval()
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
        self.judgement.load_full()
    }

    pub(crate) fn windows_bytes(&self) -> usize {
        lock(&self.history).bytes()
    }

    /// Returns the memory of the trends, in bytes, nearly.
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
        // Of a window so short that no sample lies in it, the one before it says most.
        let first = samples.partition_point(|sample| sample.age_seconds < from).min(samples.len().saturating_sub(1));
        let bytes = samples[first..].iter().map(|sample| sample.resident_bytes);
        (!samples.is_empty()).then(|| bytes.sum::<f64>() / (samples.len() - first) as f64)
    }

    /// Returns its peak, in bytes.
    pub(crate) fn peak_memory(&self) -> Option<f64> {
        lock(&self.memory).peak()
    }

    /// Returns its samples, oldest first.
    pub(crate) fn memory_samples(&self) -> Vec<MemorySample> {
        lock(&self.memory).samples().to_vec()
    }
}

/// The windows that are kept up to date: the rules', and one to look at where they have none.
fn windows(rules: &RuleSet) -> Vec<Duration> {
    let mut windows = rules.windows();
    windows.push(names::DEFAULT_WINDOW);
    windows
}

fn log(transition: &Transition) {
    let bottleneck = &transition.bottleneck;
    let (rule, subject, severity) = (&*bottleneck.rule.id, &*bottleneck.subject.name, bottleneck.severity.as_str());
    let description = &*bottleneck.description;
    match transition.change {
        Change::Started => warn!(rule, subject, severity, description, "bottleneck started"),
        Change::Changed { from } => {
            warn!(rule, subject, severity, from = from.as_str(), description, "bottleneck changed")
        }
        Change::Resolved => info!(rule, subject, severity, "bottleneck resolved"),
    }
}

/// Returns the version of the service; empty where it has none.
#[cfg(feature = "archive")]
fn version(config: &Config) -> Arc<str> {
    config.service_version.clone().unwrap_or_else(|| "".into())
}

#[cfg(not(feature = "archive"))]
fn version(_: &Config) -> Arc<str> {
    "".into()
}
