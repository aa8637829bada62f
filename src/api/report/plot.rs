//! Plots: inline SVG that scales with the page.
//!
//! Horizontal places are per cent, so that a plot is as wide as there is room and its marks stay round. Words are HTML
//! beside the plot, not text inside it, so that they wrap and stay readable on a phone.

use super::{
    document::MemoryAt,
    html::{count, millis},
    page::Page,
};
use crate::api::{
    endpoints::EndpointView,
    evidence::{SlowRequestView, SplitView},
    units,
};

/// Lanes of a timeline that are drawn; a request that does more different things shows its first.
const LANES: usize = 12;

/// A bar for a share.
pub(super) fn share(page: &mut Page, share: f64) {
    page.raw("<svg height=\"8\" role=\"img\" aria-label=\"share\"><rect class=\"f-track\" width=\"100%\" height=\"8\" rx=\"4\"/>");
    page.raw("<rect class=\"f-gain\" height=\"8\" rx=\"4\" width=\"")
        .number(share.clamp(0.0, 1.0) * 100.0)
        .raw("%\"/></svg>");
}

/// Durations on a logarithmic axis.
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    /// An axis of whole decades around the values, in milliseconds.
    fn around(values: impl Iterator<Item = f64>) -> Self {
        let logs = values.filter(|value| *value > 0.0).map(f64::log10);
        let (low, high) =
            logs.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), log| (low.min(log), high.max(log)));
        if !low.is_finite() {
            return Self { low: 0.0, high: 3.0 };
        }
        let low = low.floor();
        Self { low, high: high.ceil().max(low + 1.0) }
    }

    /// Per cent from the left.
    fn place(&self, value: f64) -> f64 {
        let log = value.max(f64::MIN_POSITIVE).log10();
        ((log - self.low) / (self.high - self.low) * 100.0).clamp(0.0, 100.0)
    }

    fn decades(&self) -> impl Iterator<Item = f64> {
        let (low, high) = (self.low as i32, self.high as i32);
        (low..=high).map(|decade| 10_f64.powi(decade))
    }
}

/// Percentiles of each endpoint: a line from the median to the 99th, a thin one to the longest.
pub(super) fn response_times(page: &mut Page, endpoints: &[EndpointView]) {
    let values = endpoints.iter().flat_map(|one| [one.p50_duration_ms, one.max_duration_ms]).flatten();
    let axis = Axis::around(values);
    page.raw("<div class=\"legend\"><span>● median</span><span>○ 95th percentile</span><span>━ to the 99th</span>");
    page.raw("<span>─ to the longest; the axis is logarithmic</span></div><div class=\"rows\">");
    for endpoint in endpoints {
        page.element("<code class=\"name\">", &endpoint.endpoint, "</code>");
        page.raw("<svg height=\"16\" role=\"img\" aria-label=\"response times\">");
        for decade in axis.decades() {
            let place = axis.place(decade);
            page.raw("<line class=\"s-grid\" y1=\"0\" y2=\"16\" x1=\"")
                .number(place)
                .raw("%\" x2=\"")
                .number(place)
                .raw("%\"/>");
        }
        let [p50, p95, p99, max] =
            [endpoint.p50_duration_ms, endpoint.p95_duration_ms, endpoint.p99_duration_ms, endpoint.max_duration_ms];
        line(page, "<line class=\"s-tail\" y1=\"8\" y2=\"8\" x1=\"", p99.zip(max), &axis);
        line(page, "<line class=\"s-range\" y1=\"8\" y2=\"8\" x1=\"", p50.zip(p99), &axis);
        dot(page, "<circle class=\"f-accent\" cy=\"8\" r=\"5\" cx=\"", p50, &axis);
        dot(page, "<circle class=\"f-hollow\" cy=\"8\" r=\"4\" cx=\"", p95, &axis);
        page.raw("</svg>");
        page.element("<span class=\"value\">", &format!("{} · {}", millis(p50), millis(p95)), "</span>");
    }
    page.raw("<span class=\"name\"></span><div class=\"axis\">");
    for decade in axis.decades() {
        page.element("<span>", &millis(Some(decade)), "</span>");
    }
    page.raw("</div></div>");
}

fn line(page: &mut Page, open: &'static str, ends: Option<(f64, f64)>, axis: &Axis) {
    if let Some((from, to)) = ends {
        page.raw(open).number(axis.place(from)).raw("%\" x2=\"").number(axis.place(to)).raw("%\"/>");
    }
}

