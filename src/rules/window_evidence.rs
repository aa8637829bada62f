//! Evidence from the windows of this process.
//!
//! Reads, for one subject over a threshold, what a good colleague would look up; [`evidence`](super::evidence) says what
//! there is to look up. What nobody measured is left out.

use super::durations::{Durations, Verdict, divide};
use super::evidence::{Blocker, EndpointShare, Evidence, Fact, OutcomeShare, QueryShare, Suspect, Within};
use super::measure::{self, Measure, Scope};
use super::readings::Subject;
use super::summary::{Endpoint, QueryUse};
use super::unit::Unit;
use super::window_readings::{MemoryGrowth, Summary};
use crate::names;
use crate::store::Window;

/// How many queries, endpoints and outcomes an evidence names.
const SHOWN: usize = 5;

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
        facts.number("requests", Unit::Count, Some(endpoint.durations.count() as f64));
        facts.slowness(&endpoint.durations, self.slow);
        let uses = self.summary.uses();
        let by_time = uses.of_endpoint(place);
        if let Some(top) = by_time.first() {
            facts.word("top_query", Some(top.query));
            facts.number("top_query_time_ratio", Unit::Ratio, uses.time_ratio(top, endpoints));
            facts.number("top_query_calls_per_request", Unit::Count, divide(top.calls, top.requests));
            facts.number("top_query_avg_duration", Unit::Seconds, divide(top.seconds, top.calls));
        }
        facts.top(&endpoint.durations, Verdict::Failed, "top_error", "top_error_ratio");
        facts.top(&endpoint.durations, Verdict::Refused, "top_client_error", "top_client_error_ratio");
        if endpoint.durations.cancelled_seconds() > 0.0 {
            facts.number("wasted_time", Unit::Seconds, Some(endpoint.durations.cancelled_seconds()));
            facts.number("wasted_db_time", Unit::Seconds, Some(endpoint.wasted_db_seconds));
            facts.number("wasted_queries", Unit::Count, Some(endpoint.wasted_queries));
        }
        let blocker = blocker(endpoint);
        if let Some(blocker) = &blocker {
            facts.number("blocking_polls", Unit::Count, Some(blocker.polls as f64));
            facts.number("blocked_time", Unit::Seconds, Some(blocker.seconds));
            facts.number("others_in_flight", Unit::Count, blocker.others);
            facts.number("max_others_in_flight", Unit::Count, blocker.most_others);
            facts.number("scheduling_lag", Unit::Seconds, self.lag(Measure::SchedulingLag));
            facts.number("max_scheduling_lag", Unit::Seconds, self.lag(Measure::Max));
            facts.number("workers", Unit::Count, self.summary.gauge(names::TOKIO_WORKERS.name));
        }
        let seconds = endpoint.durations.seconds();
        let queries = by_time.iter().take(SHOWN).map(|query_use| QueryShare {
            query: query_use.query.into(),
            calls: query_use.calls as u64,
            calls_per_request: divide(query_use.calls, query_use.requests),
            seconds: query_use.seconds,
            time_ratio: uses.time_ratio(query_use, endpoints),
        });
        Some(Evidence {
            time_share: divide(seconds, endpoints.seconds),
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
        facts.number("calls", Unit::Count, Some(query.durations.count() as f64));
        facts.slowness(&query.durations, self.slow);
        facts.word("operation", Some(query.operation).filter(|operation| !operation.is_empty()));
        let by_endpoint = uses.of_query(&subject.name);
        facts.number("endpoints", Unit::Count, Some(by_endpoint.len() as f64));
        if let Some(top) = by_endpoint.first() {
            facts.word("top_endpoint", name_of(top.endpoint).as_deref());
            facts.number("top_endpoint_ratio", Unit::Ratio, divide(top.seconds, seconds));
        }
        facts.word("worst_endpoint", uses.worst(&subject.name, 1).and_then(|worst| name_of(worst.endpoint)).as_deref());
        let within = |query_use: &QueryUse<'_>| {
            let durations = &all.all.get(query_use.endpoint)?.durations;
            Some(Within {
                requests: durations.count(),
                avg_duration: divide(durations.seconds(), durations.count() as f64)?,
                time_ratio: uses.time_ratio(query_use, all)?,
            })
        };
        let endpoints = by_endpoint.iter().take(SHOWN).filter_map(|query_use| {
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
            time_share: divide(seconds, all.seconds),
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
        facts.number("runs", Unit::Count, Some(task.durations.count() as f64));
        facts.slowness(&task.durations, self.slow);
        facts.top(&task.durations, Verdict::Failed, "top_failure", "top_failure_ratio");
        Some(Evidence {
            time_share: divide(task.durations.seconds(), endpoints.seconds),
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
            ("memory_limit", Unit::Bytes, names::PROCESS_MEMORY_LIMIT),
            ("open_fds", Unit::Count, names::PROCESS_OPEN_FDS),
            ("max_fds", Unit::Count, names::PROCESS_MAX_FDS),
            ("threads", Unit::Count, names::PROCESS_THREADS),
            ("workers", Unit::Count, names::TOKIO_WORKERS),
        ];
        for (name, unit, metric) in gauges {
            facts.number(name, unit, summary.gauge(metric.name));
        }
        let room = summary.gauge(names::PROCESS_MEMORY_LIMIT.name).zip(summary.gauge(names::PROCESS_RESIDENT.name));
        if let Some(((limit, resident), growth)) = room.zip(growth) {
            let hours = divide((limit - resident).max(0.0), growth.bytes_per_hour);
            facts.number("time_to_limit", Unit::Seconds, hours.map(|hours| hours * 3600.0));
        }
        facts.number("max_scheduling_lag", Unit::Seconds, self.lag(Measure::Max));
        if let Some((endpoint, poll)) = self.longest_poll() {
            facts.word("top_blocker", Some(endpoint));
            facts.number("top_blocker_poll", Unit::Seconds, Some(poll));
        }
        let suspects = self.suspects();
        if let Some(top) = suspects.first() {
            facts.word("top_suspect", Some(&top.endpoint));
            facts.number("top_suspect_growth", Unit::BytesPerHour, Some(top.bytes_per_hour));
        }
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

    /// The endpoints whose memory grew, the most first: since the start where that is known, since what a few minutes
    /// leave behind is more often a cache or a request in flight than a leak.
    fn suspects(&self) -> Vec<Suspect> {
        let since_start = self.total.map(Summary::of);
        let summary = since_start.as_ref().unwrap_or(self.summary);
        let hours = summary.window.span().as_secs_f64() / 3600.0;
        let each = summary.endpoints().all.iter().filter(|endpoint| endpoint.kept_bytes > 0.0);
        let each = each.filter_map(|endpoint| {
            Some(Suspect {
                endpoint: endpoint.subject.name.clone(),
                requests: endpoint.durations.count(),
                kept_bytes: endpoint.kept_bytes,
                bytes_per_hour: divide(endpoint.kept_bytes, hours)?,
            })
        });
        let mut suspects: Vec<_> = each.collect();
        suspects.sort_by(|a, b| b.kept_bytes.total_cmp(&a.kept_bytes).then_with(|| a.endpoint.cmp(&b.endpoint)));
        suspects.truncate(SHOWN);
        suspects
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
        let each = durations.by_ending().into_iter().take(SHOWN);
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
    Some(Blocker {
        endpoint: endpoint.subject.name.clone(),
        polls: polls.count(),
        seconds: polls.sum(),
        longest: polls.max(),
        others: others.and_then(|others| divide(others.sum(), others.count() as f64)),
        most_others: others.and_then(|others| others.max()),
    })
}

/// Facts being gathered; what has no value is left out.
#[derive(Default)]
struct Facts(Vec<(&'static str, Fact)>);

impl Facts {
    fn measures(&mut self, scope: Scope, value: impl Fn(Measure) -> Option<f64>) {
        for entry in measure::of_scope(scope) {
            self.number(entry.name, entry.unit, value(entry.measure));
        }
    }

    fn number(&mut self, name: &'static str, unit: Unit, value: Option<f64>) {
        let value = value.filter(|value| value.is_finite());
        self.0.extend(value.map(|value| (name, Fact::Number(value, unit))));
    }

    fn word(&mut self, name: &'static str, word: Option<&str>) {
        self.0.extend(word.map(|word| (name, Fact::Word(word.into()))));
    }

    /// Whether it is slow always or was slow once.
    fn slowness(&mut self, durations: &Durations<'_>, slow: Option<f64>) {
        let Some(limit) = slow else { return };
        let (above, all) = (durations.count_above(limit), durations.count());
        self.number("over_threshold_ratio", Unit::Ratio, divide(above as f64, all as f64));
        self.word("slowness", slowness(above, all));
    }

    /// The most frequent ending of a kind, and its share of that kind.
    fn top(&mut self, durations: &Durations<'_>, verdict: Verdict, name: &'static str, ratio: &'static str) {
        let endings = durations.by_ending();
        let of_kind = || endings.iter().filter(|known| known.ending.verdict == verdict);
        let all: u64 = of_kind().map(|known| known.count).sum();
        if let Some(top) = of_kind().next() {
            self.word(name, Some(top.ending.name));
            self.number(ratio, Unit::Ratio, divide(top.count as f64, all as f64));
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
