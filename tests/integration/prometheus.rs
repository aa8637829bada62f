//! A real Prometheus scrapes the monitor, and promtool checks its exposition.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use axum::{Router, http::StatusCode, routing::get};
use pinchpoint::{Access, Monitor, track_async_task, track_db_query};

use crate::support::{
    Samples, built, monitor,
    prometheus::{LOOKS, Prometheus, find},
    serve,
};

/// Starts Prometheus on the shipped configuration, with the test's target and shorter intervals.
fn start(program: &Path, target: SocketAddr) -> Prometheus {
    let shipped = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/prometheus/prometheus.yml"));
    let shipped = shipped.expect("the shipped configuration");
    let rules = concat!("rule_files: [", env!("CARGO_MANIFEST_DIR"), "/prometheus/");
    let target = format!("- targets: [\"{target}\"]\n");
    let changes = [
        ("- targets: [\"127.0.0.1:8000\"]\n", target.as_str()),
        ("scrape_interval: 5s", "scrape_interval: 250ms"),
        ("evaluation_interval: 15s", "evaluation_interval: 250ms"),
        // They are named relative to the configuration, which is a copy here.
        ("rule_files: [", rules),
    ];
    let configuration = changes.into_iter().fold(shipped, |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    Prometheus::start(program, &configuration, &[])
}

/// A rule that fires at the first evaluation that sees `/broken`.
const RULES: &str = "rules:
  - id: high_error_rate
    scope: endpoint
    measure: error_ratio
    window: 5m
    min_samples: 1
    for: 0s
    thresholds: { critical: \"> 25%\" }
    description: \"{subject} fails\"
    impact: \"{value}\"
";

/// Builds a monitor that finds something at once.
fn quick() -> (tempfile::TempDir, Monitor) {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("rules.yaml"), RULES).expect("writes");
    let builder = Monitor::builder().rules_dir(directory.path());
    let monitor = built(builder.evaluation_interval(Duration::from_millis(100)));
    (directory, monitor)
}

/// Waits until the monitor reports the broken endpoint.
async fn fires(monitor: &Monitor) {
    for _ in 0..LOOKS {
        if Samples::of(monitor).sum("pinchpoint_bottleneck", &["GET /broken"]) == 1.0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing fires:\n{}", monitor.recorder().render());
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
    let Some(program) = find("prometheus") else { return };
    let (_rules, monitor) = quick();
    let address = serve(app(&monitor)).await;
    let prometheus = start(&program, address);
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
                "http_server_request_duration_seconds_bucket{http_route=\"/users/{id}\",le=\"10.0\"}",
                ours.sum("http_server_request_duration_seconds_bucket", &["/users/{id}", "le=\"10.0\""]),
            ),
            ("sum(http_server_request_duration_seconds_count{http_route=\"\"})", f64::from(round) * 20.0),
            (
                "sum(http_server_request_duration_seconds_count{http_response_status_code=\"500\"})",
                f64::from(round) * 20.0,
            ),
            ("sum(db_client_operation_duration_seconds_count)", f64::from(round) * 40.0),
            ("sum(pinchpoint_task_duration_seconds_count{outcome=\"ok\"})", f64::from(round) * 40.0),
        ] {
            prometheus.settles(query, ours).await;
        }
    }
    fires(&monitor).await;
    prometheus.settles("pinchpoint_bottleneck{severity=\"critical\",subject=\"GET /broken\"}", 1.0).await;
    let fires =
        "alertname=\"PinchpointCriticalBottleneck\",alertstate=\"firing\",rule=\"high_error_rate\",level=\"critical\"";
    prometheus.settles(&format!("ALERTS{{{fires},subject=\"GET /broken\"}}"), 1.0).await;
    prometheus.settles("count(ALERTS)", 1.0).await;
    let families = "http_server_.*|db_client_.*|pinchpoint_task_.*|pinchpoint_bottleneck|pinchpoint_build_info";
    prometheus.agrees(families, || Samples::of(&monitor)).await;
    assert_eq!(prometheus.query("up").await[0].1, 1.0);
    let (labels, _) = &prometheus.query("db_client_operation_duration_seconds_count").await[0];
    assert!(!labels.to_string().contains("back"), "no literal: {labels}");
    // Prometheus parsed the types as we declare them.
    let metadata = prometheus.get("/api/v1/metadata", &[]).await.expect("an answer");
    for (name, kind) in [
        ("http_server_request_duration_seconds", "histogram"),
        ("http_server_active_requests", "gauge"),
        // OpenMetrics names a counter without `_total`.
        ("process_cpu_seconds", "counter"),
    ] {
        assert_eq!(metadata["data"][name][0]["type"], kind, "{name}");
    }
    prometheus.assert_no_complaints();
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_accepts_the_exposition() {
    let Some(program) = find("promtool") else { return };
    let (_rules, monitor) = quick();
    let address = serve(app(&monitor)).await;
    traffic(address).await;
    fires(&monitor).await;
    check(&program, &monitor);
}