fn dot(page: &mut Page, open: &'static str, value: Option<f64>, axis: &Axis) {
    if let Some(value) = value {
        page.raw(open).number(axis.place(value)).raw("%\"/>");
    }
}

/// The parts of an endpoint's time in words.
pub(super) fn split_in_words(split: &SplitView) -> String {
    let parts = [split.database, split.tasks, split.busy, split.waiting];
    let each = PARTS.iter().zip(parts).map(|((name, ..), part)| format!("{name} {}", units::render(part, "ratio")));
    each.collect::<Vec<_>>().join(", ")
}

/// The parts of an endpoint's time, with their mark in the legend and in the bar.
const PARTS: [(&str, &str, &str); 4] = [
    ("database", "<i class=\"bg-database\"></i>", "<rect class=\"f-database\" height=\"14\" x=\""),
    ("tasks", "<i class=\"bg-tasks\"></i>", "<rect class=\"f-tasks\" height=\"14\" x=\""),
    ("busy on the CPU", "<i class=\"bg-busy\"></i>", "<rect class=\"f-busy\" height=\"14\" x=\""),
    ("waiting", "<i class=\"bg-waiting\"></i>", "<rect class=\"f-waiting\" height=\"14\" x=\""),
];

/// A stacked bar of parts in per cent.
fn stacked(page: &mut Page, parts: [f64; 4]) {
    page.raw("<svg height=\"14\" role=\"img\" aria-label=\"database, tasks, busy, waiting\">");
    page.raw("<rect class=\"f-track\" width=\"100%\" height=\"14\"/>");
    let mut from = 0.0;
    for ((_, _, open), part) in PARTS.into_iter().zip(parts) {
        if part > 0.0 {
            page.raw(open).number(from).raw("%\" width=\"").number(part).raw("%\"/>");
        }
        from += part;
    }
    page.raw("</svg>");
}

/// Where the time of each endpoint goes.
pub(super) fn splits(page: &mut Page, endpoints: &[EndpointView]) {
    page.raw("<div class=\"legend\">");
    for (name, mark, _) in PARTS {
        page.raw("<span>").raw(mark).text(name).raw("</span>");
    }
    page.raw("</div><div class=\"rows\">");
    for endpoint in endpoints {
        let parts = [
            endpoint.db_time_percent,
            endpoint.task_time_percent,
            endpoint.busy_time_percent,
            endpoint.waiting_time_percent,
        ];
        page.element("<code class=\"name\">", &endpoint.endpoint, "</code>");
        stacked(page, parts.map(Option::unwrap_or_default));
        let share = endpoint.time_share_percent.map(|share| units::render(share / 1e2, "ratio"));
        page.element("<span class=\"value\">", &share.unwrap_or_default(), " of all</span>");
    }
    page.raw("</div>");
}

/// Where the time of one endpoint goes, in figures too.
pub(super) fn split_with_legend(page: &mut Page, split: &SplitView) {
    let parts = [split.database, split.tasks, split.busy, split.waiting].map(|part| part * 100.0);
    stacked(page, parts);
    page.raw("<div class=\"legend\" style=\"margin-top:6px\">");
    for ((name, mark, _), part) in PARTS.into_iter().zip(parts) {
        page.raw("<span>").raw(mark).text(name).raw(" ").text(&units::render(part / 1e2, "ratio")).raw("</span>");
    }
    page.raw("</div>");
}

