//! The evidence of bottlenecks in the API: the parts of the time, blocked workers, work for clients that went away.

use std::{future::poll_fn, task::Poll, time::Duration};

use axum::{
    Router,
    body::Body,
    routing::{get, post},
};
use http::{Request, StatusCode};
use pinchpoint::{Monitor, in_current_request, track_async_task, track_db_query};
use serde_json::Value;
use tokio::time::sleep;
use tower::ServiceExt as _;

use crate::support::{built, get as fetch, monitor, send};

const MS: Duration = Duration::from_millis(1);

async fn query(sql: &'static str, took: Duration) {
    let work = async {
        sleep(took).await;
        Ok::<_, std::io::Error>(())
    };
    track_db_query(sql, work).await.expect("it never fails");
}

async fn task(name: &'static str, work: impl Future<Output = ()>) {
    let work = async {
        work.await;
        Ok::<_, std::io::Error>(())
    };
    track_async_task(name, work).await.expect("it never fails");
}

async fn json(app: &Router, path: &str) -> Value {
    let (status, body) = fetch(app, path).await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).expect("JSON")
}

/// Returns the only bottleneck of a kind.
async fn bottleneck(app: &Router, kind: &str) -> Value {
    let found = json(app, "/performance/bottlenecks?evidence=full").await;
    let list = found["bottlenecks"].as_array().expect("a list");
    list.iter().find(|one| one["type"] == kind).unwrap_or_else(|| panic!("no {kind} in {found:#}")).clone()
}

/// The same on the real clock, once it is found with what was measured beside it.
async fn eventually(app: &Router, kind: &str) -> Value {
    for _ in 0..600 {
        let found = json(app, "/performance/bottlenecks?evidence=full").await;
        let list = found["bottlenecks"].as_array().expect("a list");
        let lag = |one: &Value| one.pointer("/evidence/numbers/max_scheduling_lag").and_then(Value::as_f64);
        let is_whole = |one: &&Value| one["type"] == kind && lag(one).is_some_and(|lag| lag > 0.0);
        if let Some(one) = list.iter().find(is_whole) {
            return one.clone();
        }
        sleep(100 * MS).await;
    }
    bottleneck(app, kind).await
}

