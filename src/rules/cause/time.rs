//! Why the requests of an endpoint take long: by the part that is most of their time.

use CauseKind::{
    BlockedByUntracked, Computing, CpuStarved, LongPoll, RuntimeLate, SequentialCalls, SlowPlan, SlowProducer,
    SlowReader, SlowTask, SlowUpload, Tail, UntrackedWait,
};

use super::{
    case::{Case, percent, seconds},
    diagnosis::{Diagnosis, Origin, of_candidates},
    parts::{Part, shares},
    polls, process,
    query::{self, OVERLAPPING, Repeated},
    queue, uses,
};
use crate::{
    names,
    rules::{
        cause_kind::{
            CauseKind,
            Confidence::{Certain, Likely, Possible},
        },
        fact,
        severity::Severity,
    },
};

/// From this share on a part is most of the time: its fix alone halves the duration.
const MOST: f64 = 0.5;
/// Where none is, parts from this share on are each worth a fix.
const MUCH: f64 = 0.25;
/// From this share of the duration on, the scheduling lag explains it. A request waits for the runtime more than once.
const LATE: f64 = 0.3;
/// Limits of long polls are whole multiples of this, and none is shorter: it would be a poll.
const LIMITS: f64 = 5.0;
/// A wait that ends at a limit is at most so much longer, in seconds: its timer and the way back.
const AFTER_LIMIT: f64 = 0.25;
/// The head of a streamed response came before this share of the whole: the rest is the stream.
const EARLY_HEAD: f64 = 0.3;
/// From this share on all the rest came at once.
const LATE_HEAD: f64 = 0.7;
/// A wait whose 95th percentile is at most so many times the shortest is always the same.
const WITHOUT_SPREAD: f64 = 1.1;

/// Returns the cause of long requests; `None` where their time was not divided.
pub(super) fn diagnose(case: &Case<'_>) -> Option<Diagnosis> {
    let shares = shares(case);
    let (_, largest) = *shares.first()?;
    if let Some(late) = late(case, &shares) {
        return Some(late);
    }
    let least = if largest >= MOST { MOST } else { MUCH };
    let causes: Vec<_> = shares
        .iter()
        .filter(|(_, share)| *share >= least)
        .take(2)
        .filter_map(|(part, share)| of_part(case, *part, *share))
        .collect();
    of_candidates(causes).or_else(|| tail(case))
}

/// The runtime polls late what is ready.
fn late(case: &Case<'_>, shares: &[(Part, f64)]) -> Option<Diagnosis> {
    let duration = case.number(fact::AVG_DURATION)?;
    let of = |wanted: Part| shares.iter().find(|(part, _)| *part == wanted).map_or(0.0, |(_, share)| *share);
    let measured = case.number(fact::LATE_TIME_RATIO);
    let ratio = match measured {
        Some(ratio) if ratio >= MUCH => ratio,
        Some(_) => return None,
        // Without the measure the lag must explain it, and the time must pass where a late poll would show.
        None => (case.lag()? / duration).min(of(Part::Untracked) + of(Part::Database)),
    };
    if ratio < LATE.min(MOST) || (measured.is_none() && of(Part::Busy) >= MUCH) {
        return None;
    }
    let is_own = |blocker: &process::TopBlocker<'_>| !blocker.is_task && blocker.name == case.subject;
    let blocker = process::noticed_blocker(case);
    // An endpoint that blocks makes its own requests wait first.
    if blocker.as_ref().is_some_and(is_own) {
        return polls::diagnose(case);
    }
    let because = match measured {
        Some(ratio) => format!("it is ready and not polled for {} of its time", percent(ratio)),
        None => format!(
            "the runtime polls what is ready up to {} late, of {} a request",
            seconds(case.lag()?),
            seconds(duration)
        ),
    };
    if let Some(starved) = polls::starved(case) {
        return Some(Diagnosis::new(CpuStarved, Likely, format!("{because}; {starved}")).of(Some(Origin::Process)));
    }
    let confidence = if measured.is_some() { Certain } else { Likely };
    Some(match blocker {
        Some(blocker) => {
            let because = format!("{because}, while {} keeps a worker{}", blocker.name, blocker.at_a_stretch());
            Diagnosis::new(RuntimeLate, confidence, because)
                .word("blocker", Some(blocker.name))
                .of(Some(blocker.origin()))
        }
        None => match process::full(case, &because) {
            Some(full) => full,
            None => {
                let because = format!("{because}, and no request had a poll that explains it");
                Diagnosis::new(BlockedByUntracked, Possible, because)
            }
        }
        .of(Some(Origin::Process)),
    })
}

