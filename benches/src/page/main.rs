//! What the live page costs at 1,000 routes with 3 statuses each: writing it, sending it to those who look after the first, and a tick
//! while 1 or 50 pages are open.
//!
//! An open page is what the script does: it listens to `/performance/events`, and asks for its address again at each evaluation. tokio's
//! clock is paused, so that the minutes before pass at once; the times are real.

use std::time::{Duration, Instant};

use axum::{
    Router,
    body::Body,
    extract::Query,
    http::{Request, StatusCode, header},
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
/// Six minutes: the default window is full.
const WARM: usize = 72;
/// Ticks that are measured with each number of open pages.
const MEASURED: usize = 60;
const BROWSER: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

#[derive(Deserialize)]
struct StatusQuery {
    status: u16,
}

fn app(monitor: &Monitor) -> Router {
    let answer = |query: Query<StatusQuery>| async move { StatusCode::from_u16(query.status).unwrap_or_default() };
    let routes =
        (0..ROUTES).fold(Router::new(), |router, route| router.route(&format!("/api/r{route}/{{id}}"), get(answer)));
    routes.layer(monitor.layer()).merge(monitor.router())
}

async fn ask(app: &Router, path: &str, encoding: &str) -> (usize, Vec<u8>) {
    let request = Request::get(path).header(header::ACCEPT, BROWSER).header(header::ACCEPT_ENCODING, encoding);
    let request = request.body(Body::empty()).expect("a valid path");
    let response = app.clone().oneshot(request).await.expect("a router never fails");
    let body = response.into_body().collect().await.expect("a whole body").to_bytes();
    (body.len(), body.to_vec())
}

async fn traffic(app: &Router) {
    for route in 0..ROUTES {
        for status in STATUSES {
            ask(app, &format!("/api/r{route}/7?status={status}"), "identity").await;
        }
    }
}

async fn tick_ms(app: &Router) -> f64 {
    let (_, status) = ask(app, "/performance/status", "identity").await;
    let status: Value = serde_json::from_slice(&status).unwrap_or_default();
    status["evaluation_ms"].as_f64().unwrap_or(f64::NAN)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Has `pages` open for some ticks, and prints what these cost.
async fn measure(app: &Router, pages: usize) {
    let mut streams = Vec::new();
    for _ in 0..pages {
        let request = Request::get("/performance/events").body(Body::empty()).expect("a valid path");
        streams.push(app.clone().oneshot(request).await.expect("a router never fails").into_body());
    }
    let (mut ticks, mut firsts, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..MEASURED {
        traffic(app).await;
        tokio::time::sleep(TICK).await;
        ticks.push(tick_ms(app).await);
        for (number, stream) in streams.iter_mut().enumerate() {
            let _ = tokio::time::timeout(Duration::from_millis(1), stream.frame()).await;
            let began = Instant::now();
            ask(app, "/performance", "gzip").await;
            let took = began.elapsed().as_secs_f64() * 1e3;
            if number == 0 { firsts.push(took) } else { others.push(took) }
        }
    }
    print!("{pages:>3} open: a tick {:.2} ms", median(&mut ticks));
    if !firsts.is_empty() {
        print!(", the first page after it {:.1} ms", median(&mut firsts));
    }
    if !others.is_empty() {
        print!(", each other {:.3} ms", median(&mut others));
    }
    println!();
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), pinchpoint::BuildError> {
    let monitor = Monitor::builder().build()?;
    let app = app(&monitor);
    for _ in 0..WARM {
        traffic(&app).await;
        tokio::time::sleep(TICK).await;
    }
    for (name, path) in [("overview", "/performance"), ("endpoints", "/performance/view/endpoints")] {
        let [plain, gzip] = [ask(&app, path, "identity").await.0, ask(&app, path, "gzip").await.0];
        println!("{name}: {:.1} kB, compressed {:.1} kB", plain as f64 / 1e3, gzip as f64 / 1e3);
    }
    let [css, js] =
        [ask(&app, "/performance/page.css", "gzip").await.0, ask(&app, "/performance/page.js", "gzip").await.0];
    println!("style {:.1} kB and script {:.1} kB, compressed", css as f64 / 1e3, js as f64 / 1e3);
    for pages in [0, 1, 50, 1, 50] {
        measure(&app, pages).await;
    }
    Ok(())
}
