//! [`Investigation`]: evidence about one subject, from the windows of this process.
//!
//! Runs only for subjects over a threshold, so it may look at everything a window has. It fills what
//! [`Evidence`](crate::rules::evidence::Evidence) has room for, and leaves out what was not measured.

use std::sync::Arc;

use super::{
    durations::{Durations, divide, quantile},
    endpoints::{Endpoint, Endpoints},
    facts::Facts,
    growth::ProcessCounts,
    index::WindowIndex,
    machine,
    memory::MemoryGrowth,
    memory_holders::MemoryHolders,
    queries::{Use, Uses},
};
use crate::{
    names,
    rules::{
        evidence::{Blocker, EndpointShare, Evidence, OutcomeShare, QueryShare, UseShare, Within},
        fact,
        measure::Measure,
        scope::Scope,
        subject::Subject,
    },
    store::{OutcomeClass, Window},
};

/// Number of outcomes of each class, and of blockers, that an evidence names.
const SHOWN: usize = 5;

/// The investigation of one subject over a threshold.
pub(super) struct Investigation<'a, 'w> {
    pub(super) index: &'a WindowIndex<'w>,
    /// The window since the start or the last clear.
    pub(super) total: Option<&'w Window>,
    /// How counts of the process grew.
    pub(super) counts: Option<&'w ProcessCounts>,
    /// A single observation above this is slow, in seconds.
    pub(super) slow: Option<f64>,
}

impl Investigation<'_, '_> {
    /// Returns the evidence about an endpoint; `None` where it had no requests.
    pub(super) fn endpoint(&self, subject: &Subject) -> Option<Evidence> {
        let (endpoints, uses) = (self.index.endpoints(), self.index.uses());
        let place = endpoints.index_of(subject.label(names::METHOD)?, subject.label(names::ROUTE)?)?;
        let endpoint = endpoints.all.get(place)?;
        let by_time = uses.of_endpoint(place);
        let blocker = blocker(endpoint);
        let mut facts = Facts::default();
        facts.measures(Scope::Endpoint, |measure| endpoint.measure(measure, endpoints));
        facts.number(fact::REQUESTS, Some(endpoint.durations.count() as f64));
        facts.slowness(&endpoint.durations, self.slow);
        facts.spread(&endpoint.durations);
        facts.cut_short(&endpoint.durations);
        facts.number(fact::HEAD_DURATION, endpoint.head_seconds);
        let in_queries: f64 = by_time.iter().map(|query_use| query_use.seconds).sum();
        facts.number(fact::DB_OVERLAP, divide(in_queries, endpoint.db_seconds));
        add_top_query(&mut facts, by_time, uses, endpoints);
        facts.top(&endpoint.durations, OutcomeClass::Failure, fact::TOP_ERROR, fact::TOP_ERROR_RATIO);
        facts.top(&endpoint.durations, OutcomeClass::Refusal, fact::TOP_CLIENT_ERROR, fact::TOP_CLIENT_ERROR_RATIO);
        facts.failures(&endpoint.durations);
        add_failing_query(&mut facts, by_time);
        if endpoint.durations.cancelled_seconds() > 0.0 {
            facts.number(fact::WASTED_TIME, Some(endpoint.durations.cancelled_seconds()));
            facts.number(fact::WASTED_DB_TIME, Some(endpoint.wasted_db_seconds));
            facts.number(fact::WASTED_QUERIES, Some(endpoint.wasted_queries));
        }
        let others: Vec<_> = uses.others(place).iter().map(|used| self.use_share(used, endpoint)).collect();
        facts.holder(&others);
        let blocked = blocker.as_ref().map_or(0.0, |blocker| blocker.seconds);
        endpoint.polls.add_to(&mut facts, endpoint.durations.seconds(), endpoint.busy_seconds, blocked);
        machine::add_starvation(&mut facts, self.index);
        if let Some(blocker) = &blocker {
            self.add_blocking(&mut facts, blocker);
        }
        let queries = by_time.iter().map(|query_use| QueryShare {
            query: query_use.name.into(),
            calls: query_use.calls as u64,
            calls_per_request: divide(query_use.calls, query_use.requests),
            seconds: query_use.seconds,
            time_ratio: uses.time_ratio(query_use, endpoints),
            alone_seconds: query_use.alone_seconds,
            failed: query_use.failed as u64,
            repeats: query_use.repeats as u64,
            most_at_once: query_use.most_at_once as u64,
            place: query_use.place,
        });
        Some(Evidence {
            uses: others,
            time_share: endpoint.measure(Measure::TimeShare, endpoints),
            all_seconds: Some(endpoints.seconds),
            all_requests: Some(endpoints.requests),
            split: endpoint.split(),
            queries: queries.collect(),
            outcomes: self.outcomes(&endpoint.durations),
            facts: facts.into_vec(),
            blockers: blocker.into_iter().collect(),
            ..Evidence::default()
        })
    }

