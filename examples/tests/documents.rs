//! What docs/migrating.md, docs/platforms.md, docs/integration.md, docs/alerting.md, docs/delivery.md,
//! docs/grafana.md, docs/rules-testing.md and docs/slo.md say.

use std::{collections::BTreeSet, fs, time::Duration};

use axum::body::{Body, to_bytes};
use pinchpoint::Monitor;
use tower::ServiceExt as _;

/// Every metric's name stands in it as a literal, and nowhere else.
const CATALOGUE: &str = include_str!("../../src/names.rs");
const DOCUMENTS: [(&str, &str); 8] = [
    ("docs/migrating.md", include_str!("../../docs/migrating.md")),
    ("docs/platforms.md", include_str!("../../docs/platforms.md")),
    ("docs/integration.md", include_str!("../../docs/integration.md")),
    ("docs/alerting.md", include_str!("../../docs/alerting.md")),
    ("docs/delivery.md", DELIVERY),
    ("docs/grafana.md", include_str!("../../docs/grafana.md")),
    ("docs/rules-testing.md", include_str!("../../docs/rules-testing.md")),
    ("docs/slo.md", include_str!("../../docs/slo.md")),
];
const DELIVERY: &str = include_str!("../../docs/delivery.md");
/// How the names of Pinchpoint's metrics and labels begin.
const FAMILIES: [&str; 8] =
    ["http_server_", "http_request_", "rpc_server_", "db_client_", "pinchpoint_", "process_", "system_", "tokio_"];

/// Crates whose names begin like those.
const CRATES: [&str; 1] = ["tokio_postgres"];

/// The names of metrics and labels in a text, without what Prometheus adds to a histogram's.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let ours = words
        .filter(|word| FAMILIES.iter().any(|family| word.starts_with(family) && word != family))
        .filter(|word| !CRATES.contains(word));
    let base = |word: &'static str| move |name| str::strip_suffix(name, word).unwrap_or(name);
    ours.map(base("_bucket")).map(base("_count")).map(base("_sum")).collect()
}

#[test]
fn the_documents_name_metrics_that_exist() {
    for (document, text) in DOCUMENTS {
        let names = names(text);
        assert!(!names.is_empty(), "{document}: {names:?}");
        let unknown: Vec<_> = names.iter().filter(|name| !CATALOGUE.contains(&format!("\"{name}\""))).collect();
        assert!(unknown.is_empty(), "{document} names {unknown:?}");
    }
}

#[test]
fn the_queries_of_the_documents_are_promql() {
    let (_, text) = DOCUMENTS[0];
    let blocks = text.split("```promql\n").skip(1).map(|block| block.split("```").next().unwrap_or_default());
    let queries = blocks.flat_map(str::lines).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let rules: Vec<_> = queries
        .enumerate()
        .map(|(number, query)| serde_json::json!({ "record": format!("query:{number}"), "expr": query }))
        .collect();
    assert!(rules.len() >= 15, "{rules:?}");
    let file = serde_json::json!({ "groups": [{ "name": "documents", "rules": rules }] });
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("documents.json");
    fs::write(&path, file.to_string()).expect("written");
    // JSON is YAML.
    match std::process::Command::new("promtool").args(["check", "rules"]).arg(&path).output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "promtool: {error}");
            eprintln!("not checked: promtool is not installed");
        }
    }
}

/// Returns the first block of a language in a text.
fn block<'a>(text: &'a str, language: &str) -> &'a str {
    let after = text.split(&format!("```{language}\n")).nth(1);
    after.and_then(|after| after.split("```").next()).expect("a block")
}

