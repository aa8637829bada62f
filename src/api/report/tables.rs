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

/// A number of the evidence, what to call it and its unit.
type Key = (&'static str, &'static str, &'static str);

const DURATIONS: [Key; 5] = [
    ("avg_duration", "mean", "seconds"),
    ("p50_duration", "p50", "seconds"),
    ("p95_duration", "p95", "seconds"),
    ("p99_duration", "p99", "seconds"),
    ("max_duration", "longest", "seconds"),
];
const ENDPOINT: &[Key] = &[
    ("request_rate", "requests", "per_second"),
    ("in_flight", "in flight on average", "count"),
    ("active", "now", "count"),
    ("longest_poll", "longest poll", "seconds"),
    ("db_queries_per_request", "queries a request", "count"),
];
const QUERY: &[Key] = &[
    ("call_rate", "calls", "per_second"),
    ("calls_per_request", "calls a request", "count"),
    ("in_flight", "connections busy on average", "count"),
    ("error_ratio", "failed", "ratio"),
];
const TASK: &[Key] = &[
    ("busy_ratio", "running", "ratio"),
    ("waiting_ratio", "waiting", "ratio"),
    ("active", "in progress", "count"),
    ("oldest_active", "the oldest for", "seconds"),
    ("failed_avg_duration", "failed after", "seconds"),
];
const PROCESS: &[Key] = &[
    ("resident_memory", "memory", "bytes"),
    ("memory_limit", "limit", "bytes"),
    ("memory_growth", "growth", "bytes_per_hour"),
    ("time_to_limit", "limit reached in", "seconds"),
    ("cpu_ratio", "CPU", "ratio"),
    ("worker_busy_ratio", "workers busy", "ratio"),
    ("scheduling_lag", "p99 of the scheduling lag", "seconds"),
    ("max_scheduling_lag", "its longest", "seconds"),
    ("open_fds", "open files", "count"),
    ("max_fds", "of", "count"),
];

/// The numbers that a colleague would read first, each with what it is.
pub(super) fn key_numbers(evidence: &EvidenceView) -> Vec<(&'static str, String)> {
    let has = |name: &str| evidence.numbers.contains_key(name);
    let own = match () {
        () if has("requests") => ENDPOINT,
        () if has("calls") => QUERY,
        () if has("runs") => TASK,
        () => PROCESS,
    };
    let known = DURATIONS.iter().chain(own);
    // That none failed is not worth a word.
    let value = |name: &str| evidence.numbers.get(name).filter(|value| **value > 0.0 || !name.ends_with("error_ratio"));
    known.filter_map(|(name, label, unit)| Some((*label, units::render(*value(name)?, unit)))).collect()
}
