//! Evidence from the windows of this process.
//!
//! Reads, for one subject over a threshold, what a good colleague would look up; [`evidence`](crate::rules::evidence) says what
//! there is to look up. What nobody measured is left out.

use std::sync::Arc;

use super::{
    durations::{Durations, Verdict, divide},
    endpoints::Endpoint,
    memory::MemoryGrowth,
    queries::QueryUse,
    summary::Summary,
};
use crate::{
    names,
    rules::{
        evidence::{Blocker, EndpointShare, Evidence, Fact, OutcomeShare, QueryShare, Suspect, Within},
        fact::{self, NumberFact, WordFact},
        measure::{self, Measure},
        scope::Scope,
        subject::Subject,
    },
    store::Window,
};

/// How many outcomes of a kind, blockers and suspects an evidence names.
const SHOWN: usize = 5;
/// An endpoint is suspected of a leak where it keeps this share of what the process gained …
const SUSPECT_RATIO: f64 = 0.1;
/// … and this much: less than that is a cache or a request in flight.
const SUSPECT_BYTES: f64 = 1e6;

/// A look at one subject.
pub(super) struct Looking<'a, 'w> {
    pub(super) summary: &'a Summary<'w>,
    /// Since the start or the last clear.
    pub(super) total: Option<&'w Window>,
    /// A single observation above this is slow, in seconds.
    pub(super) slow: Option<f64>,
}

impl Looking<'_, '_> {
    pub(super) fn at_endpoint(&self, subject: &Subject) -> Option<Evidence> {
        let endpoints = self.summary.endpoints();
        let place = endpoints.index_of(subject.label(names::METHOD)?, subject.label(names::ROUTE)?)?;
        let endpoint = endpoints.all.get(place)?;
        let mut facts = Facts::default();
        facts.measures(Scope::Endpoint, |measure| endpoint.measure(measure, endpoints));
        facts.number(fact::REQUESTS, Some(endpoint.durations.count() as f64));
        facts.slowness(&endpoint.durations, self.slow);
        let uses = self.summary.uses();
        let by_time = uses.of_endpoint(place);
        if let Some(top) = by_time.first() {
            facts.word(fact::TOP_QUERY, Some(top.query));
            facts.number(fact::TOP_QUERY_TIME_RATIO, uses.time_ratio(top, endpoints));
            facts.number(fact::TOP_QUERY_CALLS_PER_REQUEST, divide(top.calls, top.requests));
            facts.number(fact::TOP_QUERY_AVG_DURATION, divide(top.seconds, top.calls));
        }
        facts.top(&endpoint.durations, Verdict::Failed, fact::TOP_ERROR, fact::TOP_ERROR_RATIO);
        facts.top(&endpoint.durations, Verdict::Refused, fact::TOP_CLIENT_ERROR, fact::TOP_CLIENT_ERROR_RATIO);
        facts.failures(&endpoint.durations);
        if let Some((query, ratio)) = self.failing_query(by_time) {
            facts.word(fact::FAILING_QUERY, Some(query));
            facts.number(fact::FAILING_QUERY_RATIO, Some(ratio));
        }
        if endpoint.durations.cancelled_seconds() > 0.0 {
            facts.number(fact::WASTED_TIME, Some(endpoint.durations.cancelled_seconds()));
            facts.number(fact::WASTED_DB_TIME, Some(endpoint.wasted_db_seconds));
            facts.number(fact::WASTED_QUERIES, Some(endpoint.wasted_queries));
        }
        let blocker = blocker(endpoint);
        if let Some(blocker) = &blocker {
            facts.number(fact::BLOCKING_POLLS, Some(blocker.polls as f64));
            facts.number(fact::BLOCKED_TIME, Some(blocker.seconds));
            facts.number(fact::OTHERS_IN_FLIGHT, blocker.others);
            facts.number(fact::MAX_OTHERS_IN_FLIGHT, blocker.most_others);
            if let Some((waiting, polls)) = blocker.waited.first() {
                facts.word(fact::TOP_WAITING, Some(waiting));
                facts.number(fact::TOP_WAITING_POLLS, Some(*polls as f64));
            }
            facts.number(fact::SCHEDULING_LAG, self.lag(Measure::SchedulingLag));
            facts.number(fact::MAX_SCHEDULING_LAG, self.lag(Measure::Max));
            facts.number(fact::WORKERS, self.summary.gauge(names::TOKIO_WORKERS.name));
        }
        let queries = by_time.iter().map(|query_use| QueryShare {
            query: query_use.query.into(),
            calls: query_use.calls as u64,
            calls_per_request: divide(query_use.calls, query_use.requests),
            seconds: query_use.seconds,
            time_ratio: uses.time_ratio(query_use, endpoints),
        });
        Some(Evidence {
            time_share: endpoint.measure(Measure::TimeShare, endpoints),
            all_seconds: Some(endpoints.seconds),
            all_requests: Some(endpoints.requests),
            split: endpoint.split(),
            queries: queries.collect(),
            outcomes: self.outcomes(&endpoint.durations),
            facts: facts.0,
            endpoints: Vec::new(),
            blockers: blocker.into_iter().collect(),
            suspects: Vec::new(),
        })
    }

