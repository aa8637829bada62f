//! The report as Markdown, for a pull request or a chat.
//!
//! Names are code spans and everything else is escaped: what a route or query is called cannot become a link, a mention
//! or a table of its own.

use super::{
    document::{Recommendation, Report, ReportTrends},
    tables,
    words::{self, capitalised, headline, share_of, shortened},
};
use crate::{
    api::bottlenecks::BottleneckView,
    markup::{code, escaped, numbers::moment},
    rules::Unit,
};

/// Endpoints that the tables name: a pull request needs fewer than the page.
const ENDPOINTS: usize = 10;
/// Slow requests of each endpoint.
const SLOWEST: usize = 3;

/// Writes the report.
pub(super) fn text(report: &Report) -> String {
    let window = Unit::Seconds.render(report.summary.window_seconds);
    let mut out = format!("# Performance report: {}\n\n{}", report.status, escaped(&headline(report)));
    out += &format!(" The numbers cover the last {window}.\n");
    tables::summary(&report.summary).markdown(&mut out);
    recommendations(&mut out, &report.recommendations);
    bottlenecks(&mut out, report);
    slos(&mut out, report);
    endpoints(&mut out, report);
    trends(&mut out, report.trends.as_ref());
    memory(&mut out, report);
    #[cfg(feature = "archive")]
    super::versions::markdown(&mut out, report.comparison.as_ref());
    out += &format!("\n## Rules\n\n{}\n", words::rules_in_force(report));
    tables::silent_rules(&report.silent_rules).markdown(&mut out);
    if let Some(sqlx) = &report.sqlx {
        let problem = sqlx.problem.as_ref().map(|problem| format!(" {}.", escaped(problem))).unwrap_or_default();
        out += &format!("\n{}.{problem}\n", sqlx.words());
    }
    out + &format!("\n<sub>pinchpoint {}, {}</sub>\n", report.version, report.timestamp)
}

fn recommendations(out: &mut String, recommendations: &[Recommendation]) {
    if recommendations.is_empty() {
        return;
    }
    *out += "\n## What to do, by expected gain\n\n";
    for one in recommendations {
        let (subject, advice) = (code(&shortened(&one.subject)), escaped(&one.recommendation));
        *out += &format!("{}. {subject}: **{advice}** ({}, {})", one.rank, one.severity, one.types.join(", "));
        if let Some(cause) = &one.cause {
            *out += &format!("  \n   {}", escaped(&words::cause(cause)));
        }
        if one.followed_by > 0 {
            *out += &format!("  \n   {}.", words::followers(one.followed_by));
        }
        if let Some(gain) = &one.expected_gain {
            let (summary, how) = (escaped(&capitalised(&gain.summary)), escaped(&gain.how));
            *out += &format!("  \n   {summary}: {}. _{how}_", share_of(gain));
        }
        out.push('\n');
    }
}

fn bottlenecks(out: &mut String, report: &Report) {
    if report.bottlenecks.is_empty() {
        return;
    }
    *out += "\n## Bottlenecks\n";
    tables::bottlenecks(report).markdown(out);
    report.bottlenecks.iter().for_each(|one| evidence(out, one));
}

/// What is behind a bottleneck: its numbers, then its tables.
fn evidence(out: &mut String, bottleneck: &BottleneckView) {
    let Some(evidence) = &bottleneck.evidence else { return };
    *out += &format!("\n### {}: {}\n\n", bottleneck.kind, code(&bottleneck.subject));
    if let Some(cause) = &bottleneck.cause {
        *out += &format!("{}\n", escaped(&words::cause(cause)));
    }
    if let Some(cause) = &bottleneck.caused_by {
        *out += &format!("It follows from {}: {}.\n", escaped(&cause.kind), code(&shortened(&cause.subject)));
    }
    if bottleneck.cause.is_some() || bottleneck.caused_by.is_some() {
        out.push('\n');
    }
    let mut facts = vec![format!("since {}", moment(&bottleneck.since))];
    if let Some(share) = evidence.time_share.filter(|share| *share > 0.0) {
        facts.push(format!("{} of the time of all requests", Unit::Ratio.render(share)));
    }
    facts.extend(tables::key_numbers(evidence).into_iter().map(|(label, value)| format!("{label} {value}")));
    *out += &format!("{}.", escaped(&capitalised(&facts.join(", "))));
    if let Some(split) = &evidence.time_split {
        *out += &format!(" Where the time goes: {}.", escaped(&words::split(split)));
    }
    out.push('\n');
    tables::evidence(evidence).iter().for_each(|table| table.markdown(out));
    let slowest = evidence.slowest_requests.as_deref().unwrap_or_default();
    tables::slow_requests(&slowest[..slowest.len().min(SLOWEST)]).markdown(out);
}

fn slos(out: &mut String, report: &Report) {
    if report.slos.is_empty() {
        return;
    }
    *out += "\n## Service-level objectives\n";
    tables::slos(&report.slos).markdown(out);
    if report.slo_count > report.slos.len() {
        *out += &format!("\nand {} more\n", report.slo_count - report.slos.len());
    }
}

fn endpoints(out: &mut String, report: &Report) {
    if report.endpoints.is_empty() {
        return;
    }
    *out += "\n## Endpoints, by their share of all time\n";
    let shown = &report.endpoints[..report.endpoints.len().min(ENDPOINTS)];
    tables::endpoints(shown).markdown(out);
    tables::splits(shown).markdown(out);
}

fn trends(out: &mut String, trends: Option<&ReportTrends>) {
    let Some(trends) = trends else { return };
    *out += &format!("\n## Trends of the last {} hours\n", trends.hours);
    if trends.is_short() {
        *out += &format!("\n{}.\n", escaped(&capitalised(&trends.memory.message)));
        return;
    }
    tables::trends(trends).markdown(out);
}

fn memory(out: &mut String, report: &Report) {
    let (Some(first), Some(last)) = (report.memory.first(), report.memory.last()) else { return };
    let memory = |megabytes| words::memory(Some(megabytes));
    let values = || report.memory.iter().map(|at| at.memory_mb);
    let (lowest, highest) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
    let limit = report.memory_limit_mb.map_or_else(String::new, |limit| format!(" The limit is {}.", memory(limit)));
    *out += &format!(
        "\n## Memory\n\n{} now, {} to {} in the last {}.{limit}\n",
        memory(last.memory_mb),
        memory(lowest),
        memory(highest),
        Unit::Seconds.render(first.seconds_ago),
    );
}
