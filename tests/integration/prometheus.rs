//! A real Prometheus reads what the monitor exposes.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use axum::{Router, http::StatusCode, routing::get};
use pinchpoint::{Monitor, track_async_task, track_db_query};
use serde_json::Value;

use crate::support::{Samples, monitor, program};

/// Finds a program of Prometheus's.
fn program(name: &str) -> Option<PathBuf> {
    program::program(name, "prometheus", &[])
}

/// A Prometheus that ends with the test.
struct Prometheus {
    process: Child,
    address: SocketAddr,
    _data: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Prometheus {
    /// Starts one on the shipped scrape configuration, with the target and the interval of the test in it.
    fn start(program: &Path, target: SocketAddr) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let shipped = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/prometheus/prometheus.yml"));
        let shipped = shipped.expect("the shipped configuration");
        assert!(shipped.contains("127.0.0.1:8000") && shipped.contains("scrape_interval: 5s"));
        let configuration = shipped
            .replace("127.0.0.1:8000", &target.to_string())
            .replace("scrape_interval: 5s", "scrape_interval: 250ms");
        let file = data.path().join("prometheus.yml");
        std::fs::write(&file, configuration).expect("writes");
        // Freed again at once: Prometheus cannot say which port it got.
        let address =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
        let process = Command::new(program)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", data.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Prometheus starts");
        Self { process, address, _data: data }
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let url = format!("http://{}{path}", self.address);
        let answer = reqwest::Client::new().get(url).query(query).send().await.ok()?;
        answer.json().await.ok()
    }

    /// Returns the values of a query by their labels, once there are some.
    async fn query(&self, query: &str) -> Vec<(Value, f64)> {
        for _ in 0..400 {
            if let Some(answer) = self.get("/api/v1/query", &[("query", query)]).await
                && let Some(result) = answer["data"]["result"].as_array().filter(|result| !result.is_empty())
            {
                let value =
                    |one: &Value| one["value"][1].as_str().and_then(|value| value.parse().ok()).expect("a number");
                return result.iter().map(|one| (one["metric"].clone(), value(one))).collect();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("Prometheus has no answer to {query}");
    }

    /// Waits until `query` has `expected` for its only value.
    async fn settles(&self, query: &str, expected: f64) {
        let mut last = f64::NAN;
        for _ in 0..200 {
            last = self.query(query).await[0].1;
            if (last - expected).abs() <= 1e-9 * expected.abs() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{query} is {last}, not {expected}");
    }
}

fn app(monitor: &Monitor) -> Router {
    let handler = || async {
        let row = async { Ok::<_, std::convert::Infallible>(()) };
        let _ = track_db_query("SELECT name FROM \"users\" WHERE id = 'back\\slash'", row).await;
        let _ = track_async_task("mail", async { Ok::<_, std::convert::Infallible>(()) }).await;
        "ok"
    };
    Router::new()
        .route("/users/{id}", get(handler))
        .route("/broken", get(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
        .layer(monitor.layer())
        .merge(monitor.router())
}

async fn serve(app: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn traffic(address: SocketAddr) {
    for number in 0..20 {
        for path in ["users/1", "users/2", "broken", "none"] {
            let answer = reqwest::get(format!("http://{address}/{path}?{number}")).await.expect("an answer");
            answer.bytes().await.expect("a whole body");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_scrapes_for_some_rounds_and_has_our_values() {
    let Some(program) = program("prometheus") else { return };
    let monitor = monitor();
    let address = serve(app(&monitor)).await;
    let prometheus = Prometheus::start(&program, address);
    for round in 1..=3 {
        traffic(address).await;
        let ours = Samples::of(&monitor);
        assert_eq!(ours.requests(&[]), f64::from(round) * 80.0);
        for (query, ours) in [
            ("sum(http_server_request_duration_seconds_count)", ours.requests(&[])),
            (
                "sum(http_server_request_duration_seconds_sum)",
                ours.sum("http_server_request_duration_seconds_sum", &[]),
            ),
            (
                "http_server_request_duration_seconds_bucket{http_route=\"/users/{id}\",le=\"10\"}",
                ours.sum("http_server_request_duration_seconds_bucket", &["/users/{id}", "le=\"10\""]),
            ),
            ("sum(http_server_request_duration_seconds_count{http_route=\"\"})", f64::from(round) * 20.0),
            (
                "sum(http_server_request_duration_seconds_count{http_response_status_code=\"500\"})",
                f64::from(round) * 20.0,
            ),
            ("sum(db_client_operation_duration_seconds_count)", f64::from(round) * 40.0),
            ("sum(task_duration_seconds_count{outcome=\"ok\"})", f64::from(round) * 40.0),
        ] {
            prometheus.settles(query, ours).await;
        }
    }
    assert_eq!(prometheus.query("up").await[0].1, 1.0);
    let (labels, _) = &prometheus.query("db_client_operation_duration_seconds_count").await[0];
    assert!(!labels.to_string().contains("back"), "no literal: {labels}");
    // What Prometheus thinks of the names and types.
    let metadata = prometheus.get("/api/v1/metadata", &[]).await.expect("an answer");
    for (name, kind) in [
        ("http_server_request_duration_seconds", "histogram"),
        ("http_server_active_requests", "gauge"),
        ("process_cpu_seconds_total", "counter"),
    ] {
        assert_eq!(metadata["data"][name][0]["type"], kind, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_is_content() {
    let Some(program) = program("promtool") else { return };
    let monitor = monitor();
    let address = serve(app(&monitor)).await;
    traffic(address).await;
    let text = monitor.recorder().render();
    let mut check = Command::new(program)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    std::io::Write::write_all(&mut check.stdin.take().expect("piped"), text.as_bytes()).expect("promtool reads");
    let output = check.wait_with_output().expect("promtool ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.is_empty(), "{said}\n{text}");
}
