//! `.html`: the result as a page with plots; everything it needs is in it.

use super::svg::{Line, Plot, Scale, escape};
use crate::result::{EndpointResult, PointResult, RunResult, StepEnd};
use crate::span::show_seconds;

/// The result as a page.
pub(super) fn render(result: &RunResult) -> String {
    let mut body = format!(
        "<h1>Load test: <span class=\"{class}\">{conclusion}</span></h1>\n<p>{load} against <code>{target}</code> for {time}, \
         {requests} requests, started {started}.</p>\n",
        class = if result.verdict.exit_code == 0 { "ok" } else { "bad" },
        conclusion = escape(&result.verdict.conclusion),
        load = escape(&result.load.describe()),
        target = escape(&result.target),
        time = show_seconds(result.duration),
        requests = result.total.total_requests,
        started = escape(&result.started_at),
    );
    push_verdict(&mut body, result);
    push_capacity(&mut body, result);
    push_endpoints(&mut body, result);
    body.push_str(&over_time(&result.total, "All requests"));
    body.push_str(&distribution(result));
    push_failures(&mut body, result);
    push_comparison(&mut body, result);
    push_server(&mut body, result);
    if result.endpoints.len() > 1 {
        body.push_str("<h2>Each endpoint over time</h2>\n");
        for endpoint in result.endpoints.iter().take(MOST_PLOTS) {
            body.push_str(&over_time(endpoint, &endpoint.name()));
        }
    }
    let generator = &result.generator;
    body.push_str(&format!(
        "<p class=\"s\">Generator: {:.0} % of {} cores, {:.0} µs of CPU a request, {} MB. loadtest {}.</p>\n",
        generator.cpu_percent,
        generator.cores,
        generator.cpu_microseconds_per_request,
        generator.peak_memory_bytes / 1_000_000,
        escape(&result.version)
    ));
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"/><title>Load test of {}</title><style>{STYLE}</style></head>\n\
         <body>\n{body}</body></html>\n",
        escape(&result.target)
    )
}

fn push_verdict(body: &mut String, result: &RunResult) {
    if let Some(reason) = &result.generator.reason {
        body.push_str(&format!("<p class=\"bad\">The generator was saturated: {}.</p>\n", escape(reason)));
    }
    if result.verdict.checks.is_empty() {
        return;
    }
    let mut table = Table::new(&["", "what", "condition", "observed"], 4);
    for check in &result.verdict.checks {
        let condition = match (&check.rule, &check.severity) {
            (Some(rule), Some(severity)) => format!("{rule} ({severity}): {}", check.condition),
            _ => check.condition.clone(),
        };
        table.row(&[&check.status, &check.subject, &condition, &check.observed]);
    }
    body.push_str(&table.render());
}

fn push_endpoints(body: &mut String, result: &RunResult) {
    let head = ["endpoint", "requests", "req/s", "mean", "p50", "p95", "p99", "max", "errors", "first byte p95"];
    let mut table = Table::new(&head, 1);
    let total = (result.endpoints.len() != 1).then_some(&result.total);
    for endpoint in result.endpoints.iter().chain(total) {
        table.row(&[
            &endpoint.name(),
            &endpoint.total_requests.to_string(),
            &format!("{:.1}", endpoint.requests_per_second),
            &show_seconds(endpoint.avg_response_time),
            &show_seconds(endpoint.p50_response_time),
            &show_seconds(endpoint.p95_response_time),
            &show_seconds(endpoint.p99_response_time),
            &show_seconds(endpoint.max_response_time),
            &format!("{:.2} %", endpoint.error_rate),
            &endpoint.first_byte.as_ref().map_or_else(String::new, |latency| show_seconds(latency.p95)),
        ]);
    }
    body.push_str("<h2>What users saw</h2>\n");
    body.push_str(&table.render());
    body.push_str(
        "<p class=\"s\">Times are to the last byte of the body, of everything sent; failures rank behind every success.</p>\n",
    );
    if let Some(arrivals) = &result.arrivals {
        body.push_str(&format!(
            "<p>{} scheduled, {} sent, {} late by more than 10 ms ({} through the generator), {} dropped; times count from \
             when a request was due.</p>\n",
            arrivals.scheduled, arrivals.sent, arrivals.late, arrivals.late_by_generator, arrivals.dropped
        ));
    }
}

