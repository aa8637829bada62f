//! A real Prometheus scrapes the monitor, and promtool checks its exposition.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use axum::{Router, http::StatusCode, routing::get};
use pinchpoint::{Access, Monitor, track_async_task, track_db_query};
use serde_json::Value;

use crate::support::{Samples, built, monitor, program};

/// How often a test looks, with a pause of 50 ms, before it gives up.
const LOOKS: u32 = 2_000;
/// The log of Prometheus, in its data directory.
const LOG: &str = "log";

/// Finds Prometheus or promtool.
fn program(name: &str) -> Option<PathBuf> {
    program::program(name, "Debian package prometheus", &[])
}

/// A Prometheus server for one test; dropping it stops the server.
struct Prometheus {
    process: Child,
    address: SocketAddr,
    data: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Prometheus {
    /// Starts the server on the shipped scrape configuration, with the test's target and a shorter interval.
    fn start(program: &Path, target: SocketAddr) -> Self {
        let shipped = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/prometheus/prometheus.yml"));
        let shipped = shipped.expect("the shipped configuration");
        assert!(shipped.contains("127.0.0.1:8000") && shipped.contains("scrape_interval: 5s"));
        let configuration = shipped
            .replace("127.0.0.1:8000", &target.to_string())
            .replace("scrape_interval: 5s", "scrape_interval: 250ms");
        Self::start_with(program, &configuration)
    }

    /// Starts the server on a configuration.
    fn start_with(program: &Path, configuration: &str) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let file = data.path().join("prometheus.yml");
        std::fs::write(&file, configuration).expect("writes");
        // Reserved and freed again: Prometheus does not report which port it got, so it must be given one.
        let address =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
        let process = Command::new(program)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", data.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(data.path().join(LOG)).expect("writes"))
            .spawn()
            .expect("Prometheus starts");
        Self { process, address, data }
    }

