//! The dashboard of what requests wait for outside the process, and for each other.

use super::{
    frame::{self, DATABASE},
    model::Dashboard,
    panel::{COUNT, Chart, PER_SECOND, RATIO, REQUESTS, Row, SECONDS},
    series::{Series, label},
};
use crate::{
    RuleSet,
    export::query::{is, is_not},
    names,
    rules::{Measure, Scope},
};

const ID: [&str; 1] = [names::DB_QUERY_ID];
const NO_QUERY: &str = "Empty where no query is tracked: `track_db_query`, or sqlx's events";
const NO_POOL: &str = "Empty where no wait for a connection is tracked and no pool is watched";
const NO_CALL: &str = "Empty where no call is tracked: `HttpClientLayer`, `track_http_call`";
const NO_WAIT: &str = "Empty where no wait is tracked: `track_wait`, `track_hold`";

pub(super) fn dashboard(rules: &RuleSet) -> Dashboard {
    let series = Series::selected();
    let rows = vec![statements(&series, rules), pools(&series), calls(&series), waits(&series)];
    frame::dashboard(DATABASE, "now-1h", Vec::new(), rows)
}

fn statements(series: &Series, rules: &RuleSet) -> Row {
    let text = label(names::DB_QUERY_TEXT);
    let known = series.with([is_not(names::DB_QUERY_ID, names::OTHER)]);
    let top = |expression: String| series.with_text(&known.top(&expression, &ID, &names::DB_DURATION));
    let measure = |measure| top(series.measure(Scope::Query, measure));
    let now = series.lately();
    let column = |measure| {
        let each = series.with_text(&now.measure(Scope::Query, measure));
        format!("max by ({}) ({each})", names::DB_QUERY_TEXT)
    };
    let wasted = series.rate(&names::ENDPOINT_WASTED_DB_NANOS, &[], &[]);
    Row {
        title: "Statements: the ten that take the most time",
        charts: vec![
            Chart::stack("Time in statements", "How many calls of each statement were under way on average: connections that it keeps busy. Begin with the widest one: look at its plan, and at how often it is called.")
                .query(top(known.total(&names::DB_DURATION, &ID)), &text)
                .empty(NO_QUERY)
                .size(12, 10),
            Chart::lines("Calls", "Calls a second by statement. Very many short ones cost round trips: fetch more with each, or cache what does not change.")
                .unit(PER_SECOND)
                .query(measure(Measure::Rate), &text)
                .empty(NO_QUERY)
                .size(12, 10),
            Chart::lines("Mean duration", "How long a call takes on average. A statement that becomes slower as the data grow may lack an index: look at its plan.")
                .unit(SECONDS)
                .query(measure(Measure::AvgDuration), &text)
                .thresholds(series, rules, Scope::Query, &[Measure::AvgDuration])
                .empty(NO_QUERY)
                .size(12, 10),
            Chart::lines("95th percentile", "One in twenty calls takes longer. Far above the mean: some calls wait, for a lock or for a busy database, or read much more than others.")
                .unit(SECONDS)
                .query(measure(Measure::DurationQuantile(95)), &text)
                .thresholds(series, rules, Scope::Query, &[Measure::DurationQuantile(95)])
                .empty(NO_QUERY)
                .size(12, 10),
            Chart::lines("Calls in one request", "Calls of a statement in a request that issues it, of the endpoint with the most. A number that grows with the rows is an N+1: fetch them with one query.")
                .query(measure(Measure::CallsPerRequest), &text)
                .thresholds(series, rules, Scope::Query, &[Measure::CallsPerRequest])
                .empty(NO_QUERY)
                .size(12, 10),
            Chart::lines("Error ratio", "Share of a statement's calls that fail. The log of the service has the database's messages.")
                .unit(RATIO)
                .query(measure(Measure::ErrorRatio), &text)
                .thresholds(series, rules, Scope::Query, &[Measure::ErrorRatio])
                .empty(NO_QUERY)
                .size(12, 10),
            Chart::table("Statements now", "Every statement over the last five minutes, with its share of the time of all requests.", &[(names::DB_QUERY_TEXT, "Statement")])
                .column("Share of time", RATIO, column(Measure::TimeShare))
                .column("Calls a second", PER_SECOND, column(Measure::Rate))
                .column("Mean", SECONDS, column(Measure::AvgDuration))
                .column("95th percentile", SECONDS, column(Measure::DurationQuantile(95)))
                .column("Calls in one request", COUNT, column(Measure::CallsPerRequest))
                .column("Errors", RATIO, column(Measure::ErrorRatio))
                .empty(NO_QUERY)
                .size(24, 10),
            Chart::lines("Queries by outcome", "Calls a second of all statements by how they ended.")
                .unit(PER_SECOND)
                .query(series.rate(&names::QUERIES, &[names::OUTCOME], &[]), &label(names::OUTCOME))
                .empty(NO_QUERY)
                .size(12, 8),
            Chart::lines("Time for clients that left", "Share of the database's time that goes to requests whose client has disconnected. Cancel their queries with them.")
                .unit(RATIO)
                .query(format!("clamp_max({wasted} / {}, 1)", series.total(&names::DB_DURATION, &[])), "wasted")
                .empty("Empty where no client has left during a query")
                .size(12, 8),
        ],
    }
}

