//! [`Endpoints`]: every endpoint of one window, with the values that its measures need.
//!
//! Owns the gathering of an endpoint from its series, which happens once per window. Requests that matched no route,
//! and those of routes that were folded into `other`, are mixtures: they count in the totals and are never a subject of a rule.
//! Lists show them, as `GET unmatched` and `GET other`.

use std::{borrow::Cow, cell::OnceCell, sync::Arc, time::Duration};

use super::{
    durations::{Durations, NANOS, divide, quantile},
    polls::MeasuredPolls,
};
use crate::{
    context::Part,
    names,
    rules::{evidence::Split, measure::Measure, subject::Subject},
    store::{HistogramView, SeriesView, Window},
};

/// Without a random seed, which saves time: keys are labels that the service's own code chose, so a client cannot
/// provoke collisions.
pub(super) type HashMap<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;

/// How lists show the route of requests that matched none, whether a fallback served them or not.
const UNMATCHED: &str = "unmatched";

/// A method and route.
#[derive(Debug)]
pub(crate) struct Endpoint<'a> {
    /// One of its series, whose labels name it. They are read when they are asked for: most endpoints are over no threshold.
    named_by: SeriesView<'a>,
    subject: OnceCell<Arc<Subject>>,
    pub(crate) durations: Durations<'a>,
    pub(super) busy_seconds: Option<f64>,
    pub(super) polls: MeasuredPolls<'a>,
    longest_polls: Option<HistogramView<'a>>,
    db_queries: f64,
    /// Time in which at least one query ran.
    pub(super) db_seconds: f64,
    /// Disjoint parts of its time.
    part_seconds: [f64; Part::COUNT],
    /// Time in which a query ran that went on after its request.
    late_db_seconds: f64,
    /// Time inside poll during any of them.
    overlap_seconds: f64,
    /// Durations without the waits for clients.
    own_durations: Option<HistogramView<'a>>,
    /// Time that the bodies of responses were waited for.
    producing_seconds: f64,
    /// Mean time to the head of its streamed responses.
    pub(super) head_seconds: Option<f64>,
    /// Queries and their time, of requests whose client had disconnected.
    pub(crate) wasted_queries: f64,
    pub(crate) wasted_db_seconds: f64,
    /// Memory that its requests allocated in the window, less what was freed of all that they ever allocated; `None`
    /// without the counting allocator.
    pub(crate) kept_bytes: Option<f64>,
    pub(crate) blocking_polls: Option<HistogramView<'a>>,
    pub(crate) blocked_others: Option<HistogramView<'a>>,
    /// Endpoints with requests in flight during its blocking polls, and the number of those polls; the most first.
    pub(crate) waited: Vec<(&'a str, f64)>,
    /// Requests in flight at the end of the window.
    active: f64,
    /// Age of the oldest of them.
    oldest_active: f64,
}

/// Every endpoint that had requests in the window.
#[derive(Debug, Default)]
pub(crate) struct Endpoints<'a> {
    pub(crate) all: Vec<Endpoint<'a>>,
    /// For the number of each endpoint its place in `all`.
    places: Vec<Option<u32>>,
    /// Their places by method and route, made when they are asked for.
    by_name: OnceCell<HashMap<(&'a str, &'a str), usize>>,
    /// Sum of the durations of all requests, unmatched ones included.
    pub(crate) seconds: f64,
    /// Number of all requests, unmatched ones included.
    pub(crate) requests: u64,
    pub(crate) span: Duration,
    /// Whether mixtures are among them.
    with_mixtures: bool,
}

/// Adds the increase of a counter, or the sum of a histogram, to an endpoint.
type Add<'a> = fn(&mut Endpoint<'a>, f64);
/// Sets a histogram of an endpoint.
type Set<'a> = fn(&mut Endpoint<'a>, HistogramView<'a>);

impl<'a> Endpoints<'a> {
    /// Gathers the endpoints of a window.
    pub(crate) fn of(window: &'a Window) -> Self {
        Self::gathered(window, false)
    }

    /// Gathers the endpoints of a window for a list, which shows the mixtures too.
    pub(crate) fn with_mixtures(window: &'a Window) -> Self {
        Self::gathered(window, true)
    }

