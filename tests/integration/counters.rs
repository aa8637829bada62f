//! Counters of the host that count elsewhere, passed on by `absolute`.

use std::time::Duration;

use axum::routing::get;
use metrics::{Key, Level, Metadata, Recorder as _};
use pinchpoint::{Monitor, MonitorRecorder, Sampler};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::support::{Samples, get as fetch, monitor};

static METADATA: Metadata<'static> = Metadata::new("test", Level::INFO, None);

/// Totals that another program counts.
struct Totals {
    recorder: std::sync::Arc<std::sync::OnceLock<MonitorRecorder>>,
    began: Instant,
}

impl Totals {
    fn pass_on(&self, name: &'static str, value: u64) {
        if let Some(recorder) = self.recorder.get() {
            recorder.register_counter(&Key::from_name(name), &METADATA).absolute(value);
        }
    }
}

impl Sampler for Totals {
    fn sample(&mut self) {
        let seconds = self.began.elapsed().as_secs();
        // It has run for weeks.
        self.pass_on("commits_total", 81_000_000 + seconds);
        if seconds >= 10 {
            self.pass_on("late_total", 4_000_000 + 5 * seconds);
        }
        // Constant for long, then a burst.
        self.pass_on("burst_total", if seconds < 900 { 7_000 } else { 7_600 });
        self.pass_on("own_total", 3 * seconds);
    }
}

/// Rules that find a counter whose rate is above a limit; their ids name both.
const RULES: &str = r#"rules:
  - { id: commits_above_0_9, scope: metric, metric: commits_total, measure: rate, window: 5m, thresholds: { low: "> 0.9/s" }, description: x }
  - { id: commits_above_1_1, scope: metric, metric: commits_total, measure: rate, window: 5m, thresholds: { low: "> 1.1/s" }, description: x }
  - { id: late_above_4_9, scope: metric, metric: late_total, measure: rate, window: 5m, thresholds: { low: "> 4.9/s" }, description: x }
  - { id: late_above_5_1, scope: metric, metric: late_total, measure: rate, window: 5m, thresholds: { low: "> 5.1/s" }, description: x }
  - { id: own_above_2_9, scope: metric, metric: own_total, measure: rate, window: 5m, thresholds: { low: "> 2.9/s" }, description: x }
  - { id: own_above_3_1, scope: metric, metric: own_total, measure: rate, window: 5m, thresholds: { low: "> 3.1/s" }, description: x }
  - { id: burst_above_2_1, scope: metric, metric: burst_total, measure: rate, window: 5m, thresholds: { low: "> 2.1/s" }, description: x }
"#;

async fn found(app: &axum::Router) -> Vec<String> {
    let (_, body) = fetch(app, "/performance/bottlenecks").await;
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    let mut found: Vec<String> = answer["bottlenecks"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["type"].as_str().expect("text").to_owned())
        .collect();
    found.sort();
    found
}

#[tokio::test(start_paused = true)]
async fn what_was_counted_before_is_no_increase() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("rates.yaml"), RULES).expect("written");
    let recorder = std::sync::Arc::default();
    let totals = Totals { recorder: std::sync::Arc::clone(&recorder), began: Instant::now() };
    let monitor = Monitor::builder()
        .rules_dir(directory.path())
        .sampling_interval(Duration::from_secs(1))
        .sampler(totals)
        .build()
        .expect("good rules");
    recorder.set(monitor.recorder()).expect("once");
    let app: axum::Router = axum::Router::new().merge(monitor.router());
    for second in 0..1_000 {
        sleep(Duration::from_secs(1)).await;
        let found = found(&app).await;
        let wrong = ["commits_above_1_1", "late_above_5_1", "own_above_3_1", "burst_above_2_1"];
        assert!(!found.iter().any(|id| wrong.contains(&id.as_str())), "{second} s: {found:?}");
        if second > 120 {
            assert_eq!(found, ["commits_above_0_9", "late_above_4_9", "own_above_2_9"], "{second} s");
        }
    }
    let samples = Samples::of(&monitor);
    assert!(samples.sum("commits_total", &[]) > 81_000_900.0, "Prometheus reads the total itself");
}

#[tokio::test(start_paused = true)]
async fn an_increment_and_then_absolute_counts_from_zero() {
    let monitor = monitor();
    let counter = monitor.recorder().register_counter(&Key::from_name("mixed_total"), &METADATA);
    counter.increment(5);
    counter.absolute(9);
    assert_eq!(Samples::of(&monitor).sum("mixed_total", &[]), 9.0);
}

/// The value of a tally, which is there, at 0 too.
#[track_caller]
fn tally(samples: &Samples, name: &str, labels: &[&str]) -> f64 {
    assert_eq!(samples.series(name, labels).count(), 1, "{name} {labels:?}");
    samples.sum(name, labels)
}

#[tokio::test(start_paused = true)]
async fn every_outcome_is_there_at_0_from_the_first_use() {
    let monitor = monitor();
    let app = axum::Router::new()
        .route(
            "/orders",
            get(|| async {
                let query = async { Ok::<_, std::io::Error>(()) };
                pinchpoint::track_db_query("SELECT * FROM orders", query).await.expect("it never fails");
                let task = async { Ok::<_, std::io::Error>(()) };
                pinchpoint::track_async_task("mail", task).await.expect("it never fails");
            }),
        )
        .route("/failing", get(|| async { http::StatusCode::INTERNAL_SERVER_ERROR }))
        .layer(monitor.layer());
    fetch(&app, "/orders").await;
    let samples = Samples::of(&monitor);
    let requests = "pinchpoint_requests_total";
    let of = |name: &str, labels: &[&str], outcome: &str| {
        tally(&samples, name, &[labels, &[&*format!("outcome=\"{outcome}\"")]].concat())
    };
    for (outcome, count) in [("ok", 1.0), ("client_error", 0.0), ("error", 0.0), ("cancelled", 0.0)] {
        assert_eq!(of(requests, &["http_route=\"/orders\"", "GET"], outcome), count, "{outcome}");
    }
    for (outcome, count) in [("ok", 1.0), ("error", 0.0), ("cancelled", 0.0)] {
        let query = samples.statement("SELECT * FROM orders");
        assert_eq!(of("pinchpoint_queries_total", &[query], outcome), count, "{outcome}");
        assert_eq!(of("pinchpoint_task_runs_total", &["mail"], outcome), count, "{outcome}");
    }
    for _ in 0..60 {
        fetch(&app, "/failing").await;
        fetch(&app, "/nowhere").await;
    }
    let samples = Samples::of(&monitor);
    let failing = tally(&samples, requests, &["http_route=\"/failing\"", "outcome=\"error\""]);
    let refused = tally(&samples, requests, &["http_route=\"\"", "outcome=\"client_error\""]);
    assert_eq!((failing, refused), (60.0, 60.0));
    assert_eq!(samples.sum(requests, &[]), samples.requests(&[]), "each request counts once");
}
