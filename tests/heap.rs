//! With the counting allocator installed: bytes by route, and the route that never frees.
//!
//! A binary of its own: the allocator is the whole process's.

use std::{sync::Mutex, time::Duration};

use axum::{Router, body::Body, routing::get};
use http::Request;
use http_body_util::BodyExt as _;
use pinchpoint::{CountingAllocator, Monitor};
use serde_json::{Value, json};
use tower::ServiceExt as _;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

static LEAKED: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

async fn leak() {
    LEAKED.lock().expect("nobody panics").push(vec![1; 10_000]);
}

/// Keeps nothing that another test could make grow.
async fn forget() {
    std::mem::forget(vec![1_u8; 10_000]);
}

async fn busy() -> usize {
    let list: Vec<u64> = (0..10_000).collect();
    // Across an await: what is freed in another poll is freed all the same.
    tokio::time::sleep(Duration::from_millis(1)).await;
    list.len()
}

async fn fetch(app: &Router, path: &str) -> String {
    let request = Request::get(path).body(Body::empty()).expect("a request");
    let response = app.clone().oneshot(request).await.expect("a router never fails");
    let body = response.into_body().collect().await.expect("a whole body").to_bytes();
    String::from_utf8(body.to_vec()).expect("text")
}

/// An application with a route that leaks and one that does not.
fn app(monitor: &Monitor) -> Router {
    let busy = get(|| async { busy().await.to_string() });
    Router::new().route("/leak", get(leak)).route("/busy", busy).layer(monitor.layer())
}

/// The value of a series in the exposition.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(series)).unwrap_or_else(|| panic!("no {series} in {text}"));
    line.rsplit_once(' ').expect("a value").1.parse().expect("a number")
}

#[tokio::test(start_paused = true)]
async fn bytes_are_booked_on_the_route_that_allocates_them_and_freed_by_whomever() {
    let monitor = Monitor::builder().build().expect("good settings");
    let app = app(&monitor);
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
    let leaked = growth(&of("pinchpoint_request_live_bytes", "/leak"));
    assert!((1_000_000.0..1_100_000.0).contains(&leaked), "{leaked}");
    let kept = growth(&of("pinchpoint_request_live_bytes", "/busy"));
    assert!(kept.abs() < 1_000.0, "a route that frees keeps nothing: {kept}");
    let allocated = growth(&of("pinchpoint_request_allocated_bytes_sum", "/busy"));
    assert!((8_000_000.0..9_000_000.0).contains(&allocated), "100 lists of 80 kB: {allocated}");
    assert_eq!(growth(&of("pinchpoint_request_allocated_bytes_count", "/leak")), 100.0);
}

/// What a route that is sick keeps for ever, and a healthy one up to a limit.
static HOARD: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
static CACHE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

async fn hoard() {
    HOARD.lock().expect("nobody panics").push(vec![1; 80_000]);
}

async fn cache() {
    let mut cache = CACHE.lock().expect("nobody panics");
    if cache.len() == 40 {
        cache.clear();
    }
    cache.push(vec![1; 50_000]);
}

#[tokio::test(start_paused = true)]
async fn a_leak_names_the_route_that_keeps_the_memory_and_no_other() {
    let monitor = Monitor::builder().without_sampling().build().expect("good settings");
    let routes = Router::new()
        .route("/hoard", get(hoard))
        .route("/cache", get(cache))
        .route("/list", get(|| async { busy().await.to_string() }));
    let app = routes.layer(monitor.layer()).merge(monitor.router());
    let recorder = monitor.recorder();
    let resident = metrics::with_local_recorder(&recorder, || metrics::gauge!("process_resident_memory_bytes"));
    // 19.2 MB in an hour, on the clock that the test drives; the requests and what they keep are real.
    for _ in 0..4 * 240 {
        for path in ["/hoard", "/cache", "/list"] {
            fetch(&app, path).await;
        }
        let bytes = |all: &Mutex<Vec<Vec<u8>>>| all.lock().expect("nobody panics").iter().map(Vec::len).sum::<usize>();
        resident.set((100_000_000 + bytes(&HOARD) + bytes(&CACHE)) as f64);
        tokio::time::sleep(Duration::from_secs(15)).await;
    }
    let found: Value = serde_json::from_str(&fetch(&app, "/performance/bottlenecks").await).expect("JSON");
    let list = found["bottlenecks"].as_array().expect("a list");
    let leak = list.iter().find(|one| one["type"] == "memory_leak").unwrap_or_else(|| panic!("no leak in {found:#}"));
    assert_eq!(leak["affected_endpoints"], json!(["GET /hoard"]), "{leak:#}");
    let evidence = &leak["evidence"];
    assert_eq!(evidence["words"]["top_suspect"], "GET /hoard", "{leak:#}");
    let number = |name: &str| evidence["numbers"][name].as_f64().unwrap_or_else(|| panic!("no {name} in {leak:#}"));
    assert!(number("top_suspect_ratio") > 0.9 && number("unattributed_ratio") < 0.1, "{leak:#}");
    assert!((number("top_suspect_growth") / 19.2e6 - 1.0).abs() < 0.1, "{leak:#}");
    let suspects = evidence["leak_suspects"].as_array().expect("a list");
    assert_eq!((suspects.len(), &suspects[0]["endpoint"]), (1, &json!("GET /hoard")), "{leak:#}");
    let advice = leak["recommendations"].to_string();
    assert!(advice.contains("Requests of GET /hoard keep 19"), "{advice}");
    assert!(!advice.contains("no endpoint in particular"), "{advice}");
}

static HEAP: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

