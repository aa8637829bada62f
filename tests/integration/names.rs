//! Names that are made up at run time: they never blind the monitor, and places that no window needs are given back.

use std::time::Duration;

use axum::{Router, routing::get};
use pinchpoint::{Monitor, MonitorBuilder, track_async_task, track_db_query};
use tokio::time::sleep;

use crate::support::{Samples, built, get as fetch};

const LIMIT: usize = 100;

async fn query(sql: &str, took: Duration) {
    let work = async {
        sleep(took).await;
        Ok::<_, std::io::Error>(())
    };
    track_db_query(sql, work).await.expect("it never fails");
}

/// A statement of its own for each number: the name of a table is no literal.
fn throw_away(number: usize) -> String {
    let letters: String = number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
    format!("SELECT x FROM report_{letters}")
}

/// Returns a monitor and a service whose route makes `n` throw-away statements, or a slow one.
fn service(builder: MonitorBuilder) -> (Monitor, Router) {
    let monitor = built(builder.max_fingerprints(LIMIT));
    let routes = Router::new()
        .route(
            "/throw-away/{from}",
            get(|from: axum::extract::Path<usize>| async move {
                for number in *from..*from + 100 {
                    query(&throw_away(number), Duration::ZERO).await;
                    let task = async { Ok::<_, std::io::Error>(()) };
                    track_async_task(&throw_away(number), task).await.expect("it never fails");
                }
            }),
        )
        .route("/slow", get(|| async { query("SELECT slow FROM orders", Duration::from_millis(700)).await }));
    let app = routes.layer(monitor.layer()).merge(monitor.router());
    (monitor, app)
}

async fn finds_the_slow_query(app: &Router) -> bool {
    let (_, found) = fetch(app, "/performance/bottlenecks").await;
    found.contains("SELECT slow FROM orders")
}

#[tokio::test(start_paused = true)]
async fn a_thousand_statements_that_come_once_hide_no_slow_one() {
    let (_monitor, app) = service(Monitor::builder());
    for from in 0..10 {
        fetch(&app, &format!("/throw-away/{}", from * 100)).await;
    }
    for _ in 0..40 {
        fetch(&app, "/slow").await;
    }
    sleep(Duration::from_secs(30)).await;
    assert!(finds_the_slow_query(&app).await);
}

#[tokio::test(start_paused = true)]
async fn names_that_fill_the_table_give_their_places_back() {
    let (monitor, app) = service(Monitor::builder());
    // Each comes again and again, so that no place is left.
    for _ in 0..3 {
        for from in 0..10 {
            fetch(&app, &format!("/throw-away/{}", from * 100)).await;
        }
    }
    let series = |name: &str| Samples::of(&monitor).series(name, &[]).count();
    let queries = "db_client_operation_duration_seconds_count";
    assert_eq!((series(queries), series("pinchpoint_task_duration_seconds_count")), (LIMIT + 1, LIMIT + 1));
    assert_eq!(series("db_query_info"), LIMIT + 1);
    sleep(Duration::from_secs(400)).await;
    assert!(series(queries) <= LIMIT / 2 + 1, "{}", series(queries));
    assert_eq!(series("db_query_info"), series(queries), "the texts go with the statements");
    assert!(series("pinchpoint_task_duration_seconds_count") <= LIMIT / 2 + 1);
    let before = Samples::of(&monitor).calls("slow");
    for _ in 0..40 {
        fetch(&app, "/slow").await;
    }
    sleep(Duration::from_secs(30)).await;
    assert!(finds_the_slow_query(&app).await);
    assert_eq!((before.abs(), Samples::of(&monitor).calls("slow")), (0.0, 40.0), "counted from its first call");
    let (_, endpoints) = fetch(&app, "/performance/endpoints").await;
    assert!(endpoints.contains("/slow"), "{endpoints}");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_used_all_the_time_keeps_its_counters() {
    let (monitor, app) = service(Monitor::builder());
    for round in 0..60_usize {
        fetch(&app, "/slow").await;
        fetch(&app, &format!("/throw-away/{}", round * 100)).await;
        fetch(&app, &format!("/throw-away/{}", round * 100)).await;
        sleep(Duration::from_secs(20)).await;
    }
    let count = Samples::of(&monitor).calls("slow");
    assert_eq!(count, 60.0);
}

#[tokio::test(start_paused = true)]
async fn the_queries_of_an_endpoint_give_their_places_back() {
    // Three series for each query of an endpoint.
    let monitor = built(Monitor::builder().max_series(300));
    let routes = Router::new()
        .route(
            // A request counts the calls of its first 32 queries each.
            "/throw-away/{from}",
            get(|from: axum::extract::Path<usize>| async move {
                for number in *from..*from + 25 {
                    query(&throw_away(number), Duration::from_millis(1)).await;
                }
            }),
        )
        .route(
            "/many",
            get(|| async {
                for _ in 0..30 {
                    query("SELECT many FROM orders", Duration::from_millis(5)).await;
                }
            }),
        );
    let app = routes.layer(monitor.layer()).merge(monitor.router());
    for from in 0..4 {
        fetch(&app, &format!("/throw-away/{}", from * 25)).await;
    }
    let repeated = async || {
        for _ in 0..40 {
            fetch(&app, "/many").await;
        }
        sleep(Duration::from_secs(30)).await;
        let (_, found) = fetch(&app, "/performance/bottlenecks").await;
        found.contains("GET /many issues the same query 30 times in one request: SELECT many FROM orders")
    };
    assert!(!repeated().await, "folded into `other`");
    sleep(Duration::from_secs(400)).await;
    assert!(repeated().await);
}

/// A rule over an hour does not keep the places of an hour's names, and a name that comes again goes on counting.
#[tokio::test(start_paused = true)]
async fn a_long_window_keeps_no_places() {
    let rules = tempfile::tempdir().expect("a directory");
    let rule = "{ id: slow, scope: query, measure: avg_duration, window: 1h, thresholds: { high: \"> 100ms\" }, description: x }";
    std::fs::write(rules.path().join("hour.yaml"), format!("rules:\n  - {rule}\n")).expect("written");
    let (monitor, app) = service(Monitor::builder().rules_dir(rules.path()));
    for _ in 0..3 {
        for from in 0..10 {
            fetch(&app, &format!("/throw-away/{}", from * 100)).await;
        }
    }
    sleep(Duration::from_secs(400)).await;
    for _ in 0..40 {
        fetch(&app, "/slow").await;
    }
    fetch(&app, "/throw-away/0").await;
    sleep(Duration::from_secs(30)).await;
    assert!(finds_the_slow_query(&app).await);
    let count = Samples::of(&monitor).calls("SELECT x FROM report_a\"");
    assert_eq!(count, 4.0, "three times before and once after");
}
