//! What is known about a subject that is over a threshold: the start of an investigation.
//!
//! Rule files use the named facts in `if:` conditions and in texts; their names stand in the catalogue of
//! [`fact`](super::fact). The lists beside them are shown by the API and the report only. A fact that was not measured is
//! absent, never zero.

use std::sync::Arc;

use tokio::time::Instant;

use super::{condition::Value, slo::RequestCounts, unit::Unit};
use crate::context::Part;

/// Where the time of an endpoint went, in seconds: parts that add up to its whole duration.
///
/// Time in which several of them overlap counts once, for the first in the order of [`Part`], and for `busy` only where none
/// of them covers it. So `busy` is what is computed outside queries, calls, waits and tasks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Split {
    pub(crate) parts: [f64; Part::COUNT],
    pub(crate) busy: f64,
    /// The rest: it waited for something that is not tracked.
    pub(crate) unknown: f64,
}

impl Split {
    /// Divides `all` seconds among the parts and the time inside poll outside of them. The counters are read one after the other
    /// while requests end, so that a part can exceed what is left by a little.
    pub(crate) fn new(all: f64, parts: [f64; Part::COUNT], busy: f64) -> Self {
        let mut left = all;
        let mut take = |seconds: f64| {
            let seconds = seconds.clamp(0.0, left);
            left -= seconds;
            seconds
        };
        Self { parts: parts.map(&mut take), busy: take(busy), unknown: left }
    }

    pub(crate) fn of(&self, part: Part) -> f64 {
        self.parts[part as usize]
    }

    /// Returns the whole duration.
    pub(crate) fn all(&self) -> f64 {
        self.parts.iter().sum::<f64>() + self.busy + self.unknown
    }
}

/// Everything known about one subject in one window, gathered by
/// [`Readings::evidence`](super::readings::Readings::evidence).
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Evidence {
    /// Named values: each measure of the scope that has data, and those that [`fact`](super::fact) adds.
    pub(crate) facts: Vec<(&'static str, Fact)>,
    /// Share of the time that all requests took, 0 to 1; findings are ranked by it within a severity. Work outside
    /// requests has none.
    pub(crate) time_share: Option<f64>,
    /// Time that all requests of the service took, in seconds.
    pub(crate) all_seconds: Option<f64>,
    /// How many requests it had, those that matched no route included.
    pub(crate) all_requests: Option<u64>,
    /// Endpoint and task: where its time went.
    pub(crate) split: Option<Split>,
    /// Endpoint: all of its queries, the most expensive first.
    pub(crate) queries: Vec<QueryShare>,
    /// Endpoint: what else it uses (services, tasks, waits), by part, the most time first.
    pub(crate) uses: Vec<UseShare>,
    /// Query: all the endpoints behind it, the most expensive first.
    pub(crate) endpoints: Vec<EndpointShare>,
    /// Endpoint: how its requests ended. Task: how its runs ended. Failures first, and of each kind the most frequent.
    pub(crate) outcomes: Vec<OutcomeShare>,
    /// Endpoint and process: endpoints that kept a worker of the runtime from other work, the longest in all first.
    pub(crate) blockers: Vec<Blocker>,
    /// Process whose memory grows: endpoints that keep a real share of what it gained, the most first.
    pub(crate) suspects: Vec<Suspect>,
    /// Service-level objective: endpoints with bad requests in the last hour, those with the most first.
    pub(crate) worst: Vec<(Arc<str>, RequestCounts)>,
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
    /// Returns the value as conditions compare it.
    pub(crate) fn value(&self) -> Value {
        match self {
            Self::Number(value, _) => Value::Number(*value),
            Self::Word(word) => Value::Word(word.clone()),
        }
    }

    /// Writes the value for people. A long fingerprint is cut; the evidence has the whole of it.
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

/// Something with a name that an endpoint uses: a service that it calls, a task, or what it waits for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct UseShare {
    pub(crate) part: Part,
    pub(crate) name: Arc<str>,
    pub(crate) calls: u64,
    pub(crate) failed: u64,
    /// Requests that used it at all.
    pub(crate) requests: u64,
    /// Over these requests.
    pub(crate) calls_per_request: Option<f64>,
    pub(crate) seconds: f64,
    /// Seconds in which nothing else of the request ran: what a request would no longer take without it.
    pub(crate) alone_seconds: f64,
    /// Seconds that what was waited for was held afterwards.
    pub(crate) held_seconds: f64,
    /// Who holds it longest, the endpoint itself or another; `None` where no hold was measured.
    pub(crate) holder: Option<Holder>,
    /// Of the endpoint's whole duration; those of uses at the same time add up to more than their common time.
    pub(crate) time_ratio: Option<f64>,
    /// How many ran at once in one request, at most; 1 where they followed one another.
    pub(crate) most_at_once: u64,
    /// Where in the service's code it was tracked last.
    pub(crate) place: Option<&'static str>,
}

/// Who holds what is waited for, for the most time in all: that is what a queue waits for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Holder {
    pub(crate) who: HeldBy,
    /// Mean duration of a hold, in seconds.
    pub(crate) avg_seconds: f64,
    /// Share of all the time that it is held, 0 to 1.
    pub(crate) ratio: f64,
    /// Where in the service's code it is taken.
    pub(crate) place: Option<&'static str>,
}

/// An owner of holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HeldBy {
    Endpoint(Arc<str>),
    Task(Arc<str>),
    /// Work that counts for no request and no tracked task.
    Others,
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
    /// Seconds in which nothing else of the request ran: what a request would no longer take without it.
    pub(crate) alone_seconds: f64,
    pub(crate) failed: u64,
    /// Calls that were the very same as one shortly before in their request, of those whose text is all of the statement.
    pub(crate) repeats: u64,
    /// How many ran at once in one request, at most; 1 where they followed one another.
    pub(crate) most_at_once: u64,
    /// Where in the service's code it was tracked last.
    pub(crate) place: Option<&'static str>,
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
    /// Share of it in which nothing but the query ran: what a request would no longer take without it.
    pub(crate) alone_ratio: f64,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_fingerprint_is_cut_in_texts() {
        let text = Fact::Word("é".repeat(500).into()).render();
        assert_eq!(text.chars().count(), 120);
        assert!(text.ends_with('…'));
    }
}
