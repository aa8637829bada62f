//! What the rules read is on `/metrics`, so that Prometheus can compute the same.

use std::{future::pending, time::Duration};

use axum::{Router, routing::get};
use pinchpoint::{Monitor, track_async_task, track_db_query};
use serde_json::Value;
use tokio::time::sleep;

use crate::support::{Samples, built, get as fetch, send};

const SLOW: &str = "SELECT name FROM users WHERE id = 1";

async fn query(sql: &str, millis: u64) {
    let work = async {
        sleep(Duration::from_millis(millis)).await;
        Ok::<_, std::io::Error>(())
    };
    track_db_query(sql, work).await.expect("it never fails");
}

/// A route with three queries and a task a request, one whose requests never end, and one with as many statements as letters.
fn service(monitor: &Monitor) -> Router {
    let report = || async {
        for _ in 0..3 {
            query(SLOW, 20).await;
        }
        let task = async {
            sleep(Duration::from_millis(50)).await;
            Ok::<_, std::io::Error>(())
        };
        track_async_task("render", task).await.expect("it never fails");
        sleep(Duration::from_millis(100)).await;
    };
    let many = || async {
        for letter in 'a'..='j' {
            query(&format!("SELECT x FROM table_{letter}"), if letter == 'j' { 500 } else { 1 }).await;
        }
    };
    let routes = Router::new().route("/report", get(report)).route("/stuck", get(pending::<()>));
    routes.route("/many", get(many)).layer(monitor.layer()).merge(monitor.router())
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 0.01 * expected, "{found} and not {expected}");
}

#[tokio::test(start_paused = true)]
async fn what_the_rules_compute_can_be_computed_from_the_page() {
    let monitor = built(Monitor::builder());
    let app = service(&monitor);
    let stuck = tokio::spawn({
        let app = app.clone();
        async move { fetch(&app, "/stuck").await }
    });
    for _ in 0..10 {
        fetch(&app, "/report").await;
    }
    sleep(Duration::from_secs(10)).await;
    let samples = Samples::of(&monitor);
    let report = |name: &str, label: &str| samples.sum(name, &["http_route=\"/report\"", label]);

    close(report("pinchpoint_endpoint_part_seconds_total", "part=\"db\""), 0.6);
    close(report("pinchpoint_endpoint_part_seconds_total", "part=\"task\""), 0.5);
    close(report("http_server_request_duration_seconds_sum", ""), 2.1);
    close(report("pinchpoint_endpoint_query_calls_total", ""), 30.0);
    close(report("pinchpoint_endpoint_query_requests_total", ""), 10.0);
    close(report("pinchpoint_endpoint_query_seconds_total", ""), 0.6);
    close(samples.sum("pinchpoint_task_request_seconds_total", &["task_name=\"render\""]), 0.5);
    assert_eq!(samples.sum("pinchpoint_endpoint_active_requests", &["http_route=\"/stuck\""]), 1.0);
    assert!(samples.sum("pinchpoint_endpoint_oldest_active_seconds", &["http_route=\"/stuck\""]) >= 5.0);
    stuck.abort();
}

#[tokio::test(start_paused = true)]
async fn thresholds_in_force_are_on_the_page() {
    let rules = tempfile::tempdir().expect("a directory");
    let write = |limit: &str| {
        let rule = format!(
            "rules:\n  - id: slow\n    scope: endpoint\n    measure: avg_duration\n    \
             thresholds: {{ high: \"> {limit}\" }}\n    description: x\n"
        );
        std::fs::write(rules.path().join("slow.yaml"), rule).expect("writes");
    };
    write("300ms");
    let monitor = built(Monitor::builder().rules_dir(rules.path()));
    let line = |value: f64| {
        let samples = Samples::of(&monitor);
        samples.all().any(|line| line == ("pinchpoint_rule_threshold{rule=\"slow\",severity=\"high\"}", value))
    };
    assert!(line(0.3), "from the start, before the first evaluation");
    write("2s");
    sleep(Duration::from_secs(15)).await;
    assert!(line(2.0));
}

#[tokio::test(start_paused = true)]
async fn statements_past_the_limit_of_pairs_count_as_other_and_the_expensive_one_is_shown() {
    let monitor = built(Monitor::builder().max_pairs(3));
    let app = service(&monitor);
    let calls = || {
        let samples = Samples::of(&monitor);
        let name = "pinchpoint_endpoint_query_calls_total";
        let labels = ["http_route=\"/many\"", "db_query_id=\"other\""];
        (samples.series(name, &labels[..1]).count(), samples.sum(name, &labels), samples.sum(name, &[]))
    };
    fetch(&app, "/many").await;
    assert_eq!(calls(), (4, 7.0, 10.0));
    for _ in 0..3 {
        sleep(Duration::from_secs(5)).await;
        let before = calls();
        fetch(&app, "/many").await;
        let now = calls();
        assert_eq!((now.0, now.2 - before.2), (4, 10.0), "each call counts once");
        assert!(now.1 >= before.1);
    }
    let samples = Samples::of(&monitor);
    let shown = samples.series("pinchpoint_endpoint_query_seconds_total", &["http_route=\"/many\""]);
    let largest = shown.filter(|(series, _)| !series.contains("other")).map(|(_, seconds)| seconds).fold(0.0, f64::max);
    assert!(largest >= 0.5, "the slow statement is shown: {largest}");
    let (_, answer) = send(&app, "GET", "/performance/endpoints/many").await;
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert!(answer.to_string().contains("table_j"), "the findings see every pair: {answer}");
}