/// The cause within a part of the time.
fn of_part(case: &Case<'_>, part: Part, share: f64) -> Option<Diagnosis> {
    let passes = format!("{} of its time passes {}", percent(share), part.doing());
    Some(match part {
        Part::Busy => busy(case, &passes)?,
        Part::Database => database(case, &passes),
        Part::Used(part) => uses::diagnose(case, part, &passes)?,
        Part::Client => client(case, passes),
        Part::Late => return None,
        Part::Untracked => untracked(case, passes),
    })
}

fn busy(case: &Case<'_>, passes: &str) -> Option<Diagnosis> {
    if let Some(in_place) = case.number(fact::IN_PLACE_RATIO).filter(|ratio| *ratio >= MUCH) {
        let because = format!(
            "{passes}; {} of its time is in block_in_place, which keeps no worker from other work",
            percent(in_place)
        );
        return Some(Diagnosis::new(SlowTask, Likely, because));
    }
    let longest = case.number(fact::LONGEST_POLL);
    if let Some(longest) = longest.filter(|longest| *longest < names::BLOCKING.as_secs_f64()) {
        let because = format!("{passes}, in polls of {} at most", seconds(longest));
        return Some(Diagnosis::new(Computing, Likely, because));
    }
    Some(polls::diagnose(case)?.preceded_by(&format!("{passes}; ")))
}

fn database(case: &Case<'_>, passes: &str) -> Diagnosis {
    let queries = &case.evidence.queries;
    let all: f64 = queries.iter().filter_map(|query| query.time_ratio).sum();
    let Some(top) = queries.first().filter(|top| top.time_ratio.is_some_and(|ratio| ratio >= MOST * all)) else {
        let because = format!("{passes}, in {} statements of which none is most of it", queries.len());
        return if case.number(fact::DB_OVERLAP).is_some_and(|overlap| overlap >= OVERLAPPING) || queries.len() < 2 {
            Diagnosis::new(SlowPlan, Possible, because)
        } else {
            Diagnosis::new(SequentialCalls, Possible, because).or(&[SlowPlan])
        };
    };
    let origin = Some(Origin::Query(top.query.to_string()));
    let of_query = case.top_query();
    let calls = top.calls_per_request.unwrap_or(1.0);
    let repeated = Repeated {
        query: &top.query,
        endpoint: Some(case.subject),
        calls,
        operation: of_query.as_ref().and_then(|query| query.word(fact::OPERATION)),
        error_ratio: of_query.as_ref().and_then(|query| query.number(fact::ERROR_RATIO)),
        repeat_ratio: (top.calls > 0).then(|| top.repeats as f64 / top.calls as f64),
        side_by_side: false,
    };
    let many = repeated.diagnose().filter(|_| !is_side_by_side(case, calls));
    let cause = many
        .or_else(|| query::slow(&of_query?))
        .unwrap_or_else(|| Diagnosis::new(SlowPlan, Possible, "how its calls spread was not measured"));
    let origin = cause.of.clone().or(origin);
    let before = format!("{passes}, {} in one statement: ", percent(top.time_ratio.unwrap_or(all)));
    cause.preceded_by(&before).of(origin)
}

/// Returns whether the calls of one request overlap: one of them takes most of what all take together.
fn is_side_by_side(case: &Case<'_>, calls: f64) -> bool {
    let Some(one) = case.number(fact::TOP_QUERY_AVG_DURATION).zip(case.number(fact::AVG_DURATION)) else {
        return false;
    };
    let (call, request) = one;
    calls * call > OVERLAPPING * request
}

pub(super) fn client(case: &Case<'_>, passes: String) -> Diagnosis {
    // Only responses that are streamed have a head before their end: without one nothing was waited for after it.
    let head = case.number(fact::HEAD_DURATION).zip(case.number(fact::AVG_DURATION)).map(|(head, all)| head / all);
    match head {
        Some(share) if share <= EARLY_HEAD => {
            Diagnosis::new(SlowReader, Certain, format!("{passes}, after the head of the response"))
        }
        Some(share) if share < LATE_HEAD => Diagnosis::new(SlowUpload, Possible, passes).or(&[SlowReader]),
        _ => Diagnosis::new(SlowUpload, Certain, format!("{passes}, before the head of the response")),
    }
}