fn over_time(endpoint: &EndpointResult, title: &str) -> String {
    let middle = |point: &PointResult| point.start + point.span / 2.0;
    let with = |value: fn(&PointResult) -> f64| {
        endpoint.series.iter().filter(|point| point.requests > 0).map(|point| (middle(point), value(point))).collect()
    };
    let line = |name: &str, colour, points| Line { name: name.to_owned(), colour, points };
    let latency = Plot {
        title: format!("{title}: latency"),
        x_label: "seconds",
        show_y: show_seconds,
        x_scale: Scale::Linear,
        lines: vec![
            line("p50", BLUE, with(|point| point.p50)),
            line("p95", AMBER, with(|point| point.p95)),
            line("p99", RED, with(|point| point.p99)),
        ],
        mark: None,
        dots: false,
    };
    let per_second = |count: fn(&PointResult) -> u64| -> Vec<(f64, f64)> {
        let points = endpoint.series.iter().filter(|point| point.span > 0.0);
        points.map(|point| (middle(point), count(point) as f64 / point.span)).collect()
    };
    let rate = Plot {
        title: format!("{title}: requests a second"),
        x_label: "seconds",
        show_y: |value| format!("{}", (value * 100.0).round() / 100.0),
        x_scale: Scale::Linear,
        lines: vec![
            line("all", BLUE, per_second(|point| point.requests)),
            line("failed", RED, per_second(|point| point.failed)),
        ],
        mark: None,
        dots: false,
    };
    format!("{}\n{}\n", latency.render(), rate.render())
}

fn distribution(result: &RunResult) -> String {
    let total: u64 = result.total.distribution.iter().map(|(_, count)| count).sum();
    let points =
        result.total.distribution.iter().map(|(edge, count)| (edge * 1e3, *count as f64 / total.max(1) as f64));
    let plot = Plot {
        title: "Distribution of successful requests".to_owned(),
        x_label: "milliseconds",
        show_y: |share| format!("{:.1} %", share * 100.0),
        x_scale: Scale::Logarithmic,
        lines: vec![Line { name: "share".to_owned(), colour: BLUE, points: points.collect() }],
        mark: None,
        dots: false,
    };
    plot.render()
}

fn push_failures(body: &mut String, result: &RunResult) {
    if result.total.failed_requests == 0 {
        return;
    }
    let mut table = Table::new(&["count", "endpoint", "what", "example"], 4);
    for endpoint in &result.endpoints {
        for failure in &endpoint.failures {
            let example = failure.example.as_deref().unwrap_or_default();
            table.row(&[&failure.count.to_string(), &endpoint.name(), &failure.kind, example]);
        }
    }
    body.push_str("<h2>Failures</h2>\n");
    body.push_str(&table.render());
}

fn push_capacity(body: &mut String, result: &RunResult) {
    let Some(capacity) = &result.capacity else { return };
    body.push_str(&format!("<h2>Capacity: {}</h2>\n", escape(&capacity.describe())));
    if let Some(limit) = capacity.describe_limit() {
        body.push_str(&format!("<p>{}.</p>\n", escape(&limit)));
    }
    for line in &capacity.evidence {
        body.push_str(&format!("<p>{}</p>\n", escape(line)));
    }
    // An interrupted step has measured next to nothing.
    let mut steps: Vec<_> = capacity.steps.iter().filter(|step| step.ended != StepEnd::Interrupted).collect();
    steps.sort_by(|a, b| a.load.total_cmp(&b.load));
    let line = |name: &str, colour, value: fn(&crate::result::CapacityStep) -> f64| Line {
        name: name.to_owned(),
        colour,
        points: steps.iter().map(|step| (step.load, value(step))).collect(),
    };
    let mark = capacity.capacity.map(|load| (load, format!("capacity: {load}")));
    let latency = Plot {
        title: format!("Latency against load ({})", capacity.unit),
        x_label: "load",
        show_y: show_seconds,
        x_scale: Scale::Linear,
        lines: vec![
            line("p50", BLUE, |step| step.p50),
            line("p95", AMBER, |step| step.p95),
            line("p99", RED, |step| step.p99),
        ],
        mark: mark.clone(),
        dots: true,
    };
    let throughput = Plot {
        title: "Requests a second against load: the knee is where it bends".to_owned(),
        x_label: "load",
        show_y: |value| format!("{}", (value * 10.0).round() / 10.0),
        x_scale: Scale::Linear,
        lines: vec![line("requests a second", BLUE, |step| step.requests_per_second)],
        mark,
        dots: true,
    };
    body.push_str(&format!("{}\n{}\n", latency.render(), throughput.render()));
    let mut table = Table::new(&["load", "held", "req/s", "p50", "p95", "p99", "errors", "phase", "result"], 0);
    for step in &capacity.steps {
        let outcome = if step.passed { step.ended.describe().to_owned() } else { step.breached.join("; ") };
        table.row(&[
            &step.load.to_string(),
            &show_seconds(step.held),
            &format!("{:.1}", step.requests_per_second),
            &show_seconds(step.p50),
            &show_seconds(step.p95),
            &show_seconds(step.p99),
            &format!("{:.2} %", step.error_rate),
            &step.phase,
            &outcome,
        ]);
    }
    body.push_str(&table.render());
}

