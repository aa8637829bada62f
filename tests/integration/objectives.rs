//! Service-level objectives: in the answers of a service, and in what Prometheus loads.

use std::{collections::BTreeMap, path::Path, process::Command, time::Duration};

use axum::{
    Router,
    http::{StatusCode, Uri},
    routing::get,
};
use pinchpoint::{
    Monitor, RuleSet,
    export::{self, Exported, Histograms},
};
use serde_json::Value;
use tokio::time::sleep;

use crate::support::{Samples, built, get as fetch, program::program};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const EXAMPLE: &str = "rules/examples/slo.yaml";
/// What promtool tests the exported example with.
const CASES: [&str; 2] =
    [include_str!("../fixtures/slo/promtool.test.yml"), include_str!("../fixtures/slo/days.test.yml")];
const SLO: &str = "
slo:
  - { id: availability, objective: 99%, exclude: [{ http_route: /health }] }
  - { id: unused, objective: 99%, match: { http_route: /nowhere } }
";

/// A service with an objective: every request to /shop?bad fails.
fn service(directory: &Path) -> (Monitor, Router) {
    std::fs::write(directory.join("slo.yaml"), SLO).expect("writes");
    let monitor = built(Monitor::builder().rules_dir(directory));
    let shop = |uri: Uri| async move {
        if uri.query().is_some() { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }
    };
    let routes = Router::new().route("/shop", get(shop)).route("/health", get(shop));
    (monitor.clone(), routes.layer(monitor.layer()).merge(monitor.router()))
}

async fn json(app: &Router, path: &str) -> Value {
    serde_json::from_str(&fetch(app, path).await.1).expect("JSON")
}

#[tokio::test(start_paused = true)]
async fn an_outage_spends_the_budget_in_every_answer() {
    let directory = tempfile::tempdir().expect("a directory");
    let (monitor, app) = service(directory.path());
    for minute in 0..8 {
        for request in 0..20 {
            fetch(&app, if minute >= 2 && request % 2 == 0 { "/shop?bad" } else { "/shop" }).await;
            fetch(&app, "/health?bad").await;
        }
        sleep(Duration::from_secs(60)).await;
    }
    let answer = json(&app, "/performance/slos").await;
    assert_eq!((&answer["total_count"], &answer["without_requests"][0]), (&1.into(), &"unused".into()), "{answer}");
    let slo = &answer["slos"][0];
    assert_eq!(
        (&slo["id"], &slo["subject"], &slo["firing"]),
        (&"availability".into(), &"service".into(), &"critical".into())
    );
    assert_eq!((&slo["request_count"], &slo["bad_count"]), (&160.into(), &60.into()));
    assert_eq!(slo["budget_left_percent"], -3650.0, "60 of 160 are 37.5 times what 1 % allows");
    assert_eq!((&slo["budget_ends_in_seconds"], &slo["is_whole"]), (&0.0.into(), &false.into()), "{slo}");
    assert!((470.0..490.0).contains(&slo["known_seconds"].as_f64().expect("a number")), "{slo}");
    assert_eq!(slo["burn_rates"][2]["burn_rate"], 37.5, "in an hour: {slo}");
    assert_eq!(slo["worst_endpoints"][0]["endpoint"], "GET /shop");
    let found = json(&app, "/performance/bottlenecks").await;
    let finding = &found["bottlenecks"].as_array().expect("a list").iter().find(|one| one["type"] == "availability");
    let finding = finding.unwrap_or_else(|| panic!("{found}"));
    assert_eq!(finding["affected_endpoints"][0], "GET /shop");
    assert_eq!(finding["evidence"]["numbers"]["short_burn_rate"], 50.0, "{finding}");
    let report = json(&app, "/performance/report?format=json").await;
    assert_eq!(report["slos"][0]["id"], "availability");
    let (_, page) = fetch(&app, "/performance/report?format=markdown").await;
    assert!(page.contains("## Service-level objectives"), "{page}");
    let labels = "{rule=\"availability\",subject=\"service\"}";
    let samples = Samples::of(&monitor);
    let of =
        |series: String| samples.all().find(|(name, _)| *name == series).map(|(_, value)| (value * 1e6).round() / 1e6);
    assert_eq!(of(format!("pinchpoint_slo_budget_left_ratio{labels}")), Some(-36.5));
    assert_eq!(of(format!("pinchpoint_slo_budget_ends_in_seconds{labels}")), Some(0.0));
    assert_eq!(
        of("pinchpoint_slo_burn_rate{rule=\"availability\",subject=\"service\",window=\"5m\"}".into()),
        Some(50.0)
    );
    assert_eq!(fetch(&app, "/performance/slos?limit=0").await.0, StatusCode::BAD_REQUEST);
}

/// Exports a file of the repository's rules.
fn exported(file: &str, histograms: Histograms) -> Exported {
    let rules = RuleSet::check_files(&[Path::new(ROOT).join(file)]).expect("good rules");
    export::prometheus(&rules, histograms)
}

#[test]
fn promtool_computes_what_was_computed_by_hand() {
    let Some(promtool) = program("promtool", "Debian package prometheus", &[]) else { return };
    let directory = tempfile::tempdir().expect("a directory");
    for histograms in [Histograms::Native, Histograms::Classic] {
        let exported = exported(EXAMPLE, histograms);
        assert_eq!(exported.left_out, []);
        let file = directory.path().join("slo.rules.yml");
        std::fs::write(&file, exported.file).expect("writes");
        let checked = Command::new(&promtool).arg("check").arg("rules").arg(&file).output().expect("it starts");
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    }
    for (number, cases) in CASES.iter().enumerate() {
        let tests = directory.path().join(format!("{number}.test.yml"));
        std::fs::write(&tests, cases).expect("writes");
        let tested = Command::new(&promtool).arg("test").arg("rules").arg(&tests).output().expect("it starts");
        let said = String::from_utf8_lossy(&tested.stdout) + String::from_utf8_lossy(&tested.stderr);
        assert!(tested.status.success(), "{said}");
    }
}

#[test]
fn each_alert_that_looks_back_over_days_has_a_case_that_fires_and_one_that_is_silent() {
    for (rules, files) in [(EXAMPLE, &CASES[..]), ("rules/traffic.yaml", &[include_str!("alerts/usual.test.yml")][..])]
    {
        let read = |text: &str| -> Value { serde_yaml::from_str(text).expect("YAML") };
        let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        let exported = read(&exported(rules, Histograms::Classic).file);
        let groups = list(&exported, "groups");
        let alerts = groups.iter().flat_map(|group| list(group, "rules")).filter(|rule| rule["alert"].is_string());
        // How many of each alert fire, in each case that names it.
        let mut firing: BTreeMap<String, Vec<usize>> =
            alerts.map(|rule| (rule["alert"].as_str().expect("a name").into(), Vec::new())).collect();
        assert!(firing.len() >= 7, "{firing:?}");
        let tests = files.iter().flat_map(|file| list(&read(file), "tests"));
        for case in tests.flat_map(|test| list(&test, "alert_rule_test")) {
            let name = case["alertname"].as_str().expect("a name");
            let counts = firing.get_mut(name).unwrap_or_else(|| panic!("{rules} has no alert {name}"));
            counts.push(list(&case, "exp_alerts").len());
        }
        for (alert, counts) in firing {
            assert!(counts.iter().any(|&count| count > 0), "{alert} of {rules} fires in no case");
            assert!(counts.contains(&0), "{alert} of {rules} is silent in no case");
        }
    }
}
