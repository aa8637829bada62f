//! What the report shows in rows, each [`Table`] built once for the page and for Markdown.

use super::{
    document::{Report, ReportTrends},
    words::{acknowledged, duration, ending, latest, memory, percent},
};
use crate::{
    api::{
        bottlenecks::BottleneckView,
        endpoints::EndpointView,
        evidence::{
            BlockerView, EndpointShareView, EvidenceView, OutcomeView, QueryView, RunView, SlowRequestView, SuspectView,
        },
        rules::SilentRule,
        slos::SloView,
        summary::Summary,
        trend::{TrendView, direction_str},
    },
    markup::{
        Column, Html, Table,
        numbers::{NOTHING, count, moment, or_dash},
    },
    names,
    rules::{
        Unit,
        fact::{self, NumberFact},
    },
};

/// The service at a glance, in one row.
pub(in crate::api) fn summary(summary: &Summary) -> Table {
    let columns: [Column<Summary>; 8] = [
        Column::number("requests", |one| count(one.total_requests)),
        Column::number("requests a second", |one| or_dash(one.requests_per_second, Unit::Count)),
        Column::number("mean duration", |one| duration(one.avg_duration_ms)),
        Column::number("95th percentile", |one| duration(one.p95_duration_ms)),
        Column::number("99th percentile", |one| duration(one.p99_duration_ms)),
        Column::number("server errors", |one| percent(one.error_rate_percent)),
        Column::number("database queries", |one| count(one.total_db_queries)),
        Column::number("mean memory", |one| memory(one.avg_memory_mb)),
    ];
    Table::of([summary], &columns)
}

/// The bottlenecks in a line each. What people said of them is a column where somebody did.
pub(in crate::api) fn bottlenecks(report: &Report) -> Table {
    let mut columns: Vec<Column<BottleneckView>> = vec![
        Column::words("severity", |one| one.severity.clone()),
        Column::words("type", |one| one.kind.clone()),
        Column::code("subject", |one| one.subject.clone()),
        Column::number("value", |one| one.unit.render(one.value)),
        Column::number("threshold", |one| one.unit.render(one.threshold)),
        Column::words("impact", |one| one.impact.clone()),
    ];
    if report.bottlenecks.iter().any(|one| one.acknowledged.is_some()) {
        columns.push(Column::words("acknowledged", |one| {
            one.acknowledged.as_ref().map_or_else(|| NOTHING.to_owned(), acknowledged)
        }));
    }
    Table::of(&report.bottlenecks, &columns)
}

/// The error budgets of the objectives.
pub(in crate::api) fn slos(slos: &[SloView]) -> Table {
    let columns: [Column<SloView>; 9] = [
        Column::code("objective", |one| one.id.clone()),
        Column::code("subject", |one| one.subject.clone()),
        Column::number("budget left", |one| format!("{}%", Unit::Count.render(one.budget_left_percent))),
        Column::number("ends in", |one| {
            let ends = |seconds| if seconds > 0.0 { Unit::Seconds.render(seconds) } else { "spent".to_owned() };
            one.budget_ends_in_seconds.map_or_else(|| NOTHING.to_owned(), ends)
        }),
        Column::number("burn rate in 1h", |one| or_dash(one.burn_rate_in(3600.0), Unit::Count)),
        Column::number("in 6h", |one| or_dash(one.burn_rate_in(6.0 * 3600.0), Unit::Count)),
        Column::number("in 3d", |one| or_dash(one.burn_rate_in(72.0 * 3600.0), Unit::Count)),
        Column::words("promise", |one| {
            let window = Unit::Seconds.render(one.window_seconds);
            format!("{}% not {} over {window}", Unit::Count.render(one.objective_percent), one.bad)
        }),
        Column::words("known for", |one| {
            let known = Unit::Seconds.render(one.known_seconds);
            if one.is_whole { "all of it".to_owned() } else { format!("{known} only") }
        }),
    ];
    Table::of(slos, &columns)
}

/// The endpoints in numbers.
pub(in crate::api) fn endpoints(endpoints: &[EndpointView]) -> Table {
    let columns: [Column<EndpointView>; 11] = [
        Column::code("endpoint", |one| one.endpoint.clone()),
        Column::number("requests", |one| count(one.request_count)),
        Column::number("share", |one| percent(one.time_share_percent)),
        Column::number("mean", |one| duration(one.avg_duration_ms)),
        Column::number("p50", |one| duration(one.p50_duration_ms)),
        Column::number("p95", |one| duration(one.p95_duration_ms)),
        Column::number("p99", |one| duration(one.p99_duration_ms)),
        Column::number("max", |one| duration(one.max_duration_ms)),
        Column::number("errors", |one| percent(one.error_rate_percent)),
        Column::number("4xx", |one| percent(one.client_error_rate_percent)),
        Column::number("queries a request", |one| or_dash(one.db_queries_per_request, Unit::Count)),
    ];
    Table::of(endpoints, &columns)
}

