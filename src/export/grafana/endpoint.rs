//! The dashboard of one endpoint.

use super::{
    frame::{self, ENDPOINT as TITLE, by, several, values},
    model::Dashboard,
    overview::time_by_part,
    panel::{BYTES, BYTES_PER_SECOND, COUNT, Chart, PER_SECOND, RATIO, REQUESTS, Row, SECONDS},
    series::{ENDPOINT, INSTANCE, JOB, Series, label},
};
use crate::{
    RuleSet,
    export::query::{is_not, one_route},
    names,
    rules::{Measure, Scope},
};

pub(super) fn dashboard(rules: &RuleSet) -> Dashboard {
    let process = [by(JOB, JOB), by(INSTANCE, INSTANCE)];
    let routes: Vec<String> = process.iter().cloned().chain(one_route()).collect();
    let methods: Vec<String> = process.into_iter().chain([format!("{}=\"$route\"", names::ROUTE)]).collect();
    let variables = vec![
        values("route", "Route", names::ROUTE, &names::REQUESTS, &routes),
        several(values("method", "Method", names::METHOD, &names::REQUESTS, &methods)),
    ];
    let series = Series::selected().of_endpoint();
    let rows = vec![state(&series), requests(&series, rules), time(&series, rules), database(&series), sizes(&series)];
    frame::dashboard(TITLE, "now-1h", variables, rows)
}

/// One line for each method and outcome.
fn method() -> String {
    label(names::METHOD)
}

fn state(series: &Series) -> Row {
    let of_endpoint = |measure| series.measure(Scope::Endpoint, measure);
    let max = |of: String| format!("max({of})");
    // Subjects are named `METHOD route`; a join by that text needs no regular expression of the route.
    let subject = format!(
        "label_join({}, \"{}\", \" \", \"{}\", \"{}\")",
        format_args!("group by ({}) ({})", ENDPOINT.join(", "), series.of(&names::REQUESTS, &[])),
        names::SUBJECT,
        names::METHOD,
        names::ROUTE,
    );
    let firing =
        format!("{} > 0 and on ({}) {subject}", Series::selected().of(&names::BOTTLENECK, &[]), names::SUBJECT);
    let labels = [(names::SEVERITY, "Severity"), (names::RULE, "Rule"), (names::SUBJECT, "Subject")];
    let by = labels.map(|(label, _)| label).join(", ");
    Row {
        title: "Now",
        charts: vec![
            Chart::number("Requests", "Requests of the endpoint a second. A fall without a reason: clients cannot reach it, or do not call it any more.")
                .unit(REQUESTS)
                .query(series.count(&names::HTTP_DURATION, &[], &[]), "requests"),
            Chart::number("Errors", "Share of its requests that the service failed. The statuses below say how.")
                .unit(RATIO)
                .query(series.outcome_ratio(&names::REQUESTS, names::ERROR, &[]), "errors"),
            Chart::number("95th percentile", "One in twenty of its requests takes longer, to the last byte of the answer.")
                .unit(SECONDS)
                .query(series.quantile(&names::HTTP_DURATION, 95, &[]), "95th percentile"),
            Chart::number("In flight", "Requests of the endpoint that are in progress, as of the last evaluation of the rules.")
                .query(series.sum(&names::ENDPOINT_ACTIVE, &[]), "in flight"),
            Chart::number("Oldest", "For how long the oldest request in progress has been running. Minutes: it is stuck, or meant to last, as a long download is. /performance/report says what it waits for.")
                .unit(SECONDS)
                .query(max(of_endpoint(Measure::OldestActive)), "oldest"),
            Chart::number("Share of all time", "Share of the time of all requests of the service that goes to this endpoint.")
                .unit(RATIO)
                .query(format!("sum({})", of_endpoint(Measure::TimeShare)), "share"),
            Chart::table("Findings on the endpoint now", "What the monitors find in this endpoint at the moment; those on its statements are in the dashboard `Database`.", &labels)
                .column("Instances", COUNT, format!("count by ({by}) ({firing})"))
                .empty("Empty while nothing is found in this endpoint")
                .size(24, 5),
        ],
    }
}

