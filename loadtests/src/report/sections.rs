//! What a report says, section by section, for every writer.
//!
//! A column is one line here. Times are rounded to three digits and shares are in percent.

use pinchpoint::markup::{Cell, Column, Table, Tone, numbers};

use super::block::{Block, Finding};
use crate::{
    record::Outcome,
    result::{
        Capacity, CapacityStep, Change, CheckResult, Comparison, Direction, EndpointResult, FailureResult,
        OutageResult, Profile, RunResult, StepEnd,
    },
    server::{FiredBottleneck, LeftOut, LeftOutWhy, ServerEndpoint},
    span::show_seconds,
};

/// Times without a success that are shown; the JSON file has all.
const MOST_OUTAGES: usize = 5;
/// Kinds of failure that are shown of one endpoint; the JSON file has all.
const MOST_FAILURES: usize = 10;

/// What the run was: `100/s against http://127.0.0.1:8000 for 4.00 s, 400 requests, started …, seed 7`.
pub(super) fn summary(result: &RunResult) -> String {
    let seed = result.seed.map_or_else(String::new, |seed| format!(", seed {seed}"));
    let requests = plural(result.total.total_requests, "request");
    let (target, started) = (&result.target, &result.started_at);
    if let Some(profile) = &result.profile {
        let name = result.endpoints.first().map_or_else(|| result.target.clone(), EndpointResult::name);
        let (measured, warm_up) = (plural(profile.iterations, "request"), profile.warm_up);
        return format!(
            "Profile of {name} at {target}: {measured}, one after another, {warm_up} before them left out; started {started}{seed}"
        );
    }
    let (load, time) = (result.load.describe(), show_seconds(result.duration));
    format!("{load} against {target} for {time}, {requests}, started {started}{seed}")
}

pub(super) fn title(result: &RunResult) -> Vec<Block> {
    let tone = match result.verdict.exit_code {
        0 if result.generator.saturated => Tone::Neutral,
        0 => Tone::Good,
        _ => Tone::Bad,
    };
    let mut blocks =
        vec![Block::Title(result.verdict.conclusion.clone(), tone), Block::Text(format!("{}.", summary(result)))];
    if let Some(reason) = &result.generator.reason {
        blocks.push(Block::Warning(format!("The generator was saturated: {reason}.")));
    }
    blocks
}

/// The run at a glance.
pub(super) fn tiles(result: &RunResult) -> Option<Block> {
    if result.is_unmeasured() {
        return None;
    }
    let columns: [Column<EndpointResult>; 7] = [
        Column::number("requests", |all| numbers::count(all.total_requests)),
        Column::number("requests a second", |all| numbers::number(all.requests_per_second)),
        Column::number("mean", |all| numbers::or_nothing(all.avg_response_time, numbers::seconds)),
        Column::number("median", |all| numbers::or_nothing(all.p50_response_time, numbers::seconds)),
        Column::number("95th percentile", |all| numbers::or_nothing(all.p95_response_time, numbers::seconds)),
        Column::number("99th percentile", |all| numbers::or_nothing(all.p99_response_time, numbers::seconds)),
        Column::toned_number("errors", |all| {
            let tone = if all.failed_requests > 0 { Tone::Bad } else { Tone::Neutral };
            Cell::from(numbers::or_nothing(all.error_rate.map(|percent| percent / 100.0), numbers::ratio)).toned(tone)
        }),
    ];
    Some(Block::Tiles(Table::of([&result.total], &columns)))
}

/// A check's condition, behind its rule if it is a rule's.
pub(super) fn condition(check: &CheckResult) -> String {
    match (&check.rule, &check.severity) {
        (Some(rule), Some(severity)) => format!("{rule} ({severity}): {}", check.condition),
        _ => check.condition.clone(),
    }
}

pub(super) fn checks(result: &RunResult) -> Vec<Block> {
    let status = |check: &CheckResult| {
        let tone = match check.status.as_str() {
            "passed" => Tone::Good,
            "breached" => Tone::Bad,
            _ => Tone::Neutral,
        };
        Cell::from(check.status.as_str()).toned(tone)
    };
    let table = Table::of(
        &result.verdict.checks,
        &[
            Column::toned_words("", status),
            Column::toned_words("what", |check| check.subject.as_str().into()),
            Column::toned_words("condition", |check| condition(check).into()),
            Column::toned_words("observed", |check| check.observed.as_str().into()),
        ],
    );
    if table.is_empty() { Vec::new() } else { vec![Block::Table(table)] }
}

