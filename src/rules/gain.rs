//! [`Gain`]: what fixing a bottleneck is expected to save.
//!
//! It is computed from the evidence alone: the time that was measured, less the part that the fix removes. Every gain says
//! how it was computed; where the evidence does not suffice there is none. Each assumption is a constant of this file.
//! Invariant: a gain never promises more than the time that was measured.

use std::sync::Arc;

use super::{
    evidence::{Blocker, Evidence},
    fact,
    measure::Measure,
    scope::Scope,
    unit::Unit,
};
use crate::context::Part;

/// What a call of a query takes once it is fixed, in seconds. A lookup by index of rows in memory takes well under a
/// millisecond and the round trip to the database about one; 5 ms is more than both, so that no gain is
/// overstated.
const FIXED_CALL: f64 = 0.005;
/// Calls of one query in a request that are taken for one too many, as the rule `n_plus_one` has it.
const TOO_MANY_CALLS: f64 = 5.0;
/// Gains below this share of what there is now are lost in the noise.
const SMALLEST: f64 = 0.05;
/// A limit that is reached later than this is not about to be reached, in seconds.
const SOON: f64 = 24.0 * 3600.0;

/// What fixing a bottleneck is expected to gain.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gain {
    /// What is fixed: bottlenecks with one cause are fixed together.
    pub(crate) cause: Cause,
    /// The endpoint that gains most.
    pub(crate) endpoint: Option<Arc<str>>,
    /// Now, in `unit`.
    pub(crate) from: f64,
    /// Afterwards, about.
    pub(crate) to: f64,
    pub(crate) unit: Unit,
    /// How much of the service gets better: the share of the time of all requests that is saved, or of all requests that
    /// no longer fail.
    pub(crate) share: f64,
    /// As people say it: `takes GET /orders from 1.2s to about 200ms`.
    pub(crate) summary: String,
    pub(crate) how: String,
}

/// What one fix takes away.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cause {
    /// A query is slow or issued too often.
    Query(Arc<str>),
    /// An endpoint waits for its tasks.
    Tasks(Arc<str>),
    /// An endpoint fails.
    Errors(Arc<str>),
    /// An endpoint works for clients that disconnected.
    Abandoned(Arc<str>),
    /// An endpoint blocks the runtime.
    Blocking(Arc<str>),
    /// The memory grows.
    Memory,
}

/// Computes the gain from the evidence of a finding; `subject` is its name.
pub(crate) fn gain(scope: Scope, measure: Measure, subject: &Arc<str>, evidence: &Evidence) -> Option<Gain> {
    let gain = match (scope, measure) {
        (Scope::Endpoint, Measure::ErrorRatio) => errors(subject, evidence),
        (Scope::Endpoint, Measure::CancelledRatio | Measure::WastedTimeRatio) => abandoned(subject, evidence),
        (Scope::Endpoint, Measure::LongestPoll | Measure::LongestPollQuantile(_))
        | (Scope::Process, Measure::SchedulingLag) => blocking(evidence),
        (Scope::Endpoint, Measure::ClientErrorRatio | Measure::Rate) => None,
        (Scope::Endpoint, _) => slow_endpoint(subject, evidence),
        (Scope::Query, Measure::ErrorRatio | Measure::CancelledRatio) => None,
        (Scope::Query, _) => query(subject, evidence),
        (Scope::Process, Measure::MemoryGrowth | Measure::MemoryLimitRatio | Measure::ResidentMemory) => {
            memory(evidence)
        }
        (Scope::Process | Scope::Task | Scope::Metric, _) => None,
    };
    gain.filter(|gain| gain.share.is_finite() && gain.share > 0.0)
}

/// What a query means to the requests of one endpoint.
struct Use<'a> {
    endpoint: &'a Arc<str>,
    requests: f64,
    /// Mean duration of a request.
    duration: f64,
    /// Share of it that the query takes.
    time_ratio: f64,
    /// Share of it in which nothing else ran: no fix of this query saves more.
    alone_ratio: f64,
    /// Mean duration of a call.
    call: f64,
    calls: f64,
    calls_per_request: f64,
}

