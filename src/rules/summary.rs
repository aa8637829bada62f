//! What one window says about every endpoint and query; [`task`](super::task) has the tasks.
//!
//! Each is gathered from its series once a window and then read by every rule of its scope; quantiles, which cost the
//! most, are merged only for those that a rule asks about. Requests that matched no route and what was folded into
//! `other` are mixtures: they count in the totals and are never a subject.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::durations::{Durations, Ending, Verdict, divide, quantile};
use super::measure::Measure;
use super::readings::Subject;
use crate::names;
use crate::store::{HistogramView, SeriesMeta, SeriesView, Window};

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
    db_seconds: f64,
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

/// Where the time of an endpoint went, in seconds: parts that add up to its whole duration.
///
/// What overlaps counts once, for the first of: a query runs, a tracked task runs, a worker is kept busy, nothing of
/// these. So busy is what is computed outside queries and tasks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Split {
    pub(crate) database: f64,
    pub(crate) tasks: f64,
    pub(crate) busy: f64,
    pub(crate) waiting: f64,
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
fn labels_of<'a>(series: &SeriesView<'a>) -> Option<(&'a str, &'a str)> {
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

/// A query that an endpoint issued.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueryUse<'a> {
    /// Place in [`Endpoints::all`].
    pub(crate) endpoint: usize,
    pub(crate) query: &'a str,
    pub(crate) calls: f64,
    pub(crate) seconds: f64,
    /// Requests that issued it at least once.
    pub(crate) requests: f64,
}

/// Which endpoint issued which query.
#[derive(Debug, Default)]
pub(crate) struct QueryUses<'a> {
    by_endpoint: HashMap<usize, Vec<QueryUse<'a>>>,
    /// Time that each endpoint spent in all of its queries, those at the same time added up.
    seconds: HashMap<usize, f64>,
    by_query: HashMap<&'a str, Vec<QueryUse<'a>>>,
}

impl<'a> QueryUses<'a> {
    pub(crate) fn of(window: &'a Window, endpoints: &Endpoints<'a>) -> Self {
        let mut uses: HashMap<(usize, &'a str), QueryUse<'a>> = HashMap::default();
        let mut add = |metric: &str, add: fn(&mut QueryUse<'a>, f64)| {
            for series in window.series(metric) {
                let increase = series.increase();
                let Some((method, route)) = labels_of(&series).filter(|_| increase > 0.0) else { continue };
                let Some(query) = series.label(names::DB_SUMMARY).filter(|query| *query != names::OTHER) else {
                    continue;
                };
                let Some(endpoint) = endpoints.index_of(method, route) else { continue };
                let none = QueryUse { endpoint, query, calls: 0.0, seconds: 0.0, requests: 0.0 };
                add(uses.entry((endpoint, query)).or_insert(none), increase);
            }
        };
        add(names::ENDPOINT_QUERY_CALLS.name, |query_use, calls| query_use.calls += calls);
        add(names::ENDPOINT_QUERY_NANOS.name, |query_use, nanos| query_use.seconds += nanos * NANOS);
        add(names::ENDPOINT_QUERY_REQUESTS.name, |query_use, requests| query_use.requests += requests);
        let mut all = Self::default();
        for query_use in uses.into_values() {
            *all.seconds.entry(query_use.endpoint).or_default() += query_use.seconds;
            all.by_endpoint.entry(query_use.endpoint).or_default().push(query_use);
            all.by_query.entry(query_use.query).or_default().push(query_use);
        }
        for uses in all.by_endpoint.values_mut().chain(all.by_query.values_mut()) {
            uses.sort_by(|a, b| {
                b.seconds.total_cmp(&a.seconds).then_with(|| (a.query, a.endpoint).cmp(&(b.query, b.endpoint)))
            });
        }
        all
    }

    /// The queries of an endpoint, the most expensive first.
    pub(crate) fn of_endpoint(&self, endpoint: usize) -> &[QueryUse<'a>] {
        self.by_endpoint.get(&endpoint).map_or(&[], Vec::as_slice)
    }

    /// The endpoints of a query, the most expensive first.
    pub(crate) fn of_query(&self, query: &str) -> &[QueryUse<'a>] {
        self.by_query.get(query).map_or(&[], Vec::as_slice)
    }

    /// Share of the endpoint's duration that it spends in a query. Queries at the same time share theirs in proportion, so
    /// that the shares of all add up to the time in the database.
    pub(crate) fn time_ratio(&self, query_use: &QueryUse<'_>, endpoints: &Endpoints<'_>) -> Option<f64> {
        let endpoint = endpoints.all.get(query_use.endpoint)?;
        let share = divide(query_use.seconds, *self.seconds.get(&query_use.endpoint)?)?;
        let ratio = divide((share * endpoint.db_seconds).min(query_use.seconds), endpoint.durations.seconds())?;
        Some(ratio.min(1.0))
    }

    /// Share of the time of all requests that is spent in a query. What is issued outside requests has no part in it: it
    /// may go on for longer than all of them together.
    pub(crate) fn time_share(&self, query: &str, endpoints: &Endpoints<'_>) -> Option<f64> {
        let within = |query_use: &QueryUse<'_>| {
            let endpoint = endpoints.all.get(query_use.endpoint)?;
            Some(self.time_ratio(query_use, endpoints)? * endpoint.durations.seconds())
        };
        let seconds: f64 = self.of_query(query).iter().filter_map(within).sum();
        divide(seconds, endpoints.seconds).map(|share| share.min(1.0))
    }

