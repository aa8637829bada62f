//! What the monitor finds in the demo: every sickness, where it is, and nothing that is healthy.
//!
//! Apart from the other tests, since what is measured is time: nothing else should run beside it. The rules are the
//! shipped ones; only `for` and `keep_firing_for` are cut short, so that nobody waits longer than the traffic takes.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The findings that the sick shop must have: the rule, and what the subject contains.
const EXPECTED: &[(&str, &str)] = &[
    ("slow_endpoint", "GET /api/reports/sales"),
    ("slow_query", "FROM orders o WHERE o.day >= ?"),
    ("high_error_rate", "POST /api/checkout"),
    ("query_errors", "UPDATE stock"),
    ("slow_query", "FROM (SELECT * FROM reviews WHERE product_id = ?"),
    ("n_plus_one", "FROM products p WHERE p.id = ?"),
    ("frequent_query", "FROM settings"),
    ("blocked_runtime", "POST /api/register"),
    ("task_failures", "send_receipt"),
    ("slow_task", "render_thumbnail"),
    ("high_client_error_rate", "GET /api/coupons/{code}"),
    ("abandoned_requests", "GET /api/suggest"),
    ("slow_query", "FROM (SELECT id, name FROM products WHERE name LIKE ?"),
];

/// What is sick: whatever rule speaks of these subjects is right. The process has the consequences of the others, which
/// come with time and load.
const SICK: &[&str] = &[
    "GET /api/reports/sales",
    "FROM orders o WHERE o.day >= ?",
    "POST /api/checkout",
    "UPDATE stock",
    "GET /api/products/{id}/reviews",
    "FROM (SELECT * FROM reviews WHERE product_id = ?",
    "GET /api/orders",
    "FROM products p WHERE p.id = ?",
    "POST /api/register",
    "send_receipt",
    "render_thumbnail",
    "sync_newsletter",
    "GET /api/coupons/{code}",
    "GET /api/suggest",
    "FROM (SELECT id, name FROM products WHERE name LIKE ?",
    "FROM settings",
    "process",
];

struct Demo {
    child: Child,
    base: String,
}

impl Demo {
    fn start(rules: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pinchpoint"))
            .args(["demo", "--listen", "127.0.0.1:0", "--traffic", "--rules"])
            .arg(rules)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let base = line.trim_end().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        Self { child, base }
    }

    async fn get(&self, path: &str) -> Value {
        let response = reqwest::get(format!("{}{path}", self.base)).await.unwrap();
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
    }

    async fn bottlenecks(&self) -> Vec<Value> {
        self.get("/performance/bottlenecks").await["bottlenecks"].as_array().unwrap().clone()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Ends as Ctrl-C does, so that its temporary files go too.
        _ = Command::new("kill").args(["-s", "INT", &self.child.id().to_string()]).status();
        _ = self.child.wait();
    }
}

/// Returns the shipped rules with nothing to wait for.
fn impatient_rules() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../rules")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = std::fs::read_to_string(&path).unwrap();
            let lines = text.lines().map(|line| match line.trim_start().split(':').next() {
                Some(key @ ("for" | "keep_firing_for")) => format!("    {key}: 1s\n"),
                _ => format!("{line}\n"),
            });
            std::fs::write(directory.path().join(path.file_name().unwrap()), lines.collect::<String>()).unwrap();
        }
    }
    directory
}

fn is(finding: &Value, (rule, subject): (&str, &str)) -> bool {
    finding["type"] == rule && finding["subject"].as_str().unwrap().contains(subject)
}

#[tokio::test]
async fn every_sickness_is_found_and_nothing_healthy_and_fixed_it_is_clear() {
    let rules = impatient_rules();

    let sick = Demo::start(rules.path(), &[]);
    let until = Instant::now() + Duration::from_secs(150);
    let mut found: BTreeSet<(&str, &str)> = BTreeSet::new();
    while found.len() < EXPECTED.len() {
        let bottlenecks = sick.bottlenecks().await;
        found.extend(EXPECTED.iter().filter(|expected| bottlenecks.iter().any(|it| is(it, **expected))).copied());
        for finding in &bottlenecks {
            let subject = finding["subject"].as_str().unwrap();
            assert!(SICK.iter().any(|sick| subject.contains(sick)), "healthy, but found: {finding:#}");
        }
        let missing: Vec<_> = EXPECTED.iter().filter(|expected| !found.contains(*expected)).collect();
        assert!(Instant::now() < until, "not found: {missing:?} among {bottlenecks:#?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    drop(sick);

    let fixed = Demo::start(rules.path(), &["--fixed"]);
    let until = Instant::now() + Duration::from_secs(45);
    while Instant::now() < until {
        let bottlenecks = fixed.bottlenecks().await;
        // A machine that is busy with something else makes the runtime late, whatever the shop does.
        let of_the_shop: Vec<_> = bottlenecks.iter().filter(|it| it["type"] != "scheduling_lag").collect();
        assert!(of_the_shop.is_empty(), "{of_the_shop:#?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    // It was clear because the traffic was well, not because there was none.
    let requests = fixed.get("/performance/metrics").await["summary"]["total_requests"].as_u64().unwrap();
    assert!(requests > 500, "{requests}");
}
