//! [`WindowReadings`]: the windows of this process as a source of readings.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    activity::Activity, budgets::BudgetReadings, endpoints::Endpoint, growth::ProcessCounts, index::WindowIndex,
    investigation::Investigation, memory::MemoryGrowth, queries::Query, regression::Regression, tasks::Task,
};
use crate::{
    rules::{
        budget::Budget,
        evidence::Evidence,
        measure::Measure,
        readings::{Question, Reading, Readings},
        rule::Rule,
        scope::Scope,
        subject::Subject,
    },
    store::Window,
};

/// The name of the one subject of the scope `process`.
const PROCESS: &str = "process";

/// The readings of one moment: a window of each length that some rule asks for.
#[derive(Debug, Default)]
pub(crate) struct WindowReadings<'a> {
    windows: BTreeMap<Duration, WindowIndex<'a>>,
    /// The window since the start or the last clear: it holds when each series was seen first and last.
    total: Option<&'a Window>,
    growth: Option<MemoryGrowth>,
    counts: Option<&'a ProcessCounts>,
    budgets: Option<&'a BudgetReadings>,
    activity: Option<Activity<'a>>,
    regression: Option<&'a Regression>,
}

impl<'a> WindowReadings<'a> {
    /// Returns readings of `windows`, each with the length that rules ask for; just after the start its span is
    /// shorter.
    pub(crate) fn new(windows: impl IntoIterator<Item = (Duration, &'a Window)>) -> Self {
        let windows = windows.into_iter().map(|(length, window)| (length, WindowIndex::of(window))).collect();
        Self { windows, ..Self::default() }
    }

    /// Adds the window since the start or the last clear. Without it, outcomes have no first and last time.
    pub(crate) fn since_start(mut self, total: &'a Window) -> Self {
        self.total = Some(total);
        self
    }

    /// Adds the growth that the leak detector found. Without it, rules about growing memory have no data.
    pub(crate) fn with_memory_growth(mut self, growth: Option<MemoryGrowth>) -> Self {
        self.growth = growth;
        self
    }

    /// Adds how counts of the process grew. Without it, they have no growth.
    pub(crate) fn with_counts(mut self, counts: &'a ProcessCounts) -> Self {
        self.counts = Some(counts);
        self
    }

    /// Adds the error budgets. Without them, objectives have no data.
    pub(crate) fn with_budgets(mut self, budgets: &'a BudgetReadings) -> Self {
        self.budgets = Some(budgets);
        self
    }

    /// Adds what usually runs. Without it, nothing is known to be absent or fewer than usual.
    pub(crate) fn with_activity(mut self, activity: Activity<'a>) -> Self {
        self.activity = Some(activity);
        self
    }

    /// Adds the version before. Without it, rules on versions have no data.
    pub(crate) fn with_regression(mut self, regression: Option<&'a Regression>) -> Self {
        self.regression = regression;
        self
    }

    /// Returns the window of a length. Where there is none, as for the span of a memory growth, it is the longest
    /// shorter one, or else the shortest of all.
    fn index(&self, length: Duration) -> Option<&WindowIndex<'a>> {
        self.windows.range(..=length).next_back().or(self.windows.first_key_value()).map(|(_, index)| index)
    }

    /// Returns the growth of the memory, which comes from the detector's own curve and not from a window.
    fn growth(&self) -> Option<Reading> {
        let MemoryGrowth { bytes_per_hour, span, samples, .. } = self.growth.as_ref()?;
        Some(Reading { subject: process(), value: *bytes_per_hour, samples: *samples, span: Some(*span) })
    }
}

