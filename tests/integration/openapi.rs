//! `/performance/openapi.json` says what the API does: checked here, and by Schemathesis.

use std::{collections::BTreeMap, path::Path, process::Stdio, time::Duration};

use axum::body::Body;
use http::Request;
use pinchpoint::{Access, Control, Monitor, MonitorBuilder};
use serde_json::{Value, json as value};
use tower::ServiceExt as _;

use crate::{
    api::{json, service, traffic},
    support::{ask, built, program},
};

#[tokio::test(start_paused = true)]
async fn every_answer_is_as_the_openapi_document_says() {
    let monitor = built(Monitor::builder().control(Control::Open));
    let app = service(&monitor);
    traffic(&app, 20).await;
    tokio::time::sleep(Duration::from_secs(40)).await;
    // Only there is the host of every request checked.
    let of_this_machine = built(Monitor::builder().control(Control::Loopback));
    let app_of_this_machine = service(&of_this_machine);
    let document = json(&app, "/performance/openapi.json").await;
    let mut checked = BTreeMap::<String, u32>::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let real = path.replace("{endpoint}", "GET%20%2Freport").replace("{id}", "0").replace("{view}", "queries");
            // Their good answers need two versions, or a finding and a body, and are tested with them.
            let has_its_own_tests = path.ends_with("/comparison") || path.ends_with("/acknowledge");
            for (status, answer) in operation["responses"].as_object().expect("responses") {
                let real = real.clone();
                let Some(schema) = answer["content"]["application/json"].get("schema") else { continue };
                traffic(&app, 1).await;
                let mut listeners = Vec::new();
                let (path, headers): (String, &[(&str, &str)]) = match status.as_str() {
                    "200" if has_its_own_tests => continue,
                    "400" if path.ends_with("/acknowledge") => (format!("{real}?no_such=1"), &[]),
                    // A body that is read before the finding is looked for.
                    "404" if method == "post" && path.ends_with("/acknowledge") => continue,
                    "200" => (real, &[]),
                    "400" if path.contains("{endpoint}") => (path.replace("{endpoint}", "%FF"), &[]),
                    "400" => (format!("{real}?no_such=1"), &[]),
                    "403" if method == "get" => (real, &[("host", "rebound.example")]),
                    // They change nothing, so any page may send them.
                    "403" if path.contains("/log") => (real, &[("host", "rebound.example")]),
                    "403" => (real, &[("sec-fetch-site", "cross-site")]),
                    "404" if path.ends_with("/trends") => (format!("{path}?endpoint=nowhere"), &[]),
                    "404" => {
                        (path.replace("{endpoint}", "nowhere").replace("{view}", "nowhere").replace("{id}", "0"), &[])
                    }
                    "405" => (real, &[]),
                    "406" => (real, &[("accept", "image/png")]),
                    "503" => {
                        for _ in 0..64 {
                            let request = Request::get(&real).body(Body::empty()).expect("a request");
                            listeners.push(app.clone().oneshot(request).await.expect("a router never fails"));
                        }
                        (real, &[])
                    }
                    _ => panic!("no request here has the answer {status} of {method} {path}"),
                };
                let method = if status == "405" { "PATCH".to_owned() } else { method.to_uppercase() };
                let is_for_this_machine = method == "GET" || path.contains("/log");
                let app = if status == "403" && is_for_this_machine { &app_of_this_machine } else { &app };
                let (sent, body) = ask(app, &method, &path, headers).await;
                assert_eq!(sent.to_string(), *status, "{method} {path}");
                let mut schema = schema.clone();
                schema["components"] = document["components"].clone();
                let validator = jsonschema::validator_for(&schema).expect("a schema");
                let problems: Vec<_> = validator.iter_errors(&body).map(|error| error.to_string()).collect();
                assert_eq!(problems, [] as [String; 0], "{method} {path}");
                *checked.entry(status.clone()).or_default() += 1;
            }
        }
    }
    let kinds: Vec<&str> = checked.keys().map(String::as_str).collect();
    assert_eq!(kinds, ["200", "400", "403", "404", "405", "406", "503"], "{checked:?}");
    assert!(checked["200"] >= 14 && checked["403"] == checked["405"], "{checked:?}");
    // `/metrics` is text, and its errors are JSON; `/performance/comparison` is the path of a feature.
    // `/metrics` takes any parameters.
    assert!(checked["400"] >= 15 && checked["400"] + 1 == checked["405"], "{checked:?}");
}