    pub(super) fn at_query(&self, subject: &Subject) -> Option<Evidence> {
        let query = self.summary.queries().iter().find(|query| query.subject.name == subject.name)?;
        let (all, uses) = (self.summary.endpoints(), self.summary.uses());
        let seconds = query.durations.seconds();
        let name_of = |place: usize| all.all.get(place).map(|endpoint| endpoint.subject.name.clone());
        let mut facts = Facts::default();
        facts.measures(Scope::Query, |measure| Some(query.measure(measure, all, uses, 1)?.0));
        facts.number(fact::CALLS, Some(query.durations.count() as f64));
        facts.slowness(&query.durations, self.slow);
        facts.word(fact::OPERATION, Some(query.operation).filter(|operation| !operation.is_empty()));
        let by_endpoint = uses.of_query(&subject.name);
        facts.number(fact::ENDPOINTS, Some(by_endpoint.len() as f64));
        if let Some(top) = by_endpoint.first() {
            facts.word(fact::TOP_ENDPOINT, name_of(top.endpoint).as_deref());
            facts.number(fact::TOP_ENDPOINT_RATIO, divide(top.seconds, seconds));
        }
        facts.word(
            fact::WORST_ENDPOINT,
            uses.worst(&subject.name, 1).and_then(|worst| name_of(worst.endpoint)).as_deref(),
        );
        let within = |query_use: &QueryUse<'_>| {
            let durations = &all.all.get(query_use.endpoint)?.durations;
            Some(Within {
                requests: durations.count(),
                avg_duration: divide(durations.seconds(), durations.count() as f64)?,
                time_ratio: uses.time_ratio(query_use, all)?,
            })
        };
        let endpoints = by_endpoint.iter().filter_map(|query_use| {
            Some(EndpointShare {
                endpoint: name_of(query_use.endpoint)?,
                calls: query_use.calls as u64,
                calls_per_request: divide(query_use.calls, query_use.requests),
                seconds: query_use.seconds,
                time_ratio: divide(query_use.seconds, seconds),
                within: within(query_use),
            })
        });
        Some(Evidence {
            time_share: uses.time_share(&subject.name, all),
            all_seconds: Some(all.seconds),
            all_requests: Some(all.requests),
            endpoints: endpoints.collect(),
            outcomes: self.outcomes(&query.durations),
            facts: facts.0,
            ..Evidence::default()
        })
    }

    pub(super) fn at_task(&self, subject: &Subject) -> Option<Evidence> {
        let task = self.summary.tasks().iter().find(|task| task.subject.name == subject.name)?;
        let endpoints = self.summary.endpoints();
        let mut facts = Facts::default();
        facts.measures(Scope::Task, |measure| Some(task.measure(measure, endpoints)?.0));
        facts.number(fact::RUNS, Some(task.durations.count() as f64));
        facts.slowness(&task.durations, self.slow);
        facts.top(&task.durations, Verdict::Failed, fact::TOP_FAILURE, fact::TOP_FAILURE_RATIO);
        facts.failures(&task.durations);
        Some(Evidence {
            time_share: task.measure(Measure::TimeShare, endpoints).map(|(share, _)| share),
            all_seconds: Some(endpoints.seconds),
            all_requests: Some(endpoints.requests),
            outcomes: self.outcomes(&task.durations),
            facts: facts.0,
            ..Evidence::default()
        })
    }

    pub(super) fn at_process(&self, growth: Option<&MemoryGrowth>) -> Option<Evidence> {
        let summary = self.summary;
        let mut facts = Facts::default();
        facts.measures(Scope::Process, |measure| match measure {
            Measure::MemoryGrowth => Some(growth?.bytes_per_hour),
            _ => Some(summary.process(measure)?.0),
        });
        let gauges = [
            (fact::MEMORY_LIMIT, names::PROCESS_MEMORY_LIMIT),
            (fact::OPEN_FDS, names::PROCESS_OPEN_FDS),
            (fact::MAX_FDS, names::PROCESS_MAX_FDS),
            (fact::THREADS, names::PROCESS_THREADS),
            (fact::WORKERS, names::TOKIO_WORKERS),
        ];
        for (fact, metric) in gauges {
            facts.number(fact, summary.gauge(metric.name));
        }
        let room = summary.gauge(names::PROCESS_MEMORY_LIMIT.name).zip(summary.gauge(names::PROCESS_RESIDENT.name));
        if let Some(((limit, resident), growth)) = room.zip(growth) {
            let hours = divide((limit - resident).max(0.0), growth.bytes_per_hour);
            facts.number(fact::TIME_TO_LIMIT, hours.map(|hours| hours * 3600.0));
        }
        facts.number(fact::MAX_SCHEDULING_LAG, self.lag(Measure::Max));
        if let Some((endpoint, poll)) = self.longest_poll() {
            facts.word(fact::TOP_BLOCKER, Some(endpoint));
            facts.number(fact::TOP_BLOCKER_POLL, Some(poll));
        }
        let suspects = self.memory(growth, &mut facts);
        let blockers = self.blockers();
        let all = summary.endpoints();
        Some(Evidence {
            all_seconds: Some(all.seconds),
            all_requests: Some(all.requests),
            facts: facts.0,
            blockers,
            suspects,
            ..Evidence::default()
        })
    }

    /// The endpoint whose requests keep a worker longest at a stretch, all but one in twenty of them at most that long.
    fn longest_poll(&self) -> Option<(&str, f64)> {
        let all = self.summary.endpoints();
        let each = all.all.iter().filter_map(|endpoint| {
            Some((&*endpoint.subject.name, endpoint.measure(Measure::LongestPollQuantile(95), all)?))
        });
        each.max_by(|a, b| a.1.total_cmp(&b.1).then_with(|| b.0.cmp(a.0)))
    }

    /// The endpoints that blocked the runtime, the longest in all first.
    fn blockers(&self) -> Vec<Blocker> {
        let mut blockers: Vec<_> = self.summary.endpoints().all.iter().filter_map(blocker).collect();
        blockers.sort_by(|a, b| b.seconds.total_cmp(&a.seconds).then_with(|| a.endpoint.cmp(&b.endpoint)));
        blockers.truncate(SHOWN);
        blockers
    }

    /// Who holds the most of the memory; and where that grows, the endpoints that keep a real share of what the process
    /// gained, the most first. Since the start where that is known: what a few minutes leave behind is more often a
    /// cache or a request in flight than a leak. What no endpoint keeps nobody is accused of.
    fn memory(&self, growth: Option<&MemoryGrowth>, facts: &mut Facts) -> Vec<Suspect> {
        let since_start = self.total.map(Summary::of);
        let summary = since_start.as_ref().unwrap_or(self.summary);
        let kept = |endpoint: &Endpoint<'_>| endpoint.kept_bytes.filter(|bytes| *bytes > 0.0);
        let mut keeping: Vec<_> =
            summary.endpoints().all.iter().filter_map(|endpoint| Some((endpoint, kept(endpoint)?))).collect();
        keeping.sort_by(|(a, a_kept), (b, b_kept)| {
            b_kept.total_cmp(a_kept).then_with(|| a.subject.name.cmp(&b.subject.name))
        });
        if let Some((holder, bytes)) = keeping.first().filter(|(_, bytes)| *bytes >= SUSPECT_BYTES) {
            let resident = summary.gauge(names::PROCESS_RESIDENT.name).unwrap_or_default();
            facts.word(fact::TOP_HOLDER, Some(&holder.subject.name));
            facts.number(fact::TOP_HOLDER_MEMORY, Some(*bytes));
            facts.number(fact::TOP_HOLDER_RATIO, divide(*bytes, resident).map(|ratio| ratio.min(1.0)));
        }
        let Some(gained) = growth.and_then(|growth| growth.gained_bytes) else { return Vec::new() };
        let hours = summary.window.span().as_secs_f64() / 3600.0;
        let each = keeping.iter().map_while(|(endpoint, bytes)| {
            let ratio = (bytes / gained).min(1.0);
            (ratio >= SUSPECT_RATIO && *bytes >= SUSPECT_BYTES).then_some(Suspect {
                endpoint: endpoint.subject.name.clone(),
                requests: endpoint.durations.count(),
                kept_bytes: *bytes,
                bytes_per_hour: divide(*bytes, hours)?,
                ratio,
            })
        });
        let suspects: Vec<_> = each.take(SHOWN).collect();
        if let Some(top) = suspects.first() {
            facts.word(fact::TOP_SUSPECT, Some(&top.endpoint));
            facts.number(fact::TOP_SUSPECT_GROWTH, Some(top.bytes_per_hour));
            facts.number(fact::TOP_SUSPECT_RATIO, Some(top.ratio));
        }
        if summary.endpoints().all.iter().any(|endpoint| endpoint.kept_bytes.is_some()) {
            let attributed: f64 = suspects.iter().map(|suspect| suspect.ratio).sum();
            facts.number(fact::UNATTRIBUTED_RATIO, Some((1.0 - attributed).max(0.0)));
        }
        suspects
    }

    /// The query of an endpoint whose calls fail most often, and the share that does. Whoever else issues it, they fail.
    fn failing_query(&self, uses: &[QueryUse<'_>]) -> Option<(&str, f64)> {
        let known = self.summary.queries().iter();
        let issued = known.filter(|query| uses.iter().any(|query_use| *query_use.query == *query.subject.name));
        let failing = issued.filter(|query| query.durations.failed() > 0);
        let worst = failing.max_by_key(|query| query.durations.failed())?;
        Some((&worst.subject.name, divide(worst.durations.failed() as f64, worst.durations.count() as f64)?))
    }

    /// The scheduling lag: its 99th percentile, or its maximum.
    fn lag(&self, measure: Measure) -> Option<f64> {
        if measure == Measure::SchedulingLag {
            return Some(self.summary.process(measure)?.0);
        }
        let lags = self.summary.window.series(names::TOKIO_SCHEDULING_LAG.name).find_map(|series| series.histogram());
        lags?.max()
    }

    fn outcomes(&self, durations: &Durations<'_>) -> Vec<OutcomeShare> {
        let all = durations.count() as f64;
        let endings = durations.by_ending();
        // A status that is answered often must not push out the rare one that is looked for.
        let each = Verdict::WORST_FIRST
            .into_iter()
            .flat_map(|verdict| endings.iter().filter(move |known| known.ending.verdict == verdict).take(SHOWN));
        each.map(|known| {
            let seen = known.places.iter().filter_map(|place| self.total?.seen(*place));
            OutcomeShare {
                outcome: known.ending.name.into(),
                count: known.count,
                ratio: known.count as f64 / all,
                seen: seen
                    .reduce(|(first, last), (other_first, other_last)| (first.min(other_first), last.max(other_last))),
            }
        })
        .collect()
    }
}

