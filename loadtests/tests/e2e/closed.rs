//! The closed model counts what the server counts, and measures to the last byte.

use std::time::{Duration, Instant};

use crate::{
    server::Server,
    tool::{loadtest, started},
};

#[test]
fn fifty_users_are_in_flight_at_once_and_every_request_is_counted() {
    let server = Server::start();
    let run = loadtest(&["-H", &server.url(), "-e", "/slowest", "--users", "50", "--run-time", "2s"]).ended_with(0);
    assert!(server.peak() >= 45, "only {} in flight", server.peak());
    assert_eq!(run.number("/total_requests") as u64, server.requests("/slowest"));
    assert_eq!(run.json["endpoint"], "/slowest");
    assert_eq!(run.json["status_codes"]["200"].as_u64(), Some(server.requests("/slowest")));
}

#[test]
fn total_is_exact_after_an_interruption() {
    let server = Server::start();
    let running = started(&["-H", &server.url(), "-e", "/slow", "-u", "20", "-t", "10m"]);
    server.wait_for(100, "/slow");
    running.interrupt();
    let run = running.finish().ended_with(130).said("INTERRUPTED");
    assert_eq!(run.number("/total_requests") as u64, server.requests("/slow"));
    assert_eq!(run.number("/failed_requests"), 0.0);
}

#[test]
fn requests_that_never_end_are_given_up_after_the_grace_and_counted() {
    let server = Server::start();
    let arguments = ["-H", &server.url(), "-e", "/hang", "/ok", "-u", "6", "-t", "10m", "--grace", "300ms"];
    let running = started(&arguments);
    server.wait_for(6, "/hang");
    running.interrupt();
    let run = running.finish().ended_with(130);
    assert_eq!(run.number("/total_requests") as u64, server.requests("/hang") + server.requests("/ok"));
    assert_eq!(run.number("/outcomes/cancelled/count"), 6.0);
}

#[test]
fn latency_reaches_to_the_last_byte() {
    let server = Server::start();
    let run = loadtest(&["-H", &server.url(), "-e", "/late-body", "-u", "2", "-t", "1s"]).ended_with(0);
    assert!(run.number("/p50_response_time") >= 0.2, "{}", run.number("/p50_response_time"));
    let after_the_head = run.number("/p50_response_time") - run.number("/first_byte/p50");
    assert!(after_the_head > 0.15, "{after_the_head}");
}

#[test]
fn iterations_are_done_exactly() {
    let server = Server::start();
    let run = loadtest(&["-H", &server.url(), "-e", "/ok=2", "/slow", "-u", "4", "--iterations", "6"]).ended_with(0);
    assert_eq!((server.requests("/ok"), server.requests("/slow")), (16, 8));
    assert_eq!(run.number("/total_requests"), 24.0);
}

#[test]
fn warm_up_is_left_out_and_told() {
    let server = Server::start();
    let arguments = ["-H", &server.url(), "-e", "/slow", "-u", "4", "-t", "1s", "--warm-up", "600ms"];
    let run = loadtest(&arguments).ended_with(0);
    let (counted, warm_up) = (run.number("/total_requests") as u64, run.number("/warm_up_requests") as u64);
    assert_eq!(counted + warm_up, server.requests("/slow"));
    assert!(warm_up > 4 && counted > 4, "{warm_up} and {counted}");
    // It is a part of the second: 0.4 s are left, on a busy machine somewhat more until the last answer.
    assert!((0.3..1.0).contains(&run.number("/duration")), "{}", run.number("/duration"));
}

#[test]
fn a_warm_up_ends_after_the_ramp_and_does_not_lengthen_the_hold() {
    let server = Server::start();
    let url = server.url();
    let load = ["-H", &url, "-e", "/slow", "-u", "4", "--ramp-up", "1s", "-t", "1s", "--warm-up", "300ms"];
    let run = loadtest(&[&load[..], &["--no-server"]].concat()).ended_with(0);
    // What is measured is the hold and nothing but the hold; with the ramp it would be 2 s.
    assert!((0.9..1.9).contains(&run.number("/duration")), "{}", run.number("/duration"));
    // Four users do 80 a second. While they are started one after another, fewer.
    assert!(run.number("/total_requests") > run.number("/warm_up_requests"), "{}", run.out);
    let loads = ["--warm-up", "2s", "-t", "1s", "--ramp-up", "1s"];
    let refused = loadtest(&[&["-H", &url, "-e", "/slow"], &loads[..]].concat()).ended_with(2);
    refused.said("--warm-up 2.00 s is a part of the load, which lasts 2.00 s; nothing would be measured");
}

