//! Something writes every metric of the catalogue: one service, with traffic that makes each of them appear on `/metrics`.
//!
//! A binary of its own: the counting allocator is the whole process's.
#![cfg(target_os = "linux")]

use std::{
    collections::BTreeSet,
    convert::Infallible,
    future::poll_fn,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    response::{Sse, sse::Event},
    routing::{get, post},
};
use futures_util::{Stream, stream};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use pinchpoint::{
    AlertReceiver, CountingAllocator, Monitor, PoolState, in_current_request, track_async_task, track_db_query,
    track_hold, track_http_call, track_wait,
};
use serde_json::Value;
use tokio::{sync::Mutex, time::sleep};
use tower::ServiceExt as _;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

const MS: Duration = Duration::from_millis(1);

/// Metrics that this machine may lack, and the test of the library that writes them.
const OF_SOME_MACHINES: [(&str, &str); 7] = [
    ("pinchpoint_memory_limit_bytes", "a control group with a limit: sample::process::tests"),
    ("pinchpoint_memory_working_set_bytes", "a control group with a limit: sample::process::tests"),
    ("pinchpoint_cpu_limit", "a control group with a quota: sample::cpu::tests"),
    ("pinchpoint_cpu_periods_total", "a control group with a quota: sample::cpu::tests"),
    ("pinchpoint_cpu_throttled_periods_total", "a control group with a quota: sample::cpu::tests"),
    ("pinchpoint_cpu_throttled_seconds_total", "a control group with a quota: sample::cpu::tests"),
    ("pinchpoint_cpu_pressure_seconds_total", "a kernel with pressure stall information: sample::cpu::tests"),
];

/// Returns the names of the catalogue.
fn catalogue() -> BTreeSet<String> {
    let reference = pinchpoint::metrics_reference_markdown();
    let rows = reference.lines().filter_map(|line| line.strip_prefix("| `")).map(|row| row.split(" | "));
    let names = rows.filter(|row| row.clone().count() == 6).filter_map(|mut row| row.next());
    names.map(|name| name.trim_end_matches('`').to_owned()).collect()
}

/// Returns the names of the metrics on the page that have a sample.
fn shown(monitor: &Monitor) -> BTreeSet<String> {
    let page = monitor.recorder().render();
    let mut shown = BTreeSet::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix("# TYPE ").and_then(|line| line.split(' ').next()) else { continue };
        if lines.peek().is_some_and(|line| line.starts_with(name)) {
            shown.insert(name.to_owned());
        }
    }
    shown
}

/// Work that is tracked and never fails.
async fn done(work: impl Future<Output = ()>) -> Result<(), Infallible> {
    work.await;
    Ok(())
}

async fn query(work: impl Future<Output = ()>) {
    let _ = track_db_query("SELECT name FROM users", done(work)).await;
}

/// Keeps the worker inside one poll, by the system's clock and by tokio's, which is paused.
async fn block() {
    std::thread::sleep(12 * MS);
    poll_fn(|context| {
        let _ = pin!(tokio::time::advance(12 * MS)).poll(context);
        Poll::Ready(())
    })
    .await;
}

/// Two pieces with a pause before each.
fn pieces() -> impl Stream<Item = &'static str> {
    stream::unfold(0, async |piece| {
        sleep(20 * MS).await;
        (piece < 2).then_some(("piece", piece + 1))
    })
}

/// A version of the service, which answers later or not at all on two routes.
fn service(monitor: &Monitor, is_worse: bool) -> Router {
    let stock = Arc::new(Mutex::new(()));
    let work = move || async move {
        query(sleep(5 * MS)).await;
        let _ = track_http_call("GET", "http://stock.example/", done(sleep(MS))).await;
        track_wait("channel", "orders", sleep(MS)).await;
        drop(track_hold("lock", "stock", stock.lock()).await);
        drop(track_hold("pool", "orders", stock.lock()).await);
        let _ = track_async_task("render", done(query(block()))).await;
        block().await;
    };
    let read = |body: Bytes| async move { body.len().to_string() };
    // A query that ended and one that goes on, when the client leaves.
    let left = || async {
        query(sleep(5 * MS)).await;
        tokio::spawn(in_current_request(query(sleep(200 * MS))));
        std::future::pending::<()>().await;
    };
    let streamed = || async { Body::from_stream(futures_util::StreamExt::map(pieces(), Ok::<_, Infallible>)) };
    let events = || async {
        Sse::new(futures_util::StreamExt::map(pieces(), |piece| Ok::<_, Infallible>(Event::default().data(piece))))
    };
    let call = || async {
        let answer = Response::builder().header("content-type", "application/grpc").header("grpc-status", "0");
        answer.body(Body::empty()).expect("a response")
    };
    Router::new()
        .route("/work", get(work))
        .route("/read", post(read))
        .route("/left", get(left))
        .route("/streamed", get(streamed))
        .route("/events", get(events))
        .route("/slow", get(|| sleep(MS * 6_000)))
        .route("/slower", get(move || sleep(if is_worse { 80 * MS } else { 20 * MS })))
        .route("/failing", get(move || async move { if is_worse { Err(StatusCode::BAD_GATEWAY) } else { Ok("ok") } }))
        .route("/shop.Shop/Buy", post(call))
        .layer(monitor.layer())
        .merge(monitor.router())
}

