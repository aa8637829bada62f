//! A service that a real Prometheus scrapes in every format: none of them changes a series or an exemplar.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    native::{app, scraped},
    support::{
        ask, monitor,
        prometheus::{LOOKS, Labels, Prometheus, labels_of},
    },
};

/// Series that a request to [`app`] makes: a name, and a label with its value.
const OF_A_REQUEST: [(&str, &str, &str); 7] = [
    ("http_server_request_duration_seconds_count", "http_route", "/users/{id}"),
    ("http_server_request_duration_seconds_bucket", "http_route", "/users/{id}"),
    ("db_client_operation_duration_seconds_count", "db_query_summary", "SELECT users"),
    ("db_query_info", "db_query_text", "SELECT name FROM users WHERE id = ?"),
    ("pinchpoint_endpoint_query_calls_total", "http_route", "/users/{id}"),
    ("pinchpoint_task_duration_seconds_count", "task_name", "greet"),
    ("pinchpoint_task_active", "task_name", "greet"),
];
/// Histograms that have an exemplar of its trace.
const TRACED: [&str; 3] = [
    "http_server_request_duration_seconds",
    "db_client_operation_duration_seconds",
    "pinchpoint_task_duration_seconds",
];

/// Exemplars with their histograms, without what tells the formats apart: the value, and the labels of the trace.
type Exemplars = BTreeSet<(Labels, String, Labels)>;

async fn exemplars(prometheus: &Prometheus, job: &str) -> Exemplars {
    let selector = format!("{{job=\"{job}\"}}");
    let always = [("query", &*selector), ("start", "0"), ("end", "9999999999")];
    let found = prometheus.get("/api/v1/query_exemplars", &always).await.unwrap_or_default();
    let mut exemplars = Exemplars::new();
    for one in found["data"].as_array().into_iter().flatten() {
        let mut series = labels_of(&one["seriesLabels"]);
        series.remove("le");
        let name = series["__name__"].trim_end_matches("_bucket").to_owned();
        series.insert("__name__".to_owned(), name);
        for exemplar in one["exemplars"].as_array().into_iter().flatten() {
            let value = exemplar["value"].as_str().expect("a number").to_owned();
            exemplars.insert((series.clone(), value, labels_of(&exemplar["labels"])));
        }
    }
    exemplars
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_is_the_same_in_every_format() {
    let monitor = monitor();
    let Some(prometheus) = scraped(&monitor).await else { return };
    metrics::with_local_recorder(&monitor.recorder(), || {
        metrics::counter!("jobs", "größe" => "klein", "grüße" => "viele").increment(2);
        metrics::counter!("jobs_total", "名前" => "a\\b\\\\n\n\"", "都市" => "b").increment(1);
        metrics::gauge!("queue.depth", "a.b" => "1", "a_b" => "2").set(1.5);
        metrics::histogram!("size_bytes").record(5e5);
        metrics::histogram!("steps").record(3.0);
        metrics::histogram!("change_seconds", "of" => "none").record(0.5);
        metrics::histogram!("change_seconds", "of" => "some").record(-0.5);
        metrics::histogram!("change_seconds", "of" => "some").record(1.5);
    });
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    ask(&app(&monitor), "GET", "/users/7?page=private", &[("traceparent", traceparent)]).await;
    let series = async |job: &str| -> BTreeSet<Labels> {
        let selector = format!("{{job=\"{job}\"}}");
        let found = prometheus.get("/api/v1/series", &[("match[]", &selector)]).await.unwrap_or_default();
        let found = found["data"].as_array().into_iter().flatten().map(labels_of);
        // What Prometheus adds for each scrape.
        found.filter(|labels| !labels["__name__"].starts_with("scrape_") && labels["__name__"] != "up").collect()
    };
    let (mut difference, mut missing) = (Vec::new(), Vec::new());
    for _ in 0..LOOKS / 20 {
        let (text, openmetrics, protobuf) =
            (series("text").await, series("openmetrics").await, series("protobuf").await);
        difference = text.symmetric_difference(&openmetrics).cloned().collect();
        // In protobuf, Prometheus takes native histograms instead of their classic buckets.
        let is_native = |labels: &Labels| {
            let mut native = labels.clone();
            native.remove("le");
            let name = &labels["__name__"];
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).is_some_and(|name| {
                native.insert("__name__".into(), name.into());
                protobuf.contains(&native)
            })
        };
        let names: BTreeSet<String> = text.iter().map(|labels| labels["__name__"].clone()).collect();
        let others = text.iter().filter(|labels| !is_native(labels)).cloned().collect::<BTreeSet<Labels>>();
        let protobuf: BTreeSet<Labels> =
            protobuf.iter().filter(|labels| names.contains(&labels["__name__"])).cloned().collect();
        difference.extend(others.symmetric_difference(&protobuf).cloned());
        let is_there = |(name, label, value): &(&str, &str, &str)| {
            text.iter().any(|labels| labels["__name__"] == *name && labels.get(*label).is_some_and(|one| one == value))
        };
        missing = OF_A_REQUEST.iter().filter(|series| !is_there(series)).collect();
        assert!(!text.iter().flat_map(Labels::values).any(|value| value.contains("private")), "a query string");
        if difference.is_empty() && missing.is_empty() && text.iter().any(is_native) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((difference, missing), (vec![], vec![]));
    let mut traces = (Exemplars::new(), Exemplars::new());
    for _ in 0..LOOKS / 20 {
        traces = (exemplars(&prometheus, "openmetrics").await, exemplars(&prometheus, "protobuf").await);
        if !traces.0.is_empty() && traces.0 == traces.1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(traces.0, traces.1);
    let traced: BTreeSet<&str> = traces.0.iter().map(|(series, _, _)| &*series["__name__"]).collect();
    let untraced: Vec<&str> = TRACED.into_iter().filter(|name| !traced.contains(name)).collect();
    assert_eq!(untraced, [] as [&str; 0], "of {traced:?}");
    assert_eq!(exemplars(&prometheus, "text").await, Exemplars::new());
    let native = prometheus.query("histogram_count(size_bytes{job=\"protobuf\"})").await;
    assert_eq!(native[0].1, 1.0);
    prometheus.assert_no_complaints();
}