fn blocker(endpoint: &Endpoint<'_>) -> Option<Blocker> {
    let polls = endpoint.blocking_polls?;
    let others = endpoint.blocked_others;
    let waited = endpoint.waited.iter().take(SHOWN).map(|(name, polls)| (Arc::from(*name), *polls as u64));
    Some(Blocker {
        endpoint: endpoint.subject.name.clone(),
        polls: polls.count(),
        seconds: polls.sum(),
        longest: polls.max(),
        others: others.and_then(|others| divide(others.sum(), others.count() as f64)),
        most_others: others.and_then(|others| others.max()),
        waited: waited.collect(),
    })
}

/// Facts being gathered; what has no value is left out.
#[derive(Default)]
struct Facts(Vec<(&'static str, Fact)>);

impl Facts {
    fn measures(&mut self, scope: Scope, value: impl Fn(Measure) -> Option<f64>) {
        for entry in measure::of_scope(scope) {
            self.number(entry.fact(), value(entry.measure));
        }
    }

    fn number(&mut self, fact: NumberFact, value: Option<f64>) {
        let value = value.filter(|value| value.is_finite());
        self.0.extend(value.map(|value| (fact.name, Fact::Number(value, fact.unit))));
    }

    fn word(&mut self, fact: WordFact, word: Option<&str>) {
        self.0.extend(word.map(|word| (fact.name, Fact::Word(word.into()))));
    }

    /// Whether it is slow always or was slow once.
    fn slowness(&mut self, durations: &Durations<'_>, slow: Option<f64>) {
        let Some(limit) = slow else { return };
        let (above, all) = (durations.count_above(limit), durations.count());
        self.number(fact::OVER_THRESHOLD_RATIO, divide(above as f64, all as f64));
        self.word(fact::SLOWNESS, slowness(above, all));
    }

    /// What tells failures from each other: a panic from an error that was returned, and one that came at once from one
    /// that was waited for.
    fn failures(&mut self, durations: &Durations<'_>) {
        let endings = durations.by_ending();
        let panics = endings.iter().find(|known| known.ending.name == names::PANIC).map_or(0, |known| known.count);
        self.number(fact::PANIC_RATIO, divide(panics as f64, durations.failed() as f64));
        self.number(fact::FAILED_AVG_DURATION, durations.failed_mean());
        self.number(fact::OK_AVG_DURATION, durations.good_mean());
    }

    /// The most frequent ending of a kind, and its share of that kind.
    fn top(&mut self, durations: &Durations<'_>, verdict: Verdict, name: WordFact, ratio: NumberFact) {
        let endings = durations.by_ending();
        let of_kind = || endings.iter().filter(|known| known.ending.verdict == verdict);
        let all: u64 = of_kind().map(|known| known.count).sum();
        if let Some(top) = of_kind().next() {
            self.word(name, Some(top.ending.name));
            self.number(ratio, divide(top.count as f64, all as f64));
        }
    }
}

/// Says how often a limit was passed; nothing where it never was.
fn slowness(above: u64, all: u64) -> Option<&'static str> {
    match above as f64 / all as f64 {
        _ if above == 0 => None,
        _ if above == 1 && all > 1 => Some("once"),
        ratio if ratio >= 0.9 => Some("always"),
        ratio if ratio >= 0.1 => Some("often"),
        _ => Some("rarely"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_always_and_slow_once_are_told_apart() {
        let said = [(0, 9), (1, 1), (1, 2), (1, 1000), (2, 1000), (100, 1000), (899, 1000), (900, 1000), (9, 9)];
        let expected = [
            None,
            Some("always"),
            Some("once"),
            Some("once"),
            Some("rarely"),
            Some("often"),
            Some("often"),
            Some("always"),
            Some("always"),
        ];
        assert_eq!(said.map(|(above, all)| slowness(above, all)), expected);
    }
}