/// The memory over time, with its limit where that is in sight.
pub(super) fn memory(page: &mut Page, points: &[MemoryAt], limit_mb: Option<f64>) {
    const HEIGHT: f64 = 100.0;
    let highest = points.iter().map(|point| point.memory_mb).fold(0.0, f64::max);
    // A limit far above would press the curve flat: then it is only told.
    let limit_in_sight = limit_mb.filter(|limit| *limit <= highest * 3.0);
    let top = (limit_in_sight.unwrap_or(highest).max(highest) * 1.1).max(1.0);
    let oldest = points.iter().map(|point| point.seconds_ago).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let place = |point: &MemoryAt| ((1.0 - point.seconds_ago / oldest) * 100.0, HEIGHT * (1.0 - point.memory_mb / top));
    page.raw("<svg height=\"150\" viewBox=\"0 0 100 100\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"resident memory\">");
    for quarter in [0.0, 25.0, 50.0, 75.0, 100.0] {
        page.raw("<line class=\"s-grid\" x1=\"0\" x2=\"100\" y1=\"")
            .number(quarter)
            .raw("\" y2=\"")
            .number(quarter)
            .raw("\"/>");
    }
    page.raw("<polygon class=\"f-area\" points=\"0,100");
    let newest = points.last().map_or(100.0, |point| place(point).0);
    for point in points {
        let (x, y) = place(point);
        page.raw(" ").number(x).raw(",").number(y);
    }
    page.raw(" ").number(newest).raw(",100\"/><polyline class=\"s-line\" points=\"");
    for point in points {
        let (x, y) = place(point);
        page.number(x).raw(",").number(y).raw(" ");
    }
    page.raw("\"/>");
    if let Some(limit) = limit_in_sight {
        let y = HEIGHT * (1.0 - limit / top);
        page.raw("<line class=\"s-limit\" x1=\"0\" x2=\"100\" y1=\"").number(y).raw("\" y2=\"").number(y).raw("\"/>");
    }
    let bytes = |mb: f64| units::render(mb * 1e6, "bytes");
    page.raw("</svg><div class=\"axis\"><span>").text(&units::render(oldest, "seconds")).raw(" ago</span>");
    page.raw("<span>0 to ").text(&bytes(top));
    if let Some(limit) = limit_mb {
        page.raw(if limit_in_sight.is_some() { "; the broken line is the limit of " } else { "; the limit is " });
        page.text(&bytes(limit));
    }
    let now = points.last().map_or(0.0, |point| point.memory_mb);
    page.raw("</span><span>now ").text(&bytes(now)).raw("</span></div>");
}

/// What the axes of a trend say.
pub(super) struct TimeAxis {
    /// Its highest value, as people write it.
    pub(super) top: String,
    /// Length of a bucket.
    pub(super) seconds: f64,
}

/// The values of a trend's buckets, from zero to the highest; where nothing was measured the line breaks.
pub(super) fn sparkline(page: &mut Page, series: &[Option<f64>], axis: &TimeAxis) {
    let highest = series.iter().flatten().copied().fold(0.0, f64::max);
    let step = 100.0 / (series.len().max(2) - 1) as f64;
    page.raw(
        "<div class=\"spark\"><svg height=\"34\" viewBox=\"0 0 100 100\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"trend\">",
    );
    page.raw("<line class=\"s-grid\" x1=\"0\" x2=\"100\" y1=\"100\" y2=\"100\"/>");
    let height = |value: f64| if highest > 0.0 { 95.0 * (1.0 - value / highest) + 2.5 } else { 97.5 };
    for (at, run) in runs(series) {
        if let [value] = run[..] {
            // A line to nowhere is drawn as its round ends, and a polyline of one point is not drawn at all.
            let (x, y) = (at as f64 * step, height(value));
            page.raw("<path class=\"s-dot\" d=\"M").number(x).raw(",").number(y).raw("h0\"/>");
            continue;
        }
        page.raw("<polyline class=\"s-line\" points=\"");
        for (offset, value) in run.iter().enumerate() {
            page.number((at + offset) as f64 * step).raw(",").number(height(*value)).raw(" ");
        }
        page.raw("\"/>");
    }
    page.raw("</svg>");
    if highest > 0.0 {
        let span = units::render(series.len() as f64 * axis.seconds, "seconds");
        page.element("<div class=\"axis\"><span>", &span, " ago</span><span>0 to ");
        page.text(&axis.top).raw("</span><span>now</span></div>");
    }
    page.raw("</div>");
}

/// The stretches without a gap, each with its place.
fn runs(series: &[Option<f64>]) -> Vec<(usize, Vec<f64>)> {
    let mut runs: Vec<(usize, Vec<f64>)> = Vec::new();
    for (at, value) in series.iter().enumerate() {
        match (value, runs.last_mut()) {
            (Some(value), Some((from, run))) if *from + run.len() == at => run.push(*value),
            (Some(value), _) => runs.push((at, vec![*value])),
            (None, _) => {}
        }
    }
    runs
}

/// Kind and name of what a lane shows, and the start and duration of each time it ran, in milliseconds.
type Lane<'a> = (&'a str, &'a str, Vec<(f64, f64)>);

