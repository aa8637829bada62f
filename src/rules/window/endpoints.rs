//! What one window says about every endpoint and query; [`task`](super::tasks) has the tasks.
//!
//! Each is gathered from its series once a window and then read by every rule of its scope; quantiles, which cost the
//! most, are merged only for those that a rule asks about. Requests that matched no route and what was folded into
//! `other` are mixtures: they count in the totals and are never a subject.

use std::{borrow::Cow, sync::Arc, time::Duration};

use super::durations::{Durations, Ending, Verdict, divide, quantile};
use crate::{
    names,
    rules::{evidence::Split, measure::Measure, subject::Subject},
    store::{HistogramView, SeriesMeta, SeriesView, Window},
};

/// Keys are labels that the service's own code chose, so nobody can aim at collisions.
pub(super) type HashMap<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;

pub(super) const NANOS: f64 = 1e-9;

/// A method and route.
#[derive(Debug)]
pub(crate) struct Endpoint<'a> {
    pub(crate) subject: Arc<Subject>,
    pub(crate) durations: Durations<'a>,
    busy_seconds: Option<f64>,
    longest_polls: Option<HistogramView<'a>>,
    db_queries: f64,
    /// While at least one query ran.
    pub(super) db_seconds: f64,
    /// While a task ran and no query.
    task_seconds: f64,
    /// Inside poll during either.
    overlap_seconds: f64,
    /// Of requests whose client had gone.
    pub(crate) wasted_queries: f64,
    pub(crate) wasted_db_seconds: f64,
    /// Allocated by its requests, less what was freed of what they ever allocated; `None` where nobody counts.
    pub(crate) kept_bytes: Option<f64>,
    pub(crate) blocking_polls: Option<HistogramView<'a>>,
    pub(crate) blocked_others: Option<HistogramView<'a>>,
    /// Who was in flight at its blocking polls, and at how many of them; the most first.
    pub(crate) waited: Vec<(&'a str, f64)>,
    /// In flight at the last look.
    active: f64,
}

/// Every endpoint that had requests.
#[derive(Debug, Default)]
pub(crate) struct Endpoints<'a> {
    pub(crate) all: Vec<Endpoint<'a>>,
    by_labels: HashMap<(&'a str, &'a str), usize>,
    /// Time that all requests took, unmatched ones included.
    pub(crate) seconds: f64,
    /// How many there were.
    pub(crate) requests: u64,
    pub(crate) span: Duration,
}

/// Adds what a counter gained to an endpoint.
type Add<'a> = fn(&mut Endpoint<'a>, f64);