fn pools(series: &Series) -> Row {
    let pool = [names::POOL_NAME];
    let name = label(names::POOL_NAME);
    Row {
        title: "Pools of connections",
        charts: vec![
            Chart::lines("Connections", "Connections of a pool by state, and its limit, of all instances. At the limit requests wait for a connection.")
                .query(series.sum(&names::POOL_COUNT, &[names::POOL_NAME, names::POOL_STATE]), &format!("{name} {}", label(names::POOL_STATE)))
                .query(series.sum(&names::POOL_MAX, &pool), &format!("{name} limit"))
                .empty(NO_POOL),
            Chart::lines("Wait for a connection", "How long getting a connection takes, and how many requests wait for one now. Waits in a pool that is not at its limit: connections are opened or checked.")
                .unit(SECONDS)
                .query(series.quantile(&names::POOL_WAIT, 95, &pool), &format!("{name} 95th percentile"))
                .query(series.mean(&names::POOL_WAIT, &pool), &format!("{name} mean"))
                .empty(NO_POOL),
            Chart::lines("Waiting and holding", "Requests that wait for a connection, and connections that are held on average. Who holds one while doing something else keeps others waiting.")
                .query(series.sum(&names::POOL_PENDING, &pool), &format!("{name} waiting"))
                .query(series.total(&names::POOL_USE, &pool), &format!("{name} held"))
                .empty(NO_POOL),
        ],
    }
}

fn calls(series: &Series) -> Row {
    let server = [names::SERVER_ADDRESS];
    let name = label(names::SERVER_ADDRESS);
    let failed = series.count(&names::CALL_DURATION, &server, &[is_not(names::ERROR_TYPE, "")]);
    let all = series.count(&names::CALL_DURATION, &server, &[]);
    Row {
        title: "Calls to other services",
        charts: vec![
            Chart::lines("Calls by service", "Calls a second by the service that is called.")
                .unit(REQUESTS)
                .query(all.clone(), &name)
                .empty(NO_CALL),
            Chart::lines("Duration of calls", "One in twenty calls takes longer, to the last byte of the answer, and the mean. A service that is slow makes this one slow: set a timeout, and ask at once what can be asked at once.")
                .unit(SECONDS)
                .query(series.quantile(&names::CALL_DURATION, 95, &server), &format!("{name} 95th percentile"))
                .query(series.mean(&names::CALL_DURATION, &server), &format!("{name} mean"))
                .empty(NO_CALL),
            Chart::lines("Failing calls", "Share of the calls to a service that fail: no answer, or a status of 4xx or 5xx.")
                .unit(RATIO)
                .query(format!("({failed} or 0 * {all}) / {all}"), &name)
                .empty(NO_CALL),
        ],
    }
}

fn waits(series: &Series) -> Row {
    let wait = [names::WAIT_KIND, names::WAIT_NAME];
    let name = format!("{} {}", label(wait[0]), label(wait[1]));
    let failed = [is(names::ERROR_TYPE, names::CANCELLED)];
    Row {
        title: "Locks, permits, channels and other waits",
        charts: vec![
            Chart::stack("Waiting on average", "How many waited for each lock, semaphore or channel on average. The widest one limits how much the service can do at once: hold it for less time, or divide it.")
                .query(series.total(&names::WAIT_DURATION, &wait), &name)
                .empty(NO_WAIT),
            Chart::lines("Duration of waits", "One in twenty waits takes longer.")
                .unit(SECONDS)
                .query(series.quantile(&names::WAIT_DURATION, 95, &wait), &name)
                .empty(NO_WAIT),
            Chart::lines("Time held", "How long a lock or a permit is held, on average. Whatever can be done before or after, do not do it in between.")
                .unit(SECONDS)
                .query(series.mean(&names::HOLD_DURATION, &wait), &name)
                .empty(NO_WAIT),
            Chart::lines("Waiting now", "Waits in progress, and waits a second that were given up: their request was cancelled.")
                .query(series.sum(&names::WAITING_NOW, &wait), &name)
                .query(series.count(&names::WAIT_DURATION, &wait, &failed), &format!("{name} given up"))
                .empty(NO_WAIT)
                .size(24, 8),
        ],
    }
}