/// The parts of each endpoint's time, where they cannot be drawn.
pub(in crate::api) fn splits(endpoints: &[EndpointView]) -> Table {
    let columns: [Column<EndpointView>; 9] = [
        Column::code("endpoint", |one| one.endpoint.clone()),
        Column::number("database", |one| percent(one.db_time_percent)),
        Column::number("tasks", |one| percent(one.task_time_percent)),
        Column::number("calls", |one| percent(one.call_time_percent)),
        Column::number("tracked waits", |one| percent(one.tracked_wait_percent)),
        Column::number("client", |one| percent(one.client_time_percent)),
        Column::number("late", |one| percent(one.late_time_percent)),
        Column::number("busy on the CPU", |one| percent(one.busy_time_percent)),
        Column::number("waiting", |one| percent(one.waiting_time_percent)),
    ];
    Table::of(endpoints, &columns).titled("Where the time goes")
}

/// The trends, where they cannot be drawn.
pub(in crate::api) fn trends(trends: &ReportTrends) -> Table {
    let columns: [Column<(&str, &TrendView)>; 4] = [
        Column::words("measure", |(name, _)| (*name).to_owned()),
        Column::words("direction", |(_, trend)| direction_str(trend.direction).to_owned()),
        Column::number("latest", |(_, trend)| latest(trend)),
        Column::words("what changed", |(_, trend)| trend.message.clone()),
    ];
    Table::of(&trends.each(), &columns)
}

/// The slowest requests of an endpoint, where they cannot be drawn.
pub(in crate::api) fn slow_requests(requests: &[SlowRequestView]) -> Table {
    let columns: [Column<SlowRequestView>; 7] = [
        Column::code("slowest requests", |one| moment(&one.timestamp)),
        Column::number("took", |one| duration(Some(one.duration_ms))),
        Column::words("ended with", ending),
        Column::number("busy", |one| duration(Some(one.busy_ms))),
        Column::number("longest poll", |one| duration(Some(one.longest_poll_ms))),
        Column::number("queries and tasks", |one| count(one.timeline.len() as u64 + u64::from(one.timeline_beyond))),
        Column::words("trace", |one| one.trace_id.clone().unwrap_or_else(|| NOTHING.to_owned())),
    ];
    Table::of(requests, &columns)
}

/// The rules that cannot find anything now.
pub(in crate::api) fn silent_rules(rules: &[SilentRule]) -> Table {
    let columns: [Column<SilentRule>; 2] =
        [Column::code("rule", |one| one.id.clone()), Column::words("why", |one| one.reason.clone())];
    Table::of(rules, &columns)
}

/// The evidence of a bottleneck but for what is drawn.
pub(in crate::api) fn evidence(evidence: &EvidenceView) -> [Table; 6] {
    [
        queries(&evidence.top_queries),
        callers(&evidence.endpoints),
        blockers(&evidence.blockers),
        outcomes(&evidence.outcomes),
        running(&evidence.running),
        leak_suspects(&evidence.leak_suspects),
    ]
}

fn queries(queries: &[QueryView]) -> Table {
    let columns: [Column<QueryView>; 5] = [
        Column::code("query", |one| one.query.clone()),
        Column::number("calls", |one| count(one.calls)),
        Column::number("per request", |one| or_dash(one.calls_per_request, Unit::Count)),
        Column::number("total", |one| Unit::Seconds.render(one.total_seconds)),
        Column::number("of the endpoint's time", |one| or_dash(one.time_ratio, Unit::Ratio)),
    ];
    Table::of(queries, &columns).titled("Queries")
}

fn callers(endpoints: &[EndpointShareView]) -> Table {
    let columns: [Column<EndpointShareView>; 6] = [
        Column::code("endpoint", |one| one.endpoint.clone()),
        Column::number("calls", |one| count(one.calls)),
        Column::number("per request", |one| or_dash(one.calls_per_request, Unit::Count)),
        Column::number("total", |one| Unit::Seconds.render(one.total_seconds)),
        Column::number("share", |one| or_dash(one.time_ratio, Unit::Ratio)),
        Column::number("of the endpoint's time", |one| or_dash(one.endpoint_time_ratio, Unit::Ratio)),
    ];
    Table::of(endpoints, &columns).titled("Endpoints that issue it")
}

fn blockers(blockers: &[BlockerView]) -> Table {
    let columns: [Column<BlockerView>; 7] = [
        Column::code("endpoint", |one| one.endpoint.clone()),
        Column::number("blocking polls", |one| count(one.polls)),
        Column::number("total", |one| Unit::Seconds.render(one.total_seconds)),
        Column::number("longest", |one| duration(one.longest_ms)),
        Column::number("others in flight", |one| or_dash(one.others_in_flight, Unit::Count)),
        Column::number("at most", |one| or_dash(one.max_others_in_flight.map(|others| others as f64), Unit::Count)),
        Column::code("waited most often", |one| {
            one.waited.first().map_or_else(|| NOTHING.to_owned(), |waited| waited.endpoint.clone())
        }),
    ];
    Table::of(blockers, &columns).titled("Endpoints that blocked a worker, and requests that may have waited")
}

