//! `/performance/*`: paths, fields, units, errors, and that reading changes nothing.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    routing::{get, post},
};
use http::{Request, StatusCode};
use metrics::Recorder as _;
use pinchpoint::{Control, Monitor, MonitorRecorder, Sampler, in_current_request, track_async_task, track_db_query};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::{
    control::{CONTROL, control},
    support::{Samples, built, get as fetch, monitor, read, send},
};

const MS: Duration = Duration::from_millis(1);

/// Every path that reads, on a service that had requests to `/users/{id}`.
pub(crate) const READING: [&str; 11] = [
    "/performance/metrics",
    "/performance/memory",
    "/performance/endpoints",
    "/performance/endpoints/users/%7Bid%7D",
    "/performance/bottlenecks",
    "/performance/trends",
    "/performance/report",
    "/performance/health",
    "/performance/status",
    "/performance/rules",
    "/performance/openapi.json",
];

async fn query(sql: &'static str, took: Duration) -> Result<(), std::io::Error> {
    let work = async {
        tokio::time::sleep(took).await;
        Ok(())
    };
    track_db_query(sql, work).await
}

async fn task(took: Duration, fails: bool) -> Result<(), &'static str> {
    tokio::time::sleep(took).await;
    if fails { Err("failed") } else { Ok(()) }
}

