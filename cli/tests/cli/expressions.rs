//! Every expression of the exported rules and dashboards has data in a real Prometheus, after visits to the demo with all sicknesses.
//! The rules are the shipped ones, with the example of objectives.
//!
//! A panel or an alert on a name that nothing exposes looks like a healthy service; here it fails.

use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{demo::Demo, ended, program, rule_files};

/// Time after which expressions that have had no data yet fail the test.
const GIVE_UP: Duration = Duration::from_secs(10 * 60);
const LOOK: Duration = Duration::from_secs(1);

/// What may have no data here, by a part of its place or of its expression, and why.
const MAY_BE_EMPTY: &[(&str, &str)] = &[
    ("rule PinchpointAbsent", "has data once a monitor is gone: promtool tests it"),
    ("pinchpoint_memory_working_set_bytes", "needs a control group with a memory limit"),
    ("pinchpoint_memory_limit_bytes", "needs a control group with a memory limit"),
    ("pinchpoint_cpu_limit", "needs a control group with a CPU quota"),
    ("pinchpoint_cpu_periods_total", "needs a control group with a CPU quota"),
    ("pinchpoint_cpu_pressure_seconds_total", "needs a kernel with pressure stall information"),
    ("pinchpoint_memory_growth_bytes_per_hour", "the detector needs more than five minutes"),
    ("MemoryLimit", "needs a control group with a memory limit"),
    ("_version_", "the demo has no version before"),
    ("pinchpoint_trend", "trends need more than an hour"),
    ("offset 1w", "compares with a week ago: promtool tests it"),
    ("pinchpoint_drop_ratio", "compares with a week ago: promtool tests it"),
    ("pinchpoint_rules_last_reload_successful", "is of wrong rule files, or of none"),
    ("pinchpoint_archive_", "the demo keeps no history file"),
    ("pinchpoint_notifications_total", "the demo sends no alerts unless it is asked to"),
    ("error_type=\"cancelled\"", "no visitor of the demo leaves while it waits for a lock"),
    ("pinchpoint_task_blocking_poll_seconds", "tasks of the demo block a worker on a busy machine only"),
    ("pinchpoint_response_head_seconds", "the demo streams nothing"),
    ("pinchpoint_endpoint_producing_seconds_total", "the demo streams nothing"),
];

/// The files of rules of a mixin. They are JSON, and thus the YAML that Prometheus reads.
const RULES: [&str; 2] = ["mixin.in-process.json", "mixin.rules.json"];

/// A Prometheus that ends with the test.
struct Prometheus {
    child: Child,
    base: String,
    _data: tempfile::TempDir,
}

