//! Which of the things that a request uses fails with it: a statement, a call to another service, or a task.

use CauseKind::{FailingCall, FailingQuery, FailingTask, Retries, SameError};

use super::{
    case::{Case, count, percent, shown},
    diagnosis::{Diagnosis, Origin, of_candidates},
};
use crate::{
    context::Part,
    rules::{
        cause_kind::{
            CauseKind,
            Confidence::{Certain, Likely},
        },
        evidence::UseShare,
        fact,
    },
};

/// From so many calls in a request on, they are several.
const SEVERAL: f64 = 1.5;
/// From this share of failing calls on, further ones are retries.
const FAILING: f64 = 0.3;
/// Who stops at the first success has one in a request; a little more, since the counters are read one after the other.
const ONE_SUCCESS: f64 = 1.1;
/// Where further tries are this share of the calls, they load the other side more than the requests themselves.
const STORM: f64 = 0.5;
/// A call must fail in this share of the requests that fail to explain them.
const EXPLAINS: f64 = 0.5;
/// Where it fails this many times as often as the requests, most of them bear that: then it may not be why the others fail.
const BORNE: f64 = 2.0;
/// Of two things that fail, one that does so this many times as often is why.
const SIMILAR: f64 = 1.5;

/// Returns what fails as often as the requests, of which `ratio` fail; `None` where nothing that is tracked does.
pub(super) fn diagnose(case: &Case<'_>, ratio: f64) -> Option<Diagnosis> {
    let fails = format!("{} of the requests fail", percent(ratio));
    let (query, call) = (query(case, ratio, &fails), call(case, ratio, &fails));
    let most = |found: &Option<Explained>| found.as_ref().map_or(0.0, |found| found.requests);
    let likeliest = most(&query).max(most(&call));
    // What fails inside a task fails before it.
    let task = task(case, ratio, &fails).filter(|task| task.requests > SIMILAR * likeliest);
    let likeliest = likeliest.max(most(&task));
    let similar = |found: &Explained| SIMILAR * found.requests >= likeliest;
    of_candidates([query, call, task].into_iter().flatten().filter(similar).map(|found| found.cause).collect())
}

/// A cause, and in what share of the requests it failed.
struct Explained {
    requests: f64,
    cause: Diagnosis,
}

fn query(case: &Case<'_>, ratio: f64, fails: &str) -> Option<Explained> {
    let (query, of_calls) = case.word(fact::FAILING_QUERY).zip(case.number(fact::FAILING_QUERY_RATIO))?;
    let requests = case.number(fact::REQUESTS).filter(|requests| *requests > 0.0)?;
    let failed = (case.number(fact::FAILING_QUERY_CALLS)? / requests).min(1.0);
    (failed >= EXPLAINS * ratio).then(|| {
        let because = format!("{fails}, and so do {} of the calls of a statement that they issue", percent(of_calls));
        let cause = Diagnosis::new(FailingQuery, Likely, because).word("query", Some(shown(query)));
        Explained { requests: failed, cause: cause.of(Some(Origin::Query(query.to_owned()))) }
    })
}

fn call(case: &Case<'_>, ratio: f64, fails: &str) -> Option<Explained> {
    let Failing { used, requests, borne } = most_failing(case, Part::Http, ratio)?;
    let per_request = used.calls_per_request.unwrap_or(1.0);
    let with_words =
        |cause: Diagnosis| cause.word("call", Some(shown(&used.name))).word("calls", Some(count(per_request)));
    if are_retries(used) {
        let named = format!("{fails}; one request calls {} {} times", shown(&used.name), count(per_request));
        return Some(Explained { requests, cause: with_words(retries(used, &named)) });
    }
    let because = format!("{fails}, and so do {} of their calls {}", percent(failed_ratio(used)), shown(&used.name));
    let cause = with_words(Diagnosis::new(FailingCall, Likely, because));
    Some(Explained { requests, cause: if borne { cause.or(&[SameError]) } else { cause } })
}

