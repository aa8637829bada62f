//! Why requests, calls and runs are cut short.

use CauseKind::{ChangedMind, ImpatientClients, OwnTimeout, WorkForNobody};

use super::{
    case::{Case, percent, seconds},
    diagnosis::Diagnosis,
};
use crate::rules::{
    cause_kind::{
        CauseKind,
        Confidence::{Certain, Likely, Possible},
    },
    fact::{self, NumberFact},
};

/// The durations of one time-out lie within this share of each other. A timer of tokio is at most a millisecond late; the rest
/// is the runtime's.
const ONE_DURATION: f64 = 0.08;
/// A time-out is longer than this; what fails sooner fails at once.
const SHORTEST: f64 = 0.05;
/// Those that end before this share of the median of the answered ones did not wait for the answer.
const EARLY: f64 = 0.7;
/// Who leaves an endpoint that usually takes longer than this, in seconds, has waited for it: people lose their train of thought.
const PATIENCE: f64 = 1.0;

/// An answer within this time, in seconds, comes at once: who leaves before it did not leave because of it. Nielsen's limit for what
/// feels instantaneous is 0.1 s; a keystroke and the network are about as much again.
const AT_ONCE: f64 = 0.25;

/// Returns why requests of an endpoint, or runs of a task, are cancelled.
pub(super) fn abandoned(case: &Case<'_>) -> Option<Diagnosis> {
    let ratio = case.number(fact::CANCELLED_RATIO)?;
    let cut = format!("{} are cut short", percent(ratio));
    let (Some(shortest), Some(longest)) =
        (case.number(fact::CANCELLED_MIN_DURATION), case.number(fact::CANCELLED_MAX_DURATION))
    else {
        let because = format!("{cut}; how long they had taken was not measured");
        return Some(Diagnosis::new(ImpatientClients, Possible, because).or(&[OwnTimeout, ChangedMind]));
    };
    if is_one(shortest, longest) {
        let because = format!("{cut}, all of them after {} to {}", seconds(shortest), seconds(longest));
        let cause = Diagnosis::new(OwnTimeout, Possible, because).word("duration", Some(seconds(longest)));
        return Some(cause.or(&[ImpatientClients]));
    }
    let average = case.number(fact::CANCELLED_AVG_DURATION).unwrap_or(longest);
    let because =
        format!("{cut}, after {} on average, {} to {}", seconds(average), seconds(shortest), seconds(longest));
    Some(match case.number(fact::OK_P50_DURATION) {
        Some(median) if median > PATIENCE => {
            let because = format!("{because}, while the median of the answered takes {}", seconds(median));
            Diagnosis::new(ImpatientClients, Likely, because)
        }
        Some(median) if average < EARLY * median && median <= AT_ONCE => {
            let because = format!("{because}, while the median of the answered takes {}", seconds(median));
            Diagnosis::new(ChangedMind, Likely, because)
        }
        Some(median) if average >= median => {
            let because = format!("{because}, while the median of the answered takes {}", seconds(median));
            Diagnosis::new(ImpatientClients, Likely, because)
        }
        // Nobody was answered, and they have waited: nobody is quick to change their mind that often.
        None if average >= PATIENCE / 2.0 => {
            Diagnosis::new(ImpatientClients, Likely, format!("{because}, and none is answered"))
        }
        Some(_) | None => Diagnosis::new(ImpatientClients, Possible, because).or(&[ChangedMind]),
    })
}

/// Returns what work for clients that left costs.
pub(super) fn wasted(case: &Case<'_>) -> Option<Diagnosis> {
    let wasted = case.number(fact::WASTED_TIME)?;
    let because = format!("{} of work was done for requests that ended before their answer", seconds(wasted));
    let why = match abandoned(case).and_then(|cause| cause.decided()) {
        Some(ImpatientClients) => Some("clients give up: answer sooner than their time-outs"),
        Some(ChangedMind) => Some("clients change their mind: let them wait a moment before they ask (debounce)"),
        _ => None,
    };
    Some(Diagnosis::new(WorkForNobody, Certain, because).word("why", why))
}