fn untracked(case: &Case<'_>, passes: String) -> Diagnosis {
    if let Some(stream) = stream(case, &passes) {
        return stream;
    }
    if let Some(queue) = queue(case, &passes) {
        return queue;
    }
    if let Some(poll) = long_poll(case, &passes) {
        return poll;
    }
    let cause = Diagnosis::new(UntrackedWait, Likely, passes).word("pool", case.unseen_pool());
    if is_even(case) {
        cause.maybe_by_design("a long poll or another wait on purpose", Severity::Medium)
    } else {
        cause
    }
}

/// Returns whether it always waits as long and never fails: clients may wait on purpose.
fn is_even(case: &Case<'_>) -> bool {
    let spread = case.number(fact::MIN_DURATION).zip(case.number(fact::P95_DURATION));
    spread.is_some_and(|(shortest, p95)| p95 <= WITHOUT_SPREAD * shortest)
        && case.number(fact::ERROR_RATIO).is_some_and(|ratio| ratio == 0.0)
}

/// The head was sent early, and the rest took long.
fn stream(case: &Case<'_>, passes: &str) -> Option<Diagnosis> {
    let (head, all) = (case.number(fact::HEAD_DURATION)?, case.number(fact::AVG_DURATION)?);
    if head > EARLY_HEAD * all {
        return None;
    }
    let because =
        format!("{passes}, after the head of the response: that was sent after {} of {}", seconds(head), seconds(all));
    // The client's part is measured: what is left is the service's.
    Some(match case.number(fact::CLIENT_TIME_RATIO).or_else(|| case.number(fact::PRODUCING_RATIO)) {
        Some(_) => Diagnosis::new(SlowProducer, Likely, because),
        None => Diagnosis::new(SlowProducer, Possible, because).or(&[SlowReader]),
    })
}

/// So many run at a time, and the others wait.
fn queue(case: &Case<'_>, passes: &str) -> Option<Diagnosis> {
    let queue = queue::read(case)?;
    let cause = queue.diagnosis(passes).word("pool", case.unseen_pool().filter(|_| queue.places >= 1.5));
    Some(if queue.is_certain { cause } else { cause.or(&[UntrackedWait]) })
}

/// Waits that end with an event or at a limit, and never fail.
fn long_poll(case: &Case<'_>, passes: &str) -> Option<Diagnosis> {
    let (longest, p95) = (case.number(fact::MAX_DURATION)?, case.number(fact::P95_DURATION)?);
    let at_limit = ends_at_limit(longest, p95);
    let fails = case.number(fact::ERROR_RATIO)? > 0.0;
    let waits = case.number(fact::WAITING_RATIO)? >= 0.9;
    (at_limit && !fails && waits).then(|| {
        let because = format!("{passes}, none fails, and the longest waits end at {}", seconds(longest));
        Diagnosis::new(LongPoll, Possible, because).or(&[UntrackedWait])
    })
}

/// Returns whether most waits end at one round duration. A quantile is within 5 % of the true value.
pub(super) fn ends_at_limit(longest: f64, p95: f64) -> bool {
    longest >= LIMITS && longest % LIMITS <= AFTER_LIMIT && p95 >= 0.9 * longest
}

/// No part is much of the time; of a percentile it is said that it is a tail.
pub(super) fn tail(case: &Case<'_>) -> Option<Diagnosis> {
    let (median, p95) = (case.number(fact::P50_DURATION)?, case.number(fact::P95_DURATION)?);
    let p99 = case.number(fact::P99_DURATION).unwrap_or(p95);
    (p99 >= 3.0 * median).then(|| {
        let because = format!("the median takes {}, one in a hundred {} or longer", seconds(median), seconds(p99));
        Diagnosis::new(Tail, Possible, because)
    })
}

#[cfg(test)]
mod tests {
    use CauseKind::{BlockingCall, LockQueue, NPlusOne, SemaphoreQueue, SlowCall};

    use super::*;
    use crate::rules::cause::tables::{self, Table, endpoint};

    #[track_caller]
    fn check(table: &Table, kind: CauseKind, or: &[CauseKind]) -> Diagnosis {
        let cause = table.read(diagnose).expect("a cause");
        assert_eq!((cause.kind, &*cause.or), (kind, or), "{}", cause.because);
        cause
    }

    /// An endpoint of 1.2 s with shares of the database and of untracked waiting, and of time inside poll.
    fn split(database: f64, waiting: f64, busy: f64) -> Table {
        endpoint()
            .number(fact::AVG_DURATION, 1.2)
            .number(fact::DB_TIME_RATIO, database)
            .number(fact::WAITING_RATIO, waiting)
            .number(fact::BUSY_RATIO, busy)
    }

