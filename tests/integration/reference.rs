//! `docs/metrics.md` and `/metrics` agree.

use std::collections::{BTreeMap, BTreeSet};

use axum::{Router, http::StatusCode, routing::get};
use pinchpoint::{track_async_task, track_db_query};

use crate::support::{Samples, get as ask, monitor};

/// Returns the labels of each metric of the reference.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let reference =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")).expect("the reference");
    let rows = reference.lines().filter_map(|line| line.strip_prefix("| `"));
    let columns = rows.map(|row| row.split(" | ").collect::<Vec<_>>()).filter(|columns| columns.len() == 6);
    let quoted = |text: &str| {
        text.split('`').filter(|part| part.contains(|c: char| c.is_alphabetic())).map(str::to_owned).collect()
    };
    columns.map(|columns| (columns[0].trim_end_matches('`').to_owned(), quoted(columns[3]))).collect()
}

/// Returns the metric and the label names of a series; those of a histogram without what the text format adds.
fn parts(series: &str) -> (String, BTreeSet<String>) {
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let mut labels: BTreeSet<_> = labels
        .split("=\"")
        .filter_map(|before| before.rsplit([',', '{']).next())
        .filter(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        .map(str::to_owned)
        .collect();
    labels.remove("le");
    (name.to_owned(), labels)
}

#[tokio::test]
async fn every_series_is_in_the_reference_of_metrics() {
    let monitor = monitor();
    let shop = || async {
        let _ = track_db_query("SELECT 1", async { Err::<(), _>("no database") }).await;
        let _ = track_async_task("mail", async { Ok::<_, &str>(()) }).await;
        StatusCode::INTERNAL_SERVER_ERROR
    };
    let app: Router = Router::new().route("/shop", get(shop)).layer(monitor.layer());
    ask(&app, "/shop").await;
    let documented = documented();
    let samples = Samples::of(&monitor);
    let mut seen = BTreeSet::new();
    for (series, _) in samples.all() {
        let (name, labels) = parts(series);
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let known =
            [Some(name.as_str()), base].into_iter().flatten().find_map(|name| Some((name, documented.get(name)?)));
        let (name, known) = known.unwrap_or_else(|| panic!("docs/metrics.md does not have {series}"));
        assert!(labels.is_subset(known), "{series} has other labels than docs/metrics.md: {known:?}");
        seen.insert(name.to_owned());
    }
    for name in [
        "http_server_request_duration_seconds",
        "db_client_operation_duration_seconds",
        "pinchpoint_task_duration_seconds",
    ] {
        assert!(seen.contains(name), "{name} is not among {seen:?}");
    }
}
