//! [`Query`] and [`Uses`]: every query of one window, and which endpoint issued it.
//!
//! Series name a statement by its id; people, rules and the API know it by its text, which [`Texts`] has.

use std::{borrow::Cow, sync::Arc};

use super::{
    durations::{Durations, NANOS, divide},
    endpoints::{Endpoints, HashMap},
};
use crate::{
    context::{Part, Place},
    names::{self, Metric},
    rules::{measure::Measure, subject::Subject},
    store::{HistogramView, SeriesView, Window},
};

/// The text of each statement of a window, by its id.
#[derive(Debug, Default)]
pub(crate) struct Texts<'a>(HashMap<&'a str, &'a str>);

impl<'a> Texts<'a> {
    pub(crate) fn of(window: &'a Window) -> Self {
        let info = window.series(names::DB_QUERY_INFO.name);
        Self(
            info.filter_map(|series| Some((series.label(names::DB_QUERY_ID)?, series.label(names::DB_QUERY_TEXT)?)))
                .collect(),
        )
    }

    /// Returns the text of a statement; its id where the series with the text has no place.
    pub(super) fn of_id(&self, id: &'a str) -> &'a str {
        self.0.get(id).copied().unwrap_or(id)
    }
}

/// An endpoint's use of a query, a service, a task or something that it waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use<'a> {
    /// Place in [`Endpoints::all`].
    pub(crate) endpoint: usize,
    pub(crate) part: Part,
    /// Of a query its fingerprint.
    pub(crate) name: &'a str,
    pub(crate) calls: f64,
    pub(crate) failed: f64,
    /// Calls that were the very same as one shortly before in their request.
    pub(crate) repeats: f64,
    pub(crate) seconds: f64,
    /// Time in which nothing else of the request ran.
    pub(crate) alone_seconds: f64,
    /// Time that what was waited for was held, and how often.
    pub(crate) held_seconds: f64,
    pub(crate) holds: f64,
    /// Number of requests that used it at least once.
    pub(crate) requests: f64,
    /// How many ran at once in one request, at most.
    pub(crate) most_at_once: f64,
    /// Where in the host's code it was tracked last.
    pub(crate) place: Option<&'static str>,
}

/// What each endpoint uses, and the endpoints of each query.
#[derive(Debug, Default)]
pub(crate) struct Uses<'a> {
    queries: HashMap<usize, Vec<Use<'a>>>,
    others: HashMap<usize, Vec<Use<'a>>>,
    /// Sum of the durations of each endpoint's queries: more than the time in the database where they ran in parallel.
    seconds: HashMap<usize, f64>,
    by_query: HashMap<&'a str, Vec<Use<'a>>>,
}

impl<'a> Uses<'a> {
    /// Gathers the pairs of a window; names and routes that were folded into `other` are left out.
    pub(crate) fn of(window: &'a Window, endpoints: &Endpoints<'a>, texts: &Texts<'a>) -> Self {
        let mut uses = Gathered { endpoints, texts, uses: HashMap::default() };
        uses.add(window, &names::ENDPOINT_USE_CALLS, |used, calls| used.calls += calls);
        uses.add(window, &names::ENDPOINT_USE_FAILED, |used, failed| used.failed += failed);
        uses.add(window, &names::ENDPOINT_USE_REPEATS, |used, repeats| used.repeats += repeats);
        uses.add(window, &names::ENDPOINT_USE_NANOS, |used, nanos| used.seconds += nanos * NANOS);
        uses.add(window, &names::ENDPOINT_USE_ALONE_NANOS, |used, nanos| used.alone_seconds += nanos * NANOS);
        uses.add(window, &names::ENDPOINT_USE_HELD_NANOS, |used, nanos| used.held_seconds += nanos * NANOS);
        uses.add(window, &names::ENDPOINT_USE_HOLDS, |used, holds| used.holds += holds);
        uses.add(window, &names::ENDPOINT_USE_REQUESTS, |used, requests| used.requests += requests);
        for series in window.series(names::ENDPOINT_USE_AT_ONCE.name) {
            let most = series.histogram().and_then(|view| view.max());
            if let Some((used, most)) = uses.known(&series).zip(most) {
                used.most_at_once = most;
            }
        }
        for series in window.series(names::ENDPOINT_USE_PLACE.name) {
            if let Some((used, number)) = uses.known(&series).zip(series.last()) {
                used.place = Place::from_number(number as u16).text();
            }
        }
        let mut all = Self::default();
        for used in uses.uses.into_values() {
            if used.part == Part::Db {
                *all.seconds.entry(used.endpoint).or_default() += used.seconds;
                all.queries.entry(used.endpoint).or_default().push(used);
                all.by_query.entry(used.name).or_default().push(used);
            } else {
                all.others.entry(used.endpoint).or_default().push(used);
            }
        }
        for uses in all.queries.values_mut().chain(all.by_query.values_mut()).chain(all.others.values_mut()) {
            uses.sort_by(|a, b| {
                let order = b.seconds.total_cmp(&a.seconds);
                order.then_with(|| (a.part, a.name, a.endpoint).cmp(&(b.part, b.name, b.endpoint)))
            });
        }
        all
    }

