//! A service with the monitor inside: its side of the story is joined.

use std::{
    io::{Read as _, Write as _},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use axum::{Router, routing::get};
use pinchpoint::{Access, Monitor, track_db_query};
use tokio::sync::Semaphore;

use crate::{
    server::wait_until,
    tool::{loadtest, started},
};

/// Starts a service with four routes; one does three queries a request, two serve four requests at a time each.
fn service() -> SocketAddr {
    service_behind(None)
}

/// The same, where `/metrics` and `/performance` answer only requests with this token.
fn service_behind(token: Option<&'static str>) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let permits = [Arc::new(Semaphore::new(4)), Arc::new(Semaphore::new(4))];
            let [few, slow] = permits.map(|permits| move |time| narrow(Arc::clone(&permits), time));
            let access = token.map_or(Access::Open, Access::token);
            let monitor = Monitor::builder().metrics_access(access.clone()).performance_access(access).build().unwrap();
            let app = Router::new()
                .route("/users/{id}", get(user))
                .route("/narrow", get(move || few(Duration::from_millis(20))))
                // What a busy machine adds is little beside it.
                .route("/narrow-and-slow", get(move || slow(Duration::from_millis(100))))
                .route("/health", get(|| async { "well" }))
                .layer(monitor.layer())
                .merge(monitor.router());
            axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), app).await.unwrap();
        });
    });
    address
}

async fn narrow(permits: Arc<Semaphore>, time: Duration) -> &'static str {
    let _permit = permits.acquire().await.unwrap();
    tokio::time::sleep(time).await;
    "narrow"
}

async fn user() -> &'static str {
    for _ in 0..3 {
        let query = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Ok::<_, std::convert::Infallible>(())
        };
        track_db_query("SELECT * FROM users WHERE id = 7", query).await.unwrap();
    }
    "ann"
}

#[test]
fn both_sides_are_joined_and_agree_on_the_count() {
    let url = format!("http://{}", service());
    let arguments = ["-H", &url, "-e", "/users/{{ random(1, 50) }}=3", "/health", "-u", "5", "-t", "2s"];
    let run = loadtest(&arguments).said("The server's side");
    let sides = run.json["server"]["endpoints"].as_array().unwrap();
    let users = sides.iter().find(|side| side["endpoint"] == "GET /users/{id}").unwrap();
    assert_eq!(users["client_requests"], users["server_requests"]);
    assert_eq!(users["db_queries_per_request"], 3.0);
    assert!(users["db_time_percent"].as_f64().unwrap() > 80.0, "{users}");
    let (client, server) = (users["client_avg"].as_f64().unwrap(), users["server_avg"].as_f64().unwrap());
    assert!(server > 0.015 && client >= server, "{users}");
    let counted: u64 = sides.iter().map(|side| side["server_requests"].as_u64().unwrap()).sum();
    assert_eq!(counted, run.number("/total_requests") as u64);
}

#[test]
fn what_a_higher_load_saturates_is_named_from_the_servers_numbers() {
    let url = format!("http://{}", service());
    let load = ["--find-capacity", "-u", "4", "-t", "1500ms", "--threshold", "p90<350ms", "--no-rules"];
    let run = loadtest(&[&["-H", &url, "-e", "/narrow-and-slow=5", "/health"], &load[..]].concat()).ended_with(0);
    assert!(run.number("/server_requests") >= 10.0 && !run.out.contains("has no Pinchpoint metrics"), "{}", run.out);
    let evidence = run.json["capacity"]["evidence"].as_array().unwrap();
    let line = |at: usize| evidence[at].as_str().unwrap();
    assert!(line(0).starts_with("Saturated first: something that requests queue for"), "{evidence:#?}");
    assert!(line(1).contains("the one worker of its runtime"), "{evidence:#?}");
    assert!(line(2).ends_with("most of it by GET /narrow-and-slow."), "{evidence:#?}");
}

#[test]
fn what_a_higher_rate_saturates_is_named_without_the_generators_own_queue() {
    let url = format!("http://{}", service());
    let load = ["--find-capacity", "-t", "600ms", "--rate", "150/s", "--threshold", "p90<70ms", "--no-rules"];
    let arguments = [&["-H", &url, "-e", "/narrow=5", "/health"], &load[..]].concat();
    // On a busy machine the generator sends late, and then there is nothing to explain.
    let evidence = (0..3)
        .map(|_| loadtest(&arguments).json["capacity"]["evidence"].clone())
        .find(|evidence| evidence.as_array().is_some_and(|lines| !lines.is_empty()))
        .unwrap();
    let line = |at: usize| evidence[at].as_str().unwrap();
    assert!(line(0).starts_with("Saturated first: something that requests queue for"), "{evidence:#?}");
    assert!(line(2).ends_with("most of it by GET /narrow."), "{evidence:#?}");
}

