//! The formats of `/metrics`: which one a client gets, and that other readers than Prometheus read each of them.

use std::{
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use axum::{Router, body::Body, routing::get};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use pinchpoint::Monitor;
use tower::ServiceExt as _;

use crate::support::{self, monitor};

/// Set where prometheus_client could not be installed.
const NO_CLIENT: &str = "NO_PROMETHEUS_CLIENT";

const OPENMETRICS: &str = "application/openmetrics-text;version=1.0.0";

fn app(monitor: &Monitor) -> Router {
    Router::new().route("/users/{id}", get(|| async { "ok" })).layer(monitor.layer()).merge(monitor.router())
}

/// Records what a host may record, with names that no format allows as they are.
fn record_odd_names(monitor: &Monitor) {
    let recorder = monitor.recorder();
    metrics::with_local_recorder(&recorder, || {
        metrics::describe_counter!("jobs", "Jobs \"done\" in C:\\jobs\nor elsewhere.");
        metrics::describe_gauge!("queue.depth", "");
        metrics::counter!("jobs", "größe" => "klein", "grüße" => "viele").increment(2);
        metrics::counter!("jobs_total", "名前" => "\\\\host\\n", "都市" => "a\"b").increment(1);
        metrics::counter!("_total").increment(1);
        metrics::counter!("jobs_created_total").increment(1);
        metrics::gauge!("queue.depth", "__reserved" => "1", "a.b" => "2", "a_b" => "3", "a-b" => "4")
            .set(f64::INFINITY);
        metrics::gauge!("queue_depth", "empty" => "").set(f64::NAN);
        // No counters, under the name of one.
        metrics::gauge!("process_cpu_seconds_total", "of" => "nothing").set(f64::NAN);
        metrics::gauge!("process_cpu_seconds_total", "of" => "less").set(-2.0);
        metrics::gauge!("работа", "le" => "1").set(-1.5);
        metrics::gauge!("задача").set(1e300);
        metrics::histogram!("job_seconds", "le" => "1").record(0.1);
        metrics::gauge!("job_seconds_created").set(1.0);
        metrics::counter!("job_seconds_total").increment(1);
        metrics::histogram!("balance").record(-3.0);
        metrics::histogram!("2xx_bytes").record(5e5);
        metrics::counter!("job_duration_bytes_total").increment(1);
    });
}

async fn scrape(app: &Router, method: &str, headers: &[(&str, &str)]) -> Response<Body> {
    let request = Request::builder().method(method).uri("/metrics");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    app.clone().oneshot(request.body(Body::empty()).expect("a request")).await.expect("a router never fails")
}

#[track_caller]
fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("ASCII"))
}