fn task(case: &Case<'_>, ratio: f64, fails: &str) -> Option<Explained> {
    let Failing { used, requests, borne } = most_failing(case, Part::Task, ratio)?;
    let name = shown(&used.name);
    let because = format!("{fails}, and so do {} of the runs of their task {name}", percent(failed_ratio(used)));
    let cause = Diagnosis::new(FailingTask, Likely, because).word("task", Some(name));
    let cause = cause.of(Some(Origin::Task(used.name.to_string())));
    Some(Explained { requests, cause: if borne { cause.or(&[SameError]) } else { cause } })
}

/// Returns whether one call is tried again until it succeeds. Calls that are made whatever the first of them returned have more
/// than one success in a request, and tries do not run side by side.
pub(super) fn are_retries(used: &UseShare) -> bool {
    let per_request = used.calls_per_request.unwrap_or(1.0);
    let failing = failed_ratio(used);
    per_request >= SEVERAL
        && failing >= FAILING
        && per_request * (1.0 - failing) <= ONE_SUCCESS
        && used.most_at_once <= 1
}

/// Says how many of the calls fail, and whether the further tries are a storm: at least as many as the first ones.
pub(super) fn retries(used: &UseShare, named: &str) -> Diagnosis {
    let further = 1.0 - 1.0 / used.calls_per_request.unwrap_or(1.0).max(1.0);
    let failing = percent(failed_ratio(used));
    if further >= STORM {
        let because =
            format!("{named}, and {failing} of these calls fail; {} of them are further tries", percent(further));
        return Diagnosis::new(Retries, Certain, because).word("storm", Some(percent(further)));
    }
    Diagnosis::new(Retries, Certain, format!("{named}, and {failing} of these calls fail"))
}

fn failed_ratio(used: &UseShare) -> f64 {
    used.failed as f64 / used.calls.max(1) as f64
}

/// What fails most often of a part.
struct Failing<'a> {
    used: &'a UseShare,
    /// Share of the requests in which it failed, at most.
    requests: f64,
    /// Whether far more requests bear it than fail.
    borne: bool,
}

/// Returns what fails most often of a part, if that explains the requests that fail.
fn most_failing<'a>(case: &Case<'a>, part: Part, ratio: f64) -> Option<Failing<'a>> {
    let requests = case.number(fact::REQUESTS).filter(|requests| *requests > 0.0)?;
    let each = case.evidence.uses.iter().filter(|used| used.part == part && used.failed > 0);
    let used = each.max_by_key(|used| used.failed)?;
    // Between the two lies the share of the requests in which it failed: all failures in different requests, or as few as can be.
    let (at_most, at_least) = (
        (used.failed as f64 / requests).min(1.0),
        used.failed as f64 / used.calls_per_request.unwrap_or(1.0).max(1.0) / requests,
    );
    (at_most >= EXPLAINS * ratio).then_some(Failing { used, requests: at_most, borne: at_least > BORNE * ratio })
}

#[cfg(test)]
mod tests {
    use CauseKind::OwnTimeout;

    use super::*;
    use crate::rules::cause::{
        endings::errors,
        tables::{Table, endpoint},
    };

    #[track_caller]
    fn check(table: &Table, kind: CauseKind, or: &[CauseKind]) -> Diagnosis {
        let cause = table.read(errors).expect("a cause");
        assert_eq!((cause.kind, &*cause.or), (kind, or), "{}", cause.because);
        cause
    }

    /// An endpoint of 200 requests that all fail in one way.
    fn failing(ratio: f64) -> Table {
        endpoint()
            .number(fact::ERROR_RATIO, ratio)
            .number(fact::REQUESTS, 200.0)
            .number(fact::TOP_ERROR_RATIO, 1.0)
            .word(fact::TOP_ERROR, "502")
    }