    /// Panics where Prometheus logged a warning or an error about the scrapes.
    fn assert_no_complaints(&self) {
        let log = std::fs::read_to_string(self.data.path().join(LOG)).expect("it writes a log");
        assert!(log.contains("Server is ready"), "{log}");
        let levels = ["level=warn", "level=error"];
        let said: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("scrape") && levels.iter().any(|level| line.to_lowercase().contains(level)))
            .collect();
        assert_eq!(said, [] as [&str; 0]);
    }

    /// Waits until Prometheus has exactly our series of these names, with our values.
    async fn agrees(&self, names: &str, ours: impl Fn() -> Samples) {
        let mut differences = Vec::new();
        for _ in 0..LOOKS {
            let theirs = self.query(&format!("{{__name__=~\"{names}\"}}")).await;
            let theirs: BTreeMap<_, f64> = theirs.iter().map(|(metric, value)| (labels_of(metric), *value)).collect();
            let families: BTreeSet<&str> =
                theirs.keys().filter_map(|labels| labels.get("__name__")).map(|name| &**name).collect();
            let samples = ours();
            let ours: BTreeMap<_, f64> = samples.all().map(|(series, value)| (parsed(series), value)).collect();
            let ours = ours.into_iter().filter(|(labels, _)| families.contains(&*labels["__name__"]));
            let ours: BTreeMap<_, f64> = ours.collect();
            let keys: BTreeSet<_> = theirs.keys().chain(ours.keys()).collect();
            let same = |key: &Labels| match (theirs.get(key), ours.get(key)) {
                (Some(theirs), Some(ours)) => (theirs - ours).abs() <= 1e-9 * ours.abs(),
                _ => false,
            };
            differences = keys
                .into_iter()
                .filter(|key| !same(key))
                .map(|key| format!("{key:?}: {:?} and not {:?}", theirs.get(key), ours.get(key)))
                .collect();
            if differences.is_empty() && ours.len() > 50 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{}", differences.join("\n"));
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let url = format!("http://{}{path}", self.address);
        let answer = reqwest::Client::new().get(url).query(query).send().await.ok()?;
        answer.json().await.ok()
    }

    /// Waits until a query has values, and returns them with their labels.
    async fn query(&self, query: &str) -> Vec<(Value, f64)> {
        for _ in 0..LOOKS {
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

    /// Waits until `query` has one value, `expected`.
    async fn settles(&self, query: &str, expected: f64) {
        let mut last = f64::NAN;
        for _ in 0..LOOKS {
            last = self.query(query).await[0].1;
            if (last - expected).abs() <= 1e-9 * expected.abs() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{query} is {last}, not {expected}");
    }
}

/// A series' name and labels, without the labels that a scrape adds.
type Labels = BTreeMap<String, String>;

fn labels_of(metric: &Value) -> Labels {
    let labels = metric.as_object().expect("labels").iter();
    let labels = labels.map(|(name, value)| (name.clone(), value.as_str().expect("a text").to_owned()));
    labels.filter(|(name, _)| !["instance", "job"].contains(&&**name)).collect()
}

/// Reads a series as the text format spells it.
fn parsed(series: &str) -> Labels {
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let mut all = Labels::from([("__name__".to_owned(), name.to_owned())]);
    let mut rest = labels.trim_end_matches('}');
    while let Some((name, value)) = rest.split_once("=\"") {
        let (mut text, mut letters) = (String::new(), value.char_indices());
        rest = loop {
            match letters.next().expect("a value ends") {
                (_, '\\') => match letters.next().expect("an escaped letter").1 {
                    'n' => text.push('\n'),
                    letter => text.push(letter),
                },
                (end, '"') => break value[end + 1..].trim_start_matches(','),
                (_, letter) => text.push(letter),
            }
        };
        // Prometheus drops labels with an empty value.
        if !text.is_empty() {
            all.insert(name.to_owned(), text);
        }
    }
    all
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
    let (_rules, monitor) = quick();
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
    let families = "http_server_.*|db_client_.*|task_.*|pinchpoint_bottleneck|pinchpoint_build_info";
    prometheus.agrees(families, || Samples::of(&monitor)).await;
    assert_eq!(prometheus.query("up").await[0].1, 1.0);
    let (labels, _) = &prometheus.query("db_client_operation_duration_seconds_count").await[0];
    assert!(!labels.to_string().contains("back"), "no literal: {labels}");
    // Prometheus parsed the types as we declare them.
    let metadata = prometheus.get("/api/v1/metadata", &[]).await.expect("an answer");
    for (name, kind) in [
        ("http_server_request_duration_seconds", "histogram"),
        ("http_server_active_requests", "gauge"),
        ("process_cpu_seconds_total", "counter"),
    ] {
        assert_eq!(metadata["data"][name][0]["type"], kind, "{name}");
    }
    prometheus.assert_no_complaints();
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_accepts_the_exposition() {
    let Some(program) = program("promtool") else { return };
    let (_rules, monitor) = quick();
    let address = serve(app(&monitor)).await;
    traffic(address).await;
    fires(&monitor).await;
    check(&program, &monitor);
}

#[tokio::test]
async fn promtool_accepts_any_label_name_of_the_host() {
    let Some(program) = program("promtool") else { return };
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
    let Some(promtool) = program("promtool") else { return };
    let data = tempfile::tempdir().expect("a directory");
    let file = data.path().join("prometheus.yml");
    std::fs::write(&file, guarded_configuration()).expect("writes");
    let output = Command::new(promtool).args(["check", "config"]).arg(&file).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn prometheus_scrapes_a_guarded_service_with_the_token_and_not_without() {
    let Some(program) = program("prometheus") else { return };
    let monitor = built(Monitor::builder().metrics_access(Access::token("a long secret")));
    let address = monitor.serve(([127, 0, 0, 1], 0)).await.expect("a free port");
    let (target, address) = ("targets: [\"127.0.0.1:9000\"]", format!("targets: [\"{address}\"]"));
    let without = format!(
        "\n  - job_name: without\n    static_configs:\n      - {target}\n  - job_name: wrong\n    authorization: {{ credentials: no \
         }}\n    static_configs:\n      - {target}\n"
    );
    let configuration = format!("global:\n  scrape_interval: 250ms\n{}{without}", guarded_configuration());
    let prometheus = Prometheus::start_with(&program, &configuration.replace(target, &address));
    for (job, up) in [("shop", 1.0), ("shop-with-basic-auth", 1.0), ("without", 0.0), ("wrong", 0.0)] {
        prometheus.settles(&format!("up{{job=\"{job}\"}}"), up).await;
    }
    prometheus.settles("count(pinchpoint_build_info)", 2.0).await;
    monitor.shutdown().await;
}