    /// Returns the evidence about a query; `None` where it was not called.
    pub(super) fn query(&self, subject: &Subject) -> Option<Evidence> {
        let query = self.index.queries().iter().find(|query| query.subject.name == subject.name)?;
        let (endpoints, uses) = (self.index.endpoints(), self.index.uses());
        let by_endpoint = uses.of_query(&subject.name);
        let seconds = query.durations.seconds();
        let name_of = |place: usize| endpoints.all.get(place).map(|endpoint| endpoint.subject().name.clone());
        let mut facts = Facts::default();
        facts.measures(Scope::Query, |measure| Some(query.measure(measure, endpoints, uses, 1)?.0));
        facts.number(fact::CALLS, Some(query.durations.count() as f64));
        facts.number(fact::MAX_AT_ONCE, query.at_once.and_then(|at_once| at_once.max()));
        facts.slowness(&query.durations, self.slow);
        facts.spread(&query.durations);
        facts.failed(&query.durations);
        facts.word(fact::OPERATION, Some(query.operation).filter(|operation| !operation.is_empty()));
        facts.number(fact::ENDPOINTS, Some(by_endpoint.len() as f64));
        if let Some(top) = by_endpoint.first() {
            facts.word(fact::TOP_ENDPOINT, name_of(top.endpoint).as_deref());
            facts.number(fact::TOP_ENDPOINT_RATIO, divide(top.seconds, seconds));
        }
        let worst = uses.worst(&subject.name, 1);
        facts.number(fact::REPEAT_RATIO, worst.and_then(|worst| divide(worst.repeats, worst.calls)));
        let worst = worst.and_then(|worst| name_of(worst.endpoint));
        facts.word(fact::WORST_ENDPOINT, worst.as_deref());
        let shares = by_endpoint.iter().filter_map(|query_use| {
            Some(EndpointShare {
                endpoint: name_of(query_use.endpoint)?,
                calls: query_use.calls as u64,
                calls_per_request: divide(query_use.calls, query_use.requests),
                seconds: query_use.seconds,
                time_ratio: divide(query_use.seconds, seconds),
                within: within(query_use, uses, endpoints),
            })
        });
        Some(Evidence {
            time_share: uses.time_share(&subject.name, endpoints),
            all_seconds: Some(endpoints.seconds),
            all_requests: Some(endpoints.requests),
            endpoints: shares.collect(),
            outcomes: self.outcomes(&query.durations),
            facts: facts.into_vec(),
            ..Evidence::default()
        })
    }

    /// Returns the evidence about a task; `None` where it did not run.
    pub(super) fn task(&self, subject: &Subject) -> Option<Evidence> {
        let task = self.index.tasks().iter().find(|task| task.subject.name == subject.name)?;
        let endpoints = self.index.endpoints();
        let mut facts = Facts::default();
        facts.measures(Scope::Task, |measure| Some(task.measure(measure, endpoints)?.0));
        facts.number(fact::RUNS, Some(task.durations.count() as f64));
        facts.slowness(&task.durations, self.slow);
        facts.spread(&task.durations);
        facts.cut_short(&task.durations);
        facts.top(&task.durations, OutcomeClass::Failure, fact::TOP_FAILURE, fact::TOP_FAILURE_RATIO);
        facts.failures(&task.durations);
        let blocking = task.blocking_polls;
        facts.number(fact::BLOCKING_POLLS, blocking.map(|polls| polls.count() as f64));
        facts.number(fact::BLOCKED_TIME, blocking.map(|polls| polls.sum()));
        let blocked = blocking.map_or(0.0, |polls| polls.sum());
        task.polls.add_to(&mut facts, task.durations.seconds(), task.busy_seconds, blocked);
        machine::add_starvation(&mut facts, self.index);
        Some(Evidence {
            split: task.split(),
            time_share: task.measure(Measure::TimeShare, endpoints).map(|(share, _)| share),
            all_seconds: Some(endpoints.seconds),
            all_requests: Some(endpoints.requests),
            outcomes: self.outcomes(&task.durations),
            facts: facts.into_vec(),
            ..Evidence::default()
        })
    }

