//! Acknowledged findings: who may acknowledge, what is shown, what is not sent, and what a restart keeps.

use std::{path::Path, time::Duration};

use axum::{Router, body::Body};
use http::Request;
use pinchpoint::{Control, Monitor, MonitorBuilder};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::{
    api::json as answer_of,
    support::{built, prometheus::LOOKS, read},
};

/// Finds long queues at once.
const RULES: &str = r#"rules:
  - { id: long_queue, scope: metric, metric: queue_depth, measure: value, by: [queue], window: 5m, for: 0s, keep_firing_for: 0s,
      thresholds: { high: "> 10", critical: "> 100" }, description: "The queue {subject} has {value} entries" }
"#;

fn open(builder: MonitorBuilder, directory: &Path) -> (Monitor, Router) {
    std::fs::write(directory.join("queues.yaml"), RULES).expect("writes");
    let monitor = built(builder.rules_dir(directory).without_sampling());
    let app = monitor.router();
    (monitor, app)
}

async fn fill(monitor: &Monitor, entries: f64) {
    metrics::with_local_recorder(&monitor.recorder(), || {
        metrics::gauge!("queue_depth", "queue" => "mails").set(entries)
    });
    tokio::time::sleep(Duration::from_secs(6)).await;
}

/// Returns the one bottleneck that fires.
async fn bottleneck(app: &Router) -> Value {
    let answer = answer_of(app, "/performance/bottlenecks").await;
    assert_eq!(answer["total_count"], 1, "{answer}");
    answer["bottlenecks"][0].clone()
}

async fn acknowledge(app: &Router, method: &str, id: &str, body: impl Into<String>) -> (u16, Value) {
    let request = Request::builder().method(method).uri(format!("/performance/bottlenecks/{id}/acknowledge"));
    let request = request.body(Body::from(body.into())).expect("a request");
    let (status, body) = read(app.clone().oneshot(request).await.expect("a router never fails")).await;
    (status, serde_json::from_str(&body).expect("JSON"))
}

fn body(expires_in: &str) -> String {
    json!({ "by": "ana", "reason": "known", "expires_in": expires_in }).to_string()
}

