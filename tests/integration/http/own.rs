//! Requests that are not recorded: those of ignored routes, and of the monitor's own routes wherever they are mounted.

use std::{future, task::Poll};

use axum::{
    extract::State,
    middleware::{Next, from_fn},
};
use http::{HeaderValue, Method};
use tokio::runtime;

use super::*;

/// Some of the monitor's own paths, with answers of every kind.
const OWN: [&str; 7] = [
    "/metrics",
    "/performance",
    "/performance/metrics",
    "/performance/trends",
    "/performance/endpoints/unknown",
    "/performance/events",
    "/performance/no-such-path",
];

/// Requests each of the monitor's own paths under a prefix, and drops the answer.
async fn ask_all(app: &Router, prefix: &str) {
    for path in OWN {
        for method in ["GET", "PATCH"] {
            let request = Request::builder().method(method).uri(format!("{prefix}{path}")).body(Body::from("body"));
            let response = app.clone().oneshot(request.expect("a request")).await.expect("a router never fails");
            assert!(response.headers().contains_key("cache-control"), "{method} {prefix}{path} is not the monitor's");
        }
    }
}

#[track_caller]
fn assert_no_trace(monitor: &Monitor) {
    let text = monitor.recorder().render();
    let named: Vec<_> = text.lines().filter(|line| line.contains("http_route")).collect();
    assert_eq!(named, [] as [&str; 0]);
    assert_eq!(Samples::parse(&text).active(), 0.0);
}

#[tokio::test]
async fn ignored_routes() {
    let monitor = built(Monitor::builder().ignore_path("/health*"));
    let app = Router::new()
        .route("/health", get(|| async {}).post(|| async {}))
        .route("/other", get(|| async {}))
        .layer(monitor.layer());
    fetch(&app, "/health").await;
    send(&app, "POST", "/health").await;
    assert_no_trace(&monitor);
    assert!(!monitor.recorder().render().contains("POST"));
    fetch(&app, "/other").await;
    assert!(!monitor.recorder().render().contains("/health"));
    assert_eq!(Samples::of(&monitor).requests(&[]), 1.0);
}

#[tokio::test]
async fn routes_past_the_limit_are_folded_and_ignored_ones_stay_ignored() {
    let monitor = built(Monitor::builder().ignore_path("/health").max_series(50));
    let paths: Vec<_> = (0..60).map(|number| format!("/{number}")).collect();
    let app = paths.iter().fold(Router::new(), |app, path| app.route(path, get(|| async {})));
    let app = app.route("/health", get(|| async {})).layer(monitor.layer());
    for path in &paths {
        fetch(&app, path).await;
    }
    fetch(&app, "/health").await;
    fetch(&app, "/health").await;
    assert_eq!(Samples::of(&monitor).requests(&[]), 60.0);
}

#[tokio::test]
async fn the_monitors_own_routes_under_its_own_layer() {
    let monitor = monitor();
    let merged = Router::new().merge(monitor.router()).layer(monitor.layer());
    let nested = Router::new().nest("/internal/{team}", monitor.router()).layer(monitor.layer());
    let opaque = Router::new().nest_service("/internal", monitor.router::<()>()).layer(monitor.layer());
    let twice = Router::new().merge(monitor.router()).layer(monitor.layer()).layer(monitor.layer());
    for (app, prefix) in [(merged, ""), (nested, "/internal/a"), (opaque, "/internal"), (twice, "")] {
        ask_all(&app, prefix).await;
        assert_no_trace(&monitor);
    }
}

#[tokio::test]
async fn the_monitors_own_routes_under_another_monitors_layer() {
    let (outer, inner) = (monitor(), monitor());
    let app = Router::new().merge(inner.router()).layer(inner.layer()).layer(outer.layer());
    ask_all(&app, "").await;
    assert_no_trace(&outer);
    assert_no_trace(&inner);
}

#[tokio::test]
async fn a_scrape_does_not_find_itself_in_flight() {
    let monitor = monitor();
    let app = Router::new().route("/", get(|| async {})).merge(monitor.router()).layer(monitor.layer());
    for _ in 0..3 {
        let (_, text) = fetch(&app, "/metrics").await;
        assert_eq!(Samples::parse(&text).active(), 0.0);
    }
}

/// A host that dispatches by hand has one route template for its own answers and the monitor's.
#[tokio::test]
async fn a_template_that_the_host_shares_with_the_monitor_counts_the_hosts_answers() {
    let monitor = monitor();
    async fn dispatch(State(own): State<Router>, request: Request<Body>) -> Response {
        match request.uri().path().strip_prefix("/page/") {
            Some(page) => Response::new(page.to_owned().into()),
            None => own.oneshot(request).await.unwrap_or_else(|never| match never {}),
        }
    }
    let app = Router::new().route("/{*path}", any(dispatch)).with_state(monitor.router::<()>()).layer(monitor.layer());
    fetch(&app, "/page/1").await;
    ask_all(&app, "").await;
    fetch(&app, "/page/2").await;
    let samples = Samples::of(&monitor);
    assert_eq!((samples.requests(&["http_route=\"/{*path}\""]), samples.requests(&[])), (2.0, 2.0));
}

/// A host's route that builds its answer from one of the monitor's is recorded as the host's.
#[tokio::test]
async fn a_host_route_that_uses_the_monitors_answer_is_recorded() {
    let monitor = monitor();
    let handler = |State(own): State<Router>| async move {
        let (_, health) = fetch(&own, "/performance/health").await;
        tokio::task::yield_now().await;
        health.len().to_string()
    };
    let app = Router::new().route("/ready", get(handler)).with_state(monitor.router()).layer(monitor.layer());
    fetch(&app, "/ready").await;
    assert_eq!(Samples::of(&monitor).requests(&["/ready", "200"]), 1.0);
}

#[test]
fn an_abandoned_request_to_the_monitors_own_route() {
    let runtime = runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build();
    runtime.expect("a runtime").block_on(async {
        let monitor = monitor();
        let app = Router::new().merge(monitor.router()).layer(monitor.layer());
        // Occupies the only thread that could compute the answer, so that the request is dropped before it has one.
        let (release, released) = std::sync::mpsc::channel::<()>();
        let occupied = tokio::task::spawn_blocking(move || released.recv());
        {
            let mut answer = Box::pin(fetch(&app, "/performance/trends"));
            let polled = future::poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await;
            assert!(polled.is_pending());
            assert_no_trace(&monitor);
        }
        assert_no_trace(&monitor);
        drop(release);
        let _ = occupied.await;
    });
}

/// A layer between the monitor's two may have another method, or another scheme, by the time that the answer is made.
#[tokio::test]
async fn an_own_answer_leaves_the_gauge_that_its_request_was_counted_in() {
    let change = async |mut request: Request<Body>, next: Next| {
        *request.method_mut() = Method::PUT;
        request.headers_mut().insert("x-forwarded-proto", HeaderValue::from_static("https"));
        next.run(request).await
    };
    let monitor = monitor();
    let app = Router::new().merge(monitor.router()).layer(from_fn(change)).layer(monitor.layer());
    // The page is written while its own request is answered: 0 in the gauge that it was counted in, and no other gauge.
    for _ in 0..2 {
        let (_, page) = fetch(&app, "/metrics").await;
        let samples = Samples::parse(&page);
        let gauges: Vec<_> = samples.series("http_server_active_requests", &[]).collect();
        let get = "http_server_active_requests{http_request_method=\"GET\",url_scheme=\"http\"}";
        assert_eq!(gauges, [(get, 0.0)]);
    }
    assert_eq!(Samples::of(&monitor).active(), 0.0);
}
