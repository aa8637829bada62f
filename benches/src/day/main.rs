//! The memory, file size and time that a day of trends takes at 1,000 routes, each called in every minute, and how long rules take to be
//! replayed over it.
//!
//! tokio's clock is paused, so that the day passes in about a minute; memory, file and answers are real. Requests take
//! from 1 to 600 ms, with the skewed distribution of real services.

use std::{
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use axum::{Router, body::Body, http::Request, routing::get};
use futures_util::future::join_all;
use http_body_util::BodyExt as _;
use pinchpoint::{Monitor, RuleSet, replay::StoredHistory};
use tower::ServiceExt as _;

const ROUTES: u32 = 1000;
/// Requests to each route in each minute.
const REQUESTS: u32 = 3;
const MINUTES: u32 = 24 * 60;
const MINUTE: Duration = Duration::from_secs(60);

/// A rule that each route is over at all times: the most that a replay has to do.
const STRICT: &str = "rules:\n  - id: all\n    scope: endpoint\n    measure: p95_duration\n    min_samples: 1\n    for: 1m\n    \
                      thresholds: { low: \"> 1ms\" }\n    description: \"{subject} takes {value}\"\n";

fn monitor(file: &Path) -> Result<Monitor, pinchpoint::BuildError> {
    Monitor::builder().evaluation_interval(MINUTE).history_file(file).build()
}

fn app(monitor: &Monitor) -> Router {
    let answer = |request: Request<Body>| async move {
        let millis = request.uri().query().and_then(|query| query.parse().ok()).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    };
    (0..ROUTES)
        .fold(Router::new(), |router, route| router.route(&format!("/r{route}/{{id}}"), get(answer)))
        .layer(monitor.layer())
        .merge(monitor.router())
}

async fn get_text(app: &Router, path: &str) -> String {
    let request = Request::get(path).body(Body::empty()).expect("a valid path");
    let response = app.clone().oneshot(request).await.expect("a router never fails");
    let body = response.into_body().collect().await.expect("a whole body").to_bytes();
    String::from_utf8_lossy(&body).into_owned()
}

/// Sends the requests of one minute, all at once.
async fn traffic(app: &Router, minute: u32) {
    let requests = (0..ROUTES).flat_map(|route| (0..REQUESTS).map(move |number| (route, number)));
    join_all(requests.map(|(route, number)| async move {
        // Neighbours get different ranks (97 is prime); the duration is the quantile of a log-logistic distribution
        // there.
        let rank = (route * 31 + number * 57 + minute * 17) % 97;
        let share = (f64::from(rank) + 0.5) / 97.0;
        let millis = (30.0 * (share / (1.0 - share)).powf(0.6)).clamp(1.0, 600.0) as u64;
        get_text(app, &format!("/r{route}/7?{millis}")).await
    }))
    .await;
}

async fn status(app: &Router) -> Result<serde_json::Value, serde_json::Error> {
    serde_json::from_str(&get_text(app, "/performance/status").await)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tokio::time::pause();
    let file = std::env::temp_dir().join(format!("pinchpoint-day-{}.redb", std::process::id()));
    let first = monitor(&file)?;
    let service = app(&first);
    let start = tokio::time::Instant::now();
    for minute in 0..MINUTES {
        traffic(&service, minute).await;
        tokio::time::sleep_until(start + MINUTE * (minute + 1)).await;
    }
    let megabytes = |status: &serde_json::Value| status["trends_bytes"].as_f64().unwrap_or(f64::NAN) / 1e6;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{ROUTES} routes, {REQUESTS} requests to each in each of {MINUTES} minutes:")?;
    writeln!(out, "- trends in memory: {:.1} MB (bar: 64 MB)", megabytes(&status(&service).await?))?;
    for hours in [1, 24] {
        let began = Instant::now();
        let answer = get_text(&service, &format!("/performance/trends?hours={hours}")).await;
        let took = began.elapsed();
        writeln!(out, "- /performance/trends?hours={hours}: {took:.0?}, {:.2} MB", answer.len() as f64 / 1e6)?;
    }
    let began = Instant::now();
    first.shutdown().await;
    writeln!(out, "- shutdown: {:.0?}", began.elapsed())?;
    writeln!(out, "- history file: {:.1} MB", std::fs::metadata(&file)?.len() as f64 / 1e6)?;
    let began = Instant::now();
    let second = monitor(&file)?;
    writeln!(out, "- start with that file: {:.0?}", began.elapsed())?;
    writeln!(out, "- trends after it: {:.1} MB", megabytes(&status(&app(&second)).await?))?;
    let began = Instant::now();
    // While the service has the file open.
    let stored = StoredHistory::read(&file)?;
    writeln!(out, "- the file read for a replay: {:.0?}", began.elapsed())?;
    let began = Instant::now();
    let replay = stored.replay(&RuleSet::embedded(), None);
    writeln!(out, "- the day replayed under the default rules: {:.2?} (bar: 10 s)", began.elapsed())?;
    let rules = std::env::temp_dir().join(format!("pinchpoint-day-{}.yaml", std::process::id()));
    std::fs::write(&rules, STRICT)?;
    let strict = RuleSet::check_files(std::slice::from_ref(&rules))?;
    std::fs::remove_file(&rules)?;
    let began = Instant::now();
    let all = stored.replay(&strict, None);
    let took = began.elapsed();
    writeln!(
        out,
        "- and under one that every route fires of: {took:.2?}, {} and {} alerts",
        replay.alerts.len(),
        all.alerts.len()
    )?;
    second.shutdown().await;
    std::fs::remove_file(&file)?;
    Ok(())
}
