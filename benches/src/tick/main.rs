//! The time of a tick and the memory of the windows at 1,000 routes with 3 statuses each, under all default rules.
//!
//! With the argument `all` there are objectives for the service and for each route too, a version of the service before that has
//! left what it measured in the history file, and a day and two hours of traffic, a round a minute, before the ticks that are measured:
//! what is usual at this time of the day is known of each route, and the version is compared.
//!
//! A tick is also shown as a multiple of what a request costs the same routes without a monitor, measured between the ticks: it
//! says the same on a slow machine and on a fast one.
//!
//! tokio's clock is paused, so that the 5 minutes of the default window pass at once; ticks and memory are real. Trends
//! are kept in a file, so that the reported ticks include those that end a minute and write to it.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc::{Receiver, Sender, channel},
    time::Duration,
};

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
use serde_json::Value;
use tower::ServiceExt as _;

const ROUTES: usize = 1000;
const STATUSES: [u16; 3] = [200, 201, 304];
const TICK: Duration = Duration::from_secs(5);
/// 25 minutes. The first five are left out of the result: only after them, with the window full, does a tick also
/// remove an old difference.
const TICKS: usize = 300;
/// A day and two hours: of what has dropped or is absent something is known only then.
const TICKS_USUAL: usize = 26 * 720;
/// A round of traffic a minute in them.
const TICKS_A_ROUND: usize = 12;
/// Half an hour of the version before, of which each route has 2,000 requests.
const TICKS_BEFORE: usize = 360;

const OBJECTIVES: &str = "\
slo:
  - { id: availability, objective: 99.9%, window: 30d, bad: errors }
  - { id: fast_enough, objective: 99%, window: 30d, bad: '> 500ms', scope: endpoint }
";

#[derive(Deserialize)]
struct StatusQuery {
    status: u16,
}

fn bare() -> Router {
    let answer = |query: Query<StatusQuery>| async move { StatusCode::from_u16(query.status).unwrap_or_default() };
    (0..ROUTES).fold(Router::new(), |router, route| router.route(&format!("/r{route}/{{id}}"), get(answer)))
}

fn app(monitor: &Monitor) -> Router {
    bare().layer(monitor.layer()).merge(monitor.router()).with_state(())
}

/// One path for each series.
fn paths() -> Vec<String> {
    (0..ROUTES).flat_map(|route| STATUSES.map(|status| format!("/r{route}/7?status={status}"))).collect()
}

/// Two threads that each send a request to every series once a round, as two workers of a runtime would.
struct Workers {
    rounds: Vec<(Sender<()>, Receiver<()>)>,
}

impl Workers {
    fn start(app: &Router) -> Self {
        let worker = |_| {
            let (app, (begin, begun), (end, ended)) = (app.clone(), channel(), channel());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without I/O");
                let paths = paths();
                while begun.recv().is_ok() {
                    runtime.block_on(round(&app, &paths));
                    if end.send(()).is_err() {
                        return;
                    }
                }
            });
            (begin, ended)
        };
        Self { rounds: (0..2).map(worker).collect() }
    }

    fn traffic(&self) -> Result<(), Box<dyn std::error::Error>> {
        for (begin, _) in &self.rounds {
            begin.send(())?;
        }
        for (_, ended) in &self.rounds {
            ended.recv()?;
        }
        Ok(())
    }
}

async fn round(app: &Router, paths: &[String]) {
    for path in paths {
        get_text(app, path).await;
    }
}

/// Returns the microseconds of a request.
async fn request_micros(app: &Router, paths: &[String]) -> f64 {
    let began = std::time::Instant::now();
    round(app, paths).await;
    began.elapsed().as_secs_f64() * 1e6 / paths.len() as f64
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn get_text(app: &Router, path: &str) -> String {
    let request = Request::get(path).body(Body::empty()).expect("a valid path");
    let response = app.clone().oneshot(request).await.expect("a router never fails");
    let body = response.into_body().collect().await.expect("a whole body").to_bytes();
    String::from_utf8_lossy(&body).into_owned()
}

async fn status(app: &Router) -> serde_json::Result<Value> {
    serde_json::from_str(&get_text(app, "/performance/status").await)
}

/// Reads `/metrics` part by part, as a server sends it; returns its lines and bytes.
async fn scrape(app: &Router) -> (usize, usize) {
    let request = Request::get("/metrics").body(Body::empty()).expect("a valid path");
    let mut body = app.clone().oneshot(request).await.expect("a router never fails").into_body();
    let (mut lines, mut bytes) = (0, 0);
    while let Some(frame) = body.frame().await {
        let data = frame.expect("a whole body").into_data().unwrap_or_default();
        lines += data.iter().filter(|byte| **byte == b'\n').count();
        bytes += data.len();
    }
    (lines, bytes)
}

fn resident_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    kibibytes.map_or(f64::NAN, |kibibytes| kibibytes * 1024.0 / 1e6)
}

