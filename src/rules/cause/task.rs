//! Why runs of a task take long, fail, are dropped or do not end.

use CauseKind::{
    BlockingCall, Computing, FailingTask, NPlusOne, Panics, RuntimeLate, SequentialCalls, SlowCall, SlowPlan, SlowTask,
    UntrackedWait,
};

use super::{
    case::{Case, percent, seconds},
    clients,
    diagnosis::{Diagnosis, of_candidates},
    endings,
    parts::{Part, shares},
    polls, process, queue, uses,
};
use crate::{
    context, names,
    rules::{
        cause_kind::{
            CauseKind,
            Confidence::{Certain, Likely, Possible},
        },
        fact,
        measure::Measure,
    },
};

/// From this share on a part is most of the time.
const MOST: f64 = 0.5;
/// From this share of a run on, the scheduling lag explains it.
const LATE: f64 = 0.3;

pub(super) fn diagnose(case: &Case<'_>) -> Option<Diagnosis> {
    match case.measure {
        Measure::AvgDuration | Measure::DurationQuantile(_) | Measure::MaxDuration => slow(case),
        Measure::BusyRatio => polls::diagnose(case),
        Measure::ErrorRatio => failing(case),
        Measure::CancelledRatio => clients::abandoned(case),
        Measure::Active | Measure::OldestActive => endings::unended(case),
        _ => None,
    }
}

fn slow(case: &Case<'_>) -> Option<Diagnosis> {
    let (duration, busy) = (case.number(fact::AVG_DURATION)?, case.number(fact::BUSY_RATIO)?);
    if busy >= MOST {
        let inside = format!("{} of a run of {} passes inside poll", percent(busy), seconds(duration));
        return Some(match polls::diagnose(case) {
            Some(cause) => cause.preceded_by(&format!("{inside}; ")),
            None => Diagnosis::new(Computing, Possible, inside).or(&[BlockingCall]),
        });
    }
    let waits = format!("{} of a run of {} is waiting", percent(1.0 - busy), seconds(duration));
    if let Some(late) = late(case, duration, &waits) {
        return Some(late);
    }
    let waited = shares(case).into_iter().find(|(part, _)| !matches!(part, Part::Busy | Part::Late));
    let Some((part, share)) = waited else {
        let because = format!("{waits}; for a call, a lock or blocking work on another thread was not measured");
        return Some(Diagnosis::new(UntrackedWait, Possible, because).word("task", Some(case.subject)).or(&[SlowTask]));
    };
    let passes = format!("{} of a run of {} passes {}", percent(share), seconds(duration), part.doing());
    let cause = match part {
        // How many statements or calls a run makes is not counted.
        Part::Database => Diagnosis::new(SlowPlan, Possible, passes).or(&[NPlusOne]),
        Part::Used(context::Part::Http) => Diagnosis::new(SlowCall, Possible, passes).or(&[SequentialCalls]),
        Part::Used(part) => uses::diagnose(case, part, &passes)?,
        Part::Client | Part::Busy | Part::Late => return None,
        Part::Untracked => match queue::read(case).filter(|queue| queue.is_certain) {
            Some(queue) => queue.diagnosis(&passes),
            None => Diagnosis::new(UntrackedWait, Likely, passes),
        },
    };
    Some(cause.word("task", Some(case.subject)))
}

/// The runtime polls its runs late.
fn late(case: &Case<'_>, duration: f64, waits: &str) -> Option<Diagnosis> {
    let late = match case.number(fact::LATE_TIME_RATIO) {
        Some(ratio) => ratio * duration,
        None => case.lag()?,
    };
    let blocker = process::top_blocker(case).filter(|blocker| !blocker.is_task || blocker.name != case.subject)?;
    (late >= LATE * duration).then(|| {
        let because =
            format!("{waits}, and the runtime polls up to {} late, mostly because of {}", seconds(late), blocker.name);
        let cause = Diagnosis::new(RuntimeLate, Likely, because).word("blocker", Some(blocker.name));
        cause.of(Some(blocker.origin()))
    })
}