impl Readings for WindowReadings<'_> {
    fn read(&self, question: &Question<'_>) -> Vec<Reading> {
        if question.measure == Measure::MemoryGrowth {
            return self.growth().into_iter().collect();
        }
        if question.measure.is_of_versions() {
            return self.regression.map_or_else(Vec::new, |regression| regression.read(question));
        }
        let Some(index) = self.index(question.window) else { return Vec::new() };
        if matches!(question.measure, Measure::AbsentFor | Measure::DropRatio) {
            return self.activity.as_ref().map_or_else(Vec::new, |activity| activity.read(question, index));
        }
        match question.scope {
            Scope::Endpoint => endpoint_readings(index, question),
            Scope::Query => query_readings(index, question),
            Scope::Task => task_readings(index, question),
            Scope::Process => reading(question, process, index.process(question.measure)).into_iter().collect(),
            Scope::Slo => Vec::new(),
            Scope::Metric => question.metric.map_or_else(Vec::new, |metric| index.metric(metric, question.measure)),
        }
    }

    fn evidence(&self, scope: Scope, subject: &Subject, window: Duration, slow: Option<f64>) -> Evidence {
        let Some(index) = self.index(window) else { return Evidence::default() };
        let usual = self.activity.as_ref().map(|activity| activity.facts(scope, subject, index));
        let investigation = Investigation { index, total: self.total, counts: self.counts, slow };
        let mut evidence = match scope {
            Scope::Endpoint => investigation.endpoint(subject),
            Scope::Query => investigation.query(subject),
            Scope::Task => investigation.task(subject),
            Scope::Process => Some(investigation.process(self.growth.as_ref())),
            Scope::Metric | Scope::Slo => None,
        }
        .unwrap_or_default();
        // Also of what did not run in the window.
        evidence.facts.extend(usual.into_iter().flatten());
        evidence.facts.extend(self.regression.iter().flat_map(|regression| regression.facts(scope, subject)));
        evidence
    }

    fn budgets(&self, rule: &Rule) -> &[Budget] {
        self.budgets.map_or(&[], |budgets| budgets.of(&rule.id))
    }
}

fn endpoint_readings(index: &WindowIndex<'_>, question: &Question<'_>) -> Vec<Reading> {
    let (measure, endpoints) = (question.measure, index.endpoints());
    // What is in flight is known of requests that have not ended.
    let is_state = matches!(measure, Measure::Active | Measure::OldestActive);
    let relevant = |endpoint: &&Endpoint<'_>| {
        (is_state || endpoint.durations.count() >= question.min_samples)
            && !endpoint.is_surely_below(measure, question.at_least)
    };
    let read = |endpoint: &Endpoint<'_>| {
        let value = endpoint.measure(measure, endpoints)?;
        let samples = if is_state { 1 } else { endpoint.durations.count() };
        reading(question, || endpoint.subject().clone(), Some((value, samples)))
    };
    endpoints.all.iter().filter(relevant).filter_map(read).collect()
}

fn query_readings(index: &WindowIndex<'_>, question: &Question<'_>) -> Vec<Reading> {
    let (measure, endpoints, uses) = (question.measure, index.endpoints(), index.uses());
    let relevant = |query: &&Query<'_>| !query.durations.is_surely_below(measure, question.at_least);
    let read = |query: &Query<'_>| {
        reading(question, || query.subject.clone(), query.measure(measure, endpoints, uses, question.min_samples))
    };
    index.queries().iter().filter(relevant).filter_map(read).collect()
}

fn task_readings(index: &WindowIndex<'_>, question: &Question<'_>) -> Vec<Reading> {
    let (measure, endpoints) = (question.measure, index.endpoints());
    let relevant = |task: &&Task<'_>| !task.durations.is_surely_below(measure, question.at_least);
    let read = |task: &Task<'_>| reading(question, || task.subject.clone(), task.measure(measure, endpoints));
    index.tasks().iter().filter(relevant).filter_map(read).collect()
}

/// Returns the reading of a subject, given its value and observations; `None` below what the question asks for. Only a reading
/// needs the subject: making those of a thousand endpoints took a twelfth of a tick.
fn reading(
    question: &Question<'_>,
    subject: impl FnOnce() -> Arc<Subject>,
    answer: Option<(f64, u64)>,
) -> Option<Reading> {
    let (value, samples) = answer.filter(|(value, _)| question.at_least.is_none_or(|least| *value >= least))?;
    Some(Reading { subject: subject(), value, samples, span: None })
}

fn process() -> Arc<Subject> {
    Arc::new(Subject::new(PROCESS, Vec::new()))
}
