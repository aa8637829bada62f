//! What a good colleague would have looked up about a subject that is over a threshold.
//!
//! Named facts are what rule files use in `if:` conditions and in texts; the lists beside them are what only an answer
//! shows. The catalogue of names is [`numbers`] and [`words`]: a name outside it cannot be loaded, so every text that a
//! rule can hold can be filled. A fact that nobody measured is absent, never zero.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    measure::{self, Scope},
    unit::Unit,
};

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

/// Everything known about one subject in one window.
///
/// It is made by [`Readings::evidence`](super::readings::Readings::evidence), so what comes from elsewhere than the
/// window's numbers joins there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Evidence {
    /// Named values: each measure of the scope that has data, and what [`EXTRA_NUMBERS`] and [`WORDS`] name.
    pub(crate) facts: Vec<(&'static str, Fact)>,
    /// Share of the time that all requests took, 0 to 1; findings are ranked by it within a severity. Work outside
    /// requests has none.
    pub(crate) time_share: Option<f64>,
    /// Time that all requests of the service took, in seconds.
    pub(crate) all_seconds: Option<f64>,
    /// How many requests it had, those that matched no route included.
    pub(crate) all_requests: Option<u64>,
    /// Endpoint: where its time went.
    pub(crate) split: Option<Split>,
    /// Endpoint: all of its queries, the most expensive first.
    pub(crate) queries: Vec<QueryShare>,
    /// Query: all the endpoints behind it, the most expensive first.
    pub(crate) endpoints: Vec<EndpointShare>,
    /// Endpoint: how its requests ended. Task: how its runs ended. What went wrong first, and of each kind the most
    /// frequent.
    pub(crate) outcomes: Vec<OutcomeShare>,
    /// Endpoint and process: who kept a worker of the runtime from other work, the longest in all first.
    pub(crate) blockers: Vec<Blocker>,
    /// Process whose memory grows: endpoints that keep a real share of what it gained, the most first.
    pub(crate) suspects: Vec<Suspect>,
}

/// An endpoint that keeps a real share of the memory that the process gained.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Suspect {
    pub(crate) endpoint: Arc<str>,
    pub(crate) requests: u64,
    /// Allocated by its requests and not freed since.
    pub(crate) kept_bytes: f64,
    pub(crate) bytes_per_hour: f64,
    /// Share of what the process gained in the same time, 0 to 1.
    pub(crate) ratio: f64,
}

/// A named value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fact {
    Number(f64, Unit),
    Word(Arc<str>),
}

impl Fact {
    /// Writes the value for people. A long fingerprint is cut: the whole of it is in the evidence.
    pub(crate) fn render(&self) -> String {
        const LONGEST: usize = 120;
        match self {
            Self::Number(value, unit) => unit.render(*value),
            Self::Word(word) if word.chars().count() > LONGEST => word.chars().take(LONGEST - 1).chain(['…']).collect(),
            Self::Word(word) => word.to_string(),
        }
    }
}

impl Evidence {
    pub(crate) fn fact(&self, name: &str) -> Option<&Fact> {
        self.facts.iter().find(|(known, _)| *known == name).map(|(_, fact)| fact)
    }

    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        match self.fact(name)? {
            Fact::Number(value, _) => Some(*value),
            Fact::Word(_) => None,
        }
    }
}

/// A query that an endpoint issues.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct QueryShare {
    pub(crate) query: Arc<str>,
    pub(crate) calls: u64,
    /// Over the requests that issued it at all.
    pub(crate) calls_per_request: Option<f64>,
    pub(crate) seconds: f64,
    /// Of the endpoint's whole duration; those of queries at the same time add up to the time of both.
    pub(crate) time_ratio: Option<f64>,
}

/// An endpoint behind a query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EndpointShare {
    pub(crate) endpoint: Arc<str>,
    pub(crate) calls: u64,
    pub(crate) calls_per_request: Option<f64>,
    /// In the query.
    pub(crate) seconds: f64,
    /// Of the query's whole time.
    pub(crate) time_ratio: Option<f64>,
    /// What it means to the endpoint.
    pub(crate) within: Option<Within>,
}

/// What a query means to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Within {
    pub(crate) requests: u64,
    /// Mean duration of a request, in seconds.
    pub(crate) avg_duration: f64,
    /// Share of it that the query takes.
    pub(crate) time_ratio: f64,
}

/// An endpoint whose polls block the runtime.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Blocker {
    pub(crate) endpoint: Arc<str>,
    /// Polls that kept a worker for [`names::BLOCKING`](crate::names::BLOCKING) or longer.
    pub(crate) polls: u64,
    pub(crate) seconds: f64,
    pub(crate) longest: Option<f64>,
    /// Other requests in flight when such a poll ended, on average and at most.
    pub(crate) others: Option<f64>,
    pub(crate) most_others: Option<f64>,
    /// Endpoints that had requests in flight then, and at how many of the polls; the most first.
    pub(crate) waited: Vec<(Arc<str>, u64)>,
}

/// One way that requests or runs ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OutcomeShare {
    /// A status, a kind of error, or the outcome of a task.
    pub(crate) outcome: Arc<str>,
    pub(crate) count: u64,
    pub(crate) ratio: f64,
    /// When it was seen first and last since the start or the last clear, to the length of a tick.
    pub(crate) seen: Option<(Instant, Instant)>,
}

