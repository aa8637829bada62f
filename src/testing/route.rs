//! [`RouteProbe`]: compares the requests of a route with a budget.

use std::{
    cmp::Reverse,
    fmt::{self, Write as _},
    sync::Arc,
    time::Duration,
};

use crate::{
    context::{Instruments, Part, SlowRequest},
    names,
    rules::{Endpoints, Measure, Unit},
    store::Window,
};

/// Statements that a message shows; the most frequent say enough.
const NAMED: usize = 10;

/// What the requests of one route did; see [`Probe::route`](super::Probe::route).
///
/// Every assertion is about the worst request, but for
/// [`max_database_share`](Self::max_database_share), and returns the probe again, so that they chain.
#[derive(Clone)]
pub struct RouteProbe {
    endpoint: Arc<str>,
    requests: u64,
    most_queries: u64,
    longest: Duration,
    longest_poll: Option<Duration>,
    database_share: Option<f64>,
    kept: Vec<SlowRequest>,
}

impl fmt::Debug for RouteProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteProbe")
            .field("endpoint", &self.endpoint)
            .field("requests", &self.requests)
            .field("most_queries", &self.most_queries)
            .field("longest", &self.longest)
            .finish_non_exhaustive()
    }
}

impl RouteProbe {
    /// Finds the route; returns the names of those that were measured where it is not among them.
    pub(super) fn of(endpoint: &str, window: &Window, instruments: &Instruments) -> Result<Self, Vec<String>> {
        let endpoints = Endpoints::of(window);
        let found = endpoints.all.iter().find(|known| *known.subject().name == *endpoint.trim());
        let Some(found) = found else {
            let mut measured: Vec<_> = endpoints.all.iter().map(|known| known.subject().name.to_string()).collect();
            measured.sort();
            return Err(measured);
        };
        let label = |name| found.subject().label(name).unwrap_or_default();
        let (method, route) = (label(names::METHOD), label(names::ROUTE));
        let queries = window
            .series(names::HTTP_DB_QUERIES.name)
            .filter(|series| series.label(names::METHOD) == Some(method) && series.label(names::ROUTE) == Some(route));
        let most = queries.filter_map(|series| series.histogram()?.max()).fold(0.0, f64::max);
        let seconds = |measure| found.measure(measure, &endpoints).map(Duration::from_secs_f64);
        Ok(Self {
            endpoint: found.subject().name.clone(),
            requests: found.durations.count(),
            most_queries: most as u64,
            longest: seconds(Measure::MaxDuration).unwrap_or_default(),
            longest_poll: seconds(Measure::LongestPoll),
            database_share: found.measure(Measure::DbTimeRatio, &endpoints),
            kept: instruments.slow_requests().of(method, route),
        })
    }

    /// Returns how many requests were measured.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Returns the most queries that one request issued.
    #[must_use]
    pub fn queries(&self) -> u64 {
        self.most_queries
    }

    /// Asserts that no request issued more than `budget` queries.
    ///
    /// # Panics
    ///
    /// Panics where one did, with the statements that it issued and how often each.
    #[track_caller]
    pub fn max_queries(self, budget: u64) -> Self {
        let Self { endpoint, most_queries, .. } = &self;
        assert!(
            *most_queries <= budget,
            "{endpoint} issued {} in one request; its budget is {budget}{}",
            counted(*most_queries, "query", "queries"),
            self.statements(self.busiest()),
        );
        self
    }

    /// Asserts that no request issued the same statement, whatever its values, more than `budget` times. With a budget of
    /// 1 this finds an N+1 as soon as the test's database has two rows. Checks the slowest thousand requests, and of each
    /// its first 32 different statements.
    ///
    /// # Panics
    ///
    /// Panics where one did, with the statements that it issued and how often each.
    #[track_caller]
    pub fn max_calls_of_a_query(self, budget: u64) -> Self {
        let worst = self.kept.iter().filter_map(|request| {
            let (query, calls) = statements(request).into_iter().next()?;
            Some((calls, query, request))
        });
        if let Some((calls, query, request)) = worst.max_by_key(|(calls, ..)| *calls) {
            assert!(
                calls <= budget,
                "{} issued the same query {calls} times in one request; its budget is {budget}\n  {query}{}",
                self.endpoint,
                self.statements(Some(request)),
            );
        }
        self
    }

