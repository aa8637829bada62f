//! The report as a page: one file that needs nothing else, to be read, sent and printed.

use super::{
    document::{Recommendation, Report, ReportTrends},
    finding, plot, tables,
    words::{self, capitalised, headline, latest, share_of, shortened},
};
use crate::{
    analysis::Direction,
    api::{bottlenecks::GainView, icon, sqlx::SqlxView, trend::direction_str},
    markup::{Html, STYLE, TimeAxis, numbers::moment, share, sparkline},
    rules::Unit,
};

/// Endpoints that the plots show.
const PLOTTED: usize = 12;

/// Writes the page.
pub(super) fn page(report: &Report) -> String {
    let mut page = Html::default();
    page.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">")
        .raw("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">")
        .raw("<link rel=\"icon\" href=\"")
        .text(&icon::data_uri())
        .raw("\"><title>Performance report</title><style>\n")
        .raw(STYLE)
        .raw("</style></head>\n<body><main>\n");
    header(&mut page, report);
    recommendations(&mut page, &report.recommendations);
    bottlenecks(&mut page, report);
    slos(&mut page, report);
    endpoints(&mut page, report);
    trends(&mut page, report.trends.as_ref());
    #[cfg(feature = "archive")]
    super::versions::section(&mut page, report.comparison.as_ref());
    memory(&mut page, report);
    rules(&mut page, report);
    sqlx(&mut page, report.sqlx.as_ref());
    page.raw("<footer>Written by pinchpoint ").text(report.version).raw(" at ").text(&report.timestamp);
    page.raw(". Durations are to the last byte of the response; percentiles are within 5 %.</footer>\n");
    page.raw("</main></body></html>\n");
    page.finish()
}

fn header(page: &mut Html, report: &Report) {
    page.raw("<header><div><h1>Performance report</h1><p class=\"muted small\">").text(&moment(&report.timestamp));
    page.raw(" · the last ").text(&Unit::Seconds.render(report.summary.window_seconds)).raw("</p></div>");
    page.badge(report.status, report.status).raw("</header>\n");
    page.element("<p>", &headline(report), "</p>\n");
    tables::summary(&report.summary).tiles(page);
}

fn recommendations(page: &mut Html, recommendations: &[Recommendation]) {
    if recommendations.is_empty() {
        return;
    }
    page.raw("<h2>What to do, by expected gain</h2>\n<ol class=\"todo\">");
    for recommendation in recommendations {
        page.raw("<li class=\"card\"><span class=\"rank\">").text(&recommendation.rank.to_string()).raw("</span><div>");
        advice(page, recommendation);
        if let Some(cause) = &recommendation.cause {
            page.element("<p>", &words::cause(cause), "</p>");
        }
        if recommendation.followed_by > 0 {
            page.element("<p class=\"small muted\">", &words::followers(recommendation.followed_by), ".</p>");
        }
        if let Some(gain) = &recommendation.expected_gain {
            expected_gain(page, gain);
        }
        details(page, recommendation);
        page.raw("</div></li>\n");
    }
    page.raw("</ol>\n");
}

fn advice(page: &mut Html, recommendation: &Recommendation) {
    let Recommendation { subject, recommendation: advice, severity, types, .. } = recommendation;
    let name = shortened(subject);
    // The subject comes first: a list of the same advice for several subjects stays readable.
    page.element("<h3><code>", &name, "</code> ").text(advice).raw("</h3>");
    page.raw("<p class=\"small muted\">").badge(severity, severity).raw(" ").text(&types.join(", "));
    if name != *subject {
        page.element(" · <code>", subject, "</code>");
    }
    page.raw("</p>");
}

fn expected_gain(page: &mut Html, gain: &GainView) {
    page.raw("<div class=\"gain\"><b>").text(&capitalised(&gain.summary)).raw("</b>");
    share(page, gain.share);
    page.element("<span class=\"small muted\">", &share_of(gain), "</span></div>");
}

/// How the gain was computed and what else helps, folded; nothing where there is neither.
fn details(page: &mut Html, recommendation: &Recommendation) {
    let Recommendation { expected_gain, more, .. } = recommendation;
    page.raw(match (expected_gain, &more[..]) {
        (None, []) => return,
        (None, _) => "<details><summary>What else helps</summary>",
        (Some(_), []) => "<details><summary>How the gain is computed</summary>",
        (Some(_), _) => "<details><summary>How the gain is computed, and what else helps</summary>",
    });
    if let Some(gain) = expected_gain {
        page.element("<p class=\"small\">", &capitalised(&gain.how), ".</p>");
    }
    page.list(more).raw("</details>");
}

