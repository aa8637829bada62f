//! `.csv`: a line for each endpoint and one for all together; the brief's fields as columns, times in seconds.

use crate::result::{EndpointResult, RunResult};
use crate::server::Observation;

/// The result as CSV (RFC 4180).
pub(super) fn render(result: &RunResult) -> String {
    let mut text = HEADER.join(",");
    text.push_str("\r\n");
    let mut total = result.total.clone();
    if result.endpoints.len() > 1 {
        for endpoint in &result.endpoints {
            push(&mut text, endpoint);
        }
    } else if let [only] = result.endpoints.as_slice() {
        total = only.clone();
    }
    push(&mut text, &total);
    text
}

/// What a watch saw as CSV, a line for each look.
pub(super) fn render_watch(looks: &[Observation]) -> String {
    let mut text = String::from(
        "at,requests_per_second,avg_duration,total_requests,error_rate_percent,active_requests,memory_mb,bottlenecks\r\n",
    );
    for look in looks {
        let or_empty = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        let bottlenecks: Vec<String> =
            look.bottlenecks.iter().map(|found| format!("{}: {}", found.kind, found.subject)).collect();
        let fields = [
            look.at.to_string(),
            or_empty(look.requests_per_second),
            or_empty(look.avg_duration),
            look.total_requests.to_string(),
            or_empty(look.error_rate_percent),
            look.active_requests.to_string(),
            or_empty(look.memory_mb),
            bottlenecks.join("; "),
        ];
        text.push_str(&fields.map(|field| quote(&field)).join(","));
        text.push_str("\r\n");
    }
    text
}

const HEADER: [&str; 19] = [
    "endpoint",
    "method",
    "total_requests",
    "successful_requests",
    "failed_requests",
    "avg_response_time",
    "min_response_time",
    "p50_response_time",
    "p90_response_time",
    "p95_response_time",
    "p99_response_time",
    "p999_response_time",
    "max_response_time",
    "standard_deviation",
    "first_byte_p95",
    "requests_per_second",
    "error_rate",
    "bytes_received",
    "status_codes",
];

fn push(text: &mut String, row: &EndpointResult) {
    let statuses: Vec<String> = row.status_codes.iter().map(|(status, count)| format!("{status}:{count}")).collect();
    let fields = [
        row.endpoint.clone(),
        row.method.clone(),
        row.total_requests.to_string(),
        row.successful_requests.to_string(),
        row.failed_requests.to_string(),
        row.avg_response_time.to_string(),
        row.min_response_time.to_string(),
        row.p50_response_time.to_string(),
        row.p90_response_time.to_string(),
        row.p95_response_time.to_string(),
        row.p99_response_time.to_string(),
        row.p999_response_time.to_string(),
        row.max_response_time.to_string(),
        row.standard_deviation.to_string(),
        row.first_byte.as_ref().map_or_else(String::new, |latency| latency.p95.to_string()),
        row.requests_per_second.to_string(),
        row.error_rate.to_string(),
        row.bytes_received.to_string(),
        statuses.join(" "),
    ];
    text.push_str(&fields.map(|field| quote(&field)).join(","));
    text.push_str("\r\n");
}

fn quote(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_every_column() {
        let row = |path: &str| EndpointResult {
            endpoint: path.to_owned(),
            method: "GET".to_owned(),
            status_codes: [("200".to_owned(), 3), ("500".to_owned(), 1)].into(),
            ..EndpointResult::default()
        };
        let result = RunResult { endpoints: vec![row("/a"), row("/b\"c")], total: row("*"), ..RunResult::default() };
        let text = render(&result);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[2].starts_with("\"/b\"\"c\",GET,0"));
        assert!(lines.iter().all(|line| line.split(',').count() == HEADER.len()));
        assert!(lines[3].ends_with("200:3 500:1"));
        assert_eq!(render(&RunResult { endpoints: vec![row("/a")], ..result }).lines().count(), 2);
    }
}
