//! With the counting allocator installed: bytes by route, and the route that never frees.
//!
//! A binary of its own: the allocator is the whole process's.

use std::{sync::Mutex, time::Duration};

use axum::{Router, body::Body, routing::get};
use http::Request;
use http_body_util::BodyExt as _;
use pinchpoint::{CountingAllocator, Monitor};
use tower::ServiceExt as _;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

static LEAKED: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

async fn leak() {
    LEAKED.lock().expect("nobody panics").push(vec![1; 10_000]);
}

async fn busy() -> usize {
    let list: Vec<u64> = (0..10_000).collect();
    // Across an await: what is freed in another poll is freed all the same.
    tokio::time::sleep(Duration::from_millis(1)).await;
    list.len()
}

async fn fetch(app: &Router, path: &str) {
    let request = Request::get(path).body(Body::empty()).expect("a request");
    let response = app.clone().oneshot(request).await.expect("a router never fails");
    drop(response.into_body().collect().await.expect("a whole body"));
}

/// The value of a series in the exposition.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(series)).unwrap_or_else(|| panic!("no {series} in {text}"));
    line.rsplit_once(' ').expect("a value").1.parse().expect("a number")
}

#[tokio::test(start_paused = true)]
async fn bytes_are_booked_on_the_route_that_allocates_them_and_freed_by_whomever() {
    let monitor = Monitor::builder().build().expect("good settings");
    let routes = Router::new().route("/leak", get(leak)).route("/busy", get(|| async { busy().await.to_string() }));
    let app = routes.layer(monitor.layer());
    for path in ["/leak", "/busy"] {
        fetch(&app, path).await;
    }
    tokio::time::sleep(Duration::from_secs(6)).await;
    let before = monitor.recorder().render();
    for _ in 0..100 {
        fetch(&app, "/leak").await;
        fetch(&app, "/busy").await;
    }
    tokio::time::sleep(Duration::from_secs(6)).await;
    let after = monitor.recorder().render();
    let of = |name: &str, route: &str| format!("{name}{{http_request_method=\"GET\",http_route=\"{route}\"}}");
    let growth = |series: &str| value(&after, series) - value(&before, series);
    let leaked = growth(&of("http_server_request_live_bytes", "/leak"));
    assert!((1_000_000.0..1_100_000.0).contains(&leaked), "{leaked}");
    let kept = growth(&of("http_server_request_live_bytes", "/busy"));
    assert!(kept.abs() < 1_000.0, "a route that frees keeps nothing: {kept}");
    let allocated = growth(&of("http_server_request_allocated_bytes_sum", "/busy"));
    assert!((8_000_000.0..9_000_000.0).contains(&allocated), "100 lists of 80 kB: {allocated}");
    assert_eq!(growth(&of("http_server_request_allocated_bytes_count", "/leak")), 100.0);
}
