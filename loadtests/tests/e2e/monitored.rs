//! A service with the monitor inside: its side of the story is joined.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use pinchpoint::{Monitor, track_db_query};
use tokio::sync::Semaphore;

use crate::tool::{loadtest, started};

/// Starts a service with three routes; one does three queries a request, one serves four requests at a time.
fn service() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let permits = Arc::new(Semaphore::new(4));
            let monitor = Monitor::builder().build().unwrap();
            let app = Router::new()
                .route("/users/{id}", get(user))
                .route("/narrow", get(move || narrow(Arc::clone(&permits))))
                .route("/health", get(|| async { "well" }))
                .layer(monitor.layer())
                .merge(monitor.router());
            axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), app).await.unwrap();
        });
    });
    address
}

async fn narrow(permits: Arc<Semaphore>) -> &'static str {
    let _permit = permits.acquire().await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
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
    let load = ["--find-capacity", "-t", "600ms", "--threshold", "p90<70ms", "--no-rules"];
    let run = loadtest(&[&["-H", &url, "-e", "/narrow=5", "/health"], &load[..]].concat()).ended_with(0);
    let evidence = run.json["capacity"]["evidence"].as_array().unwrap();
    let line = |at: usize| evidence[at].as_str().unwrap();
    assert!(line(0).starts_with("Saturated first: something that requests queue for"), "{evidence:#?}");
    assert!(line(1).contains("the one worker of its runtime"), "{evidence:#?}");
    assert!(line(2).ends_with("most of it by GET /narrow."), "{evidence:#?}");
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

#[test]
fn monitor_watches_a_running_test() {
    let url = format!("http://{}", service());
    let load = started(&["-H", &url, "-e", "/health", "/users/7", "-u", "2", "-t", "3s"]);
    std::thread::sleep(Duration::from_millis(700));
    let arguments =
        ["monitor", "-H", &url, "-t", "1500ms", "--interval", "500ms", "-o", "watch.json", "-o", "watch.csv"];
    let run = loadtest(&arguments).ended_with(0).said("GET /users/{id}");
    let looks: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(run.file("watch.json")).unwrap()).unwrap();
    let looks = looks.as_array().unwrap();
    assert!(looks.len() >= 3, "{}", run.out);
    assert!(looks[1]["requests_per_second"].as_f64().unwrap() > 10.0, "{}", run.out);
    assert!(std::fs::read_to_string(run.file("watch.csv")).unwrap().lines().count() >= 4);
    load.finish();
}

#[test]
fn a_service_without_a_monitor_cannot_be_watched() {
    let server = crate::server::Server::start();
    loadtest(&["monitor", "-H", &server.url()]).ended_with(2).said("has it Pinchpoint inside?");
}
