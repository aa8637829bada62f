//! Tests of settings: the table, both places that values come from, and the errors.

use std::{collections::BTreeMap, time::Duration};

use super::{
    read::Draft,
    table::{Reader, Setting},
    *,
};
use crate::{Access, AlertReceiver, Control, Database, Monitor, MonitorBuilder, UrlScheme};

type Setter = fn(MonitorBuilder) -> MonitorBuilder;

/// Returns for each setting what the builder's own method makes of the example.
fn setters() -> BTreeMap<&'static str, Setter> {
    let service: Setter = |builder| builder.service("shop", "1.2.3");
    BTreeMap::from([
        ("rules_dir", (|builder| builder.rules_dir("rules")) as Setter),
        ("evaluation_interval", |builder| builder.evaluation_interval(Duration::from_secs(2))),
        ("sampling_interval", MonitorBuilder::without_sampling),
        ("max_series", |builder| builder.max_series(5_000)),
        ("max_fingerprints", |builder| builder.max_fingerprints(500)),
        ("max_pairs", |builder| builder.max_pairs(500)),
        ("slow_requests", |builder| builder.slow_requests(0)),
        ("retention", |builder| builder.retention(Duration::from_secs(24 * 3600))),
        ("history_bytes", |builder| builder.history_bytes(16_000_000)),
        ("history_file", |builder| builder.history_file("pinchpoint.redb")),
        ("service_name", service),
        ("service_version", service),
        ("service_instance_id", |builder| builder.service_instance_id("shop-7")),
        ("ignore_paths", |builder| builder.ignore_path("/health*").ignore_path("/ready")),
        ("db_system", |builder| builder.db_system("postgresql")),
        ("db_namespace", |builder| builder.database(Database::new("other_sql").namespace("shop"))),
        ("db_server", |builder| builder.database(Database::new("other_sql").server("db.internal").port(5433))),
        ("url_scheme", |builder| builder.url_scheme(UrlScheme::Https)),
        ("known_methods", |builder| builder.known_methods(["GET", "PUT", "PROPFIND"])),
        ("control", |builder| builder.control(Control::Loopback)),
        ("allowed_hosts", |builder| builder.allow_host("Shop.internal.")),
        ("metrics_access", |builder| builder.metrics_access(Access::Loopback)),
        ("metrics_token", |builder| builder.metrics_access(Access::token("a long secret for Prometheus"))),
        ("performance_access", |builder| builder.performance_access(Access::Loopback)),
        ("performance_token", |builder| builder.performance_access(Access::token("a long secret for people"))),
        ("control_token", |builder| builder.control(Control::token("a long secret"))),
        ("deliver", |builder| builder.alert_receiver(AlertReceiver::alertmanager("http://127.0.0.1:9093"))),
    ])
}

/// Returns the keys and examples of a setting and of the one that must go with it.
fn with_companion(setting: &Setting) -> Vec<&'static Setting> {
    let keys = match setting.key {
        "service_name" | "service_version" => vec!["service_name", "service_version"],
        key => vec![key],
    };
    SETTINGS.iter().filter(|setting| keys.contains(&setting.key)).collect()
}

fn from_file(settings: &[&Setting]) -> Settings {
    let text: String = settings.iter().map(|setting| format!("{}: {}\n", setting.key, setting.example)).collect();
    Settings::parse(&text, "f").expect(&text)
}

fn from_environment(settings: &[&Setting]) -> Settings {
    let value = |setting: &Setting| match setting.reader {
        Reader::Text(_) | Reader::Secret(_) | Reader::Private(_) | Reader::Section(_) => setting.example.to_owned(),
        Reader::List(_) => setting.example.replace(['[', ']', '"'], ""),
    };
    let mut draft = Draft::default();
    draft.read_environment(|name| settings.iter().find(|setting| setting.variable() == name).map(|&one| value(one)));
    draft.finish().expect("good values")
}

#[test]
fn file_variable_and_builder_make_the_same_of_every_setting() {
    let setters = setters();
    for setting in SETTINGS {
        let settings = with_companion(setting);
        let set = setters.get(setting.key).expect("a method of the builder for each setting");
        let expected = set(Monitor::builder()).config;
        assert_ne!(expected, Config::default(), "{}: the example is the default", setting.key);
        assert_eq!(Monitor::builder().settings(from_file(&settings)).config, expected, "{}", setting.key);
        assert_eq!(Monitor::builder().settings(from_environment(&settings)).config, expected, "{}", setting.key);
    }
}

