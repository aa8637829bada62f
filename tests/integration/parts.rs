//! The parts of a request's time: what it waited for, through the public API, on a paused clock and with real threads.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    routing::{get, post},
};
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use pinchpoint::{
    Monitor, in_current_request, spawn_blocking, track_async_task, track_db_query, track_hold, track_http_call,
    track_wait,
};
use serde_json::Value;
use tokio::{
    sync::{Mutex, Semaphore},
    time::sleep,
};
use tower::ServiceExt as _;

use crate::support::{Samples, get as fetch, monitor};

const MS: Duration = Duration::from_millis(1);

fn app(monitor: &Monitor, routes: Router) -> Router {
    routes.layer(monitor.layer()).merge(monitor.router())
}

/// Returns the endpoint as `/performance/endpoints` shows it.
async fn endpoint(app: &Router, name: &str) -> Value {
    let (_, body) = fetch(app, "/performance/endpoints").await;
    let all: Value = serde_json::from_str(&body).expect("JSON");
    let endpoints = all["endpoints"].as_array().expect("a list");
    endpoints.iter().find(|one| one["endpoint"] == name).unwrap_or_else(|| panic!("no {name} in {all:#}")).clone()
}

#[track_caller]
fn percents(endpoint: &Value, expected: &[(&str, f64)]) {
    const PARTS: [&str; 8] = [
        "late_time_percent",
        "client_time_percent",
        "call_time_percent",
        "tracked_wait_percent",
        "db_time_percent",
        "task_time_percent",
        "busy_time_percent",
        "waiting_time_percent",
    ];
    for part in PARTS {
        let found = endpoint[part].as_f64().unwrap_or_else(|| panic!("no {part} in {endpoint:#}"));
        let wanted = expected.iter().find(|(name, _)| *name == part).map_or(0.0, |(_, percent)| *percent);
        // The clock stands still but for sleeps; the time inside poll is real, and longer where a neighbour takes the processor.
        assert!((found - wanted).abs() < 3.0, "{part} is {found}, not {wanted}, in {endpoint:#}");
    }
}

async fn answer() -> Result<u16, std::io::Error> {
    sleep(200 * MS).await;
    Ok(503)
}

