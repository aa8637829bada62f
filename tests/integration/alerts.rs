//! The alerts in `prometheus/`, run by promtool and by a real Alertmanager.

use std::{collections::BTreeSet, path::Path, process::Command, time::Duration};

use pinchpoint::{
    RuleSet, export,
    replay::{RuleTests, promtool_tests},
};
use serde_json::{Value, json};

use crate::support::{
    alertmanager::{self, Alertmanager},
    program::program,
    prometheus::{LOOKS, find},
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const RULES: &str = include_str!("../../prometheus/pinchpoint.in-process.rules.yml");
/// What promtool tests the rules with.
const CASES: &str = include_str!("alerts/in_process.test.yml");

/// Runs a program in the repository and returns what it wrote; panics where it fails.
#[track_caller]
fn run(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(ROOT).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    said.into_owned()
}

pub(crate) fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).expect("YAML")
}

/// Returns the items of a list, none where there is no list.
pub(crate) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[test]
fn promtool_accepts_the_configuration_with_its_rules() {
    let Some(promtool) = find("promtool") else { return };
    for configuration in ["prometheus/prometheus.yml", "prometheus/compose/prometheus.yml"] {
        let said = run(&promtool, &["check", "config", configuration]);
        assert!(said.contains("1 rule files found") && said.contains("6 rules found"), "{said}");
    }
}

#[test]
fn promtool_accepts_the_exported_rules() {
    let committed = include_str!("../../prometheus/pinchpoint.rules.yml");
    let of = |histograms| {
        export::prometheus(&RuleSet::load_dir(Path::new(ROOT).join("rules")).expect("good"), histograms).file
    };
    let is_fresh = committed == of(export::Histograms::Classic);
    assert!(is_fresh, "cargo run -p pinchpoint-cli -- rules export --to prometheus > prometheus/pinchpoint.rules.yml");
    let Some(promtool) = find("promtool") else { return };
    let directory = tempfile::tempdir().expect("a directory");
    for histograms in [export::Histograms::Classic, export::Histograms::Native] {
        let file = directory.path().join("pinchpoint.rules.yml");
        std::fs::write(&file, of(histograms)).expect("writes");
        let said = run(&promtool, &["check", "rules", file.to_str().expect("UTF-8")]);
        assert!(said.contains("SUCCESS"), "{said}");
    }
}

/// `keep_firing_for` is left out: Debian's vmalert is older than 1.92, which first had it.
#[test]
fn vmalert_accepts_the_alerts_and_the_exported_rules() {
    let Some(vmalert) = program("vmalert", "Debian package victoria-metrics", &[]) else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("rules.yml");
    for rules in [RULES, include_str!("../../prometheus/pinchpoint.rules.yml")] {
        let known = rules.lines().filter(|line| !line.trim_start().starts_with("keep_firing_for:"));
        std::fs::write(&file, known.fold(String::new(), |all, line| all + line + "\n")).expect("writes");
        run(&vmalert, &["-dryRun", &format!("-rule={}", file.display())]);
    }
}

#[test]
fn the_exported_rules_fire_as_the_rules_do() {
    let Some(promtool) = find("promtool") else { return };
    run(&promtool, &["test", "rules", "tests/integration/alerts/exported.test.yml"]);
}

/// These alone, since promtool evaluates all rules of a file over eight days.
#[test]
fn the_exported_rules_compare_with_the_days_before() {
    let Some(promtool) = find("promtool") else { return };
    let exported = exported(include_str!("../../rules/traffic.yaml"));
    run_tests(&promtool, &exported, include_str!("alerts/usual.test.yml"));
}

/// Exports the rules of one file, all of them.
#[track_caller]
pub(crate) fn exported(rules: &str) -> String {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("rules.yaml"), rules).expect("writes");
    let rules = RuleSet::load_dir(directory.path()).expect("good rules");
    let exported = export::prometheus(&rules, export::Histograms::Classic);
    assert_eq!(exported.left_out, []);
    exported.file
}

/// Has promtool run tests of rules, which name the file of the rules `pinchpoint.rules.yml`.
#[track_caller]
pub(crate) fn run_tests(promtool: &Path, rules: &str, tests: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("pinchpoint.rules.yml"), rules).expect("writes");
    let file = directory.path().join("pinchpoint.rules.test.yml");
    std::fs::write(&file, tests).expect("writes");
    run(promtool, &["test", "rules", file.to_str().expect("UTF-8")]);
}

#[test]
fn promtool_accepts_the_example_of_the_document() {
    let Some(promtool) = find("promtool") else { return };
    let document = include_str!("../../docs/alerting.md");
    let example = document.split("```yaml\n").nth(1).and_then(|after| after.split("```").next());
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("prometheus.yml");
    std::fs::write(&file, example.expect("an example")).expect("writes");
    std::fs::write(directory.path().join("pinchpoint.in-process.rules.yml"), RULES).expect("writes");
    let said = run(&promtool, &["check", "config", file.to_str().expect("UTF-8")]);
    assert!(said.contains("6 rules found"), "{said}");
}