/// A line of the table of endpoints: an endpoint, or one outcome of it.
struct EndpointRow {
    name: Cell,
    requests: u64,
    rate: Option<f64>,
    /// Mean, p50, p95, p99 and longest; each absent without requests.
    times: [Option<f64>; 5],
    head_p95: Option<f64>,
    error_rate: Option<f64>,
}

pub(super) fn endpoints(result: &RunResult) -> Vec<Block> {
    if result.is_unmeasured() {
        return vec![not_measured(result)];
    }
    let total = (result.endpoints.len() != 1).then_some((&result.total, "all requests".to_owned()));
    let named = result.endpoints.iter().map(|endpoint| (endpoint, endpoint.name()));
    let rows: Vec<EndpointRow> =
        named.chain(total).flat_map(|(endpoint, name)| endpoint_rows(endpoint, name)).collect();
    let table = Table::of(
        &rows,
        &[
            Column::toned_code("endpoint", |row| row.name.clone()),
            Column::toned_number("requests", |row| row.requests.to_string().into()),
            Column::toned_number("req/s", |row| row.rate.map_or_else(String::new, |rate| format!("{rate:.1}")).into()),
            Column::toned_number("mean", |row| time(row.times[0])),
            Column::toned_number("p50", |row| time(row.times[1])),
            Column::toned_number("p95", |row| time(row.times[2])),
            Column::toned_number("p99", |row| time(row.times[3])),
            Column::toned_number("max", |row| time(row.times[4])),
            Column::toned_number("head p95", |row| row.head_p95.map_or_else(String::new, show_seconds).into()),
            Column::toned_number("errors", |row| row.error_rate.map_or_else(|| "".into(), error_rate)),
        ],
    );
    let mut blocks = vec![Block::Heading("What users saw".to_owned()), Block::Table(table)];
    blocks.extend(outages(result));
    blocks.extend(reading_notes(result));
    blocks.extend(arrivals(result));
    blocks
}

/// What stands in the place of numbers where there are none.
fn not_measured(result: &RunResult) -> Block {
    let requests = plural(result.warm_up_requests, "request");
    Block::Warning(format!("Nothing was measured: the run ended in its warm-up, after {requests}."))
}

fn endpoint_rows(endpoint: &EndpointResult, name: String) -> Vec<EndpointRow> {
    let times = [
        endpoint.avg_response_time,
        endpoint.p50_response_time,
        endpoint.p95_response_time,
        endpoint.p99_response_time,
        endpoint.max_response_time,
    ];
    let mut rows = vec![EndpointRow {
        name: name.into(),
        requests: endpoint.total_requests,
        rate: Some(endpoint.requests_per_second),
        times,
        head_p95: endpoint.first_byte.as_ref().map(|latency| latency.p95),
        error_rate: endpoint.error_rate,
    }];
    if endpoint.failed_requests == 0 {
        return rows;
    }
    // Failures have rows of their own, so that neither they nor the successes make the other look better.
    let outcomes = Outcome::ALL.into_iter().filter_map(|outcome| {
        let latency = endpoint.outcomes.get(outcome.name())?;
        Some(EndpointRow {
            name: Cell::part(&format!("{} only", outcome.name())),
            requests: latency.count,
            rate: None,
            times: [latency.mean, latency.p50, latency.p95, latency.p99, latency.max]
                .map(|value| (outcome != Outcome::Unsent).then_some(value)),
            head_p95: None,
            error_rate: None,
        })
    });
    rows.extend(outcomes);
    rows
}

/// The times without a success, the longest first.
fn outages(result: &RunResult) -> Vec<Block> {
    let mut longest: Vec<&OutageResult> = result.outages.iter().collect();
    longest.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    let mut blocks: Vec<Block> = longest
        .iter()
        .take(MOST_OUTAGES)
        .map(|outage| {
            let [start, end, length] = [outage.start, outage.start + outage.seconds, outage.seconds].map(show_seconds);
            if outage.failed == 0 {
                return Block::Warning(format!(
                    "No success for {length}, from {start} to {end}: requests hung meanwhile."
                ));
            }
            let why_few = if result.load.rate.is_none() { ", few because users wait longer after each" } else { "" };
            let failed = plural(outage.failed, "request");
            Block::Warning(format!(
                "No success for {length}, from {start} to {end}: {failed} failed meanwhile{why_few}."
            ))
        })
        .collect();
    if let more @ 1.. = longest.len().saturating_sub(MOST_OUTAGES) {
        blocks.push(Block::Warning(format!("There were {more} more times without a success.")));
    }
    blocks
}