impl<'a> Endpoints<'a> {
    pub(crate) fn of(window: &'a Window) -> Self {
        let mut endpoints = Self { span: window.span(), ..Self::default() };
        for series in window.series(names::HTTP_DURATION.name) {
            let Some(view) = series.histogram().filter(|view| view.count() > 0) else { continue };
            endpoints.seconds += view.sum();
            endpoints.requests += view.count();
            if let Some(endpoint) = endpoints.entry(&series) {
                endpoint.durations.add(request_ending(&series), &series);
            }
        }
        endpoints.add_sums(window, names::HTTP_BUSY.name, |endpoint, sum| {
            *endpoint.busy_seconds.get_or_insert_default() += sum;
        });
        endpoints.add_sums(window, names::HTTP_DB_QUERIES.name, |endpoint, sum| endpoint.db_queries += sum);
        endpoints.add_sums(window, names::HTTP_DB_SECONDS.name, |endpoint, sum| endpoint.db_seconds += sum);
        for series in window.series(names::HTTP_LONGEST_POLL.name) {
            endpoints.set(&series, |endpoint, view| endpoint.longest_polls = Some(view));
        }
        for series in window.series(names::ENDPOINT_BLOCKING_POLLS.name) {
            endpoints.set(&series, |endpoint, view| endpoint.blocking_polls = Some(view));
        }
        for series in window.series(names::ENDPOINT_BLOCKED_OTHERS.name) {
            endpoints.set(&series, |endpoint, view| endpoint.blocked_others = Some(view));
        }
        for series in window.series(names::ENDPOINT_WAITED.name) {
            let waiting = series.label(names::WAITING).filter(|waiting| *waiting != names::OTHER);
            if let Some((endpoint, waiting)) = endpoints.known(&series).zip(waiting).filter(|_| series.increase() > 0.0)
            {
                endpoint.waited.push((waiting, series.increase()));
            }
        }
        for endpoint in &mut endpoints.all {
            endpoint.waited.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        }
        for series in window.series(names::ENDPOINT_ACTIVE.name) {
            if let Some((endpoint, active)) = endpoints.known(&series).zip(series.last()) {
                endpoint.active = active;
            }
        }
        let counted: [(_, Add<'a>); 7] = [
            (names::ENDPOINT_TASK_NANOS, |endpoint, nanos| endpoint.task_seconds += nanos * NANOS),
            (names::ENDPOINT_OVERLAP_NANOS, |endpoint, nanos| endpoint.overlap_seconds += nanos * NANOS),
            (names::ENDPOINT_WASTED_QUERIES, |endpoint, queries| endpoint.wasted_queries += queries),
            (names::ENDPOINT_WASTED_DB_NANOS, |endpoint, nanos| endpoint.wasted_db_seconds += nanos * NANOS),
            (names::ENDPOINT_LATE_DB_NANOS, |endpoint, nanos| endpoint.db_seconds += nanos * NANOS),
            (names::ENDPOINT_HEAP_ALLOCATED, |endpoint, bytes| *endpoint.kept_bytes.get_or_insert_default() += bytes),
            (names::ENDPOINT_HEAP_FREED, |endpoint, bytes| *endpoint.kept_bytes.get_or_insert_default() -= bytes),
        ];
        for (metric, add) in counted {
            for series in window.series(metric.name) {
                if let Some(endpoint) = endpoints.known(&series) {
                    add(endpoint, series.increase());
                }
            }
        }
        endpoints
    }

    fn set(&mut self, series: &SeriesView<'a>, set: impl FnOnce(&mut Endpoint<'a>, HistogramView<'a>)) {
        let view = series.histogram().filter(|view| view.count() > 0);
        if let Some((endpoint, view)) = self.known(series).zip(view) {
            set(endpoint, view);
        }
    }

    fn add_sums(&mut self, window: &'a Window, metric: &str, mut add: impl FnMut(&mut Endpoint<'a>, f64)) {
        for series in window.series(metric) {
            let view = series.histogram().filter(|view| view.count() > 0);
            if let Some((endpoint, view)) = self.known(&series).zip(view) {
                add(endpoint, view.sum());
            }
        }
    }

    fn entry(&mut self, series: &SeriesView<'a>) -> Option<&mut Endpoint<'a>> {
        let (method, route) = labels_of(series)?;
        let index = *self.by_labels.entry((method, route)).or_insert_with(|| {
            self.all.push(Endpoint {
                subject: endpoint_subject(method, route),
                durations: Durations::default(),
                busy_seconds: None,
                longest_polls: None,
                db_queries: 0.0,
                db_seconds: 0.0,
                task_seconds: 0.0,
                overlap_seconds: 0.0,
                wasted_queries: 0.0,
                wasted_db_seconds: 0.0,
                kept_bytes: None,
                blocking_polls: None,
                blocked_others: None,
                waited: Vec::new(),
                active: 0.0,
            });
            self.all.len() - 1
        });
        self.all.get_mut(index)
    }

    fn known(&mut self, series: &SeriesView<'a>) -> Option<&mut Endpoint<'a>> {
        let index = *self.by_labels.get(&labels_of(series)?)?;
        self.all.get_mut(index)
    }

    pub(crate) fn index_of(&self, method: &str, route: &str) -> Option<usize> {
        self.by_labels.get(&(method, route)).copied()
    }
}

/// The labels of an endpoint; `None` where the series is not of one.
pub(super) fn labels_of<'a>(series: &SeriesView<'a>) -> Option<(&'a str, &'a str)> {
    let (method, route) = (series.label(names::METHOD)?, series.label(names::ROUTE)?);
    (!route.is_empty() && route != names::OTHER).then_some((method, route))
}

fn endpoint_subject(method: &str, route: &str) -> Arc<Subject> {
    let labels = vec![(Cow::Borrowed(names::METHOD), method.into()), (Cow::Borrowed(names::ROUTE), route.into())];
    Arc::new(Subject { name: format!("{method} {route}").into(), labels })
}

/// Whose fault it is how a request, query or task ended.
pub(crate) fn request_verdict(series: &SeriesView<'_>) -> Verdict {
    request_ending(series).verdict
}

/// Tells whether what a series counts failed by the service's own fault.
pub(crate) fn is_failure(series: &SeriesMeta) -> bool {
    ending(series).verdict == Verdict::Failed
}

fn request_ending<'a>(series: &SeriesView<'a>) -> Ending<'a> {
    ending(series.meta)
}

