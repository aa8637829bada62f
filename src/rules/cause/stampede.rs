//! Whether the calls of a statement come together, as where many requests refill a cache at once.

use CauseKind::{SlowPlan, Stampede};

use super::{
    case::{Case, count, percent},
    diagnosis::Diagnosis,
};
use crate::rules::{
    cause_kind::{
        CauseKind,
        Confidence::{Likely, Possible},
    },
    fact,
};

/// Many at once: so many calls, and so many times more than run on average.
const AT_ONCE: f64 = 8.0;
const TIMES_THE_AVERAGE: f64 = 4.0;
/// A statement that at most this share of the requests issue is spared the others, as by a cache.
const SELDOM: f64 = 0.5;

/// Returns the cause of calls of which many run at once, with pauses between; `None` where they do not. `side_by_side` is whether
/// the calls of one request overlap: these are that request's doing.
pub(super) fn diagnose(case: &Case<'_>, side_by_side: bool) -> Option<Diagnosis> {
    let most = case.number(fact::MAX_AT_ONCE)?;
    let average = case.number(fact::IN_FLIGHT)?;
    let in_one = if side_by_side { case.number(fact::CALLS_PER_REQUEST).unwrap_or(1.0).max(1.0) } else { 1.0 };
    if most / in_one < AT_ONCE || most / in_one < TIMES_THE_AVERAGE * (average / in_one).max(1.0) {
        return None;
    }
    let because =
        format!("up to {} calls of it ran at once, {} on average: they come together", count(most), count(average));
    Some(match needing(case) {
        Some(ratio) if ratio <= SELDOM => {
            let because = format!("{because}, and {} of the requests need it", percent(ratio));
            Diagnosis::new(Stampede, Likely, because)
        }
        // Each request issues it: then it may be the requests that come together, and nothing is cached.
        Some(_) => Diagnosis::new(Stampede, Possible, because).or(&[SlowPlan]),
        None => Diagnosis::new(Stampede, Likely, because),
    })
}

/// Returns in what share of the requests of its first endpoint the query is issued at all.
fn needing(case: &Case<'_>) -> Option<f64> {
    let share = case.evidence.endpoints.first()?;
    let issuing = share.calls as f64 / share.calls_per_request.filter(|calls| *calls > 0.0)?;
    let requests = share.within.map(|within| within.requests as f64).filter(|requests| *requests > 0.0)?;
    Some(issuing / requests)
}