fn requests(series: &Series, rules: &RuleSet) -> Row {
    let status = [names::STATUS, names::ERROR_TYPE];
    let quantile = |percent| series.quantile(&names::HTTP_DURATION, percent, &[]);
    let judged = [
        Measure::OwnAvgDuration,
        Measure::OwnDurationQuantile(95),
        Measure::OwnDurationQuantile(99),
        Measure::DurationQuantile(95),
        Measure::DurationQuantile(99),
    ];
    let ratios = [Measure::ErrorRatio, Measure::ClientErrorRatio, Measure::CancelledRatio];
    let ratio = |outcome| series.outcome_ratio(&names::REQUESTS, outcome, &[]);
    Row {
        title: "Requests",
        charts: vec![
            Chart::stack("Requests by outcome", "Requests a second by how they ended: ok, client_error (4xx), error, or cancelled by the client.")
                .unit(REQUESTS)
                .query(series.rate(&names::REQUESTS, &[names::OUTCOME], &[]), &label(names::OUTCOME))
                .color(names::OK, "green")
                .color(names::CLIENT_ERROR, "yellow")
                .color(names::ERROR, "red")
                .color(names::CANCELLED, "purple"),
            Chart::lines("Duration", "How long requests take, to the last byte of the answer; percentiles end at 10 s with the buckets. A high 99th percentile beside a low median: some requests wait for, or do, what others do not.")
                .unit(SECONDS)
                .query(quantile(50), "median")
                .query(quantile(95), "95th percentile")
                .query(quantile(99), "99th percentile")
                .query(series.mean(&names::HTTP_DURATION, &[]), "mean")
                .query(series.quantile(&names::ENDPOINT_OWN_DURATION, 95, &[]), "95th percentile without slow clients")
                .thresholds(&Series::selected(), rules, Scope::Endpoint, &judged),
            Chart::heatmap("Durations", "How many requests took how long. Two bands may be two kinds of request, such as hits and misses of a cache: find what tells them apart.")
                .unit(COUNT)
                .query(series.buckets(&names::HTTP_DURATION), "{{le}}")
                .size(8, 9),
            Chart::lines("Statuses and failures", "Requests a second by status, and by what failed where there was none.")
                .unit(REQUESTS)
                .query(series.count(&names::HTTP_DURATION, &status, &[]), &format!("{} {}", label(status[0]), label(status[1]))),
            Chart::lines("Ratios of what did not end well", "Shares of the requests that failed, were refused, or whose client left. Refused ones are the clients' mistakes, or a change that they do not know of yet.")
                .unit(RATIO)
                .query(ratio(names::ERROR), names::ERROR)
                .query(ratio(names::CLIENT_ERROR), names::CLIENT_ERROR)
                .query(ratio(names::CANCELLED), names::CANCELLED)
                .thresholds(&Series::selected(), rules, Scope::Endpoint, &ratios),
            Chart::lines("In flight by method", "Requests in progress, as of each evaluation of the rules. If it rises while the rate does not, requests pile up.")
                .query(series.sum(&names::ENDPOINT_ACTIVE, &[names::METHOD]), &method()),
        ],
    }
}

fn time(series: &Series, rules: &RuleSet) -> Row {
    let longest = |percent| series.quantile(&names::HTTP_LONGEST_POLL, percent, &[]);
    let per_request = |of: String| series.per_request(&of);
    let judged = [Measure::LongestPollQuantile(50), Measure::LongestPollQuantile(95)];
    Row {
        title: "Where its time goes",
        charts: vec![
            time_by_part(series, "Its requests by what they do", "the endpoint's requests in flight"),
            Chart::lines("Longest poll", "How long one step of a request kept a worker at a stretch. More than 10 ms delays all other requests of that worker: move the work to spawn_blocking, or await in between.")
                .unit(SECONDS)
                .query(longest(50), "median")
                .query(longest(95), "95th percentile")
                .thresholds(&Series::selected(), rules, Scope::Endpoint, &judged)
                .size(12, 9),
            Chart::lines("Time inside poll and streams", "Mean time of a request inside poll (a worker was busy with it), until the head of a streamed answer, and in which a stream had nothing to send yet.")
                .unit(SECONDS)
                .query(series.mean(&names::HTTP_BUSY, &[]), "inside poll")
                .query(series.mean(&names::HTTP_HEAD, &[]), "to the head of a streamed answer")
                .query(per_request(series.rate(&names::ENDPOINT_PRODUCING_NANOS, &[], &[])), "producing the next piece")
                .size(12, 9),
            Chart::lines("Polls that block", "Polls of 10 ms and longer a second, and the workers that they keep. Each is a moment in which a worker served nobody else.")
                .query(series.count(&names::ENDPOINT_BLOCKING_POLLS, &[], &[]), "polls a second")
                .query(series.total(&names::ENDPOINT_BLOCKING_POLLS, &[]), "workers blocked")
                .empty("Empty where no request of the endpoint has blocked a worker")
                .size(12, 9),
        ],
    }
}