/// A service with a sick part for the rules to find, on tokio's paused clock.
pub(crate) fn service(monitor: &Monitor) -> Router {
    Router::new()
        .route("/users/{id}", get(|| async { tokio::time::sleep(3 * MS).await }).post(|| async { StatusCode::CREATED }))
        .route(
            "/report",
            get(|| async {
                query("SELECT sum(total) FROM orders", 1500 * MS).await.map_err(|_| StatusCode::BAD_GATEWAY)
            }),
        )
        .route("/broken", post(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
        .route(
            "/mail",
            post(|| async {
                tokio::spawn(in_current_request(track_async_task("send_mail", task(700 * MS, false))));
                let _ = track_async_task("parse_mail", task(MS, true)).await;
            }),
        )
        .layer(monitor.layer())
        .merge(monitor.router())
}

pub(crate) async fn traffic(app: &Router, times: usize) {
    for number in 0..times {
        fetch(app, &format!("/users/{number}")).await;
        fetch(app, "/report").await;
        send(app, "POST", "/broken").await;
        send(app, "POST", "/mail").await;
        fetch(app, &format!("/no/such/path/{number}")).await;
    }
}

pub(crate) async fn json(app: &Router, path: &str) -> Value {
    let (status, body) = fetch(app, path).await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).expect("JSON")
}

pub(crate) fn kinds(answer: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = answer["bottlenecks"].as_array().expect("a list");
    list.iter().map(|one| (text(&one["type"]), text(&one["subject"]), text(&one["severity"]))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_sick_service_is_diagnosed_and_a_healed_one_is_clear() {
    let monitor = monitor();
    let app = service(&monitor);
    traffic(&app, 30).await;
    tokio::time::sleep(Duration::from_secs(40)).await;
    let found = json(&app, "/performance/bottlenecks").await;
    let kinds_found = kinds(&found);
    let named = |kind: &str, subject: &str| {
        kinds_found.iter().any(|(its_kind, its_subject, _)| its_kind == kind && its_subject == subject)
    };
    assert!(named("slow_endpoint", "GET /report"), "{kinds_found:?}");
    assert!(named("high_error_rate", "POST /broken"), "{kinds_found:?}");
    assert!(named("slow_query", "SELECT sum(total) FROM orders"), "{kinds_found:?}");
    assert!(named("slow_task", "send_mail"), "{kinds_found:?}");
    assert!(kinds_found.iter().any(|(_, subject, _)| subject == "parse_mail"), "{kinds_found:?}");
    assert!(kinds_found.iter().all(|(_, subject, _)| !subject.contains("users")), "{kinds_found:?}");
    assert!(!found.to_string().contains("no/such"), "unmatched paths are no endpoint");
    // Nothing is sick any more; after a window's time all is clear.
    for _ in 0..80 {
        fetch(&app, "/users/1").await;
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    assert_eq!(kinds(&json(&app, "/performance/bottlenecks").await), []);
    assert_eq!(json(&app, "/performance/health").await["status"], "excellent");
    let gauges = Samples::of(&monitor);
    assert_eq!(gauges.sum("pinchpoint_bottleneck", &[]), 0.0);
    assert!(gauges.series("pinchpoint_bottleneck", &["slow_endpoint"]).count() > 0, "seen to end");
}

#[tokio::test(start_paused = true)]
async fn a_slow_endpoint_comes_with_its_evidence() {
    let monitor = built(Monitor::builder().slow_requests(20));
    let app = service(&monitor);
    traffic(&app, 10).await;
    let request = Request::get("/report")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .body(Body::empty())
        .expect("a request");
    read(app.clone().oneshot(request).await.expect("a router never fails")).await;
    tokio::time::sleep(Duration::from_secs(40)).await;
    let found = json(&app, "/performance/bottlenecks?evidence=full").await;
    let slow = found["bottlenecks"].as_array().expect("a list").iter().find(|one| one["type"] == "slow_endpoint");
    let slow = slow.expect("the slow endpoint");
    assert_eq!(slow["severity"], "high");
    assert_eq!(slow["description"], "Endpoint GET /report has slow average response time");
    assert_eq!(slow["affected_endpoints"], json!(["GET /report"]));
    assert_eq!(slow["metrics"]["request_count"], 11);
    assert!((slow["metrics"]["avg_duration"].as_f64().expect("seconds") - 1.5).abs() < 0.01);
    assert_eq!((slow["threshold"].as_f64(), slow["unit"].as_str()), (Some(1.0), Some("seconds")));
    let evidence = &slow["evidence"];
    assert!(evidence["numbers"]["db_time_ratio"].as_f64() > Some(0.95), "{evidence}");
    assert_eq!(evidence["top_queries"][0]["query"], "SELECT sum(total) FROM orders");
    assert_eq!(evidence["top_queries"][0]["calls_per_request"], 1.0);
    let slowest = evidence["slowest_requests"].as_array().expect("a list");
    assert!(slowest.iter().any(|one| one["trace_id"] == "0af7651916cd43dd8448eb211c80319c"), "{slowest:?}");
    assert_eq!(slowest[0]["timeline"][0]["kind"], "query");
    let first = slow["recommendations"][0].as_str().expect("a text");
    assert!(first.contains("SELECT sum(total)"), "what follows from the evidence comes first: {first}");
}

#[tokio::test(start_paused = true)]
async fn the_summary_has_its_published_fields_and_units() {
    let monitor = monitor();
    let app = service(&monitor);
    traffic(&app, 2).await;
    let answer = json(&app, "/performance/metrics").await;
    let summary = &answer["summary"];
    assert_eq!(summary["total_requests"], 10);
    assert_eq!(summary["error_rate_percent"], 20.0);
    assert_eq!(summary["total_db_queries"], 2);
    assert!((summary["total_db_time_ms"].as_f64().expect("ms") - 3000.0).abs() < 10.0);
    assert!((summary["max_duration_ms"].as_f64().expect("ms") - 1500.0).abs() < 10.0);
    assert!(summary["min_duration_ms"].as_f64() < Some(1.0));
    assert!(summary["total_async_tasks"].as_u64() >= Some(2));
    assert!(summary["total_async_time_ms"].is_number() && summary["avg_duration_ms"].is_number());
    assert_eq!(summary["unmatched_requests"], 2);
    assert_eq!(answer["slowest_endpoints"][0][0], "GET /report");
    assert_eq!(answer["slowest_endpoints"][0][1]["requests"], 2);
    let average = answer["slowest_endpoints"][0][1]["avg_duration"].as_f64().expect("seconds");
    assert!((average - 1.5).abs() < 0.01);
    let timestamp = answer["timestamp"].as_str().expect("a text");
    assert!(timestamp.contains('T') && (timestamp.ends_with(":00") || timestamp.ends_with(":30")), "{timestamp}");
}

#[tokio::test(start_paused = true)]
async fn a_window_shows_the_recent_past_only() {
    let monitor = monitor();
    let app = service(&monitor);
    traffic(&app, 2).await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    fetch(&app, "/users/1").await;
    assert_eq!(json(&app, "/performance/metrics?window=1m").await["summary"]["total_requests"], 1);
    assert_eq!(json(&app, "/performance/metrics?window=5m").await["summary"]["total_requests"], 11);
    assert_eq!(json(&app, "/performance/endpoints?window=30s").await["total_count"], 1);
    for wrong in ["1", "5 minutes", "25h", "-5m", "1ms", "NaN"] {
        let (status, body) = fetch(&app, &format!("/performance/metrics?window={}", wrong.replace(' ', "%20"))).await;
        assert_eq!(status, 400, "{wrong}");
        assert!(body.contains("a duration such as 30s or 5m"), "{body}");
    }
    for (wrong, expected) in [
        ("metrics?window=1m&window=2m", "the parameter `window` is given twice"),
        ("trends?hours=0", "hours must be a whole number from 1 to 168"),
        ("endpoints/%FF", "UTF-8"),
    ] {
        let (status, body) = fetch(&app, &format!("/performance/{wrong}")).await;
        let body: Value = serde_json::from_str(&body).expect("every error is JSON");
        assert_eq!((status, &body["status"]), (400, &json!(400)), "{wrong}");
        assert!(body["error"].as_str().expect("a text").contains(expected), "{wrong}: {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn health_needs_recent_requests_and_a_recent_evaluation() {
    let monitor = built(Monitor::builder().control(Control::Open));
    let app = service(&monitor);
    let health = async || {
        let answer = json(&app, "/performance/health").await;
        (answer["status"].clone(), answer["requests"].clone(), answer["message"].as_str().expect("a text").to_owned())
    };
    fetch(&app, "/users/1").await;
    let (status, _, why) = health().await;
    assert_eq!((status, why.as_str()), (json!("unknown"), "the rules were not evaluated yet"));
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(health().await.0, "excellent");
    tokio::time::sleep(Duration::from_secs(600)).await;
    let (status, requests, why) = health().await;
    assert_eq!((status, requests), (json!("unknown"), json!(0)), "{why}");
    for path in ["/.env", "/wp-login.php"] {
        assert_eq!(fetch(&app, path).await.0, 404);
    }
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(health().await.0, "unknown", "scanners are no users");
    fetch(&app, "/users/1").await;
    assert_eq!(health().await.0, "excellent");
    control(&app, "POST", CONTROL[1].1, None).await;
    let (status, _, why) = health().await;
    assert_eq!((status, why.as_str()), (json!("unknown"), "monitoring is stopped"));
    control(&app, "POST", CONTROL[0].1, None).await;
    monitor.shutdown().await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(health().await.0, "unknown", "the evaluation has stopped");
}

#[tokio::test(start_paused = true)]
async fn without_traffic_nothing_is_known() {
    let monitor = monitor();
    let app = service(&monitor);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(json(&app, "/performance/health").await["status"], "unknown");
    assert_eq!(json(&app, "/performance/report").await["status"], "unknown");
    let summary = json(&app, "/performance/metrics").await["summary"].clone();
    assert_eq!(summary["total_requests"], 0);
    for absent in ["avg_duration_ms", "max_duration_ms", "min_duration_ms", "error_rate_percent"] {
        assert_eq!(summary[absent], Value::Null, "{absent}");
    }
    assert!(summary["avg_memory_mb"].as_f64() > Some(1.0), "the process is there");
    let bottlenecks = json(&app, "/performance/bottlenecks").await;
    assert_eq!((&bottlenecks["total_count"], &bottlenecks["critical_count"]), (&json!(0), &json!(0)));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_is_found_by_method_and_template_or_by_template() {
    let monitor = monitor();
    let app = service(&monitor);
    fetch(&app, "/users/1").await;
    send(&app, "POST", "/users/1").await;
    let names = |answer: &Value| {
        let list = answer["endpoints"].as_array().expect("a list").clone();
        list.iter().map(|one| one["endpoint"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    let exact = json(&app, "/performance/endpoints/GET%20%2Fusers%2F%7Bid%7D").await;
    assert_eq!(names(&exact), ["GET /users/{id}"]);
    let ambiguous = json(&app, "/performance/endpoints/users/%7Bid%7D").await;
    assert_eq!(names(&ambiguous), ["GET /users/{id}", "POST /users/{id}"]);
    let (status, body) = fetch(&app, "/performance/endpoints/GET%20%2Fnowhere").await;
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, body["status"].as_u64()), (404, Some(404)));
    assert!(body["error"].as_str().is_some_and(|error| !error.contains("nowhere")), "no echo of what was sent");
}

#[tokio::test(start_paused = true)]
async fn an_exact_name_finds_one_endpoint() {
    let monitor = monitor();
    let app = Router::new()
        .route("/users", get(|| async {}).post(|| async {}))
        .route("/users/", get(|| async {}))
        .layer(monitor.layer())
        .merge(monitor.router());
    for path in ["/users", "/users/"] {
        fetch(&app, path).await;
    }
    send(&app, "POST", "/users").await;
    for (name, expected) in [
        ("GET%20%2Fusers", &["GET /users"][..]),
        ("GET%20%2Fusers%2F", &["GET /users/"]),
        ("users", &["GET /users", "GET /users/", "POST /users"]),
    ] {
        let answer = json(&app, &format!("/performance/endpoints/{name}")).await;
        let found: Vec<_> =
            answer["endpoints"].as_array().expect("a list").iter().map(|one| &one["endpoint"]).collect();
        assert_eq!(found, expected, "{name}");
    }
}

/// A sampler that reports a given resident memory.
struct Resident {
    recorder: Arc<OnceLock<MonitorRecorder>>,
    bytes: Arc<AtomicU64>,
}

impl Sampler for Resident {
    fn sample(&mut self) {
        let Some(recorder) = self.recorder.get() else { return };
        let metadata = metrics::Metadata::new("test", metrics::Level::INFO, None);
        let gauge = recorder.register_gauge(&"process_resident_memory_bytes".into(), &metadata);
        gauge.set(self.bytes.load(Relaxed) as f64);
    }
}

#[tokio::test(start_paused = true)]
async fn the_mean_of_the_memory_is_that_of_the_window() {
    let (recorder, bytes) = (Arc::new(OnceLock::new()), Arc::new(AtomicU64::new(100_000_000)));
    let sampler = Resident { recorder: recorder.clone(), bytes: bytes.clone() };
    let monitor = built(Monitor::builder().without_sampling().sampler(sampler));
    recorder.set(monitor.recorder().clone()).expect("once");
    let app = service(&monitor);
    tokio::time::sleep(Duration::from_secs(200)).await;
    bytes.store(300_000_000, Relaxed);
    tokio::time::sleep(Duration::from_secs(200)).await;
    let mean = async |path: &str| json(&app, path).await["summary"]["avg_memory_mb"].as_f64().expect("megabytes");
    let whole = mean("/performance/metrics").await;
    assert!((150.0..250.0).contains(&whole), "{whole}");
    for path in ["metrics?window=1m", "metrics?window=5s", "report?window=1m"] {
        assert_eq!(mean(&format!("/performance/{path}")).await, 300.0, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_removed_memory_limit_is_no_limit() {
    let monitor = built(Monitor::builder().without_sampling());
    let app = service(&monitor);
    let set = |name: &'static str, bytes: f64| {
        let metadata = metrics::Metadata::new("test", metrics::Level::INFO, None);
        monitor.recorder().register_gauge(&name.into(), &metadata).set(bytes);
    };
    set("process_resident_memory_bytes", 500e6);
    for (limit, megabytes, percent) in [(1e9, json!(1000.0), json!(50.0)), (f64::INFINITY, Value::Null, Value::Null)] {
        set("pinchpoint_memory_limit_bytes", limit);
        let memory = json(&app, "/performance/memory").await;
        assert_eq!((&memory["memory_limit_mb"], &memory["memory_percent"]), (&megabytes, &percent), "{memory}");
        assert_eq!(json(&app, "/performance/report").await["memory_limit_mb"], megabytes);
    }
}

#[tokio::test(start_paused = true)]
async fn past_the_limit_of_series_the_oldest_task_of_all_is_shown() {
    let monitor = built(Monitor::builder().max_series(20).without_sampling());
    let app = Router::new().route("/", get(|| async {})).layer(monitor.layer());
    fetch(&app, "/").await;
    for number in 0..20 {
        let app = Router::new()
            .route("/", get(move || track_async_task(format!("task {number}"), task(Duration::from_secs(1000), false))))
            .layer(monitor.layer());
        tokio::spawn(async move { fetch(&app, "/").await });
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tokio::time::sleep(Duration::from_secs(20)).await;
    let samples = Samples::of(&monitor);
    let alone = samples.series("pinchpoint_task_oldest_active_seconds", &["task "]).count();
    let other = samples.sum("pinchpoint_task_oldest_active_seconds", &["\"other\""]);
    // One began every second; the last evaluation is five seconds ago at most.
    let oldest = (20 + 20 - alone) as f64;
    assert!((2..10).contains(&alone) && (oldest - 5.0..=oldest).contains(&other), "{alone} alone, {other} s");
}

#[tokio::test(start_paused = true)]
async fn unknown_paths_and_methods_are_json_errors() {
    let monitor = monitor();
    let app = service(&monitor);
    for (method, path, expected) in [
        ("GET", "/performance/nothing", 404),
        ("GET", "/performance//", 404),
        ("POST", "/performance/", 405),
        ("POST", "/performance/metrics", 405),
        ("GET", "/performance/stop-monitoring", 405),
    ] {
        let (status, body) = send(&app, method, path).await;
        assert_eq!(status, expected, "{method} {path}");
        let body: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(body["status"], expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slash_at_the_end_leads_to_the_same_page() {
    let monitor = monitor();
    let request = Request::get("/performance/").body(Body::empty()).expect("a request");
    let answer = service(&monitor).oneshot(request).await.expect("a router never fails");
    assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(answer.headers()["location"], "../performance");
}

#[tokio::test(start_paused = true)]
async fn reading_changes_nothing() {
    let monitor = monitor();
    let app = service(&monitor);
    traffic(&app, 3).await;
    let of_the_service = |text: String| {
        text.lines()
            .filter(|line| line.starts_with("http_") || line.starts_with("db_"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let before = of_the_service(monitor.recorder().render());
    let summary = json(&app, "/performance/metrics").await["summary"].clone();
    for _ in 0..3 {
        for path in READING.into_iter().chain(["/metrics"]) {
            assert_eq!(fetch(&app, path).await.0, 200, "{path}");
        }
    }
    assert_eq!(of_the_service(monitor.recorder().render()), before);
    assert_eq!(json(&app, "/performance/metrics").await["summary"]["total_requests"], summary["total_requests"]);
}

#[tokio::test]
async fn unmatched_requests_count_once_however_the_routers_are_merged() {
    let app = |monitor: &Monitor| Router::new().route("/", get(|| async {})).layer(monitor.layer());
    let before: fn(&Monitor, Router) -> Router = |monitor, app| app.merge(monitor.router());
    let after: fn(&Monitor, Router) -> Router = |monitor, app| app.merge(monitor.router()).layer(monitor.layer());
    let other: fn(&Monitor, Router) -> Router = |monitor, app| monitor.router().merge(app);
    let fallback: fn(&Monitor, Router) -> Router = |monitor, _| {
        Router::new().fallback(|| async { StatusCode::NOT_FOUND }).layer(monitor.layer()).merge(monitor.router())
    };
    for put_together in [before, after, other, fallback] {
        let monitor = monitor();
        let app = put_together(&monitor, app(&monitor));
        fetch(&app, "/nowhere").await;
        assert_eq!(Samples::of(&monitor).requests(&["http_route=\"\""]), 1.0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_browsers_wish_for_an_icon_never_counts() {
    let monitor = monitor();
    let app = service(&monitor);
    assert_eq!(fetch(&app, "/favicon.ico").await, (204, String::new()));
    let samples = Samples::of(&monitor);
    assert_eq!((samples.requests(&[]), samples.active()), (0.0, 0.0));
    send(&app, "POST", "/favicon.ico").await;
    assert_eq!(Samples::of(&monitor).requests(&["http_route=\"\""]), 1.0, "that is no browser");
    let own = Router::new().route("/favicon.ico", get(|| async { "an icon" })).layer(monitor.layer());
    assert_eq!(fetch(&own.merge(monitor.router()), "/favicon.ico").await.1, "an icon");
}

#[tokio::test(start_paused = true)]
async fn the_monitors_own_routes_never_count() {
    let monitor = monitor();
    let app = Router::new().nest("/internal", monitor.router()).layer(monitor.layer());
    for path in ["/internal/metrics", "/internal/performance/bottlenecks", "/internal/performance/none"] {
        fetch(&app, path).await;
    }
    let samples = Samples::of(&monitor);
    assert_eq!((samples.requests(&[]), samples.active()), (0.0, 0.0));
}

#[tokio::test]
async fn the_monitor_serves_on_an_address_of_its_own() {
    let monitor = monitor();
    let address = monitor.serve(([127, 0, 0, 1], 0)).await.expect("a free port");
    let body = reqwest::get(format!("http://{address}/metrics")).await.expect("an answer").text().await.expect("text");
    assert!(body.contains("pinchpoint_build_info{version="));
    let icon = reqwest::get(format!("http://{address}/favicon.ico")).await.expect("an answer");
    assert_eq!(
        (icon.status().as_u16(), &icon.headers()["content-type"]),
        (200, &"image/svg+xml".parse().expect("a type"))
    );
    monitor.shutdown().await;
    assert!(reqwest::get(format!("http://{address}/metrics")).await.is_err(), "it ended with the monitor");
}

/// In a process of its own, since other tests add the layer to theirs.
#[test]
fn the_absence_of_queries_is_explained() {
    let me = std::env::current_exe().expect("a path");
    let child = "api::a_service_whose_queries_are_not_seen_is_told_what_to_do";
    let ran = std::process::Command::new(me).args(["--exact", child, "--ignored"]).output().expect("it starts");
    let printed = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && printed.contains("1 passed"), "{printed}");
}

#[tokio::test(start_paused = true)]
#[ignore = "run by the_absence_of_queries_is_explained"]
async fn a_service_whose_queries_are_not_seen_is_told_what_to_do() {
    let monitor = monitor();
    let app = Router::new().route("/", get(|| async {})).layer(monitor.layer()).merge(monitor.router());
    for _ in 0..1_000 {
        fetch(&app, "/").await;
    }
    tokio::time::sleep(6 * 1000 * MS).await;
    let (_, status) = fetch(&app, "/performance/status").await;
    let status: Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!((&status["sqlx"]["layer_installed"], &status["sqlx"]["query_events"]), (&false.into(), &0.into()));
    assert!(status["sqlx"]["problem"].as_str().expect("a problem").contains(".with(SqlxLayer::new()).init()"));
    let (_, page) = fetch(&app, "/performance/report?format=html").await;
    assert!(
        page.contains("SqlxLayer is not installed. 1000 requests were measured, and no subscriber has a SqlxLayer")
    );
}