    /// The endpoint that issues a query most often per request, of those with enough requests.
    pub(crate) fn worst(&self, query: &str, min_requests: u64) -> Option<&QueryUse<'a>> {
        let enough = |query_use: &&QueryUse<'_>| query_use.requests >= min_requests.max(1) as f64;
        let per_request = |query_use: &QueryUse<'_>| query_use.calls / query_use.requests;
        self.of_query(query).iter().filter(enough).max_by(|a, b| per_request(a).total_cmp(&per_request(b)))
    }
}

/// A query fingerprint.
#[derive(Debug)]
pub(crate) struct Query<'a> {
    pub(crate) subject: Arc<Subject>,
    pub(crate) operation: &'a str,
    pub(crate) durations: Durations<'a>,
}

/// The query fingerprints that were called.
pub(crate) fn queries(window: &Window) -> Vec<Query<'_>> {
    let mut queries: Vec<Query<'_>> = Vec::new();
    let mut places = HashMap::default();
    for series in window.series(names::DB_DURATION.name) {
        if series.histogram().is_none_or(|view| view.count() == 0) {
            continue;
        }
        let Some(summary) = series.label(names::DB_SUMMARY).filter(|summary| *summary != names::OTHER) else {
            continue;
        };
        let place = *places.entry(summary).or_insert_with(|| {
            let operation = series.label(names::DB_OPERATION).unwrap_or_default();
            let label = |name: &'static str, value: &str| (Cow::Borrowed(name), Arc::from(value));
            let system = series.label(names::DB_SYSTEM).unwrap_or_default();
            let labels = vec![
                label(names::DB_SUMMARY, summary),
                label(names::DB_OPERATION, operation),
                label(names::DB_SYSTEM, system),
            ];
            let subject = Arc::new(Subject { name: summary.into(), labels });
            queries.push(Query { subject, operation, durations: Durations::default() });
            queries.len() - 1
        });
        let ending = match series.label(names::ERROR_TYPE) {
            None => Ending { verdict: Verdict::Good, name: names::OK },
            Some(name @ names::CANCELLED) => Ending { verdict: Verdict::Cancelled, name },
            Some(name) => Ending { verdict: Verdict::Failed, name },
        };
        queries[place].durations.add(ending, &series);
    }
    queries
}

impl Query<'_> {
    /// The value of a measure, and the observations it rests on; `None` without data.
    pub(crate) fn measure(
        &self,
        measure: Measure,
        endpoints: &Endpoints<'_>,
        uses: &QueryUses<'_>,
        min_samples: u64,
    ) -> Option<(f64, u64)> {
        let per_request = |value: &dyn Fn(&QueryUse<'_>) -> Option<f64>| {
            let worst = uses.worst(&self.subject.name, min_samples)?;
            Some((value(worst)?, worst.requests as u64))
        };
        match measure {
            Measure::CallsPerRequest => per_request(&|worst| divide(worst.calls, worst.requests)),
            Measure::TimePerRequest => per_request(&|worst| divide(worst.seconds, worst.requests)),
            Measure::EndpointTimeRatio => per_request(&|worst| uses.time_ratio(worst, endpoints)),
            Measure::TimeShare => Some((uses.time_share(&self.subject.name, endpoints)?, self.durations.count())),
            other => {
                let value = self.durations.measure(other, endpoints.span)?;
                Some((value, self.durations.count()))
            }
        }
    }
}