fn reading_notes(result: &RunResult) -> Vec<Block> {
    let mut note = "Times are to the last byte of the body".to_owned();
    if let Some(head) = &result.total.first_byte {
        let [p50, p95, p99] = [head.p50, head.p95, head.p99].map(show_seconds);
        note += &format!("; the response head came after p50 {p50}, p95 {p95}, p99 {p99}");
    }
    note.push('.');
    if result.total.failed_requests > 0 {
        note += " Percentiles are of everything sent: a failure ranks behind every success, so that a quick refusal does not \
                 improve them.";
    }
    vec![Block::Note(note)]
}

fn arrivals(result: &RunResult) -> Vec<Block> {
    let Some(arrivals) = &result.arrivals else { return Vec::new() };
    let mut text = format!(
        "Arrivals: {} scheduled, {} sent, {} late by more than {} ({} of them through the generator), {} dropped. Times \
         count from when a request was due.",
        arrivals.scheduled,
        arrivals.sent,
        arrivals.late,
        show_seconds(arrivals.late_after),
        arrivals.late_by_generator,
        arrivals.dropped
    );
    if let Some(since_sent) = &result.total.since_sent {
        let [p50, p95, p99] = [since_sent.p50, since_sent.p95, since_sent.p99].map(show_seconds);
        text += &format!(" From when it was sent: p50 {p50}, p95 {p95}, p99 {p99}.");
    }
    vec![Block::Text(text)]
}

pub(super) fn failures(result: &RunResult) -> Vec<Block> {
    let shown = |endpoint: &'_ EndpointResult| {
        let name = endpoint.name();
        let kinds = endpoint.failures.iter().take(MOST_FAILURES).cloned();
        kinds.map(|failure| (name.clone(), failure)).collect::<Vec<_>>()
    };
    let rows: Vec<(String, FailureResult)> = result.endpoints.iter().flat_map(shown).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let table = Table::of(
        &rows,
        &[
            Column::toned_number("count", |(_, failure)| failure.count.to_string().into()),
            Column::toned_code("endpoint", |(name, _)| name.as_str().into()),
            Column::toned_words("what", |(_, failure)| failure.kind.as_str().into()),
            Column::toned_words("example", |(_, failure)| failure.example.as_deref().unwrap_or_default().into()),
        ],
    );
    let mut blocks = vec![Block::Heading("Failures".to_owned()), Block::Table(table)];
    for endpoint in result.endpoints.iter().filter(|endpoint| endpoint.failures.len() > MOST_FAILURES) {
        let more = plural((endpoint.failures.len() - MOST_FAILURES) as u64, "kind");
        blocks.push(Block::Note(format!("{} failed in {more} more.", endpoint.name())));
    }
    blocks
}

pub(super) fn capacity(capacity: &Capacity) -> Vec<Block> {
    let mut blocks = vec![Block::Heading(format!("Capacity: {}", capacity.describe()))];
    blocks.extend(capacity.describe_limit().map(Block::Text));
    blocks.extend(capacity.evidence.iter().cloned().map(Block::Text));
    blocks
}

pub(super) fn capacity_steps(capacity: &Capacity) -> Vec<Block> {
    let outcome = |step: &CapacityStep| {
        if step.ended == StepEnd::Failed && !step.breached.is_empty() {
            return Cell::from(step.breached.join("; ")).toned(Tone::Bad);
        }
        Cell::from(step.ended.describe()).toned(if step.passed { Tone::Good } else { Tone::Neutral })
    };
    let table = Table::of(
        &capacity.steps,
        &[
            Column::toned_number("load", |step| step.load.to_string().into()),
            Column::toned_words("phase", |step| {
                if step.again { format!("{}, again", step.phase).into() } else { step.phase.as_str().into() }
            }),
            Column::toned_number("held", |step| show_seconds(step.held).into()),
            Column::toned_number("req/s", |step| format!("{:.1}", step.requests_per_second).into()),
            Column::toned_number("p50", |step| time(step.p50)),
            Column::toned_number("p95", |step| time(step.p95)),
            Column::toned_number("p99", |step| time(step.p99)),
            Column::toned_number("errors", |step| step.error_rate.map_or_else(|| or_nothing(None), error_rate)),
            Column::toned_words("result", outcome),
        ],
    );
    vec![Block::Heading("Loads that were tried".to_owned()), Block::Table(table)]
}