    /// Returns what the endpoint at a place uses beside queries, the most time first.
    pub(crate) fn others(&self, endpoint: usize) -> &[Use<'a>] {
        self.others.get(&endpoint).map_or(&[], Vec::as_slice)
    }

    /// Returns what is held by the endpoints that wait for it.
    pub(crate) fn held(&self) -> impl Iterator<Item = &Use<'a>> {
        self.others.values().flatten().filter(|used| used.held_seconds > 0.0)
    }

    /// Returns what all endpoints use beside queries, in no order.
    #[cfg(feature = "page")]
    pub(crate) fn all_others(&self) -> impl Iterator<Item = &Use<'a>> {
        self.others.values().flatten()
    }

    /// Returns the queries of the endpoint at a place, the most expensive first.
    pub(crate) fn of_endpoint(&self, endpoint: usize) -> &[Use<'a>] {
        self.queries.get(&endpoint).map_or(&[], Vec::as_slice)
    }

    /// Returns the endpoints of a query, the most expensive first.
    pub(crate) fn of_query(&self, query: &str) -> &[Use<'a>] {
        self.by_query.get(query).map_or(&[], Vec::as_slice)
    }

    /// Returns the share of an endpoint's duration that it spends in a query, 0 to 1. Parallel queries divide their
    /// common time in proportion to their own, so that the shares of all add up to the share of the time in the
    /// database.
    pub(crate) fn time_ratio(&self, query_use: &Use<'_>, endpoints: &Endpoints<'_>) -> Option<f64> {
        let endpoint = endpoints.all.get(query_use.endpoint)?;
        let ratio = divide(self.time_within(query_use, endpoints)?, endpoint.durations.seconds())?;
        Some(ratio.min(1.0))
    }

    /// Returns the time, in seconds, that the requests of the use's endpoint spend in the query, divided as in
    /// [`Self::time_ratio`]: without what runs in parallel, so never more than their duration.
    fn time_within(&self, query_use: &Use<'_>, endpoints: &Endpoints<'_>) -> Option<f64> {
        let endpoint = endpoints.all.get(query_use.endpoint)?;
        let share = divide(query_use.seconds, *self.seconds.get(&query_use.endpoint)?)?;
        Some((share * endpoint.db_seconds).min(query_use.seconds))
    }

    /// Returns the share of the time of all requests that they spend in a query, 0 to 1. Calls outside requests are
    /// left out: no request waits for them, and they may take longer than all requests together.
    pub(crate) fn time_share(&self, query: &str, endpoints: &Endpoints<'_>) -> Option<f64> {
        let within = |query_use: &Use<'_>| {
            let endpoint = endpoints.all.get(query_use.endpoint)?;
            Some(self.time_ratio(query_use, endpoints)? * endpoint.durations.seconds())
        };
        let seconds: f64 = self.of_query(query).iter().filter_map(within).sum();
        divide(seconds, endpoints.seconds).map(|share| share.min(1.0))
    }

    /// Returns the endpoint that issues a query most often per request, of those with at least `min_requests`. All
    /// measures per request are about this one, so that several conditions of a rule hold for the same endpoint.
    pub(crate) fn worst(&self, query: &str, min_requests: u64) -> Option<&Use<'a>> {
        let enough = |query_use: &&Use<'_>| query_use.requests >= min_requests.max(1) as f64;
        let per_request = |query_use: &Use<'_>| query_use.calls / query_use.requests;
        self.of_query(query).iter().filter(enough).max_by(|a, b| per_request(a).total_cmp(&per_request(b)))
    }
}

