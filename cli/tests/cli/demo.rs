//! `pinchpoint demo`: the shop on a real socket, with the monitor inside.

use std::{
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

use super::{ended, pinchpoint};

/// A demo on a free port, whose temporary files have a place of their own.
pub(crate) struct Demo {
    child: Child,
    pub(crate) base: String,
    welcome: Option<JoinHandle<String>>,
    temporary: TempDir,
}

impl Demo {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut child = pinchpoint(&["demo", "--until-stdin-closes", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdin(Stdio::piped())
            .env("TMPDIR", temporary.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let base = line.trim_end().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        let welcome = std::thread::spawn(move || {
            let mut rest = String::new();
            output.read_to_string(&mut rest).unwrap();
            rest
        });
        Self { child, base, welcome: Some(welcome), temporary }
    }

    async fn ask(&self, method: Method, path: &str) -> (StatusCode, String) {
        let request = reqwest::Client::new().request(method, format!("{}{path}", self.base));
        let response = request.send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        self.ask(Method::GET, path).await
    }

    /// Sends a signal and returns what the demo had said, after checking that it ended well.
    #[track_caller]
    fn end(self, signal: &str) -> String {
        let sent = Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        self.ended()
    }

    /// Returns what the demo had said, after checking that it ends well, and without being asked again.
    #[track_caller]
    fn ended(mut self) -> String {
        let until = Instant::now() + Duration::from_secs(60);
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(Instant::now() < until, "the demo did not end"),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        assert_eq!(status.code(), Some(0));
        assert_eq!(files_in(self.temporary.path()), 0, "temporary files are left");
        self.welcome.take().unwrap().join().unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It has ended already, unless a test failed.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn files_in(directory: &Path) -> usize {
    std::fs::read_dir(directory).unwrap().count()
}

#[tokio::test]
async fn the_shop_and_its_monitor_answer_and_end_on_a_signal() {
    for signal in ["INT", "TERM"] {
        let demo = Demo::start(&[]);
        for path in ["/", "/health", "/api/products", "/performance/bottlenecks", "/metrics"] {
            assert_eq!(demo.get(path).await.0, StatusCode::OK, "{path}");
        }
        assert_eq!(demo.get("/no/such/page").await.0, StatusCode::NOT_FOUND);
        let base = demo.base.clone();
        let welcome = demo.end(signal);
        assert!(welcome.contains(&format!("{base}/performance/bottlenecks")), "{welcome}");
    }
}

#[tokio::test]
async fn an_open_event_stream_does_not_keep_the_demo_from_ending() {
    let demo = Demo::start(&[]);
    let events = reqwest::get(format!("{}/performance/events", demo.base)).await.unwrap();
    assert_eq!(events.status(), StatusCode::OK);
    demo.end("INT");
}

#[tokio::test]
async fn the_demo_ends_with_the_process_that_holds_its_standard_input() {
    let mut demo = Demo::start(&[]);
    assert_eq!(demo.get("/health").await.0, StatusCode::OK);
    assert!(demo.child.try_wait().unwrap().is_none(), "it ended while its standard input was open");
    drop(demo.child.stdin.take());
    demo.ended();
}

#[tokio::test]
async fn what_a_request_does_is_measured() {
    let demo = Demo::start(&["--fix", "chatty-settings"]);
    for _ in 0..3 {
        assert_eq!(demo.get("/api/products/7").await.0, StatusCode::OK);
    }
    let (_, metrics) = demo.get("/metrics").await;
    let counted = |name: &str| {
        let line = metrics.lines().find(|line| {
            line.starts_with(name) && line.contains("http_route=\"/api/products/{id}\"") && line.contains("_count")
        });
        line.and_then(|line| line.rsplit(' ').next()).map(str::to_owned)
    };
    assert_eq!(counted("http_server_request_duration_seconds").as_deref(), Some("3"), "{metrics}");
    assert_eq!(counted("pinchpoint_request_db_queries").as_deref(), Some("3"), "{metrics}");
    let queries = metrics.lines().find(|line| {
        line.starts_with("db_client_operation_duration_seconds_count") && line.contains("SELECT products")
    });
    assert!(queries.is_some_and(|line| line.contains("sqlite")), "{metrics}");
    demo.end("INT");
}

#[tokio::test]
async fn monitoring_can_be_stopped_and_started_from_this_machine() {
    let demo = Demo::start(&[]);
    let monitoring = async || {
        let status: Value = serde_json::from_str(&demo.get("/performance/status").await.1).unwrap();
        status["monitoring"].clone()
    };
    assert_eq!(monitoring().await, true);
    assert_eq!(demo.ask(Method::POST, "/performance/stop-monitoring").await.0, StatusCode::OK);
    assert_eq!(monitoring().await, false);
    assert_eq!(demo.ask(Method::POST, "/performance/start-monitoring").await.0, StatusCode::OK);
    assert_eq!(monitoring().await, true);
    demo.end("INT");
}

#[tokio::test]
async fn visitors_come_when_asked_for() {
    let demo = Demo::start(&["--traffic", "--fixed"]);
    let until = Instant::now() + Duration::from_secs(120);
    loop {
        let (_, metrics) = demo.get("/metrics").await;
        if metrics.contains("http_route=\"/api/products/{id}/reviews\"") {
            break;
        }
        assert!(Instant::now() < until, "{metrics}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    demo.end("INT");
}

#[tokio::test]
async fn data_are_kept_where_they_are_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("new");
    for fix in ["leak", "all"] {
        let demo = Demo::start(&["--data", data.to_str().unwrap(), "--fix", fix]);
        assert_eq!(demo.get("/api/orders").await.0, StatusCode::OK);
        demo.end("INT");
        assert!(data.join("shop.db").exists() && data.join("performance.redb").exists());
    }
}

#[test]
fn a_port_that_is_taken_is_told_with_a_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (stdout, stderr) = ended(&["demo", "--listen", &address], 1);
    assert!(stdout.is_empty(), "{stdout}");
    let expected = format!("pinchpoint: {address} is in use already; ");
    assert!(stderr.starts_with(&expected) && stderr.contains("--listen"), "{stderr}");
}

#[test]
fn data_that_cannot_be_kept_are_told() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let (_, stderr) = ended(&["demo", "--listen", "0", "--data", path], 1);
    assert!(stderr.starts_with(&format!("pinchpoint: cannot make {path} for the demo's data: ")), "{stderr}");

    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("shop.db"), "not a database, but somebody's").unwrap();
    let (_, stderr) = ended(&["demo", "--listen", "0", "--data", directory.path().to_str().unwrap()], 1);
    assert!(stderr.contains("shop.db") && stderr.contains("not a database"), "{stderr}");
}

#[test]
fn rules_that_are_wrong_are_told_before_anything_starts() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("shop.yaml"), "rules:\n  - id: Slow\n").unwrap();
    let (stdout, stderr) = ended(&["demo", "--listen", "0", "--rules", directory.path().to_str().unwrap()], 1);
    assert!(stdout.is_empty(), "{stdout}");
    assert!(stderr.contains("shop.yaml:2:9: "), "{stderr}");
}

#[tokio::test]
async fn settings_of_a_file_and_of_the_environment_are_taken() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let settings = "control: refused\nsampling_interval: off\nmetrics_access: loopback\nperformance_token: secret\n";
    std::fs::write(file.path(), settings).unwrap();
    let demo = Demo::start(&["--config", file.path().to_str().unwrap()]);
    let (status, _) = demo.ask(Method::POST, "/performance/stop-monitoring").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(demo.get("/performance").await.0, StatusCode::UNAUTHORIZED);
    let (status, metrics) = demo.get("/metrics").await;
    assert_eq!(status, StatusCode::OK, "{metrics}");
    assert!(!metrics.contains("process_resident_memory_bytes"), "{metrics}");
    demo.end("INT");

    let output = pinchpoint(&["demo", "--listen", "0"]).env("PINCHPOINT_RETENTION", "long").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    let expected = "pinchpoint: PINCHPOINT_RETENTION: retention is \"long\"; expected a duration such as 24h";
    assert!(stderr.starts_with(expected), "{stderr}");

    let mut misspelt = pinchpoint(&["demo", "--listen", "0", "--until-stdin-closes"]);
    let output = misspelt.env("PINCHPOINT_METRIC_TOKEN", "hunter2").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    let expected = "pinchpoint: PINCHPOINT_METRIC_TOKEN: unknown variable; did you mean PINCHPOINT_METRICS_TOKEN?";
    assert!(stderr.starts_with(expected) && !stderr.contains("hunter2"), "{stderr}");
}