#[tokio::test(start_paused = true)]
async fn the_document_has_the_formats_of_the_metrics_as_they_are_sent() {
    let app = service(&built(Monitor::builder()));
    let document = json(&app, "/performance/openapi.json").await;
    let answer = &document["paths"]["/metrics"]["get"]["responses"]["200"];
    let formats: Vec<_> = answer["content"].as_object().expect("formats").keys().collect();
    for (at, format) in ["openmetrics-text", "vnd.google.protobuf", "text/plain"].into_iter().enumerate() {
        assert!(formats[at].contains(format), "{formats:?}");
    }
    assert_eq!(formats.len(), 3, "{formats:?}");
    for format in formats {
        for encoding in ["identity", "gzip"] {
            let request = Request::get("/metrics").header("accept", format).header("accept-encoding", encoding);
            let response =
                app.clone().oneshot(request.body(Body::empty()).expect("a request")).await.expect("infallible");
            let sent = |name| response.headers().get(name).map(|value| value.to_str().expect("ASCII"));
            assert_eq!(sent("content-type"), Some(format.as_str()));
            let encodings = &answer["headers"]["content-encoding"]["schema"]["enum"];
            assert_eq!(sent("content-encoding"), (encoding == "gzip").then_some("gzip"));
            assert!(sent("content-encoding").is_none_or(|sent| *encodings == value!([sent])), "{encodings}");
            assert!(sent("vary").is_some() && answer["headers"]["vary"].is_object(), "{answer}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_document_has_every_path_and_what_routes_may_look_like() {
    let document = json(&service(&built(Monitor::builder())), "/performance/openapi.json").await;
    for path in ["/performance", "/performance/openapi.json"] {
        assert!(document["paths"][path]["get"].is_object(), "{path}");
    }
    let location = &document["paths"]["/performance"]["get"]["responses"]["307"]["headers"]["location"];
    assert!(location.is_object(), "{location}");
    let schema = &document["paths"]["/performance/endpoints/{endpoint}"]["get"]["parameters"][0]["schema"];
    let validator = jsonschema::validator_for(schema).expect("a schema");
    for route in [
        "GET /api/users/{id}",
        "GET /",
        "/v1.0/users",
        "GET /users/:id",
        "GET /files/{name}.json",
        "api/users",
        "POST /v1/docs:batch",
        "GET /@{user}/~home",
        "GET /maps/(a,b);v=1",
        "GET unmatched",
        "GET /files/{*path}",
    ] {
        assert!(validator.is_valid(&value!(route)), "{route}");
    }
    for wrong in ["", "GET /a?b", "GET /a#b", "get a route"] {
        assert!(!validator.is_valid(&value!(wrong)), "{wrong}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_document_shows_the_security_that_is_in_force() {
    let security = async |control: Control| {
        let monitor = built(Monitor::builder().control(control));
        let document = json(&service(&monitor), "/performance/openapi.json").await;
        let operation = &document["paths"]["/performance/stop-monitoring"]["post"];
        let why = operation["responses"]["403"]["description"].as_str().expect("a text").to_owned();
        (operation["security"].clone(), document["components"]["securitySchemes"].clone(), why)
    };
    let bearer = value!({ "token": { "type": "http", "scheme": "bearer" } });
    let token = security(Control::token("secret")).await;
    assert_eq!(token, (value!([{ "token": [] }]), bearer, "The token is missing or wrong".into()));
    for open in [Control::Open, Control::Loopback, Control::Refused] {
        let (operation, schemes, _) = security(open.clone()).await;
        assert_eq!((operation, schemes), (Value::Null, Value::Null), "{open:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_document_shows_who_may_read() {
    let token = || Access::token("secret");
    let reading = value!([{ "reading": [] }, { "reading_as_password": [] }]);
    let with_control = value!([{ "reading": [] }, { "reading_as_password": [] }, { "token": [] }]);
    let bearer = ("authorization", "Bearer secret");
    let (metrics, health) = (["/metrics", "get"], ["/performance/health", "get"]);
    let stop = ["/performance/stop-monitoring", "post"];
    let cases = [
        (
            Monitor::builder().metrics_access(token()),
            vec![(metrics, &reading), (health, &Value::Null), (stop, &Value::Null)],
        ),
        (
            Monitor::builder().performance_access(token()),
            vec![(metrics, &Value::Null), (health, &reading), (stop, &Value::Null)],
        ),
        (
            Monitor::builder().performance_access(token()).control(Control::Open),
            vec![(health, &reading), (stop, &reading)],
        ),
        (
            Monitor::builder().performance_access(token()).control(Control::token("other")),
            vec![(health, &with_control), (stop, &value!([{ "token": [] }]))],
        ),
    ]
    .map(|(builder, expected)| {
        (builder, expected.into_iter().map(|(at, security)| (at, security.clone())).collect::<Vec<_>>())
    });
    for (builder, expected) in cases {
        let (status, document) = ask(&service(&built(builder)), "GET", "/performance/openapi.json", &[bearer]).await;
        assert_eq!(status, 200);
        for ([path, method], security) in expected {
            let operation = &document["paths"][path][method];
            assert_eq!(operation["security"], security, "{path}");
            let names_reading = security.as_array().is_some_and(|schemes| schemes.contains(&value!({ "reading": [] })));
            assert_eq!(operation["responses"]["401"].is_object(), names_reading, "{path}");
            for scheme in security.as_array().into_iter().flatten().filter_map(Value::as_object) {
                let name = scheme.keys().next().expect("a name");
                assert!(document["components"]["securitySchemes"][name].is_object(), "{name}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_document_has_the_windows_and_the_rules_in_force() {
    let document = json(&service(&built(Monitor::builder())), "/performance/openapi.json").await;
    let schema = |path: &str, name: &str| {
        let parameters = document["paths"][path]["get"]["parameters"].as_array().expect("parameters");
        parameters.iter().find(|parameter| parameter["name"] == name).expect("the parameter")["schema"].clone()
    };
    let takes =
        |schema: &Value, text: &str| jsonschema::validator_for(schema).expect("a schema").is_valid(&value!(text));
    let window = schema("/performance/endpoints", "window");
    assert!(
        takes(&window, "5m") && takes(&window, "30s") && !takes(&window, "1s") && !takes(&window, "2h"),
        "{window}"
    );
    let kind = schema("/performance/bottlenecks", "type");
    assert!(takes(&kind, "slow_query,slow_task") && !takes(&kind, "slow_quary"), "{kind}");
    let severity = schema("/performance/bottlenecks", "severity");
    assert!(takes(&severity, "high,critical") && !takes(&severity, "higher"), "{severity}");
}

#[tokio::test]
async fn schemathesis_finds_nothing_where_reading_takes_a_token() {
    let guarded = |builder: MonitorBuilder| {
        builder.metrics_access(Access::token("secret")).performance_access(Access::token("secret"))
    };
    find_nothing(guarded(Monitor::builder()), &["--header=Authorization: Bearer secret"]).await;
}

/// Runs Schemathesis, which makes up requests from the document, good ones and bad ones, and compares the answers with it.
/// `.ci/run` installs it beside the compiled tests.
async fn find_nothing(builder: MonitorBuilder, options: &[&str]) {
    if std::env::var_os("NO_SCHEMATHESIS").is_some() {
        eprintln!("NOT TESTED: Schemathesis could not be installed");
        return;
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/schemathesis/bin");
    let Some(schemathesis) = program::program("schemathesis", "Python package schemathesis", &[directory]) else {
        return;
    };
    let monitor = built(builder);
    let app = service(&monitor);
    traffic(&app, 1).await;
    let address = monitor.serve(([127, 0, 0, 1], 0)).await.expect("a free port");
    let scratch = tempfile::tempdir().expect("a directory");
    let run = tokio::process::Command::new(schemathesis)
        .args(["run", &format!("http://{address}/performance/openapi.json"), "--seed=1", "--max-examples=20"])
        // A stream of events does not end by itself.
        .args(["--exclude-path=/performance/events", "--no-color"])
        .args(options)
        .current_dir(scratch.path())
        .stdin(Stdio::null())
        .output();
    let output = run.await.expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("passed"), "{text}");
    monitor.shutdown().await;
}

#[tokio::test]
async fn schemathesis_finds_nothing_where_control_is_open() {
    find_nothing(Monitor::builder().control(Control::Loopback), &[]).await;
}

#[tokio::test]
async fn schemathesis_finds_nothing_where_control_takes_a_token() {
    // It expects 401 without the token; the answer is 403, as with a wrong one and as where control is closed.
    let options = ["--header=Authorization: Bearer secret", "--exclude-checks=missing_required_header"];
    find_nothing(Monitor::builder().control(Control::token("secret")), &options).await;
}