pub(super) fn comparison(comparison: &Comparison) -> Vec<Block> {
    let direction = |change: &Change| {
        let tone = match change.direction {
            Direction::Worse => Tone::Bad,
            Direction::Better => Tone::Good,
            Direction::Same | Direction::TooLittleData => Tone::Neutral,
        };
        Cell::from(change.direction.describe()).toned(tone)
    };
    let table = Table::of(
        &comparison.changes,
        &[
            Column::toned_code("endpoint", |change| change.endpoint.as_str().into()),
            Column::toned_words("measure", |change| change.name().into()),
            Column::toned_number("old", |change| change.show(change.old).into()),
            Column::toned_number("new", |change| change.show(change.new).into()),
            Column::toned_number("change", |change| {
                or_nothing(change.change_percent.map(|change| format!("{change:+.1} %")))
            }),
            Column::toned_number("p", |change| or_nothing(change.p_value.map(|p| format!("{p:.3}")))),
            Column::toned_words("", direction),
        ],
    );
    let heading = format!("Compared with the run of {}", comparison.baseline_started_at);
    let mut blocks = vec![Block::Heading(heading), Block::Table(table)];
    blocks.extend(comparison.reading_note().map(Block::Note));
    blocks.extend(comparison.remark().map(|remark| Block::Note(remark.to_owned())));
    let only_in_one = comparison.only_in_one.iter();
    blocks.extend(only_in_one.map(|name| Block::Note(format!("{name} is in one of the runs only."))));
    blocks
}

pub(super) fn server(result: &RunResult) -> Vec<Block> {
    let Some(server) = &result.server else { return Vec::new() };
    let mut blocks = Vec::new();
    if !server.endpoints.is_empty() {
        blocks.push(Block::Heading("The server's side".to_owned()));
        blocks.push(Block::Table(server_endpoints(&server.endpoints)));
        blocks.push(Block::Note(
            "Means. Outside is what users waited beyond the server's own time, from when a request was sent."
                .to_owned(),
        ));
    }
    if !server.bottlenecks.is_empty() {
        blocks.push(Block::Heading("Bottlenecks that fired".to_owned()));
        blocks.extend(server.bottlenecks.iter().map(finding));
    }
    blocks.extend(left_out(&server.left_out, LeftOutWhy::BeganBefore, "fired before the test already"));
    blocks.extend(left_out(&server.left_out, LeftOutWhy::NotCalled, "concern endpoints that the test did not call"));
    blocks
}

/// Names the findings that say nothing about the test, so that they are not missed where they are.
fn left_out(all: &[LeftOut], why: LeftOutWhy, reason: &str) -> Option<Block> {
    let of_this = all.iter().filter(|left| left.why == why);
    let names: Vec<String> = of_this.map(|left| format!("{} of {}", left.kind, left.subject)).collect();
    (!names.is_empty()).then(|| Block::Note(format!("Left out, since they {reason}: {}.", names.join(", "))))
}

fn server_endpoints(endpoints: &[ServerEndpoint]) -> Table {
    Table::of(
        endpoints,
        &[
            Column::toned_code("endpoint", |endpoint| endpoint.endpoint.as_str().into()),
            Column::toned_number("requests", |endpoint| endpoint.server_requests.to_string().into()),
            Column::toned_number("client", |endpoint| show_seconds(endpoint.client_avg).into()),
            Column::toned_number("server", |endpoint| show_seconds(endpoint.server_avg).into()),
            Column::toned_number("outside", |endpoint| show_seconds(endpoint.outside_avg).into()),
            Column::toned_number("database", |endpoint| format!("{:.0} %", endpoint.db_time_percent).into()),
            Column::toned_number("queries/req", |endpoint| endpoint.db_queries_per_request.to_string().into()),
            Column::toned_number("busy", |endpoint| format!("{:.0} %", endpoint.busy_percent).into()),
            Column::toned_number("longest poll", |endpoint| time(endpoint.longest_poll)),
        ],
    )
}

fn finding(fired: &FiredBottleneck) -> Block {
    let bottleneck = &fired.bottleneck;
    let when = match fired.first_seen {
        Some(at) => format!(", first seen after {}", show_seconds(at)),
        None => String::new(),
    };
    Block::Finding(Finding {
        name: bottleneck.kind.clone(),
        severity: bottleneck.severity.to_string(),
        detail: format!("{}{when}", bottleneck.severity),
        text: format!("{}. {}.", bottleneck.description, bottleneck.impact),
        advice: bottleneck.recommendations.clone(),
    })
}

