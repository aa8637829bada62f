//! What the monitor finds in the demo: every sickness, where it is, and nothing that is healthy.
//!
//! Apart from the other tests, since what is measured is time: nothing else should run beside it. The rules are the
//! shipped ones; only `for`, `keep_firing_for` and the five minutes after which a task counts as stuck are cut short, so that
//! nobody waits longer than the traffic takes.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

/// A finding that the sick shop must have, and what in its evidence shows that the cause was found and not a symptom.
struct Expected {
    rule: &'static str,
    /// Part of the subject.
    subject: &'static str,
    causes: &'static [Cause],
}

/// A fact of the evidence. Paths are JSON pointers into it.
enum Cause {
    /// A text there contains this.
    Names(&'static str, &'static str),
    /// A number there is larger.
    Above(&'static str, f64),
    /// One of the recommendations contains this.
    Advice(&'static str),
}

use Cause::{Above, Advice, Names};

const fn expected(rule: &'static str, subject: &'static str, causes: &'static [Cause]) -> Expected {
    Expected { rule, subject, causes }
}

const EXPECTED: &[Expected] = &[
    expected(
        "slow_endpoint",
        "GET /api/reports/sales",
        &[
            Above("/time_split/database", 0.8),
            Names("/top_queries/0/query", "FROM orders o WHERE o.day >= ?"),
            Names("/slowest_requests/0/timeline/0/kind", "query"),
            Advice("in one query: index it or cache its result"),
        ],
    ),
    expected(
        "slow_query",
        "FROM orders o WHERE o.day >= ?",
        &[Names("/endpoints/0/endpoint", "GET /api/reports/sales"), Advice("It is slow always")],
    ),
    expected(
        "high_error_rate",
        "POST /api/checkout",
        &[
            Names("/words/top_error", "500"),
            Names("/words/failing_query", "UPDATE stock"),
            Advice("of the errors are the same: 500"),
        ],
    ),
    expected("query_errors", "UPDATE stock", &[Names("/endpoints/0/endpoint", "POST /api/checkout")]),
    expected(
        "slow_query",
        "FROM (SELECT * FROM reviews WHERE product_id = ?",
        &[Names("/endpoints/0/endpoint", "GET /api/products/{id}/reviews"), Advice("a missing index")],
    ),
    expected(
        "n_plus_one",
        "FROM products p WHERE p.id = ?",
        &[Names("/endpoints/0/endpoint", "GET /api/orders"), Above("/endpoints/0/calls_per_request", 50.0)],
    ),
    expected(
        "frequent_query",
        "FROM settings",
        &[Above("/numbers/endpoints", 5.0), Above("/numbers/calls_per_request", 3.0)],
    ),
    expected(
        "blocked_runtime",
        "POST /api/register",
        &[
            Above("/numbers/busy_ratio", 0.8),
            Above("/blockers/0/waited/0/times", 0.0),
            Advice("it computes: move the computation (hashing"),
        ],
    ),
    expected(
        "task_failures",
        "send_receipt",
        &[Names("/words/top_failure", "error"), Above("/numbers/top_failure_ratio", 0.9)],
    ),
    expected(
        "slow_task",
        "render_thumbnail",
        &[Above("/numbers/waiting_ratio", 0.9), Advice("a thread of its own (spawn_blocking)")],
    ),
    expected(
        "stuck_task",
        "sync_newsletter",
        &[Above("/running/0/running_seconds", 10.0), Advice("Give every call inside it a timeout")],
    ),
    expected(
        "high_client_error_rate",
        "GET /api/coupons/{code}",
        &[Names("/words/top_client_error", "404"), Advice("have the same status: 404")],
    ),
    expected(
        "abandoned_requests",
        "GET /api/suggest",
        &[
            Names("/outcomes/0/outcome", "cancelled"),
            Above("/numbers/db_time_ratio", 0.8),
            Advice("of the time that they wait is spent in the database"),
        ],
    ),
    expected(
        "wasted_work",
        "GET /api/suggest",
        &[
            Names("/words/top_query", "FROM (SELECT id, name FROM products WHERE name LIKE ?"),
            Above("/numbers/wasted_db_time", 1.0),
            Advice("for clients that had disconnected: give them a statement timeout below the clients' own"),
        ],
    ),
    expected(
        "slow_query",
        "FROM (SELECT id, name FROM products WHERE name LIKE ?",
        &[Names("/endpoints/0/endpoint", "GET /api/suggest")],
    ),
];

impl Expected {
    fn is_found_in(&self, finding: &Value) -> bool {
        finding["type"] == self.rule && finding["subject"].as_str().unwrap().contains(self.subject)
    }
}

impl Cause {
    #[track_caller]
    fn check(&self, finding: &Value) {
        let evidence = |path: &str| finding["evidence"].pointer(path).cloned().unwrap_or_default();
        let (holds, wanted) = match self {
            Names(path, text) => {
                (evidence(path).as_str().is_some_and(|found| found.contains(text)), format!("{path}: {text}"))
            }
            Above(path, limit) => {
                (evidence(path).as_f64().is_some_and(|found| found > *limit), format!("{path} > {limit}"))
            }
            Advice(text) => {
                let advice = finding["recommendations"].as_array().unwrap();
                (advice.iter().any(|one| one.as_str().unwrap().contains(text)), format!("advice: {text}"))
            }
        };
        assert!(holds, "no {wanted} in {finding:#}");
    }
}

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
    /// Starts the shop with its built-in traffic.
    fn start(rules: &Path, arguments: &[&str]) -> Self {
        Self::start_without_visitors(rules, &[arguments, &["--traffic"]].concat())
    }

    fn start_without_visitors(rules: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pinchpoint"))
            .args(["demo", "--listen", "127.0.0.1:0", "--rules"])
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
                _ if line.contains(r#""> 5m""#) => format!("{}\n", line.replace("> 5m", "> 20s")),
                _ => format!("{line}\n"),
            });
            std::fs::write(directory.path().join(path.file_name().unwrap()), lines.collect::<String>()).unwrap();
        }
    }
    directory
}