#[tokio::test(start_paused = true)]
async fn a_request_knows_what_it_waited_for() {
    let monitor = monitor();
    let lock = Arc::new(Mutex::new(()));
    let permits = Arc::new(Semaphore::new(1));
    let handler = move || async move {
        let call = track_http_call("POST", "https://user:secret@pay.example:8443/charge?card=tok_visa", answer());
        let status = call.status(|status| *status).await.expect("it answers");
        assert_eq!(status, 503);
        let guard = track_hold("lock", "inventory", lock.lock()).await;
        sleep(100 * MS).await;
        drop(guard);
        track_wait("rate limit", "pay", sleep(300 * MS)).await;
        let permit = track_hold("semaphore", "exports", permits.acquire()).await.transpose().expect("it is open");
        drop(permit);
        sleep(400 * MS).await;
    };
    let app = app(&monitor, Router::new().route("/checkout", get(handler)));
    fetch(&app, "/checkout").await;
    let found = endpoint(&app, "GET /checkout").await;
    let expected = [("call_time_percent", 20.0), ("tracked_wait_percent", 30.0), ("waiting_time_percent", 50.0)];
    percents(&found, &expected);

    let samples = Samples::of(&monitor);
    let call = ["http_request_method=\"POST\"", "server_address=\"pay.example\"", "server_port=\"8443\"", "\"503\""];
    assert_eq!(samples.sum("http_client_request_duration_seconds_count", &call), 1.0, "{samples:?}");
    let inventory = ["wait_kind=\"lock\"", "wait_name=\"inventory\""];
    assert_eq!(samples.sum("pinchpoint_wait_duration_seconds_count", &inventory), 1.0);
    assert!((samples.sum("pinchpoint_hold_duration_seconds_sum", &inventory) - 0.1).abs() < 0.01);
    assert_eq!(samples.sum("pinchpoint_waiting", &[]), 0.0);
    let text = monitor.recorder().render();
    assert!(["secret", "tok_visa", "/charge"].iter().all(|hidden| !text.contains(hidden)), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_queue_for_a_lock_is_a_wait_for_it() {
    let monitor = monitor();
    let lock = Arc::new(Mutex::new(()));
    let handler = move || async move {
        let _guard = track_hold("lock", "inventory", lock.lock()).await;
        sleep(100 * MS).await;
    };
    let app = app(&monitor, Router::new().route("/buy", get(handler)));
    let requests = (0..4).map(|_| fetch(&app, "/buy"));
    futures_util::future::join_all(requests).await;
    // 0 + 100 + 200 + 300 ms of waiting, 4 × 100 ms of sleeping.
    percents(&endpoint(&app, "GET /buy").await, &[("tracked_wait_percent", 60.0), ("waiting_time_percent", 40.0)]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_given_up_is_cancelled() {
    let monitor = monitor();
    let handler = || async {
        let never = track_wait("channel", "orders", std::future::pending::<()>());
        let _ = tokio::time::timeout(100 * MS, never).await;
    };
    let app = app(&monitor, Router::new().route("/poll", get(handler)));
    fetch(&app, "/poll").await;
    percents(&endpoint(&app, "GET /poll").await, &[("tracked_wait_percent", 100.0)]);
    let samples = Samples::of(&monitor);
    let cancelled = ["wait_kind=\"channel\"", "error_type=\"cancelled\""];
    assert_eq!(samples.sum("pinchpoint_wait_duration_seconds_count", &cancelled), 1.0);
}

/// A body whose pieces come one after the other, each after a pause.
fn pieces(count: usize, pause: Duration) -> Body {
    let frames = futures_util::stream::unfold(count, move |left| async move {
        let left = left.checked_sub(1)?;
        sleep(pause).await;
        Some((Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(b"piece"))), left))
    });
    Body::new(StreamBody::new(Box::pin(frames)))
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_trickles_in_is_the_clients_time() {
    let monitor = monitor();
    let handler = |body: Bytes| async move {
        sleep(100 * MS).await;
        body.len().to_string()
    };
    let app = app(&monitor, Router::new().route("/upload", post(handler)));
    let request = Request::post("/upload").body(pieces(40, 10 * MS)).expect("a request");
    let response = app.clone().oneshot(request).await.expect("a router never fails");
    assert_eq!(response.into_body().collect().await.expect("a body").to_bytes(), "200");
    let found = endpoint(&app, "POST /upload").await;
    percents(&found, &[("client_time_percent", 80.0), ("waiting_time_percent", 20.0)]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_told_from_a_slow_producer() {
    let monitor = monitor();
    let routes = Router::new()
        .route("/read", get(|| async { pieces(10, MS) }))
        .route("/produce", get(|| async { pieces(10, 50 * MS) }));
    let app = app(&monitor, routes);
    for (path, pause) in [("/read", 49 * MS), ("/produce", Duration::ZERO)] {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let mut body = app.clone().oneshot(request).await.expect("a router never fails").into_body();
        while body.frame().await.is_some() {
            sleep(pause).await;
        }
    }
    percents(&endpoint(&app, "GET /read").await, &[("client_time_percent", 98.0), ("waiting_time_percent", 2.0)]);
    percents(&endpoint(&app, "GET /produce").await, &[("waiting_time_percent", 100.0)]);
}

#[tokio::test]
async fn work_on_a_blocking_thread_counts_for_its_request() {
    let monitor = monitor();
    let handler = || async {
        spawn_blocking(|| std::thread::sleep(100 * MS)).await.expect("no panic");
        tokio::spawn(in_current_request(track_wait("lock", "a", async {}))).await.expect("no panic");
    };
    let app = app(&monitor, Router::new().route("/hash", get(handler)));
    fetch(&app, "/hash").await;
    let found = endpoint(&app, "GET /hash").await;
    assert!(found["tracked_wait_percent"].as_f64().is_some_and(|percent| percent > 60.0), "{found:#}");
    let samples = Samples::of(&monitor);
    for kind in ["wait_kind=\"thread_pool\"", "wait_kind=\"blocking\""] {
        let name = "wait_name=\"tests/integration/parts.rs:";
        assert_eq!(samples.sum("pinchpoint_wait_duration_seconds_count", &[kind, name]), 1.0, "{samples:?}");
    }
    assert!(samples.sum("pinchpoint_wait_duration_seconds_sum", &["wait_kind=\"blocking\""]) >= 0.1);
}

/// A handler that another one keeps from the only worker is late, whatever it was woken by.
#[tokio::test]
async fn what_could_go_on_and_was_not_polled_is_late() {
    let monitor = monitor();
    let routes = Router::new()
        .route("/waits", get(|| track_wait("lock", "a", sleep(20 * MS))))
        .route("/blocks", get(|| async { std::thread::sleep(200 * MS) }));
    let app = app(&monitor, routes);
    // The first request that waits tells that those of this endpoint do.
    fetch(&app, "/waits").await;
    let (_, late, _) = tokio::join!(fetch(&app, "/waits"), fetch(&app, "/waits"), async {
        sleep(MS).await;
        fetch(&app, "/blocks").await
    });
    assert_eq!(late.0, 200);
    let found = endpoint(&app, "GET /waits").await;
    let percent = |part: &str| found[part].as_f64().expect("a number");
    assert!(percent("late_time_percent") > 70.0, "{found:#}");
    assert!(percent("tracked_wait_percent") < 30.0, "not the lock's: {found:#}");
}

#[tokio::test(start_paused = true)]
async fn requests_that_never_end_are_seen_and_are_no_good_news() {
    let monitor = monitor();
    let routes = Router::new()
        .route("/stuck/{n}", get(|| track_wait("channel", "answers", std::future::pending::<()>())))
        .route("/quick", get(|| async {}));
    let app = app(&monitor, routes);
    for number in 0..12 {
        let app = app.clone();
        tokio::spawn(async move { fetch(&app, &format!("/stuck/{number}")).await });
    }
    for _ in 0..40 {
        fetch(&app, "/quick").await;
        sleep(1000 * MS).await;
    }
    let stuck = endpoint(&app, "GET /stuck/{n}").await;
    assert_eq!((&stuck["active_requests"], &stuck["request_count"]), (&Value::from(12), &Value::from(0)));
    assert!(stuck["oldest_active_seconds"].as_f64().is_some_and(|oldest| oldest >= 34.0), "{stuck:#}");
    let (_, health) = fetch(&app, "/performance/health").await;
    assert!(!health.contains("excellent"), "{health}");
    assert_eq!(endpoint(&app, "GET /quick").await["oldest_active_seconds"], 0.0);
}

/// Returns the numbers of the evidence of the only finding of a kind.
async fn numbers(app: &Router, kind: &str) -> Value {
    let (_, body) = fetch(app, "/performance/bottlenecks?evidence=full").await;
    let found: Value = serde_json::from_str(&body).expect("JSON");
    let list = found["bottlenecks"].as_array().expect("a list");
    let of_kind = list.iter().find(|one| one["type"] == kind);
    of_kind.unwrap_or_else(|| panic!("no {kind} in {found:#}"))["evidence"]["numbers"].clone()
}

#[tokio::test(start_paused = true)]
async fn the_very_same_statement_again_is_a_repeat_where_its_text_is_all_of_it() {
    async fn query(sql: String) {
        let work = async {
            sleep(2 * MS).await;
            Ok::<_, std::io::Error>(())
        };
        track_db_query(sql, work).await.expect("it never fails");
    }
    for (statement, ratio) in [
        ("SELECT * FROM settings WHERE user_id = 7", 0.9),
        ("SELECT * FROM settings WHERE user_id = {}", 0.0),
        ("SELECT * FROM settings WHERE user_id = $1", 0.0),
    ] {
        let monitor = monitor();
        let handler = move || async move {
            for number in 0..10 {
                query(statement.replace("{}", &number.to_string())).await;
            }
        };
        let app = app(&monitor, Router::new().route("/page", get(handler)));
        for _ in 0..10 {
            fetch(&app, "/page").await;
        }
        sleep(40_000 * MS).await;
        let numbers = numbers(&app, "n_plus_one").await;
        assert_eq!(numbers["repeat_ratio"], ratio, "{statement}: {numbers:#}");
        assert_eq!(numbers["max_at_once"], 1, "{statement}");
    }
}

/// A run in the background has parts of its own; inside a request what it does counts for both.
#[tokio::test(start_paused = true)]
async fn the_time_of_a_task_is_divided_as_that_of_a_request_is() {
    async fn rebuild() -> Result<(), std::io::Error> {
        let read = async {
            sleep(300 * MS).await;
            Ok::<_, std::io::Error>(())
        };
        track_db_query("SELECT * FROM orders", read).await?;
        track_wait("lock", "index", sleep(200 * MS)).await;
        sleep(500 * MS).await;
        Ok(())
    }
    let monitor = monitor();
    let handler = || async {
        track_async_task("rebuild", rebuild()).await.expect("it never fails");
        // Alone in a task of its own, and still for the request.
        tokio::spawn(in_current_request(track_async_task("rebuild", rebuild())))
            .await
            .expect("no panic")
            .expect("it never fails");
    };
    let app = app(&monitor, Router::new().route("/index", get(handler)));
    for _ in 0..5 {
        fetch(&app, "/index").await;
    }
    let found = endpoint(&app, "GET /index").await;
    percents(&found, &[("db_time_percent", 30.0), ("tracked_wait_percent", 20.0), ("task_time_percent", 50.0)]);
    sleep(40_000 * MS).await;
    let numbers = numbers(&app, "slow_task").await;
    for (part, expected) in [("db_time_ratio", 0.3), ("lock_time_ratio", 0.2), ("waiting_ratio", 0.5)] {
        let ratio = numbers[part].as_f64().unwrap_or_else(|| panic!("no {part} in {numbers:#}"));
        assert!((ratio - expected).abs() < 0.01, "{part} is {ratio}, not {expected}");
    }
}