/// The uses of a window while they are gathered.
struct Gathered<'a, 'e> {
    endpoints: &'e Endpoints<'a>,
    texts: &'e Texts<'a>,
    uses: HashMap<(usize, Part, &'a str), Use<'a>>,
}

impl<'a> Gathered<'a, '_> {
    fn add(&mut self, window: &'a Window, metric: &Metric, add: fn(&mut Use<'a>, f64)) {
        for series in window.series(metric.name) {
            let increase = series.increase();
            if let Some(key) = self.key(&series).filter(|_| increase > 0.0) {
                let (endpoint, part, name) = key;
                let none = Use {
                    endpoint,
                    part,
                    name,
                    calls: 0.0,
                    failed: 0.0,
                    repeats: 0.0,
                    seconds: 0.0,
                    alone_seconds: 0.0,
                    held_seconds: 0.0,
                    holds: 0.0,
                    requests: 0.0,
                    most_at_once: 1.0,
                    place: None,
                };
                add(self.uses.entry(key).or_insert(none), increase);
            }
        }
    }

    fn known(&mut self, series: &SeriesView<'a>) -> Option<&mut Use<'a>> {
        self.uses.get_mut(&self.key(series)?)
    }

    fn key(&self, series: &SeriesView<'a>) -> Option<(usize, Part, &'a str)> {
        let endpoint = self.endpoints.place_of(series)?;
        let part = Part::of_label(series.label(names::WAIT_KIND)?)?;
        let name = series.label(names::WAIT_NAME).filter(|name| *name != names::OTHER)?;
        let name = if part == Part::Db { self.texts.of_id(name) } else { name };
        Some((endpoint, part, name))
    }
}

/// One query fingerprint.
#[derive(Debug)]
pub(crate) struct Query<'a> {
    pub(crate) subject: Arc<Subject>,
    pub(crate) operation: &'a str,
    pub(crate) durations: Durations<'a>,
    /// How many of its calls ran at once, of those that took 1 ms or longer.
    pub(crate) at_once: Option<HistogramView<'a>>,
}

/// Returns the query fingerprints that were called in a window.
pub(crate) fn queries<'a>(window: &'a Window, texts: &Texts<'a>) -> Vec<Query<'a>> {
    let mut queries: Vec<Query<'_>> = Vec::new();
    let mut places = HashMap::default();
    for series in window.series(names::DB_DURATION.name) {
        if series.histogram().is_none_or(|view| view.count() == 0) {
            continue;
        }
        let Some(id) = series.label(names::DB_QUERY_ID).filter(|id| *id != names::OTHER) else { continue };
        let place = *places.entry(id).or_insert_with(|| {
            let operation = series.label(names::DB_OPERATION).unwrap_or_default();
            let label = |name: &'static str, value: &str| (Cow::Borrowed(name), Arc::from(value));
            let text = texts.of_id(id);
            let own = [names::DB_SUMMARY, names::DB_OPERATION, names::DB_SYSTEM];
            let own = own.map(|name| label(name, series.label(name).unwrap_or_default()));
            // Its text is what a person would write into a rule.
            let named = [label(names::DB_QUERY_TEXT, text), label(names::DB_QUERY_ID, id)];
            let subject = Arc::new(Subject::new(text, named.into_iter().chain(own).collect()));
            queries.push(Query { subject, operation, durations: Durations::default(), at_once: None });
            queries.len() - 1
        });
        queries[place].durations.add(&series);
    }
    for series in window.series(names::QUERY_AT_ONCE.name) {
        if let Some(place) = series.label(names::DB_QUERY_ID).and_then(|id| places.get(id)) {
            queries[*place].at_once = series.histogram().filter(|view| view.count() > 0);
        }
    }
    queries
}

impl Query<'_> {
    /// Returns the value of a measure in its base unit, and the number of observations behind it; `None` without data.
    pub(crate) fn measure(
        &self,
        measure: Measure,
        endpoints: &Endpoints<'_>,
        uses: &Uses<'_>,
        min_samples: u64,
    ) -> Option<(f64, u64)> {
        let per_request = |value: &dyn Fn(&Use<'_>) -> Option<f64>| {
            let worst = uses.worst(&self.subject.name, min_samples)?;
            Some((value(worst)?, worst.requests as u64))
        };
        match measure {
            Measure::CallsPerRequest => per_request(&|worst| divide(worst.calls, worst.requests)),
            Measure::TimePerRequest => {
                per_request(&|worst| divide(uses.time_within(worst, endpoints)?, worst.requests))
            }
            Measure::EndpointTimeRatio => per_request(&|worst| uses.time_ratio(worst, endpoints)),
            Measure::TimeShare => Some((uses.time_share(&self.subject.name, endpoints)?, self.durations.count())),
            other => {
                let value = self.durations.measure(other, endpoints.span)?;
                Some((value, self.durations.count()))
            }
        }
    }
}
