//! What a tick costs and what the windows weigh at 1,000 routes with 3 statuses each, under all default rules.
//!
//! tokio's clock is paused, so that the 5 minutes of the default window pass at once; ticks and memory are real. Trends
//! are kept in a file: ticks that end a minute are among those that are told.

use std::{io::Write as _, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Query,
    http::{Request, StatusCode},
    routing::get,
};
use http_body_util::BodyExt as _;
use pinchpoint::Monitor;
use serde::Deserialize;
use tower::ServiceExt as _;

const ROUTES: usize = 1000;
const STATUSES: [u16; 3] = [200, 201, 304];
const TICK: Duration = Duration::from_secs(5);
/// More than the window holds, so that every tick also takes a difference away.
const TICKS: usize = 75;

#[derive(Deserialize)]
struct Wanted {
    status: u16,
}

fn app(monitor: &Monitor) -> Router {
    let answer = |wanted: Query<Wanted>| async move { StatusCode::from_u16(wanted.status).unwrap_or_default() };
    (0..ROUTES)
        .fold(Router::new(), |router, route| router.route(&format!("/r{route}/{{id}}"), get(answer)))
        .layer(monitor.layer())
        .merge(monitor.router())
}

/// Sends two requests to every series, one from each of two threads, as two workers would.
fn traffic(app: &Router) {
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without I/O");
                runtime.block_on(async {
                    for route in 0..ROUTES {
                        for status in STATUSES {
                            get_text(app, &format!("/r{route}/7?status={status}")).await;
                        }
                    }
                });
            });
        }
    });
}

async fn get_text(app: &Router, path: &str) -> String {
    let request = Request::get(path).body(Body::empty()).expect("a valid path");
    let response = app.clone().oneshot(request).await.expect("a router never fails");
    let body = response.into_body().collect().await.expect("a whole body").to_bytes();
    String::from_utf8_lossy(&body).into_owned()
}

fn value(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or(f64::NAN)
}

fn resident_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    kibibytes.map_or(f64::NAN, |kibibytes| kibibytes * 1024.0 / 1e6)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tokio::time::pause();
    let file = std::env::temp_dir().join(format!("pinchpoint-tick-{}.redb", std::process::id()));
    let monitor = Monitor::builder().max_series(20_000).history_file(&file).build()?;
    let app = app(&monitor);
    let before = resident_megabytes();
    let mut ticks = Vec::with_capacity(TICKS);
    for _ in 0..TICKS {
        traffic(&app);
        let sum = value(&monitor.recorder().render(), "pinchpoint_rule_evaluation_seconds_sum");
        tokio::time::sleep(TICK).await;
        ticks.push(value(&monitor.recorder().render(), "pinchpoint_rule_evaluation_seconds_sum") - sum);
    }
    let status: serde_json::Value = serde_json::from_str(&get_text(&app, "/performance/status").await)?;
    let rendering = std::time::Instant::now();
    let exposition = monitor.recorder().render();
    let rendering = rendering.elapsed();
    ticks.drain(..TICKS / 5);
    ticks.sort_by(f64::total_cmp);
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{ROUTES} routes, {} statuses each, every series active in every tick, all default rules:",
        STATUSES.len()
    )?;
    writeln!(out, "- series: {}", status["series"])?;
    writeln!(
        out,
        "- a tick: {:.1} ms median, {:.1} ms at most",
        1e3 * ticks[ticks.len() / 2],
        1e3 * ticks[ticks.len() - 1]
    )?;
    writeln!(out, "- windows: {:.1} MB", status["history_bytes"].as_f64().unwrap_or(f64::NAN) / 1e6)?;
    writeln!(out, "- resident memory over that of the router: {:.1} MB", resident_megabytes() - before)?;
    writeln!(
        out,
        "- /metrics: {} lines, {:.1} MB, {rendering:.0?}",
        exposition.lines().count(),
        exposition.len() as f64 / 1e6
    )?;
    monitor.shutdown().await;
    std::fs::remove_file(&file)?;
    Ok(())
}