    fn gathered(window: &'a Window, with_mixtures: bool) -> Self {
        let (all, places) = (Vec::with_capacity(window.endpoint_count()), vec![None; window.endpoint_count()]);
        let mut endpoints = Self { all, span: window.span(), with_mixtures, places, ..Self::default() };
        // Before the others, which add to endpoints that had requests and drop what belongs to none.
        endpoints.add_durations(window);
        endpoints.add_histograms(window);
        endpoints.add_counters(window);
        endpoints.add_parts(window);
        endpoints.add_waiting(window);
        endpoints.add_polls(window);
        for series in window.series(names::ENDPOINT_ACTIVE.name) {
            // Requests that never end are in no duration, so the endpoint may be new.
            if let Some(active) = series.last().filter(|active| *active > 0.0)
                && let Some(endpoint) = endpoints.entry(&series)
            {
                endpoint.active = active;
            }
        }
        for series in window.series(names::ENDPOINT_OLDEST_ACTIVE.name) {
            if let Some((endpoint, oldest)) = endpoints.known(&series).zip(series.last()) {
                endpoint.oldest_active = oldest;
            }
        }
        endpoints
    }

    fn add_durations(&mut self, window: &'a Window) {
        for series in window.series(names::HTTP_DURATION.name) {
            let Some(view) = series.histogram().filter(|view| view.count() > 0) else { continue };
            self.seconds += view.sum();
            self.requests += view.count();
            if let Some(endpoint) = self.entry(&series) {
                endpoint.durations.add(&series);
            }
        }
    }

