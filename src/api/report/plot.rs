//! Plots of endpoints, of one request and of memory, made of the pieces in [`markup`](crate::markup).
//!
//! As there, words are HTML beside a plot, so that they wrap and stay readable on a phone.

use super::{
    document::MemoryAt,
    words::{PARTS, duration, memory as bytes, parts, percent},
};
use crate::{
    api::{
        endpoints::EndpointView,
        evidence::{SlowRequestView, SplitView},
    },
    markup::{Html, LIMIT_IN_SIGHT, LogAxis, curve, level, numbers::count},
    rules::Unit,
};

/// Lanes of a timeline that are drawn; of a request with more different queries and tasks, the first.
const LANES: usize = 12;
/// Marks of [`PARTS`] in a legend and in a bar.
const MARKS: [(&str, &str); 8] = [
    ("<i class=\"bg-database\"></i>", "<rect class=\"f-database\" height=\"14\" x=\""),
    ("<i class=\"bg-tasks\"></i>", "<rect class=\"f-tasks\" height=\"14\" x=\""),
    ("<i class=\"bg-calls\"></i>", "<rect class=\"f-calls\" height=\"14\" x=\""),
    ("<i class=\"bg-waits\"></i>", "<rect class=\"f-waits\" height=\"14\" x=\""),
    ("<i class=\"bg-client\"></i>", "<rect class=\"f-client\" height=\"14\" x=\""),
    ("<i class=\"bg-late\"></i>", "<rect class=\"f-late\" height=\"14\" x=\""),
    ("<i class=\"bg-busy\"></i>", "<rect class=\"f-busy\" height=\"14\" x=\""),
    ("<i class=\"bg-waiting\"></i>", "<rect class=\"f-waiting\" height=\"14\" x=\""),
];

/// Percentiles of each endpoint: a line from the median to the 99th, a thin one to the longest.
pub(super) fn response_times(page: &mut Html, endpoints: &[EndpointView]) {
    let values = endpoints.iter().flat_map(|one| [one.p50_duration_ms, one.max_duration_ms]).flatten();
    let axis = LogAxis::around(values);
    page.raw("<div class=\"legend\"><span>● median</span><span>○ 95th percentile</span><span>━ to the 99th</span>");
    page.raw("<span>─ to the longest; the axis is logarithmic</span></div><div class=\"rows\">");
    for endpoint in endpoints {
        page.element("<code class=\"name\">", &endpoint.endpoint, "</code>");
        let [p50, p95, p99, max] =
            [endpoint.p50_duration_ms, endpoint.p95_duration_ms, endpoint.p99_duration_ms, endpoint.max_duration_ms];
        let [median, tail, rare, longest] = [p50, p95, p99, max].map(duration);
        let words = format!("median {median}, 95th percentile {tail}, 99th {rare}, longest {longest}");
        page.element("<svg height=\"16\" role=\"img\" aria-label=\"", &words, "\">");
        for decade in axis.decades() {
            let place = axis.place(decade);
            page.raw("<line class=\"s-grid\" y1=\"0\" y2=\"16\" x1=\"")
                .number(place)
                .raw("%\" x2=\"")
                .number(place)
                .raw("%\"/>");
        }
        line(page, "<line class=\"s-tail\" y1=\"8\" y2=\"8\" x1=\"", p99.zip(max), &axis);
        line(page, "<line class=\"s-range\" y1=\"8\" y2=\"8\" x1=\"", p50.zip(p99), &axis);
        dot(page, "<circle class=\"f-accent\" cy=\"8\" r=\"5\" cx=\"", p50, &axis);
        dot(page, "<circle class=\"f-hollow\" cy=\"8\" r=\"4\" cx=\"", p95, &axis);
        page.raw("</svg>");
        page.element("<span class=\"value\">", &format!("{} · {}", duration(p50), duration(p95)), "</span>");
    }
    page.raw("<span class=\"name\"></span><div class=\"axis\">");
    for decade in axis.decades() {
        page.element("<span>", &duration(Some(decade)), "</span>");
    }
    page.raw("</div></div>");
}

fn line(page: &mut Html, open: &'static str, ends: Option<(f64, f64)>, axis: &LogAxis) {
    if let Some((from, to)) = ends {
        page.raw(open).number(axis.place(from)).raw("%\" x2=\"").number(axis.place(to)).raw("%\"/>");
    }
}

fn dot(page: &mut Html, open: &'static str, value: Option<f64>, axis: &LogAxis) {
    if let Some(value) = value {
        page.raw(open).number(axis.place(value)).raw("%\"/>");
    }
}