#[test]
fn each_alert_fires_when_it_should_and_only_then() {
    let Some(promtool) = find("promtool") else { return };
    run(&promtool, &["test", "rules", "tests/integration/alerts/in_process.test.yml"]);
}

/// Returns what a case expects: the alert's name, with the monitor's problem where it has one, and whether any fires.
fn expectations(case: &Value) -> Vec<(String, bool)> {
    let alert = case["alertname"].as_str().expect("a name");
    let fired = items(&case["exp_alerts"]).map(|expected| expected["exp_labels"]["problem"].as_str());
    let fired: Vec<_> = fired.map(|problem| (format!("{alert} {}", problem.unwrap_or_default()), true)).collect();
    if fired.is_empty() { vec![(alert.to_owned(), false)] } else { fired }
}

#[test]
fn each_alert_and_each_problem_has_a_firing_and_a_silent_case() {
    let (rules, cases) = (yaml(RULES), yaml(CASES));
    let alerts: Vec<_> = items(&rules["groups"]).flat_map(|group| items(&group["rules"])).collect();
    assert_eq!(alerts.len(), 6);
    let cases = items(&cases["tests"]).flat_map(|test| items(&test["alert_rule_test"]));
    let expected: BTreeSet<_> = cases.flat_map(expectations).collect();
    for alert in alerts {
        let name = alert["alert"].as_str().expect("a name");
        assert!(expected.contains(&(name.to_owned(), false)), "{name} has no silent case");
        let expr = alert["expr"].as_str().expect("an expression");
        let problems = expr.split("\"problem\", \"").skip(1).filter_map(|after| after.split('"').next());
        let problems: Vec<_> = problems.collect();
        for problem in if problems.is_empty() { vec![""] } else { problems } {
            assert!(expected.contains(&(format!("{name} {problem}"), true)), "{name} {problem} has no firing case");
        }
    }
}

#[test]
fn each_runbook_is_a_section_that_exists() {
    let rules = yaml(RULES);
    for alert in items(&rules["groups"]).flat_map(|group| items(&group["rules"])) {
        let url = alert["annotations"]["runbook_url"].as_str().expect("an address");
        let path = url.split_once("/blob/main/").expect("in the repository").1;
        let (document, section) = path.split_once('#').expect("a section");
        let text = std::fs::read_to_string(Path::new(ROOT).join(document)).expect("the document");
        let titles = text.lines().filter_map(|line| line.strip_prefix("### ")).map(str::to_lowercase);
        // The section of a finding is that of its rule.
        let exists = section == "{{ $labels.rule }}" || titles.into_iter().any(|title| title == section);
        assert!(exists, "{url}");
    }
}

const CONFIGURATION: &str = "prometheus/alertmanager.yml";

#[test]
fn amtool_accepts_the_configuration_and_routes_by_level() {
    let Some(amtool) = program("amtool", alertmanager::PACKAGE, &[]) else { return };
    run(&amtool, &["check-config", CONFIGURATION]);
    for (level, receiver) in [("critical", "pager"), ("warning", "chat"), ("info", "tickets")] {
        let level = format!("level={level}");
        let config = format!("--config.file={CONFIGURATION}");
        let said = run(&amtool, &["config", "routes", "test", &config, &level]);
        assert_eq!(said.lines().next(), Some(receiver));
    }
}

