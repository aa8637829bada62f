//! Targets that fail: each with a clear message, the right exit code, and no storm.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use crate::{
    server::Server,
    tool::{loadtest, loadtest_after},
};

/// Long before the end of a test that was to run for ten minutes.
const SOON: Duration = Duration::from_secs(60);

#[test]
fn a_refusing_target_is_a_set_up_error() {
    let run = loadtest(&["-H", "127.0.0.1:9", "-e", "/", "-t", "10m"]).ended_with(2);
    assert!(run.err.contains("connection refused; is the service running?"), "{}", run.err);
    assert!(run.took < SOON, "{:?}", run.took);
}

#[test]
fn an_unknown_host_is_a_set_up_error() {
    loadtest(&["-H", "http://no-such-host.invalid", "-e", "/"])
        .ended_with(2)
        .said("the host name \"no-such-host.invalid\" is unknown");
}

#[test]
fn an_untrusted_certificate_is_a_set_up_error() {
    let server = Server::start_tls();
    let run = loadtest(&["-H", &server.tls_url(), "-e", "/ok", "-u", "4", "-t", "10m"]).ended_with(2);
    let run = run.said("certificate").said("--accept-invalid-certs");
    assert!(run.took < SOON, "{:?}", run.took);
    assert!(server.connections() < 40, "a storm of {} connections", server.connections());
    loadtest(&["-H", &server.tls_url(), "-e", "/ok", "-u", "2", "-t", "500ms", "--accept-invalid-certs"]).ended_with(0);
}

#[test]
fn tls_to_a_plain_port_is_a_set_up_error() {
    let server = Server::start();
    loadtest(&["-H", &server.tls_url(), "-e", "/ok", "-u", "2", "-t", "10s"])
        .ended_with(2)
        .said("is it http:// and not https://?");
}

#[test]
fn a_target_that_never_answers_fails() {
    let server = Server::start();
    let arguments = ["-H", &server.url(), "-e", "/hang", "-u", "2", "-t", "400ms", "--grace", "100ms", "--no-rules"];
    loadtest(&arguments).ended_with(1).said("none got a response before the end of the test");
}

#[test]
fn a_target_that_resets_every_connection_is_not_stormed() {
    let server = Server::start();
    let run = loadtest(&["-H", &server.url(), "-e", "/reset", "-u", "10", "-t", "10m"]).ended_with(2).said("reset");
    assert!(run.took < SOON, "{:?}", run.took);
    assert!(server.requests("/reset") < 100, "a storm of {} requests", server.requests("/reset"));
    let arguments = ["-H", &server.url(), "-e", "/reset", "-u", "10", "-t", "10m", "--warm-up", "5m"];
    loadtest(&arguments).ended_with(2).said("got a response: connection broken");
}

#[test]
fn resets_among_good_answers_are_failures_and_slow_the_user_down() {
    let server = Server::start();
    let run = loadtest(&["-H", &server.url(), "-e", "/ok", "/reset", "-u", "2", "-t", "2s"]).ended_with(1);
    assert_eq!(run.number("/total_requests") as u64, server.requests("/ok") + server.requests("/reset"));
    assert_eq!(run.number("/outcomes/connection/count") as u64, server.requests("/reset"));
    let run = run.said("connection only").said("GET /reset: some request succeeds");
    assert!(run.number("/p99_response_time") >= run.number("/p50_response_time"));
}

#[test]
fn a_body_that_breaks_off_is_a_failure() {
    let server = Server::start();
    let run = loadtest(&["-H", &server.url(), "-e", "/half-body", "/ok", "-u", "2", "--iterations", "6"]).ended_with(1);
    assert_eq!(run.number("/outcomes/connection/count"), 6.0);
    run.said("response broken off");
}