impl Prometheus {
    /// Starts it on the demo, with both files of rules of a mixin; `None` where it is not installed.
    fn start(target: &str, mixin: &Path) -> Option<Self> {
        let program = program("prometheus", "prometheus")?;
        let data = tempfile::tempdir().unwrap();
        let rules = RULES.map(|name| mixin.join(name));
        let configuration = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: {rules:?}\n\
             scrape_configs: [{{ job_name: shop, static_configs: [{{ targets: [\"{target}\"] }}] }}]\n"
        );
        let file = data.path().join("prometheus.yml");
        fs::write(&file, configuration).unwrap();
        // Reserved and freed again: Prometheus does not report which port it got.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new(program)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", data.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self { child, base: format!("http://{address}"), _data: data })
    }

    /// Returns what a request to its API answers; `None` until it is ready.
    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let answer = reqwest::Client::new().get(format!("{}{path}", self.base)).query(query).send().await.ok()?;
        serde_json::from_slice(&answer.bytes().await.ok()?).ok()
    }

    /// Returns whether an expression has data now.
    ///
    /// # Panics
    /// Panics where it is wrong.
    async fn has_data(&self, expression: &str) -> bool {
        let Some(answer) = self.get("/api/v1/query", &[("query", expression)]).await else { return false };
        assert_ne!(answer["status"], "error", "{expression}: {}", answer["error"]);
        answer["data"]["result"].as_array().is_some_and(|result| !result.is_empty())
    }

    /// Returns the values of a label, of what a matcher selects.
    async fn values(&self, label: &str, matcher: &str) -> Vec<String> {
        let answer = self.get(&format!("/api/v1/label/{label}/values"), &[("match[]", matcher)]).await;
        let values = answer.as_ref().and_then(|answer| answer["data"].as_array());
        values.into_iter().flatten().filter_map(|value| Some(value.as_str()?.to_owned())).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// An expression, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Expression {
    place: String,
    text: String,
}

impl Expression {
    fn may_be_empty(&self) -> bool {
        MAY_BE_EMPTY.iter().any(|(part, _)| self.place.contains(part) || self.text.contains(part))
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Returns the expressions of both files of rules. Their comparisons with numbers return whether they hold, and thus data also
/// where nothing is wrong.
fn of_rules(mixin: &Path) -> Vec<Expression> {
    let files = RULES.map(|name| json(&mixin.join(name)));
    let rules = files.iter().flat_map(|file| items(&file["groups"])).flat_map(|group| items(&group["rules"]));
    let expressions = |rule: &'_ Value| {
        let name = rule["alert"].as_str().or(rule["record"].as_str()).unwrap();
        let all = without_thresholds(rule["expr"].as_str().unwrap());
        // Each on its own: one that has data excuses no other.
        let alternatives =
            all.split("\nor\n").map(|text| Expression { place: format!("rule {name}"), text: text.to_owned() });
        alternatives.collect::<Vec<_>>()
    };
    rules.flat_map(expressions).collect()
}

fn without_thresholds(expression: &str) -> String {
    let words: Vec<&str> = expression.split(' ').collect();
    let is_number =
        |word: &&str| word.lines().next().is_some_and(|word| word.trim_end_matches([')', ',']).parse::<f64>().is_ok());
    let written = words.iter().enumerate().map(|(at, word)| match *word {
        ">" | ">=" | "<" | "<=" | "==" if words.get(at + 1).is_some_and(is_number) => format!("{word} bool"),
        word => word.to_owned(),
    });
    written.collect::<Vec<_>>().join(" ")
}

/// Returns the expressions of every panel, annotation and variable of every dashboard.
fn of_dashboards(mixin: &Path) -> Vec<Expression> {
    let mut all = Vec::new();
    for file in fs::read_dir(mixin.join("grafana")).unwrap() {
        let dashboard = json(&file.unwrap().path());
        let title = dashboard["title"].as_str().unwrap();
        let mut add = |place: &Value, text: &str| {
            all.push(Expression { place: format!("{title}: {}", place.as_str().unwrap()), text: text.to_owned() });
        };
        for panel in items(&dashboard["panels"]) {
            items(&panel["targets"]).for_each(|target| add(&panel["title"], target["expr"].as_str().unwrap()));
        }
        for annotation in items(&dashboard["annotations"]["list"]) {
            add(&annotation["name"], annotation["expr"].as_str().unwrap());
        }
        for variable in items(&dashboard["templating"]["list"]) {
            if let Some(query) = variable["query"]["query"].as_str() {
                add(&variable["name"], query);
            }
        }
    }
    all
}

/// Replaces variables as Grafana does: several values become alternatives of a regular expression, whose signs are escaped.
fn filled(expression: &str, instance: &str, route: &str) -> String {
    let instance = instance.replace('.', "\\\\.");
    let values = [
        ("$__rate_interval", "20s"),
        ("$__range", "2m"),
        ("$job", "(shop|another)"),
        ("$instance", &instance),
        ("$version", ".+"),
        ("$method", ".+"),
        ("$route", route),
    ];
    values.iter().fold(expression.to_owned(), |text, (name, value)| text.replace(name, value))
}

async fn has_data(prometheus: &Prometheus, expression: &str, instance: &str, routes: &[String]) -> bool {
    // What one endpoint does not do another one does.
    let routes = if expression.contains("$route") { routes } else { &[String::new()][..] };
    for route in routes {
        let text = filled(expression, instance, route);
        assert!(!text.contains('$'), "{text}: an unknown variable");
        let has_data = match text.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')) {
            Some(arguments) => {
                let (matcher, label) = arguments.rsplit_once(", ").unwrap();
                !prometheus.values(label, matcher).await.is_empty()
            }
            None => prometheus.has_data(&text).await,
        };
        if has_data {
            return true;
        }
    }
    false
}

/// Does what no visitor of the demo does: asks for what does not exist, and takes its time to send a body.
async fn visit(address: &str) {
    let request = "GET /nothing/here HTTP/1.1\r\nhost: shop\r\n\r\n\
                   POST /api/cart HTTP/1.1\r\nhost: shop\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n";
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    // Longer than the 10 ms from which on a wait for the client counts.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let body = format!("{:<50}", r#"{"cart":"slow","product_id":1,"quantity":1}"#);
    connection.write_all(body.as_bytes()).await.unwrap();
    _ = connection.read_to_end(&mut Vec::new()).await;
}

#[tokio::test]
async fn every_expression_of_rules_and_dashboards_has_data() {
    let data = tempfile::tempdir().unwrap();
    if program("prometheus", "prometheus").is_none() {
        return;
    }
    let [rules, mixin, shop] = ["rules", "mixin", "shop"].map(|name| data.path().join(name));
    fs::create_dir(&rules).unwrap();
    for file in ["rules", "rules/examples"].into_iter().flat_map(rule_files) {
        fs::copy(&file, rules.join(file.file_name().unwrap())).unwrap();
    }
    let [rules, output, shop] = [&rules, &mixin, &shop].map(|path| path.to_str().unwrap());
    ended(&["rules", "export", "--to", "mixin", "--output", output, rules], 0);
    let demo = Demo::start(&["--traffic", "--rules", rules, "--data", shop]);
    let instance = demo.base.strip_prefix("http://").unwrap();
    let prometheus = Prometheus::start(instance, &mixin).unwrap();
    let all: BTreeSet<Expression> = of_rules(&mixin).into_iter().chain(of_dashboards(&mixin)).collect();
    assert!(all.len() > 250, "{}", all.len());
    let mut missing: Vec<Expression> = all.into_iter().collect();
    let began = Instant::now();
    loop {
        visit(instance).await;
        let routes = prometheus.values("http_route", "pinchpoint_requests_total").await;
        let mut still = Vec::new();
        for expression in missing {
            if !has_data(&prometheus, &expression.text, instance, &routes).await {
                still.push(expression);
            }
        }
        missing = still;
        if missing.iter().all(Expression::may_be_empty) {
            break;
        }
        let needed: Vec<_> = missing.iter().filter(|expression| !expression.may_be_empty()).collect();
        assert!(began.elapsed() < GIVE_UP, "{} have no data: {needed:#?}", needed.len());
        tokio::time::sleep(LOOK).await;
    }
    eprintln!("after {:?} without data, as they may be: {missing:#?}", began.elapsed());
}

#[test]
fn comparisons_with_numbers_return_whether_they_hold() {
    let alert =
        "(a / b > 14.4)\nand on (y) (a / b) > 0.5\nand on (x) ((c) <= 1) and (d <= e or f == 0) or g(h > 30,\n1)";
    let holds = "(a / b > bool 14.4)\nand on (y) (a / b) > bool 0.5\nand on (x) ((c) <= bool 1) and (d <= e or f == bool 0) or g(h > bool 30,\n1)";
    assert_eq!(without_thresholds(alert), holds);
}
