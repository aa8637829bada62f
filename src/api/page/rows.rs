//! Rows of queries, of calls and waits, and of tasks: what a window says of each, and which endpoints use it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::place::View;
use crate::{
    api::units,
    context::Part,
    names,
    rules::{Endpoints, Measure, Texts, Uses, queries, tasks},
    store::Window,
};

/// A query, a call to another service, something that is waited for, or a task.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct Row {
    pub(super) name: String,
    /// Of a query its operation, of a call or wait what is waited for.
    pub(super) kind: String,
    pub(super) calls: u64,
    pub(super) per_second: Option<f64>,
    pub(super) failed: u64,
    pub(super) avg_ms: Option<f64>,
    pub(super) p95_ms: Option<f64>,
    pub(super) max_ms: Option<f64>,
    pub(super) total_seconds: f64,
    /// Share of the time of all requests, 0 to 1; calls outside requests are left out.
    pub(super) time_share: Option<f64>,
    /// In progress now; null where that is not measured.
    pub(super) active: Option<u64>,
    /// Where in the host's code it was tracked last.
    pub(super) place: Option<String>,
    /// The endpoints that use it, the most time first.
    pub(super) endpoints: Vec<UsedBy>,
}

/// An endpoint's use.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct UsedBy {
    pub(super) endpoint: String,
    pub(super) calls: u64,
    pub(super) calls_per_request: Option<f64>,
    pub(super) total_seconds: f64,
    /// Share of the time of the endpoint's requests, 0 to 1.
    pub(super) endpoint_time_ratio: Option<f64>,
    pub(super) most_at_once: u64,
    pub(super) place: Option<String>,
}

/// A query and how an endpoint uses it.
pub(super) type QueryUse = (String, UsedBy);
/// What is used, its name and how.
pub(super) type OtherUse = (&'static str, String, UsedBy);

/// A window, gathered once for all rows.
pub(super) struct Gathered<'a> {
    window: &'a Window,
    pub(super) endpoints: Endpoints<'a>,
    texts: Texts<'a>,
    pub(super) uses: Uses<'a>,
}

impl<'a> Gathered<'a> {
    pub(super) fn of(window: &'a Window) -> Self {
        let (endpoints, texts) = (Endpoints::with_mixtures(window), Texts::of(window));
        let uses = Uses::of(window, &endpoints, &texts);
        Self { window, endpoints, texts, uses }
    }

    /// Returns the rows of a view; none of one that has other data.
    pub(super) fn rows(&self, view: View) -> Vec<Row> {
        match view {
            View::Queries => self.queries(),
            View::Calls => self.calls(),
            View::Tasks => self.tasks(),
            View::Overview | View::Endpoints | View::Rules | View::Slos | View::Monitor => Vec::new(),
        }
    }