/// Returns what the service exposes.
fn metrics(url: &str) -> String {
    let mut connection = std::net::TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    connection.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn monitor_watches_a_running_test() {
    let url = format!("http://{}", service());
    let load = started(&["-H", &url, "-e", "/health", "/users/7", "-u", "2", "-t", "10m"]);
    wait_until("a user", || metrics(&url).contains("/users/{id}"));
    let arguments =
        ["monitor", "-H", &url, "-t", "1500ms", "--interval", "500ms", "-o", "watch.json", "-o", "watch.csv"];
    let run = loadtest(&arguments).ended_with(0).said("GET /users/{id}");
    let looks: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(run.file("watch.json")).unwrap()).unwrap();
    let looks = looks.as_array().unwrap();
    assert!(looks.len() >= 3, "{}", run.out);
    assert!(looks[1]["requests_per_second"].as_f64().unwrap() > 10.0, "{}", run.out);
    assert!(std::fs::read_to_string(run.file("watch.csv")).unwrap().lines().count() >= 4);
    load.interrupt();
    load.finish();
}

#[test]
fn a_service_without_a_monitor_cannot_be_watched() {
    let server = crate::server::Server::start();
    loadtest(&["monitor", "-H", &server.url()]).ended_with(2).said("has it Pinchpoint inside?");
}

#[test]
fn a_side_behind_authentication_is_joined_with_the_header_and_missed_aloud_without() {
    let url = format!("http://{}", service_behind(Some("abc")));
    let load = ["-H", &url, "-e", "/health", "-u", "1", "-t", "400ms"];
    let with = |more: &[&str]| loadtest(&[&load[..], more].concat());
    let run = with(&["--header", "Authorization: Bearer abc"]).ended_with(0).said("The server's side");
    assert_eq!(run.json["server"]["endpoints"][0]["endpoint"], "GET /health");
    assert!(run.json["server_refused"].is_null());
    let run = with(&[]).ended_with(0).said("/metrics answers 401 Unauthorized; --monitor-token or --header can");
    assert!(run.json["server"].is_null() && run.json["server_refused"].is_string());
    with(&["--header", "Authorization: Bearer x"]).said("or --header gives does not suffice");
    // Another origin by its name, which must not be given what is meant for this one.
    let other = url.replace("127.0.0.1", "localhost");
    let run = with(&["--header", "Authorization: Bearer abc", "--monitor-url", &other]);
    run.ended_with(0).said("--header is sent to the origin of --base-url only");
}

#[test]
fn a_guarded_side_is_joined_with_the_token() {
    let url = format!("http://{}", service_behind(Some("abc")));
    let load = ["-H", &url, "-e", "/health", "-u", "1", "-t", "400ms"];
    let with = |more: &[&str]| loadtest(&[&load[..], more].concat());
    let other = url.replace("127.0.0.1", "localhost");
    let own = ["--header", "Authorization: Bearer of-the-service", "--monitor-token", "abc"];
    for more in [&["--monitor-token", "abc"][..], &["--monitor-token", "abc", "--monitor-url", &other], &own] {
        let run = with(more).ended_with(0).said("The server's side");
        assert!(run.json["server_refused"].is_null());
    }
    with(&["--monitor-token", "wrong"]).said("answers 401 Unauthorized; what --monitor-token or --header gives");
    let refused = with(&["--monitor-token", "abc\n"]).ended_with(2).said("invalid value '***' for '--monitor-token");
    assert!(!refused.out.contains("abc"));
    let watch = ["monitor", "-H", &url, "-t", "300ms", "--interval", "100ms", "--monitor-token", "abc"];
    loadtest(&watch).ended_with(0).said("0 bottlenecks");
}

#[test]
fn the_monitor_mode_sends_headers_and_says_when_they_are_missing() {
    let url = format!("http://{}", service_behind(Some("abc")));
    let watch = ["-H", &url, "-t", "300ms", "--interval", "100ms", "--timeout", "2s"];
    let header = ["--header", "Authorization: Bearer abc"];
    loadtest(&[&["monitor"], &watch[..], &header].concat()).ended_with(0).said("0 bottlenecks");
    loadtest(&[&["--mode", "monitor"], &watch[..], &header].concat()).ended_with(0).said("0 bottlenecks");
    loadtest(&[&["monitor"], &watch[..]].concat()).ended_with(2).said("answers 401 Unauthorized");
}

#[test]
fn the_monitor_mode_takes_no_certificate_unasked() {
    let url = crate::server::Server::start_tls().tls_url();
    loadtest(&["monitor", "-H", &url]).ended_with(2).said("certificate").said("--accept-invalid-certs");
    // This server has no monitor, which the tool reports once it accepts the certificate.
    loadtest(&["monitor", "-H", &url, "--accept-invalid-certs"]).ended_with(2).said("has it Pinchpoint inside?");
}
