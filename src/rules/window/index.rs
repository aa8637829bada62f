//! [`WindowIndex`]: one window, with its series grouped by subject.
//!
//! Each group is gathered on first use and then read by every rule of its scope, so that a window costs one pass over
//! the series of the scopes that some rule asks about.

use std::{borrow::Cow, cell::OnceCell, collections::HashMap, sync::Arc};

use super::{
    durations::{NANOS, divide, quantile},
    endpoints::Endpoints,
    holders::Holders,
    queries::{self, Texts, Uses},
    tasks,
    totals::Unmatched,
};
use crate::{
    names,
    rules::{measure::Measure, readings::Reading, rule::MetricSelector, subject::Subject},
    store::{HistogramSum, HistogramView, SeriesView, Window},
};

/// One window, with its series grouped by subject.
#[derive(Debug)]
pub(super) struct WindowIndex<'a> {
    pub(super) window: &'a Window,
    endpoints: OnceCell<Endpoints<'a>>,
    texts: OnceCell<Texts<'a>>,
    uses: OnceCell<Uses<'a>>,
    holders: OnceCell<Holders>,
    queries: OnceCell<Vec<queries::Query<'a>>>,
    tasks: OnceCell<Vec<tasks::Task<'a>>>,
    unmatched: OnceCell<Unmatched<'a>>,
}

impl<'a> WindowIndex<'a> {
    pub(super) fn of(window: &'a Window) -> Self {
        Self {
            window,
            endpoints: OnceCell::new(),
            texts: OnceCell::new(),
            uses: OnceCell::new(),
            holders: OnceCell::new(),
            queries: OnceCell::new(),
            tasks: OnceCell::new(),
            unmatched: OnceCell::new(),
        }
    }