/// Numbers beyond the measures of a scope.
const EXTRA_NUMBERS: &[(Scope, &str, Unit)] = &[
    (Scope::Endpoint, "requests", Unit::Count),
    (Scope::Endpoint, "top_query_time_ratio", Unit::Ratio),
    (Scope::Endpoint, "top_query_calls_per_request", Unit::Count),
    (Scope::Endpoint, "top_query_avg_duration", Unit::Seconds),
    (Scope::Endpoint, "top_error_ratio", Unit::Ratio),
    (Scope::Endpoint, "top_client_error_ratio", Unit::Ratio),
    (Scope::Endpoint, "panic_ratio", Unit::Ratio),
    (Scope::Endpoint, "failed_avg_duration", Unit::Seconds),
    (Scope::Endpoint, "ok_avg_duration", Unit::Seconds),
    (Scope::Endpoint, "failing_query_ratio", Unit::Ratio),
    (Scope::Endpoint, "over_threshold_ratio", Unit::Ratio),
    (Scope::Endpoint, "wasted_time", Unit::Seconds),
    (Scope::Endpoint, "wasted_db_time", Unit::Seconds),
    (Scope::Endpoint, "wasted_queries", Unit::Count),
    (Scope::Endpoint, "blocking_polls", Unit::Count),
    (Scope::Endpoint, "blocked_time", Unit::Seconds),
    (Scope::Endpoint, "others_in_flight", Unit::Count),
    (Scope::Endpoint, "max_others_in_flight", Unit::Count),
    (Scope::Endpoint, "top_waiting_polls", Unit::Count),
    (Scope::Endpoint, "scheduling_lag", Unit::Seconds),
    (Scope::Endpoint, "max_scheduling_lag", Unit::Seconds),
    (Scope::Endpoint, "workers", Unit::Count),
    (Scope::Query, "over_threshold_ratio", Unit::Ratio),
    (Scope::Query, "calls", Unit::Count),
    (Scope::Query, "endpoints", Unit::Count),
    (Scope::Query, "top_endpoint_ratio", Unit::Ratio),
    (Scope::Task, "over_threshold_ratio", Unit::Ratio),
    (Scope::Task, "runs", Unit::Count),
    (Scope::Task, "top_failure_ratio", Unit::Ratio),
    (Scope::Task, "panic_ratio", Unit::Ratio),
    (Scope::Task, "failed_avg_duration", Unit::Seconds),
    (Scope::Task, "ok_avg_duration", Unit::Seconds),
    (Scope::Process, "memory_limit", Unit::Bytes),
    (Scope::Process, "time_to_limit", Unit::Seconds),
    (Scope::Process, "open_fds", Unit::Count),
    (Scope::Process, "max_fds", Unit::Count),
    (Scope::Process, "threads", Unit::Count),
    (Scope::Process, "top_blocker_poll", Unit::Seconds),
    (Scope::Process, "top_suspect_growth", Unit::BytesPerHour),
    (Scope::Process, "top_suspect_ratio", Unit::Ratio),
    (Scope::Process, "unattributed_ratio", Unit::Ratio),
    (Scope::Process, "top_holder_memory", Unit::Bytes),
    (Scope::Process, "top_holder_ratio", Unit::Ratio),
    (Scope::Process, "max_scheduling_lag", Unit::Seconds),
    (Scope::Process, "workers", Unit::Count),
];

/// Words of a scope: they can be said, not compared.
const WORDS: &[(Scope, &str)] = &[
    (Scope::Endpoint, "top_query"),
    (Scope::Endpoint, "top_error"),
    (Scope::Endpoint, "top_client_error"),
    (Scope::Endpoint, "failing_query"),
    (Scope::Endpoint, "top_waiting"),
    (Scope::Endpoint, "slowness"),
    (Scope::Query, "slowness"),
    (Scope::Query, "operation"),
    (Scope::Query, "top_endpoint"),
    (Scope::Query, "worst_endpoint"),
    (Scope::Task, "slowness"),
    (Scope::Task, "top_failure"),
    (Scope::Process, "top_blocker"),
    (Scope::Process, "top_suspect"),
    (Scope::Process, "top_holder"),
];

/// Names that every text may use, whatever the scope.
const ALWAYS: &[&str] = &["subject", "value", "threshold", "window", "samples", "severity", "rule"];

/// The facts of a scope that conditions can compare.
pub(crate) fn numbers(scope: Scope) -> Vec<(&'static str, Unit)> {
    let measures = measure::of_scope(scope).filter(|_| scope != Scope::Metric).map(|entry| (entry.name, entry.unit));
    let extra = EXTRA_NUMBERS.iter().filter(|(of, ..)| *of == scope).map(|(_, name, unit)| (*name, *unit));
    measures.chain(extra).collect()
}

/// The facts of a scope that are words.
pub(crate) fn words(scope: Scope) -> impl Iterator<Item = &'static str> {
    WORDS.iter().filter(move |(of, _)| *of == scope).map(|(_, name)| *name)
}

/// The facts of a scope as conditions know them: numbers with their unit, words without.
pub(crate) fn names(scope: Scope) -> Vec<(&'static str, Option<Unit>)> {
    let numbers = numbers(scope).into_iter().map(|(name, unit)| (name, Some(unit)));
    numbers.chain(words(scope).map(|name| (name, None))).collect()
}

/// The names that the texts of a rule may use.
pub(crate) fn placeholders(scope: Scope) -> Vec<&'static str> {
    ALWAYS.iter().copied().chain(names(scope).into_iter().map(|(name, _)| name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_placeholder_means_one_thing() {
        for scope in Scope::ALL {
            let names = placeholders(scope);
            assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{scope:?}");
        }
    }

    #[test]
    fn a_long_fingerprint_is_cut_in_texts() {
        let text = Fact::Word("é".repeat(500).into()).render();
        assert_eq!(text.chars().count(), 120);
        assert!(text.ends_with('…'));
    }
}