#[tokio::test]
async fn every_sickness_is_found_and_nothing_healthy_and_fixed_it_is_clear() {
    let rules = impatient_rules();

    let sick = Demo::start(rules.path(), &[]);
    let until = Instant::now() + Duration::from_secs(150);
    let mut found = vec![Value::Null; EXPECTED.len()];
    while found.contains(&Value::Null) {
        let bottlenecks = sick.bottlenecks().await;
        for (found, expected) in found.iter_mut().zip(EXPECTED) {
            if let Some(finding) = bottlenecks.iter().find(|finding| expected.is_found_in(finding)) {
                *found = finding.clone();
            }
        }
        for finding in &bottlenecks {
            let subject = finding["subject"].as_str().unwrap();
            assert!(SICK.iter().any(|sick| subject.contains(sick)), "healthy, but found: {finding:#}");
        }
        let missing = EXPECTED.iter().zip(&found).filter(|(_, found)| found.is_null());
        let missing: Vec<_> = missing.map(|(expected, _)| (expected.rule, expected.subject)).collect();
        assert!(Instant::now() < until, "not found: {missing:?} among {bottlenecks:#?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    for (expected, finding) in EXPECTED.iter().zip(&found) {
        expected.causes.iter().for_each(|cause| cause.check(finding));
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

/// Everything that is sick but the leak.
const OTHERS: [&str; 11] = [
    "slow-report",
    "checkout-errors",
    "missing-index",
    "n-plus-one",
    "blocking-hash",
    "failing-mail",
    "slow-thumbnails",
    "stuck-task",
    "broken-links",
    "chatty-settings",
    "late-suggestions",
];

/// A leak takes minutes to be told from a warm-up, however fast it is: five of them after the first, in which it must gain
/// as much as was held before. So it has a shop of its own beside the others, with visitors who take next to nothing from
/// them.
#[tokio::test]
async fn the_leak_is_found_and_names_the_route_that_keeps_the_memory() {
    let rules = impatient_rules();
    let fixes: Vec<&str> = OTHERS.iter().flat_map(|other| ["--fix", *other]).collect();
    let leaky = Demo::start_without_visitors(rules.path(), &fixes);
    let visitors = reqwest::Client::new();
    let until = Instant::now() + Duration::from_secs(10 * 60);
    let mut looks = tokio::time::interval(Duration::from_secs(5));
    let mut visits = tokio::time::interval(Duration::from_millis(125));
    let mut customer = 0;
    let leak = loop {
        tokio::select! {
            _ = visits.tick() => {
                customer += 1;
                let other = ["products?page=1", "categories", "search?q=am"][customer % 3];
                for page in [format!("recommendations?customer={customer}"), other.to_owned()] {
                    let page = format!("{}/api/{page}", leaky.base);
                    visitors.get(page).send().await.unwrap().bytes().await.unwrap();
                }
            }
            _ = looks.tick() => {
                let bottlenecks = leaky.bottlenecks().await;
                if let Some(leak) = bottlenecks.iter().find(|found| found["type"] == "memory_leak") {
                    break leak.clone();
                }
                assert!(Instant::now() < until, "no leak among {bottlenecks:#?}");
            }
        }
    };
    assert_eq!(leak["affected_endpoints"], serde_json::json!(["GET /api/recommendations"]), "{leak:#}");
    for cause in [
        Names("/words/top_suspect", "GET /api/recommendations"),
        Above("/numbers/top_suspect_ratio", 0.5),
        Above("/leak_suspects/0/kept_mb", 100.0),
        Advice("Requests of GET /api/recommendations keep"),
    ] {
        cause.check(&leak);
    }
}
