//! [`Query`] and [`QueryUses`]: every query of one window, and which endpoint issued it.

use std::{borrow::Cow, sync::Arc};

use super::{
    durations::{Durations, NANOS, divide},
    endpoints::{Endpoints, HashMap, labels_of},
    outcome::Outcome,
};
use crate::{
    names,
    rules::{measure::Measure, subject::Subject},
    store::Window,
};

/// The calls of one query by one endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueryUse<'a> {
    /// Place in [`Endpoints::all`].
    pub(crate) endpoint: usize,
    pub(crate) query: &'a str,
    pub(crate) calls: f64,
    pub(crate) seconds: f64,
    /// Number of requests that issued it at least once.
    pub(crate) requests: f64,
}

/// The queries of each endpoint, and the endpoints of each query.
#[derive(Debug, Default)]
pub(crate) struct QueryUses<'a> {
    by_endpoint: HashMap<usize, Vec<QueryUse<'a>>>,
    /// Sum of the durations of each endpoint's queries: more than the time in the database where they ran in parallel.
    seconds: HashMap<usize, f64>,
    by_query: HashMap<&'a str, Vec<QueryUse<'a>>>,
}

impl<'a> QueryUses<'a> {
    /// Gathers the pairs of a window; queries and routes that were folded into `other` are left out.
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

    /// Returns the queries of the endpoint at a place, the most expensive first.
    pub(crate) fn of_endpoint(&self, endpoint: usize) -> &[QueryUse<'a>] {
        self.by_endpoint.get(&endpoint).map_or(&[], Vec::as_slice)
    }

    /// Returns the endpoints of a query, the most expensive first.
    pub(crate) fn of_query(&self, query: &str) -> &[QueryUse<'a>] {
        self.by_query.get(query).map_or(&[], Vec::as_slice)
    }

    /// Returns the share of an endpoint's duration that it spends in a query, 0 to 1. Parallel queries divide their
    /// common time in proportion to their own, so that the shares of all add up to the share of the time in the
    /// database.
    pub(crate) fn time_ratio(&self, query_use: &QueryUse<'_>, endpoints: &Endpoints<'_>) -> Option<f64> {
        let endpoint = endpoints.all.get(query_use.endpoint)?;
        let share = divide(query_use.seconds, *self.seconds.get(&query_use.endpoint)?)?;
        let ratio = divide((share * endpoint.db_seconds).min(query_use.seconds), endpoint.durations.seconds())?;
        Some(ratio.min(1.0))
    }

    /// Returns the share of the time of all requests that they spend in a query, 0 to 1. Calls outside requests are
    /// left out: no request waits for them, and they may take longer than all requests together.
    pub(crate) fn time_share(&self, query: &str, endpoints: &Endpoints<'_>) -> Option<f64> {
        let within = |query_use: &QueryUse<'_>| {
            let endpoint = endpoints.all.get(query_use.endpoint)?;
            Some(self.time_ratio(query_use, endpoints)? * endpoint.durations.seconds())
        };
        let seconds: f64 = self.of_query(query).iter().filter_map(within).sum();
        divide(seconds, endpoints.seconds).map(|share| share.min(1.0))
    }

    /// Returns the endpoint that issues a query most often per request, of those with at least `min_requests`. All
    /// measures per request are about this one, so that several conditions of a rule hold for the same endpoint.
    pub(crate) fn worst(&self, query: &str, min_requests: u64) -> Option<&QueryUse<'a>> {
        let enough = |query_use: &&QueryUse<'_>| query_use.requests >= min_requests.max(1) as f64;
        let per_request = |query_use: &QueryUse<'_>| query_use.calls / query_use.requests;
        self.of_query(query).iter().filter(enough).max_by(|a, b| per_request(a).total_cmp(&per_request(b)))
    }
}

/// One query fingerprint.
#[derive(Debug)]
pub(crate) struct Query<'a> {
    pub(crate) subject: Arc<Subject>,
    pub(crate) operation: &'a str,
    pub(crate) durations: Durations<'a>,
}

/// Returns the query fingerprints that were called in a window.
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
            let subject = Arc::new(Subject::new(summary, labels));
            queries.push(Query { subject, operation, durations: Durations::default() });
            queries.len() - 1
        });
        queries[place].durations.add(Outcome::of_query(series.meta), &series);
    }
    queries
}

impl Query<'_> {
    /// Returns the value of a measure in its base unit, and the number of observations behind it; `None` without data.
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