async fn heap() {
    HEAP.lock().expect("nobody panics").push(vec![1; 80_000]);
}

#[tokio::test(start_paused = true)]
async fn a_route_that_leaks_is_found_in_minutes_by_its_own_live_bytes() {
    let monitor = Monitor::builder().without_sampling().build().expect("good settings");
    let routes = Router::new().route("/heap", get(heap)).route("/calm", get(|| async { busy().await.to_string() }));
    let app = routes.layer(monitor.layer()).merge(monitor.router());
    let recorder = monitor.recorder();
    let resident = metrics::with_local_recorder(&recorder, || metrics::gauge!("process_resident_memory_bytes"));
    // 58 MB an hour for 14 minutes: too little for the memory of a process of a gigabyte.
    for _ in 0..4 * 14 {
        for path in ["/heap", "/heap", "/heap", "/calm"] {
            fetch(&app, path).await;
        }
        resident.set((1_000_000_000 + HEAP.lock().expect("nobody panics").len() * 80_000) as f64);
        tokio::time::sleep(Duration::from_secs(15)).await;
    }
    let found: Value = serde_json::from_str(&fetch(&app, "/performance/bottlenecks").await).expect("JSON");
    let list = found["bottlenecks"].as_array().expect("a list");
    let leak = list.iter().find(|one| one["type"] == "memory_leak").unwrap_or_else(|| panic!("no leak in {found:#}"));
    assert_eq!(leak["affected_endpoints"], json!(["GET /heap"]), "{leak:#}");
    assert_eq!(leak["evidence"]["words"]["top_suspect"], "GET /heap", "{leak:#}");
    let memory: Value = serde_json::from_str(&fetch(&app, "/performance/memory").await).expect("JSON");
    let view = &memory["leak"];
    assert_eq!(
        (&view["status"], &view["endpoint"]),
        (&json!("consistent_with_a_leak"), &json!("GET /heap")),
        "{memory:#}"
    );
    let message = view["message"].as_str().expect("a text");
    assert!(message.starts_with("consistent with a leak: requests of GET /heap keep "), "{message}");
    // The same pace as the finding's, in its own unit.
    let pace = memory["growth_mb_per_hour"].as_f64().unwrap_or_else(|| panic!("no pace in {memory:#}"));
    assert!((pace * 1e6 / leak["value"].as_f64().expect("a number") - 1.0).abs() < 1e-3, "{pace} in {leak:#}");
    assert_eq!(view["slope_mb_per_hour"].as_f64(), Some(pace), "{memory:#}");
    assert!((pace / 57.6 - 1.0).abs() < 0.1, "{pace}");
}

#[tokio::test(start_paused = true)]
async fn a_later_monitor_does_not_take_what_is_there_for_a_leak_of_its_time() {
    const ALWAYS: &str = "
        rules:
          - id: memory
            scope: process
            measure: resident_memory
            window: 1m
            thresholds: { high: '> 1B' }
            description: memory
            impact: memory";
    let rules = tempfile::tempdir().expect("a directory");
    std::fs::write(rules.path().join("rules.yaml"), ALWAYS).expect("written");
    let builder = || Monitor::builder().rules_dir(rules.path());
    let earlier = builder().build().expect("good settings");
    let leaking = Router::new().route("/later", get(forget)).layer(earlier.layer());
    for _ in 0..1_000 {
        fetch(&leaking, "/later").await;
    }
    drop((earlier, leaking));

    let later = builder().build().expect("good settings");
    let leaking = Router::new().route("/later", get(forget)).layer(later.layer()).merge(later.router());
    fetch(&leaking, "/later").await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    for _ in 0..100 {
        fetch(&leaking, "/later").await;
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let answer: Value = serde_json::from_str(&fetch(&leaking, "/performance/bottlenecks").await).expect("JSON");
    let evidence = &answer["bottlenecks"][0]["evidence"];
    assert_eq!(evidence["words"]["top_holder"], "GET /later", "{answer:#}");
    let kept = evidence["numbers"]["top_holder_memory"].as_f64().unwrap_or_else(|| panic!("no number in {answer:#}"));
    assert!((1e6..1.1e6).contains(&kept), "of 101 times 10 kB it kept {kept} bytes");
}

#[tokio::test(start_paused = true)]
async fn past_the_last_tag_memory_is_booked_on_other_and_counted() {
    // Those of the other tests keep theirs.
    for name in
        ["GET /leak", "GET /busy", "GET /hoard", "GET /cache", "GET /list", "GET /later", "GET /heap", "GET /calm"]
    {
        pinchpoint_alloc::Tag::named(name).expect("a tag");
    }
    let monitor = Monitor::builder().build().expect("good settings");
    let app = Router::new().route("/untagged", get(forget)).route("/too", get(forget)).layer(monitor.layer());
    assert!((0..100_000).any(|at| pinchpoint_alloc::Tag::named(&format!("taken {at}")).is_none()), "they run out");
    for _ in 0..100 {
        fetch(&app, "/untagged").await;
        fetch(&app, "/too").await;
    }
    tokio::time::sleep(Duration::from_secs(6)).await;
    let text = monitor.recorder().render();
    let live = value(&text, r#"pinchpoint_request_live_bytes{http_request_method="_OTHER",http_route="other"}"#);
    assert!((2_000_000.0..2_200_000.0).contains(&live), "{live}");
    let own = r#"pinchpoint_request_allocated_bytes_count{http_request_method="GET",http_route="/untagged"}"#;
    assert_eq!(value(&text, own), 100.0, "what each request allocates needs no tag");
    assert_eq!(value(&text, "pinchpoint_series_dropped_total"), 2.0);
}