    fn statement() -> Table {
        tables::query()
            .number(fact::P50_DURATION, 0.9)
            .number(fact::MIN_DURATION, 0.8)
            .number(fact::P95_DURATION, 1.1)
            .number(fact::MAX_DURATION, 1.2)
            .number(fact::ERROR_RATIO, 0.0)
            .word(fact::OPERATION, "SELECT")
    }

    #[test]
    fn the_largest_part_of_the_time_decides() {
        check(&split(0.02, 0.96, 0.02), UntrackedWait, &[]);
        let slow = split(0.9, 0.08, 0.02).issues("SELECT 1", 1.0, 0.9).origin(statement());
        let cause = check(&slow, SlowPlan, &[]);
        assert_eq!(cause.of, Some(Origin::Query("SELECT 1".to_owned())));
        assert_eq!(
            cause.because,
            "90% of its time passes in the database, 90% in one statement: every call is slow: the fastest takes 800ms, the \
             median 900ms, the 95th percentile 1.1s"
        );
        check(&split(0.9, 0.08, 0.02).issues("SELECT 1", 40.0, 0.9).origin(statement()), NPlusOne, &[]);
        check(&split(0.0, 0.05, 0.95), Computing, &[BlockingCall]);
        check(&split(0.0, 0.05, 0.95).number(fact::LONGEST_POLL, 0.005), Computing, &[]);
        check(&split(0.0, 0.05, 0.95).number(fact::IN_PLACE_RATIO, 0.9), SlowTask, &[]);
    }

    #[test]
    fn calls_side_by_side_are_no_n_plus_one() {
        let parallel = split(0.95, 0.03, 0.02)
            .issues("SELECT 1", 12.0, 0.95)
            .number(fact::TOP_QUERY_AVG_DURATION, 1.1)
            .origin(statement());
        check(&parallel, SlowPlan, &[]);
    }

    #[test]
    fn parts_of_which_none_is_most_are_both_said() {
        let both = split(0.4, 0.45, 0.05).issues("SELECT 1", 1.0, 0.4).origin(statement());
        check(&both, UntrackedWait, &[SlowPlan]);
        let many =
            split(0.9, 0.1, 0.0).issues("SELECT 1", 1.0, 0.3).issues("SELECT 2", 1.0, 0.3).issues("SELECT 3", 1.0, 0.3);
        check(&many, SequentialCalls, &[SlowPlan]);
    }

    #[test]
    fn a_queue_is_told_from_a_slow_call_by_its_durations() {
        let queue = |in_flight: f64, shortest: f64| {
            split(0.0, 0.98, 0.01)
                .number(fact::IN_FLIGHT, in_flight)
                .number(fact::MIN_DURATION, shortest)
                .number(fact::P50_DURATION, 1.25)
                .number(fact::P95_DURATION, 1.3)
                .number(fact::SLOW_RATIO, 0.95)
        };
        let one = check(&queue(12.0, 0.1), CauseKind::Queue, &[]);
        assert!(one.advice()[0].contains("a lock that is held across an await"), "{:?}", one.advice());
        let cause = check(&queue(48.0, 0.1), CauseKind::Queue, &[]);
        assert!(cause.advice()[0].starts_with("About 4 run at a time"), "{:?}", cause.advice());
        assert_eq!(cause.advice().len(), 1, "without queries there is no pool: {:?}", cause.advice());
        let pool = check(&queue(48.0, 0.1).issues("SELECT 1", 1.0, 0.01), CauseKind::Queue, &[]).advice();
        assert!(pool[1].contains("acquire_time_level"), "{pool:?}");
        let lock = check(&queue(12.0, 0.1).issues("SELECT 1", 1.0, 0.01), CauseKind::Queue, &[]).advice();
        assert_eq!(lock.len(), 1, "one place is seldom a pool: {lock:?}");
        check(&queue(12.0, 1.1), UntrackedWait, &[]);
        let spread = split(0.0, 0.98, 0.01)
            .number(fact::IN_FLIGHT, 12.0)
            .number(fact::MIN_DURATION, 0.1)
            .number(fact::P50_DURATION, 0.7)
            .number(fact::P95_DURATION, 4.0);
        check(&spread, CauseKind::Queue, &[UntrackedWait]);
    }

