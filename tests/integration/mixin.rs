//! The mixin in `prometheus/`, evaluated by jsonnet.

use std::{path::Path, process::Command};

use pinchpoint::{RuleSet, export};
use serde_json::Value;

use crate::support::program::program;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Evaluates an expression in which `mixin` is the mixin; `None` where jsonnet is not installed.
#[track_caller]
fn evaluated(expression: &str) -> Option<Value> {
    let jsonnet = program("jsonnet", "Debian package jsonnet", &[])?;
    let code = format!("local mixin = import 'mixin.libsonnet'; {expression}");
    let output = Command::new(jsonnet).args(["-J", "prometheus", "-e", &code]).current_dir(ROOT).output();
    let output = output.expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

fn groups(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(Path::new(ROOT).join("prometheus").join(file)).expect("the file");
    let file: Value = serde_yaml::from_str(&text).expect("YAML");
    file["groups"].as_array().expect("groups").clone()
}

/// Returns the rules of the groups, one after another.
fn rules(groups: &[Value]) -> Vec<Value> {
    groups.iter().flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
}

#[test]
fn the_committed_mixin_is_the_generated_one() {
    let rules = RuleSet::load_dir(Path::new(ROOT).join("rules")).expect("good rules");
    for export::Document { path, text } in export::mixin(&rules, export::Histograms::Classic).files {
        let committed = std::fs::read_to_string(Path::new(ROOT).join("prometheus").join(&path)).unwrap_or_default();
        let command = "cargo run -p pinchpoint-cli -- rules export --to mixin --output prometheus";
        assert!(committed == text, "prometheus/{path} is stale: run `{command}`");
    }
}

#[test]
fn the_alerts_are_those_of_the_file() {
    let Some(alerts) = evaluated("mixin.prometheusAlerts.groups") else { return };
    assert_eq!(alerts.as_array().expect("a list"), &groups("pinchpoint.in-process.rules.yml"));
    assert_eq!(evaluated("mixin.prometheusRules.groups").expect("jsonnet"), serde_json::json!([]));
}

#[test]
fn the_rules_are_divided_into_alerts_and_recording_rules() {
    let of = |field: &str| evaluated(&format!("(mixin {{ _config+:: {{ alerts: 'rules' }} }}).{field}.groups"));
    let Some(alerts) = of("prometheusAlerts") else { return };
    let records = of("prometheusRules").expect("jsonnet");
    let both: Vec<Value> = [records, alerts].iter().flat_map(|both| rules(both.as_array().expect("a list"))).collect();
    assert_eq!(both, rules(&groups("pinchpoint.rules.yml")));
}

#[test]
fn labels_are_added_to_each_alert_and_other_mixins_are_kept() {
    let labelled = "({ prometheusAlerts+:: { groups+: [{ name: 'other', rules: [] }] } } + mixin \
                    { _config+:: { alertLabels: { team: 'shop' } } }).prometheusAlerts.groups";
    let Some(groups) = evaluated(labelled) else { return };
    let groups = groups.as_array().expect("a list");
    assert_eq!(groups[0]["name"], "other");
    let rules = rules(groups);
    assert_eq!(rules.len(), 6);
    assert!(rules.iter().all(|rule| rule["labels"]["team"] == "shop" && rule["labels"]["level"].is_string()));
}

#[test]
fn the_dashboards_are_those_of_the_files_with_the_tags_of_the_configuration() {
    let Some(dashboards) = evaluated("(mixin { _config+:: { dashboardTags: ['shop'] } }).grafanaDashboards") else {
        return;
    };
    let dashboards = dashboards.as_object().expect("an object");
    assert_eq!(dashboards.len(), 6);
    for (name, dashboard) in dashboards {
        let file = name.strip_prefix("pinchpoint-").expect("the prefix");
        let text = std::fs::read_to_string(Path::new(ROOT).join("prometheus/grafana").join(file)).expect("the file");
        let mut committed: Value = serde_json::from_str(&text).expect("JSON");
        committed["tags"].as_array_mut().expect("a list").push("shop".into());
        assert_eq!(*dashboard, committed, "{name}");
    }
}
