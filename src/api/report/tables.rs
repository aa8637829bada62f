//! [`Table`]: evidence in rows, told once and written in every form.

use super::{
    html::{count, millis, moment, or_dash},
    markdown::{code_cell, escaped},
    page::Page,
};
use crate::{
    api::{
        evidence::{EvidenceView, OutcomeView, SlowRequestView},
        units,
    },
    names,
    rules::fact::{self, NumberFact},
};

/// Rows with the names of its columns. The first cell of a row is a name of the service's own, or a moment.
pub(super) struct Table {
    title: &'static str,
    head: &'static [&'static str],
    rows: Vec<(String, Vec<String>)>,
}

impl Table {
    pub(super) fn of<T>(
        title: &'static str,
        head: &'static [&'static str],
        rows: &[T],
        cells: impl Fn(&T) -> (String, Vec<String>),
    ) -> Self {
        Self { title, head, rows: rows.iter().map(cells).collect() }
    }

    /// Writes it on the page; nothing where it has no rows.
    pub(super) fn html(&self, page: &mut Page) {
        if self.rows.is_empty() {
            return;
        }
        if !self.title.is_empty() {
            page.element("<h4>", self.title, "</h4>");
        }
        page.raw("<div class=\"scroll\"><table><tr>");
        for name in self.head {
            page.raw("<th>").text(name);
        }
        page.raw("</tr>");
        for (name, cells) in &self.rows {
            page.element("<tr><td><code>", name, "</code>");
            for cell in cells {
                page.raw("<td>").text(cell);
            }
            page.raw("</tr>");
        }
        page.raw("</table></div>");
    }

    /// Writes it as Markdown; nothing where it has no rows.
    pub(super) fn markdown(&self, out: &mut String) {
        if self.rows.is_empty() {
            return;
        }
        if !self.title.is_empty() {
            *out += &format!("\n{}:\n", self.title);
        }
        *out += &format!("\n| {} |\n|---{}|\n", self.head.join(" | "), "|--:".repeat(self.head.len() - 1));
        for (name, cells) in &self.rows {
            let cells: String = cells.iter().map(|cell| format!(" {} |", escaped(cell))).collect();
            *out += &format!("| {} |{cells}\n", code_cell(name));
        }
    }
}

/// The evidence of a bottleneck but for what is drawn.
pub(super) fn of(evidence: &EvidenceView) -> Vec<Table> {
    let megabytes = |mb: f64| units::render(mb * 1e6, "bytes");
    let seconds = |value| units::render(value, "seconds");
    let ratio = |value| units::render(value, "ratio");
    // That all went well is not worth a table.
    let went_well = |one: &OutcomeView| one.outcome == names::OK || one.outcome.starts_with('2');
    let outcomes = if evidence.outcomes.iter().all(went_well) { &[][..] } else { &evidence.outcomes };
    vec![
        Table::of(
            "Queries",
            &["query", "calls", "per request", "total", "of its time"],
            &evidence.top_queries,
            |one| {
                let calls = or_dash(one.calls_per_request, "count");
                let share = or_dash(one.time_ratio, "ratio");
                (one.query.clone(), vec![count(one.calls), calls, seconds(one.total_seconds), share])
            },
        ),
        Table::of(
            "Endpoints that issue it",
            &["endpoint", "calls", "per request", "total", "share", "of the endpoint's time"],
            &evidence.endpoints,
            |one| {
                let calls = or_dash(one.calls_per_request, "count");
                let (share, within) = (or_dash(one.time_ratio, "ratio"), or_dash(one.endpoint_time_ratio, "ratio"));
                (one.endpoint.clone(), vec![count(one.calls), calls, seconds(one.total_seconds), share, within])
            },
        ),
        Table::of(
            "Who blocked a worker, and who may have waited",
            &["endpoint", "blocking polls", "in all", "longest", "others in flight", "at most", "most often of"],
            &evidence.blockers,
            |one| {
                let (others, most) =
                    (or_dash(one.others_in_flight, "count"), or_dash(one.max_others_in_flight, "count"));
                let longest = millis(one.longest_ms);
                let waited = one.waited.first().map_or_else(|| "–".to_owned(), |waited| waited.endpoint.clone());
                let polls = count(one.polls);
                (one.endpoint.clone(), vec![polls, seconds(one.total_seconds), longest, others, most, waited])
            },
        ),
        Table::of("How it ended", &["outcome", "count", "share", "first seen", "last seen"], outcomes, |one| {
            let seen = |at: &Option<String>| at.as_deref().map_or_else(|| "–".to_owned(), moment);
            let cells = vec![count(one.count), ratio(one.ratio), seen(&one.first_seen), seen(&one.last_seen)];
            (one.outcome.clone(), cells)
        }),
        Table::of("In progress, the oldest first", &["since", "for"], &evidence.running, |run| {
            (moment(&run.since), vec![seconds(run.running_seconds)])
        }),
        Table::of(
            "Who keeps the memory that was gained",
            &["endpoint", "kept", "of all", "in an hour", "in a request"],
            &evidence.leak_suspects,
            |one| {
                let (kept, hourly) = (megabytes(one.kept_mb), megabytes(one.kept_mb_per_hour));
                let each = or_dash(one.kept_bytes_per_request, "bytes");
                (one.endpoint.clone(), vec![kept, ratio(one.ratio), hourly, each])
            },
        ),
    ]
}

/// The slowest requests of an endpoint, where they cannot be drawn.
pub(super) fn slow_requests(requests: &[SlowRequestView]) -> Table {
    let head = &["slowest requests", "took", "ended with", "busy", "longest poll", "queries and tasks", "trace"];
    Table::of("", head, requests, |one| {
        let made = one.timeline.len() as u64 + u64::from(one.timeline_beyond);
        let cells = vec![
            millis(Some(one.duration_ms)),
            ending(one),
            millis(Some(one.busy_ms)),
            millis(Some(one.longest_poll_ms)),
            count(made),
            one.trace_id.clone().unwrap_or_else(|| "–".to_owned()),
        ];
        (moment(&one.timestamp), cells)
    })
}

/// How a request ended, in a word.
pub(super) fn ending(request: &SlowRequestView) -> String {
    request.error_type.clone().or_else(|| request.status.map(|status| status.to_string())).unwrap_or_default()
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
    (fact::ACTIVE, "now"),
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
    (fact::MAX_SCHEDULING_LAG, "its longest"),
    (fact::OPEN_FDS, "open files"),
    (fact::MAX_FDS, "of"),
];

/// The numbers that a colleague would read first, each with what it is.
pub(super) fn key_numbers(evidence: &EvidenceView) -> Vec<(&'static str, String)> {
    let has = |fact: NumberFact| evidence.numbers.contains_key(fact.name);
    let own = match () {
        () if has(fact::REQUESTS) => ENDPOINT,
        () if has(fact::CALLS) => QUERY,
        () if has(fact::RUNS) => TASK,
        () => PROCESS,
    };
    let known = DURATIONS.iter().chain(own);
    // That none failed is not worth a word.
    let value =
        |fact: NumberFact| evidence.numbers.get(fact.name).filter(|value| **value > 0.0 || fact != fact::ERROR_RATIO);
    known.filter_map(|(fact, label)| Some((*label, fact.unit.render(*value(*fact)?)))).collect()
}