#[tokio::test]
async fn promtool_accepts_any_label_name_of_the_host() {
    let Some(program) = find("promtool") else { return };
    let monitor = monitor();
    metrics::with_local_recorder(&monitor.recorder(), || {
        metrics::describe_histogram!("job_duration_seconds", "Duration of jobs.");
        metrics::histogram!("job_duration_seconds", "le" => "1", "exported_le" => "2").record(0.1);
        metrics::describe_counter!("jobs_total", "Jobs that ended.");
        metrics::counter!("jobs_total", "a.b" => "1", "a_b" => "2", "" => "3", "__name__" => "jobs").increment(1);
        metrics::counter!("jobs_total", "a-b" => "1").increment(1);
        metrics::describe_counter!("job_duration_seconds_count", "What the histogram says too.");
        metrics::counter!("job_duration_seconds_count", "le" => "1").increment(1);
        metrics::gauge!("", "a" => "1").set(1.0);
    });
    check(&program, &monitor);
}

/// Has promtool check what a monitor exposes.
#[track_caller]
fn check(program: &Path, monitor: &Monitor) {
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

/// The example of docs/integration.md, which is complete.
fn guarded_configuration() -> &'static str {
    let guide = include_str!("../../docs/integration.md");
    let blocks = guide.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap_or_default());
    blocks.into_iter().find(|block| block.contains("basic_auth")).expect("an example")
}

#[test]
fn promtool_accepts_the_example_of_a_guarded_service() {
    let Some(promtool) = find("promtool") else { return };
    let data = tempfile::tempdir().expect("a directory");
    let file = data.path().join("prometheus.yml");
    std::fs::write(&file, guarded_configuration()).expect("writes");
    let output = Command::new(promtool).args(["check", "config"]).arg(&file).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn prometheus_scrapes_a_guarded_service_with_the_token_and_not_without() {
    let Some(program) = find("prometheus") else { return };
    let monitor = built(Monitor::builder().metrics_access(Access::token("a long secret")));
    let address = monitor.serve(([127, 0, 0, 1], 0)).await.expect("a free port");
    let (target, address) = ("targets: [\"127.0.0.1:9000\"]", format!("targets: [\"{address}\"]"));
    let without = format!(
        "\n  - job_name: without\n    static_configs:\n      - {target}\n  - job_name: wrong\n    authorization: {{ credentials: no \
         }}\n    static_configs:\n      - {target}\n"
    );
    let configuration = format!("global:\n  scrape_interval: 250ms\n{}{without}", guarded_configuration());
    let prometheus = Prometheus::start(&program, &configuration.replace(target, &address), &[]);
    for (job, up) in [("shop", 1.0), ("shop-with-basic-auth", 1.0), ("without", 0.0), ("wrong", 0.0)] {
        prometheus.settles(&format!("up{{job=\"{job}\"}}"), up).await;
    }
    prometheus.settles("count(pinchpoint_build_info)", 2.0).await;
    monitor.shutdown().await;
}