/// Writes a moment in a cell, and the same as text.
fn time(html: &mut Html, timestamp: Option<&str>) {
    match timestamp {
        Some(timestamp) => html.time(timestamp),
        None => html.text(NOTHING),
    };
}

fn at(timestamp: Option<&str>) -> String {
    timestamp.map_or_else(|| NOTHING.to_owned(), moment)
}

/// How requests or runs ended; nothing where all of them ended well.
fn outcomes(outcomes: &[OutcomeView]) -> Table {
    let columns: [Column<OutcomeView>; 5] = [
        Column::code("outcome", |one| one.outcome.clone()),
        Column::number("count", |one| count(one.count)),
        Column::number("share", |one| Unit::Ratio.render(one.ratio)),
        Column::drawn(
            "first seen",
            |one, html| time(html, one.first_seen.as_deref()),
            |one| at(one.first_seen.as_deref()),
        ),
        Column::drawn(
            "last seen",
            |one, html| time(html, one.last_seen.as_deref()),
            |one| at(one.last_seen.as_deref()),
        ),
    ];
    let ended_well = |one: &OutcomeView| one.outcome == names::OK || one.outcome.starts_with('2');
    let shown = if outcomes.iter().all(ended_well) { &[][..] } else { outcomes };
    Table::of(shown, &columns).titled("How they ended")
}

fn running(running: &[RunView]) -> Table {
    let columns: [Column<RunView>; 2] = [
        Column::drawn("since", |one, html| time(html, Some(&one.since)), |one| at(Some(&one.since))),
        Column::number("for", |one| Unit::Seconds.render(one.running_seconds)),
    ];
    Table::of(running, &columns).titled("In progress, the oldest first")
}

fn leak_suspects(suspects: &[SuspectView]) -> Table {
    let columns: [Column<SuspectView>; 5] = [
        Column::code("endpoint", |one| one.endpoint.clone()),
        Column::number("kept", |one| memory(Some(one.kept_mb))),
        Column::number("of the growth", |one| Unit::Ratio.render(one.ratio)),
        Column::number("an hour", |one| memory(Some(one.kept_mb_per_hour))),
        Column::number("a request", |one| or_dash(one.kept_bytes_per_request, Unit::Bytes)),
    ];
    Table::of(suspects, &columns).titled("Endpoints that keep the memory that the process gained")
}

/// A number of the evidence and what to call it.
type Key = (NumberFact, &'static str);

const DURATIONS: [Key; 5] = [
    (fact::AVG_DURATION, "mean"),
    (fact::P50_DURATION, "p50"),
    (fact::P95_DURATION, "p95"),
    (fact::P99_DURATION, "p99"),
    (fact::MAX_DURATION, "longest"),
];
const ENDPOINT: &[Key] = &[
    (fact::REQUEST_RATE, "requests"),
    (fact::IN_FLIGHT, "in flight on average"),
    (fact::ACTIVE, "in flight now"),
    (fact::LONGEST_POLL, "longest poll"),
    (fact::DB_QUERIES_PER_REQUEST, "queries a request"),
];
const QUERY: &[Key] = &[
    (fact::CALL_RATE, "calls"),
    (fact::CALLS_PER_REQUEST, "calls a request"),
    (fact::IN_FLIGHT, "connections busy on average"),
    (fact::ERROR_RATIO, "failed"),
];
const TASK: &[Key] = &[
    (fact::BUSY_RATIO, "running"),
    (fact::WAITING_RATIO, "waiting"),
    (fact::ACTIVE, "in progress"),
    (fact::OLDEST_ACTIVE, "the oldest for"),
    (fact::FAILED_AVG_DURATION, "failed after"),
];
const PROCESS: &[Key] = &[
    (fact::RESIDENT_MEMORY, "memory"),
    (fact::MEMORY_LIMIT, "limit"),
    (fact::MEMORY_GROWTH, "growth"),
    (fact::TIME_TO_LIMIT, "limit reached in"),
    (fact::CPU_RATIO, "CPU"),
    (fact::WORKER_BUSY_RATIO, "workers busy"),
    (fact::SCHEDULING_LAG, "p99 of the scheduling lag"),
    (fact::MAX_SCHEDULING_LAG, "longest scheduling lag"),
    (fact::OPEN_FDS, "open files"),
    (fact::MAX_FDS, "limit of open files"),
];

/// The numbers of the evidence that matter most, each with its label.
pub(in crate::api) fn key_numbers(evidence: &EvidenceView) -> Vec<(&'static str, String)> {
    let has = |fact: NumberFact| evidence.numbers.contains_key(fact.name);
    let own = match () {
        () if has(fact::REQUESTS) => ENDPOINT,
        () if has(fact::CALLS) => QUERY,
        () if has(fact::RUNS) => TASK,
        () => PROCESS,
    };
    let known = DURATIONS.iter().chain(own);
    // No failure at all is not worth a line.
    let value =
        |fact: NumberFact| evidence.numbers.get(fact.name).filter(|value| **value > 0.0 || fact != fact::ERROR_RATIO);
    known.filter_map(|(fact, label)| Some((*label, fact.unit.render(*value(*fact)?)))).collect()
}