fn failing(case: &Case<'_>) -> Option<Diagnosis> {
    let ratio = case.number(fact::TASK_FAILURE_RATIO)?;
    let fails = format!("{} of the runs fail", percent(ratio));
    if let Some(panics) = case.number(fact::PANIC_RATIO).filter(|panics| *panics >= MOST) {
        return Some(Diagnosis::new(Panics, Certain, format!("{fails}, {} of them by a panic", percent(panics))));
    }
    let timeout = clients::own_timeout(case, fact::FAILED_MIN_DURATION, fact::FAILED_MAX_DURATION);
    let after = case
        .number(fact::FAILED_AVG_DURATION)
        .map_or_else(String::new, |after| format!(", {} after their start on average", seconds(after)));
    let top = case
        .word(fact::TOP_FAILURE)
        .filter(|top| *top != names::ERROR)
        .map_or_else(String::new, |top| format!(" with {top}"));
    let itself = Diagnosis::new(FailingTask, Certain, format!("{fails}{top}{after}")).word("task", Some(case.subject));
    // What fails after steps of even lengths takes as even a time as a time-out.
    of_candidates(std::iter::once(itself).chain(timeout).collect())
}

#[cfg(test)]
mod tests {
    use CauseKind::{ImpatientClients, NeverEnds, OwnTimeout};

    use super::*;
    use crate::rules::cause::tables::{Table, task};

    #[track_caller]
    fn check(table: &Table, kind: CauseKind, or: &[CauseKind]) {
        let cause = table.read(diagnose).expect("a cause");
        assert_eq!((cause.kind, &*cause.or), (kind, or), "{}", cause.because);
    }

    #[test]
    fn busy_runs_are_told_from_waiting_ones() {
        let run = |busy: f64| task().number(fact::AVG_DURATION, 1.0).number(fact::BUSY_RATIO, busy);
        check(&run(0.9), Computing, &[BlockingCall]);
        check(
            &run(0.9).number(fact::BLOCKING_COMPUTING_RATIO, 0.9).number(fact::BLOCKING_BLOCKED_RATIO, 0.1),
            Computing,
            &[],
        );
        check(&run(0.01), UntrackedWait, &[SlowTask]);
        check(&run(0.01).process(fact::SCHEDULING_LAG, 0.6).blocker("GET /hash", 4.0), RuntimeLate, &[]);
    }

    #[test]
    fn a_slow_run_has_the_cause_of_its_largest_part() {
        let run = |part: fact::NumberFact| {
            task().number(fact::AVG_DURATION, 1.0).number(fact::BUSY_RATIO, 0.01).number(part, 0.95)
        };
        check(&run(fact::DB_TIME_RATIO), SlowPlan, &[NPlusOne]);
        check(&run(fact::HTTP_TIME_RATIO), SlowCall, &[SequentialCalls]);
        check(&run(fact::LOCK_TIME_RATIO), CauseKind::LockQueue, &[]);
        check(&run(fact::WAITING_RATIO), UntrackedWait, &[]);
        let queue = run(fact::WAITING_RATIO)
            .number(fact::IN_FLIGHT, 12.0)
            .number(fact::MIN_DURATION, 0.1)
            .number(fact::P50_DURATION, 1.1)
            .number(fact::P95_DURATION, 1.2)
            .number(fact::SLOW_RATIO, 0.95);
        check(&queue, CauseKind::Queue, &[]);
    }

    #[test]
    fn failures_are_told_by_their_kind_and_their_durations() {
        let fails = || task().measure(Measure::ErrorRatio).number(fact::TASK_FAILURE_RATIO, 0.4);
        check(&fails(), FailingTask, &[]);
        check(&fails().number(fact::PANIC_RATIO, 1.0), Panics, &[]);
        let at_once =
            |from: f64, to: f64| fails().number(fact::FAILED_MIN_DURATION, from).number(fact::FAILED_MAX_DURATION, to);
        check(&at_once(3.0, 3.01), FailingTask, &[OwnTimeout]);
        check(&at_once(3.0, 3.01).number(fact::OK_P50_DURATION, 3.0), FailingTask, &[]);
        check(&at_once(0.001, 0.001), FailingTask, &[]);
        check(&at_once(0.2, 3.0), FailingTask, &[]);
    }

    #[test]
    fn dropped_and_unended_runs_have_causes_of_their_own() {
        let dropped = task().measure(Measure::CancelledRatio).number(fact::CANCELLED_RATIO, 0.5);
        check(&dropped, ImpatientClients, &[OwnTimeout, CauseKind::ChangedMind]);
        check(&task().measure(Measure::OldestActive).number(fact::OLDEST_ACTIVE, 900.0), NeverEnds, &[]);
    }
}
