//! Why the time that a request spends in what it uses is long: calls to services, tasks, and what it waits for.

use CauseKind::{
    LockQueue, LongPoll, PoolExhausted, PoolHeld, Retries, SemaphoreQueue, SequentialCalls, SequentialTasks, SlowCall,
    SlowTask, ThreadPoolQueue,
};

use super::{
    case::{Case, count, percent, seconds, shown},
    diagnosis::{Diagnosis, Origin},
};
use crate::{
    context::Part,
    rules::{
        cause_kind::{
            CauseKind,
            Confidence::{Certain, Likely, Possible},
        },
        evidence::UseShare,
        fact,
    },
};

/// From so many uses in a request on, they are several.
const SEVERAL: f64 = 1.5;
/// From this share of failing calls on, further tries are retries.
const FAILING: f64 = 0.3;
/// From this share of the time of all calls on, one of them is the slow one.
const MOST: f64 = 0.6;
/// Calls that run alone for this share of their time follow one another.
const ALONE: f64 = 0.8;
/// A connection that runs queries for this share of the time that it is out is busy.
const BUSY: f64 = 0.6;
/// One that runs queries for less than this is held for something else.
const IDLE: f64 = 0.4;

/// Returns the cause within a part of the time that is spent in something that is tracked; `passes` says how much that is.
pub(super) fn diagnose(case: &Case<'_>, part: Part, passes: &str) -> Option<Diagnosis> {
    let cause = |kind, confidence, because| Diagnosis::new(kind, confidence, because);
    let top = case.evidence.uses.iter().find(|used| used.part == part);
    let named = top.map_or_else(|| passes.to_owned(), |top| format!("{passes}, most of it {}", about(top)));
    let name = top.map(|top| shown(&top.name));
    Some(match part {
        Part::Http => call(case, passes, named, top),
        Part::Task => task(named, top),
        Part::Pool => pool(case, named),
        Part::Lock => cause(LockQueue, Certain, named).word("wait", name),
        Part::Semaphore => cause(SemaphoreQueue, Certain, named).word("wait", name),
        // A channel that fails is closed: that is no event to wait for.
        Part::Channel if case.number(fact::ERROR_RATIO).unwrap_or(0.0) == 0.0 => {
            cause(LongPoll, Likely, named).word("wait", name)
        }
        Part::Channel | Part::Wait => cause(SlowCall, Likely, named).word("call", name),
        Part::ThreadPool => cause(ThreadPoolQueue, Certain, named),
        Part::Blocking => cause(SlowTask, Certain, named).word("task", name),
        Part::Late | Part::Client | Part::Db => return None,
    })
}

/// Says what is used how often, and where in the code.
fn about(used: &UseShare) -> String {
    let times = match used.calls_per_request {
        Some(calls) if calls >= SEVERAL => format!(" ({} times in a request)", count(calls)),
        _ => String::new(),
    };
    let place = used.place.map_or_else(String::new, |place| format!(" at {place}"));
    format!("in {:?}{times}{place}", shown(&used.name))
}

fn call(case: &Case<'_>, passes: &str, named: String, top: Option<&UseShare>) -> Diagnosis {
    let calls: Vec<_> = case.evidence.uses.iter().filter(|used| used.part == Part::Http).collect();
    let all: f64 = calls.iter().map(|used| used.seconds).sum();
    let Some(top) = top else { return Diagnosis::new(SlowCall, Certain, named) };
    let per_request = top.calls_per_request.unwrap_or(1.0);
    let failing = top.failed as f64 / top.calls.max(1) as f64;
    let with_words =
        |cause: Diagnosis| cause.word("call", Some(shown(&top.name))).word("calls", Some(count(per_request)));
    if failing >= FAILING && per_request >= SEVERAL {
        return with_words(Diagnosis::new(
            Retries,
            Certain,
            format!("{named}, and {} of these calls fail", percent(failing)),
        ));
    }
    if top.seconds < MOST * all && follow_one_another(&calls) {
        let because = format!("{passes}, in {} different calls one after another", calls.len());
        return with_words(Diagnosis::new(SequentialCalls, Likely, because));
    }
    if per_request >= 2.0 && top.most_at_once <= 1 {
        return with_words(Diagnosis::new(SequentialCalls, Likely, format!("{named}, one after another")));
    }
    with_words(Diagnosis::new(SlowCall, Certain, named))
}

fn follow_one_another(uses: &[&UseShare]) -> bool {
    let (all, alone) =
        uses.iter().fold((0.0, 0.0), |(all, alone), used| (all + used.seconds, alone + used.alone_seconds));
    alone >= ALONE * all
}