pub(super) fn profile(result: &RunResult) -> Vec<Block> {
    let Some(profile) = &result.profile else { return Vec::new() };
    if result.is_unmeasured() {
        return Vec::new();
    }
    let table = Table::of(
        &profile_rows(profile, result),
        &[
            Column::toned_words("measure", |(name, _)| name.as_str().into()),
            Column::toned_number("value", |(_, value)| value.as_str().into()),
        ],
    );
    vec![Block::Heading("Profile".to_owned()), Block::Table(table)]
}

fn profile_rows(profile: &Profile, result: &RunResult) -> Vec<(String, String)> {
    let times = [
        ("mean", profile.mean),
        ("median", profile.median),
        ("min", profile.min),
        ("max", profile.max),
        ("standard deviation", profile.standard_deviation),
        ("p75", profile.p75),
        ("p90", profile.p90),
        ("p95", profile.p95),
        ("p99", profile.p99),
    ];
    let mut rows: Vec<(String, String)> =
        times.into_iter().filter_map(|(name, value)| Some((name.to_owned(), show_seconds(value?)))).collect();
    if let Some((low, high)) = profile.confidence_interval_95 {
        let interval = format!("{} to {}", show_seconds(low), show_seconds(high));
        rows.push(("95 % confidence interval of the mean".to_owned(), interval));
    }
    rows.push(("requests a second".to_owned(), format!("{:.1}", result.total.requests_per_second)));
    rows.push(("errors".to_owned(), format!("{} of {}", result.total.failed_requests, result.total.total_requests)));
    let statuses = result.total.status_codes.iter();
    rows.extend(statuses.map(|(status, count)| (format!("status {status}"), count.to_string())));
    rows
}

/// What the numbers leave out, and what the tool itself needed.
pub(super) fn remarks(result: &RunResult) -> Vec<Block> {
    let counts = [
        (
            result.total.never_sent,
            "of the requests above never reached the server: no connection was made for them, or they cannot be sent",
        ),
        (
            if result.is_unmeasured() { 0 } else { result.warm_up_requests },
            "more in the warm-up, which are left out of everything above",
        ),
        (
            result.sent_again,
            "of the requests above were sent a second time, on a new connection: the server had closed theirs while it was \
             idle, so its keep-alive time-out is shorter than a pause between two requests",
        ),
        (result.redirects_followed, "redirects followed: requests that the server saw and that are not counted above"),
    ];
    let counted = counts.into_iter().filter(|(count, _)| *count > 0);
    let mut blocks: Vec<Block> = counted.map(|(count, what)| Block::Note(format!("{count} {what}."))).collect();
    if let Some(decoded) = result.total.bytes_decoded {
        let [received, decoded] = [result.total.bytes_received, decoded].map(show_bytes);
        blocks.push(Block::Note(format!("Bodies of {received} were received; decoded they are {decoded}.")));
    }
    if let Some(refused) = &result.server_refused {
        blocks.push(Block::Text(format!("The server's side is missing or incomplete: {refused}.")));
    } else if result.server.is_none() && result.capacity.is_none() && result.server_requests > 0 {
        blocks.push(Block::Note(
            "The service has no Pinchpoint metrics at /metrics; it was asked once, beside the load (--no-server asks nothing)."
                .to_owned(),
        ));
    }
    let generator = &result.generator;
    let per_request = generator.cpu_microseconds_per_request;
    blocks.push(Block::Note(format!(
        "Generator: loadtest {}, {:.0} % of {}, {}{} MB.",
        result.version,
        generator.cpu_percent,
        plural(generator.cores as u64, "core"),
        per_request.map_or_else(String::new, |micros| format!("{micros:.0} µs of CPU a request, ")),
        generator.peak_memory_bytes / 1_000_000,
    )));
    blocks
}

fn or_nothing(text: Option<String>) -> Cell {
    text.map_or_else(|| numbers::NOTHING.into(), Cell::from)
}

fn time(seconds: Option<f64>) -> Cell {
    or_nothing(seconds.map(show_seconds))
}

fn error_rate(percent: f64) -> Cell {
    if percent > 0.0 { Cell::from(format!("{percent:.2} %")).toned(Tone::Bad) } else { "0".into() }
}

fn show_bytes(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        _ => format!("{:.0} MB", bytes as f64 / 1e6),
    }
}

fn plural(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