/// Sends a request, and reads its answer as a slow client does.
async fn send(app: &Router, request: http::request::Builder) {
    let request = request.body(Body::from("body")).expect("a request");
    let mut body = app.clone().oneshot(request).await.expect("a router never fails").into_body();
    while let Some(frame) = body.frame().await {
        let _: Bytes = frame.expect("no error").into_data().unwrap_or_default();
        sleep(30 * MS).await;
    }
}

/// Returns a directory with the default rules and the objectives of the example.
fn rules(directory: &Path) -> PathBuf {
    let (shipped, rules) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("rules"), directory.join("rules"));
    std::fs::create_dir(&rules).expect("a directory");
    for from in [shipped.clone(), shipped.join("examples")] {
        for file in std::fs::read_dir(from).expect("rules").map(|file| file.expect("a file").path()) {
            if file.extension().is_some_and(|extension| extension == "yaml") {
                std::fs::copy(&file, rules.join(file.file_name().expect("a name"))).expect("copies");
            }
        }
    }
    rules
}

/// Sends requests for as many times half a minute, and a little longer.
async fn use_for(rounds: u32, app: &Router) {
    for _ in 0..rounds {
        for _ in 0..5 {
            for request in [Request::post("/read"), Request::get("/slower"), Request::get("/failing")] {
                send(app, request).await;
            }
        }
        send(app, Request::get("/slow")).await;
        sleep(MS * 30_000).await;
    }
}

#[tokio::test(start_paused = true)]
async fn something_writes_every_metric_of_the_catalogue() {
    let directory = tempfile::tempdir().expect("a directory");
    let builder =
        |version| Monitor::builder().history_file(directory.path().join("history.redb")).service("shop", version);
    let before = builder("0.9").build().expect("good settings");
    use_for(45, &service(&before, false)).await;
    before.shutdown().await;
    let builder = builder("1.0")
        .rules_dir(rules(directory.path()))
        .alert_receiver(AlertReceiver::command("nobody", "true", [""; 0]));
    let monitor = builder.build().expect("good settings");
    monitor.watch_pool("orders", || Some(PoolState::new(3, 1).max(10).pending(1)));
    let app = service(&monitor, true);
    let _ = tokio::time::timeout(50 * MS, send(&app, Request::get("/left"))).await;
    for path in ["/work", "/streamed", "/events"] {
        send(&app, Request::get(path)).await;
    }
    send(&app, Request::post("/shop.Shop/Buy").header("content-type", "application/grpc")).await;
    // Until trends, the growth of memory and the version are judged, and a bottleneck has been seen often enough.
    use_for(90, &app).await;
    let (catalogue, shown) = (catalogue(), shown(&monitor));
    assert!(catalogue.len() > 80, "the catalogue is read: {}", catalogue.len());
    let elsewhere: BTreeSet<String> = OF_SOME_MACHINES.iter().map(|(name, _)| (*name).to_owned()).collect();
    let missing: Vec<_> = catalogue.difference(&shown).filter(|name| !elsewhere.contains(*name)).collect();
    assert_eq!(missing, [] as [&String; 0], "nothing wrote them");
    let unknown: Vec<_> = shown.union(&elsewhere).filter(|name| !catalogue.contains(*name)).collect();
    assert_eq!(unknown, [] as [&String; 0], "not in the catalogue");
    trends_have_the_names_of_the_api(&monitor, &app).await;
    monitor.shutdown().await;
}

async fn trends_have_the_names_of_the_api(monitor: &Monitor, app: &Router) {
    let request = Request::get("/performance/trends").body(Body::empty()).expect("a request");
    let answer = app.clone().oneshot(request).await.expect("a router never fails").into_body();
    let answer = answer.collect().await.expect("a whole body").to_bytes();
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    let page = monitor.recorder().render();
    let lines = page.lines().filter(|line| line.starts_with("pinchpoint_trend{"));
    let measures: BTreeSet<_> = lines.filter_map(|line| line.split("measure=\"").nth(1)?.split('"').next()).collect();
    assert!(measures.len() >= 3, "{measures:?}");
    let reference = pinchpoint::metrics_reference_markdown();
    for measure in measures {
        assert!(answer[measure]["direction"].is_string(), "{measure} is no key of the answer");
        assert!(reference.contains(&format!("`{measure}`")), "the reference does not name {measure}");
    }
}