#[test]
fn timeouts_have_a_line_of_their_own() {
    let server = Server::start();
    let arguments = ["-H", &server.url(), "-e", "/ok=3", "/hang", "-u", "4", "-t", "2s", "--timeout", "300ms"];
    let run = loadtest(&arguments).ended_with(1).said("timeout only").said("no complete response in time");
    assert_eq!(run.number("/total_requests") as u64, server.requests("/ok") + server.requests("/hang"));
    // A quarter times out: the 95th percentile of everything sent cannot look better than the timeout.
    assert!(run.number("/p95_response_time") >= 0.29, "{}", run.number("/p95_response_time"));
    assert!(run.number("/outcomes/success/p95") < run.number("/p95_response_time"));
}

#[test]
fn nothing_but_errors_fails_even_without_rules() {
    let server = Server::start();
    let arguments = ["-H", &server.url(), "-e", "/error", "-u", "2", "-t", "500ms", "--no-rules"];
    let run = loadtest(&arguments).ended_with(1).said("status 500").said("disk full");
    assert_eq!(run.number("/error_rate"), 100.0);
    assert_eq!(run.json["status_codes"]["500"].as_u64(), Some(server.requests("/error")));
}

#[test]
fn a_wrong_path_says_to_check_it() {
    let server = Server::start();
    loadtest(&["-H", &server.url(), "-e", "/api/prodcuts", "-u", "1", "-t", "300ms"])
        .ended_with(1)
        .said("status 404; check the path (no such page)");
}

#[test]
fn a_refused_payload_shows_what_the_service_says() {
    let server = Server::start();
    let arguments =
        ["-H", &server.url(), "-e", "POST /strict", "-u", "1", "-t", "300ms", "--payload", "{\"nam\":\"x\"}"];
    loadtest(&arguments).ended_with(1).said("status 422").said("missing field `name`");
}

#[test]
fn a_target_that_drops_its_first_requests_is_not_given_up() {
    let server = Server::start();
    let run = loadtest(&["-H", &server.url(), "-e", "/waking", "-u", "30", "-t", "6s", "--no-rules"]).ended_with(0);
    assert_eq!(run.number("/outcomes/connection/count"), 8.0);
    assert!(run.number("/successful_requests") >= 40.0, "{}", run.out);
}

#[test]
fn requests_without_a_connection_are_counted_apart() {
    // The kernel accepts the connection, but no program answers the TLS handshake.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", mute.local_addr().unwrap());
    let arguments = ["-H", &url, "-e", "/", "-u", "2", "-t", "900ms", "--timeout", "400ms", "--grace", "100ms"];
    let run = loadtest(&arguments).ended_with(1).said("no connection in time");
    assert_eq!(run.number("/never_sent"), run.number("/total_requests"));
    let server = Server::start();
    let arguments = ["-H", &server.url(), "-e", "/hang", "-u", "2", "-t", "900ms", "--timeout", "400ms"];
    let run = loadtest(&arguments).ended_with(1);
    assert_eq!(run.number("/never_sent"), 0.0);
}

#[test]
fn the_tools_own_limit_of_open_files_is_not_the_targets_fault() {
    let server = Server::start();
    let url = server.url();
    let arguments = ["-H", &url, "-e", "/slow", "-u", "100", "-t", "3s", "--saturation", "fail"];
    let run = loadtest_after("ulimit -n 60", &arguments).ended_with(3).said("ulimit -n").said("60");
    assert_eq!((run.number("/total_requests") - run.number("/never_sent")) as u64, server.requests("/slow"));
    assert!(run.number("/successful_requests") > 100.0, "{}", run.out);
    // What may be raised is raised.
    let run = loadtest_after("ulimit -Sn 60", &arguments);
    assert_eq!(run.number("/failed_requests"), 0.0, "{}", run.out);
}

