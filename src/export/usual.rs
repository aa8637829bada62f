//! [`absent_for`] and [`drop_ratio`]: what is not there any more or has become rare, as expressions of PromQL.
//!
//! Prometheus compares with the same time of yesterday and of a week ago, as the process does. It does not know the gaps between two
//! requests, nor how their numbers scatter: so it asks for more of them. docs/semantics.md has the differences. The invariant that a
//! change could break: without a week of series nothing is absent or dropped.

use super::{
    promql::{self, Reason},
    query::{Query, TARGET, one_route},
};
use crate::{
    names,
    rules::{Measure, Scope},
};

/// Requests or runs that are usual in a time and must be missing for it to be more than chance: six standard deviations.
const FEWEST_ABSENT: u32 = 25;
/// The same, where a fifth of them came.
const FEWEST_DROPPED: u32 = 60;
/// The time that a drop looks at.
const DROP_WINDOW: &str = "30m";
/// Share of its usual requests from which on the service is not what dropped.
const LESS: f64 = 0.5;

/// Returns how many there usually are: those of yesterday or of a week ago, whichever are fewer.
fn usual(query: &Query<'_>) -> String {
    let (day, week) = (query.count_ago(query.counted(), "1d"), query.count_ago(query.counted(), "1w"));
    // Without the second part a subject that had more yesterday would have no value.
    format!("(({day} <= {week}) or ({week} and {day}))")
}

/// Returns the query of all endpoints together. Requests that matched no route are none of theirs.
fn whole<'a>(query: &Query<'a>, routes: &'a [String]) -> Query<'a> {
    Query { scope: Scope::Process, matchers: routes, ..query.clone() }
}

/// Returns the window of the query, in seconds, for subjects that had nothing in it and should have.
pub(super) fn absent_for(query: &Query<'_>) -> Result<String, Reason> {
    let routes = one_route();
    let all = whole(query, &routes);
    let query = if query.scope == Scope::Process { &all } else { query };
    let (on, target) = (query.labels(), TARGET.join(", "));
    let (seconds, usual, count) = (query.window_seconds(), usual(query), query.count(query.counted()));
    let mut expression = format!("({usual} >= {FEWEST_ABSENT}) * 0 + {seconds} unless on ({on}) ({count} > 0)");
    // What has begun and not ended is there.
    expression += &match query.scope {
        Scope::Process => {
            let endpoints = Query { scope: Scope::Endpoint, matchers: &[], ..query.clone() };
            format!(" unless on ({on}) (sum by ({target}) ({}) > 0)", promql::measure(&endpoints, Measure::Active)?)
        }
        _ => format!(" unless on ({on}) ({} > 0)", promql::measure(query, Measure::Active)?),
    };
    if query.scope == Scope::Endpoint {
        // Otherwise it is the service that has none.
        expression += &format!(" and on ({target}) ({} > 0)", all.count(all.counted()));
    }
    // The time in which the process did not run is no silence.
    Ok(format!("({expression}) and on ({target}) (time() - {} > {seconds})", names::PROCESS_START.name))
}

/// Returns the share of the usual that is missing.
pub(super) fn drop_ratio(query: &Query<'_>) -> String {
    let routes = one_route();
    let query = Query { window: DROP_WINDOW, ..query.clone() };
    let all = whole(&query, &routes);
    let query = if query.scope == Scope::Process { &all } else { &query };
    let (on, target) = (query.labels(), TARGET.join(", "));
    let share = |query: &Query<'_>| format!("({} > 0) / {}", query.count(query.counted()), usual(query));
    let mut expression =
        format!("clamp_min(1 - {}, 0) and on ({on}) ({} >= {FEWEST_DROPPED})", share(query), usual(query));
    if query.scope == Scope::Endpoint {
        // Otherwise it is the service that has fewer.
        expression += &format!(" and on ({target}) ({} > {LESS})", share(&all));
    }
    let seconds = query.window_seconds();
    format!("({expression}) and on ({target}) (time() - {} > {seconds})", names::PROCESS_START.name)
}
