//! `/performance/rules` says how many subjects each rule judges, and why one that finds nothing is silent.

use std::time::Duration;

use axum::{Router, routing::get};
use metrics::Recorder as _;
use pinchpoint::{Control, Monitor, MonitorBuilder, track_db_query};
use serde_json::Value;

use crate::{
    api::json,
    support::{built, get as fetch, send},
};

/// Starts a service whose monitor has one rule.
fn service(builder: MonitorBuilder, rule: &str) -> (tempfile::TempDir, Monitor, Router) {
    let directory = tempfile::tempdir().expect("a directory");
    // A quantity of a rate has a unit.
    let limit = if rule.contains("measure: rate") { "> 1000/s" } else { "> 1000" };
    let text = format!("rules:\n  - {{ id: rule, thresholds: {{ high: \"{limit}\" }}, description: x, {rule} }}\n");
    std::fs::write(directory.path().join("rules.yaml"), text).expect("writes");
    let monitor = built(builder.rules_dir(directory.path()).control(Control::Open));
    let query = || async {
        let _ = track_db_query("SELECT 1", async { Ok::<_, std::io::Error>(()) }).await;
    };
    let app = Router::new().route("/users/{id}", get(query)).layer(monitor.layer()).merge(monitor.router());
    (directory, monitor, app)
}

async fn evaluated(app: &Router) -> Value {
    tokio::time::sleep(Duration::from_secs(6)).await;
    json(app, "/performance/rules").await["rules"][0].clone()
}

/// Checks what is said about a rule after some requests to one route.
async fn check(rule: &str, subjects: (u64, u64), expected: Option<&str>) {
    let (_directory, monitor, app) = service(Monitor::builder(), rule);
    let set = |name: &'static str, labels: &[(&'static str, &'static str)], value: f64| {
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| metrics::Label::from_static_parts(name, value)).collect();
        let metadata = metrics::Metadata::new("test", metrics::Level::INFO, None);
        monitor.recorder().register_gauge(&metrics::Key::from_parts(name, labels), &metadata).set(value);
    };
    set("queue_depth", &[("queue", "mail")], 3.0);
    for number in 0..7 {
        fetch(&app, &format!("/users/{number}")).await;
    }
    let rule_now = evaluated(&app).await;
    let found = (rule_now["subjects"].as_u64(), rule_now["judged"].as_u64(), rule_now["silent_because"].as_str());
    assert_eq!(found, (Some(subjects.0), Some(subjects.1), expected), "{rule}");
}

#[tokio::test(start_paused = true)]
async fn each_rule_says_why_it_is_silent() {
    check("scope: endpoint, measure: in_flight", (1, 1), None).await;
    let few = "min_samples is 1000, and none has more than 7 in the last 5m";
    check("scope: endpoint, measure: in_flight, min_samples: 1000", (1, 0), Some(few)).await;
    let none = "none of the 1 endpoint of the last 5m is chosen by match and exclude";
    check("scope: endpoint, measure: in_flight, match: { http_route: reports/* }", (0, 0), Some(none)).await;
    check("scope: task, measure: active", (0, 0), Some("no task was tracked so far")).await;
    check("scope: query, measure: in_flight", (1, 1), None).await;
    check("scope: metric, metric: queue_depth, measure: value", (1, 1), None).await;
    let typed = "nothing has recorded the metric queue_dept so far; did you mean queue_depth?";
    check("scope: metric, metric: queue_dept, measure: value", (0, 0), Some(typed)).await;
    check(
        "scope: metric, metric: cache_size, measure: value",
        (0, 0),
        Some("nothing has recorded the metric cache_size so far"),
    )
    .await;
    let label = "no series of queue_depth has the label que; they have queue";
    check("scope: metric, metric: queue_depth, measure: value, match: { que: mail }", (0, 0), Some(label)).await;
    check("scope: metric, metric: queue_depth, measure: value, by: [que]", (1, 1), Some(label)).await;
    let value = "the one series of queue_depth is not chosen by match";
    check("scope: metric, metric: queue_depth, measure: value, match: { queue: sms }", (0, 0), Some(value)).await;
    let kind = "queue_depth is a gauge, which has no rate";
    check("scope: metric, metric: queue_depth, measure: rate", (0, 0), Some(kind)).await;
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_off_is_named() {
    let (_directory, _monitor, app) =
        service(Monitor::builder().without_sampling(), "scope: process, measure: cpu_ratio");
    assert_eq!(evaluated(&app).await["silent_because"], "sampling of the machine is off");
    let (_directory, _monitor, app) = service(Monitor::builder(), "scope: endpoint, measure: in_flight");
    assert_eq!(evaluated(&app).await["silent_because"], "no request matched a route so far");
    send(&app, "POST", "/performance/stop-monitoring").await;
    assert_eq!(evaluated(&app).await["silent_because"], "monitoring is stopped");
}

#[tokio::test(start_paused = true)]
async fn a_rule_is_silent_again_when_the_traffic_ends() {
    let (_directory, _monitor, app) =
        service(Monitor::builder(), "scope: endpoint, measure: in_flight, window: 1m, min_samples: 1");
    fetch(&app, "/users/1").await;
    assert_eq!(evaluated(&app).await["silent_because"], Value::Null);
    tokio::time::sleep(Duration::from_secs(120)).await;
    let reason = evaluated(&app).await["silent_because"].clone();
    assert!(
        reason.as_str().is_some_and(|reason| reason.starts_with("no request matched a route in the last 1m")),
        "{reason}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_report_has_the_silent_rules() {
    let (_directory, _monitor, app) = service(Monitor::builder(), "scope: metric, metric: <b>, measure: value");
    evaluated(&app).await;
    let report = json(&app, "/performance/report").await;
    assert_eq!((&report["rule_count"], &report["silent_rules"][0]["id"]), (&1.into(), &"rule".into()));
    for (format, expected) in [("html", "the metric &lt;b&gt; so far"), ("markdown", "the metric \\<b\\> so far")] {
        let (_, text) = fetch(&app, &format!("/performance/report?format={format}")).await;
        assert!(
            text.contains(expected) && text.contains("1 rule is in force; 1 of them cannot find anything"),
            "{text}"
        );
    }
}
