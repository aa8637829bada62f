//! The text that ends a run in the terminal.

use super::sections::{render_capacity, render_comparison, render_server};
use crate::record::Outcome;
use crate::result::{EndpointResult, LatencyResult, RunResult};
use crate::span::show_seconds;

/// The result as text.
pub(crate) fn render_table(result: &RunResult) -> String {
    let mut text = format!(
        "\n{} against {} for {}, {} request{}\n\n",
        result.load.describe(),
        result.target,
        show_seconds(result.duration),
        result.total.total_requests,
        if result.total.total_requests == 1 { "" } else { "s" },
    );
    let mut rows = Rows::default();
    rows.push(["endpoint", "requests", "req/s", "mean", "p50", "p95", "p99", "max", "errors"].map(str::to_owned));
    for endpoint in &result.endpoints {
        push_endpoint(&mut rows, endpoint, &endpoint.name());
    }
    if result.endpoints.len() != 1 {
        push_endpoint(&mut rows, &result.total, "all requests");
    }
    text.push_str(&rows.render());
    if result.total.failed_requests > 0 {
        text.push_str(
            "\nPercentiles are of everything sent; a failure ranks behind every success, so that it flatters none.\n",
        );
    }
    if let Some(first_byte) = &result.total.first_byte {
        text.push_str(&format!(
            "\nResponse head: p50 {}, p95 {}, p99 {}. All other times are to the last byte of the body.\n",
            show_seconds(first_byte.p50),
            show_seconds(first_byte.p95),
            show_seconds(first_byte.p99)
        ));
    }
    push_failures(&mut text, result);
    push_arrivals(&mut text, result);
    if let Some(server) = &result.server {
        text.push_str(&render_server(server));
    }
    if let Some(comparison) = &result.comparison {
        text.push_str(&render_comparison(comparison));
    }
    if let Some(capacity) = &result.capacity {
        text.push_str(&render_capacity(capacity));
    }
    for (count, what) in [
        (result.total.never_sent, "of the requests above never reached the server: no connection was made for them"),
        (result.warm_up_requests, "more in the warm-up, which are left out of everything above"),
        (result.redirects_followed, "redirects followed: requests that the server saw and that are not counted above"),
    ] {
        if count > 0 {
            text.push_str(&format!("{count} {what}.\n"));
        }
    }
    if let Some(refused) = &result.server_refused {
        text.push_str(&format!("The server's side is missing or incomplete: {refused}.\n"));
    } else if result.server.is_none() && result.capacity.is_none() && result.server_requests > 0 {
        text.push_str(
            "The service does not tell its side at /metrics; it was asked once, beside the load (--no-server asks nothing).\n",
        );
    }
    let generator = &result.generator;
    text.push_str(&format!(
        "Generator: {:.0} % of {} core{}, {:.0} µs of CPU a request, {} MB.\n",
        generator.cpu_percent,
        generator.cores,
        if generator.cores == 1 { "" } else { "s" },
        generator.cpu_microseconds_per_request,
        generator.peak_memory_bytes / 1_000_000,
    ));
    text
}

fn push_endpoint(rows: &mut Rows, endpoint: &EndpointResult, name: &str) {
    let time = |value: f64| if endpoint.total_requests == 0 { "-".to_owned() } else { show_seconds(value) };
    rows.push([
        name.to_owned(),
        endpoint.total_requests.to_string(),
        format!("{:.1}", endpoint.requests_per_second),
        time(endpoint.avg_response_time),
        time(endpoint.p50_response_time),
        time(endpoint.p95_response_time),
        time(endpoint.p99_response_time),
        time(endpoint.max_response_time),
        if endpoint.failed_requests == 0 { "0".to_owned() } else { format!("{:.2} %", endpoint.error_rate) },
    ]);
    if endpoint.failed_requests == 0 {
        return;
    }
    // What failed, in lines of its own: neither flatters the successes nor is flattered by them.
    for outcome in Outcome::ALL {
        if let Some(latency) = endpoint.outcomes.get(outcome.name()) {
            rows.push(outcome_row(outcome.name(), latency));
        }
    }
}

fn outcome_row(name: &str, latency: &LatencyResult) -> [String; 9] {
    [
        format!("  {name} only"),
        latency.count.to_string(),
        String::new(),
        show_seconds(latency.mean),
        show_seconds(latency.p50),
        show_seconds(latency.p95),
        show_seconds(latency.p99),
        show_seconds(latency.max),
        String::new(),
    ]
}

pub(super) fn push_failures(text: &mut String, result: &RunResult) {
    let failing: Vec<&EndpointResult> =
        result.endpoints.iter().filter(|endpoint| !endpoint.failures.is_empty()).collect();
    if failing.is_empty() {
        return;
    }
    text.push_str("\nFailures:\n");
    for endpoint in failing {
        for failure in endpoint.failures.iter().take(MOST_FAILURES) {
            text.push_str(&format!("{:>9} × {}: {}", failure.count, endpoint.name(), failure.kind));
            if let Some(example) = &failure.example {
                text.push_str(&format!("  {example}"));
            }
            text.push('\n');
        }
        if endpoint.failures.len() > MOST_FAILURES {
            text.push_str(&format!(
                "            {}: … {} more kinds\n",
                endpoint.name(),
                endpoint.failures.len() - MOST_FAILURES
            ));
        }
    }
}

fn push_arrivals(text: &mut String, result: &RunResult) {
    let Some(arrivals) = &result.arrivals else { return };
    text.push_str(&format!(
        "\nArrivals: {} scheduled, {} sent, {} late by more than 10 ms ({} through the generator), {} dropped.\n",
        arrivals.scheduled, arrivals.sent, arrivals.late, arrivals.late_by_generator, arrivals.dropped
    ));
    if let Some(since_sent) = &result.total.since_sent {
        text.push_str(&format!(
            "Times above count from when a request was due. From when it was sent: p50 {}, p95 {}, p99 {}.\n",
            show_seconds(since_sent.p50),
            show_seconds(since_sent.p95),
            show_seconds(since_sent.p99)
        ));
    }
}

/// Rows whose columns line up, the first to the left and the others to the right.
#[derive(Debug, Default)]
pub(super) struct Rows(Vec<Vec<String>>);

impl Rows {
    pub(super) fn push<const N: usize>(&mut self, row: [String; N]) {
        self.0.push(row.into());
    }

    pub(super) fn render(&self) -> String {
        let columns = self.0.first().map_or(0, Vec::len);
        let width = |column: usize| self.0.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.0 {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let pad = " ".repeat(width - cell.chars().count());
                if column == 0 {
                    line.push_str(&format!("{cell}{pad}"));
                } else {
                    line.push_str(&format!("  {pad}{cell}"));
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

const MOST_FAILURES: usize = 5;
