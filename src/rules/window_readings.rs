//! Readings from the windows of this process.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::durations::{divide, quantile};
use super::evidence::Evidence;
use super::measure::{Measure, Scope};
use super::readings::{Question, Reading, Readings, Subject};
use super::rule::MetricSelector;
use super::summary::{self, Endpoints, QueryUses};
use super::task;
use super::window_evidence::Looking;
use crate::names;
use crate::store::{HistogramSum, SeriesView, Window};

/// The name of the one subject of the scope `process`.
const PROCESS: &str = "process";

/// Growth of the resident memory, as the leak detector sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MemoryGrowth {
    pub(crate) bytes_per_hour: f64,
    /// How far back it reaches: the longest of the detector's own windows that shows it.
    pub(crate) span: Duration,
    /// Points of the memory curve that it rests on.
    pub(crate) samples: u64,
    /// What the process gained since the start or the last clear, the warm-up included; `None` where it gained nothing.
    pub(crate) gained_bytes: Option<f64>,
}

/// Readings of one moment: a window of each length that some rule looks at.
#[derive(Debug, Default)]
pub(crate) struct WindowReadings<'a> {
    windows: BTreeMap<Duration, Summary<'a>>,
    /// Everything since the start or the last clear: when something was seen first and last.
    total: Option<&'a Window>,
    growth: Option<MemoryGrowth>,
}

impl<'a> WindowReadings<'a> {
    /// Takes the windows by the length that was asked for, which is longer than their span just after the start.
    pub(crate) fn new(windows: impl IntoIterator<Item = (Duration, &'a Window)>) -> Self {
        let windows = windows.into_iter().map(|(length, window)| (length, Summary::of(window))).collect();
        Self { windows, total: None, growth: None }
    }

    /// Adds everything since the start or the last clear. Without it nobody knows when something was seen first.
    pub(crate) fn since_start(mut self, total: &'a Window) -> Self {
        self.total = Some(total);
        self
    }

    /// Adds what the leak detector found. Without it rules about the growth of the memory have no data.
    pub(crate) fn with_memory_growth(mut self, growth: Option<MemoryGrowth>) -> Self {
        self.growth = growth;
        self
    }

    /// Returns the window of a length. Where there is none, as for the span of a growth, the longest of those that are
    /// shorter, or the shortest of all.
    fn summary(&self, length: Duration) -> Option<&Summary<'a>> {
        self.windows.range(..=length).next_back().or(self.windows.first_key_value()).map(|(_, summary)| summary)
    }

    /// The growth of the memory is no window's: it has a curve of its own.
    fn growth(&self) -> Option<Reading> {
        let MemoryGrowth { bytes_per_hour, span, samples, .. } = self.growth?;
        Some(Reading { subject: process(), value: bytes_per_hour, samples, span: Some(span) })
    }
}

impl Readings for WindowReadings<'_> {
    fn read(&self, question: &Question<'_>) -> Vec<Reading> {
        if question.measure == Measure::MemoryGrowth {
            return self.growth().into_iter().collect();
        }
        let Some(summary) = self.summary(question.window) else { return Vec::new() };
        let reading = |subject: &Arc<Subject>, answer: Option<(f64, u64)>| {
            let (value, samples) = answer.filter(|(value, _)| question.at_least.is_none_or(|least| *value >= least))?;
            Some(Reading { subject: subject.clone(), value, samples, span: None })
        };
        let measure = question.measure;
        match question.scope {
            Scope::Endpoint => {
                let endpoints = summary.endpoints();
                let enough = endpoints.all.iter().filter(|endpoint| endpoint.durations.count() >= question.min_samples);
                enough
                    .filter(|endpoint| !endpoint.is_surely_below(measure, question.at_least))
                    .filter_map(|endpoint| {
                        let value = endpoint.measure(measure, endpoints)?;
                        reading(&endpoint.subject, Some((value, endpoint.durations.count())))
                    })
                    .collect()
            }
            Scope::Query => {
                let (endpoints, uses) = (summary.endpoints(), summary.uses());
                let each = summary.queries().iter();
                let each = each.filter(|query| !query.durations.is_surely_below(measure, question.at_least));
                each.filter_map(|query| {
                    reading(&query.subject, query.measure(measure, endpoints, uses, question.min_samples))
                })
                .collect()
            }
            Scope::Task => {
                let each = summary.tasks().iter();
                let each = each.filter(|task| !task.durations.is_surely_below(measure, question.at_least));
                each.filter_map(|task| reading(&task.subject, task.measure(measure, summary.endpoints()))).collect()
            }
            Scope::Process => reading(&process(), summary.process(measure)).into_iter().collect(),
            Scope::Metric => question.metric.map_or_else(Vec::new, |metric| summary.metric(metric, measure)),
        }
    }

    fn evidence(&self, scope: Scope, subject: &Subject, window: Duration, slow: Option<f64>) -> Evidence {
        let Some(summary) = self.summary(window) else { return Evidence::default() };
        let looking = Looking { summary, total: self.total, slow };
        match scope {
            Scope::Endpoint => looking.at_endpoint(subject),
            Scope::Query => looking.at_query(subject),
            Scope::Task => looking.at_task(subject),
            Scope::Process => looking.at_process(self.growth.as_ref()),
            Scope::Metric => None,
        }
        .unwrap_or_default()
    }
}

fn process() -> Arc<Subject> {
    Arc::new(Subject { name: PROCESS.into(), labels: Vec::new() })
}

