//! One result with everything in it, and what each format makes of it: the diff is the review.

use std::time::Duration;

use super::{html, junit, markdown, render_result, render_verdict};
use crate::{
    engine::{Model, RunEnd, StopReason},
    record::{EndpointName, FailureKind, Outcome, Recorder, Sample, Tally},
    result::{
        ArrivalsResult, Capacity, CapacityStep, Change, CheckResult, Comparison, Direction, GeneratorResult, RunResult,
        SearchEnd, StepEnd, VerdictResult,
    },
    server::{FiredBottleneck, LeftOut, LeftOutWhy, ServerEndpoint, ServerSide},
};

fn recorded() -> (Recorder, Tally) {
    let recorder = Recorder::new(2);
    let users = recorder.endpoint(EndpointName::new("GET", "/api/users/{id}"), "/api/users/{id}");
    let cart = recorder.endpoint(EndpointName::new("POST", "/api/cart"), "/api/cart");
    let mut tally = Tally::default();
    for second in 0..4u32 {
        for n in 0..50u32 {
            let failed = n % 10 == 9;
            let sample = |endpoint, millis: u32, failed: bool| Sample {
                endpoint,
                outcome: if failed { Outcome::Rejected } else { Outcome::Success },
                latency: Duration::from_millis(millis.into()),
                service: None,
                first_byte: Some(Duration::from_millis(5)),
                status: Some(if failed { 500 } else { 200 }),
                bytes: 100,
                decoded_bytes: None,
                after_end: false,
                never_sent: false,
                exhausted: None,
                failure: failed
                    .then(|| (FailureKind::new("status 500"), Some("{\"error\": \"disk <full>\"}".to_owned()))),
            };
            recorder.record(recorder.shard(n as usize), sample(users, 10 + n, false));
            recorder.record(recorder.shard(n as usize), sample(cart, if failed { 2 } else { 100 + second }, failed));
        }
        tally.drain(&recorder, f64::from(second + 1), 1.0);
    }
    (recorder, tally)
}

fn result() -> RunResult {
    let (recorder, tally) = recorded();
    let model = Model::Open { rate: 100.0, ramp_up: Duration::ZERO, most_in_flight: 10 };
    let end = RunEnd { reason: StopReason::Finished, elapsed: Duration::from_secs(4) };
    let started_at = "2026-01-02T03:04:05+00:00".to_owned();
    let mut result =
        RunResult::measured("load-test", "http://127.0.0.1:8000/", started_at, model, end, &tally, &recorder);
    result.version = "0.0.0".to_owned();
    result.seed = Some(42);
    result.arrivals =
        Some(ArrivalsResult { scheduled: 402, sent: 400, late: 7, late_by_generator: 1, dropped: 2, late_after: 0.01 });
    result.generator = GeneratorResult {
        cores: 2,
        cpu_percent: 12.3,
        cpu_microseconds_per_request: Some(45.6),
        peak_memory_bytes: 30_000_000,
        ..GeneratorResult::default()
    };
    let check = |source: &str, rule: Option<&str>, condition: &str, observed: &str, status: &str| CheckResult {
        source: source.to_owned(),
        rule: rule.map(str::to_owned),
        severity: rule.map(|_| "high".to_owned()),
        subject: "POST /api/cart".to_owned(),
        condition: condition.to_owned(),
        observed: observed.to_owned(),
        status: status.to_owned(),
    };
    result.verdict = VerdictResult {
        conclusion: "breached".to_owned(),
        exit_code: 1,
        checks: vec![
            check("threshold", None, "p95<200ms", "104 ms", "passed"),
            check("rule", Some("high_error_rate"), "not error_ratio > 5%", "10%", "breached"),
        ],
    };
    result.server = Some(server_side());
    result.comparison = Some(Comparison {
        baseline_started_at: "2026-01-01T00:00:00+00:00".to_owned(),
        point_seconds: Some(1.0),
        changes: vec![
            Change {
                endpoint: "POST /api/cart".to_owned(),
                measure: "p95".to_owned(),
                old: 0.08,
                new: 0.104,
                change_percent: Some(30.0),
                p_value: Some(0.001),
                direction: Direction::Worse,
            },
            Change {
                endpoint: "GET /api/rare".to_owned(),
                measure: "p95".to_owned(),
                old: 0.08,
                new: 0.09,
                change_percent: Some(12.5),
                p_value: None,
                direction: Direction::TooLittleData,
            },
        ],
        only_in_one: vec!["GET /api/old".to_owned()],
    });
    result.capacity = Some(Capacity {
        unit: "users".to_owned(),
        capacity: Some(40.0),
        at_least: false,
        ended: SearchEnd::Confirmed,
        limited_by: Some("all requests: p95<200ms, observed 412 ms".to_owned()),
        evidence: vec!["blocked_runtime (high): POST /api/register blocks the async runtime.".to_owned()],
        steps: [(20.0, 0.05, true), (40.0, 0.1, true), (80.0, 0.412, false)]
            .map(|(load, p95, passed)| CapacityStep {
                load,
                held: 10.0,
                requests_per_second: load * 10.0,
                p50: Some(p95 / 2.0),
                p95: Some(p95),
                p99: Some(p95 * 2.0),
                error_rate: Some(0.0),
                phase: "doubling".to_owned(),
                again: false,
                passed,
                ended: if passed { StepEnd::Passed } else { StepEnd::Failed },
                breached: Vec::new(),
            })
            .into(),
    });
    result
}

