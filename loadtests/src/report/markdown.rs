//! `.md`: the result as text with tables, to be pasted into a pull request.

use crate::result::{Comparison, RunResult};
use crate::server::ServerSide;
use crate::span::show_seconds;

/// The result as Markdown.
pub(super) fn render(result: &RunResult) -> String {
    let mut text = format!(
        "# Load test: {}\n\n{} against `{}` for {}, {} requests, started {}.\n\n",
        result.verdict.conclusion,
        result.load.describe(),
        result.target,
        show_seconds(result.duration),
        result.total.total_requests,
        result.started_at,
    );
    if !result.verdict.checks.is_empty() {
        text.push_str("| | what | condition | observed |\n|---|---|---|---|\n");
        for check in &result.verdict.checks {
            let condition = match &check.rule {
                Some(rule) => format!("{rule}: {}", check.condition),
                None => check.condition.clone(),
            };
            row(&mut text, &[&check.status, &check.subject, &condition, &check.observed]);
        }
        text.push('\n');
    }
    if let Some(reason) = &result.generator.reason {
        text.push_str(&format!("**The generator was saturated:** {reason}.\n\n"));
    }
    text.push_str("| endpoint | requests | req/s | mean | p50 | p95 | p99 | max | errors |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n");
    let total = (result.endpoints.len() != 1).then_some(&result.total);
    for endpoint in result.endpoints.iter().chain(total) {
        row(
            &mut text,
            &[
                &endpoint.name(),
                &endpoint.total_requests.to_string(),
                &format!("{:.1}", endpoint.requests_per_second),
                &show_seconds(endpoint.avg_response_time),
                &show_seconds(endpoint.p50_response_time),
                &show_seconds(endpoint.p95_response_time),
                &show_seconds(endpoint.p99_response_time),
                &show_seconds(endpoint.max_response_time),
                &format!("{:.2} %", endpoint.error_rate),
            ],
        );
    }
    text.push_str(
        "\nTimes are to the last byte of the body; of everything sent, failures ranked behind every success.\n",
    );
    if let Some(arrivals) = &result.arrivals {
        text.push_str(&format!(
            "\n{} scheduled, {} sent, {} late, {} dropped; times count from when a request was due.\n",
            arrivals.scheduled, arrivals.sent, arrivals.late, arrivals.dropped
        ));
    }
    push_failures(&mut text, result);
    if let Some(capacity) = &result.capacity {
        text.push_str(&format!("\n## Capacity\n\n{}", capacity.describe()));
        if let Some(limit) = capacity.describe_limit() {
            text.push_str(&format!(". {limit}"));
        }
        text.push_str(".\n\n| load | req/s | p50 | p95 | p99 | errors | |\n|--:|--:|--:|--:|--:|--:|---|\n");
        for step in &capacity.steps {
            row(
                &mut text,
                &[
                    &step.load.to_string(),
                    &format!("{:.1}", step.requests_per_second),
                    &show_seconds(step.p50),
                    &show_seconds(step.p95),
                    &show_seconds(step.p99),
                    &format!("{:.2} %", step.error_rate),
                    step.ended.describe(),
                ],
            );
        }
        for line in &capacity.evidence {
            text.push_str(&format!("\n- {line}"));
        }
        text.push('\n');
    }
    if let Some(comparison) = &result.comparison {
        push_comparison(&mut text, comparison);
    }
    if let Some(server) = &result.server {
        push_server(&mut text, server);
    }
    if let Some(refused) = &result.server_refused {
        text.push_str(&format!("\nThe server's side is missing or incomplete: {refused}.\n"));
    }
    text
}

fn push_failures(text: &mut String, result: &RunResult) {
    if result.total.failed_requests == 0 {
        return;
    }
    text.push_str("\n## Failures\n\n| count | endpoint | what | example |\n|--:|---|---|---|\n");
    for endpoint in &result.endpoints {
        for failure in &endpoint.failures {
            let example = failure.example.as_deref().unwrap_or_default();
            row(text, &[&failure.count.to_string(), &endpoint.name(), &failure.kind, example]);
        }
    }
}

fn push_comparison(text: &mut String, comparison: &Comparison) {
    text.push_str(&format!(
        "\n## Compared with the run of {}\n\n| endpoint | measure | old | new | change | p | |\n|---|---|--:|--:|--:|--:|---|\n",
        comparison.baseline_started_at
    ));
    for change in &comparison.changes {
        row(
            text,
            &[
                &change.endpoint,
                &change.measure,
                &change.show(change.old),
                &change.show(change.new),
                &change.change_percent.map_or_else(String::new, |percent| format!("{percent:+.1} %")),
                &change.p_value.map_or_else(String::new, |p| format!("{p:.3}")),
                change.direction.describe(),
            ],
        );
    }
    if let Some(remark) = comparison.remark() {
        text.push_str(&format!("\n{remark}\n"));
    }
    for name in &comparison.only_in_one {
        text.push_str(&format!("\n{name} is in one of the runs only.\n"));
    }
}

fn push_server(text: &mut String, server: &ServerSide) {
    text.push_str(
        "\n## The server's side\n\n| endpoint | client mean | server mean | outside | database | queries | busy | longest poll |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for endpoint in &server.endpoints {
        row(
            text,
            &[
                &endpoint.endpoint,
                &show_seconds(endpoint.client_avg),
                &show_seconds(endpoint.server_avg),
                &show_seconds(endpoint.outside_avg),
                &format!("{:.0} %", endpoint.db_time_percent),
                &endpoint.db_queries_per_request.to_string(),
                &format!("{:.0} %", endpoint.busy_percent),
                &endpoint.longest_poll.map_or_else(String::new, show_seconds),
            ],
        );
    }
    for fired in &server.bottlenecks {
        let bottleneck = &fired.bottleneck;
        text.push_str(&format!(
            "\n**{}** ({}) {}. {}.\n",
            bottleneck.kind, bottleneck.severity, bottleneck.description, bottleneck.impact
        ));
        for recommendation in &bottleneck.recommendations {
            text.push_str(&format!("- {recommendation}\n"));
        }
    }
}

fn row(text: &mut String, cells: &[&str]) {
    text.push('|');
    for cell in cells {
        text.push_str(&format!(" {} |", cell.replace('|', "\\|").replace('\n', " ")));
    }
    text.push('\n');
}
