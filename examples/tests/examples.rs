//! Each example is started as a program and asked what it measured.

use std::{
    io::{BufRead as _, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    time::{Duration, Instant},
};

use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

/// How long an example may take to start and to show what it measured, also on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);
const DURATIONS: &str = "http_server_request_duration_seconds_count";

/// An example that runs; dropping it ends it.
struct Example {
    process: Child,
    service: SocketAddr,
    /// The second address: the monitor's, or where gRPC is served.
    other: Option<SocketAddr>,
}

impl Example {
    /// Starts a program that listens on `ports` addresses, and prints one a line.
    fn start(program: &str, ports: usize) -> Self {
        let mut process = Command::new(program)
            .args(vec!["127.0.0.1:0"; ports])
            .env_remove("RUST_LOG")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("cargo has built it");
        let (found, addresses) = channel();
        forward(process.stdout.take().expect("it is piped"), found.clone());
        forward(process.stderr.take().expect("it is piped"), found);
        let deadline = Instant::now() + PATIENCE;
        let next = |addresses: &Receiver<SocketAddr>| {
            addresses.recv_timeout(deadline - Instant::now()).expect("it prints its address")
        };
        let service = next(&addresses);
        Self { process, service, other: (ports > 1).then(|| next(&addresses)) }
    }

    fn monitor(&self) -> SocketAddr {
        self.other.unwrap_or(self.service)
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads to the end, so that the program never waits for a full pipe, and passes on the addresses in it.
fn forward(output: impl Read + Send + 'static, found: Sender<SocketAddr>) {
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let address =
                line.split("http://").nth(1).and_then(|rest| rest.split(['/', '\u{1b}']).next()?.parse().ok());
            let _ = address.map(|address| found.send(address));
        }
    });
}

async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let response = reqwest::get(format!("http://{address}{path}")).await.expect("an answer");
    (response.status().as_u16(), response.text().await.expect("a text"))
}

/// Returns the value of the series of `name` that has all of `labels`.
fn value(exposition: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let series = exposition.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once("} "));
    let has_all = |text: &str| labels.iter().all(|(label, value)| text.contains(&format!("{label}=\"{value}\"")));
    series.into_iter().find(|(text, _)| has_all(text)).and_then(|(_, value)| value.parse().ok())
}

