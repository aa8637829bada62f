//! [`Gain`]: what fixing a bottleneck is expected to save.
//!
//! It is computed from the evidence alone: the time that was measured, less the part that the fix removes. Every gain says
//! how it was computed; where the evidence does not suffice there is none. Each assumption is a constant of this file.
//! Invariant: a gain never promises more than the time that was measured, nor what only another fix than that of the cause brings.

use std::sync::Arc;

use super::{
    cause_kind::CauseKind::{self, *},
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
/// Causes that an index, another plan or fewer rows remove.
const BETTER_PLAN: &[CauseKind] = &[SlowPlan, SkewedPlan];
/// Causes that one call in place of many removes. Of calls that fail none is one too many: the failure is.
const FEWER_CALLS: &[CauseKind] = &[NPlusOne, ManyWrites, ManyTransactions, DuplicateQueries];
/// Causes that go away when tasks run in the background, or together.
const TASKS_ELSEWHERE: &[CauseKind] = &[SlowTask, SequentialTasks];
/// Causes that go away when the polls of an endpoint become short. Where the CPU, what is not tracked, a task or the number of
/// polls is at fault, nobody waits less for it.
const SHORT_POLLS: &[CauseKind] = &[Computing, BlockingCall, BlockingLock];

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

/// Computes the gain from the evidence of a finding; `subject` is its name, and `causes` are those that remain: without any, the
/// evidence alone decides.
pub(crate) fn gain(
    scope: Scope,
    measure: Measure,
    subject: &Arc<str>,
    evidence: &Evidence,
    causes: &[CauseKind],
) -> Option<Gain> {
    let gain = match (scope, measure) {
        (Scope::Endpoint, Measure::ErrorRatio) => errors(subject, evidence),
        (Scope::Endpoint, Measure::CancelledRatio | Measure::WastedTimeRatio) => abandoned(subject, evidence),
        (Scope::Endpoint, Measure::LongestPoll | Measure::LongestPollQuantile(_))
        | (Scope::Process, Measure::SchedulingLag) => {
            if removed_by(SHORT_POLLS, causes) {
                blocking(evidence)
            } else {
                None
            }
        }
        (Scope::Endpoint, Measure::ClientErrorRatio | Measure::Rate) => None,
        (Scope::Endpoint, _) => slow_endpoint(subject, evidence, causes),
        (Scope::Query, Measure::ErrorRatio | Measure::CancelledRatio) => None,
        (Scope::Query, _) => query(subject, evidence, causes),
        (Scope::Process, Measure::MemoryGrowth | Measure::MemoryLimitRatio | Measure::ResidentMemory) => {
            memory(evidence)
        }
        (Scope::Process | Scope::Task | Scope::Metric | Scope::Slo, _) => None,
    };
    gain.filter(|gain| gain.share.is_finite() && gain.share > 0.0)
}

/// Returns whether a fix removes whichever cause remains.
fn removed_by(fix: &[CauseKind], causes: &[CauseKind]) -> bool {
    causes.iter().all(|cause| fix.contains(cause))
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
    /// A request once the query is fixed; `None` where that changes little, or where no fix of the query removes the cause.
    fn fixed(&self, causes: &[CauseKind]) -> Option<Change> {
        let fewer = self.calls_per_request > TOO_MANY_CALLS && removed_by(FEWER_CALLS, causes);
        if !fewer && !removed_by(BETTER_PLAN, causes) {
            return None;
        }
        let now = self.duration * self.time_ratio;
        let alone = (self.duration * self.alone_ratio).min(now);
        let calls = self.calls / self.requests;
        let (after, how) = if fewer {
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

fn query(subject: &Arc<str>, evidence: &Evidence, causes: &[CauseKind]) -> Option<Gain> {
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
    let mut changes: Vec<_> = uses.filter_map(|used| Some((used.endpoint.clone(), used.fixed(causes)?))).collect();
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

fn slow_endpoint(subject: &Arc<str>, evidence: &Evidence, causes: &[CauseKind]) -> Option<Gain> {
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
        Some((Cause::Query(share.query.clone()), used.fixed(causes)?))
    });
    let tasks = evidence.number(fact::TASK_TIME_RATIO.name).filter(|ratio| *ratio >= SMALLEST);
    let tasks = tasks.filter(|_| removed_by(TASKS_ELSEWHERE, causes)).map(|ratio| {
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
        summary: format!("saves {} of work for requests that end before their answer", seconds(wasted)),
        how: format!("the requests of {subject} that ended before their answer took {} together", seconds(wasted)),
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
