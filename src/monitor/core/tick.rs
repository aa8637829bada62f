//! What the loop has a [`Core`] do: sample, reload, evaluate, and what a clear undoes of it.

use std::{
    sync::{Arc, MutexGuard, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;
use tracing::{info, warn};

use super::{Core, windows};
#[cfg(feature = "page")]
use crate::monitor::Happened;
use crate::{
    alert::{Change, Lifecycle, Transition},
    analysis::LeakVerdict,
    context::{DynRecorder, labelled},
    lock::lock,
    monitor::{
        Judgement,
        background::Work,
        bottleneck_gauges::BottleneckGauges,
        current_gauges::{self, CurrentGauges},
        reload::{Reload, RulesState},
        slo_gauges::SloGauges,
        version_gauges::VersionGauges,
    },
    names,
    rules::{
        Activity, BudgetReadings, Budgets, Evaluator, Finding, MemoryVerdict, ProcessCounts, ProcessMemory, RuleSet,
        TrendReport, WindowReadings,
    },
    store::{History, Moment, Rhythms},
};

/// State that only the tick and a clear use.
pub(super) struct TickState {
    lifecycle: Lifecycle,
    gauges: BottleneckGauges,
    thresholds: CurrentGauges,
    /// The rules whose thresholds are shown.
    shown: Option<Arc<RuleSet>>,
    trends: CurrentGauges,
    budgets: Budgets,
    slo_gauges: SloGauges,
    versions: VersionGauges,
    /// When a request last came, to the precision of a tick.
    last_request: Instant,
    /// Requests to the API until then.
    api_requests: u64,
}

/// What the rules find at a tick.
struct Evaluation {
    findings: Vec<Finding>,
    memory: MemoryVerdict,
    budgets: Arc<BudgetReadings>,
    /// Requests that ended since the last tick.
    requests: u64,
}

impl TickState {
    pub(super) fn new(recorder: DynRecorder, now: Instant) -> Self {
        Self {
            lifecycle: Lifecycle::default(),
            thresholds: CurrentGauges::new(recorder.clone(), &names::RULE_THRESHOLD),
            shown: None,
            trends: CurrentGauges::new(recorder.clone(), &names::TREND),
            slo_gauges: SloGauges::new(&recorder),
            versions: VersionGauges::new(&recorder),
            gauges: BottleneckGauges::new(recorder),
            budgets: Budgets::default(),
            last_request: now,
            api_requests: 0,
        }
    }

    /// Shows the thresholds of the rules in force, unless they are shown.
    pub(super) fn show_thresholds(&mut self, rules: &Arc<RuleSet>) {
        if !self.shown.as_ref().is_some_and(|shown| Arc::ptr_eq(shown, rules)) {
            self.thresholds.show(current_gauges::thresholds(rules));
            self.shown = Some(rules.clone());
        }
    }

    /// Takes the counts of a tick, and returns for how long no request has come.
    fn quiet(&mut self, requests: u64, api_requests: u64, now: Instant) -> Duration {
        if requests > 0 || api_requests != self.api_requests {
            (self.last_request, self.api_requests) = (now, api_requests);
        }
        now.saturating_duration_since(self.last_request)
    }
}

impl Core {
    /// Takes the number of samplers that panicked at a sampling.
    pub(in crate::monitor) fn sampled(&self, panics: usize) {
        self.sampler_panics.fetch_add(panics, Ordering::Relaxed);
    }

    /// Takes since when a kind of work has been under way, and shows for how long.
    pub(in crate::monitor) fn under_way(&self, work: Work, since: Option<Instant>, now: Instant) {
        lock(&self.under_way).insert(work, since);
        self.show_pending(work, since, now);
    }

    fn show_pending(&self, work: Work, since: Option<Instant>, now: Instant) {
        let age = since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let labels = [(names::WORK, work.name().into())];
        labelled::gauge(self.instruments.recorder(), &names::WORK_PENDING, &labels).set(age.as_secs_f64());
    }

    /// Shows for how long the history file has not been written. Before the tick has anything written, so that a write that
    /// begins now is none that hangs.
    #[cfg(feature = "archive")]
    fn show_writing(&self, now: Instant) {
        if self.config.history_file.is_some() {
            self.show_pending(Work::History, self.versions.writing_since(), now);
        }
    }

    #[cfg(not(feature = "archive"))]
    fn show_writing(&self, _: Instant) {}

    /// Takes what was measured since the last tick into the history, evaluates the rules and publishes the result.
    pub(in crate::monitor) fn tick(&self, now: Instant) {
        // Not tokio's clock: what a tick costs is real where a test's time stands still.
        let began = std::time::Instant::now();
        self.show_writing(now);
        self.restore_acknowledgements();
        let ticking = &mut *lock(&self.ticking);
        let rules = self.rules.load_full();
        ticking.show_thresholds(&rules.set);
        let Evaluation { findings, memory, budgets, requests } = self.evaluate(&rules.set, &mut ticking.budgets, now);
        // A stopped monitor counts none.
        let requests = if self.instruments.enabled() { requests } else { 1 };
        let quiet = ticking.quiet(requests, self.api_requests.load(Ordering::Relaxed), now);
        let transitions = ticking.lifecycle.advance(&rules.set, findings, now);
        transitions.iter().for_each(log);
        #[cfg(feature = "page")]
        {
            self.drawn.changed(self.wall(now), &transitions);
            self.drawn.judged(self.wall(now), ticking.lifecycle.firing());
        }
        ticking.gauges.show(ticking.lifecycle.firing());
        ticking.slo_gauges.show(&budgets);
        self.show_growth(&memory);
        self.instruments.slow_requests().expire(now, self.longest_window());
        let took = began.elapsed();
        self.evaluation.record(took.as_secs_f64());
        let judgement = Judgement {
            at: Some(now),
            took: Some(took),
            firing: ticking.lifecycle.firing().to_vec(),
            pending: ticking.lifecycle.pending().to_vec(),
            transitions,
            quiet,
            memory: Some(memory),
            budgets,
        };
        self.judgements.publish(judgement, self.wall(now));
    }

    /// Shows the growth that the leak detector found; nothing before it can tell.
    fn show_growth(&self, memory: &MemoryVerdict) {
        if memory.growth.is_some() || !matches!(memory.process, LeakVerdict::NotEnoughData { .. }) {
            let growth = memory.growth.as_ref().map_or(0.0, |growth| growth.bytes_per_hour);
            labelled::gauge(self.instruments.recorder(), &names::MEMORY_GROWTH, &[]).set(growth);
        }
    }

    /// Shows the direction of every trend of a report.
    pub(in crate::monitor) fn show_trends(&self, report: &TrendReport) {
        lock(&self.ticking).trends.show(current_gauges::trends(report));
    }

    /// Shows what the latest comparison of versions says. Under the lock of a clear: what that forgets is not shown after it.
    #[cfg(feature = "archive")]
    pub(super) fn show_versions(&self) {
        let mut ticking = lock(&self.ticking);
        ticking.versions.show(self.regression().as_deref());
    }

    /// Brings the history, the memory's curve and the trends up to `now`, and returns what the rules find in them.
    fn evaluate(&self, rules: &RuleSet, budgets: &mut Budgets, now: Instant) -> Evaluation {
        // Before the history: it then sees the gauges of this moment.
        self.instruments.sample(now);
        let mut history = lock(&self.history);
        history.tick(&self.recorder.index(), now);
        self.give_back_places(&mut history, now);
        let requests = history.latest_count(names::HTTP_DURATION.name);
        let memory = self.record_memory(&history, requests, now);
        let counts = self.record_counts(&history, now);
        let verdict = memory.verdict(history.total().start().saturating_duration_since(self.started));
        let moment = Moment {
            wall: self.clock.at(now),
            measuring: self.instruments.enabled(),
            resident_bytes: owned_memory(&history),
        };
        let rhythms = self.record_rhythms(&history, moment);
        if self.record_trends(&history, moment) {
            self.minute_ended(&history, &rhythms, now);
        }
        #[cfg(feature = "page")]
        self.drawn.record(&history, &lock(&self.tiers), moment, now);
        let budgets = self.record_budgets(rules, budgets, &history, now);
        let windows = windows(rules).into_iter().filter_map(|length| Some((length, history.window(length)?)));
        let regression = self.regression();
        let readings = WindowReadings::new(windows)
            .with_budgets(&budgets)
            .since_start(history.total())
            .with_memory_growth(verdict.growth.clone())
            .with_counts(&counts)
            .with_activity(Activity::of(&rhythms))
            .with_regression(regression.as_deref());
        let findings = Evaluator::new(rules.rules()).evaluate(&readings);
        Evaluation { findings, memory: verdict, budgets: Arc::new(budgets), requests }
    }

    /// Has names that are not in use give their places back where these are needed.
    fn give_back_places(&self, history: &mut History, now: Instant) {
        // Not the longest window: a rule over a day would keep the places of a day's throw-away names. A name that comes again
        // finds its series, which stay as long as a window contains them.
        let unused = names::DEFAULT_WINDOW + self.interval() * 2;
        let short = self.recorder.is_short_of_window_series();
        self.instruments.give_back_places(now, unused, short);
        self.recorder.give_back_places(history);
        self.recorder.choose_pairs();
    }

    /// Puts the rule files into force where a look at them found that they were edited and are right. Where they are wrong, the
    /// rules in force stay, and [`RulesState`] says what is wrong.
    pub(in crate::monitor) fn reload(&self, look: Reload, now: Instant) {
        let old = self.rules.load_full();
        let outcome = match look {
            Reload::Unchanged => return,
            Reload::Loaded(set) => {
                info!(rules = set.ids().count(), "rules reloaded");
                lock(&self.history).set_windows(windows(&set));
                self.rules.store(Arc::new(RulesState { set, loaded: now, error: None, source: old.source }));
                #[cfg(feature = "page")]
                self.happened(Happened::Reloaded, now);
                names::OK
            }
            Reload::Refused(error) => {
                warn!(%error, "rules not reloaded; the previous ones stay in force");
                self.rules.store(Arc::new(RulesState { error: Some(error), ..RulesState::clone(&old) }));
                #[cfg(feature = "page")]
                self.happened(Happened::Refused, now);
                names::ERROR
            }
        };
        let recorder = self.instruments.recorder();
        labelled::counter(recorder, &names::RULES_RELOAD, &[(names::OUTCOME, outcome.into())]).increment(1);
        self.show_reload();
    }

    /// Shows whether the rule files are in force, and since when; from the start, so that a first change can be alerted on.
    pub(in crate::monitor) fn show_reload(&self) {
        let (recorder, rules) = (self.instruments.recorder(), self.rules.load());
        for outcome in [names::OK, names::ERROR] {
            labelled::counter(recorder, &names::RULES_RELOAD, &[(names::OUTCOME, outcome.into())]).increment(0);
        }
        let is_in_force = f64::from(u8::from(rules.error.is_none()));
        labelled::gauge(recorder, &names::RULES_RELOAD_SUCCESSFUL, &[]).set(is_in_force);
        // The clock knows the present alone. Rules that stay in force where an edit is wrong were loaded before.
        if rules.error.is_none() {
            let loaded = self.clock.at(rules.loaded).as_secs_f64();
            labelled::gauge(recorder, &names::RULES_RELOAD_TIMESTAMP, &[]).set(loaded);
        }
    }

    /// Records the newest sample of the process's memory. `requests` is how many ended since the last one.
    fn record_memory(&self, history: &History, requests: u64, now: Instant) -> MutexGuard<'_, ProcessMemory> {
        let mut memory = lock(&self.memory);
        if let Some(resident_bytes) = owned_memory(history) {
            memory.record(now.saturating_duration_since(self.started), resident_bytes, requests);
        }
        memory.record_routes(now.saturating_duration_since(self.started), history.total());
        memory
    }

    /// Records how many descriptors are open and how many tasks are alive.
    fn record_counts(&self, history: &History, now: Instant) -> MutexGuard<'_, ProcessCounts> {
        let mut counts = lock(&self.counts);
        let age = now.saturating_duration_since(self.started);
        if let Some(open) = history.gauge(names::PROCESS_OPEN_FDS.name) {
            counts.open_fds.record(age, open);
        }
        if let Some(alive) = history.gauge(names::TOKIO_ALIVE_TASKS.name) {
            counts.alive_tasks.record(age, alive);
        }
        counts
    }

    /// Records the latest difference of the history in the trends. Returns whether a minute ended.
    fn record_trends(&self, history: &History, moment: Moment) -> bool {
        let mut tiers = lock(&self.tiers);
        let ended = tiers.record(history, moment);
        #[cfg(feature = "archive")]
        if tiers.report_current_minute(moment.wall) && !ended {
            self.versions.minute_goes_on();
        }
        ended
    }

    /// Brings the error budgets up to date with the trends. Only what changed is counted, but after a start, a clear and an edit of
    /// the rules.
    fn record_budgets(
        &self,
        rules: &RuleSet,
        budgets: &mut Budgets,
        history: &History,
        now: Instant,
    ) -> BudgetReadings {
        let wall = self.clock.at(now);
        budgets.follow(rules.rules(), &lock(&self.tiers), history, wall);
        budgets.readings(wall)
    }

    /// Records the latest difference of the history in what usually runs, after what an archive kept of it.
    fn record_rhythms(&self, history: &History, moment: Moment) -> MutexGuard<'_, Rhythms> {
        let mut rhythms = lock(&self.rhythms);
        #[cfg(feature = "archive")]
        if let Some(stored) = self.versions.take_rhythms() {
            rhythms.restore(stored, moment.wall.as_secs());
        }
        rhythms.record(history, moment);
        rhythms
    }

    /// Wakes the archive to write the minute that ended, and every few minutes the snapshot of this version and the rhythms.
    #[cfg(feature = "archive")]
    fn minute_ended(&self, history: &History, rhythms: &Rhythms, now: Instant) {
        self.versions.minute_ended(history.total(), rhythms, self.clock.at(now));
    }

    #[cfg(not(feature = "archive"))]
    fn minute_ended(&self, _: &History, _: &Rhythms, _: Instant) {}

    /// Ends the current minute early and has the archive write the last of this run.
    #[cfg(feature = "archive")]
    pub(in crate::monitor) fn finish(&self, now: Instant) {
        lock(&self.tiers).finish();
        let total = self.total(now);
        self.versions.finish(&total, &lock(&self.rhythms), self.clock.at(now));
    }

    /// Empties windows and trends and resolves what fires. What Prometheus reads, the cells, goes on.
    pub(crate) fn clear(&self, now: Instant) {
        let mut ticking = lock(&self.ticking);
        {
            let mut history = lock(&self.history);
            history.clear(&self.recorder.index(), now);
        }
        let memory = {
            let mut memory = lock(&self.memory);
            memory.clear();
            memory.verdict(now.saturating_duration_since(self.started))
        };
        *lock(&self.counts) = ProcessCounts::default();
        lock(&self.tiers).clear();
        lock(&self.rhythms).clear();
        self.forget_regressions(now);
        ticking.versions.show(None);
        self.instruments.slow_requests().clear();
        let transitions = ticking.lifecycle.resolve_all();
        transitions.iter().for_each(log);
        ticking.gauges.show(&[]);
        let last = self.judgements.latest();
        // Before the first evaluation nothing was judged.
        let memory = last.memory.is_some().then_some(memory);
        #[cfg(feature = "page")]
        {
            self.drawn.changed(self.wall(now), &transitions);
            self.drawn.judged(self.wall(now), &[]);
            self.happened(Happened::Cleared, now);
        }
        let judgement = Judgement { at: last.at, took: last.took, memory, transitions, ..Judgement::default() };
        self.judgements.publish(judgement, self.wall(now));
    }
}

