//! One bottleneck on the page, with all of its evidence.

use super::{
    html::{count, millis, moment},
    page::Page,
    plot,
};
use crate::api::{
    bottlenecks::BottleneckView,
    evidence::{EvidenceView, OutcomeView, SlowRequestView},
    units,
};
use crate::names;

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
    if let Some(share) = bottleneck.evidence.time_share {
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
    if let Some(split) = &evidence.time_split {
        page.raw("<h4>Where its time goes</h4>");
        plot::split_with_legend(page, split);
    }
    let or_dash = |value: Option<f64>, unit| value.map_or_else(|| "–".to_owned(), |value| units::render(value, unit));
    table(
        page,
        "<h4>Queries</h4>",
        "<th>query<th>calls<th>per request<th>total<th>of its time",
        &evidence.top_queries,
        |query| {
            let cells = [
                count(query.calls),
                or_dash(query.calls_per_request, "count"),
                units::render(query.total_seconds, "seconds"),
                or_dash(query.time_ratio, "ratio"),
            ];
            (query.query.clone(), cells.to_vec())
        },
    );
    // The blockers below say the same and more.
    if evidence.blockers.is_empty() {
        table(
            page,
            "<h4>Endpoints</h4>",
            "<th>endpoint<th>calls<th>per request<th>total<th>share",
            &evidence.endpoints,
            |one| {
                let cells = [
                    count(one.calls),
                    or_dash(one.calls_per_request, "count"),
                    units::render(one.total_seconds, "seconds"),
                    or_dash(one.time_ratio, "ratio"),
                ];
                (one.endpoint.clone(), cells.to_vec())
            },
        );
    }
    let head = "<th>endpoint<th>blocking polls<th>in all<th>longest<th>others in flight<th>at most";
    table(page, "<h4>Who blocked a worker, and who may have waited</h4>", head, &evidence.blockers, |one| {
        let cells = [
            count(one.polls),
            units::render(one.total_seconds, "seconds"),
            millis(one.longest_ms),
            or_dash(one.others_in_flight, "count"),
            or_dash(one.max_others_in_flight, "count"),
        ];
        (one.endpoint.clone(), cells.to_vec())
    });
    // That all went well is not worth a table.
    let went_well = |one: &OutcomeView| one.outcome == names::OK || one.outcome.starts_with('2');
    let outcomes = if evidence.outcomes.iter().all(went_well) { &[][..] } else { &evidence.outcomes };
    let head = "<th>outcome<th>count<th>share<th>first seen<th>last seen";
    table(page, "<h4>How it ended</h4>", head, outcomes, |one| {
        let seen = |at: &Option<String>| at.as_deref().map_or_else(|| "–".to_owned(), moment);
        let share = units::render(one.ratio, "ratio");
        (one.outcome.clone(), vec![count(one.count), share, seen(&one.first_seen), seen(&one.last_seen)])
    });
    table(page, "<h4>In progress, the oldest first</h4>", "<th>since<th>for", &evidence.running, |run| {
        (moment(&run.since), vec![units::render(run.running_seconds, "seconds")])
    });
    let head = "<th>endpoint<th>kept<th>in an hour<th>in a request";
    table(page, "<h4>Whose memory is not freed</h4>", head, &evidence.leak_suspects, |one| {
        let megabytes = |mb: f64| units::render(mb * 1e6, "bytes");
        let per_request = or_dash(one.kept_bytes_per_request, "bytes");
        (one.endpoint.clone(), vec![megabytes(one.kept_mb), megabytes(one.kept_mb_per_hour), per_request])
    });
    if let Some(slowest) = evidence.slowest_requests.first() {
        slow_request(page, slowest);
    }
}

/// Writes a table whose first column names what a row is about.
pub(super) fn table<T>(
    page: &mut Page,
    title: &'static str,
    head: &'static str,
    rows: &[T],
    cells: impl Fn(&T) -> (String, Vec<String>),
) {
    if rows.is_empty() {
        return;
    }
    page.raw(title).raw("<div class=\"scroll\"><table><tr>").raw(head).raw("</tr>");
    for row in rows {
        let (name, cells) = cells(row);
        page.element("<tr><td><code>", &name, "</code>");
        for cell in &cells {
            page.raw("<td>").text(cell);
        }
        page.raw("</tr>");
    }
    page.raw("</table></div>");
}

fn slow_request(page: &mut Page, request: &SlowRequestView) {
    page.element("<details><summary>Its slowest request: ", &millis(Some(request.duration_ms)), "</summary>");
    page.raw("<div class=\"facts\">");
    let status = request.status.map(|status| status.to_string());
    let ending = request.error_type.clone().or(status).unwrap_or_default();
    page.element("<span>ended with <b>", &ending, "</b></span>");
    page.element("<span>busy <b>", &millis(Some(request.busy_ms)), "</b></span>");
    page.element("<span>longest poll <b>", &millis(Some(request.longest_poll_ms)), "</b></span>");
    page.element("<span>", &moment(&request.timestamp), "</span>");
    if let Some(trace_id) = &request.trace_id {
        page.element("<span>trace <code>", trace_id, "</code></span>");
    }
    page.raw("</div>");
    plot::timeline(page, request);
    page.raw("</details>");
}