/// The settings of docs/delivery.md, with files and addresses of this machine in place of the document's, and its template.
#[tokio::test]
async fn the_settings_and_the_template_of_the_document_on_delivery_are_good() {
    let file = |name: &str, text: &str| {
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, text).expect("writes");
        path.display().to_string()
    };
    let settings = block(DELIVERY, "yaml")
        .replace("/run/secrets/alertmanager-password", &file("password", "secret"))
        .replace("/run/secrets/slack-webhook-url", &file("url", "https://127.0.0.1:1/x"))
        .replace("ticket.json", &file("ticket.json", block(DELIVERY, "json")))
        // Set in every test.
        .replace("TICKETS_TOKEN", "CARGO_PKG_NAME");
    let settings = pinchpoint::Settings::parse(&settings, "docs/delivery.md").expect("good settings");
    let monitor = Monitor::builder().settings(settings).build().expect("good receivers");
    let page = monitor.recorder().render();
    let peers = ["alertmanager/127.0.0.1:9093", "alertmanager/alerts.example:443/prefix"];
    for receiver in peers.into_iter().chain(["chat", "tickets", "page"]) {
        assert!(page.contains(&format!("receiver=\"{receiver}\"")), "{receiver}");
    }
    let of_a_variable = DELIVERY.split('`').find(|text| text.starts_with("{ alertmanagers")).expect("an example");
    pinchpoint::Settings::parse(&format!("deliver: {of_a_variable}"), "PINCHPOINT_DELIVER").expect("good settings");
}

/// What docs/platforms.md advises where no layer fits.
#[tokio::test]
async fn durations_that_a_service_records_itself_reach_the_endpoints() {
    let monitor = Monitor::builder().build().expect("the defaults are good");
    metrics::with_local_recorder(&monitor.recorder(), || {
        let duration = Duration::from_millis(1500);
        metrics::histogram!(
            "http_server_request_duration_seconds",
            "http_request_method" => "GET",
            "http_route" => "/users/{id}",
            "http_response_status_code" => "503",
        )
        .record(duration);
    });
    let request = http::Request::get("/performance/endpoints").body(Body::empty()).expect("a request");
    let answer = monitor.router::<()>().oneshot(request).await.expect("infallible");
    let answer = to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
    let answer: serde_json::Value = serde_json::from_slice(&answer).expect("JSON");
    let endpoint = &answer["endpoints"][0];
    assert_eq!(
        (endpoint["endpoint"].as_str(), endpoint["request_count"].as_u64()),
        (Some("GET /users/{id}"), Some(1)),
        "{answer}"
    );
    assert_eq!(endpoint["error_rate_percent"].as_f64(), Some(100.0), "{answer}");
}

/// What docs/integration.md advises for the monitor's routes in a router of axum 0.7.
#[tokio::test]
async fn the_monitors_routes_are_a_service_for_axum_0_7() {
    let monitor = Monitor::builder().build().expect("the defaults are good");
    let app: axum07::Router = axum07::Router::new()
        .route_service("/metrics", monitor.router::<()>())
        .route_service("/performance", monitor.router::<()>())
        .route_service("/performance/*path", monitor.router::<()>());
    // The index redirects to the report.
    for (path, expected) in [("/metrics", 200), ("/performance", 307), ("/performance/status", 200)] {
        let request = http::Request::get(path).body(axum07::body::Body::empty()).expect("a request");
        let status = app.clone().oneshot(request).await.expect("infallible").status();
        assert_eq!(status, expected, "{path}");
    }
}

/// What docs/integration.md advises for files that a fallback serves.
#[tokio::test]
async fn a_fallback_has_the_route_that_a_layer_outside_gives_it() {
    async fn name_files(mut request: axum::extract::Request) -> axum::extract::Request {
        if request.uri().path().starts_with("/assets/") {
            request.extensions_mut().insert(pinchpoint::RouteTemplate::new("/assets/{*file}"));
        }
        request
    }
    let monitor = Monitor::builder().build().expect("the defaults are good");
    let app = axum::Router::new()
        .fallback(|| async { "a file" })
        .layer(monitor.layer())
        .layer(axum::middleware::map_request(name_files));
    let request = http::Request::get("/assets/app.css").body(Body::empty()).expect("a request");
    let answer = app.oneshot(request).await.expect("infallible");
    to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
    assert!(monitor.recorder().render().contains("http_route=\"/assets/{*file}\""));
}
