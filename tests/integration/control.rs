//! `start-monitoring`, `stop-monitoring` and `clear-data`: who may send them, and what they do.

use std::{collections::BTreeMap, time::Duration};

use axum::Router;
use pinchpoint::{Control, Monitor};
use serde_json::Value;

use crate::{
    api::{json, kinds, service, traffic},
    support::{Samples, ask, built, monitor},
};

pub(crate) async fn control(app: &Router, method: &str, path: &str, token: Option<&str>) -> (u16, Value) {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<_> = bearer.iter().map(|bearer| ("authorization", &**bearer)).collect();
    ask(app, method, path, &headers).await
}

pub(crate) const CONTROL: [(&str, &str); 3] = [
    ("POST", "/performance/start-monitoring"),
    ("POST", "/performance/stop-monitoring"),
    ("DELETE", "/performance/clear-data"),
];

#[tokio::test(start_paused = true)]
async fn control_is_closed_by_default_and_says_how_to_open_it() {
    let monitor = monitor();
    let app = service(&monitor);
    for (method, path) in CONTROL {
        let (status, body) = control(&app, method, path, Some("guess")).await;
        assert_eq!(status, 403);
        assert!(body["error"].as_str().is_some_and(|error| error.contains("Control::token")), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn control_opens_for_the_token_only() {
    let monitor = built(Monitor::builder().control(Control::token("secret")));
    let app = service(&monitor);
    for (method, path) in CONTROL {
        for wrong in [None, Some("wrong"), Some("")] {
            assert_eq!(control(&app, method, path, wrong).await.0, 403);
        }
        assert_eq!(control(&app, method, path, Some("secret")).await.0, 200);
    }
}

const HERE: (&str, &str) = ("host", "127.0.0.1:8000");

#[tokio::test(start_paused = true)]
async fn open_control_is_closed_to_the_pages_of_other_sites() {
    let foreign: [&[(&str, &str)]; 7] = [
        &[HERE, ("origin", "https://evil.example")],
        &[HERE, ("origin", "null")],
        &[HERE, ("origin", "http://127.0.0.1:3000")],
        &[("origin", "http://127.0.0.1:8000")],
        &[HERE, ("sec-fetch-site", "cross-site")],
        &[HERE, ("sec-fetch-site", "same-site"), ("origin", "http://127.0.0.1:3000")],
        &[HERE, ("sec-fetch-site", "cross-site"), ("origin", "http://127.0.0.1:8000")],
    ];
    // As curl, an older browser and a current one send it; behind a proxy the host may be another one.
    let own: [&[(&str, &str)]; 5] = [
        &[HERE],
        &[],
        &[HERE, ("origin", "http://127.0.0.1:8000")],
        &[HERE, ("sec-fetch-site", "same-origin"), ("origin", "https://shop.example")],
        &[HERE, ("sec-fetch-site", "none")],
    ];
    for opened in [Control::Open, Control::Loopback] {
        let monitor = built(Monitor::builder().control(opened));
        let app = service(&monitor);
        for (method, path) in CONTROL {
            for headers in foreign {
                let (status, body) = ask(&app, method, path, headers).await;
                assert_eq!(status, 403, "{headers:?}");
                assert!(body["error"].as_str().is_some_and(|error| error.contains("another site")), "{body}");
            }
            for headers in own {
                assert_eq!(ask(&app, method, path, headers).await.0, 200, "{headers:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn control_on_loopback_is_closed_to_other_addresses() {
    let monitor = built(Monitor::builder().control(Control::Loopback));
    for (method, path) in CONTROL {
        let (status, body) = ask(&service(&monitor), method, path, &[("host", "10.0.0.1:8000")]).await;
        assert_eq!(status, 403);
        assert!(body["error"].as_str().is_some_and(|error| error.contains("loopback")), "{body}");
        for host in ["localhost:8000", "[::1]:8000", "127.0.0.2"] {
            assert_eq!(ask(&service(&monitor), method, path, &[("host", host)]).await.0, 200, "{host}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_enough_from_anywhere() {
    let monitor = built(Monitor::builder().control(Control::token("secret")));
    let headers = [("authorization", "Bearer secret"), ("origin", "https://tools.example"), HERE];
    for (method, path) in CONTROL {
        assert_eq!(ask(&service(&monitor), method, path, &headers).await.0, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn stop_measures_nothing_until_start() {
    let monitor = built(Monitor::builder().control(Control::Open));
    let app = service(&monitor);
    traffic(&app, 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = tokio::time::Instant::now();
    assert_eq!(control(&app, "POST", CONTROL[1].1, None).await.1["monitoring"], false);
    assert_eq!(began.elapsed(), Duration::ZERO, "stopping returns at once");
    let before = Samples::of(&monitor);
    traffic(&app, 3).await;
    let stopped = Samples::of(&monitor);
    for name in [
        "http_server_request_duration_seconds_count",
        "db_client_operation_duration_seconds_count",
        "pinchpoint_task_active",
    ] {
        assert_eq!(stopped.sum(name, &[]), before.sum(name, &[]), "{name}");
    }
    assert_eq!(json(&app, "/performance/status").await["monitoring"], false);
    control(&app, "POST", CONTROL[0].1, None).await;
    traffic(&app, 1).await;
    assert_eq!(Samples::of(&monitor).requests(&[]), before.requests(&[]) + 5.0);
}

#[tokio::test(start_paused = true)]
async fn clear_starts_the_windows_over_and_leaves_metrics_monotonic() {
    let monitor = built(Monitor::builder().control(Control::Open));
    let app = service(&monitor);
    traffic(&app, 20).await;
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert_ne!(kinds(&json(&app, "/performance/bottlenecks").await), []);
    let before = Samples::of(&monitor);
    control(&app, "DELETE", CONTROL[2].1, None).await;
    let cleared = Samples::of(&monitor);
    assert_eq!(json(&app, "/performance/metrics").await["summary"]["total_requests"], 0);
    assert_eq!(kinds(&json(&app, "/performance/bottlenecks").await), []);
    traffic(&app, 1).await;
    let summary = json(&app, "/performance/metrics").await["summary"].clone();
    assert_eq!(summary["total_requests"], 5);
    assert!((summary["max_duration_ms"].as_f64().expect("ms") - 1500.0).abs() < 10.0);
    let after = Samples::of(&monitor);
    assert_eq!(after.requests(&[]), before.requests(&[]) + 5.0);
    for (earlier, later) in [(&before, &cleared), (&cleared, &after)] {
        let later: BTreeMap<_, _> = later.monotonic().collect();
        for (series, value) in earlier.monotonic() {
            assert!(later.get(series).is_some_and(|later| *later >= value), "{series}: {value}, then {later:?}");
        }
    }
    assert!(before.monotonic().count() > 300);
}

/// What a page sends whose site points a name of its own at this machine: to the browser it is the same site.
const REBOUND: [&[(&str, &str)]; 3] = [
    &[("host", "evil.example:8000"), ("origin", "http://evil.example:8000"), ("sec-fetch-site", "same-origin")],
    &[("host", "evil.example:8000"), ("origin", "http://evil.example:8000")],
    &[("host", "127.0.0.1.evil.example")],
];

#[tokio::test(start_paused = true)]
async fn open_control_is_closed_to_a_name_that_was_pointed_here() {
    let open = || Monitor::builder().control(Control::Open);
    let app = service(&built(open()));
    for (method, path) in CONTROL {
        for headers in REBOUND {
            let (status, body) = ask(&app, method, path, headers).await;
            assert_eq!(status, 403, "{headers:?}");
            assert!(body["error"].as_str().is_some_and(|error| error.contains("allowed_hosts")), "{body}");
        }
        for own in ["127.0.0.1:8000", "[::1]", "10.1.2.3", "localhost:8000"] {
            assert_eq!(ask(&app, method, path, &[("host", own)]).await.0, 200, "{own}");
        }
    }
    let app = service(&built(open().allow_host("Shop.internal")));
    let own: [(&str, &str); 2] = [("host", "shop.internal:8000"), ("origin", "http://shop.internal:8000")];
    assert_eq!(ask(&app, "POST", "/performance/stop-monitoring", &own).await.0, 200);
    assert_eq!(ask(&app, "POST", "/performance/stop-monitoring", REBOUND[0]).await.0, 403);
    assert_eq!(ask(&app, "GET", "/performance/bottlenecks", REBOUND[0]).await.0, 200, "reading is open to all");
}

#[tokio::test(start_paused = true)]
async fn reading_on_the_loopback_interface_is_closed_to_a_name_that_was_pointed_here() {
    let app = service(&built(Monitor::builder().control(Control::Loopback).allow_host("shop.internal")));
    for path in ["/performance/bottlenecks", "/performance/status", "/performance/nowhere"] {
        for headers in REBOUND {
            assert_eq!(ask(&app, "GET", path, headers).await.0, 403, "{path} {headers:?}");
        }
    }
    for own in ["localhost:8000", "127.0.0.1:8000", "shop.internal"] {
        assert_eq!(ask(&app, "GET", "/performance/status", &[("host", own)]).await.0, 200, "{own}");
    }
}

#[tokio::test]
async fn an_address_on_loopback_is_closed_to_a_name_that_was_pointed_here() {
    let monitor = monitor();
    let address = monitor.serve(([127, 0, 0, 1], 0)).await.expect("a free port");
    let client = reqwest::Client::new();
    let status = |host: &'static str| {
        let request = client.get(format!("http://{address}/metrics")).header("host", host);
        async move { request.send().await.expect("an answer").status().as_u16() }
    };
    assert_eq!(
        (status("evil.example").await, status("localhost:9000").await, status("127.0.0.1").await),
        (403, 200, 200)
    );
}

#[tokio::test]
async fn a_merged_router_refuses_a_rebound_name_from_this_machine_where_it_knows_the_client() {
    let monitor = monitor();
    let app = service(&monitor).into_make_service_with_connect_info::<std::net::SocketAddr>();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, app).await });
    let client = reqwest::Client::new();
    let status = |host: &'static str, proxied: bool| {
        let mut request = client.get(format!("http://{address}/performance/status")).header("host", host);
        if proxied {
            request = request.header("x-forwarded-for", "203.0.113.7");
        }
        async move { request.send().await.expect("an answer").status().as_u16() }
    };
    assert_eq!((status("evil.example", false).await, status("localhost:3000", false).await), (403, 200));
    assert_eq!(status("shop.example", true).await, 200, "through a proxy on this machine");
}
