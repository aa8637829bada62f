//! What the service finds of itself, beside a run: a limit agrees with it, and only findings of the run are shown.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, routing::get};
use pinchpoint::Monitor;
use serde_json::Value;

use crate::tool::loadtest;

/// Fires as soon as an endpoint is evaluated, and for long.
const RULES: &str = "rules:\n  - id: slow_endpoint\n    scope: endpoint\n    measure: avg_duration\n    window: 1m\n    \
                     min_samples: 1\n    for: 0s\n    thresholds: { high: \"> 10ms\" }\n    description: \"{subject} is slow\"\n    \
                     impact: \"{value}\"\n    recommendations: [look]\n";

/// Starts a service of two workers: a handler that blocks one of them for 20 ms after it has waited, and two slow ones. With
/// rules of its own it judges four times a second.
fn service(rules: Option<&str>) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut builder = Monitor::builder().evaluation_interval(Duration::from_millis(250));
    if let Some(rules) = rules {
        std::fs::write(folder.path().join("rules.yaml"), rules).unwrap();
        builder = builder.rules_dir(folder.path());
    }
    std::thread::spawn(move || {
        let _folder = folder;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async move {
            let monitor = builder.build().unwrap();
            let app = Router::new()
                .route("/blocking", get(blocking))
                .route("/slow", get(slow))
                .route("/other", get(slow))
                .layer(monitor.layer())
                .merge(monitor.router());
            axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), app).await.unwrap();
        });
    });
    address
}

async fn blocking() -> &'static str {
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(2)).await;
        std::thread::sleep(Duration::from_millis(10));
    }
    "done"
}

async fn slow() -> &'static str {
    tokio::time::sleep(Duration::from_millis(30)).await;
    "slow"
}

#[test]
fn workers_that_a_handler_blocks_are_no_lock() {
    let url = format!("http://{}", service(None));
    let load = ["--find-capacity", "-u", "1", "-t", "1s", "--threshold", "p90<90ms", "--no-rules"];
    let run = loadtest(&[&["-H", &url, "-e", "/blocking"], &load[..]].concat()).ended_with(0);
    let evidence = &run.json["capacity"]["evidence"];
    let first = evidence[0].as_str().unwrap();
    assert!(first.starts_with("Saturated first: the runtime's workers"), "{evidence:#}");
}

#[test]
fn only_findings_that_began_in_the_run_and_concern_it_are_shown() {
    let url = format!("http://{}", service(Some(RULES)));
    let run = |path: &str| loadtest(&["-H", &url, "-e", path, "-u", "2", "-t", "2s", "--no-rules"]);
    let subjects = |side: &Value| -> Vec<String> {
        let all = side.as_array().unwrap();
        all.iter().map(|finding| finding["subject"].as_str().unwrap().to_owned()).collect()
    };
    let first = run("/slow").ended_with(0).said("Bottlenecks that fired");
    assert_eq!(subjects(&first.json["server"]["bottlenecks"]), ["GET /slow"], "{}", first.out);
    // It still fires, and the second run does not even call it.
    let second = run("/other").ended_with(0).said("Left out, since they fired before the test already: slow_endpoint");
    assert_eq!(subjects(&second.json["server"]["bottlenecks"]), ["GET /other"], "{}", second.out);
    assert_eq!(subjects(&second.json["server"]["left_out"]), ["GET /slow"], "{}", second.out);
}

#[test]
fn a_finding_about_what_another_client_calls_is_not_the_runs() {
    let url = format!("http://{}", service(Some(RULES)));
    let other = crate::tool::started(&["-H", &url, "-e", "/other", "-u", "1", "-t", "10m", "--no-rules"]);
    // Both begin before the other client's endpoint can have been judged.
    let run = loadtest(&["-H", &url, "-e", "/slow", "-u", "2", "-t", "4s", "--no-rules"]).ended_with(0);
    other.interrupt();
    other.finish();
    let fired = run.json["server"]["bottlenecks"].as_array().unwrap();
    assert!(fired.iter().all(|finding| finding["subject"] == "GET /slow"), "{}", run.out);
    let left_out = run.json["server"]["left_out"].as_array().unwrap();
    assert!(left_out.iter().any(|finding| finding["subject"] == "GET /other"), "{}", run.out);
}