#[tokio::test(start_paused = true)]
async fn an_acknowledged_finding_is_shown_as_such_until_it_expires_is_taken_back_or_gets_worse() {
    let directory = tempfile::tempdir().expect("a directory");
    let (monitor, app) = open(Monitor::builder().control(Control::Open), directory.path());
    fill(&monitor, 50.0).await;
    let before = bottleneck(&app).await;
    assert_eq!(before["acknowledged"], Value::Null);
    let id = before["id"].as_str().expect("an id").to_owned();
    let (status, answer) = acknowledge(&app, "POST", &id, body("1h")).await;
    assert_eq!((status, &answer["status"], &answer["type"]), (200, &json!("acknowledged"), &json!("long_queue")));
    let shown = bottleneck(&app).await;
    assert_eq!((&shown["acknowledged"]["by"], &shown["acknowledged"]["reason"]), (&json!("ana"), &json!("known")));
    assert_eq!((&shown["id"], &shown["severity"]), (&json!(id), &json!("high")));
    fill(&monitor, 500.0).await;
    let worse = bottleneck(&app).await;
    assert_eq!((&worse["severity"], &worse["acknowledged"]), (&json!("critical"), &Value::Null));
    fill(&monitor, 60.0).await;
    assert_eq!(bottleneck(&app).await["acknowledged"]["by"], "ana");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(bottleneck(&app).await["acknowledged"], Value::Null);
    acknowledge(&app, "POST", &id, json!({ "by": "ben", "reason": "again" }).to_string()).await;
    tokio::time::sleep(Duration::from_secs(23 * 3600)).await;
    assert_eq!(bottleneck(&app).await["acknowledged"]["by"], "ben", "a day is the default");
    let (status, answer) = acknowledge(&app, "DELETE", &id, "").await;
    assert_eq!(
        (status, &answer["status"], &answer["acknowledgement"]["by"]),
        (200, &json!("taken_back"), &json!("ben"))
    );
    assert_eq!(bottleneck(&app).await["acknowledged"], Value::Null);
    assert_eq!(acknowledge(&app, "DELETE", &id, "").await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn only_who_may_control_the_monitor_may_acknowledge() {
    let directory = tempfile::tempdir().expect("a directory");
    let (monitor, app) = open(Monitor::builder(), directory.path());
    fill(&monitor, 50.0).await;
    let id = bottleneck(&app).await["id"].as_str().expect("an id").to_owned();
    for method in ["POST", "DELETE"] {
        let (status, answer) = acknowledge(&app, method, &id, body("1h")).await;
        assert!(
            status == 403 && answer["error"].as_str().is_some_and(|error| error.contains("Control::token")),
            "{answer}"
        );
    }
    assert_eq!(bottleneck(&app).await["acknowledged"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_request_says_what_is_expected() {
    let directory = tempfile::tempdir().expect("a directory");
    let (monitor, app) = open(Monitor::builder().control(Control::Open), directory.path());
    fill(&monitor, 50.0).await;
    let id = bottleneck(&app).await["id"].as_str().expect("an id").to_owned();
    for (wrong, expected) in [
        (String::new(), "expected JSON such as"),
        (json!({ "by": "ana" }).to_string(), "missing field `reason`"),
        (json!({ "by": "ana", "reason": "x", "for": "1h" }).to_string(), "unknown field `for`"),
        (json!({ "by": " ", "reason": "x" }).to_string(), "by must have 1 to 100 characters"),
        (json!({ "by": "a\nb", "reason": "x" }).to_string(), "no control character"),
        (json!({ "by": "a", "reason": "x".repeat(1_001) }).to_string(), "reason must have 1 to 1000 characters"),
        (body("30s"), "expires_in must be a duration from 1m to 720h"),
        (body("soon"), "expires_in must be a duration"),
        ("x".repeat(20_000), "longer than 16 kB"),
    ] {
        let (status, answer) = acknowledge(&app, "POST", &id, wrong).await;
        assert!(
            status == 400 && answer["error"].as_str().is_some_and(|error| error.contains(expected)),
            "{expected}: {answer}"
        );
    }
    assert_eq!(acknowledge(&app, "POST", "0000", body("1h")).await.0, 404);
    assert_eq!(acknowledge(&app, "PUT", &id, body("1h")).await.0, 405);
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_survives_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let history = directory.path().join("history.redb");
    let builder = || Monitor::builder().control(Control::Open).history_file(&history);
    let (monitor, app) = open(builder(), directory.path());
    fill(&monitor, 50.0).await;
    let id = bottleneck(&app).await["id"].as_str().expect("an id").to_owned();
    acknowledge(&app, "POST", &id, body("4h")).await;
    let before = bottleneck(&app).await["acknowledged"].clone();
    monitor.shutdown().await;
    drop((monitor, app));
    let (monitor, app) = open(builder(), directory.path());
    fill(&monitor, 50.0).await;
    let after = bottleneck(&app).await["acknowledged"].clone();
    assert_eq!((&after["by"], &after["reason"]), (&before["by"], &before["reason"]));
    acknowledge(&app, "DELETE", &id, "").await;
    monitor.shutdown().await;
    drop((monitor, app));
    let (monitor, app) = open(builder(), directory.path());
    fill(&monitor, 50.0).await;
    assert_eq!(bottleneck(&app).await["acknowledged"], Value::Null);
}

/// As in a rolling restart, where the process that ends has the file for a while longer.
#[tokio::test(start_paused = true)]
async fn acknowledgements_are_there_once_the_process_that_ends_gives_the_history_file_away() {
    let directory = tempfile::tempdir().expect("a directory");
    let history = directory.path().join("history.redb");
    let interval = Duration::from_millis(100);
    let builder = || Monitor::builder().control(Control::Open).history_file(&history).evaluation_interval(interval);
    let (old, app) = open(builder(), directory.path());
    fill(&old, 50.0).await;
    let id = bottleneck(&app).await["id"].as_str().expect("an id").to_owned();
    acknowledge(&app, "POST", &id, body("720h")).await;
    let (new, app) = open(builder(), directory.path());
    fill(&new, 50.0).await;
    assert_eq!(bottleneck(&app).await["acknowledged"], Value::Null, "the file is the other's");
    old.shutdown().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    // The archive's thread, which opens the file now, lives in real time.
    tokio::time::resume();
    for _ in 0..LOOKS {
        if !bottleneck(&app).await["acknowledged"].is_null() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(bottleneck(&app).await["acknowledged"]["by"], "ana");
    new.shutdown().await;
    tokio::time::pause();
    let (next, app) = open(builder(), directory.path());
    fill(&next, 50.0).await;
    assert_eq!(bottleneck(&app).await["acknowledged"]["by"], "ana", "nothing was overwritten");
}
