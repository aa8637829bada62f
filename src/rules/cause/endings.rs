//! Why requests fail, are refused or do not end.

use CauseKind::{FallbackFails, MixedErrors, NeverEnds, Panics, Refusals, SameError};

use super::{
    case::{Case, count, percent, seconds},
    clients,
    diagnosis::{Diagnosis, of_candidates},
    failing, time,
};
use crate::rules::{
    cause_kind::{
        CauseKind,
        Confidence::{Certain, Possible},
    },
    fact,
    severity::Severity,
};

/// From this share of the failures on, one kind of them is the fault.
const MOST: f64 = 0.5;
/// From this share on, all failures are one.
const SAME: f64 = 0.9;
/// Returns why requests of an endpoint fail.
pub(super) fn errors(case: &Case<'_>) -> Option<Diagnosis> {
    let ratio = case.number(fact::ERROR_RATIO)?;
    let fails = format!("{} of the requests fail", percent(ratio));
    if let Some(panics) = case.number(fact::PANIC_RATIO).filter(|panics| *panics >= MOST) {
        let because = format!("{fails}, {} of them by a panic", percent(panics));
        return Some(Diagnosis::new(Panics, Certain, because));
    }
    if let Some(cause) = failing::diagnose(case, ratio) {
        return Some(cause);
    }
    let same = same_or_mixed(case, &fails);
    let Some(timeout) = clients::own_timeout(case, fact::FAILED_MIN_DURATION, fact::FAILED_MAX_DURATION) else {
        return same;
    };
    let answered = case.word(fact::TOP_ERROR);
    if answered.is_some_and(|answered| TIME_OUTS.contains(&answered)) {
        return Some(timeout.preceded_by(&format!("{fails}, most with {}; ", answered.unwrap_or_default())));
    }
    // Calls that fail and are tried again, with pauses between, take as even a time as a time-out.
    match same {
        Some(same) => of_candidates(vec![same, timeout]),
        None => Some(timeout.preceded_by(&format!("{fails}; ")).or(&[SameError])),
    }
}

/// What is in progress for at most this many times what is usual takes as long as it does always.
const AS_USUAL: f64 = 2.0;
/// From this share of the time on, it is the client that is waited for.
const MOSTLY: f64 = 0.5;
/// So many in progress of which none ends are no single long job.
const SEVERAL: f64 = 3.0;
/// What may take long as it should.
const LONG: &str = "a job or an answer that takes this long";

/// Statuses with which a service answers where its own time-out strikes.
const TIME_OUTS: [&str; 3] = ["408", "503", "504"];

fn same_or_mixed(case: &Case<'_>, fails: &str) -> Option<Diagnosis> {
    let (top, share) = (case.word(fact::TOP_ERROR)?, case.number(fact::TOP_ERROR_RATIO)?);
    let after = case
        .number(fact::FAILED_AVG_DURATION)
        .map_or_else(String::new, |after| format!(", after {} on average", seconds(after)));
    let because = format!("{fails}, {} of them with {top}{after}", percent(share));
    let kind = if share >= SAME { SameError } else { MixedErrors };
    Some(Diagnosis::new(kind, Certain, because).word("error", Some(top)))
}

/// Returns why requests of an endpoint are refused.
pub(super) fn refusals(case: &Case<'_>) -> Option<Diagnosis> {
    let ratio = case.number(fact::CLIENT_ERROR_RATIO)?;
    let top = case.word(fact::TOP_CLIENT_ERROR).zip(case.number(fact::TOP_CLIENT_ERROR_RATIO));
    let most = top.map_or_else(String::new, |(status, share)| format!(", {} of them with {status}", percent(share)));
    let cause = Diagnosis::new(Refusals, Certain, format!("{} of the requests are refused{most}", percent(ratio)));
    let status = top.filter(|(_, share)| *share >= MOST).map(|(status, _)| status);
    let any_of = |statuses: &[&str]| status.filter(|status| statuses.contains(status));
    let cause = cause.word("limited", any_of(&["429"])).word("unauthorized", any_of(&["401", "403"]));
    Some(cause.word("missing", any_of(&["404", "410"])))
}