fn push_comparison(body: &mut String, result: &RunResult) {
    let Some(comparison) = &result.comparison else { return };
    body.push_str(&format!("<h2>Compared with the run of {}</h2>\n", escape(&comparison.baseline_started_at)));
    let mut table = Table::new(&["endpoint", "measure", "old", "new", "change", "p", ""], 2);
    for change in &comparison.changes {
        table.row(&[
            &change.endpoint,
            &change.measure,
            &change.show(change.old),
            &change.show(change.new),
            &change.change_percent.map_or_else(String::new, |percent| format!("{percent:+.1} %")),
            &change.p_value.map_or_else(String::new, |p| format!("{p:.3}")),
            change.direction.describe(),
        ]);
    }
    body.push_str(&table.render());
    if let Some(remark) = comparison.remark() {
        body.push_str(&format!("<p class=\"s\">{remark}</p>\n"));
    }
    for name in &comparison.only_in_one {
        body.push_str(&format!("<p class=\"s\">{} is in one of the runs only.</p>\n", escape(name)));
    }
}

fn push_server(body: &mut String, result: &RunResult) {
    if let Some(refused) = &result.server_refused {
        body.push_str(&format!("<p>The server's side is missing or incomplete: {}.</p>\n", escape(refused)));
    }
    let Some(server) = &result.server else { return };
    body.push_str("<h2>The server's side</h2>\n");
    let head =
        ["endpoint", "client mean", "server mean", "outside", "database", "queries a request", "busy", "longest poll"];
    let mut table = Table::new(&head, 1);
    for endpoint in &server.endpoints {
        table.row(&[
            &endpoint.endpoint,
            &show_seconds(endpoint.client_avg),
            &show_seconds(endpoint.server_avg),
            &show_seconds(endpoint.outside_avg),
            &format!("{:.0} %", endpoint.db_time_percent),
            &endpoint.db_queries_per_request.to_string(),
            &format!("{:.0} %", endpoint.busy_percent),
            &endpoint.longest_poll.map_or_else(String::new, show_seconds),
        ]);
    }
    body.push_str(&table.render());
    for fired in &server.bottlenecks {
        let bottleneck = &fired.bottleneck;
        let advice: String =
            bottleneck.recommendations.iter().map(|line| format!("<li>{}</li>", escape(line))).collect();
        body.push_str(&format!(
            "<h3>{} <small>{}</small></h3><p>{}. {}.</p><ul>{advice}</ul>\n",
            escape(&bottleneck.kind),
            escape(&bottleneck.severity),
            escape(&bottleneck.description),
            escape(&bottleneck.impact)
        ));
    }
}

/// A table whose first columns are text and the others numbers.
struct Table {
    html: String,
    text_columns: usize,
}

impl Table {
    fn new(head: &[&str], text_columns: usize) -> Self {
        let cells: String = head.iter().map(|cell| format!("<th>{}</th>", escape(cell))).collect();
        Self { html: format!("<table><tr>{cells}</tr>\n"), text_columns }
    }

    fn row(&mut self, cells: &[&str]) {
        let cell = |(index, cell): (usize, &&str)| {
            let class = if index < self.text_columns { "" } else { " class=\"n\"" };
            format!("<td{class}>{}</td>", escape(cell))
        };
        let cells: String = cells.iter().enumerate().map(cell).collect();
        self.html.push_str(&format!("<tr>{cells}</tr>\n"));
    }

    fn render(self) -> String {
        self.html + "</table>\n"
    }
}

const BLUE: &str = "#2563eb";
const AMBER: &str = "#d97706";
const RED: &str = "#dc2626";
const MOST_PLOTS: usize = 30;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:960px;margin:2rem auto;padding:0 1rem;color:#111;\
background:#fff}h1,h2,h3{line-height:1.2}table{border-collapse:collapse;margin:1rem 0;width:100%}\
th,td{padding:.3rem .6rem;border-bottom:1px solid #ddd;text-align:left;vertical-align:top}\
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
svg{width:100%;height:auto;margin:.6rem 0}svg text{font:11px system-ui,sans-serif;fill:#444}svg text.t{font-weight:600}\
svg .g{stroke:#e5e5e5}svg .m{stroke:#555;stroke-dasharray:4 3}.ok{color:#15803d}.bad{color:#b91c1c}.s{color:#555}\
small{font-weight:400;color:#555}\
@media(prefers-color-scheme:dark){body{background:#14161a;color:#e6e6e6}svg text{fill:#aaa}svg .g{stroke:#2c3038}\
th,td{border-color:#2c3038}.s,small{color:#999}.ok{color:#4ade80}.bad{color:#f87171}}";
