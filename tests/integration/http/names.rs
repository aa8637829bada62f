//! The labels that OpenTelemetry's conventions give a request: its scheme and its method.

use axum::{Router, body::Body, routing::any};
use http::Request;
use pinchpoint::{Monitor, MonitorBuilder, UrlScheme};
use tower::ServiceExt as _;

use crate::support::{Samples, built};

async fn samples(builder: MonitorBuilder, requests: Vec<Request<Body>>) -> Samples {
    let monitor = built(builder);
    let app: Router = Router::new().route("/a", any(|body: String| async { body })).layer(monitor.layer());
    for request in requests {
        let answer = app.clone().oneshot(request).await.expect("a router never fails");
        axum::body::to_bytes(answer.into_body(), 1_000).await.expect("a body");
    }
    Samples::of(&monitor)
}

fn request(uri: &str, proto: Option<&str>) -> Request<Body> {
    let request = Request::post(uri);
    let request = proto.into_iter().fold(request, |request, proto| request.header("x-forwarded-proto", proto));
    request.body(Body::from("text")).expect("a request")
}

#[tokio::test(start_paused = true)]
async fn every_metric_of_the_conventions_has_the_scheme() {
    let requests = vec![
        request("/a", None),
        request("/a", Some("https")),
        request("https://shop.example/a", None),
        request("/a", Some("gopher")),
    ];
    let samples = samples(Monitor::builder(), requests).await;
    for family in [
        "http_server_request_duration_seconds_count",
        "http_server_request_body_size_bytes_count",
        "http_server_response_body_size_bytes_count",
    ] {
        for scheme in ["http", "https"] {
            let labels = ["http_route=\"/a\"", "http_request_method=\"POST\"", &format!("url_scheme=\"{scheme}\"")];
            assert_eq!(samples.sum(family, &labels), 2.0, "{family} {scheme}");
        }
        assert_eq!(samples.series(family, &[]).count(), 2, "{family}");
    }
    assert_eq!(samples.sum("http_server_active_requests", &[]), 0.0);
    assert_eq!(samples.series("http_server_active_requests", &["url_scheme=\"https\""]).count(), 1);
    // What is not the conventions' adds the schemes up.
    assert_eq!(samples.sum("pinchpoint_requests_total", &["outcome=\"ok\""]), 4.0);
    assert_eq!(samples.series("pinchpoint_requests_total", &["outcome=\"ok\""]).count(), 1);
    assert_eq!(samples.series("pinchpoint_request_busy_seconds_count", &[]).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_scheme_that_is_set_is_that_of_every_request() {
    let requests = || vec![request("/a", Some("http")), request("http://shop.example/a", None)];
    let count = |samples: &Samples, scheme: &str| {
        samples.sum("http_server_request_duration_seconds_count", &[&format!("url_scheme=\"{scheme}\"")])
    };
    let https = samples(Monitor::builder().url_scheme(UrlScheme::Https), requests()).await;
    assert_eq!((count(&https, "https"), count(&https, "http")), (2.0, 0.0));
    let http = samples(Monitor::builder().url_scheme(UrlScheme::Http), vec![request("/a", Some("https"))]).await;
    assert_eq!(count(&http, "http"), 1.0);
}

/// Returns the requests that count as `GET`, `QUERY`, `PROPFIND` and `_OTHER` after one of each of the first three and of `get`.
async fn counted(builder: MonitorBuilder) -> [f64; 4] {
    let of = |method: &str| Request::builder().method(method).uri("/a").body(Body::empty()).expect("a request");
    let samples = samples(builder, ["GET", "QUERY", "PROPFIND", "get"].map(of).into()).await;
    let count = |method: &str| {
        samples.sum("http_server_request_duration_seconds_count", &[&format!("http_request_method=\"{method}\"")])
    };
    ["GET", "QUERY", "PROPFIND", "_OTHER"].map(count)
}

#[tokio::test(start_paused = true)]
async fn known_methods_can_be_replaced() {
    assert_eq!(counted(Monitor::builder()).await, [1.0, 1.0, 0.0, 2.0]);
    assert_eq!(counted(Monitor::builder().known_methods(["PROPFIND"])).await, [0.0, 0.0, 1.0, 3.0]);
    let refused = Monitor::builder().known_methods([""]).build().map(|_| ()).expect_err("no method");
    assert!(refused.to_string().starts_with("known_methods is \"\"; expected 1 to 64 request methods"), "{refused}");
}

/// In a process of its own, whose environment is no other test's.
#[test]
fn the_variable_of_opentelemetry_replaces_the_known_methods() {
    let me = std::env::current_exe().expect("a path");
    let child = "http::names::known_methods_of_the_variable";
    let ran = std::process::Command::new(me)
        .args(["--exact", child, "--ignored"])
        .env("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "QUERY, PROPFIND,get")
        .output()
        .expect("it starts");
    let printed = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && printed.contains("1 passed"), "{printed}");
}

#[tokio::test(start_paused = true)]
#[ignore = "run by the_variable_of_opentelemetry_replaces_the_known_methods"]
async fn known_methods_of_the_variable() {
    assert_eq!(counted(Monitor::builder()).await, [0.0, 1.0, 1.0, 1.0], "`get` is no GET, and has a series of its own");
    let set = Monitor::builder().known_methods(["GET"]);
    assert_eq!(counted(set).await, [1.0, 0.0, 0.0, 3.0], "the setting goes before the variable");
}