#[test]
fn a_run_that_is_interrupted_in_its_warm_up_reports_no_percentiles() {
    let server = Server::start();
    for model in [["-u", "4"], ["--rate", "80/s"]] {
        let before = server.requests("/slow");
        let load = ["-e", "/slow", "-t", "10m", "--warm-up", "5m", "-o", "page.html"];
        let running = started(&[&["-H", &server.url()], &model[..], &load[..]].concat());
        server.wait_for(before + 40, "/slow");
        running.interrupt();
        let run = running.finish().ended_with(130).said("INTERRUPTED in the warm-up: nothing was measured");
        let requests = server.requests("/slow") - before;
        let run = run.said(&format!("Nothing was measured: the run ended in its warm-up, after {requests} requests."));
        for name in ["avg", "min", "p50", "p90", "p95", "p99", "p999", "max"] {
            assert!(run.json[format!("{name}_response_time")].is_null(), "{name}: {}", run.json);
        }
        assert!(run.json["generator"]["cpu_microseconds_per_request"].is_null(), "{}", run.json);
        assert!(run.json["standard_deviation"].is_null() && run.json["error_rate"].is_null(), "{}", run.json);
        assert_eq!((run.number("/total_requests"), run.number("/duration")), (0.0, 0.0));
        let page = std::fs::read_to_string(run.file("page.html")).unwrap();
        for text in [&run.out, &page] {
            assert!(!text.contains("p95") && !text.contains("FAIL"), "{text}");
        }
        assert!(page.contains("Nothing was measured"));
    }
}

#[test]
fn iterations_that_end_in_the_warm_up_are_no_measurement() {
    let server = Server::start();
    let load = ["-H", &server.url(), "-e", "/ok", "-u", "2", "--iterations", "3", "--warm-up", "1m"];
    loadtest(&load).ended_with(1).said("observed the run ended in its warm-up, after 6 requests");
}

#[test]
fn ramp_up_starts_users_one_after_another() {
    let server = Server::start();
    let before = Instant::now();
    let run =
        loadtest(&["-H", &server.url(), "-e", "/slower", "-u", "10", "--ramp-up", "2", "-t", "1s", "--no-server"])
            .ended_with(0);
    // Each user has a connection of its own, after the one that only checks that the server accepts connections.
    let users = &server.connected_at()[1..];
    assert_eq!(users.len(), 10, "{users:?}");
    for (number, at) in users.iter().enumerate() {
        let due = Duration::from_millis(200 * number as u64);
        // Since before the start: a busy machine makes a user late and never early.
        assert!(at.duration_since(before) >= due, "user {number}: {users:?}");
    }
    assert_eq!(server.peak(), 10);
    // Each user does 6.7 a second. All at once from the start would make 200; a ramp of two seconds makes 140 of them.
    let total = run.number("/total_requests");
    assert!(total < 165.0, "{total}");
    assert_eq!(total as u64, server.requests("/slower"));
}

#[test]
fn redirects_are_answers_unless_they_are_followed() {
    let server = Server::start();
    let run = loadtest(&["-H", &server.url(), "-e", "/moved", "-u", "1", "--iterations", "5"]).ended_with(0);
    assert_eq!((run.json["status_codes"]["302"].as_u64(), server.requests("/ok")), (Some(5), 0));
    let arguments = ["-H", &server.url(), "-e", "/moved", "-u", "1", "--iterations", "5", "--follow-redirects"];
    let run = loadtest(&arguments).ended_with(0);
    assert_eq!((run.number("/redirects_followed"), server.requests("/ok")), (5.0, 5));
    assert_eq!(run.json["status_codes"]["200"].as_u64(), Some(5));
}

#[test]
fn iterations_are_timed_to_the_last_of_them() {
    let server = Server::start();
    let run = loadtest(&["-H", &server.url(), "-e", "/slow", "-u", "2", "--iterations", "3", "--quiet"]).ended_with(0);
    let busy = 3.0 * run.number("/avg_response_time");
    assert!(run.number("/duration") < busy + 0.5, "{} s for {busy} s", run.number("/duration"));
    assert_eq!((run.err.as_str(), run.out.as_str()), ("", "\nPASSED\n"));
}

#[test]
fn users_are_divided_as_the_weights_say_and_no_kind_is_left_out() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kinds.yaml");
    let text = "scenarios:\n  - { name: a, weight: 97, steps: [{ get: /slow }] }\n  - { name: b, weight: 3, \
                steps: [{ get: /ok }] }\n";
    std::fs::write(&file, text).unwrap();
    let arguments = ["-H", &server.url(), "-f", file.to_str().unwrap(), "-u", "10", "--iterations", "5"];
    loadtest(&arguments).ended_with(0).said("9 \"a\", 1 \"b\"");
    assert_eq!((server.requests("/slow"), server.requests("/ok")), (45, 5));
    // Endpoints are no kinds of users: every user sends all of them by weight.
    let server = Server::start();
    loadtest(&["-H", &server.url(), "-e", "/slow=9", "/ok", "-u", "10", "--iterations", "5"]).ended_with(0);
    assert_eq!((server.requests("/slow"), server.requests("/ok")), (45, 5));
}

#[test]
fn the_course_begins_after_the_warm_up() {
    let server = Server::start();
    let arguments = ["-H", &server.url(), "-e", "/slow", "-u", "4", "-t", "1800ms", "--warm-up", "800ms"];
    let run = loadtest(&arguments).ended_with(0);
    let points = run.json["series"].as_array().unwrap();
    let at = |point: &serde_json::Value, field: &str| point[field].as_f64().unwrap();
    assert!(at(&points[0], "start") < 0.01, "{points:?}");
    // The first point may end before any of the slow answers is there; the warm-up would leave four of them empty.
    let first_answers = points.iter().find(|point| at(point, "requests") > 0.0).unwrap();
    assert!(at(first_answers, "start") < 0.5, "{points:?}");
    for pair in points.windows(2) {
        assert!((at(&pair[1], "start") - at(&pair[0], "start") - at(&pair[0], "span")).abs() < 0.01, "{points:?}");
    }
}