/// One window with what was gathered from it, each part when it is first asked for.
#[derive(Debug)]
pub(super) struct Summary<'a> {
    pub(super) window: &'a Window,
    endpoints: OnceCell<Endpoints<'a>>,
    uses: OnceCell<QueryUses<'a>>,
    queries: OnceCell<Vec<summary::Query<'a>>>,
    tasks: OnceCell<Vec<task::Task<'a>>>,
}

impl<'a> Summary<'a> {
    pub(super) fn of(window: &'a Window) -> Self {
        let (endpoints, uses) = (OnceCell::new(), OnceCell::new());
        Self { window, endpoints, uses, queries: OnceCell::new(), tasks: OnceCell::new() }
    }

    pub(super) fn endpoints(&self) -> &Endpoints<'a> {
        self.endpoints.get_or_init(|| Endpoints::of(self.window))
    }

    pub(super) fn uses(&self) -> &QueryUses<'a> {
        self.uses.get_or_init(|| QueryUses::of(self.window, self.endpoints()))
    }

    pub(super) fn queries(&self) -> &[summary::Query<'a>] {
        self.queries.get_or_init(|| summary::queries(self.window))
    }

    pub(super) fn tasks(&self) -> &[task::Task<'a>] {
        self.tasks.get_or_init(|| task::tasks(self.window))
    }

    pub(super) fn gauge(&self, name: &str) -> Option<f64> {
        self.window.series(name).find_map(|series| series.last())
    }

    /// The increase of a counter a second; `None` where there is no such counter.
    fn rate(&self, name: &str) -> Option<f64> {
        let counters: Vec<f64> =
            self.window.series(name).filter(|series| is_counter(series)).map(|series| series.increase()).collect();
        if counters.is_empty() { None } else { divide(counters.iter().sum(), self.window.span().as_secs_f64()) }
    }

    pub(super) fn process(&self, measure: Measure) -> Option<(f64, u64)> {
        let value = match measure {
            Measure::SchedulingLag => {
                let lag = self.window.series(names::TOKIO_SCHEDULING_LAG.name).find_map(|series| series.histogram())?;
                return Some((lag.quantile(quantile(99)?)?, lag.count()));
            }
            Measure::ResidentMemory => self.gauge(names::PROCESS_RESIDENT.name),
            Measure::MemoryLimitRatio => {
                divide(self.gauge(names::PROCESS_RESIDENT.name)?, self.gauge(names::PROCESS_MEMORY_LIMIT.name)?)
            }
            Measure::CpuRatio => self.rate(names::PROCESS_CPU.name),
            Measure::OpenFdsRatio => {
                divide(self.gauge(names::PROCESS_OPEN_FDS.name)?, self.gauge(names::PROCESS_MAX_FDS.name)?)
            }
            Measure::WorkerBusyRatio => {
                divide(self.rate(names::TOKIO_WORKER_BUSY.name)?, self.gauge(names::TOKIO_WORKERS.name)?)
            }
            _ => None,
        };
        Some((value?, 1))
    }

    fn metric(&self, metric: &MetricSelector, measure: Measure) -> Vec<Reading> {
        let mut groups: HashMap<Vec<&str>, Vec<SeriesView<'a>>> = HashMap::new();
        for series in self.window.series(&metric.name) {
            if metric.matches.match_labels(|label| series.label(label)) {
                let values = metric.by.iter().map(|label| series.label(label).unwrap_or_default()).collect();
                groups.entry(values).or_default().push(series);
            }
        }
        let each = groups.into_iter().filter_map(|(values, series)| {
            let (value, samples) = series_measure(&series, measure, self.window.span())?;
            Some(Reading { subject: metric_subject(metric, &values), value, samples, span: None })
        });
        each.collect()
    }
}

fn is_counter(series: &SeriesView<'_>) -> bool {
    series.last().is_none() && series.histogram().is_none()
}

/// A measure over some series of one metric, and the observations it rests on.
fn series_measure(series: &[SeriesView<'_>], measure: Measure, span: Duration) -> Option<(f64, u64)> {
    let mut histograms = HistogramSum::default();
    let (mut gauges, mut counters): (Option<f64>, Option<f64>) = (None, None);
    for series in series {
        match (series.histogram(), series.last()) {
            (Some(view), _) => view.add_to(&mut histograms),
            (None, Some(value)) => *gauges.get_or_insert_default() += value,
            (None, None) => *counters.get_or_insert_default() += series.increase(),
        }
    }
    let observed = histograms.count();
    match measure {
        Measure::Value => Some((gauges.or(counters)?, 1)),
        Measure::Rate if observed > 0 => Some((divide(observed as f64, span.as_secs_f64())?, observed)),
        Measure::Rate => Some((divide(counters?, span.as_secs_f64())?, counters? as u64)),
        Measure::Avg => Some((histograms.mean()?, observed)),
        Measure::Max => Some((histograms.max()?, observed)),
        Measure::Quantile(percent) => Some((histograms.quantile(quantile(percent)?)?, observed)),
        _ => None,
    }
}

/// `name{label="value"}`, as Prometheus writes it.
fn metric_subject(metric: &MetricSelector, values: &[&str]) -> Arc<Subject> {
    let labels: Vec<(Cow<'static, str>, Arc<str>)> =
        metric.by.iter().zip(values).map(|(label, value)| (Cow::Owned(label.to_string()), Arc::from(*value))).collect();
    let written: Vec<String> = labels.iter().map(|(label, value)| format!("{label}={value:?}")).collect();
    let name =
        if written.is_empty() { metric.name.to_string() } else { format!("{}{{{}}}", metric.name, written.join(",")) };
    Arc::new(Subject { name: name.into(), labels })
}