    /// Returns the evidence about the process.
    pub(super) fn process(&self, growth: Option<&MemoryGrowth>) -> Evidence {
        let (index, endpoints) = (self.index, self.index.endpoints());
        let mut facts = Facts::default();
        facts.measures(Scope::Process, |measure| match measure {
            Measure::MemoryGrowth => Some(growth?.bytes_per_hour),
            _ => Some(index.process(measure)?.0),
        });
        let gauges = [
            (fact::MEMORY_LIMIT, names::PROCESS_MEMORY_LIMIT),
            (fact::OPEN_FDS, names::PROCESS_OPEN_FDS),
            (fact::MAX_FDS, names::PROCESS_MAX_FDS),
            (fact::THREADS, names::PROCESS_THREADS),
            (fact::WORKERS, names::TOKIO_WORKERS),
            (fact::ALIVE_TASKS, names::TOKIO_ALIVE_TASKS),
        ];
        for (fact, metric) in gauges {
            facts.number(fact, index.gauge(metric.name));
        }
        facts.number(fact::TIME_TO_LIMIT, growth.and_then(|growth| self.seconds_to_limit(growth)));
        facts.number(fact::MAX_SCHEDULING_LAG, self.max_lag());
        // Where no query is tracked, how many run is not known.
        let running = Some(index.queries()).filter(|queries| !queries.is_empty());
        let running = running.map(|queries| queries.iter().map(|query| query.durations.seconds()).sum::<f64>());
        facts.number(fact::RUNNING_QUERIES, running.and_then(|running| divide(running, endpoints.span.as_secs_f64())));
        machine::add_lag_origin(&mut facts, index);
        machine::add_starvation(&mut facts, index);
        machine::add_cpus(&mut facts, index);
        machine::add_descriptors(&mut facts, index, self.counts);
        if let Some((endpoint, poll)) = self.longest_poll() {
            facts.word(fact::TOP_BLOCKER, Some(endpoint));
            facts.number(fact::TOP_BLOCKER_POLL, Some(poll));
        }
        if let Some((task, poll)) = self.top_blocking_task() {
            facts.word(fact::TOP_BLOCKING_TASK, Some(task));
            facts.number(fact::TOP_BLOCKING_TASK_POLL, poll);
        }
        facts.word(fact::TOP_UNMATCHED_ERROR, index.unmatched().top_error);
        let since_start = self.total.map(WindowIndex::of);
        let holders = MemoryHolders::of(since_start.as_ref().unwrap_or(index));
        holders.add_top(&mut facts);
        let suspects = holders.suspects(growth, &mut facts);
        Evidence {
            all_seconds: Some(endpoints.seconds),
            all_requests: Some(endpoints.requests),
            facts: facts.into_vec(),
            blockers: self.blockers(),
            suspects,
            ..Evidence::default()
        }
    }

    /// Adds how an endpoint blocks the runtime, and which others were in flight then.
    fn add_blocking(&self, facts: &mut Facts, blocker: &Blocker) {
        facts.number(fact::BLOCKING_POLLS, Some(blocker.polls as f64));
        facts.number(fact::BLOCKED_TIME, Some(blocker.seconds));
        facts.number(fact::OTHERS_IN_FLIGHT, blocker.others);
        facts.number(fact::MAX_OTHERS_IN_FLIGHT, blocker.most_others);
        if let Some((waiting, polls)) = blocker.waited.first() {
            facts.word(fact::TOP_WAITING, Some(waiting));
            facts.number(fact::TOP_WAITING_POLLS, Some(*polls as f64));
        }
        facts.number(fact::SCHEDULING_LAG, self.index.process(Measure::SchedulingLag).map(|(lag, _)| lag));
        facts.number(fact::MAX_SCHEDULING_LAG, self.max_lag());
        facts.number(fact::WORKERS, self.index.gauge(names::TOKIO_WORKERS.name));
    }

    /// Returns what an endpoint uses beside queries.
    fn use_share(&self, used: &Use<'_>, endpoint: &Endpoint<'_>) -> UseShare {
        UseShare {
            part: used.part,
            name: used.name.into(),
            calls: used.calls as u64,
            failed: used.failed as u64,
            requests: used.requests as u64,
            calls_per_request: divide(used.calls, used.requests),
            seconds: used.seconds,
            alone_seconds: used.alone_seconds,
            held_seconds: used.held_seconds,
            holder: self.index.holders().longest(used.name),
            time_ratio: divide(used.seconds, endpoint.durations.seconds()),
            most_at_once: used.most_at_once as u64,
            place: used.place,
        }
    }

    /// Returns the outcomes of each class, the most frequent first, with the first and last time of each.
    fn outcomes(&self, durations: &Durations<'_>) -> Vec<OutcomeShare> {
        let all = durations.count() as f64;
        let counts = durations.by_outcome();
        // By class, so that a frequent status does not push out the rare failure that the reader looks for.
        let each = OutcomeClass::WORST_FIRST
            .into_iter()
            .flat_map(|class| counts.iter().filter(move |known| known.outcome.class == class).take(SHOWN));
        each.map(|known| {
            let seen = known.places.iter().filter_map(|place| self.total?.seen(*place));
            OutcomeShare {
                outcome: known.outcome.name.into(),
                count: known.count,
                ratio: known.count as f64 / all,
                seen: seen
                    .reduce(|(first, last), (other_first, other_last)| (first.min(other_first), last.max(other_last))),
            }
        })
        .collect()
    }

