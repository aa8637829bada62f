//! One bottleneck on the page, with all of its evidence.

use super::{
    html::{count, millis, moment},
    page::Page,
    plot, tables,
};
use crate::api::{
    bottlenecks::BottleneckView,
    evidence::{EvidenceView, SlowRequestView},
    units,
};

/// Slow requests that are drawn.
const SLOWEST: usize = 3;

/// Writes a bottleneck.
pub(super) fn finding(page: &mut Page, bottleneck: &BottleneckView) {
    page.raw("<article class=\"card finding is-").text(&bottleneck.severity).raw("\">");
    page.element("<h3>", &bottleneck.description, "</h3>");
    page.element("<p>", &bottleneck.impact, "</p><div class=\"facts\">");
    page.raw("<span class=\"badge ").text(&bottleneck.severity).raw("\">").text(&bottleneck.severity).raw("</span>");
    let quantity = |value| units::render(value, &bottleneck.unit);
    page.element("<span>", &bottleneck.kind, "</span>");
    page.element("<span>value <b>", &quantity(bottleneck.value), "</b>");
    page.element(" (limit ", &quantity(bottleneck.threshold), ")</span>");
    page.element("<span>samples <b>", &count(bottleneck.samples), "</b>");
    page.element(" in ", &units::render(bottleneck.window_seconds, "seconds"), "</span>");
    if let Some(share) = bottleneck.evidence.time_share.filter(|share| *share > 0.0) {
        page.element("<span><b>", &units::render(share, "ratio"), "</b> of all time</span>");
    }
    page.element("<span>since ", &moment(&bottleneck.since), "</span></div>");
    evidence(page, &bottleneck.evidence);
    if !bottleneck.recommendations.is_empty() {
        page.raw("<details><summary>Recommendations</summary>");
        list(page, &bottleneck.recommendations);
        page.raw("</details>");
    }
    page.raw("</article>\n");
}

/// Writes a list of sentences.
pub(super) fn list(page: &mut Page, items: &[String]) {
    if items.is_empty() {
        return;
    }
    page.raw("<ul>");
    for item in items {
        page.element("<li class=\"small\">", item, "</li>");
    }
    page.raw("</ul>");
}

fn evidence(page: &mut Page, evidence: &EvidenceView) {
    let numbers = tables::key_numbers(evidence);
    if !numbers.is_empty() {
        page.raw("<div class=\"facts\">");
        for (label, value) in &numbers {
            page.raw("<span>").text(label).element(" <b>", value, "</b></span>");
        }
        page.raw("</div>");
    }
    if let Some(split) = &evidence.time_split {
        page.raw("<h4>Where its time goes</h4>");
        plot::split_with_legend(page, split);
    }
    tables::of(evidence).iter().for_each(|table| table.html(page));
    let slowest = &evidence.slowest_requests[..evidence.slowest_requests.len().min(SLOWEST)];
    if slowest.is_empty() {
        return;
    }
    let durations: Vec<_> = slowest.iter().map(|request| millis(Some(request.duration_ms))).collect();
    page.element("<details><summary>Its slowest requests: ", &durations.join(", "), "</summary>");
    slowest.iter().for_each(|request| slow_request(page, request));
    page.raw("</details>");
}

fn slow_request(page: &mut Page, request: &SlowRequestView) {
    page.element("<h4>", &millis(Some(request.duration_ms)), "</h4><div class=\"facts\">");
    page.element("<span>ended with <b>", &tables::ending(request), "</b></span>");
    page.element("<span>busy <b>", &millis(Some(request.busy_ms)), "</b></span>");
    page.element("<span>longest poll <b>", &millis(Some(request.longest_poll_ms)), "</b></span>");
    page.element("<span>", &moment(&request.timestamp), "</span>");
    if let Some(trace_id) = &request.trace_id {
        page.element("<span>trace <code>", trace_id, "</code></span>");
    }
    page.raw("</div>");
    plot::timeline(page, request);
}
