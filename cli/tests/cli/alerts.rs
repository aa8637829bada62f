//! `pinchpoint alerts test` and `pinchpoint demo --alertmanager`, with an Alertmanager's stand-in that keeps what it is sent.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, extract::State, http::StatusCode, routing::post};
use serde_json::Value;

use super::{demo::Demo, ended};

type Sent = Arc<Mutex<Vec<Value>>>;

/// Starts a stand-in that answers so, on a thread of its own, and returns its address and what it is sent.
fn alertmanager(status: StatusCode, answer: &'static str) -> (String, Sent) {
    let sent = Sent::default();
    let kept = sent.clone();
    let (address, bound) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let take = move |State(kept): State<Sent>, body: String| async move {
                kept.lock().unwrap().extend(serde_json::from_str::<Vec<Value>>(&body).unwrap());
                (status, answer)
            };
            let app = Router::new().route("/api/v2/alerts", post(take)).with_state(kept);
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            address.send(format!("http://{}", listener.local_addr().unwrap())).unwrap();
            axum::serve(listener, app).await.unwrap();
        });
    });
    (bound.recv().unwrap(), sent)
}

#[test]
fn a_test_notification_is_sent_and_what_came_back_is_printed() {
    let (url, sent) = alertmanager(StatusCode::OK, "{}");
    let (stdout, _) = ended(&["alerts", "test", "--alertmanager", &url], 0);
    assert!(stdout.contains(": accepted: 200 OK\n"), "{stdout}");
    assert_eq!(sent.lock().unwrap()[0]["labels"]["alertname"], "PinchpointTest");
}

#[test]
fn the_settings_are_read_and_a_refusal_is_exit_code_1() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("shop.yaml");
    let (url, _) = alertmanager(StatusCode::UNAUTHORIZED, "who are you?\n\u{1b}[2J");
    std::fs::write(&file, format!("deliver:\n  alertmanagers: [\"{url}\"]\n")).unwrap();
    let (stdout, stderr) = ended(&["alerts", "test", "--config", file.to_str().unwrap()], 1);
    assert!(
        stdout.contains(": NOT accepted: 401 Unauthorized\n  who are you?\n") && !stdout.contains('\u{1b}'),
        "{stdout}"
    );
    assert_eq!(stderr, "pinchpoint: 1 of 1 receivers did not accept the notification\n");
    std::fs::write(&file, "deliver: { alertmanager: x }\n").unwrap();
    let (_, stderr) = ended(&["alerts", "test", "--config", file.to_str().unwrap()], 1);
    assert!(stderr.contains("shop.yaml:1:12: unknown key \"alertmanager\" in deliver"), "{stderr}");
}

#[test]
fn settings_that_cannot_be_read_are_refused_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing.yaml");
    for (path, reason) in [(missing.as_path(), "No such file"), (directory.path(), "Is a directory")] {
        let path = path.to_str().unwrap();
        for (command, begin) in [(["alerts", "test"].as_slice(), ""), (&["demo"], "pinchpoint: ")] {
            let (_, stderr) = ended(&[command, &["--config", path]].concat(), 1);
            assert!(stderr.starts_with(&format!("{begin}{path}: cannot be read: {reason}")), "{stderr}");
        }
    }
}

#[tokio::test]
async fn the_demo_sends_its_findings_to_an_alertmanager() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("demo.yaml");
    std::fs::write(&file, "deliver: { grace: 0s }\nevaluation_interval: 1s\n").unwrap();
    let (url, sent) = alertmanager(StatusCode::OK, "{}");
    let _demo = Demo::start(&["--traffic", "--config", file.to_str().unwrap(), "--alertmanager", &url]);
    for _ in 0..1_200 {
        if let Some(alert) = sent.lock().unwrap().first() {
            assert_eq!(alert["labels"]["job"], "pinchpoint demo shop");
            assert!(alert["annotations"]["evidence"].is_string(), "{alert}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the demo sent nothing");
}