    #[test]
    fn a_wait_that_is_always_as_long_may_be_meant_so() {
        let waits = |p95: f64, errors: f64| {
            split(0.0, 0.99, 0.0)
                .number(fact::MIN_DURATION, 3.0)
                .number(fact::P95_DURATION, p95)
                .number(fact::ERROR_RATIO, errors)
        };
        let even = check(&waits(3.01, 0.0), UntrackedWait, &[]);
        assert_eq!((even.at_most(), even.by_design().is_some()), (Some(Severity::Medium), true));
        for other in [waits(5.0, 0.0), waits(3.01, 0.2)] {
            let cause = check(&other, UntrackedWait, &[]);
            assert_eq!((cause.at_most(), cause.by_design()), (None, None), "{}", cause.because);
        }
    }

    #[test]
    fn a_long_poll_ends_at_its_limit_without_failures() {
        let waits = |longest: f64, errors: f64| {
            endpoint()
                .number(fact::AVG_DURATION, 18.0)
                .number(fact::WAITING_RATIO, 0.999)
                .number(fact::BUSY_RATIO, 0.001)
                .number(fact::P95_DURATION, longest)
                .number(fact::MAX_DURATION, longest)
                .number(fact::ERROR_RATIO, errors)
        };
        let cause = check(&waits(30.01, 0.0), LongPoll, &[UntrackedWait]);
        assert_eq!(cause.by_design(), Some("a long poll"));
        check(&waits(30.01, 0.2), UntrackedWait, &[]);
        check(&waits(23.4, 0.0), UntrackedWait, &[]);
        let channel = endpoint().number(fact::CHANNEL_TIME_RATIO, 0.99).number(fact::AVG_DURATION, 20.0);
        check(&channel, LongPoll, &[SlowCall]);
    }

    #[test]
    fn a_blocked_runtime_is_named_and_not_its_victim() {
        let victim = split(0.0, 0.97, 0.01).process(fact::SCHEDULING_LAG, 0.9);
        let cause = check(&victim.clone().blocker("GET /hash", 20.0), RuntimeLate, &[]);
        assert_eq!(cause.of, Some(Origin::Endpoint("GET /hash".to_owned())));
        check(&victim.clone(), BlockedByUntracked, &[]);
        check(&victim.clone().process(fact::RUN_QUEUE_RATIO, 0.9), CpuStarved, &[]);
        check(&victim.clone().blocker("GET /a", 20.0), Computing, &[BlockingCall]);
        let full = victim.process(fact::WORKER_BUSY_RATIO, 0.97).process(fact::TRACKED_BUSY_RATIO, 0.9);
        check(&full.process(fact::RUN_QUEUE_RATIO, 0.03), CauseKind::Overload, &[]);
        check(
            &split(0.0, 0.97, 0.01).process(fact::SCHEDULING_LAG, 0.01).blocker("GET /hash", 20.0),
            UntrackedWait,
            &[],
        );
    }

    #[test]
    fn the_stream_and_the_client_are_told_apart_by_what_was_measured() {
        let stream = split(0.0, 0.97, 0.01).number(fact::HEAD_DURATION, 0.01);
        check(&stream, SlowProducer, &[SlowReader]);
        check(&stream.clone().number(fact::CLIENT_TIME_RATIO, 0.02), SlowProducer, &[]);
        let client = endpoint().number(fact::AVG_DURATION, 3.0).number(fact::CLIENT_TIME_RATIO, 0.95);
        check(&client, SlowUpload, &[]);
        check(&client.clone().number(fact::HEAD_DURATION, 1.5), SlowUpload, &[SlowReader]);
        check(&client.clone().number(fact::HEAD_DURATION, 0.02), SlowReader, &[]);
        check(&client.number(fact::HEAD_DURATION, 2.9), SlowUpload, &[]);
    }

    #[test]
    fn tracked_parts_name_their_kind() {
        for (part, kind) in [
            (fact::HTTP_TIME_RATIO, SlowCall),
            (fact::LOCK_TIME_RATIO, LockQueue),
            (fact::SEMAPHORE_TIME_RATIO, SemaphoreQueue),
            (fact::TASK_TIME_RATIO, SlowTask),
        ] {
            check(&endpoint().number(part, 0.9), kind, &[]);
        }
    }

    #[test]
    fn without_a_division_of_the_time_there_is_no_cause() {
        assert_eq!(endpoint().number(fact::AVG_DURATION, 3.0).read(diagnose), None);
    }
}