fn bottlenecks(page: &mut Html, report: &Report) {
    page.raw("<h2>Bottlenecks</h2>\n");
    if report.bottlenecks.is_empty() {
        page.element("<p class=\"card\">", &capitalised(&report.message), ".</p>\n");
    }
    report.bottlenecks.iter().for_each(|bottleneck| finding::article(page, bottleneck));
}

/// How much of each error budget is left.
fn slos(page: &mut Html, report: &Report) {
    if report.slos.is_empty() {
        return;
    }
    page.raw("<h2>Service-level objectives</h2>\n<div class=\"card\">");
    tables::slos(&report.slos).html(page, "Error budgets");
    more(page, report.slo_count, report.slos.len());
    page.raw("</div>\n");
}

/// Says how many of a list are not shown.
fn more(page: &mut Html, all: usize, shown: usize) {
    if all > shown {
        page.raw("<p class=\"small muted\">and ").text(&(all - shown).to_string()).raw(" more</p>");
    }
}

fn endpoints(page: &mut Html, report: &Report) {
    if report.endpoints.is_empty() {
        return;
    }
    let plotted = &report.endpoints[..report.endpoints.len().min(PLOTTED)];
    page.raw(
        "<h2>Endpoints, by their share of all time</h2>\n<div class=\"card\"><h3 class=\"part\">Response times</h3>",
    );
    plot::response_times(page, plotted);
    page.raw("</div>\n<div class=\"card\"><h3 class=\"part\">Where the time goes</h3>");
    plot::splits(page, plotted);
    page.raw("</div>\n<div class=\"card\">");
    tables::endpoints(&report.endpoints).html(page, "Endpoints in numbers");
    more(page, report.endpoint_count, report.endpoints.len());
    page.raw("</div>\n");
}

/// Whether the queries of sqlx are seen.
fn sqlx(page: &mut Html, sqlx: Option<&SqlxView>) {
    let Some(sqlx) = sqlx else { return };
    match &sqlx.problem {
        Some(problem) => {
            page.raw("<p class=\"card\">").text(&sqlx.words()).raw(". ").text(problem).raw(".</p>\n");
        }
        None => _ = page.element("<p class=\"small muted\">", &sqlx.words(), ".</p>\n"),
    }
}

fn trends(page: &mut Html, trends: Option<&ReportTrends>) {
    let Some(trends) = trends else { return };
    page.raw("<h2>Trends of the last ").text(&trends.hours.to_string()).raw(" hours</h2>\n");
    if trends.is_short() {
        page.element("<p class=\"card muted\">", &capitalised(&trends.memory.message), ".</p>\n");
        return;
    }
    page.raw("<div class=\"card\"><div class=\"rows\">");
    for (name, trend) in trends.each() {
        page.element("<span class=\"name\">", name, " ");
        page.badge(colour(trend.direction), direction_str(trend.direction)).raw("</span>");
        let highest = trend.series.iter().flatten().copied().fold(0.0, f64::max);
        let axis = TimeAxis { top: trend.unit.render(highest), seconds: trends.bucket_seconds };
        sparkline(page, &trend.series, &axis);
        page.element("<span class=\"value\">", &latest(trend), "</span>");
        page.element("<p class=\"small muted wide\">", &trend.message, "</p>");
    }
    page.raw("</div></div>\n");
}

/// What the rules look at: without a word, a rule that looks at nothing would pass for good news.
fn rules(page: &mut Html, report: &Report) {
    page.element("<h2>Rules</h2>\n<div class=\"card\"><p>", &words::rules_in_force(report), "</p>");
    if !report.silent_rules.is_empty() {
        page.raw("<details><summary>Which, and why</summary>");
        tables::silent_rules(&report.silent_rules).html(page, "Silent rules");
        page.raw("</details>");
    }
    page.raw("</div>\n");
}

fn colour(direction: Direction) -> &'static str {
    match direction {
        Direction::Improving => "good",
        Direction::Degrading => "high",
        Direction::Stable | Direction::Unknown => "low",
    }
}

fn memory(page: &mut Html, report: &Report) {
    if report.memory.len() < 2 {
        return;
    }
    page.raw("<h2>Memory</h2>\n<div class=\"card\">");
    plot::memory(page, &report.memory, report.memory_limit_mb);
    page.raw("</div>\n");
}
