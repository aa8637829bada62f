//! A real Prometheus on the exported rules finds what the process finds.
//!
//! The thresholds are far from what is measured: what is close to a threshold may be judged by one and not by the other, see
//! docs/semantics.md. Here the traffic is steady, and what fires must be the same; `courses` compares when.

mod courses;

use std::{collections::BTreeMap, convert::Infallible, net::SocketAddr, time::Duration};

use axum::{Router, http::StatusCode, routing::get};
use pinchpoint::{Monitor, RuleSet, export, track_async_task, track_db_query, track_wait};

use crate::{
    native::native_settings,
    support::{
        built,
        prometheus::{LOOKS, Prometheus, find},
        serve,
    },
};

/// Of each kind of expression some: means, quantiles, shares of outcomes and of time, pairs, states, matchers and conditions.
const RULES: &str = r#"
x-all: &all { window: 10s, min_samples: 3, for: 0s, keep_firing_for: 0s, description: "{subject}", impact: "{value}" }

rules:
  - { <<: *all, id: slow, scope: endpoint, measure: own_avg_duration, thresholds: { medium: "> 20ms", high: "> 60ms", critical: "> 30s" } }
  - { <<: *all, id: slow_tail, scope: endpoint, measure: p95_duration, thresholds: { high: "> 50ms" }, match: { http_route: "/sl*" } }
  - { <<: *all, id: slow_elsewhere, scope: endpoint, measure: avg_duration, thresholds: { high: "> 20ms" }, exclude: [{ http_route: "/slow" }] }
  - { <<: *all, id: allowed, scope: endpoint, measure: avg_duration, thresholds: { high: "> 20ms" },
      overrides: [{ match: { http_route: "/slow" }, thresholds: { high: off } }] }
  - { <<: *all, id: errors, scope: endpoint, measure: error_ratio, thresholds: { low: "> 10%", high: "> 90%" } }
  - { <<: *all, id: refused, scope: endpoint, measure: client_error_ratio, thresholds: { low: "> 40%" }, only_if: "request_rate > 0.5/s" }
  - { <<: *all, id: rare, scope: endpoint, measure: avg_duration, min_samples: 100000, thresholds: { high: "> 1ms" } }
  - { <<: *all, id: in_queries, scope: endpoint, measure: db_time_ratio, thresholds: { high: "> 50%" } }
  - { <<: *all, id: many_queries, scope: endpoint, measure: db_queries_per_request, thresholds: { high: "> 5" } }
  - { <<: *all, id: repeated, scope: query, measure: calls_per_request, thresholds: { high: "> 5" },
      only_if: "time_per_request > 5ms and endpoint_time_ratio > 30%" }
  - { <<: *all, id: slow_query, scope: query, measure: avg_duration, thresholds: { high: "> 2ms" }, match: { db_query_text: "SELECT * FROM lines*" } }
  - { <<: *all, id: failing_task, scope: task, measure: failure_ratio, thresholds: { high: "> 20%" } }
  - { <<: *all, id: task_share, scope: task, measure: time_share, thresholds: { low: "> 0.1%" } }
  - { <<: *all, id: orders, scope: metric, metric: orders_total, measure: rate, by: [shop], thresholds: { low: "> 1/s" } }
"#;

