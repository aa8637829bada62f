//! One bottleneck on the page, with all of its evidence.

use super::{plot, tables, words};
use crate::{
    api::{
        bottlenecks::{BottleneckView, ComparedSamplesView},
        evidence::{EvidenceView, SlowRequestView},
    },
    markup::{Html, numbers::count},
    rules::Unit,
};

/// Slow requests that are drawn.
const SLOWEST: usize = 3;

/// Writes a bottleneck.
pub(super) fn article(page: &mut Html, bottleneck: &BottleneckView) {
    page.raw("<article class=\"card finding is-").text(&bottleneck.severity).raw("\">");
    page.element("<h3>", &bottleneck.description, "</h3>");
    body(page, bottleneck, On::Report);
    page.raw("</article>\n");
}

/// Where a bottleneck is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum On {
    Report,
    /// Below a line that has its value, its threshold and its severity.
    #[cfg(feature = "page")]
    LivePage,
}

/// Writes all that is known of a bottleneck but its description.
pub(in crate::api) fn body(page: &mut Html, bottleneck: &BottleneckView, on: On) {
    if let Some(acknowledged) = &bottleneck.acknowledged {
        page.raw("<p class=\"small acknowledged\">").badge("low", "acknowledged");
        page.raw(" by ").text(&acknowledged.by).raw(" until ").time(&acknowledged.until);
        page.raw(": ").text(&acknowledged.reason).raw("</p>");
    }
    page.element("<p>", &bottleneck.impact, "</p>");
    if let Some(cause) = &bottleneck.cause {
        page.element("<p>", &words::cause(cause), "</p>");
    }
    if let Some(cause) = &bottleneck.caused_by {
        page.element("<p>It follows from ", &cause.kind, "").element(
            ": <code>",
            &words::shortened(&cause.subject),
            "</code></p>",
        );
    }
    if on == On::Report {
        facts(page, bottleneck);
    }
    bottleneck.evidence.iter().for_each(|one| evidence(page, one, &bottleneck.description));
    if !bottleneck.recommendations.is_empty() {
        page.raw(match on {
            On::Report => "<details>",
            #[cfg(feature = "page")]
            On::LivePage => "<details open>",
        });
        page.raw("<summary>Recommendations</summary>").list(&bottleneck.recommendations).raw("</details>");
    }
}

/// What was measured, and against what.
fn facts(page: &mut Html, bottleneck: &BottleneckView) {
    let quantity = |value| bottleneck.unit.render(value);
    page.raw("<div class=\"facts\">").badge(&bottleneck.severity, &bottleneck.severity);
    page.element("<span>", &bottleneck.kind, "</span>");
    page.element("<span>value <b>", &quantity(bottleneck.value), "</b>");
    page.element(" (threshold ", &quantity(bottleneck.threshold), ")</span>");
    match &bottleneck.compared_samples {
        Some(ComparedSamplesView { before, now }) => {
            page.element("<span>requests before <b>", &count(*before), "</b>");
            page.element(", now <b>", &count(*now), "</b>")
        }
        None => page.element("<span>samples <b>", &count(bottleneck.samples), "</b>"),
    };
    page.element(" in ", &Unit::Seconds.render(bottleneck.window_seconds), "</span>");
    let share = bottleneck.evidence.as_ref().and_then(|evidence| evidence.time_share);
    if let Some(share) = share.filter(|share| *share > 0.0) {
        page.element("<span><b>", &Unit::Ratio.render(share), "</b> of the time of all requests</span>");
    }
    page.raw("<span>since ").time(&bottleneck.since).raw("</span></div>");
}

fn evidence(page: &mut Html, evidence: &EvidenceView, of: &str) {
    let numbers = tables::key_numbers(evidence);
    if !numbers.is_empty() {
        page.raw("<div class=\"facts\">");
        for (label, value) in &numbers {
            page.raw("<span>").text(label).element(" <b>", value, "</b></span>");
        }
        page.raw("</div>");
    }
    if let Some(split) = &evidence.time_split {
        page.raw("<h4>Where the time goes</h4>");
        plot::split_with_legend(page, split);
    }
    tables::evidence(evidence).iter().for_each(|table| table.html(page, of));
    let slowest = evidence.slowest_requests.as_deref().unwrap_or_default();
    let slowest = &slowest[..slowest.len().min(SLOWEST)];
    if slowest.is_empty() {
        return;
    }
    let durations: Vec<_> = slowest.iter().map(|request| words::duration(Some(request.duration_ms))).collect();
    page.element("<details><summary>Slowest requests: ", &durations.join(", "), "</summary>");
    slowest.iter().for_each(|request| slow_request(page, request));
    page.raw("</details>");
}

pub(in crate::api) fn slow_request(page: &mut Html, request: &SlowRequestView) {
    page.element("<h4>", &words::duration(Some(request.duration_ms)), "</h4><div class=\"facts\">");
    page.element("<span>ended with <b>", &words::ending(request), "</b></span>");
    page.element("<span>busy <b>", &words::duration(Some(request.busy_ms)), "</b></span>");
    page.element("<span>longest poll <b>", &words::duration(Some(request.longest_poll_ms)), "</b></span>");
    page.raw("<span>").time(&request.timestamp).raw("</span>");
    if let Some(trace_id) = &request.trace_id {
        page.element("<span>trace <code>", trace_id, "</code></span>");
    }
    page.raw("</div>");
    plot::timeline(page, request);
}