/// Returns the names of the alerts that are inhibited.
async fn inhibited(alertmanager: &Alertmanager) -> BTreeSet<String> {
    let alerts = alertmanager.alerts().await;
    let inhibited = alerts.iter().filter(|alert| items(&alert["status"]["inhibitedBy"]).next().is_some());
    inhibited.map(|alert| alert["labels"]["it"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Returns an alert on a finding; `it` names it in the test alone.
fn finding(it: &str, instance: &str, rule: &str, severity: &str, subject: (&str, &str)) -> Value {
    json!({ "labels": {
        "alertname": format!("Pinchpoint{severity}"), "it": it, "job": "shop", "instance": instance, "rule": rule, "severity": severity,
        subject.0: subject.1,
    } })
}

#[tokio::test]
async fn alertmanager_inhibits_what_is_less_severe_on_the_same_subject_and_nothing_else() {
    let Some(program) = alertmanager::find() else { return };
    let alertmanager = Alertmanager::start(&program, include_str!("../../prometheus/alertmanager.yml"));
    let (cart, buy) = (("subject", "GET /cart"), ("subject", "POST /buy"));
    // As Prometheus itself makes them of the rules: the subject is in labels of its own.
    let (list, item) = (("http_route", "/items"), ("http_route", "/items/{id}"));
    let down = json!({ "labels": {
        "alertname": "PinchpointTargetDown", "it": "down", "job": "shop", "instance": "down:80", "severity": "critical",
    } });
    let stopped = json!({ "labels": {
        "alertname": "PinchpointMonitorProblem", "it": "stopped", "job": "shop", "instance": "down:80", "severity": "high",
        "problem": "evaluation_stopped",
    } });
    let other = json!({ "labels": { "alertname": "DiskFull", "it": "disk", "job": "shop", "instance": "a:80", "severity": "low" } });
    alertmanager
        .post(
            "/api/v2/alerts",
            &json!([
                finding("worst", "a:80", "slow_endpoint", "critical", cart),
                finding("same rule, another instance", "b:80", "slow_endpoint", "high", cart),
                finding("another rule, high", "a:80", "high_error_rate", "high", cart),
                finding("another rule, medium", "a:80", "slow_tail", "medium", cart),
                finding("another subject", "a:80", "slow_endpoint", "high", buy),
                finding("the same on another subject", "b:80", "slow_endpoint", "low", buy),
                finding("a route", "a:80", "slow_for_few", "critical", list),
                finding("the route again", "a:80", "slow_for_few", "medium", list),
                finding("another route", "a:80", "slow_for_few", "high", item),
                finding("on a target that is down", "down:80", "slow_endpoint", "critical", ("subject", "GET /slow")),
                down,
                stopped,
                other,
            ]),
        )
        .await;
    let expected = [
        "same rule, another instance",
        "another rule, medium",
        "the same on another subject",
        "the route again",
        "on a target that is down",
        "stopped",
    ];
    let expected: BTreeSet<_> = expected.into_iter().map(str::to_owned).collect();
    for _ in 0..LOOKS {
        if inhibited(&alertmanager).await == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(inhibited(&alertmanager).await, expected);
}

/// The file of rules on versions, whose tests last for hours. promtool evaluates all rules of a file in each test, and therefore
/// these have tests of their own.
const VERSIONS: &str = include_str!("../../rules/versions.yaml");

/// The tests of the shipped rules, as promtool's: what each exported alert does beside traffic that a Prometheus scrapes.
#[test]
fn the_exported_rules_agree_with_the_process_on_the_traffic_of_every_test() {
    let Some(promtool) = find("promtool") else { return };
    let files = std::fs::read_dir(Path::new(ROOT).join("rules/tests")).expect("tests");
    let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    files.retain(|file| !file.ends_with("versions.test.yaml"));
    files.sort();
    let tests: Vec<_> = files.iter().map(|file| RuleTests::read(file).expect("good tests")).collect();
    let is_elsewhere = |id: &str| [include_str!("../../rules/traffic.yaml"), VERSIONS].iter().any(|file| has(file, id));
    let cases = agree(&promtool, &tests, include_str!("../../prometheus/pinchpoint.rules.yml"), is_elsewhere);
    assert!(cases >= 280, "{cases}");
}

#[test]
fn the_exported_rules_on_versions_agree_with_the_process() {
    let Some(promtool) = find("promtool") else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let tests = directory.path().join("tests");
    std::fs::create_dir(&tests).expect("writes");
    std::fs::write(directory.path().join("versions.yaml"), VERSIONS).expect("writes");
    let file = tests.join("versions.test.yaml");
    std::fs::write(&file, include_str!("../../rules/tests/versions.test.yaml")).expect("writes");
    let tests = [RuleTests::read(&file).expect("good tests")];
    let cases = agree(&promtool, &tests, &exported(VERSIONS), |_| false);
    assert!(cases >= 15, "{cases}");
}

/// Returns whether a file has a rule.
fn has(file: &str, id: &str) -> bool {
    file.contains(&format!("- id: {id}\n"))
}

/// Runs tests of rules as promtool's, and returns how many there are. Each exported rule that is not elsewhere fires in one, and is
/// silent in one.
#[track_caller]
fn agree(promtool: &Path, tests: &[RuleTests], rules: &str, is_elsewhere: impl Fn(&str) -> bool) -> usize {
    // At every second scrape, which halves the time. Prometheus's own default is a minute, and so far from a change nothing is
    // compared.
    let (every_scrape, every_second) = ("evaluation_interval: 15s", "evaluation_interval: 30s");
    let cases = promtool_tests(tests, "pinchpoint.rules.yml");
    assert!(cases.contains(every_scrape));
    let cases = cases.replacen(every_scrape, every_second, 1);
    run_tests(promtool, rules, &cases);
    let cases = yaml(&cases);
    let cases: Vec<Case<'_>> = items(&cases["tests"]).map(Case::of).collect();
    let rules = yaml(rules);
    for alert in items(&rules["groups"][0]["rules"]).filter(|rule| rule["alert"].is_string()) {
        if alert["labels"]["rule"].as_str().is_some_and(&is_elsewhere) {
            continue;
        }
        let fires_in: Vec<_> = cases.iter().filter(|case| case.fires(alert)).collect();
        assert!(!fires_in.is_empty(), "{} fires in no test", alert["alert"]);
        let is_silent = |twin: &str| fires_in.iter().any(|case| case.is_silent_in(twin, alert, &cases));
        let is_silent_itself = fires_in.iter().any(|case| case.is_silent_once(alert));
        assert!(is_silent_itself || is_silent("but without a fault"), "{} is silent in no test", alert["alert"]);
        let guards = |expr: &str| expr.lines().any(|line| line.starts_with("and on (") && line.contains(" >= "));
        // What is described as series, polls and requests in flight, has no rate.
        let is_of_traffic = fires_in.iter().any(|case| case.has_twin("but too rare to tell", &cases));
        if is_of_traffic && alert["expr"].as_str().is_some_and(guards) {
            assert!(is_silent("but too rare to tell"), "{} is not told from rare traffic", alert["alert"]);
        }
        let past_limit = "past the limit of series";
        let is_of_one = alert["labels"]["subject"].as_str().is_some_and(|subject| subject.contains("$labels"));
        if is_of_one && fires_in.iter().any(|case| case.has_twin(past_limit, &cases)) {
            assert!(is_silent(past_limit), "{} fires for a mixture", alert["alert"]);
        }
    }
    cases.len()
}

/// Exports the rules of a file and runs its tests, in the process and by promtool, and returns promtool's file.
#[track_caller]
pub(crate) fn agree_on(rules: &str, tests: &str) -> Option<String> {
    let cases = Path::new(ROOT).join("tests/integration/alerts");
    let tests = RuleTests::read(&cases.join(tests)).expect("good tests");
    for result in tests.run() {
        assert!(result.differences.is_empty(), "{result:?}");
    }
    let promtool = find("promtool")?;
    let exported = exported(&std::fs::read_to_string(cases.join(rules)).expect("reads"));
    let cases = promtool_tests(&[tests], "pinchpoint.rules.yml");
    run_tests(&promtool, &exported, &cases);
    Some(cases)
}

#[test]
fn conditions_on_words_that_are_labels_choose_the_subjects_that_the_process_chooses() {
    let Some(cases) = agree_on("words.yaml", "words.test.yaml") else { return };
    let rules = yaml(include_str!("alerts/words.yaml"));
    let cases = yaml(&cases);
    let cases: Vec<Case<'_>> = items(&cases["tests"]).map(Case::of).collect();
    for id in items(&rules["rules"]).map(|rule| rule["id"].as_str().expect("an id")) {
        let fires = cases.iter().flat_map(|case| &case.fire).any(|fire| fire.iter().any(|(rule, _)| rule == id));
        // Nothing of the traffic is of mysql.
        assert_eq!(fires, id != "of_another_database", "{id}");
    }
}

/// One of promtool's tests: its name, and the rules and severities that fire at each time.
struct Case<'a> {
    name: &'a str,
    fire: Vec<BTreeSet<(String, String)>>,
}

impl<'a> Case<'a> {
    fn of(case: &'a Value) -> Self {
        let of_labels = |labels: &str, name: &str| {
            let (_, rest) = labels.split_once(&format!("{name}=\"")).expect("the label");
            rest.split('"').next().expect("a value").to_owned()
        };
        let alert = |sample: &Value| {
            let labels = sample["labels"].as_str().expect("labels");
            (of_labels(labels, "rule"), of_labels(labels, "severity"))
        };
        let fire = items(&case["promql_expr_test"]).map(|check| items(&check["exp_samples"]).map(alert).collect());
        Self { name: case["name"].as_str().expect("a name"), fire: fire.collect() }
    }

    fn key(alert: &Value) -> (String, String) {
        let label = |name: &str| alert["labels"][name].as_str().expect("a label").to_owned();
        (label("rule"), label("severity"))
    }

    fn fires(&self, alert: &Value) -> bool {
        self.fire.iter().any(|firing| firing.contains(&Self::key(alert)))
    }

    fn is_silent_once(&self, alert: &Value) -> bool {
        self.fire.iter().any(|firing| !firing.contains(&Self::key(alert)))
    }

    fn has_twin(&self, twin: &str, all: &[Self]) -> bool {
        let name = format!("{}; {twin}", self.name);
        all.iter().any(|other| other.name == name)
    }

    /// Returns whether the same traffic, changed as `twin` says, leaves an alert silent.
    fn is_silent_in(&self, twin: &str, alert: &Value, all: &[Self]) -> bool {
        let name = format!("{}; {twin}", self.name);
        all.iter().any(|other| other.name == name && !other.fires(alert) && !other.fire.is_empty())
    }
}