#[test]
fn every_default_of_the_table_is_the_default() {
    for (key, default) in SETTINGS.iter().filter_map(|setting| Some((setting.key, setting.default?))) {
        let settings = Settings::parse(&format!("{key}: {default}"), "f").expect(key);
        assert_eq!(Monitor::builder().settings(settings).config, Config::default(), "{key}");
    }
}

#[test]
fn control_can_be_set_to_each_of_its_words() {
    for (word, expected) in [("loopback", Control::Loopback), ("open", Control::Open), ("refused", Control::Refused)] {
        let settings = Settings::parse(&format!("control: {word}"), "f").expect(word);
        assert_eq!(Monitor::builder().control(Control::token("x")).settings(settings).config.control, expected);
        let mut draft = Draft::default();
        draft.read_environment(|name| (name == "PINCHPOINT_CONTROL").then(|| word.to_owned()));
        let settings = draft.finish().expect(word);
        assert_eq!(Monitor::builder().control(Control::token("x")).settings(settings).config.control, expected);
    }
}

#[test]
fn a_token_goes_before_control_wherever_either_is_set() {
    let variable =
        |name: &'static str, value: &'static str| move |asked: &str| (asked == name).then(|| value.to_owned());
    let control = |file: &str, name, value| {
        let mut draft = Draft::default();
        draft.read_file(file, "f");
        draft.read_environment(variable(name, value));
        Monitor::builder().settings(draft.finish().expect("good")).config.control
    };
    assert_eq!(control("control_token: secret", "PINCHPOINT_CONTROL", "open"), Control::token("secret"));
    assert_eq!(control("control: open", "PINCHPOINT_CONTROL_TOKEN", "secret"), Control::token("secret"));
    assert_eq!(control("control_token: secret\ncontrol: open", "X", ""), Control::token("secret"));
}

#[test]
fn a_read_token_goes_before_access_wherever_either_is_set() {
    let access = |file: &str, name: &'static str, value: &'static str| {
        let mut draft = Draft::default();
        draft.read_file(file, "f");
        draft.read_environment(|asked| (asked == name).then(|| value.to_owned()));
        let config = Monitor::builder().settings(draft.finish().expect("good")).config;
        (config.metrics_access, config.performance_access)
    };
    let secret = || Access::token("secret");
    assert_eq!(access("metrics_token: secret", "PINCHPOINT_METRICS_ACCESS", "open"), (secret(), Access::Open));
    assert_eq!(access("metrics_access: open", "PINCHPOINT_METRICS_TOKEN", "secret"), (secret(), Access::Open));
    let file = "performance_token: secret\nperformance_access: loopback";
    assert_eq!(access(file, "PINCHPOINT_METRICS_ACCESS", "loopback"), (Access::Loopback, secret()));
}

#[tokio::test]
async fn a_token_that_no_client_can_send_is_refused_when_the_monitor_is_built() {
    let build = |builder: MonitorBuilder| builder.build().map(|_| ()).map_err(|error| error.to_string());
    let empty = " is an empty token; expected a secret without spaces at its ends and without control characters; leave \
                 it out to have none";
    let error = build(Monitor::builder().metrics_access(Access::token("")));
    assert_eq!(error, Err(format!("metrics_access{empty}")));
    let error = build(Monitor::builder().performance_access(Access::token("")));
    assert_eq!(error, Err(format!("performance_access{empty}")));
    assert_eq!(build(Monitor::builder().control(Control::Token("".into()))), Err(format!("control{empty}")));
    let error = build(Monitor::builder().metrics_access(Access::token("hunter2\n"))).expect_err("a line break");
    assert!(error.contains("a line break") && !error.contains("hunter2"), "{error}");
    let replaced = Monitor::builder().metrics_access(Access::token("")).metrics_access(Access::Open);
    assert_eq!(build(replaced), Ok(()));
    let settings = Settings::parse("metrics_token: secret", "f").expect("good");
    assert_eq!(build(Monitor::builder().metrics_access(Access::token("")).settings(settings)), Ok(()));
}

