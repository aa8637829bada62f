//! The report as Markdown, for a pull request or a chat.
//!
//! Names are code spans and everything else is escaped: what a route or query is called cannot become a link, a mention
//! or a table of its own.

use super::{
    document::Report,
    html::{millis, percent, sentence},
};
use crate::api::units;

/// Endpoints that the table names.
const ENDPOINTS: usize = 10;

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
        out +=
            &format!("{}. **{}** ({}, {})", one.rank, escaped(&one.recommendation), one.severity, code(&one.subject));
        if let Some(gain) = &one.expected_gain {
            let share = units::render(gain.share, "ratio");
            out += &format!("  \n   {}: {share} of the service. _{}_", escaped(&gain.summary), escaped(&gain.how));
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
            code(&one.subject),
            units::render(one.value, &one.unit),
            units::render(one.threshold, &one.unit),
            escaped(&one.impact),
        );
    }
    if !report.endpoints.is_empty() {
        out += "\n## Endpoints, by their share of all time\n\n";
        out += "| endpoint | requests | share | p50 | p95 | p99 | errors | database | tasks | busy | waiting |\n";
        out += "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
    }
    for one in report.endpoints.iter().take(ENDPOINTS) {
        out += &format!("| {} | {} ", code(&one.endpoint), one.request_count);
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
    #[cfg(feature = "archive")]
    super::versions::markdown(&mut out, report.comparison.as_ref());
    out + &format!("\n<sub>pinchpoint {}, {}</sub>\n", report.version, report.timestamp)
}

/// Text that is only text, on one line.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '~' | '@' | '&' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A code span, whatever is in the text, also inside a table.
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
    format!("{fence}{space}{}{space}{fence}", text.replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_a_name() {
        assert_eq!(code("GET /users/{id}"), "`GET /users/{id}`");
        assert_eq!(code("a`b``c|d\ne"), "```a`b``c\\|d e```");
        assert_eq!(code("`x"), "`` `x ``");
        assert_eq!(
            escaped("[x](http://y) | @all <img> *b*\n# c"),
            "\\[x\\](http://y) \\| \\@all \\<img\\> \\*b\\* \\# c"
        );
    }
}
