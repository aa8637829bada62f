//! The report as Markdown, for a pull request or a chat.
//!
//! Names are code spans and everything else is escaped: what a route or query is called cannot become a link, a mention
//! or a table of its own.

use super::{
    document::{Report, ReportTrends},
    html::{capitalised, latest, millis, moment, percent, sentence, share_of, short},
    plot, tables,
};
use crate::api::{bottlenecks::BottleneckView, units};

/// Endpoints that the table names.
const ENDPOINTS: usize = 10;
/// Slow requests that are told of an endpoint.
const SLOWEST: usize = 3;

/// Writes the report.
pub(super) fn text(report: &Report) -> String {
    let summary = &report.summary;
    let mut out = format!("# Performance report: {}\n\n{}\n\n", report.status, escaped(&sentence(report)));
    out += "| requests | mean | p95 | p99 | server errors | queries | window |\n|--:|--:|--:|--:|--:|--:|--:|\n";
    out += &format!(
        "| {} | {} | {} | {} | {} | {} | {} |\n",
        summary.total_requests,
        millis(summary.avg_duration_ms),
        millis(summary.p95_duration_ms),
        millis(summary.p99_duration_ms),
        percent(summary.error_rate_percent),
        summary.total_db_queries,
        units::render(summary.window_seconds, "seconds"),
    );
    if !report.recommendations.is_empty() {
        out += "\n## What to do, by what it is expected to gain\n\n";
    }
    for one in &report.recommendations {
        let (subject, advice) = (code(&short(&one.subject)), escaped(&one.recommendation));
        out += &format!("{}. {subject}: **{advice}** ({}, {})", one.rank, one.severity, one.types.join(", "));
        if let Some(gain) = &one.expected_gain {
            let (summary, how) = (escaped(&capitalised(&gain.summary)), escaped(&gain.how));
            out += &format!("  \n   {summary}: {}. _{how}_", share_of(gain));
        }
        out.push('\n');
    }
    if !report.bottlenecks.is_empty() {
        out +=
            "\n## Bottlenecks\n\n| severity | type | subject | value | limit | impact |\n|---|---|---|--:|--:|---|\n";
    }
    for one in &report.bottlenecks {
        out += &format!(
            "| {} | {} | {} | {} | {} | {} |\n",
            one.severity,
            one.kind,
            code_cell(&one.subject),
            units::render(one.value, &one.unit),
            units::render(one.threshold, &one.unit),
            escaped(&one.impact),
        );
    }
    report.bottlenecks.iter().for_each(|one| evidence(&mut out, one));
    if !report.endpoints.is_empty() {
        out += "\n## Endpoints, by their share of all time\n\n";
        out += "| endpoint | requests | share | p50 | p95 | p99 | errors | database | tasks | busy | waiting |\n";
        out += "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
    }
    for one in report.endpoints.iter().take(ENDPOINTS) {
        out += &format!("| {} | {} ", code_cell(&one.endpoint), one.request_count);
        let cells = [
            percent(one.time_share_percent),
            millis(one.p50_duration_ms),
            millis(one.p95_duration_ms),
            millis(one.p99_duration_ms),
            percent(one.error_rate_percent),
            percent(one.db_time_percent),
            percent(one.task_time_percent),
            percent(one.busy_time_percent),
            percent(one.waiting_time_percent),
        ];
        cells.iter().for_each(|cell| out += &format!("| {cell} "));
        out += "|\n";
    }
    trends(&mut out, report.trends.as_ref());
    memory(&mut out, report);
    #[cfg(feature = "archive")]
    super::versions::markdown(&mut out, report.comparison.as_ref());
    out + &format!("\n<sub>pinchpoint {}, {}</sub>\n", report.version, report.timestamp)
}

