//! Exported rules, dashboards and documented queries where series have more labels than a scrape of one process gives them: `cluster` or
//! `datacenter` of the target, as with Mimir and Thanos, and those of a service whose names Prometheus has for something else.

use std::path::Path;

use pinchpoint::{
    RuleSet, export,
    replay::{RuleTests, promtool_tests},
};
use serde_json::{Value, json};

use crate::{
    alerts::{agree_on, exported, items, run_tests, yaml},
    support::prometheus::find,
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const OF_RULES: &str = include_str!("alerts/exported.test.yml");
/// What dashboards and documents read beside the series of the cases.
const MORE_SERIES: [&str; 4] = [
    r#"target_info{job="shop",instance="a:80",service_version="1"}"#,
    r#"process_start_time_seconds{job="shop",instance="a:80"}"#,
    r#"pinchpoint_build_info{job="shop",instance="a:80",version="1"}"#,
    // A text that is another one for a while, as after an update of the fingerprints.
    r#"db_query_info{job="shop",instance="a:80",db_query_id="7f",db_query_text="SELECT"}"#,
];

/// Returns a promtool test with each series twice, in two datacenters, and with `more`. It expects that every rule can be evaluated, which
/// promtool looks at.
fn doubled(test: &Value, more: &[&str]) -> Value {
    let of_test = items(&test["input_series"]).map(|one| {
        let series = one["series"].as_str().expect("a series");
        (series.to_owned(), one["values"].clone())
    });
    let more = more.iter().map(|series| ((*series).to_owned(), json!("1x40")));
    let at = |series: &str, datacenter: &str| match series.strip_suffix('}') {
        Some(series) => format!("{series},datacenter=\"{datacenter}\"}}"),
        None => format!("{series}{{datacenter=\"{datacenter}\"}}"),
    };
    let both = of_test.chain(more).flat_map(|(series, values)| {
        ["a", "b"].map(|datacenter| json!({ "series": at(&series, datacenter), "values": values }))
    });
    let checks = items(&test["alert_rule_test"]).chain(items(&test["promql_expr_test"]));
    let until = checks.last().map_or(json!("10m"), |check| check["eval_time"].clone());
    json!({
        "name": test["name"],
        "interval": test["interval"],
        "input_series": both.collect::<Vec<_>>(),
        "promql_expr_test": [{ "expr": "vector(1)", "eval_time": until, "exp_samples": [{ "labels": "{}", "value": 1 }] }],
    })
}

fn file(tests: &[Value]) -> String {
    json!({ "rule_files": ["pinchpoint.rules.yml"], "evaluation_interval": "1m", "tests": tests }).to_string()
}

/// Returns the tests of the shipped rules, as promtool's, without the twins of each.
fn shipped_tests() -> Vec<Value> {
    let files = ["database", "endpoints", "process", "tasks"];
    let read = |name| RuleTests::read(&Path::new(ROOT).join(format!("rules/tests/{name}.test.yaml"))).expect("good");
    let cases = yaml(&promtool_tests(&files.map(read), "pinchpoint.rules.yml"));
    items(&cases["tests"]).filter(|case| !case["name"].as_str().expect("a name").contains("; ")).cloned().collect()
}

#[test]
fn exported_rules_can_be_evaluated_where_series_differ_in_another_label_of_the_target() {
    let Some(promtool) = find("promtool") else { return };
    let of_cases = |cases: &str, more: &[&str]| -> Vec<Value> {
        items(&yaml(cases)["tests"]).map(|test| doubled(test, more)).collect()
    };
    let shipped = shipped_tests();
    assert!(shipped.len() > 40, "{}", shipped.len());
    let mut of_rules = of_cases(OF_RULES, &MORE_SERIES);
    of_rules.extend(shipped.iter().map(|test| doubled(test, &[])));
    run_tests(&promtool, include_str!("../../prometheus/pinchpoint.rules.yml"), &file(&of_rules));
    let in_process = include_str!("../../prometheus/pinchpoint.in-process.rules.yml");
    run_tests(&promtool, in_process, &file(&of_cases(include_str!("alerts/in_process.test.yml"), &[])));
}

/// Returns the expressions of all dashboards, with values for their variables.
fn of_dashboards() -> Vec<String> {
    const VALUES: [(&str, &str); 7] = [
        ("$__rate_interval", "2m"),
        ("$__range", "2m"),
        ("$job", ".+"),
        ("$instance", ".+"),
        ("$version", ".+"),
        ("$method", ".+"),
        ("$route", "/slow"),
    ];
    let mut all = Vec::new();
    for dashboard in export::grafana(&RuleSet::embedded()) {
        let dashboard: Value = serde_json::from_str(&dashboard.text).expect("JSON");
        let targets = items(&dashboard["panels"]).flat_map(|panel| items(&panel["targets"]));
        let expressions = targets.chain(items(&dashboard["annotations"]["list"]));
        let text = expressions.map(|one| one["expr"].as_str().expect("an expression").to_owned());
        all.extend(text.map(|text| VALUES.iter().fold(text, |text, (name, value)| text.replace(name, value))));
    }
    all
}

/// Returns the queries that documents show.
fn of_documents() -> Vec<String> {
    let table = include_str!("../../docs/metrics.md").lines().filter(|line| line.starts_with("| `"));
    let table = table.filter_map(|line| line.strip_suffix("` |")?.rsplit_once(" | `"));
    let blocks = include_str!("../../docs/integration.md").split("```promql\n").skip(1);
    let blocks = blocks.filter_map(|after| after.split("```").next());
    table.map(|(_, query)| query.replace("\\|", "|")).chain(blocks.map(str::to_owned)).collect()
}

#[test]
fn dashboards_and_documented_queries_can_be_evaluated_there_too() {
    let Some(promtool) = find("promtool") else { return };
    let (dashboards, documents) = (of_dashboards(), of_documents());
    assert!(dashboards.len() > 100 && documents.len() > 50, "{} {}", dashboards.len(), documents.len());
    let expressions = dashboards.iter().chain(&documents).enumerate();
    let records = expressions.map(|(at, expr)| json!({ "record": format!("expression:{at}"), "expr": expr }));
    let rules = json!({ "groups": [{ "name": "all", "rules": records.collect::<Vec<_>>() }] }).to_string();
    let cases = yaml(OF_RULES);
    let tests: Vec<Value> = items(&cases["tests"]).map(|test| doubled(test, &MORE_SERIES)).collect();
    run_tests(&promtool, &rules, &file(&tests));
}

#[test]
fn labels_that_prometheus_calls_something_else_choose_and_tell_apart_the_same_subjects() {
    let Some(cases) = agree_on("labels.yaml", "labels.test.yaml") else { return };
    let series = yaml(&cases);
    let series: Vec<&str> = items(&series["tests"])
        .flat_map(|test| items(&test["input_series"]))
        .filter_map(|one| one["series"].as_str())
        .collect();
    let of_target = series.iter().find(|series| series.starts_with("queue_length")).expect("a series of the queue");
    assert!(of_target.contains("exported_job=") && of_target.contains(r#"job="shop""#), "{of_target}");
}

#[test]
fn brackets_in_the_texts_of_rules_stand_in_the_alert() {
    let Some(promtool) = find("promtool") else { return };
    let rules = exported(
        r#"
rules:
  - id: long_queue
    scope: metric
    metric: queue_length
    measure: value
    by: [my-label]
    for: 0s
    thresholds: { high: "> 10" }
    description: "x {{{{ nope }}}} {{{subject}}}"
    impact: "{{{value}}} of {{{{{{"
slo:
  - id: checkout
    objective: 99.9%
    description: "{{{{ nope }}}} {{{subject}}}"
"#,
    );
    let tests = r#"
rule_files: [pinchpoint.rules.yml]
evaluation_interval: 15s
tests:
  - interval: 15s
    input_series: [{ series: 'queue_length{job="shop",instance="a:80",my_label="é{{"}', values: 50x20 }]
    alert_rule_test:
      - eval_time: 2m
        alertname: LongQueueHigh
        exp_alerts:
          - exp_labels:
              { severity: high, level: warning, rule: long_queue, job: shop, instance: 'a:80', my_label: 'é{{',
                subject: 'queue_length{my-label="é{{"}' }
            exp_annotations:
              summary: 'x {{ nope }} {queue_length{my-label="é{{"}}'
              description: '{50} of {{{ (shop on a:80).'
              runbook_url: 'https://github.com/pinchpoint-rs/pinchpoint/blob/main/docs/rules.md#long_queue'
"#;
    run_tests(&promtool, &rules, tests);
}

#[test]
fn rules_whose_labels_prometheus_does_not_tell_apart_are_left_out_with_the_reason() {
    #[track_caller]
    fn check(rule: &str, reason: &str) {
        let rule = format!(
            "rules:\n  - {{ id: a, scope: metric, metric: queue_length, measure: value, thresholds: {{ high: \"> 10\" }}, description: x, {rule} }}\n"
        );
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("rules.yaml"), rule).expect("writes");
        let rules = RuleSet::load_dir(directory.path()).expect("good rules");
        let exported = export::prometheus(&rules, export::Histograms::Classic);
        let reasons: Vec<_> = exported.left_out.iter().map(|left_out| &*left_out.reason).collect();
        assert_eq!(reasons, [reason], "{}", exported.file);
    }
    check("by: [my-label, my.label]", "Prometheus would call both \"my-label\" and \"my.label\" my_label");
    check(
        "by: [job], match: { exported_job: a }",
        "Prometheus would call both \"exported_job\" and \"job\" exported_job",
    );
    check("by: [rule, exported_rule]", "Prometheus would call both \"rule\" and \"exported_rule\" exported_rule");
}