fn database(series: &Series) -> Row {
    let id = [names::DB_QUERY_ID];
    let now = series.lately().with([is_not(names::DB_QUERY_ID, names::OTHER)]);
    let rate = |metric| now.rate(metric, &id, &[]);
    let requests = || rate(&names::ENDPOINT_QUERY_REQUESTS);
    let each = |of: String| format!("{of} / {}", requests());
    let queries = "Empty where its requests issue no tracked query";
    Row {
        title: "Its database queries",
        charts: vec![
            Chart::lines("Queries of a request", "Queries of a request that issues any, on average. A number that grows with the data is an N+1: fetch the rows with one query.")
                .query(series.mean(&names::HTTP_DB_QUERIES, &[]), "queries")
                .empty(queries),
            Chart::lines("Time in queries", "Mean time of a request in queries, beside its whole duration; queries at the same time count once.")
                .unit(SECONDS)
                .query(series.per_request(&series.total(&names::HTTP_DB_SECONDS, &[])), "in queries")
                .query(series.mean(&names::HTTP_DURATION, &[]), "whole duration")
                .empty(queries),
            Chart::lines("Queries for clients that left", "Queries a second of requests whose client disconnected, and the database's time that they took. Cancel them with the request.")
                .unit(PER_SECOND)
                .query(series.rate(&names::ENDPOINT_WASTED_QUERIES, &[], &[]), "queries a second")
                .query(series.rate(&names::ENDPOINT_WASTED_DB_NANOS, &[], &[]), "seconds a second")
                .empty("Empty where no client has left during a query"),
            Chart::table(
                "Its statements now",
                "The statements of its requests over the last five minutes. Many calls in a request: an N+1. Much time of a request: look at the plan of the statement.",
                &[(names::DB_QUERY_TEXT, "Statement")],
            )
            .column("Time of a request", SECONDS, statement(&each(rate(&names::ENDPOINT_QUERY_SECONDS))))
            .column("Calls in a request", COUNT, statement(&each(rate(&names::ENDPOINT_QUERY_CALLS))))
            .column("Requests a second with it", REQUESTS, statement(&requests()))
            .empty(queries),
        ],
    }
}

/// Names the statements of an expression by their texts alone.
fn statement(expression: &str) -> String {
    format!("max by ({}) ({})", names::DB_QUERY_TEXT, Series::selected().with_text(expression))
}

fn sizes(series: &Series) -> Row {
    let alloc = "Empty unless the service has installed the counting allocator (feature `alloc`)";
    Row {
        title: "Bytes",
        charts: vec![
            Chart::lines("Traffic", "Bytes of bodies that are received and sent each second. What is sent more than needed costs network and time: compress it.")
                .unit(BYTES_PER_SECOND)
                .query(series.total(&names::HTTP_REQUEST_SIZE, &[]), "received")
                .query(series.total(&names::HTTP_RESPONSE_SIZE, &[]), "sent"),
            Chart::lines("Size of answers", "Bodies of answers. Large ones take time of the network and of the client: paginate or compress them.")
                .unit(BYTES)
                .query(series.mean(&names::HTTP_RESPONSE_SIZE, &[]), "mean")
                .query(series.quantile(&names::HTTP_RESPONSE_SIZE, 95, &[]), "95th percentile"),
            Chart::lines("Memory of a request", "Bytes that a request allocates, on average, and those of the endpoint's requests that are not freed yet. If the latter only grows, the endpoint keeps what it should not.")
                .unit(BYTES)
                .query(series.mean(&names::HTTP_ALLOCATED, &[]), "allocated by a request")
                .query(series.sum(&names::HTTP_LIVE_BYTES, &[]), "not freed yet")
                .empty(alloc),
        ],
    }
}
