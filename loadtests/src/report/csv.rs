//! `.csv`: a line for each endpoint and one for all together; the brief's fields as columns, times in seconds.

use csv::{Terminator, WriterBuilder};

use crate::{
    printable::printable_line,
    result::{EndpointResult, RunResult},
    server::Observation,
};

/// A column: its name, and its field of a row.
type Column<T> = (&'static str, fn(&T) -> String);

/// A line of the result: an endpoint, or all of them, and the run that it is of.
type Line<'r> = (&'r EndpointResult, &'r RunResult);

fn endpoint_columns<'r>() -> [Column<Line<'r>>; 21] {
    [
        ("endpoint", |(row, _)| words(&row.endpoint)),
        ("method", |(row, _)| words(&row.method)),
        ("total_requests", |(row, _)| row.total_requests.to_string()),
        ("successful_requests", |(row, _)| row.successful_requests.to_string()),
        ("failed_requests", |(row, _)| row.failed_requests.to_string()),
        ("avg_response_time", |(row, _)| or_empty(row.avg_response_time)),
        ("min_response_time", |(row, _)| or_empty(row.min_response_time)),
        ("p50_response_time", |(row, _)| or_empty(row.p50_response_time)),
        ("p90_response_time", |(row, _)| or_empty(row.p90_response_time)),
        ("p95_response_time", |(row, _)| or_empty(row.p95_response_time)),
        ("p99_response_time", |(row, _)| or_empty(row.p99_response_time)),
        ("p999_response_time", |(row, _)| or_empty(row.p999_response_time)),
        ("max_response_time", |(row, _)| or_empty(row.max_response_time)),
        ("standard_deviation", |(row, _)| or_empty(row.standard_deviation)),
        ("first_byte_p95", |(row, _)| or_empty(row.first_byte.as_ref().map(|latency| latency.p95))),
        ("requests_per_second", |(row, _)| row.requests_per_second.to_string()),
        ("error_rate", |(row, _)| or_empty(row.error_rate)),
        ("bytes_received", |(row, _)| row.bytes_received.to_string()),
        ("status_codes", |(row, _)| {
            let statuses = row.status_codes.iter().map(|(status, count)| format!("{status}:{count}"));
            statuses.collect::<Vec<_>>().join(" ")
        }),
        ("bytes_decoded", |(row, _)| row.bytes_decoded.map_or_else(String::new, |bytes| bytes.to_string())),
        ("seed", |(_, run)| run.seed.map_or_else(String::new, |seed| seed.to_string())),
    ]
}

const OBSERVATION_COLUMNS: [Column<Observation>; 8] = [
    ("at", |row| row.at.to_string()),
    ("requests_per_second", |row| or_empty(row.requests_per_second)),
    ("avg_duration", |row| or_empty(row.avg_duration)),
    ("total_requests", |row| row.total_requests.to_string()),
    ("error_rate_percent", |row| or_empty(row.error_rate_percent)),
    ("active_requests", |row| row.active_requests.to_string()),
    ("memory_mb", |row| or_empty(row.memory_mb)),
    ("bottlenecks", |row| {
        let bottlenecks =
            row.bottlenecks.iter().map(|bottleneck| format!("{}: {}", bottleneck.kind, bottleneck.subject));
        words(&bottlenecks.collect::<Vec<_>>().join("; "))
    }),
];

/// Returns the result as CSV. A single endpoint is its own total and has one line.
pub(super) fn render(result: &RunResult) -> String {
    let total = (result.endpoints.len() != 1).then_some(&result.total);
    let lines: Vec<Line<'_>> = result.endpoints.iter().chain(total).map(|row| (row, result)).collect();
    write(&endpoint_columns(), &lines)
}

/// Returns what the monitor mode observed as CSV, a line for each observation.
pub(super) fn render_observations(observations: &[Observation]) -> String {
    write(&OBSERVATION_COLUMNS, observations)
}

fn write<'r, T: 'r>(columns: &[Column<T>], rows: impl IntoIterator<Item = &'r T>) -> String {
    // RFC 4180 ends lines with CRLF.
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    let heads = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    let records = rows.into_iter().map(|row| columns.iter().map(|(_, field)| field(row)).collect());
    for record in std::iter::once::<Vec<String>>(heads).chain(records) {
        writer.write_record(record).expect("every record has a field for each column, and memory takes all of them");
    }
    let bytes = writer.into_inner().expect("flushing to memory cannot fail");
    String::from_utf8(bytes).expect("fields are UTF-8, and so is what the writer adds")
}

/// Returns text on one line that no spreadsheet takes for a formula.
fn words(text: &str) -> String {
    let line = printable_line(text);
    if line.starts_with(['=', '+', '-', '@']) { format!("'{line}") } else { line }
}

fn or_empty(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
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
        let result = RunResult {
            endpoints: vec![row("/a"), row("/b\"c")],
            total: row("*"),
            seed: Some(7),
            ..RunResult::default()
        };
        let text = render(&result);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[2].starts_with("\"/b\"\"c\",GET,0"));
        assert!(lines.iter().all(|line| line.split(',').count() == endpoint_columns().len()));
        assert!(lines[3].ends_with("200:3 500:1,,7"));
        assert_eq!(render(&RunResult { endpoints: vec![row("/a")], ..result }).lines().count(), 2);
    }
}