#[tokio::test]
async fn a_client_gets_the_format_that_it_asks_for() {
    let app = app(&monitor());
    let text = scrape(&app, "GET", &[]).await;
    assert_eq!(header(&text, "content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(header(&text, "vary"), "Accept, Accept-Encoding");
    let openmetrics = scrape(&app, "GET", &[("accept", OPENMETRICS)]).await;
    assert_eq!(header(&openmetrics, "content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let (_, page) = support::read(openmetrics).await;
    assert!(page.ends_with("\n# EOF\n"), "{page}");
    assert!(page.contains("# UNIT process_resident_memory_bytes bytes\n"), "{page}");
}

#[tokio::test]
async fn a_service_with_a_name_says_which_one_it_is() {
    let named = Monitor::builder().service("shop", "1.4.2").service_instance_id("shop-7");
    let (_, page) = support::read(scrape(&app(&named.build().expect("valid")), "GET", &[]).await).await;
    let expected = r#"target_info{service_name="shop",service_version="1.4.2",service_instance_id="shop-7"} 1"#;
    assert!(page.lines().any(|line| line == expected), "{page}");
    let (_, page) = support::read(scrape(&app(&monitor()), "GET", &[]).await).await;
    assert!(!page.contains("target_info"), "{page}");
}

#[tokio::test]
async fn a_page_is_compressed_for_clients_that_accept_it() {
    let monitor = monitor();
    let app = app(&monitor);
    metrics::with_local_recorder(&monitor.recorder(), || {
        for number in 0..5_000 {
            metrics::gauge!("many", "number" => number.to_string()).set(1.0);
        }
    });
    let plain = scrape(&app, "GET", &[("accept-encoding", "gzip;q=0")]).await;
    assert_eq!(header(&plain, "content-encoding"), "");
    let (_, plain) = support::read(plain).await;
    let compressed = scrape(&app, "GET", &[("accept-encoding", "gzip")]).await;
    assert_eq!(header(&compressed, "content-encoding"), "gzip");
    assert_eq!(header(&compressed, "content-length"), "", "it is sent in parts");
    let compressed = compressed.into_body().collect().await.expect("a whole body").to_bytes();
    let mut page = String::new();
    flate2::read::GzDecoder::new(&*compressed).read_to_string(&mut page).expect("gzip");
    let lines = |page: &str| page.lines().filter(|line| line.starts_with("many{")).count();
    assert_eq!((lines(&page), lines(&plain)), (5_000, 5_000));
    assert!(compressed.len() * 5 < page.len(), "{} of {}", compressed.len(), page.len());
}

#[tokio::test]
async fn a_head_has_the_headers_alone() {
    let head = scrape(&app(&monitor()), "HEAD", &[("accept", OPENMETRICS), ("accept-encoding", "gzip")]).await;
    assert_eq!(head.status(), 200);
    assert_eq!(header(&head, "content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!(header(&head, "content-encoding"), "gzip");
    assert!(head.into_body().collect().await.expect("a whole body").to_bytes().is_empty());
}

/// Finds a Python with the package prometheus_client.
fn python() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/prometheus-client/bin/python3");
    let has_it = |python: &Path| {
        let mut import = Command::new(python);
        import.args(["-c", "import prometheus_client.openmetrics.parser"]).stderr(Stdio::null());
        import.status().is_ok_and(|status| status.success())
    };
    let found = [own, PathBuf::from("python3")].into_iter().find(|python| has_it(python));
    if found.is_none() {
        let message = "prometheus_client is not installed; .ci/run installs it (a Python package)";
        assert!(std::env::var_os("CI").is_none() || std::env::var_os(NO_CLIENT).is_some(), "{message}");
        eprintln!("NOT TESTED: {message}");
    }
    found
}

/// Prints each sample as Python reads it, one a line: name, labels by name, value. In the text format Python renames a counter
/// without `_total`, unless it has no type.
const READER: &str = "
import re, sys
from prometheus_client import parser, openmetrics
from prometheus_client.openmetrics import parser as strict
text = sys.stdin.buffer.read().decode('utf-8')
if sys.argv[1] == 'text':
    text = re.sub(r'(# TYPE \\w+(?<!_total)) counter', r'\\1 untyped', text)
read = strict if sys.argv[1] == 'openmetrics' else parser
for family in read.text_string_to_metric_families(text):
    assert family.type != 'unknown' or family.name in sys.argv[2:], family
    for sample in family.samples:
        print(repr((sample.name, sorted((k, v) for k, v in sample.labels.items() if v), sample.value)))
";

/// Returns the samples as Python reads them, sorted. `unknown` are the metrics that may have no type.
#[track_caller]
fn read_by_python(python: &Path, format: &str, page: &str, unknown: &[&str]) -> Vec<String> {
    let mut reader = Command::new(python)
        .args(["-c", READER, format])
        .args(unknown)
        .env("PYTHONIOENCODING", "utf-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let mut input = reader.stdin.take().expect("piped");
    let page = page.to_owned();
    let writer = std::thread::spawn(move || input.write_all(page.as_bytes()));
    let output = reader.wait_with_output().expect("Python ends");
    writer.join().expect("no panic").expect("Python reads");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut lines: Vec<String> = String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn python_reads_both_formats_of_lines_alike() {
    let Some(python) = python() else { return };
    let monitor = monitor();
    let app = app(&monitor);
    for path in ["/users/1", "/none"] {
        assert!(support::get(&app, path).await.0 < 500);
    }
    let sampled = Request::builder().uri("/users/2").body(Body::empty()).map(|mut request| {
        let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().expect("a header");
        request.headers_mut().insert("traceparent", traceparent);
        request
    });
    support::read(app.clone().oneshot(sampled.expect("a request")).await.expect("a router never fails")).await;
    record_odd_names(&monitor);
    let (_, text) = support::read(scrape(&app, "GET", &[]).await).await;
    let (_, openmetrics) = support::read(scrape(&app, "GET", &[("accept", OPENMETRICS)]).await).await;
    assert!(openmetrics.contains(" # {trace_id=\"0af7651916cd43dd8448eb211c80319c\""), "{openmetrics}");
    let ours = |samples: Vec<String>| -> Vec<String> {
        // What changes between two scrapes.
        samples
            .into_iter()
            .filter(|sample| !sample.contains("'process_") && !sample.contains("'pinchpoint_tokio_"))
            .collect()
    };
    let unknown = ["jobs", "jobs_total", "jobs_created_total", "job_seconds_total"];
    let text = ours(read_by_python(&python, "text", &text, &unknown));
    let openmetrics = ours(read_by_python(&python, "openmetrics", &openmetrics, &unknown));
    // OpenMetrics has no place for a gauge with the name of a part of a histogram, and none for a sum that can fall.
    let left_out = ["('job_seconds_created',", "('balance_sum',", "('balance_count',"];
    let text: Vec<String> =
        text.into_iter().filter(|sample| !left_out.iter().any(|start| sample.starts_with(start))).collect();
    let only_in = |one: &[String], other: &[String]| -> Vec<String> {
        one.iter().filter(|sample| !other.contains(sample)).cloned().collect()
    };
    assert_eq!((only_in(&text, &openmetrics), only_in(&openmetrics, &text)), (vec![], vec![]));
    assert_eq!(text.len(), openmetrics.len());
    for sample in [
        "('jobs', [('U__gr_f6__df_e', 'klein'), ('U__gr_fc__df_e', 'viele')], 2)",
        "('jobs_total', [('U___540d__524d_', '\\\\\\\\host\\\\n'), ('U___90fd__5e02_', 'a\"b')], 1)",
        "('queue_depth', [('U______reserved', '1'), ('U__a_2d_b', '4'), ('U__a_2e_b', '2'), ('a_b', '3')], inf)",
        "('queue_depth', [], nan)",
        "('job_seconds_bucket', [('exported_le', '1'), ('le', '1.0')], 1)",
        "('_2xx_bytes_bucket', [('le', '1.048576e+06')], 1)",
    ] {
        assert!(openmetrics.iter().any(|line| line == sample), "{sample} is not in\n{}", openmetrics.join("\n"));
    }
}