/// A request of an endpoint before and after a fix, in seconds.
struct Change {
    from: f64,
    to: f64,
    /// Over all requests.
    saved: f64,
    how: String,
}

impl Use<'_> {
    /// A request once the query is fixed; `None` where that changes little.
    fn fixed(&self) -> Option<Change> {
        let now = self.duration * self.time_ratio;
        let alone = (self.duration * self.alone_ratio).min(now);
        let calls = self.calls / self.requests;
        let (after, how) = if self.calls_per_request > TOO_MANY_CALLS {
            // Of calls side by side one takes as long as all of them.
            let after = self.call.min(now);
            (
                after,
                format!(
                    "{} calls in one request take {} of it; one call in their place takes as long as one of them, \
                     {}; what they wait outside the database is saved on top",
                    count(self.calls_per_request),
                    seconds(now),
                    seconds(after),
                ),
            )
        } else {
            let after = now.min(calls * FIXED_CALL);
            (
                after,
                format!(
                    "{} of {} a request are spent in it, in {} a request; with a fitting index or from a cache a call takes {} or less",
                    seconds(now),
                    seconds(self.duration),
                    if calls == 1.0 { "one call".to_owned() } else { format!("{} calls", count(calls)) },
                    seconds(FIXED_CALL),
                ),
            )
        };
        let saved = (alone - after).max(0.0);
        let change = Change { from: self.duration, to: self.duration - saved, saved: saved * self.requests, how };
        (saved >= SMALLEST * self.duration).then_some(change)
    }
}

fn query(subject: &Arc<str>, evidence: &Evidence) -> Option<Gain> {
    let uses = evidence.endpoints.iter().filter_map(|share| {
        let within = share.within?;
        Some(Use {
            endpoint: &share.endpoint,
            requests: within.requests as f64,
            duration: within.avg_duration,
            time_ratio: within.time_ratio,
            alone_ratio: within.alone_ratio,
            call: share.seconds / share.calls as f64,
            calls: share.calls as f64,
            calls_per_request: share.calls_per_request?,
        })
    });
    let mut changes: Vec<_> = uses.filter_map(|used| Some((used.endpoint.clone(), used.fixed()?))).collect();
    changes.sort_by(|(_, a), (_, b)| b.saved.total_cmp(&a.saved));
    let saved: f64 = changes.iter().map(|(_, change)| change.saved).sum();
    let others = changes.len().saturating_sub(1);
    let (endpoint, best) = changes.into_iter().next()?;
    let mut gain = faster(Cause::Query(subject.clone()), endpoint, best, saved, evidence)?;
    if others > 0 {
        gain.summary += &format!(", and {others} more endpoint{}", if others == 1 { "" } else { "s" });
    }
    Some(gain)
}

fn slow_endpoint(subject: &Arc<str>, evidence: &Evidence) -> Option<Gain> {
    let (requests, duration) = (evidence.number(fact::REQUESTS.name)?, evidence.number(fact::AVG_DURATION.name)?);
    let queries = evidence.queries.iter().filter_map(|share| {
        let used = Use {
            endpoint: subject,
            requests,
            duration,
            time_ratio: share.time_ratio?,
            alone_ratio: share.alone_seconds / (requests * duration),
            call: share.seconds / share.calls as f64,
            calls: share.calls as f64,
            calls_per_request: share.calls_per_request?,
        };
        Some((Cause::Query(share.query.clone()), used.fixed()?))
    });
    let tasks = evidence.number(fact::TASK_TIME_RATIO.name).filter(|ratio| *ratio >= SMALLEST).map(|ratio| {
        let in_tasks = duration * ratio;
        if let Some(longest) = longest_of_sequence(evidence) {
            let after = in_tasks * longest;
            let how = format!(
                "{} of {} a request are spent in tasks one after another; together they take as long as the longest, {}",
                seconds(in_tasks),
                seconds(duration),
                seconds(after),
            );
            let saved = in_tasks - after;
            let change = Change { from: duration, to: duration - saved, saved: saved * requests, how };
            return (Cause::Tasks(subject.clone()), change);
        }
        let how = format!(
            "{} of {} a request are spent waiting for tracked tasks; in the background they take none of it",
            seconds(in_tasks),
            seconds(duration),
        );
        let change = Change { from: duration, to: duration - in_tasks, saved: in_tasks * requests, how };
        (Cause::Tasks(subject.clone()), change)
    });
    let (cause, best) = queries.chain(tasks).max_by(|(_, a), (_, b)| a.saved.total_cmp(&b.saved))?;
    let saved = best.saved;
    faster(cause, subject.clone(), best, saved, evidence)
}