/// What a request did when: a lane for each query and task, so that a repeated one is seen as such.
pub(super) fn timeline(page: &mut Page, request: &SlowRequestView) {
    let mut lanes: Vec<Lane<'_>> = Vec::new();
    for event in &request.timeline {
        let span = (event.start_ms, event.duration_ms);
        match lanes.iter_mut().find(|(kind, name, _)| *kind == event.kind && *name == event.name) {
            Some((.., spans)) => spans.push(span),
            None => lanes.push((&event.kind, &event.name, vec![span])),
        }
    }
    if lanes.is_empty() {
        page.raw("<p class=\"small muted\">It made no tracked query and ran no tracked task.</p>");
        return;
    }
    let whole = request.duration_ms.max(f64::MIN_POSITIVE);
    page.raw("<div class=\"rows\">");
    for (kind, name, spans) in lanes.iter().take(LANES) {
        page.element(
            "<code class=\"name\">",
            name,
            "</code><svg height=\"14\" role=\"img\" aria-label=\"when it ran\">",
        );
        page.raw("<rect class=\"f-track\" width=\"100%\" height=\"14\"/>");
        for (start, duration) in spans {
            let from = (start / whole * 100.0).clamp(0.0, 100.0);
            // Nothing that happened is too short to be seen.
            let width = (duration / whole * 100.0).clamp(0.3, (100.0 - from).max(0.3));
            page.raw(if *kind == "query" {
                "<rect class=\"f-database\" y=\"1\" height=\"12\" x=\""
            } else {
                "<rect class=\"f-tasks\" y=\"1\" height=\"12\" x=\""
            });
            page.number(from).raw("%\" width=\"").number(width).raw("%\"/>");
        }
        let sum: f64 = spans.iter().map(|(_, duration)| duration).sum();
        let times = if spans.len() == 1 { String::new() } else { format!("{} in ", count(spans.len() as u64)) };
        page.raw("</svg>").element("<span class=\"value\">", &format!("{times}{}", millis(Some(sum))), "</span>");
    }
    page.raw("</div>");
    let lanes_left = lanes.len().saturating_sub(LANES);
    if lanes_left > 0 || request.timeline_beyond > 0 {
        page.raw("<p class=\"small muted\">Not shown: ")
            .text(&lanes_left.to_string())
            .raw(" more queries and tasks, and ");
        page.text(&request.timeline_beyond.to_string()).raw(" calls that the timeline had no room for.</p>");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_breaks_where_nothing_was_measured() {
        let series = [Some(1.0), Some(2.0), None, None, Some(3.0)];
        assert_eq!(runs(&series), [(0, vec![1.0, 2.0]), (4, vec![3.0])]);
        assert_eq!(runs(&[None]), []);
    }

    #[test]
    fn a_bucket_between_two_gaps_is_seen() {
        let drawn = |series: &[Option<f64>]| {
            let mut page = Page::default();
            sparkline(&mut page, series, &TimeAxis { top: "3ms".into(), seconds: 60.0 });
            page.finish()
        };
        let page = drawn(&[Some(1.0), None, Some(3.0)]);
        assert_eq!((page.matches("s-dot").count(), page.matches("<polyline").count()), (2, 0), "{page}");
        assert!(page.contains("d=\"M100,2.5h0\"") && page.contains(">3m ago<") && page.contains("0 to 3ms"), "{page}");
        let page = drawn(&[Some(1.0), Some(2.0), None, Some(3.0), None]);
        assert_eq!((page.matches("s-dot").count(), page.matches("<polyline").count()), (1, 1), "{page}");
    }

    #[test]
    fn an_axis_spans_whole_decades_and_keeps_everything_inside() {
        let axis = Axis::around([3.0, 450.0, 0.0].into_iter());
        assert_eq!(axis.decades().collect::<Vec<_>>(), [1.0, 10.0, 100.0, 1000.0]);
        assert_eq!((axis.place(1.0), axis.place(1000.0), axis.place(0.0), axis.place(1e9)), (0.0, 100.0, 0.0, 100.0));
        assert!((axis.place(31.622_776_601_683_79) - 50.0).abs() < 1e-9);
        let single = Axis::around([10.0].into_iter());
        assert_eq!(single.decades().collect::<Vec<_>>(), [10.0, 100.0]);
        assert_eq!(Axis::around(std::iter::empty()).decades().count(), 4);
    }
}
