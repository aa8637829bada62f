//! Why runs of a task take long, fail, are dropped or do not end.

use CauseKind::{BlockingCall, Computing, FailingTask, Panics, RuntimeLate, SlowTask, UntrackedWait};

use super::{
    case::{Case, percent, seconds},
    clients,
    diagnosis::Diagnosis,
    endings, polls, process,
};
use crate::{
    names,
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
    let blocker = process::top_blocker(case).filter(|blocker| !blocker.is_task || blocker.name != case.subject);
    if let Some((lag, blocker)) = case.lag().filter(|lag| *lag >= LATE * duration).zip(blocker) {
        let because =
            format!("{waits}, and the runtime polls up to {} late, mostly because of {}", seconds(lag), blocker.name);
        let cause = Diagnosis::new(RuntimeLate, Likely, because).word("blocker", Some(blocker.name));
        return Some(cause.of(Some(blocker.origin())));
    }
    // A thread of its own looks like any other wait from inside the runtime.
    let because = format!("{waits}; for a call, a lock or blocking work on another thread was not measured");
    Some(Diagnosis::new(UntrackedWait, Certain, because).word("task", Some(case.subject)).or(&[SlowTask]))
}

fn failing(case: &Case<'_>) -> Option<Diagnosis> {
    let ratio = case.number(fact::TASK_FAILURE_RATIO)?;
    let fails = format!("{} of the runs fail", percent(ratio));
    if let Some(panics) = case.number(fact::PANIC_RATIO).filter(|panics| *panics >= MOST) {
        return Some(Diagnosis::new(Panics, Certain, format!("{fails}, {} of them by a panic", percent(panics))));
    }
    if let Some(timeout) = clients::own_timeout(case, fact::FAILED_MIN_DURATION, fact::FAILED_MAX_DURATION) {
        return Some(timeout.preceded_by(&format!("{fails}; ")));
    }
    let after = case
        .number(fact::FAILED_AVG_DURATION)
        .map_or_else(String::new, |after| format!(", {} after their start on average", seconds(after)));
    let top = case
        .word(fact::TOP_FAILURE)
        .filter(|top| *top != names::ERROR)
        .map_or_else(String::new, |top| format!(" with {top}"));
    Some(Diagnosis::new(FailingTask, Certain, format!("{fails}{top}{after}")))
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
    fn failures_are_told_by_their_kind_and_their_durations() {
        let fails = || task().measure(Measure::ErrorRatio).number(fact::TASK_FAILURE_RATIO, 0.4);
        check(&fails(), FailingTask, &[]);
        check(&fails().number(fact::PANIC_RATIO, 1.0), Panics, &[]);
        let at_once =
            |from: f64, to: f64| fails().number(fact::FAILED_MIN_DURATION, from).number(fact::FAILED_MAX_DURATION, to);
        check(&at_once(3.0, 3.01), OwnTimeout, &[]);
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