    /// Returns the queries, the most time first.
    fn queries(&self) -> Vec<Row> {
        let row = |query: &crate::rules::Query<'_>| {
            let measure = |measure| Some(query.measure(measure, &self.endpoints, &self.uses, 1)?.0);
            let users = self.uses.of_query(&query.subject.name);
            Row {
                name: query.subject.name.to_string(),
                kind: query.operation.to_owned(),
                calls: query.durations.count(),
                per_second: measure(Measure::Rate).map(units::round_millis),
                failed: query.durations.failed(),
                avg_ms: measure(Measure::AvgDuration).map(units::millis),
                p95_ms: measure(Measure::DurationQuantile(95)).map(units::millis),
                max_ms: query.durations.max().map(units::millis),
                total_seconds: units::round_micros(query.durations.seconds()),
                time_share: measure(Measure::TimeShare).map(units::round_micros),
                active: None,
                place: users.iter().find_map(|user| user.place).map(str::to_owned),
                endpoints: users.iter().map(|user| self.used_by(user)).collect(),
            }
        };
        sorted(queries(self.window, &self.texts).iter().map(row).collect())
    }

    /// Returns the calls to other services and what is waited for, the most time first.
    fn calls(&self) -> Vec<Row> {
        let mut users: BTreeMap<(Part, &str), Vec<&crate::rules::Use<'a>>> = BTreeMap::new();
        for used in self.uses.all_others().filter(|used| used.part != Part::Task) {
            users.entry((used.part, used.name)).or_default().push(used);
        }
        let row = |((part, name), mut users): ((Part, &str), Vec<&crate::rules::Use<'a>>)| {
            users.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
            let sum = |value: fn(&crate::rules::Use<'a>) -> f64| users.iter().map(|used| value(used)).sum::<f64>();
            let (calls, seconds) = (sum(|used| used.calls), sum(|used| used.seconds));
            let span = self.window.span().as_secs_f64();
            Row {
                name: names::shown(name).into_owned(),
                kind: waited_for(part).to_owned(),
                calls: calls as u64,
                per_second: (span > 0.0).then(|| units::round_millis(calls / span)),
                failed: sum(|used| used.failed) as u64,
                avg_ms: (calls > 0.0).then(|| units::millis(seconds / calls)),
                p95_ms: None,
                max_ms: None,
                total_seconds: units::round_micros(seconds),
                time_share: None,
                active: None,
                place: users.iter().find_map(|used| used.place).map(str::to_owned),
                endpoints: users.iter().map(|used| self.used_by(used)).collect(),
            }
        };
        sorted(users.into_iter().map(row).collect())
    }

    /// Returns the tasks, the most time first.
    fn tasks(&self) -> Vec<Row> {
        let mut users: BTreeMap<&str, Vec<UsedBy>> = BTreeMap::new();
        for used in self.uses.all_others().filter(|used| used.part == Part::Task) {
            users.entry(used.name).or_default().push(self.used_by(used));
        }
        let row = |task: &crate::rules::Task<'_>| {
            let measure = |measure| Some(task.measure(measure, &self.endpoints)?.0);
            let name = task.subject.label(names::TASK_NAME).unwrap_or_default();
            let mut endpoints = users.get(name).cloned().unwrap_or_default();
            endpoints.sort_by(|a, b| b.total_seconds.total_cmp(&a.total_seconds));
            Row {
                name: task.subject.name.to_string(),
                kind: "task".to_owned(),
                calls: task.durations.count(),
                per_second: measure(Measure::Rate).map(units::round_millis),
                failed: task.durations.failed(),
                avg_ms: measure(Measure::AvgDuration).map(units::millis),
                p95_ms: measure(Measure::DurationQuantile(95)).map(units::millis),
                max_ms: task.durations.max().map(units::millis),
                total_seconds: units::round_micros(task.durations.seconds()),
                time_share: measure(Measure::TimeShare).map(units::round_micros),
                active: measure(Measure::Active).map(units::count),
                place: endpoints.iter().find_map(|used| used.place.clone()),
                endpoints,
            }
        };
        sorted(tasks(self.window).iter().map(row).collect())
    }

    fn used_by(&self, used: &crate::rules::Use<'_>) -> UsedBy {
        let endpoint = self.endpoints.all.get(used.endpoint);
        let seconds = endpoint.map_or(0.0, |endpoint| endpoint.durations.seconds());
        let ratio = match used.part {
            Part::Db => self.uses.time_ratio(used, &self.endpoints),
            _ => (seconds > 0.0).then(|| (used.seconds / seconds).min(1.0)),
        };
        UsedBy {
            endpoint: endpoint.map(|endpoint| endpoint.subject().name.to_string()).unwrap_or_default(),
            calls: used.calls as u64,
            calls_per_request: (used.requests > 0.0).then(|| units::round_millis(used.calls / used.requests)),
            total_seconds: units::round_micros(used.seconds),
            endpoint_time_ratio: ratio.map(units::round_micros),
            most_at_once: units::count(used.most_at_once),
            place: used.place.map(str::to_owned),
        }
    }

    /// Returns what one endpoint uses: its queries, and its calls, waits and tasks, each with its kind.
    pub(super) fn used_by_endpoint(&self, name: &str) -> Option<(Vec<QueryUse>, Vec<OtherUse>)> {
        let at = self.endpoints.all.iter().position(|endpoint| *endpoint.subject().name == *name)?;
        let queries =
            self.uses.of_endpoint(at).iter().map(|used| (names::shown(used.name).into_owned(), self.used_by(used)));
        let others = self
            .uses
            .others(at)
            .iter()
            .map(|used| (waited_for(used.part), names::shown(used.name).into_owned(), self.used_by(used)));
        Some((queries.collect(), others.collect()))
    }
}

/// Says what a part of a request's time is spent on, as people say it.
pub(super) fn waited_for(part: Part) -> &'static str {
    match part {
        Part::Late => "a free worker",
        Part::Client => "client",
        Part::Http => "call",
        Part::Db => "query",
        Part::Pool => "connection pool",
        Part::Lock => "lock",
        Part::Semaphore => "permits",
        Part::Channel => "channel",
        Part::Wait => "wait",
        Part::ThreadPool => "a blocking thread",
        Part::Blocking => "blocking work",
        Part::Task => "task",
    }
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by(|a, b| b.total_seconds.total_cmp(&a.total_seconds).then_with(|| a.name.cmp(&b.name)));
    rows
}