/// A stacked bar of parts in per cent.
fn stacked(page: &mut Html, parts: [f64; 8]) {
    let known = PARTS.iter().zip(parts).filter(|(_, part)| *part > 0.0);
    let words = known.map(|(name, part)| format!("{name} {}", percent(Some(part))));
    page.element("<svg height=\"14\" role=\"img\" aria-label=\"", &words.collect::<Vec<_>>().join(", "), "\">");
    page.raw("<rect class=\"f-track\" width=\"100%\" height=\"14\"/>");
    let mut from = 0.0;
    for ((_, open), part) in MARKS.into_iter().zip(parts) {
        if part > 0.0 {
            page.raw(open).number(from).raw("%\" width=\"").number(part).raw("%\"/>");
        }
        from += part;
    }
    page.raw("</svg>");
}

/// Says which colour is which part of the time.
pub(in crate::api) fn split_legend(page: &mut Html) {
    page.raw("<div class=\"legend\">");
    for (name, (mark, _)) in PARTS.into_iter().zip(MARKS) {
        page.raw("<span>").raw(mark).text(name).raw("</span>");
    }
    page.raw("</div>");
}

/// Where the time of an endpoint goes, as a bar alone.
pub(in crate::api) fn split_only(page: &mut Html, endpoint: &EndpointView) {
    let parts = [
        endpoint.db_time_percent,
        endpoint.task_time_percent,
        endpoint.call_time_percent,
        endpoint.tracked_wait_percent,
        endpoint.client_time_percent,
        endpoint.late_time_percent,
        endpoint.busy_time_percent,
        endpoint.waiting_time_percent,
    ];
    stacked(page, parts.map(Option::unwrap_or_default));
}

/// Where the time of each endpoint goes.
pub(super) fn splits(page: &mut Html, endpoints: &[EndpointView]) {
    split_legend(page);
    page.raw("<div class=\"rows\">");
    for endpoint in endpoints {
        page.element("<code class=\"name\">", &endpoint.endpoint, "</code>");
        split_only(page, endpoint);
        page.element("<span class=\"value\">", &percent(endpoint.time_share_percent), " of all</span>");
    }
    page.raw("</div>");
}

/// Where the time of one endpoint goes, in figures too.
pub(in crate::api) fn split_with_legend(page: &mut Html, split: &SplitView) {
    let parts = parts(split).map(|part| part * 100.0);
    stacked(page, parts);
    page.raw("<div class=\"legend below\">");
    let known = PARTS.into_iter().zip(MARKS).zip(parts).filter(|(_, part)| *part > 0.0);
    for ((name, (mark, _)), part) in known {
        page.raw("<span>").raw(mark).text(name).raw(" ").text(&percent(Some(part))).raw("</span>");
    }
    page.raw("</div>");
}

/// The memory over time, with its limit where that is in sight.
pub(super) fn memory(page: &mut Html, points: &[MemoryAt], limit_mb: Option<f64>) {
    let highest = points.iter().map(|point| point.memory_mb).fold(0.0, f64::max);
    let limit_in_sight = limit_mb.filter(|limit| *limit <= highest * LIMIT_IN_SIGHT);
    let top = (limit_in_sight.unwrap_or(highest).max(highest) * 1.1).max(1.0);
    let oldest = points.iter().map(|point| point.seconds_ago).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let height = |memory_mb: f64| 100.0 * (1.0 - memory_mb / top);
    let places: Vec<(f64, f64)> =
        points.iter().map(|point| ((1.0 - point.seconds_ago / oldest) * 100.0, height(point.memory_mb))).collect();
    page.raw("<svg height=\"150\" viewBox=\"0 0 100 100\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"")
        .text(&format!("resident memory, now {}", bytes(points.last().map(|point| point.memory_mb))))
        .raw("\">");
    for quarter in [0.0, 25.0, 50.0, 75.0, 100.0] {
        level(page, "<line class=\"s-grid\" x1=\"0\" x2=\"100\" y1=\"", quarter);
    }
    page.raw("<polygon class=\"f-area\" points=\"0,100 ");
    curve(page, &places);
    page.number(places.last().map_or(100.0, |(x, _)| *x)).raw(",100\"/><polyline class=\"s-line\" points=\"");
    curve(page, &places);
    page.raw("\"/>");
    if let Some(limit) = limit_in_sight {
        level(page, "<line class=\"s-limit\" x1=\"0\" x2=\"100\" y1=\"", height(limit));
    }
    page.raw("</svg><div class=\"axis\"><span>").text(&Unit::Seconds.render(oldest)).raw(" ago</span>");
    page.raw("<span>0 to ").text(&bytes(Some(top)));
    if let Some(limit) = limit_mb {
        page.raw(if limit_in_sight.is_some() { "; the dashed line is the limit of " } else { "; the limit is " });
        page.text(&bytes(Some(limit)));
    }
    page.raw("</span><span>now ").text(&bytes(points.last().map(|point| point.memory_mb))).raw("</span></div>");
}

/// A query or a task of a request, with each time that it ran.
struct Lane<'a> {
    kind: &'a str,
    name: &'a str,
    /// Where in the service's code it was tracked first.
    place: Option<&'a str>,
    /// Start and duration of each run, in milliseconds.
    runs: Vec<(f64, f64)>,
}