fn number(value: &Value, pointer: &str) -> f64 {
    value.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {pointer} in {value:#}"))
}

#[track_caller]
fn near(value: &Value, pointer: &str, expected: f64) {
    let found = number(value, pointer);
    assert!((found - expected).abs() < 0.02 * expected.max(0.5), "{pointer}: {found} is not {expected} in {value:#}");
}

fn app(monitor: &Monitor, routes: Router) -> Router {
    routes.layer(monitor.layer()).merge(monitor.router())
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_slow_endpoint_adds_up_whatever_runs_at_once() {
    let monitor = monitor();
    let handler = || async {
        // 600 ms of the request, 1,000 ms of queries.
        tokio::join!(query("SELECT a", 600 * MS), query("SELECT b", 400 * MS));
        // 300 ms, of which 100 ms are the query's.
        task("mail", query("SELECT c", 100 * MS)).await;
        task("mail", sleep(200 * MS)).await;
        sleep(300 * MS).await;
    };
    let app = app(&monitor, Router::new().route("/slow", get(handler)));
    for _ in 0..10 {
        fetch(&app, "/slow").await;
    }
    sleep(Duration::from_secs(40)).await;
    let slow = bottleneck(&app, "slow_endpoint").await;
    let split = &slow["evidence"]["time_split"];
    let parts = ["/database", "/tasks", "/busy", "/waiting"].map(|part| number(split, part));
    assert!((parts.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{split}");
    near(split, "/database", 700.0 / 1200.0);
    near(split, "/tasks", 200.0 / 1200.0);
    near(split, "/waiting", 300.0 / 1200.0);
    let queries = slow["evidence"]["top_queries"].as_array().expect("a list");
    let shares: f64 = queries.iter().map(|query| number(query, "/time_ratio")).sum();
    assert!((shares - 700.0 / 1200.0).abs() < 0.01, "the queries share the time of the database: {shares}");
    assert_eq!((&queries[0]["query"], number(&queries[0], "/calls_per_request")), (&Value::from("SELECT a"), 1.0));
    let detail = json(&app, "/performance/endpoints/GET%20%2Fslow").await;
    let percents =
        ["db", "task", "busy", "waiting"].map(|part| number(&detail, &format!("/endpoints/0/{part}_time_percent")));
    assert!((percents.iter().sum::<f64>() - 100.0).abs() < 0.01, "{percents:?}");
    let timeline = slow["evidence"]["slowest_requests"][0]["timeline"].as_array().expect("a list");
    let kinds: Vec<_> = timeline.iter().map(|event| event["name"].as_str().expect("a name")).collect();
    assert_eq!(kinds.len(), 5, "{kinds:?}");
    assert_eq!(number(&slow["evidence"]["slowest_requests"][0], "/duration_ms").round(), 1200.0);
}

#[tokio::test(start_paused = true)]
async fn a_query_of_two_hundred_calls_counts_them_all() {
    let monitor = monitor();
    let handler = || async {
        query("SELECT * FROM orders", MS).await;
        for _ in 0..200 {
            query("SELECT * FROM items WHERE order_id = 7", MS).await;
        }
    };
    let app = app(&monitor, Router::new().route("/orders", get(handler)));
    for _ in 0..5 {
        fetch(&app, "/orders").await;
    }
    sleep(Duration::from_secs(40)).await;
    let found = bottleneck(&app, "n_plus_one").await;
    assert_eq!(number(&found, "/value"), 200.0);
    assert_eq!(found["evidence"]["endpoints"][0]["endpoint"], "GET /orders");
    near(&found["evidence"]["endpoints"][0], "/endpoint_time_ratio", 400.0 / 402.0);
}

#[tokio::test(start_paused = true)]
async fn errors_come_with_their_shares_and_times() {
    let monitor = monitor();
    let app = app(
        &monitor,
        Router::new().route(
            "/pay/{n}",
            post(|axum::extract::Path(number): axum::extract::Path<u32>| async move {
                match number % 10 {
                    0..=5 => StatusCode::OK,
                    6..=8 => StatusCode::BAD_GATEWAY,
                    _ => StatusCode::SERVICE_UNAVAILABLE,
                }
            }),
        ),
    );
    let began = jiff::Timestamp::now();
    for round in 0..8 {
        for number in 0..10 {
            // The last kind is seen in the first two rounds only.
            let number = if round >= 2 && number == 9 { 0 } else { number };
            send(&app, "POST", &format!("/pay/{number}")).await;
        }
        sleep(Duration::from_secs(10)).await;
    }
    let found = bottleneck(&app, "high_error_rate").await;
    assert_eq!(found["evidence"]["words"]["top_error"], "502");
    let outcomes = found["evidence"]["outcomes"].as_array().expect("a list");
    let of = |name: &str| outcomes.iter().find(|one| one["outcome"] == name).expect(name);
    assert_eq!((number(of("502"), "/count"), number(of("502"), "/ratio")), (24.0, 0.3));
    let seconds = |outcome: &str, field: &str| {
        let at: jiff::Timestamp = of(outcome)[field].as_str().expect("a time").parse().expect("RFC 3339");
        at.as_second() - began.as_second()
    };
    // The answer's times are wall-clock times, and the wall clock hardly moved here; the distances between them come
    // from tokio's paused clock.
    let spans = ["502", "503"].map(|outcome| seconds(outcome, "last_seen") - seconds(outcome, "first_seen"));
    assert!((60..=75).contains(&spans[0]) && (4..=12).contains(&spans[1]), "{spans:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_query_is_slow_always_or_rarely() {
    let monitor = monitor();
    let routes = Router::new().route("/always", get(|| query("SELECT always", 150 * MS))).route(
        "/now_and_then/{n}",
        get(|axum::extract::Path(number): axum::extract::Path<u32>| {
            query("SELECT sometimes", if number % 20 == 0 { 4000 * MS } else { MS })
        }),
    );
    let app = app(&monitor, routes);
    for number in 0..60 {
        fetch(&app, "/always").await;
        fetch(&app, &format!("/now_and_then/{number}")).await;
    }
    sleep(Duration::from_secs(40)).await;
    let found = json(&app, "/performance/bottlenecks?evidence=full").await;
    let of = |subject: &str| {
        let list = found["bottlenecks"].as_array().expect("a list");
        let one = list.iter().find(|one| one["type"] == "slow_query" && one["subject"] == subject);
        one.unwrap_or_else(|| panic!("no {subject} in {found:#}")).clone()
    };
    let (always, sometimes) = (of("SELECT always"), of("SELECT sometimes"));
    assert_eq!(always["evidence"]["words"]["slowness"], "always");
    assert_eq!(number(&always, "/evidence/numbers/over_threshold_ratio"), 1.0);
    assert_eq!(sometimes["evidence"]["words"]["slowness"], "rarely");
    near(&sometimes, "/evidence/numbers/over_threshold_ratio", 0.05);
    let advice = |one: &Value| one["recommendations"].to_string();
    assert_eq!(always["cause"]["kind"], "slow_plan");
    assert!(always["cause"]["because"].to_string().contains("every call is slow"), "{always:#}");
    assert!(advice(&sometimes).contains("only now and then") && !advice(&sometimes).contains("every call is slow"));
}

#[tokio::test(start_paused = true)]
async fn a_task_is_split_into_running_and_waiting_and_a_stuck_one_is_listed() {
    let monitor = monitor();
    let routes = Router::new().route("/mail", post(|| task("mail", sleep(700 * MS)))).route(
        "/stuck",
        post(|| async { drop(tokio::spawn(in_current_request(task("import", std::future::pending())))) }),
    );
    let app = app(&monitor, routes);
    for _ in 0..5 {
        send(&app, "POST", "/mail").await;
    }
    send(&app, "POST", "/stuck").await;
    sleep(Duration::from_secs(40)).await;
    send(&app, "POST", "/stuck").await;
    let slow = bottleneck(&app, "slow_task").await;
    near(&slow, "/evidence/numbers/waiting_ratio", 1.0);
    assert_eq!(slow["cause"]["kind"], "untracked_wait", "{slow:#}");
    sleep(Duration::from_secs(300)).await;
    let stuck = bottleneck(&app, "stuck_task").await;
    assert_eq!((&stuck["subject"], &stuck["severity"]), (&Value::from("import"), &Value::from("medium")));
    let running = stuck["evidence"]["running"].as_array().expect("a list");
    assert_eq!(running.len(), 2);
    let ages: Vec<_> = running.iter().map(|run| number(run, "/running_seconds")).collect();
    assert!(ages[0] - ages[1] >= 39.9 && ages[0] >= 339.9, "{ages:?}");
    let exposed = crate::support::Samples::of(&monitor).sum("pinchpoint_task_oldest_active_seconds", &["import"]);
    assert!((330.0..=345.0).contains(&exposed), "{exposed}");
}

/// Runs on the real clock: tokio's paused clock does not advance inside a poll.
#[tokio::test]
async fn a_task_that_computes_is_busy() {
    let monitor = built(Monitor::builder().evaluation_interval(100 * MS));
    // So long that what a busy machine adds outside of it is little.
    let hash = || async { std::thread::sleep(100 * MS) };
    let app = app(&monitor, Router::new().route("/hash", get(move || task("hash", hash()))));
    for _ in 0..3 {
        fetch(&app, "/hash").await;
    }
    let detail = json(&app, "/performance/endpoints/GET%20%2Fhash").await;
    assert!(number(&detail, "/endpoints/0/task_time_percent") > 90.0, "{detail:#}");
    assert!(
        number(&detail, "/endpoints/0/busy_time_percent") < 10.0,
        "what is inside a task is the task's: {detail:#}"
    );
}

#[tokio::test]
async fn an_endpoint_that_blocks_the_runtime_is_named_with_those_that_waited() {
    let directory = tempfile::tempdir().expect("a directory");
    let rule = "rules:\n  - id: blocked\n    scope: endpoint\n    measure: p95_longest_poll\n    min_samples: 2\n    \
                for: 0s\n    thresholds: { high: '> 20ms' }\n    description: '{subject} blocks'\n";
    std::fs::write(directory.path().join("rules.yaml"), rule).expect("writable");
    let monitor = built(Monitor::builder().rules_dir(directory.path()).evaluation_interval(100 * MS));
    // They wait until the others have blocked, however long that takes.
    let over = std::sync::Arc::new(tokio::sync::Notify::new());
    let waits = over.clone();
    let routes = Router::new()
        .route("/hash", get(|| async { std::thread::sleep(40 * MS) }))
        .route("/wait", get(move || async move { waits.notified().await }));
    let app = app(&monitor, routes);
    let began = std::time::Instant::now();
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let app = app.clone();
            tokio::spawn(async move { fetch(&app, "/wait").await })
        })
        .collect();
    tokio::task::yield_now().await;
    for _ in 0..2 {
        fetch(&app, "/hash").await;
    }
    let took = began.elapsed().as_secs_f64();
    over.notify_waiters();
    for one in waiting {
        one.await.expect("no panic");
    }
    let found = eventually(&app, "blocked").await;
    let blocker = &found["evidence"]["blockers"][0];
    assert_eq!((&blocker["endpoint"], number(blocker, "/polls")), (&Value::from("GET /hash"), 2.0));
    assert_eq!((number(blocker, "/others_in_flight"), number(blocker, "/max_others_in_flight")), (3.0, 3.0));
    assert_eq!(blocker["waited"], serde_json::json!([{ "endpoint": "GET /wait", "times": 2 }]), "{blocker}");
    assert_eq!(found["evidence"]["words"]["top_waiting"], "GET /wait");
    assert!((0.08..took).contains(&number(blocker, "/total_seconds")), "{blocker} of {took} s");
    assert!(number(&found, "/evidence/numbers/max_scheduling_lag") > 0.0);
}

/// Polls a request once and drops it, like a client that disconnects.
async fn abandon(app: &Router, path: &str, after: Duration) {
    let request = Request::get(path).body(Body::empty()).expect("a request");
    let mut response = Box::pin(app.clone().oneshot(request));
    poll_fn(|cx| {
        assert!(response.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    assert!(tokio::time::timeout(after, &mut response).await.is_err(), "the request is under way");
}

#[tokio::test(start_paused = true)]
async fn work_for_clients_that_went_away_is_counted() {
    let monitor = monitor();
    let handler = || async {
        query("SELECT fast", 50 * MS).await;
        query("SELECT slow", 950 * MS).await;
    };
    let app = app(&monitor, Router::new().route("/search", get(handler)));
    for _ in 0..15 {
        fetch(&app, "/search").await;
        abandon(&app, "/search", 500 * MS).await;
    }
    sleep(Duration::from_secs(40)).await;
    let found = bottleneck(&app, "wasted_work").await;
    assert_eq!(found["severity"], "low");
    near(&found, "/value", 7.5 / 22.5);
    near(&found, "/evidence/numbers/wasted_time", 7.5);
    near(&found, "/evidence/numbers/wasted_db_time", 7.5);
    assert_eq!(number(&found, "/evidence/numbers/wasted_queries"), 30.0);
    assert!(
        found["recommendations"]
            .to_string()
            .contains("30 queries took 7.5s for requests that ended before their answer")
    );
}

#[tokio::test(start_paused = true)]
async fn requests_that_never_end_count_as_active() {
    let monitor = monitor();
    let hang = |axum::extract::Path(number): axum::extract::Path<u32>| async move {
        if number > 0 {
            sleep(2000 * MS).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    let app = app(&monitor, Router::new().route("/hang/{n}", get(hang)));
    let hanging: Vec<_> = (0..7)
        .map(|_| {
            let app = app.clone();
            tokio::spawn(async move { fetch(&app, "/hang/0").await })
        })
        .collect();
    for _ in 0..6 {
        fetch(&app, "/hang/1").await;
    }
    sleep(Duration::from_secs(40)).await;
    let found = bottleneck(&app, "slow_endpoint").await;
    assert_eq!(number(&found, "/evidence/numbers/active"), 7.0);
    assert!(number(&found, "/evidence/numbers/in_flight") < 1.0, "an average over requests that ended");
    hanging.iter().for_each(tokio::task::JoinHandle::abort);
    // For longer than the rule's `for`: the aborted requests make it another severity.
    sleep(Duration::from_secs(40)).await;
    let found = bottleneck(&app, "slow_endpoint").await;
    assert_eq!(number(&found, "/evidence/numbers/active"), 0.0, "{found:#}");
}
