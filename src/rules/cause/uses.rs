//! Why the time that a request spends in what it uses is long: calls to services, tasks, and what it waits for.

use CauseKind::{
    LockQueue, LongPoll, PoolExhausted, PoolHeld, Queue, SemaphoreQueue, SequentialCalls, SequentialTasks, SlowCall,
    SlowTask, ThreadPoolQueue,
};

use super::{
    case::{Case, count, percent, seconds, shown},
    diagnosis::{Diagnosis, Origin},
    failing, queue, time,
};
use crate::{
    context::Part,
    rules::{
        cause_kind::{
            CauseKind,
            Confidence::{Certain, Likely, Possible},
        },
        evidence::{HeldBy, Holder, UseShare},
        fact,
    },
};

/// From so many uses in a request on, they are several.
const SEVERAL: f64 = 1.5;
/// From this share of the time of all calls on, one of them is the slow one.
const MOST: f64 = 0.6;
/// Calls that run alone for this share of their time follow one another.
const ALONE: f64 = 0.8;
/// Queries that keep less than this of a connection busy are not what keeps a pool.
const HALF_A_CONNECTION: f64 = 0.5;
/// So many are named in a sentence.
const NAMED: usize = 4;
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
    let cause = match part {
        Part::Http => call(case, passes, named, top),
        Part::Task => task(case, passes, named, top),
        Part::Pool => pool(case, named),
        Part::Lock => cause(LockQueue, Certain, named).word("wait", name),
        Part::Semaphore => cause(SemaphoreQueue, Certain, named).word("wait", name),
        Part::Channel => channel(case, named).word("wait", name.clone()).word("call", name),
        Part::Wait => cause(SlowCall, Likely, named).word("call", name),
        Part::ThreadPool => cause(ThreadPoolQueue, Certain, named),
        Part::Blocking => cause(SlowTask, Certain, named).word("task", name),
        Part::Late | Part::Client | Part::Db => return None,
    };
    Some(match top.and_then(|top| top.holder.as_ref()) {
        Some(holder) => held(cause, holder),
        None => cause,
    })
}