/// What is behind a bottleneck: its numbers, then its tables.
fn evidence(out: &mut String, bottleneck: &BottleneckView) {
    let evidence = &bottleneck.evidence;
    *out += &format!("\n### {}: {}\n\n", bottleneck.kind, code(&bottleneck.subject));
    let mut facts = vec![format!("since {}", moment(&bottleneck.since))];
    if let Some(share) = evidence.time_share.filter(|share| *share > 0.0) {
        facts.push(format!("{} of all time", units::render(share, "ratio")));
    }
    facts.extend(tables::key_numbers(evidence).into_iter().map(|(label, value)| format!("{label} {value}")));
    *out += &format!("{}.", escaped(&capitalised(&facts.join(", "))));
    if let Some(split) = &evidence.time_split {
        *out += &format!(" Where its time goes: {}.", escaped(&plot::split_in_words(split)));
    }
    out.push('\n');
    tables::of(evidence).iter().for_each(|table| table.markdown(out));
    tables::slow_requests(&evidence.slowest_requests[..evidence.slowest_requests.len().min(SLOWEST)]).markdown(out);
}

fn trends(out: &mut String, trends: Option<&ReportTrends>) {
    let Some(trends) = trends else { return };
    *out += &format!("\n## Trends of the last {} hours\n", trends.hours);
    if trends.is_short() {
        *out += &format!("\n{}.\n", escaped(&capitalised(&trends.memory.message)));
        return;
    }
    *out += "\n| measure | direction | latest | what moved |\n|---|---|--:|---|\n";
    for (name, trend) in trends.each() {
        *out += &format!("| {name} | {} | {} | {} |\n", trend.direction, latest(trend), escaped(&trend.message));
    }
}

fn memory(out: &mut String, report: &Report) {
    let (Some(first), Some(last)) = (report.memory.first(), report.memory.last()) else { return };
    let bytes = |mb: f64| units::render(mb * 1e6, "bytes");
    let (lowest, highest) = report.memory.iter().map(|at| at.memory_mb).fold((f64::INFINITY, 0.0), range);
    let limit = report.memory_limit_mb.map_or_else(String::new, |limit| format!(" The limit is {}.", bytes(limit)));
    *out += &format!(
        "\n## Memory\n\n{} now, {} to {} in the last {}.{limit}\n",
        bytes(last.memory_mb),
        bytes(lowest),
        bytes(highest),
        units::render(first.seconds_ago, "seconds"),
    );
}

fn range((low, high): (f64, f64), value: f64) -> (f64, f64) {
    (low.min(value), high.max(value))
}

/// Between the parts of what Markdown's readers turn into links and mentions by themselves, whatever is escaped: they are
/// found in the finished text. It has no width.
const JOINER: char = '\u{2060}';

/// Text that is only text, on one line.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let follows = |prefix: &str| {
            text.as_bytes()[at..].get(..prefix.len()).is_some_and(|found| found.eq_ignore_ascii_case(prefix.as_bytes()))
        };
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '~' | '@' | '&' | '!' => {
                out.push('\\');
                out.push(c);
                out.extend((c == '@').then_some(JOINER));
            }
            ':' if follows("://") => out.extend([c, JOINER]),
            'w' | 'W' if follows("www.") => out.extend([c, JOINER]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A code span inside a table, where a bar ends the cell also in code.
pub(super) fn code_cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// A code span, whatever is in the text.
pub(super) fn code(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_a_name() {
        assert_eq!(code("GET /users/{id}"), "`GET /users/{id}`");
        assert_eq!(code("a`b``c|d\ne"), "```a`b``c|d e```");
        assert_eq!(code_cell("a || b"), "`a \\|\\| b`");
        assert_eq!(code("`x"), "`` `x ``");
        assert_eq!(
            escaped("[x](http://y) | @all <img> *b*\n# c"),
            "\\[x\\](http:\u{2060}//y) \\| \\@\u{2060}all \\<img\\> \\*b\\* \\# c"
        );
        assert_eq!(escaped("WWW.a.b, ftp://c, é: 1/2"), "W\u{2060}WW.a.b, ftp:\u{2060}//c, é: 1/2");
    }
}