/// Returns the share of the longest of several tasks that run one after another in a request; `None` where one is most of
/// their time, or they overlap.
fn longest_of_sequence(evidence: &Evidence) -> Option<f64> {
    /// From this share of the time of all on, one of them is the slow one.
    const MOST: f64 = 0.6;
    /// Tasks that run alone for this share of their time follow one another.
    const ALONE: f64 = 0.8;
    let tasks = || evidence.uses.iter().filter(|used| used.part == Part::Task);
    let all: f64 = tasks().map(|used| used.seconds).sum();
    let alone: f64 = tasks().map(|used| used.alone_seconds).sum();
    let longest = tasks().map(|used| used.seconds).fold(0.0, f64::max);
    (all > 0.0 && longest < MOST * all && alone >= ALONE * all).then(|| longest / all)
}

/// A gain in time: `saved` are the seconds over all endpoints that gain.
fn faster(cause: Cause, endpoint: Arc<str>, change: Change, saved: f64, evidence: &Evidence) -> Option<Gain> {
    let Change { from, to, how, .. } = change;
    Some(Gain {
        cause,
        summary: format!("takes {endpoint} from {} to about {}", seconds(from), seconds(to)),
        endpoint: Some(endpoint),
        from,
        to,
        unit: Unit::Seconds,
        share: (saved / evidence.all_seconds?).min(1.0),
        how,
    })
}

fn errors(subject: &Arc<str>, evidence: &Evidence) -> Option<Gain> {
    let (ratio, requests) = (evidence.number(fact::ERROR_RATIO.name)?, evidence.number(fact::REQUESTS.name)?);
    let (failed, all) = (ratio * requests, evidence.all_requests? as f64);
    Some(Gain {
        cause: Cause::Errors(subject.clone()),
        endpoint: Some(subject.clone()),
        from: ratio,
        to: 0.0,
        unit: Unit::Ratio,
        share: failed / all,
        summary: format!("takes the errors of {subject} from {} to none", Unit::Ratio.render(ratio)),
        how: format!(
            "{} of its {} requests failed: {} of the {} requests of the service",
            count(failed),
            count(requests),
            Unit::Ratio.render(failed / all),
            count(all),
        ),
    })
}

fn abandoned(subject: &Arc<str>, evidence: &Evidence) -> Option<Gain> {
    let (wasted, all) = (evidence.number(fact::WASTED_TIME.name)?, evidence.all_seconds?);
    let share = (wasted / all).min(1.0);
    Some(Gain {
        cause: Cause::Abandoned(subject.clone()),
        endpoint: Some(subject.clone()),
        from: wasted,
        to: 0.0,
        unit: Unit::Seconds,
        share,
        summary: format!("saves {} of work for clients that disconnected", seconds(wasted)),
        how: format!("the requests of {subject} whose client disconnected took {} together", seconds(wasted)),
    })
}

/// A request that becomes ready during a blocking poll waits for half of it on average, if it needs the worker that is
/// blocked: one of so many.
fn blocking(evidence: &Evidence) -> Option<Gain> {
    let workers = evidence.number(fact::WORKERS.name).filter(|workers| *workers >= 1.0)?;
    let waited = |blocker: &Blocker| blocker.seconds / 2.0 * blocker.others.unwrap_or(0.0) / workers;
    let worst = evidence.blockers.iter().max_by(|a, b| waited(a).total_cmp(&waited(b)))?;
    let (saved, others) = (waited(worst), worst.others?);
    Some(Gain {
        cause: Cause::Blocking(worst.endpoint.clone()),
        endpoint: Some(worst.endpoint.clone()),
        from: saved,
        to: 0.0,
        unit: Unit::Seconds,
        share: (saved / evidence.all_seconds?).min(1.0),
        summary: format!("spares the requests beside {} about {} of waiting", worst.endpoint, seconds(saved)),
        how: format!(
            "{} polls kept one of {} workers for {} in all, with {} other requests in flight on average; each waits for \
             half a block where it meets that worker",
            worst.polls,
            count(workers),
            seconds(worst.seconds),
            count(others),
        ),
    })
}