    pub(super) fn endpoints(&self) -> &Endpoints<'a> {
        self.endpoints.get_or_init(|| Endpoints::of(self.window))
    }

    /// Returns the texts of the statements.
    fn texts(&self) -> &Texts<'a> {
        self.texts.get_or_init(|| Texts::of(self.window))
    }

    pub(super) fn uses(&self) -> &Uses<'a> {
        self.uses.get_or_init(|| Uses::of(self.window, self.endpoints(), self.texts()))
    }

    pub(super) fn holders(&self) -> &Holders {
        self.holders.get_or_init(|| Holders::of(self.window, self.uses(), self.endpoints()))
    }

    pub(super) fn queries(&self) -> &[queries::Query<'a>] {
        self.queries.get_or_init(|| queries::queries(self.window, self.texts()))
    }

    pub(super) fn tasks(&self) -> &[tasks::Task<'a>] {
        self.tasks.get_or_init(|| tasks::tasks(self.window))
    }

    pub(super) fn unmatched(&self) -> &Unmatched<'a> {
        self.unmatched.get_or_init(|| Unmatched::of(self.window))
    }

    /// Returns the last value of a gauge.
    pub(super) fn gauge(&self, name: &str) -> Option<f64> {
        self.window.series(name).find_map(|series| series.last())
    }

    /// Returns the memory that the process owns; its whole resident memory where the platform does not tell them apart.
    pub(super) fn memory(&self) -> Option<f64> {
        self.gauge(names::PROCESS_OWNED.name).or_else(|| self.gauge(names::PROCESS_RESIDENT.name))
    }

    /// Returns the memory that counts towards the limit: that of the whole control group, which may hold other processes.
    pub(super) fn memory_towards_limit(&self) -> Option<f64> {
        self.gauge(names::MEMORY_WORKING_SET.name).or_else(|| self.memory())
    }

    /// Returns the increase of the series of a counter that `is` accepts; `None` where there is none.
    pub(super) fn increase(&self, name: &str, is: impl Fn(&SeriesView<'a>) -> bool) -> Option<f64> {
        let counters = self.window.series(name).filter(|series| is_counter(series) && is(series));
        counters.map(|series| series.increase()).reduce(|sum, increase| sum + increase)
    }

    /// Returns the increase of a counter per second; `None` where there is no such counter.
    fn rate(&self, name: &str) -> Option<f64> {
        divide(self.increase(name, |_| true)?, self.window.span().as_secs_f64())
    }

    /// Returns the histogram of the scheduling lag.
    pub(super) fn scheduling_lag(&self) -> Option<HistogramView<'a>> {
        self.window.series(names::TOKIO_SCHEDULING_LAG.name).find_map(|series| series.histogram())
    }

    /// Returns a measure of the process, and the number of observations behind it; `None` without data.
    pub(super) fn process(&self, measure: Measure) -> Option<(f64, u64)> {
        let value = match measure {
            Measure::SchedulingLag => {
                let lag = self.scheduling_lag()?;
                return Some((lag.quantile(quantile(99)?)?, lag.count()));
            }
            Measure::UnmatchedErrorRatio => {
                let unmatched = self.unmatched();
                let ratio = divide(unmatched.failed as f64, unmatched.requests as f64)?;
                return Some((ratio, unmatched.requests));
            }
            Measure::ResidentMemory => self.memory(),
            Measure::MemoryLimitRatio => {
                divide(self.memory_towards_limit()?, self.gauge(names::PROCESS_MEMORY_LIMIT.name)?)
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

    /// Returns a measure of the series that a rule selects, grouped by the labels in its `by`.
    pub(super) fn metric(&self, metric: &MetricSelector, measure: Measure) -> Vec<Reading> {
        let mut groups: HashMap<Vec<&str>, Vec<SeriesView<'a>>> = HashMap::new();
        // The text of a statement is no label of its series, but as good as one.
        let label = |series: &SeriesView<'a>, name: &str| match name {
            names::DB_QUERY_TEXT => {
                series.label(name).or_else(|| Some(self.texts().of_id(series.label(names::DB_QUERY_ID)?)))
            }
            _ => series.label(name),
        };
        for series in self.window.series(&metric.name) {
            if metric.matches.match_labels(|name| label(&series, name)) {
                let values = metric.by.iter().map(|name| label(&series, name).unwrap_or_default()).collect();
                groups.entry(values).or_default().push(series);
            }
        }
        let scale = if names::metric(&metric.name).is_some_and(|known| known.nanos) { NANOS } else { 1.0 };
        let each = groups.into_iter().filter_map(|(values, series)| {
            let (value, samples) = series_measure(&series, measure, self.window)?;
            let value = value * scale;
            Some(Reading { subject: metric_subject(metric, &values), value, samples, span: None })
        });
        each.collect()
    }
}

fn is_counter(series: &SeriesView<'_>) -> bool {
    series.last().is_none() && series.histogram().is_none()
}

/// Returns a measure over some series of one metric, and the number of observations behind it; `None` where series of
/// that kind do not have the measure.
fn series_measure(series: &[SeriesView<'_>], measure: Measure, window: &Window) -> Option<(f64, u64)> {
    let span = window.span();
    let mut histograms = HistogramSum::default();
    let (mut gauges, mut counters, mut rates): (Option<f64>, Option<f64>, Option<f64>) = (None, None, None);
    for series in series {
        match (series.histogram(), series.last()) {
            (Some(view), _) => view.add_to(&mut histograms),
            (None, Some(value)) => *gauges.get_or_insert_default() += value,
            (None, None) => {
                *counters.get_or_insert_default() += series.increase();
                *rates.get_or_insert_default() += series.rate(window).unwrap_or_default();
            }
        }
    }
    let observed = histograms.count();
    match measure {
        Measure::Value => Some((gauges.or(counters)?, 1)),
        Measure::Rate if observed > 0 => Some((divide(observed as f64, span.as_secs_f64())?, observed)),
        Measure::Rate => Some((rates?, counters? as u64)),
        Measure::Avg => Some((histograms.mean()?, observed)),
        Measure::Max => Some((histograms.max()?, observed)),
        Measure::Quantile(percent) => Some((histograms.quantile(quantile(percent)?)?, observed)),
        _ => None,
    }
}

/// Returns the subject `name{label="value"}`, as Prometheus writes it.
fn metric_subject(metric: &MetricSelector, values: &[&str]) -> Arc<Subject> {
    let labels: Vec<(Cow<'static, str>, Arc<str>)> =
        metric.by.iter().zip(values).map(|(label, value)| (Cow::Owned(label.to_string()), Arc::from(*value))).collect();
    let value = |name: &str| labels.iter().find(|(label, _)| label == name).map_or("", |(_, value)| value);
    Arc::new(Subject::new(metric.subject_name(value), labels))
}
