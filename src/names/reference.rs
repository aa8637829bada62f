//! `docs/metrics.md`: every metric that is exposed and every label, as Markdown, from the catalogue.

use super::{CATALOGUE, Kind, LABELS, Metric, OTHER, SERIES_DROPPED, questions::QUESTIONS};

const INTRODUCTION: &str = "\
# Metrics

<!-- Generated: cargo run -- metrics reference > docs/metrics.md -->

What `/metrics` exposes. The names are OpenTelemetry's semantic conventions in their Prometheus form: dots become underscores,
units are base units, counters end in `_total`. `process_*` are those of Prometheus' client libraries, `tokio_*` those of
tokio-metrics, and what no convention names begins with `pinchpoint_`. A host's own metrics, recorded with the macros of the crate
`metrics`, follow under the names that it gave them. [platforms.md](platforms.md) says what each platform measures.
";

/// What of OpenTelemetry's conventions is left out, and where a label is beyond them.
const CONVENTIONS: &str = "
## OpenTelemetry's conventions

A test compares this catalogue with the tables of the semantic conventions, version 1.44.0: instruments, units, required labels and the
advice on buckets.

- `url_scheme` of a request is that by which the client sent it: `proto` of the first element of `Forwarded`, or else
  `X-Forwarded-Proto`, or else the scheme of the URI, which HTTP/2 always has, or else `http`. Other values become no label. The setting
  `url_scheme` (`http`, `https`) says it for all requests, and then no header is looked up.
- `http_request_method` has the values of RFC 9110, PATCH and QUERY, and `_OTHER` for all others. The setting `known_methods` or the
  variable `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS`, a list with commas, replaces that list, also for calls to other services.
- `network_protocol_version` is recommended there and left out here: it would multiply the series of each route by the versions in
  use. So is what is opt-in there, such as `url_scheme` of calls to other services.
- `rpc_response_status_code` on the durations of requests is beyond the table: a gRPC call is a request too, and its HTTP status is 200
  whatever happened. So are `error_type` on waits for a connection and `db_query_id`.
";

/// Which metrics of the runtime have a name of tokio-metrics, and why the others have not.
const TOKIO: &str = "
## The names of the runtime's metrics

A metric has the name that the crate [tokio-metrics](https://docs.rs/tokio-metrics/0.5) gives it (feature
`metrics-rs-integration`, version 0.5) where the meaning, the type and the unit are the same and the name is a good one to
Prometheus. A service may run its reporter beside the monitor.

| name | tokio-metrics | why |
|---|---|---|
| `tokio_global_queue_depth` | the same | |
| `pinchpoint_tokio_workers` | `tokio_workers_count` | `promtool` refuses gauges that end in `_count`, which is a histogram's |
| `pinchpoint_tokio_alive_tasks` | `tokio_live_tasks_count` | likewise |
| `pinchpoint_tokio_worker_busy_seconds_total` | `tokio_total_busy_duration` | there a counter of microseconds |
| `pinchpoint_tokio_worker_parks_total` | `tokio_total_park_count` | there a gauge: the parks between two reports |
| `pinchpoint_tokio_workers_parked` | none | |
| `pinchpoint_tokio_scheduling_lag_seconds` | none | |
";

const QUESTIONS_HEAD: &str = "
## Questions

One query for each metric that is worth having, in PromQL. Where several services are scraped, add a matcher such as `job=\"shop\"`.

They read classic histograms. Queries of `…_bucket`, `…_sum` and `…_count` are empty where Prometheus keeps the native histograms of a scrape
alone: with `scrape_native_histograms: true`, or before 3.8 with `--enable-feature=native-histograms`, and without
`always_scrape_classic_histograms: true` (before 3.0 `scrape_classic_histograms`). Set that, or write `rate(…[5m])` without `_bucket`
and `le`, `histogram_sum(rate(…[5m]))` and `histogram_count(rate(…[5m]))`: [integration.md](integration.md) says which histograms are native.
So are queries with the old name of a metric: [CHANGELOG.md](../CHANGELOG.md#changed) lists old and new names.

| metric | what the query shows | query |
|---|---|---|
";

/// Returns the reference of every exposed metric as Markdown; `docs/metrics.md` is this text.
///
/// ```
/// assert!(pinchpoint::metrics_reference_markdown().starts_with("# Metrics\n"));
/// ```
#[must_use]
pub fn metrics_reference_markdown() -> String {
    let mut out = INTRODUCTION.to_owned();
    out += "\n## Metrics\n\n| name | type | unit | labels | meaning | exists |\n|---|---|---|---|---|---|\n";
    for metric in CATALOGUE {
        out += &row(metric);
    }
    out += "\n## Labels\n\n| label | meaning |\n|---|---|\n";
    for (label, meaning) in LABELS {
        out += &format!("| `{label}` | {meaning} |\n");
    }
    out += &format!(
        "\nThe values of every label are bounded: past a limit such as `max_series` a series counts under `{OTHER}`, and \
         `{}` counts how often.\n",
        SERIES_DROPPED.name
    );
    out += QUESTIONS_HEAD;
    for question in QUESTIONS {
        out += &format!("| `{}` | {} | `{}` |\n", question.metrics[0].name, question.shows, question.query());
    }
    out += CONVENTIONS;
    out += TOKIO;
    out += "\n## Buckets\n\n| histogram | upper edges |\n|---|---|\n";
    for metric in CATALOGUE.iter().filter(|metric| metric.kind == Kind::Histogram) {
        let edges: Vec<_> = metric.buckets.iter().map(ToString::to_string).collect();
        out += &format!("| `{}` | {}, +Inf |\n", metric.name, edges.join(", "));
    }
    out += "\nRules and percentiles are computed from finer buckets, which the native histograms of the protobuf format show; each\n\
            threshold that a rule had for a duration when the service started is one of their edges.\n";
    out
}

fn row(metric: &Metric) -> String {
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
    let exists = if metric.condition.is_empty() { "always" } else { metric.condition };
    let (name, unit, help) = (metric.name, unit(metric.name), metric.help);
    format!("| `{name}` | {kind} | {unit} | {labels} | {help} | {exists} |\n")
}

/// Returns the unit that the end of a name stands for.
fn unit(name: &str) -> &'static str {
    let base = name.strip_suffix("_total").unwrap_or(name);
    match base.rsplit('_').next() {
        Some("seconds") => "seconds",
        Some("bytes") => "bytes",
        Some("ratio") => "ratio",
        _ => "count",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_of_metrics_is_current() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            std::fs::write(&path, metrics_reference_markdown()).expect("a writable checkout");
        }
        let current = std::fs::read_to_string(path).unwrap_or_default();
        assert!(current == metrics_reference_markdown(), "run: cargo run -- metrics reference > docs/metrics.md");
    }

    #[test]
    fn every_label_of_a_metric_has_a_meaning() {
        for metric in CATALOGUE {
            for label in metric.labels {
                assert!(LABELS.iter().any(|(known, _)| known == label), "{label} of {}", metric.name);
            }
        }
    }
}