fn memory(evidence: &Evidence) -> Option<Gain> {
    let left = evidence.number(fact::TIME_TO_LIMIT.name).filter(|left| *left <= SOON)?;
    let (growth, limit) = (evidence.number(fact::MEMORY_GROWTH.name)?, evidence.number(fact::MEMORY_LIMIT.name)?);
    Some(Gain {
        cause: Cause::Memory,
        endpoint: None,
        from: growth,
        to: 0.0,
        unit: Unit::BytesPerHour,
        // Every request of the service fails when it is killed.
        share: 1.0,
        summary: format!("keeps the process from being killed in about {}", seconds(left)),
        how: format!(
            "at {} it reaches its limit of {} in {}",
            Unit::BytesPerHour.render(growth),
            Unit::Bytes.render(limit),
            seconds(left),
        ),
    })
}

fn seconds(value: f64) -> String {
    Unit::Seconds.render(value)
}

fn count(value: f64) -> String {
    Unit::Count.render(if value < 10.0 { value } else { value.round() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::evidence::{EndpointShare, Fact, QueryShare, Within};

    fn numbers(values: &[(&'static str, f64)]) -> Evidence {
        let facts = values.iter().map(|(name, value)| (*name, Fact::Number(*value, Unit::Count))).collect();
        Evidence { facts, all_seconds: Some(1000.0), all_requests: Some(2000), ..Evidence::default() }
    }

    fn share(endpoint: &str, requests: u64, duration: f64, time_ratio: f64, calls_per_request: f64) -> EndpointShare {
        EndpointShare {
            endpoint: endpoint.into(),
            calls: (requests as f64 * calls_per_request) as u64,
            calls_per_request: Some(calls_per_request),
            seconds: requests as f64 * duration * time_ratio,
            time_ratio: Some(1.0),
            within: Some(Within { requests, avg_duration: duration, time_ratio, alone_ratio: time_ratio }),
        }
    }

    fn of_query(endpoints: Vec<EndpointShare>) -> Option<Gain> {
        let evidence = Evidence { endpoints, ..numbers(&[]) };
        gain(Scope::Query, Measure::AvgDuration, &"SELECT 1".into(), &evidence)
    }

    #[track_caller]
    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }

    #[test]
    fn a_fixed_query_takes_its_endpoint_to_what_is_left() {
        let gain = of_query(vec![share("GET /orders", 100, 1.2, 0.85, 1.0)]).expect("a gain");
        assert_eq!(gain.summary, "takes GET /orders from 1.2s to about 185ms");
        near(gain.to, 1.2 - 1.02 + 0.005);
        near(gain.share, 100.0 * 1.015 / 1000.0);
        assert_eq!(
            gain.how,
            "1.02s of 1.2s a request are spent in it, in one call a request; with a fitting index or from a cache a call \
             takes 5ms or less"
        );
    }

    #[test]
    fn calls_that_become_one_leave_the_time_of_one() {
        let gain = of_query(vec![share("GET /orders", 100, 0.5, 0.8, 40.0)]).expect("a gain");
        near(gain.to, 0.1 + 0.01);
        assert_eq!(
            gain.how,
            "40 calls in one request take 400ms of it; one call in their place takes as long as one of them, 10ms; \
             what they wait outside the database is saved on top"
        );
    }

    #[test]
    fn the_endpoint_that_gains_most_is_named_and_all_count() {
        let endpoints = vec![share("GET /a", 10, 1.0, 0.505, 1.0), share("GET /b", 100, 1.0, 0.505, 1.0)];
        let gain = of_query(endpoints).expect("a gain");
        assert_eq!(gain.summary, "takes GET /b from 1s to about 500ms, and 1 more endpoint");
        near(gain.share, 110.0 * 0.5 / 1000.0);
    }

    #[test]
    fn what_runs_side_by_side_saves_what_nothing_else_covers() {
        // Twelve calls at once of 1.2 s each, in requests of 1.2 s.
        let twelve = EndpointShare { seconds: 100.0 * 12.0 * 1.2, ..share("GET /a", 100, 1.2, 0.99, 12.0) };
        assert_eq!(of_query(vec![twelve]), None);
        let covered = |alone_ratio| {
            let mut one = share("GET /a", 100, 1.5, 0.5, 1.0);
            one.within = one.within.map(|within| Within { alone_ratio, ..within });
            of_query(vec![one])
        };
        assert_eq!(covered(0.0), None, "another query takes as long");
        near(covered(0.4).expect("a gain").to, 1.5 - 0.6 + 0.005);
    }

    #[test]
    fn a_query_that_is_fast_or_does_not_matter_gains_nothing() {
        assert_eq!(of_query(vec![share("GET /a", 100, 1.0, 0.004, 1.0)]), None);
        assert_eq!(of_query(vec![share("GET /a", 100, 10.0, 0.03, 1.0)]), None);
        assert_eq!(of_query(Vec::new()), None);
    }

    #[test]
    fn a_slow_endpoint_gains_by_its_largest_part() {
        let query = |name: &str, ratio: f64| QueryShare {
            query: name.into(),
            calls: 50,
            calls_per_request: Some(1.0),
            seconds: 50.0 * 2.0 * ratio,
            time_ratio: Some(ratio),
            alone_seconds: 50.0 * 2.0 * ratio,
            failed: 0,
            repeats: 0,
            most_at_once: 1,
            place: None,
        };
        let facts = [("requests", 50.0), ("avg_duration", 2.0), ("task_time_ratio", 0.5)];
        let mut evidence =
            Evidence { queries: vec![query("SELECT a", 0.3), query("SELECT b", 0.1)], ..numbers(&facts) };
        let found = |evidence: &Evidence| gain(Scope::Endpoint, Measure::AvgDuration, &"GET /a".into(), evidence);
        let tasks = found(&evidence).expect("a gain");
        assert_eq!((tasks.cause, tasks.to), (Cause::Tasks("GET /a".into()), 1.0));
        evidence.facts.truncate(2);
        let by_query = found(&evidence).expect("a gain");
        assert_eq!(by_query.cause, Cause::Query("SELECT a".into()));
        near(by_query.to, 1.405);
    }

    #[test]
    fn errors_gain_the_requests_that_no_longer_fail() {
        let evidence = numbers(&[("error_ratio", 0.3), ("requests", 200.0)]);
        let gain = gain(Scope::Endpoint, Measure::ErrorRatio, &"POST /pay".into(), &evidence).expect("a gain");
        near(gain.share, 0.03);
        assert_eq!(gain.how, "60 of its 200 requests failed: 3% of the 2000 requests of the service");
    }

    #[test]
    fn a_blocked_worker_costs_those_who_wait_for_it() {
        let blocker = Blocker {
            endpoint: "GET /hash".into(),
            polls: 30,
            seconds: 9.0,
            longest: Some(0.4),
            others: Some(4.0),
            most_others: Some(9.0),
            waited: Vec::new(),
        };
        let evidence = Evidence { blockers: vec![blocker], ..numbers(&[("workers", 2.0)]) };
        let gain = gain(Scope::Process, Measure::SchedulingLag, &"process".into(), &evidence).expect("a gain");
        near(gain.from, 9.0);
        assert_eq!(gain.summary, "spares the requests beside GET /hash about 9s of waiting");
    }

    #[test]
    fn memory_gains_where_its_limit_is_near() {
        let facts = |left| numbers(&[("time_to_limit", left), ("memory_growth", 5e7), ("memory_limit", 1e9)]);
        let of = |evidence: &Evidence| gain(Scope::Process, Measure::MemoryGrowth, &"process".into(), evidence);
        let soon = of(&facts(7200.0)).expect("a gain");
        assert_eq!(soon.summary, "keeps the process from being killed in about 2h");
        assert_eq!(soon.how, "at 50MB/h it reaches its limit of 1GB in 2h");
        assert_eq!(of(&facts(100.0 * 3600.0)), None);
    }
}