/// Returns the memory that the process owns; its whole resident memory where the platform does not tell them apart.
fn owned_memory(history: &History) -> Option<f64> {
    history.gauge(names::PROCESS_OWNED.name).or_else(|| history.gauge(names::PROCESS_RESIDENT.name))
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

#[cfg(all(test, feature = "archive"))]
mod tests {
    use super::*;
    use crate::Monitor;

    #[tokio::test]
    async fn a_history_file_that_is_not_written_is_shown_and_overdue() {
        let directory = tempfile::tempdir().expect("a directory");
        let monitor = Monitor::builder().history_file(directory.path().join("history.redb")).build().expect("good");
        let core = monitor.core();
        let shown = |seconds: u64| {
            let line = format!("{}{{work=\"history\"}} {seconds}", names::WORK_PENDING.name);
            core.recorder().render().lines().any(|text| text == line)
        };
        core.show_writing(Instant::now());
        assert!(shown(0));
        let tiers = core.tiers.clone();
        // The archive's thread waits for what is held here as it would for a file system.
        let blocked = lock(&tiers);
        core.versions.minute_goes_on();
        let since = core.versions.writing_since().expect("under way");
        assert_eq!(core.overdue(Work::History, since + Duration::from_secs(1)), None);
        assert_eq!(core.overdue(Work::History, since + Duration::from_secs(9)), Some(Duration::from_secs(9)));
        core.show_writing(since + Duration::from_secs(9));
        assert!(shown(9));
        drop(blocked);
        monitor.shutdown().await;
        assert_eq!(core.overdue(Work::History, since + Duration::from_secs(9)), None);
    }
}