    fn used(part: Part, name: &str, per_request: f64, failed: u64) -> UseShare {
        UseShare {
            part,
            name: name.into(),
            calls: (200.0 * per_request) as u64,
            failed,
            requests: 200,
            calls_per_request: Some(per_request),
            seconds: 10.0,
            alone_seconds: 10.0,
            held_seconds: 0.0,
            holder: None,
            time_ratio: Some(0.9),
            most_at_once: 1,
            place: None,
        }
    }

    #[test]
    fn a_call_that_fails_as_often_as_the_requests_is_why() {
        let of = |ratio, failed| failing(ratio).uses(used(Part::Http, "GET stock.example", 1.0, failed));
        let cause = check(&of(0.5, 100), FailingCall, &[]);
        assert_eq!(cause.because, "50% of the requests fail, and so do 50% of their calls GET stock.example");
        assert!(cause.advice()[0].starts_with("Begin with GET stock.example"), "{:?}", cause.advice());
        check(&of(0.5, 0), SameError, &[]);
        check(&of(0.5, 5), SameError, &[]);
        // Most requests bear that the call fails.
        check(&of(0.2, 190), FailingCall, &[SameError]);
    }

    #[test]
    fn tries_of_one_call_are_told_from_several_calls() {
        let of = |calls: f64, failed| failing(1.0).uses(used(Part::Http, "GET stock.example", calls, failed));
        let at_one_duration =
            of(4.0, 800).number(fact::FAILED_MIN_DURATION, 0.69).number(fact::FAILED_MAX_DURATION, 0.72);
        let cause = check(&at_one_duration, Retries, &[]);
        assert!(cause.because.contains("4 times, and 100% of these calls fail"), "{}", cause.because);
        assert!(
            cause.advice()[0].starts_with("A retry storm: 75% of the calls of GET stock.example"),
            "{:?}",
            cause.advice()
        );
        let few = check(&of(1.6, 130), Retries, &[]);
        assert!(few.advice()[0].starts_with("GET stock.example fails and is tried again"), "{:?}", few.advice());
        check(&of(4.0, 300), FailingCall, &[]);
        let together = UseShare { most_at_once: 4, ..used(Part::Http, "GET stock.example", 4.0, 800) };
        check(&failing(1.0).uses(together), FailingCall, &[]);
    }

    #[test]
    fn a_task_that_fails_as_often_as_the_requests_is_named() {
        let cause = check(&failing(0.33).uses(used(Part::Task, "charge_card", 1.0, 66)), FailingTask, &[]);
        assert_eq!(cause.of, Some(Origin::Task("charge_card".to_owned())));
        assert!(cause.because.contains("charge_card"), "{}", cause.because);
        check(&failing(0.9).uses(used(Part::Task, "charge_card", 1.0, 20)), SameError, &[]);
    }

    #[test]
    fn of_a_statement_and_a_call_the_one_that_fails_as_often_is_named() {
        let of = |statement: f64, call: u64| {
            failing(0.3)
                .word(fact::FAILING_QUERY, "INSERT INTO mails")
                .number(fact::FAILING_QUERY_RATIO, statement / 200.0)
                .number(fact::FAILING_QUERY_CALLS, statement)
                .uses(used(Part::Http, "POST mail.example", 1.0, call))
        };
        check(&of(32.0, 60), FailingCall, &[]);
        check(&of(60.0, 0), FailingQuery, &[]);
        check(&of(60.0, 60), FailingQuery, &[FailingCall]);
        // A task fails with the statement inside it.
        check(&of(60.0, 0).uses(used(Part::Task, "send", 1.0, 60)), FailingQuery, &[]);
    }

    #[test]
    fn a_call_that_fails_is_named_before_the_time_out_that_ends_it() {
        let timeout = failing(0.5).number(fact::FAILED_MIN_DURATION, 2.0).number(fact::FAILED_MAX_DURATION, 2.01);
        check(&timeout.clone().uses(used(Part::Http, "GET stock.example", 1.0, 100)), FailingCall, &[]);
        check(&timeout, SameError, &[OwnTimeout]);
    }
}