#[test]
fn what_is_wrong_with_a_certificate_is_said() {
    let authority = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/certificate/authority.pem");
    let trusting = format!("export SSL_CERT_FILE={authority}");
    for (certificate, message) in [
        ("expired", "the server's certificate has expired on 2021-02-03; --accept-invalid-certs"),
        ("other-name", "the server's certificate is for shop.example and not for 127.0.0.1; --accept-invalid-certs"),
    ] {
        let server = Server::start_tls_as(certificate, &[]);
        let arguments = ["-H", &server.tls_url(), "-e", "/ok", "-u", "2", "-t", "10m"];
        loadtest_after(&trusting, &arguments).ended_with(2).said(message);
    }
    let server = Server::start_tls_as("good", &[]);
    let arguments = ["-H", &server.tls_url(), "-e", "/ok", "-u", "2", "--iterations", "2"];
    loadtest_after(&trusting, &arguments).ended_with(0);
    let unknown = "no authority that this machine knows has signed the server's certificate; --accept-invalid-certs";
    loadtest(&["-H", &server.tls_url(), "-e", "/ok", "-u", "2", "-t", "10m"]).ended_with(2).said(unknown);
}

#[test]
fn a_target_that_speaks_something_else_is_named() {
    let server = Server::start_tls_as("good", &[b"h2"]);
    loadtest(&["-H", &server.tls_url(), "--insecure", "-e", "/ok", "-u", "2", "-t", "10m"])
        .ended_with(2)
        .said("the server offers no HTTP/1.1 over TLS; it may speak HTTP/2 only, which this tool does not");
    let encrypted = Server::start_tls();
    loadtest(&["-H", &encrypted.url(), "-e", "/ok", "-u", "2", "-t", "10m"])
        .ended_with(2)
        .said("what the server sends is not HTTP/1.1; it answers with TLS: is it https:// and not http://?");
    let silent = format!("http://{}", tls_only());
    loadtest(&["-H", &silent, "-e", "/ok", "-u", "2", "-t", "10m"])
        .ended_with(2)
        .said("it answers with TLS: is it https:// and not http://?");
    for begins_at_once in [true, false] {
        let address = http2_only(begins_at_once);
        loadtest(&["-H", &address, "-e", "/ok", "-u", "2", "-t", "10m"])
            .ended_with(2)
            .said("it speaks HTTP/2 only, which this tool does not");
    }
}

#[test]
fn a_short_run_names_what_its_target_speaks_too() {
    for begins_at_once in [true, false] {
        let address = http2_only(begins_at_once);
        for length in [["--iterations", "3"], ["--iterations", "1"]] {
            loadtest(&[&["-H", &address, "-e", "/ok", "-u", "1"][..], &length].concat())
                .ended_with(1)
                .said("failed: ")
                .said("it speaks HTTP/2 only, which this tool does not");
        }
    }
    let encrypted = Server::start_tls();
    loadtest(&["-H", &encrypted.url(), "-e", "/ok", "-u", "1", "--iterations", "2"])
        .ended_with(1)
        .said("all 2 failed: ")
        .said("it answers with TLS: is it https:// and not http://?");
    loadtest(&["-H", &encrypted.tls_url(), "-e", "/ok", "-u", "1", "--iterations", "2"])
        .ended_with(1)
        .said("--accept-invalid-certs accepts certificates that fail verification");
}

/// Starts a server that speaks HTTP/2 with those who know it beforehand, and closes on others. Returns its address.
fn http2_only(begins_at_once: bool) -> String {
    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                if begins_at_once {
                    _ = stream.write_all(SETTINGS);
                }
                let mut preface = [0; 14];
                if stream.read_exact(&mut preface).is_ok() && preface == *b"PRI * HTTP/2.0" && !begins_at_once {
                    _ = stream.write_all(SETTINGS);
                }
            });
        }
    });
    format!("http://{address}")
}

/// Starts a server that answers nothing but the beginning of TLS, as many do. Returns its address.
fn tls_only() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut first) = (stream.unwrap(), [0; 512]);
            if stream.read(&mut first).is_ok_and(|read| read > 0) && first[..2] == [0x16, 3] {
                _ = stream.write_all(&[0x15, 3, 3, 0, 2, 2, 40]);
            }
        }
    });
    address
}

#[test]
fn a_response_may_have_many_headers() {
    let server = Server::start();
    loadtest(&["-H", &server.url(), "-e", "/headers", "-u", "1", "--iterations", "3"]).ended_with(0);
}