#[test]
fn what_settings_leave_out_stays_as_the_program_set_it() {
    let builder = Monitor::builder().max_series(7).ignore_path("/health").control(Control::Open);
    let settings = Settings::parse("db_system: mysql\nignore_paths: [/ready]\nmax_fingerprints:\n", "f");
    let config = builder.settings(settings.expect("good")).config;
    assert_eq!((config.max_series, config.max_fingerprints, config.database), (7, 1_000, Database::new("mysql")));
    assert_eq!(config.control, Control::Open);
    assert_eq!(config.ignored_paths.len(), 2, "routes are added");
}

#[tokio::test]
async fn a_good_setting_replaces_one_that_the_program_set_out_of_range() {
    let builder = Monitor::builder().evaluation_interval(Duration::ZERO);
    let settings = Settings::parse("evaluation_interval: 2s", "f").expect("good");
    builder.settings(settings).build().expect("2 s are within the range").shutdown().await;
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let error = Settings::parse(text, "pinchpoint.yaml").expect_err(text).to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn no_log_shows_the_token() {
    let text = "control_token: hunter2hunter2\nmetrics_token: hunter2\nperformance_token: \"hunter2:\"";
    let settings = Settings::parse(text, "f").expect("good");
    assert!(!format!("{settings:?}").contains("hunter2"), "{settings:?}");
    assert!(!format!("{:?}", Monitor::builder().settings(settings)).contains("hunter2"));
    for key in ["control_token", "metrics_token", "performance_token"] {
        let error = Settings::parse(&format!("{key}: \"hunter2\\n\""), "f").expect_err("a line break");
        assert!(!format!("{error:?} {error}").contains("hunter2"), "{error:?}");
        let expected = format!("f:1:{}: {key} is a token with a space or a line break at its ends", key.len() + 3);
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}

/// As by mistake: a whole URL for the server, a token for the word beside it.
#[test]
fn no_error_shows_a_secret_that_was_set_in_the_wrong_place() {
    let urls =
        ["postgres://shop:hunter2@db/shop", "db;password=hunter2", "shop:hunter2@db", "db:hunter2", "[::1]:hunter2"];
    let urls = urls.map(|url| ("db_server", url));
    let tokens = ["control", "metrics_access", "performance_access"].map(|key| (key, "hunter2"));
    for (key, value) in urls.into_iter().chain(tokens) {
        let check = |error: SettingsError, place: &str| {
            assert!(!format!("{error:?} {error}").contains("hunter2"), "{error:?}");
            let expected = format!("{place}: {key} is not shown, since it may be secret, and not accepted; expected ");
            assert!(error.to_string().starts_with(&expected), "{error}");
        };
        check(Settings::parse(&format!("{key}: '{value}'"), "f").expect_err(value), &format!("f:1:{}", key.len() + 3));
        let variable = format!("PINCHPOINT_{}", key.to_uppercase());
        let mut draft = Draft::default();
        draft.read_environment(|name| (name == variable).then(|| value.to_owned()));
        check(draft.finish().expect_err(value), &variable);
        let json = serde_json::json!({ key: value });
        let error = serde_json::from_value::<Settings>(json).expect_err(value).to_string();
        assert!(!error.contains("hunter2") && error.contains(key), "{error}");
    }
}

#[test]
fn wrong_settings_are_refused_with_their_place() {
    refused(
        "evaluation_intervall: 5s",
        "pinchpoint.yaml:1:1: unknown key \"evaluation_intervall\"; did you mean \"evaluation_interval\"?",
    );
    refused("colour: red", "unknown key \"colour\"; expected one of rules_dir, evaluation_interval, ");
    refused(
        "db_system: sqlite\nmax_series: many",
        "pinchpoint.yaml:2:13: max_series is \"many\"; expected a whole number",
    );
    refused(
        "# Often.\nevaluation_interval: 5sec",
        "pinchpoint.yaml:2:22: evaluation_interval is \"5sec\"; expected a duration",
    );
    refused(
        "evaluation_interval: 2m",
        "evaluation_interval is \"2m\"; expected a duration such as 5s or 500ms, from 100ms",
    );
    refused("retention: long", "expected a duration such as 24h");
    refused("history_bytes: much", "expected a size such as 64MB");
    refused(
        "known_methods: [GET, \"P OST\"]",
        "known_methods is \"GET,P OST\"; expected 1 to 64 request methods such as",
    );
    refused("url_scheme: ftp", "url_scheme is \"ftp\"; expected request, http or https");
    refused(
        "control: maybe",
        "control is not shown, since it may be secret, and not accepted; expected loopback, open or refused",
    );
    refused("control_token: \"\"", "pinchpoint.yaml:1:16: control_token is an empty token; expected a secret");
    refused("metrics_token: \"\"", "metrics_token is an empty token; expected a secret");
    refused(
        "performance_access: refused",
        "performance_access is not shown, since it may be secret, and not accepted; expected loopback or open",
    );
    refused("max_series: [5]", "pinchpoint.yaml:1:13: max_series is a list; expected a whole number");
    refused("ignore_paths: /ready", "ignore_paths is a plain value; expected a list of route templates");
    refused("max_series: 5\nmax_series: 6", "pinchpoint.yaml:2:1: duplicate key \"max_series\"; first at line 1");
    refused("- max_series: 5", "pinchpoint.yaml:1:1: this is a list; expected settings such as");
    refused("max_series: [5", "pinchpoint.yaml:");
    refused(
        "service_name: shop",
        "pinchpoint.yaml:1:15: service_name without service_version; expected both or neither",
    );
}

#[test]
fn every_problem_is_reported() {
    let mut draft = Draft::default();
    draft.read_file("max_series: many\nslow_request: 3", "f.yaml");
    draft.read_environment(|name| (name == "PINCHPOINT_CONTROL").then(|| "yes".to_owned()));
    let error = draft.finish().expect_err("three problems").to_string();
    let expected = [
        "f.yaml:1:13: max_series is \"many\"; expected a whole number",
        "f.yaml:2:1: unknown key \"slow_request\"; did you mean \"slow_requests\"?",
        "PINCHPOINT_CONTROL: control is not shown, since it may be secret, and not accepted; expected loopback, open or refused",
    ];
    assert_eq!(error.lines().collect::<Vec<_>>(), expected);
}

/// A token under a name that no setting has would leave open what it was to close.
#[test]
fn an_unknown_variable_is_refused_without_its_value() {
    let mut draft = Draft::default();
    draft.read_file("slow_request: 3", "f.yaml");
    let names = ["PINCHPOINT_METRIC_TOKEN", "PATH", "PINCHPOINT_METRICS_TOKEN", "PINCHPOINT_CONTROLL"];
    draft.check_variables(names.map(Into::into));
    let error = draft.finish().expect_err("three problems").to_string();
    let expected = [
        "f.yaml:1:1: unknown key \"slow_request\"; did you mean \"slow_requests\"?",
        "PINCHPOINT_CONTROLL: unknown variable; did you mean PINCHPOINT_CONTROL?",
        "PINCHPOINT_METRIC_TOKEN: unknown variable; did you mean PINCHPOINT_METRICS_TOKEN?",
    ];
    assert_eq!(error.lines().collect::<Vec<_>>(), expected);
    let mut draft = Draft::default();
    draft.check_variables([not_utf8()]);
    draft.finish().expect("it is not ours");
}

#[test]
fn a_secret_that_is_lost_on_the_way_leaves_nothing_open() {
    for text in ["metrics_token:", "performance_token: ~", "control_token: null", "metrics_token: \"\""] {
        let error = Settings::parse(text, "f.yaml").expect_err(text).to_string();
        assert!(error.starts_with("f.yaml:1:") && error.contains("expected a secret"), "{error}");
    }
    serde_json::from_str::<Settings>(r#"{"performance_token": null}"#).expect_err("JSON");
    let mut draft = Draft::default();
    draft.read_environment(|name| (name == "PINCHPOINT_METRICS_TOKEN").then(not_utf8));
    let error = draft.finish().expect_err("not UTF-8").to_string();
    assert!(error.starts_with("PINCHPOINT_METRICS_TOKEN: this is not UTF-8; expected a secret"), "{error}");
}

fn not_utf8() -> std::ffi::OsString {
    #[cfg(unix)]
    return std::os::unix::ffi::OsStringExt::from_vec(vec![b'a', 0xff]);
    #[cfg(windows)]
    return std::os::windows::ffi::OsStringExt::from_wide(&[0xd800]);
}

#[test]
fn settings_may_be_a_part_of_the_configuration_of_a_service() {
    #[derive(Debug, Deserialize)]
    struct Shop {
        monitor: Settings,
    }
    let read = |text: &str| serde_json::from_str::<Shop>(text).map(|shop| shop.monitor);
    let found = read(r#"{"monitor": {"max_series": 5000, "ignore_paths": ["/health*"], "retention": null}}"#);
    let expected = Settings::parse("max_series: 5000\nignore_paths: [\"/health*\"]", "f").expect("good");
    assert_eq!(found.expect("good"), expected);
    let error = read(r#"{"monitor": {"max_series": "many", "controls": "open"}}"#).expect_err("two problems");
    assert!(error.to_string().contains("settings: max_series is \"many\"; expected a whole number"), "{error}");
    assert!(error.to_string().contains("settings: unknown key \"controls\"; did you mean \"control\"?"), "{error}");
}

#[test]
fn an_empty_file_changes_nothing() {
    assert_eq!(Settings::parse("", "f").expect("empty"), Settings::default());
    assert_eq!(Settings::parse("# nothing yet", "f").expect("a comment"), Settings::default());
}

#[test]
fn the_environment_goes_before_the_file() {
    let mut draft = Draft::default();
    draft.read_file("max_series: 5\ndb_system: mysql\nservice_name: shop", "f");
    let variable = |name: &str| match name {
        "PINCHPOINT_MAX_SERIES" => Some("7".to_owned()),
        "PINCHPOINT_IGNORE_PATHS" => Some("/health*, /ready".to_owned()),
        // As a deployment sets it beside a file that never changes.
        "PINCHPOINT_SERVICE_VERSION" => Some("1.2.3".to_owned()),
        _ => None,
    };
    draft.read_environment(variable);
    let config = draft.finish().expect("good").config;
    assert_eq!((config.max_series, config.database), (7, Database::new("mysql")));
    assert_eq!(config.ignored_paths, ["/health*", "/ready"].map(crate::context::Glob::new));
    assert_eq!(config.service_version.as_deref(), Some("1.2.3"));
    let mut draft = Draft::default();
    draft.read_environment(|name| (name == "PINCHPOINT_MAX_SERIES").then(|| "x".to_owned()));
    let error = draft.finish().expect_err("no number").to_string();
    assert_eq!(error, "PINCHPOINT_MAX_SERIES: max_series is \"x\"; expected a whole number");
}

/// Writes the reference from the table.
fn reference() -> String {
    let mut text = "\
Each setting is a key of the file and an environment variable, which goes before the file. A list in a variable is
separated by commas. What is set nowhere keeps the value that the program gave it, or the default. An unknown key is an error,
and so is an unknown variable `PINCHPOINT_…`, but for those of the load tester (`PINCHPOINT_BASE_URL`, `PINCHPOINT_MONITOR_TOKEN`)
and those that Kubernetes adds beside a Service called `pinchpoint` or `pinchpoint-…`.

| key | variable | default | accepts | sets |
|---|---|---|---|---|
"
    .to_owned();
    for setting in SETTINGS {
        let default = setting.default.map_or("none".to_owned(), |default| format!("`{default}`"));
        let (key, variable, expected, meaning) = (setting.key, setting.variable(), setting.expected, setting.meaning);
        text += &format!("| `{key}` | `{variable}` | {default} | {expected} | {meaning} |\n");
    }
    text += "\nA file with each of them:\n\n```yaml\n";
    for setting in SETTINGS {
        text += &format!("{}: {}\n", setting.key, setting.example);
    }
    text + "```\n"
}

#[test]
fn the_reference_says_what_the_table_says() {
    let expected = reference();
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/monitor/settings/reference.md");
        std::fs::write(path, &expected).expect("a writable checkout");
    }
    assert_eq!(include_str!("reference.md"), expected, "UPDATE_REFERENCE=1 writes it anew");
    let file = expected.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    assert_eq!(Settings::parse(file, "reference.md").expect("good").keys.len(), SETTINGS.len());
}