/// Writes the default rules and others into a new directory.
fn rules(directory: &Path, others: &str) -> std::io::Result<PathBuf> {
    let rules = directory.join("rules");
    std::fs::create_dir(&rules)?;
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules"))? {
        let path = entry?.path();
        if let Some(name) = path.file_name().filter(|_| path.extension().is_some_and(|kind| kind == "yaml")) {
            std::fs::copy(&path, rules.join(name))?;
        }
    }
    if !others.is_empty() {
        std::fs::write(rules.join("others.yaml"), others)?;
    }
    Ok(rules)
}

fn monitor(version: Option<&str>, file: &Path, rules: &Path) -> Result<Monitor, Box<dyn std::error::Error>> {
    let builder = Monitor::builder().max_series(20_000).history_file(file).rules_dir(rules);
    Ok(match version {
        Some(version) => builder.service("bench", version).build()?,
        None => builder.build()?,
    })
}

/// Runs the version before. In a process of its own: its memory is not this one's.
async fn version_before(file: &Path, rules: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let monitor = monitor(Some("1"), file, rules)?;
    let workers = Workers::start(&app(&monitor));
    for _ in 0..TICKS_BEFORE {
        workers.traffic()?;
        tokio::time::sleep(TICK).await;
    }
    monitor.shutdown().await;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tokio::time::pause();
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if let [file, rules] = &arguments[..] {
        return version_before(file, rules).await;
    }
    let all = arguments.iter().any(|argument| argument.as_os_str() == "all");
    let directory = std::env::temp_dir().join(format!("pinchpoint-tick-{}", std::process::id()));
    std::fs::create_dir(&directory)?;
    let (file, rules) = (directory.join("history.redb"), rules(&directory, if all { OBJECTIVES } else { "" })?);
    if all && !Command::new(std::env::current_exe()?).args([&file, &rules]).status()?.success() {
        return Err("the version before has failed".into());
    }
    let monitor = monitor(all.then_some("2"), &file, &rules)?;
    let app = app(&monitor);
    let workers = Workers::start(&app);
    let (bare, paths) = (bare().with_state(()), paths());
    request_micros(&bare, &paths).await;
    let before = resident_megabytes();
    for tick in 0..if all { TICKS_USUAL } else { 0 } {
        if tick % TICKS_A_ROUND == 0 {
            workers.traffic()?;
        }
        tokio::time::sleep(TICK).await;
    }
    let (mut ticks, mut requests) = (Vec::with_capacity(TICKS), Vec::with_capacity(TICKS));
    for _ in 0..TICKS {
        workers.traffic()?;
        tokio::time::sleep(TICK).await;
        ticks.push(status(&app).await?["evaluation_ms"].as_f64().unwrap_or(f64::NAN));
        requests.push(request_micros(&bare, &paths).await);
    }
    let status = status(&app).await?;
    let rendering = std::time::Instant::now();
    let (lines, bytes) = scrape(&app).await;
    let rendering = rendering.elapsed();
    let grown = resident_megabytes() - before;
    ticks.drain(..TICKS / 5);
    let (tick, request) = (median(&mut ticks), median(&mut requests));
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{ROUTES} routes, {} statuses each, every series active in every tick, all default rules{}:",
        STATUSES.len(),
        if all { format!(" and {} objectives", ROUTES + 1) } else { String::new() }
    )?;
    let comparison: Value = serde_json::from_str(&get_text(&app, "/performance/comparison").await)?;
    let compared = comparison["routes"].as_array().map_or(0, Vec::len);
    writeln!(out, "- routes compared with the version before: {compared}")?;
    writeln!(out, "- series: {}", status["series"])?;
    writeln!(out, "- a tick: {tick:.1} ms median, {:.1} ms at most", ticks[ticks.len() - 1])?;
    writeln!(
        out,
        "- a request without a monitor: {request:.2} µs; a tick costs as much as {:.0} of them",
        tick * 1e3 / request
    )?;
    writeln!(out, "- windows: {:.1} MB", status["windows_bytes"].as_f64().unwrap_or(f64::NAN) / 1e6)?;
    writeln!(out, "- resident memory over that of the router: {grown:.1} MB")?;
    writeln!(out, "- /metrics: {lines} lines, {:.1} MB, {rendering:.0?}", bytes as f64 / 1e6)?;
    monitor.shutdown().await;
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}