fn ending(series: &SeriesMeta) -> Ending<'_> {
    let status = series.label(names::STATUS).unwrap_or_default();
    match series.label(names::ERROR_TYPE) {
        Some(name @ names::CANCELLED) => Ending { verdict: Verdict::Cancelled, name },
        Some(name @ (names::PANIC | names::SERVICE_ERROR | names::BODY_ERROR)) => {
            Ending { verdict: Verdict::Failed, name }
        }
        _ if status.starts_with('5') => Ending { verdict: Verdict::Failed, name: status },
        _ if status.starts_with('4') => Ending { verdict: Verdict::Refused, name: status },
        _ => Ending { verdict: Verdict::Good, name: status },
    }
}

impl Endpoint<'_> {
    /// Where its time went; `None` where nobody measured how busy it is.
    pub(crate) fn split(&self) -> Option<Split> {
        let all = self.durations.seconds();
        // The counters are read one after the other while requests end, so each part is kept within what is left.
        let database = self.db_seconds.min(all);
        let tasks = self.task_seconds.min(all - database);
        let busy = (self.busy_seconds? - self.overlap_seconds).clamp(0.0, all - database - tasks);
        Some(Split { database, tasks, busy, waiting: all - database - tasks - busy })
    }

    /// The value of a measure; `None` without data.
    pub(crate) fn measure(&self, measure: Measure, endpoints: &Endpoints<'_>) -> Option<f64> {
        let seconds = self.durations.seconds();
        let requests = self.durations.count() as f64;
        match measure {
            Measure::BusyRatio => divide(self.busy_seconds?, seconds).map(|ratio| ratio.min(1.0)),
            Measure::DbTimeRatio => divide(self.db_seconds, seconds).map(|ratio| ratio.min(1.0)),
            Measure::TaskTimeRatio => divide(self.task_seconds, seconds).map(|ratio| ratio.min(1.0)),
            Measure::WaitingRatio => divide(self.split()?.waiting, seconds),
            Measure::TimeShare => divide(seconds, endpoints.seconds).map(|share| share.min(1.0)),
            Measure::WastedTimeRatio => divide(self.durations.cancelled_seconds(), seconds),
            Measure::DbQueriesPerRequest => divide(self.db_queries, requests),
            Measure::DbTimePerRequest => divide(self.db_seconds, requests),
            Measure::Active => Some(self.active),
            Measure::LongestPoll => self.longest_polls?.max(),
            Measure::LongestPollQuantile(percent) => self.longest_polls?.quantile(quantile(percent)?),
            other => self.durations.measure(other, endpoints.span),
        }
    }

    /// Tells without a look at the buckets that a measure is below a limit.
    pub(crate) fn is_surely_below(&self, measure: Measure, limit: Option<f64>) -> bool {
        match (measure, self.longest_polls, limit) {
            (Measure::LongestPollQuantile(_), Some(polls), Some(limit)) => polls.max().is_some_and(|max| max < limit),
            _ => self.durations.is_surely_below(measure, limit),
        }
    }
}