fn app(monitor: &Monitor) -> Router {
    let slow = || async {
        // Tracked: what waits for nothing that is known may be meant to, and is less severe to the process.
        track_wait("lock", "ledger", tokio::time::sleep(Duration::from_millis(80))).await;
        "ok"
    };
    let list = || async {
        for line in 0..8 {
            let row = async {
                tokio::time::sleep(Duration::from_millis(4)).await;
                Ok::<_, Infallible>(())
            };
            let _ = track_db_query(format!("SELECT * FROM lines WHERE id = {line}"), row).await;
        }
        "ok"
    };
    let mail = || async {
        let failed = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Err::<(), _>("no server")
        };
        let _ = track_async_task("mail", failed).await;
        "ok"
    };
    let orders =
        metrics::with_local_recorder(&monitor.recorder(), || metrics::counter!("orders_total", "shop" => "east"));
    let order = move || async move {
        orders.increment(5);
        "ok"
    };
    Router::new()
        .route("/slow", get(slow))
        .route("/list", get(list))
        .route("/mail", get(mail))
        .route("/order", get(order))
        .route("/fast", get(|| async { "ok" }))
        .route("/broken", get(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
        .route("/gone", get(|| async { StatusCode::GONE }))
        .layer(monitor.layer())
        .merge(monitor.router())
}

async fn visit(address: SocketAddr) {
    let client = reqwest::Client::new();
    let mut beat = tokio::time::interval(Duration::from_millis(200));
    loop {
        for path in ["slow", "list", "mail", "order", "fast", "broken", "gone", "none"] {
            if let Ok(answer) = client.get(format!("http://{address}/{path}")).send().await {
                let _ = answer.bytes().await;
            }
        }
        beat.tick().await;
    }
}

/// What fires: rule and subject, with the highest severity.
type Firing = BTreeMap<(String, String), usize>;

async fn firing(prometheus: &Prometheus, query: &str) -> Firing {
    let answer = prometheus.get("/api/v1/query", &[("query", query)]).await.unwrap_or_default();
    let mut firing = Firing::new();
    for series in answer["data"]["result"].as_array().into_iter().flatten() {
        let text = |name: &str| series["metric"][name].as_str().unwrap_or_default().to_owned();
        let severity = ["low", "medium", "high", "critical"].iter().position(|word| *word == text("severity"));
        let known = firing.entry((text("rule"), text("subject"))).or_default();
        *known = severity.unwrap_or(usize::MAX).max(*known);
    }
    firing
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_finds_with_the_exported_rules_what_the_process_finds() {
    agree(export::Histograms::Classic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_finds_it_in_native_histograms_too() {
    agree(export::Histograms::Native).await;
}

async fn agree(histograms: export::Histograms) {
    let Some(program) = find("prometheus") else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let rules = directory.path().join("rules");
    std::fs::create_dir(&rules).expect("writes");
    std::fs::write(rules.join("rules.yaml"), RULES).expect("writes");
    let exported = export::prometheus(&RuleSet::load_dir(&rules).expect("good rules"), histograms);
    assert_eq!(exported.left_out, []);
    let file = directory.path().join("pinchpoint.rules.yml");
    std::fs::write(&file, exported.file).expect("writes");
    let monitor = built(Monitor::builder().rules_dir(&rules).evaluation_interval(Duration::from_millis(500)));
    let address = serve(app(&monitor)).await;
    let intervals = "scrape_interval: 500ms, evaluation_interval: 500ms";
    let (arguments, global) = match histograms {
        export::Histograms::Classic => (&[][..], format!("global: {{ {intervals} }}\n")),
        export::Histograms::Native => native_settings(&program, intervals),
    };
    let configuration = format!(
        "{global}rule_files: [{file:?}]\n\
         scrape_configs: [{{ job_name: shop, static_configs: [{{ targets: [\"{address}\"] }}] }}]\n"
    );
    let visitor = tokio::spawn(visit(address));
    let prometheus = Prometheus::start(&program, &configuration, arguments);
    let (mut inside, mut outside, mut agreed) = (Firing::new(), Firing::new(), 0);
    for _ in 0..LOOKS {
        inside = firing(&prometheus, "pinchpoint_bottleneck == 1").await;
        outside = firing(&prometheus, "ALERTS{alertstate=\"firing\"}").await;
        agreed = if inside.len() >= 12 && inside == outside { agreed + 1 } else { 0 };
        if agreed == 20 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    visitor.abort();
    let of = |rule: &str| inside.keys().filter(|(of, _)| of == rule).map(|(_, subject)| &**subject).collect::<Vec<_>>();
    assert_eq!(inside, outside);
    assert_eq!(agreed, 20, "{inside:?}");
    assert_eq!(of("slow"), ["GET /list", "GET /slow"]);
    assert_eq!(of("slow_tail"), ["GET /slow"]);
    assert_eq!((of("slow_elsewhere"), of("allowed")), (vec!["GET /list"], vec!["GET /list"]));
    assert_eq!((of("errors"), of("refused"), of("rare")), (vec!["GET /broken"], vec!["GET /gone"], vec![]));
    assert_eq!(of("repeated"), ["SELECT * FROM lines WHERE id = ?"]);
    assert_eq!((of("failing_task"), of("task_share")), (vec!["mail"], vec!["mail"]));
}
