//! Profiles, with every method, and the lines of the brief as they are.

use crate::{server::Server, tool::loadtest};

#[test]
fn a_profile_counts_its_iterations_and_leaves_the_warm_up_out() {
    let server = Server::start();
    let arguments = ["--mode", "profile", "--base-url", &server.url(), "--endpoints", "/slow", "--iterations", "20"];
    let run = loadtest(&arguments).ended_with(0).said("confidence interval").said("status 200");
    assert_eq!(server.requests("/slow"), 30);
    // The service was asked for its side.
    assert!(run.number("/server_requests") >= 1.0);
    assert_eq!((run.number("/profile/iterations"), run.number("/profile/warm_up")), (20.0, 10.0));
    let (low, high) =
        (run.number("/profile/confidence_interval_95/0"), run.number("/profile/confidence_interval_95/1"));
    assert!(low <= run.number("/profile/mean") && run.number("/profile/mean") <= high);
    assert!(run.number("/profile/min") >= 0.05 && run.number("/profile/median") <= run.number("/profile/max"));
}

#[test]
fn headers_and_a_payload_from_a_file_are_sent_in_every_mode() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body.json");
    std::fs::write(&file, "{\"from\": \"a file\", \"n\": {{ iteration }}}").unwrap();
    let payload = format!("@{}", file.display());
    for mode in [&["-u", "1", "--iterations", "3"][..], &["--mode", "profile", "--iterations", "3"]] {
        let server = Server::start();
        let url = server.url();
        let request = ["-H", &url, "-e", "POST /head", "--payload", &payload];
        let headers = ["--header", "X-Tenant: a b", "--header", "x-many: 1", "--header", "x-many: 2"];
        loadtest(&[mode, &request, &headers].concat()).ended_with(0);
        let heads = server.heads();
        assert!(heads.len() >= 3, "{mode:?}");
        for head in &heads {
            for line in ["x-tenant: a b\r\n", "x-many: 1\r\n", "x-many: 2\r\n", "content-type: application/json\r\n"] {
                assert!(head.contains(line), "no {line:?} in {head}");
            }
        }
        let bodies = server.bodies();
        assert_eq!(bodies.len(), heads.len());
        assert!(bodies.contains(&"{\"from\": \"a file\", \"n\": 3}".to_owned()), "{bodies:?}");
    }
}

#[test]
fn every_method_is_sent_with_its_payload() {
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let server = Server::start();
        let payload = "{\"name\":\"test\"}";
        let url = server.url();
        let arguments = [
            "--mode",
            "profile",
            "--base-url",
            &url,
            "--endpoints",
            "/strict",
            "--iterations",
            "3",
            "--method",
            method,
            "--payload",
            payload,
        ];
        let run = loadtest(&arguments).ended_with(0);
        assert_eq!(run.json["status_codes"]["201"].as_u64(), Some(3), "{method}");
        assert_eq!(run.json["method"], method);
        assert!(server.bodies().iter().all(|body| body == payload));
    }
    for method in ["GET", "HEAD", "OPTIONS"] {
        let server = Server::start();
        let url = server.url();
        let mut arguments = vec!["profile", "-H", &url, "-e", "/ok", "--iterations", "3", "--method", method];
        if method == "HEAD" {
            // The server answers a HEAD with a body, which no client reads; one request a connection then.
            arguments.extend(["--warm-up", "0"]);
        }
        let run = loadtest(&arguments);
        assert_eq!(run.number("/total_requests"), 3.0, "{method}: {}", run.out);
    }
}
