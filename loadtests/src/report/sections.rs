//! Further parts of the text in the terminal: the server's side, a comparison, a capacity search, a profile.

use super::table::Rows;
use crate::result::{Capacity, Comparison, RunResult};
use crate::server::ServerSide;
use crate::span::show_seconds;

/// A profile as text.
pub(crate) fn render_profile(result: &RunResult) -> String {
    let Some(profile) = &result.profile else { return String::new() };
    let name = result.endpoints.first().map_or_else(|| result.target.clone(), crate::result::EndpointResult::name);
    let mut text = format!(
        "\nProfile of {name} at {}: {} requests, one after another, {} before them left out\n\n",
        result.target, profile.iterations, profile.warm_up
    );
    let mut rows = Rows::default();
    for (label, value) in [
        ("mean", profile.mean),
        ("median", profile.median),
        ("min", profile.min),
        ("max", profile.max),
        ("standard deviation", profile.standard_deviation),
        ("p75", profile.p75),
        ("p90", profile.p90),
        ("p95", profile.p95),
        ("p99", profile.p99),
    ] {
        rows.push([label.to_owned(), show_seconds(value)]);
    }
    if let Some((low, high)) = profile.confidence_interval_95 {
        rows.push([
            "95 % confidence interval of the mean".to_owned(),
            format!("{} to {}", show_seconds(low), show_seconds(high)),
        ]);
    }
    rows.push(["requests a second".to_owned(), format!("{:.1}", result.total.requests_per_second)]);
    rows.push(["errors".to_owned(), format!("{} of {}", result.total.failed_requests, result.total.total_requests)]);
    for (status, count) in &result.total.status_codes {
        rows.push([format!("status {status}"), count.to_string()]);
    }
    text.push_str(&rows.render());
    super::table::push_failures(&mut text, result);
    if let Some(server) = &result.server {
        text.push_str(&render_server(server));
    }
    if let Some(refused) = &result.server_refused {
        text.push_str(&format!("\nThe server's side is missing or incomplete: {refused}.\n"));
    }
    text
}

/// The server's side as text; empty if both sides have nothing in common.
pub(super) fn render_server(server: &ServerSide) -> String {
    let mut text = String::new();
    if !server.endpoints.is_empty() {
        text.push_str(
            "\nThe server's side (means; outside = beyond the server's own time, from when a request was sent):\n",
        );
        let mut rows = Rows::default();
        let head =
            ["endpoint", "requests", "client", "server", "outside", "database", "queries/req", "busy", "longest poll"];
        rows.push(head.map(str::to_owned));
        for endpoint in &server.endpoints {
            rows.push([
                endpoint.endpoint.clone(),
                endpoint.server_requests.to_string(),
                show_seconds(endpoint.client_avg),
                show_seconds(endpoint.server_avg),
                show_seconds(endpoint.outside_avg),
                format!("{:.0} %", endpoint.db_time_percent),
                endpoint.db_queries_per_request.to_string(),
                format!("{:.0} %", endpoint.busy_percent),
                endpoint.longest_poll.map_or_else(|| "-".to_owned(), show_seconds),
            ]);
        }
        text.push_str(&rows.render());
    }
    if !server.bottlenecks.is_empty() {
        text.push_str("\nBottlenecks that fired:\n");
    }
    for fired in &server.bottlenecks {
        let bottleneck = &fired.bottleneck;
        let when = match fired.first_seen {
            Some(at) if at > 0.0 => format!(", first seen after {at} s"),
            Some(_) => ", before the test already".to_owned(),
            None => String::new(),
        };
        text.push_str(&format!(
            "  {} ({}{when}): {}. {}.\n",
            bottleneck.kind, bottleneck.severity, bottleneck.description, bottleneck.impact
        ));
        for recommendation in bottleneck.recommendations.iter().take(MOST_ADVICE) {
            text.push_str(&format!("      {recommendation}\n"));
        }
    }
    text
}

/// A comparison as text.
pub(crate) fn render_comparison(comparison: &Comparison) -> String {
    let mut text = format!("\nCompared with the run of {}:\n", comparison.baseline_started_at);
    let mut rows = Rows::default();
    rows.push(["endpoint, measure", "old", "new", "change", "p", ""].map(str::to_owned));
    for change in &comparison.changes {
        rows.push([
            format!("{} {}", change.endpoint, change.measure),
            change.show(change.old),
            change.show(change.new),
            change.change_percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent:+.1} %")),
            change.p_value.map_or_else(|| "-".to_owned(), |p| format!("{p:.3}")),
            change.direction.describe().to_owned(),
        ]);
    }
    text.push_str(&rows.render());
    if let Some(remark) = comparison.remark() {
        text.push_str(&format!("{remark}\n"));
    }
    for name in &comparison.only_in_one {
        text.push_str(&format!("{name} is in one of the runs only.\n"));
    }
    text
}

/// A capacity search as text.
pub(super) fn render_capacity(capacity: &Capacity) -> String {
    let mut text = String::from("\nLoads that were tried:\n");
    let mut rows = Rows::default();
    rows.push(["load", "held", "req/s", "p50", "p95", "p99", "errors", "phase", "result"].map(str::to_owned));
    for step in &capacity.steps {
        rows.push([
            step.load.to_string(),
            show_seconds(step.held),
            format!("{:.1}", step.requests_per_second),
            show_seconds(step.p50),
            show_seconds(step.p95),
            show_seconds(step.p99),
            format!("{:.2} %", step.error_rate),
            step.phase.clone(),
            step.ended.describe().to_owned(),
        ]);
    }
    text.push_str(&rows.render());
    text.push_str(&format!("\nCapacity: {}\n", capacity.describe()));
    if let Some(limit) = capacity.describe_limit() {
        text.push_str(&format!("{limit}\n"));
    }
    for line in &capacity.evidence {
        text.push_str(&format!("  {line}\n"));
    }
    text
}

const MOST_ADVICE: usize = 2;
