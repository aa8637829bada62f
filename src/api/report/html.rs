//! The report as a page: one file that needs nothing else, to be read, sent and printed.

use super::{
    document::{Recommendation, Report},
    page::Page,
    plot,
    sections::{self, finding},
};
use crate::api::{bottlenecks::GainView, endpoints::EndpointView, trends::TrendView, units};

const STYLE: &str = include_str!("report.css");
/// Endpoints that the plots show.
const PLOTTED: usize = 12;

/// Writes the page.
pub(super) fn page(report: &Report) -> String {
    let mut page = Page::default();
    page.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">")
        .raw("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">")
        .raw("<title>Performance report</title><style>\n")
        .raw(STYLE)
        .raw("</style></head>\n<body><main>\n");
    header(&mut page, report);
    recommendations(&mut page, &report.recommendations);
    findings(&mut page, report);
    endpoints(&mut page, report);
    trends(&mut page, report);
    #[cfg(feature = "archive")]
    super::versions::section(&mut page, report.comparison.as_ref());
    memory(&mut page, report);
    page.raw("<footer>Written by pinchpoint ").text(report.version).raw(" at ").text(&report.timestamp);
    page.raw(". Durations are to the last byte of the response; percentiles are within 5 %.</footer>\n");
    page.raw("</main></body></html>\n");
    page.finish()
}

/// Milliseconds for people.
pub(super) fn millis(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| units::render(value / 1e3, "seconds"))
}

/// Per cent for people.
pub(super) fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| units::render(value / 1e2, "ratio"))
}

/// A moment for people, to the second: everything on the page has the offset that its head and foot tell.
pub(super) fn moment(timestamp: &str) -> String {
    timestamp.get(..19).unwrap_or(timestamp).replace('T', " ")
}

/// A number of the evidence for people.
pub(super) fn or_dash(value: Option<f64>, unit: &str) -> String {
    value.map_or_else(|| "–".to_owned(), |value| units::render(value, unit))
}

/// What a gain is a share of.
pub(super) fn share_of(gain: &GainView) -> String {
    let whole = if gain.unit == "ratio" { "of all requests" } else { "of the service" };
    format!("{} {whole}", units::render(gain.share, "ratio"))
}

/// A name that begins a line, cut where it is a long statement: the whole of it is in the evidence.
pub(super) fn short(name: &str) -> String {
    const LONGEST: usize = 72;
    if name.chars().count() <= LONGEST {
        return name.to_owned();
    }
    name.chars().take(LONGEST - 1).chain(['…']).collect()
}

/// A count with thousands told apart.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

fn header(page: &mut Page, report: &Report) {
    let summary = &report.summary;
    page.raw("<header><div><h1>Performance report</h1><p class=\"muted small\">").text(&moment(&report.timestamp));
    page.raw(" · the last ").text(&units::render(summary.window_seconds, "seconds")).raw("</p></div>");
    page.raw("<span class=\"badge ").text(report.status).raw("\">").text(report.status).raw("</span></header>\n");
    page.raw("<p>").text(&sentence(report)).raw("</p>\n<div class=\"tiles\">");
    let rate = summary.requests_per_second.map_or_else(|| "–".to_owned(), |rate| units::render(rate, "per_second"));
    let memory = summary.avg_memory_mb.map_or_else(|| "–".to_owned(), |mb| units::render(mb * 1e6, "bytes"));
    let tiles = [
        (count(summary.total_requests), "requests"),
        (rate, "requests a second"),
        (millis(summary.avg_duration_ms), "mean duration"),
        (millis(summary.p95_duration_ms), "95th percentile"),
        (millis(summary.p99_duration_ms), "99th percentile"),
        (percent(summary.error_rate_percent), "server errors"),
        (count(summary.total_db_queries), "database queries"),
        (memory, "mean memory"),
    ];
    for (value, label) in &tiles {
        page.element("<div class=\"tile\"><b>", value, "</b>").element("<span>", label, "</span></div>");
    }
    page.raw("</div>\n");
}

/// The report in a sentence.
pub(super) fn sentence(report: &Report) -> String {
    let mut text = format!("{}.", capitalised(&report.message));
    let best = report.recommendations.first();
    if let Some(gain) = best.and_then(|best| best.expected_gain.as_ref()) {
        text += &format!(" The fix with the largest gain {}.", gain.summary);
    }
    text
}

pub(super) fn capitalised(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}

fn recommendations(page: &mut Page, recommendations: &[Recommendation]) {
    if recommendations.is_empty() {
        return;
    }
    page.raw("<h2>What to do, by what it is expected to gain</h2>\n<ol class=\"todo\">");
    for one in recommendations {
        page.raw("<li class=\"card\"><span class=\"rank\">").text(&one.rank.to_string()).raw("</span><div>");
        // Each line stands alone: what it is about comes first.
        page.element("<h3><code>", &short(&one.subject), "</code> ").text(&one.recommendation).raw("</h3>");
        page.raw("<p class=\"small muted\"><span class=\"badge ").text(&one.severity).raw("\">").text(&one.severity);
        page.raw("</span> ").text(&one.types.join(", "));
        if short(&one.subject) != one.subject {
            page.element(" · <code>", &one.subject, "</code>");
        }
        page.raw("</p>");
        if let Some(gain) = &one.expected_gain {
            page.raw("<div class=\"gain\"><b>").text(&capitalised(&gain.summary)).raw("</b>");
            plot::share(page, gain.share);
            page.element("<span class=\"small muted\">", &share_of(gain), "</span></div>");
        }
        let has_more = !one.more.is_empty() || one.expected_gain.is_some();
        if has_more {
            page.raw(match (&one.expected_gain, one.more.is_empty()) {
                (None, _) => "<details><summary>What else helps</summary>",
                (Some(_), true) => "<details><summary>How that is computed</summary>",
                (Some(_), false) => "<details><summary>How that is computed, and what else helps</summary>",
            });
            if let Some(gain) = &one.expected_gain {
                page.element("<p class=\"small\">", &capitalised(&gain.how), ".</p>");
            }
            sections::list(page, &one.more);
            page.raw("</details>");
        }
        page.raw("</div></li>\n");
    }
    page.raw("</ol>\n");
}

