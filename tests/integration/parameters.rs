//! Query strings: what is unknown is refused, what is asked for is answered, and no more.

use std::time::Duration;

use axum::{Router, routing::get};
use pinchpoint::{Control, Monitor, track_async_task};
use serde_json::{Value, json as value};

use crate::{
    api::{READING, json, kinds, service, traffic},
    control::CONTROL,
    support::{ask, built, get as fetch, monitor, send},
};

#[tokio::test(start_paused = true)]
async fn every_path_refuses_parameters_that_it_does_not_know() {
    let monitor = built(Monitor::builder().control(Control::Open));
    let app = service(&monitor);
    traffic(&app, 1).await;
    let reading = READING.into_iter().chain(["/performance", "/performance/comparison", "/performance/events"]);
    for (method, path) in reading.map(|path| ("GET", path)).chain(CONTROL) {
        let (status, body) = ask(&app, method, &format!("{path}?no_such=1"), &[]).await;
        let error = body["error"].as_str().expect("a text");
        assert!(status == 400 && error.starts_with("unknown parameter `no_such`; this path takes"), "{path}: {error}");
    }
    for (query, expected) in [
        (
            "metrics?windows=1m",
            "unknown parameter `windows`, did you mean `window`?; this path takes window (such as 30s or 5m)",
        ),
        ("endpoints?hours=1", "unknown parameter `hours`; this path takes window (such as 30s or 5m)"),
        (
            "report?windows=1m",
            "did you mean `window`?; this path takes window (such as 30s or 5m), format (json, html or markdown)",
        ),
        (
            "bottlenecks?evidense=full",
            "did you mean `evidence`?; this path takes severity (low, medium, high or critical), type",
        ),
        ("bottlenecks?severity=hi", "severity must be low, medium, high or critical"),
        ("bottlenecks?type=slow_quary", "found `slow_quary`, did you mean `slow_query`?"),
        ("health?verbose=1", "unknown parameter `verbose`; this path takes no parameters"),
    ] {
        let (status, body) = ask(&app, "GET", &format!("/performance/{query}"), &[]).await;
        assert!(
            status == 400 && body["error"].as_str().is_some_and(|error| error.contains(expected)),
            "{query}: {body}"
        );
    }
    assert_eq!(send(&app, "DELETE", "/performance/clear-data").await.0, 200);
}

/// A job of Prometheus with `params` for other exporters, or a proxy that adds its own.
#[tokio::test(start_paused = true)]
async fn a_scrape_may_have_any_parameters() {
    let app = service(&monitor());
    traffic(&app, 1).await;
    for query in
        ["collect[]=cpu&collect[]=x", "module=http_2xx", "format=prometheus", "window=1m&window=2m", "a", "%FF", "&="]
    {
        let (status, page) = fetch(&app, &format!("/metrics?{query}")).await;
        assert!(
            status == 200 && page.contains("http_server_request_duration_seconds_count{"),
            "{query}: {status} {page}"
        );
        assert_eq!(send(&app, "POST", &format!("/metrics?{query}")).await.0, 405);
    }
}

#[tokio::test(start_paused = true)]
async fn the_index_passes_parameters_on() {
    let app = service(&monitor());
    for (query, accept, expected) in [
        ("?format=html&window=1m", "text/html", "performance/report?format=html&window=1m"),
        ("?format=json", "text/html", "performance/report?format=json"),
        ("?window=1m", "application/json", "performance/report?window=1m"),
        ("?", "application/json", "performance/report"),
    ] {
        let request = http::Request::get(format!("/performance{query}")).header("accept", accept);
        let request = request.body(axum::body::Body::empty()).expect("a request");
        let response = tower::ServiceExt::oneshot(app.clone(), request).await.expect("a router never fails");
        assert_eq!(response.headers()["location"], expected, "{query} {accept}");
    }
}

#[tokio::test(start_paused = true)]
async fn bottlenecks_are_chosen_by_severity_and_type() {
    let monitor = monitor();
    let app = service(&monitor);
    traffic(&app, 30).await;
    tokio::time::sleep(Duration::from_secs(40)).await;
    let all = json(&app, "/performance/bottlenecks").await;
    assert!(all["total_count"].as_u64() > Some(3), "{all}");
    let of = async |query: &str| json(&app, &format!("/performance/bottlenecks?{query}")).await;
    let critical = of("severity=critical").await;
    assert!(kinds(&critical).iter().all(|(.., severity)| severity == "critical") && !kinds(&critical).is_empty());
    assert_eq!((&critical["total_count"], &critical["high_count"]), (&all["critical_count"], &value!(0)));
    let two = of("type=slow_query,high_error_rate").await;
    let mut found: Vec<_> = kinds(&two).into_iter().map(|(kind, ..)| kind).collect();
    found.sort();
    found.dedup();
    assert_eq!(found, ["high_error_rate", "slow_query"]);
    let none = of("type=slow_query&severity=low").await;
    assert_eq!((kinds(&none).len(), &none["total_count"]), (0, &value!(0)));
    let limited = of("limit=2").await;
    assert_eq!(kinds(&limited), kinds(&all)[..2], "the worst");
    assert_eq!((&limited["total_count"], &limited["pending_count"]), (&all["total_count"], &all["pending_count"]));
}