/// Adds who holds longest what is waited for. Longest is the most time in all, and not the longest single hold: that is what the
/// wait would be shorter by.
fn held(cause: Diagnosis, holder: &Holder) -> Diagnosis {
    let who = match &holder.who {
        HeldBy::Endpoint(name) => Some(shown(name)),
        HeldBy::Task(name) => Some(format!("the task {}", shown(name))),
        HeldBy::Others => None,
    };
    let place = holder.place.map_or_else(String::new, |place| format!(" at {place}"));
    let by = who.as_ref().map_or_else(
        || "by work that counts for no request and no tracked task".to_owned(),
        |who| format!("by {who}{place}"),
    );
    let each = seconds(holder.avg_seconds);
    let because = format!("held longest {by}: {each} each time, {} of the time that it is held", percent(holder.ratio));
    cause.followed_by(&format!("; {because}")).word("holder", who.map(|who| format!("{who}{place}")))
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
    let with_words =
        |cause: Diagnosis| cause.word("call", Some(shown(&top.name))).word("calls", Some(count(per_request)));
    if failing::are_retries(top) {
        return with_words(failing::retries(top, &named));
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

/// A wait for a channel is one for an answer that others are given first, or for an event.
fn channel(case: &Case<'_>, named: String) -> Diagnosis {
    // A channel that fails is closed: that is no event to wait for.
    let fails = case.number(fact::ERROR_RATIO).unwrap_or(0.0) > 0.0;
    let ends = case.number(fact::MAX_DURATION).zip(case.number(fact::P95_DURATION));
    let at_limit = ends.is_some_and(|(longest, p95)| time::ends_at_limit(longest, p95));
    // Whoever answers may be slow, unless the waits end at a limit as those for an event do.
    let slow = |named| match (fails, at_limit) {
        (true, _) => Diagnosis::new(SlowCall, Likely, named),
        (false, true) => Diagnosis::new(LongPoll, Likely, named),
        (false, false) => Diagnosis::new(LongPoll, Possible, named).or(&[SlowCall]),
    };
    match queue::read(case) {
        Some(queue) if queue.is_certain => {
            let because = format!("{named}; {}", queue.because);
            Diagnosis::new(Queue, Likely, because).word("places", Some(queue::of(queue.places)))
        }
        Some(_) => slow(named).or(&[Queue]),
        None => slow(named),
    }
}

fn task(case: &Case<'_>, passes: &str, named: String, top: Option<&UseShare>) -> Diagnosis {
    let Some(top) = top else { return Diagnosis::new(SlowTask, Certain, named) };
    let tasks: Vec<_> = case.evidence.uses.iter().filter(|used| used.part == Part::Task).collect();
    let all: f64 = tasks.iter().map(|used| used.seconds).sum();
    if top.seconds < MOST * all && follow_one_another(&tasks) {
        let names: Vec<_> = tasks.iter().take(NAMED).map(|used| shown(&used.name)).collect();
        let names = names.join(", ");
        let because = format!("{passes}, in {} different tasks one after another ({names})", tasks.len());
        return Diagnosis::new(SequentialTasks, Likely, because).word("task", Some(names));
    }
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
    if held <= 0.0
        && let Some(cause) = held_across_other_work(case, &named)
    {
        return cause;
    }
    // What is not tracked speaks for neither: connections may well run queries.
    if held <= 0.0 || case.evidence.queries.is_empty() {
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

/// Where how long connections are out was not measured: a pool has one at least, so queries that keep less than half of one busy
/// are not what keeps it from those that wait.
fn held_across_other_work(case: &Case<'_>, named: &str) -> Option<Diagnosis> {
    let waiting = case.number(fact::IN_FLIGHT)? * case.number(fact::POOL_TIME_RATIO)?;
    let running = case.of_process(fact::RUNNING_QUERIES)?;
    (waiting >= 1.0 && running < HALF_A_CONNECTION).then(|| {
        let because = format!(
            "{named}; {} requests wait for a connection on average, while all queries of the service keep {} of one busy",
            count(waiting),
            percent(running)
        );
        Diagnosis::new(PoolHeld, Likely, because)
    })
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
            holder: None,
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
        check(&of(vec![UseShare { failed: 250, ..used(Part::Http, "GET rates", 3.0) }]), CauseKind::Retries, &[]);
        check(&of(vec![used(Part::Http, "GET a", 1.0), used(Part::Http, "GET b", 1.0)]), SequentialCalls, &[]);
        let together = |name| UseShare { alone_seconds: 5.0, ..used(Part::Http, name, 1.0) };
        check(&of(vec![together("GET a"), together("GET b")]), SlowCall, &[]);
    }

    #[test]
    fn tasks_and_locks_are_named() {
        let task = |runs: f64| endpoint().number(fact::TASK_TIME_RATIO, 0.9).uses(used(Part::Task, "render", runs));
        assert_eq!(check(&task(1.0), SlowTask, &[]).of, Some(Origin::Task("render".to_owned())));
        check(&task(4.0), SequentialTasks, &[]);
        let three = ["notify", "update", "warm"]
            .into_iter()
            .fold(task(1.0), |table, name| table.uses(used(Part::Task, name, 1.0)));
        let cause = check(&three, SequentialTasks, &[]);
        assert!(cause.because.ends_with("(render, notify, update, warm)"), "{}", cause.because);
        let together = UseShare { alone_seconds: 5.0, ..used(Part::Task, "notify", 1.0) };
        check(&task(1.0).uses(together.clone()).uses(together), SlowTask, &[]);
        let lock = endpoint().number(fact::LOCK_TIME_RATIO, 0.9).uses(used(Part::Lock, "inventory", 1.0));
        let cause = check(&lock, LockQueue, &[]);
        assert!(cause.advice()[0].starts_with("Hold inventory for shorter"), "{:?}", cause.advice());
    }

    #[test]
    fn who_holds_longest_is_said_where_it_was_measured() {
        let lock = |who| {
            let holder = Some(Holder { who, avg_seconds: 0.08, ratio: 0.92, place: Some("src/a.rs:7") });
            let used = UseShare { holder, ..used(Part::Lock, "lock inventory", 1.0) };
            check(&endpoint().number(fact::LOCK_TIME_RATIO, 0.9).uses(used), LockQueue, &[])
        };
        let cause = lock(HeldBy::Endpoint("GET /b".into()));
        let because = "90% of its time passes waiting for a lock, most of it in \"lock inventory\" at src/orders.rs:41; held \
                       longest by GET /b at src/a.rs:7: 80ms each time, 92% of the time that it is held";
        assert_eq!(cause.because, because);
        let advice = &cause.advice()[0];
        assert!(advice.starts_with("Hold lock inventory for shorter in GET /b at src/a.rs:7: "), "{advice}");
        let cause = lock(HeldBy::Task("restock".into()));
        assert!(cause.because.contains("longest by the task restock at src/a.rs:7: 80ms"), "{}", cause.because);
        let cause = lock(HeldBy::Others);
        assert!(
            cause.because.contains("longest by work that counts for no request and no tracked task: 80ms"),
            "{}",
            cause.because
        );
        assert!(cause.advice()[0].starts_with("Hold lock inventory for shorter: "), "{:?}", cause.advice());
        let unknown = endpoint().number(fact::LOCK_TIME_RATIO, 0.9).uses(used(Part::Lock, "lock inventory", 1.0));
        assert!(!check(&unknown, LockQueue, &[]).because.contains("held"));
        let permits = Some(Holder { who: HeldBy::Task("export".into()), avg_seconds: 2.0, ratio: 0.6, place: None });
        let permits = UseShare { holder: permits, ..used(Part::Semaphore, "semaphore pages", 1.0) };
        let cause = check(&endpoint().number(fact::SEMAPHORE_TIME_RATIO, 0.9).uses(permits), SemaphoreQueue, &[]);
        let advice = cause.advice();
        assert!(advice[0].starts_with("Make what the task export does under semaphore pages faster"), "{advice:?}");
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
        let untracked = UseShare { held_seconds: 200.0, ..used(Part::Pool, "bb8", 1.0) };
        check(&endpoint().number(fact::POOL_TIME_RATIO, 0.6).uses(untracked), PoolExhausted, &[PoolHeld]);
        let running = |queries: f64, in_flight: f64| {
            pool(0.0).number(fact::IN_FLIGHT, in_flight).process(fact::RUNNING_QUERIES, queries)
        };
        check(&running(0.05, 20.0), PoolHeld, &[]);
        check(&running(1.9, 20.0), PoolExhausted, &[PoolHeld]);
        check(&running(0.05, 0.5), PoolExhausted, &[PoolHeld]);
    }

    #[test]
    fn a_channel_is_a_queue_where_answers_come_one_after_another() {
        let channel = |shortest: f64, median: f64, errors: f64| {
            endpoint()
                .number(fact::CHANNEL_TIME_RATIO, 0.99)
                .number(fact::ERROR_RATIO, errors)
                .number(fact::IN_FLIGHT, 13.0)
                .number(fact::MIN_DURATION, shortest)
                .number(fact::AVG_DURATION, median)
                .number(fact::P50_DURATION, median)
                .number(fact::P95_DURATION, 1.05 * median)
                .number(fact::SLOW_RATIO, 0.95)
                .uses(used(Part::Channel, "quotes", 1.0))
        };
        let queue = check(&channel(0.1, 1.35, 0.0), Queue, &[]);
        assert!(queue.advice()[0].starts_with("quotes serves about one at a time"), "{:?}", queue.advice());
        check(&channel(19.9, 20.0, 0.0), LongPoll, &[SlowCall]);
        check(&channel(19.9, 20.0, 0.0).number(fact::MAX_DURATION, 20.1), LongPoll, &[]);
        check(&channel(1.3, 1.35, 0.5), SlowCall, &[]);
        let spread = endpoint()
            .number(fact::CHANNEL_TIME_RATIO, 0.99)
            .number(fact::IN_FLIGHT, 10.0)
            .number(fact::MIN_DURATION, 0.2)
            .number(fact::AVG_DURATION, 2.0)
            .number(fact::P50_DURATION, 1.2)
            .number(fact::P95_DURATION, 6.0);
        check(&spread, LongPoll, &[SlowCall, Queue]);
    }
}