    /// Asserts that no request took longer than `budget`, to the last byte of its response.
    ///
    /// # Panics
    ///
    /// Panics where one did, with the statements that the slowest issued.
    #[track_caller]
    pub fn max_duration(self, budget: Duration) -> Self {
        assert!(
            self.longest <= budget,
            "{} took {}; its budget is {}{}",
            self.endpoint,
            render(self.longest),
            render(budget),
            self.statements(self.kept.first()),
        );
        self
    }

    /// Asserts that all requests together spent at most `share` of their time in the database, from 0 (none) to 1 (all).
    ///
    /// # Panics
    ///
    /// Panics where they spent more, with the statements of the slowest; and where `share` is outside 0 to 1.
    #[track_caller]
    pub fn max_database_share(self, share: f64) -> Self {
        assert!((0.0..=1.0).contains(&share), "{share} is no share; expected a number from 0 to 1");
        let found = self.database_share.unwrap_or(0.0);
        assert!(
            found <= share,
            "{} spent {} of its time in the database; its budget is {}{}",
            self.endpoint,
            Unit::Ratio.render(found),
            Unit::Ratio.render(share),
            self.statements(self.kept.first()),
        );
        self
    }

    /// Asserts that no request kept a worker thread of the runtime for longer than `budget` at a stretch, without an
    /// `.await` that waits. The rules of a running service report more than 100 ms.
    ///
    /// # Panics
    ///
    /// Panics where one did.
    #[track_caller]
    pub fn max_blocking(self, budget: Duration) -> Self {
        let found = self.longest_poll.unwrap_or_default();
        assert!(
            found <= budget,
            "{} kept a worker of the runtime for {} at a stretch; its budget is {}",
            self.endpoint,
            render(found),
            render(budget),
        );
        self
    }

    /// Returns the kept request that issued the most queries.
    fn busiest(&self) -> Option<&SlowRequest> {
        self.kept.iter().max_by_key(|request| request.queries)
    }

    /// Returns the statements of a request, as lines of a message.
    fn statements(&self, request: Option<&SlowRequest>) -> String {
        let Some(request) = request else { return String::new() };
        let statements = statements(request);
        let mut text = String::new();
        for (query, calls) in statements.iter().take(NAMED) {
            let _ = write!(text, "\n  {calls:>4} × {query}");
        }
        if statements.len() > NAMED {
            let _ = write!(text, "\n  and {}", counted((statements.len() - NAMED) as u64, "other", "others"));
        }
        let counted_calls: u64 = statements.iter().map(|(_, calls)| calls).sum();
        let others = u64::from(request.queries).saturating_sub(counted_calls);
        if others > 0 {
            let _ = write!(text, "\n  and {} of further statements", counted(others, "call", "calls"));
        }
        let _ = write!(
            text,
            "\n(a request of {}; {} measured)",
            render(request.duration),
            counted(self.requests, "request was", "requests were"),
        );
        text
    }
}

/// Returns the queries of a request and how often it issued each, the most frequent first.
fn statements(request: &SlowRequest) -> Vec<(&str, u64)> {
    let queries = request.calls.iter().filter(|(part, ..)| *part == Part::Db);
    let mut calls: Vec<_> = queries.map(|(_, query, calls)| (&**query, *calls)).collect();
    calls.sort_by_key(|(query, calls)| (Reverse(*calls), *query));
    calls
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn render(duration: Duration) -> String {
    Unit::Seconds.render(duration.as_secs_f64())
}
