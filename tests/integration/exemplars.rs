//! Exemplars: the trace of a request stands beside the bucket that it is counted in.

use std::{
    convert::Infallible,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{Router, body::Body, extract::Request, http::header::ACCEPT, routing::get};
use pinchpoint::{Monitor, track_db_query};
use tower::ServiceExt as _;

use crate::{
    native::scraped,
    support::{self, monitor, prometheus::LOOKS},
};

const OPENMETRICS: &str = "application/openmetrics-text;version=1.0.0";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn app(monitor: &Monitor) -> Router {
    let recorder = monitor.recorder();
    let handler = async move || {
        metrics::with_local_recorder(&recorder, || metrics::histogram!("basket_items").record(3.0));
        let _ = track_db_query("SELECT name FROM users", async { Ok::<_, Infallible>(()) }).await;
        "ok"
    };
    let own = async || pinchpoint::set_trace([0xab; 16], [0xcd; 8]);
    Router::new()
        .route("/users/{id}", get(handler))
        .route("/own", get(own))
        .layer(monitor.layer())
        .merge(monitor.router())
}

async fn request(app: &Router, path: &str, traceparent: &str) {
    let request = Request::builder().uri(path).header("traceparent", traceparent).body(Body::empty());
    let answer = app.clone().oneshot(request.expect("a request")).await.expect("a router never fails");
    support::read(answer).await;
}

async fn page(app: &Router, accept: &str) -> String {
    let request = Request::builder().uri("/metrics").header(ACCEPT, accept).body(Body::empty());
    support::read(app.clone().oneshot(request.expect("a request")).await.expect("a router never fails")).await.1
}

/// Returns the exemplars of a page: the name of the series, and what follows its value.
fn exemplars(page: &str) -> Vec<(&str, &str)> {
    let lines = page.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(" # "));
    lines.map(|(series, exemplar)| (series.split('{').next().unwrap_or_default(), exemplar)).collect()
}

#[tokio::test]
async fn what_a_sampled_request_records_has_its_trace() {
    let monitor = monitor();
    let app = app(&monitor);
    request(&app, "/users/1", &format!("00-{TRACE}-b7ad6b7169203331-00")).await;
    request(&app, "/users/1", "nonsense").await;
    assert_eq!(exemplars(&page(&app, OPENMETRICS).await), [], "none was sampled");
    request(&app, "/users/1", &format!("00-{TRACE}-b7ad6b7169203331-01")).await;
    for _ in 0..2 {
        // The second scraper sees them as well.
        let page = page(&app, OPENMETRICS).await;
        let found = exemplars(&page);
        for series in [
            "http_server_request_duration_seconds_bucket",
            "db_client_operation_duration_seconds_bucket",
            "basket_items_bucket",
        ] {
            let (_, exemplar) =
                found.iter().find(|(name, _)| *name == series).unwrap_or_else(|| panic!("{series}:\n{page}"));
            let start = format!("{{trace_id=\"{TRACE}\",span_id=\"b7ad6b7169203331\"}} ");
            let numbers = exemplar.strip_prefix(&start).unwrap_or_else(|| panic!("{exemplar}"));
            let (value, at) = numbers.split_once(' ').expect("value and time");
            assert!(value.parse::<f64>().is_ok_and(|value| value > 0.0 && value <= 3.0), "{exemplar}");
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
            assert!(at.parse::<f64>().is_ok_and(|at| (now - 60.0..=now + 1.0).contains(&at)), "{exemplar}");
        }
    }
    assert!(!page(&app, "*/*").await.contains(TRACE), "the text format has none");
}

#[tokio::test]
async fn a_service_names_the_trace_that_it_starts() {
    let monitor = monitor();
    let app = app(&monitor);
    request(&app, "/own", "").await;
    let page = page(&app, OPENMETRICS).await;
    let (ids, found) =
        (format!("{{trace_id=\"{}\",span_id=\"{}\"}} ", "ab".repeat(16), "cd".repeat(8)), exemplars(&page));
    let has_it = |(name, exemplar): &(&str, &str)| {
        *name == "http_server_request_duration_seconds_bucket" && exemplar.starts_with(&ids)
    };
    assert!(found.iter().any(has_it), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_finds_the_exemplars_of_both_formats_that_have_them() {
    let monitor = monitor();
    let app = app(&monitor);
    let Some(prometheus) = scraped(&monitor).await else { return };
    for job in ["openmetrics", "protobuf"] {
        let suffix = if job == "openmetrics" { "_bucket" } else { "" };
        let query =
            format!("http_server_request_duration_seconds{suffix}{{job=\"{job}\",http_route=\"/users/{{id}}\"}}");
        let mut found = serde_json::Value::Null;
        for _ in 0..LOOKS / 20 {
            request(&app, "/users/1", &format!("00-{TRACE}-b7ad6b7169203331-01")).await;
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
            let (start, end) = ((now - 60).to_string(), (now + 60).to_string());
            let parameters = [("query", &*query), ("start", &*start), ("end", &*end)];
            found = prometheus.get("/api/v1/query_exemplars", &parameters).await.unwrap_or_default();
            if found["data"].as_array().is_some_and(|data| !data.is_empty()) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let labels = &found["data"][0]["exemplars"][0]["labels"];
        assert_eq!(
            (&labels["trace_id"], &labels["span_id"]),
            (&TRACE.into(), &"b7ad6b7169203331".into()),
            "{job}: {found}"
        );
    }
    prometheus.assert_no_complaints();
}
