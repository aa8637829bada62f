//! Who may read: `/metrics` and `/performance` with a token, from this machine, or open.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use http::{Request, Response};
use pinchpoint::{Access, Control, Monitor};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tower::ServiceExt as _;

use crate::{
    api::service,
    control::CONTROL,
    support::{ask, built},
};

/// `prometheus:se:cret`, `:se:cret` and `prometheus:wrong`, as HTTP Basic authentication sends them.
const BASIC: &str = "Basic cHJvbWV0aGV1czpzZTpjcmV0";
const BASIC_WITHOUT_USER: &str = "Basic OnNlOmNyZXQ=";
const WRONG_BASIC: &str = "Basic cHJvbWV0aGV1czp3cm9uZw==";
const BEARER: &str = "Bearer se:cret";

/// Paths below `/performance`, also those that lead nowhere.
const PERFORMANCE: [&str; 9] = [
    "/performance",
    "/performance/",
    "/performance/metrics",
    "/performance/events",
    "/performance/openapi.json",
    "/performance/endpoints/GET%20%2Freport",
    "/performance/report?format=html",
    "/performance/nothing",
    "/performance/health?wrong=1",
];

fn secret() -> Access {
    Access::token("se:cret")
}

async fn answer(app: &Router, method: &str, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
    let request = Request::builder().method(method).uri(path);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    app.clone().oneshot(request.body(Body::empty()).expect("a request")).await.expect("a router never fails")
}

async fn status(app: &Router, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
    answer(app, method, path, headers).await.status().as_u16()
}