/// Sorts what a request did into a lane for each query and task, so that repetition shows.
fn lanes(request: &SlowRequestView) -> Vec<Lane<'_>> {
    let mut lanes: Vec<Lane<'_>> = Vec::new();
    for event in &request.timeline {
        let run = (event.start_ms, event.duration_ms);
        match lanes.iter_mut().find(|lane| lane.kind == event.kind && lane.name == event.name) {
            Some(lane) => lane.runs.push(run),
            None => lanes.push(Lane {
                kind: &event.kind,
                name: &event.name,
                place: event.place.as_deref(),
                runs: vec![run],
            }),
        }
    }
    lanes
}

/// What a request did when, in lanes.
pub(super) fn timeline(page: &mut Html, request: &SlowRequestView) {
    let lanes = lanes(request);
    if lanes.is_empty() {
        page.raw("<p class=\"small muted\">This request made no tracked query and ran no tracked task.</p>");
        return;
    }
    page.raw("<div class=\"rows\">");
    lanes.iter().take(LANES).for_each(|one| lane(page, one, request.duration_ms));
    page.raw("</div>");
    let lanes_left = lanes.len().saturating_sub(LANES);
    if lanes_left > 0 || request.timeline_beyond > 0 {
        page.raw("<p class=\"small muted\">Not shown: ").text(&lanes_left.to_string());
        page.raw(" more queries and tasks, and ").text(&request.timeline_beyond.to_string());
        page.raw(" calls past the timeline's limit.</p>");
    }
}

fn lane(page: &mut Html, lane: &Lane<'_>, request_ms: f64) {
    let whole = request_ms.max(f64::MIN_POSITIVE);
    page.raw("<span class=\"name\">").text(lane_kind(lane.kind));
    // What has no name of its own is called by its kind.
    if lane.name != lane.kind {
        page.element(" <code>", lane.name, "</code>");
    }
    if let Some(place) = lane.place {
        page.element(" <span class=\"small muted\">", place, "</span>");
    }
    page.raw("</span><svg height=\"14\" role=\"img\" aria-label=\"when it ran\">");
    page.raw("<rect class=\"f-track\" width=\"100%\" height=\"14\"/>");
    for (start, length) in &lane.runs {
        let from = (start / whole * 100.0).clamp(0.0, 100.0);
        // At least 0.3 %: a pixel or more, so that a short run still shows.
        let width = (length / whole * 100.0).clamp(0.3, (100.0 - from).max(0.3));
        page.raw(lane_mark(lane.kind));
        page.number(from).raw("%\" width=\"").number(width).raw("%\"/>");
    }
    let sum: f64 = lane.runs.iter().map(|(_, length)| length).sum();
    let times = if lane.runs.len() == 1 { String::new() } else { format!("{} in ", count(lane.runs.len() as u64)) };
    page.raw("</svg>").element("<span class=\"value\">", &format!("{times}{}", duration(Some(sum))), "</span>");
}

/// Says what a lane is, as people say it.
fn lane_kind(kind: &str) -> &str {
    match kind {
        "pool" => "wait for a connection",
        "lock" => "wait for a lock",
        "semaphore" => "wait for a permit",
        "channel" => "wait for a channel",
        "thread_pool" => "wait for a blocking thread",
        "blocking" => "blocking work",
        "client" => "wait for the client",
        "late" => "wait for a free worker",
        other => other,
    }
}

/// The beginning of a lane's mark, in the colour of the part of the time that it is.
fn lane_mark(kind: &str) -> &'static str {
    match kind {
        "query" => "<rect class=\"f-database\" y=\"1\" height=\"12\" x=\"",
        "task" | "blocking" => "<rect class=\"f-tasks\" y=\"1\" height=\"12\" x=\"",
        "call" => "<rect class=\"f-calls\" y=\"1\" height=\"12\" x=\"",
        "client" => "<rect class=\"f-client\" y=\"1\" height=\"12\" x=\"",
        "late" => "<rect class=\"f-late\" y=\"1\" height=\"12\" x=\"",
        _ => "<rect class=\"f-waits\" y=\"1\" height=\"12\" x=\"",
    }
}