fn task(named: String, top: Option<&UseShare>) -> Diagnosis {
    let Some(top) = top else { return Diagnosis::new(SlowTask, Certain, named) };
    let several = top.calls_per_request.is_some_and(|calls| calls >= 2.0) && top.most_at_once <= 1;
    let cause = if several {
        Diagnosis::new(SequentialTasks, Likely, format!("{named}, one after another"))
    } else {
        Diagnosis::new(SlowTask, Certain, named)
    };
    cause.word("task", Some(shown(&top.name))).of(Some(Origin::Task(top.name.to_string())))
}

/// A pool whose connections run queries is too small for them; one whose connections do not is held across something else.
fn pool(case: &Case<'_>, named: String) -> Diagnosis {
    let held: f64 =
        case.evidence.uses.iter().filter(|used| used.part == Part::Pool).map(|used| used.held_seconds).sum();
    let queries: f64 = case.evidence.queries.iter().map(|query| query.seconds).sum();
    if held <= 0.0 {
        return Diagnosis::new(PoolExhausted, Possible, named).or(&[PoolHeld]);
    }
    let share = (queries / held).min(1.0);
    let because = format!(
        "{named}; its connections are out for {} in all and run queries {} of that time",
        seconds(held),
        percent(share)
    );
    match share {
        busy if busy >= BUSY => Diagnosis::new(PoolExhausted, Likely, because),
        idle if idle <= IDLE => Diagnosis::new(PoolHeld, Likely, because),
        _ => Diagnosis::new(PoolExhausted, Possible, because).or(&[PoolHeld]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::cause::{
        tables::{Table, endpoint},
        time,
    };

    #[track_caller]
    fn check(table: &Table, kind: CauseKind, or: &[CauseKind]) -> Diagnosis {
        let cause = table.read(time::diagnose).expect("a cause");
        assert_eq!((cause.kind, &*cause.or), (kind, or), "{}", cause.because);
        cause
    }

    fn used(part: Part, name: &str, calls: f64) -> UseShare {
        UseShare {
            part,
            name: name.into(),
            calls: (calls * 100.0) as u64,
            failed: 0,
            requests: 100,
            calls_per_request: Some(calls),
            seconds: 90.0,
            alone_seconds: 90.0,
            held_seconds: 0.0,
            time_ratio: Some(0.9),
            most_at_once: 1,
            place: Some("src/orders.rs:41"),
        }
    }

    #[test]
    fn a_call_is_slow_repeated_or_retried() {
        let of =
            |calls: Vec<UseShare>| calls.into_iter().fold(endpoint().number(fact::HTTP_TIME_RATIO, 0.9), Table::uses);
        let slow = check(&of(vec![used(Part::Http, "GET rates", 1.0)]), SlowCall, &[]);
        let because =
            "90% of its time passes in calls to other services, most of it in \"GET rates\" at src/orders.rs:41";
        assert_eq!(slow.because, because);
        assert!(slow.advice()[0].starts_with("GET rates takes most of the time"), "{:?}", slow.advice());
        check(&of(vec![used(Part::Http, "GET rates", 6.0)]), SequentialCalls, &[]);
        check(&of(vec![UseShare { most_at_once: 6, ..used(Part::Http, "GET rates", 6.0) }]), SlowCall, &[]);
        check(&of(vec![UseShare { failed: 250, ..used(Part::Http, "GET rates", 3.0) }]), Retries, &[]);
        check(&of(vec![used(Part::Http, "GET a", 1.0), used(Part::Http, "GET b", 1.0)]), SequentialCalls, &[]);
        let together = |name| UseShare { alone_seconds: 5.0, ..used(Part::Http, name, 1.0) };
        check(&of(vec![together("GET a"), together("GET b")]), SlowCall, &[]);
    }

    #[test]
    fn tasks_and_locks_are_named() {
        let task = |runs: f64| endpoint().number(fact::TASK_TIME_RATIO, 0.9).uses(used(Part::Task, "render", runs));
        assert_eq!(check(&task(1.0), SlowTask, &[]).of, Some(Origin::Task("render".to_owned())));
        check(&task(4.0), SequentialTasks, &[]);
        let lock = endpoint().number(fact::LOCK_TIME_RATIO, 0.9).uses(used(Part::Lock, "inventory", 1.0));
        let cause = check(&lock, LockQueue, &[]);
        assert!(cause.advice()[0].starts_with("Hold inventory for shorter"), "{:?}", cause.advice());
    }

    #[test]
    fn a_pool_is_too_small_or_held_by_what_its_connections_do() {
        let pool = |held: f64| {
            let pool = UseShare { held_seconds: held, ..used(Part::Pool, "sqlx", 1.0) };
            endpoint().number(fact::POOL_TIME_RATIO, 0.6).issues("SELECT 1", 1.0, 0.2).uses(pool)
        };
        check(&pool(0.0), PoolExhausted, &[PoolHeld]);
        check(&pool(22.0), PoolExhausted, &[]);
        check(&pool(200.0), PoolHeld, &[]);
        check(&pool(40.0), PoolExhausted, &[PoolHeld]);
    }
}