#[tokio::test]
async fn the_files_of_the_examples_in_the_help_are_there() {
    let file = |name: &str| format!("{}/../{name}", env!("CARGO_MANIFEST_DIR"));
    let (rules, config) = (file("rules"), file("examples/pinchpoint.yaml"));
    let demo = Demo::start(&["--rules", &rules, "--config", &config]);
    let (status, _) = demo.ask(Method::POST, "/performance/stop-monitoring").await;
    assert_eq!(status, StatusCode::OK);
    demo.end("INT");
}

#[test]
fn a_mistake_in_the_settings_is_reported_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pinchpoint.yaml");
    std::fs::write(&file, "db_system: sqlite\nretentoin: 24h\n").unwrap();
    let (stdout, stderr) = ended(&["demo", "--listen", "0", "--config", file.to_str().unwrap()], 1);
    assert!(stdout.is_empty(), "{stdout}");
    let expected =
        format!("pinchpoint: {}:2:1: unknown key \"retentoin\"; did you mean \"retention\"?", file.display());
    assert!(stderr.starts_with(&expected), "{stderr}");

    let missing = directory.path().join("none.yaml");
    let (_, stderr) = ended(&["demo", "--listen", "0", "--config", missing.to_str().unwrap()], 1);
    assert!(stderr.starts_with(&format!("pinchpoint: {}: cannot be read: ", missing.display())), "{stderr}");
}