/// Waits until the series has the value: a request is counted after its last byte was sent.
#[track_caller]
fn wait_for(address: SocketAddr, name: &str, labels: &[(&str, &str)], expected: f64) -> impl Future<Output = String> {
    let caller = std::panic::Location::caller();
    async move {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (status, text) = get(address, "/metrics").await;
            assert_eq!(status, 200, "{text}");
            if value(&text, name, labels) == Some(expected) {
                return text;
            }
            assert!(Instant::now() < deadline, "{caller}: {name} {labels:?} is not {expected} in\n{text}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Asks `path` twice, and checks that both are counted under its template and that the monitor answers.
async fn check(example: &Example, path: &str, template: &str) -> String {
    for _ in 0..2 {
        assert_eq!(get(example.service, path).await.0, 200, "{path}");
    }
    let labels = [("http_request_method", "GET"), ("http_route", template), ("http_response_status_code", "200")];
    let text = wait_for(example.monitor(), DURATIONS, &labels, 2.0).await;
    assert!(path == template || !text.contains(path), "a raw path became a label:\n{text}");
    let (status, answer) = get(example.monitor(), "/performance/bottlenecks").await;
    assert_eq!(status, 200, "{answer}");
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    assert!(answer["bottlenecks"].is_array(), "{answer}");
    text
}

/// Asks what matches no route, and checks that it is one series without a route.
async fn check_unmatched(example: &Example) {
    for path in ["/wp-login.php", "/.env"] {
        assert_eq!(get(example.service, path).await.0, 404, "{path}");
    }
    let labels = [("http_request_method", "GET"), ("http_route", ""), ("http_response_status_code", "404")];
    let text = wait_for(example.monitor(), DURATIONS, &labels, 2.0).await;
    assert!(!text.contains("wp-login"), "{text}");
}

#[tokio::test]
async fn shop() {
    let example = Example::start(env!("CARGO_BIN_EXE_shop"), 1);
    check(&example, "/users/7", "/users/{id}").await;
    check_unmatched(&example).await;
    let labels = [("task_name", "send_greeting"), ("outcome", "ok")];
    wait_for(example.service, "pinchpoint_task_duration_seconds_count", &labels, 2.0).await;
}

#[tokio::test]
async fn sqlx_is_seen_beside_a_filtered_log() {
    let example = Example::start(env!("CARGO_BIN_EXE_axum_tracing"), 1);
    check(&example, "/users/7", "/users/{id}").await;
    check_unmatched(&example).await;
    assert_eq!(get(example.service, "/users/8").await.0, 404);
    let labels = [("db_system_name", "sqlite"), ("db_operation_name", "SELECT")];
    wait_for(example.service, "db_client_operation_duration_seconds_count", &labels, 3.0).await;
}

#[tokio::test]
async fn what_the_host_records_reaches_both_recorders() {
    let example = Example::start(env!("CARGO_BIN_EXE_own_recorder"), 1);
    let ours = check(&example, "/orders", "/orders").await;
    assert!(ours.contains("\norders_total 2"), "{ours}");
    let (_, hosts) = get(example.service, "/host-metrics").await;
    assert!(hosts.contains("\norders_total 2"), "{hosts}");
    assert_eq!(value(&hosts, DURATIONS, &[("http_route", "/orders")]), None, "{hosts}");
}

#[tokio::test]
async fn the_prometheus_crate_keeps_a_path_of_its_own() {
    let example = Example::start(env!("CARGO_BIN_EXE_prometheus_crate"), 1);
    let ours = check(&example, "/orders/7", "/orders/{item}").await;
    assert!(!ours.contains("app_orders_total"), "{ours}");
    let (status, apps) = get(example.service, "/metrics/app").await;
    assert_eq!(status, 200);
    assert_eq!(value(&apps, "app_orders_total", &[("item", "odd")]), Some(2.0), "{apps}");
}

#[tokio::test]
async fn plain_hyper_names_its_routes() {
    let example = Example::start(env!("CARGO_BIN_EXE_hyper_tower"), 2);
    check(&example, "/users/7", "/users/{id}").await;
    check_unmatched(&example).await;
}

#[tokio::test]
async fn poem_routes_have_their_pattern() {
    let example = Example::start(env!("CARGO_BIN_EXE_poem_tower"), 2);
    check(&example, "/users/7", "/users/:id").await;
    // An error of an extractor, which poem would make a response outside the layer.
    assert_eq!(get(example.service, "/users/nobody").await.0, 400);
    let labels = [("http_route", "/users/:id"), ("http_response_status_code", "400")];
    wait_for(example.monitor(), DURATIONS, &labels, 1.0).await;
}

#[tokio::test]
async fn axum_0_7_names_its_routes() {
    let example = Example::start(env!("CARGO_BIN_EXE_axum_0_7"), 2);
    check(&example, "/users/7", "/users/:id").await;
    check(&example, "/admin/users/7", "/admin/users/:id").await;
    check_unmatched(&example).await;
}

/// Asks the health service as any gRPC client does.
async fn check_grpc(grpc: SocketAddr, monitor: SocketAddr) {
    let stream = tokio::net::TcpStream::connect(grpc).await.expect("it listens");
    let (sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("it speaks HTTP/2");
    tokio::spawn(connection);
    let channel = tower::service_fn(move |request| sender.clone().send_request(request));
    let origin = format!("http://{grpc}").parse().expect("a URI");
    let mut client = HealthClient::with_origin(channel, origin);
    let ask = |service: &str| HealthCheckRequest { service: service.to_owned() };
    let answer = client.check(ask("")).await.expect("it is known").into_inner();
    assert_eq!(answer.status(), ServingStatus::Serving);
    let error = client.check(ask("unknown")).await.expect_err("it is not known");
    assert_eq!(error.code(), Code::NotFound);
    // Both are a response with status 200 to HTTP.
    for status in ["OK", "NOT_FOUND"] {
        let labels = [
            ("http_request_method", "POST"),
            ("http_route", "/grpc.health.v1.Health/Check"),
            ("http_response_status_code", "200"),
            ("rpc_response_status_code", status),
        ];
        wait_for(monitor, DURATIONS, &labels, 1.0).await;
    }
}

#[tokio::test]
async fn grpc_and_http_share_a_port() {
    let example = Example::start(env!("CARGO_BIN_EXE_tonic_beside_axum"), 1);
    check(&example, "/users/7", "/users/{id}").await;
    check_unmatched(&example).await;
    check_grpc(example.service, example.service).await;
}

#[tokio::test]
async fn grpc_may_have_a_port_of_its_own() {
    let mut example = Example::start(env!("CARGO_BIN_EXE_tonic_beside_axum"), 2);
    let grpc = example.other.take().expect("two addresses");
    check(&example, "/users/7", "/users/{id}").await;
    check_grpc(grpc, example.service).await;
}