#[tokio::test(start_paused = true)]
async fn evidence_is_a_summary_unless_all_or_none_is_asked_for() {
    let monitor = built(Monitor::builder().slow_requests(20));
    let app = service(&monitor);
    traffic(&app, 30).await;
    tokio::time::sleep(Duration::from_secs(40)).await;
    let evidence = async |query: &str| {
        let answer = json(&app, &format!("/performance/bottlenecks?type=slow_endpoint{query}")).await;
        (answer["bottlenecks"][0]["evidence"].clone(), answer.to_string().len())
    };
    let (full, largest) = evidence("&evidence=full").await;
    let (summary, small) = evidence("").await;
    let (none, smallest) = evidence("&evidence=none").await;
    assert_eq!(full["slowest_requests"].as_array().map(Vec::len), Some(20));
    assert_eq!((&summary["slowest_requests"], &none), (&Value::Null, &Value::Null));
    assert_eq!((&summary["numbers"], &summary["words"]), (&full["numbers"], &full["words"]));
    assert_eq!(summary["top_queries"], full["top_queries"]);
    assert!(smallest < small && small * 2 < largest, "{smallest} {small} {largest}");
    assert_eq!(evidence("&evidence=summary").await.0["numbers"], summary["numbers"]);
}

#[tokio::test(start_paused = true)]
async fn counts_are_integers() {
    let monitor = monitor();
    let app = service(&monitor);
    traffic(&app, 30).await;
    tokio::time::sleep(Duration::from_secs(40)).await;
    let answer = json(&app, "/performance/bottlenecks?evidence=full").await;
    let slow = answer["bottlenecks"].as_array().expect("a list").iter().find(|one| one["type"] == "slow_endpoint");
    let slow = slow.expect("the slow endpoint");
    assert_eq!(
        (&slow["metrics"]["request_count"], &slow["evidence"]["numbers"]["requests"]),
        (&value!(30), &value!(30))
    );
    assert!(slow["evidence"]["numbers"]["avg_duration"].is_f64());
    let memory = json(&app, "/performance/memory").await;
    for count in ["open_fds", "max_fds", "threads"] {
        assert!(memory[count].is_u64(), "{count}: {memory}");
    }
    assert_eq!(json(&app, "/performance/metrics").await["summary"]["active_requests"], value!(0));
}

/// The length of the longest text of an answer.
fn longest_text(answer: &Value) -> usize {
    match answer {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.iter().map(longest_text).max().unwrap_or(0),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| name.len().max(longest_text(value))).max().unwrap_or(0)
        }
        _ => 0,
    }
}

#[tokio::test(start_paused = true)]
async fn long_names_are_cut_and_still_found() {
    let monitor = monitor();
    let (route, task) = (format!("/{}", "a".repeat(20_000)), "é".repeat(20_000));
    let slow = move || {
        let task = task.clone();
        async move {
            let work = async {
                tokio::time::sleep(Duration::from_secs(2)).await;
                Ok::<_, ()>(())
            };
            let _ = track_async_task(task, work).await;
        }
    };
    let app = Router::new().route(&route, get(slow)).layer(monitor.layer()).merge(monitor.router());
    for _ in 0..20 {
        fetch(&app, &route).await;
    }
    tokio::time::sleep(Duration::from_secs(40)).await;
    for path in ["bottlenecks?evidence=full", "endpoints", "metrics", "trends", "report", "health"] {
        let answer = json(&app, &format!("/performance/{path}")).await;
        assert!(longest_text(&answer) < 700, "{path}: {}", longest_text(&answer));
    }
    let found = json(&app, "/performance/bottlenecks").await;
    let endpoint = found["bottlenecks"].as_array().expect("a list").iter().find(|one| one["type"] == "slow_endpoint");
    let name = endpoint.expect("the slow endpoint")["subject"].as_str().expect("a name").to_owned();
    assert_eq!(name.chars().count(), 200, "{name}");
    for name in [name, format!("GET {route}"), route] {
        let path: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let one = json(&app, &format!("/performance/endpoints/{path}")).await;
        assert_eq!(one["endpoints"][0]["request_count"], 20);
        assert!(!one["endpoints"][0]["slowest_requests"].as_array().expect("a list").is_empty());
        assert!(longest_text(&one) < 700);
    }
    let page = fetch(&app, "/performance/report?format=html").await.1;
    assert!(!page.contains(&"a".repeat(201)) && !page.contains(&"é".repeat(201)));
}