#[tokio::test(start_paused = true)]
async fn metrics_and_performance_are_guarded_apart() {
    let metrics = service(&built(Monitor::builder().metrics_access(secret())));
    let performance = service(&built(Monitor::builder().performance_access(secret())));
    assert_eq!(status(&metrics, "GET", "/metrics", &[]).await, 401);
    assert_eq!(status(&performance, "GET", "/metrics", &[]).await, 200);
    assert_eq!(status(&metrics, "GET", "/performance/health", &[]).await, 200);
    for path in PERFORMANCE {
        let open = status(&metrics, "GET", path, &[]).await;
        assert_ne!(open, 401, "{path}");
        for authorization in [BASIC, BASIC_WITHOUT_USER, BEARER] {
            let headers = [("authorization", authorization)];
            assert_eq!(status(&performance, "GET", path, &headers).await, open, "{path}");
        }
        for headers in [&[][..], &[("authorization", WRONG_BASIC)], &[("authorization", "Bearer secret")]] {
            for method in ["GET", "HEAD", "OPTIONS", "POST"] {
                assert_eq!(status(&performance, method, path, headers).await, 401, "{method} {path}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_asks_for_credentials_and_repeats_none() {
    let monitor = built(Monitor::builder().metrics_access(secret()).performance_access(secret()));
    let app = service(&monitor);
    for path in ["/metrics", "/performance"] {
        let response = answer(&app, "GET", path, &[("authorization", "Bearer hunter2")]).await;
        let asked: Vec<_> = response.headers().get_all("www-authenticate").iter().collect();
        assert_eq!(asked, ["Basic realm=\"pinchpoint\", charset=\"UTF-8\"", "Bearer realm=\"pinchpoint\""]);
        assert_eq!(response.headers()["cache-control"], "no-store");
        let (_, body) = ask(&app, "GET", path, &[("authorization", "Bearer hunter2")]).await;
        let error = body["error"].as_str().expect("a text");
        assert!(error.contains("Authorization: Bearer <token>") && !body.to_string().contains("hunter2"), "{body}");
    }
    // Nobody's scrape counts as a request of the service.
    let samples = crate::support::Samples::of(&monitor);
    assert_eq!(samples.series("http_server_request_duration_seconds_count", &["/metrics"]).count(), 0);
    let shown = format!("{monitor:?}");
    assert!(!shown.contains("se:cret"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_reads_does_not_control_and_one_that_controls_reads() {
    let reads = ("authorization", BEARER);
    let guarded = || Monitor::builder().metrics_access(secret()).performance_access(secret());
    let with_token = service(&built(guarded().control(Control::token("for control"))));
    let refused = service(&built(guarded()));
    let open = service(&built(guarded().control(Control::Open)));
    for (method, path) in CONTROL {
        assert_eq!(status(&with_token, method, path, &[reads]).await, 403, "{path}");
        assert_eq!(status(&refused, method, path, &[reads]).await, 403, "{path}");
        // Open to those who may read.
        assert_eq!(status(&open, method, path, &[]).await, 401, "{path}");
        let another_site = ("sec-fetch-site", "cross-site");
        assert_eq!(status(&open, method, path, &[("authorization", BASIC), another_site]).await, 403, "{path}");
        assert_eq!(status(&open, method, path, &[reads]).await, 200, "{path}");
        let controls = ("authorization", "Bearer for control");
        assert_eq!(status(&with_token, method, path, &[controls]).await, 200, "{path}");
        // A browser adds a password by itself, also to what another site's page sends.
        let password = ("authorization", "Basic Ompvcg==");
        assert_eq!(status(&with_token, method, path, &[password]).await, 403, "{path}");
    }
    for path in ["/metrics", "/performance/health"] {
        assert_eq!(status(&with_token, "GET", path, &[("authorization", "Bearer for control")]).await, 200, "{path}");
        let password = ("authorization", "Basic OmZvciBjb250cm9s");
        assert_eq!(status(&with_token, "GET", path, &[password]).await, 200, "{path}");
    }
}

/// As a service under `into_make_service_with_connect_info` sees a client.
fn from(app: &Router, client: &str) -> Router {
    let client: SocketAddr = client.parse().expect("an address");
    app.clone().layer(axum::Extension(ConnectInfo(client)))
}

#[tokio::test(start_paused = true)]
async fn loopback_lets_in_the_clients_of_this_machine() {
    let monitor = built(
        Monitor::builder()
            .metrics_access(Access::Loopback)
            .performance_access(Access::Loopback)
            .control(Control::Loopback)
            .allow_host("shop.internal"),
    );
    let app = service(&monitor);
    let here = ("host", "localhost:8000");
    for path in ["/metrics", "/performance/health", "/performance/nothing"] {
        let open = if path.ends_with("nothing") { 404 } else { 200 };
        for client in ["127.0.0.1:5", "127.9.9.9:5", "[::1]:5", "[::ffff:127.0.0.1]:5"] {
            let app = from(&app, client);
            for headers in [&[][..], &[here], &[("host", "[::1]:8000")], &[("host", "shop.internal")]] {
                assert_eq!(status(&app, "GET", path, headers).await, open, "{client} {headers:?}");
            }
            let others: [&[(&str, &str)]; 8] = [
                &[("host", "rebound.example")],
                &[("host", "10.0.0.1")],
                &[here, ("x-forwarded-for", "203.0.113.9")],
                &[here, ("forwarded", "for=203.0.113.9")],
                &[here, ("cf-connecting-ip", "203.0.113.9")],
                &[here, ("true-client-ip", "203.0.113.9")],
                &[here, ("x-forwarded", "203.0.113.9")],
                &[here, ("x-cluster-client-ip", "203.0.113.9")],
            ];
            for headers in others {
                assert_eq!(status(&app, "GET", path, headers).await, 403, "{client} {headers:?}");
            }
        }
        for client in ["10.0.0.1:5", "[2001:db8::1]:5", "[::ffff:10.0.0.1]:5"] {
            assert_eq!(status(&from(&app, client), "GET", path, &[here]).await, 403, "{client}");
        }
        // What the client writes as the host proves nothing.
        let (unknown, body) = ask(&app, "GET", path, &[here]).await;
        assert_eq!(unknown, 403);
        let expected = "into_make_service_with_connect_info";
        assert!(body["error"].as_str().is_some_and(|error| error.contains(expected)), "{body}");
    }
    let (method, path) = CONTROL[0];
    assert_eq!(status(&from(&app, "127.0.0.1:5"), method, path, &[here]).await, 200);
    assert_eq!(status(&from(&app, "10.0.0.1:5"), method, path, &[here]).await, 403, "control too");
}

/// Returns the first line of the answer to a request on an address.
async fn first_line(address: SocketAddr, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request = format!("GET /metrics HTTP/1.1\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(30), read).await.expect("in time").expect("text");
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn an_address_of_its_own_knows_its_clients() {
    let monitor = built(Monitor::builder().metrics_access(Access::Loopback));
    // A client on this machine that connects to an address of a network is not known by its host alone.
    let anywhere = monitor.serve(([0, 0, 0, 0], 0)).await.expect("a free port");
    let here = SocketAddr::from(([127, 0, 0, 1], anywhere.port()));
    assert_eq!(first_line(here, "host: localhost\r\n").await, "HTTP/1.1 200 OK");
    assert_eq!(first_line(here, "host: rebound.example\r\n").await, "HTTP/1.1 403 Forbidden");
    assert_eq!(first_line(here, "host: localhost\r\nforwarded: for=10.0.0.1\r\n").await, "HTTP/1.1 403 Forbidden");
    monitor.shutdown().await;
    let monitor = built(Monitor::builder().metrics_access(secret()));
    let address = monitor.serve(([127, 0, 0, 1], 0)).await.expect("a free port");
    assert_eq!(first_line(address, "host: localhost\r\n").await, "HTTP/1.1 401 Unauthorized");
    let headers = format!("host: localhost\r\nauthorization: {BASIC}\r\n");
    assert_eq!(first_line(address, &headers).await, "HTTP/1.1 200 OK");
    monitor.shutdown().await;
}