    fn add_histograms(&mut self, window: &'a Window) {
        let sums: [(_, Add<'a>); 3] = [
            (names::HTTP_BUSY, |endpoint, sum| *endpoint.busy_seconds.get_or_insert_default() += sum),
            (names::HTTP_DB_QUERIES, |endpoint, sum| endpoint.db_queries += sum),
            (names::HTTP_DB_SECONDS, |endpoint, sum| endpoint.db_seconds += sum),
        ];
        for (metric, add) in sums {
            self.for_each_histogram(window, metric.name, |endpoint, view| add(endpoint, view.sum()));
        }
        let views: [(_, Set<'a>); 5] = [
            (names::ENDPOINT_OWN_DURATION, |endpoint, view| endpoint.own_durations = Some(view)),
            (names::HTTP_HEAD, |endpoint, view| endpoint.head_seconds = divide(view.sum(), view.count() as f64)),
            (names::HTTP_LONGEST_POLL, |endpoint, view| endpoint.longest_polls = Some(view)),
            (names::ENDPOINT_BLOCKING_POLLS, |endpoint, view| endpoint.blocking_polls = Some(view)),
            (names::ENDPOINT_BLOCKED_OTHERS, |endpoint, view| endpoint.blocked_others = Some(view)),
        ];
        for (metric, set) in views {
            self.for_each_histogram(window, metric.name, set);
        }
    }

    fn add_counters(&mut self, window: &'a Window) {
        let counters: [(_, Add<'a>); 7] = [
            (names::ENDPOINT_PRODUCING_NANOS, |endpoint, nanos| endpoint.producing_seconds += nanos * NANOS),
            (names::ENDPOINT_OVERLAP_NANOS, |endpoint, nanos| endpoint.overlap_seconds += nanos * NANOS),
            (names::ENDPOINT_WASTED_QUERIES, |endpoint, queries| endpoint.wasted_queries += queries),
            (names::ENDPOINT_WASTED_DB_NANOS, |endpoint, nanos| endpoint.wasted_db_seconds += nanos * NANOS),
            (names::ENDPOINT_LATE_DB_NANOS, |endpoint, nanos| endpoint.late_db_seconds += nanos * NANOS),
            (names::ENDPOINT_HEAP_ALLOCATED, |endpoint, bytes| *endpoint.kept_bytes.get_or_insert_default() += bytes),
            (names::ENDPOINT_HEAP_FREED, |endpoint, bytes| *endpoint.kept_bytes.get_or_insert_default() -= bytes),
        ];
        for (metric, add) in counters {
            for series in window.series(metric.name) {
                if let Some(endpoint) = self.known(&series) {
                    add(endpoint, series.increase());
                }
            }
        }
    }

    fn add_parts(&mut self, window: &'a Window) {
        for series in window.series(names::ENDPOINT_PART_NANOS.name) {
            let part = series.label(names::PART).and_then(Part::of_label);
            if let Some((endpoint, part)) = self.known(&series).zip(part) {
                endpoint.part_seconds[part as usize] += series.increase() * NANOS;
            }
        }
    }

    fn add_waiting(&mut self, window: &'a Window) {
        for series in window.series(names::ENDPOINT_WAITED.name) {
            let waiting = series.label(names::WAITING).filter(|waiting| *waiting != names::OTHER);
            if let Some((endpoint, waiting)) = self.known(&series).zip(waiting).filter(|_| series.increase() > 0.0) {
                endpoint.waited.push((waiting, series.increase()));
            }
        }
        for endpoint in &mut self.all {
            endpoint.waited.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        }
    }

    fn add_polls(&mut self, window: &'a Window) {
        for series in window.series(names::ENDPOINT_POLL_NANOS.name) {
            if let Some(endpoint) = self.known(&series) {
                endpoint.polls.add_nanos(&series);
            }
        }
        for series in window.series(names::ENDPOINT_POLL_SIGHTS.name) {
            if let Some(endpoint) = self.known(&series) {
                endpoint.polls.add_sights(&series);
            }
        }
    }

    fn for_each_histogram(
        &mut self,
        window: &'a Window,
        metric: &str,
        mut visit: impl FnMut(&mut Endpoint<'a>, HistogramView<'a>),
    ) {
        for series in window.series(metric) {
            let view = series.histogram().filter(|view| view.count() > 0);
            if let Some((endpoint, view)) = self.known(&series).zip(view) {
                visit(endpoint, view);
            }
        }
    }

    /// Returns the endpoint of a series of requests, which is added if it is new; `None` for a mixture.
    fn entry(&mut self, series: &SeriesView<'a>) -> Option<&mut Endpoint<'a>> {
        let number = series.facts.endpoint? as usize;
        if self.places[number].is_none() {
            if series.facts.is_mixture && !self.with_mixtures {
                return None;
            }
            self.places[number] = u32::try_from(self.all.len()).ok();
            self.all.push(Endpoint {
                named_by: *series,
                subject: OnceCell::new(),
                durations: Durations::default(),
                busy_seconds: None,
                polls: MeasuredPolls::default(),
                longest_polls: None,
                db_queries: 0.0,
                db_seconds: 0.0,
                part_seconds: [0.0; Part::COUNT],
                late_db_seconds: 0.0,
                overlap_seconds: 0.0,
                own_durations: None,
                producing_seconds: 0.0,
                head_seconds: None,
                wasted_queries: 0.0,
                wasted_db_seconds: 0.0,
                kept_bytes: None,
                blocking_polls: None,
                blocked_others: None,
                waited: Vec::new(),
                active: 0.0,
                oldest_active: 0.0,
            });
        }
        self.known(series)
    }

    /// Returns the endpoint of a series if it had requests.
    fn known(&mut self, series: &SeriesView<'a>) -> Option<&mut Endpoint<'a>> {
        let place = self.place_of(series)?;
        self.all.get_mut(place)
    }

    /// Returns the place in `all` of the endpoint of a series, if it had requests.
    pub(super) fn place_of(&self, series: &SeriesView<'_>) -> Option<usize> {
        Some(self.places[series.facts.endpoint? as usize]? as usize)
    }

    /// Returns the place of an endpoint in `all`.
    pub(crate) fn index_of(&self, method: &str, route: &str) -> Option<usize> {
        let name = |(place, endpoint): (usize, &Endpoint<'a>)| Some((all_labels_of(&endpoint.named_by)?, place));
        let by_name = self.by_name.get_or_init(|| self.all.iter().enumerate().filter_map(name).collect());
        by_name.get(&(method, route)).copied()
    }
}

/// Returns the method and route of a series; `None` for a mixture.
#[cfg(feature = "archive")]
pub(super) fn labels_of<'a>(series: &SeriesView<'a>) -> Option<(&'a str, &'a str)> {
    all_labels_of(series).filter(|_| !series.facts.is_mixture)
}

fn all_labels_of<'a>(series: &SeriesView<'a>) -> Option<(&'a str, &'a str)> {
    let [method, route] = series.meta.labels([names::METHOD, names::ROUTE]);
    Some((method?, route?))
}

pub(super) fn endpoint_subject(method: &str, route: &str) -> Arc<Subject> {
    // A route begins with a slash, so these words are no route's.
    let shown = if route.is_empty() { UNMATCHED } else { route };
    let labels = vec![(Cow::Borrowed(names::METHOD), method.into()), (Cow::Borrowed(names::ROUTE), route.into())];
    Arc::new(Subject::new(format!("{method} {shown}"), labels))
}

impl Endpoint<'_> {
    pub(crate) fn subject(&self) -> &Arc<Subject> {
        self.subject.get_or_init(|| {
            let (method, route) = all_labels_of(&self.named_by).unwrap_or_default();
            endpoint_subject(method, route)
        })
    }

    /// Divides the time of all its requests into disjoint parts; `None` where the time inside poll was not measured.
    pub(crate) fn split(&self) -> Option<Split> {
        let late_db = |part| if part == Part::Db { self.late_db_seconds } else { 0.0 };
        let parts = Part::ALL.map(|part| self.part_seconds[part as usize] + late_db(part));
        Some(Split::new(self.durations.seconds(), parts, self.busy_seconds? - self.overlap_seconds))
    }

    /// Returns the time in which a part of its requests' time passed, in seconds.
    pub(crate) fn part_seconds(&self, part: Part) -> f64 {
        self.part_seconds[part as usize]
    }

    /// Returns the durations without the waits for clients, where any request waited for one; the others are those of before.
    fn own_durations(&self) -> Option<HistogramView<'_>> {
        self.own_durations.filter(|own| own.count() * 2 > self.durations.count())
    }

    /// Returns the mean duration without the waits for clients.
    fn own_mean(&self) -> Option<f64> {
        let own = self.durations.seconds() - self.part_seconds(Part::Client);
        divide(own.max(0.0), self.durations.count() as f64)
    }

    /// Returns the value of a measure in its base unit; `None` without data.
    pub(crate) fn measure(&self, measure: Measure, endpoints: &Endpoints<'_>) -> Option<f64> {
        let seconds = self.durations.seconds();
        let requests = self.durations.count() as f64;
        match measure {
            Measure::BusyRatio => divide(self.busy_seconds?, seconds).map(|ratio| ratio.min(1.0)),
            Measure::DbTimeRatio => divide(self.db_seconds + self.late_db_seconds, seconds).map(|ratio| ratio.min(1.0)),
            Measure::PartRatio(part) => divide(self.part_seconds(part), seconds).map(|ratio| ratio.min(1.0)),
            Measure::ProducingRatio => divide(self.producing_seconds, seconds).map(|ratio| ratio.min(1.0)),
            Measure::WaitingRatio => divide(self.split()?.unknown, seconds),
            Measure::OwnAvgDuration => self.own_mean(),
            Measure::OwnDurationQuantile(percent) => match self.own_durations() {
                Some(own) => own.quantile(quantile(percent)?),
                None => self.durations.measure(Measure::DurationQuantile(percent), endpoints.span),
            },
            Measure::TimeShare => divide(seconds, endpoints.seconds).map(|share| share.min(1.0)),
            Measure::WastedTimeRatio => divide(self.durations.cancelled_seconds(), seconds),
            Measure::DbQueriesPerRequest => divide(self.db_queries, requests),
            Measure::DbTimePerRequest => divide(self.db_seconds + self.late_db_seconds, requests),
            Measure::Active => Some(self.active),
            Measure::OldestActive => Some(self.oldest_active),
            Measure::LongestPoll => self.longest_polls?.max(),
            Measure::LongestPollQuantile(percent) => self.longest_polls?.quantile(quantile(percent)?),
            other => self.durations.measure(other, endpoints.span),
        }
    }

    /// Returns whether a quantile is certainly below a limit, because the maximum is: without reading any bucket.
    pub(crate) fn is_surely_below(&self, measure: Measure, limit: Option<f64>) -> bool {
        match (measure, self.longest_polls, limit) {
            (Measure::LongestPollQuantile(_), Some(polls), Some(limit)) => polls.max().is_some_and(|max| max < limit),
            _ => self.durations.is_surely_below(measure, limit),
        }
    }
}
