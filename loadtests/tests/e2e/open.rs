//! The open model sends on time, and reports the requests that it could not send on time.

use crate::{server::Server, tool::loadtest};

#[test]
fn a_stall_of_one_second_in_five_shows_in_the_percentiles() {
    let server = Server::start();
    let run = loadtest(&["-H", &server.url(), "-e", "/stall", "--rate", "50/s", "-t", "5s"]).ended_with(0);
    assert_eq!(run.number("/arrivals/scheduled"), 250.0);
    assert_eq!(run.number("/arrivals/sent") as u64, server.requests("/stall"));
    // A fifth of the requests falls into the stall, so its half is the 90th percentile.
    assert!(run.number("/p90_response_time") > 0.3, "{}", run.number("/p90_response_time"));
    assert!(run.number("/p99_response_time") > 0.85, "{}", run.number("/p99_response_time"));
    assert!(run.number("/p50_response_time") < 0.25, "{}", run.number("/p50_response_time"));
}

#[test]
fn waiting_for_a_free_user_is_part_of_the_latency() {
    let server = Server::start();
    let arguments = ["-H", &server.url(), "-e", "/slow", "--rate", "40/s", "--max-in-flight", "1", "-t", "2s"];
    // Most of what queues up is never sent, so that the load was not the one that was asked for.
    let run = loadtest(&arguments).ended_with(1).said("late by more than 10.0 ms");
    let run = run.said("FAIL  all iterations: at most 1% of the load is dropped; observed ");
    // One user does 20 a second; the queue grows by 20 a second, up to two seconds.
    assert!(run.number("/p95_response_time") > 0.6, "{}", run.number("/p95_response_time"));
    let since_sent = run.number("/since_sent/p95");
    assert!(since_sent < run.number("/p95_response_time") / 2.0, "{since_sent}");
    let (scheduled, sent) = (run.number("/arrivals/scheduled"), run.number("/arrivals/sent"));
    assert_eq!(sent as u64, server.requests("/slow"));
    assert_eq!(sent + run.number("/arrivals/dropped"), scheduled);
    assert!(run.number("/arrivals/late_by_generator") < scheduled / 2.0);
    let limits = ["--threshold", "dropped<70%", "--threshold", "late<5%"];
    let run = loadtest(&[&arguments[..], &limits].concat()).ended_with(1).said("ok    all iterations: dropped<70%");
    run.said("FAIL  all iterations: late<5%; observed ");
    loadtest(&[&arguments[..], &["--threshold", "dropped<70%"]].concat()).ended_with(0);
}

#[test]
fn what_no_user_can_take_in_time_is_dropped() {
    let server = Server::start();
    let arguments = [
        "-H",
        &server.url(),
        "-e",
        "/hang",
        "--rate",
        "20/s",
        "--max-in-flight",
        "2",
        "-t",
        "1500ms",
        "--timeout",
        "400ms",
    ];
    let run = loadtest(&arguments).ended_with(1);
    assert!(run.number("/arrivals/dropped") > 5.0, "{}", run.number("/arrivals/dropped"));
    assert_eq!(run.number("/arrivals/sent") as u64, server.requests("/hang"));
    assert_eq!(run.number("/total_requests"), run.number("/arrivals/sent"));
}

#[test]
fn what_is_due_in_the_warm_up_is_not_counted() {
    let server = Server::start();
    let load =
        ["-H", &server.url(), "-e", "/ok", "--rate", "50/s", "-t", "2s", "--ramp-up", "400ms", "--warm-up", "1s"];
    let run = loadtest(&load).ended_with(0);
    // Of 2.4 seconds the last 1.4.
    assert_eq!(run.number("/arrivals/scheduled"), 70.0, "{}", run.out);
    assert!((1.3..1.6).contains(&run.number("/duration")), "{}", run.number("/duration"));
    let all = run.number("/total_requests") + run.number("/warm_up_requests");
    assert_eq!(all as u64, server.requests("/ok"));
}

#[test]
fn a_generator_that_cannot_keep_the_rate_says_so() {
    let server = Server::start();
    let arguments = ["-H", &server.url(), "-e", "/ok", "--rate", "300000/s", "-t", "2s", "--saturation", "fail"];
    loadtest(&arguments).ended_with(3).said("The generator was saturated").said("GENERATOR SATURATED");
}