/// Returns the time-out that ends what fails at one duration; `None` where the durations differ or were not measured.
pub(super) fn own_timeout(case: &Case<'_>, shortest: NumberFact, longest: NumberFact) -> Option<Diagnosis> {
    let (shortest, longest) = (case.number(shortest)?, case.number(longest)?);
    // Under a time-out what succeeds is shorter.
    let as_long = case.number(fact::OK_P50_DURATION).is_some_and(|usual| usual >= (1.0 - ONE_DURATION) * shortest);
    (is_one(shortest, longest) && !as_long).then(|| {
        let because = format!("all failures come after {} to {}", seconds(shortest), seconds(longest));
        Diagnosis::new(OwnTimeout, Likely, because).word("duration", Some(seconds(longest)))
    })
}

fn is_one(shortest: f64, longest: f64) -> bool {
    shortest >= SHORTEST && longest - shortest <= ONE_DURATION * shortest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{
        cause::tables::{Table, endpoint},
        measure::Measure,
    };

    fn cut(shortest: f64, average: f64, longest: f64) -> Table {
        endpoint()
            .measure(Measure::CancelledRatio)
            .number(fact::CANCELLED_RATIO, 0.4)
            .number(fact::CANCELLED_MIN_DURATION, shortest)
            .number(fact::CANCELLED_AVG_DURATION, average)
            .number(fact::CANCELLED_MAX_DURATION, longest)
    }

    #[track_caller]
    fn check(table: &Table, kind: CauseKind, or: &[CauseKind]) {
        let cause = table.read(abandoned).expect("a cause");
        assert_eq!((cause.kind, &*cause.or), (kind, or), "{}", cause.because);
    }

    #[test]
    fn one_duration_is_a_time_out_on_either_side() {
        check(&cut(2.0, 2.005, 2.02), OwnTimeout, &[ImpatientClients]);
        check(&cut(0.003, 0.003, 0.003), ImpatientClients, &[ChangedMind]);
    }

    #[test]
    fn clients_that_wait_longer_than_usual_are_impatient_and_others_changed_their_mind() {
        check(&cut(0.5, 3.0, 9.0).number(fact::OK_P50_DURATION, 2.0), ImpatientClients, &[]);
        check(&cut(0.4, 0.8, 1.3).number(fact::OK_P50_DURATION, 1.8), ImpatientClients, &[]);
        check(&cut(0.01, 0.05, 0.1).number(fact::OK_P50_DURATION, 0.12), ChangedMind, &[]);
        check(&cut(0.01, 0.1, 0.5).number(fact::OK_P50_DURATION, 0.6), ImpatientClients, &[ChangedMind]);
        check(&cut(0.01, 0.5, 0.7).number(fact::OK_P50_DURATION, 0.6), ImpatientClients, &[ChangedMind]);
        check(&cut(0.01, 0.2, 0.7), ImpatientClients, &[ChangedMind]);
        check(&cut(0.9, 1.0, 1.2), ImpatientClients, &[]);
    }

    #[test]
    fn what_is_worked_in_vain_has_the_advice_of_why_it_ends() {
        let advice = |table: Table| {
            let cause = table.number(fact::WASTED_TIME, 9.0).read(wasted).expect("a cause");
            assert_eq!(cause.kind, WorkForNobody);
            cause.advice().remove(0)
        };
        let impatient = advice(cut(0.4, 0.8, 1.3).number(fact::OK_P50_DURATION, 1.8));
        assert!(impatient.ends_with("clients give up: answer sooner than their time-outs"), "{impatient}");
        let changed = advice(cut(0.01, 0.05, 0.1).number(fact::OK_P50_DURATION, 0.12));
        assert!(changed.contains("debounce") && !changed.contains("give up"), "{changed}");
        let unknown = advice(cut(2.0, 2.005, 2.02));
        assert!(unknown.starts_with("See why they end"), "{unknown}");
    }

    #[test]
    fn unmeasured_durations_decide_nothing() {
        check(&endpoint().number(fact::CANCELLED_RATIO, 0.4), ImpatientClients, &[OwnTimeout, ChangedMind]);
    }
}
