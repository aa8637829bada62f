//! Rules on this version of the service beside the one before, over real restarts with a history file.

use std::{path::Path, time::Duration};

use axum::{Router, extract, routing::get};
use pinchpoint::{Control, Monitor, MonitorBuilder};
use serde_json::Value;

use crate::{
    api::json,
    support::{Samples, built, get as fetch, send},
};

/// A run of the service.
struct Run {
    monitor: Monitor,
    app: Router,
}

impl Run {
    /// Starts a service that answers after as many milliseconds as the path says.
    fn start(builder: MonitorBuilder) -> Self {
        let monitor = built(builder);
        let wait = |extract::Path(millis): extract::Path<u64>| async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
        };
        let app = Router::new()
            .route("/orders/{millis}", get(wait))
            .route("/users/{millis}", get(wait))
            .layer(monitor.layer())
            .merge(monitor.router());
        Self { monitor, app }
    }

    fn of_version(path: &Path, version: &str) -> Self {
        Self::start(Monitor::builder().history_file(path).service("shop", version))
    }

    /// Lets minutes pass, each with thirty requests to each route. Orders take so many milliseconds, users 20.
    async fn minutes(&self, minutes: u32, orders: u64) {
        let start = tokio::time::Instant::now();
        for round in 1..=minutes * 10 {
            for more in [0, 2, 5] {
                fetch(&self.app, &format!("/orders/{}", orders + more)).await;
                fetch(&self.app, &format!("/users/{}", 20 + more)).await;
            }
            tokio::time::sleep_until(start + Duration::from_secs(6) * round).await;
        }
    }

    /// Returns what fires of the rules on versions.
    async fn found(&self) -> Vec<Value> {
        let answer = json(&self.app, "/performance/bottlenecks").await;
        let all = answer["bottlenecks"].as_array().expect("a list").iter();
        all.filter(|one| one["type"].as_str().is_some_and(|rule| rule.ends_with("_version"))).cloned().collect()
    }

    /// Returns why the rule on slower endpoints cannot find anything.
    async fn silence(&self) -> Option<String> {
        let answer = json(&self.app, "/performance/rules").await;
        let mut rules = answer["rules"].as_array().expect("a list").iter();
        let rule = rules.find(|rule| rule["id"] == "slower_version").expect("it is in force");
        rule["silent_because"].as_str().map(str::to_owned)
    }

    /// Returns the routes that are shown to be slower on `/metrics` than in the version before, and by how much.
    fn slower(&self) -> Vec<(String, f64)> {
        let samples = Samples::of(&self.monitor);
        let slower = samples.series("pinchpoint_endpoint_version_slowdown_ratio", &["http_request_method=\"GET\""]);
        slower.map(|(series, value)| (series.to_owned(), value)).collect()
    }

    /// Returns how many series there are about two versions.
    fn compared(&self) -> usize {
        Samples::of(&self.monitor).all().filter(|(series, _)| series.contains("_version_")).count()
    }

    async fn end(self) {
        self.monitor.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_slower_version_is_found_with_both_versions_and_again_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("history.redb");
    let first = Run::of_version(&path, "1.0");
    first.minutes(20, 20).await;
    assert_eq!(first.found().await, [] as [Value; 0]);
    assert!(first.silence().await.is_some_and(|reason| reason.contains("no other version")), "the first one");
    assert_eq!(first.compared(), 0);
    first.end().await;
    // The second run of 1.1 is no other version: it is compared with 1.0 again.
    for _ in 0..2 {
        let second = Run::of_version(&path, "1.1");
        second.minutes(9, 60).await;
        assert_eq!(second.found().await, [] as [Value; 0]);
        assert!(second.silence().await.is_some_and(|reason| reason.contains("has just begun")), "in its first minutes");
        assert_eq!(second.compared(), 0);
        second.minutes(18, 60).await;
        let found = second.found().await;
        assert_eq!(found.len(), 1, "{found:#?}");
        let slower = &found[0];
        assert_eq!((&slower["subject"], &slower["severity"]), (&"GET /orders/{millis}".into(), &"medium".into()));
        assert_eq!(slower["compared_samples"], serde_json::json!({ "before": 600, "now": 450 }));
        assert_eq!(slower["samples"], 450);
        assert_eq!(slower["description"], "Endpoint GET /orders/{millis} is slower in version 1.1 than in version 1.0");
        let advice = slower["recommendations"][0].as_str().expect("a text");
        assert!(advice.starts_with("Median 6") && advice.contains("ms of 450 requests since "), "{advice}");
        assert!(advice.contains("; before, 2") && advice.contains("ms of 600 until "), "{advice}");
        assert_eq!(second.silence().await, None);
        // What the rule has read, and the service as a whole: two endpoints are too few to be most of it.
        let shown = second.slower();
        assert!(shown.len() == 1 && shown[0].0.contains("http_route=\"/orders/{millis}\""), "{shown:?}");
        assert!((1.0..2.5).contains(&shown[0].1), "{shown:?}");
        let samples = Samples::of(&second.monitor);
        assert_eq!(samples.sum("pinchpoint_version_slowdown_ratio", &[]), 0.0);
        assert_eq!(samples.sum("pinchpoint_endpoint_version_compared_requests", &[]), 450.0);
        assert_eq!(samples.sum("pinchpoint_version_compared_requests", &[]), 900.0);
        second.end().await;
    }
    let third = Run::of_version(&path, "1.2");
    third.minutes(30, 60).await;
    assert_eq!(third.found().await, [] as [Value; 0], "as slow as the version before");
    assert_eq!((third.slower(), third.compared()), (vec![], 3), "compared, and no endpoint is worse");
    third.end().await;
}

#[tokio::test(start_paused = true)]
async fn while_the_version_before_has_the_file_nothing_is_said_of_what_it_left() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("history.redb");
    let first = Run::of_version(&path, "1.0");
    first.minutes(1, 20).await;
    let second = Run::of_version(&path, "1.1");
    let reason = second.silence().await.expect("it is not compared");
    let expected =
        "what another version of the service left is not known yet: the history file is in use by another process";
    assert!(reason.starts_with(expected), "{reason}");
    first.end().await;
    second.end().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_version_a_restart_is_no_deployment() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("history.redb");
    let nameless = || Run::start(Monitor::builder().history_file(&path));
    let first = nameless();
    first.minutes(20, 20).await;
    first.end().await;
    let second = nameless();
    second.minutes(30, 60).await;
    assert_eq!(second.found().await, [] as [Value; 0]);
    assert!(second.silence().await.is_some_and(|reason| reason.contains("no name and version")));
    second.end().await;
    let forgetful = Run::start(Monitor::builder().service("shop", "1.0"));
    assert!(forgetful.silence().await.is_some_and(|reason| reason.contains("no history file")));
}

#[tokio::test(start_paused = true)]
async fn what_was_shown_of_the_version_before_is_gone_after_a_clear() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("history.redb");
    let first = Run::of_version(&path, "1.0");
    first.minutes(20, 20).await;
    first.end().await;
    let second = Run::start(Monitor::builder().history_file(&path).service("shop", "1.1").control(Control::Open));
    second.minutes(27, 60).await;
    assert!(second.slower()[0].1 > 1.0, "{:?}", second.slower());
    assert_eq!(send(&second.app, "DELETE", "/performance/clear-data").await.0, 200);
    assert!(second.slower()[0].1.is_nan(), "{:?}", second.slower());
    second.end().await;
}