/// Returns why requests that matched no route fail: the fallback fails.
pub(super) fn fallback(case: &Case<'_>) -> Option<Diagnosis> {
    let ratio = case.number(fact::UNMATCHED_ERROR_RATIO)?;
    let most =
        case.word(fact::TOP_UNMATCHED_ERROR).map_or_else(String::new, |error| format!(", most of them with {error}"));
    let because = format!("{} of the requests that matched no route and were not refused fail{most}", percent(ratio));
    Some(Diagnosis::new(FallbackFails, Certain, because))
}

/// Returns why requests or runs are in progress for long.
pub(super) fn unended(case: &Case<'_>) -> Option<Diagnosis> {
    let (active, oldest) = (case.number(fact::ACTIVE), case.number(fact::OLDEST_ACTIVE));
    let in_progress =
        active.map_or_else(|| "it is in progress".to_owned(), |active| format!("{} are in progress", count(active)));
    let for_long = oldest.map_or_else(String::new, |oldest| format!(", the oldest for {}", seconds(oldest)));
    let usual = case.number(fact::P50_DURATION);
    let others = usual.map_or_else(
        || ", and none has ended in the window".to_owned(),
        |median| format!("; those that end take {}", seconds(median)),
    );
    active.or(oldest)?;
    let because = format!("{in_progress}{for_long}{others}");
    if usual.zip(oldest).is_some_and(|(usual, oldest)| oldest <= AS_USUAL * usual) {
        let waits = case.number(fact::CLIENT_TIME_RATIO).filter(|ratio| *ratio >= MOSTLY);
        return Some(match waits {
            Some(ratio) => {
                time::client(case, format!("{because}; {} of their time is waiting for the client", percent(ratio)))
            }
            None => Diagnosis::new(NeverEnds, Possible, because).maybe_by_design(LONG, Severity::Low),
        });
    }
    // One alone that is older than the window may be a long job.
    let is_alone = usual.is_none() && active.is_none_or(|active| active < SEVERAL);
    Some(if is_alone {
        Diagnosis::new(NeverEnds, Possible, because).maybe_by_design(LONG, Severity::Medium)
    } else {
        Diagnosis::new(NeverEnds, Certain, because)
    })
}

#[cfg(test)]
mod tests {
    use CauseKind::{FailingQuery, OwnTimeout};

    use super::*;
    use crate::rules::cause::tables::{self, Table, endpoint};

    #[track_caller]
    fn check(table: &Table, kind: CauseKind, because: &str) {
        let cause = table.read(errors).expect("a cause");
        assert_eq!((cause.kind, cause.because.as_str()), (kind, because));
    }

    fn failing() -> Table {
        endpoint().number(fact::ERROR_RATIO, 0.3)
    }

    #[test]
    fn the_kind_of_the_failures_decides() {
        let top = |share: f64| {
            failing()
                .number(fact::TOP_ERROR_RATIO, share)
                .word(fact::TOP_ERROR, "502")
                .number(fact::FAILED_AVG_DURATION, 0.01)
        };
        check(&top(0.97), SameError, "30% of the requests fail, 97% of them with 502, after 10ms on average");
        check(&top(0.6), MixedErrors, "30% of the requests fail, 60% of them with 502, after 10ms on average");
        check(&top(0.97).number(fact::PANIC_RATIO, 0.8), Panics, "30% of the requests fail, 80% of them by a panic");
        let timeout = top(1.0).number(fact::FAILED_MIN_DURATION, 2.0).number(fact::FAILED_MAX_DURATION, 2.01);
        check(
            &timeout.clone(),
            SameError,
            "30% of the requests fail, 100% of them with 502, after 10ms on average; all failures come after 2s to 2.01s",
        );
        assert_eq!(timeout.read(errors).expect("a cause").or, [OwnTimeout]);
        let answered = failing().word(fact::TOP_ERROR, "504").number(fact::TOP_ERROR_RATIO, 1.0);
        let answered = answered.number(fact::FAILED_MIN_DURATION, 2.0).number(fact::FAILED_MAX_DURATION, 2.01);
        check(&answered, OwnTimeout, "30% of the requests fail, most with 504; all failures come after 2s to 2.01s");
        // What succeeds takes as long: no time-out strikes there.
        check(
            &answered.number(fact::OK_P50_DURATION, 2.0),
            SameError,
            "30% of the requests fail, 100% of them with 504",
        );
    }

