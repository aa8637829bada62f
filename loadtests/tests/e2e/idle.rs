//! Connections that the server closes between two requests.

use crate::{server::Server, tool::loadtest};

/// Runs a scenario whose users pause for 150 ms between their requests.
fn with_pauses(server: &Server, step: &str, more: &[&str]) -> crate::tool::Run {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pauses.yaml");
    let text = format!("scenarios:\n  - {{ name: a, think_time: 150ms, steps: [{{ {step} }}] }}\n");
    std::fs::write(&file, text).unwrap();
    let (url, path) = (server.url(), file.to_str().unwrap());
    loadtest(&[&["-H", &url, "-f", path, "-u", "2", "--iterations", "5", "--no-rules"], more].concat())
}

#[test]
fn a_request_on_a_connection_that_the_server_had_closed_is_sent_again_and_counted() {
    let server = Server::start();
    for (step, sent_again) in [("get: /impatient/get", 8), ("put: /impatient/put, body: x", 8)] {
        let run = with_pauses(&server, step, &[]).ended_with(0);
        assert_eq!((run.number("/total_requests"), run.number("/failed_requests")), (10.0, 0.0), "{}", run.out);
        assert_eq!(run.number("/sent_again") as u64, sent_again, "{}", run.out);
        run.said("8 of the requests above were sent a second time, on a new connection");
    }
    assert_eq!(server.requests("/impatient"), 2 * (10 + 8));
}

#[test]
fn what_is_not_idempotent_is_not_sent_again() {
    let server = Server::start();
    let run = with_pauses(&server, "post: /impatient", &[]).ended_with(1);
    // Each failure ends the connection, so that the next request has a new one.
    assert_eq!((run.number("/total_requests"), run.number("/failed_requests")), (10.0, 4.0), "{}", run.out);
    assert_eq!((run.number("/sent_again"), server.requests("/impatient")), (0.0, 10));
    run.said("the server closed the idle connection as the request was sent");
}

#[test]
fn a_service_that_fails_by_closing_connections_is_not_taken_for_an_idle_one() {
    let server = Server::start();
    // Without a response there is no idle connection, and a crash comes later than the close of an idle one.
    let run = with_pauses(&server, "get: /reset", &[]).ended_with(2);
    assert_eq!(run.number("/sent_again"), 0.0, "{}", run.out);
    let run = with_pauses(&server, "get: /crashing", &[]).ended_with(1);
    assert_eq!((run.number("/sent_again"), run.number("/failed_requests")), (0.0, 5.0), "{}", run.out);
    assert_eq!(server.requests("/crashing"), 10);
    // Users without pauses leave no connection idle.
    let run =
        loadtest(&["-H", &server.url(), "-e", "/ok", "/reset", "-u", "2", "-t", "1s", "--no-rules"]).ended_with(1);
    assert_eq!(run.number("/sent_again"), 0.0, "{}", run.out);
}