fn findings(page: &mut Page, report: &Report) {
    page.raw("<h2>Bottlenecks</h2>\n");
    if report.bottlenecks.is_empty() {
        page.element("<p class=\"card\">", &capitalised(&report.message), ".</p>\n");
        return;
    }
    for bottleneck in &report.bottlenecks {
        finding(page, bottleneck);
    }
}

fn endpoints(page: &mut Page, report: &Report) {
    if report.endpoints.is_empty() {
        return;
    }
    let plotted = &report.endpoints[..report.endpoints.len().min(PLOTTED)];
    page.raw("<h2>Endpoints, by their share of all time</h2>\n<div class=\"card\"><h4>Response times</h4>");
    plot::response_times(page, plotted);
    page.raw("</div>\n<div class=\"card\"><h4>Where the time goes</h4>");
    plot::splits(page, plotted);
    page.raw(
        "</div>\n<div class=\"card scroll\"><table><tr><th>endpoint<th>requests<th>share<th>mean<th>p50<th>p95<th>p99",
    );
    page.raw("<th>max<th>errors<th>4xx<th>queries</tr>");
    for endpoint in &report.endpoints {
        row(page, endpoint);
    }
    page.raw("</table>");
    if report.endpoint_count > report.endpoints.len() {
        let more = report.endpoint_count - report.endpoints.len();
        page.raw("<p class=\"small muted\">and ").text(&more.to_string()).raw(" more</p>");
    }
    page.raw("</div>\n");
}

fn row(page: &mut Page, endpoint: &EndpointView) {
    page.raw("<tr><td><code>").text(&endpoint.endpoint).raw("</code>");
    let queries = endpoint.db_queries_per_request.map_or_else(|| "–".to_owned(), |each| units::render(each, "count"));
    let cells = [
        count(endpoint.request_count),
        percent(endpoint.time_share_percent),
        millis(endpoint.avg_duration_ms),
        millis(endpoint.p50_duration_ms),
        millis(endpoint.p95_duration_ms),
        millis(endpoint.p99_duration_ms),
        millis(endpoint.max_duration_ms),
        percent(endpoint.error_rate_percent),
        percent(endpoint.client_error_rate_percent),
        queries,
    ];
    for cell in &cells {
        page.raw("<td>").text(cell);
    }
    page.raw("</tr>");
}

fn trends(page: &mut Page, report: &Report) {
    let Some(trends) = &report.trends else { return };
    if trends.is_short() {
        page.raw("<h2>Trends</h2>\n").element(
            "<p class=\"card muted\">",
            &capitalised(&trends.memory.message),
            ".</p>\n",
        );
        return;
    }
    page.raw("<h2>Trends of the last ")
        .text(&trends.hours.to_string())
        .raw(" hours</h2>\n<div class=\"card\"><div class=\"rows\">");
    for (name, trend) in trends.each() {
        page.element("<span class=\"name\">", name, " ");
        page.raw("<span class=\"badge ").text(colour(trend.direction)).element(
            "\">",
            trend.direction,
            "</span></span>",
        );
        let highest = trend.series.iter().flatten().copied().fold(0.0, f64::max);
        let axis = plot::TimeAxis { top: quantity(highest, trend.unit), seconds: trends.bucket_seconds };
        plot::sparkline(page, &trend.series, &axis);
        page.element("<span class=\"value\">", &latest(trend), "</span>");
        page.element("<p class=\"small muted wide\">", &trend.message, "</p>");
    }
    page.raw("</div></div>\n");
}

fn colour(direction: &str) -> &'static str {
    match direction {
        "improving" => "good",
        "degrading" => "high",
        _ => "low",
    }
}

/// The latest value of a trend's series.
pub(super) fn latest(trend: &TrendView) -> String {
    let latest = trend.series.iter().rev().find_map(|value| *value);
    latest.map_or_else(|| "–".to_owned(), |value| quantity(value, trend.unit))
}

/// A value of a trend for people.
fn quantity(value: f64, unit: &str) -> String {
    match unit {
        "ms" => millis(Some(value)),
        "percent" => percent(Some(value)),
        "mb" => units::render(value * 1e6, "bytes"),
        _ => units::render(value, "per_second"),
    }
}

fn memory(page: &mut Page, report: &Report) {
    if report.memory.len() < 2 {
        return;
    }
    page.raw("<h2>Memory</h2>\n<div class=\"card\">");
    plot::memory(page, &report.memory, report.memory_limit_mb);
    page.raw("</div>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_told_apart() {
        let counts = [0, 12, 999, 1000, 12_345, 1_234_567].map(|value| count(value).replace('\u{202f}', " "));
        assert_eq!(counts, ["0", "12", "999", "1 000", "12 345", "1 234 567"]);
    }
}
