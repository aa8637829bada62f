//! The queries of `docs/metrics.md`, read by Prometheus's own parser.

use std::process::Command;

use serde_json::json;

use crate::support::program::program;

/// Returns the queries of the reference, each with the metric that it is about.
fn questions() -> Vec<(String, String)> {
    let reference =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")).expect("the reference");
    let table = reference.split("## Questions").nth(1).expect("a section").split("\n## ").next().unwrap_or_default();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix("` |"));
    let parts = rows.map(|row| row.split_once('`').zip(row.rsplit_once('`')));
    parts.flatten().map(|((metric, _), (_, query))| (metric.to_owned(), query.to_owned())).collect()
}

#[test]
fn prometheus_understands_every_question_of_the_reference() {
    let Some(promtool) = program("promtool", "Debian package prometheus", &[]) else { return };
    let questions = questions();
    assert!(questions.len() > 80, "the table is read: {}", questions.len());
    let rule = |(metric, query): &(String, String)| json!({ "record": format!("asked:{metric}"), "expr": query });
    let rules: Vec<_> = questions.iter().map(rule).collect();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("questions.yml");
    // YAML reads JSON.
    let group = json!({ "groups": [{ "name": "questions", "rules": rules }] });
    std::fs::write(&file, group.to_string()).expect("writes");
    let checked = Command::new(promtool).arg("check").arg("rules").arg(&file).output().expect("it starts");
    let said = String::from_utf8_lossy(&checked.stdout) + String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && said.contains(&format!("{} rules found", questions.len())), "{said}");
}
