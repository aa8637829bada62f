//! `/performance/trends` and the verdict on memory, on tokio's paused clock.

use std::time::Duration;

use axum::{Router, extract::Path, http::StatusCode, routing::get};
use pinchpoint::{Control, Monitor};
use serde_json::{Value, json};

use crate::support::{Samples, built, get as fetch, monitor, send};

const MINUTE: Duration = Duration::from_secs(60);

/// Builds a service that answers after as many milliseconds as the path says; `/fail` fails.
fn service(monitor: &Monitor) -> Router {
    Router::new()
        .route(
            "/wait/{millis}",
            get(|Path(millis): Path<u64>| async move { tokio::time::sleep(Duration::from_millis(millis)).await }),
        )
        .route(
            "/other/{millis}",
            get(|Path(millis): Path<u64>| async move { tokio::time::sleep(Duration::from_millis(millis)).await }),
        )
        .route("/fail", get(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
        .layer(monitor.layer())
        .merge(monitor.router())
}

/// Lets minutes pass, with ten requests a minute to each path.
async fn minutes(app: &Router, minutes: u32, paths: &[String]) {
    let start = tokio::time::Instant::now();
    for round in 1..=minutes * 10 {
        for path in paths {
            fetch(app, path).await;
        }
        tokio::time::sleep_until(start + MINUTE / 10 * round).await;
    }
}

fn wait(millis: u64) -> String {
    format!("/wait/{millis}")
}

async fn trends(app: &Router, query: &str) -> Value {
    let (status, body) = fetch(app, &format!("/performance/trends{query}")).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

#[tokio::test(start_paused = true)]
async fn too_little_data_is_reported_with_what_is_needed() {
    let monitor = monitor();
    let app = service(&monitor);
    for passed in [0, 3] {
        minutes(&app, passed, &[wait(10)]).await;
        let answer = trends(&app, "").await;
        for measure in ["response_time", "error_rate", "memory", "throughput"] {
            assert_eq!(answer[measure]["direction"], "unknown", "{answer}");
            assert_eq!(answer[measure]["needed_buckets"], 8);
            let message = answer[measure]["message"].as_str().expect("a text");
            assert!(message.contains("too little data") && message.contains("8 are needed"), "{message}");
            assert_eq!(answer[measure]["change"], Value::Null);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_trend_says_how_many_requests_it_lacks() {
    let monitor = monitor();
    let app = service(&monitor);
    for _ in 0..15 {
        fetch(&app, "/other/10").await;
        minutes(&app, 1, &[wait(10)]).await;
    }
    let answer = trends(&app, "?hours=1").await;
    assert_eq!(answer["error_rate"]["direction"], "unknown", "the whole has 165 requests: {}", answer["error_rate"]);
    let rare = trends(&app, "?hours=1&endpoint=/other/{millis}").await["endpoints"][0].clone();
    let lacks = |measure: &str| {
        assert_eq!(rare[measure]["direction"], "unknown", "{rare}");
        rare[measure]["message"].as_str().expect("a text").to_owned()
    };
    let (time, errors) = (lacks("response_time"), lacks("error_rate"));
    assert!(time.contains("with at least 5 requests each, 8 are needed; at this traffic they take about"), "{time}");
    assert!(
        errors.contains("with at least 20 requests each") && errors.contains("longer than the requested time"),
        "{errors}"
    );
    assert_eq!(rare["throughput"]["direction"], "stable", "{rare}");
}

#[tokio::test(start_paused = true)]
async fn a_tenfold_step_is_degrading_and_one_outlier_is_not() {
    let monitor = monitor();
    let app = service(&monitor);
    minutes(&app, 20, &[wait(10)]).await;
    fetch(&app, &wait(5000)).await;
    minutes(&app, 20, &[wait(10)]).await;
    let before = trends(&app, "?hours=1").await;
    assert_eq!(before["response_time"]["direction"], "stable", "{}", before["response_time"]);
    minutes(&app, 15, &[wait(100)]).await;
    let answer = trends(&app, "?hours=1").await;
    for trend in [&answer["response_time"], &answer["endpoints"][0]["response_time"]] {
        assert_eq!((&trend["direction"], &trend["shape"]), (&json!("degrading"), &json!("step")), "{trend}");
        assert!((number(&trend["change"]) - 90.0).abs() < 5.0, "{trend}");
        assert!((number(&trend["change_percent"]) - 900.0).abs() < 50.0, "{trend}");
        assert!(number(&trend["confidence"]) > 0.99);
        assert!(trend["message"].as_str().expect("a text").starts_with("degrading: up by 9"), "{trend}");
        assert!(trend["step_at"].is_string());
    }
    assert_eq!(answer["endpoints"][0]["endpoint"], "GET /wait/{millis}");
    assert_eq!(answer["throughput"]["direction"], "stable", "{}", answer["throughput"]);
    assert_eq!(answer["error_rate"]["direction"], "stable");
    let buckets = answer["buckets"].as_array().expect("a list").len();
    for series in [&answer["response_time"]["series"], &answer["p95_duration_ms"], &answer["throughput"]["series"]] {
        assert_eq!(series.as_array().expect("a list").len(), buckets);
    }
    let p95 = number(&answer["p95_duration_ms"][buckets - 2]);
    assert!((p95 - 100.0).abs() < 12.0, "{p95}");
    assert!((number(&answer["throughput"]["series"][buckets - 2]) - 1.0 / 6.0).abs() < 0.02);
}

#[tokio::test(start_paused = true)]
async fn the_direction_of_each_trend_is_on_the_page() {
    let monitor = monitor();
    let app = service(&monitor);
    let shown = |subject: &str, measure: &str| {
        let samples = Samples::of(&monitor);
        let (subject, measure) = (format!("subject=\"{subject}\""), format!("measure=\"{measure}\""));
        samples.series("pinchpoint_trend", &[&subject, &measure]).next().map(|(_, direction)| direction)
    };
    minutes(&app, 6, &[wait(10)]).await;
    assert_eq!(shown("service", "response_time"), None, "too little data");
    minutes(&app, 34, &[wait(10)]).await;
    minutes(&app, 21, &[wait(100)]).await;
    assert_eq!(shown("service", "response_time"), Some(1.0));
    assert_eq!(shown("GET /wait/{millis}", "response_time"), Some(1.0));
    assert_eq!(shown("service", "error_rate"), Some(0.0));
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_request_mix_is_no_slowdown() {
    let monitor = monitor();
    let app = service(&monitor);
    let (fast, slow) = (wait(10), "/other/200".to_owned());
    let mix = |slow_share: usize| [vec![fast.clone(); 10 - slow_share], vec![slow.clone(); slow_share]].concat();
    minutes(&app, 15, &mix(1)).await;
    minutes(&app, 15, &mix(8)).await;
    let answer = trends(&app, "?hours=1").await;
    assert_eq!(answer["response_time"]["direction"], "stable", "{}", answer["response_time"]);
    assert_eq!(answer["crude_response_time"]["direction"], "degrading", "{}", answer["crude_response_time"]);
    assert_eq!(answer["endpoint_count"], 2);
}

#[tokio::test(start_paused = true)]
async fn more_calls_of_a_failing_endpoint_do_not_worsen_the_error_rate() {
    let monitor = monitor();
    let failing = |Path(number): Path<u32>| async move {
        if number == 0 { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }
    };
    let app = service(&monitor).merge(Router::new().route("/half/{number}", get(failing)).layer(monitor.layer()));
    let half = vec!["/half/0".to_owned(), "/half/1".to_owned()];
    let mix = |halves: usize| [vec![wait(10); 10 - 2 * halves], vec![half.clone(); halves].concat()].concat();
    minutes(&app, 15, &mix(1)).await;
    minutes(&app, 15, &mix(4)).await;
    let answer = trends(&app, "?hours=1").await;
    assert_eq!(answer["error_rate"]["direction"], "stable", "{}", answer["error_rate"]);
    assert_eq!(answer["crude_error_rate"]["direction"], "degrading", "{}", answer["crude_error_rate"]);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_no_speedup_and_its_end_no_slowdown() {
    let failing = |Path((number, millis)): Path<(u32, u64)>| async move {
        tokio::time::sleep(Duration::from_millis(if number == 0 { 1 } else { millis })).await;
        if number == 0 { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }
    };
    let paths = |failing: usize, millis: u64| {
        let path = |number: usize| format!("/sick/{}/{millis}", usize::from(number >= failing));
        (0..10).map(path).collect::<Vec<_>>()
    };
    let run = |before: Vec<String>, after: Vec<String>| async move {
        let monitor = monitor();
        let app = service(&monitor)
            .merge(Router::new().route("/sick/{number}/{millis}", get(failing)).layer(monitor.layer()));
        minutes(&app, 20, &before).await;
        minutes(&app, 15, &after).await;
        trends(&app, "?hours=1").await
    };
    let outage = run(paths(0, 50), paths(6, 50)).await;
    let recovery = run(paths(6, 50), paths(0, 50)).await;
    for answer in [&outage, &recovery] {
        let endpoint = &answer["endpoints"][0]["response_time"];
        for trend in [&answer["response_time"], &answer["crude_response_time"], endpoint] {
            assert_eq!(trend["direction"], "stable", "{trend}");
            assert!(trend["message"].as_str().expect("a text").contains("failed requests explain"), "{trend}");
        }
    }
    let errors = [&outage, &recovery].map(|answer| &answer["error_rate"]["direction"]);
    assert_eq!(errors, ["degrading", "improving"]);
    let faster = run(paths(2, 100), paths(2, 20)).await;
    assert_eq!(faster["response_time"]["direction"], "improving", "as many fail: {}", faster["response_time"]);
    let slower = run(paths(0, 50), paths(5, 300)).await;
    assert_eq!(slower["response_time"]["direction"], "degrading", "{}", slower["response_time"]);
}

#[tokio::test(start_paused = true)]
async fn the_hours_parameter_selects_the_period() {
    let monitor = monitor();
    let app = service(&monitor);
    minutes(&app, 4 * 60, &[wait(100)]).await;
    minutes(&app, 2 * 60, &[wait(10)]).await;
    let (hour, day) = (trends(&app, "?hours=1").await, trends(&app, "?hours=24").await);
    assert_eq!((&hour["hours"], &day["hours"]), (&json!(1), &json!(24)));
    assert_eq!(hour["response_time"]["direction"], "stable");
    assert_eq!(day["response_time"]["direction"], "improving");
    assert_eq!((&hour["bucket_seconds"], &day["bucket_seconds"]), (&json!(60.0), &json!(300.0)));
    assert_eq!(hour["covered_hours"], 1.0);
    assert!((number(&day["covered_hours"]) - 6.0).abs() < 0.1, "{}", day["covered_hours"]);
    assert!(number(&day["requests"]) > 5.0 * number(&hour["requests"]));
    assert_eq!(trends(&app, "").await["hours"], 24);
}

#[tokio::test(start_paused = true)]
async fn endpoints_are_ranked_and_one_can_be_asked_for() {
    let monitor = monitor();
    let app = service(&monitor);
    minutes(&app, 15, &[wait(100), "/fail".into()]).await;
    let answer = trends(&app, "?hours=1").await;
    assert_eq!(answer["endpoints"][0]["endpoint"], "GET /wait/{millis}", "by time where nothing changes");
    assert_eq!(answer["endpoints"][1]["error_rate"]["series"][3], 100.0);
    for query in ["?endpoint=GET%20/fail", "?endpoint=fail&hours=1"] {
        let one = trends(&app, query).await;
        let endpoints = one["endpoints"].as_array().expect("a list");
        assert_eq!((endpoints.len(), &endpoints[0]["endpoint"]), (1, &json!("GET /fail")));
        assert_eq!(one["endpoint_count"], 2);
    }
    let (status, _) = fetch(&app, "/performance/trends?endpoint=nowhere").await;
    assert_eq!(status, 404);
}

#[tokio::test(start_paused = true)]
async fn wrong_parameters_are_refused_with_the_allowed_ones() {
    let monitor = monitor();
    let app = service(&monitor);
    for query in ["?hours=0", "?hours=169", "?hours=-1", "?hours=x", "?hours=1.5", "?hours="] {
        let (status, body) = fetch(&app, &format!("/performance/trends{query}")).await;
        assert_eq!(status, 400, "{query}");
        assert!(body.contains("1 to 168"), "{body}");
    }
    let (status, body) = fetch(&app, "/performance/trends?hour=1").await;
    assert_eq!((status, body.contains("hours (1 to 168")), (400, true), "{body}");
}

#[tokio::test(start_paused = true)]
async fn unmatched_paths_are_no_endpoint_and_clear_drops_the_trends() {
    let monitor = built(Monitor::builder().control(Control::Open));
    let app = service(&monitor);
    minutes(&app, 3, &[wait(10), "/no/such/path".into()]).await;
    let answer = trends(&app, "").await;
    assert_eq!(answer["endpoint_count"], 1);
    assert!(number(&answer["requests"]) >= 40.0, "all requests count in the whole");
    send(&app, "DELETE", "/performance/clear-data").await;
    let answer = trends(&app, "").await;
    assert_eq!((&answer["requests"], &answer["endpoint_count"]), (&json!(0), &json!(0)));
}

#[tokio::test(start_paused = true)]
async fn stopped_monitoring_is_a_gap_and_not_a_fall_of_throughput() {
    let monitor = built(Monitor::builder().control(Control::Open));
    let app = service(&monitor);
    minutes(&app, 10, &[wait(10)]).await;
    send(&app, "POST", "/performance/stop-monitoring").await;
    minutes(&app, 10, &[wait(10)]).await;
    send(&app, "POST", "/performance/start-monitoring").await;
    let answer = trends(&app, "?hours=1").await;
    let series = answer["throughput"]["series"].as_array().expect("a list");
    assert!(series.iter().flatten_numbers().all(|rate| rate > 0.1), "{series:?}");
    assert!(series.iter().filter(|value| value.is_null()).count() >= 8, "{series:?}");
}

/// The numbers among JSON values.
trait Numbers {
    fn flatten_numbers(self) -> impl Iterator<Item = f64>;
}

impl<'a, I: Iterator<Item = &'a Value>> Numbers for I {
    fn flatten_numbers(self) -> impl Iterator<Item = f64> {
        self.filter_map(Value::as_f64)
    }
}

#[tokio::test(start_paused = true)]
async fn memory_reports_its_leak_verdict() {
    let monitor = monitor();
    let app = service(&monitor);
    let leak = |answer: Value| answer["leak"].clone();
    let memory = |body: String| serde_json::from_str::<Value>(&body).expect("JSON");
    assert_eq!(leak(memory(fetch(&app, "/performance/memory").await.1)), Value::Null);
    tokio::time::sleep(MINUTE).await;
    let early = leak(memory(fetch(&app, "/performance/memory").await.1));
    assert_eq!((&early["status"], &early["needed_seconds"]), (&json!("not_enough_data"), &json!(300.0)));
    tokio::time::sleep(MINUTE * 30).await;
    let later = memory(fetch(&app, "/performance/memory").await.1);
    // The memory is that of this test's process, which may grow beside other tests.
    let status = later["leak"]["status"].as_str().expect("a word");
    assert!(["steady", "growing"].contains(&status), "{later:#}");
    assert!(later["samples"].as_array().expect("a list").len() > 20);
}

/// A path for a history file, in a directory of its own.
fn place() -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("history.redb");
    (directory, path)
}

async fn json_of(app: &Router, path: &str) -> Value {
    let (status, body) = fetch(app, path).await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).expect("JSON")
}

#[tokio::test(start_paused = true)]
async fn trends_survive_a_restart() {
    let (_directory, path) = place();
    let first = built(Monitor::builder().history_file(&path).service("shop", "1.0"));
    let app = service(&first);
    minutes(&app, 20, &[wait(10)]).await;
    let status = json_of(&app, "/performance/status").await["history_file"].clone();
    assert_eq!((&status["state"], &status["name"]), (&json!("open"), &json!("history.redb")), "{status}");
    assert_eq!(status["lost"], Value::Null, "{status}");
    first.shutdown().await;
    let second = built(Monitor::builder().history_file(&path).service("shop", "1.1"));
    let app = service(&second);
    let at_once = trends(&app, "?hours=1").await;
    assert!(number(&at_once["requests"]) >= 190.0, "{}", at_once["requests"]);
    minutes(&app, 20, &[wait(100)]).await;
    let answer = trends(&app, "?hours=1").await;
    assert_eq!(answer["response_time"]["direction"], "degrading", "{}", answer["response_time"]);
    assert!(number(&answer["requests"]) >= 380.0);
    let versions: Vec<_> = answer["runs"].as_array().expect("a list").iter().map(|run| &run["version"]).collect();
    assert_eq!(versions, ["1.0", "1.1"]);
    // The memory of the earlier process is not kept: its leak ended with it.
    let memory = json_of(&app, "/performance/memory").await;
    assert!(memory["samples"].as_array().expect("a list").len() <= 20 * 4 + 1);
    second.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_version_is_compared_with_the_one_before() {
    let (_directory, path) = place();
    let run = |version: &'static str, slow: u64| {
        let path = path.clone();
        async move {
            let monitor = built(Monitor::builder().history_file(&path).service("shop", version));
            let app = service(&monitor);
            let same = "/other/20".to_owned();
            for number in 0..300_u64 {
                // Durations vary, as those of real requests do.
                fetch(&app, &wait(slow + number % 7)).await;
                fetch(&app, &same).await;
            }
            let (status, body) = fetch(&app, "/performance/comparison").await;
            let document = json_of(&app, "/performance/openapi.json").await;
            monitor.shutdown().await;
            (status, serde_json::from_str::<Value>(&body).expect("JSON"), document)
        }
    };
    let (status, body, _) = run("1.0", 20).await;
    assert_eq!(status, 404);
    assert!(body["error"].as_str().is_some_and(|error| error.contains("MonitorBuilder::service")), "{body}");
    let (status, body, document) = run("1.1", 60).await;
    assert_eq!((status, &body["before"], &body["after"]), (200, &json!("1.0"), &json!("1.1")), "{body}");
    assert_eq!((&body["slower_count"], &body["faster_count"]), (&json!(1), &json!(0)));
    let route = |name: &str| {
        let routes = body["routes"].as_array().expect("a list");
        routes.iter().find(|route| route["endpoint"] == name).expect("in both versions").clone()
    };
    let slower = route("GET /wait/{millis}");
    assert_eq!(slower["verdict"], "slower");
    assert!(number(&slower["median"]["change_percent"]) > 100.0, "{slower}");
    assert!(number(&slower["cliffs_delta"]) > 0.9, "{slower}");
    assert!(slower["message"].as_str().expect("a text").starts_with("slower: median +"), "{slower}");
    assert_eq!(route("GET /other/{millis}")["verdict"], "no_difference");
    let schema = json!({ "$ref": "#/components/schemas/ComparisonView", "components": document["components"] });
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    assert_eq!(validator.iter_errors(&body).map(|error| error.to_string()).collect::<Vec<_>>(), [] as [String; 0]);
    // Back to the old version: it is compared with the one that ran last.
    let (_, body, _) = run("1.0", 20).await;
    assert_eq!((&body["before"], &body["faster_count"]), (&json!("1.1"), &json!(1)));
}

#[tokio::test(start_paused = true)]
async fn a_version_that_fails_fast_has_more_errors_and_is_not_faster() {
    let (_directory, path) = place();
    let run = |version: &'static str, failing: u64| {
        let path = path.clone();
        async move {
            let monitor = built(Monitor::builder().history_file(&path).service("shop", version));
            let answers = move |Path(number): Path<u64>| async move {
                let fails = number % 10 < failing;
                tokio::time::sleep(Duration::from_millis(if fails { 1 } else { 50 + number % 7 })).await;
                if fails { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }
            };
            let app = Router::new().route("/a/{number}", get(answers)).layer(monitor.layer()).merge(monitor.router());
            for number in 0..500_u64 {
                fetch(&app, &format!("/a/{number}")).await;
            }
            let (_, body) = fetch(&app, "/performance/comparison").await;
            monitor.shutdown().await;
            serde_json::from_str::<Value>(&body).expect("JSON")
        }
    };
    run("1", 0).await;
    let worse = run("2", 6).await;
    let route = &worse["routes"][0];
    assert_eq!(route["verdict"], "more_errors", "{worse}");
    assert_eq!(route["message"], "more errors: 0% of the requests failed before, 60% now");
    assert_eq!((&worse["more_errors_count"], &worse["faster_count"]), (&json!(1), &json!(0)));
    assert_eq!((&route["requests_after"], &route["error_percent_after"]), (&json!(500), &json!(60.0)));
    assert!((number(&route["avg_after_ms"]) - number(&route["avg_before_ms"])).abs() < 1.0, "{route}");
    let mended = run("3", 0).await;
    assert_eq!(mended["routes"][0]["verdict"], "fewer_errors", "{mended}");
}

#[tokio::test(start_paused = true)]
async fn an_emptied_history_file_is_reported() {
    let (_directory, path) = place();
    std::fs::write(&path, "").expect("writable");
    let monitor = built(Monitor::builder().history_file(&path));
    let status = json_of(&service(&monitor), "/performance/status").await["history_file"].clone();
    assert!(status["lost"].as_str().is_some_and(|lost| lost.ends_with("it was empty")), "{status}");
    monitor.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn an_unusable_history_file_stops_nothing() {
    let (directory, _) = place();
    let monitor = built(Monitor::builder().history_file(directory.path()));
    let app = service(&monitor);
    minutes(&app, 10, &[wait(10)]).await;
    assert_eq!(trends(&app, "?hours=1").await["response_time"]["direction"], "stable");
    let status = json_of(&app, "/performance/status").await["history_file"].clone();
    assert_eq!(status["state"], "failing");
    assert!(status["error"].as_str().is_some_and(|error| error.contains("not a history file")), "{status}");
    let failures = crate::support::Samples::of(&monitor).sum("pinchpoint_archive_errors_total", &["refused"]);
    assert!(failures >= 1.0, "{failures}");
    monitor.shutdown().await;
}

#[tokio::test]
async fn settings_out_of_range_are_refused() {
    let day = 24 * 3600;
    for (builder, expected) in [
        (Monitor::builder().retention(Duration::from_secs(60)), "retention is 1m; expected 1h to 2208h"),
        (Monitor::builder().retention(Duration::from_secs(93 * day)), "expected 1h to 2208h"),
        (Monitor::builder().history_bytes(1000), "history_bytes is 1000 bytes; expected 1,000,000 bytes or more"),
    ] {
        let error = builder.build().expect_err("out of range").to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_leak_is_reported_with_its_slope_and_the_time_to_the_limit() {
    let monitor = built(Monitor::builder().without_sampling());
    let app = service(&monitor);
    let recorder = monitor.recorder();
    let (memory, limit) = metrics::with_local_recorder(&recorder, || {
        (metrics::gauge!("process_resident_memory_bytes"), metrics::gauge!("pinchpoint_memory_limit_bytes"))
    });
    limit.set(1e9);
    for step in 0..6 * 240_u32 {
        memory.set(100e6 + 50e6 * f64::from(step) / 240.0);
        tokio::time::sleep(Duration::from_secs(15)).await;
    }
    let answer = json_of(&app, "/performance/memory").await;
    let leak = &answer["leak"];
    assert_eq!(leak["status"], "consistent_with_a_leak", "{leak}");
    assert!(leak["message"].as_str().expect("a text").starts_with("consistent with a leak: 50 MB an hour"), "{leak}");
    for pace in [&leak["slope_mb_per_hour"], &leak["slope_low_mb_per_hour"], &answer["growth_mb_per_hour"]] {
        assert!((number(pace) - 50.0).abs() < 2.0, "{leak}");
    }
    assert!((number(&leak["limit_percent"]) - 40.0).abs() < 1.0, "{leak}");
    assert!((number(&leak["seconds_to_limit"]) / 3600.0 - 12.0).abs() < 0.5, "{leak}");
    assert!(leak["windows_seconds"].as_array().expect("a list").len() >= 2, "{leak}");
    assert_eq!(leak["endpoint"], Value::Null, "the memory of the process shows it: {leak}");
    let found = json_of(&app, "/performance/bottlenecks").await;
    let finding = found["bottlenecks"].as_array().expect("a list").iter().find(|one| one["type"] == "memory_leak");
    let finding = finding.unwrap_or_else(|| panic!("no leak in {found}"));
    assert!((number(&finding["value"]) / 1e6 - number(&answer["growth_mb_per_hour"])).abs() < 1e-3, "{finding}");
    let left = number(&finding["evidence"]["numbers"]["time_to_limit"]);
    assert!((left - number(&leak["seconds_to_limit"])).abs() < 60.0, "{left} in {finding}, and {leak}");
    assert_eq!(trends(&app, "?hours=6").await["memory"]["direction"], "degrading");
}