    /// Returns in how many seconds the memory reaches its limit at this pace.
    fn seconds_to_limit(&self, growth: &MemoryGrowth) -> Option<f64> {
        let limit = self.index.gauge(names::PROCESS_MEMORY_LIMIT.name)?;
        let used = self.index.memory_towards_limit()?;
        let hours = divide((limit - used).max(0.0), growth.bytes_per_hour)?;
        Some(hours * 3600.0)
    }

    /// Returns the longest scheduling lag, in seconds.
    fn max_lag(&self) -> Option<f64> {
        self.index.scheduling_lag()?.max()
    }

    /// Returns the endpoint with the highest 95th percentile of its requests' longest polls, and that percentile. The
    /// 95th and not the maximum: one request that was preempted is no reason to name an endpoint.
    fn longest_poll(&self) -> Option<(&str, f64)> {
        let endpoints = self.index.endpoints();
        let each = endpoints.all.iter().filter_map(|endpoint| {
            Some((&*endpoint.subject().name, endpoint.measure(Measure::LongestPollQuantile(95), endpoints)?))
        });
        each.max_by(|a, b| a.1.total_cmp(&b.1).then_with(|| b.0.cmp(a.0)))
    }

    /// Returns the tracked task with the most time in polls that blocked a worker, and the 95th percentile of these polls.
    fn top_blocking_task(&self) -> Option<(&str, Option<f64>)> {
        let each = self.index.tasks().iter().filter_map(|task| Some((&*task.subject.name, task.blocking_polls?)));
        let (task, polls) = each.max_by(|a, b| a.1.sum().total_cmp(&b.1.sum()).then_with(|| b.0.cmp(a.0)))?;
        Some((task, polls.quantile(quantile(95)?)))
    }

    /// Returns the endpoints that blocked the runtime, those with the most time in blocking polls first.
    fn blockers(&self) -> Vec<Blocker> {
        let mut blockers: Vec<_> = self.index.endpoints().all.iter().filter_map(blocker).collect();
        blockers.sort_by(|a, b| b.seconds.total_cmp(&a.seconds).then_with(|| a.endpoint.cmp(&b.endpoint)));
        blockers.truncate(SHOWN);
        blockers
    }
}

/// Adds the most expensive query of an endpoint.
/// Adds the query whose calls fail most often in requests of the endpoint.
fn add_failing_query(facts: &mut Facts, uses: &[Use<'_>]) {
    let failing = uses.iter().filter(|used| used.failed > 0.0);
    let Some(worst) = failing.max_by(|a, b| a.failed.total_cmp(&b.failed)) else { return };
    facts.word(fact::FAILING_QUERY, Some(worst.name));
    facts.number(fact::FAILING_QUERY_CALLS, Some(worst.failed));
    facts.number(fact::FAILING_QUERY_RATIO, divide(worst.failed, worst.calls));
}

fn add_top_query(facts: &mut Facts, by_time: &[Use<'_>], uses: &Uses<'_>, endpoints: &Endpoints<'_>) {
    let Some(top) = by_time.first() else { return };
    facts.word(fact::TOP_QUERY, Some(top.name));
    facts.number(fact::TOP_QUERY_TIME_RATIO, uses.time_ratio(top, endpoints));
    facts.number(fact::TOP_QUERY_CALLS_PER_REQUEST, divide(top.calls, top.requests));
    facts.number(fact::TOP_QUERY_AVG_DURATION, divide(top.seconds, top.calls));
}

/// Returns what a query takes of the requests of one of its endpoints.
fn within(query_use: &Use<'_>, uses: &Uses<'_>, endpoints: &Endpoints<'_>) -> Option<Within> {
    let durations = &endpoints.all.get(query_use.endpoint)?.durations;
    Some(Within {
        requests: durations.count(),
        avg_duration: divide(durations.seconds(), durations.count() as f64)?,
        time_ratio: uses.time_ratio(query_use, endpoints)?,
        alone_ratio: divide(query_use.alone_seconds, durations.seconds())?,
    })
}

/// Returns how an endpoint blocked the runtime; `None` where it did not.
fn blocker(endpoint: &Endpoint<'_>) -> Option<Blocker> {
    let polls = endpoint.blocking_polls?;
    let others = endpoint.blocked_others;
    let waited = endpoint.waited.iter().take(SHOWN).map(|(name, polls)| (Arc::from(*name), *polls as u64));
    Some(Blocker {
        endpoint: endpoint.subject().name.clone(),
        polls: polls.count(),
        seconds: polls.sum(),
        longest: polls.max(),
        others: others.and_then(|others| divide(others.sum(), others.count() as f64)),
        most_others: others.and_then(|others| others.max()),
        waited: waited.collect(),
    })
}