fn server_side() -> ServerSide {
    let fired = r#"{"first_seen": 2.5, "type": "n_plus_one", "severity": "high", "subject": "SELECT ?",
        "description": "GET /api/users/{id} issues the same query 20 times", "impact": "80% of its time",
        "recommendations": ["Fetch all rows at once"]}"#;
    ServerSide {
        left_out: vec![LeftOut {
            kind: "slow_query".to_owned(),
            subject: "SELECT".to_owned(),
            why: LeftOutWhy::BeganBefore,
        }],
        endpoints: vec![ServerEndpoint {
            endpoint: "GET /api/users/{id}".to_owned(),
            client_requests: 200,
            server_requests: 200,
            client_avg: 0.035,
            server_avg: 0.030,
            outside_avg: 0.005,
            db_time_percent: 80.0,
            db_queries_per_request: 20.0,
            busy_percent: 5.0,
            longest_poll: Some(0.004),
        }],
        bottlenecks: vec![serde_json::from_str::<FiredBottleneck>(fired).unwrap()],
    }
}

#[test]
fn terminal() {
    insta::assert_snapshot!(format!("{}{}", render_result(&result()), render_verdict(&result())));
}

#[test]
fn markdown_file() {
    insta::assert_snapshot!(markdown::render(&result()));
}

#[test]
fn junit_file() {
    insta::assert_snapshot!(junit::render(&result()));
}

#[test]
fn html_file_is_well_formed_and_escaped() {
    let page = html::render(&result());
    assert!(page.contains("disk &lt;full&gt;") && !page.contains("<full>"));
    for tag in ["table", "thead", "tbody", "tr", "p", "h1", "h2", "h3", "svg", "figure", "article", "div", "ul", "li"] {
        let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn html_file_looks_like_the_report_and_carries_no_style_inside() {
    let page = html::render(&result());
    assert!(page.contains(pinchpoint::markup::STYLE) && page.contains("<div class=\"tiles\">"));
    let body = page.split_once("</style>").expect("a style").1;
    assert!(!body.contains("style=") && !body.contains("<script"), "{body}");
    assert!(body.contains("<span class=\"badge bad\">breached</span>"), "{body}");
    assert!(body.contains("<article class=\"card finding is-high\"><h3>n_plus_one</h3>"), "{body}");
}

#[test]
fn json_is_read_back_as_it_was_written() {
    let text = serde_json::to_string(&result()).unwrap();
    let read: RunResult = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
}