    #[test]
    fn what_is_in_progress_for_as_long_as_usual_ends_as_usual() {
        let of = |active: f64, oldest: f64, usual: Option<f64>| {
            let table = endpoint().number(fact::ACTIVE, active).number(fact::OLDEST_ACTIVE, oldest);
            usual.into_iter().fold(table, |table, usual| table.number(fact::P50_DURATION, usual))
        };
        let read = |table: &Table| table.read(unended).expect("a cause");
        let stuck = read(&of(85.0, 600.0, Some(0.02)));
        assert_eq!((stuck.kind, stuck.confidence, stuck.at_most()), (NeverEnds, Certain, None));
        assert_eq!(read(&of(12.0, 600.0, None)).confidence, Certain);
        let download = of(4.0, 240.0, Some(250.0)).number(fact::CLIENT_TIME_RATIO, 0.98);
        let download = download.number(fact::HEAD_DURATION, 0.01).number(fact::AVG_DURATION, 250.0);
        assert_eq!(read(&download).kind, CauseKind::SlowReader);
        for long in [of(4.0, 240.0, Some(250.0)), of(1.0, 480.0, None)] {
            let cause = read(&long);
            assert_eq!((cause.kind, cause.confidence, cause.by_design()), (NeverEnds, Possible, Some(LONG)));
        }
    }

    #[test]
    fn advice_on_refusals_follows_from_their_status() {
        let advice = |status: &str, share: f64| {
            let table = endpoint().number(fact::CLIENT_ERROR_RATIO, 0.5).word(fact::TOP_CLIENT_ERROR, status);
            table.number(fact::TOP_CLIENT_ERROR_RATIO, share).read(refusals).expect("a cause").advice().remove(0)
        };
        assert!(advice("429", 0.9).starts_with("429 is a limit of the service's own: see which clients send too much"));
        for (status, begin) in [
            ("401", "401: look at the credentials or the permissions"),
            ("403", "403: look at the credentials or the permissions"),
            ("404", "404: look where the clients have these links or ids from"),
            ("410", "410: look where the clients have these links or ids from"),
            ("409", "Compare what clients send with what the endpoint documents"),
            ("422", "Compare what clients send with what the endpoint documents"),
        ] {
            assert!(advice(status, 0.9).starts_with(begin), "{status}: {}", advice(status, 0.9));
        }
        assert!(advice("404", 0.3).starts_with("Compare what clients send"), "few of them are 404");
    }

    #[test]
    fn what_matches_no_route_is_the_fallbacks() {
        let table = tables::process().number(fact::UNMATCHED_ERROR_RATIO, 0.9).word(fact::TOP_UNMATCHED_ERROR, "502");
        let cause = table.read(fallback).expect("a cause");
        let because = "90% of the requests that matched no route and were not refused fail, most of them with 502";
        assert_eq!((cause.kind, cause.because.as_str()), (FallbackFails, because));
    }

    #[test]
    fn a_statement_that_fails_rarely_does_not_explain_requests_that_fail_often() {
        let of = |ratio: f64| {
            failing()
                .number(fact::TOP_ERROR_RATIO, 1.0)
                .word(fact::TOP_ERROR, "500")
                .word(fact::FAILING_QUERY, "UPDATE a")
                .number(fact::FAILING_QUERY_RATIO, ratio)
                .number(fact::FAILING_QUERY_CALLS, 200.0 * ratio)
                .number(fact::REQUESTS, 200.0)
        };
        check(
            &of(0.3),
            FailingQuery,
            "30% of the requests fail, and so do 30% of the calls of a statement that they issue",
        );
        check(&of(0.01), SameError, "30% of the requests fail, 100% of them with 500");
    }
}
